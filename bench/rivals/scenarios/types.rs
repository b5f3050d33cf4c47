//! Server CPU per operation of every data type, one shard on one core and the load on the other.
//!
//! Servers are filled once for each kind of data and emptied after its rows. An answer of the wrong
//! shape fails a run: the row is then missing for that server, and the report says why.

use std::io;

use super::Bench;
use super::traffic;
use crate::lineup::Lineup;
use crate::load::{self, Extent, Load, Pace};
use crate::options::Options;
use crate::report::Recorder;
use crate::server::Running;
use crate::tape::Tape;
use crate::typed::{self, Sizes, Workload};

const SCENARIO: &str = "types";
const PIPELINES: [usize; 2] = [1, 16];

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let wanted: Vec<Workload> =
        typed::ALL.into_iter().filter(|workload| bench.options.wants(workload.name)).collect();
    let mut lineup = bench.on_one_core()?;
    let Bench { options, recorder } = bench;
    let sizes = Sizes { keys: options.keys, members: options.members };
    let mut failures = 0;
    for group in wanted.chunk_by(|one, next| one.data == next.data) {
        lineup.each(recorder, |running, recorder| {
            let filled = group[0].data.fill(&mut running.client()?, sizes);
            // Its rows will fail, each with its own reason; what needs no such data may still run.
            if let Err(error) = filled {
                recorder.note(format!("types: filling {:?} in {}: {error}", group[0].data, running.name));
            }
            Ok(())
        });
        for workload in group {
            let tapes = [workload.tape(sizes, options.counted)];
            for pipeline in PIPELINES {
                failures += row(workload, pipeline, &tapes, &mut lineup, options, recorder);
            }
        }
        lineup.each(recorder, |running, _| running.client()?.must(&["FLUSHALL"]).map(drop));
    }
    match failures {
        0 => Ok(()),
        count => Err(io::Error::other(format!("{count} runs failed, see above"))),
    }
}

/// Measures one row on every server, all rounds, and returns how many runs failed.
fn row(
    workload: &Workload,
    pipeline: usize,
    tapes: &[Tape],
    lineup: &mut Lineup,
    options: &Options,
    recorder: &mut Recorder,
) -> usize {
    let label = format!("{}, {} connections, P={pipeline}", workload.name, workload.connections());
    eprintln!("   {label}");
    let mut failed: Vec<String> = Vec::new();
    lineup.rounds(options.rounds, recorder, |running, round, recorder| {
        if failed.contains(&running.name) {
            return Ok(());
        }
        let outcome = measure(workload, pipeline, tapes, running, options);
        match outcome {
            Ok(outcome) => traffic::record(SCENARIO, &label, &running.name, round, &outcome, recorder),
            Err(error) => {
                recorder.note(format!("types: {label}: {} failed: {error}", running.name));
                failed.push(running.name.clone());
                Ok(())
            }
        }
    });
    failed.len()
}

fn measure(
    workload: &Workload,
    pipeline: usize,
    tapes: &[Tape],
    running: &Running,
    options: &Options,
) -> io::Result<load::Outcome> {
    workload.reset(&mut running.client()?, options.counted)?;
    let outcome = load::run(&Load {
        port: running.port,
        connections: workload.connections(),
        pipeline,
        cpus: &[options.load_cpu],
        tapes,
        chooser: None,
        pace: Pace::Closed,
        extent: workload.requests(options.counted).map_or_else(|| options.extent(), Extent::Requests),
        server_pid: running.pid(),
    })?;
    outcome.errors.check()?;
    Ok(outcome)
}
