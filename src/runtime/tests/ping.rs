//! A small line protocol that exercises what echo does not: closing, half-closing, big shared values, batches
//! between cores, handing sockets over, listeners that come and go, background work.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::support::{PATIENCE, Running, Stage, each_engine};
use crate::runtime::face::{Chunk, Closed, ConnId, Handler, Listener, ListenerKind, NetIo, Socket, Turn};
use crate::runtime::mesh::{self, Port, Received};
use crate::runtime::socket;

const BIG_BYTES: usize = 8 << 20;

enum Mail {
    Adopt(Socket),
    /// A connection of another core, with what it had sent.
    Move(Socket, Vec<u8>),
    Ask(ConnId),
    Answer(ConnId),
}

#[derive(Default)]
struct Counts {
    closed_by_peer: AtomicUsize,
    closed_by_error: AtomicUsize,
    adopted: [AtomicUsize; 2],
    turns: AtomicU64,
    slices: AtomicU64,
}

struct Client {
    line: Vec<u8>,
    asked: usize,
    ended: bool,
    quitting: bool,
    moving: bool,
}

struct Ping {
    stage: Stage,
    port: Port<Mail>,
    clients: HashMap<ConnId, Client>,
    big: Arc<Vec<u8>>,
    counts: Arc<Counts>,
    /// Sockets go round the cores instead of staying where they were accepted.
    spread: bool,
    next_core: usize,
    /// Listeners the test wants opened.
    wanted: Arc<Mutex<Vec<Listener>>>,
    /// How many slices of background work are left.
    work: Arc<AtomicU64>,
}

impl Ping {
    fn line(&mut self, io: &mut dyn NetIo, id: ConnId, line: &[u8]) {
        match line {
            b"PING" => io.send(id, Chunk::Bytes(b"PONG\n".to_vec())),
            b"BIG" => {
                io.send(id, Chunk::Shared { value: self.big.clone(), start: 0, end: self.big.len() });
            }
            b"ASK" => {
                // The other core answers.
                let to = (self.port.me() + 1) % self.port.cores();
                self.clients.get_mut(&id).unwrap().asked += 1;
                self.post(io, to, Mail::Ask(id));
            }
            b"QUIT" => {
                io.send(id, Chunk::Bytes(b"BYE\n".to_vec()));
                io.pause_receive(id);
                self.clients.get_mut(&id).unwrap().quitting = true;
            }
            b"MOVE" => {
                io.send(id, Chunk::Bytes(b"MOVED\n".to_vec()));
                // So that it is told at once when that has left.
                io.pause_receive(id);
                self.clients.get_mut(&id).unwrap().moving = true;
            }
            b"DROP" => {
                io.close(id);
                // A void id is ignored by every call.
                io.send(id, Chunk::Bytes(b"never".to_vec()));
                io.pause_receive(id);
                io.resume_receive(id);
                io.close(id);
                self.clients.remove(&id);
            }
            b"UNLISTEN" => {
                io.unlisten(ListenerKind::Tcp);
                io.send(id, Chunk::Bytes(b"OK\n".to_vec()));
            }
            b"WORK" => {
                self.work.store(50, Ordering::SeqCst);
                io.send(id, Chunk::Bytes(b"OK\n".to_vec()));
            }
            other => panic!("a test sent {other:?}"),
        }
    }

    fn post(&mut self, io: &mut dyn NetIo, to: usize, mail: Mail) {
        self.port.send(to, mail);
        self.port.publish();
        io.wake(to);
    }

    fn adopt(&mut self, io: &mut dyn NetIo, socket: Socket) -> ConnId {
        socket::set_keepalive(&socket, 300).unwrap();
        let id = io.adopt(socket).unwrap();
        self.counts.adopted[self.port.me()].fetch_add(1, Ordering::SeqCst);
        let client = Client { line: Vec::new(), asked: 0, ended: false, quitting: false, moving: false };
        assert!(self.clients.insert(id, client).is_none(), "an id was given twice");
        id
    }
}

impl Handler for Ping {
    fn accepted(&mut self, io: &mut dyn NetIo, socket: Socket) {
        let to = self.next_core % self.port.cores();
        self.next_core += 1;
        if self.spread && to != self.port.me() {
            self.post(io, to, Mail::Adopt(socket));
        } else {
            self.adopt(io, socket);
        }
    }

    fn released(&mut self, io: &mut dyn NetIo, id: ConnId, fd: OwnedFd) {
        let client = self.clients.remove(&id).expect("who is let go is there");
        let socket = Socket { fd, kind: ListenerKind::Tcp, peer: None, local: None };
        let to = (self.port.me() + 1) % self.port.cores();
        self.post(io, to, Mail::Move(socket, client.line));
    }

    fn received(&mut self, io: &mut dyn NetIo, id: ConnId, bytes: &[u8]) {
        for &byte in bytes {
            let Some(client) = self.clients.get_mut(&id) else { return };
            if byte == b'\n' && !client.moving {
                let line = std::mem::take(&mut client.line);
                self.line(io, id, &line);
            } else {
                client.line.push(byte);
            }
        }
    }

    fn sent(&mut self, io: &mut dyn NetIo, id: ConnId) {
        let client = &self.clients[&id];
        if client.moving {
            return io.release(id);
        }
        if client.quitting || client.ended && client.asked == 0 {
            io.close(id);
            self.clients.remove(&id);
        }
    }

    fn ended(&mut self, _io: &mut dyn NetIo, id: ConnId) -> bool {
        let client = self.clients.get_mut(&id).expect("an open connection");
        client.ended = true;
        client.asked > 0 || client.moving
    }

    fn closed(&mut self, io: &mut dyn NetIo, id: ConnId, why: Closed) {
        self.clients.remove(&id).expect("closed is told once, and not after close");
        io.send(id, Chunk::Bytes(b"never".to_vec()));
        match why {
            Closed::Peer => self.counts.closed_by_peer.fetch_add(1, Ordering::SeqCst),
            Closed::Error(_) => self.counts.closed_by_error.fetch_add(1, Ordering::SeqCst),
        };
    }

    fn turn(&mut self, io: &mut dyn NetIo) -> Turn {
        self.counts.turns.fetch_add(1, Ordering::SeqCst);
        if let Some(listener) = self.stage.take_listener(self.port.me()) {
            io.listen(listener).unwrap();
        }
        for listener in self.wanted.lock().unwrap().drain(..) {
            io.listen(listener).unwrap();
        }
        let mut busy = false;
        loop {
            match self.port.receive() {
                Received::Batch { body: Mail::Adopt(socket), .. } => drop(self.adopt(io, socket)),
                Received::Batch { body: Mail::Move(socket, sent), .. } => {
                    let id = self.adopt(io, socket);
                    self.received(io, id, &sent);
                }
                Received::Batch { from, body: Mail::Ask(id) } => self.post(io, from, Mail::Answer(id)),
                Received::Batch { body: Mail::Answer(id), .. } => {
                    if let Some(client) = self.clients.get_mut(&id) {
                        client.asked -= 1;
                        io.send(id, Chunk::Bytes(b"TOLD\n".to_vec()));
                    }
                }
                Received::Unpublished => {
                    busy = true;
                    break;
                }
                Received::Empty => break,
            }
        }
        let background = self.work.load(Ordering::SeqCst) > 0;
        Turn { busy, background, deadline_ns: None, stop: self.stage.stopped() }
    }

    fn has_mail(&mut self) -> bool {
        self.port.has_mail()
    }

    fn background(&mut self, _io: &mut dyn NetIo, budget: Duration) -> bool {
        let until = Instant::now() + budget;
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        self.counts.slices.fetch_add(1, Ordering::SeqCst);
        self.work.fetch_sub(1, Ordering::SeqCst) > 1
    }
}

struct Cast {
    server: Running,
    counts: Arc<Counts>,
    wanted: Arc<Mutex<Vec<Listener>>>,
    work: Arc<AtomicU64>,
}

fn start(choice: &crate::runtime::engine::Choice, cores: usize, spread: bool) -> Cast {
    let counts = Arc::new(Counts::default());
    let wanted: Arc<Mutex<Vec<Listener>>> = Arc::default();
    let work: Arc<AtomicU64> = Arc::default();
    let ports = Mutex::new(mesh::mesh(cores).into_iter().map(Some).collect::<Vec<_>>());
    let (inner_counts, inner_wanted, inner_work) = (counts.clone(), wanted.clone(), work.clone());
    let server = Running::start(choice, cores, move |core, stage| Ping {
        stage,
        port: ports.lock().unwrap()[core].take().unwrap(),
        clients: HashMap::new(),
        big: Arc::new((0..BIG_BYTES).map(|i| (i % 251) as u8).collect()),
        counts: inner_counts.clone(),
        spread,
        next_core: 0,
        wanted: inner_wanted.clone(),
        work: inner_work.clone(),
    });
    Cast { server, counts, wanted, work }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "{what} did not come about");
        std::thread::yield_now();
    }
}

fn ask(stream: &mut TcpStream, line: &str, reply: &str) {
    stream.write_all(line.as_bytes()).unwrap();
    let mut got = vec![0; reply.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, reply.as_bytes());
}

fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        // A socket closed with unread input resets.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => all,
    }
}

#[test]
fn a_last_reply_arrives_before_the_close() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        for _ in 0..50 {
            let mut client = cast.server.connect();
            client.write_all(b"PING\nQUIT\n").unwrap();
            assert_eq!(read_to_end(&mut client), b"PONG\nBYE\n");
        }
    });
}

#[test]
fn a_closed_id_is_void_and_its_index_is_reused_safely() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        let mut other = cast.server.connect();
        for _ in 0..200 {
            let mut client = cast.server.connect();
            client.write_all(b"DROP\nPING\n").unwrap();
            assert_eq!(read_to_end(&mut client), b"");
            ask(&mut other, "PING\n", "PONG\n");
        }
        assert_eq!(cast.counts.closed_by_peer.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn closing_while_a_large_send_is_stuck_frees_it() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        let mut clients = Vec::new();
        for _ in 0..10 {
            let mut client = cast.server.connect();
            // Nobody reads the reply; the second line closes in the middle of it.
            client.write_all(b"BIG\n").unwrap();
            let mut first = [0; 1];
            client.read_exact(&mut first).unwrap();
            client.write_all(b"DROP\n").unwrap();
            clients.push(client);
        }
        for mut client in clients {
            assert!(read_to_end(&mut client).len() < BIG_BYTES);
        }
        ask(&mut cast.server.connect(), "PING\n", "PONG\n");
    });
}

#[test]
fn a_client_that_vanishes_during_a_large_send_is_reported_once() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        for _ in 0..10 {
            let mut client = cast.server.connect();
            client.write_all(b"BIG\nBIG\n").unwrap();
            client.read_exact(&mut [0; 100]).unwrap();
        }
        let counts = &cast.counts;
        until("ten ends", || {
            counts.closed_by_peer.load(Ordering::SeqCst) + counts.closed_by_error.load(Ordering::SeqCst) == 10
        });
    });
}

#[test]
fn a_big_shared_value_arrives_whole_and_in_order() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        let mut client = cast.server.connect();
        client.write_all(b"PING\nBIG\nPING\nBIG\nPING\n").unwrap();
        let big: Vec<u8> = (0..BIG_BYTES).map(|i| (i % 251) as u8).collect();
        for part in [b"PONG\n".as_slice(), &big, b"PONG\n", &big, b"PONG\n"] {
            let mut got = vec![0; part.len()];
            client.read_exact(&mut got).unwrap();
            assert!(got == part);
        }
    });
}

#[test]
fn a_half_closed_client_still_gets_its_answers() {
    each_engine(|choice| {
        let cast = start(choice, 2, false);
        for _ in 0..50 {
            let mut client = cast.server.connect();
            client.write_all(b"PING\nASK\nPING\nASK\n").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut lines: Vec<String> = BufReader::new(client).lines().map(Result::unwrap).collect();
            lines.sort();
            assert_eq!(lines, ["PONG", "PONG", "TOLD", "TOLD"]);
        }
        let mut client = cast.server.connect();
        client.write_all(b"BIG\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut client).len(), BIG_BYTES);
    });
}

#[test]
fn no_wake_up_between_sleeping_cores_is_lost() {
    each_engine(|choice| {
        let cast = start(choice, 2, false);
        let mut client = cast.server.connect();
        // Each round wakes the other core and is woken by it; a lost wake-up runs into the read timeout.
        for _ in 0..5_000 {
            ask(&mut client, "ASK\n", "TOLD\n");
        }
        // Many at once, so that cores fall asleep while mail is on its way.
        let mut clients: Vec<_> = (0..20).map(|_| cast.server.connect()).collect();
        for _ in 0..1_000 {
            for client in &mut clients {
                client.write_all(b"ASK\n").unwrap();
            }
            for client in &mut clients {
                client.read_exact(&mut [0; 5]).unwrap();
            }
        }
    });
}

#[test]
fn accepted_sockets_can_be_handed_to_another_core() {
    each_engine(|choice| {
        let cast = start(choice, 2, true);
        let mut clients: Vec<_> = (0..40).map(|_| cast.server.connect()).collect();
        for client in &mut clients {
            ask(client, "PING\n", "PONG\n");
        }
        for adopted in &cast.counts.adopted {
            assert!(adopted.load(Ordering::SeqCst) >= 10);
        }
    });
}

#[test]
fn listeners_come_and_go() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sock");
        let mut client = cast.server.connect();
        for _ in 0..5 {
            let second = socket::listen_tcp("127.0.0.1:0".parse().unwrap(), 16, true).unwrap();
            let addr = socket::local_addr(&second).unwrap();
            cast.wanted.lock().unwrap().push(second);
            cast.wanted.lock().unwrap().push(socket::listen_unix(&path, Some(0o700)).unwrap());
            cast.server.stage.waker.wake_all();
            ask(&mut TcpStream::connect(addr).unwrap(), "PING\n", "PONG\n");
            let mut local = std::os::unix::net::UnixStream::connect(&path).unwrap();
            local.write_all(b"PING\n").unwrap();
            local.read_exact(&mut [0; 5]).unwrap();
            ask(&mut client, "UNLISTEN\n", "OK\n");
            until("the listener's end", || TcpStream::connect(addr).is_err());
            assert!(TcpStream::connect(cast.server.addr).is_err());
            std::os::unix::net::UnixStream::connect(&path).expect("only TCP was closed");
        }
        ask(&mut client, "PING\n", "PONG\n");
    });
}

#[test]
fn background_work_is_done_under_load_and_when_idle() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        let mut client = cast.server.connect();
        ask(&mut client, "WORK\n", "OK\n");
        until("fifty slices in idle time", || cast.work.load(Ordering::SeqCst) == 0);
        ask(&mut client, "WORK\n", "OK\n");
        while cast.work.load(Ordering::SeqCst) > 0 {
            ask(&mut client, "PING\n", "PONG\n");
        }
        assert_eq!(cast.counts.slices.load(Ordering::SeqCst), 100);
    });
}

#[test]
fn idle_cores_take_no_turns() {
    each_engine(|choice| {
        let cast = start(choice, 1, false);
        let mut clients: Vec<_> = (0..300).map(|_| cast.server.connect()).collect();
        for client in &mut clients {
            ask(client, "PING\n", "PONG\n");
        }
        let turns = || cast.counts.turns.load(Ordering::SeqCst);
        // The core may still look once more after its last reply; then it rests.
        let mut before = turns();
        let settled = Instant::now() + Duration::from_millis(20);
        while Instant::now() < settled {
            std::thread::yield_now();
        }
        before = before.max(turns());
        let end = Instant::now() + Duration::from_millis(200);
        while Instant::now() < end {
            std::thread::yield_now();
        }
        assert!(turns() - before <= 1, "an idle core took {} turns", turns() - before);
    });
}

#[test]
fn a_connection_that_goes_to_another_core_loses_nothing() {
    each_engine(|choice| {
        let cast = start(choice, 2, false);
        let mut stream = cast.server.connect();
        for _ in 0..20 {
            stream.write_all(b"PING\nMOVE\nPING\nASK\n").unwrap();
            let mut replies = [0; 21];
            stream.read_exact(&mut replies).unwrap();
            assert_eq!(&replies, b"PONG\nMOVED\nPONG\nTOLD\n");
        }
        let moves: usize = cast.counts.adopted.iter().map(|count| count.load(Ordering::SeqCst)).sum();
        assert_eq!(moves, 21);
        // Its end is seen where it goes.
        stream.write_all(b"MOVE\nPING\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"MOVED\nPONG\n");
    });
}
