//! The grace period: how a transaction that spans shards begins beside free-running pipelines.
//!
//! While no such transaction is in flight, a connection's pipelined commands fly to several shards at once, and the
//! mesh alone keeps causality. Beside transactions that is not enough: a turn's batches and a transaction's schedule
//! are two multicasts that two shards may see in different orders, and then a transaction could see the second
//! command of a pipeline without the first. So while one is in flight a connection has commands outstanding at one
//! shard only (`net` sees to that), and the first transaction waits until every core has ended the turn it was in.
//!
//! INVARIANT: when [`Grace::passed`] is true, every batch of a turn that began without knowing of the transaction is
//! in its inbox, and every turn that begins from now on knows of it. This is the quiescent state of RCU (McKenney and
//! Slingwine 1998) with turns as read-side sections.
//!
//! The transactions in flight and the *epoch* (how often the count rose from zero) share one word, so that only
//! the first transaction of an epoch pays for the wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

#[repr(align(128))]
#[derive(Default)]
struct Core {
    /// Turns ended.
    turns: AtomicU64,
    /// Asleep: no turn is under way, and the next one will look at the word.
    resting: AtomicBool,
}

/// Shared by all cores.
pub struct Grace {
    /// Epoch in the upper half, transactions in flight in the lower.
    word: AtomicU64,
    /// The last epoch whose grace period is known to be over.
    settled: AtomicU64,
    cores: Vec<Core>,
}

const COUNT_MASK: u64 = u32::MAX as u64;

/// A grace period under way.
#[derive(Clone, Debug)]
pub struct Waiting {
    epoch: u64,
    /// Per core, the turns it had ended, if it was in a turn.
    seen: Vec<Option<u64>>,
}

impl Grace {
    /// For this many cores.
    pub fn new(cores: usize) -> Arc<Grace> {
        Arc::new(Grace {
            word: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            cores: (0..cores).map(|_| Core::default()).collect(),
        })
    }

    /// A core begins a turn. True when transactions are in flight: the turn must run in transaction mode.
    #[inline]
    pub fn begin_turn(&self, core: usize) -> bool {
        let resting = &self.cores[core].resting;
        if resting.load(Ordering::Relaxed) {
            resting.store(false, Ordering::Relaxed);
            // Either the transaction sees that we are up, or we see the transaction.
            fence(Ordering::SeqCst);
        }
        self.word.load(Ordering::SeqCst) & COUNT_MASK != 0
    }

    /// A core ends a turn: all its batches are in their inboxes.
    #[inline]
    pub fn end_turn(&self, core: usize) {
        let turns = &self.cores[core].turns;
        turns.store(turns.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// A core is about to sleep; it has ended its turn.
    pub fn rest(&self, core: usize) {
        self.cores[core].resting.store(true, Ordering::SeqCst);
    }

    /// A transaction enters. `None` when it need not wait.
    pub fn enter(&self) -> Option<Waiting> {
        let mut word = self.word.load(Ordering::Relaxed);
        let epoch = loop {
            let epoch = (word >> 32) + u64::from(word & COUNT_MASK == 0);
            let next = (epoch << 32) | ((word & COUNT_MASK) + 1);
            match self.word.compare_exchange_weak(word, next, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break epoch,
                Err(now) => word = now,
            }
        };
        if self.settled.load(Ordering::Acquire) == epoch {
            return None;
        }
        fence(Ordering::SeqCst);
        let seen = self
            .cores
            .iter()
            .map(|core| {
                let turns = core.turns.load(Ordering::Acquire);
                (!core.resting.load(Ordering::SeqCst)).then_some(turns)
            })
            .collect();
        Some(Waiting { epoch, seen })
    }

    /// Is the grace period over? `me` never waits for itself: it asks between turns.
    pub fn passed(&self, waiting: &Waiting, me: usize) -> bool {
        let over = waiting.seen.iter().zip(&self.cores).enumerate().all(|(index, (seen, core))| {
            index == me
                || seen.is_none_or(|turns| {
                    core.turns.load(Ordering::Acquire) > turns || core.resting.load(Ordering::SeqCst)
                })
        });
        if over {
            self.settled.fetch_max(waiting.epoch, Ordering::AcqRel);
        }
        over
    }

    /// A transaction leaves: every shard has released it.
    pub fn leave(&self) {
        let before = self.word.fetch_sub(1, Ordering::SeqCst);
        assert!(before & COUNT_MASK > 0, "only who entered can leave");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_transaction_waits_for_the_turns_under_way_and_the_second_does_not() {
        let grace = Grace::new(3);
        assert!(!grace.begin_turn(1));
        grace.rest(2);
        let waiting = grace.enter().expect("the first waits");
        assert!(!grace.passed(&waiting, 0));
        grace.end_turn(1);
        assert!(grace.begin_turn(1), "the next turn knows");
        assert!(grace.passed(&waiting, 0));
        assert!(grace.enter().is_none());
        grace.leave();
        grace.leave();
        assert!(!grace.begin_turn(1));
        assert!(grace.enter().is_some(), "a new epoch waits again");
    }

    #[test]
    fn a_sleeping_core_is_not_waited_for_and_sees_the_transaction_when_it_wakes() {
        let grace = Grace::new(2);
        grace.rest(1);
        let waiting = grace.enter().unwrap();
        assert!(grace.passed(&waiting, 0));
        assert!(grace.begin_turn(1));
    }
}
