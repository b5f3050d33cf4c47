//! The driver: one core's turns on its ring.
//!
//! A turn: reap what completed and hand it to the handler; ask the handler for its turn; turn what it noted
//! into requests; enter the kernel once, which submits them and, when there is nothing left to do, waits.
#![allow(unsafe_code)]

use std::cell::RefCell;
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
use crate::runtime::face::{Closed, ConnId, Handler, ListenerKind, NetIo};
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
///
/// The order of the fields matters: the ring goes first, then the memory that its requests point into.
pub struct Core<H> {
    ring: Ring,
    buffers: Buffers,
    net: Net,
    features: Features,
    /// Connections with a quiet send since the last reaping.
    quiet: Vec<u32>,
    /// Connections whose peer ended since the last reaping. By id: an index may be another's by the next.
    ended: Vec<ConnId>,
    slice_ended_ns: u64,
    /// Reused by every reaping.
    completions: Vec<cqueue::Entry>,
    handler: H,
}

impl<H: Handler> Core<H> {
    /// Sets the ring up on the calling thread.
    pub fn new(core: usize, waker: Waker, features: Features, handler: H) -> io::Result<Core<H>> {
        let ring = Ring::new(features.setup)?;
        let buffers = Buffers::register(&ring, features.cut)?;
        let mut this = Core {
            ring,
            buffers,
            net: Net::new(core, waker),
            features,
            quiet: Vec::new(),
            ended: Vec::new(),
            slice_ended_ns: 0,
            completions: Vec::new(),
            handler,
        };
        this.arm_bell();
        Ok(this)
    }

    /// One slice of background work.
    pub fn slice(&mut self) {
        self.net.now_ns = monotonic_ns();
        self.handler.background(&mut self.net, slices::BUDGET);
        self.slice_ended_ns = monotonic_ns();
    }

    fn turn(&mut self) -> io::Result<Next> {
        self.net.now_ns = monotonic_ns();
        self.reap();
        self.net.now_ns = monotonic_ns();
        let turn = self.handler.turn(&mut self.net);
        self.note_requests();
        if turn.stop {
            self.ring.enter(0, None)?;
            return Ok(Next::Stop);
        }
        let busy =
            turn.busy || !self.ended.is_empty() || !self.net.todo.is_empty() || !self.net.departed.is_empty();
        if turn.background {
            // Not asleep: a slice follows when the core is idle or the background's share is due.
            self.ring.enter(0, None)?;
            let idle = !busy && self.ring.completions().is_empty();
            let due = slices::due(self.net.now_ns, self.slice_ended_ns);
            return Ok(if idle || due { Next::Slice } else { Next::Turn });
        }
        if busy {
            if self.ring.needs_entry() {
                self.ring.enter(0, None)?;
            }
        } else {
            self.sleep(turn.deadline_ns)?;
        }
        Ok(Next::Turn)
    }

    /// Submits and waits for a completion, for a bell, or for the deadline.
    fn sleep(&mut self, deadline_ns: Option<u64>) -> io::Result<()> {
        let deadline = match (deadline_ns, self.net.retry_at_ns()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let timeout = deadline.map(|at| Duration::from_nanos(at.saturating_sub(self.net.now_ns)));
        let core = self.net.core;
        self.net.waker.announce(core);
        let want = u32::from(!self.handler.has_mail());
        let result = self.ring.enter(want, timeout);
        self.net.waker.awake(core);
        result
    }

    /// Hands over everything that completed.
    fn reap(&mut self) {
        let ended = mem::take(&mut self.ended);
        let mut completions = mem::take(&mut self.completions);
        completions.extend(self.ring.completions());
        for completion in &completions {
            let (op, generation, index) = untag(completion.user_data());
            match op {
                Op::Receive => self.received(index, generation, completion),
                Op::Send => self.sent(index, generation, completion.result()),
                Op::Accept => self.accepted(index, completion),
                Op::Bell if !cqueue::more(completion.flags()) => self.arm_bell(),
                Op::Bell | Op::Ignored => {}
            }
        }
        if !completions.is_empty() {
            self.buffers.publish();
            completions.clear();
        }
        self.completions = completions;
        // A quiet send's complaint is posted before the entry that submitted it returns; so with all submitted
        // and no completion set aside, silence means that it carried everything.
        if !self.quiet.is_empty() && self.ring.all_heard() {
            self.confirm_quiet_sends();
        }
        for id in ended {
            self.peer_ended(id);
        }
        for (id, fd) in mem::take(&mut self.net.departed) {
            self.handler.released(&mut self.net, id, fd);
        }
    }

    fn received(&mut self, index: u32, generation: u32, completion: &cqueue::Entry) {
        let id = self.net.conns.id(index);
        debug_assert_eq!(generation, id.generation & 0xff_ffff);
        let conn = self.net.conns.at(index);
        if !cqueue::more(completion.flags()) {
            conn.armed = false;
            conn.cancelling = false;
            self.net.list(index);
        }
        if completion.result() > 0 {
            if self.net.conns.at(index).open
                && let Some(bytes) = self.buffers.received(completion)
            {
                self.handler.received(&mut self.net, id, bytes);
            }
            self.buffers.release(completion);
            return;
        }
        self.buffers.release(completion);
        if self.net.conns.at(index).leaving {
            // An end is there for the next core to see, too.
            return;
        }
        match -completion.result() {
            0 => {
                self.net.conns.at(index).ending = Ending::Seen;
                self.ended.push(id);
            }
            // Out of buffers, interrupted or cancelled: armed again when the turn ends, if still wanted.
            libc::ENOBUFS | libc::EINTR | libc::EAGAIN | libc::ECANCELED => {}
            error => self.fail(id, error),
        }
    }

    fn sent(&mut self, index: u32, generation: u32, result: i32) {
        let id = self.net.conns.id(index);
        debug_assert_eq!(generation, id.generation & 0xff_ffff);
        let conn = self.net.conns.at(index);
        match conn.flight {
            // Judged when it is certain what else the flight did.
            Flight::Quiet => conn.shortfall = Some(result),
            Flight::Awaited => {
                conn.flight = Flight::None;
                self.landed(index, Some(result));
            }
            Flight::None => debug_assert!(false, "a completion of a send that nobody made"),
        }
    }

    fn confirm_quiet_sends(&mut self) {
        let mut quiet = mem::take(&mut self.quiet);
        for index in quiet.drain(..) {
            let conn = self.net.conns.at(index);
            conn.flight = Flight::None;
            let shortfall = conn.shortfall.take();
            self.landed(index, shortfall);
        }
        self.quiet = quiet;
    }

    /// A send is over: with everything carried (`None`), or with a result.
    fn landed(&mut self, index: u32, result: Option<i32>) {
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
                error => return self.fail(id, error),
            },
        };
        if !complete {
            // The socket is full: wait in the kernel until it has room.
            return self.start_send(index, false);
        }
        if conn.outbox.has_queued() || conn.leaving {
            self.net.list(index);
        }
        let conn = self.net.conns.at(index);
        if conn.outbox.has_queued() {
            return;
        }
        let draining = conn.ending == Ending::Draining;
        self.handler.sent(&mut self.net, id);
        if draining {
            self.peer_ended(id);
        }
    }

    /// The peer sends no more. The handler may keep the connection to answer; else queued replies leave first.
    fn peer_ended(&mut self, id: ConnId) {
        let Some(conn) = self.net.conns.get(id) else { return };
        if conn.ending == Ending::Seen {
            conn.ending = Ending::Draining;
            if self.handler.ended(&mut self.net, id) {
                if let Some(conn) = self.net.conns.get(id) {
                    conn.ending = Ending::Kept;
                }
                return;
            }
        }
        if self.net.conns.get(id).is_some_and(|conn| conn.outbox.is_empty()) {
            self.net.shut(id);
            self.handler.closed(&mut self.net, id, Closed::Peer);
        }
    }

    fn fail(&mut self, id: ConnId, error: i32) {
        if self.net.conns.get(id).is_some() {
            self.net.shut(id);
            let kind = io::Error::from_raw_os_error(error).kind();
            self.handler.closed(&mut self.net, id, Closed::Error(kind));
        }
    }

    fn accepted(&mut self, index: u32, completion: &cqueue::Entry) {
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
                self.handler.accepted(&mut self.net, socket);
            }
            error => {
                if matches!(-error, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) {
                    listening.retry_at_ns = Some(self.net.now_ns + ACCEPT_REST_NS);
                }
            }
        }
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
        if conn.leaving && conn.outbox.is_empty() {
            if conn.armed {
                if !mem::replace(&mut conn.cancelling, true) {
                    self.cancel(tag(Op::Receive, id));
                }
            } else if conn.is_settled() {
                let fd = self.net.conns.release(index);
                self.net.departed.push((id, fd));
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

    /// Ends everything that is outstanding, so that the memory it points into may be freed.
    fn settle(&mut self) {
        for index in self.net.conns.live().collect::<Vec<_>>() {
            let id = self.net.conns.id(index);
            self.net.shut(id);
            self.net.list(index);
        }
        for kind in [ListenerKind::Tcp, ListenerKind::Unix, ListenerKind::Metrics] {
            self.net.unlisten(kind);
        }
        let give_up_ns = monotonic_ns() + SETTLE_NS;
        loop {
            self.note_requests();
            if self.net.conns.live().next().is_none() && self.net.listeners.iter().all(Option::is_none) {
                return;
            }
            let entered = self.ring.enter(1, Some(Duration::from_millis(10)));
            self.net.now_ns = monotonic_ns();
            assert!(
                entered.is_ok() && self.net.now_ns < give_up_ns,
                "the kernel did not end requests that were cancelled"
            );
            self.reap();
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
            Err(error) => panic!("io_uring failed on core {}: {error}", core.borrow().net.core),
        }
    }
    slices.stop();
    core.borrow_mut().settle();
}
