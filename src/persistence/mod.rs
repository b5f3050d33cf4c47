//! What survives the process: snapshots, written without fork, and the append-only file.
//!
//! - [`save`]: a snapshot's way from the shards into a file.
//! - [`aof`]: the append-only file: what is logged, its files, its rewriting, its loading.
//! - [`load`]: a file's way to the owners of its keys.
//! - [`check`]: what `coreshard check-rdb` says of a file.
//! - [`convert`] and [`verify`]: files of other versions, and whether two places hold the same.
//! - [`faults`]: disks that fail, for tests.
//! - [`Durable`]: what all cores know of these. Threads of its own write and read files; no core waits for a disk.
//!
//! ```text
//!   shard 0 ── groups of keys, serialised ──┐                          ┌── entries, unparsed ──▶ shard 0
//!   shard 1 ────────────────────────────────┼──▶ writer ──▶ file       │
//!   shard 2 ────────────────────────────────┘        file ──▶ reader ──┴──────────────────────▶ shard 1
//! ```
//!
//! INVARIANT: a file becomes visible under its name only when all of it is on disk; what was there before stays until
//! then.

pub mod aof;
pub mod check;
pub mod convert;
pub mod faults;
pub mod load;
pub mod save;
pub mod verify;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use load::Load;
use save::{Outcome, SaveJob, SaveOptions};

use crate::config::Config;
use crate::config::id::{self, IntegerId};
use crate::rdb::Target;
use crate::sys::clock;

/// After a failed save the next automatic one waits this long. Redis's number.
const RETRY_SECONDS: u64 = 5;

/// What the process that runs the cores lends to persistence.
pub struct Host {
    /// Gives every core a turn.
    pub wake: Box<dyn Fn() + Send + Sync>,
    /// Ends a core's sleep.
    pub rouse: Box<dyn Fn(usize) + Send + Sync>,
    /// Writes a line into the log: its level, its text.
    pub log: fn(u8, &[u8]),
}

/// The levels of lines in the log.
pub mod level {
    pub const NOTICE: u8 = 2;
    pub const WARNING: u8 = 3;
}

/// A save is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlreadyRunning;

/// How saving and loading stand.
#[derive(Default)]
pub struct State {
    pub saving: Option<Arc<SaveJob>>,
    /// BGSAVE SCHEDULE.
    pub scheduled: bool,
    /// Seconds since the epoch.
    pub last_save_s: u64,
    pub last_try_s: u64,
    pub last_failed: bool,
    /// How long the last save took.
    pub last_took_s: Option<u64>,
    pub saves: u64,
    /// The load under way, or the last one.
    pub load: Option<Arc<Load>>,
    pub keys_expired: u64,
    pub keys_loaded: u64,
}

/// Clients wait while the data set is saved and loaded again at the wish of one of them.
#[derive(Default)]
struct Hold {
    is_on: AtomicBool,
    /// Counts how often the cores were asked to come to rest.
    round: AtomicU64,
    /// Cores that have, in this round.
    rested: AtomicUsize,
}

/// One per process.
pub struct Durable {
    /// The append-only file.
    pub aof: aof::Aof,
    /// DEBUG DISK-FAULT.
    pub faults: faults::Faults,
    state: Mutex<State>,
    host: OnceLock<Host>,
    /// Raised when a save or a load has ended, or a shutdown is asked for.
    news: AtomicU64,
    /// Some commands may have to be refused: look closer.
    gated: AtomicBool,
    loading: AtomicBool,
    hold: Hold,
    /// Changes since the start, per shard.
    dirty: Vec<AtomicU64>,
    /// Of their sum, what is in the last file.
    saved_dirty: AtomicU64,
    /// A signal asked for the end.
    pub stop_asked: AtomicBool,
    /// SHUTDOWN ABORT.
    pub abort_asked: AtomicBool,
    /// A shutdown is under way.
    pub stopping: AtomicBool,
}

impl Durable {
    /// Nothing is saved, loaded or logged yet.
    pub fn new(shards: usize) -> Durable {
        let now_s = clock::realtime_ms() / 1000;
        Durable {
            aof: aof::Aof::new(shards),
            faults: faults::Faults::default(),
            state: Mutex::new(State { last_save_s: now_s, ..State::default() }),
            host: OnceLock::new(),
            news: AtomicU64::new(0),
            gated: AtomicBool::new(false),
            loading: AtomicBool::new(false),
            hold: Hold::default(),
            dirty: (0..shards).map(|_| AtomicU64::new(0)).collect(),
            saved_dirty: AtomicU64::new(0),
            stop_asked: AtomicBool::new(false),
            abort_asked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        }
    }

    /// From now on there is a process around the cores. Without one nothing is saved by itself.
    pub fn attach(&self, host: Host) {
        // A second host in one process is not a thing.
        let _ = self.host.set(host);
    }

    /// Is there a process around the cores?
    pub fn is_attached(&self) -> bool {
        self.host.get().is_some()
    }

    /// Writes a line into the process's log, when there is a process.
    pub fn log(&self, level: u8, text: impl AsRef<str>) {
        if let Some(host) = self.host.get() {
            (host.log)(level, text.as_ref().as_bytes());
        }
    }

    /// How things stand.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that grows whenever there is something for a core to look at.
    #[inline]
    pub fn news(&self) -> u64 {
        self.news.load(Ordering::Acquire)
    }

    /// Makes every core look.
    pub fn tell(&self) {
        self.news.fetch_add(1, Ordering::Release);
        if let Some(host) = self.host.get() {
            (host.wake)();
        }
    }

    /// Must some commands be looked at closer before they run?
    #[inline]
    pub fn is_gated(&self) -> bool {
        self.gated.load(Ordering::Relaxed)
    }

    /// Is something loaded? Then clients are told so.
    #[inline]
    pub fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    fn set_gate(&self, state: &State) {
        let behind = self.aof.is_behind();
        self.aof.note_behind(behind);
        let cannot_log = behind || self.aof.error().is_some();
        let waits = self.is_loading() || self.is_held();
        self.gated.store(waits || state.last_failed || cannot_log, Ordering::Relaxed);
    }

    // --- holding clients ----------------------------------------------------------------------------------------

    /// Do clients' commands wait until a reload is over?
    #[inline]
    pub fn is_held(&self) -> bool {
        self.hold.is_on.load(Ordering::Acquire)
    }

    /// From here on clients' commands wait. False when they do already, for somebody else.
    pub fn hold_clients(&self) -> bool {
        if self.hold.is_on.swap(true, Ordering::AcqRel) {
            return false;
        }
        let state = self.state();
        self.set_gate(&state);
        drop(state);
        self.ask_for_rest();
        true
    }

    /// They go on.
    pub fn let_clients_go(&self) {
        self.hold.is_on.store(false, Ordering::Release);
        let state = self.state();
        self.set_gate(&state);
        drop(state);
        self.tell();
    }

    /// Every core is to say when nothing is under way that it began.
    pub fn ask_for_rest(&self) {
        self.hold.rested.store(0, Ordering::Release);
        self.hold.round.fetch_add(1, Ordering::AcqRel);
        self.tell();
    }

    /// Which time it is that cores are asked to come to rest; 0 when they are not.
    #[inline]
    pub fn round_of_rest(&self) -> u64 {
        if self.is_held() { self.hold.round.load(Ordering::Acquire) } else { 0 }
    }

    /// A core has come to rest, in this round.
    pub fn core_rests(&self) {
        if self.hold.rested.fetch_add(1, Ordering::AcqRel) + 1 == self.dirty.len() {
            self.tell();
        }
    }

    pub fn all_rest(&self) -> bool {
        self.hold.rested.load(Ordering::Acquire) == self.dirty.len()
    }

    // --- the log -----------------------------------------------------------------------------------------------

    /// Replies may leave: who sleeps and has some does so no longer.
    fn rouse_holders(&self) {
        let Some(host) = self.host.get() else { return };
        // A core says that it holds replies, then that it sleeps, then looks what is released. So either it sees what was
        // released just now, or it is seen here.
        fence(Ordering::SeqCst);
        let holders = self.aof.holders.iter().enumerate().filter(|(_, holds)| holds.load(Ordering::Relaxed));
        holders.for_each(|(core, _)| (host.rouse)(core));
    }

    /// Whether the log can be written is another thing now.
    pub fn aof_status_changed(&self) {
        let state = self.state();
        self.set_gate(&state);
    }

    /// These chunks are on disk, per shard, as far as is known.
    fn aof_synced(&self, chunks: &[u64]) {
        if self.aof.lost_sync.load(Ordering::Acquire) {
            return;
        }
        if self.aof.note_synced(chunks) && self.aof.waiters.load(Ordering::SeqCst) > 0 {
            self.tell();
        }
    }

    /// Gives up the rewrite under way.
    pub fn cancel_rewrite(&self) -> bool {
        let state = self.state();
        let rewrite = state.saving.as_ref().filter(|job| job.is_rewrite());
        if let Some(job) = rewrite {
            self.log(level::NOTICE, "Killing the running AOF rewrite (which is no child process)");
            job.cancel();
        }
        rewrite.is_some()
    }

    /// Is a snapshot written, whatever for?
    pub fn is_saving(&self) -> bool {
        self.state().saving.is_some()
    }

    /// The log's writer is through with a rewrite.
    fn rewrite_ended(&self, job: &SaveJob, outcome: &Outcome) {
        let now_s = clock::realtime_ms() / 1000;
        let mut state = self.state();
        state.saving = None;
        let mut aof = self.aof.state();
        match outcome {
            Outcome::Saved { .. } => {
                aof.rewrite_failed = false;
                aof.failures_in_a_row = 0;
            }
            Outcome::Failed(_) => {
                aof.rewrite_failed = true;
                aof.failures_in_a_row += 1;
                aof.rewrite_scheduled |= aof.mode == aof::LogMode::WaitRewrite;
            }
            // FLUSHALL, or the log was switched: it is begun anew.
            Outcome::Cancelled => aof.rewrite_scheduled |= aof.mode != aof::LogMode::Off,
        }
        aof.last_rewrite_took_s = Some(now_s.saturating_sub(job.begun_s));
        drop(aof);
        self.set_gate(&state);
        drop(state);
        self.tell();
        self.aof.tell(aof::Message::Look);
    }

    // --- changes -----------------------------------------------------------------------------------------------

    /// A shard's changes since the start.
    #[inline]
    pub fn set_dirty(&self, shard: usize, changes: u64) {
        if self.dirty[shard].load(Ordering::Relaxed) != changes {
            self.dirty[shard].store(changes, Ordering::Relaxed);
        }
    }

    fn all_changes(&self) -> u64 {
        self.dirty.iter().map(|changes| changes.load(Ordering::Relaxed)).sum()
    }

    /// Changes that are in no file.
    pub fn changes(&self) -> u64 {
        self.unsaved_of(self.all_changes())
    }

    /// The same of a sum that is known.
    pub fn unsaved_of(&self, all: u64) -> u64 {
        all.saturating_sub(self.saved_dirty.load(Ordering::Relaxed))
    }

    /// Is it time for a save, by the save points? Redis: not soon after one that failed.
    pub fn is_save_due(&self, config: &Config) -> Option<String> {
        let changes = self.changes();
        if changes == 0 {
            return None;
        }
        let now_s = clock::realtime_ms() / 1000;
        let state = self.state();
        if state.saving.is_some() || (state.last_failed && now_s <= state.last_try_s + RETRY_SECONDS) {
            return None;
        }
        let since_s = now_s.saturating_sub(state.last_save_s);
        let is_due =
            |rule: &&crate::config::SaveRule| changes >= u64::from(rule.changes) && since_s > rule.seconds;
        let rule = config.save_rules().iter().find(is_due)?;
        Some(format!("{} changes in {} seconds. Saving...", rule.changes, rule.seconds))
    }

    // --- saving ------------------------------------------------------------------------------------------------

    /// CONFIG RESETSTAT: how often there was something to save, to rewrite or to wait for.
    pub fn reset_stats(&self) {
        self.state().saves = 0;
        self.aof.state().rewrites = 0;
        self.aof.delayed_syncs.store(0, Ordering::Relaxed);
    }

    /// Begins a save: its writer waits for the shards' parts. The caller brings the shards to their serial point.
    pub fn begin_save(self: &Arc<Self>, options: SaveOptions) -> Result<Arc<SaveJob>, AlreadyRunning> {
        let mut state = self.state();
        if state.saving.is_some() {
            return Err(AlreadyRunning);
        }
        if options.base.is_some() {
            let mut aof = self.aof.state();
            aof.rewrite_scheduled = false;
            aof.rewrites += 1;
        } else {
            state.scheduled = false;
            state.last_try_s = clock::realtime_ms() / 1000;
        }
        let (job, has_begun) = SaveJob::begin(self.clone(), options, self.dirty.len());
        if has_begun {
            state.saving = Some(job.clone());
        } else if job.is_rewrite() {
            drop(state);
            self.rewrite_ended(&job, &Outcome::Failed("no thread can be started".into()));
        } else {
            // It could not even begin.
            state.last_failed = true;
            self.set_gate(&state);
            drop(state);
            self.tell();
        }
        Ok(job)
    }

    /// Gives up the save under way. News tell when it has ended.
    pub fn cancel_save(&self) -> bool {
        match &self.state().saving {
            Some(job) => {
                job.cancel();
                true
            }
            None => false,
        }
    }

    /// The writer has ended. `dirty` is what the file holds.
    fn save_ended(&self, job: &SaveJob, failed: bool, cancelled: bool, dirty: u64) {
        let mut state = self.state();
        let now_s = clock::realtime_ms() / 1000;
        state.saving = None;
        if !cancelled {
            state.last_failed = failed;
            state.last_took_s = Some(now_s.saturating_sub(job.begun_s));
            if !failed {
                state.last_save_s = now_s;
                state.saves += 1;
                self.saved_dirty.store(dirty, Ordering::Relaxed);
            }
        }
        self.set_gate(&state);
        drop(state);
        self.tell();
    }

    /// Everything there is was just read from a file.
    fn all_is_saved(&self) {
        self.saved_dirty.store(self.all_changes(), Ordering::Relaxed);
    }
}

/// A delay per key in microseconds. Redis: negative ones are less than one each, which is nothing here.
pub fn delay_of(config: &Config, setting: IntegerId) -> u64 {
    u64::try_from(config.integer(setting)).unwrap_or(0)
}

/// For which Redis files are written.
pub fn target_of(config: &Config) -> Target {
    // The setting takes no version that cannot be written.
    let chosen = |version| Target::exactly(version, clock::realtime_ms());
    match config.choice_bits(id::RDB_WRITE_VERSION) {
        0 => Target::FILE,
        version => u16::try_from(version).ok().and_then(chosen).unwrap_or(Target::FILE),
    }
}

/// The snapshot's file as the configuration names it, whatever the working directory becomes.
pub fn path_of(config: &Config) -> PathBuf {
    let name = config.text(id::DBFILENAME);
    std::env::current_dir().map_or_else(|_| name.into(), |folder| folder.join(name))
}
