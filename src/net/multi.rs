//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: the connection's side of transactions.

use super::batch::Asker;
use super::client::Multi;
use super::core::Core;
use super::dispatch::{After, Bound, await_token};
use super::observe::{Caller, Ran};
use super::scripts::ScriptCall;
use crate::commands::spec::{Access, Arg, Flags, Group, KeySpec, Row, Run, Shape};
use crate::commands::{Args, CommandError, Part, RowId};
use crate::resp::writer::QUEUED;
use crate::resp::{Argv, Output, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::tx::Claim;
use crate::tx::Route;
use crate::tx::execute::{run_in_block, write_error};
use crate::tx::intents::Mode;
use crate::tx::message::{Token, TxCommand, WatchedKey};
use crate::tx::multi::{Exec, Plan, Step};
use crate::tx::route::route;
use crate::tx::single::{add_claims, claim_on};
use crate::types::number::parse_i64;
use crate::types::{DbIndex, ShardId};

const QUIET: Flags =
    Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST).and(Flags::ALLOW_BUSY);

/// The rows of transactions.
pub const ROWS: &[Row] = &[
    Row {
        name: "multi",
        arity: 1,
        flags: QUIET,
        group: Group::Transactions,
        since: "1.2.0",
        summary: "Begins a transaction: commands are queued until EXEC.",
        complexity: "O(1)",
        reply: Shape::Ok,
        ..Row::BLANK
    },
    Row {
        name: "exec",
        arity: 1,
        flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::SKIP_SLOWLOG),
        group: Group::Transactions,
        since: "1.2.0",
        summary: "Runs the queued commands as one.",
        complexity: "Depends on the commands",
        reply: Shape::Any(&[Shape::Array, Shape::Null]),
        ..Row::BLANK
    },
    Row {
        name: "discard",
        arity: 1,
        flags: QUIET,
        group: Group::Transactions,
        since: "2.0.0",
        summary: "Drops the queued commands.",
        complexity: "O(N) with N queued commands",
        reply: Shape::Ok,
        ..Row::BLANK
    },
    Row {
        name: "watch",
        arity: -2,
        flags: QUIET,
        keys: &[KeySpec::rest(1, 1, Access::RO)],
        group: Group::Transactions,
        since: "2.2.0",
        summary: "Makes the next EXEC depend on keys staying as they are.",
        complexity: "O(1) for every key",
        args: &[Arg::key("key", 0).multiple()],
        reply: Shape::Ok,
        run: Run::Broadcast,
        ..Row::BLANK
    },
    Row {
        name: "unwatch",
        arity: 1,
        flags: QUIET,
        group: Group::Transactions,
        since: "2.2.0",
        summary: "Forgets all watched keys.",
        complexity: "O(1)",
        reply: Shape::Ok,
        ..Row::BLANK
    },
];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("multi", Bound::Here(multi)),
    ("exec", Bound::Here(exec)),
    ("discard", Bound::Here(discard)),
    ("watch", Bound::Broadcast { each: watch_each, merge: watch_merge }),
    ("unwatch", Bound::Here(unwatch)),
];

/// Commands that are not queued in a MULTI block.
pub fn runs_inside_multi(name: &str) -> bool {
    matches!(name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

/// Bound commands whose effect must not overtake commands that are still under way.
pub fn waits_for_answers(name: &str) -> bool {
    matches!(
        name,
        "exec"
            | "quit"
            | "reset"
            | "monitor"
            | "shutdown"
            | "auth"
            | "hello"
            | "subscribe"
            | "unsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "ssubscribe"
            | "sunsubscribe"
    )
}

fn multi(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let client = core.clients.at(conn.index);
    if client.multi.is_some() {
        return Err(CommandError::Line("ERR MULTI calls can not be nested"));
    }
    client.multi = Some(Box::default());
    reply.ok();
    Ok(After::Done)
}

fn discard(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let client = core.clients.at(conn.index);
    if client.multi.take().is_none() {
        return Err(CommandError::Line("ERR DISCARD without MULTI"));
    }
    core.unwatch_all(conn);
    reply.ok();
    Ok(After::Done)
}

fn unwatch(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    core.unwatch_all(conn);
    reply.ok();
    Ok(After::Done)
}

fn watch_each(
    core: &mut Core,
    _: &mut dyn NetIo,
    asker: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    let mut versions = Vec::new();
    for index in 1..argv.len() {
        let key = argv.get(index);
        if core.placement.owner_of(key) == core.me {
            // A key that has expired already does not change by being removed later.
            core.shard.keyspace(asker.db, false).exists(key);
            crate::tx::finish::finish(&mut core.shard);
            versions.push((index, core.shard.watch(asker.db, key)));
        }
    }
    Ok(Part::Versions(versions))
}

fn watch_merge(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let client = core.clients.at(conn.index);
    let db = client.db;
    let mut twice = Vec::new();
    for part in parts {
        let Part::Versions(versions) = part else { continue };
        for (index, version) in versions {
            let watched = WatchedKey { db, key: argv.get(index).into(), version };
            let known = client.watched.iter().any(|known| known.db == db && known.key == watched.key);
            if known || client.multi.is_some() { twice.push(watched) } else { client.watched.push(watched) }
        }
    }
    let in_multi = client.multi.is_some();
    core.unwatch(twice);
    if in_multi {
        return Err(CommandError::Line("ERR WATCH inside MULTI is not allowed"));
    }
    reply.ok();
    Ok(After::Done)
}

fn exec(
    core: &mut Core,
    io: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let result = exec_block(core, io, conn, args.argv(), reply);
    if core.has_monitors() && !matches!(result, Ok(After::Later)) {
        let db = core.clients.at(conn.index).db;
        core.feed_monitors(conn, db, "exec", args.argv());
    }
    result
}

/// Why a block was discarded. Redis: an error of no particular code is told without one.
pub(super) fn because_of(error: &CommandError) -> CommandError {
    let line = error.line();
    let why = line.strip_prefix(b"ERR ").unwrap_or(&line);
    CommandError::text([b"EXECABORT Transaction discarded because of: ", why].concat())
}

fn exec_block(
    core: &mut Core,
    io: &mut dyn NetIo,
    conn: ConnId,
    argv: Argv<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let client = core.clients.at(conn.index);
    let Some(multi) = client.multi.take() else {
        return Err(CommandError::Line("ERR EXEC without MULTI"));
    };
    if multi.failed {
        core.unwatch_all(conn);
        return Err(CommandError::Line("EXECABORT Transaction discarded because of previous errors."));
    }
    if let Some(error) = core.refusal_of(conn, &multi) {
        core.unwatch_all(conn);
        return Err(because_of(&error));
    }
    let client = core.clients.at(conn.index);
    let (db, view, protocol) = (client.db, client.view(), client.protocol);
    let watched = std::mem::take(&mut client.watched);
    let mut steps = core.steps_of(*multi, db);
    let has_script = steps.iter().any(|step| core.table.entry(step.command.row).is_script);
    let alone = core.shared.shards == 1 && has_script;
    if alone {
        // A script runs here or nowhere, so nothing may be under way: what the first step begins the second one ends.
        core.step_transactions(io);
        core.end_all_slices();
    }
    let claims = core.claims_of(&mut steps, &watched);
    let here = claims.iter().all(|(shard, _)| *shard == core.me)
        && !steps.iter().any(|step| core.asks_other_cores(step))
        && claims
            .iter()
            .all(|(_, claim)| alone || core.queue.is_idle() || !core.queue.conflict(&claim.intents));
    let may_hold = !here && !steps.iter().any(|step| core.asks_other_cores(step));
    if may_hold && let Some(tx) = core.hold_all() {
        core.exec_at_rest(io, conn, tx, &steps, &watched, reply);
        return Ok(After::Done);
    }
    if has_script && !here {
        core.count_costly_script(conn);
    }
    let result = if here {
        let unchanged = core.are_unchanged(&watched);
        if unchanged {
            core.hold_messages(conn);
            core.exec_here(io, conn, steps, reply);
        } else {
            reply.null_array()
        };
        After::Done
    } else {
        let client = core.clients.at(conn.index);
        let token = await_token(client, core.me);
        let exec = Exec::new(Request::from(argv), steps, core.table, core.placement, protocol);
        core.coordinator.begin(token, view, claims, Plan::Exec(Box::new(exec)));
        After::Later
    };
    if result == After::Later {
        // The owners compare versions when the transaction is scheduled; forgetting goes out behind it.
        core.clients.at(conn.index).watched_by_exec = watched;
    } else {
        core.unwatch(watched);
    }
    Ok(result)
}

impl Core {
    /// Does a step need an answer of other cores, without being a part of the transaction?
    fn asks_other_cores(&self, step: &Step) -> bool {
        match (&step.route, self.bound[step.command.row.index()]) {
            (Ok(Route::Broadcast), _) => self.shared.shards > 1,
            (Ok(Route::Bound), Bound::Publish(space)) => {
                self.asks_others(space, step.command.request.argv().get(1))
            }
            _ => false,
        }
    }

    /// Forgets a client's watched keys.
    pub fn unwatch_all(&mut self, conn: ConnId) {
        let watched = std::mem::take(&mut self.clients.at(conn.index).watched);
        self.unwatch(watched);
    }

    /// Do these keys of this shard have the versions that were seen?
    pub fn are_unchanged(&mut self, watched: &[WatchedKey]) -> bool {
        for key in watched {
            self.shard.keyspace(key.db, false).exists(&key.key);
        }
        crate::tx::finish::finish(&mut self.shard);
        watched.iter().all(|key| self.shard.watches.unchanged(key.db, &key.key, key.version))
    }

    /// Queues a command of a MULTI block.
    pub(super) fn queue_in_multi(&mut self, conn: ConnId, row: RowId, argv: Argv<'_>) -> super::gates::Flow {
        let entry = self.table.entry(row);
        let refusal = if entry.row.flags.has(Flags::NO_MULTI) {
            Some(CommandError::Line("ERR Command not allowed inside a transaction"))
        } else if self.shard.over_limit() && !self.shard.make_room() {
            // Redis: a queue takes memory whatever its commands do.
            Some(CommandError::OutOfMemory)
        } else {
            None
        };
        if let Some(error) = refusal {
            return self.reject(conn, row, &error);
        }
        let client = self.clients.at(conn.index);
        client.begin_command();
        client.commands += 1;
        client.last_command = Some(row);
        let request = Request::from(argv);
        if let Some(multi) = &mut client.multi {
            multi.bytes += request.heap_bytes();
            multi.commands.push((row, request.into()));
        }
        client.output().bytes.extend_from_slice(QUEUED);
        super::gates::Flow::Taken
    }

    /// Why a whole block may not run, although each of its commands was queued.
    fn refusal_of(&mut self, conn: ConnId, multi: &Multi) -> Option<CommandError> {
        let table = self.table;
        let mut entries = multi.commands.iter().map(|(row, _)| table.entry(*row));
        if entries.clone().any(|entry| entry.deny_oom) && self.shard.over_limit() && !self.shard.make_room() {
            return Some(CommandError::OutOfMemory);
        }
        if self.shared.durable.is_gated()
            && let Some(error) = entries.clone().find_map(|entry| self.durable_refusal(conn, entry))
        {
            return Some(error);
        }
        (self.lacks_replicas && entries.any(|entry| entry.is_write)).then_some(CommandError::NoReplicas)
    }

    /// The steps of a MULTI block, each with its database (SELECT inside moves on) and its way.
    fn steps_of(&self, multi: Multi, mut db: DbIndex) -> Vec<Step> {
        let databases = self.shard.dbs.len() as i64;
        let step = |(row, request): (RowId, std::sync::Arc<Request>)| {
            let entry = self.table.entry(row);
            let argv = request.argv();
            let way = match route(entry, argv, self.placement, self.me) {
                // A step of the caller, which holds all shards.
                Ok(Route::Shard(_) | Route::Several) if entry.is_script && self.shared.shards > 1 => {
                    Ok(Route::Bound)
                }
                way => way,
            };
            let step = Step { command: TxCommand { row, db, request: request.clone() }, route: way };
            if entry.full_name == "select"
                && let Some(index) = parse_i64(argv.get(1)).filter(|index| (0..databases).contains(index))
            {
                db = DbIndex(index as u16);
            }
            step
        };
        multi.commands.into_iter().map(step).collect()
    }

    /// What the steps and the watched keys claim. A step whose claims cannot be told fails when its time comes.
    fn claims_of(&self, steps: &mut [Step], watched: &[WatchedKey]) -> Vec<(ShardId, Claim)> {
        let mut claims = Vec::new();
        for step in steps.iter_mut() {
            if self.table.entry(step.command.row).is_script && self.shared.shards > 1 {
                self.claim_everything(&mut claims);
                continue;
            }
            if matches!(step.route, Ok(Route::Shard(_) | Route::Several)) {
                let added =
                    add_claims(&step.command, self.table, self.placement, &self.shard.hasher, &mut claims);
                match (added, &step.route) {
                    // Its handler words the fault.
                    (Err(_), Ok(Route::Shard(shard))) => {
                        claim_on(&mut claims, *shard);
                    }
                    (Err(error), _) => step.route = Err(error),
                    (Ok(()), Ok(Route::Shard(shard))) => {
                        claim_on(&mut claims, *shard);
                    }
                    _ => {}
                }
            }
        }
        for key in watched {
            let claim = claim_on(&mut claims, self.placement.owner_of(&key.key));
            // Held until the block has run, so that what was compared stays true.
            claim.intents.add(self.shard.hasher.hash(&key.key), Mode::Shared);
            claim.watched.push(key.clone());
        }
        if claims.is_empty() {
            claim_on(&mut claims, self.me);
        }
        claims
    }

    /// Runs a block whose keys are all here.
    fn exec_here(&mut self, io: &mut dyn NetIo, conn: ConnId, steps: Vec<Step>, reply: &mut Reply<'_>) {
        reply.array(steps.len());
        self.log_begin_block();
        for step in steps {
            let mut out = Output::default();
            // A script is shown before its commands.
            let is_script = self.table.entry(step.command.row).is_script;
            if is_script {
                self.show_step(conn, &step.command);
            }
            self.run_step(io, conn, &step, &mut out);
            reply.out.append(&mut out);
            if !is_script {
                self.show_step(conn, &step.command);
            }
            if self.shard.has_news() {
                self.tell_news();
            }
        }
        self.log_end_block();
        self.follow_up();
    }

    /// Shows a command of a block to the monitors.
    pub(super) fn show_step(&mut self, conn: ConnId, command: &TxCommand) {
        let entry = self.table.entry(command.row);
        if self.has_monitors() && super::output::is_shown(entry) && self.clients.get(conn).is_some() {
            let argv = command.request.argv();
            // SELECT is shown with the database it selected.
            let selected = (entry.full_name == "select").then(|| parse_i64(argv.get(1))).flatten();
            let known = |index: &i64| (0..self.shard.dbs.len() as i64).contains(index);
            let db = selected.filter(known).map_or(command.db, |index| DbIndex(index as u16));
            self.feed_monitors(conn, db, entry.full_name, argv);
        }
    }

    pub(super) fn run_step(&mut self, io: &mut dyn NetIo, conn: ConnId, step: &Step, out: &mut Output) {
        let table = self.table;
        let entry = table.entry(step.command.row);
        let argv = step.command.request.argv();
        let Some(client) = self.clients.get(conn) else { return };
        let (view, protocol) = (client.view(), client.protocol);
        self.start_clock();
        let result = match &step.route {
            Err(error) => Err(error.clone()),
            Ok(Route::Shard(_)) => {
                if entry.is_script {
                    let (row, db, caller) = (step.command.row, step.command.db, Caller::Here(conn));
                    let call = ScriptCall { row, db, view, caller, argv };
                    let did = self.run_script(Some(io), call, None, out);
                    let cycles = self.lap();
                    return self.count_script(call, did, cycles, out);
                }
                let ok = run_in_block(&mut self.shard, entry, step.command.db, view, argv, out);
                if ok || !self.count_error_reply(step.command.row, out, 0) {
                    let ran = Ran { cycles: self.lap(), ok, reply_bytes: out.len() };
                    self.ran(step.command.row, Caller::Here(conn), argv, ran);
                }
                return;
            }
            Ok(Route::Broadcast) => self.broadcast_alone(io, conn, step.command.row, argv, out),
            Ok(_) => {
                self.clients.at(conn.index).in_exec = true;
                let result = self.call_bound(io, conn, step.command.row, entry, argv, out, protocol);
                if let Some(client) = self.clients.get(conn) {
                    client.in_exec = false;
                }
                result
            }
        };
        self.count_result(&result);
        let ran = Ran { cycles: self.lap(), ok: result.is_ok(), reply_bytes: out.len() };
        self.ran(step.command.row, Caller::Here(conn), argv, ran);
        match result {
            Ok(After::Close) => self.clients.at(conn.index).close_after_reply = true,
            Ok(_) => {}
            Err(error) => {
                out.clear();
                write_error(&error, &mut Reply::new(out, protocol));
            }
        }
    }

    /// A broadcast of a process with one core.
    pub(super) fn broadcast_alone(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        argv: Argv<'_>,
        out: &mut Output,
    ) -> Result<After, CommandError> {
        let Bound::Broadcast { each, merge } = self.bound[row.index()] else {
            unreachable!("the registry binds broadcasts")
        };
        let client = self.clients.at(conn.index);
        let asker = Asker::of(client, self.me);
        let mut reply = Reply::new(out, client.protocol);
        let part = each(self, io, asker, argv)?;
        merge(self, io, conn, argv, vec![part], &mut reply)
    }

    /// Does the step of an EXEC that needs this core. False when its answer comes later.
    pub(super) fn do_caller_step(&mut self, io: &mut dyn NetIo, slot: u32, token: Token) -> bool {
        let conn = ConnId { index: token.index, generation: token.generation };
        let exec = match self.coordinator.program(slot) {
            Plan::Exec(exec) => exec,
            Plan::Script(script) => {
                let command = script.command().clone();
                let lent = script.take_lent();
                self.loans.take_in(lent, self.shard.now_ms);
                self.script_has_come();
                let mut out = Output::default();
                self.run_script_wide(io, conn, slot, &command, &mut out);
                if self.loans.are_there() {
                    self.begin_sitting(slot, token, &mut out);
                    return false;
                }
                let Plan::Script(script) = self.coordinator.program(slot) else {
                    unreachable!("checked above")
                };
                script.caller_done(out);
                return true;
            }
            Plan::One(_) | Plan::Snapshot(_) => unreachable!("a single command has no step for its caller"),
        };
        let (_, step) = exec.caller_step();
        let step = Step { command: step.command.clone(), route: step.route.clone() };
        let gone = self.clients.get(conn).is_none();
        if !gone && matches!(step.route, Ok(Route::Broadcast)) {
            self.broadcast(io, token, step.command.row, step.command.request, Some(slot));
            return false;
        }
        let mut out = Output::default();
        if self.table.entry(step.command.row).is_script && step.route.is_ok() {
            self.show_step(conn, &step.command);
            self.run_script_wide(io, conn, slot, &step.command, &mut out);
            let Plan::Exec(exec) = self.coordinator.program(slot) else { unreachable!("checked above") };
            exec.caller_done_as_before(out);
            if !exec.goes_on_with_script() {
                // What follows is work for the shards' owners.
                let (tx, _) = self.coordinator.reference(slot);
                self.give_back(tx);
            }
            return true;
        }
        if !gone
            && let Bound::Publish(space) = self.bound[step.command.row.index()]
            && step.route.is_ok()
        {
            self.start_clock();
            let argv = step.command.request.argv();
            let count = self.publish_in_exec(slot, space, &mut Args::new(argv, 1));
            let ran = Ran { cycles: self.lap(), ok: true, reply_bytes: 0 };
            self.ran(step.command.row, Caller::Here(conn), argv, ran);
            let Some(count) = count else { return false };
            Reply::new(&mut out, Default::default()).int(count);
            let Plan::Exec(exec) = self.coordinator.program(slot) else { unreachable!("checked above") };
            exec.caller_done_as_before(out);
            return true;
        }
        // Nobody reads the reply of a client that left, and what the step does is about its connection.
        if !gone {
            self.run_step(io, conn, &step, &mut out);
        }
        let protocol = self.clients.get(conn).map(|client| client.protocol).unwrap_or_default();
        if let Some(client) = self.clients.get(conn) {
            let view = client.view();
            self.coordinator.see_client(slot, view);
        }
        let Plan::Exec(exec) = self.coordinator.program(slot) else { unreachable!("checked above") };
        exec.caller_done(out, protocol);
        true
    }
}
