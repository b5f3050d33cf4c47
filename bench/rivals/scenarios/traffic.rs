//! One row of a traffic table: a workload, a number of connections, a pipeline, measured in rounds.

use std::io;

use crate::fill;
use crate::lineup::Lineup;
use crate::load::{self, Load, Outcome, Pace};
use crate::options::{Generator, Options};
use crate::redis_benchmark::{self, Shape};
use crate::report::{self, Recorder};
use crate::server::{self, Running};
use crate::tape::{Op, Tape, Workload};

#[derive(Clone, Copy)]
pub struct Row {
    pub op: Op,
    pub connections: usize,
    pub pipeline: usize,
}

impl Row {
    pub fn label(&self, suffix: &str) -> String {
        format!("{}, {} connections, P={}{suffix}", self.op, self.connections, self.pipeline)
    }
}

/// Gives every server the whole key space, so that GETs find something.
pub fn preload(lineup: &mut Lineup, options: &Options, recorder: &mut Recorder) {
    lineup.each(recorder, |running, _| {
        fill::keys(&mut running.client()?, 0, options.keys, options.value_bytes, fill::DEEP)
    });
}

pub fn tape(op: Op, options: &Options) -> Tape {
    let workload = Workload { op, keys: options.keys, value_bytes: options.value_bytes };
    Tape::record(workload, 1, |_| true)
}

/// Measures one row on every server, all rounds, with the load's threads on `cpus`.
pub fn measure(
    scenario: &'static str,
    row: Row,
    suffix: &str,
    cpus: &[usize],
    lineup: &mut Lineup,
    options: &Options,
    recorder: &mut Recorder,
) {
    let label = row.label(suffix);
    eprintln!("   {label}");
    let official = options.generator == Generator::RedisBenchmark;
    if official && !redis_benchmark::supports(row.op) {
        return recorder.note(format!("{label}: redis-benchmark has no such test"));
    }
    let tapes = [tape(row.op, options)];
    lineup.rounds(options.rounds, recorder, |running, round, recorder| {
        if official {
            return by_redis_benchmark(scenario, &label, row, cpus, running, round, options, recorder);
        }
        let load = Load {
            port: running.port,
            connections: row.connections,
            pipeline: row.pipeline,
            cpus,
            tapes: &tapes,
            chooser: None,
            pace: Pace::Closed,
            extent: options.extent(),
            server_pid: running.pid(),
        };
        let outcome = load::run(&load)?;
        outcome.errors.check()?;
        record(scenario, &label, &running.name, round, &outcome, recorder)
    });
}

pub fn record(
    scenario: &'static str,
    label: &str,
    rival: &str,
    round: usize,
    outcome: &Outcome,
    recorder: &mut Recorder,
) -> io::Result<()> {
    let figures = [
        (report::CPU_PER_OP, outcome.cpu_us_per_op()),
        (report::THROUGHPUT, outcome.ops_per_second()),
        (report::P50, outcome.latency_us(0.5)),
        (report::P99, outcome.latency_us(0.99)),
        (report::P999, outcome.latency_us(0.999)),
        (report::SYSTEM_PER_OP, outcome.system_us_per_op()),
        (report::SERVER_BUSY, outcome.server_busy_share()),
        (report::LOAD_PER_OP, outcome.load_us_per_op()),
        (report::OTHERS, outcome.others_cpu_share),
    ];
    for (metric, value) in figures {
        recorder.record(scenario, label, rival, round, metric, value)?;
    }
    if scenario == "cores" {
        // There server and load share the CPUs, so this is what those CPUs give when nobody else
        // takes a part: the figure to read on a machine that is not quiet.
        let together = 1e6 / (outcome.cpu_us_per_op() + outcome.load_us_per_op());
        recorder.record(scenario, label, rival, round, report::EFFICIENCY, together)?;
    }
    Ok(())
}

/// The official tool counts requests, not seconds, and its connections are opened within the
/// measured time; enough requests make that negligible.
#[expect(clippy::too_many_arguments, reason = "the row of a table and where it is written")]
fn by_redis_benchmark(
    scenario: &'static str,
    label: &str,
    row: Row,
    cpus: &[usize],
    running: &Running,
    round: usize,
    options: &Options,
    recorder: &mut Recorder,
) -> io::Result<()> {
    let program = server::in_path("redis-benchmark")
        .ok_or_else(|| io::Error::other("redis-benchmark is not in PATH"))?;
    let per_second = match row.pipeline {
        1 => 80_000.0,
        2..=16 => 600_000.0,
        _ => 1_000_000.0,
    };
    let shape = Shape {
        port: running.port,
        connections: row.connections,
        pipeline: row.pipeline,
        requests: (per_second * options.counted.as_secs_f64()) as u64,
        keys: options.keys,
        value_bytes: options.value_bytes,
        cpus: cpus.to_vec(),
    };
    let before = crate::cpu::of_process(running.pid())?;
    let line = redis_benchmark::run(&program, &shape, row.op)?;
    let used = crate::cpu::of_process(running.pid())?.since(before);
    let cpu_us = used.total_ns as f64 / 1e3 / shape.requests as f64;
    let figures = [
        (report::CPU_PER_OP, Some(cpu_us)),
        (report::THROUGHPUT, Some(line.ops_per_second)),
        (report::P50, line.p50_ms.map(|ms| ms * 1e3)),
        (report::P99, line.p99_ms.map(|ms| ms * 1e3)),
    ];
    for (metric, value) in figures {
        if let Some(value) = value {
            recorder.record(scenario, label, &running.name, round, metric, value)?;
        }
    }
    Ok(())
}
