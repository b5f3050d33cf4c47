//! Shards that are lent: how a script that holds all of them runs without a message per command.
//!
//! A wide script's transaction asks every other core for its shard once it has begun there (`Work::Lend`). The owner
//! sends it, whole, and waits in place until it is back; the caller runs the script's commands on the lent shards as on
//! its own. Two messages per core and script then, in place of two per command.
//!
//! - A core lends at the end of its turn, so that nothing of the turn is left to do without the shard, and does nothing
//!   while it is away but wait: it puts aside, in order, what else arrives.
//! - A loan lasts [`LOAN_MOST_NS`], or as long as one command: then the caller gives the shard back, so that no core is
//!   stopped by a script that does not end, and SCRIPT KILL is heard. When a command needs the shard, it is lent anew, at
//!   the end of a turn of its owner's, which has little else to do meanwhile: all its keys belong to the transaction.
//! - What commands leave in a shard (notices, invalidations, clients to be served) is seen to by its owner, afterwards.
//! - What is lent serves more than one script: those that this core's clients have sent behind the first follow it within
//!   the same transaction, in a **sitting** that ends with the turn or the loan. So a pipeline of scripts, or many clients
//!   with one each, pay for one transaction together.
//! - While such a transaction is on its way, further scripts of this core's clients do not begin transactions of their own,
//!   but wait for its sitting. So it is over soon, and the other cores can go to sleep (`rest.rs`).
//! - A script of an EXEC borrows shards when it first needs them, and gives them back when no script follows it.
//! - A shard with a log is not lent: its owner vouches for what is in it before a client is answered.
//!
//! INVARIANT (no circle): who waits for its shard waits for a transaction that has begun on every shard, and that needs
//! nothing from another core while it holds loans: a broadcast gives them back first. No second transaction can have begun
//! on all shards meanwhile, and who has not begun everywhere waits for nothing in place.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::Stall;
use super::core::Core;
use super::observe::Caller;
use super::rest::Patience;
use super::scripts::ScriptCall;
use crate::commands::context::ClientView;
use crate::commands::{Part, RowId};
use crate::resp::{Argv, Output};
use crate::runtime::face::{ConnId, NetIo};
use crate::runtime::mesh::Received;
use crate::shard::memory::MemoryBoard;
use crate::shard::{Effect, Shard};
use crate::sys::clock;
use crate::tx::message::{Loan, Token, TxMessage, TxRef, Work};
use crate::tx::multi::Plan;
use crate::types::ShardId;

/// How much time a core takes for scripts while it has the shards of others.
const LOAN_MOST_NS: u64 = 2_000_000;

/// A core whose shard is away looks for it this often, should nobody wake it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Shards lent to a core and by it.
#[derive(Default)]
pub struct Loans {
    /// Here beside this core's own.
    pub(super) taken: Vec<Taken>,
    /// Their shards are on their way back.
    lenders: Vec<std::thread::Thread>,
    since_cycles: u64,
    /// Looked at when half of the time is over: it costs a system call.
    since_cpu_ns: Option<u64>,
    /// The transaction whose loan serves further scripts, and its place at the coordinator.
    sitting: Option<(u32, TxRef)>,
    /// Scripts of this core that have begun as transactions and have not run.
    pub(super) coming: usize,
    /// Clients whose scripts wait for the first of those, to run within its transaction.
    pub(super) behind: Vec<ConnId>,
    /// Clients whose scripts wait for other cores to rest, and for how long.
    pub(super) patient: Vec<ConnId>,
    pub(super) patience: Patience,
    /// What commands on shards of others have told of, and nobody has heard.
    pub(super) noticed: Vec<Effect>,
    /// Nobody lends anything to this transaction.
    refused: Option<TxRef>,
    /// Whom this core lends its shard at the end of the turn.
    pub(super) asked: Option<(ShardId, TxRef)>,
    /// An empty shard, in the place of one that is away.
    hollow: Option<Box<Shard>>,
    /// This core's shard rests in its seat.
    pub(super) is_left: bool,
    /// A fault that the simulation plants to prove that it would be found: what is under way is not looked for.
    #[doc(hidden)]
    pub ignores_mail: bool,
    /// How often this core has run something on shards at rest, and how many clients have come from other cores.
    pub ran_at_rest: u64,
    pub moved_in: u64,
    /// What runs on shards that rest has become a transaction (`rest.rs`).
    pub(super) entered: bool,
}

/// A shard of another core that is here.
pub(super) struct Taken {
    pub owner: ShardId,
    pub shard: Box<Shard>,
    /// Who sleeps until it is back; nobody when it was taken from its seat.
    pub lender: Option<std::thread::Thread>,
}

impl Loans {
    /// Takes what was lent. All that a script does happens at one time, the caller's.
    pub fn take_in(&mut self, lent: Vec<(ShardId, Box<Loan>)>, now_ms: u64) {
        debug_assert!(self.taken.is_empty(), "one script at a time holds shards");
        for (owner, loan) in lent {
            let Loan { shard, lender } = *loan;
            self.taken.push(Taken { owner, shard, lender: Some(lender) });
        }
        self.begin(now_ms);
    }

    /// Shards are here from now on.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.taken.iter_mut().for_each(|taken| taken.shard.now_ms = now_ms);
        self.since_cycles = clock::cycles();
        self.since_cpu_ns = None;
    }

    pub(super) fn take_hollow(&mut self) -> Option<Box<Shard>> {
        self.hollow.take()
    }

    pub(super) fn keep_hollow(&mut self, hollow: Box<Shard>) {
        self.hollow = Some(hollow);
    }

    /// Is anything lent to this core?
    pub fn are_there(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Is the shard of this core here?
    pub fn has(&self, owner: ShardId) -> bool {
        self.taken.iter().any(|taken| taken.owner == owner)
    }

    /// Puts a lent shard in the place of the core's own, or back. False when it is not here.
    pub fn swap(&mut self, owner: ShardId, place: &mut Box<Shard>) -> bool {
        let found = self.taken.iter_mut().find(|taken| taken.owner == owner);
        found.map(|taken| std::mem::swap(&mut taken.shard, place)).is_some()
    }

    /// The shards given back have left.
    #[inline]
    pub(super) fn wake_lenders(&mut self) {
        self.lenders.drain(..).for_each(|lender| lender.unpark());
    }

    /// Has this core had others' shards for long enough?
    pub fn are_overdue(&mut self) -> bool {
        const HALF_NS: u64 = LOAN_MOST_NS / 2;
        let spent_cycles = clock::cycles().wrapping_sub(self.since_cycles);
        if self.taken.is_empty() || spent_cycles < clock::cycles_of_ns(HALF_NS) {
            return false;
        }
        // This clock stands still while others have this processor, but costs a system call. So the first half is
        // measured by the other one.
        let now_ns = clock::thread_cpu_ns();
        now_ns.wrapping_sub(*self.since_cpu_ns.get_or_insert(now_ns)) > HALF_NS
    }
}

impl Core {
    /// Gives back what was lent to this core. It leaves with the next batches.
    pub(super) fn give_back(&mut self, tx: TxRef) {
        if self.loans.taken.first().is_some_and(|taken| taken.lender.is_none()) {
            return self.enter_seats(tx);
        }
        for Taken { owner, shard, lender } in std::mem::take(&mut self.loans.taken) {
            shard.publish_keys();
            self.batch_to(owner).tx.push(TxMessage::Back { tx, shard });
            self.loans.lenders.extend(lender);
        }
    }

    /// Has the other cores lend their shards to a transaction that has begun on all of them, unless they are here. `None`
    /// when the server stops.
    pub(super) fn borrow_all(&mut self, io: &mut dyn NetIo, tx: TxRef, client: ClientView) -> Option<()> {
        if self.loans.are_there() || self.shard.log.is_some() || self.loans.refused == Some(tx) {
            return Some(());
        }
        let me = self.me;
        let others = (0..self.shared.shards).map(|core| ShardId(core as u16)).filter(|core| *core != me);
        let mut missing = 0;
        for to in others {
            let message = TxMessage::Run { tx, client, work: Work::Lend, conclude: false };
            self.batch_to(to).tx.push(message);
            missing += 1;
        }
        self.flush(io);
        let mut lent = Vec::new();
        while missing > 0 {
            let (owner, part) = self.await_part(tx)?;
            if let Part::Lent(loan) = part {
                lent.push((owner, loan.downcast().expect("what is lent is a shard")));
            }
            missing -= 1;
        }
        if lent.is_empty() {
            self.loans.refused = Some(tx);
        }
        self.loans.take_in(lent, self.shard.now_ms);
        Some(())
    }

    /// A wide script has run and there is time left: answers its client, who goes on in this turn.
    pub(super) fn begin_sitting(&mut self, slot: u32, token: Token, reply: &mut Output) {
        let (tx, _) = self.coordinator.reference(slot);
        self.loans.sitting = Some((slot, tx));
        let Plan::Script(script) = self.coordinator.program(slot) else {
            unreachable!("only scripts are lent shards")
        };
        script.caller_answered();
        let conn = ConnId { index: token.index, generation: token.generation };
        if let Some(client) = self.clients.get(conn) {
            client.stall = Stall::None;
            self.deliver(token, reply);
            self.ready.push_back(conn);
        }
    }

    /// Must a script that needs all shards wait for another's transaction?
    pub(super) fn waits_for_sitting(&mut self) -> bool {
        self.loans.coming > 0 && !self.may_join_sitting()
    }

    fn may_join_sitting(&mut self) -> bool {
        self.loans.sitting.is_some() && self.loans.are_there() && !self.loans.are_overdue()
    }

    /// Who waited for a script of this core tries again.
    pub(super) fn script_has_come(&mut self) {
        self.loans.coming -= 1;
        self.ready.extend(self.loans.behind.drain(..));
    }

    /// Runs a script that needs all shards at once, if they are here. The client awaits nothing else.
    pub(super) fn join_sitting(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        argv: Argv<'_>,
    ) -> bool {
        let Some((_, tx)) = self.loans.sitting.filter(|_| self.may_join_sitting()) else { return false };
        let client = self.clients.at(conn.index);
        let call = ScriptCall { row, db: client.db, view: client.view(), caller: Caller::Here(conn), argv };
        let mut out = Output::default();
        self.run_script_holding(io, call, tx, &mut out);
        if let Some(client) = self.clients.get(conn) {
            client.output().append(&mut out);
        }
        true
    }

    /// The end of a sitting: the shards go back, the transaction is over.
    pub(super) fn end_sitting(&mut self, io: &mut dyn NetIo) {
        if let Some((slot, tx)) = self.loans.sitting.take() {
            self.give_back(tx);
            self.resume_transaction(io, slot);
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
        let loan = Box::new(Loan { shard, lender: std::thread::current() });
        self.post_one(to, TxMessage::Ran { tx, part: Part::Lent(loan) });
        self.flush(io);
        if let Some(shard) = self.await_shard(tx) {
            self.loans.hollow = Some(std::mem::replace(&mut self.shard, shard));
        }
        true
    }

    /// It counts for nothing, also in memory.
    #[cold]
    pub(super) fn hollow_shard(&self) -> Box<Shard> {
        let board = MemoryBoard::new(self.shared.shards);
        Box::new(Shard::new(self.me, 1, self.shard.hasher.clone(), 0, board))
    }

    /// `None` when the process stops: nothing is asked of a shard any more, and its borrower may have ended.
    fn await_shard(&mut self, tx: TxRef) -> Option<Box<Shard>> {
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
                        return Some(shard);
                    }
                }
                // Asleep, and not in a queue behind all who have something to do: who is woken goes first. The bell is
                // rung after the batch is sent; the time is for a bell that rang before.
                Received::Unpublished | Received::Empty => {
                    if self.shared.stop.load(Ordering::Relaxed) {
                        return None;
                    }
                    std::thread::park_timeout(LOOK_EVERY);
                }
            }
        }
    }
}
