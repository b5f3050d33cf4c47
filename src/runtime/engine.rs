//! Choosing an engine and running the cores on it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use super::face::Handler;
use super::uring::probe::Features;
use super::wake::Waker;
use super::{epoll, uring};

/// A core's stack. Lua's C functions call each other up to 200 deep, some with 8 KiB of buffer each, and its pattern
/// matching recurses once per item of a pattern. Only what is used is ever memory.
const STACK_BYTES: usize = 16 << 20;

/// What the configuration asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// io_uring where it works, else epoll.
    Auto,
    IoUring,
    Epoll,
}

/// Which engine runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    IoUring,
    Epoll,
}

impl Kind {
    /// The name in the log and in INFO.
    pub fn name(self) -> &'static str {
        match self {
            Kind::IoUring => "io_uring",
            Kind::Epoll => "epoll",
        }
    }
}

/// An engine, and why it was chosen.
#[derive(Clone, Debug)]
pub struct Choice {
    pub kind: Kind,
    /// A sentence for the log and INFO.
    pub reason: String,
    features: Option<Features>,
}

/// Looks at what the kernel allows. Asking for io_uring where it does not work yields epoll, and says so.
pub fn probe(wanted: Wanted) -> Choice {
    let epoll = |reason: String| Choice { kind: Kind::Epoll, reason, features: None };
    if wanted == Wanted::Epoll {
        return epoll("asked for in the configuration".into());
    }
    match uring::probe::probe() {
        Ok((features, missing)) => {
            let reason = match missing.as_slice() {
                [] => "the kernel has everything it needs".into(),
                missing => format!("the kernel lacks {}", missing.join(", ")),
            };
            Choice { kind: Kind::IoUring, reason, features: Some(features) }
        }
        Err(reason) => epoll(reason),
    }
}

/// io_uring as this kernel has it and as lesser kernels would, for tests.
#[cfg(test)]
pub fn step_downs() -> Vec<Choice> {
    let Choice { features: Some(best), .. } = probe(Wanted::IoUring) else { return Vec::new() };
    let of = |features, reason: &str| Choice {
        kind: Kind::IoUring,
        reason: reason.into(),
        features: Some(features),
    };
    vec![
        of(best, "as it is"),
        of(Features { quiet_sends: false, ..best }, "sends with completions"),
        of(Features { cut: uring::probe::WHOLE, ..best }, "whole buffers"),
        of(best.least(), "the least"),
    ]
}

/// Ends the process when a core's thread unwinds: a shard that stopped half-way through a command must not be
/// served from. The panic hook has run by then.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

/// Runs one core per entry of `cpus`, each on a thread `core-N` pinned to that CPU (`None`: wherever), and
/// returns when all have stopped. `make` builds the handler of core N on N's own thread, so that the core's
/// memory is near it. `waker` must have been made for as many cores.
///
/// No core runs before all could be set up; the error is that of a core that could not. A panic on a core aborts
/// the process after the panic hook ran.
pub fn run<H, F>(choice: &Choice, cpus: &[Option<usize>], waker: &Waker, make: F) -> io::Result<()>
where
    H: Handler + 'static,
    F: Fn(usize) -> H + Send + Sync + 'static,
{
    assert_eq!(cpus.len(), waker.cores(), "one waker seat per core");
    let make = Arc::new(make);
    let (ready, readiness) = mpsc::channel();
    let mut starts = Vec::new();
    let mut threads = Vec::new();
    let mut outcome = Ok(());
    for (core, cpu) in cpus.iter().copied().enumerate() {
        let (start, started) = mpsc::channel();
        let (make, waker, features, ready) = (make.clone(), waker.clone(), choice.features, ready.clone());
        let body = move || {
            let _guard = AbortOnUnwind;
            match features {
                Some(features) => {
                    let executor = uring::executor();
                    pin(cpu);
                    let engine = executor
                        .and_then(|executor| uring::Engine::new(executor, core, waker, features, make(core)));
                    if let Some(engine) = await_start(engine, &ready, &started) {
                        engine.run();
                    }
                }
                None => {
                    pin(cpu);
                    let engine = epoll::Engine::new(core, waker, make(core));
                    if let Some(engine) = await_start(engine, &ready, &started) {
                        engine.run();
                    }
                }
            }
        };
        match thread::Builder::new().name(format!("core-{core}")).stack_size(STACK_BYTES).spawn(body) {
            Ok(thread) => threads.push(thread),
            Err(error) => outcome = Err(error),
        }
        starts.push(start);
    }
    drop(ready);
    for _ in 0..threads.len() {
        outcome = outcome.and(readiness.recv().expect("a core that panics aborts the process"));
    }
    if outcome.is_ok() {
        for start in &starts {
            // The core waits for it.
            let _ = start.send(());
        }
    }
    drop(starts);
    for thread in threads {
        thread.join().expect("a core that panics aborts the process");
    }
    outcome
}

/// Reports whether a core is set up, and waits for the word that all are. `None`: the core must not run.
fn await_start<E>(
    engine: io::Result<E>,
    ready: &Sender<io::Result<()>>,
    started: &Receiver<()>,
) -> Option<E> {
    let (engine, report) = match engine {
        Ok(engine) => (Some(engine), Ok(())),
        Err(error) => (None, Err(error)),
    };
    ready.send(report).ok()?;
    started.recv().ok()?;
    engine
}

fn pin(cpu: Option<usize>) {
    if let Some(id) = cpu {
        // A CPU that the cgroup took away since start-up: running unpinned is slower, not wrong.
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
}
