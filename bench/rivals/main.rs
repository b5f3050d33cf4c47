//! `cargo bench --bench rivals -- [scenario...] [--quick]`: coreshard beside every rival found.
//!
//! Read bench/README.md for what each scenario means and how noise is dealt with. The modules, from
//! the bottom up: `stats`, `cpu`, `shape`, `wire`, `tape` know nothing of each other's business; `load`,
//! `prober`, `fill` and `redis_benchmark` make traffic, `collections` and `typed` say what is filled in
//! and asked of the data types; `server` and `quota` hold the servers;
//! `report`, `chart` and `aims` write; `lineup` interleaves; `scenarios` say what is compared.

#![forbid(unsafe_code)]
// A bench is compiled with `cfg(test)` but without the test harness: the modules' tests vanish and
// leave their imports. bench/units.rs runs them, and does warn of unused imports.
#![allow(unused_imports)]

mod aims;
mod chart;
mod cleanup;
mod collections;
mod cpu;
mod fill;
mod lineup;
mod load;
mod options;
mod prober;
mod quota;
mod redis_benchmark;
mod report;
mod scenarios;
mod server;
mod shape;
mod stats;
mod tape;
mod typed;
mod wire;

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit};

use options::Options;
use report::Recorder;
use scenarios::Bench;

fn main() -> ExitCode {
    let options = match Options::from_command_line() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    if options.list {
        print!("{}", listing(&options));
        return ExitCode::SUCCESS;
    }
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the benchmark failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A thousand idle connections do not fit in the usual soft limit; the servers inherit the new one.
fn raise_open_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it is refused, the scenario that needs it says so.
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
}

fn run(options: Options) -> std::io::Result<()> {
    raise_open_files();
    cleanup::on_signals()?;
    if options.nice != 0 && rustix::process::setpriority_process(None, options.nice).is_err() {
        eprintln!("note: --nice {} was refused", options.nice);
    }
    let recorder = Recorder::create(options.out.clone(), &options.baseline)?;
    let preface = preface(&options);
    let mut bench = Bench { options, recorder };
    if server::in_path("memcached").is_some() {
        bench.recorder.note("memcached is installed and left out: it does not speak RESP".to_owned());
    }
    let mut commands = Vec::new();
    for name in bench.options.scenarios.clone() {
        let Some(scenario) = scenarios::ALL.iter().find(|scenario| scenario.name == name) else {
            continue;
        };
        let command = format!("cargo bench --bench rivals -- {name} {}", bench.options.repeat);
        let command = command.trim_end().to_owned();
        eprintln!("== {name}: {}\n   {command}", scenario.about);
        if let Err(error) = (scenario.run)(&mut bench) {
            bench.recorder.note(format!("{name} ended early: {error}"));
        }
        commands.push((scenario.name, command));
        // Written after every scenario: an interrupted run keeps what it has.
        bench.recorder.finish(&preface, &commands)?;
    }
    println!("{}", bench.recorder.finish(&preface, &commands)?);
    eprintln!("figures, report and charts: {}", bench.options.out.display());
    Ok(())
}

fn listing(options: &Options) -> String {
    let mut text = String::from("scenarios:\n");
    for scenario in &scenarios::ALL {
        let _ = writeln!(text, "  {:12} {}", scenario.name, scenario.about);
    }
    text.push_str("servers:\n");
    for rival in &options.rivals {
        let _ = writeln!(text, "  {:12} {}", rival.name, rival.version());
    }
    text
}

/// What a reader needs to judge the figures: where they come from.
fn preface(options: &Options) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, model)| model.trim());
    let mut text = format!(
        "# Side by side\n\n\
         - {model}, {} CPUs allowed, Linux {}; server on CPU {}, load on CPU {}\n\
         - {} interleaved rounds of {:.1} s{}; {} keys, random values of {} bytes\n\
         - Cells: median (**median of the ratios to {} within a round**; their quartiles)\n",
        cpu::allowed().len(),
        kernel.trim(),
        options.server_cpu,
        options.load_cpu,
        options.rounds,
        options.counted.as_secs_f64(),
        if options.quick { " (quick)" } else { "" },
        options.keys,
        options.value_bytes,
        options.baseline,
    );
    for rival in &options.rivals {
        let _ = writeln!(text, "- {}: {}", rival.name, rival.version());
    }
    text
}
