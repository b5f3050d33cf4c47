//! The append-only file: what the shards did, on disk in the order in which it may be repeated.

pub mod check;
pub mod find;
pub mod manifest;
pub mod read;
pub mod replay;

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::shard::log::LogChunk;
use crate::types::ShardId;

/// One per process.
pub struct Aof {
    sender: Sender<(ShardId, LogChunk)>,
    /// For the writer, once there is one.
    pub receiver: Receiver<(ShardId, LogChunk)>,
    /// Per shard, the last chunk that is on disk.
    synced: Vec<AtomicU64>,
}

impl Aof {
    pub fn new(shards: usize) -> Aof {
        let (sender, receiver) = unbounded();
        Aof { sender, receiver, synced: (0..shards).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Gives the writer what a shard did.
    pub fn give(&self, shard: ShardId, chunk: LogChunk) {
        // Both ends are here.
        let _ = self.sender.send((shard, chunk));
    }

    /// A shard's last chunk that is on disk.
    #[inline]
    pub fn synced(&self, shard: ShardId) -> u64 {
        self.synced[shard.index()].load(Ordering::Acquire)
    }
}
