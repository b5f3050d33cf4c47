//! What an operation costs when another core owns its key, against one whose key is local.
//!
//! Needs `DEBUG SHARD <key>` (the shard owning a key) and `DEBUG SHARD` (the shard of this
//! connection's core); a server without them has no such difference and is left out.

use std::io;

use super::Bench;
use crate::fill;
use crate::load::{self, Load, Pace};
use crate::report;
use crate::server::Running;
use crate::stats;
use crate::tape::{self, Op, Tape, Workload};
use crate::wire::{Client, Reply};

const SHARDS: usize = 2;
/// Asking the owner of every key one by one takes a while; so many are enough to be random.
const KEYS_MAX: u64 = 20_000;

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let cpus = bench.both_cpus();
    let mut lineup = bench.lineup(SHARDS, &cpus)?;
    let Bench { options, recorder } = bench;
    let keys = options.keys.min(KEYS_MAX);
    lineup.each(recorder, |running, recorder| {
        let mut client = running.client()?;
        if client.call(&["DEBUG", "SHARD"])?.is_error() {
            recorder.note(format!("remote: {} has no DEBUG SHARD", running.name));
            return Ok(());
        }
        fill::keys(&mut client, 0, keys, options.value_bytes, fill::DEEP)
    });
    lineup.rounds(options.rounds, recorder, |running, round, recorder| {
        let Some(owners) = owners(running, keys)? else {
            return Ok(());
        };
        for op in [Op::Get, Op::Set] {
            let tapes: Vec<Tape> = (0..SHARDS as i64)
                .map(|shard| {
                    let workload = Workload { op, keys, value_bytes: options.value_bytes };
                    Tape::record(workload, 1, |index| owners[index as usize] == shard)
                })
                .collect();
            for pipeline in [1, 16] {
                let cpu_us = |remote: bool| -> io::Result<f64> {
                    let choose = |client: &mut Client| tape_for(client, remote);
                    let outcome = load::run(&Load {
                        port: running.port,
                        connections: 50,
                        pipeline,
                        cpus: &cpus,
                        tapes: &tapes,
                        chooser: Some(&choose),
                        pace: Pace::Closed,
                        extent: options.extent(),
                        server_pid: running.pid(),
                    })?;
                    outcome.errors.check()?;
                    Ok(outcome.cpu_us_per_op())
                };
                let (local, remote) = (cpu_us(false)?, cpu_us(true)?);
                let cell = format!("{op}, 50 connections, P={pipeline}");
                let name = &running.name;
                let figures = [
                    (format!("{cell}, all local"), report::CPU_PER_OP, local),
                    (format!("{cell}, all remote"), report::CPU_PER_OP, remote),
                    (cell, report::HOP, remote - local),
                ];
                for (cell, metric, value) in figures {
                    recorder.record("remote", &cell, name, round, metric, value)?;
                }
            }
        }
        Ok(())
    });
    Ok(())
}

fn tape_for(client: &mut Client, remote: bool) -> io::Result<usize> {
    let own = client.integer(&["DEBUG", "SHARD"])?;
    let shard = usize::try_from(own).ok().filter(|shard| *shard < SHARDS);
    let shard = shard.ok_or_else(|| io::Error::other(format!("a connection on shard {own}")))?;
    Ok(if remote { (shard + 1) % SHARDS } else { shard })
}

/// The shard of every key, or nothing when this server does not tell.
fn owners(running: &Running, keys: u64) -> io::Result<Option<Vec<i64>>> {
    let mut client = running.client()?;
    let mut owners = Vec::with_capacity(keys as usize);
    for index in 0..keys {
        let key = tape::key(index);
        let key = std::str::from_utf8(&key).map_err(io::Error::other)?;
        match client.call(&["DEBUG", "SHARD", key])? {
            Reply::Integer(shard) => owners.push(shard),
            Reply::Error(_) if index == 0 => return Ok(None),
            other => return Err(io::Error::other(format!("DEBUG SHARD {key}: {other:?}"))),
        }
    }
    let share = |shard| owners.iter().filter(|owner| **owner == shard).count() as f64;
    let shares: Vec<f64> = (0..SHARDS as i64).map(share).collect();
    match stats::quartiles(&shares) {
        Some((least, _)) if least > 0.0 => Ok(Some(owners)),
        _ => Err(io::Error::other("one shard owns every key: is --threads 2 in force?")),
    }
}
