//! PUBLISH to one channel with 1, 100 and 1,000 subscribers: server CPU per delivered message.
//!
//! Publishers in a closed loop, one and fifty; every answer must be the number of subscribers. The subscribers are drained by a thread
//! beside the load, and what they got is counted: a server that answers before it delivers gains nothing, for the run
//! ends only when all of it has come.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::Bench;
use crate::cpu;
use crate::load::{self, Extent, Load, Pace};
use crate::options::Options;
use crate::report::{self, Recorder};
use crate::server::Running;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::wire::{self, Client};

const SUBSCRIBERS: [usize; 3] = [1, 100, 1000];
/// Publishers, and how deep their pipelines are.
const LOADS: [(usize, usize); 3] = [(1, 1), (50, 1), (50, 16)];
const CHANNEL: &str = "news";
const TEXT: [u8; 64] = [b'x'; 64];
/// Deliveries that a second of the counted time is assumed to give.
const DELIVERIES_PER_SECOND: f64 = 400_000.0;
const PUBLISHED_MIN: u64 = 200;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
const NAP: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let mut lineup = bench.on_one_core()?;
    let Bench { options, recorder } = bench;
    for subscribers in SUBSCRIBERS {
        for load in LOADS {
            let (publishers, pipeline) = load;
            let label =
                format!("PUBLISH to {subscribers} subscribers, {publishers} publishers, P={pipeline}");
            eprintln!("   {label}");
            lineup.rounds(options.rounds, recorder, |running, round, recorder| {
                measure(&label, subscribers, load, running, round, options, recorder)
            });
        }
    }
    Ok(())
}

fn measure(
    label: &str,
    subscribers: usize,
    (publishers, pipeline): (usize, usize),
    running: &Running,
    round: usize,
    options: &Options,
    recorder: &mut Recorder,
) -> io::Result<()> {
    let wanted = DELIVERIES_PER_SECOND * options.counted.as_secs_f64() / subscribers as f64;
    let published = (wanted as u64).max(PUBLISHED_MIN);
    let replies = vec![Shape::Integer(subscribers as i64, subscribers as i64)];
    let tapes = [Tape::of(published, true, replies, |out, _, _| {
        wire::encode(out, &[b"PUBLISH", CHANNEL.as_bytes(), &TEXT]);
    })];
    let sockets = subscribe(running.port, subscribers)?;
    let mut message = Vec::new();
    wire::encode(&mut message, &[b"message", CHANNEL.as_bytes(), &TEXT]);
    let expected = published * subscribers as u64 * message.len() as u64;
    let (drained, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let drain = scope.spawn(|| drain(sockets, options.load_cpu, &drained, &stop));
        let before = cpu::of_process(running.pid())?;
        let outcome = load::run(&Load {
            port: running.port,
            connections: publishers,
            pipeline,
            cpus: &[options.load_cpu],
            tapes: &tapes,
            chooser: None,
            pace: Pace::Closed,
            extent: Extent::Requests(published),
            server_pid: running.pid(),
        });
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while outcome.is_ok() && drained.load(Ordering::Relaxed) < expected && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let used = cpu::of_process(running.pid())?.since(before);
        stop.store(true, Ordering::Relaxed);
        drain.join().map_err(|_| io::Error::other("the draining thread panicked"))??;
        let outcome = outcome?;
        outcome.errors.check()?;
        let got = drained.load(Ordering::Relaxed);
        if got != expected {
            return Err(io::Error::other(format!("{got} bytes were delivered, not {expected}")));
        }
        let deliveries = (published * subscribers as u64) as f64;
        let mut record =
            |metric, value| recorder.record("publish", label, &running.name, round, metric, value);
        record(report::CPU_PER_DELIVERY, used.total_ns as f64 / 1e3 / deliveries)?;
        record(report::THROUGHPUT, deliveries / outcome.seconds)?;
        record(report::OTHERS, outcome.others_cpu_share)
    })
}

/// Connections that have subscribed, and have read that they have.
fn subscribe(port: u16, count: usize) -> io::Result<Vec<TcpStream>> {
    (0..count)
        .map(|_| {
            let mut client = Client::connect(port)?;
            client.must(&["SUBSCRIBE", CHANNEL])?;
            let stream = client.into_stream();
            stream.set_nonblocking(true)?;
            Ok(stream)
        })
        .collect()
}

/// Reads and counts whatever comes.
fn drain(mut sockets: Vec<TcpStream>, cpu: usize, drained: &AtomicU64, stop: &AtomicBool) -> io::Result<()> {
    cpu::pin_this_thread(&[cpu])?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, socket) in sockets.iter().enumerate() {
        epoll::add(&epoll, socket, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
    }
    let mut buffer = vec![0; 64 * 1024];
    let none = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
    let mut events = [none; 256];
    while !stop.load(Ordering::Relaxed) {
        let count = match epoll::wait(&epoll, &mut events, Some(&NAP)) {
            Err(rustix::io::Errno::INTR) => 0,
            other => other?,
        };
        for event in &events[..count] {
            let index = event.data.u64() as usize;
            match sockets[index].read(&mut buffer) {
                Ok(0) => return Err(io::Error::other("the server closed a subscriber")),
                Ok(bytes) => {
                    drained.fetch_add(bytes as u64, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
