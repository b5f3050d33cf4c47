//! Latency at equal offered load: an open loop at a share of what the baseline can do at most.
//!
//! Under a closed loop the faster server gets more load and is punished for it in its p99; here all
//! of them are asked the same number of questions at the same (random) times.

use std::io;

use super::Bench;
use super::traffic;
use crate::load::{self, Load, Pace};
use crate::report;
use crate::stats;
use crate::tape::{Op, Tape};

const CONNECTIONS: usize = 50;
const SHARES: [u32; 2] = [40, 70];
const PROBING_RUNS: usize = 3;

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let mut lineup = bench.on_one_core()?;
    let Bench { options, recorder } = bench;
    let cpus = [options.load_cpu];
    traffic::preload(&mut lineup, options, recorder);
    for op in [Op::Get, Op::Set] {
        let tapes = [traffic::tape(op, options)];
        let load = |port, server_pid, pace| Load {
            port,
            connections: CONNECTIONS,
            pipeline: 1,
            cpus: &cpus,
            tapes: tapes.as_slice() as &[Tape],
            chooser: None,
            pace,
            extent: options.extent(),
            server_pid,
        };

        let mut highest = Vec::new();
        lineup.rounds(PROBING_RUNS, recorder, |running, _, _| {
            if running.name == options.baseline {
                let outcome = load::run(&load(running.port, running.pid(), Pace::Closed))?;
                highest.push(outcome.ops_per_second());
            }
            Ok(())
        });
        let Some(highest) = stats::median(&highest) else {
            return Err(io::Error::other(format!(
                "{} is not here to say what load is equal",
                options.baseline
            )));
        };

        for share in SHARES {
            let per_second = highest * f64::from(share) / 100.0;
            let label = format!("{op}, {CONNECTIONS} connections, {share} % of the baseline's highest");
            eprintln!("   {label}: {per_second:.0} ops/s");
            lineup.rounds(options.rounds, recorder, |running, round, recorder| {
                let pace = Pace::Open { per_second };
                let outcome = load::run(&load(running.port, running.pid(), pace))?;
                outcome.errors.check()?;
                let figures = [
                    (report::P50, outcome.latency_us(0.5)),
                    (report::P99, outcome.latency_us(0.99)),
                    (report::P999, outcome.latency_us(0.999)),
                    (report::SERVED, outcome.ops_per_second() / per_second),
                    (report::SERVER_BUSY, outcome.server_busy_share()),
                    (report::OTHERS, outcome.others_cpu_share),
                ];
                for (metric, value) in figures {
                    recorder.record("equal", &label, &running.name, round, metric, value)?;
                }
                Ok(())
            });
        }
    }
    Ok(())
}
