//! The simulated engine: sockets that are byte queues, one per core, driven by the scheduler.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::Duration;

use coreshard::runtime::face::{Chunk, ConnId, Listener, ListenerKind, NetIo, Socket};

/// One connection as its client sees it.
#[derive(Default)]
pub struct Wire {
    /// Bytes the client was sent and has not read.
    pub received: Vec<u8>,
    /// The core has handed bytes over and was not yet told that they left.
    pub unconfirmed: bool,
    pub receive_paused: bool,
    pub closed: bool,
}

/// One core's sockets.
#[derive(Default)]
pub struct SimIo {
    pub wires: BTreeMap<u32, (ConnId, Wire)>,
    next_index: u32,
    pub now_ns: u64,
}

impl SimIo {
    /// A socket nobody reads or writes: the simulation moves the bytes.
    pub fn socket() -> Socket {
        let fd = File::open("/dev/null").expect("/dev/null opens").into();
        Socket { fd, kind: ListenerKind::Tcp, peer: None, local: None }
    }

    pub fn wire(&mut self, conn: ConnId) -> Option<&mut Wire> {
        self.wires.get_mut(&conn.index).map(|(_, wire)| wire)
    }
}

impl NetIo for SimIo {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }
    fn buffer(&mut self) -> Vec<u8> {
        Vec::with_capacity(64)
    }
    fn send(&mut self, conn: ConnId, chunk: Chunk) {
        if let Some(wire) = self.wire(conn) {
            wire.received.extend_from_slice(chunk.bytes());
            wire.unconfirmed = true;
        }
    }
    fn adopt(&mut self, _socket: Socket) -> io::Result<ConnId> {
        let conn = ConnId { index: self.next_index, generation: 1 };
        self.next_index += 1;
        self.wires.insert(conn.index, (conn, Wire::default()));
        Ok(conn)
    }
    fn pause_receive(&mut self, conn: ConnId) {
        self.wire(conn).expect("open").receive_paused = true;
    }
    fn resume_receive(&mut self, conn: ConnId) {
        self.wire(conn).expect("open").receive_paused = false;
    }
    fn close(&mut self, conn: ConnId) {
        if let Some(wire) = self.wire(conn) {
            wire.closed = true;
        }
    }
    fn release(&mut self, _conn: ConnId) {
        unreachable!("nobody runs scripts here");
    }
    fn listen(&mut self, _listener: Listener) -> io::Result<()> {
        Ok(())
    }
    fn unlisten(&mut self, _kind: ListenerKind) {}
    fn wake(&mut self, _core: usize) {}
}

/// A slice of background work is never refused.
pub const SLICE: Duration = Duration::from_micros(100);
