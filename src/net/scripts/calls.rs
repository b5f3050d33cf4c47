//! The commands that a script calls.

use std::sync::Arc;

use super::host::{ScriptHost, Told};
use super::wide::again;
use crate::commands::context::ClientView;
use crate::commands::{CommandError, Entry, Part, RowId};
use crate::net::batch::{Asker, Control};
use crate::net::dispatch::{After, Bound, EachFn, MergeFn};
use crate::net::observe::{Caller, Ran};
use crate::resp::{Argv, Output, Protocol, Reply, Request};
use crate::runtime::face::ConnId;
use crate::script::lua::{Called, Stop};
use crate::sys::clock;
use crate::tx::Route;
use crate::tx::execute::{Did, run_whole, write_error};
use crate::tx::message::{TxCommand, TxRef, Work};
use crate::tx::single::Single;
use crate::types::number::parse_i64;
use crate::types::{DbIndex, ShardId};

/// Names the broadcast of a script, which is answered in place, to other cores.
const SCRIPT_SLOT: u32 = u32::MAX;

pub(super) const NOT_ALLOWED: CommandError =
    CommandError::Line("ERR This Redis command is not allowed from script");

/// How a command went that is bound to its core.
enum Bounded {
    Did(Result<(), CommandError>),
    /// It is for a script that holds all shards.
    Wider,
    NotAllowed,
}

impl Bounded {
    fn of(result: Result<After, CommandError>) -> Bounded {
        match result {
            Ok(After::Done) => Bounded::Did(Ok(())),
            Ok(_) => Bounded::NotAllowed,
            Err(error) => Bounded::Did(Err(error)),
        }
    }
}

impl ScriptHost<'_, '_> {
    /// A command all of whose keys are on this shard.
    pub(super) fn run_here(
        &mut self,
        row: RowId,
        argv: Argv<'_>,
        view: ClientView,
        out: &mut Output,
    ) -> Called {
        let table = self.core.table;
        let entry = table.entry(row);
        if self.can_undo {
            if !self.core.queue.is_idle() && self.core.queue.conflict(&self.core.intents_of(entry, argv)) {
                return self.wider();
            }
            if entry.is_write && !self.remember(entry, argv) {
                return self.wider();
            }
        }
        let begun = clock::cycles();
        let did = run_whole(&mut self.core.shard, entry, self.db, view, argv, out);
        if let Did::Blocked(block) = &did {
            // Redis: nothing waits within a script.
            block.when_over.write(&mut Reply::new(out, view.protocol));
        }
        let ran = Ran { cycles: clock::cycles() - begun, ok: did.is_ok(), reply_bytes: out.len() };
        self.count(row, argv, ran, out);
        self.show(entry, argv);
        self.collect_notices();
        Called::Replied
    }

    /// A command that needs its core, or its connection.
    pub(super) fn run_bound(
        &mut self,
        row: RowId,
        argv: Argv<'_>,
        protocol: Protocol,
        out: &mut Output,
    ) -> Called {
        let begun = clock::cycles();
        let result = match self.bound(row, argv, protocol, out) {
            Bounded::Did(result) => result,
            Bounded::Wider => return self.wider(),
            Bounded::NotAllowed => return self.refuse(Some(row), &NOT_ALLOWED, protocol, out),
        };
        match &result {
            Ok(()) => self.show(self.core.table.entry(row), argv),
            Err(error) => {
                out.clear();
                write_error(error, &mut Reply::new(out, protocol));
            }
        }
        let ran = Ran { cycles: clock::cycles() - begun, ok: result.is_ok(), reply_bytes: out.len() };
        self.count(row, argv, ran, out);
        Called::Replied
    }

    fn bound(&mut self, row: RowId, argv: Argv<'_>, protocol: Protocol, out: &mut Output) -> Bounded {
        let table = self.core.table;
        let entry = table.entry(row);
        let conn = match self.caller {
            Caller::Here(conn) if self.core.clients.get(conn).is_some() => Some(conn),
            _ => None,
        };
        match (entry.full_name, self.core.bound[row.index()]) {
            ("select", _) => {
                let databases = self.core.shard.dbs.len() as i64;
                match parse_i64(argv.get(1)) {
                    Some(index) if (0..databases).contains(&index) => {
                        self.db = DbIndex(index as u16);
                        Reply::new(out, protocol).ok();
                        Bounded::Did(Ok(()))
                    }
                    Some(_) => Bounded::Did(Err(CommandError::DbOutOfRange)),
                    None => Bounded::Did(Err(CommandError::NotInteger)),
                }
            }
            (_, Bound::Publish(space)) => {
                let (channel, text) = (argv.get(1), argv.get(2));
                Reply::new(out, protocol).int(self.core.subscribers_here(space, channel));
                self.told.push(Told::Message(space, channel.to_vec(), text.to_vec()));
                Bounded::Did(Ok(()))
            }
            (_, Bound::Here(_)) => {
                let (Some(io), Some(conn)) = (self.io.as_deref_mut(), conn) else {
                    return if self.can_undo { Bounded::Wider } else { Bounded::NotAllowed };
                };
                let spoken = std::mem::replace(&mut self.core.clients.at(conn.index).protocol, protocol);
                let result = self.core.call_bound(io, conn, row, entry, argv, out, protocol);
                self.core.clients.at(conn.index).protocol = spoken;
                Bounded::of(result)
            }
            (_, Bound::Broadcast { .. }) if self.can_undo => Bounded::Wider,
            (_, Bound::Broadcast { each, merge }) => {
                let Some(conn) = conn else { return Bounded::NotAllowed };
                Bounded::of(self.broadcast(conn, row, argv, (each, merge), protocol, out))
            }
            _ => Bounded::NotAllowed,
        }
    }

    /// A command that asks every core, answered in place.
    fn broadcast(
        &mut self,
        conn: ConnId,
        row: RowId,
        argv: Argv<'_>,
        (each, merge): (EachFn, MergeFn),
        protocol: Protocol,
        out: &mut Output,
    ) -> Result<After, CommandError> {
        let me = self.core.me;
        // All cores are to answer, also those that wait for their shards.
        if let Some(tx) = self.wide {
            self.core.give_back(tx);
        }
        let io = self.io.as_deref_mut().ok_or(NOT_ALLOWED)?;
        let mut asker = Asker::of(self.core.clients.at(conn.index), me);
        (asker.db, asker.protocol) = (self.db, protocol);
        let request = Arc::new(Request::from(argv));
        let others = (0..self.core.shared.shards).map(|core| ShardId(core as u16)).filter(|core| *core != me);
        let mut missing = 0;
        for core in others {
            let ask = Control::Ask { slot: SCRIPT_SLOT, row, asker, request: request.clone() };
            self.core.batch_to(core).control.push(ask);
            missing += 1;
        }
        self.core.flush(io);
        let mut parts = vec![(me, each(self.core, io, asker, argv)?)];
        while missing > 0 {
            let answer = self.core.await_in_place(|batch| {
                let mine = |control: &Control| matches!(control, Control::Answer { slot: SCRIPT_SLOT, .. });
                match batch.control.remove(batch.control.iter().position(mine)?) {
                    Control::Answer { part, .. } => Some(part),
                    _ => None,
                }
            });
            match answer {
                Some((_, Part::Failed(error))) => return Err(*error),
                Some(answer) => parts.push(answer),
                None => return Err(NOT_ALLOWED),
            }
            missing -= 1;
        }
        parts.sort_by_key(|(core, _)| *core);
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        let spoken = std::mem::replace(&mut self.core.clients.at(conn.index).protocol, protocol);
        let result = merge(self.core, io, conn, argv, parts, &mut Reply::new(out, protocol));
        if let Some(client) = self.core.clients.get(conn) {
            client.protocol = spoken;
        }
        result
    }

    /// A command for other shards, run as work of the script's transaction.
    pub(super) fn run_elsewhere(
        &mut self,
        tx: TxRef,
        row: RowId,
        argv: Argv<'_>,
        view: ClientView,
        way: Route,
        out: &mut Output,
    ) -> Called {
        self.mind_the_loan(tx);
        let io = self.io.as_deref_mut().expect("a wide script runs in a step of its caller");
        if self.core.borrow_all(io, tx, view).is_none() {
            return Called::Stop(Stop::Killed);
        }
        if let Route::Shard(shard) = way
            && self.core.loans.swap(shard, &mut self.core.shard)
        {
            let called = self.run_here(row, argv, view, out);
            self.core.loans.swap(shard, &mut self.core.shard);
            return called;
        }
        let command = TxCommand { row, db: self.db, request: Request::from(argv).into() };
        if let Route::Shard(shard) = way {
            let work = Work::Group { commands: vec![(0, command)] };
            let io = again(&mut self.io);
            let parts = self.core.run_works_holding(io, tx, view, vec![(shard, work)]);
            self.told.extend(self.core.loans.noticed.drain(..).map(Told::Notice));
            let Some(mut parts) = parts else {
                return Called::Stop(Stop::Killed);
            };
            if let Some((_, Part::Replies(mut replies))) = parts.pop()
                && let Some((_, mut reply)) = replies.pop()
            {
                out.append(&mut reply);
            }
            self.show(self.core.table.entry(row), argv);
            return Called::Replied;
        }
        let begun = clock::cycles();
        let planned = Single::new(command, self.core.table, self.core.placement, view.protocol);
        let mut single = match planned {
            Ok(single) => single,
            Err(error) => return self.fail(row, argv, &error, view.protocol, out),
        };
        let io = again(&mut self.io);
        let ran = self.core.run_single_holding(io, tx, view, &mut single);
        self.told.extend(self.core.loans.noticed.drain(..).map(Told::Notice));
        if ran.is_none() {
            return Called::Stop(Stop::Killed);
        }
        single.finish(out);
        let ok = out.bytes.first() != Some(&b'-');
        let ran = Ran { cycles: clock::cycles() - begun, ok, reply_bytes: out.len() };
        self.count(row, argv, ran, out);
        self.show(self.core.table.entry(row), argv);
        Called::Replied
    }

    /// A script that takes long gives the shards back that it was lent: their cores serve on.
    pub(super) fn mind_the_loan(&mut self, tx: TxRef) {
        if self.core.loans.are_overdue() {
            let io = self.io.as_deref_mut().expect("a wide script runs in a step of its caller");
            self.core.give_back(tx);
            self.core.flush(io);
        }
    }
}

/// XREAD and XREADGROUP wait only when they are asked to, which a script may not.
pub(super) fn waits_by_option(entry: &Entry, argv: Argv<'_>) -> bool {
    matches!(entry.full_name, "xread" | "xreadgroup")
        && argv
            .iter()
            .skip(1)
            .take_while(|word| !word.eq_ignore_ascii_case(b"streams"))
            .any(|word| word.eq_ignore_ascii_case(b"block"))
}
