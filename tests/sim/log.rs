//! The append-only file of a simulated world: written and synced when the scheduler likes, read after a crash at any
//! moment.
//!
//! With `appendfsync always` every crash must leave a file that holds all that anybody was told of, and of every
//! transaction all or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use coreshard::net::Shared;
use coreshard::persistence::aof::Message;
use coreshard::persistence::aof::merge::Merge;
use coreshard::types::ShardId;
use crossbeam_channel::Receiver;

use crate::history::{Operation, Step, check, tokens};
use crate::reply::{Value, take_value};

/// The file and its writer.
pub struct LogFile {
    shared: Arc<Shared>,
    receiver: Receiver<Message>,
    merge: Merge,
    bytes: Vec<u8>,
    /// Of these, what survives any crash.
    synced: usize,
    /// A planted fault: replies do not wait for the disk.
    releases_early: bool,
    pub crashes: usize,
}

impl LogFile {
    pub fn new(shared: Arc<Shared>, releases_early: bool) -> LogFile {
        let receiver = shared.durable.aof.take_receiver().expect("nobody else writes");
        let merge = Merge::new(shared.shards);
        LogFile { shared, receiver, merge, bytes: Vec::new(), synced: 0, releases_early, crashes: 0 }
    }

    /// Writes what the shards gave.
    pub fn write(&mut self) {
        for message in self.receiver.try_iter() {
            if let Message::Chunk(shard, chunk) = message {
                self.merge.take(shard, chunk);
            }
        }
        assert!(self.merge.step(&mut self.bytes).is_none(), "nobody rewrites");
        if self.releases_early {
            self.release();
        }
    }

    /// What is written is on disk, and cores are told.
    pub fn sync(&mut self) {
        self.write();
        self.synced = self.bytes.len();
        self.release();
    }

    fn release(&self) {
        for shard in 0..self.shared.shards {
            let shard = ShardId(shard as u16);
            self.shared.durable.aof.release_up_to(shard, self.merge.left(shard));
        }
    }

    /// Is everything that was given in the file?
    pub fn is_complete(&self) -> bool {
        self.receiver.is_empty() && self.merge.is_empty()
    }

    /// Every key's tokens when nothing crashes.
    pub fn state_of_all(&self, keys: usize) -> Vec<Vec<u64>> {
        self.state(self.bytes.len(), keys)
    }

    /// Every key's tokens after a crash that left `length` bytes: a block that is not complete is not there.
    fn state(&self, length: usize, keys: usize) -> Vec<Vec<u64>> {
        let mut rest = &self.bytes[..length];
        let mut state = vec![Vec::new(); keys];
        let mut block: Option<Vec<(usize, Vec<u64>)>> = None;
        while let Some((value, used)) = take_value(rest) {
            rest = &rest[used..];
            let Value::Array(words) = value else { panic!("a log holds commands: {value:?}") };
            let word = |value: &Value| match value {
                Value::Bulk(bytes) => String::from_utf8(bytes.clone()).expect("words are text"),
                other => panic!("a command is made of strings: {other:?}"),
            };
            let words: Vec<String> = words.iter().map(word).collect();
            match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["SELECT", "0"] => {}
                ["MULTI"] => assert!(block.replace(Vec::new()).is_none(), "a block within a block"),
                ["EXEC"] => {
                    let block = block.take().expect("a block that was begun");
                    block.into_iter().for_each(|(key, more)| state[key].extend(more));
                }
                ["APPEND", key, token] => {
                    let key = key.strip_prefix("key:").and_then(|key| key.parse().ok()).expect("a key");
                    match &mut block {
                        Some(block) => block.push((key, tokens(token.as_bytes()))),
                        None => state[key].extend(tokens(token.as_bytes())),
                    }
                }
                other => panic!("nobody asked for {other:?}"),
            }
        }
        state
    }

    /// The machine stops now: is the file what it must be?
    pub fn crash(&mut self, rng: &mut fastrand::Rng, operations: &[Operation], keys: usize) {
        self.crashes += 1;
        let length = rng.usize(self.synced..=self.bytes.len());
        let state = self.state(length, keys);
        let mut places = HashMap::new();
        for (key, tokens) in state.iter().enumerate() {
            for token in tokens {
                assert!(places.insert(*token, key).is_none(), "token {token} is there twice");
            }
        }
        for operation in operations {
            let appended: Vec<bool> = operation
                .steps
                .iter()
                .filter_map(|step| match step {
                    Step::Append { key, token, .. } => Some(places.get(token) == Some(key)),
                    Step::Read { .. } => None,
                })
                .collect();
            let there = appended.iter().filter(|there| **there).count();
            assert!(there == 0 || there == appended.len(), "half of it is there: {operation:?}");
            assert!(!operation.refused || there == 0, "it did not run, and is there: {operation:?}");
            if operation.answered_at.is_some() && !operation.refused {
                assert_eq!(there, appended.len(), "it was answered, and is lost: {operation:?}");
            }
        }
        // What was read is there, in that order.
        check(operations, &state).unwrap_or_else(|error| panic!("after a crash: {error}"));
    }
}
