//! The same random traffic to coreshard and to a real Redis: replies and final states must agree.
//!
//! Needs a `redis-server` (on the path, or named by `CORESHARD_ORACLE`); without one the tests say so
//! and pass, unless `CORESHARD_REQUIRE_ORACLE=1`. `CORESHARD_ORACLE_SEED` replays a history,
//! `CORESHARD_ORACLE_ROUNDS` says how many histories there are, `CORESHARD_ORACLE_STEPS` how long.
//! What a grammar line may hold is in [`grammar`], what may differ in [`compare`].

mod compare;
mod driver;
mod dump;
mod families;
mod grammar;
mod log;
#[path = "../support/mod.rs"]
mod support;

use driver::{Step, Tamper, history, minimise, replay, report};
use families::{FAMILIES, Family};
use grammar::{Generator, LINES};
use std::path::PathBuf;
use std::time::Duration;
use support::{Options, Protocol, Rng, Server, Value, ok, seed_from_environment, wait_until};

const MINIMISE_BUDGET: Duration = Duration::from_secs(20);

/// Differences reported by one run: enough to see whether they have one cause.
const MOST_REPORTS: usize = 8;

/// The Redis that is always right, or None, with the reason printed.
fn reference() -> Option<Options> {
    let named = std::env::var_os("CORESHARD_ORACLE").map(PathBuf::from);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        let mut candidates = std::env::split_paths(&folders).map(|folder| folder.join("redis-server"));
        candidates.find(|candidate| candidate.is_file())
    });
    let Some(binary) = found else {
        let reason = "no redis-server is installed to compare with (CORESHARD_ORACLE may name one)";
        assert!(std::env::var("CORESHARD_REQUIRE_ORACLE").as_deref() != Ok("1"), "{reason}");
        eprintln!("SKIPPED: {reason}");
        return None;
    };
    Some(Options { binary, threads: 1, engine: None, flags: Vec::new() })
}

/// The same histories every time where a run is to tell of a change and not of luck (`CI`), else others each time.
fn seed() -> u64 {
    const FIXED: u64 = 20_261_125;
    let is_named = std::env::var_os("CORESHARD_ORACLE_SEED").is_some();
    if !is_named && std::env::var_os("CI").is_some() {
        return FIXED;
    }
    seed_from_environment("CORESHARD_ORACLE_SEED")
}

fn number_from_environment(name: &str, default: usize) -> usize {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The families that both servers know.
fn families_for(ours: &Server, theirs: &Server) -> Vec<Family> {
    let mut clients = [ours, theirs].map(|server| server.client(Protocol::Resp2));
    let known = FAMILIES.iter().copied().filter(|(name, _)| {
        clients
            .iter_mut()
            .all(|client| matches!(client.call(&["COMMAND", "INFO", name]).elements()[0], Value::Array(_)))
    });
    known.collect()
}

/// What one history draws from: strings and keys alone, or one or two families among them.
fn lines_of(families: &[Family], rng: &mut Rng) -> Vec<(u32, &'static str)> {
    let count = if families.is_empty() || rng.one_in(6) { 0 } else { 1 + rng.below(2) };
    let mut lines = LINES.to_vec();
    for _ in 0..count {
        let (_, family) = families[rng.below(families.len())];
        // About as much of each as of what all have in common.
        lines.extend(family.iter().map(|(weight, line)| (weight * 3, *line)));
    }
    lines
}

/// DUMP payloads of values in each of their forms.
fn payloads(theirs: &Server) -> Vec<Vec<u8>> {
    let mut client = theirs.client(Protocol::Resp2);
    let long = "compressible ".repeat(40);
    let values = ["", "7", "-300", "70000", "5000000000", "short", "12345678901234567890", long.as_str()];
    let dump = |value: &str| {
        client.expect(&["SET", "payload", value], ok());
        client.call("DUMP payload").bytes().to_vec()
    };
    let mut payloads = values.map(dump).to_vec();
    for line in [
        "RPUSH payload a b 3 4000 5",
        "SADD payload 1 2 70000",
        "SADD payload a b c",
        "HSET payload f v g 7",
        "ZADD payload 1 a 2.5 b -inf c",
        "XADD payload 5-1 f v g w",
    ] {
        client.expect(&["DEL", "payload"], 1);
        client.call(line);
        payloads.push(client.call("DUMP payload").bytes().to_vec());
    }
    payloads
}

/// The server under test, started again when it has ended.
struct Subject {
    server: Server,
    options: Options,
}

impl Subject {
    fn start(options: Options) -> Subject {
        Subject { server: Server::start_with(&options), options }
    }

    /// The running server. Says why the last one ended, if it has.
    fn running(&mut self) -> &Server {
        let mut status = None;
        wait_until("the server under test answers or ends", Duration::from_secs(30), || {
            status = self.server.exit_status();
            status.is_some() || self.server.answers()
        });
        if let Some(status) = status {
            eprintln!("the server under test ended with {status}:\n{}", self.server.log());
            self.server = Server::start_with(&self.options);
        }
        &self.server
    }
}

/// The outcome of many histories.
struct Findings {
    reports: Vec<(String, String)>,
}

/// Plays `rounds` histories of `length` steps and makes small what differs, once per kind.
fn compare_servers(
    ours: &mut Subject,
    theirs: &Server,
    seed: u64,
    rounds: usize,
    length: usize,
    tamper: Tamper,
) -> Findings {
    // Planted faults are about strings.
    let is_planted = tamper.request.is_some() || tamper.reply.is_some();
    let families = if is_planted { Vec::new() } else { families_for(ours.running(), theirs) };
    let payloads = payloads(theirs);
    let mut findings = Findings { reports: Vec::new() };
    let mut seeds = Rng::new(seed);
    for round in 0..rounds {
        // The first round's seed is the one that a failure names.
        let round_seed = if round == 0 { seed } else { seeds.next() };
        let lines = lines_of(&families, &mut Rng::new(!round_seed));
        let mut generator = Generator::new(round_seed, lines, payloads.clone());
        let steps = history(&mut generator, length);
        let mut run = |steps: &[Step]| replay(ours.running(), theirs, steps, tamper);
        let Err(difference) = run(&steps) else { continue };
        if findings.reports.iter().any(|(what, _)| *what == difference.what) {
            continue;
        }
        let what = difference.what.clone();
        let (steps, difference) = minimise(&steps, difference, MINIMISE_BUDGET, run);
        let text = report(&steps, &difference);
        let repeat = format!(
            "CORESHARD_ORACLE_SEED={round_seed} CORESHARD_ORACLE_STEPS={length} CORESHARD_ORACLE_ROUNDS=1"
        );
        findings.reports.push((what, format!("{repeat}\n{text}")));
        if findings.reports.len() == MOST_REPORTS {
            break;
        }
    }
    findings
}

#[track_caller]
fn assert_same(findings: &Findings) {
    let reports: String = findings.reports.iter().map(|(_, report)| format!("\n{report}")).collect();
    assert!(findings.reports.is_empty(), "{} differences:\n{reports}", findings.reports.len());
}

fn agrees_with_redis(threads: usize) {
    let Some(theirs) = reference() else { return };
    let theirs = Server::start_with(&theirs);
    let mut ours = Subject::start(Options::threads(threads));
    let seed = seed();
    let rounds = number_from_environment("CORESHARD_ORACLE_ROUNDS", 40);
    let length = number_from_environment("CORESHARD_ORACLE_STEPS", 400);
    eprintln!("CORESHARD_ORACLE_SEED={seed}, {rounds} rounds of {length} steps, {threads} shards");
    assert_same(&compare_servers(&mut ours, &theirs, seed, rounds, length, Tamper::default()));
}

#[test]
fn one_shard_agrees_with_redis() {
    agrees_with_redis(1);
}

#[test]
fn several_shards_agree_with_redis() {
    agrees_with_redis(3);
}

/// The oracle itself: what it calls different is different.
#[test]
fn redis_agrees_with_itself() {
    let Some(redis) = reference() else { return };
    let theirs = Server::start_with(&redis);
    let mut ours = Subject::start(redis);
    let seed = seed_from_environment("CORESHARD_ORACLE_SEED");
    eprintln!("CORESHARD_ORACLE_SEED={seed}");
    assert_same(&compare_servers(
        &mut ours,
        &theirs,
        seed,
        number_from_environment("CORESHARD_ORACLE_ROUNDS", 12),
        400,
        Tamper::default(),
    ));
}

/// The oracle itself: it finds a planted difference, and makes the history short.
#[test]
fn a_planted_difference_is_found() {
    let Some(redis) = reference() else { return };
    let theirs = Server::start_with(&redis);
    let mut ours = Subject::start(redis);
    let wrong_reply = Tamper {
        reply: Some(|arguments, reply| match reply {
            Value::Int(length @ 9..) if arguments[0].eq_ignore_ascii_case(b"STRLEN") => *length += 1,
            _ => {}
        }),
        ..Tamper::default()
    };
    let wrong_effect = Tamper {
        request: Some(|arguments| {
            if arguments[0].eq_ignore_ascii_case(b"PERSIST") && arguments.len() == 2 {
                arguments[0] = b"PTTL".to_vec();
            }
        }),
        reply: Some(|arguments, reply| {
            if let (b"PERSIST", Value::Int(number)) = (&*arguments[0].to_ascii_uppercase(), reply) {
                *number = i64::from(*number >= 0);
            }
        }),
    };
    let sudden_end = Tamper {
        request: Some(|arguments| {
            if arguments[0].eq_ignore_ascii_case(b"GETEX") && arguments.len() == 2 {
                arguments[0] = b"SHUTDOWN".to_vec();
                arguments[1] = b"NOSAVE".to_vec();
            }
        }),
        ..Tamper::default()
    };
    for (tamper, longest) in [(wrong_reply, 3), (wrong_effect, 4), (sudden_end, 1)] {
        let findings = compare_servers(&mut ours, &theirs, 1, 10, 400, tamper);
        assert!(!findings.reports.is_empty(), "nothing was found");
        let (what, report) = &findings.reports[0];
        let steps = report.lines().filter(|line| line.starts_with("  connection")).count();
        assert!(steps <= longest, "{what} took {steps} steps:\n{report}");
    }
}
