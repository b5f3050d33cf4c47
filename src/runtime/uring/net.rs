//! What the handler of one core asks of its ring: the connections, listeners and lists of things to do.
//!
//! The handler's calls only note what is wanted; [`super::driver`] turns the notes into requests when the turn
//! ends. So no call waits, and a connection that is paused and resumed in one turn costs nothing.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::conns::{Conns, Flight};
use crate::runtime::clock::monotonic_ns;
use crate::runtime::face::{Chunk, ConnId, Listener, ListenerKind, NetIo, Socket};
use crate::runtime::pool::Pool;
use crate::runtime::socket;
use crate::runtime::wake::Waker;

/// A listener of this core.
pub struct Listening {
    pub fd: OwnedFd,
    pub kind: ListenerKind,
    /// An accept is outstanding.
    pub armed: bool,
    /// It was unlistened; its descriptor closes when nothing is outstanding.
    pub closing: bool,
    /// Out of descriptors: accept again at this time.
    pub retry_at_ns: Option<u64>,
}

/// The engine's side of one core's handler.
pub struct Net {
    pub now_ns: u64,
    pub core: usize,
    pub waker: Waker,
    pub conns: Conns,
    pub pool: Pool,
    /// Connections with something to start, stop or send when the turn ends.
    pub todo: Vec<u32>,
    /// Let go; the handler is told when the next turn begins.
    pub departed: Vec<(ConnId, OwnedFd)>,
    pub listeners: Vec<Option<Listening>>,
    /// Some listener has something to start or stop.
    pub listeners_changed: bool,
}

impl Net {
    pub fn new(core: usize, waker: Waker) -> Net {
        Net {
            now_ns: monotonic_ns(),
            core,
            waker,
            conns: Conns::default(),
            pool: Pool::default(),
            todo: Vec::new(),
            departed: Vec::new(),
            listeners: Vec::new(),
            listeners_changed: false,
        }
    }

    /// Puts a connection on the list, once.
    pub fn list(&mut self, index: u32) {
        let conn = self.conns.at(index);
        if !conn.listed {
            conn.listed = true;
            self.todo.push(index);
        }
    }

    /// Voids the id. What is in flight stays alive until the kernel is done with it.
    pub fn shut(&mut self, id: ConnId) {
        let Net { conns, pool, .. } = self;
        let Some(conn) = conns.get(id) else { return };
        conn.open = false;
        conn.outbox.drop_queued(pool);
        self.list(id.index);
    }

    /// When the engine must act by itself although nothing arrives.
    pub fn retry_at_ns(&self) -> Option<u64> {
        self.listeners.iter().flatten().filter_map(|listening| listening.retry_at_ns).min()
    }
}

impl NetIo for Net {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.pool.take()
    }

    fn send(&mut self, id: ConnId, chunk: Chunk) {
        let Net { conns, pool, todo, .. } = self;
        let Some(conn) = conns.get(id) else {
            if let Chunk::Bytes(buffer) = chunk {
                pool.give(buffer);
            }
            return;
        };
        conn.outbox.push(chunk, pool);
        // While a send is outstanding, its end sees to what is queued.
        if !conn.listed && conn.flight == Flight::None {
            conn.listed = true;
            todo.push(id.index);
        }
    }

    fn adopt(&mut self, socket: Socket) -> io::Result<ConnId> {
        socket::prepare(&socket)?;
        let id = self.conns.insert(socket.fd);
        self.list(id.index);
        Ok(id)
    }

    fn pause_receive(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get(id)
            && !conn.paused
        {
            conn.paused = true;
            self.list(id.index);
        }
    }

    fn resume_receive(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get(id)
            && conn.paused
        {
            conn.paused = false;
            self.list(id.index);
        }
    }

    fn close(&mut self, id: ConnId) {
        self.shut(id);
    }

    fn release(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get(id) {
            conn.leaving = true;
            self.list(id.index);
        }
    }

    fn listen(&mut self, listener: Listener) -> io::Result<()> {
        let listening = Listening {
            fd: listener.fd,
            kind: listener.kind,
            armed: false,
            closing: false,
            retry_at_ns: None,
        };
        self.listeners_changed = true;
        match self.listeners.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(listening),
            None => self.listeners.push(Some(listening)),
        }
        Ok(())
    }

    fn unlisten(&mut self, kind: ListenerKind) {
        for listening in self.listeners.iter_mut().flatten().filter(|listening| listening.kind == kind) {
            listening.closing = true;
            // The descriptor closes when the accept in flight is cancelled, which takes another turn.
            socket::stop_listening(listening.fd.as_fd());
            self.listeners_changed = true;
        }
    }

    fn wake(&mut self, core: usize) {
        if core != self.core {
            self.waker.wake(core);
        }
    }
}
