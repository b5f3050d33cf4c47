//! What is asked: workloads, and the tapes they are recorded on.
//!
//! A tape is a long row of ready-made requests. Connections send slices of it straight from memory,
//! each from a random place, so that producing a request costs the generator nothing and the server
//! under test, not the load, is what gets measured. Every key stands on the tape about once, in
//! random order, which makes the mix of keys uniform.

use std::fmt;

use fastrand::Rng;

use crate::shape::Shape;
use crate::wire;

/// Tapes longer than this would only empty the cache the server shares with the generator.
const TAPE_BYTES: usize = 24 << 20;
/// Short key spaces still need enough requests to fill a deep pipeline from a random start.
const TAPE_REQUESTS_MIN: u64 = 4096;
/// `key:` and twelve digits, the shape redis-benchmark uses.
pub const KEY_BYTES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Get,
    Set,
    /// SET and GET in the given proportion; memtier's own default is 1:10.
    Mix {
        sets: u32,
        gets: u32,
    },
    MGet(usize),
    MSet(usize),
}

impl fmt::Display for Op {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Get => out.write_str("GET"),
            Op::Set => out.write_str("SET"),
            Op::Mix { sets, gets } => write!(out, "SET:GET {sets}:{gets}"),
            Op::MGet(keys) => write!(out, "MGET {keys}"),
            Op::MSet(keys) => write!(out, "MSET {keys}"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub op: Op,
    pub keys: u64,
    pub value_bytes: usize,
}

pub fn write_key(index: u64, key: &mut [u8; KEY_BYTES]) {
    key[..4].copy_from_slice(b"key:");
    let mut rest = index;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

pub fn key(index: u64) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    write_key(index, &mut key);
    key
}

/// Appends one SET of a random value; the loaders of key spaces use it too.
pub fn write_set(out: &mut Vec<u8>, index: u64, value: &mut [u8], rng: &mut Rng) {
    rng.fill(value);
    wire::encode(out, &[b"SET", &key(index), value]);
}

pub struct Tape {
    bytes: Vec<u8>,
    /// Where each request begins, and at the end where the last one stops.
    starts: Vec<usize>,
    /// The shapes of the replies, in a cycle: request `n` is answered by the `n % len`-th.
    replies: Vec<Shape>,
}

impl Tape {
    /// Records `workload` over the key indices that `wanted` lets through.
    pub fn record(workload: Workload, seed: u64, wanted: impl Fn(u64) -> bool) -> Tape {
        let mut rng = Rng::with_seed(seed);
        let mut indices: Vec<u64> = (0..workload.keys).filter(|index| wanted(*index)).collect();
        assert!(!indices.is_empty(), "a tape needs at least one key");
        rng.shuffle(&mut indices);
        let requests = workload.keys.max(TAPE_REQUESTS_MIN);
        let mut keys = indices.iter().copied().cycle();
        let mut value = vec![0; workload.value_bytes];
        let mut tape = Tape { bytes: Vec::new(), starts: vec![0], replies: vec![Shape::Any] };
        for done in 0..requests {
            if done >= TAPE_REQUESTS_MIN && tape.bytes.len() > TAPE_BYTES {
                break;
            }
            tape.request(workload.op, &mut keys, &mut value, &mut rng);
            tape.starts.push(tape.bytes.len());
        }
        tape
    }

    /// Records up to `most` requests as `make` appends them, told their number; `replies` in a cycle
    /// answer them. A tape that is played in turn says so with `whole` and is not cut at a length.
    pub fn of(
        most: u64,
        whole: bool,
        replies: Vec<Shape>,
        mut make: impl FnMut(&mut Vec<u8>, &mut Rng, u64),
    ) -> Tape {
        assert!(most > 0 && !replies.is_empty(), "a tape needs requests, and they need replies");
        let mut rng = Rng::with_seed(1);
        let mut tape = Tape { bytes: Vec::new(), starts: vec![0], replies };
        for number in 0..most {
            if !whole && number >= TAPE_REQUESTS_MIN && tape.bytes.len() > TAPE_BYTES {
                break;
            }
            make(&mut tape.bytes, &mut rng, number);
            tape.starts.push(tape.bytes.len());
        }
        tape
    }

    fn request(&mut self, op: Op, keys: &mut impl Iterator<Item = u64>, value: &mut [u8], rng: &mut Rng) {
        let mut next = || keys.next().expect("a cycle does not end");
        let out = &mut self.bytes;
        match op {
            Op::Get => wire::encode(out, &[b"GET", &key(next())]),
            Op::Set => write_set(out, next(), value, rng),
            Op::Mix { sets, gets } if rng.u32(0..sets + gets) < sets => write_set(out, next(), value, rng),
            Op::Mix { .. } => wire::encode(out, &[b"GET", &key(next())]),
            Op::MGet(count) => {
                let keys: Vec<_> = (0..count).map(|_| key(next())).collect();
                let mut args: Vec<&[u8]> = vec![b"MGET"];
                args.extend(keys.iter().map(<[u8; KEY_BYTES]>::as_slice));
                wire::encode(out, &args);
            }
            Op::MSet(count) => {
                let pairs: Vec<_> = (0..count)
                    .map(|_| {
                        rng.fill(value);
                        (key(next()), value.to_vec())
                    })
                    .collect();
                let mut args: Vec<&[u8]> = vec![b"MSET"];
                for (key, value) in &pairs {
                    args.extend([key.as_slice(), value.as_slice()]);
                }
                wire::encode(out, &args);
            }
        }
    }

    pub fn requests(&self) -> usize {
        self.starts.len() - 1
    }

    /// What request `index` must be answered with.
    pub fn reply(&self, index: usize) -> Shape {
        self.replies[index % self.replies.len()]
    }

    /// Where `count` successive requests can begin: a random place.
    pub fn anywhere(&self, count: usize, rng: &mut Rng) -> usize {
        assert!(count <= self.requests(), "a pipeline longer than the tape");
        rng.usize(0..=self.requests() - count)
    }

    /// `count` successive requests from the `first` on.
    pub fn slice(&self, first: usize, count: usize) -> &[u8] {
        &self.bytes[self.starts[first]..self.starts[first + count]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_length_and_one_order() {
        assert_eq!(&key(0), b"key:000000000000");
        assert_eq!(&key(99_999), b"key:000000099999");
    }

    #[test]
    fn a_slice_holds_exactly_the_requests_asked_for() {
        let requests_in = |mut bytes: &[u8]| {
            let mut count = 0;
            while let Some(length) = wire::scan(bytes).expect("well-formed") {
                bytes = &bytes[length..];
                count += 1;
            }
            assert!(bytes.is_empty(), "a slice ends with a whole request");
            count
        };
        let mut rng = Rng::with_seed(1);
        for op in [Op::Get, Op::Set, Op::Mix { sets: 1, gets: 10 }, Op::MGet(10), Op::MSet(10)] {
            let workload = Workload { op, keys: 500, value_bytes: 64 };
            let tape = Tape::record(workload, 7, |_| true);
            for count in [1, 16, 64] {
                let first = tape.anywhere(count, &mut rng);
                assert_eq!(requests_in(tape.slice(first, count)), count, "{op}");
            }
        }
    }

    #[test]
    fn an_owned_tape_names_no_foreign_key() {
        let workload = Workload { op: Op::Get, keys: 100, value_bytes: 0 };
        let tape = Tape::record(workload, 7, |index| index % 2 == 0);
        let odd = key(7);
        assert!(!tape.bytes.windows(KEY_BYTES).any(|window| window == odd));
    }

    #[test]
    fn a_tape_is_cut_at_a_length_unless_it_is_played_in_turn() {
        let long = |out: &mut Vec<u8>, _: &mut Rng, _| out.resize(out.len() + TAPE_BYTES / 1000, 0);
        let replies = || vec![Shape::Bulk, Shape::ONE];
        assert_eq!(Tape::of(5000, false, replies(), long).requests() as u64, TAPE_REQUESTS_MIN);
        let short = |out: &mut Vec<u8>, _: &mut Rng, number: u64| out.push(number as u8);
        let tape = Tape::of(6000, true, replies(), short);
        assert_eq!((tape.requests(), tape.slice(7, 2)), (6000, [7, 8].as_slice()));
        assert_eq!((tape.reply(6), tape.reply(7)), (Shape::Bulk, Shape::ONE));
    }
}
