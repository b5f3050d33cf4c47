//! SINTERSTORE of two sets on two shards, against two sets on the shard the connection is on.
//!
//! Needs `DEBUG SHARD [key]`, as `remote` does; a server without it has one shard, or does not tell.

use std::io;
use std::time::{Duration, Instant};

use super::Bench;
use crate::collections::Kind;
use crate::cpu;
use crate::options::Options;
use crate::report;
use crate::server::Running;
use crate::stats;
use crate::wire::Client;

const SHARDS: usize = 2;
/// Members of each set; half of them are in the other one too.
const MEMBERS: [u64; 3] = [100, 10_000, 100_000];
/// Names that are tried until the shard wanted is hit: one in two hits.
const NAMES: u64 = 64;
const TIMES_MIN: usize = 10;

pub fn run(bench: &mut Bench, scenario: &'static str) -> io::Result<()> {
    let sizes: Vec<(u64, String)> =
        MEMBERS.iter().map(|members| (*members, format!("SINTERSTORE of 2 x {members}"))).collect();
    let sizes: Vec<_> = sizes.into_iter().filter(|(_, label)| bench.options.wants(label)).collect();
    if sizes.is_empty() {
        return Ok(());
    }
    let cpus = bench.both_cpus();
    let mut lineup = bench.lineup(SHARDS, &cpus)?;
    let Bench { options, recorder } = bench;
    for (members, label) in &sizes {
        eprintln!("   {label}");
        lineup.rounds(options.rounds, recorder, |running, round, recorder| {
            let Some((here, across)) = measure(running, *members, options)? else {
                recorder.note(format!("across: {} has no DEBUG SHARD", running.name));
                return Ok(());
            };
            let figures = [
                (format!("{label}, one shard"), report::ROUND_TRIP, here),
                (format!("{label}, two shards"), report::ROUND_TRIP, across),
                (label.clone(), report::ACROSS, across / here),
            ];
            for (cell, metric, value) in figures {
                recorder.record(scenario, &cell, &running.name, round, metric, value)?;
            }
            Ok(())
        });
    }
    Ok(())
}

/// Median microseconds of the one and of the other, asked in turns.
fn measure(running: &Running, members: u64, options: &Options) -> io::Result<Option<(f64, f64)>> {
    // The load's CPU is the second shard's too: as everywhere, the client waits while servers work.
    cpu::pinned(&[options.load_cpu], || {
        let mut client = running.client()?;
        if client.call(&["DEBUG", "SHARD"])?.is_error() {
            return Ok(None);
        }
        let own = client.integer(&["DEBUG", "SHARD"])?;
        let name = |client: &mut Client, stem: &str, shard| name_on(client, stem, shard);
        let left = name(&mut client, "left", own)?;
        let near = name(&mut client, "near", own)?;
        let far = name(&mut client, "far", 1 - own)?;
        let target = name(&mut client, "target", own)?;
        Kind::Set.fill(&mut client, &left, 0..members)?;
        let other_half = members / 2..members + members / 2;
        Kind::Set.fill(&mut client, &near, other_half.clone())?;
        Kind::Set.fill(&mut client, &far, other_half)?;

        let (mut here, mut across) = (Vec::new(), Vec::new());
        let started = Instant::now();
        while here.len() < TIMES_MIN || started.elapsed() < options.counted {
            here.push(timed(&mut client, &target, &left, &near, members)?);
            across.push(timed(&mut client, &target, &left, &far, members)?);
        }
        client.must(&["FLUSHALL"])?;
        Ok(stats::median(&here).zip(stats::median(&across)))
    })
}

fn timed(client: &mut Client, target: &str, left: &str, right: &str, members: u64) -> io::Result<f64> {
    let asked = Instant::now();
    let stored = client.integer(&["SINTERSTORE", target, left, right])?;
    let took: Duration = asked.elapsed();
    if stored != (members - members / 2) as i64 {
        return Err(io::Error::other(format!("SINTERSTORE answered {stored}")));
    }
    Ok(took.as_secs_f64() * 1e6)
}

/// A name beginning with `stem` whose key lies on `shard`.
fn name_on(client: &mut Client, stem: &str, shard: i64) -> io::Result<String> {
    for number in 0..NAMES {
        let name = format!("{stem}:{number}");
        if client.integer(&["DEBUG", "SHARD", &name])? == shard {
            return Ok(name);
        }
    }
    Err(io::Error::other(format!("no key of shard {shard}: is --threads 2 in force?")))
}
