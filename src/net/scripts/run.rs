//! One run of a script, from its call to its reply.

use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::found::{Found, gates_of};
use super::host::ScriptHost;
use super::{NO_SCRIPT, ScriptCall, ScriptDid};
use crate::commands::spec::Flags as CommandFlags;
use crate::commands::{CommandError, Entry, RowId};
use crate::net::batch::Control;
use crate::net::core::Core;
use crate::net::observe::{Caller, Ran};
use crate::resp::{Argv, Output, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::script::gate::{self, Gates};
use crate::script::lua::{End, Given, Stop};
use crate::script::store::Sha;
use crate::script::{Cache, Flags};
use crate::sys::clock;
use crate::tx::execute::write_error;
use crate::tx::message::{Token, TxCommand, TxRef};
use crate::types::ShardId;

impl Core {
    /// Runs a script on this shard. `wide` is its transaction, when it holds all of them.
    pub(in crate::net) fn run_script<'i>(
        &mut self,
        io: Option<&'i mut (dyn NetIo + 'i)>,
        call: ScriptCall<'_>,
        wide: Option<TxRef>,
        out: &mut Output,
    ) -> ScriptDid {
        if self.shared.shards == 1 && !self.sliced.is_empty() {
            self.end_all_slices();
        }
        let mut cache = self.scripts.take().unwrap_or_default();
        let result = self.run_script_with(&mut cache, io, call, wide, out);
        self.scripts = Some(cache);
        result.unwrap_or_else(|error| {
            write_error(&error, &mut Reply::new(out, call.view.protocol));
            ScriptDid::Failed
        })
    }

    fn run_script_with<'i>(
        &mut self,
        cache: &mut Cache,
        io: Option<&'i mut (dyn NetIo + 'i)>,
        call: ScriptCall<'_>,
        wide: Option<TxRef>,
        out: &mut Output,
    ) -> Result<ScriptDid, CommandError> {
        let ScriptCall { row, argv, view, .. } = call;
        let row = self.table.entry(row).row;
        let shared = self.shared.clone();
        let out_of_memory = self.shard.over_limit() && !self.shard.make_room();
        // Redis: before anything else is looked at. One that says nothing of itself may run until it needs memory.
        if out_of_memory
            && let Some(flags) = shared.scripts.flags_of(row.name, argv.get(1))
            && !flags.has(Flags::NO_WRITES)
            && !flags.has(Flags::ALLOW_OOM)
        {
            return Err(CommandError::OutOfMemory);
        }
        // Redis: a function is looked for before its keys are counted, a script behind that, unless its name cannot be one.
        if row.name.starts_with("evalsha") && argv.get(1).len() != size_of::<Sha>() {
            return Err(NO_SCRIPT);
        }
        let (found, count) = if row.name.starts_with("fcall") {
            let found = Found::new(cache, &shared, row, argv)?;
            (found, gate::key_count(argv, CommandError::Line("ERR Bad number of keys provided"))?)
        } else {
            let count = gate::key_count(argv, CommandError::NotInteger)?;
            (Found::new(cache, &shared, row, argv)?, count)
        };
        if wide.is_none() && shared.shards > 1 && found.is_wide().load(Ordering::Relaxed) {
            return Ok(ScriptDid::Wider);
        }
        let chunk = found.chunk(cache, &shared)?;
        let gates = Gates {
            read_only: row.flags.has(CommandFlags::READONLY),
            out_of_memory,
            lacks_replicas: self.lacks_replicas,
            cannot_save: self.cannot_save(),
            cannot_log: self.cannot_log(),
            deny_nothing: shared.scripts.deny_nothing.load(Ordering::Relaxed),
        };
        let gates = gates_of(found.flags(), gates)?;
        let keys: SmallVec<[&[u8]; 8]> = (3..3 + count).map(|index| argv.get(index)).collect();
        let args: SmallVec<[&[u8]; 8]> = (3 + count..argv.len()).map(|index| argv.get(index)).collect();
        let given = Given {
            name: found.name(),
            keys: &keys,
            args: &args,
            is_function: found.is_function(),
            protocol: view.protocol,
        };
        let running = &shared.scripts.running[self.me.index()];
        if found.is_function() {
            running.note(found.name(), argv.iter());
        }
        running.begin(self.now_ms, found.is_function());
        match wide {
            Some(tx) => self.log_enter(tx.id),
            None => self.log_begin_block(),
        }
        let mut host = ScriptHost::new(self, io, call, wide, gates);
        let end = cache.engine.run(chunk, &given, &mut host, out);
        host.end_attending();
        shared.scripts.end(host.core.me.index());
        if end == End::Stopped(Stop::Wider) {
            found.is_wide().store(true, Ordering::Relaxed);
        }
        let is_cut_off = host.is_cut_off;
        let did = host.end(end);
        if is_cut_off {
            self.log_forget_block();
        }
        match wide {
            Some(_) => self.log_leave(),
            None => self.log_end_block(),
        }
        Ok(did)
    }

    /// Does a request name a script that is known to need all shards?
    pub(in crate::net) fn is_wide_script(&self, entry: &Entry, argv: Argv<'_>) -> bool {
        let scripts = &self.shared.scripts;
        if entry.row.name.starts_with("fcall") {
            let found = scripts.libraries.find(argv.get(1));
            return found
                .is_some_and(|(library, place)| library.functions[place].is_wide.load(Ordering::Relaxed));
        }
        entry.row.name.starts_with("evalsha")
            && scripts.find(argv.get(1)).is_some_and(|script| script.is_wide.load(Ordering::Relaxed))
    }

    /// Runs a script of a client of this core whose keys are here.
    pub(in crate::net) fn run_script_here(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        argv: Argv<'_>,
    ) {
        let client = self.clients.at(conn.index);
        let (db, view) = (client.db, client.view());
        let call = ScriptCall { row, db, view, caller: Caller::Here(conn), argv };
        let mut out = Output::default();
        let begun = clock::cycles();
        match self.run_script(Some(io), call, None, &mut out) {
            ScriptDid::Wider => {
                if !self.run_script_at_rest(io, conn, row, argv) {
                    self.begin_script(conn, row, argv);
                }
                return;
            }
            did => self.count_script(call, did, clock::cycles() - begun, &out),
        }
        self.start_clock();
        if let Some(client) = self.clients.get(conn) {
            client.output().append(&mut out);
        }
        self.follow_up();
    }

    /// Counts a script that ran.
    pub(in crate::net) fn count_script(
        &mut self,
        call: ScriptCall<'_>,
        did: ScriptDid,
        cycles: u64,
        out: &Output,
    ) {
        let ok = did == ScriptDid::Replied;
        if ok || did == ScriptDid::Relayed || !self.count_error_reply(call.row, out, 0) {
            let ran = Ran { cycles, ok, reply_bytes: out.len() };
            self.ran(call.row, call.caller, call.argv, ran);
        }
    }

    /// Runs a script that another core sent, or that waited in the queue, and answers it.
    ///
    /// Without `io` this core hears nobody while the script runs.
    pub(in crate::net) fn run_script_for<'i>(
        &mut self,
        io: Option<&'i mut (dyn NetIo + 'i)>,
        origin: ShardId,
        token: Token,
        call: ScriptCall<'_>,
    ) {
        let mut out = Output::default();
        let begun = clock::cycles();
        match self.run_script(io, call, None, &mut out) {
            ScriptDid::Wider => {
                let command =
                    TxCommand { row: call.row, db: call.db, request: Request::from(call.argv).into() };
                if origin == self.me {
                    self.begin_again(token, command, None);
                } else {
                    let again = Control::RunAgain { token, command, deadline_ms: None };
                    self.batch_to(origin).control.push(again);
                }
            }
            did => {
                self.count_script(call, did, clock::cycles() - begun, &out);
                self.start_clock();
                if self.shard.has_news() {
                    self.tell_news();
                }
                if origin == self.me {
                    self.deliver(token, &mut out);
                } else {
                    let replies = &mut self.batch_to(origin).replies;
                    replies.output.append(&mut out);
                    replies.end(token);
                }
                if self.shard.waits.has_ready() {
                    self.serve_waiters();
                }
            }
        }
    }
}
