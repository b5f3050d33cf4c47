//! The server as one run of a script sees it.

use std::sync::atomic::Ordering;

use hashbrown::HashSet;

use super::calls::{NOT_ALLOWED, waits_by_option};
use super::undo::Before;
use super::{ScriptCall, ScriptDid};
use crate::commands::context::ClientView;
use crate::commands::spec::Run;
use crate::commands::{CommandError, Entry, RowId};
use crate::net::busy::ATTEND_NS;
use crate::net::core::Core;
use crate::net::observe::{Caller, Ran};
use crate::net::output::{is_shown, monitor_line};
use crate::persistence::level;
use crate::pubsub::Space;
use crate::resp::{Argv, Output, Protocol, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::script::gate::{self, Gates};
use crate::script::lua::{Called, End, Host, Stop};
use crate::shard::Effect;
use crate::sys::clock;
use crate::tx::Route;
use crate::tx::execute::write_error;
use crate::tx::message::TxRef;
use crate::tx::route::route;
use crate::types::DbIndex;

const UNKNOWN: CommandError = CommandError::Line("ERR Unknown Redis command called from script");

/// What others will hear of a script.
pub(super) enum Told {
    Message(Space, Vec<u8>, Vec<u8>),
    Notice(Effect),
}

/// A command that a script has called, to be counted.
pub(super) struct Counted {
    /// `None`: there is no such command.
    row: Option<RowId>,
    /// `None`: it was refused before it ran.
    ran: Option<Ran>,
    /// The reply, when it is an error.
    error: Vec<u8>,
    /// Its words, when a log may want them.
    request: Option<Request>,
}

/// The server as one run of a script sees it.
pub(super) struct ScriptHost<'c, 'i> {
    pub(super) core: &'c mut Core,
    pub(super) io: Option<&'i mut (dyn NetIo + 'i)>,
    pub(super) wide: Option<TxRef>,
    pub(super) gates: Gates,
    /// The selected database.
    pub(super) db: DbIndex,
    pub(super) view: ClientView,
    pub(super) caller: Caller,
    pub(super) has_written: bool,
    /// The run could be undone, and may have to be.
    pub(super) can_undo: bool,
    pub(super) before: Vec<Before>,
    pub(super) saved: HashSet<(DbIndex, Box<[u8]>), ahash::RandomState>,
    /// Messages and notifications leave when the script has ended, in the order in which they came to be.
    pub(super) told: Vec<Told>,
    /// What a run that may be undone has called: counted when it was not.
    pub(super) called: Vec<Counted>,
    /// What monitors will see of it.
    pub(super) shown: Vec<Vec<u8>>,
    /// When this core looks again at what came in while the script runs; 0: it has not been looked at the clock yet.
    pub(super) attend_at_ns: u64,
    /// The server stops: what the script has done is half of something.
    pub(super) is_cut_off: bool,
}

impl<'c, 'i> ScriptHost<'c, 'i> {
    pub(super) fn new(
        core: &'c mut Core,
        io: Option<&'i mut (dyn NetIo + 'i)>,
        call: ScriptCall<'_>,
        wide: Option<TxRef>,
        gates: Gates,
    ) -> ScriptHost<'c, 'i> {
        let can_undo = wide.is_none() && core.shared.shards > 1;
        ScriptHost {
            core,
            io,
            wide,
            gates,
            db: call.db,
            view: call.view,
            caller: call.caller,
            has_written: false,
            can_undo,
            before: Vec::new(),
            saved: HashSet::default(),
            told: Vec::new(),
            called: Vec::new(),
            shown: Vec::new(),
            attend_at_ns: 0,
            is_cut_off: false,
        }
    }

    /// Whose request the script is, when it is a client of this core.
    fn conn(&self) -> Option<ConnId> {
        match self.caller {
            Caller::Here(conn) => Some(conn),
            _ => None,
        }
    }

    /// A script that runs for too long: hears those who come meanwhile.
    fn mind_the_others(&mut self) {
        let now_ns = clock::monotonic_ns();
        if self.attend_at_ns == 0 {
            self.attend_at_ns = now_ns.saturating_add(self.core.busy_after_ns());
        }
        if now_ns < self.attend_at_ns {
            return;
        }
        let core = self.core.me.index();
        if self.core.shared.scripts.running[core].busy_with().is_none() {
            self.core.shared.scripts.is_busy(core, self.wide.is_some());
            let ms = self.core.busy_after_ns() / 1_000_000;
            let line = format!("Slow script detected: still in execution after {ms} milliseconds.");
            (self.core.shared.log)(level::WARNING, line.as_bytes());
        }
        self.attend_at_ns = now_ns + ATTEND_NS;
        let conn = self.conn();
        if let Some(io) = self.io.as_deref_mut() {
            self.core.attend(io, conn);
        }
    }

    pub(super) fn end_attending(&mut self) {
        let conn = self.conn();
        if self.core.attends
            && let Some(io) = self.io.as_deref_mut()
        {
            self.core.end_attending(io, conn);
        }
    }

    pub(super) fn end(mut self, end: End) -> ScriptDid {
        match end {
            End::Stopped(Stop::Wider) => {
                self.undo();
                return ScriptDid::Wider;
            }
            End::Replied | End::Relayed | End::Failed | End::Stopped(_) => self.tell(),
        }
        match end {
            End::Replied => ScriptDid::Replied,
            End::Relayed => ScriptDid::Relayed,
            End::Failed | End::Stopped(_) => ScriptDid::Failed,
        }
    }

    /// The run stands: everybody hears of it.
    fn tell(&mut self) {
        self.collect_notices();
        for Counted { row, ran, error, request } in std::mem::take(&mut self.called) {
            let argv = request.as_ref().map_or(Argv { buf: &[], spans: &[] }, Request::argv);
            self.core.count_called(row, self.caller, argv, ran, &error);
        }
        let is_heard_of = !self.told.is_empty();
        for line in std::mem::take(&mut self.shown) {
            self.core.feed_monitors_line(line);
        }
        self.publish();
        // Before others go on with what it has changed: that is told in turn, and a batch's messages come last.
        if is_heard_of
            && self.wide.is_some()
            && let Some(io) = self.io.as_deref_mut()
        {
            self.core.flush(io);
        }
    }

    pub(super) fn publish(&mut self) {
        for told in std::mem::take(&mut self.told) {
            match told {
                Told::Message(space, channel, text) => self.core.announce_bytes(space, &channel, &text),
                Told::Notice(effect) => self.core.notify_of(&[effect]),
            }
        }
    }

    /// Takes what the shard in this core's place has noticed, behind what was noticed before.
    pub(super) fn collect_notices(&mut self) {
        let notices = &mut self.core.shard.notices;
        if notices.has_pending() {
            let mut effects = notices.take();
            self.told.extend(effects.drain(..).map(Told::Notice));
            self.core.shard.notices.give_back(effects);
        }
    }

    /// Counts a command that ran, or keeps it to be counted.
    pub(super) fn count(&mut self, row: RowId, argv: Argv<'_>, ran: Ran, out: &Output) {
        if self.can_undo {
            let request = self.core.is_notable(argv, ran).then(|| Request::from(argv));
            let error = if ran.ok { Vec::new() } else { out.bytes.clone() };
            self.called.push(Counted { row: Some(row), ran: Some(ran), error, request });
        } else {
            self.core.count_called(Some(row), self.caller, argv, Some(ran), &out.bytes);
        }
    }

    /// A command has run: monitors will see it.
    pub(super) fn show(&mut self, entry: &Entry, argv: Argv<'_>) {
        if self.core.has_monitors() && is_shown(entry) {
            self.shown.push(monitor_line(self.db, "lua", entry.full_name, argv));
        }
    }

    /// A command is refused before it runs; `row` is `None` when there is no such command.
    pub(super) fn refuse(
        &mut self,
        row: Option<RowId>,
        error: &CommandError,
        protocol: Protocol,
        out: &mut Output,
    ) -> Called {
        out.clear();
        write_error(error, &mut Reply::new(out, protocol));
        if self.can_undo {
            self.called.push(Counted { row, ran: None, error: out.bytes.clone(), request: None });
        } else {
            self.core.count_called(row, self.caller, Argv { buf: &[], spans: &[] }, None, &out.bytes);
        }
        Called::Replied
    }

    /// A command comes to nothing but an error.
    pub(super) fn fail(
        &mut self,
        row: RowId,
        argv: Argv<'_>,
        error: &CommandError,
        protocol: Protocol,
        out: &mut Output,
    ) -> Called {
        out.clear();
        write_error(error, &mut Reply::new(out, protocol));
        self.count(row, argv, Ran { cycles: 0, ok: false, reply_bytes: out.len() }, out);
        Called::Replied
    }

    pub(super) fn wider(&self) -> Called {
        Called::Stop(Stop::Wider)
    }

    fn wrote(&mut self) {
        if !self.has_written {
            self.has_written = true;
            let core = &self.core;
            core.shared.scripts.running[core.me.index()].wrote.store(true, Ordering::Relaxed);
        }
    }
}

impl Host for ScriptHost<'_, '_> {
    fn call(&mut self, argv: Argv<'_>, protocol: Protocol, out: &mut Output) -> Called {
        let table = self.core.table;
        let Some(row) = gate::find(table, argv) else { return self.refuse(None, &UNKNOWN, protocol, out) };
        let entry = table.entry(row);
        if let Err(error) = gate::admit(entry, argv, self.gates, self.has_written) {
            return self.refuse(Some(row), &error, protocol, out);
        }
        if entry.is_blocking && waits_by_option(entry, argv) {
            let error =
                format!("ERR {} command is not allowed with BLOCK option from scripts", entry.full_name);
            return self.fail(row, argv, &CommandError::text(error), protocol, out);
        }
        let mut view = self.view;
        view.protocol = protocol;
        let way = match entry.row.run {
            Run::Bound | Run::Broadcast | Run::Container => return self.run_bound(row, argv, protocol, out),
            Run::Script => return self.refuse(Some(row), &NOT_ALLOWED, protocol, out),
            Run::Local(_) => Route::Shard(self.core.me),
            _ => match route(entry, argv, self.core.placement, self.core.me) {
                Ok(way) => way,
                Err(error) => return self.fail(row, argv, &error, protocol, out),
            },
        };
        let is_here = way == Route::Shard(self.core.me);
        if !is_here && self.wide.is_none() {
            return self.wider();
        }
        if entry.is_write {
            self.wrote();
        }
        match self.wide {
            Some(tx) if !is_here => self.run_elsewhere(tx, row, argv, view, way, out),
            _ => self.run_here(row, argv, view, out),
        }
    }

    fn may_call(&mut self, argv: Argv<'_>) -> Option<bool> {
        gate::find(self.core.table, argv).map(|_| true)
    }

    fn log(&mut self, level: u8, line: &[u8]) {
        (self.core.shared.log)(level, line);
    }

    fn interrupt(&mut self) -> Option<Stop> {
        if let Some(tx) = self.wide {
            self.mind_the_loan(tx);
        }
        self.mind_the_others();
        if self.core.shared.stop.load(Ordering::Relaxed) {
            self.is_cut_off = true;
            return Some(Stop::Killed);
        }
        self.core.shared.scripts.running[self.core.me.index()].killed()
    }
}
