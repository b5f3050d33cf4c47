//! Resident memory per element of every data type, loaded through the wire. Every row has a fresh
//! server.

use std::io;

use fastrand::Rng;

use super::memory::settled_bytes;
use super::{Bench, fresh};
use crate::collections::{ITEM_BYTES, Kind};
use crate::cpu;
use crate::fill;
use crate::report;
use crate::server::Running;
use crate::typed::{self, Ask};
use crate::wire::Client;

const SCENARIO: &str = "type-memory";
const FIELDS: u64 = 5;

#[derive(Clone, Copy)]
enum Row {
    Hashes,
    Collection(&'static str, Kind),
    Stream,
}

const ROWS: [Row; 5] = [
    Row::Hashes,
    Row::Collection("sorted set", Kind::SortedSet),
    Row::Collection("set", Kind::Set),
    Row::Collection("list", Kind::List),
    Row::Stream,
];

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let Bench { options, recorder } = bench;
    let count = options.members;
    for round in 0..options.heavy_rounds {
        for row in ROWS {
            let label = row.label(count);
            if !options.wants(&label) {
                continue;
            }
            eprintln!("   {label}, round {}", round + 1);
            for rival in &options.rivals {
                let grown = fresh(rival, options, recorder).and_then(|lineup| {
                    let running = &lineup.servers()[0];
                    row.growth(running, count)
                });
                let each = match grown {
                    Ok(grown) => grown / count as f64,
                    Err(error) => {
                        recorder.note(format!("type-memory: {label}: {} failed: {error}", rival.name));
                        continue;
                    }
                };
                let (metric, value) = match row {
                    Row::Collection(..) => (report::ABOVE_OWN, each - ITEM_BYTES as f64),
                    Row::Hashes | Row::Stream => (report::BYTES_PER_ELEMENT, each),
                };
                recorder.record(SCENARIO, &label, &rival.name, round, metric, value)?;
            }
        }
    }
    Ok(())
}

impl Row {
    fn label(self, count: u64) -> String {
        match self {
            Row::Hashes => {
                format!("hashes of {FIELDS} fields with {ITEM_BYTES}-byte values, {count} of them")
            }
            Row::Collection(name, Kind::List) => format!("{name} of {count} {ITEM_BYTES}-byte items"),
            Row::Collection(name, _) => format!("{name} of {count} {ITEM_BYTES}-byte members"),
            Row::Stream => format!("stream of {count} entries of two fields"),
        }
    }

    fn growth(self, running: &Running, count: u64) -> io::Result<f64> {
        let mut client = running.client()?;
        let before = cpu::resident_bytes(running.pid())?;
        self.load(&mut client, count)?;
        Ok(settled_bytes(running)? as f64 - before as f64)
    }

    fn load(self, client: &mut Client, count: u64) -> io::Result<()> {
        let mut rng = Rng::with_seed(1);
        let length = match self {
            Row::Collection(_, kind) => return kind.fill(client, "collection", 0..count),
            Row::Hashes => {
                fill::pipeline(client, count, fill::DEEP, |number, out| {
                    typed::write_hash(out, &mut rng, Ask::HSet(FIELDS), FIELDS, number);
                })?
                .check()?;
                client.integer(&["DBSIZE"])?
            }
            Row::Stream => {
                fill::pipeline(client, count, fill::DEEP, |_, out| {
                    typed::write_entry(out, &mut rng, b"*");
                })?
                .check()?;
                client.integer(&["XLEN", "stream"])?
            }
        };
        match length {
            stored if stored == count as i64 => Ok(()),
            stored => Err(io::Error::other(format!("{stored} are there and not {count}"))),
        }
    }
}
