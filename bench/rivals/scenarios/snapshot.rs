//! BGSAVE of many keys of 1 KB on two cores, while fifty clients overwrite them and the prober watches; and how fast
//! such a file is loaded.
//!
//! The same traffic without a snapshot comes first, the same bytes written to the same disk with one `fdatasync` (what
//! `dd conv=fdatasync` does) come last. Memory is the growth of the server's resident pages; what a forked child copied
//! is added as the server tells it (`rdb_last_cow_size`).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::Bench;
use crate::cpu;
use crate::fill;
use crate::lineup::Lineup;
use crate::load::{self, Extent, Load, Pace};
use crate::options::Options;
use crate::prober;
use crate::report::{self, Recorder};
use crate::server::{Launch, Running};
use crate::tape::{Op, Tape, Workload};

const VALUE_BYTES: usize = 1024;
const CONNECTIONS: usize = 50;
/// How often the memory and the end of the save are looked at.
const LOOK: Duration = Duration::from_millis(20);
const SAVE_TIMEOUT: Duration = Duration::from_secs(600);
const FILE: &str = "dump.rdb";

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    let cpus = bench.both_cpus();
    for round in 0..bench.options.heavy_rounds {
        for rival in &rivals {
            let Bench { options, recorder } = &mut *bench;
            eprintln!("   {}, round {}", rival.name, round + 1);
            let one = std::slice::from_ref(rival);
            let Ok(lineup) = Lineup::start(one, options.port, cpus.len(), &cpus, recorder) else {
                continue;
            };
            let running = &lineup.servers()[0];
            running.resume();
            let mut snapshot = Snapshot { options, recorder, running, round };
            if let Err(error) = snapshot.all() {
                bench.recorder.note(format!("snapshot: {} left out: {error}", rival.name));
            }
        }
    }
    Ok(())
}

struct Snapshot<'a> {
    options: &'a Options,
    recorder: &'a mut Recorder,
    running: &'a Running,
    round: usize,
}

impl Snapshot<'_> {
    fn all(&mut self) -> io::Result<()> {
        let keys = self.options.snapshot_keys;
        fill::keys(&mut self.running.client()?, 0, keys, VALUE_BYTES, fill::DEEP)?;
        let tapes = [Tape::record(
            Workload { op: Op::Set, keys: keys.min(100_000), value_bytes: VALUE_BYTES },
            1,
            |_| true,
        )];

        let prober = prober::start(self.running.port, self.running.pid(), self.options.load_cpu, &["PING"])?;
        let before = self.traffic(&tapes, &AtomicBool::new(true))?;
        let quiet = prober.finish()?;

        let row = format!("{keys} keys of {VALUE_BYTES} bytes");
        let resident = cpu::resident_bytes(self.running.pid())?;
        let (over, peak) = (AtomicBool::new(false), AtomicU64::new(resident));
        let prober = prober::start(self.running.port, self.running.pid(), self.options.load_cpu, &["PING"])?;
        self.running.client()?.must(&["BGSAVE"])?;
        let (took, during) = thread::scope(|scope| {
            let watch = scope.spawn(|| self.watch(&over, &peak));
            let during = self.traffic(&tapes, &over);
            (watch.join(), during)
        });
        let took = took.map_err(|_| io::Error::other("the watching thread panicked"))??;
        let (stall, during) = (prober.finish()?, during?);
        let bytes = fs::metadata(self.running.dir().join(FILE))?.len();
        let plain = write_plainly(self.running.dir(), bytes)?;

        let grown = peak.load(Ordering::Relaxed).saturating_sub(resident) + self.copied()?;
        let ms = |ns: u64| ns as f64 / 1e6;
        let figures = [
            (report::EXTRA_MEMORY, grown as f64 / resident as f64 * 100.0),
            (report::SERVER_WORST, ms(stall.server_ns.max())),
            (report::SEEN_WORST, ms(stall.seen_ns.max())),
            (report::MEANWHILE, during),
            (report::OF_BEFORE, during / before),
            (report::DURATION, took.as_secs_f64()),
            (report::OF_PLAIN_WRITE, took.as_secs_f64() / plain.as_secs_f64()),
        ];
        for (metric, value) in figures {
            self.recorder.record("snapshot", &row, &self.running.name, self.round, metric, value)?;
        }
        let control = [
            (report::SERVER_WORST, ms(quiet.server_ns.max())),
            (report::SEEN_WORST, ms(quiet.seen_ns.max())),
            (report::MEANWHILE, before),
        ];
        for (metric, value) in control {
            let row = "the same traffic without (the control)";
            self.recorder.record("snapshot", row, &self.running.name, self.round, metric, value)?;
        }
        Ok(())
    }

    /// SETs per second until `over`, at least the counted time.
    fn traffic(&self, tapes: &[Tape], over: &AtomicBool) -> io::Result<f64> {
        let (mut ops, mut seconds) = (0, 0.0);
        while ops == 0 || !over.load(Ordering::Relaxed) {
            let outcome = load::run(&Load {
                port: self.running.port,
                connections: CONNECTIONS,
                pipeline: 1,
                cpus: &[self.options.load_cpu],
                tapes,
                chooser: None,
                pace: Pace::Closed,
                extent: Extent::Clock { warm_up: Duration::from_millis(100), counted: self.options.counted },
                server_pid: self.running.pid(),
            })?;
            outcome.errors.check()?;
            ops += outcome.ops;
            seconds += outcome.seconds;
        }
        Ok(ops as f64 / seconds)
    }

    /// Watches the memory until the save has ended, and says how long that took.
    fn watch(&self, over: &AtomicBool, peak: &AtomicU64) -> io::Result<Duration> {
        let started = Instant::now();
        let result = loop {
            thread::sleep(LOOK);
            match self.persistence("rdb_bgsave_in_progress") {
                Ok(0) => break Ok(started.elapsed()),
                Ok(_) if started.elapsed() < SAVE_TIMEOUT => {}
                Ok(_) => break Err(io::Error::other("the save did not end in time")),
                Err(error) => break Err(error),
            }
            match cpu::resident_bytes(self.running.pid()) {
                Ok(bytes) => drop(peak.fetch_max(bytes, Ordering::Relaxed)),
                Err(error) => break Err(error),
            }
        };
        over.store(true, Ordering::Relaxed);
        result
    }

    /// What a child had copied.
    fn copied(&self) -> io::Result<u64> {
        self.persistence("rdb_last_cow_size")
    }

    fn persistence(&self, field: &str) -> io::Result<u64> {
        let info = self.running.client()?.must(&["INFO", "persistence"])?.text();
        info.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.trim().parse().ok())
            .ok_or_else(|| io::Error::other(format!("INFO has no {field}")))
    }
}

/// How long the disk takes for so many bytes in one file, synced at the end.
fn write_plainly(dir: &Path, bytes: u64) -> io::Result<Duration> {
    let path = dir.join("plain");
    let mut block = vec![0; 1 << 20];
    Rng::with_seed(5).fill(&mut block);
    let started = Instant::now();
    let mut file = File::create(&path)?;
    let mut left = bytes;
    while left > 0 {
        let count = left.min(block.len() as u64);
        file.write_all(&block[..count as usize])?;
        left -= count;
    }
    file.sync_data()?;
    let took = started.elapsed();
    fs::remove_file(&path)?;
    Ok(took)
}

/// How fast a file is loaded: the baseline makes it, everybody reads it.
pub fn loading(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    let cpus = bench.both_cpus();
    let Bench { options, recorder } = bench;
    let maker = rivals.iter().find(|rival| rival.name == options.baseline).unwrap_or(&rivals[0]);
    let launch = |data| Launch { port: options.port, threads: cpus.len(), cpus: cpus.to_vec(), data };
    let made = maker.start(&launch(None))?;
    let keys = options.snapshot_keys;
    fill::keys(&mut made.client()?, 0, keys, VALUE_BYTES, fill::DEEP)?;
    made.client()?.must(&["SAVE"])?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(FILE);
    let saved = made.dir().join(FILE);
    if fs::rename(&saved, &path).is_err() {
        fs::copy(&saved, &path)?;
    }
    drop(made);
    let row = format!("{keys} keys of {VALUE_BYTES} bytes");
    for round in 0..options.heavy_rounds {
        for rival in &rivals {
            eprintln!("   {}, round {}", rival.name, round + 1);
            // As if just written: the file is in the page cache for all of them.
            io::copy(&mut File::open(&path)?, &mut io::sink())?;
            match rival.start(&launch(Some(folder.path().to_owned()))) {
                Ok(running) => {
                    let found = running.client()?.must(&["DBSIZE"])?;
                    recorder.record(
                        "loading",
                        &row,
                        &rival.name,
                        round,
                        report::LOAD_TIME,
                        running.startup.as_secs_f64(),
                    )?;
                    if !matches!(found, crate::wire::Reply::Integer(count) if count as u64 == keys) {
                        recorder.note(format!("loading: {} has not {keys} keys: {found:?}", rival.name));
                    }
                }
                Err(error) => recorder.note(format!("loading: {} left out: {error}", rival.name)),
            }
        }
    }
    Ok(())
}
