//! From bytes to commands: parsing, the gates every command passes, and where it goes from there.

use super::batch::Asker;
use super::blocked::command_of;
use super::client::{Client, ReplyMode, Stall};
use super::core::Core;
use super::mail::ShardWork;
use super::observe::{Caller, Ran};
use crate::commands::context::ClientView;
use crate::commands::keys_of::keys_of;
use crate::commands::spec::{Access, Flags, Run};
use crate::commands::{Args, CommandError, CommandTable, Entry, Part, RowId, quoted};
use crate::config::id;
use crate::pubsub::Space;
use crate::resp::{Argv, Limits, Output, Parser, Reply, Request, Span, Step};
use crate::runtime::face::{ConnId, ListenerKind, NetIo};
use crate::shard::Shard;
use crate::sys::clock;
use crate::tx::Route;
use crate::tx::execute::{Did, args_of, run_here, write_error};
use crate::tx::intents::{IntentSet, Mode};
use crate::tx::message::{Token, TxCommand};
use crate::tx::multi::Plan;
use crate::tx::queue::Armed;
use crate::tx::route::{mode_of, route};
use crate::tx::single::{Single, claims_of};
use crate::types::{DbIndex, ShardId};

/// Commands a connection may have outstanding at other shards.
const OUTSTANDING_MAX: usize = 4096;
/// Part of `client-query-buffer-limit` (64 MiB of 1 GiB) at which a stalled connection's receiving pauses. Large, because
/// many clients write a whole pipeline before they read: were the server to stop reading early, both would wait.
const QUERY_PAUSE_PART: usize = 16;

const DEBUG_NOT_ALLOWED: CommandError = CommandError::Line(
    "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a \
     local connection, otherwise you need to set this option in the configuration file, and then restart the server.",
);

/// How long one client's pipeline may run before the others have their turn (nanoseconds). What a client sends at once
/// may be milliseconds of work.
pub const VISIT_NS: u64 = 250_000;
/// Bytes that must be there for it to be worth parsing ahead.
const PIPELINE_LEAST_BYTES: usize = 64;
/// Requests parsed ahead at a time: enough to hide memory behind each other, few enough to stay in the first cache.
const AHEAD: usize = 16;

/// Requests of a pipeline, parsed before the first of them runs, so that the memory each of them will touch is on
/// its way while the others are parsed and run.
#[derive(Default)]
pub struct Ahead {
    requests: Vec<AheadRequest>,
    spans: Vec<Span>,
    hashes: Vec<u64>,
    /// Where the last of them ends.
    end: usize,
}

struct AheadRequest {
    end: usize,
    spans: (usize, usize),
    row: Option<RowId>,
}

impl Ahead {
    /// Parses up to [`AHEAD`] multibulk requests from `at` on; stops without a word at anything else.
    #[allow(clippy::too_many_arguments)]
    fn look(
        &mut self,
        parser: &mut Parser,
        bytes: &[u8],
        at: usize,
        limits: &Limits,
        table: &CommandTable,
        db: DbIndex,
        shard: &Shard,
    ) {
        self.requests.clear();
        self.spans.clear();
        self.hashes.clear();
        self.end = at;
        let keys = &shard.dbs[db.index()].table;
        while self.requests.len() < AHEAD && self.end < bytes.len() && bytes[self.end] == b'*' {
            let Ok(Step::Request { consumed }) = parser.step(&bytes[self.end..], limits) else { break };
            let argv = parser.argv(&bytes[self.end..]);
            let row = table.find(argv.get(0));
            if let Some(at @ 1..) = row.map(|row| table.entry(row).single_key)
                && let Some(key) = argv.try_get(at)
            {
                let hash = shard.hasher.hash(key);
                keys.prefetch(hash);
                self.hashes.push(hash);
            }
            let first = self.spans.len();
            self.spans.extend_from_slice(argv.spans);
            self.end += consumed;
            self.requests.push(AheadRequest { end: self.end, spans: (first, self.spans.len()), row });
        }
        if self.hashes.len() > 1 {
            self.hashes.iter().for_each(|hash| keys.prefetch_entry(*hash));
        }
    }
}

/// What a bound handler leaves to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// The reply is written.
    Done,
    /// Close the connection when the reply has left.
    Close,
    /// The reply is written, and consists of pushes: it goes even to who wants no replies.
    Pushed,
    /// The reply comes later, to the place that was kept for it; the next commands need not wait.
    Awaited,
    /// The reply comes later: the handler stalled the client and will answer.
    Later,
}

/// A command that needs its core: bound by `server/registry.rs`.
pub type BoundFn =
    fn(&mut Core, &mut dyn NetIo, ConnId, &mut Args<'_>, &mut Reply<'_>) -> Result<After, CommandError>;
/// One core's part of a broadcast.
pub type EachFn = fn(&mut Core, &mut dyn NetIo, Asker, Argv<'_>) -> Result<Part, CommandError>;
/// Merges the parts of a broadcast, in the order of the cores.
pub type MergeFn =
    fn(&mut Core, &mut dyn NetIo, ConnId, Argv<'_>, Vec<Part>, &mut Reply<'_>) -> Result<After, CommandError>;

/// What the registry binds to a row.
#[derive(Clone, Copy)]
pub enum Bound {
    /// A row that runs without its core.
    Plain,
    /// On the connection's core.
    Here(BoundFn),
    /// On every core.
    Broadcast { each: EachFn, merge: MergeFn },
    /// A message to all cores that have subscribers.
    Publish(Space),
}

/// What becomes of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// It is under way or done.
    Taken,
    /// It has to wait and was not begun: parse it again later.
    Later,
}

impl Core {
    /// Bytes of a client.
    pub fn take_bytes(&mut self, io: &mut dyn NetIo, conn: ConnId, bytes: &[u8]) {
        let now_ms = self.now_ms;
        let Some(client) = self.clients.get(conn) else { return };
        client.bytes_in += bytes.len() as u64;
        client.active_ms = now_ms;
        self.observe.net_in += bytes.len() as u64;
        self.observe.reads += 1;
        if client.kind == ListenerKind::Metrics {
            client.query.extend_from_slice(bytes);
            if self.attends {
                // Served when the script is over: all cores are asked.
                self.ready.push_back(conn);
                return;
            }
            return super::http::serve(self, io, conn);
        }
        if client.query.is_empty() && !client.is_stalled() {
            let consumed = self.run_requests(io, conn, bytes);
            let Some(client) = self.clients.get(conn) else { return };
            client.query.extend_from_slice(&bytes[consumed..]);
        } else {
            client.query.extend_from_slice(bytes);
            if !client.is_stalled() {
                self.run_query(io, conn);
            }
        }
        self.bound_query(io, conn);
    }

    /// Goes on with what a client sent earlier.
    pub fn resume(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        let Some(client) = self.clients.get(conn) else { return };
        if client.stall == Stall::Blocked {
            return;
        }
        client.stall = Stall::None;
        if client.is_stalled() {
            return;
        }
        if client.kind == ListenerKind::Metrics {
            return super::http::serve(self, io, conn);
        }
        self.run_query(io, conn);
        let pause_bytes = self.config.memory(id::CLIENT_QUERY_BUFFER_LIMIT) as usize / QUERY_PAUSE_PART;
        let Some(client) = self.clients.get(conn) else { return };
        if client.ended && !client.dirty {
            // Perhaps that was all: looked at when replies are sent.
            client.dirty = true;
            self.dirty.push(conn);
        }
        let client = self.clients.at(conn.index);
        if client.receive_paused && client.query.len() - client.query_at <= pause_bytes {
            client.receive_paused = false;
            io.resume_receive(conn);
        }
    }

    /// Runs what the query buffer holds.
    fn run_query(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        let Some(client) = self.clients.get(conn) else { return };
        let query = std::mem::take(&mut client.query);
        let at = std::mem::take(&mut client.query_at);
        let consumed = at + self.run_requests(io, conn, &query[at..]);
        let Some(client) = self.clients.get(conn) else { return };
        client.query = query;
        if consumed == client.query.len() {
            client.query.clear();
            client.query.shrink_to(16 * 1024);
        } else if consumed > client.query.len() / 2 {
            client.query.drain(..consumed);
        } else {
            client.query_at = consumed;
        }
    }

    /// Keeps the query buffer within its limit.
    fn bound_query(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        let limit = self.config.memory(id::CLIENT_QUERY_BUFFER_LIMIT) as usize;
        let Some(client) = self.clients.get(conn) else { return };
        if client.kind == ListenerKind::Loader {
            return;
        }
        let held = client.query.len() - client.query_at;
        if held > limit {
            self.observe.query_limit_disconnections += 1;
            self.close(io, conn);
        } else if held > limit / QUERY_PAUSE_PART && client.stall != Stall::None && !client.receive_paused {
            client.receive_paused = true;
            io.pause_receive(conn);
        }
    }

    /// Runs the requests at the start of `bytes`; returns how many bytes they took.
    fn run_requests(&mut self, io: &mut dyn NetIo, conn: ConnId, bytes: &[u8]) -> usize {
        self.start_clock();
        let end_of_visit = self.clock_mark.saturating_add(self.visit_cycles);
        let client = self.clients.at(conn.index);
        let mut parser = std::mem::take(&mut client.parser);
        if client.out.bytes.capacity() == 0 {
            client.out.bytes = io.buffer();
        }
        let mut at = 0;
        let mut broken = None;
        while at < bytes.len() {
            let Some(client) = self.clients.get(conn) else { break };
            if client.is_stalled() {
                break;
            }
            let (known, db) = (client.authenticated, client.db);
            let known = known || !self.requires_password();
            let limits = if known { &self.limits } else { &self.limits_unauthenticated };
            if bytes[at] == b'*' && bytes.len() - at >= PIPELINE_LEAST_BYTES {
                let mut ahead = std::mem::take(&mut self.ahead);
                ahead.look(&mut parser, bytes, at, limits, self.table, db, &self.shard);
                let (after, end) = (self.run_ahead(io, conn, &ahead, bytes, at, end_of_visit), ahead.end);
                self.ahead = ahead;
                if let Some(after) = after {
                    at = after;
                    if at < end {
                        // What was not begun is parsed again.
                        parser.reset();
                        break;
                    }
                    continue;
                }
            }
            let limits = if known { &self.limits } else { &self.limits_unauthenticated };
            match parser.step(&bytes[at..], limits) {
                Ok(Step::Request { consumed }) => {
                    let argv = parser.argv(&bytes[at..]);
                    let row = self.table.find(argv.get(0));
                    match self.request(io, conn, row, argv) {
                        Flow::Taken => {
                            at += consumed;
                            if at < bytes.len() {
                                self.is_over(conn, end_of_visit);
                            }
                        }
                        Flow::Later => {
                            parser.reset();
                            break;
                        }
                    }
                }
                Ok(Step::Skip { consumed }) => at += consumed,
                Ok(Step::Incomplete { .. }) => break,
                Err(error) => {
                    broken = Some(error);
                    at = bytes.len();
                }
            }
        }
        let protocol_errors = &mut self.observe.protocol_errors;
        let Some(client) = self.clients.get(conn) else { return at };
        client.parser = parser;
        if let Some(error) = broken {
            *protocol_errors += 1;
            let protocol = client.protocol;
            Reply::new(client.output(), protocol).error(error.line());
            client.close_after_reply = true;
        }
        if !client.dirty && (!client.out.is_empty() || client.close_after_reply) {
            client.dirty = true;
            self.dirty.push(conn);
        }
        at
    }

    /// Runs the requests that were parsed ahead; returns how far it came. `None` when there are none.
    fn run_ahead(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        ahead: &Ahead,
        bytes: &[u8],
        from: usize,
        end_of_visit: u64,
    ) -> Option<usize> {
        if ahead.requests.is_empty() {
            return None;
        }
        let mut at = from;
        for request in &ahead.requests {
            if at > from
                && (self.clients.get(conn).is_none_or(|client| client.is_stalled())
                    || self.is_over(conn, end_of_visit))
            {
                return Some(at);
            }
            let argv = Argv { buf: &bytes[at..], spans: &ahead.spans[request.spans.0..request.spans.1] };
            match self.request(io, conn, request.row, argv) {
                Flow::Taken => at = request.end,
                Flow::Later => return Some(at),
            }
        }
        Some(at)
    }

    /// Has a client's pipeline run for so long that the others go first? Then it is stalled until they had their turn.
    #[inline]
    fn is_over(&mut self, conn: ConnId, end_of_visit: u64) -> bool {
        self.clock_mark > end_of_visit && self.end_visit(conn)
    }

    #[cold]
    fn end_visit(&mut self, conn: ConnId) -> bool {
        let Some(client) = self.clients.get(conn) else { return true };
        if !client.is_stalled() {
            client.stall = Stall::Visited;
            self.ready.push_back(conn);
        }
        true
    }

    /// One request: the gates in Redis's order, then on its way.
    #[inline]
    fn request(&mut self, io: &mut dyn NetIo, conn: ConnId, row: Option<RowId>, argv: Argv<'_>) -> Flow {
        let table = self.table;
        let Some(mut row) = row else { return self.refuse_unknown(conn, argv) };
        let mut entry = table.entry(row);
        if matches!(entry.row.run, Run::Container) || (!entry.children.is_empty() && argv.len() > 1) {
            match argv.try_get(1).map(|word| table.find_word(row, word)) {
                Some(Some(child)) => {
                    row = child;
                    entry = table.entry(child);
                }
                Some(None) => return self.refuse_subcommand(conn, row, argv),
                None => {}
            }
        }
        if !entry.row.arity_accepts(argv.len()) {
            let line = CommandError::WrongArity(entry.full_name);
            return self.reject(conn, row, &line);
        }
        let client = self.clients.at(conn.index);
        let (asker, authenticated, in_multi) = (client.id, client.authenticated, client.multi.is_some());
        if entry.row.flags.has(Flags::PROTECTED) && !self.is_allowed(id::ENABLE_DEBUG_COMMAND, asker) {
            return self.reject(conn, row, &DEBUG_NOT_ALLOWED);
        }
        if !authenticated && !entry.row.flags.has(Flags::NO_AUTH) && self.requires_password() {
            return self.reject(conn, row, &CommandError::Line("NOAUTH Authentication required."));
        }
        if self.lacks_replicas && entry.is_write {
            return self.reject(conn, row, &CommandError::NoReplicas);
        }
        if super::pubsub::is_subscriber_only(self.clients.at(conn.index))
            && !super::pubsub::is_for_subscribers(entry.full_name)
        {
            return self.reject(conn, row, &super::pubsub::refusal(entry.full_name));
        }
        if self.shared.durable.is_gated() {
            if self.reload_holds(conn, entry) {
                return self.stall(conn, Stall::Paused);
            }
            if let Some(error) = self.durable_refusal(conn, entry) {
                return self.reject(conn, row, &error);
            }
        }
        if self.is_any_busy()
            && let Some(error) = self.busy_refusal(row, entry, argv)
        {
            return self.reject(conn, row, &error);
        }
        if self.pause_holds(conn, entry, argv) {
            return self.stall(conn, Stall::Paused);
        }
        if in_multi && !super::multi::runs_inside_multi(entry.full_name) {
            return self.queue_in_multi(conn, row, argv);
        }
        self.start(io, conn, row, argv)
    }

    /// Runs a command that has passed the gates.
    fn start(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, argv: Argv<'_>) -> Flow {
        let table = self.table;
        let entry = table.entry(row);
        let client = self.clients.at(conn.index);
        if client.owes_more_than(self.output_stall_bytes) {
            return self.stall(conn, Stall::Output);
        }
        let way = match route(entry, argv, self.placement, self.me) {
            Ok(Route::Shard(_))
                if entry.is_script && self.shared.shards > 1 && self.is_wide_script(entry, argv) =>
            {
                Route::Several
            }
            Ok(way) => way,
            Err(error) => return self.reject(conn, row, &error),
        };
        let client = self.clients.at(conn.index);
        let (outstanding, in_multi) = (client.outstanding, client.multi.is_some());
        // Rules (d) and (e) of the module's head in `core.rs`.
        let must_wait = outstanding > 0
            && match way {
                Route::Several | Route::Broadcast => true,
                // A walk over shards knows of keys elsewhere when who made them was told.
                Route::Shard(_) if matches!(entry.row.run, Run::AtShard { .. }) => true,
                Route::Shard(shard) => {
                    (self.tx_mode && client.outstanding_at != shard) || outstanding >= OUTSTANDING_MAX
                }
                Route::Bound => match self.bound[row.index()] {
                    Bound::Publish(_) => self.tx_mode || outstanding >= OUTSTANDING_MAX,
                    _ => super::multi::waits_for_answers(entry.full_name),
                },
                Route::Local => false,
            };
        if must_wait {
            return self.stall(conn, Stall::Answers);
        }
        if way == Route::Several && entry.is_script && self.waits_for_sitting() {
            self.loans.behind.push(conn);
            return self.stall(conn, Stall::Visited);
        }
        let has_credit = match way {
            Route::Shard(shard) => shard == self.me || self.port.has_credit(shard.index()),
            Route::Bound => match self.bound[row.index()] {
                Bound::Publish(space) => self.has_credit_to_publish(space, argv.get(1)),
                _ => true,
            },
            _ => true,
        };
        if !has_credit {
            return self.stall(conn, Stall::Credit);
        }
        crate::sys::crash::note_command(entry.full_name);
        let client = self.clients.at(conn.index);
        client.begin_command();
        if let Some(tracking) = client.tracking.as_deref_mut()
            && !in_multi
        {
            let after_client =
                client.last_command.is_some_and(|last| table.entry(last).full_name.starts_with("client|"));
            tracking.begin_command(after_client);
        }
        client.commands += 1;
        client.last_command = Some(row);
        if self.has_monitors() {
            return self.start_shown(io, conn, row, way, argv);
        }
        self.run(io, conn, row, entry, way, argv);
        Flow::Taken
    }

    /// Runs a command while there are monitors.
    #[cold]
    fn start_shown(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        way: Route,
        argv: Argv<'_>,
    ) -> Flow {
        let entry = self.table.entry(row);
        let about_keys = [Flags::WRITE, Flags::READONLY, Flags::MAY_REPLICATE];
        if self.clients.at(conn.index).monitor && about_keys.iter().any(|flag| entry.row.flags.has(*flag)) {
            // Redis: a monitor counts as a replica.
            return self.reject(
                conn,
                row,
                &CommandError::Line("ERR Replica can't interact with the keyspace"),
            );
        }
        // Redis: what administrators do is not shown.
        let shown = super::output::is_shown(entry);
        // A command about the connection is shown with what it made of it. EXEC shows itself, after its commands.
        let after = matches!(way, Route::Bound | Route::Local);
        let db = self.clients.at(conn.index).db;
        if shown && !after {
            self.feed_monitors(conn, db, entry.full_name, argv);
        }
        self.run(io, conn, row, entry, way, argv);
        if shown
            && after
            && entry.full_name != "exec"
            && let Some(client) = self.clients.get(conn)
        {
            let db = client.db;
            self.feed_monitors(conn, db, entry.full_name, argv);
        }
        Flow::Taken
    }

    /// Sends a command on its way.
    #[inline]
    fn run(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        entry: &Entry,
        way: Route,
        argv: Argv<'_>,
    ) {
        match way {
            Route::Shard(shard) if shard == self.me => self.run_local(io, conn, row, entry, argv),
            Route::Shard(shard) => {
                let client = self.clients.at(conn.index);
                let (db, view) = (client.db, client.view());
                let token = await_token(client, shard);
                if entry.is_blocking {
                    client.stall = Stall::Blocked;
                }
                if entry.is_script {
                    // It may have to begin anew, and what is behind it must not overtake it.
                    client.stall = Stall::Answers;
                }
                self.batch_to(shard).commands.push(token, row, db, view, argv);
            }
            Route::Local | Route::Bound => self.run_bound(io, conn, row, entry, argv),
            Route::Several if entry.is_script => {
                if !self.join_sitting(io, conn, row, argv) && !self.run_script_at_rest(io, conn, row, argv) {
                    self.begin_script(conn, row, argv);
                }
            }
            Route::Several => {
                if !self.run_at_rest(io, conn, row, entry, argv) {
                    self.begin_single(conn, row, entry, argv);
                }
            }
            Route::Broadcast => self.begin_broadcast(io, conn, row, argv),
        }
    }

    /// Runs a command on this core's own shard, or queues it behind a transaction.
    #[inline]
    fn run_local(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, entry: &Entry, argv: Argv<'_>) {
        let client = self.clients.at(conn.index);
        let (db, view) = (client.db, client.view());
        if !self.queue.is_idle() {
            let token = Token { index: conn.index, generation: conn.generation, seq: 0 };
            if self.must_queue(self.me, token, entry, argv) {
                let client = self.clients.at(conn.index);
                let token = await_token(client, self.me);
                if entry.is_blocking {
                    client.stall = Stall::Blocked;
                }
                if entry.is_script {
                    client.stall = Stall::Answers;
                }
                return self.queue_command(self.me, token, row, db, view, argv);
            }
        }
        if entry.is_script {
            return self.run_script_here(io, conn, row, argv);
        }
        let client = self.clients.at(conn.index);
        let out = client.output();
        let (from, before) = (out.bytes.len(), out.len());
        let did = run_here(&mut self.shard, entry, db, view, argv, out);
        let reply_bytes = out.len() - before;
        let ok = match did {
            Did::Replied => true,
            Did::Failed if self.observe.count_failure(&out.bytes[from..]) => {
                self.stats[row.index()].rejected += 1;
                return;
            }
            Did::Failed => false,
            Did::Sliced(slices) => return self.slice_here(conn, row, argv, slices),
            Did::Blocked(block) => {
                let token = await_token(client, self.me);
                client.stall = Stall::Blocked;
                let command = command_of(row, db, Request::from(argv));
                return self.block(self.me, token, view, command, block);
            }
        };
        let cycles = self.lap();
        self.ran(row, Caller::Here(conn), argv, Ran { cycles, ok, reply_bytes });
        self.follow_up();
    }

    /// Cycles since the last command here ended, or since [`Core::start_clock`]. One reading of the counter per
    /// command: the parsing of a pipelined command is part of its time.
    #[inline]
    pub fn lap(&mut self) -> u64 {
        let now = clock::cycles();
        now - std::mem::replace(&mut self.clock_mark, now)
    }

    /// From now on time counts for the next command.
    #[inline]
    pub fn start_clock(&mut self) {
        self.clock_mark = clock::cycles();
    }

    /// Does a command for this shard have to wait for a transaction?
    pub fn must_queue(&self, from: ShardId, token: Token, entry: &Entry, argv: Argv<'_>) -> bool {
        self.held.contains_key(&(from, token.index, token.generation))
            || self.queue.conflict(&self.intents_of(entry, argv))
    }

    /// The intents of a command that runs on this shard alone.
    pub fn intents_of(&self, entry: &Entry, argv: Argv<'_>) -> IntentSet {
        let mut set = IntentSet::default();
        match entry.row.run {
            Run::AllShards { .. } => {
                let write = entry.row.flags.has(Flags::WRITE);
                set.add_whole(if write { Mode::Exclusive } else { Mode::Shared });
            }
            Run::AtShard { .. } => set.add_whole(Mode::Shared),
            _ => {
                for key in keys_of(entry.row, argv).iter().flatten() {
                    let mode = if key.access == Access(0) {
                        Mode::Exclusive
                    } else {
                        mode_of(entry.row, key.access)
                    };
                    set.add(self.shard.hasher.hash(argv.get(key.index)), mode);
                }
            }
        }
        set
    }

    /// Queues a command as a transaction of this shard alone.
    pub fn queue_command(
        &mut self,
        from: ShardId,
        token: Token,
        row: RowId,
        db: DbIndex,
        client: ClientView,
        argv: Argv<'_>,
    ) {
        let intents = self.intents_of(self.table.entry(row), argv);
        let held = self.held.entry((from, token.index, token.generation)).or_insert(0);
        *held += 1;
        let may_overtake = *held == 1;
        let request = Request::from(argv);
        let work = ShardWork::Command { token, row, db, client, request };
        let id = self.draw_number();
        self.queue.schedule_behind(id, from, intents, may_overtake, Armed { work, conclude: true });
    }

    /// Runs a command that needs this core, or nothing at all.
    fn run_bound(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, entry: &Entry, argv: Argv<'_>) {
        let protocol = self.clients.at(conn.index).protocol;
        let mut out = Output::default();
        let result = self.call_bound(io, conn, row, entry, argv, &mut out, protocol);
        self.count_result(&result);
        // EXEC is counted when it has run.
        if !matches!(result, Ok(After::Later)) || entry.full_name != "exec" {
            let ran = Ran { cycles: self.lap(), ok: result.is_ok(), reply_bytes: out.len() };
            self.ran(row, Caller::Here(conn), argv, ran);
        }
        let Some(client) = self.clients.get(conn) else { return self.release_messages(conn) };
        let after = match result {
            Ok(after) => after,
            Err(error) => {
                out.clear();
                let protocol = client.protocol;
                write_error(&error, &mut Reply::new(&mut out, protocol));
                After::Done
            }
        };
        // CLIENT REPLY takes effect with its own reply.
        client.mute |= matches!(client.reply_mode, ReplyMode::Off | ReplyMode::SkipNext);
        match after {
            After::Later | After::Awaited => {}
            After::Pushed => client.push_output().append(&mut out),
            After::Done | After::Close => client.output().append(&mut out),
        }
        match after {
            After::Done | After::Pushed | After::Awaited => {}
            After::Close => client.close_after_reply = true,
            After::Later => client.stall = Stall::Transaction,
        }
        self.release_messages(conn);
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn call_bound(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        entry: &Entry,
        argv: Argv<'_>,
        out: &mut Output,
        protocol: crate::resp::Protocol,
    ) -> Result<After, CommandError> {
        let mut args = args_of(entry, argv);
        let mut reply = Reply::new(out, protocol);
        match (entry.row.run, self.bound[row.index()]) {
            (Run::Local(run), _) => run(&mut args, &mut reply).map(|_| After::Done),
            (_, Bound::Here(run)) => run(self, io, conn, &mut args, &mut reply),
            (_, Bound::Publish(space)) => self.publish(conn, space, &mut args, &mut reply),
            (Run::Container, _) => Err(CommandError::WrongArity(entry.full_name)),
            _ => unreachable!("the registry binds {}", entry.full_name),
        }
    }

    /// Begins a command that spans shards.
    fn begin_single(&mut self, conn: ConnId, row: RowId, entry: &Entry, argv: Argv<'_>) {
        if entry.deny_oom && self.shard.over_limit() && !self.shard.make_room() {
            self.reject_begun(conn, row, &CommandError::OutOfMemory);
            return;
        }
        let client = self.clients.at(conn.index);
        let (view, protocol) = (client.view(), client.protocol);
        let command = TxCommand { row, db: client.db, request: Request::from(argv).into() };
        let hasher = &self.shard.hasher;
        let planned = claims_of(&command, self.table, self.placement, hasher)
            .and_then(|claims| Ok((claims, Single::new(command, self.table, self.placement, protocol)?)));
        match planned {
            Err(error) => {
                self.reject_begun(conn, row, &error);
            }
            Ok((claims, single)) => {
                let client = self.clients.at(conn.index);
                let token = await_token(client, self.me);
                client.stall = Stall::Transaction;
                let single = if entry.is_blocking { single.may_wait(token, None) } else { single };
                self.coordinator.begin(token, view, claims, Plan::One(Box::new(single)));
            }
        }
    }

    /// Stalls a client; its request will be parsed again.
    fn stall(&mut self, conn: ConnId, why: Stall) -> Flow {
        self.clients.at(conn.index).stall = why;
        match why {
            Stall::Paused => self.paused.push(conn),
            Stall::Credit => self.short_of_credit.push(conn),
            _ => {}
        }
        Flow::Later
    }

    /// Answers an error to a command that does not run.
    pub(super) fn reject(&mut self, conn: ConnId, row: RowId, error: &CommandError) -> Flow {
        self.clients.at(conn.index).begin_command();
        self.reject_begun(conn, row, error)
    }

    fn reject_begun(&mut self, conn: ConnId, row: RowId, error: &CommandError) -> Flow {
        self.stats[row.index()].rejected += 1;
        if self.table.entry(row).full_name == "exec" {
            return self.refuse_exec(conn, error);
        }
        self.refuse_begun(conn, error)
    }

    /// Redis: EXEC that is refused ends its block, and says so even when there is none.
    #[cold]
    fn refuse_exec(&mut self, conn: ConnId, error: &CommandError) -> Flow {
        self.clients.at(conn.index).multi = None;
        self.unwatch_all(conn);
        self.refuse_begun(conn, &super::multi::because_of(error))
    }

    fn refuse(&mut self, conn: ConnId, error: &CommandError) -> Flow {
        self.clients.at(conn.index).begin_command();
        self.refuse_begun(conn, error)
    }

    fn refuse_begun(&mut self, conn: ConnId, error: &CommandError) -> Flow {
        self.observe.count_error(error);
        let client = self.clients.at(conn.index);
        if let Some(multi) = &mut client.multi {
            multi.failed = true;
        }
        let protocol = client.protocol;
        write_error(error, &mut Reply::new(client.output(), protocol));
        Flow::Taken
    }

    #[cold]
    fn refuse_unknown(&mut self, conn: ConnId, argv: Argv<'_>) -> Flow {
        if argv.get(0).eq_ignore_ascii_case(b"post") || argv.get(0).eq_ignore_ascii_case(b"host:") {
            // A browser was made to speak HTTP to this port; nothing that it sends is meant as a command.
            let client = self.clients.at(conn.index);
            client.mute = true;
            client.close_after_reply = true;
            return Flow::Taken;
        }
        const MOST: usize = 128;
        let mut args = Vec::new();
        for arg in argv.iter().skip(1) {
            if args.len() >= MOST {
                break;
            }
            args.extend_from_slice(&[b"'", quoted(arg, MOST - args.len()), b"' "].concat());
        }
        let name = quoted(argv.get(0), MOST);
        let line: [&[u8]; 4] = [b"ERR unknown command '", name, b"', with args beginning with: ", &args];
        self.refuse(conn, &CommandError::text(line.concat()))
    }

    #[cold]
    fn refuse_subcommand(&mut self, conn: ConnId, container: RowId, argv: Argv<'_>) -> Flow {
        let name = self.table.entry(container).row.name.to_uppercase();
        let after = format!("'. Try {name} HELP.");
        self.refuse(conn, &CommandError::quoting("ERR unknown subcommand '", argv.get(1), &after))
    }
}

/// Reserves a reply's place for a command that leaves for `shard`.
pub fn await_token(client: &mut Client, shard: ShardId) -> Token {
    client.outstanding += 1;
    client.outstanding_at = shard;
    Token { index: client.conn.index, generation: client.conn.generation, seq: client.await_reply() }
}
