//! The driver: one core's turns on epoll.
//!
//! A turn: read every socket that may hold something and hand it to the handler; ask the handler for its turn;
//! write what it queued; ask epoll what became ready, and wait there when nothing is left to do.
//!
//! INVARIANT (edge-triggered): a socket whose last read or accept did not come up short stays on its list, since
//! no further event will name it.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use super::net::{BELL, LISTENER, Net};
use crate::runtime::clock::monotonic_ns;
use crate::runtime::ending::Ending;
use crate::runtime::face::{Chunk, Closed, ConnId, Handler, Listener, ListenerKind, NetIo, Socket};
use crate::runtime::outbox::{FLIGHT_BYTES, Outbox};
use crate::runtime::slices::{self, Slices};
use crate::runtime::socket;
use crate::runtime::wake::Waker;

/// Events fetched at once.
const EVENTS: usize = 1024;
/// What one read takes at most; small enough to stay in the cache.
const READ_BYTES: usize = 64 * 1024;
/// Connections accepted per listener and turn.
const ACCEPTS_PER_TURN: usize = 256;
/// Pieces of one writev.
const WRITE_PIECES: usize = 64;
/// How long accepting rests when the process or the system has no descriptors left.
const ACCEPT_REST_NS: u64 = 100_000_000;

/// What the driver should do after a turn.
enum Next {
    Turn,
    Slice,
    Stop,
}

/// Everything one core's driver and background task share.
pub struct Core<H> {
    engine: Engine,
    slice_ended_ns: u64,
    handler: H,
}

/// The engine of one core, without who is driven.
pub struct Engine {
    net: Net,
    events: Vec<libc::epoll_event>,
    /// Every read of this core goes here; away while the handler looks at it.
    buffer: Box<[u8]>,
    /// Connections whose peer ended in the last turn.
    ended: Vec<ConnId>,
    /// Out of descriptors: accept again at this time.
    accept_at_ns: Option<u64>,
    /// While the handler is attended to in the midst of a call: the connection it hears nothing of, and what it will
    /// hear of it.
    but: Option<ConnId>,
    failed: Vec<(ConnId, io::Error)>,
}

impl<H: Handler> Core<H> {
    /// Sets epoll up.
    pub fn new(core: usize, waker: Waker, handler: H) -> io::Result<Core<H>> {
        let engine = Engine {
            net: Net::new(core, waker)?,
            events: Vec::with_capacity(EVENTS),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
            ended: Vec::new(),
            accept_at_ns: None,
            but: None,
            failed: Vec::new(),
        };
        Ok(Core { engine, slice_ended_ns: 0, handler })
    }

    /// One slice of background work.
    pub fn slice(&mut self) {
        self.engine.net.now_ns = monotonic_ns();
        self.handler.background(&mut self.engine, slices::BUDGET);
        self.slice_ended_ns = monotonic_ns();
    }

    fn turn(&mut self) -> io::Result<Next> {
        let Core { engine, slice_ended_ns, handler } = self;
        engine.net.now_ns = monotonic_ns();
        engine.reap(handler);
        engine.net.now_ns = monotonic_ns();
        let turn = handler.turn(engine);
        engine.write_all(handler);
        if turn.stop {
            return Ok(Next::Stop);
        }
        let busy = turn.busy || engine.has_more_to_do();
        if turn.background {
            engine.poll(Some(0))?;
            let due = slices::due(engine.net.now_ns, *slice_ended_ns);
            let idle = !busy && engine.events.is_empty();
            return Ok(if idle || due { Next::Slice } else { Next::Turn });
        }
        if busy {
            engine.poll(Some(0))?;
        } else {
            self.sleep(turn.deadline_ns)?;
        }
        Ok(Next::Turn)
    }

    /// Waits for an event, for a bell, or for the deadline.
    fn sleep(&mut self, deadline_ns: Option<u64>) -> io::Result<()> {
        let engine = &mut self.engine;
        let deadline = match (deadline_ns, engine.accept_at_ns) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let core = engine.net.core;
        engine.net.waker.announce(core);
        let timeout = if self.handler.has_mail() {
            Some(0)
        } else {
            deadline.map(|at| at.saturating_sub(engine.net.now_ns))
        };
        let result = engine.poll(timeout);
        engine.net.waker.awake(core);
        result
    }
}

impl Engine {
    /// Is there anything to do in the next turn although nothing arrives?
    fn has_more_to_do(&self) -> bool {
        !self.net.reads.is_empty()
            || !self.net.writes.is_empty()
            || !self.ended.is_empty()
            || !self.failed.is_empty()
            || (!self.net.accepts.is_empty() && self.accept_at_ns.is_none())
    }

    /// Fetches events. `None` waits without end.
    fn poll(&mut self, timeout_ns: Option<u64>) -> io::Result<()> {
        debug_assert!(self.events.is_empty());
        // Milliseconds, rounded up: a deadline is met a little late rather than by a spinning core.
        let timeout_ms = timeout_ns.map_or(-1, |ns| ns.div_ceil(1_000_000).min(i32::MAX as u64) as i32);
        // SAFETY: the vector has room for EVENTS events, and as many as the kernel wrote are taken over.
        unsafe {
            let (poll, to) = (self.net.poll.as_raw_fd(), self.events.as_mut_ptr());
            let count = libc::epoll_wait(poll, to, EVENTS as i32, timeout_ms);
            if let Ok(count) = usize::try_from(count) {
                self.events.set_len(count);
                return Ok(());
            }
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            error => Err(error),
        }
    }

    /// Sorts the events, then reads and accepts.
    fn reap<H: Handler + ?Sized>(&mut self, handler: &mut H) {
        let ended = mem::take(&mut self.ended);
        let mut events = mem::take(&mut self.events);
        for event in events.drain(..) {
            let (tag, bits) = (event.u64, event.events as i32);
            if tag == BELL {
                continue;
            }
            if tag & LISTENER != 0 {
                self.net.accepts.push(tag as u32);
                continue;
            }
            let index = tag as u32;
            if Net::tag(self.net.id(index)) != tag {
                continue;
            }
            let conn = self.net.at(index);
            if bits & (libc::EPOLLOUT | libc::EPOLLERR | libc::EPOLLHUP) != 0 && mem::take(&mut conn.full) {
                self.net.list_write(index);
            }
            if bits & (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLERR | libc::EPOLLHUP) != 0 {
                let conn = self.net.at(index);
                conn.readable = true;
                // The end was announced with this edge and will not be announced again: read until it.
                conn.hangup |= bits & !(libc::EPOLLIN | libc::EPOLLOUT) != 0;
                self.net.list_read(index);
            }
        }
        self.events = events;
        self.read_all(handler);
        self.accept_all(handler);
        for id in ended {
            self.peer_ended(handler, id);
        }
        if self.but.is_none() {
            for (id, error) in mem::take(&mut self.failed) {
                self.fail(handler, id, &error);
            }
        }
    }

    /// Reads once from every connection on the list; one with more to give stays on it, so that all get a turn.
    fn read_all<H: Handler + ?Sized>(&mut self, handler: &mut H) {
        let mut buffer = mem::take(&mut self.buffer);
        if buffer.is_empty() {
            // A reading within another.
            buffer = vec![0; READ_BYTES].into_boxed_slice();
        }
        let mut put_off = None;
        for _ in 0..self.net.reads.len() {
            // The handler may have had itself attended to meanwhile, which reads on.
            let Some(index) = self.net.reads.pop_front() else { break };
            let id = self.net.id(index);
            if self.but == Some(id) {
                put_off = Some(index);
                continue;
            }
            let conn = self.net.at(index);
            conn.reading = false;
            let Some(fd) = &conn.fd else { continue };
            if conn.paused || !conn.readable || conn.ending != Ending::No {
                continue;
            }
            let (to, len) = (buffer.as_mut_ptr(), buffer.len());
            // SAFETY: the buffer is `len` bytes long and lives through the call.
            let count = unsafe { libc::recv(fd.as_raw_fd(), to.cast(), len, libc::MSG_DONTWAIT) };
            match usize::try_from(count) {
                Ok(0) => {
                    conn.readable = false;
                    conn.ending = Ending::Seen;
                    self.ended.push(id);
                }
                Ok(count) => {
                    // A short read emptied the socket. What arrives later, the end included, is a new edge.
                    conn.readable = count == len || conn.hangup;
                    handler.received(self, id, &buffer[..count]);
                    // An edge may have come meanwhile.
                    if self.net.get(id).is_some_and(|conn| conn.readable && !conn.paused) {
                        self.net.list_read(index);
                    }
                }
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::WouldBlock => conn.readable = false,
                    error if error.kind() == io::ErrorKind::Interrupted => self.net.list_read(index),
                    error => self.fail(handler, id, &error),
                },
            }
        }
        self.buffer = buffer;
        // It is on the list still.
        self.net.reads.extend(put_off);
    }

    fn accept_all<H: Handler + ?Sized>(&mut self, handler: &mut H) {
        if self.accept_at_ns.is_some_and(|at| at > self.net.now_ns) {
            return;
        }
        self.accept_at_ns = None;
        for index in mem::take(&mut self.net.accepts) {
            if !self.accept_some(handler, index) {
                self.net.accepts.push(index);
            }
        }
    }

    /// Accepts a bounded number of connections. False when more may wait.
    fn accept_some<H: Handler + ?Sized>(&mut self, handler: &mut H, index: u32) -> bool {
        for _ in 0..ACCEPTS_PER_TURN {
            // The handler may unlisten in between.
            let Some(listening) = &self.net.listeners[index as usize] else { return true };
            let kind = listening.kind;
            match accept(listening.fd.as_raw_fd()) {
                Ok(fd) => handler.accepted(self, socket::accepted(fd, kind)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return true,
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                        self.accept_at_ns = Some(self.net.now_ns + ACCEPT_REST_NS);
                        return false;
                    }
                    // This connection failed before it was accepted; the next may be sound.
                    _ => {}
                },
            }
        }
        false
    }

    /// Writes what was queued, once per connection.
    fn write_all<H: Handler + ?Sized>(&mut self, handler: &mut H) {
        let mut writes = mem::take(&mut self.net.writes);
        for index in writes.drain(..) {
            let id = self.net.id(index);
            let (conn, pool) = self.net.at_with_pool(index);
            conn.writing = false;
            let Some(fd) = &conn.fd else { continue };
            let (mut outcome, mut written) = (Ok(()), 0);
            // The others have their turn before the rest of a long reply leaves.
            while !conn.full && written < FLIGHT_BYTES && conn.outbox.launch() {
                match write(fd.as_raw_fd(), &conn.outbox) {
                    Ok((count, all)) => {
                        conn.outbox.advance(count, pool);
                        written += count;
                        conn.full = count < all;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => conn.full = true,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            match outcome {
                Err(error) => self.fail(handler, id, &error),
                Ok(()) if conn.outbox.is_empty() => {
                    let draining = conn.ending == Ending::Draining;
                    handler.sent(self, id);
                    if draining {
                        self.peer_ended(handler, id);
                    }
                }
                // The rest leaves when the next edge says that there is room.
                Ok(()) if conn.full => {}
                Ok(()) => {
                    conn.writing = true;
                    self.net.writes.push(index);
                }
            }
        }
        // The handler, told that all was sent, may have queued more.
        writes.append(&mut self.net.writes);
        self.net.writes = writes;
    }

    /// The peer sends no more. The handler may keep the connection to answer; else queued replies leave first.
    fn peer_ended<H: Handler + ?Sized>(&mut self, handler: &mut H, id: ConnId) {
        if self.but == Some(id) {
            return self.ended.push(id);
        }
        let Some(conn) = self.net.get(id) else { return };
        if conn.ending == Ending::Seen {
            conn.ending = Ending::Draining;
            if handler.ended(self, id) {
                if let Some(conn) = self.net.get(id) {
                    conn.ending = Ending::Kept;
                }
                return;
            }
        }
        if self.net.get(id).is_some_and(|conn| conn.outbox.is_empty()) {
            self.net.shut(id);
            handler.closed(self, id, Closed::Peer);
        }
    }

    fn fail<H: Handler + ?Sized>(&mut self, handler: &mut H, id: ConnId, error: &io::Error) {
        if self.but == Some(id) {
            let error = io::Error::from(error.kind());
            return self.failed.push((id, error));
        }
        if self.net.get(id).is_some() {
            self.net.shut(id);
            handler.closed(self, id, Closed::Error(error.kind()));
        }
    }
}

impl NetIo for Engine {
    fn now_ns(&self) -> u64 {
        self.net.now_ns()
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.net.buffer()
    }

    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        self.net.send(conn, chunk);
    }

    fn adopt(&mut self, socket: Socket) -> io::Result<ConnId> {
        self.net.adopt(socket)
    }

    fn pause_receive(&mut self, conn: ConnId) {
        self.net.pause_receive(conn);
    }

    fn resume_receive(&mut self, conn: ConnId) {
        self.net.resume_receive(conn);
    }

    fn close(&mut self, conn: ConnId) {
        self.net.close(conn);
    }

    fn listen(&mut self, listener: Listener) -> io::Result<()> {
        self.net.listen(listener)
    }

    fn unlisten(&mut self, kind: ListenerKind) {
        self.net.unlisten(kind);
    }

    fn wake(&mut self, core: usize) {
        self.net.wake(core);
    }

    fn attend(&mut self, handler: &mut dyn Handler, but: Option<ConnId>) {
        if self.events.is_empty() && self.poll(Some(0)).is_err() {
            // What fails here fails again at the end of the turn, and is told there.
            return;
        }
        self.net.now_ns = monotonic_ns();
        self.but = but;
        self.reap(handler);
        self.write_all(handler);
        self.but = None;
    }
}

fn accept(listener: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: accept4 may be called without room for the address.
    let fd = socket::check(unsafe {
        libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC)
    })?;
    // SAFETY: the descriptor was just created and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Writes the first pieces of a flight: how many bytes left, and how many were tried.
fn write(fd: RawFd, outbox: &Outbox) -> io::Result<(usize, usize)> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let mut pieces = outbox.pieces();
    let (count, all) = if outbox.piece_count() == 1 {
        let piece = pieces.next().expect("counted above");
        // SAFETY: the piece is borrowed through the call.
        (unsafe { libc::send(fd, piece.as_ptr().cast(), piece.len(), flags) }, piece.len())
    } else {
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; WRITE_PIECES];
        let (mut used, mut all) = (0, 0);
        for (to, piece) in vectors.iter_mut().zip(pieces) {
            *to = libc::iovec { iov_base: piece.as_ptr().cast_mut().cast(), iov_len: piece.len() };
            used += 1;
            all += piece.len();
        }
        // SAFETY: all-zero is a valid msghdr; its vectors live through the call, and sendmsg only reads them.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = vectors.as_mut_ptr();
        message.msg_iovlen = used;
        // SAFETY: as above; the pieces are borrowed through the call.
        (unsafe { libc::sendmsg(fd, &message, flags) }, all)
    };
    usize::try_from(count).map(|count| (count, all)).map_err(|_| io::Error::last_os_error())
}

/// Drives a core until its handler stops.
pub async fn drive<H: Handler>(core: Rc<RefCell<Core<H>>>, slices: Rc<Slices>) {
    loop {
        let next = core.borrow_mut().turn();
        match next {
            Ok(Next::Turn) => {}
            Ok(Next::Slice) => slices.grant().await,
            Ok(Next::Stop) => break,
            Err(error) => panic!("epoll failed on core {}: {error}", core.borrow().engine.net.core),
        }
    }
    slices.stop();
}
