//! Filling collections through the wire: members that are nobody's integers, many a command.

use std::io;
use std::ops::Range;

use fastrand::Rng;

use crate::fill;
use crate::wire::{self, Client};

pub const ITEM_BYTES: usize = 16;
/// Elements in one filling command, and such commands in flight.
const CHUNK: u64 = 100;
const DEPTH: usize = 20;

/// The member of that number: sixteen letters that look random and differ from every other's. A server
/// that packs what reads as a number finds nothing to pack.
pub fn member(number: u64) -> [u8; ITEM_BYTES] {
    // The finaliser of splitmix64, which is a bijection.
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    std::array::from_fn(|at| b'a' + (mixed >> (4 * at) & 15) as u8)
}

/// A value nobody can compress.
pub fn item(rng: &mut Rng) -> [u8; ITEM_BYTES] {
    let mut item = [0; ITEM_BYTES];
    rng.fill(&mut item);
    item
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    List,
    /// A list that SORT can sort without ALPHA.
    Numbers,
    Set,
    SortedSet,
    Hash,
}

impl Kind {
    /// The command that tells how many elements it has.
    pub fn length_command(self) -> &'static str {
        match self {
            Kind::List | Kind::Numbers => "LLEN",
            Kind::Set => "SCARD",
            Kind::SortedSet => "ZCARD",
            Kind::Hash => "HLEN",
        }
    }

    /// Adds the elements of these numbers, and checks that they are there when they are the first.
    pub fn fill(self, client: &mut Client, key: &str, numbers: Range<u64>) -> io::Result<()> {
        let mut rng = Rng::with_seed(numbers.start + 1);
        let first = numbers.start;
        let count = numbers.end - first;
        let command = match self {
            Kind::List | Kind::Numbers => "RPUSH",
            Kind::Set => "SADD",
            Kind::SortedSet => "ZADD",
            Kind::Hash => "HSET",
        };
        chunked(client, command, key, count, |number, args| match self {
            Kind::List => args.push(item(&mut rng).to_vec()),
            Kind::Numbers => args.push(score(&mut rng)),
            Kind::Set => args.push(member(first + number).to_vec()),
            Kind::SortedSet => args.extend([score(&mut rng), member(first + number).to_vec()]),
            Kind::Hash => args.extend([member(first + number).to_vec(), item(&mut rng).to_vec()]),
        })?;
        let stored = client.integer(&[self.length_command(), key])?;
        if first == 0 && stored != count as i64 {
            return Err(io::Error::other(format!("{key} has {stored} elements and not {count}")));
        }
        Ok(())
    }
}

/// Scores are below this.
pub const SCORES: u64 = 1_000_000_000;

pub fn score(rng: &mut Rng) -> Vec<u8> {
    rng.u64(0..SCORES).to_string().into_bytes()
}

/// `command key element...` over `count` elements; `element` appends the arguments of one.
pub fn chunked(
    client: &mut Client,
    command: &str,
    key: &str,
    count: u64,
    mut element: impl FnMut(u64, &mut Vec<Vec<u8>>),
) -> io::Result<()> {
    let mut args: Vec<Vec<u8>> = Vec::new();
    fill::pipeline(client, count.div_ceil(CHUNK), DEPTH, |chunk, out| {
        args.clear();
        for number in chunk * CHUNK..((chunk + 1) * CHUNK).min(count) {
            element(number, &mut args);
        }
        let mut all: Vec<&[u8]> = vec![command.as_bytes(), key.as_bytes()];
        all.extend(args.iter().map(Vec::as_slice));
        wire::encode(out, &all);
    })?
    .check()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn members_differ_and_are_no_numbers() {
        let members: HashSet<_> = (0..10_000).map(member).collect();
        assert_eq!(members.len(), 10_000);
        assert!(members.iter().flatten().all(u8::is_ascii_lowercase));
        assert_eq!(member(7), member(7));
    }

    #[test]
    fn scores_are_whole_numbers_below_the_limit() {
        let mut rng = Rng::with_seed(1);
        let scores = (0..100).map(|_| String::from_utf8(score(&mut rng)).expect("digits"));
        assert!(scores.map(|text| text.parse::<u64>().expect("digits")).all(|score| score < SCORES));
    }
}
