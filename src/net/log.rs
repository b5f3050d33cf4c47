//! A core and the append-only file: what its shard did goes to the writer at the end of a turn, and replies wait until
//! it is in the file; with `appendfsync always`, until it is on disk.
//!
//! INVARIANT: a reply leaves only when the writer has released everything that its shards had done before they gave it,
//! reads included: nobody sees what the end of the process (with `always`, of the machine) could take back. So a batch
//! carries the number of its sender's last chunk, a core keeps the highest it has seen of every shard, and what it sends
//! waits until the writer has come as far (group commit: the core goes on with other clients, and one write, or sync,
//! answers them all).

use std::collections::VecDeque;

use super::core::Core;
use crate::persistence::aof::{LogMode, Message};
use crate::resp::Output;
use crate::runtime::face::{ConnId, NetIo};
use crate::shard::log::LogChunk;
use crate::tx::TxId;
use crate::types::ShardId;

/// Replies of one moment, until the log has come so far.
struct Held {
    /// Per shard, the chunk that must be released.
    needs: Box<[u64]>,
    replies: Vec<(ConnId, Output)>,
}

/// What a core keeps back.
pub struct LogGate {
    /// Which switching off of the log this core has followed.
    generation: u64,
    /// Per shard, the last chunk that a reply of this core may tell of.
    seen: Box<[u64]>,
    held: VecDeque<Held>,
}

impl LogGate {
    pub fn new(shards: usize) -> LogGate {
        LogGate { generation: 0, seen: vec![0; shards].into(), held: VecDeque::new() }
    }
}

impl Core {
    // --- what a shard did ---------------------------------------------------------------------------------------

    /// What runs from here on is a part of a transaction.
    #[inline]
    pub(super) fn log_enter(&mut self, tx: TxId) {
        if let Some(log) = &mut self.shard.log {
            log.enter(tx.0);
        }
    }

    /// No longer.
    #[inline]
    pub(super) fn log_leave(&mut self) {
        if let Some(log) = &mut self.shard.log {
            log.leave();
        }
    }

    /// What runs from here on is one block.
    #[inline]
    pub(super) fn log_begin_block(&mut self) {
        if let Some(log) = &mut self.shard.log {
            log.begin_block();
        }
    }

    /// No longer.
    #[inline]
    pub(super) fn log_end_block(&mut self) {
        if let Some(log) = &mut self.shard.log {
            log.end_block();
        }
    }

    /// What the block that ends has done is not logged: nothing must be made of a half.
    #[cold]
    pub(super) fn log_forget_block(&mut self) {
        if let Some(log) = &mut self.shard.log {
            log.forget_block();
        }
    }

    /// Gives the writer what the shard did. The number of the last chunk given.
    #[inline]
    pub(super) fn give_log(&mut self) -> u64 {
        let Some(log) = &mut self.shard.log else { return 0 };
        let chunk = log.take_chunk();
        self.give(chunk)
    }

    /// The same while a block may be open: what is in it comes later, and nobody is told of it.
    #[cold]
    pub(super) fn give_log_before_block(&mut self) -> u64 {
        let Some(log) = &mut self.shard.log else { return 0 };
        let chunk = log.take_chunk_before_block();
        self.give(chunk)
    }

    #[inline]
    fn give(&mut self, chunk: Option<LogChunk>) -> u64 {
        if let Some(chunk) = chunk {
            let durable = &self.shared.durable;
            durable.aof.give(self.me, chunk);
            if durable.aof.is_behind() {
                durable.aof_status_changed();
            }
        }
        let last = self.shard.log.as_ref().map_or(0, |log| log.last_given());
        self.log_gate.seen[self.me.index()] = last;
        last
    }

    /// What this shard does is logged from here on.
    pub fn begin_log(&mut self) {
        self.shard.log_on();
    }

    /// Switches this shard's log off if the process's is.
    #[inline]
    pub fn follow_log_switch(&mut self) {
        let generation = self.shared.durable.aof.generation();
        if generation != self.log_gate.generation {
            self.log_gate.generation = generation;
            self.end_log(generation);
        }
    }

    #[cold]
    fn end_log(&mut self, generation: u64) {
        self.give_log();
        let chunk = self.shard.log_off();
        self.shared.durable.aof.tell(Message::Off { shard: self.me, chunk, generation });
    }

    /// The last chunks that this client may have heard of, its own writes included.
    pub fn log_needs(&self) -> Box<[u64]> {
        let mut needs = self.log_gate.seen.clone();
        let mine = &mut needs[self.me.index()];
        *mine = self.shard.log.as_ref().map_or(*mine, |log| log.last_chunk());
        needs
    }

    /// Is all of that on disk?
    pub fn is_synced(&self, needs: &[u64]) -> bool {
        let aof = &self.shared.durable.aof;
        aof.state().mode == LogMode::On
            && needs.iter().enumerate().all(|(shard, &chunk)| aof.synced(ShardId(shard as u16)) >= chunk)
    }

    // --- replies ------------------------------------------------------------------------------------------------

    /// A batch tells of what is in its sender's log up to this chunk.
    #[inline]
    pub(super) fn see_log_of(&mut self, from: ShardId, chunk: u64) {
        let seen = &mut self.log_gate.seen[from.index()];
        *seen = (*seen).max(chunk);
    }

    /// Keeps replies back if what they tell of is not released; else returns them.
    #[inline]
    pub(super) fn hold_until_logged(&mut self, conn: ConnId, out: Output) -> Option<Output> {
        if self.shard.log.is_none() || self.is_released(&self.log_gate.seen) {
            return Some(out);
        }
        self.clients.at(conn.index).held = true;
        let LogGate { seen, held, .. } = &mut self.log_gate;
        if held.is_empty() {
            self.shared.durable.aof.note_holder(self.me, true);
        }
        match held.back_mut() {
            Some(last) if last.needs == *seen => last.replies.push((conn, out)),
            _ => held.push_back(Held { needs: seen.clone(), replies: vec![(conn, out)] }),
        }
        None
    }

    fn is_released(&self, needs: &[u64]) -> bool {
        let aof = &self.shared.durable.aof;
        needs.iter().enumerate().all(|(shard, &chunk)| aof.released(ShardId(shard as u16)) >= chunk)
    }

    /// Could held replies leave?
    pub(super) fn may_send_held(&self) -> bool {
        self.log_gate
            .held
            .front()
            // While a log is replayed this shard's is away, and not off.
            .is_some_and(|first| {
                (self.shard.log.is_none() && !self.replay.is_on) || self.is_released(&first.needs)
            })
    }

    /// Sends what is released now.
    #[inline]
    pub(super) fn send_held(&mut self, io: &mut dyn NetIo) {
        while self.may_send_held() {
            let first = self.log_gate.held.pop_front().expect("looked at just now");
            if self.log_gate.held.is_empty() {
                self.shared.durable.aof.note_holder(self.me, false);
            }
            for (conn, out) in first.replies {
                if let Some(client) = self.clients.get(conn) {
                    client.held = false;
                    self.hand_over(io, conn, out);
                }
            }
        }
    }
}
