//! The prober: one connection that asks a small question a thousand times a second, come what may.
//!
//! Open loop: probe *i* is due at `start + i` milliseconds and is sent then even if earlier ones are
//! unanswered, so a stall of 50 ms is seen by 50 probes and not by one (no coordinated omission).
//!
//! Two figures come out. *Seen* counts from the time a probe was due: all a client would notice, this
//! machine's other work included. *Server* counts from the time it was really sent and takes off the
//! time during which the server's thread, or the prober itself, was ready and waiting for a CPU that
//! somebody else had (`schedstat`): what the server is to blame for.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::cpu;
use crate::load::latencies;
use crate::wire::{self, Client};

const PERIOD: Duration = Duration::from_millis(1);
/// Shorter waits are nobody's stall; their share of waiting for a CPU is not looked up.
const WORTH_EXPLAINING: Duration = Duration::from_micros(300);
/// So many questions, one after the other, show which thread of the server answers this connection.
const ASKED_BEFORE: usize = 300;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Prober {
    stop: Arc<AtomicBool>,
    worker: JoinHandle<io::Result<Stall>>,
}

/// What the prober saw.
pub struct Stall {
    pub seen_ns: Histogram<u64>,
    pub server_ns: Histogram<u64>,
}

impl Stall {
    pub fn probes(&self) -> u64 {
        self.seen_ns.len()
    }
}

/// Starts probing with `request` on a connection of its own, on `cpu`.
pub fn start(port: u16, server_pid: u32, cpu: usize, request: &[&str]) -> io::Result<Prober> {
    let mut bytes = Vec::new();
    let args: Vec<&[u8]> = request.iter().map(|arg| arg.as_bytes()).collect();
    wire::encode(&mut bytes, &args);
    let mut client = Client::connect(port)?;
    let server_tid = cpu::thread_that_works(server_pid, || {
        (0..ASKED_BEFORE).try_for_each(|_| client.must(request).map(drop))
    })?;
    let stream = client.into_stream();
    stream.set_nonblocking(true)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let worker = thread::spawn(move || {
        cpu::pin_this_thread(&[cpu])?;
        // Both are courtesies of the kernel; without them the *seen* figures are a little larger.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), -19);
        Probing::new(stream, bytes, server_pid, server_tid).run(&stopped)
    });
    Ok(Prober { stop, worker })
}

impl Prober {
    /// Stops sending, waits for what is outstanding, and reports.
    pub fn finish(self) -> io::Result<Stall> {
        self.stop.store(true, Ordering::Relaxed);
        self.worker.join().map_err(|_| io::Error::other("the prober panicked"))?
    }
}

struct Sent {
    due: Instant,
    at: Instant,
    /// What the server's thread and the prober had waited for a CPU when it was sent.
    waited_ns: u64,
}

struct Probing {
    stream: TcpStream,
    request: Vec<u8>,
    server_pid: u32,
    server_tid: u32,
    own_tid: u32,
    awaited: VecDeque<Sent>,
    input: Vec<u8>,
    stall: Stall,
}

impl Probing {
    fn new(stream: TcpStream, request: Vec<u8>, server_pid: u32, server_tid: u32) -> Probing {
        let own_tid = rustix::thread::gettid().as_raw_pid() as u32;
        Probing {
            stream,
            request,
            server_pid,
            server_tid,
            own_tid,
            awaited: VecDeque::new(),
            input: Vec::new(),
            stall: Stall { seen_ns: latencies(), server_ns: latencies() },
        }
    }

    fn run(mut self, stopped: &AtomicBool) -> io::Result<Stall> {
        let mut due = Instant::now();
        let mut stopped_at = None;
        loop {
            let now = Instant::now();
            if stopped_at.is_none() && stopped.load(Ordering::Relaxed) {
                stopped_at = Some(now);
            }
            match stopped_at {
                Some(_) if self.awaited.is_empty() => return Ok(self.stall),
                Some(at) if now - at > DRAIN_TIMEOUT => {
                    return Err(io::Error::other("probes stay unanswered"));
                }
                Some(_) => {}
                None => {
                    while due <= Instant::now() {
                        self.send(due)?;
                        due += PERIOD;
                    }
                }
            }
            self.wait_until(if stopped_at.is_some() { now + PERIOD } else { due })?;
            self.receive()?;
        }
    }

    fn send(&mut self, due: Instant) -> io::Result<()> {
        let waited_ns = self.waited_ns();
        // A probe is a few bytes; a socket that does not take them is itself a stall to report.
        self.stream.write_all(&self.request)?;
        self.awaited.push_back(Sent { due, at: Instant::now(), waited_ns });
        Ok(())
    }

    fn wait_until(&self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.min(PERIOD).as_nanos() as i64 };
        match poll(&mut [PollFd::new(&self.stream, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Err(io::Error::other("the server closed the prober's connection")),
            Ok(count) => self.input.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
        let now = Instant::now();
        while let Some(length) = wire::scan(&self.input)? {
            self.input.drain(..length);
            let sent =
                self.awaited.pop_front().ok_or_else(|| io::Error::other("a reply nobody asked for"))?;
            self.book(&sent, now);
        }
        Ok(())
    }

    fn book(&mut self, sent: &Sent, now: Instant) {
        let seen = now - sent.due;
        let mut server = now - sent.at;
        if server > WORTH_EXPLAINING {
            let others = self.waited_ns().saturating_sub(sent.waited_ns);
            server = server.saturating_sub(Duration::from_nanos(others));
        }
        self.stall.seen_ns.saturating_record(seen.as_nanos() as u64);
        self.stall.server_ns.saturating_record(server.as_nanos() as u64);
    }

    fn waited_ns(&self) -> u64 {
        [(self.server_pid, self.server_tid), (std::process::id(), self.own_tid)]
            .into_iter()
            .filter_map(|(pid, tid)| cpu::schedstat(pid, tid))
            .map(|stat| stat.wait_ns)
            .sum()
    }
}
