//! Threads beside the cores: they write logs and snapshots and read files.
//!
//! A new thread may run where its maker may, and a core is pinned to one CPU: what a core starts would have to share that
//! CPU with it, whatever the others do. So threads beside the cores are given all CPUs of the process.

#![allow(unsafe_code)]

use std::io;
use std::sync::OnceLock;
use std::thread::Builder;

use super::topology;

/// All CPUs of the process.
static CPUS: OnceLock<Vec<usize>> = OnceLock::new();

/// Says once, at the start, which CPUs the process has. Unsaid, threads run where their makers do.
pub fn give_cpus(cpus: Vec<usize>) {
    // Who says it again says the same.
    let _ = CPUS.set(cpus);
}

/// Starts a thread beside the cores.
///
/// # Errors
/// The system's, when there can be no further thread.
pub fn start(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start_as(name, || {}, run)
}

/// Starts a thread whose work may wait a little: when it has something to do it does not take the CPU from who has it
/// (SCHED_BATCH), and has its fair share all the same.
///
/// # Errors
/// As [`start`].
pub fn start_patient(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start_as(name, be_patient, run)
}

fn start_as(name: &str, be: fn(), run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let begin = move || {
        if let Some(cpus) = CPUS.get() {
            // A CPU may have been taken away since; then it stays where it is.
            let _ = topology::set_affinity(cpus);
        }
        be();
        run();
    };
    Builder::new().name(name.into()).spawn(begin).map(drop)
}

fn be_patient() {
    // SAFETY: all zeros is a valid parameter block; the kernel only reads it. A refusal changes nothing.
    unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn threads_run_on_all_cpus_wherever_they_are_started() {
        let all = topology::affinity_mask();
        give_cpus(all.clone());
        let (tell, told) = channel();
        // Another thread, for the affinity is this one's own.
        std::thread::spawn(move || {
            topology::pin_current_thread(topology::affinity_mask()[0]).expect("it is one of ours");
            let again = tell.clone();
            start("plain", move || tell.send(topology::affinity_mask()).expect("told")).expect("a thread");
            start_patient("patient", move || again.send(topology::affinity_mask()).expect("told"))
                .expect("a thread");
        });
        assert_eq!([told.recv().expect("told"), told.recv().expect("told")], [all.clone(), all]);
    }
}
