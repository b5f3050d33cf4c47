//! What a client looks like in CLIENT LIST, MONITOR and the slow log.

use std::net::SocketAddr;

use super::client::{Client, Stall};
use super::client_commands::tracking::redirection;
use super::connection::DEFAULT_USER;
use super::tracking::Mode;
use crate::commands::CommandTable;
use crate::resp::{Argv, Protocol};
use crate::runtime::face::ListenerKind;

/// Redis: the first this many bytes of replies lie in a buffer of the client's own; what exceeds them counts as
/// output memory, in the fields below and for the limits.
pub const OWN_OUTPUT_BYTES: usize = 16 * 1024;

/// `address:port` of the other end, or `path:0` of the Unix socket.
pub fn peer_text(client: &Client) -> String {
    addr_text(client, client.peer)
}

/// The same of this end.
pub fn local_text(client: &Client) -> String {
    addr_text(client, client.local)
}

fn addr_text(client: &Client, addr: Option<SocketAddr>) -> String {
    match (client.kind, addr) {
        (ListenerKind::Unix, _) => format!("{}:0", client.socket_path),
        (_, Some(addr)) => addr.to_string(),
        (_, None) => "?:0".into(),
    }
}

/// What class a client belongs to in CLIENT LIST TYPE. Monitors are normal clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Normal,
    Primary,
    Replica,
    PubSub,
}

impl Kind {
    /// The class of a client.
    pub fn of(client: &Client) -> Kind {
        if client.subscriptions.any() { Kind::PubSub } else { Kind::Normal }
    }

    /// A class by its name, with the old names of primaries and replicas.
    pub fn named(name: &[u8]) -> Option<Kind> {
        const NAMES: [(&[u8], Kind); 6] = [
            (b"normal", Kind::Normal),
            (b"master", Kind::Primary),
            (b"primary", Kind::Primary),
            (b"slave", Kind::Replica),
            (b"replica", Kind::Replica),
            (b"pubsub", Kind::PubSub),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| *kind)
    }
}

/// The letters that stand for what a client is; `N` when it is nothing special.
pub fn flags_text(client: &Client) -> String {
    let letters = [
        (client.monitor, 'O'),
        (client.subscriptions.any(), 'P'),
        (client.multi.is_some(), 'x'),
        (client.blocked || client.stall == Stall::Paused, 'b'),
        (client.tracking.is_some(), 't'),
        (client.tracking.as_deref().is_some_and(|tracking| tracking.is_broken), 'R'),
        (client.tracking.as_deref().is_some_and(|tracking| tracking.mode == Mode::Broadcast), 'B'),
        (client.close_after_reply, 'c'),
        (client.kind == ListenerKind::Unix, 'U'),
        (client.no_evict, 'e'),
        (client.no_touch, 'T'),
    ];
    let text: String = letters.iter().filter(|(is_set, _)| *is_set).map(|(_, letter)| *letter).collect();
    if text.is_empty() { "N".into() } else { text }
}

/// The request of the client that asks: it still lies in the query buffer.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    query_bytes: usize,
    argv_bytes: usize,
}

impl Running {
    /// Of a request, which was sent as an array of bulks.
    pub fn of(argv: Argv<'_>) -> Running {
        let header = |count: usize| 3 + itoa::Buffer::new().format(count).len();
        let arguments: usize = argv.iter().map(|arg| header(arg.len()) + arg.len() + 2).sum();
        Running { query_bytes: header(argv.len()) + arguments, argv_bytes: argv.data_bytes() }
    }
}

/// The line of a client in CLIENT LIST.
pub struct Line<'a> {
    pub client: &'a Client,
    pub table: &'a CommandTable,
    pub now_ms: u64,
    /// The core that serves it.
    pub core: usize,
    pub running: Option<Running>,
}

impl Line<'_> {
    /// The fields of Redis 7.2 in its order, then those that came later.
    ///
    /// Redis: later versions show `watch` behind `multi`, where the patterns of 7.0's clients do not expect it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let client = self.client;
        let seconds_since = |ms: u64| self.now_ms.saturating_sub(ms) / 1000;
        let running = self.running.unwrap_or(Running { query_bytes: 0, argv_bytes: 0 });
        let held = client.query.len() - client.query_at;
        // What the kernel takes at once has left, although the engine says so only later in the turn.
        let is_small = client.sending <= OWN_OUTPUT_BYTES && client.out.is_empty();
        let sending = if is_small { 0 } else { client.sending };
        let output = client.output_bytes() - client.sending + sending;
        let beyond = output.saturating_sub(OWN_OUTPUT_BYTES);
        let queued = client.multi.as_deref();
        let command = client.last_command.map_or("NULL", |row| self.table.entry(row).full_name);
        let resp = match client.protocol {
            Protocol::Resp2 => 2,
            Protocol::Resp3 => 3,
        };
        let mut line = format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub={} multi={}",
            client.id.0,
            peer_text(client),
            local_text(client),
            client.fd,
            // Names are printable ASCII.
            String::from_utf8_lossy(&client.name),
            seconds_since(client.created_ms),
            seconds_since(client.active_ms),
            flags_text(client),
            client.db.0,
            client.subscriptions.channels,
            client.subscriptions.patterns,
            client.subscriptions.shard_channels,
            queued.map_or(-1, |multi| multi.commands.len() as i64),
        );
        line += &format!(
            " qbuf={} qbuf-free={} argv-mem={} multi-mem={} rbs={} rbp={} obl={} oll={} omem={} tot-mem={} events={}",
            held + running.query_bytes,
            client.query.capacity() - client.query.len(),
            running.argv_bytes,
            queued.map_or(0, |multi| multi.bytes),
            client.out.bytes.capacity(),
            client.output_peak,
            output.min(OWN_OUTPUT_BYTES),
            beyond.div_ceil(OWN_OUTPUT_BYTES),
            beyond,
            client.memory_bytes() + running.query_bytes,
            match (client.receive_paused, sending > 0) {
                (false, false) => "r",
                (false, true) => "rw",
                (true, false) => "",
                (true, true) => "w",
            },
        );
        line += &format!(
            " cmd={command} user={DEFAULT_USER} redir={} resp={resp} lib-name={} lib-ver={} watch={} io-thread={} \
             tot-net-in={} tot-net-out={} tot-cmds={}",
            redirection(client.tracking.as_deref()),
            String::from_utf8_lossy(&client.lib_name),
            String::from_utf8_lossy(&client.lib_version),
            client.watched.len(),
            self.core,
            client.bytes_in,
            client.bytes_out,
            client.commands,
        );
        line.into_bytes()
    }
}

/// A byte string in double quotes, escaped as Redis shows it.
pub fn push_quoted(line: &mut Vec<u8>, text: &[u8]) {
    line.push(b'"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            7 => line.extend_from_slice(b"\\a"),
            8 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    line.push(b'"');
}
