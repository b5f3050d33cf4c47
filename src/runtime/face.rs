//! The face of the runtime: what a core's handler gives to an engine and what an engine gives back.
//!
//! An *engine* (io_uring, epoll, or the tests' simulation) owns the sockets of one core and drives one
//! [`Handler`] in turns (see `ARCHITECTURE.md`, "A turn"). The handler is a synchronous state machine: it
//! never waits, so everything it does between two calls is atomic for its core.
//!
//! INVARIANT: within a turn an engine calls `accepted`, `received`, `sent`, `ended` and `closed` for everything
//! it reaped, then `turn` exactly once, then submits whatever the handler asked for. The first turn comes at once,
//! before anything was reaped: there a handler opens its listeners.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A connection of one core. The generation makes a stale id of a closed connection harmless.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnId {
    /// Index into the engine's (and the handler's) table of connections; reused after a close.
    pub index: u32,
    /// Counts the uses of the index.
    pub generation: u32,
}

/// What kind of listener a socket came from; the handler chooses the protocol by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenerKind {
    /// RESP over TCP.
    Tcp,
    /// RESP over a Unix socket.
    Unix,
    /// HTTP: metrics and health.
    Metrics,
    /// No listener: the process's own connection, on which a log is loaded.
    Loader,
}

impl ListenerKind {
    /// Are those who come from there clients: counted, listed, and closed when they cost too much?
    #[inline]
    pub fn is_for_clients(self) -> bool {
        matches!(self, ListenerKind::Tcp | ListenerKind::Unix)
    }
}

/// An accepted socket that no core has adopted yet; it may be sent to another core.
#[derive(Debug)]
pub struct Socket {
    pub fd: OwnedFd,
    pub kind: ListenerKind,
    /// Remote address; `None` for Unix sockets.
    pub peer: Option<SocketAddr>,
    /// Local address; `None` for Unix sockets.
    pub local: Option<SocketAddr>,
}

/// A listening socket: one per core and address (SO_REUSEPORT), or one in all for Unix sockets.
#[derive(Debug)]
pub struct Listener {
    pub fd: OwnedFd,
    pub kind: ListenerKind,
}

/// Bytes on their way out.
#[derive(Debug)]
pub enum Chunk {
    /// Reply bytes; the buffer returns to the engine's pool after the send.
    Bytes(Vec<u8>),
    /// `start..end` of a value that is kept alive until the send completes; never copied.
    Shared { value: Arc<Vec<u8>>, start: usize, end: usize },
    /// The same of lines that many connections get. They must be complete.
    Lines { lines: Arc<OnceLock<Vec<u8>>>, start: usize, end: usize },
}

impl Chunk {
    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Chunk::Bytes(bytes) => bytes,
            Chunk::Shared { value, start, end } => &value[*start..*end],
            Chunk::Lines { lines, start, end } => {
                &lines.get().expect("lines are sent when they are complete")[*start..*end]
            }
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// The peer closed its side.
    Peer,
    /// The socket failed.
    Error(io::ErrorKind),
}

/// What a handler wants after its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Something was done, so the next turn should follow without waiting.
    pub busy: bool,
    /// There is background work: give [`Handler::background`] a slice soon.
    pub background: bool,
    /// Monotonic time (ns) by which the next turn must come although nothing happens.
    pub deadline_ns: Option<u64>,
    /// Leave the loop: the core shuts down.
    pub stop: bool,
}

/// A core's state machine, driven by an engine.
pub trait Handler {
    /// A listener of this core accepted a socket. The handler adopts it, sends it to another core or drops it.
    fn accepted(&mut self, io: &mut dyn NetIo, socket: Socket);
    /// Bytes came in. They live in the engine's receive buffer and are gone after the call.
    fn received(&mut self, io: &mut dyn NetIo, conn: ConnId, bytes: &[u8]);
    /// Everything handed to [`NetIo::send`] for this connection has left. Told at once while receiving is paused
    /// or the peer has ended; else it may come as late as the next turn that happens for another reason.
    fn sent(&mut self, io: &mut dyn NetIo, conn: ConnId);
    /// The peer sends no more; all it sent has been handed over. True keeps the connection, because replies are
    /// still owed: the handler closes it then. False: what is queued leaves, and `closed` follows.
    fn ended(&mut self, _io: &mut dyn NetIo, _conn: ConnId) -> bool {
        false
    }
    /// The connection ended and its id is void. Not called after [`NetIo::close`].
    fn closed(&mut self, io: &mut dyn NetIo, conn: ConnId, why: Closed);
    /// Called once per turn after all completions were handed over: flush batches, drain the inbox, send replies.
    fn turn(&mut self, io: &mut dyn NetIo) -> Turn;
    /// True when other cores' batches wait. Asked between announcing sleep and sleeping, so that no wake-up is lost.
    fn has_mail(&self) -> bool;
    /// One slice of background work (expiry, dropping, eviction) of about `budget`. True when more remains.
    fn background(&mut self, io: &mut dyn NetIo, budget: Duration) -> bool;
}

/// What an engine offers to the handler it drives. None of the calls waits.
pub trait NetIo {
    /// Monotonic time in nanoseconds, read once per turn (and again before `turn`).
    fn now_ns(&self) -> u64;
    /// An empty buffer from the pool, to be filled and given to [`NetIo::send`].
    fn buffer(&mut self) -> Vec<u8>;
    /// Queues bytes on a connection. Chunks leave in order; the engine keeps one send per connection in
    /// flight and joins what is queued. `sent` follows when all of it has left. Void ids are ignored.
    fn send(&mut self, conn: ConnId, chunk: Chunk);
    /// Takes a socket into this core. Fails when the descriptor cannot be used; the socket is closed then.
    fn adopt(&mut self, socket: Socket) -> io::Result<ConnId>;
    /// Stops receiving; what the kernel had already delivered may still arrive.
    fn pause_receive(&mut self, conn: ConnId);
    /// Receives again. A no-op when not paused.
    fn resume_receive(&mut self, conn: ConnId);
    /// Closes now; queued bytes that did not leave are dropped. To send a last reply first,
    /// pause receiving and wait for `sent`.
    fn close(&mut self, conn: ConnId);
    /// Starts accepting on a listener (at start, or when CONFIG SET changes port or bind).
    fn listen(&mut self, listener: Listener) -> io::Result<()>;
    /// Stops and closes all listeners of a kind.
    fn unlisten(&mut self, kind: ListenerKind);
    /// Wakes another core if it sleeps; free when it is awake. Call after its mail is in its inbox.
    fn wake(&mut self, core: usize);
    /// Sends what is queued and hands over what came in, in the midst of a call that takes long. `handler` is who
    /// calls: what it is told is what it would have been told at the beginning of the next turn.
    ///
    /// Nothing is told of the connection `but`, whose bytes the handler may be reading right now: it comes later, in
    /// its order.
    fn attend(&mut self, _handler: &mut dyn Handler, _but: Option<ConnId>) {}
}
