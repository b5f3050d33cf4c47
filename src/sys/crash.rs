#![allow(unsafe_code)]
//! What is left behind when the process dies: a report saying what happened, where, on which
//! thread and shard, and the names of the last commands that shard ran, never their arguments.
//!
//! Two ways to die. A **panic** runs ordinary code, so its report is made with ordinary means. A
//! **fatal signal** (SEGV, BUS, FPE, ILL, ABRT) interrupts anything, the allocator included, so
//! the first part of its report uses only what is async-signal-safe: system calls, stack buffers,
//! this thread's own ring of names. Then, best effort, the backtrace is resolved to names, which
//! allocates: by then everything needed is written, a fault inside it ends the process as the
//! original fault would have, and an alarm does the same if it hangs. At last the signal is raised again with its
//! default action, so that the exit status and the core dump are those of the original fault.
//!
//! Reports go to the log file (if one was set) and to standard error.
//!
//! INVARIANTS: the ring of a thread is written only by that thread and read only by it, in its
//! own signal handler or panic hook. The slot about to be written is never read (see `Ring`).

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering, compiler_fence};

use super::memory::{Advice, Region};

/// How many names a thread remembers.
pub const COMMANDS_KEPT: usize = 16;
/// One more than kept: the slot being overwritten when a signal comes may hold half a name.
const RING_LEN: usize = 2 * COMMANDS_KEPT;
const _: () = assert!(RING_LEN.is_power_of_two() && RING_LEN > COMMANDS_KEPT);

/// Names in the order they were noted; `next` counts all of them.
struct Ring {
    names: [Cell<&'static str>; RING_LEN],
    next: Cell<usize>,
}

impl Ring {
    /// The last names, newest first.
    fn newest(&self) -> impl Iterator<Item = &'static str> + '_ {
        let next = self.next.get();
        (1..=COMMANDS_KEPT.min(next)).map(move |back| self.names[(next - back) % RING_LEN].get())
    }
}

/// No shard.
const NO_SHARD: u32 = u32::MAX;

thread_local! {
    // Constant and without a destructor: an access is a load relative to the thread pointer.
    static RING: Ring = const { Ring { names: [const { Cell::new("") }; RING_LEN], next: Cell::new(0) } };
    static SHARD: Cell<u32> = const { Cell::new(NO_SHARD) };
}

/// Remembers that the calling thread is about to run the command of this name.
///
/// PERF: eight instructions, no branch; 1.6 ns with the call around it (best of 20 million-call loops, 2.6 GHz
/// Zen 4, release). Back to back in an inlined loop it is 6 ns, the latency of reading what was just written.
#[inline(always)]
pub fn note_command(name: &'static str) {
    RING.with(|ring| {
        let next = ring.next.get();
        ring.names[next % RING_LEN].set(name);
        // A signal between the two must see the old count, which leaves the slot unread.
        compiler_fence(Ordering::Release);
        ring.next.set(next.wrapping_add(1));
    });
}

/// The last names the calling thread noted, newest first.
pub fn last_commands() -> Vec<&'static str> {
    RING.with(|ring| ring.newest().collect())
}

/// Where reports go besides standard error: a path with its closing zero, leaked once set.
static LOG_PATH: AtomicPtr<c_char> = AtomicPtr::new(std::ptr::null_mut());
/// The thread id of the first thread to die; others then wait for the end instead of mixing
/// reports. 0 while all is well.
static REPORTING: AtomicI32 = AtomicI32::new(0);
/// A panic that was reported already and now aborts needs no second report.
static ABORT_REPORTED: AtomicBool = AtomicBool::new(false);
static ABORT_ON_PANIC: AtomicBool = AtomicBool::new(false);
/// The signal to die of when the alarm goes off or the report itself faults.
static FATAL_SIGNAL: AtomicI32 = AtomicI32::new(libc::SIGABRT);

const FATAL: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
];

const VERSION: &str = concat!("coreshard ", env!("CARGO_PKG_VERSION"));

/// Reports also go to the end of this file from now on; `None` for standard error alone.
///
/// Each distinct call leaks one path, so call it when the setting changes, not in a loop.
pub fn set_log_file(path: Option<&Path>) {
    let raw = match path.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok()) {
        Some(path) => path.into_raw(),
        None => std::ptr::null_mut(),
    };
    LOG_PATH.store(raw, Ordering::Release);
}

/// What a panic leads to once it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPanic {
    /// The panic unwinds its thread as usual.
    Unwind,
    /// The process ends by SIGABRT: a server does not go on with a shard in doubt.
    Abort,
}

/// Installs the panic hook.
pub fn install_panic_hook(then: OnPanic) {
    ABORT_ON_PANIC.store(then == OnPanic::Abort, Ordering::Release);
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let what = payload.downcast_ref::<&str>().copied();
        let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        write_everywhere(&panic_report(what.unwrap_or("(no text)"), place.as_deref().unwrap_or("?")));
        if ABORT_ON_PANIC.load(Ordering::Acquire) {
            ABORT_REPORTED.store(true, Ordering::Release);
            std::process::abort();
        }
    }));
}

/// Dies of a memory fault, for tests of the report.
pub fn fault_for_test() -> ! {
    // SAFETY: a fresh mapping of one page, which nobody else knows.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, flags, -1, 0);
        // The page may only be read: this is the fault.
        page.cast::<u8>().write_volatile(b'x');
    }
    std::process::abort()
}

fn panic_report(what: &str, place: &str) -> Vec<u8> {
    let mut report = Vec::with_capacity(4096);
    let mut text = Report::new(|bytes: &[u8]| report.extend_from_slice(bytes));
    text.head("panic");
    text.line(&[b"what:     ", what.as_bytes()]);
    text.line(&[b"where:    ", place.as_bytes()]);
    text.who();
    text.line(&[b"backtrace:"]);
    text.put(std::backtrace::Backtrace::force_capture().to_string().as_bytes());
    text.foot();
    report
}

/// Installs the handlers of fatal signals and gives the calling thread a stack for them.
///
/// Threads that run shards call `register_thread` as well; without it a fault in them is still
/// reported, except one that exhausted their stack.
pub fn install_signal_handlers() -> io::Result<()> {
    for (signal, _) in FATAL {
        // SAFETY: sigaction is plain data, for which zeroes are a value.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_fatal as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: `action` is valid, and `on_fatal` has the signature SA_SIGINFO asks for.
        if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    warm_up();
    Ok(())
}

/// The first backtrace loads a library and allocates; that must not happen inside a handler.
fn warm_up() {
    let mut frames = [std::ptr::null_mut(); 4];
    raw_backtrace(&mut frames);
}

/// Room for resolving a backtrace, which walks debug information; untouched pages cost nothing.
const SIGNAL_STACK_BYTES: usize = 512 << 10;

/// Undoes `register_thread` when the thread ends.
#[must_use = "the thread is registered while this lives"]
pub struct ThreadGuard {
    _stack: Region,
    // Not Send: the alternate stack belongs to the thread that made it.
    _here: std::marker::PhantomData<*const ()>,
}

/// Tells reports which shard the calling thread runs and gives it a stack of its own for signal
/// handlers, so that even an exhausted stack can be reported.
pub fn register_thread(shard: Option<u16>) -> io::Result<ThreadGuard> {
    let mut stack = Region::map(SIGNAL_STACK_BYTES)?;
    let _ = stack.advise(Advice::SmallPages);
    let alternate = libc::stack_t { ss_sp: stack.as_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the region outlives its use as a stack: the guard's drop switches it off first.
    if unsafe { libc::sigaltstack(&alternate, std::ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    SHARD.set(shard.map_or(NO_SHARD, u32::from));
    Ok(ThreadGuard { _stack: stack, _here: std::marker::PhantomData })
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        let off = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: the type is not Send, so this is the thread whose alternate stack it is.
        unsafe { libc::sigaltstack(&off, std::ptr::null_mut()) };
        SHARD.set(NO_SHARD);
    }
}

/// Writes to standard error and to the log file. Async-signal-safe.
pub(crate) fn write_everywhere(bytes: &[u8]) {
    let log = open_log();
    for fd in [libc::STDERR_FILENO, log] {
        write_all(fd, bytes);
    }
    if log >= 0 {
        // SAFETY: opened above and not shared.
        unsafe { libc::close(log) };
    }
}

fn open_log() -> c_int {
    let path = LOG_PATH.load(Ordering::Acquire);
    if path.is_null() {
        return -1;
    }
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
    // SAFETY: a path once stored ends with a zero byte and is never freed.
    unsafe { libc::open(path, flags, 0o644) }
}

fn write_all(fd: c_int, mut bytes: &[u8]) {
    if fd < 0 {
        return;
    }
    while !bytes.is_empty() {
        // SAFETY: `bytes` is readable for its length.
        match usize::try_from(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) }) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes = &bytes[count..],
        }
    }
}

/// Writes a report piece by piece without allocating.
struct Report<F: FnMut(&[u8])> {
    out: F,
}

impl<F: FnMut(&[u8])> Report<F> {
    fn new(out: F) -> Self {
        Report { out }
    }

    fn put(&mut self, bytes: &[u8]) {
        (self.out)(bytes);
    }

    fn line(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.put(part);
        }
        self.put(b"\n");
    }

    fn head(&mut self, kind: &str) {
        self.line(&[b"\n=== CORESHARD CRASH REPORT: ", kind.as_bytes(), b" ==="]);
        self.line(&[b"version:  ", VERSION.as_bytes()]);
        let mut digits = [0; 20];
        self.line(&[b"pid:      ", decimal(u64::from(std::process::id()), &mut digits)]);
        self.line(&[b"time:     ", decimal(super::clock::realtime_ms() / 1000, &mut digits), b" (Unix)"]);
    }

    /// Thread, shard and last commands.
    fn who(&mut self) {
        let mut name = [0u8; 16];
        // SAFETY: the kernel writes at most 16 bytes, the zero included.
        unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr(), 0, 0, 0) };
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        let mut digits = [0; 20];
        // SAFETY: takes no arguments.
        let tid = unsafe { libc::syscall(libc::SYS_gettid) } as u64;
        self.line(&[b"thread:   ", &name[..end], b" (tid ", decimal(tid, &mut digits), b")"]);
        match SHARD.get() {
            NO_SHARD => self.line(&[b"shard:    none"]),
            shard => self.line(&[b"shard:    ", decimal(u64::from(shard), &mut digits)]),
        }
        self.put(b"commands: ");
        RING.with(|ring| {
            for (index, name) in ring.newest().enumerate() {
                if index > 0 {
                    self.put(b" < ");
                }
                self.put(name.as_bytes());
            }
            self.put(if ring.next.get() == 0 { b"none\n" } else { b" (newest first)\n" });
        });
    }

    fn foot(&mut self) {
        self.line(&[b"=== END OF CRASH REPORT ==="]);
    }
}

fn decimal(mut value: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            return &digits[at..];
        }
    }
}

fn hexadecimal(value: usize, digits: &mut [u8; 18]) -> &[u8] {
    digits[..2].copy_from_slice(b"0x");
    for (index, digit) in digits[2..].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[value >> (60 - 4 * index) & 15];
    }
    digits
}

/// Runs inside the handler of a fatal signal.
extern "C" fn on_fatal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if signal == libc::SIGABRT && ABORT_REPORTED.load(Ordering::Acquire) {
        die_of(signal);
        return;
    }
    // SAFETY: takes no arguments.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    match REPORTING.compare_exchange(0, tid, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(reporter) if reporter == tid => {
            // A fault while reporting: what could be said has been said.
            die_of(FATAL_SIGNAL.load(Ordering::Acquire));
            return;
        }
        Err(_) => loop {
            // Another thread reports and will end the process.
            // SAFETY: only waits.
            unsafe { libc::pause() };
        },
    }
    FATAL_SIGNAL.store(signal, Ordering::Release);
    set_alarm();
    let log = open_log();
    let mut text = Report::new(|bytes: &[u8]| {
        write_all(libc::STDERR_FILENO, bytes);
        write_all(log, bytes);
    });
    let name = FATAL.iter().find(|(number, _)| *number == signal).map_or("signal", |(_, name)| name);
    text.head(name);
    let mut digits = [0; 20];
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo and context.
    let (code, address, (pc, sp)) =
        unsafe { ((*info).si_code, (*info).si_addr() as usize, registers(context)) };
    let sign: &[u8] = if code < 0 { b"-" } else { b"" };
    let code = decimal(u64::from(code.unsigned_abs()), &mut digits);
    text.line(&[b"what:     ", name.as_bytes(), b", code ", sign, code]);
    let mut hex = [0; 18];
    if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        // A fault within a few pages of the stack pointer is nearly always a stack at its end.
        let near = sp != 0 && address.abs_diff(sp) < 64 << 10;
        let hint: &[u8] = if near { b" (near the stack pointer: stack overflow?)" } else { b"" };
        text.line(&[b"address:  ", hexadecimal(address, &mut hex), hint]);
    }
    text.line(&[b"where:    pc ", hexadecimal(pc, &mut hex)]);
    text.line(&[b"stack:    sp ", hexadecimal(sp, &mut hex)]);
    text.who();
    let mut frames = [std::ptr::null_mut(); 64];
    let count = raw_backtrace(&mut frames);
    text.line(&[b"addresses (for addr2line):"]);
    for fd in [libc::STDERR_FILENO, log] {
        write_symbols(fd, &frames[..count]);
    }
    // From here on things may fail: what matters is written.
    text.line(&[b"backtrace (best effort):"]);
    let _ = write!(Sink([libc::STDERR_FILENO, log]), "{}", std::backtrace::Backtrace::force_capture());
    text.foot();
    die_of(signal);
}

/// Formats straight to descriptors.
struct Sink([c_int; 2]);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for fd in self.0 {
            write_all(fd, bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long resolving the backtrace may take.
const ALARM_S: u32 = 10;

fn set_alarm() {
    // SAFETY: sigaction is plain data; the handler only calls what is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_alarm as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_ONSTACK;
        libc::sigaction(libc::SIGALRM, &action, std::ptr::null_mut());
        libc::alarm(ALARM_S);
    }
}

extern "C" fn on_alarm(_: c_int) {
    die_of(FATAL_SIGNAL.load(Ordering::Acquire));
}

/// Gives the signal its default action and sends it to the process, which ends it with that
/// status and, where enabled, a core dump.
fn die_of(signal: c_int) {
    // SAFETY: all of these are async-signal-safe and take no pointers of ours.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
}

/// Program counter and stack pointer at the fault; zeroes on machines not listed.
///
/// # Safety
/// `context` must be the third argument of an SA_SIGINFO handler.
unsafe fn registers(context: *mut c_void) -> (usize, usize) {
    let context = context.cast::<libc::ucontext_t>();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: by this function's contract it is a valid ucontext.
    unsafe {
        let registers = &(*context).uc_mcontext.gregs;
        (registers[libc::REG_RIP as usize] as usize, registers[libc::REG_RSP as usize] as usize)
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        ((*context).uc_mcontext.pc as usize, (*context).uc_mcontext.sp as usize)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = context;
        (0, 0)
    }
}

/// Return addresses of the calling stack; 0 where the C library cannot tell.
fn raw_backtrace(frames: &mut [*mut c_void]) -> usize {
    #[cfg(target_env = "gnu")]
    {
        let room = c_int::try_from(frames.len()).unwrap_or(c_int::MAX);
        // SAFETY: `frames` has room for that many pointers.
        usize::try_from(unsafe { libc::backtrace(frames.as_mut_ptr(), room) }).unwrap_or(0)
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let _ = frames;
        0
    }
}

/// Writes `file(+offset)` of each address, without allocating.
fn write_symbols(fd: c_int, frames: &[*mut c_void]) {
    #[cfg(target_env = "gnu")]
    if fd >= 0 {
        // SAFETY: `frames` holds that many addresses, which are only looked up, not followed.
        unsafe { libc::backtrace_symbols_fd(frames.as_ptr(), frames.len() as c_int, fd) };
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = (fd, frames);
}

#[cfg(test)]
#[path = "crash_tests.rs"]
pub(crate) mod tests;
