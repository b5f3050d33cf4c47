//! The command line, and what quick and full mean.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cpu;
use crate::load::Extent;
use crate::scenarios;
use crate::server::Rival;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    Own,
    RedisBenchmark,
}

pub struct Options {
    pub scenarios: Vec<String>,
    pub quick: bool,
    pub list: bool,
    /// Interleaved runs of every server, for each row of a table.
    pub rounds: usize,
    /// The same for scenarios whose every run takes a minute.
    pub heavy_rounds: usize,
    pub warm_up: Duration,
    pub counted: Duration,
    pub rivals: Vec<Rival>,
    pub baseline: String,
    pub server_cpu: usize,
    pub load_cpu: usize,
    pub port: u16,
    pub out: PathBuf,
    pub keys: u64,
    pub value_bytes: usize,
    /// Percent of a CPU a saturated server gets; `None` leaves that half out.
    pub quota: Option<u32>,
    pub generator: Generator,
    pub memory_keys: u64,
    pub growth_keys: u64,
    pub expiry_keys: u64,
    /// Of `snapshot` and `loading`, 1 KB each.
    pub snapshot_keys: u64,
    pub expiry_window: Duration,
    pub idle_window: Duration,
    /// Of the big set and sorted set of `types`; elements, entries and hashes of `type-memory`.
    pub members: u64,
    /// Of the collections of `type-stall`.
    pub elements: u64,
    /// Rows of the scenarios about types whose name contains one of these; all when there is none.
    pub workloads: Vec<String>,
    /// Priority of load and servers alike, inherited by all of them.
    pub nice: i32,
    /// The arguments to say again to get the same run, without the scenario.
    pub repeat: String,
}

impl Options {
    pub fn from_command_line() -> Result<Options, String> {
        Options::build(&command().get_matches())
    }

    pub fn extent(&self) -> Extent {
        Extent::Clock { warm_up: self.warm_up, counted: self.counted }
    }

    /// Whether a row of that name was asked for.
    pub fn wants(&self, row: &str) -> bool {
        let row = row.to_lowercase();
        self.workloads.is_empty() || self.workloads.iter().any(|part| row.contains(part))
    }

    fn build(matches: &ArgMatches) -> Result<Options, String> {
        let quick = matches.get_flag("quick");
        let number = |name: &str, short: u64, long: u64| {
            let given = matches.get_one::<u64>(name).copied();
            given.unwrap_or(if quick { short } else { long })
        };
        let seconds = matches.get_one::<f64>("seconds").copied();
        let cpus = cpu::allowed();
        let cpu_of = |name: &str, default: Option<&usize>| -> usize {
            let given = matches.get_one::<u64>(name).map(|cpu| *cpu as usize);
            given.or(default.copied()).unwrap_or(0)
        };
        Ok(Options {
            scenarios: chosen_scenarios(matches)?,
            quick,
            list: matches.get_flag("list"),
            rounds: number("rounds", 3, 7) as usize,
            heavy_rounds: number("rounds", 1, 3) as usize,
            warm_up: Duration::from_millis(if quick { 200 } else { 500 }),
            counted: Duration::from_secs_f64(
                seconds.unwrap_or(if quick { 0.7 } else { 2.0 }).clamp(0.1, 600.0),
            ),
            rivals: chosen_rivals(matches)?,
            baseline: matches.get_one::<String>("baseline").cloned().unwrap_or_default(),
            server_cpu: cpu_of("server-cpu", cpus.last()),
            load_cpu: cpu_of("load-cpu", cpus.first()),
            port: number("port", 22_000, 22_000) as u16,
            out: matches.get_one::<PathBuf>("out").cloned().unwrap_or_default(),
            keys: number("keys", 100_000, 100_000).max(1),
            value_bytes: number("value-bytes", 64, 64) as usize,
            quota: match number("quota", 40, 40) as u32 {
                0 => None,
                percent => Some(percent),
            },
            generator: match matches.get_one::<String>("generator").map(String::as_str) {
                Some("redis-benchmark") => Generator::RedisBenchmark,
                _ => Generator::Own,
            },
            memory_keys: number("memory-keys", 500_000, 3_000_000),
            growth_keys: number("growth-keys", 1_000_000, 10_000_000),
            expiry_keys: number("expiry-keys", 200_000, 1_000_000),
            snapshot_keys: number("snapshot-keys", 500_000, 5_000_000).max(1),
            expiry_window: Duration::from_secs(if quick { 10 } else { 60 }),
            idle_window: Duration::from_secs(if quick { 3 } else { 10 }),
            members: number("members", 100_000, 1_000_000).max(1000),
            elements: number("elements", 1_000_000, 10_000_000).max(1000),
            workloads: matches
                .get_many::<String>("workload")
                .into_iter()
                .flatten()
                .map(|part| part.to_lowercase())
                .collect(),
            nice: matches.get_one::<i32>("nice").copied().unwrap_or(0),
            repeat: repeat(),
        })
    }
}

fn chosen_scenarios(matches: &ArgMatches) -> Result<Vec<String>, String> {
    let names: Vec<String> = matches.get_many("scenario").into_iter().flatten().cloned().collect();
    let known = scenarios::ALL.map(|scenario| scenario.name);
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("no scenario {unknown}; there are: {}", known.join(" ")));
    }
    Ok(if names.is_empty() { known.map(str::to_owned).to_vec() } else { names })
}

fn chosen_rivals(matches: &ArgMatches) -> Result<Vec<Rival>, String> {
    let mut rivals = Rival::discover();
    for spec in matches.get_many::<String>("server").into_iter().flatten() {
        let rival = Rival::parse(spec).map_err(|why| format!("--server {spec}: {why}"))?;
        rivals.retain(|other| other.name != rival.name);
        rivals.push(rival);
    }
    if let Some(only) = matches.get_one::<String>("only") {
        let wanted: Vec<&str> = only.split(',').collect();
        if let Some(missing) = wanted.iter().find(|name| rivals.iter().all(|rival| rival.name != **name)) {
            return Err(format!("--only {missing}: no such server was found or given"));
        }
        rivals.retain(|rival| wanted.contains(&rival.name.as_str()));
    }
    Ok(rivals)
}

/// This run's arguments without the scenarios, quoted for a shell.
fn repeat() -> String {
    let known = scenarios::ALL.map(|scenario| scenario.name);
    let quoted = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench" && !known.contains(&arg.as_str()))
        .map(|arg| if arg.contains(' ') { format!("'{arg}'") } else { arg });
    quoted.collect::<Vec<_>>().join(" ")
}

fn command() -> Command {
    let number = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("N").value_parser(value_parser!(u64)).help(help)
    };
    Command::new("rivals")
        .about("Measures coreshard side by side with every rival found (see bench/README.md)")
        .arg(Arg::new("scenario").num_args(0..).help("scenarios to run; all when none is named"))
        .arg(flag("quick", "three short rounds and small data sets"))
        .arg(flag("list", "list scenarios and servers found, run nothing"))
        .arg(Arg::new("server").long("server").value_name("NAME=CMD").action(ArgAction::Append).help(
            "one more server; {port} {threads} {dir} are filled in, known programs get their own flags",
        ))
        .arg(Arg::new("only").long("only").value_name("A,B").help("only these servers"))
        .arg(
            Arg::new("workload")
                .long("workload")
                .value_name("A,B")
                .value_delimiter(',')
                .help("only rows whose name contains one of these (types, type-memory, type-stall)"),
        )
        .arg(
            Arg::new("baseline")
                .long("baseline")
                .value_name("NAME")
                .default_value("redis")
                .help("the server ratios refer to"),
        )
        .arg(
            Arg::new("generator")
                .long("generator")
                .value_parser(["own", "redis-benchmark"])
                .help("who makes the load of the cpu and multi scenarios"),
        )
        .arg(
            Arg::new("seconds")
                .long("seconds")
                .value_name("S")
                .value_parser(value_parser!(f64))
                .help("counted time of one run"),
        )
        .arg(
            Arg::new("out")
                .long("out")
                .value_name("DIR")
                .default_value("bench/out")
                .value_parser(value_parser!(PathBuf))
                .help("where figures, report and charts go"),
        )
        .arg(
            Arg::new("nice")
                .long("nice")
                .value_name("N")
                .allow_negative_numbers(true)
                .value_parser(value_parser!(i32).range(-20..=19))
                .help("priority of servers and load alike; negative on a shared machine, needs root"),
        )
        .arg(number("rounds", "interleaved runs of each server"))
        .arg(number("quota", "percent of a CPU for the saturated half; 0 leaves it out"))
        .arg(number("server-cpu", "the server's CPU (default: the last allowed one)"))
        .arg(number("load-cpu", "the load's CPU (default: the first allowed one)"))
        .arg(number("port", "first of 20 ports to use"))
        .arg(number("keys", "key space of the traffic scenarios"))
        .arg(number("value-bytes", "size of the random values"))
        .arg(number("memory-keys", "keys of the memory scenario"))
        .arg(number("growth-keys", "keys of the stall scenario"))
        .arg(number("expiry-keys", "keys of the expiry scenario"))
        .arg(number("snapshot-keys", "keys of the snapshot and loading scenarios, 1 KB each"))
        .arg(number("members", "members of the big collections of types and type-memory"))
        .arg(number("elements", "elements of the collections of type-stall"))
        // `cargo bench` passes it to every bench program.
        .arg(flag("bench", "").hide(true))
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
