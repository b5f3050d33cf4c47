//! The load generator: pipelined, epoll driven, one thread per given CPU.
//!
//! Closed loop: a connection sends a batch of P requests and the next one when all P replies have
//! come, as redis-benchmark does, so that offered load follows the server. Open loop: requests are
//! due at times drawn in advance (Poisson) whatever the server does, and latency counts from the time
//! a request was due, so a slow server cannot hide its queue (no coordinated omission); only there
//! is a comparison of p99 at equal load meaningful.
//!
//! Connections are opened, and every thread is running, before anything is counted. Counting starts
//! and ends on the clock; the server's CPU time is read at the same two instants. Or a given number of
//! requests is sent, the tape played in turn, for what costs milliseconds or uses up what it finds:
//! then everything counts from the first request to the last reply.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};

use crate::cpu::{self, CpuTime};
use crate::tape::Tape;
use crate::wire::{self, Client, Errors};

const WARMING: u8 = 0;
const COUNTING: u8 = 1;
const STOPPED: u8 = 2;

const INPUT_BYTES: usize = 64 * 1024;
/// Nothing that is counted in requests takes longer on a server worth comparing.
const REQUESTS_TIMEOUT: Duration = Duration::from_secs(180);
/// An open loop whose queue grows past this is offering more than the server can do.
const OUTSTANDING_MAX: usize = 2_000_000;
/// How long an idle thread sleeps before it looks at the phase again.
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
const NO_NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[derive(Clone, Copy, Debug)]
pub enum Pace {
    Closed,
    Open { per_second: f64 },
}

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    Clock {
        warm_up: Duration,
        counted: Duration,
    },
    /// Closed loop, one thread.
    Requests(u64),
}

/// Decides on the connection itself which tape it plays (used to tell local keys from remote ones).
pub type Chooser<'a> = &'a (dyn Fn(&mut Client) -> io::Result<usize> + Sync);

pub struct Load<'a> {
    pub port: u16,
    pub connections: usize,
    pub pipeline: usize,
    /// One thread for each entry, bound to that CPU.
    pub cpus: &'a [usize],
    pub tapes: &'a [Tape],
    pub chooser: Option<Chooser<'a>>,
    pub pace: Pace,
    pub extent: Extent,
    /// Whose CPU time is read.
    pub server_pid: u32,
}

pub struct Outcome {
    pub ops: u64,
    pub seconds: f64,
    pub server: CpuTime,
    /// CPU time of the load generator itself.
    pub own: CpuTime,
    pub latency_ns: Histogram<u64>,
    /// CPU time others on the machine used meanwhile, stolen time included, as a share of one CPU.
    pub others_cpu_share: f64,
    pub errors: Errors,
}

impl Outcome {
    pub fn ops_per_second(&self) -> f64 {
        self.ops as f64 / self.seconds
    }

    pub fn cpu_us_per_op(&self) -> f64 {
        self.server.total_ns as f64 / 1e3 / self.ops.max(1) as f64
    }

    pub fn server_busy_share(&self) -> f64 {
        self.server.total_ns as f64 / 1e9 / self.seconds
    }

    pub fn load_us_per_op(&self) -> f64 {
        self.own.total_ns as f64 / 1e3 / self.ops.max(1) as f64
    }

    pub fn system_us_per_op(&self) -> f64 {
        let ticks = (self.server.user_ns + self.server.system_ns).max(1);
        self.cpu_us_per_op() * self.server.system_ns as f64 / ticks as f64
    }

    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latency_ns.value_at_quantile(quantile) as f64 / 1e3
    }
}

pub fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(100, 120_000_000_000, 3).expect("fixed bounds are legal")
}

/// Runs one load to its end. It takes the warm-up and the counted time and little more.
pub fn run(load: &Load<'_>) -> io::Result<Outcome> {
    let threads = load.cpus.len();
    if matches!(load.extent, Extent::Requests(_)) && threads != 1 {
        return Err(io::Error::other("a number of requests is one thread's"));
    }
    let phase = AtomicU8::new(WARMING);
    let counters: Vec<Arc<AtomicU64>> = (0..threads).map(|_| Arc::default()).collect();
    let (opened, go) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|index| {
                let (phase, opened, go, ops) = (&phase, &opened, &go, Arc::clone(&counters[index]));
                scope.spawn(move || {
                    let player = Player::open(load, index, ops);
                    opened.wait();
                    go.wait();
                    player?.play(phase)
                })
            })
            .collect();
        opened.wait();
        let read = || Reading::take(load.server_pid, &counters);
        let (before, mut after) = match load.extent {
            Extent::Clock { warm_up, counted } => {
                go.wait();
                thread::sleep(warm_up);
                phase.store(COUNTING, Ordering::Relaxed);
                let before = read();
                thread::sleep(counted);
                let after = read();
                phase.store(STOPPED, Ordering::Relaxed);
                (before, Some(after))
            }
            Extent::Requests(_) => {
                phase.store(COUNTING, Ordering::Relaxed);
                let before = read();
                go.wait();
                (before, None)
            }
        };

        let mut latency_ns = latencies();
        let mut errors = Errors::default();
        for worker in workers {
            let (histogram, seen, ended) =
                worker.join().map_err(|_| io::Error::other("a load thread panicked"))??;
            latency_ns.add(histogram).map_err(io::Error::other)?;
            errors.merge(seen);
            after = after.or(ended.map(Ok));
        }
        let after = after.unwrap_or_else(|| Err(io::Error::other("no connection, no reading")));
        after?.minus(&before?, latency_ns, errors)
    })
}

struct Reading {
    at: Instant,
    ops: u64,
    server: CpuTime,
    own: CpuTime,
    machine: cpu::MachineTime,
}

impl Reading {
    fn take(server_pid: u32, counters: &[Arc<AtomicU64>]) -> io::Result<Reading> {
        Ok(Reading {
            at: Instant::now(),
            ops: counters.iter().map(|ops| ops.load(Ordering::Relaxed)).sum(),
            server: cpu::of_process(server_pid)?,
            own: cpu::of_process(std::process::id())?,
            machine: cpu::of_machine(),
        })
    }

    fn minus(&self, before: &Reading, latency_ns: Histogram<u64>, errors: Errors) -> io::Result<Outcome> {
        let ops = self.ops - before.ops;
        if ops == 0 {
            errors.check()?;
            return Err(io::Error::other("no reply in the counted time"));
        }
        let wall_ns = (self.at - before.at).as_nanos() as f64;
        let server = self.server.since(before.server);
        let own = self.own.since(before.own);
        let ours_ns = server.total_ns + own.total_ns;
        let busy_ns =
            self.machine.busy_ns + self.machine.steal_ns - before.machine.busy_ns - before.machine.steal_ns;
        Ok(Outcome {
            ops,
            seconds: wall_ns / 1e9,
            server,
            own,
            latency_ns,
            others_cpu_share: (busy_ns as f64 - ours_ns as f64).max(0.0) / wall_ns,
            errors,
        })
    }
}

/// Requests on their way that were sent together.
struct Group {
    due: Instant,
    /// Where on the tape the oldest unanswered one stands.
    next: usize,
    missing: usize,
}

struct Connection {
    stream: TcpStream,
    tape: usize,
    awaited: VecDeque<Group>,
    unsent: Vec<u8>,
    input: Vec<u8>,
    filled: usize,
}

/// One thread's share of the connections.
struct Player<'a> {
    load: &'a Load<'a>,
    epoll: std::os::fd::OwnedFd,
    connections: Vec<Connection>,
    rng: Rng,
    ops: Arc<AtomicU64>,
    ops_done: u64,
    latency_ns: Histogram<u64>,
    errors: Errors,
    outstanding: usize,
    /// Where the tape goes on when it is played in turn, and how many requests are left to send.
    cursor: usize,
    left: u64,
}

impl<'a> Player<'a> {
    fn open(load: &'a Load<'a>, index: usize, ops: Arc<AtomicU64>) -> io::Result<Player<'a>> {
        cpu::pin_this_thread(&load.cpus[index..=index])?;
        let threads = load.cpus.len();
        let share = load.connections / threads + usize::from(index < load.connections % threads);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(share);
        for number in 0..share {
            let mut client = Client::connect(load.port)?;
            let tape = load.chooser.map_or(Ok(0), |choose| choose(&mut client))?;
            let stream = client.into_stream();
            stream.set_nonblocking(true)?;
            let token = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, token, epoll::EventFlags::IN)?;
            connections.push(Connection {
                stream,
                tape,
                awaited: VecDeque::new(),
                unsent: Vec::new(),
                input: vec![0; INPUT_BYTES],
                filled: 0,
            });
        }
        Ok(Player {
            load,
            epoll,
            connections,
            rng: Rng::with_seed(index as u64 + 1),
            ops,
            ops_done: 0,
            latency_ns: latencies(),
            errors: Errors::default(),
            outstanding: 0,
            cursor: 0,
            left: if let Extent::Requests(count) = load.extent { count } else { 0 },
        })
    }

    /// Returns the reading at the end when the player decided where that was.
    fn play(mut self, phase: &AtomicU8) -> io::Result<(Histogram<u64>, Errors, Option<Reading>)> {
        let mut ended = None;
        if !self.connections.is_empty() {
            match (self.load.extent, self.load.pace) {
                (Extent::Requests(_), _) => ended = Some(self.play_in_turn()?),
                (Extent::Clock { .. }, Pace::Closed) => self.play_closed(phase)?,
                (Extent::Clock { .. }, Pace::Open { per_second }) => {
                    self.play_open(phase, per_second / self.load.cpus.len() as f64)?;
                }
            }
        }
        Ok((self.latency_ns, self.errors, ended))
    }

    fn play_in_turn(&mut self) -> io::Result<Reading> {
        let deadline = Instant::now() + REQUESTS_TIMEOUT;
        for index in 0..self.connections.len() {
            self.send_next(index)?;
        }
        while self.outstanding > 0 {
            self.turn(&NAP, COUNTING)?;
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("{} requests were left when time was up", self.left)));
            }
        }
        Reading::take(self.load.server_pid, std::slice::from_ref(&self.ops))
    }

    /// The next batch of a tape played in turn, if there is one.
    fn send_next(&mut self, index: usize) -> io::Result<()> {
        let count = self.left.min(self.load.pipeline as u64) as usize;
        if count == 0 {
            return Ok(());
        }
        if self.cursor + count > self.load.tapes[self.connections[index].tape].requests() {
            self.cursor = 0;
        }
        let first = self.cursor;
        self.cursor += count;
        self.left -= count as u64;
        self.send_from(index, first, Instant::now(), count)
    }

    fn play_closed(&mut self, phase: &AtomicU8) -> io::Result<()> {
        for index in 0..self.connections.len() {
            self.send(index, Instant::now(), self.load.pipeline)?;
        }
        loop {
            let now_phase = phase.load(Ordering::Relaxed);
            if now_phase == STOPPED {
                return Ok(());
            }
            self.turn(&NAP, now_phase)?;
        }
    }

    fn play_open(&mut self, phase: &AtomicU8, per_second: f64) -> io::Result<()> {
        let mut due = Instant::now();
        let mut turn_taker = 0;
        loop {
            let now_phase = phase.load(Ordering::Relaxed);
            let now = Instant::now();
            if now_phase == STOPPED {
                self.count_unanswered(now);
                return Ok(());
            }
            while due <= now {
                self.send(turn_taker, due, 1)?;
                turn_taker = (turn_taker + 1) % self.connections.len();
                due += self.gap(per_second);
            }
            if self.outstanding > OUTSTANDING_MAX {
                return Err(io::Error::other("the offered load cannot be served"));
            }
            // Spinning, not sleeping: a timer's slack would be measured as the server's latency.
            self.turn(&NO_NAP, now_phase)?;
        }
    }

    /// The time between two arrivals of a Poisson process.
    fn gap(&mut self, per_second: f64) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.rng.f64()).ln() / per_second)
    }

    /// Requests nobody answered waited at least until now; leaving them out would flatter a server
    /// that stalls at the end.
    fn count_unanswered(&mut self, now: Instant) {
        for connection in &self.connections {
            for group in &connection.awaited {
                let waited = now.saturating_duration_since(group.due).as_nanos() as u64;
                self.latency_ns.saturating_record_n(waited, group.missing as u64);
            }
        }
    }

    fn turn(&mut self, nap: &Timespec, now_phase: u8) -> io::Result<()> {
        let mut events =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 256];
        let count = match epoll::wait(&self.epoll, &mut events, Some(nap)) {
            Err(rustix::io::Errno::INTR) => 0,
            other => other?,
        };
        for event in &events[..count] {
            // Copied out, because the kernel's event is packed.
            let (index, flags) = (event.data.u64() as usize, event.flags);
            if flags.contains(epoll::EventFlags::OUT) {
                self.flush(index)?;
            }
            if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                self.receive(index, now_phase)?;
            }
        }
        self.ops.store(self.ops_done, Ordering::Relaxed);
        Ok(())
    }

    fn send(&mut self, index: usize, due: Instant, count: usize) -> io::Result<()> {
        let tape = &self.load.tapes[self.connections[index].tape];
        let first = tape.anywhere(count, &mut self.rng);
        self.send_from(index, first, due, count)
    }

    fn send_from(&mut self, index: usize, first: usize, due: Instant, count: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let batch = self.load.tapes[connection.tape].slice(first, count);
        connection.awaited.push_back(Group { due, next: first, missing: count });
        self.outstanding += count;
        if !connection.unsent.is_empty() {
            connection.unsent.extend_from_slice(batch);
            return Ok(());
        }
        let sent = write_some(&mut connection.stream, batch)?;
        if sent < batch.len() {
            connection.unsent.extend_from_slice(&batch[sent..]);
            self.want(index, epoll::EventFlags::IN | epoll::EventFlags::OUT)?;
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let sent = write_some(&mut connection.stream, &connection.unsent)?;
        connection.unsent.drain(..sent);
        if connection.unsent.is_empty() {
            self.want(index, epoll::EventFlags::IN)?;
        }
        Ok(())
    }

    fn want(&self, index: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let token = epoll::EventData::new_u64(index as u64);
        Ok(epoll::modify(&self.epoll, &self.connections[index].stream, token, flags)?)
    }

    fn receive(&mut self, index: usize, now_phase: u8) -> io::Result<()> {
        let connection = &mut self.connections[index];
        if connection.filled == connection.input.len() {
            connection.input.resize(connection.filled * 2, 0);
        }
        let room = &mut connection.input[connection.filled..];
        match connection.stream.read(room) {
            Ok(0) => return Err(io::Error::other("the server closed a connection")),
            Ok(count) => connection.filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        let mut start = 0;
        let mut replies = 0;
        while let Some(length) = wire::scan(&connection.input[start..connection.filled])? {
            let Some(group) = connection.awaited.front_mut() else {
                return Err(io::Error::other("a reply nobody asked for"));
            };
            let expected = self.load.tapes[connection.tape].reply(group.next);
            self.errors.note_unless(expected, &connection.input[start..start + length]);
            start += length;
            replies += 1;
            group.next += 1;
            group.missing -= 1;
            if now_phase == COUNTING {
                let waited = now.saturating_duration_since(group.due).as_nanos() as u64;
                self.latency_ns.saturating_record(waited);
            }
            if group.missing == 0 {
                connection.awaited.pop_front();
            }
        }
        connection.input.copy_within(start..connection.filled, 0);
        connection.filled -= start;
        self.ops_done += replies as u64;
        self.outstanding = self.outstanding.saturating_sub(replies);
        if connection.awaited.is_empty() && replies > 0 {
            match (self.load.extent, self.load.pace) {
                (Extent::Requests(_), _) => self.send_next(index)?,
                (Extent::Clock { .. }, Pace::Closed) => {
                    self.send(index, Instant::now(), self.load.pipeline)?;
                }
                (Extent::Clock { .. }, Pace::Open { .. }) => {}
            }
        }
        Ok(())
    }
}

/// Writes what the socket takes now.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}
