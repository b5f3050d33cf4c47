//! The driver: one core's turns on its ring.
//!
//! A turn: reap what completed and hand it to the handler; ask the handler for its turn; turn what it noted
//! into requests; enter the kernel once, which submits them and, when there is nothing left to do, waits.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use io_uring::{cqueue, opcode, squeue, types};

use super::buffers::{Buffers, GROUP};
use super::conns::Flight;
use super::net::Net;
use super::probe::Features;
use super::ring::Ring;
use super::send;
use crate::runtime::clock::monotonic_ns;
use crate::runtime::ending::Ending;
use crate::runtime::face::{Chunk, Closed, ConnId, Handler, Listener, ListenerKind, NetIo, Socket};
use crate::runtime::slices::{self, Slices};
use crate::runtime::socket;
use crate::runtime::wake::Waker;

/// How long accepting rests when the process or the system has no descriptors left.
const ACCEPT_REST_NS: u64 = 100_000_000;

/// How long the end of all requests may take when a core stops.
const SETTLE_NS: u64 = 5_000_000_000;

/// Stands in tags for "no connection".
const NOBODY: ConnId = ConnId { index: 0, generation: 0 };

/// What a completion belongs to; the top byte of its user data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Op {
    /// Nobody waits for it: the outcome of a cancellation.
    Ignored,
    Receive,
    Send,
    Accept,
    Bell,
}

/// User data: operation (8 bits), low bits of the generation (24), index (32).
fn tag(op: Op, id: ConnId) -> u64 {
    (op as u64) << 56 | u64::from(id.generation & 0xff_ffff) << 32 | u64::from(id.index)
}

fn untag(data: u64) -> (Op, u32, u32) {
    let op = match data >> 56 {
        1 => Op::Receive,
        2 => Op::Send,
        3 => Op::Accept,
        4 => Op::Bell,
        _ => Op::Ignored,
    };
    (op, (data >> 32) as u32 & 0xff_ffff, data as u32)
}

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
///
/// The order of the fields matters: the ring goes first, then the memory that its requests point into.
pub struct Engine {
    ring: Ring,
    buffers: Buffers,
    net: Net,
    features: Features,
    /// Connections with a quiet send since the last reaping.
    quiet: Vec<u32>,
    /// Connections whose peer ended since the last reaping. By id: an index may be another's by the next.
    ended: Vec<ConnId>,
    /// Taken from the ring and not yet handed over, in their order: a reaping within another goes on with them.
    completions: VecDeque<cqueue::Entry>,
    /// While the handler is attended to in the midst of a call: the connection it hears nothing of, and what it will
    /// hear of it.
    but: Option<ConnId>,
    put_off: VecDeque<cqueue::Entry>,
    failed: Vec<(ConnId, i32)>,
}

impl<H: Handler> Core<H> {
    /// Sets the ring up on the calling thread.
    pub fn new(core: usize, waker: Waker, features: Features, handler: H) -> io::Result<Core<H>> {
        let ring = Ring::new(features.setup)?;
        let buffers = Buffers::register(&ring, features.cut)?;
        let mut engine = Engine {
            ring,
            buffers,
            net: Net::new(core, waker),
            features,
            quiet: Vec::new(),
            ended: Vec::new(),
            completions: VecDeque::new(),
            but: None,
            put_off: VecDeque::new(),
            failed: Vec::new(),
        };
        engine.arm_bell();
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
        engine.note_requests();
        if turn.stop {
            engine.ring.enter(0, None)?;
            return Ok(Next::Stop);
        }
        let busy = turn.busy || engine.has_more_to_tell() || !engine.net.todo.is_empty();
        if turn.background {
            // Not asleep: a slice follows when the core is idle or the background's share is due.
            engine.ring.enter(0, None)?;
            let idle = !busy && engine.ring.completions().is_empty();
            let due = slices::due(engine.net.now_ns, *slice_ended_ns);
            return Ok(if idle || due { Next::Slice } else { Next::Turn });
        }
        if busy {
            if engine.ring.needs_entry() {
                engine.ring.enter(0, None)?;
            }
        } else {
            self.sleep(turn.deadline_ns)?;
        }
        Ok(Next::Turn)
    }

    /// Submits and waits for a completion, for a bell, or for the deadline.
    fn sleep(&mut self, deadline_ns: Option<u64>) -> io::Result<()> {
        let engine = &mut self.engine;
        let deadline = match (deadline_ns, engine.net.retry_at_ns()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let timeout = deadline.map(|at| Duration::from_nanos(at.saturating_sub(engine.net.now_ns)));
        let core = engine.net.core;
        engine.net.waker.announce(core);
        let want = u32::from(!self.handler.has_mail());
        let result = engine.ring.enter(want, timeout);
        engine.net.waker.awake(core);
        result
    }

    /// Ends everything that is outstanding, so that the memory it points into may be freed.
    fn settle(&mut self) {
        for index in self.engine.net.conns.live().collect::<Vec<_>>() {
            let id = self.engine.net.conns.id(index);
            self.engine.net.shut(id);
            self.engine.net.list(index);
        }
        for kind in [ListenerKind::Tcp, ListenerKind::Unix, ListenerKind::Metrics] {
            self.engine.net.unlisten(kind);
        }
        let give_up_ns = monotonic_ns() + SETTLE_NS;
        loop {
            self.engine.note_requests();
            if self.engine.net.conns.live().next().is_none()
                && self.engine.net.listeners.iter().all(Option::is_none)
            {
                return;
            }
            let entered = self.engine.ring.enter(1, Some(Duration::from_millis(10)));
            self.engine.net.now_ns = monotonic_ns();
            assert!(
                entered.is_ok() && self.engine.net.now_ns < give_up_ns,
                "the kernel did not end requests that were cancelled"
            );
            self.engine.reap(&mut self.handler);
        }
    }
}

impl Engine {
    /// Hands over everything that completed.
    fn reap<H: Handler + ?Sized>(&mut self, handler: &mut H) {
        let ended = mem::take(&mut self.ended);
        self.completions.extend(self.ring.completions());
        let any = !self.completions.is_empty();
        while let Some(completion) = self.completions.pop_front() {
            let completion = &completion;
            let (op, generation, index) = untag(completion.user_data());
            match op {
                Op::Receive if self.but.is_some_and(|but| but.index == index) => {
                    self.put_off.push_back(completion.clone());
                }
                Op::Receive => self.received(handler, index, generation, completion),
                Op::Send => self.sent(handler, index, generation, completion.result()),
                Op::Accept => self.accepted(handler, index, completion),
                Op::Bell if !cqueue::more(completion.flags()) => self.arm_bell(),
                Op::Bell | Op::Ignored => {}
            }
        }
        if any {
            self.buffers.publish();
        }
        // A quiet send's complaint is posted before the entry that submitted it returns; so with all submitted
        // and no completion set aside, silence means that it carried everything.
        if !self.quiet.is_empty() && self.ring.all_heard() {
            self.confirm_quiet_sends(handler);
        }
        for id in ended {
            self.peer_ended(handler, id);
        }
        if self.but.is_none() {
            for (id, error) in mem::take(&mut self.failed) {
                self.fail(handler, id, error);
            }
        }
    }

    fn received<H: Handler + ?Sized>(
        &mut self,
        handler: &mut H,
        index: u32,
        generation: u32,
        completion: &cqueue::Entry,
    ) {
        let id = self.net.conns.id(index);
        debug_assert_eq!(generation, id.generation & 0xff_ffff);
        let conn = self.net.conns.at(index);
        if !cqueue::more(completion.flags()) {
            conn.armed = false;
            conn.cancelling = false;
            self.net.list(index);
        }
        if completion.result() > 0 {
            let taken = self.buffers.take(completion);
            if self.net.conns.at(index).open
                && let Some(taken) = taken
            {
                handler.received(self, id, taken.bytes());
            }
            self.buffers.release(completion);
            return;
        }
        self.buffers.release(completion);
        match -completion.result() {
            0 => {
                self.net.conns.at(index).ending = Ending::Seen;
                self.ended.push(id);
            }
            // Out of buffers, interrupted or cancelled: armed again when the turn ends, if still wanted.
            libc::ENOBUFS | libc::EINTR | libc::EAGAIN | libc::ECANCELED => {}
            error => self.fail(handler, id, error),
        }
    }

    fn sent<H: Handler + ?Sized>(&mut self, handler: &mut H, index: u32, generation: u32, result: i32) {
        let id = self.net.conns.id(index);
        debug_assert_eq!(generation, id.generation & 0xff_ffff);
        let conn = self.net.conns.at(index);
        match conn.flight {
            // Judged when it is certain what else the flight did.
            Flight::Quiet => conn.shortfall = Some(result),
            Flight::Awaited => {
                conn.flight = Flight::None;
                self.landed(handler, index, Some(result));
            }
            Flight::None => debug_assert!(false, "a completion of a send that nobody made"),
        }
    }

    fn confirm_quiet_sends<H: Handler + ?Sized>(&mut self, handler: &mut H) {
        let mut quiet = mem::take(&mut self.quiet);
        for index in quiet.drain(..) {
            let conn = self.net.conns.at(index);
            conn.flight = Flight::None;
            let shortfall = conn.shortfall.take();
            self.landed(handler, index, shortfall);
        }
        self.quiet = quiet;
    }

    /// A send is over: with everything carried (`None`), or with a result.
    fn landed<H: Handler + ?Sized>(&mut self, handler: &mut H, index: u32, result: Option<i32>) {
        let id = self.net.conns.id(index);
        let Net { conns, pool, .. } = &mut self.net;
        let conn = conns.at(index);
        if !conn.open {
            // What did not leave is dropped.
            conn.outbox.land(pool);
            return self.net.list(index);
        }
        let complete = match result {
            None => {
                conn.outbox.land(pool);
                true
            }
            Some(count @ 0..) => conn.outbox.advance(count as usize, pool),
            Some(error) => match -error {
                libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM => false,
                error => return self.fail(handler, id, error),
            },
        };
        if !complete {
            // The socket is full: wait in the kernel until it has room.
            return self.start_send(index, false);
        }
        if conn.outbox.has_queued() {
            return self.net.list(index);
        }
        let draining = conn.ending == Ending::Draining;
        handler.sent(self, id);
        if draining {
            self.peer_ended(handler, id);
        }
    }

    /// The peer sends no more. The handler may keep the connection to answer; else queued replies leave first.
    fn peer_ended<H: Handler + ?Sized>(&mut self, handler: &mut H, id: ConnId) {
        if self.but == Some(id) {
            return self.ended.push(id);
        }
        let Some(conn) = self.net.conns.get(id) else { return };
        if conn.ending == Ending::Seen {
            conn.ending = Ending::Draining;
            if handler.ended(self, id) {
                if let Some(conn) = self.net.conns.get(id) {
                    conn.ending = Ending::Kept;
                }
                return;
            }
        }
        if self.net.conns.get(id).is_some_and(|conn| conn.outbox.is_empty()) {
            self.net.shut(id);
            handler.closed(self, id, Closed::Peer);
        }
    }

    fn fail<H: Handler + ?Sized>(&mut self, handler: &mut H, id: ConnId, error: i32) {
        if self.but == Some(id) {
            return self.failed.push((id, error));
        }
        if self.net.conns.get(id).is_some() {
            self.net.shut(id);
            let kind = io::Error::from_raw_os_error(error).kind();
            handler.closed(self, id, Closed::Error(kind));
        }
    }

    fn accepted<H: Handler + ?Sized>(&mut self, handler: &mut H, index: u32, completion: &cqueue::Entry) {
        let Some(listening) = self.net.listeners[index as usize].as_mut() else {
            debug_assert!(false, "an accept of a listener that is gone");
            return;
        };
        if !cqueue::more(completion.flags()) {
            listening.armed = false;
            self.net.listeners_changed = true;
        }
        let kind = listening.kind;
        match completion.result() {
            fd @ 0.. => {
                // SAFETY: the kernel made this descriptor for this completion; nobody else owns it.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                // Also from a listener that is being closed: this client came in before.
                let socket = socket::accepted(fd, kind);
                handler.accepted(self, socket);
            }
            error => {
                if matches!(-error, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) {
                    listening.retry_at_ns = Some(self.net.now_ns + ACCEPT_REST_NS);
                }
            }
        }
    }

    /// Is there anything that the handler hears of in the next turn although nothing arrives?
    fn has_more_to_tell(&self) -> bool {
        !self.ended.is_empty() || !self.completions.is_empty() || !self.failed.is_empty()
    }

    /// Turns the notes of this turn into requests.
    fn note_requests(&mut self) {
        if self.net.listeners_changed || self.net.retry_at_ns().is_some_and(|at| at <= self.net.now_ns) {
            self.tend_listeners();
        }
        let mut todo = mem::take(&mut self.net.todo);
        for index in todo.drain(..) {
            self.tend(index);
        }
        // Nothing above lists a connection, so the emptied list can be reused.
        debug_assert!(self.net.todo.is_empty());
        self.net.todo = todo;
    }

    /// Starts and stops what one connection wants.
    fn tend(&mut self, index: u32) {
        let id = self.net.conns.id(index);
        let conn = self.net.conns.at(index);
        conn.listed = false;
        if !conn.open {
            if conn.is_settled() {
                conn.outbox.reset(&mut self.net.pool);
                self.net.conns.remove(index);
                return;
            }
            let cancel_send = conn.flight == Flight::Awaited && !mem::replace(&mut conn.send_cancelled, true);
            let cancel_receive = conn.armed && !mem::replace(&mut conn.cancelling, true);
            if cancel_receive {
                self.cancel(tag(Op::Receive, id));
            }
            if cancel_send {
                self.cancel(tag(Op::Send, id));
            }
            return;
        }
        let wants = !conn.paused && conn.ending == Ending::No;
        if wants && !conn.armed {
            self.arm_receive(index);
        } else if conn.paused && conn.armed && !mem::replace(&mut conn.cancelling, true) {
            self.cancel(tag(Op::Receive, id));
        }
        let conn = self.net.conns.at(index);
        if conn.flight == Flight::None && conn.outbox.launch() {
            let quiet = self.features.quiet_sends && conn.may_send_quietly();
            self.start_send(index, quiet);
        }
    }

    fn arm_receive(&mut self, index: u32) {
        let id = self.net.conns.id(index);
        let conn = self.net.conns.at(index);
        let fd = types::Fd(conn.fd.as_ref().expect("open connections have a descriptor").as_raw_fd());
        conn.armed = true;
        let entry = if self.features.multishot_receive {
            opcode::RecvMulti::new(fd, GROUP).build()
        } else {
            opcode::Recv::new(fd, std::ptr::null_mut(), 0)
                .buf_group(GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        };
        // SAFETY: the request points at nothing; the buffers it picks from outlive the ring.
        unsafe { self.ring.push(&entry.user_data(tag(Op::Receive, id))) };
    }

    fn start_send(&mut self, index: u32, quiet: bool) {
        let id = self.net.conns.id(index);
        let conn = self.net.conns.at(index);
        debug_assert!(conn.open && conn.flight == Flight::None && conn.shortfall.is_none());
        let fd = conn.fd.as_ref().expect("open connections have a descriptor").as_raw_fd();
        let entry = send::request(fd, &conn.outbox, &mut conn.message, quiet);
        conn.flight = if quiet { Flight::Quiet } else { Flight::Awaited };
        conn.send_cancelled = false;
        if quiet {
            self.quiet.push(index);
        }
        // SAFETY: while `flight` is set the outbox keeps the chunks in flight (their heap memory does not move
        // with the table) and nobody touches the message; both are released by `landed` only, and a connection
        // is freed only when settled.
        unsafe { self.ring.push(&entry.user_data(tag(Op::Send, id))) };
    }

    fn cancel(&mut self, target: u64) {
        // SAFETY: the request points at nothing. It is carried out while it is submitted, so it never finds a
        // later request of the same tag.
        unsafe {
            self.ring.push(&opcode::AsyncCancel::new(target).build().user_data(tag(Op::Ignored, NOBODY)))
        };
    }

    fn arm_bell(&mut self) {
        let bell = types::Fd(self.net.waker.bell(self.net.core));
        let entry = opcode::PollAdd::new(bell, libc::POLLIN as u32).multi(true).build();
        // SAFETY: the request points at nothing; the waker keeps the descriptor open.
        unsafe { self.ring.push(&entry.user_data(tag(Op::Bell, NOBODY))) };
    }

    fn tend_listeners(&mut self) {
        self.net.listeners_changed = false;
        for index in 0..self.net.listeners.len() {
            let Some(listening) = &mut self.net.listeners[index] else { continue };
            let target = tag(Op::Accept, ConnId { index: index as u32, generation: 0 });
            if listening.closing {
                if listening.armed {
                    self.cancel(target);
                } else {
                    self.net.listeners[index] = None;
                }
                continue;
            }
            if listening.armed || listening.retry_at_ns.is_some_and(|at| at > self.net.now_ns) {
                continue;
            }
            listening.armed = true;
            listening.retry_at_ns = None;
            let fd = types::Fd(listening.fd.as_raw_fd());
            let entry = if self.features.multishot_accept {
                opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build()
            } else {
                opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut())
                    .flags(libc::SOCK_CLOEXEC)
                    .build()
            };
            // SAFETY: the request points at nothing; the listener keeps its descriptor until it is settled.
            unsafe { self.ring.push(&entry.user_data(target)) };
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
        self.note_requests();
        if self.ring.enter(0, None).is_err() {
            // What fails here fails again at the end of the turn, and is told there.
            return;
        }
        self.net.now_ns = monotonic_ns();
        self.but = but;
        self.reap(handler);
        self.but = None;
        while let Some(completion) = self.put_off.pop_back() {
            self.completions.push_front(completion);
        }
    }
}

/// Drives a core until its handler stops.
pub async fn drive<H: Handler>(core: Rc<RefCell<Core<H>>>, slices: Rc<Slices>) {
    loop {
        let next = core.borrow_mut().turn();
        match next {
            Ok(Next::Turn) => {}
            Ok(Next::Slice) => slices.grant().await,
            Ok(Next::Stop) => break,
            Err(error) => panic!("io_uring failed on core {}: {error}", core.borrow().engine.net.core),
        }
    }
    slices.stop();
    core.borrow_mut().settle();
}
