//! The append-only file: what the shards did, on disk in the order in which it may be repeated.
//!
//! - [`manifest`]: which files make the log.
//! - [`merge`]: the shards' logs become one.
//! - [`writer`]: the thread that writes it; [`sync`]: the one that syncs it once a second; `gather`: how many one sync is
//!   for, where every command is synced.
//! - [`rewrite`]: new bases, and how the log begins with the process.
//! - [`find`], [`read`], [`replay`]: how it is loaded; [`check`]: what `coreshard check-aof` says of it.
//! - [`Aof`]: what all cores know of it.
//!
//! ```text
//!   shard 0 ── chunks ──┐                              ┌── released, synced ──▶ cores
//!   shard 1 ────────────┼──▶ writer: merge ──▶ write ──┤
//!   snapshot: done ─────┘         │                    └──▶ fdatasync, here or on the thread for it
//!                                 └─ manifest
//! ```

pub mod check;
pub mod find;
mod gather;
pub mod manifest;
pub mod merge;
pub mod read;
pub mod replay;
pub mod rewrite;
pub mod sync;
pub mod writer;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::save::SaveJob;
use crate::config::{Config, id};
use crate::shard::log::LogChunk;
use crate::types::ShardId;

/// What may wait for the disk before writes are refused.
pub const MAX_PENDING_BYTES: u64 = 1 << 30;
/// Events for LATENCY that nobody has taken.
const MAX_EVENTS: usize = 256;
/// So many rewrites may fail one after the other before the next ones wait. Redis's numbers.
const FAILURES_BEFORE_DELAY: u64 = 3;
const MAX_DELAY_MINUTES: u64 = 60;

/// `appendfsync`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    No,
    EverySecond,
    Always,
}

/// Is there a log?
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum LogMode {
    #[default]
    Off,
    /// It begins with the next rewrite.
    WaitRewrite,
    On,
}

/// What the writer is told.
pub enum Message {
    Chunk(ShardId, LogChunk),
    /// A shard no longer logs: its last chunk, and which switching off this is.
    Off {
        shard: ShardId,
        chunk: u64,
        generation: u64,
    },
    /// A rewrite has ended.
    Rewritten(Arc<SaveJob>),
    /// DEBUG LOADAOF has read the files.
    Loaded,
    /// Everything so far is to be in the file, then the sender is dropped.
    Flush(Sender<()>),
    /// Something has changed.
    Look,
    /// The process ends: everything is to be on disk, then the sender is dropped.
    Stop(Sender<()>),
}

/// How the log stands.
#[derive(Default)]
pub struct State {
    pub mode: LogMode,
    /// It was switched off, and the writer has not closed it yet.
    pub closing: bool,
    pub rewrite_scheduled: bool,
    pub rewrite_failed: bool,
    pub last_rewrite_took_s: Option<u64>,
    pub rewrites: u64,
    pub failures_in_a_row: u64,
    /// After several failures: the present delay, and when it is over.
    delay_minutes: u64,
    retry_s: Option<u64>,
}

impl State {
    /// Redis: after several failures a rewrite that nobody asked for waits, longer every time.
    pub fn is_limited(&mut self, now_s: u64, log: impl FnOnce(String)) -> bool {
        if self.failures_in_a_row < FAILURES_BEFORE_DELAY {
            self.delay_minutes = 0;
            self.retry_s = None;
            return false;
        }
        if let Some(at) = self.retry_s {
            if now_s < at {
                return true;
            }
            self.retry_s = None;
            return false;
        }
        self.delay_minutes = (self.delay_minutes * 2).clamp(1, MAX_DELAY_MINUTES);
        self.retry_s = Some(now_s + self.delay_minutes * 60);
        log(format!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {} minutes",
            self.delay_minutes
        ));
        true
    }
}

/// One per process.
pub struct Aof {
    sender: Sender<Message>,
    /// For the writer, once there is one.
    receiver: Mutex<Option<Receiver<Message>>>,
    state: Mutex<State>,
    /// How often it was switched off.
    generation: AtomicU64,
    /// Per shard, the last chunk whose replies may leave.
    released: Vec<AtomicU64>,
    /// Per shard, the last chunk that is on disk.
    synced: Vec<AtomicU64>,
    /// Per core, does it keep replies back?
    pub(super) holders: Vec<AtomicBool>,
    /// Clients that wait for the disk (WAITAOF).
    pub waiters: AtomicUsize,
    policy: AtomicU8,
    no_sync_on_rewrite: AtomicBool,
    timestamps: AtomicBool,
    keep_history: AtomicBool,
    /// Given by shards and taken by the writer, ever; and what the writer has not written yet.
    given_bytes: AtomicU64,
    taken_bytes: AtomicU64,
    waiting_bytes: AtomicU64,
    /// Writes are refused because so much waits.
    told_behind: AtomicBool,
    /// Of all files, and what it was after the last rewrite.
    pub current_bytes: AtomicU64,
    pub base_bytes: AtomicU64,
    pub delayed_syncs: AtomicU64,
    /// Syncs on the way.
    pub pending_syncs: AtomicU64,
    /// Errors of the last write and the last sync, 0 when it went well.
    write_errno: AtomicI32,
    sync_errno: AtomicI32,
    /// A sync has failed. What it was to bring to the disk may be missing in the file although later ones succeed: the system
    /// forgets it. So nothing counts as synced until a rewrite has written everything anew.
    pub(super) lost_sync: AtomicBool,
    /// DEBUG AOF-FLUSH-SLEEP.
    pub flush_sleep_us: AtomicU64,
    /// For LATENCY: what took how many milliseconds, and when.
    events: Mutex<Vec<(&'static str, u64, u64)>>,
}

impl Aof {
    pub fn new(shards: usize) -> Aof {
        let (sender, receiver) = unbounded();
        let counters = || (0..shards).map(|_| AtomicU64::new(0)).collect();
        Aof {
            sender,
            receiver: Mutex::new(Some(receiver)),
            state: Mutex::default(),
            generation: AtomicU64::new(0),
            released: counters(),
            synced: counters(),
            holders: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            waiters: AtomicUsize::new(0),
            policy: AtomicU8::new(Policy::EverySecond as u8),
            no_sync_on_rewrite: AtomicBool::new(false),
            timestamps: AtomicBool::new(false),
            keep_history: AtomicBool::new(false),
            given_bytes: AtomicU64::new(0),
            taken_bytes: AtomicU64::new(0),
            waiting_bytes: AtomicU64::new(0),
            told_behind: AtomicBool::new(false),
            current_bytes: AtomicU64::new(0),
            base_bytes: AtomicU64::new(0),
            delayed_syncs: AtomicU64::new(0),
            pending_syncs: AtomicU64::new(0),
            write_errno: AtomicI32::new(0),
            sync_errno: AtomicI32::new(0),
            lost_sync: AtomicBool::new(false),
            flush_sleep_us: AtomicU64::new(0),
            events: Mutex::default(),
        }
    }

    /// Takes over the settings.
    pub fn configure(&self, config: &Config) {
        let policy = match config.choice(id::APPENDFSYNC).as_str() {
            "always" => Policy::Always,
            "no" => Policy::No,
            _ => Policy::EverySecond,
        };
        self.policy.store(policy as u8, Ordering::Release);
        self.no_sync_on_rewrite.store(config.flag(id::NO_APPENDFSYNC_ON_REWRITE), Ordering::Relaxed);
        self.timestamps.store(config.flag(id::AOF_TIMESTAMP_ENABLED), Ordering::Relaxed);
        self.keep_history.store(config.flag(id::AOF_DISABLE_AUTO_GC), Ordering::Relaxed);
        self.tell(Message::Look);
    }

    pub fn policy(&self) -> Policy {
        match self.policy.load(Ordering::Acquire) {
            0 => Policy::No,
            1 => Policy::EverySecond,
            _ => Policy::Always,
        }
    }

    /// How things stand.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- for writers: the thread, and the simulation's own -------------------------------------------------------

    #[doc(hidden)]
    pub fn take_receiver(&self) -> Option<Receiver<Message>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    #[doc(hidden)]
    pub fn release_up_to(&self, shard: ShardId, chunk: u64) {
        self.released[shard.index()].fetch_max(chunk, Ordering::AcqRel);
    }

    // --- for cores ---------------------------------------------------------------------------------------------

    /// Gives the writer what a shard did.
    pub fn give(&self, shard: ShardId, chunk: LogChunk) {
        self.given_bytes.fetch_add(chunk.bytes(), Ordering::Relaxed);
        self.tell(Message::Chunk(shard, chunk));
    }

    /// Tells the writer. Without one it stays unheard.
    pub fn tell(&self, message: Message) {
        // Both ends are here, or the writer has ended with the process.
        let _ = self.sender.send(message);
    }

    /// A shard's last chunk whose replies may leave.
    #[inline]
    pub fn released(&self, shard: ShardId) -> u64 {
        self.released[shard.index()].load(Ordering::Acquire)
    }

    /// A shard's last chunk that is on disk.
    #[inline]
    pub fn synced(&self, shard: ShardId) -> u64 {
        self.synced[shard.index()].load(Ordering::Acquire)
    }

    /// A core keeps replies back until something is released, or no longer.
    #[inline]
    pub fn note_holder(&self, core: ShardId, holds: bool) {
        self.holders[core.index()].store(holds, Ordering::Relaxed);
    }

    /// How often the log was switched off.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// CONFIG SET appendonly no. Every core switches its log off when it sees it.
    pub fn switch_off(&self) {
        let mut state = self.state();
        if state.mode != LogMode::Off {
            state.mode = LogMode::Off;
            state.closing = true;
            state.rewrite_scheduled = false;
            self.generation.fetch_add(1, Ordering::Release);
        }
    }

    /// CONFIG SET appendonly yes: it begins with a rewrite.
    pub fn switch_on(&self) {
        let mut state = self.state();
        if state.mode == LogMode::Off {
            state.mode = LogMode::WaitRewrite;
            state.rewrite_scheduled = true;
            // Redis: with the log begun anew, what was wrong with the last one does not matter.
            self.write_errno.store(0, Ordering::Relaxed);
            self.sync_errno.store(0, Ordering::Relaxed);
        }
    }

    /// Why writes are to be refused: the number of the system's error.
    pub fn error(&self) -> Option<i32> {
        let of = |errno: &AtomicI32| Some(errno.load(Ordering::Relaxed)).filter(|errno| *errno != 0);
        of(&self.write_errno).or_else(|| of(&self.sync_errno))
    }

    /// Is the disk so far behind that writes are to be refused?
    pub fn is_behind(&self) -> bool {
        self.pending_bytes() > MAX_PENDING_BYTES
    }

    /// What is given and not written.
    pub fn pending_bytes(&self) -> u64 {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Taken first: what is given meanwhile counts twice rather than not at all.
        let taken = of(&self.taken_bytes);
        of(&self.given_bytes).saturating_sub(taken) + of(&self.waiting_bytes)
    }

    pub(super) fn note_behind(&self, behind: bool) {
        self.told_behind.store(behind, Ordering::Relaxed);
    }

    /// True when some of it was not known.
    pub(super) fn note_synced(&self, chunks: &[u64]) -> bool {
        let mut any = false;
        for (synced, chunk) in self.synced.iter().zip(chunks) {
            any |= synced.fetch_max(*chunk, Ordering::SeqCst) < *chunk;
        }
        any
    }

    /// Takes what is to be known of delays.
    pub fn take_events(&self) -> Vec<(&'static str, u64, u64)> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn event(&self, name: &'static str, at_s: u64, ms: u64) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if ms > 0 && events.len() < MAX_EVENTS {
            events.push((name, at_s, ms));
        }
    }
}

fn errno(error: &io::Error) -> i32 {
    // EIO where the system gave no number (a write of no bytes).
    error.raw_os_error().unwrap_or(5)
}
