//! `coreshard verify A B`: are the data of two files or servers the same, key by key?
//!
//! A print of each key of the first is kept in memory (the key and some sixty bytes), then the second is read beside it.
//! Values are the same whatever they are encoded in; keys that are over are not there. A server goes on serving while it
//! is asked: what clients change meanwhile shows as a difference.

pub mod client;
mod place;
pub mod print;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use place::{Deadline, Found};
use print::Print;

pub use place::Place;

/// What was found.
#[derive(Default, Debug)]
pub struct Verdict {
    /// Keys of the first and of the second.
    pub keys: [u64; 2],
    pub same: u64,
    pub differences: u64,
    /// The first of them, a line each.
    pub lines: Vec<String>,
    most_lines: usize,
    /// What could not be compared.
    pub unknown: Vec<String>,
}

impl Verdict {
    /// Do both places hold the same?
    pub fn is_same(&self) -> bool {
        self.differences == 0 && self.unknown.is_empty()
    }

    fn differ(&mut self, line: impl FnOnce() -> String) {
        self.differences += 1;
        if self.lines.len() < self.most_lines {
            self.lines.push(line());
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        let hidden = self.differences.saturating_sub(self.lines.len() as u64);
        if hidden > 0 {
            writeln!(f, "... and {hidden} more")?;
        }
        for line in &self.unknown {
            writeln!(f, "not compared: {line}")?;
        }
        let [a, b] = self.keys;
        let Verdict { same, differences, .. } = self;
        write!(f, "A has {a} keys, B has {b}: {same} are the same, {differences} differences")
    }
}

/// A key of the first.
struct Known {
    print: Print,
    deadline: Option<Deadline>,
    met: bool,
}

/// Compares two places. `now` tells the time; keys that are over are left out, those that end meanwhile too.
pub fn verify(a: &Place, b: &Place, now_ms: impl Fn() -> u64, most_lines: usize) -> Result<Verdict, String> {
    let begun_ms = now_ms();
    let is_over =
        |deadline: &Option<Deadline>, now_ms: u64| deadline.is_some_and(|at| at.at_ms <= now_ms as i64);
    let mut verdict = Verdict { most_lines, ..Verdict::default() };
    let mut known = HashMap::<(u32, Vec<u8>), Known, ahash::RandomState>::default();
    let mut libraries = [BTreeSet::new(), BTreeSet::new()];
    // What no server loads, because nobody knows which is right. A server that is asked may show a key twice.
    let mut twice = None;
    a.visit(begun_ms, &mut |found| match found {
        Found::Key { db, key, print, deadline } => {
            if !is_over(&deadline, begun_ms) {
                match known.entry((db, key)) {
                    Entry::Vacant(entry) => drop(entry.insert(Known { print, deadline, met: false })),
                    Entry::Occupied(entry) if a.is_file() => twice = Some((a, entry.key().clone())),
                    Entry::Occupied(_) => {}
                }
            }
        }
        Found::Function(source) => drop(libraries[0].insert(source)),
        Found::Unknown(what) => verdict.unknown.push(what),
    })?;
    verdict.keys[0] = known.len() as u64;
    // Those that the first has not. A server may show a key twice.
    let mut alone = HashMap::<(u32, Vec<u8>), Option<Deadline>, ahash::RandomState>::default();
    b.visit(begun_ms, &mut |found| match found {
        Found::Key { deadline, .. } if is_over(&deadline, begun_ms) => {}
        Found::Key { db, key, print, deadline } => match known.get_mut(&(db, key.clone())) {
            Some(mine) if mine.met && b.is_file() => twice = Some((b, (db, key))),
            Some(mine) if mine.met => {}
            Some(mine) => {
                mine.met = true;
                verdict.keys[1] += 1;
                let is_same_time = match (&mine.deadline, &deadline) {
                    (Some(mine), Some(theirs)) => mine.is_same(theirs),
                    (mine, theirs) => mine.is_none() && theirs.is_none(),
                };
                let what = mine.print.difference(&print).or_else(|| {
                    let text =
                        |at: &Option<Deadline>| at.map_or("none".to_owned(), |at| at.at_ms.to_string());
                    (!is_same_time)
                        .then(|| format!("deadlines of {} and {}", text(&mine.deadline), text(&deadline)))
                });
                match what {
                    None => verdict.same += 1,
                    Some(what) => verdict.differ(|| format!("{}: {what}", named(db, &key))),
                }
            }
            None => match alone.entry((db, key)) {
                Entry::Vacant(entry) => {
                    entry.insert(deadline);
                    verdict.keys[1] += 1;
                }
                Entry::Occupied(entry) if b.is_file() => twice = Some((b, entry.key().clone())),
                Entry::Occupied(_) => {}
            },
        },
        Found::Function(source) => drop(libraries[1].insert(source)),
        Found::Unknown(what) => verdict.unknown.push(what),
    })?;
    if let Some((place, (db, key))) = twice {
        return Err(format!("{place}: {} is there twice", named(db, &key)));
    }
    let ended_ms = now_ms();
    let missing = known.iter().filter(|(_, mine)| !mine.met && !is_over(&mine.deadline, ended_ms));
    let mut missing: Vec<_> = missing.map(|(key, _)| (key, "A")).collect();
    missing.extend(alone.iter().filter(|(_, at)| !is_over(at, ended_ms)).map(|(key, _)| (key, "B")));
    missing.sort_unstable();
    for ((db, key), place) in missing {
        verdict.differ(|| format!("{}: only in {place}", named(*db, key)));
    }
    for (source, place) in libraries[0]
        .difference(&libraries[1])
        .map(|source| (source, "A"))
        .chain(libraries[1].difference(&libraries[0]).map(|source| (source, "B")))
    {
        let first = source.split(|byte| *byte == b'\n').next().unwrap_or_default();
        verdict.differ(|| format!("the library '{}': only in {place}, or different", first.escape_ascii()));
    }
    Ok(verdict)
}

fn named(db: u32, key: &[u8]) -> String {
    format!("db{db} '{}'", key.escape_ascii())
}
