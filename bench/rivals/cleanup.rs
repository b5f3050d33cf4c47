//! Leaves nothing behind when the run is interrupted: no server, stopped or not, and no cgroup.
//!
//! In an ordinary end, and in a panic, the values that own these things remove them; a signal would
//! end the process without that.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{process, thread};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

static LEFT: Mutex<Left> = Mutex::new(Left { pids: Vec::new(), groups: Vec::new() });

struct Left {
    pids: Vec<u32>,
    groups: Vec<PathBuf>,
}

fn left<T>(change: impl FnOnce(&mut Left) -> T) -> T {
    change(&mut LEFT.lock().unwrap_or_else(PoisonError::into_inner))
}

pub fn server_started(pid: u32) {
    left(|left| left.pids.push(pid));
}

pub fn server_stopped(pid: u32) {
    left(|left| left.pids.retain(|other| *other != pid));
}

pub fn group_made(dir: &Path) {
    left(|left| left.groups.push(dir.to_path_buf()));
}

pub fn group_removed(dir: &Path) {
    left(|left| left.groups.retain(|other| other != dir));
}

/// From now on the usual signals clean up before they end the run.
pub fn on_signals() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            left(|left| {
                for pid in left.pids.iter().filter_map(|pid| Pid::from_raw(*pid as i32)) {
                    let _ = kill_process(pid, Signal::KILL);
                }
                left.groups.iter().for_each(|dir| remove_emptied(dir));
            });
            process::exit(128 + signal);
        }
    });
    Ok(())
}

/// A group can go once its killed members are gone, which takes a moment.
fn remove_emptied(dir: &Path) {
    for _ in 0..100 {
        if fs::remove_dir(dir).is_ok() {
            return;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
}
