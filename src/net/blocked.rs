//! Clients that wait for keys: BLPOP and its kin.
//!
//! A command that found nothing lines up on the shards that own its keys. After every command the shard looks at the
//! keys that were changed (`shard/waits.rs`), in the order of the changes, and runs the commands of those who wait
//! there again, first come first served. Whoever is served leaves all its keys.
//!
//! - All keys on one shard: the command runs there as it is.
//! - Keys on several shards: it lines up on all of them in the last hop of the transaction that found nothing, so no
//!   change slips in between. The first shard that has something takes the claim that they share, and serves it with
//!   the command narrowed to that key; the others are told to forget it. A command that cannot be narrowed (BLMOVE
//!   between shards) goes back to its client's core and runs again as a transaction.
//!
//! A client waits at the core of its connection under [`Stall::Blocked`]; the commands behind stay in its buffer.
//!
//! INVARIANT: who waits is served only where no transaction's intents stand in the way; such keys are looked at again
//! when an intent is given back. So nobody sees a half of a transaction, and EXEC's effects serve after EXEC.

use std::collections::BTreeSet;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use super::batch::Control;
use super::client::Stall;
use super::core::Core;
use super::observe::{Caller, Ran};
use crate::commands::block::WaitFor;
use crate::commands::context::{ClientView, Ctx};
use crate::commands::keys_of::keys_of;
use crate::commands::{Block, CommandError, RowId};
use crate::resp::{Output, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::shard::waits::WaiterId;
use crate::tx::execute::{Did, run_here, to_its_end, write_error};
use crate::tx::message::{Claim, Ticket, Token, TxCommand, Until};
use crate::tx::multi::Plan;
use crate::tx::single::{Single, claims_of};
use crate::types::{DbIndex, ShardId};

/// A connection: its core, and its token's index and generation.
type ClientName = (ShardId, u32, u32);

/// How a wait ends from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndOfWait {
    /// The client was served elsewhere.
    Served,
    /// The client is gone, whichever of its commands waited.
    Gone,
    /// CLIENT UNBLOCK: as if the time were over.
    Timeout,
    /// CLIENT UNBLOCK ERROR.
    Error,
}

/// Who waits, and for what.
struct Waiter {
    origin: ShardId,
    token: Token,
    client: ClientView,
    command: TxCommand,
    block: Box<Block>,
    deadline_ms: Option<u64>,
    /// The keys of this shard, with their order among the command's.
    keys: Vec<(usize, Box<[u8]>)>,
    /// Set when keys live on other shards too.
    elsewhere: Option<(Claim, SmallVec<[ShardId; 4]>)>,
}

/// Those who wait at this shard's keys.
#[derive(Default)]
pub struct Blocked {
    waiters: HashMap<WaiterId, Waiter, ahash::RandomState>,
    /// Usually one; two while word of the first one's end is still on its way from another shard.
    by_client: HashMap<ClientName, SmallVec<[WaiterId; 1]>, ahash::RandomState>,
    /// Clients that left while a command of theirs waits behind a transaction.
    left: HashSet<ClientName, ahash::RandomState>,
    deadlines: BTreeSet<(u64, WaiterId)>,
    next: WaiterId,
    /// Keys that are ready, where a transaction stands in the way.
    held_back: Vec<(DbIndex, Box<[u8]>)>,
    /// Clients of this core that began to wait after their peer had left.
    gone: Vec<ConnId>,
}

impl Blocked {
    /// The earliest time at which somebody has waited long enough.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// How many wait here.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }
}

impl Core {
    /// A command all of whose keys are here found nothing: its client waits.
    #[cold]
    pub fn block(
        &mut self,
        origin: ShardId,
        token: Token,
        client: ClientView,
        mut command: TxCommand,
        mut block: Box<Block>,
    ) {
        if self.blocked.left.contains(&(origin, token.index, token.generation)) {
            return;
        }
        let cycles = self.lap();
        self.stats[command.row.index()].record_wait(cycles);
        if let Some(request) = block.request.take() {
            command.request = request.into();
        }
        let entry = self.table.entry(command.row);
        let argv = command.request.argv();
        let keys = keys_of(entry.row, argv).unwrap_or_default();
        let orders = keys.iter().enumerate();
        let named =
            |(order, key): (usize, &crate::commands::keys_of::KeyAt)| (order, argv.get(key.index).into());
        let keys = match block.wait_for {
            WaitFor::Every => orders.map(named).collect(),
            WaitFor::First => orders.take(1).map(named).collect(),
        };
        let deadline_ms = deadline(Until::For { timeout_ms: block.timeout_ms }, self.now_ms);
        let waiter = Waiter { origin, token, client, command, block, deadline_ms, keys, elsewhere: None };
        self.line_up(waiter);
    }

    /// A transaction's client waits at keys of this shard.
    pub fn block_ticket(
        &mut self,
        origin: ShardId,
        client: ClientView,
        command: TxCommand,
        mine: Vec<usize>,
        ticket: Ticket,
    ) {
        let Ticket { token, block, until, shards, claim } = ticket;
        let argv = command.request.argv();
        let all = keys_of(self.table.entry(command.row).row, argv).unwrap_or_default();
        let keys = mine.iter().map(|order| (*order, argv.get(all[*order].index).into())).collect();
        let deadline_ms = deadline(until, self.now_ms);
        let elsewhere = Some((claim, shards));
        self.line_up(Waiter { origin, token, client, command, block, deadline_ms, keys, elsewhere });
    }

    fn line_up(&mut self, waiter: Waiter) {
        let blocked = &mut self.blocked;
        blocked.next += 1;
        let id = blocked.next;
        for (_, key) in &waiter.keys {
            self.shard.wait(waiter.command.db, key, id);
        }
        if let Some(at) = waiter.deadline_ms {
            blocked.deadlines.insert((at, id));
        }
        let (origin, token) = (waiter.origin, waiter.token);
        blocked.by_client.entry((origin, token.index, token.generation)).or_default().push(id);
        blocked.waiters.insert(id, waiter);
        if origin == self.me {
            self.client_waits(token);
        } else {
            self.batch_to(origin).control.push(Control::Waits(token));
        }
    }

    /// A client of this core waits from now on.
    pub fn client_waits(&mut self, token: Token) {
        let conn = ConnId { index: token.index, generation: token.generation };
        let Some(client) = self.clients.get(conn) else { return };
        if !client.awaits(token.seq) {
            // The answer was faster than this message.
            return;
        }
        client.blocked = true;
        client.let_pushes_pass();
        if !client.out.is_empty() && !client.dirty {
            client.dirty = true;
            self.dirty.push(conn);
        }
        let client = self.clients.at(conn.index);
        if client.ended {
            self.blocked.gone.push(conn);
        }
    }

    fn leave(&mut self, id: WaiterId) -> Option<Waiter> {
        let waiter = self.blocked.waiters.remove(&id)?;
        for (_, key) in &waiter.keys {
            self.shard.end_wait(waiter.command.db, key, id);
        }
        if let Some(at) = waiter.deadline_ms {
            self.blocked.deadlines.remove(&(at, id));
        }
        let name = (waiter.origin, waiter.token.index, waiter.token.generation);
        if let Some(ids) = self.blocked.by_client.get_mut(&name) {
            ids.retain(|known| *known != id);
            if ids.is_empty() {
                self.blocked.by_client.remove(&name);
            }
        }
        Some(waiter)
    }

    /// Tells the other shards at which somebody waits.
    fn tell_others(&mut self, waiter: &Waiter, message: impl Fn() -> Control) {
        let Some((_, shards)) = &waiter.elsewhere else { return };
        let me = self.me;
        for shard in shards.clone().into_iter().filter(|shard| *shard != me) {
            self.batch_to(shard).control.push(message());
        }
    }

    fn forget_elsewhere(&mut self, waiter: &Waiter) {
        let (origin, token) = (waiter.origin, waiter.token);
        self.tell_others(waiter, || Control::EndWait { origin, token, how: EndOfWait::Served });
    }

    fn answer_waiter(&mut self, origin: ShardId, token: Token, output: &mut Output) {
        if origin == self.me {
            self.deliver(token, output);
        } else {
            let replies = &mut self.batch_to(origin).replies;
            replies.output.append(output);
            replies.end(token);
        }
    }

    /// Serves those who wait at keys that were changed. Called after every command, as long as there are such keys.
    #[cold]
    pub fn serve_waiters(&mut self) {
        while let Some((db, key)) = self.shard.waits.take_ready() {
            for id in self.shard.waits.waiters_at(db, &key) {
                if !self.serve_one(id, db, &key) {
                    self.blocked.held_back.push((db, key));
                    break;
                }
            }
        }
    }

    /// Intents were given back: looks again at the keys they stood before.
    pub fn serve_held_back(&mut self) {
        for (db, key) in std::mem::take(&mut self.blocked.held_back) {
            self.shard.waits.touch(db, &key);
        }
        self.follow_up();
    }

    /// Serves one who waits, if the key has something for it. False when a transaction stands in the way.
    fn serve_one(&mut self, id: WaiterId, db: DbIndex, key: &[u8]) -> bool {
        let kind = self.shard.kind_of(db, key);
        let Some(waiter) = self.blocked.waiters.get(&id) else { return true };
        if kind != Some(waiter.block.kind) && waiter.block.on_loss.is_none() {
            return true;
        }
        let order = waiter.keys.iter().find(|(_, known)| **known == *key).map_or(0, |(order, _)| *order);
        let mut narrowed: Option<Request> = None;
        match waiter.block.narrow {
            Some(narrow) if waiter.keys.len() > 1 || waiter.elsewhere.is_some() => {
                narrowed = Some(narrow(waiter.command.request.argv(), order));
            }
            None if waiter.elsewhere.is_some() => return self.run_again(id),
            _ => {}
        }
        let table = self.table;
        let entry = table.entry(waiter.command.row);
        let request = waiter.command.request.clone();
        let argv = narrowed.as_ref().map_or(request.argv(), Request::argv);
        if !self.queue.is_idle() && self.queue.conflict(&self.intents_of(entry, argv)) {
            return false;
        }
        if waiter.elsewhere.as_ref().is_some_and(|(claim, _)| !claim.take()) {
            // Another shard is about to serve it, or has.
            return true;
        }
        let (client, origin, token, row) = (waiter.client, waiter.origin, waiter.token, waiter.command.row);
        let mut output = Output::default();
        if let Some(told_of_loss) = waiter.block.on_loss {
            let mut ctx = Ctx { shard: &mut self.shard, db, client };
            if let Some(error) = told_of_loss(&mut ctx, request.argv(), order) {
                write_error(&error, &mut Reply::new(&mut output, client.protocol));
                if !self.count_error_reply(row, &output, 0) {
                    // Redis: a command that is told of its loss has run, and failed.
                    let ran = Ran { cycles: 0, ok: false, reply_bytes: output.len() };
                    self.ran_after_wait(row, Caller::Of(origin, client.id), request.argv(), ran);
                }
                if let Some(waiter) = self.leave(id) {
                    self.forget_elsewhere(&waiter);
                }
                self.answer_waiter(origin, token, &mut output);
                return true;
            }
        }
        self.start_clock();
        let did = run_here(&mut self.shard, entry, db, client, argv, &mut output);
        // Who is served is served at once: those behind it may have nothing then.
        let did = to_its_end(did, &mut self.shard, entry, db, client, argv, &mut output);
        if matches!(did, Did::Blocked(_)) {
            self.had_nothing(id);
            return true;
        }
        if did.is_ok() || !self.count_error_reply(row, &output, 0) {
            let ran = Ran { cycles: self.lap(), ok: did.is_ok(), reply_bytes: output.len() };
            self.ran_after_wait(row, Caller::Of(origin, client.id), argv, ran);
        }
        if let Some(waiter) = self.leave(id) {
            self.forget_elsewhere(&waiter);
        }
        self.answer_waiter(origin, token, &mut output);
        // Redis: what it made stale is told behind its answer.
        if self.shard.has_news() {
            self.tell_news();
        }
        true
    }

    /// A key was changed, and still has nothing for a waiter: it goes on waiting.
    fn had_nothing(&mut self, id: WaiterId) {
        let Some(waiter) = self.blocked.waiters.get(&id) else { return };
        let Some((claim, shards)) = &waiter.elsewhere else { return };
        claim.give_back();
        // Others may have had something meanwhile, and left it alone because of the claim.
        let (origin, token, shards, me) = (waiter.origin, waiter.token, shards.clone(), self.me);
        for shard in shards.into_iter().filter(|shard| *shard != me) {
            self.batch_to(shard).control.push(Control::LookAgain { origin, token });
        }
    }

    /// Another shard had nothing for a waiter while it held the claim.
    pub fn look_again(&mut self, origin: ShardId, token: Token) {
        let Some(waiter) = self.waiter_of(origin, token).map(|id| &self.blocked.waiters[&id]) else { return };
        for (_, key) in &waiter.keys {
            self.shard.waits.touch(waiter.command.db, key);
        }
        self.serve_waiters();
    }

    /// Sends a waiter's command back to its client's core, to run again as a transaction.
    fn run_again(&mut self, id: WaiterId) -> bool {
        let waiter = &self.blocked.waiters[&id];
        if waiter.elsewhere.as_ref().is_some_and(|(claim, _)| !claim.take()) {
            return true;
        }
        let Some(waiter) = self.leave(id) else { return true };
        self.forget_elsewhere(&waiter);
        let Waiter { origin, token, command, deadline_ms, .. } = waiter;
        if origin == self.me {
            self.begin_again(token, command, deadline_ms);
        } else {
            self.batch_to(origin).control.push(Control::RunAgain { token, command, deadline_ms });
        }
        true
    }

    /// Runs a command again that has waited, for a client of this core.
    pub fn begin_again(&mut self, token: Token, command: TxCommand, deadline_ms: Option<u64>) {
        let conn = ConnId { index: token.index, generation: token.generation };
        let Some(client) = self.clients.get(conn) else { return };
        if self.table.entry(command.row).is_script {
            return self.begin_script_again(token, command);
        }
        client.blocked = false;
        client.stall = Stall::Transaction;
        let (view, protocol) = (client.view(), client.protocol);
        let claims = claims_of(&command, self.table, self.placement, &self.shard.hasher);
        let single = Single::new(command, self.table, self.placement, protocol);
        let (Ok(claims), Ok(single)) = (claims, single) else {
            unreachable!("a command that has run can run again")
        };
        let single = single.may_wait(token, Some(deadline_ms));
        self.coordinator.begin(token, view, claims, Plan::One(Box::new(single)));
    }

    /// A transaction is done and its client waits.
    pub fn waits_now(&mut self, token: Token) {
        let conn = ConnId { index: token.index, generation: token.generation };
        match self.clients.get(conn) {
            // Left meanwhile: its going was told before the shards knew that it waits.
            None => self.end_waits(token, EndOfWait::Gone),
            Some(client) if client.awaits(token.seq) => {
                client.stall = Stall::Blocked;
                self.client_waits(token);
            }
            // A shard was faster.
            Some(client) => {
                client.stall = Stall::None;
                self.ready.push_back(conn);
            }
        }
    }

    /// Ends the wait of a client of this core, wherever it waits.
    pub fn end_waits(&mut self, token: Token, how: EndOfWait) {
        let me = self.me;
        for shard in (0..self.shared.shards).map(|shard| ShardId(shard as u16)).filter(|shard| *shard != me) {
            self.batch_to(shard).control.push(Control::EndWait { origin: me, token, how });
        }
        self.end_wait(me, token, how);
    }

    /// Ends a wait at this shard's keys.
    pub fn end_wait(&mut self, origin: ShardId, token: Token, how: EndOfWait) {
        if how == EndOfWait::Gone {
            return self.forget_waits_of((origin, token.index, token.generation));
        }
        let Some(id) = self.waiter_of(origin, token) else { return };
        match how {
            EndOfWait::Gone | EndOfWait::Served => drop(self.leave(id)),
            EndOfWait::Timeout => {
                self.unblock(id, |block, reply| block.when_over.write(reply));
            }
            EndOfWait::Error => {
                const LINE: &str = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
                if self.unblock(id, |_, reply| reply.error(LINE)) {
                    self.observe.count_error(&CommandError::Line(LINE));
                }
            }
        }
    }

    fn waiter_of(&self, origin: ShardId, token: Token) -> Option<WaiterId> {
        let ids = self.blocked.by_client.get(&(origin, token.index, token.generation))?;
        ids.iter().copied().find(|id| self.blocked.waiters[id].token == token)
    }

    fn forget_waits_of(&mut self, client: ClientName) {
        for id in self.blocked.by_client.get(&client).cloned().unwrap_or_default() {
            self.leave(id);
        }
        if self.held.contains_key(&client) {
            // A command of its may still come to wait.
            self.blocked.left.insert(client);
        }
    }

    /// No command of a client waits behind a transaction any more.
    pub fn unheld(&mut self, client: (ShardId, u32, u32)) {
        self.blocked.left.remove(&client);
    }

    /// CLIENT UNBLOCK. Redis: whatever is answered then, the command has failed.
    fn unblock(&mut self, id: WaiterId, write: impl FnOnce(&Block, &mut Reply<'_>)) -> bool {
        let row = self.blocked.waiters.get(&id).map(|waiter| waiter.command.row);
        let ended = self.end_with(id, write);
        if let Some(row) = row
            && ended
        {
            self.stats[row.index()].failed += 1;
        }
        ended
    }

    /// False when another shard has ended the wait.
    fn end_with(&mut self, id: WaiterId, write: impl FnOnce(&Block, &mut Reply<'_>)) -> bool {
        let Some(waiter) = self.leave(id) else { return false };
        if waiter.elsewhere.as_ref().is_some_and(|(claim, _)| !claim.take()) {
            return false;
        }
        self.forget_elsewhere(&waiter);
        let mut output = Output::default();
        write(&waiter.block, &mut Reply::new(&mut output, waiter.client.protocol));
        self.answer_waiter(waiter.origin, waiter.token, &mut output);
        true
    }

    /// Answers those who have waited long enough, and closes those who left.
    pub fn end_overdue_waits(&mut self, io: &mut dyn NetIo) {
        while let Some((at, id)) = self.blocked.deadlines.first().copied()
            && at <= self.now_ms
        {
            self.end_with(id, waited_in_vain);
            self.blocked.deadlines.remove(&(at, id));
        }
        for conn in std::mem::take(&mut self.blocked.gone) {
            if self.clients.get(conn).is_some_and(|client| client.blocked && client.ended) {
                self.close(io, conn);
            }
        }
    }
}

fn deadline(until: Until, now_ms: u64) -> Option<u64> {
    match until {
        Until::At { deadline_ms } => deadline_ms,
        Until::For { timeout_ms: 0 } => None,
        Until::For { timeout_ms } => Some(now_ms.saturating_add(timeout_ms)),
    }
}

/// A command that is about to run somewhere else in the form in which waiters keep it.
pub fn command_of(row: RowId, db: DbIndex, request: Request) -> TxCommand {
    TxCommand { row, db, request: request.into() }
}

/// Redis: a null array for whoever waited, also where the command that does not wait answers a plain null.
fn waited_in_vain(_: &Block, reply: &mut Reply<'_>) {
    reply.null_array();
}
