//! Mail: what other cores (and this one) sent, and the work it makes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::batch::{Asker, Batch, Control};
use super::blocked::command_of;
use super::client::Stall;
use super::core::Core;
use super::dispatch::{After, Bound, await_token};
use super::observe::{Caller, Ran};
use super::scripts::ScriptCall;
use crate::commands::context::ClientView;
use crate::commands::{CommandError, Part, RowId};
use crate::resp::{Argv, Output, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::runtime::mesh::Received;
use crate::sys::clock;
use crate::tx::execute::{Did, run_here, run_work, write_error};
use crate::tx::message::{Addressed, Place, RemoteCommand, Token, TxMessage, TxRef, WatchedKey, Work};
use crate::tx::multi::Plan;
use crate::tx::queue::Runnable;
use crate::tx::{Event, TxId};
use crate::types::{DbIndex, ShardId};

/// Batches taken out of the inbox in one turn.
const MAIL_PER_TURN: usize = 256;

/// What waits in a shard's queue.
pub enum ShardWork {
    /// A transaction's work, with the coordinator's name for it.
    Tx { slot: u32, client: ClientView, work: Work },
    /// The watched keys of a transaction that met an intent, to be compared before it is told that it was accepted.
    Compare { slot: u32, watched: Vec<WatchedKey> },
    /// A command for this shard alone that met an intent.
    Command { token: Token, row: RowId, db: DbIndex, client: ClientView, request: Request },
}

/// A broadcast under way on its client's core.
pub struct Broadcast {
    token: Token,
    row: RowId,
    db: DbIndex,
    request: Arc<Request>,
    parts: Vec<Option<Part>>,
    /// For an EXEC's step: the transaction to resume.
    exec: Option<u32>,
    /// When it began, in cycles.
    begun: u64,
}

impl Core {
    /// Takes the mail. True when there was any.
    pub fn take_mail(&mut self, io: &mut dyn NetIo) -> bool {
        let mut any = false;
        for _ in 0..MAIL_PER_TURN {
            if let Some((from, batch)) = self.stashed.pop_front() {
                any = true;
                self.open(io, from, batch);
                continue;
            }
            match self.port.receive() {
                Received::Batch { from, body } => {
                    any = true;
                    self.open(io, ShardId(from as u16), body);
                }
                // The sender is about to publish: do not sleep.
                Received::Unpublished => return true,
                Received::Empty => break,
            }
        }
        any
    }

    fn open(&mut self, io: &mut dyn NetIo, from: ShardId, mut batch: Box<Batch>) {
        self.see_log_of(from, batch.logged);
        if self.has_monitors() {
            // A script is shown before its commands, which may be shown here as they run.
            let lines = batch.control.extract_if(.., |control| matches!(control, Control::Monitor(_)));
            for line in lines.collect::<Vec<_>>() {
                self.take_control(io, from, line);
            }
        }
        self.run_remote_commands(io, from, &batch);
        for message in batch.tx.drain(..) {
            self.take_tx_message(io, from, message);
        }
        self.take_replies(&mut batch);
        for control in batch.control.drain(..) {
            self.take_control(io, from, control);
        }
        self.recycle(batch);
    }

    /// Runs another core's commands on this shard.
    fn run_remote_commands(&mut self, io: &mut dyn NetIo, from: ShardId, batch: &Batch) {
        if batch.commands.list.is_empty() {
            return;
        }
        let table = self.table;
        self.prefetch(batch);
        // The replies are written into the batch that goes back; taken out so that the shard can be borrowed too.
        let mut replies = std::mem::take(&mut self.batch_to(from).replies);
        self.start_clock();
        for command in &batch.commands.list {
            let entry = table.entry(command.row);
            let argv = batch.commands.argv(command);
            if !self.queue.is_idle() && self.must_queue(from, command.token, entry, argv) {
                self.queue_command(from, command.token, command.row, command.db, command.client, argv);
                continue;
            }
            if entry.is_script {
                let RemoteCommand { token, row, db, client: view, .. } = *command;
                let caller = Caller::Of(from, view.id);
                self.batch_to(from).replies = replies;
                self.run_script_for(Some(io), from, token, ScriptCall { row, db, view, caller, argv });
                replies = std::mem::take(&mut self.batch_to(from).replies);
                continue;
            }
            let (at, before) = (replies.output.bytes.len(), replies.output.len());
            let did = run_here(&mut self.shard, entry, command.db, command.client, argv, &mut replies.output);
            if let Did::Blocked(block) = did {
                let waiting = command_of(command.row, command.db, Request::from(argv));
                self.block(from, command.token, command.client, waiting, block);
                continue;
            }
            if let Did::Sliced(slices) = did {
                let RemoteCommand { token, row, db, client, .. } = *command;
                self.slice_for(from, token, row, db, client, argv, slices);
                continue;
            }
            let (ok, reply_bytes) = (did.is_ok(), replies.output.len() - before);
            replies.end(command.token);
            if ok || !self.count_error_reply(command.row, &replies.output, at) {
                let ran = Ran { cycles: self.lap(), ok, reply_bytes };
                self.ran(command.row, Caller::Of(from, command.client.id), argv, ran);
            }
            if self.shard.has_news() {
                self.tell_news();
            }
            if self.shard.waits.has_ready() {
                // Those served may be clients of the same core.
                self.batch_to(from).replies = replies;
                self.serve_waiters();
                replies = std::mem::take(&mut self.batch_to(from).replies);
            }
        }
        self.batch_to(from).replies = replies;
    }

    /// Asks for the memory that a batch will touch, first of the buckets, then of the entries.
    fn prefetch(&self, batch: &Batch) {
        let commands = &batch.commands;
        if commands.list.len() < 2 {
            return;
        }
        let mut hashes: SmallVec<[(usize, u64); 64]> = SmallVec::new();
        for command in commands.list.iter().take(64) {
            let key = self.table.entry(command.row).single_key;
            if key != 0 {
                let hash = self.shard.hasher.hash(commands.argv(command).get(key));
                self.shard.dbs[command.db.index()].table.prefetch(hash);
                hashes.push((command.db.index(), hash));
            }
        }
        for (db, hash) in hashes {
            self.shard.dbs[db].table.prefetch_entry(hash);
        }
    }

    /// Gives replies to the clients of this core.
    fn take_replies(&mut self, batch: &mut Batch) {
        let replies = &mut batch.replies;
        let mut bytes_at = 0;
        let mut shared = std::mem::take(&mut replies.output.shared).into_iter();
        let mut shared_at = 0;
        for end in &replies.ends {
            let bytes = &replies.output.bytes[bytes_at..end.bytes_end];
            let mut one = Output::default();
            if end.shared_end > shared_at {
                one.bytes.extend_from_slice(bytes);
                for (at, value, range) in shared.by_ref().take(end.shared_end - shared_at) {
                    one.shared.push((at - bytes_at, value, range));
                }
                self.deliver(end.token, &mut one);
            } else {
                self.deliver_bytes(end.token, bytes);
            }
            bytes_at = end.bytes_end;
            shared_at = end.shared_end;
        }
    }

    /// A reply without shared values: straight into the client's output when it is due.
    fn deliver_bytes(&mut self, token: Token, bytes: &[u8]) {
        let conn = ConnId { index: token.index, generation: token.generation };
        let Some(client) = self.clients.get(conn) else { return };
        if client.is_due(token.seq) {
            client.out.bytes.extend_from_slice(bytes);
            client.due_left();
            self.answered(conn);
        } else {
            let mut one = Output { bytes: bytes.to_vec(), shared: Vec::new() };
            self.deliver(token, &mut one);
        }
    }

    /// Gives a reply to its client, in its place.
    pub fn deliver(&mut self, token: Token, reply: &mut Output) {
        let conn = ConnId { index: token.index, generation: token.generation };
        let Some(client) = self.clients.get(conn) else { return };
        client.answer(token.seq, reply);
        self.answered(conn);
    }

    fn answered(&mut self, conn: ConnId) {
        let client = self.clients.at(conn.index);
        client.outstanding -= 1;
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(conn);
        }
        if client.outstanding == 0 && matches!(client.stall, Stall::Answers | Stall::Blocked) {
            client.blocked = false;
            client.stall = Stall::Answers;
            self.ready.push_back(conn);
        }
    }

    fn take_control(&mut self, io: &mut dyn NetIo, from: ShardId, control: Control) {
        match control {
            Control::Adopt(socket) => self.adopt(io, socket),
            Control::Moved(mover) => self.arrive(io, *mover),
            Control::Left(token) => self.drop_slices(from, token),
            Control::Ask { slot, row, asker, request } => {
                let part = self.ask_here(io, row, asker, request.argv());
                self.batch_to(from).control.push(Control::Answer { slot, part });
            }
            Control::Answer { slot, part } => self.take_answer(io, from, slot, part),
            Control::Unwatch(keys) => {
                for key in keys {
                    self.shard.unwatch(key.db, &key.key);
                }
            }
            Control::Monitor(line) => self.show_monitors(&line),
            Control::Letter { letter, slot } => self.take_letter(from, &letter, slot),
            Control::Received { slot, count } => self.take_received(io, slot, count),
            Control::Invalid(all) => self.take_invalid(&all),
            Control::NoBroadcasts => self.broadcast_to(from, false),
            Control::Redirected { from, to, stale } => self.take_redirected(from, to, &stale),
            Control::RedirectionBroke(client) => self.redirection_broke(client),
            Control::Noted(noted) => self.log(*noted, None),
            Control::Waits(token) => self.client_waits(token),
            Control::EndWait { origin, token, how } => self.end_wait(origin, token, how),
            Control::LookAgain { origin, token } => self.look_again(origin, token),
            Control::RunAgain { token, command, deadline_ms } => {
                self.begin_again(token, command, deadline_ms);
            }
        }
    }

    // --- transactions -------------------------------------------------------------------------------------------

    /// Lets transactions begin and does what they sent to this very core.
    pub fn step_transactions(&mut self, io: &mut dyn NetIo) {
        let mut out = Vec::new();
        self.coordinator.step(self.now_ns, &mut out);
        self.post(out);
        self.run_queue();
        while let Some(message) = self.own_mail.pop_front() {
            self.take_tx_message(io, self.me, message);
        }
    }

    /// A fresh transaction number.
    pub fn draw_number(&self) -> TxId {
        TxId(self.shared.tx_counter.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Puts messages into their batches, or into this core's own mail.
    fn post(&mut self, messages: Vec<Addressed>) {
        for Addressed { to, message } in messages {
            if to == self.me {
                self.own_mail.push_back(message);
            } else {
                self.batch_to(to).tx.push(message);
            }
        }
    }

    pub(super) fn post_one(&mut self, to: ShardId, message: TxMessage) {
        self.post(vec![Addressed { to, message }]);
    }

    fn take_tx_message(&mut self, io: &mut dyn NetIo, from: ShardId, message: TxMessage) {
        let mut out = Vec::new();
        let event = match message {
            TxMessage::Schedule { tx, client: _, intents, writers, watched } => {
                let accepted = self.queue.schedule(tx.id, from, intents, writers);
                if accepted && !watched.is_empty() && !self.queue.is_granted(tx.id) {
                    // What is before it may still change a watched key: compared when its turn has come.
                    let work = ShardWork::Compare { slot: tx.slot, watched };
                    self.queue.arm(tx.id, work, false);
                } else {
                    let watched_unchanged = self.are_unchanged(&watched);
                    let place = if self.queue.is_granted(tx.id) { Place::Free } else { Place::Behind };
                    let place = accepted.then_some(place);
                    self.post_one(from, TxMessage::Scheduled { tx, place, watched_unchanged });
                }
                None
            }
            TxMessage::Run { tx, client, work, conclude } => {
                self.queue.arm(tx.id, ShardWork::Tx { slot: tx.slot, client, work }, conclude);
                if let Some(runnable) = self.queue.take_if_ready(tx.id) {
                    self.run_queued(runnable);
                }
                self.run_queue();
                None
            }
            TxMessage::Release { tx, withdrawn } => {
                if withdrawn {
                    self.queue.release(tx.id);
                } else {
                    self.conclude(tx.id);
                }
                self.run_queue();
                None
            }
            TxMessage::Scheduled { tx, place, watched_unchanged } => {
                self.coordinator.scheduled(from, tx, place, watched_unchanged, &mut out)
            }
            TxMessage::Ran { tx, part } => self.coordinator.ran(from, tx, part, &mut out),
            TxMessage::Back { shard, .. } => {
                debug_assert!(
                    self.shared.stop.load(Ordering::Relaxed),
                    "who lends waits until the shard is back"
                );
                self.shard = shard;
                None
            }
        };
        self.post(out);
        self.follow(io, event);
    }

    /// Does what a transaction's step asks of this core.
    fn follow(&mut self, io: &mut dyn NetIo, mut event: Option<Event<Plan>>) {
        while let Some(happened) = event.take() {
            match happened {
                Event::Done { token, mut program } => {
                    if program.is_waiting() {
                        self.plan_waits(&program);
                        return self.waits_now(token);
                    }
                    if program.is_answered() {
                        return;
                    }
                    let conn = ConnId { index: token.index, generation: token.generation };
                    let Some(client) = self.clients.get(conn) else { return };
                    let mut reply = Output::default();
                    program.finish(client.protocol, &mut reply);
                    client.stall = Stall::None;
                    self.plan_ran(conn, &program, reply.len());
                    let client = self.clients.at(conn.index);
                    let watched = std::mem::take(&mut client.watched_by_exec);
                    self.unwatch(watched);
                    self.deliver(token, &mut reply);
                    self.ready.push_back(conn);
                }
                Event::Caller { slot, token } => {
                    if !self.do_caller_step(io, slot, token) {
                        return;
                    }
                    let mut out = Vec::new();
                    event = self.coordinator.resume(slot, &mut out);
                    self.post(out);
                }
            }
        }
    }

    /// Goes on with a transaction whose step on this core is done.
    pub(super) fn resume_transaction(&mut self, io: &mut dyn NetIo, slot: u32) {
        let mut out = Vec::new();
        let event = self.coordinator.resume(slot, &mut out);
        self.post(out);
        self.follow(io, event);
    }

    /// Runs what heads this shard's queue, as long as its work has arrived.
    pub(super) fn run_queue(&mut self) {
        while let Some(runnable) = self.queue.take_head().or_else(|| self.queue.take_overtaking()) {
            self.run_queued(runnable);
        }
        self.serve_held_back();
    }

    fn run_queued(&mut self, runnable: Runnable<ShardWork>) {
        let Runnable { tx, origin, work, conclude } = runnable;
        match work {
            ShardWork::Tx { slot, client, work: Work::Wait { command, mine, ticket } } => {
                self.block_ticket(origin, client, command, mine, ticket);
                if conclude {
                    self.conclude(tx);
                }
                self.post_one(origin, TxMessage::Ran { tx: TxRef { slot, id: tx }, part: Part::Nothing });
            }
            ShardWork::Tx { slot, work: Work::Lend, .. } if origin != self.me => {
                self.loans.asked = Some((origin, TxRef { slot, id: tx }));
            }
            ShardWork::Tx { slot, client, work } => {
                let mut done = Vec::new();
                let hop = match &work {
                    Work::Hop { command, .. } => Some(command.clone()),
                    _ => None,
                };
                self.log_enter(tx);
                let part = run_work(&mut self.shard, self.table, client, work, &mut done)
                    .unwrap_or_else(|error| Part::Failed(Box::new(error)));
                self.log_leave();
                self.ran_in_work(origin, client.id, done);
                if self.shard.has_news() {
                    self.tell_news();
                }
                let part = match (part.is_sliced(), hop) {
                    (true, Some(command)) => {
                        return self.slice_hop(tx, origin, (slot, conclude), client, command, part);
                    }
                    _ => part,
                };
                if conclude {
                    self.conclude(tx);
                }
                let tx = TxRef { slot, id: tx };
                self.post_one(origin, TxMessage::Ran { tx, part });
            }
            ShardWork::Compare { slot, watched } => {
                let watched_unchanged = self.are_unchanged(&watched);
                let tx = TxRef { slot, id: tx };
                let place = Some(Place::Free);
                self.post_one(origin, TxMessage::Scheduled { tx, place, watched_unchanged });
            }
            ShardWork::Command { token, row, db, client, request } => {
                let table = self.table;
                if table.entry(row).is_script {
                    self.queue.release(tx);
                    let (caller, argv) = (Caller::Of(origin, client.id), request.argv());
                    self.run_script_for(
                        None,
                        origin,
                        token,
                        ScriptCall { row, db, view: client, caller, argv },
                    );
                    return self.unhold(origin, token);
                }
                let mut output = Output::default();
                self.start_clock();
                let did =
                    run_here(&mut self.shard, table.entry(row), db, client, request.argv(), &mut output);
                if let Did::Sliced(slices) = did {
                    return self.slice_queued(tx, origin, token, row, db, client, request, slices);
                }
                self.queue.release(tx);
                if let Did::Blocked(block) = did {
                    self.block(origin, token, client, command_of(row, db, request), block);
                    return self.unhold(origin, token);
                }
                self.unhold(origin, token);
                if self.shard.has_news() {
                    self.tell_news();
                }
                let ok = did.is_ok();
                if ok || !self.count_error_reply(row, &output, 0) {
                    let ran = Ran { cycles: self.lap(), ok, reply_bytes: output.len() };
                    self.ran(row, Caller::Of(origin, client.id), request.argv(), ran);
                }
                if origin == self.me {
                    self.deliver(token, &mut output);
                } else {
                    let replies = &mut self.batch_to(origin).replies;
                    replies.output.append(&mut output);
                    replies.end(token);
                }
            }
        }
    }

    /// A transaction is over on this shard: what it did takes its place in the log.
    pub(super) fn conclude(&mut self, tx: TxId) {
        if let Some(writers) = self.queue.release(tx)
            && let Some(log) = &mut self.shard.log
        {
            log.close(tx.0, writers);
        }
    }

    pub(super) fn unhold(&mut self, from: ShardId, token: Token) {
        let name = (from, token.index, token.generation);
        let count = self.held.get_mut(&name).expect("a queued command is counted");
        *count -= 1;
        if *count == 0 {
            self.held.remove(&name);
            self.unheld(name);
        }
    }

    /// Stops watching keys wherever they live.
    pub fn unwatch(&mut self, watched: Vec<crate::tx::message::WatchedKey>) {
        for key in watched {
            let owner = self.placement.owner_of(&key.key);
            if owner == self.me {
                self.shard.unwatch(key.db, &key.key);
            } else {
                match self.batch_to(owner).control.last_mut() {
                    Some(Control::Unwatch(keys)) => keys.push(key),
                    _ => self.batch_to(owner).control.push(Control::Unwatch(vec![key])),
                }
            }
        }
    }

    /// A client left before its WATCH was answered: nobody else knows of these keys.
    fn unwatch_for_the_gone(&mut self, db: DbIndex, argv: Argv<'_>, parts: Vec<Part>) {
        let mut watched = Vec::new();
        for part in parts {
            let Part::Versions(versions) = part else { continue };
            let key = |(index, version)| WatchedKey { db, key: argv.get(index).into(), version };
            watched.extend(versions.into_iter().map(key));
        }
        self.unwatch(watched);
    }

    // --- broadcasts ---------------------------------------------------------------------------------------------

    /// Asks all cores; the client waits for the merged answer.
    pub fn begin_broadcast(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, argv: Argv<'_>) {
        let client = self.clients.at(conn.index);
        let token = await_token(client, self.me);
        client.stall = Stall::Transaction;
        self.broadcast(io, token, row, Request::from(argv).into(), None);
    }

    /// Asks all cores on behalf of a client, or of an EXEC of its.
    pub fn broadcast(
        &mut self,
        io: &mut dyn NetIo,
        token: Token,
        row: RowId,
        request: Arc<Request>,
        exec: Option<u32>,
    ) {
        let client = self.clients.at(token.index);
        let asker = Asker::of(client, self.me);
        let cores = self.shared.shards;
        let slot = match self.broadcasts.iter().position(Option::is_none) {
            Some(slot) => slot,
            None => {
                self.broadcasts.push(None);
                self.broadcasts.len() - 1
            }
        };
        let parts = (0..cores).map(|_| None).collect();
        let begun = clock::cycles();
        self.broadcasts[slot] =
            Some(Broadcast { token, row, db: asker.db, request: request.clone(), parts, exec, begun });
        let slot = slot as u32;
        let me = self.me.index();
        for core in (0..cores).filter(|core| *core != me) {
            let ask = Control::Ask { slot, row, asker, request: request.clone() };
            self.batch_to(ShardId(core as u16)).control.push(ask);
        }
        let part = self.ask_here(io, row, asker, request.argv());
        self.take_answer(io, self.me, slot, part);
    }

    fn ask_here(&mut self, io: &mut dyn NetIo, row: RowId, asker: Asker, argv: Argv<'_>) -> Part {
        let Bound::Broadcast { each, .. } = self.bound[row.index()] else {
            unreachable!("the registry binds broadcasts")
        };
        each(self, io, asker, argv).unwrap_or_else(|error| Part::Failed(Box::new(error)))
    }

    fn take_answer(&mut self, io: &mut dyn NetIo, from: ShardId, slot: u32, part: Part) {
        let broadcast =
            self.broadcasts[slot as usize].as_mut().expect("answers come to broadcasts under way");
        broadcast.parts[from.index()] = Some(part);
        if broadcast.parts.iter().any(Option::is_none) {
            return;
        }
        let Broadcast { token, row, db, request, parts, exec, begun } =
            self.broadcasts[slot as usize].take().expect("checked above");
        let conn = ConnId { index: token.index, generation: token.generation };
        let mut parts: Vec<Part> = parts.into_iter().flatten().collect();
        let failed = parts.iter_mut().find_map(|part| match part {
            Part::Failed(error) => Some((**error).clone()),
            _ => None,
        });
        let mut output = Output::default();
        let protocol = self.clients.get(conn).map(|client| client.protocol).unwrap_or_default();
        let mut reply = Reply::new(&mut output, protocol);
        let after = match failed {
            Some(error) => Err(error),
            None if self.clients.get(conn).is_none() => {
                self.unwatch_for_the_gone(db, request.argv(), parts);
                Ok(After::Done)
            }
            None => {
                let Bound::Broadcast { merge, .. } = self.bound[row.index()] else {
                    unreachable!("the registry binds broadcasts")
                };
                merge(self, io, conn, request.argv(), parts, &mut reply)
            }
        };
        self.count_result(&after);
        if self.clients.get(conn).is_some_and(|client| client.kind.is_for_clients()) {
            let ran = Ran { cycles: clock::cycles() - begun, ok: after.is_ok(), reply_bytes: output.len() };
            self.ran(row, Caller::Here(conn), request.argv(), ran);
        }
        let after = after.unwrap_or_else(|error: CommandError| {
            output.clear();
            write_error(&error, &mut Reply::new(&mut output, protocol));
            After::Done
        });
        match exec {
            Some(exec) => {
                if self.reload_asked.take().is_some() {
                    output.clear();
                    let error = CommandError::Line("ERR DEBUG RELOAD does not run inside MULTI");
                    write_error(&error, &mut Reply::new(&mut output, protocol));
                }
                if let Some(client) = self.clients.get(conn) {
                    client.close_after_reply |= after == After::Close;
                }
                let protocol = self.clients.get(conn).map(|client| client.protocol).unwrap_or_default();
                if let Plan::Exec(plan) = self.coordinator.program(exec) {
                    plan.caller_done(output, protocol);
                }
                self.resume_transaction(io, exec);
            }
            None => {
                if let Some(asked) = self.reload_asked.take() {
                    return self.reload(io, token, asked);
                }
                let Some(client) = self.clients.get(conn) else { return };
                client.stall = Stall::None;
                client.close_after_reply |= after == After::Close;
                self.deliver(token, &mut output);
                self.ready.push_back(conn);
            }
        }
    }
}
