//! The worst stall a 1 kHz prober sees while something heavy runs, on one core with one shard.
//!
//! The first row is the idle control: the same server, the same machine, nothing heavy. What it shows
//! is the machine's, not the server's.

use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::Bench;
use crate::fill;
use crate::lineup::Lineup;
use crate::options::Options;
use crate::prober;
use crate::report::{self, Recorder};
use crate::server::Running;
use crate::wire::Client;

const VALUE_BYTES: usize = 64;
/// Background freeing is watched at least so long after the command has been answered.
const AFTERMATH: Duration = Duration::from_secs(1);
const AFTERMATH_MAX: Duration = Duration::from_secs(20);

struct Watch<'a> {
    options: &'a Options,
    recorder: &'a mut Recorder,
    running: &'a Running,
    round: usize,
}

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    for round in 0..bench.options.heavy_rounds {
        for rival in &rivals {
            let Bench { options, recorder } = &mut *bench;
            eprintln!("   {}, round {}", rival.name, round + 1);
            let cpus = [options.server_cpu];
            let one = std::slice::from_ref(rival);
            let Ok(lineup) = Lineup::start(one, options.port, 1, &cpus, recorder) else {
                continue;
            };
            let running = &lineup.servers()[0];
            running.resume();
            let mut watch = Watch { options, recorder, running, round };
            if let Err(error) = watch.all() {
                bench.recorder.note(format!("stall: {} left out from here on: {error}", rival.name));
            }
        }
    }
    Ok(())
}

impl Watch<'_> {
    fn all(&mut self) -> io::Result<()> {
        let keys = self.options.growth_keys;
        let set = |depth| move |client: &mut Client| fill::keys(client, 0, keys, VALUE_BYTES, depth);

        self.probed("idle (the control)", |_| {
            std::thread::sleep(AFTERMATH);
            Ok(())
        })?;
        self.probed(&format!("growth from 0 to {keys} keys"), set(fill::SHALLOW))?;
        self.probed(&format!("FLUSHALL ASYNC of {keys} keys"), |client| {
            client.must(&["FLUSHALL", "ASYNC"])?;
            wait_for_freeing(client)
        })?;

        set(fill::DEEP)(&mut self.running.client()?)?;
        let mut indices: Vec<u64> = (0..keys).collect();
        Rng::with_seed(3).shuffle(&mut indices);
        self.probed(&format!("UNLINK of {keys} keys by the hundred"), |client| {
            fill::over_keys(client, "UNLINK", &indices, 100, 1)?;
            wait_for_freeing(client)
        })?;

        set(fill::DEEP)(&mut self.running.client()?)?;
        self.probed("eviction storm, maxmemory halved, allkeys-lru", |client| evict(client, keys))
    }

    /// Runs `work` with the prober watching, and records what it saw.
    fn probed(&mut self, row: &str, work: impl FnOnce(&mut Client) -> io::Result<()>) -> io::Result<()> {
        let mut client = self.running.client()?;
        let prober = prober::start(self.running.port, self.running.pid(), self.options.load_cpu, &["PING"])?;
        let started = Instant::now();
        let worked = work(&mut client);
        let took = started.elapsed();
        let stall = prober.finish()?;
        worked?;
        if stall.probes() == 0 {
            return Err(io::Error::other("the prober sent nothing"));
        }
        let ms = |ns: u64| ns as f64 / 1e6;
        let figures = [
            (report::SERVER_WORST, ms(stall.server_ns.max())),
            (report::SERVER_P999, ms(stall.server_ns.value_at_quantile(0.999))),
            (report::SEEN_WORST, ms(stall.seen_ns.max())),
            (report::SEEN_P999, ms(stall.seen_ns.value_at_quantile(0.999))),
            (report::DURATION, took.as_secs_f64()),
        ];
        for (metric, value) in figures {
            self.recorder.record("stall", row, &self.running.name, self.round, metric, value)?;
        }
        Ok(())
    }
}

/// Until INFO says that nothing waits to be freed; a server that does not say gets a fixed time.
fn wait_for_freeing(client: &mut Client) -> io::Result<()> {
    let started = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        let info = client.call(&["INFO", "memory"])?.text();
        let pending = info.lines().find_map(|line| line.strip_prefix("lazyfree_pending_objects:"));
        let done = pending.is_none_or(|count| count.trim() == "0") && started.elapsed() > AFTERMATH;
        if done || started.elapsed() > AFTERMATH_MAX {
            return Ok(());
        }
    }
}

/// Halves what the server may use, and goes on writing new keys while it sheds the rest.
fn evict(client: &mut Client, keys: u64) -> io::Result<()> {
    let info = client.must(&["INFO", "memory"])?.text();
    let used: u64 = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
        .ok_or_else(|| io::Error::other("INFO has no used_memory"))?;
    client.must(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"])?;
    client.must(&["CONFIG", "SET", "maxmemory", &(used / 2).to_string()])?;
    let mut rng = Rng::with_seed(4);
    let mut value = [0; VALUE_BYTES];
    // A write refused for want of memory is a legal answer in the middle of the storm.
    fill::pipeline(client, keys / 2, fill::SHALLOW, |number, out| {
        crate::tape::write_set(out, keys + number, &mut value, &mut rng);
    })?;
    client.must(&["CONFIG", "SET", "maxmemory", "0"])?;
    Ok(())
}
