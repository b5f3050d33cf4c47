//! Running out of descriptors: the core neither spins nor stops accepting for good.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::support::{PATIENCE, Running, Stage, each_engine};
use crate::runtime::face::{Chunk, Closed, ConnId, Handler, NetIo, Socket, Turn};

struct Counting {
    core: usize,
    stage: Stage,
    turns: Arc<AtomicU64>,
}

impl Handler for Counting {
    fn accepted(&mut self, io: &mut dyn NetIo, socket: Socket) {
        io.adopt(socket).unwrap();
    }

    fn received(&mut self, io: &mut dyn NetIo, conn: ConnId, bytes: &[u8]) {
        io.send(conn, Chunk::Bytes(bytes.to_vec()));
    }

    fn sent(&mut self, _io: &mut dyn NetIo, _conn: ConnId) {}
    fn closed(&mut self, _io: &mut dyn NetIo, _conn: ConnId, _why: Closed) {}

    fn turn(&mut self, io: &mut dyn NetIo) -> Turn {
        self.turns.fetch_add(1, Ordering::SeqCst);
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

/// The limit is the process's, so this part runs in a process of its own.
#[test]
#[ignore = "started by accepting_survives_a_lack_of_descriptors"]
fn starve() {
    let limit = libc::rlimit { rlim_cur: 200, rlim_max: 200 };
    // SAFETY: the limit is a live struct.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    each_engine(|choice| {
        let turns = Arc::new(AtomicU64::new(0));
        let inner = turns.clone();
        let server =
            Running::start(choice, 1, move |core, stage| Counting { core, stage, turns: inner.clone() });
        let echo = |client: &mut TcpStream| {
            client.write_all(b"x").unwrap();
            client.read_exact(&mut [0]).unwrap();
        };
        echo(&mut server.connect());
        let mut hoard = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hoard.push(file);
        }
        hoard.pop();
        // Takes the last descriptor, so that the core has none to accept it with.
        let mut client = server.connect();
        let before = turns.load(Ordering::SeqCst);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(350) {
            std::thread::yield_now();
        }
        let taken = turns.load(Ordering::SeqCst) - before;
        assert!(taken < 20, "{taken} turns while nothing could be accepted");
        drop(hoard);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        echo(&mut client);
    });
}

#[test]
fn accepting_survives_a_lack_of_descriptors() {
    let name = "runtime::tests::descriptors::starve";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&child.stderr)
    );
}
