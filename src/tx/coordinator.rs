//! The coordinator: the transactions that were begun on this core.
//!
//! A transaction enters (and perhaps waits for the grace period, `grace.rs`), is scheduled on all its shards, runs its
//! stages one after the other, each a parallel hop to the shards that take part, and concludes. Nothing here
//! waits: every answer that arrives moves a transaction one step on, and the step says what to send.
//!
//! INVARIANT: a transaction sends `Run` only when every shard has accepted its number, and a new stage only when
//! every shard of the last one has answered. After its first `Run` it is never withdrawn.
//!
//! INVARIANT (log): what a transaction did is in the log of one shard only when every other shard where it may have done
//! something has begun it, or is about to be told to and nothing there stands before it. Whoever writes the file keeps a
//! shard's log back from such a part on until the other parts are there, and with the log the replies of everybody: so
//! with a log a transaction first **arrives** where it met a conflict (a hop that does nothing), which may take as long as
//! a command that goes on in slices, and only then does its first work. It waits for lower numbers only, as its first
//! work would, and holds the same intents meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use super::grace::{Grace, Waiting};
use super::intents::IntentSet;
use super::message::{Addressed, Place, Token, TxMessage, TxRef, WatchedKey, Work};
use super::queue::TxId;
use crate::commands::Part;
use crate::commands::context::ClientView;
use crate::types::ShardId;

/// What a transaction asks of one shard before it runs.
#[derive(Default)]
pub struct Claim {
    pub intents: IntentSet,
    pub watched: Vec<WatchedKey>,
}

/// One hop: what each shard that takes part does.
pub struct Stage {
    pub works: Vec<(ShardId, Work)>,
    /// Nothing follows: shards release the transaction after this.
    pub last: bool,
}

/// What a program wants next.
pub enum Next {
    /// Run this on the shards, then come back.
    Stage(Stage),
    /// The caller must do something on this core first, then call [`Coordinator::resume`].
    Caller,
    /// The reply is complete.
    Done,
}

/// A program of a transaction: EXEC's list, or a single command's stages.
pub trait Program {
    /// Takes the parts of the last stage (empty at first) and says what comes next. `watched_unchanged` is false
    /// when a watched key has changed: then nothing may run.
    fn next(&mut self, parts: Vec<(ShardId, Part)>) -> Next;
    /// Called instead of the first `next` when a watched key has changed.
    fn watch_failed(&mut self);
    /// Is what it does at shards that may write, so many of them, to be in the log as one? Not if it begins by arriving
    /// everywhere itself.
    fn is_logged_as_one(&self, writers: u16) -> bool;
}

enum Phase {
    /// Until every core knows that transactions are in flight.
    Grace(Option<Waiting>),
    Scheduling,
    /// Until it has begun where it met conflicts.
    Arriving,
    Running,
    /// The caller acts.
    Caller,
    /// The program is through; shards answer when they have released the transaction.
    Concluding,
}

struct Tx<P> {
    token: Token,
    client: ClientView,
    id: TxId,
    claims: Vec<(ShardId, Claim)>,
    phase: Phase,
    waiting: usize,
    refused: bool,
    watched_unchanged: bool,
    /// Shards that accepted the present number.
    accepted: SmallVec<[ShardId; 8]>,
    /// Those of them where something stood before it.
    behind: SmallVec<[ShardId; 8]>,
    parts: Vec<(ShardId, Part)>,
    program: P,
}

impl<P> Tx<P> {
    /// On how many shards it may write.
    fn writers(&self) -> u16 {
        self.claims.iter().filter(|(_, claim)| claim.intents.may_write()).count() as u16
    }

    /// On a shard that holds it still.
    fn may_have_written(&self) -> bool {
        let of = |shard: &ShardId| self.claims.iter().find(|(known, _)| known == shard);
        self.accepted.iter().filter_map(of).any(|(_, claim)| claim.intents.may_write())
    }
}

/// What the caller gets to do.
pub enum Event<P> {
    /// The program of this transaction asks for the caller.
    Caller { slot: u32, token: Token },
    /// Finished.
    Done { token: Token, program: P },
}

/// The transactions of one core, running programs `P`.
pub struct Coordinator<P> {
    me: usize,
    counter: Arc<AtomicU64>,
    grace: Arc<Grace>,
    txs: Vec<Option<Tx<P>>>,
    free: Vec<u32>,
    /// In the order they were begun; those that wait for their grace period.
    entering: VecDeque<u32>,
    /// Entered the mode of transactions: one entry for the whole core, kept a little longer than needed.
    entered: bool,
    /// Turns without a transaction since the last.
    idle_since_ns: Option<u64>,
    running: usize,
    /// There is a log. A transaction does its first work when nothing stands before it any more (see the invariant on
    /// the log), and is over only when the shards where it may have written have released it: what it did is then in their
    /// logs, and whoever hears of it can be made to wait for them.
    pub has_log: bool,
    /// Withdrawn and begun anew, in total.
    pub retries: u64,
    /// Concluded, in total.
    pub concluded: u64,
}

/// How long a core keeps the mode of transactions after its last one, so that a stream of them does not pay for a
/// grace period each.
const LINGER_NS: u64 = 2_000_000;

impl<P: Program> Coordinator<P> {
    /// For core `me`. The counter is the process's.
    pub fn new(me: usize, counter: Arc<AtomicU64>, grace: Arc<Grace>) -> Coordinator<P> {
        Coordinator {
            me,
            counter,
            grace,
            txs: Vec::new(),
            free: Vec::new(),
            entering: VecDeque::new(),
            entered: false,
            idle_since_ns: None,
            running: 0,
            has_log: false,
            retries: 0,
            concluded: 0,
        }
    }

    /// Begins a transaction. It makes its first step at the next [`Coordinator::step`].
    pub fn begin(&mut self, token: Token, client: ClientView, claims: Vec<(ShardId, Claim)>, program: P) {
        assert!(!claims.is_empty(), "a transaction has at least one shard");
        let slot = self.free.pop().unwrap_or_else(|| {
            self.txs.push(None);
            (self.txs.len() - 1) as u32
        });
        let mut waiting = None;
        if !self.entered {
            waiting = self.grace.enter();
            self.entered = true;
        } else if let Some(last) = self.entering.back() {
            // Behind one that waits: wait as long.
            if let Some(Tx { phase: Phase::Grace(Some(same)), .. }) = &self.txs[*last as usize] {
                waiting = Some(same.clone());
            }
        }
        self.idle_since_ns = None;
        self.running += 1;
        self.txs[slot as usize] = Some(Tx {
            token,
            client,
            id: TxId(0),
            claims,
            phase: Phase::Grace(waiting),
            waiting: 0,
            refused: false,
            watched_unchanged: true,
            accepted: SmallVec::new(),
            behind: SmallVec::new(),
            parts: Vec::new(),
            program,
        });
        self.entering.push_back(slot);
    }

    /// Something has begun on all shards that never was scheduled, while all other cores rest: from here on all cores
    /// know that transactions are in flight.
    pub fn enter_at_once(&mut self) {
        if !self.entered
            && let Some(waiting) = self.grace.enter()
        {
            let over = self.grace.passed(&waiting, self.me);
            debug_assert!(over, "nobody else is in a turn");
        }
        self.entered = true;
        self.idle_since_ns = None;
    }

    /// True while transactions wait for other cores' turns: the caller should turn again soon.
    pub fn is_entering(&self) -> bool {
        !self.entering.is_empty()
    }

    /// Transactions in flight on this core.
    pub fn running(&self) -> usize {
        self.running
    }

    /// When [`Coordinator::step`] must be called although nothing happens (monotonic ns).
    pub fn deadline_ns(&self) -> Option<u64> {
        self.idle_since_ns.map(|since| since + LINGER_NS)
    }

    /// Called between turns, after this core's batches were published: schedules what may begin.
    pub fn step(&mut self, now_ns: u64, out: &mut Vec<Addressed>) {
        while let Some(&slot) = self.entering.front() {
            let tx = self.txs[slot as usize].as_mut().expect("entering transactions exist");
            let Phase::Grace(waiting) = &tx.phase else {
                unreachable!("entering transactions wait for grace")
            };
            if waiting.as_ref().is_some_and(|waiting| !self.grace.passed(waiting, self.me)) {
                break;
            }
            self.entering.pop_front();
            schedule(slot, tx, &self.counter, out);
        }
        if self.entered && self.running == 0 {
            let since = *self.idle_since_ns.get_or_insert(now_ns);
            if now_ns >= since + LINGER_NS {
                self.grace.leave();
                self.entered = false;
                self.idle_since_ns = None;
            }
        }
    }

    /// A shard's answer to `Schedule`.
    pub fn scheduled(
        &mut self,
        from: ShardId,
        tx: TxRef,
        place: Option<Place>,
        unchanged: bool,
        out: &mut Vec<Addressed>,
    ) -> Option<Event<P>> {
        let (slot, counter, has_log) = (tx.slot, self.counter.clone(), self.has_log);
        let tx = self.current(tx);
        tx.waiting -= 1;
        tx.watched_unchanged &= unchanged;
        match place {
            Some(Place::Free) => tx.accepted.push(from),
            Some(Place::Behind) => {
                tx.accepted.push(from);
                tx.behind.push(from);
            }
            None => tx.refused = true,
        }
        if tx.waiting > 0 {
            return None;
        }
        let id = tx.id;
        let withdraw = |tx: &mut Tx<P>, out: &mut Vec<Addressed>| {
            for to in tx.accepted.drain(..) {
                let tx = TxRef { slot, id };
                out.push(Addressed { to, message: TxMessage::Release { tx, withdrawn: true } });
            }
        };
        if !tx.watched_unchanged {
            withdraw(tx, out);
            tx.program.watch_failed();
            return Some(self.conclude(slot));
        }
        if tx.refused {
            withdraw(tx, out);
            schedule(slot, tx, &counter, out);
            self.retries += 1;
            return None;
        }
        if has_log && !tx.behind.is_empty() && tx.program.is_logged_as_one(tx.writers()) {
            tx.phase = Phase::Arriving;
            tx.waiting = tx.behind.len();
            let (reference, client) = (TxRef { slot, id }, tx.client);
            for to in tx.behind.drain(..) {
                let (work, conclude) = (Work::Nothing, false);
                out.push(Addressed { to, message: TxMessage::Run { tx: reference, client, work, conclude } });
            }
            return None;
        }
        tx.phase = Phase::Running;
        self.advance(slot, out)
    }

    /// A shard's answer to `Run`.
    pub fn ran(
        &mut self,
        from: ShardId,
        tx: TxRef,
        part: Part,
        out: &mut Vec<Addressed>,
    ) -> Option<Event<P>> {
        let slot = tx.slot;
        let tx = self.current(tx);
        tx.waiting -= 1;
        tx.parts.push((from, part));
        match tx.phase {
            _ if tx.waiting > 0 => None,
            Phase::Concluding => Some(self.conclude(slot)),
            Phase::Arriving => {
                // Nothing was done yet.
                tx.parts.clear();
                self.advance(slot, out)
            }
            _ => self.advance(slot, out),
        }
    }

    /// The program of a transaction that asked for the caller.
    pub fn program(&mut self, slot: u32) -> &mut P {
        &mut self.txs[slot as usize].as_mut().expect("the caller's transactions exist").program
    }

    /// How shards know a transaction in flight, and its client.
    pub fn reference(&self, slot: u32) -> (TxRef, ClientView) {
        let tx = self.txs[slot as usize].as_ref().expect("the caller's transactions exist");
        (TxRef { slot, id: tx.id }, tx.client)
    }

    /// The client as the caller's step left it: HELLO changes how the replies that follow are written.
    pub fn see_client(&mut self, slot: u32, client: ClientView) {
        self.txs[slot as usize].as_mut().expect("the caller's transactions exist").client = client;
    }

    /// Goes on after the caller has acted.
    pub fn resume(&mut self, slot: u32, out: &mut Vec<Addressed>) -> Option<Event<P>> {
        self.advance(slot, out)
    }

    fn current(&mut self, tx: TxRef) -> &mut Tx<P> {
        let found = self.txs[tx.slot as usize].as_mut().expect("answers come to transactions in flight");
        assert_eq!(found.id, tx.id, "every number is answered before the next one is drawn");
        found
    }

    fn advance(&mut self, slot: u32, out: &mut Vec<Addressed>) -> Option<Event<P>> {
        let tx = self.txs[slot as usize].as_mut().expect("advancing transactions exist");
        let mut parts = std::mem::take(&mut tx.parts);
        // Shards answer in any order; programs see them in theirs.
        parts.sort_by_key(|(shard, _)| *shard);
        let reference = TxRef { slot, id: tx.id };
        match tx.program.next(parts) {
            Next::Stage(stage) => {
                assert!(!stage.works.is_empty(), "a stage has work");
                tx.phase = Phase::Running;
                tx.waiting = stage.works.len();
                if stage.last {
                    let busy = |shard: &ShardId| stage.works.iter().any(|(to, _)| to == shard);
                    for to in tx.accepted.drain(..).filter(|shard| !busy(shard)) {
                        out.push(Addressed {
                            to,
                            message: TxMessage::Release { tx: reference, withdrawn: false },
                        });
                    }
                }
                let client = tx.client;
                for (to, work) in stage.works {
                    let message = TxMessage::Run { tx: reference, client, work, conclude: stage.last };
                    out.push(Addressed { to, message });
                }
                None
            }
            Next::Caller => {
                tx.phase = Phase::Caller;
                Some(Event::Caller { slot, token: tx.token })
            }
            Next::Done if self.has_log && tx.may_have_written() => {
                tx.phase = Phase::Concluding;
                tx.waiting = tx.accepted.len();
                let client = tx.client;
                for to in tx.accepted.drain(..) {
                    let work = Work::Nothing;
                    let message = TxMessage::Run { tx: reference, client, work, conclude: true };
                    out.push(Addressed { to, message });
                }
                None
            }
            Next::Done => {
                for to in tx.accepted.drain(..) {
                    out.push(Addressed {
                        to,
                        message: TxMessage::Release { tx: reference, withdrawn: false },
                    });
                }
                Some(self.conclude(slot))
            }
        }
    }

    fn conclude(&mut self, slot: u32) -> Event<P> {
        let tx = self.txs[slot as usize].take().expect("concluding transactions exist");
        self.free.push(slot);
        self.running -= 1;
        self.concluded += 1;
        Event::Done { token: tx.token, program: tx.program }
    }
}

/// Draws a number and asks every shard. The number is drawn last, so that little time passes before it arrives.
fn schedule<P>(slot: u32, tx: &mut Tx<P>, counter: &AtomicU64, out: &mut Vec<Addressed>) {
    tx.id = TxId(counter.fetch_add(1, Ordering::Relaxed) + 1);
    tx.phase = Phase::Scheduling;
    tx.refused = false;
    tx.behind.clear();
    tx.watched_unchanged = true;
    tx.waiting = tx.claims.len();
    let reference = TxRef { slot, id: tx.id };
    let writers = tx.writers();
    for (to, claim) in &tx.claims {
        let (intents, watched) = (claim.intents.clone(), claim.watched.clone());
        let message = TxMessage::Schedule { tx: reference, client: tx.client, intents, writers, watched };
        out.push(Addressed { to: *to, message });
    }
}
