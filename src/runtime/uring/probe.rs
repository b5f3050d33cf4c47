//! What this kernel's io_uring can do, found by trying.
//!
//! Version numbers lie (vendors port features back, containers take them away), so every feature is tried on a
//! small ring. What is missing is named, for the log.
#![allow(unsafe_code)]

use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::net::UnixStream;

use io_uring::{Probe, cqueue, opcode, squeue, types};

use super::buffers::{Buffers, Cut, GROUP};
use super::ring::{Ring, Setup};
use super::send;
use crate::runtime::face::Chunk;
use crate::runtime::outbox::Outbox;
use crate::runtime::pool::Pool;

/// What the engine may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    pub setup: Setup,
    pub cut: Cut,
    pub multishot_receive: bool,
    pub multishot_accept: bool,
    /// Sends that post a completion only when they fall short.
    pub quiet_sends: bool,
}

#[cfg(test)]
pub const WHOLE: Cut = Cut::WHOLE;

#[cfg(test)]
impl Features {
    /// What the engine cannot run without.
    pub fn least(self) -> Features {
        Features {
            setup: Setup { defer_taskrun: false, coop_taskrun: false, no_sqarray: false },
            cut: Cut::WHOLE,
            multishot_receive: false,
            multishot_accept: false,
            quiet_sends: false,
        }
    }
}

/// Finds out what works. `Err` says why the engine cannot run at all; the list names what it must do without.
pub fn probe() -> Result<(Features, Vec<&'static str>), String> {
    let mut missing = Vec::new();
    let (setup, mut ring) = best_setup(&mut missing)?;
    let mut operations = Probe::new();
    ring.inner()
        .submitter()
        .register_probe(&mut operations)
        .map_err(|error| format!("io_uring cannot be asked for its operations ({error})"))?;
    let needed = [
        (opcode::Recv::CODE, "recv"),
        (opcode::Send::CODE, "send"),
        (opcode::SendMsg::CODE, "sendmsg"),
        (opcode::Accept::CODE, "accept"),
        (opcode::PollAdd::CODE, "poll"),
        (opcode::AsyncCancel::CODE, "cancel"),
    ];
    if let Some((_, name)) = needed.iter().find(|(code, _)| !operations.is_supported(*code)) {
        return Err(format!("io_uring lacks the operation {name}"));
    }
    if !ring.inner().params().is_feature_ext_arg() || !ring.inner().params().is_feature_nodrop() {
        return Err("io_uring lacks waiting with a timeout".into());
    }
    let (cut, multishot_receive) = try_receive(setup, &mut missing)?;
    let quiet_sends = try_quiet_send(&mut ring).unwrap_or(false);
    if !quiet_sends {
        missing.push("sends without completions");
    }
    // Multishot accept came with the buffer ring (5.19), and a kernel without it says so at the first try.
    let multishot_accept = try_accept(&mut ring).unwrap_or(false);
    if !multishot_accept {
        missing.push("multishot accept");
    }
    super::executor().map_err(|error| format!("glommio cannot start ({error})"))?;
    Ok((Features { setup, cut, multishot_receive, multishot_accept, quiet_sends }, missing))
}

fn best_setup(missing: &mut Vec<&'static str>) -> Result<(Setup, Ring), String> {
    let steps = [
        (Setup { defer_taskrun: true, coop_taskrun: true, no_sqarray: true }, None),
        (Setup { defer_taskrun: true, coop_taskrun: true, no_sqarray: false }, Some("NO_SQARRAY")),
        (Setup { defer_taskrun: false, coop_taskrun: true, no_sqarray: false }, Some("DEFER_TASKRUN")),
        (Setup { defer_taskrun: false, coop_taskrun: false, no_sqarray: false }, Some("COOP_TASKRUN")),
    ];
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for (setup, lacks) in steps {
        missing.extend(lacks);
        match Ring::sized(setup, 8, 64) {
            Ok(ring) => return Ok((setup, ring)),
            Err(error) => {
                let blocked = matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS | libc::EACCES));
                last = error;
                if blocked {
                    break;
                }
            }
        }
    }
    Err(match last.raw_os_error() {
        Some(libc::ENOSYS) => "the kernel has no io_uring, or a seccomp profile hides it".into(),
        Some(libc::EPERM | libc::EACCES) => {
            format!("io_uring is blocked, by seccomp or kernel.io_uring_disabled ({last})")
        }
        _ => format!("io_uring cannot be set up ({last})"),
    })
}

/// Receives a few bytes through a buffer ring, in the best way that works.
fn try_receive(setup: Setup, missing: &mut Vec<&'static str>) -> Result<(Cut, bool), String> {
    for (cut, lacks) in [(Cut::INCREMENTAL, "incremental buffers"), (Cut::WHOLE, "provided-buffer rings")] {
        for multishot in [true, false] {
            if receive_once(setup, cut, multishot).unwrap_or(false) {
                if !multishot {
                    missing.push("multishot receive");
                }
                return Ok((cut, multishot));
            }
        }
        missing.push(lacks);
    }
    Err("io_uring of this kernel lacks provided-buffer rings (5.19)".into())
}

fn receive_once(setup: Setup, cut: Cut, multishot: bool) -> io::Result<bool> {
    let mut ring = Ring::sized(setup, 8, 64)?;
    let mut buffers = Buffers::register(&ring, cut)?;
    let (mut here, there) = UnixStream::pair()?;
    let fd = types::Fd(there.as_raw_fd());
    let entry = if multishot {
        opcode::RecvMulti::new(fd, GROUP).build()
    } else {
        opcode::Recv::new(fd, std::ptr::null_mut(), 0)
            .buf_group(GROUP)
            .build()
            .flags(squeue::Flags::BUFFER_SELECT)
    };
    io::Write::write_all(&mut here, b"probe")?;
    // SAFETY: the request points at nothing; the buffers outlive the ring, which is dropped first.
    unsafe { ring.push(&entry) };
    ring.enter(1, Some(std::time::Duration::from_secs(1)))?;
    let completion = ring.completions().next();
    let works = completion.is_some_and(|completion| {
        let right = buffers.take(&completion).is_some_and(|taken| taken.bytes() == b"probe");
        buffers.release(&completion);
        right
            && cqueue::more(completion.flags()) == multishot
            && cqueue::buffer_more(completion.flags()) == cut.incremental
    });
    drop(ring);
    drop(buffers);
    Ok(works)
}

/// A quiet send that fits says nothing; one that does not fit says how much did.
fn try_quiet_send(ring: &mut Ring) -> io::Result<bool> {
    let (here, mut there) = UnixStream::pair()?;
    let mut pool = Pool::default();
    let mut outbox = Outbox::default();
    let mut quietly = |ring: &mut Ring, bytes: Vec<u8>| -> io::Result<Option<i32>> {
        outbox.push(Chunk::Bytes(bytes), &mut pool);
        outbox.launch();
        let entry = send::request(here.as_raw_fd(), &outbox, &mut None, true);
        // SAFETY: the bytes stay in the outbox until the entry below has submitted and so ended the request.
        unsafe { ring.push(&entry) };
        ring.enter(0, None)?;
        outbox.land(&mut pool);
        Ok(ring.completions().next().map(|completion| completion.result()))
    };
    let fits = quietly(ring, b"fits".to_vec())?;
    let mut arrived = [0; 4];
    there.read_exact(&mut arrived)?;
    let big = 64 << 20;
    let short = quietly(ring, vec![0; big])?;
    let full = quietly(ring, b"full".to_vec())?;
    let short_is_told = short.is_some_and(|count| count > 0 && (count as usize) < big);
    Ok(fits.is_none() && &arrived == b"fits" && short_is_told && full == Some(-libc::EAGAIN))
}

fn try_accept(ring: &mut Ring) -> io::Result<bool> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let Ok(listener) = listener else { return Ok(true) };
    let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
    let entry = opcode::AcceptMulti::new(types::Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build();
    // SAFETY: the request points at nothing.
    unsafe { ring.push(&entry) };
    ring.enter(1, Some(std::time::Duration::from_secs(1)))?;
    let Some(completion) = ring.completions().next() else { return Ok(false) };
    if completion.result() < 0 {
        return Ok(false);
    }
    // SAFETY: the kernel made this descriptor for this completion.
    drop(unsafe { std::os::fd::OwnedFd::from_raw_fd(completion.result()) });
    Ok(cqueue::more(completion.flags()))
}
