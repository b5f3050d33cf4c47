//! A client's bytes: kept within their limit, parsed ahead, and run as requests for as long as its turn lasts.

use super::client::Stall;
use super::core::Core;
use super::gates::Flow;
use crate::commands::{CommandTable, RowId};
use crate::config::id;
use crate::resp::{Argv, Limits, Parser, Reply, Span, Step};
use crate::runtime::face::{ConnId, ListenerKind, NetIo};
use crate::shard::Shard;
use crate::types::DbIndex;

/// Part of `client-query-buffer-limit` (64 MiB of 1 GiB) at which a stalled connection's receiving pauses. Large, because
/// many clients write a whole pipeline before they read: were the server to stop reading early, both would wait.
const QUERY_PAUSE_PART: usize = 16;
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
            // They take long: what is behind one is rarely run in the same visit, and would be parsed again.
            if row.is_some_and(|row| table.entry(row).is_script) {
                break;
            }
        }
        if self.hashes.len() > 1 {
            self.hashes.iter().for_each(|hash| keys.prefetch_entry(*hash));
        }
    }
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
                    if at < bytes.len() {
                        self.is_over(conn, end_of_visit);
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
}
