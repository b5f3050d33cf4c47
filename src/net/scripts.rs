//! Scripts: EVAL and its kin as the core runs them, and the server as a script sees it.
//!
//! A script starts on the shard of its declared keys and runs there as one step, like any command. Undeclared keys
//! simply work: when one lives elsewhere, or an intent stands on it, what the script has done is undone and it begins
//! anew *wide*: as a transaction that holds every shard, on the core of its client. It is remembered as wide.
//!
//! Undoing needs the values as they were. They are copied before the first change of each key, as long as they are
//! small ([`BEFORE_MOST_BYTES`]). A script that changes a larger one beside other shards is run wide instead: it could
//! not be undone cheaply, and nobody knows beforehand that it need not be. With one shard nothing is copied.
//!
//! A wide script runs within a step of its caller. The other cores lend it their shards for a while (`net/lend.rs`), so
//! that its commands run here. Where they do not, its commands for other shards leave as work of its transaction, and the core waits for their answers in place, putting aside, in order, whatever else arrives.
//!
//! INVARIANT (no circle): a wide script begins only when every shard has begun its transaction (an empty hop sees to
//! that), holding it whole and exclusively. So no other transaction is between its first and last hop, no second
//! script waits in place, and every other core turns and takes its mail, which is all that an answer needs: messages
//! of transactions need no credit, sending never waits, and a batch that is sent is published in the same breath. A
//! transaction that waits for its grace period waits for this core's turn and holds nothing meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hashbrown::HashSet;
use smallvec::SmallVec;

use super::batch::{Asker, Batch, Control};
use super::busy::{ATTEND_NS, busy_error};
use super::client::Stall;
use super::core::Core;
use super::dispatch::{After, Bound, EachFn, MergeFn, await_token};
use super::observe::{Caller, Ran};
use super::output::{is_shown, monitor_line};
use super::shared::Shared;
use crate::commands::context::ClientView;
use crate::commands::keys_of::keys_of;
use crate::commands::spec::{Flags as CommandFlags, Row, Run};
use crate::commands::{Args, CommandError, Entry, Part, RowId};
use crate::persistence::level;
use crate::pubsub::Space;
use crate::resp::{Argv, Output, Protocol, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::runtime::mesh::Received;
use crate::script::functions::Library;
use crate::script::gate::{self, Gates};
use crate::script::lua::{Called, Chunk, End, Given, Host, Stop};
use crate::script::{Cache, Flags, Kill, Script};
use crate::shard::effects::Class;
use crate::shard::{Effect, Event, Moved, ValueView};
use crate::sys::clock;
use crate::tx::Claim;
use crate::tx::Route;
use crate::tx::execute::{Did, run_whole, run_work_whole, write_error};
use crate::tx::finish::finish_command;
use crate::tx::intents::Mode;
use crate::tx::log::Repeat;
use crate::tx::message::{Token, TxCommand, TxMessage, TxRef, Work};
use crate::tx::multi::{Plan, Scripted};
use crate::tx::route::{mode_of, route};
use crate::tx::single::Single;
use crate::types::number::parse_i64;
use crate::types::{DbIndex, ShardId};

/// Values up to this size are copied before a script changes them beside other shards.
const BEFORE_MOST_BYTES: usize = 16 * 1024;

/// Names the broadcast of a script, which is answered in place, to other cores.
const SCRIPT_SLOT: u32 = u32::MAX;

/// Who waits in place looks so often before it gives up its processor, and then every so often: who is waited for may be
/// in a queue for one.
const YIELDS: usize = 200;
const NAP: std::time::Duration = std::time::Duration::from_micros(20);

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("script|load", Bound::Here(load)),
    ("script|exists", Bound::Here(exists)),
    ("script|flush", Bound::Here(flush)),
    ("script|kill", Bound::Here(kill)),
    ("script|debug", Bound::Here(debug)),
    ("script|show", Bound::Here(show)),
    ("script|help", Bound::Here(help)),
];

const NO_SCRIPT: CommandError = CommandError::Line("NOSCRIPT No matching script. Please use EVAL.");
const UNKNOWN: CommandError = CommandError::Line("ERR Unknown Redis command called from script");
const NOT_ALLOWED: CommandError = CommandError::Line("ERR This Redis command is not allowed from script");

/// How a script went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ScriptDid {
    Replied,
    /// The reply is an error.
    Failed,
    /// The reply is the error of one of its commands, which is counted.
    Relayed,
    /// Nothing is written: it must run wide.
    Wider,
}

/// One call of a script.
#[derive(Clone, Copy)]
pub(super) struct ScriptCall<'a> {
    pub row: RowId,
    pub db: DbIndex,
    pub view: ClientView,
    pub caller: Caller,
    pub argv: Argv<'a>,
}

impl Core {
    /// Runs a script on this shard. `wide` is its transaction, when it holds all of them.
    pub(super) fn run_script<'i>(
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
        // Redis: a function is looked for before its keys are counted, a script behind that.
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
    pub(super) fn is_wide_script(&self, entry: &Entry, argv: Argv<'_>) -> bool {
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
    pub(super) fn run_script_here(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, argv: Argv<'_>) {
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
    pub(super) fn count_script(&mut self, call: ScriptCall<'_>, did: ScriptDid, cycles: u64, out: &Output) {
        let ok = did == ScriptDid::Replied;
        if ok || did == ScriptDid::Relayed || !self.count_error_reply(call.row, out, 0) {
            let ran = Ran { cycles, ok, reply_bytes: out.len() };
            self.ran(call.row, call.caller, call.argv, ran);
        }
    }

    /// Runs a script that another core sent, or that waited in the queue, and answers it.
    ///
    /// Without `io` this core hears nobody while the script runs.
    pub(super) fn run_script_for<'i>(
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

    /// Begins a script that holds all shards.
    pub(super) fn begin_script(&mut self, conn: ConnId, row: RowId, argv: Argv<'_>) {
        self.count_costly_script(conn);
        let client = self.clients.at(conn.index);
        let command = TxCommand { row, db: client.db, request: Request::from(argv).into() };
        let token = await_token(client, self.me);
        self.begin_script_again(token, command);
    }

    /// The same for a client whose reply has its place already.
    pub(super) fn begin_script_again(&mut self, token: Token, command: TxCommand) {
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
    fn await_in_place<T>(&mut self, take: impl Fn(&mut Batch) -> Option<T>) -> Option<(ShardId, T)> {
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
    pub(super) fn claim_everything(&self, claims: &mut Vec<(ShardId, Claim)>) {
        for shard in 0..self.shared.shards {
            let claim = crate::tx::single::claim_on(claims, ShardId(shard as u16));
            claim.intents.add_whole(Mode::Exclusive);
        }
    }

    /// Has works done within a transaction that has begun on all shards, and waits in place; their parts in the order of
    /// the shards. `None` when the server stops.
    pub(super) fn run_works_holding<'i>(
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
    pub(super) fn await_part(&mut self, tx: TxRef) -> Option<(ShardId, Part)> {
        self.await_in_place(|batch| {
            let mine = |message: &TxMessage| matches!(message, TxMessage::Ran { tx: of, .. } if *of == tx);
            match batch.tx.remove(batch.tx.iter().position(mine)?) {
                TxMessage::Ran { part, .. } => Some(part),
                _ => None,
            }
        })
    }

    /// Runs all stages of a command so. `None` when the server stops.
    pub(super) fn run_single_holding<'i>(
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
    pub(super) fn run_script_wide(
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
    pub(super) fn run_script_holding(
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
fn again<'a>(io: &'a mut Option<&mut (dyn NetIo + '_)>) -> Option<&'a mut (dyn NetIo + 'a)> {
    match io {
        Some(io) => Some(&mut **io),
        None => None,
    }
}

/// XREAD and XREADGROUP wait only when they are asked to, which a script may not.
fn waits_by_option(entry: &Entry, argv: Argv<'_>) -> bool {
    matches!(entry.full_name, "xread" | "xreadgroup")
        && argv
            .iter()
            .skip(1)
            .take_while(|word| !word.eq_ignore_ascii_case(b"streams"))
            .any(|word| word.eq_ignore_ascii_case(b"block"))
}

/// What a call names.
enum Found {
    Script(Arc<Script>, Chunk),
    Function(Arc<Library>, usize),
}

impl Found {
    fn new(cache: &mut Cache, shared: &Shared, row: &Row, argv: Argv<'_>) -> Result<Found, CommandError> {
        let name = argv.get(1);
        let found = match row.name {
            "fcall" | "fcall_ro" => {
                let found = shared.scripts.libraries.find(name);
                let (library, place) = found.ok_or(CommandError::Line("ERR Function not found"))?;
                return Ok(Found::Function(library, place));
            }
            "evalsha" | "evalsha_ro" => cache.of_sha(&shared.scripts, name).ok_or(NO_SCRIPT)?,
            _ => cache.of_source(&shared.scripts, name),
        };
        found.map(|(script, chunk)| Found::Script(script, chunk)).map_err(CommandError::text)
    }

    fn is_function(&self) -> bool {
        matches!(self, Found::Function(..))
    }

    fn name(&self) -> &str {
        match self {
            Found::Script(script, _) => script.name(),
            Found::Function(library, place) => &library.functions[*place].name,
        }
    }

    fn flags(&self) -> Option<Flags> {
        match self {
            Found::Script(script, _) => script.flags,
            Found::Function(library, place) => Some(library.functions[*place].flags),
        }
    }

    fn is_wide(&self) -> &AtomicBool {
        match self {
            Found::Script(script, _) => &script.is_wide,
            Found::Function(library, place) => &library.functions[*place].is_wide,
        }
    }

    fn chunk(&self, cache: &mut Cache, shared: &Shared) -> Result<Chunk, CommandError> {
        match self {
            Found::Script(_, chunk) => Ok(*chunk),
            Found::Function(library, place) => cache
                .function(&shared.scripts.libraries, library, *place, &shared.log)
                .map_err(CommandError::text),
        }
    }
}

/// What holds for a run, or why there is none.
fn gates_of(flags: Option<Flags>, gates: Gates) -> Result<Gates, CommandError> {
    let Some(flags) = flags else { return Ok(gates) };
    let no_writes = flags.has(Flags::NO_WRITES);
    if gates.read_only && !no_writes {
        return Err(CommandError::Line("ERR Can not execute a script with write flag using *_ro command."));
    }
    if gates.cannot_save && !no_writes {
        return Err(CommandError::CannotSave);
    }
    if let Some(errno) = gates.cannot_log
        && !no_writes
    {
        return Err(CommandError::CannotLog(errno));
    }
    if gates.lacks_replicas && !no_writes {
        return Err(CommandError::NoReplicas);
    }
    Ok(Gates {
        read_only: gates.read_only || no_writes,
        out_of_memory: gates.out_of_memory && !flags.has(Flags::ALLOW_OOM),
        ..gates
    })
}

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

/// What others will hear of a script.
enum Told {
    Message(Space, Vec<u8>, Vec<u8>),
    Notice(Effect),
}

/// A command that a script has called, to be counted.
struct Counted {
    /// `None`: there is no such command.
    row: Option<RowId>,
    /// `None`: it was refused before it ran.
    ran: Option<Ran>,
    /// The reply, when it is an error.
    error: Vec<u8>,
    /// Its words, when a log may want them.
    request: Option<Request>,
}

/// A key as it was before a script changed it.
struct Before {
    db: DbIndex,
    key: Box<[u8]>,
    value: Option<Moved>,
}

/// The server as one run of a script sees it.
struct ScriptHost<'c, 'i> {
    core: &'c mut Core,
    io: Option<&'i mut (dyn NetIo + 'i)>,
    wide: Option<TxRef>,
    gates: Gates,
    /// The selected database.
    db: DbIndex,
    view: ClientView,
    caller: Caller,
    has_written: bool,
    /// The run could be undone, and may have to be.
    can_undo: bool,
    before: Vec<Before>,
    saved: HashSet<(DbIndex, Box<[u8]>), ahash::RandomState>,
    /// Messages and notifications leave when the script has ended, in the order in which they came to be.
    told: Vec<Told>,
    /// What a run that may be undone has called: counted when it was not.
    called: Vec<Counted>,
    /// What monitors will see of it.
    shown: Vec<Vec<u8>>,
    /// When this core looks again at what came in while the script runs; 0: it has not been looked at the clock yet.
    attend_at_ns: u64,
    /// The server stops: what the script has done is half of something.
    is_cut_off: bool,
}

impl<'c, 'i> ScriptHost<'c, 'i> {
    fn new(
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

    fn end_attending(&mut self) {
        let conn = self.conn();
        if self.core.attends
            && let Some(io) = self.io.as_deref_mut()
        {
            self.core.end_attending(io, conn);
        }
    }

    fn end(mut self, end: End) -> ScriptDid {
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

    fn publish(&mut self) {
        for told in std::mem::take(&mut self.told) {
            match told {
                Told::Message(space, channel, text) => self.core.announce_bytes(space, &channel, &text),
                Told::Notice(effect) => self.core.notify_of(&[effect]),
            }
        }
    }

    /// Takes what the shard in this core's place has noticed, behind what was noticed before.
    fn collect_notices(&mut self) {
        let notices = &mut self.core.shard.notices;
        if notices.has_pending() {
            let mut effects = notices.take();
            self.told.extend(effects.drain(..).map(Told::Notice));
            self.core.shard.notices.give_back(effects);
        }
    }

    /// Counts a command that ran, or keeps it to be counted.
    fn count(&mut self, row: RowId, argv: Argv<'_>, ran: Ran, out: &Output) {
        if self.can_undo {
            let request = self.core.is_notable(argv, ran).then(|| Request::from(argv));
            let error = if ran.ok { Vec::new() } else { out.bytes.clone() };
            self.called.push(Counted { row: Some(row), ran: Some(ran), error, request });
        } else {
            self.core.count_called(Some(row), self.caller, argv, Some(ran), &out.bytes);
        }
    }

    /// A command has run: monitors will see it.
    fn show(&mut self, entry: &Entry, argv: Argv<'_>) {
        if self.core.has_monitors() && is_shown(entry) {
            self.shown.push(monitor_line(self.db, "lua", entry.full_name, argv));
        }
    }

    /// Puts everything back as it was. To those who follow the keyspace these are writes like others.
    fn undo(&mut self) {
        const UNDO: Event = Event { name: "undo", class: Class::Silent };
        let shard = &mut self.core.shard;
        for Before { db, key, value } in std::mem::take(&mut self.before).into_iter().rev() {
            let mut keys = shard.keyspace(db, false);
            match value {
                Some(value) => keys.put(&key, value, UNDO),
                None => {
                    keys.remove(&key, UNDO);
                }
            }
        }
        finish_command(shard, Repeat::State);
        shard.notices.undo();
        // Keys that went of themselves stay away.
        let gone = |told: &Told| matches!(told, Told::Notice(effect) if matches!(effect.event.class, Class::Expired | Class::Evicted));
        self.told.retain(gone);
        self.collect_notices();
        self.publish();
        if self.core.shard.has_news() {
            self.core.tell_news();
        }
    }

    /// Copies what a command is about to change. False when that is too much.
    fn remember(&mut self, entry: &Entry, argv: Argv<'_>) -> bool {
        // Both write to a database that is not the selected one.
        if matches!(entry.full_name, "move" | "copy") {
            return false;
        }
        let Ok(keys) = keys_of(entry.row, argv) else { return true };
        for at in keys.iter().filter(|at| mode_of(entry.row, at.access) == Mode::Exclusive) {
            let key = argv.get(at.index);
            let name = (self.db, Box::from(key));
            if self.saved.contains(&name) {
                continue;
            }
            let mut keyspace = self.core.shard.keyspace(self.db, false);
            let is_large = keyspace.peek(key).is_some_and(|entry| match entry.value() {
                ValueView::Heap(value) => value.heap_bytes() > BEFORE_MOST_BYTES,
                _ => false,
            });
            if is_large {
                return false;
            }
            let value = keyspace.copy(key);
            self.before.push(Before { db: self.db, key: name.1.clone(), value });
            self.saved.insert(name);
        }
        true
    }

    /// A command is refused before it runs; `row` is `None` when there is no such command.
    fn refuse(
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
    fn fail(
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

    fn wider(&self) -> Called {
        Called::Stop(Stop::Wider)
    }

    fn wrote(&mut self) {
        if !self.has_written {
            self.has_written = true;
            let core = &self.core;
            core.shared.scripts.running[core.me.index()].wrote.store(true, Ordering::Relaxed);
        }
    }

    /// A command all of whose keys are on this shard.
    fn run_here(&mut self, row: RowId, argv: Argv<'_>, view: ClientView, out: &mut Output) -> Called {
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
    fn run_bound(&mut self, row: RowId, argv: Argv<'_>, protocol: Protocol, out: &mut Output) -> Called {
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
    fn run_elsewhere(
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
    fn mind_the_loan(&mut self, tx: TxRef) {
        if self.core.loans.are_overdue() {
            let io = self.io.as_deref_mut().expect("a wide script runs in a step of its caller");
            self.core.give_back(tx);
            self.core.flush(io);
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

// --- SCRIPT ---------------------------------------------------------------------------------------------------------

fn load(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let source = args.take()?;
    let mut cache = core.scripts.take().unwrap_or_default();
    let loaded = cache.of_source(&core.shared.scripts, source);
    core.scripts = Some(cache);
    let (script, _) = loaded.map_err(CommandError::text)?;
    reply.bulk(&script.sha);
    Ok(After::Done)
}

fn exists(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.array(args.left());
    for sha in args.rest() {
        reply.int(i64::from(core.shared.scripts.find(sha).is_some()));
    }
    Ok(After::Done)
}

fn flush(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let known = args.left() == 0 || (args.left() == 1 && (args.token("sync") || args.token("async")));
    if !known {
        return Err(CommandError::Line("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    core.shared.scripts.flush();
    reply.ok();
    Ok(After::Done)
}

fn kill(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    kill_running(core, false, reply)
}

/// SCRIPT KILL and FUNCTION KILL.
pub(super) fn kill_running(
    core: &mut Core,
    function: bool,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    match core.shared.scripts.kill(function) {
        Kill::NothingRuns => Err(CommandError::Line("NOTBUSY No scripts in execution right now.")),
        Kill::HasWritten => Err(CommandError::Line(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        )),
        Kill::OtherKind => Err(busy_error(!function)),
        Kill::Told => {
            reply.ok();
            Ok(After::Done)
        }
    }
}

/// There is no debugger; NO is what scripts are run with anyway.
fn debug(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    if args.token("no") {
        reply.ok();
        return Ok(After::Done);
    }
    if args.token("yes") || args.token("sync") {
        return Err(CommandError::Line("ERR The script debugger is not available"));
    }
    Err(CommandError::Line("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn show(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let script = core.shared.scripts.find(args.take()?).ok_or(NO_SCRIPT)?;
    reply.bulk(&script.source);
    Ok(After::Done)
}

fn help(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    const LINES: &[&str] = &[
        "SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DEBUG (YES|SYNC|NO)",
        "    Set how scripts are debugged.",
        "EXISTS <sha1> [<sha1> ...]",
        "    Tell which of these scripts are known.",
        "FLUSH [ASYNC|SYNC]",
        "    Forget all scripts.",
        "KILL",
        "    End the script that runs.",
        "LOAD <script>",
        "    Make a script known without running it.",
        "SHOW <sha1>",
        "    Show the source of a script.",
        "HELP",
        "    Prints this help.",
    ];
    reply.array(LINES.len());
    LINES.iter().for_each(|line| reply.simple(line));
    Ok(After::Done)
}
