//! Loading and mass commands through the wire, pipelined on one blocking connection.

use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::tape;
use crate::wire::{self, Client, Errors};

/// Nothing a scenario loads takes longer on a server worth comparing.
const FILL_TIMEOUT: Duration = Duration::from_secs(300);
/// Commands in flight when only speed matters.
pub const DEEP: usize = 500;
/// Commands in flight when a prober is watching: a batch must not itself be a stall.
pub const SHALLOW: usize = 32;

/// Sends `count` commands, `depth` at a time; `make` appends the command of the given number.
/// Error replies are counted, not fatal: an eviction storm expects some.
pub fn pipeline(
    client: &mut Client,
    count: u64,
    depth: usize,
    mut make: impl FnMut(u64, &mut Vec<u8>),
) -> io::Result<Errors> {
    let started = Instant::now();
    let mut errors = Errors::default();
    let mut request = Vec::new();
    let mut done = 0;
    while done < count {
        let batch = (count - done).min(depth as u64);
        request.clear();
        for number in done..done + batch {
            make(number, &mut request);
        }
        client.send(&request)?;
        client.receive_count(batch as usize, &mut errors)?;
        done += batch;
        if started.elapsed() > FILL_TIMEOUT {
            return Err(io::Error::other(format!("loading took too long: {done} of {count}")));
        }
    }
    Ok(errors)
}

/// SETs the keys `first .. first + count` to random values.
pub fn keys(client: &mut Client, first: u64, count: u64, value_bytes: usize, depth: usize) -> io::Result<()> {
    let mut rng = Rng::with_seed(first + 1);
    let mut value = vec![0; value_bytes];
    pipeline(client, count, depth, |number, out| {
        tape::write_set(out, first + number, &mut value, &mut rng);
    })?
    .check()
}

/// As [`keys`], each with a time to live.
pub fn keys_with_ttl(client: &mut Client, count: u64, value_bytes: usize, ttl_ms: u64) -> io::Result<()> {
    let mut rng = Rng::with_seed(1);
    let mut value = vec![0; value_bytes];
    pipeline(client, count, DEEP, |number, out| {
        rng.fill(&mut value);
        let ttl = (ttl_ms + number).to_string();
        wire::encode(out, &[b"SET", &tape::key(number), &value, b"PX", ttl.as_bytes()]);
    })?
    .check()
}

/// One command over many keys, `keys_each` at a time (DEL, UNLINK).
pub fn over_keys(
    client: &mut Client,
    command: &str,
    indices: &[u64],
    keys_each: usize,
    depth: usize,
) -> io::Result<()> {
    let groups: Vec<&[u64]> = indices.chunks(keys_each).collect();
    pipeline(client, groups.len() as u64, depth, |number, out| {
        let keys: Vec<_> = groups[number as usize].iter().map(|index| tape::key(*index)).collect();
        let mut args: Vec<&[u8]> = vec![command.as_bytes()];
        args.extend(keys.iter().map(<[u8; tape::KEY_BYTES]>::as_slice));
        wire::encode(out, &args);
    })?
    .check()
}
