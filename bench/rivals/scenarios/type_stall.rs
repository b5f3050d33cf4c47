//! The worst stall a 1 kHz prober sees while something heavy runs on one large collection, and what
//! set operations over two shards take (`across`).

use std::io;
use std::time::Duration;

use super::across;
use super::watch::{self, Watch};
use super::{Bench, fresh};
use crate::collections::Kind;
use crate::shape::Shape;
use crate::wire::Client;

const SCENARIO: &str = "type-stall";
/// Sorting ten million elements at one go takes its time.
const HEAVY_TIMEOUT: Duration = Duration::from_secs(300);
const KEY: &str = "large";
const COPY: &str = "copy";
/// Long enough that nothing else is still going on when the deadline comes.
const TTL_MS: &str = "300";

/// A kind of collection, what it is called, and what reads or sorts all of it.
struct Subject {
    name: &'static str,
    kind: Kind,
    reads: &'static [Read],
}

/// A command, `KEY` left out after its first word, and how many items of reply each element gives.
struct Read {
    command: &'static str,
    args: &'static [&'static str],
    items: Items,
}

enum Items {
    PerElement(i64),
    Exactly(i64),
}

const fn read(command: &'static str, args: &'static [&'static str], per_element: i64) -> Read {
    Read { command, args, items: Items::PerElement(per_element) }
}

const SUBJECTS: [Subject; 4] = [
    Subject {
        name: "list",
        kind: Kind::Numbers,
        reads: &[read("LRANGE", &["0", "-1"], 1), read("SORT", &[], 1)],
    },
    Subject {
        name: "set",
        kind: Kind::Set,
        reads: &[
            read("SMEMBERS", &[], 1),
            Read { command: "SORT", args: &["ALPHA", "LIMIT", "0", "10"], items: Items::Exactly(10) },
        ],
    },
    Subject { name: "sorted set", kind: Kind::SortedSet, reads: &[read("ZRANGE", &["0", "-1"], 1)] },
    Subject { name: "hash", kind: Kind::Hash, reads: &[read("HGETALL", &[], 2)] },
];

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    for round in 0..bench.options.heavy_rounds {
        for rival in &rivals {
            let Bench { options, recorder } = &mut *bench;
            eprintln!("   {}, round {}", rival.name, round + 1);
            let lineup = match fresh(rival, options, recorder) {
                Ok(lineup) => lineup,
                Err(error) => {
                    recorder.note(format!("type-stall: {} left out: {error}", rival.name));
                    continue;
                }
            };
            let running = &lineup.servers()[0];
            let mut watch = Watch { scenario: SCENARIO, options, recorder, running, round };
            if let Err(error) = watch.control().and_then(|()| watch.subjects()) {
                recorder.note(format!("type-stall: {} left out from here on: {error}", rival.name));
            }
        }
    }
    across::run(bench, SCENARIO)
}

impl Watch<'_> {
    fn subjects(&mut self) -> io::Result<()> {
        for subject in &SUBJECTS {
            if self.options.wants(subject.name) {
                self.subject(subject)?;
            }
        }
        Ok(())
    }

    fn subject(&mut self, subject: &Subject) -> io::Result<()> {
        let elements = self.options.elements;
        let count = elements as i64;
        let mut setup = self.running.client()?;
        setup.set_reply_timeout(HEAVY_TIMEOUT)?;
        subject.kind.fill(&mut setup, KEY, 0..elements)?;
        let of = format!("of a {} of {elements} elements", subject.name);
        for read in subject.reads {
            let shape = match read.items {
                Items::PerElement(items) => Shape::items(items * count),
                Items::Exactly(items) => Shape::items(items.min(count)),
            };
            let mut args = vec![read.command.as_bytes(), KEY.as_bytes()];
            args.extend(read.args.iter().map(|arg| arg.as_bytes()));
            let row = [&[read.command], read.args].concat().join(" ");
            self.heavy(&format!("{row} {of}"), |client| client.skim(&args, shape));
        }
        self.heavy(&format!("COPY {of}"), |client| must_be_one(client, &["COPY", KEY, COPY]));
        self.heavy(&format!("expiry {of}"), |client| {
            must_be_one(client, &["PEXPIRE", COPY, TTL_MS])?;
            watch::wait_for_freeing(client)?;
            match client.integer(&["EXISTS", COPY])? {
                0 => Ok(()),
                _ => Err(io::Error::other("it did not expire")),
            }
        });
        // A copy that could not be made was noted by its own row; UNLINK will say that nothing is there.
        if let Err(error) = must_be_one(&mut setup, &["COPY", KEY, COPY]) {
            self.recorder.note(format!("type-stall: COPY {of}: {}: {error}", self.running.name));
        }
        for (command, key) in [("UNLINK", COPY), ("DEL", KEY)] {
            self.heavy(&format!("{command} {of}"), |client| {
                must_be_one(client, &[command, key])?;
                watch::wait_for_freeing(client)
            });
        }
        setup.must(&["FLUSHALL"])?;
        watch::wait_for_freeing(&mut setup)
    }

    /// A row that fails is missing and noted; the next ones do not depend on it.
    fn heavy(&mut self, row: &str, work: impl FnOnce(&mut Client) -> io::Result<()>) {
        eprintln!("      {row}");
        let result = self.probed(row, |client| {
            client.set_reply_timeout(HEAVY_TIMEOUT)?;
            work(client)
        });
        if let Err(error) = result {
            self.recorder.note(format!("type-stall: {row}: {} failed: {error}", self.running.name));
        }
    }
}

fn must_be_one(client: &mut Client, args: &[&str]) -> io::Result<()> {
    match client.integer(args)? {
        1 => Ok(()),
        other => Err(io::Error::other(format!("{} answered {other}", args[0]))),
    }
}
