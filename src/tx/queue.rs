//! A shard's transaction queue: VLL (Ren, Thomson, Abadi, VLDB 2013), the shard's side.
//!
//! Every transaction that spans shards has a number from one global counter. It is *scheduled* on all its shards in
//! one hop, which registers its intents and puts it into each queue by number; when all have accepted, its hops run.
//! A shard runs a transaction when it heads the queue, or when it was *granted* at scheduling: nothing registered
//! conflicted with it.
//!
//! INVARIANT (order): two transactions that conflict run in the order of their numbers on every shard they share.
//! A shard refuses to schedule a number that is not above the highest it has begun, and one that conflicts with a
//! higher number already scheduled (which may have been granted and could run any time). A refused transaction
//! is withdrawn everywhere and tries again with a fresh number.
//!
//! INVARIANT (progress): the head of a queue waits only for its coordinator, and the coordinator only for
//! accept-or-refuse answers. Every shard gives them at once, except to a transaction with watched keys that met a
//! conflict: that one is answered when it may run, because only then is it certain what the watched keys have become.
//! It waits for lower numbers only, as everything in a queue does. So nothing waits in a circle.
//!
//! A command for this shard alone runs at once unless an intent conflicts. Then it joins the queue as a
//! transaction of one shard with a fresh number, its intents registered, so that whatever comes later and
//! conflicts with it waits behind it.
//!
//! Work may go on for long (a command that runs in slices, [`Queue::goes_on`]). While such work is there, the head of the
//! queue says nothing about the rest, so whatever conflicts with nothing before it may overtake
//! ([`Queue::take_overtaking`]), unless it stands behind an earlier command of its own connection.

use std::collections::BTreeMap;

use super::intents::{IntentSet, Intents};
use crate::types::ShardId;

/// A transaction's number: its place in the order of all transactions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TxId(pub u64);

struct Entry<W> {
    origin: ShardId,
    intents: IntentSet,
    /// On how many shards it may write.
    writers: u16,
    granted: bool,
    /// May be granted later, when what it conflicted with is gone.
    may_overtake: bool,
    goes_on: bool,
    /// Work that arrived and waits for the transaction's place in the queue.
    armed: Option<Armed<W>>,
}

/// Work for a transaction; `conclude` says that it is the last.
#[derive(Debug, PartialEq, Eq)]
pub struct Armed<W> {
    pub work: W,
    pub conclude: bool,
}

/// Work whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Runnable<W> {
    pub tx: TxId,
    pub origin: ShardId,
    pub work: W,
    pub conclude: bool,
}

/// The queue of one shard over units of work `W`.
pub struct Queue<W> {
    intents: Intents,
    entries: BTreeMap<TxId, Entry<W>>,
    begun: TxId,
    /// How many of the entries go on for long.
    going_on: usize,
    /// How far somebody who may overtake was looked for, while entries go on for long.
    look: Option<Look>,
}

/// A look over the entries in their order. It goes on where it stopped, or each look over a long queue would be as long.
struct Look {
    /// What the entries before `next` intend, but for those that ended and `taken`.
    before: Intents,
    next: TxId,
    /// Was taken where the look stopped, and will probably be gone when it goes on.
    taken: Option<TxId>,
}

impl<W> Default for Queue<W> {
    fn default() -> Queue<W> {
        let (intents, entries) = (Intents::default(), BTreeMap::new());
        Queue { intents, entries, begun: TxId(0), going_on: 0, look: None }
    }
}

impl<W> Queue<W> {
    /// True when nothing is scheduled: every command may run at once. The one test of the common case.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many transactions wait or run here.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nothing is scheduled.
    pub fn is_empty(&self) -> bool {
        self.is_idle()
    }

    /// Must a command with these intents wait?
    pub fn conflict(&self, intents: &IntentSet) -> bool {
        self.intents.conflict(intents)
    }

    /// Schedules a transaction, or refuses it (see the invariant on order).
    #[must_use]
    pub fn schedule(&mut self, tx: TxId, origin: ShardId, intents: IntentSet, writers: u16) -> bool {
        if tx <= self.begun {
            return false;
        }
        let conflicts = self.intents.conflict(&intents);
        let is_last = self.entries.last_key_value().is_none_or(|(last, _)| *last < tx);
        if conflicts && !is_last {
            return false;
        }
        self.intents.add(&intents);
        let entry = Entry {
            origin,
            intents,
            writers,
            granted: !conflicts,
            may_overtake: true,
            goes_on: false,
            armed: None,
        };
        let fresh = self.entries.insert(tx, entry);
        assert!(fresh.is_none(), "transaction numbers are unique");
        if self.look.as_ref().is_some_and(|look| tx < look.next) {
            self.look = None;
        }
        true
    }

    /// Does nothing that is scheduled here come before this transaction and conflict with it?
    pub fn is_granted(&self, tx: TxId) -> bool {
        self.entries.get(&tx).is_some_and(|entry| entry.granted)
    }

    /// Schedules work of this shard alone behind everything that is here: it runs when it heads the queue. The number
    /// must be fresh. With `may_overtake` it may run before that, once nothing before it conflicts.
    pub fn schedule_behind(
        &mut self,
        tx: TxId,
        origin: ShardId,
        intents: IntentSet,
        may_overtake: bool,
        armed: Armed<W>,
    ) {
        assert!(self.entries.last_key_value().is_none_or(|(last, _)| *last < tx), "the number is fresh");
        self.intents.add(&intents);
        let armed = Some(armed);
        let entry =
            Entry { origin, intents, writers: 0, granted: false, may_overtake, goes_on: false, armed };
        self.entries.insert(tx, entry);
    }

    /// Enters a command that began at once, because nothing conflicted, and that goes on. The number must be fresh.
    pub fn enter_begun(&mut self, tx: TxId, origin: ShardId, intents: IntentSet) {
        assert!(self.entries.last_key_value().is_none_or(|(last, _)| *last < tx), "the number is fresh");
        self.intents.add(&intents);
        let (may_overtake, goes_on) = (false, false);
        let entry = Entry { origin, intents, writers: 0, granted: true, may_overtake, goes_on, armed: None };
        self.entries.insert(tx, entry);
        self.begun = self.begun.max(tx);
        self.goes_on(tx);
    }

    /// Enters a transaction that has begun here, while nothing else was scheduled. The number must be fresh.
    pub fn enter_held(&mut self, tx: TxId, origin: ShardId, intents: IntentSet) {
        assert!(self.entries.is_empty(), "what rests has nothing scheduled");
        self.intents.add(&intents);
        let (may_overtake, goes_on) = (false, false);
        let entry = Entry { origin, intents, writers: 0, granted: true, may_overtake, goes_on, armed: None };
        self.entries.insert(tx, entry);
        self.begun = self.begun.max(tx);
    }

    /// What `tx` has begun goes on for long: the rest of the queue does not wait for it without need.
    pub fn goes_on(&mut self, tx: TxId) {
        let entry = self.entries.get_mut(&tx).expect("what has begun is in the queue");
        self.going_on += usize::from(!std::mem::replace(&mut entry.goes_on, true));
    }

    /// Takes work that conflicts with nothing before it, while something goes on for long.
    pub fn take_overtaking(&mut self) -> Option<Runnable<W>> {
        if self.going_on == 0 {
            self.look = None;
            return None;
        }
        let fresh = || Look { before: Intents::default(), next: TxId(0), taken: None };
        let look = self.look.get_or_insert_with(fresh);
        if let Some(entry) = look.taken.take().and_then(|tx| self.entries.get(&tx)) {
            look.before.add(&entry.intents);
        }
        for (tx, entry) in self.entries.range_mut(look.next..) {
            look.next = TxId(tx.0 + 1);
            entry.granted |= entry.may_overtake && !look.before.conflict(&entry.intents);
            if entry.granted && entry.armed.is_some() {
                look.taken = Some(*tx);
                break;
            }
            look.before.add(&entry.intents);
        }
        let ready = look.taken?;
        self.take_if_ready(ready)
    }

    /// Gives a scheduled transaction its next work.
    pub fn arm(&mut self, tx: TxId, work: W, conclude: bool) {
        let entry = self.entries.get_mut(&tx).expect("only scheduled transactions are armed");
        assert!(entry.armed.is_none(), "a transaction has one hop at a time");
        entry.armed = Some(Armed { work, conclude });
    }

    /// Takes the work of `tx` if it may run now.
    pub fn take_if_ready(&mut self, tx: TxId) -> Option<Runnable<W>> {
        let is_head = self.entries.first_key_value().is_some_and(|(head, _)| *head == tx);
        let entry = self.entries.get_mut(&tx)?;
        if !(is_head || entry.granted) {
            return None;
        }
        let armed = entry.armed.take()?;
        // Having begun it keeps its grant until it concludes: what conflicts was registered after it.
        entry.granted = true;
        let origin = entry.origin;
        self.begun = self.begun.max(tx);
        Some(Runnable { tx, origin, work: armed.work, conclude: armed.conclude })
    }

    /// Takes the work at the head of the queue if it has arrived. Ask again after every conclusion.
    pub fn take_head(&mut self) -> Option<Runnable<W>> {
        let head = *self.entries.first_key_value()?.0;
        self.take_if_ready(head)
    }

    /// Removes what waits here with such work and has not begun.
    pub fn drop_waiting(&mut self, is_unwanted: impl Fn(ShardId, &W) -> bool) -> Vec<Runnable<W>> {
        let unwanted = |(tx, entry): (&TxId, &mut Entry<W>)| {
            let origin = entry.origin;
            let armed = entry.armed.take_if(|armed| is_unwanted(origin, &armed.work))?;
            Some(Runnable { tx: *tx, origin, work: armed.work, conclude: armed.conclude })
        };
        let dropped: Vec<_> = self.entries.iter_mut().filter_map(unwanted).collect();
        for runnable in &dropped {
            self.release(runnable.tx);
        }
        dropped
    }

    /// Removes a transaction that has concluded or is withdrawn. Unknown numbers are ignored: this shard refused it.
    /// If it might have written here, the number of shards where it might.
    pub fn release(&mut self, tx: TxId) -> Option<u16> {
        let entry = self.entries.remove(&tx)?;
        self.intents.remove(&entry.intents);
        self.going_on -= usize::from(entry.goes_on);
        if let Some(look) = &mut self.look {
            if look.taken == Some(tx) {
                look.taken = None;
            } else if tx < look.next {
                // Whoever stood behind it may be free now.
                self.look = None;
            }
        }
        (entry.writers > 0 && entry.intents.may_write()).then_some(entry.writers)
    }
}

#[cfg(test)]
mod tests {
    use super::super::intents::Mode;
    use super::*;

    fn on(keys: &[u64]) -> IntentSet {
        let mut set = IntentSet::default();
        keys.iter().for_each(|&key| set.add(key, Mode::Exclusive));
        set
    }

    const ME: ShardId = ShardId(0);

    #[test]
    fn a_granted_transaction_overtakes_and_a_conflicting_one_waits() {
        let mut queue = Queue::default();
        assert!(queue.schedule(TxId(1), ME, on(&[1]), 1));
        assert!(queue.schedule(TxId(2), ME, on(&[1]), 1));
        assert!(queue.schedule(TxId(3), ME, on(&[3]), 1));
        queue.arm(TxId(3), "c", true);
        queue.arm(TxId(2), "b", true);
        assert_eq!(queue.take_if_ready(TxId(2)), None);
        assert_eq!(queue.take_if_ready(TxId(3)).unwrap().work, "c");
        queue.release(TxId(3));
        assert_eq!(queue.take_head(), None, "the head has no work yet");
        queue.arm(TxId(1), "a", true);
        assert_eq!(queue.take_head().unwrap().work, "a");
        queue.release(TxId(1));
        assert_eq!(queue.take_head().unwrap().work, "b");
        queue.release(TxId(2));
        assert!(queue.is_idle());
    }

    #[test]
    fn a_number_below_one_that_has_begun_is_refused() {
        let mut queue: Queue<()> = Queue::default();
        assert!(queue.schedule(TxId(7), ME, on(&[1]), 1));
        queue.arm(TxId(7), (), true);
        assert!(queue.take_head().is_some());
        queue.release(TxId(7));
        assert!(!queue.schedule(TxId(6), ME, on(&[2]), 1));
    }

    #[test]
    fn a_number_below_a_conflicting_one_is_refused_and_below_others_is_not() {
        let mut queue: Queue<()> = Queue::default();
        assert!(queue.schedule(TxId(7), ME, on(&[1]), 1));
        assert!(!queue.schedule(TxId(5), ME, on(&[1]), 1));
        assert!(queue.schedule(TxId(6), ME, on(&[2]), 1));
    }

    #[test]
    fn what_goes_on_holds_back_only_what_conflicts_with_it() {
        let mut queue = Queue::default();
        let armed = |work| Armed { work, conclude: true };
        queue.enter_begun(TxId(1), ME, on(&[1]));
        assert!(queue.schedule(TxId(2), ME, on(&[2]), 1));
        queue.schedule_behind(TxId(3), ME, on(&[2]), true, armed("behind the second"));
        queue.schedule_behind(TxId(4), ME, on(&[1]), true, armed("behind the first"));
        queue.schedule_behind(TxId(5), ME, on(&[1, 3]), true, armed("behind the fourth"));
        queue.schedule_behind(TxId(6), ME, on(&[6]), false, armed("behind its connection's command"));
        assert_eq!(queue.take_head(), None);
        assert_eq!(queue.take_overtaking(), None, "the second has no work yet, and stands before the third");
        queue.arm(TxId(2), "second", true);
        assert_eq!(queue.take_if_ready(TxId(2)).unwrap().work, "second");
        queue.release(TxId(2));
        assert_eq!(queue.take_overtaking().unwrap().work, "behind the second");
        queue.release(TxId(3));
        assert_eq!(queue.take_overtaking(), None);
        queue.release(TxId(1));
        assert_eq!(queue.take_overtaking(), None, "nothing goes on any more");
        let order: Vec<_> = std::iter::from_fn(|| {
            let next = queue.take_head()?;
            queue.release(next.tx);
            Some(next.work)
        })
        .collect();
        assert_eq!(order, ["behind the first", "behind the fourth", "behind its connection's command"]);
    }

    #[test]
    fn a_look_goes_on_where_it_stopped_and_misses_nobody() {
        let mut queue = Queue::default();
        let armed = |work| Armed { work, conclude: true };
        queue.enter_begun(TxId(1), ME, on(&[1]));
        queue.enter_begun(TxId(2), ME, on(&[2]));
        for id in 3..1000 {
            queue.schedule_behind(TxId(id), ME, on(&[2 - id % 2]), true, armed(id));
        }
        assert_eq!(queue.take_overtaking(), None);
        queue.release(TxId(2));
        for id in (4..1000).step_by(2) {
            let next = queue.take_overtaking().unwrap();
            assert_eq!(next.work, id);
            if id == 500 {
                // It goes on, and then ends.
                queue.goes_on(next.tx);
                assert_eq!(queue.take_overtaking(), None);
            }
            queue.release(next.tx);
        }
        assert_eq!(queue.take_overtaking(), None);
        // One that comes with a number from before.
        queue.release(TxId(999));
        assert!(queue.schedule(TxId(1001), ME, on(&[5]), 1));
        queue.schedule_behind(TxId(1003), ME, on(&[5]), true, armed(1003));
        assert_eq!(queue.take_overtaking(), None);
        assert!(queue.schedule(TxId(1002), ME, on(&[7]), 1));
        queue.schedule_behind(TxId(1004), ME, on(&[7]), true, armed(1004));
        assert_eq!(queue.take_overtaking(), None);
        queue.release(TxId(1002));
        assert_eq!(queue.take_overtaking().unwrap().work, 1004);
        queue.release(TxId(1004));
        queue.release(TxId(1));
        assert_eq!(queue.take_head().unwrap().work, 3);
    }

    #[test]
    fn what_nobody_wants_any_more_leaves_and_what_has_begun_does_not() {
        let mut queue = Queue::default();
        queue.enter_begun(TxId(1), ME, on(&[1]));
        for id in 2..6 {
            queue.schedule_behind(TxId(id), ME, on(&[1]), true, Armed { work: id, conclude: true });
        }
        let dropped = queue.drop_waiting(|from, id| from == ME && id % 2 == 0);
        assert_eq!(dropped.iter().map(|one| one.tx).collect::<Vec<_>>(), [TxId(2), TxId(4)]);
        assert_eq!(queue.len(), 3);
        queue.release(TxId(1));
        assert_eq!(queue.take_head().unwrap().work, 3);
        assert!(queue.drop_waiting(|_, _| true).iter().all(|one| one.tx == TxId(5)));
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_transaction_of_several_hops_keeps_its_place() {
        let mut queue = Queue::default();
        assert!(queue.schedule(TxId(1), ME, on(&[1]), 1));
        assert!(queue.schedule(TxId(2), ME, on(&[1]), 1));
        queue.arm(TxId(1), 1, false);
        queue.arm(TxId(2), 2, true);
        assert_eq!(queue.take_head().unwrap().work, 1);
        assert_eq!(queue.take_if_ready(TxId(2)), None);
        queue.arm(TxId(1), 11, true);
        assert_eq!(queue.take_if_ready(TxId(1)).unwrap().work, 11);
        queue.release(TxId(1));
        assert_eq!(queue.take_head().unwrap().work, 2);
    }
}
