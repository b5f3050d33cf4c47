//! Scripts that hold every shard.
//!
//! A wide script runs within a step of its caller. The other cores lend it their shards for a while (`net/lend.rs`), so
//! that its commands run here. Where they do not, its commands for other shards leave as work of its transaction, and the
//! core waits for their answers in place, putting aside, in order, whatever else arrives.
//!
//! INVARIANT (no circle): a wide script begins only when every shard has begun its transaction (an empty hop sees to
//! that), holding it whole and exclusively. So no other transaction is between its first and last hop, no second
//! script waits in place, and every other core turns and takes its mail, which is all that an answer needs: messages
//! of transactions need no credit, sending never waits, and a batch that is sent is published in the same breath. A
//! transaction that waits for its grace period waits for this core's turn and holds nothing meanwhile.

use std::sync::atomic::Ordering;

use super::ScriptCall;
use crate::commands::context::ClientView;
use crate::commands::{Part, RowId};
use crate::net::batch::Batch;
use crate::net::client::Stall;
use crate::net::core::Core;
use crate::net::dispatch::await_token;
use crate::net::observe::Caller;
use crate::resp::{Argv, Output, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::runtime::mesh::Received;
use crate::sys::clock;
use crate::tx::Claim;
use crate::tx::execute::run_work_whole;
use crate::tx::intents::Mode;
use crate::tx::message::{Token, TxCommand, TxMessage, TxRef, Work};
use crate::tx::multi::{Plan, Scripted};
use crate::tx::single::{Single, claim_on};
use crate::types::ShardId;

/// Who waits in place looks so often before it gives up its processor, and then every so often: who is waited for may be
/// in a queue for one.
const YIELDS: usize = 200;
const NAP: std::time::Duration = std::time::Duration::from_micros(20);

impl Core {
    /// Begins a script that holds all shards.
    pub(in crate::net) fn begin_script(&mut self, conn: ConnId, row: RowId, argv: Argv<'_>) {
        self.count_costly_script(conn);
        let client = self.clients.at(conn.index);
        let command = TxCommand { row, db: client.db, request: Request::from(argv).into() };
        let token = await_token(client, self.me);
        self.begin_script_again(token, command);
    }

    /// The same for a client whose reply has its place already.
    pub(in crate::net) fn begin_script_again(&mut self, token: Token, command: TxCommand) {
        let conn = ConnId { index: token.index, generation: token.generation };
        let Some(client) = self.clients.get(conn) else { return };
        client.stall = Stall::Transaction;
        self.loans.coming += 1;
        let view = client.view();
        let mut claims = Vec::new();
        self.claim_everything(&mut claims);
        let plan = Plan::Script(Box::new(Scripted::new(command, self.shared.shards)));
        self.coordinator.begin(token, view, claims, plan);
    }

    /// Waits for something that another core sends: `take` finds it in a batch. Whatever else is in the batch, and all
    /// other batches, are put aside for the next turn, in their order. `None` when the server stops.
    pub(super) fn await_in_place<T>(
        &mut self,
        take: impl Fn(&mut Batch) -> Option<T>,
    ) -> Option<(ShardId, T)> {
        let mut waits = 0;
        loop {
            match self.port.receive() {
                Received::Batch { from, mut body } => {
                    let from = ShardId(from as u16);
                    let taken = take(&mut body);
                    if body.is_empty() {
                        self.recycle(body);
                    } else {
                        self.stashed.push_back((from, body));
                    }
                    if let Some(taken) = taken {
                        return Some((from, taken));
                    }
                }
                // Its owner is awake, or was woken by the flush.
                Received::Unpublished | Received::Empty => {
                    if self.shared.stop.load(Ordering::Relaxed) {
                        return None;
                    }
                    waits += 1;
                    if waits < YIELDS {
                        std::thread::yield_now();
                    } else {
                        std::thread::park_timeout(NAP);
                    }
                }
            }
        }
    }

    /// Claims every shard, whole and exclusively.
    pub(in crate::net) fn claim_everything(&self, claims: &mut Vec<(ShardId, Claim)>) {
        for shard in 0..self.shared.shards {
            let claim = claim_on(claims, ShardId(shard as u16));
            claim.intents.add_whole(Mode::Exclusive);
        }
    }

    /// Has works done within a transaction that has begun on all shards, and waits in place; their parts in the order of
    /// the shards. `None` when the server stops.
    pub(in crate::net) fn run_works_holding<'i>(
        &mut self,
        io: Option<&'i mut (dyn NetIo + 'i)>,
        tx: TxRef,
        client: ClientView,
        works: Vec<(ShardId, Work)>,
    ) -> Option<Vec<(ShardId, Part)>> {
        let me = self.me;
        let io = io.expect("what holds all shards runs in a step of its caller");
        if works.iter().any(|(to, _)| *to != me) {
            self.borrow_all(io, tx, client)?;
        }
        let mut missing = 0;
        let mut here = Vec::new();
        for (to, work) in works {
            if to == me || self.loans.has(to) {
                here.push((to, work));
            } else {
                missing += 1;
                let message = TxMessage::Run { tx, client, work, conclude: false };
                self.batch_to(to).tx.push(message);
            }
        }
        if missing > 0 {
            self.flush(io);
        }
        let mut parts = Vec::new();
        for (on, work) in here {
            let mut done = Vec::new();
            self.loans.swap(on, &mut self.shard);
            let part = run_work_whole(&mut self.shard, self.table, client, work, &mut done)
                .unwrap_or_else(|error| Part::Failed(Box::new(error)));
            let notices = &mut self.shard.notices;
            if notices.has_pending() {
                let mut effects = notices.take();
                self.loans.noticed.append(&mut effects);
                self.shard.notices.give_back(effects);
            }
            self.loans.swap(on, &mut self.shard);
            self.ran_in_work(me, client.id, done);
            parts.push((on, part));
        }
        while missing > 0 {
            parts.push(self.await_part(tx)?);
            missing -= 1;
        }
        parts.sort_by_key(|(shard, _)| *shard);
        Some(parts)
    }

    /// Waits in place for what a shard has done for a transaction. `None` when the server stops.
    pub(in crate::net) fn await_part(&mut self, tx: TxRef) -> Option<(ShardId, Part)> {
        self.await_in_place(|batch| {
            let mine = |message: &TxMessage| matches!(message, TxMessage::Ran { tx: of, .. } if *of == tx);
            match batch.tx.remove(batch.tx.iter().position(mine)?) {
                TxMessage::Ran { part, .. } => Some(part),
                _ => None,
            }
        })
    }

    /// Runs all stages of a command so. `None` when the server stops.
    pub(in crate::net) fn run_single_holding<'i>(
        &mut self,
        mut io: Option<&'i mut (dyn NetIo + 'i)>,
        tx: TxRef,
        client: ClientView,
        single: &mut Single,
    ) -> Option<()> {
        let mut parts = Vec::new();
        while let Some(stage) = single.next(parts) {
            parts = self.run_works_holding(again(&mut io), tx, client, stage.works)?;
        }
        Some(())
    }

    /// Runs a script within a transaction that holds all shards and has begun on all of them.
    pub(in crate::net) fn run_script_wide(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        slot: u32,
        command: &TxCommand,
        out: &mut Output,
    ) {
        // A client that left is not asked whether its transaction goes on.
        let (tx, mut view) = self.coordinator.reference(slot);
        if let Some(client) = self.clients.get(conn) {
            view = client.view();
        }
        let argv = command.request.argv();
        let call = ScriptCall { row: command.row, db: command.db, view, caller: Caller::Here(conn), argv };
        self.run_script_holding(io, call, tx, out);
    }

    /// The same for a script that need not be the one for which the transaction was begun.
    pub(in crate::net) fn run_script_holding(
        &mut self,
        io: &mut dyn NetIo,
        call: ScriptCall<'_>,
        tx: TxRef,
        out: &mut Output,
    ) {
        let begun = clock::cycles();
        let did = self.run_script(Some(io), call, Some(tx), out);
        self.count_script(call, did, clock::cycles() - begun, out);
        self.start_clock();
        self.follow_up();
    }
}

/// Lends what was lent.
pub(super) fn again<'a>(io: &'a mut Option<&mut (dyn NetIo + '_)>) -> Option<&'a mut (dyn NetIo + 'a)> {
    match io {
        Some(io) => Some(&mut **io),
        None => None,
    }
}
