//! Resident memory per key, loaded through the wire with random values. Every row has a fresh server.

use std::io;

use fastrand::Rng;

use super::{Bench, fresh};
use crate::cpu;
use crate::fill;
use crate::options::Options;
use crate::report::{self, Metric, Recorder};
use crate::server::{Rival, Running};

/// Deadlines far enough that none passes while the scenario runs: a day.
const TTL_MS: u64 = 86_400_000;

struct Books<'a> {
    options: &'a Options,
    recorder: &'a mut Recorder,
    round: usize,
}

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    for round in 0..bench.options.heavy_rounds {
        for rival in &rivals {
            let Bench { options, recorder } = &mut *bench;
            let mut books = Books { options, recorder, round };
            if let Err(error) = books.rival(rival) {
                bench.recorder.note(format!("memory: {} left out: {error}", rival.name));
            }
        }
    }
    Ok(())
}

impl Books<'_> {
    fn rival(&mut self, rival: &Rival) -> io::Result<()> {
        eprintln!("   {}, round {}", rival.name, self.round + 1);
        let keys = self.options.memory_keys;
        let wide = self.with_fresh_server(rival, |books, running| {
            let per_key =
                books.growth(running, || fill::keys(&mut running.client()?, 0, keys, 64, fill::DEEP))?;
            books.record("16-byte key and 64-byte value", running, report::BYTES_PER_KEY, per_key)?;
            books.churn(running)?;
            Ok(per_key)
        })?;
        self.with_fresh_server(rival, |books, running| {
            let per_key =
                books.growth(running, || fill::keys(&mut running.client()?, 0, keys, 16, fill::DEEP))?;
            books.record("16-byte key and 16-byte value", running, report::BYTES_PER_KEY, per_key)
        })?;
        self.with_fresh_server(rival, |books, running| {
            let per_key =
                books.growth(running, || fill::keys_with_ttl(&mut running.client()?, keys, 64, TTL_MS))?;
            let row = "16-byte key and 64-byte value with a TTL";
            books.record(row, running, report::BYTES_PER_KEY, per_key)?;
            books.record("16-byte key and 64-byte value", running, report::TTL_BYTES, per_key - wide)
        })
    }

    fn with_fresh_server<T>(
        &mut self,
        rival: &Rival,
        work: impl FnOnce(&mut Self, &Running) -> io::Result<T>,
    ) -> io::Result<T> {
        let lineup = fresh(rival, self.options, self.recorder)?;
        work(self, &lineup.servers()[0])
    }

    /// RSS that `load` added, per key.
    fn growth(&self, running: &Running, load: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
        let before = cpu::resident_bytes(running.pid())?;
        load()?;
        let stored = running.client()?.integer(&["DBSIZE"])?;
        if stored != self.options.memory_keys as i64 {
            return Err(io::Error::other(format!("DBSIZE says {stored}")));
        }
        let after = settled_bytes(running)?;
        Ok((after as f64 - before as f64) / stored as f64)
    }

    /// Deletes a random half, one key a command, and fills up with keys never seen before.
    fn churn(&mut self, running: &Running) -> io::Result<()> {
        let keys = self.options.memory_keys;
        let before = settled_bytes(running)?;
        let mut indices: Vec<u64> = (0..keys).collect();
        Rng::with_seed(2).shuffle(&mut indices);
        let half = &indices[..keys as usize / 2];
        let mut client = running.client()?;
        fill::over_keys(&mut client, "DEL", half, 1, fill::DEEP)?;
        fill::keys(&mut client, keys, half.len() as u64, 64, fill::DEEP)?;
        let after = settled_bytes(running)?;
        let ratio = after as f64 / before as f64;
        self.record("16-byte key and 64-byte value", running, report::CHURN, ratio)
    }

    fn record(&mut self, row: &str, running: &Running, metric: Metric, value: f64) -> io::Result<()> {
        let row = format!("{row}, {} keys", self.options.memory_keys);
        self.recorder.record("memory", &row, &running.name, self.round, metric, value)
    }
}

/// RSS once it has stopped moving: a table may still be growing in the background.
pub fn settled_bytes(running: &Running) -> io::Result<u64> {
    let mut last = cpu::resident_bytes(running.pid())?;
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(250));
        let now = cpu::resident_bytes(running.pid())?;
        if now.abs_diff(last) < last / 1000 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}
