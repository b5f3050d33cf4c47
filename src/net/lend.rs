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
//! - What is lent serves more than one script: those that this core's clients have sent behind the first follow it within
//!   the same transaction, in a **sitting** that ends with the turn or the loan. So a pipeline of scripts, or many clients
//!   with one each, pay for one transaction together.
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
use super::scripts::ScriptCall;
use crate::commands::{Part, RowId};
use crate::resp::{Argv, Output};
use crate::runtime::face::{ConnId, NetIo};
use crate::runtime::mesh::Received;
use crate::shard::Shard;
use crate::shard::memory::MemoryBoard;
use crate::sys::clock;
use crate::tx::message::{Loan, Token, TxMessage, TxRef};
use crate::tx::multi::Plan;
use crate::types::ShardId;

/// How much time a core takes for scripts while it has the shards of others.
const LOAN_MOST_NS: u64 = 2_000_000;

/// A core whose shard is away looks for it this often, should nobody wake it.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Shards lent to a core and by it.
#[derive(Default)]
pub struct Loans {
    /// Lent to this core, with their owners.
    taken: Vec<(ShardId, Box<Loan>)>,
    /// Their shards are on their way back.
    lenders: Vec<std::thread::Thread>,
    since_cycles: u64,
    since_cpu_ns: u64,
    /// The transaction whose loan serves further scripts, and its place at the coordinator.
    sitting: Option<(u32, TxRef)>,
    /// Whom this core lends its shard at the end of the turn.
    pub(super) asked: Option<(ShardId, TxRef)>,
    /// An empty shard, in the place of one that is away.
    hollow: Option<Box<Shard>>,
}

impl Loans {
    /// Takes what was lent. All that a script does happens at one time, the caller's.
    pub fn take_in(&mut self, lent: Vec<(ShardId, Box<Loan>)>, now_ms: u64) {
        debug_assert!(self.taken.is_empty(), "one script at a time holds shards");
        self.taken = lent;
        self.taken.iter_mut().for_each(|(_, loan)| loan.shard.now_ms = now_ms);
        self.since_cycles = clock::cycles();
        self.since_cpu_ns = clock::thread_cpu_ns();
    }

    /// Is anything lent to this core?
    pub fn are_there(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Is the shard of this core here?
    pub fn has(&self, owner: ShardId) -> bool {
        self.taken.iter().any(|(of, _)| *of == owner)
    }

    /// Puts a lent shard in the place of the core's own, or back. False when it is not here.
    pub fn swap(&mut self, owner: ShardId, place: &mut Box<Shard>) -> bool {
        let found = self.taken.iter_mut().find(|(of, _)| *of == owner);
        found.map(|(_, loan)| std::mem::swap(&mut loan.shard, place)).is_some()
    }

    /// The shards given back have left.
    #[inline]
    pub(super) fn wake_lenders(&mut self) {
        self.lenders.drain(..).for_each(|lender| lender.unpark());
    }

    /// Has this core had others' shards for long enough?
    pub fn are_overdue(&self) -> bool {
        // The second clock stands still while others have this processor, but costs a system call.
        !self.taken.is_empty()
            && clock::cycles().wrapping_sub(self.since_cycles) > clock::cycles_of_ns(LOAN_MOST_NS)
            && clock::thread_cpu_ns().wrapping_sub(self.since_cpu_ns) > LOAN_MOST_NS
    }
}

impl Core {
    /// Gives back what was lent to this core. It leaves with the next batches.
    pub(super) fn give_back(&mut self, tx: TxRef) {
        for (owner, loan) in std::mem::take(&mut self.loans.taken) {
            let Loan { shard, lender } = *loan;
            shard.publish_keys();
            self.batch_to(owner).tx.push(TxMessage::Back { tx, shard });
            self.loans.lenders.push(lender);
        }
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

    /// Runs a script that needs all shards at once, if they are here. The client awaits nothing else.
    pub(super) fn join_sitting(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        argv: Argv<'_>,
    ) -> bool {
        let Some((_, tx)) = self.loans.sitting else { return false };
        if !self.loans.are_there() || self.loans.are_overdue() {
            return false;
        }
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
    fn hollow_shard(&self) -> Box<Shard> {
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
