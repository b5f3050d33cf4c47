//! Replies on their way to the engine, new connections, and what monitors see.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::Control;
use super::client::Stall;
use super::core::Core;
use crate::commands::Entry;
use crate::commands::spec::Flags;
use crate::config::id;
use crate::observe::slowlog::{REDACTED, is_secret};
use crate::resp::{Argv, Output, Referred};
use crate::runtime::face::{Chunk, ConnId, ListenerKind, NetIo, Socket};
use crate::types::{DbIndex, ShardId};

/// A send that falls short may keep a page alive that is so many times as long.
const KEPT_ALIVE_TIMES: usize = 4;

impl Core {
    /// Hands every client's replies to the engine: one send per client and turn. True when messages are left to be sent.
    pub fn send_replies(&mut self, io: &mut dyn NetIo, stops: bool) -> bool {
        self.send_held(io);
        let dirty = std::mem::take(&mut self.dirty);
        for conn in &dirty {
            self.send_to(io, *conn);
        }
        // The list keeps its memory; sending marks nobody dirty.
        self.dirty = dirty;
        let replies = self.dirty.len();
        self.dirty.clear();
        self.send_messages(io, replies, stops)
    }

    /// The same for all but one client, in the midst of what that one has asked for.
    pub fn send_replies_but(&mut self, io: &mut dyn NetIo, but: Option<ConnId>) {
        self.send_held(io);
        for conn in std::mem::take(&mut self.dirty) {
            if Some(conn) == but {
                self.dirty.push(conn);
            } else {
                self.send_to(io, conn);
            }
        }
        self.send_all_messages_but(io, but);
    }

    pub(super) fn send_to(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        let Some(client) = self.clients.get(conn) else { return };
        client.dirty = false;
        // Before any of it leaves: who is over the limit gets no part of what was too much.
        if self.is_over_output_limit(conn) {
            self.observe.output_limit_disconnections += 1;
            return self.close(io, conn);
        }
        let client = self.clients.at(conn.index);
        if !client.out.shared.is_empty() {
            self.publishing.pages.complete();
        }
        if client.sending > 0 {
            // Joined with what comes until the present send is done, which may be long.
            return client.out.own_short();
        }
        let length = client.out.len();
        if length == 0 {
            if client.is_finished() {
                self.close(io, conn);
            }
            return;
        }
        client.sending = length;
        // From here on, not only when it has left: whoever was answered after a long wait would be idle meanwhile.
        client.active_ms = self.now_ms;
        client.output_peak = client.output_peak.max(length);
        client.bytes_out += length as u64;
        self.observe.net_out += length as u64;
        self.observe.writes += 1;
        let out = client.out.take();
        if let Some(out) = self.hold_until_logged(conn, out) {
            self.hand_over(io, conn, out);
        }
    }

    /// Gives replies to the engine.
    pub(super) fn hand_over(&mut self, io: &mut dyn NetIo, conn: ConnId, mut out: Output) {
        if out.shared.is_empty() {
            return io.send(conn, Chunk::Bytes(out.bytes));
        }
        if out.bytes.is_empty()
            && let [(_, Referred::Lines(lines), range)] = out.shared.as_slice()
            && range.len() * KEPT_ALIVE_TIMES >= lines.get().map_or(0, Vec::len)
        {
            // Nothing but messages that others get too, the usual case: no copy at all.
            return io.send(conn, Chunk::Lines { lines: lines.clone(), start: range.start, end: range.end });
        }
        out.own_short();
        let mut from = 0;
        for (at, value, range) in out.shared.drain(..) {
            if at > from {
                io.send(conn, Chunk::Bytes(out.bytes[from..at].to_vec()));
            }
            let (start, end) = (range.start, range.end);
            io.send(
                conn,
                match value {
                    Referred::Value(value) => Chunk::Shared { value, start, end },
                    Referred::Lines(lines) => Chunk::Lines { lines, start, end },
                },
            );
            from = at;
        }
        if out.bytes.len() > from {
            out.bytes.drain(..from);
            io.send(conn, Chunk::Bytes(out.bytes));
        }
    }

    /// Everything handed to the engine has left.
    pub fn after_send(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        let now_ms = self.now_ms;
        let Some(client) = self.clients.get(conn) else { return };
        client.sending = 0;
        client.active_ms = now_ms;
        if !client.out.is_empty() {
            if !client.dirty && !client.in_line {
                client.dirty = true;
                self.dirty.push(conn);
            }
        } else if client.is_finished() {
            return self.close(io, conn);
        }
        let client = self.clients.at(conn.index);
        if client.stall == Stall::Output {
            self.ready.push_back(conn);
        }
    }

    /// A socket was accepted: refuse it, or give it to the core with the fewest.
    pub fn welcome(&mut self, io: &mut dyn NetIo, socket: Socket) {
        let shared = &self.shared;
        let most = self.config.integer(id::MAXCLIENTS) as usize;
        let is_client = socket.kind != ListenerKind::Metrics;
        shared.total_connections.fetch_add(u64::from(is_client), Ordering::Relaxed);
        if is_client && shared.connections_total.load(Ordering::Relaxed) >= most {
            shared.rejected_connections.fetch_add(1, Ordering::Relaxed);
            return self.turn_away(io, socket, b"-ERR max number of clients reached\r\n");
        }
        if is_client && self.is_protected_from(&socket) {
            shared.rejected_connections.fetch_add(1, Ordering::Relaxed);
            return self.turn_away(io, socket, PROTECTED);
        }
        if !is_client {
            // Scrapers stay where they are accepted and count as no one's clients.
            if self.observe.http_clients < super::http::CONNECTIONS_MAX {
                self.adopt(io, socket);
            }
            return;
        }
        let core = shared.emptiest_core();
        shared.connections[core].fetch_add(1, Ordering::Relaxed);
        shared.connections_total.fetch_add(1, Ordering::Relaxed);
        if core == self.me.index() {
            self.adopt(io, socket);
        } else {
            self.batch_to(ShardId(core as u16)).control.push(Control::Adopt(socket));
        }
    }

    fn turn_away(&mut self, io: &mut dyn NetIo, socket: Socket, line: &[u8]) {
        if let Ok(conn) = io.adopt(socket) {
            io.send(conn, Chunk::Bytes(line.to_vec()));
            self.turned_away.push(conn);
        }
    }

    /// Protected mode: without a password only the machine itself may connect.
    fn is_protected_from(&self, socket: &Socket) -> bool {
        self.config.flag(id::PROTECTED_MODE)
            && self.config.secret(id::REQUIREPASS).is_none_or(<[u8]>::is_empty)
            && socket.peer.is_some_and(|peer| !peer.ip().to_canonical().is_loopback())
    }

    // --- MONITOR ------------------------------------------------------------------------------------------------

    /// Shows a command to the monitors of all cores.
    #[cold]
    pub fn feed_monitors(&mut self, conn: ConnId, db: DbIndex, name: &str, argv: Argv<'_>) {
        let line = self.monitor_line(conn, db, name, argv);
        self.feed_monitors_line(line);
    }

    /// Shows a line to the monitors of all cores.
    pub(super) fn feed_monitors_line(&mut self, line: Vec<u8>) {
        let line = Arc::new(line);
        for core in 0..self.shared.shards {
            if core != self.me.index() && self.shared.monitors[core].load(Ordering::Relaxed) > 0 {
                self.batch_to(ShardId(core as u16)).control.push(Control::Monitor(line.clone()));
            }
        }
        self.show_monitors(&line);
    }

    fn monitor_line(&mut self, conn: ConnId, db: DbIndex, name: &str, argv: Argv<'_>) -> Vec<u8> {
        let client = self.clients.at(conn.index);
        let peer = match client.kind {
            ListenerKind::Unix => format!("unix:{}", client.socket_path),
            _ => super::info::peer_text(client),
        };
        monitor_line(db, &peer, name, argv)
    }

    /// The client is no monitor any more, if it was one.
    pub fn leave_monitor(&mut self, conn: ConnId) {
        if std::mem::take(&mut self.clients.at(conn.index).monitor) {
            self.shared.monitors[self.me.index()].fetch_sub(1, Ordering::Relaxed);
            self.shared.monitor_count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Shows a line to this core's monitors.
    pub fn show_monitors(&mut self, line: &[u8]) {
        for client in self.clients.iter_mut().filter(|client| client.monitor) {
            client.mute = false;
            client.output().bytes.extend_from_slice(line);
            if !client.dirty {
                client.dirty = true;
                self.dirty.push(client.conn);
            }
        }
    }
}

/// Do monitors see a command? Redis: not what administrators do. A script is marked as hidden and shown all the same,
/// before its commands.
pub(super) fn is_shown(entry: &Entry) -> bool {
    let flags = entry.row.flags;
    entry.is_script || !flags.has(Flags::SKIP_MONITOR) && !flags.has(Flags::ADMIN)
}

/// How a command is shown to monitors. `who`: the client's address, or `lua`.
pub(super) fn monitor_line(db: DbIndex, who: &str, name: &str, argv: Argv<'_>) -> Vec<u8> {
    let micros = crate::sys::clock::realtime_us();
    let mut line = format!("+{}.{:06} [{} {who}]", micros / 1_000_000, micros % 1_000_000, db.0).into_bytes();
    for (index, arg) in argv.iter().enumerate() {
        line.push(b' ');
        let shown = if is_secret(name, argv, index) { REDACTED } else { arg };
        super::info::push_quoted(&mut line, shown);
    }
    line.extend_from_slice(b"\r\n");
    line
}

const PROTECTED: &[u8] = b"-DENIED coreshard runs in protected mode: no password is set, so only connections from \
this machine are accepted. Set a password (CONFIG SET requirepass, or requirepass in the configuration file), or, if \
the network is trusted, turn the mode off (CONFIG SET protected-mode no) from a connection on this machine.\r\n";

impl Core {
    /// Does any core have a monitor?
    #[inline]
    pub fn has_monitors(&self) -> bool {
        self.shared.monitor_count.load(Ordering::Relaxed) > 0 && !self.replay.is_on
    }
}
