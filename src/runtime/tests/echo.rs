//! Bytes come back as they were sent, however large, however split.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use super::support::{Running, Stage, each_engine};
use crate::runtime::face::{Chunk, Closed, ConnId, Handler, NetIo, Socket, Turn};

/// Bytes owed to one connection before it may send no more.
const OWED_BYTES: usize = 1 << 20;

struct Echo {
    core: usize,
    stage: Stage,
    owed: HashMap<ConnId, usize>,
    /// Replies leave as references to values instead of buffers.
    shared: bool,
    paused: usize,
}

impl Echo {
    fn new(core: usize, stage: Stage, shared: bool) -> Echo {
        Echo { core, stage, owed: HashMap::new(), shared, paused: 0 }
    }
}

impl Handler for Echo {
    fn accepted(&mut self, io: &mut dyn NetIo, socket: Socket) {
        assert!(socket.peer.is_some() && socket.local.is_some());
        let id = io.adopt(socket).unwrap();
        self.owed.insert(id, 0);
    }

    fn received(&mut self, io: &mut dyn NetIo, conn: ConnId, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        if self.shared {
            for part in bytes.chunks(1000) {
                io.send(conn, Chunk::Shared { value: Arc::new(part.to_vec()), start: 0, end: part.len() });
            }
        } else {
            let mut buffer = io.buffer();
            assert!(buffer.is_empty());
            buffer.extend_from_slice(bytes);
            io.send(conn, Chunk::Bytes(buffer));
        }
        let owed = self.owed.get_mut(&conn).unwrap();
        *owed += bytes.len();
        if *owed > OWED_BYTES {
            io.pause_receive(conn);
            self.paused += 1;
        }
    }

    fn sent(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        *self.owed.get_mut(&conn).unwrap() = 0;
        io.resume_receive(conn);
    }

    fn closed(&mut self, _io: &mut dyn NetIo, conn: ConnId, _why: Closed) {
        self.owed.remove(&conn).unwrap();
    }

    fn turn(&mut self, io: &mut dyn NetIo) -> Turn {
        if let Some(listener) = self.stage.take_listener(self.core) {
            io.listen(listener).unwrap();
        }
        Turn { stop: self.stage.stopped(), ..Turn::default() }
    }

    fn has_mail(&mut self) -> bool {
        false
    }

    fn background(&mut self, _io: &mut dyn NetIo, _budget: Duration) -> bool {
        false
    }
}

/// Bytes that repeat with a period no buffer size shares.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

#[test]
fn every_connection_gets_its_own_bytes_back() {
    each_engine(|choice| {
        let server = Running::start(choice, 2, |core, stage| Echo::new(core, stage, false));
        let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
        for round in 0..20 {
            for (number, client) in clients.iter_mut().enumerate() {
                client.write_all(format!("{round}:{number}.").as_bytes()).unwrap();
            }
            for (number, client) in clients.iter_mut().enumerate() {
                let expected = format!("{round}:{number}.");
                let mut reply = vec![0; expected.len()];
                client.read_exact(&mut reply).unwrap();
                assert_eq!(reply, expected.as_bytes());
            }
        }
    });
}

fn large_echo(shared: bool) {
    each_engine(|choice| {
        let server = Running::start(choice, 1, move |core, stage| Echo::new(core, stage, shared));
        let sent = pattern(64 << 20);
        let mut client = server.connect();
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| writer.write_all(&sent).unwrap());
            let mut reply = vec![0; sent.len()];
            client.read_exact(&mut reply).unwrap();
            assert!(reply == sent, "64 MiB came back changed");
        });
    });
}

#[test]
fn a_large_message_comes_back_whole_under_back_pressure() {
    large_echo(false);
}

#[test]
fn a_large_message_comes_back_whole_as_shared_values() {
    large_echo(true);
}
