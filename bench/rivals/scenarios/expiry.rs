//! How late keys are deleted after their deadline, seen from outside, while SET/GET traffic runs.
//!
//! Two observers. Where the server publishes `expired` keyspace events, each names its key, whose
//! deadline we know: the lag of every single key. Everywhere, DBSIZE is held against the curve it
//! should follow: if keys went in the order of their deadlines, the first one still there tells how
//! late the server is. A server that deletes in random order is at least that late. What a server says
//! about its own lag in INFO is printed beside.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use hdrhistogram::Histogram;

use super::Bench;
use super::traffic;
use crate::cpu;
use crate::fill;
use crate::lineup::Lineup;
use crate::load::{self, Extent, Load, Pace};
use crate::options::Options;
use crate::report::{self, Recorder};
use crate::server::Running;
use crate::tape::{self, Op};
use crate::wire::{self, Client, Reply};

/// Mortal keys are numbered from here, so that traffic never touches one (it would expire it lazily).
const FIRST_MORTAL: u64 = 1_000_000_000;
/// Between loading and the first deadline; loading must be over by then.
const HEAD_START: Duration = Duration::from_secs(10);
/// So long after the last deadline the slowest are given up.
const TAIL_MAX: Duration = Duration::from_secs(120);
const TAIL_MAX_QUICK: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
const CONNECTIONS: usize = 20;

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let rivals = bench.options.rivals.clone();
    for round in 0..bench.options.heavy_rounds {
        for rival in &rivals {
            let Bench { options, recorder } = &mut *bench;
            eprintln!("   {}, round {}", rival.name, round + 1);
            let cpus = [options.server_cpu];
            let one = std::slice::from_ref(rival);
            let Ok(lineup) = Lineup::start(one, options.port, 1, &cpus, recorder) else {
                continue;
            };
            let running = &lineup.servers()[0];
            running.resume();
            if let Err(error) = observe(running, round, options, recorder) {
                bench.recorder.note(format!("expiry: {} left out: {error}", rival.name));
            }
        }
    }
    Ok(())
}

fn observe(running: &Running, round: usize, options: &Options, recorder: &mut Recorder) -> io::Result<()> {
    let mut client = running.client()?;
    fill::keys(&mut client, 0, options.keys, options.value_bytes, fill::DEEP)?;
    let first_ms = unix_ns() / 1_000_000 + HEAD_START.as_millis() as u64;
    let deadlines_ms = load_mortals(&mut client, first_ms, options)?;
    if unix_ns() / 1_000_000 >= first_ms {
        return Err(io::Error::other("loading took longer than the head start"));
    }
    let until_end = Duration::from_millis(first_ms - unix_ns() / 1_000_000) + options.expiry_window;
    let tail = if options.quick { TAIL_MAX_QUICK } else { TAIL_MAX };
    let done = AtomicBool::new(false);
    let tapes = [traffic::tape(Op::Mix { sets: 1, gets: 1 }, options)];
    let cpus = [options.load_cpu];
    let traffic_load = Load {
        port: running.port,
        connections: CONNECTIONS,
        pipeline: 1,
        cpus: &cpus,
        tapes: &tapes,
        chooser: None,
        pace: Pace::Closed,
        extent: Extent::Clock { warm_up: Duration::from_millis(100), counted: until_end },
        server_pid: running.pid(),
    };

    let label = format!("{} keys over {} s", options.expiry_keys, options.expiry_window.as_secs());
    let (traffic, events, curve) = thread::scope(|scope| {
        let traffic = scope.spawn(|| load::run(&traffic_load));
        let events = scope.spawn(|| watch_events(running, &deadlines_ms, &done, options));
        let curve = watch_curve(running, &deadlines_ms, until_end + tail, options);
        done.store(true, Ordering::Relaxed);
        let panicked = || io::Error::other("an observer panicked");
        Ok::<_, io::Error>((
            traffic.join().map_err(|_| panicked())??,
            events.join().map_err(|_| panicked())??,
            curve?,
        ))
    })?;

    let mut put = |cell: &str, metric, value| {
        recorder.record("expiry", &format!("{label}, {cell}"), &running.name, round, metric, value)
    };
    let ms = |ns: u64| ns as f64 / 1e6;
    let histograms = [("by DBSIZE", Some(&curve.lag_ns)), ("every key, by events", events.as_ref())];
    for (cell, lag_ns) in histograms {
        let Some(lag_ns) = lag_ns else { continue };
        put(cell, report::LAG_P50, ms(lag_ns.value_at_quantile(0.5)))?;
        put(cell, report::LAG_P99, ms(lag_ns.value_at_quantile(0.99)))?;
        put(cell, report::LAG_WORST, ms(lag_ns.max()))?;
    }
    put("by DBSIZE", report::OVERDUE, curve.overdue.value_at_quantile(0.99) as f64)?;
    put("SET:GET 1:1 meanwhile", report::MEANWHILE, traffic.ops_per_second())?;
    put("SET:GET 1:1 meanwhile", report::P99, traffic.latency_us(0.99))?;
    if curve.left > 0 {
        recorder.note(format!("expiry: {} still had {} overdue keys at the end", running.name, curve.left));
    }
    let info = running.client()?.call(&["INFO", "everything"])?.text();
    for line in info.lines().filter(|line| line.starts_with("expir") && line.contains("lag")) {
        recorder.note(format!("{}'s own figures: {line}", running.name));
    }
    Ok(())
}

/// SETs the mortal keys and returns the deadline of each.
fn load_mortals(client: &mut Client, first_ms: u64, options: &Options) -> io::Result<Vec<u64>> {
    let mut rng = Rng::with_seed(5);
    let window_ms = options.expiry_window.as_millis() as u64;
    let deadlines_ms: Vec<u64> = (0..options.expiry_keys).map(|_| first_ms + rng.u64(0..window_ms)).collect();
    fill::pipeline(client, options.expiry_keys, fill::DEEP, |number, out| {
        let at = deadlines_ms[number as usize].to_string();
        wire::encode(out, &[b"SET", &tape::key(FIRST_MORTAL + number), b"mortal", b"PXAT", at.as_bytes()]);
    })?
    .check()?;
    Ok(deadlines_ms)
}

struct Curve {
    lag_ns: Histogram<u64>,
    overdue: Histogram<u64>,
    /// Mortal keys there when we stopped looking.
    left: u64,
}

fn watch_curve(
    running: &Running,
    deadlines_ms: &[u64],
    at_most: Duration,
    options: &Options,
) -> io::Result<Curve> {
    let mut client = running.client()?;
    let mut ordered_ms = deadlines_ms.to_vec();
    ordered_ms.sort_unstable();
    let total = ordered_ms.len() as u64;
    let started = Instant::now();
    let mut curve = Curve { lag_ns: load::latencies(), overdue: load::latencies(), left: total };
    while curve.left > 0 && started.elapsed() < at_most {
        let now_ns = unix_ns();
        let present = client.integer(&["DBSIZE"])?;
        // Traffic overwrites its keys and adds none: what is above them is mortal.
        curve.left = (present as u64).saturating_sub(options.keys).min(total);
        let gone = total - curve.left;
        let due = ordered_ms.partition_point(|deadline| deadline * 1_000_000 <= now_ns) as u64;
        if due > 0 {
            let late_ns = match ordered_ms.get(gone as usize) {
                Some(next_ms) if gone < due => now_ns - next_ms * 1_000_000,
                _ => 0,
            };
            curve.lag_ns.saturating_record(late_ns);
            curve.overdue.saturating_record(due.saturating_sub(gone));
        }
        thread::sleep(POLL);
    }
    Ok(curve)
}

/// `None` when the server publishes no such events.
fn watch_events(
    running: &Running,
    deadlines_ms: &[u64],
    done: &AtomicBool,
    options: &Options,
) -> io::Result<Option<Histogram<u64>>> {
    let mut client = running.client()?;
    let asked = client.call(&["CONFIG", "SET", "notify-keyspace-events", "Ex"])?;
    if asked.is_error() || client.call(&["SUBSCRIBE", "__keyevent@0__:expired"])?.is_error() {
        return Ok(None);
    }
    cpu::pin_this_thread(&[options.load_cpu])?;
    // Beside a busy load thread an event would otherwise wait for its reader.
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), -19);
    client.set_reply_timeout(Duration::from_millis(100))?;
    let mut lag_ns = load::latencies();
    loop {
        match client.receive() {
            Ok(Reply::Array(parts)) => {
                if let Some(deadline_ms) = deadline_of(&parts, deadlines_ms) {
                    lag_ns.saturating_record(unix_ns().saturating_sub(deadline_ms * 1_000_000));
                }
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                if done.load(Ordering::Relaxed) {
                    return Ok((!lag_ns.is_empty()).then_some(lag_ns));
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// The deadline of the key an event message names.
fn deadline_of(parts: &[Reply], deadlines_ms: &[u64]) -> Option<u64> {
    let name = parts.get(2)?.text();
    let number: u64 = name.strip_prefix("key:")?.parse().ok()?;
    deadlines_ms.get(number.checked_sub(FIRST_MORTAL)? as usize).copied()
}

fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
