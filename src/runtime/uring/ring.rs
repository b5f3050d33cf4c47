//! The io_uring instance of one core: setting it up, pushing requests, entering the kernel.
//!
//! The crate's `IoUring` maps the queues; entering is done here, because the registered ring descriptor and
//! the wait with a timeout belong into one call that the crate does not offer.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::{IoUring, cqueue, squeue};

/// Requests that one entry into the kernel takes; more wait in a backlog and go with further entries.
const SUBMISSION_ENTRIES: u32 = 1024;
/// Completions that fit before the kernel must set some aside.
const COMPLETION_ENTRIES: u32 = 8192;

const ENTER_GETEVENTS: u32 = 1;
const ENTER_EXT_ARG: u32 = 1 << 3;
const ENTER_REGISTERED_RING: u32 = 1 << 4;
const ENTER_NO_IOWAIT: u32 = 1 << 7;
const REGISTER_RING_FDS: libc::c_uint = 20;

/// The kernel's `struct io_uring_getevents_arg`.
#[repr(C)]
struct WaitArg {
    sigmask: u64,
    sigmask_bytes: u32,
    min_wait_us: u32,
    timeout: u64,
}

/// The kernel's `struct io_uring_rsrc_update`.
#[repr(C)]
struct RingFdUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

/// Which of the optional ways to set up a ring this kernel knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// 6.1: completions are made when the core asks for them, not in the middle of its work.
    pub defer_taskrun: bool,
    /// 5.19: no interrupt just to make completions.
    pub coop_taskrun: bool,
    /// 6.6: submission without the table of indices.
    pub no_sqarray: bool,
}

/// A ring and the flags that every entry into the kernel carries.
pub struct Ring {
    ring: IoUring,
    /// Descriptor or registered index, as the flags say.
    enter_fd: RawFd,
    enter_flags: u32,
    wait_flags: u32,
    deferred: bool,
    /// Requests beyond what the queue holds, in order.
    backlog: VecDeque<squeue::Entry>,
}

impl Ring {
    /// A ring for the calling thread, which must be the only one that uses it.
    pub fn new(setup: Setup) -> io::Result<Ring> {
        Ring::sized(setup, SUBMISSION_ENTRIES, COMPLETION_ENTRIES)
    }

    /// As [`Ring::new`], with other sizes.
    pub fn sized(setup: Setup, submissions: u32, completions: u32) -> io::Result<Ring> {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(completions).setup_submit_all().dontfork();
        if setup.defer_taskrun {
            builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
        } else if setup.coop_taskrun {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        if setup.no_sqarray {
            builder.setup_no_sqarray();
        }
        let ring = builder.build(submissions)?;
        let mut this = Ring {
            enter_fd: ring.as_raw_fd(),
            enter_flags: 0,
            wait_flags: if ring.params().is_feature_no_iowait() { ENTER_NO_IOWAIT } else { 0 },
            deferred: setup.defer_taskrun,
            backlog: VecDeque::new(),
            ring,
        };
        this.register_own_descriptor();
        Ok(this)
    }

    /// The crate's ring, for registering things with it.
    pub fn inner(&self) -> &IoUring {
        &self.ring
    }

    /// Queues a request; it leaves with the next entry into the kernel.
    ///
    /// # Safety
    /// Whatever the request points at must live until its completion arrived, or, when it posts none, until an
    /// entry after which [`Ring::all_heard`] holds.
    pub unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the caller keeps what the entry points at alive long enough.
        if !self.backlog.is_empty() || unsafe { self.ring.submission().push(entry) }.is_err() {
            self.backlog.push_back(entry.clone());
        }
    }

    /// True when the kernel has taken every request and has set no completion aside for want of room.
    pub fn all_heard(&mut self) -> bool {
        let queue = self.ring.submission();
        self.backlog.is_empty() && queue.is_empty() && !queue.cq_overflow()
    }

    /// The completions that have arrived.
    pub fn completions(&mut self) -> cqueue::CompletionQueue<'_> {
        self.ring.completion()
    }

    /// True when entering the kernel would bring something: requests wait here, or completions there.
    pub fn needs_entry(&mut self) -> bool {
        if !self.backlog.is_empty() {
            return true;
        }
        let queue = self.ring.submission();
        !self.deferred || !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Submits everything and waits until `want` completions are there or the time is over. `None` waits without
    /// end. Timeouts, signals and a kernel that is out of room just end the wait: the caller looks at what came
    /// and enters again.
    pub fn enter(&mut self, want: u32, timeout: Option<Duration>) -> io::Result<()> {
        loop {
            let queued = self.refill();
            let want = if self.backlog.is_empty() { want } else { 0 };
            let result = self.enter_once(queued, want, timeout);
            match result {
                Ok(taken) if taken > 0 && (taken < queued || !self.backlog.is_empty()) => continue,
                Ok(_) => return Ok(()),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR | libc::ETIME | libc::EAGAIN | libc::EBUSY) => return Ok(()),
                    _ => return Err(error),
                },
            }
        }
    }

    fn enter_once(&mut self, queued: usize, want: u32, timeout: Option<Duration>) -> io::Result<usize> {
        let mut flags = self.enter_flags | ENTER_GETEVENTS | ENTER_EXT_ARG;
        if want > 0 {
            flags |= self.wait_flags;
        }
        let time = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos() as libc::c_long,
        });
        let arg = WaitArg {
            sigmask: 0,
            sigmask_bytes: 0,
            min_wait_us: 0,
            timeout: time.as_ref().map_or(0, |time| &raw const *time as u64),
        };
        // SAFETY: `arg` and the time it points at outlive the call, their layouts are the kernel's (a 64-bit
        // timespec is its __kernel_timespec), and the queues are mapped as long as the ring lives.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.enter_fd,
                queued as u32,
                want,
                flags,
                &raw const arg,
                size_of::<WaitArg>(),
            )
        };
        usize::try_from(result).map_err(|_| io::Error::last_os_error())
    }

    /// Moves requests from the backlog into the queue; returns how many the queue holds.
    fn refill(&mut self) -> usize {
        let mut queue = self.ring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: whoever pushed the entry promised to keep what it points at alive.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
        queue.len()
    }

    /// A registered descriptor saves the look-up at every entry. Kernels before 5.18 do without.
    fn register_own_descriptor(&mut self) {
        let mut update = RingFdUpdate { offset: u32::MAX, reserved: 0, data: self.enter_fd as u64 };
        // SAFETY: `update` has the kernel's layout and lives through the call, which writes its offset.
        let registered = unsafe {
            libc::syscall(libc::SYS_io_uring_register, self.enter_fd, REGISTER_RING_FDS, &raw mut update, 1)
        };
        if registered == 1 {
            self.enter_fd = update.offset as RawFd;
            self.enter_flags = ENTER_REGISTERED_RING;
        }
    }
}
