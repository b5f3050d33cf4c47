//! Server CPU per operation with one shard on one core and the load on the other: first with the
//! load as the bottleneck, then with the server saturated by a CPU quota on its core.

use std::io;

use super::Bench;
use super::traffic::{self, Row};
use crate::quota::Quota;
use crate::tape::Op;

const SHAPES: [(usize, usize); 4] = [(50, 1), (500, 1), (50, 16), (50, 64)];

pub fn cpu(bench: &mut Bench) -> io::Result<()> {
    let mix = Row { op: Op::Mix { sets: 1, gets: 10 }, connections: 50, pipeline: 1 };
    let mut rows = rows(&[Op::Get, Op::Set], &SHAPES);
    rows.push(mix);
    table(bench, "cpu", &rows)
}

pub fn multi(bench: &mut Bench) -> io::Result<()> {
    let shapes = [(50, 1), (50, 16)];
    table(bench, "multi", &rows(&[Op::MSet(10), Op::MGet(10)], &shapes))
}

fn rows(ops: &[Op], shapes: &[(usize, usize)]) -> Vec<Row> {
    let of_op = |op: &Op| {
        let op = *op;
        shapes
            .iter()
            .map(move |&(connections, pipeline)| Row { op, connections, pipeline })
            .collect::<Vec<_>>()
    };
    ops.iter().flat_map(of_op).collect()
}

fn table(bench: &mut Bench, scenario: &'static str, rows: &[Row]) -> io::Result<()> {
    let mut lineup = bench.on_one_core()?;
    let Bench { options, recorder } = bench;
    let cpus = [options.load_cpu];
    traffic::preload(&mut lineup, options, recorder);
    for row in rows {
        traffic::measure(scenario, *row, "", &cpus, &mut lineup, options, recorder);
    }
    let Some(percent) = options.quota else {
        return Ok(());
    };
    // Dropped, and so removed, after the servers have gone back to where they were.
    let quota = match Quota::create(percent) {
        Ok(quota) => quota,
        Err(error) => {
            recorder.note(format!("no saturated half, a CPU quota cannot be set here: {error}"));
            return Ok(());
        }
    };
    for running in lineup.servers() {
        quota.add(running.pid())?;
    }
    let suffix = format!(", saturated at {percent} %");
    for row in rows {
        traffic::measure(scenario, *row, &suffix, &cpus, &mut lineup, options, recorder);
    }
    Ok(())
}
