#![allow(unsafe_code)]
//! Signals that ask for something: SIGTERM and SIGINT ask the server to shut down.
//!
//! The handlers only set a flag and write to an eventfd; the server waits for that descriptor like
//! for any other and asks `requested`. A second SIGINT while a shutdown is under way ends the
//! process at once, as in Redis. SIGPIPE, SIGHUP and SIGXFSZ are ignored: a broken connection
//! is an error of one write, so is a file that may not grow, and a lost terminal is no reason to lose data. SIGUSR1 and the rest keep the
//! kernel's default.
//!
//! Fatal signals are the business of `crash`.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::crash;

/// Which signal asked for a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    Term,
    Int,
}

impl Shutdown {
    pub fn name(self) -> &'static str {
        match self {
            Shutdown::Term => "SIGTERM",
            Shutdown::Int => "SIGINT",
        }
    }
}

/// The signal that asked; 0 for none.
static REQUESTED: AtomicI32 = AtomicI32::new(0);
/// The eventfd, once there is one. It lives as long as the process.
static WAKE_FD: AtomicI32 = AtomicI32::new(-1);
/// Whether a shutdown that began otherwise (the command) makes a SIGINT final.
static IN_PROGRESS: AtomicBool = AtomicBool::new(false);

/// Installs the handlers and returns the descriptor that becomes readable when a shutdown is
/// asked for. Call once, before threads start; later calls return the same descriptor.
pub fn install() -> io::Result<RawFd> {
    let known = WAKE_FD.load(Ordering::Acquire);
    if known >= 0 {
        return Ok(known);
    }
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    WAKE_FD.store(fd, Ordering::Release);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        handle(signal, on_shutdown as *const () as libc::sighandler_t)?;
    }
    for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGXFSZ] {
        handle(signal, libc::SIG_IGN)?;
    }
    Ok(fd)
}

fn handle(signal: libc::c_int, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: sigaction is plain data; an empty mask and no flags are zeroes.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is valid and holds SIG_IGN or `on_shutdown`, which is async-signal-safe.
    match unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs inside the handler: atomics, `write` and `_exit` only.
extern "C" fn on_shutdown(signal: libc::c_int) {
    let asked_before = REQUESTED.load(Ordering::Acquire) != 0 || IN_PROGRESS.load(Ordering::Acquire);
    if asked_before && signal == libc::SIGINT {
        crash::write_everywhere(b"You insist... exiting now.\n");
        // SAFETY: ends the process without running anything of ours.
        unsafe { libc::_exit(1) };
    }
    REQUESTED.store(signal, Ordering::Release);
    wake();
}

fn wake() {
    let one = 1u64.to_ne_bytes();
    // SAFETY: errno belongs to the interrupted code and is put back; `one` is readable.
    unsafe {
        let errno = libc::__errno_location();
        let saved = *errno;
        libc::write(WAKE_FD.load(Ordering::Acquire), one.as_ptr().cast(), one.len());
        *errno = saved;
    }
}

/// The signal that asked for a shutdown, if one did.
pub fn requested() -> Option<Shutdown> {
    match REQUESTED.load(Ordering::Acquire) {
        libc::SIGTERM => Some(Shutdown::Term),
        libc::SIGINT => Some(Shutdown::Int),
        _ => None,
    }
}

/// Says that a shutdown goes on, so that a SIGINT from now on ends the process at once.
pub fn shutdown_in_progress(yes: bool) {
    IN_PROGRESS.store(yes, Ordering::Release);
}

/// Forgets the request: the shutdown was refused or cancelled (SHUTDOWN ABORT). Drains the
/// descriptor too.
pub fn clear() {
    REQUESTED.store(0, Ordering::Release);
    IN_PROGRESS.store(false, Ordering::Release);
    let mut count = [0u8; 8];
    // SAFETY: `count` is writable for its length; the descriptor does not block.
    unsafe { libc::read(WAKE_FD.load(Ordering::Acquire), count.as_mut_ptr().cast(), count.len()) };
}

/// Blocks the calling thread until a signal asked for shutdown (`fd` is what [`install`] returned).
pub fn wait(fd: RawFd) {
    loop {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd, for the duration of the call.
        let ready = unsafe { libc::poll(&mut poll, 1, -1) };
        if ready > 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::sys::crash::tests::{in_child, rerun};

    fn readable(fd: RawFd, timeout_ms: i32) -> bool {
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd.
        unsafe { libc::poll(&mut poll, 1, timeout_ms) == 1 }
    }

    fn send(signal: i32) {
        // SAFETY: signals this very process.
        unsafe { libc::raise(signal) };
    }

    #[test]
    fn sigterm_sets_the_flag_and_a_second_sigint_exits_at_once() {
        if in_child() {
            let fd = install().unwrap();
            assert_eq!(install().unwrap(), fd);
            assert!(!readable(fd, 0) && requested().is_none());
            send(libc::SIGPIPE);
            send(libc::SIGHUP);
            send(libc::SIGXFSZ);
            assert!(requested().is_none());
            send(libc::SIGTERM);
            assert!(readable(fd, 1000));
            assert_eq!(requested(), Some(Shutdown::Term));
            clear();
            assert!(!readable(fd, 0) && requested().is_none());
            send(libc::SIGINT);
            assert_eq!(requested().unwrap().name(), "SIGINT");
            send(libc::SIGTERM);
            send(libc::SIGINT);
            unreachable!("the second SIGINT ends the process");
        }
        let output = rerun("sys::signals::tests::sigterm_sets_the_flag_and_a_second_sigint_exits_at_once");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("You insist"), "{text}");
    }

    #[test]
    fn children_do_not_inherit_the_descriptor() {
        if in_child() {
            let fd = install().unwrap();
            let link = format!("/proc/self/fd/{fd}");
            let seen = Command::new("readlink").arg(link).output().unwrap();
            assert!(!String::from_utf8_lossy(&seen.stdout).contains("eventfd"));
            return;
        }
        let output = rerun("sys::signals::tests::children_do_not_inherit_the_descriptor");
        assert!(output.status.success());
    }
}
