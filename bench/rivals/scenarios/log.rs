//! What the append-only file costs: SET with `appendfsync always`, `everysec`, `no`, and without a log.
//!
//! All in one turn of each server, so that the policies can be compared with one another on a disk whose speed
//! drifts. The disk is the one that holds the temporary folder.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::Bench;
use super::traffic::{self, Row};
use crate::load::{self, Load, Pace};
use crate::options::Options;
use crate::report::{self, Recorder};
use crate::server::Running;
use crate::tape::{Op, Tape};

const PIPELINES: [usize; 2] = [1, 16];
const CONNECTIONS: usize = 50;
const POLICIES: [&str; 3] = ["no", "everysec", "always"];
const SWITCH_TIMEOUT: Duration = Duration::from_secs(60);

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let mut lineup = bench.on_one_core()?;
    let Bench { options, recorder } = bench;
    traffic::preload(&mut lineup, options, recorder);
    let tapes = [traffic::tape(Op::Set, options)];
    lineup.rounds(options.rounds, recorder, |running, round, recorder| {
        eprintln!("   {}, round {}", running.name, round + 1);
        let mut turn = Turn { running, round, options, recorder, tapes: &tapes };
        let result = turn.all();
        // The next server's turn shall find an idle disk.
        turn.configure("appendonly", "no")?;
        result
    });
    Ok(())
}

struct Turn<'a> {
    running: &'a Running,
    round: usize,
    options: &'a Options,
    recorder: &'a mut Recorder,
    tapes: &'a [Tape],
}

impl Turn<'_> {
    fn all(&mut self) -> io::Result<()> {
        for pipeline in PIPELINES {
            self.measure(pipeline, "no log")?;
        }
        self.configure("appendonly", "yes")?;
        self.wait_for_log()?;
        for pipeline in PIPELINES {
            let mut without_sync = None;
            for policy in POLICIES {
                self.configure("appendfsync", policy)?;
                let per_second = self.measure(pipeline, &format!("appendfsync {policy}"))?;
                match (policy, without_sync) {
                    ("no", _) => without_sync = Some(per_second),
                    ("everysec", Some(base)) => {
                        let row = Row { op: Op::Set, connections: CONNECTIONS, pipeline };
                        self.record(
                            &row.label(", appendfsync everysec"),
                            report::OF_NO_SYNC,
                            per_second / base,
                        )?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Requests per second.
    fn measure(&mut self, pipeline: usize, what: &str) -> io::Result<f64> {
        let row = Row { op: Op::Set, connections: CONNECTIONS, pipeline };
        let outcome = load::run(&Load {
            port: self.running.port,
            connections: row.connections,
            pipeline: row.pipeline,
            cpus: &[self.options.load_cpu],
            tapes: self.tapes,
            chooser: None,
            pace: Pace::Closed,
            extent: self.options.extent(),
            server_pid: self.running.pid(),
        })?;
        outcome.errors.check()?;
        let label = row.label(&format!(", {what}"));
        traffic::record("log", &label, &self.running.name, self.round, &outcome, self.recorder)?;
        Ok(outcome.ops_per_second())
    }

    fn record(&mut self, label: &str, metric: report::Metric, value: f64) -> io::Result<()> {
        self.recorder.record("log", label, &self.running.name, self.round, metric, value)
    }

    fn configure(&self, name: &str, value: &str) -> io::Result<()> {
        self.running.client()?.must(&["CONFIG", "SET", name, value]).map(drop)
    }

    /// Until the rewrite with which a log begins has ended.
    fn wait_for_log(&self) -> io::Result<()> {
        let started = Instant::now();
        let mut client = self.running.client()?;
        while started.elapsed() < SWITCH_TIMEOUT {
            let info = client.must(&["INFO", "persistence"])?.text();
            let says = |line: &str| info.lines().any(|other| other.trim() == line);
            if says("aof_rewrite_in_progress:0") && says("aof_rewrite_scheduled:0") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(io::Error::other("the log did not begin in time"))
    }
}
