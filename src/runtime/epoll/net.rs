//! What the handler of one core asks of its sockets under epoll.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::runtime::clock::monotonic_ns;
use crate::runtime::ending::Ending;
use crate::runtime::face::{Chunk, ConnId, Listener, ListenerKind, NetIo, Socket};
use crate::runtime::outbox::Outbox;
use crate::runtime::pool::Pool;
use crate::runtime::socket::{self, check};
use crate::runtime::wake::Waker;

/// Event tag of the bell.
pub const BELL: u64 = u64::MAX;
/// Set in the event tags of listeners.
pub const LISTENER: u64 = 1 << 63;

/// One connection.
pub struct Conn {
    pub generation: u32,
    /// `None` when closed: the index is free.
    pub fd: Option<OwnedFd>,
    /// The socket may hold bytes; cleared by a read that found fewer than it asked for.
    pub readable: bool,
    /// The peer's end was announced; reading goes on until it.
    pub hangup: bool,
    /// In the list of connections to read.
    pub reading: bool,
    pub paused: bool,
    /// In the list of connections to write.
    pub writing: bool,
    /// The socket took less than it was given; the next edge says that it has room.
    pub full: bool,
    pub ending: Ending,
    pub outbox: Outbox,
}

/// A listener of this core.
pub struct Listening {
    pub fd: OwnedFd,
    pub kind: ListenerKind,
}

/// The engine's side of one core's handler.
pub struct Net {
    pub now_ns: u64,
    pub core: usize,
    pub waker: Waker,
    pub poll: OwnedFd,
    pub pool: Pool,
    conns: Vec<Conn>,
    free: Vec<u32>,
    /// Connections that may be read.
    pub reads: VecDeque<u32>,
    /// Connections with output.
    pub writes: Vec<u32>,
    pub listeners: Vec<Option<Listening>>,
    /// Listeners that may have more to accept.
    pub accepts: Vec<u32>,
}

impl Net {
    pub fn new(core: usize, waker: Waker) -> io::Result<Net> {
        // SAFETY: epoll_create1 takes no pointers.
        let poll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let net = Net {
            now_ns: monotonic_ns(),
            core,
            // SAFETY: the descriptor was just created and belongs to nobody else.
            poll: unsafe { OwnedFd::from_raw_fd(poll) },
            waker,
            pool: Pool::default(),
            conns: Vec::new(),
            free: Vec::new(),
            reads: VecDeque::new(),
            writes: Vec::new(),
            listeners: Vec::new(),
            accepts: Vec::new(),
        };
        net.watch(net.waker.bell(core), libc::EPOLLIN, BELL)?;
        Ok(net)
    }

    /// Watches a descriptor edge-triggered.
    fn watch(&self, fd: RawFd, events: libc::c_int, tag: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (events | libc::EPOLLET) as u32, u64: tag };
        // SAFETY: `event` is valid for the time of the call.
        check(unsafe { libc::epoll_ctl(self.poll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })?;
        Ok(())
    }

    /// The connection of an id, unless the id is void.
    pub fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(id.index as usize)?;
        (conn.fd.is_some() && conn.generation == id.generation).then_some(conn)
    }

    /// The connection at an index.
    pub fn at(&mut self, index: u32) -> &mut Conn {
        &mut self.conns[index as usize]
    }

    /// The connection at an index, with the pool that its buffers come from.
    pub fn at_with_pool(&mut self, index: u32) -> (&mut Conn, &mut Pool) {
        (&mut self.conns[index as usize], &mut self.pool)
    }

    /// The id of the connection at an index.
    pub fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.conns[index as usize].generation }
    }

    /// Puts a connection on the list of those to read.
    pub fn list_read(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if !conn.reading {
            conn.reading = true;
            self.reads.push_back(index);
        }
    }

    /// Puts a connection on the list of those to write.
    pub fn list_write(&mut self, index: u32) {
        let conn = &mut self.conns[index as usize];
        if !conn.writing {
            conn.writing = true;
            self.writes.push(index);
        }
    }

    /// Closes the descriptor and frees the index. Nothing of it is left in the kernel: an event already fetched
    /// carries the old generation, a list entry finds no descriptor.
    pub fn shut(&mut self, id: ConnId) {
        let Net { conns, pool, free, .. } = self;
        let Some(conn) = conns.get_mut(id.index as usize) else { return };
        if conn.generation == id.generation && conn.fd.take().is_some() {
            conn.outbox.reset(pool);
            free.push(id.index);
        }
    }

    /// Event tag of a connection.
    pub fn tag(id: ConnId) -> u64 {
        u64::from(id.generation & 0x7fff_ffff) << 32 | u64::from(id.index)
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
        let Net { conns, pool, writes, .. } = self;
        let conn = conns.get_mut(id.index as usize);
        let Some(conn) = conn.filter(|conn| conn.fd.is_some() && conn.generation == id.generation) else {
            if let Chunk::Bytes(buffer) = chunk {
                pool.give(buffer);
            }
            return;
        };
        conn.outbox.push(chunk, pool);
        if !conn.writing {
            conn.writing = true;
            writes.push(id.index);
        }
    }

    fn adopt(&mut self, socket: Socket) -> io::Result<ConnId> {
        socket::prepare(&socket)?;
        let index = self.free.pop().unwrap_or_else(|| {
            self.conns.push(Conn {
                generation: 0,
                fd: None,
                readable: false,
                hangup: false,
                reading: false,
                paused: false,
                writing: false,
                full: false,
                ending: Ending::No,
                outbox: Outbox::default(),
            });
            self.conns.len() as u32 - 1
        });
        let conn = &mut self.conns[index as usize];
        conn.generation = conn.generation.wrapping_add(1);
        conn.readable = false;
        conn.hangup = false;
        conn.paused = false;
        conn.full = false;
        conn.ending = Ending::No;
        let id = self.id(index);
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP;
        if let Err(error) = self.watch(socket.fd.as_raw_fd(), events, Net::tag(id)) {
            self.free.push(index);
            return Err(error);
        }
        self.conns[index as usize].fd = Some(socket.fd);
        Ok(id)
    }

    fn pause_receive(&mut self, id: ConnId) {
        if let Some(conn) = self.get(id) {
            conn.paused = true;
        }
    }

    fn resume_receive(&mut self, id: ConnId) {
        let Some(conn) = self.get(id) else { return };
        conn.paused = false;
        if conn.readable {
            self.list_read(id.index);
        }
    }

    fn close(&mut self, id: ConnId) {
        self.shut(id);
    }

    fn listen(&mut self, listener: Listener) -> io::Result<()> {
        // SAFETY: fcntl with F_GETFL and F_SETFL takes no pointers.
        unsafe {
            let flags = check(libc::fcntl(listener.fd.as_raw_fd(), libc::F_GETFL))?;
            check(libc::fcntl(listener.fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))?;
        }
        let index = self.listeners.iter().position(Option::is_none).unwrap_or_else(|| {
            self.listeners.push(None);
            self.listeners.len() - 1
        });
        self.watch(listener.fd.as_raw_fd(), libc::EPOLLIN, LISTENER | index as u64)?;
        self.listeners[index] = Some(Listening { fd: listener.fd, kind: listener.kind });
        Ok(())
    }

    fn unlisten(&mut self, kind: ListenerKind) {
        for slot in &mut self.listeners {
            // Closing the descriptor takes it out of the epoll set.
            slot.take_if(|listening| listening.kind == kind);
        }
    }

    fn wake(&mut self, core: usize) {
        if core != self.core {
            self.waker.wake(core);
        }
    }
}
