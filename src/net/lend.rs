//! Shards that are lent: how a script that holds all of them runs without a message per command.
//!
//! A wide script's transaction asks every other core for its shard once it has begun there (`Work::Lend`). The owner
//! sends it, whole, and waits in place until it is back; the caller runs the script's commands on the lent shards as on
//! its own. Two messages per core and script then, in place of two per command.
//!
//! - A core lends at the end of its turn, so that nothing of the turn is left to do without the shard, and does nothing
//!   while it is away but wait: it puts aside, in order, what else arrives.
//! - A loan lasts [`LOAN_MOST_NS`], or as long as one command: then the caller gives the shard back and goes on with
//!   messages, so that no core is stopped by a script that does not end, and SCRIPT KILL is heard.
//! - What commands leave in a shard (notices, invalidations, clients to be served) is seen to by its owner, afterwards.
//! - A shard with a log is not lent: its owner vouches for what is in it before a client is answered.
//!
//! INVARIANT (no circle): who waits for its shard waits for a transaction that has begun on every shard, and that needs
//! nothing from another core while it holds loans: a broadcast gives them back first. No second transaction can have begun
//! on all shards meanwhile, and who has not begun everywhere waits for nothing in place.

use super::core::Core;
use crate::commands::Part;
use crate::runtime::face::NetIo;
use crate::runtime::mesh::Received;
use crate::shard::Shard;
use crate::shard::memory::MemoryBoard;
use crate::sys::clock;
use crate::tx::message::{TxMessage, TxRef};
use crate::types::ShardId;

/// How long a script keeps the shards of other cores.
const LOAN_MOST_NS: u64 = 2_000_000;

/// Shards lent to a core and by it.
#[derive(Default)]
pub struct Loans {
    /// Lent to this core, with their owners.
    taken: Vec<(ShardId, Box<Shard>)>,
    since_cycles: u64,
    /// Whom this core lends its shard at the end of the turn.
    pub(super) asked: Option<(ShardId, TxRef)>,
    /// An empty shard, in the place of one that is away.
    hollow: Option<Box<Shard>>,
}

impl Loans {
    /// Takes what was lent. All that a script does happens at one time, the caller's.
    pub fn take_in(&mut self, lent: Vec<(ShardId, Box<Shard>)>, now_ms: u64) {
        debug_assert!(self.taken.is_empty(), "one script at a time holds shards");
        self.taken = lent;
        self.taken.iter_mut().for_each(|(_, shard)| shard.now_ms = now_ms);
        self.since_cycles = clock::cycles();
    }

    /// Is the shard of this core here?
    pub fn has(&self, owner: ShardId) -> bool {
        self.taken.iter().any(|(of, _)| *of == owner)
    }

    /// Puts a lent shard in the place of the core's own, or back. False when it is not here.
    pub fn swap(&mut self, owner: ShardId, place: &mut Box<Shard>) -> bool {
        let found = self.taken.iter_mut().find(|(of, _)| *of == owner);
        found.map(|(_, shard)| std::mem::swap(shard, place)).is_some()
    }

    /// Has this core had others' shards for long enough?
    pub fn are_overdue(&self) -> bool {
        !self.taken.is_empty()
            && clock::cycles().wrapping_sub(self.since_cycles) > clock::cycles_of_ns(LOAN_MOST_NS)
    }
}

impl Core {
    /// Gives back what was lent to this core. It leaves with the next batches.
    pub(super) fn give_back(&mut self, tx: TxRef) {
        for (owner, shard) in std::mem::take(&mut self.loans.taken) {
            self.batch_to(owner).tx.push(TxMessage::Back { tx, shard });
        }
    }

    /// Lends this core's shard if a transaction asked for it in this turn, and waits until it is back. True when it was
    /// asked.
    pub(super) fn lend(&mut self, io: &mut dyn NetIo) -> bool {
        let Some((to, tx)) = self.loans.asked.take() else { return false };
        if self.shard.log.is_some() {
            self.post_one(to, TxMessage::Ran { tx, part: Part::Nothing });
            self.flush(io);
            return true;
        }
        let hollow = self.loans.hollow.take().unwrap_or_else(|| self.hollow_shard());
        let shard = std::mem::replace(&mut self.shard, hollow);
        self.post_one(to, TxMessage::Ran { tx, part: Part::Lent(shard) });
        self.flush(io);
        let shard = self.await_shard(tx);
        self.loans.hollow = Some(std::mem::replace(&mut self.shard, shard));
        true
    }

    /// It counts for nothing, also in memory.
    #[cold]
    fn hollow_shard(&self) -> Box<Shard> {
        let board = MemoryBoard::new(self.shared.shards);
        Box::new(Shard::new(self.me, 1, self.shard.hasher.clone(), 0, board))
    }

    /// The shard comes back in any case, also when the process stops: its borrower ends the script.
    fn await_shard(&mut self, tx: TxRef) -> Box<Shard> {
        let is_back = |message: &TxMessage| matches!(message, TxMessage::Back { tx: of, .. } if *of == tx);
        loop {
            match self.port.receive() {
                Received::Batch { from, mut body } => {
                    let at = body.tx.iter().position(is_back);
                    let back = at.map(|at| body.tx.remove(at));
                    if body.is_empty() {
                        self.recycle(body);
                    } else {
                        self.stashed.push_back((ShardId(from as u16), body));
                    }
                    if let Some(TxMessage::Back { shard, .. }) = back {
                        return shard;
                    }
                }
                Received::Unpublished | Received::Empty => std::thread::yield_now(),
            }
        }
    }
}
