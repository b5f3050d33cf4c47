//! The worst stall a 1 kHz prober sees while something heavy runs, on one core with one shard.
//!
//! The first row is the idle control: the same server, the same machine, nothing heavy. What it shows
//! is the machine's, not the server's.

use std::io;

use fastrand::Rng;

use super::watch::{Watch, wait_for_freeing};
use super::{Bench, fresh};
use crate::fill;
use crate::wire::Client;

const VALUE_BYTES: usize = 64;

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    for round in 0..bench.options.heavy_rounds {
        for rival in &rivals {
            let Bench { options, recorder } = &mut *bench;
            eprintln!("   {}, round {}", rival.name, round + 1);
            let Ok(lineup) = fresh(rival, options, recorder) else {
                continue;
            };
            let running = &lineup.servers()[0];
            let mut watch = Watch { scenario: "stall", options, recorder, running, round };
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

        self.control()?;
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
