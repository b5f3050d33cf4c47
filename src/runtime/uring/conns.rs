//! The connections of one core on its ring: what is armed, what is in flight, what was asked for.
//!
//! A connection's life: *open* until the handler closes it, the peer ends or the socket fails; then *closing*
//! while requests of it are outstanding in the kernel; then its descriptor is closed and its index is free.
//!
//! INVARIANT: an index is reused only when no request of it is outstanding, so a completion always finds the
//! connection it was made for (its generation, carried along, is checked in debug builds).

use std::os::fd::OwnedFd;

use super::send::Message;
use crate::runtime::ending::Ending;
use crate::runtime::face::ConnId;
use crate::runtime::outbox::Outbox;

/// The largest flight that is sent quietly.
const QUIET_BYTES: usize = 16 * 1024;

/// What the kernel is doing with a connection's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flight {
    /// Nothing.
    None,
    /// A send that posts a completion only if it did not carry everything; over when its submission is.
    Quiet,
    /// A send that posts a completion when it is done.
    Awaited,
}

/// One connection.
pub struct Conn {
    pub generation: u32,
    pub open: bool,
    /// A receive is outstanding.
    pub armed: bool,
    /// Its cancellation was asked for.
    pub cancelling: bool,
    /// It goes to another core as soon as the kernel holds no request of it.
    pub leaving: bool,
    /// The handler does not want to receive.
    pub paused: bool,
    /// In the list of connections to look at when the turn ends.
    pub listed: bool,
    pub flight: Flight,
    pub ending: Ending,
    /// The cancellation of the awaited send was asked for.
    pub send_cancelled: bool,
    /// What a quiet send that fell short had to say.
    pub shortfall: Option<i32>,
    pub fd: Option<OwnedFd>,
    pub outbox: Outbox,
    /// The pieces of a send of several chunks.
    pub message: Option<Box<Message>>,
}

impl Conn {
    /// True when nobody is in a hurry to hear that the flight has left. A quiet send is confirmed when the core
    /// next wakes up for something else; who is paused, or ending, or holds much memory, is told at once.
    pub fn may_send_quietly(&self) -> bool {
        !self.paused && self.ending == Ending::No && self.outbox.flight_bytes() <= QUIET_BYTES
    }

    /// True when the kernel holds no request of this connection.
    pub fn is_settled(&self) -> bool {
        !self.armed && self.flight == Flight::None
    }
}

/// The table of connections.
#[derive(Default)]
pub struct Conns {
    slots: Vec<Conn>,
    free: Vec<u32>,
}

impl Conns {
    /// Takes a descriptor in.
    pub fn insert(&mut self, fd: OwnedFd) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Conn {
                generation: 0,
                open: false,
                armed: false,
                cancelling: false,
                leaving: false,
                paused: false,
                listed: false,
                flight: Flight::None,
                ending: Ending::No,
                send_cancelled: false,
                shortfall: None,
                fd: None,
                outbox: Outbox::default(),
                message: None,
            });
            self.slots.len() as u32 - 1
        });
        let conn = &mut self.slots[index as usize];
        debug_assert!(conn.fd.is_none() && conn.is_settled() && conn.outbox.is_empty());
        conn.generation = conn.generation.wrapping_add(1);
        conn.open = true;
        conn.cancelling = false;
        conn.leaving = false;
        conn.paused = false;
        conn.ending = Ending::No;
        conn.shortfall = None;
        conn.fd = Some(fd);
        ConnId { index, generation: conn.generation }
    }

    /// The connection of an id, unless the id is void.
    pub fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.slots.get_mut(id.index as usize).filter(|conn| conn.open && conn.generation == id.generation)
    }

    /// The connection at an index, open or closing.
    pub fn at(&mut self, index: u32) -> &mut Conn {
        &mut self.slots[index as usize]
    }

    /// The id of the connection at an index.
    pub fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.slots[index as usize].generation }
    }

    /// Frees the index of a settled, closed connection and closes its descriptor.
    pub fn remove(&mut self, index: u32) {
        let conn = &mut self.slots[index as usize];
        assert!(!conn.open && conn.is_settled(), "a connection was freed while the kernel used it");
        conn.fd = None;
        conn.message = None;
        self.free.push(index);
    }

    /// Frees the index of a settled, open connection whose socket goes on elsewhere.
    pub fn release(&mut self, index: u32) -> OwnedFd {
        let conn = &mut self.slots[index as usize];
        assert!(conn.open && conn.is_settled(), "a connection left while the kernel used it");
        conn.open = false;
        conn.message = None;
        self.free.push(index);
        conn.fd.take().expect("open connections have a descriptor")
    }

    /// Every index that has a descriptor.
    pub fn live(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.slots.len() as u32).filter(|index| self.slots[*index as usize].fd.is_some())
    }
}
