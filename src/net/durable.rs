//! A core's part in saving and loading: it starts what its clients or the clock ask for, takes its share of a file that
//! is loaded, and answers when threads of `persistence` have finished.
//!
//! Whoever waits is a [`Job`] of the core it came to. News (`Durable::news`) make every core look at its jobs; nothing
//! polls.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Receiver;

use super::client::Stall;
use super::core::Core;
use crate::commands::context::ClientView;
use crate::commands::spec::Flags;
use crate::commands::{CommandError, Entry};
use crate::config::id;
use crate::persistence::aof::find::find;
use crate::persistence::aof::manifest::Folder;
use crate::persistence::aof::replay::LogOptions;
use crate::persistence::aof::{LogMode, Message};
use crate::persistence::load::{Batch, Load, LoadOptions};
use crate::persistence::save::{Functions, Outcome, SaveJob, SaveOptions};
use crate::persistence::{AlreadyRunning, Durable, delay_of, level, path_of};
use crate::rdb::file::FileEntry;
use crate::rdb::{Limits, RdbError};
use crate::resp::{Output, Reply};
use crate::runtime::face::{ConnId, ListenerKind, NetIo};
use crate::shard::Moved;
use crate::shard::access::Counting;
use crate::sys::{clock, signals};
use crate::tx::coordinator::Claim;
use crate::tx::execute::write_error;
use crate::tx::intents::Mode;
use crate::tx::message::Token;
use crate::tx::multi::{Plan, Snapshotting};
use crate::types::{DbIndex, STRING_BYTES_MAX, ShardId};

/// Redis's text.
pub const IN_PROGRESS: CommandError = CommandError::Line("ERR Background save already in progress");
const SAVE_FAILED: CommandError = CommandError::Line("ERR");
const LOAD_FAILED: CommandError =
    CommandError::Line("ERR Error trying to load the RDB dump, check server logs.");
const LOG_LOAD_FAILED: CommandError =
    CommandError::Line("ERR Error trying to load the AOF files, check server logs.");
const SHUTDOWN_FAILED: CommandError = CommandError::Line("ERR Errors trying to SHUTDOWN. Check logs.");
pub const SWITCHED_OFF: CommandError =
    CommandError::Line("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
const LOADING: CommandError = CommandError::Line("LOADING Redis is loading the dataset in memory");

/// Batches of a file that a core takes in one turn.
const BATCHES_PER_TURN: usize = 4;
/// A shutdown saves again when something changed while it saved, so many times.
const SHUTDOWN_SAVES: usize = 4;
/// Of keys without a value in a file the log names so many. Redis's number.
const EMPTY_KEYS_TOLD: u64 = 10;
/// A transaction that nobody waits for.
const NOBODY: Token = Token { index: u32::MAX, generation: u32::MAX, seq: 0 };

/// What waits for the end of a save or a load.
pub enum Job {
    Save {
        token: Token,
        /// Until no other is under way: none.
        save: Option<Arc<SaveJob>>,
    },
    /// WAITAOF.
    Synced {
        token: Token,
        /// Per shard, the last chunk of its log that is to be on disk.
        needs: Box<[u64]>,
        /// How many files and replicas must have it.
        wanted: (i64, i64),
        deadline_ns: Option<u64>,
    },
    /// DEBUG RELOAD and DEBUG LOADAOF.
    Reload {
        token: Token,
        asked: Asked,
        phase: ReloadPhase,
    },
    Shutdown(Shutdown),
    /// Another core shuts down.
    End {
        token: Token,
    },
    /// A save is under way already.
    Refuse {
        token: Token,
    },
}

/// What is to be loaded, at the wish of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// DEBUG RELOAD: save first, empty the databases, let keys of the file replace others?
    Snapshot { save: bool, flush: bool, merge: bool },
    /// DEBUG LOADAOF.
    Log,
}

/// How far a shutdown that saves is.
pub enum Phase {
    /// Until no other save is under way.
    Wait,
    Saving(Arc<SaveJob>),
}

/// How far a reload is. Clients' commands wait from its second step on until its end: what they wrote behind the serial
/// point of its snapshot would be acknowledged and lost.
pub enum ReloadPhase {
    /// Until no other save or reload is under way.
    Wait,
    /// Until nothing is under way on any core. A message may be on its way from one that rests to another, and begin
    /// something there, so all are asked once more.
    Rest {
        again: bool,
    },
    Save,
    Saving(Arc<SaveJob>),
    Load,
    Loading(Arc<Load>),
}

/// How to shut down.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ShutdownOptions {
    pub save: bool,
    pub nosave: bool,
    pub force: bool,
}

/// A shutdown that saves first.
pub struct Shutdown {
    /// Whom to answer if it fails; nobody when a signal asked.
    token: Option<Token>,
    force: bool,
    phase: Phase,
    saves: usize,
    /// CLIENT PAUSE as it was before.
    paused_before: (i64, bool),
}

/// Is it neither loading nor ending?
fn durable_is_serving(durable: &Durable) -> bool {
    durable.is_attached()
        && !durable.is_loading()
        && !durable.is_held()
        && !durable.stopping.load(Ordering::Relaxed)
}

/// A file's batches for this core.
pub type Loading = (Arc<Load>, Receiver<Batch>);

impl Core {
    // --- gates -------------------------------------------------------------------------------------------------

    /// Does this command wait until a reload is over?
    #[cold]
    pub fn reload_holds(&mut self, conn: ConnId, entry: &Entry) -> bool {
        if !self.shared.durable.is_held() {
            return false;
        }
        let table = self.table;
        let client = self.clients.at(conn.index);
        if client.kind == ListenerKind::Loader {
            return false;
        }
        let waits = |entry: &Entry| !entry.row.flags.has(Flags::LOADING);
        waits(entry)
            || (entry.full_name == "exec"
                && client
                    .multi
                    .as_deref()
                    .is_some_and(|multi| multi.commands.iter().any(|(row, _)| waits(table.entry(*row)))))
    }

    /// Why a command may not run while the data set is loaded, or cannot be saved.
    #[cold]
    pub fn durable_refusal(&mut self, conn: ConnId, entry: &Entry) -> Option<CommandError> {
        if self.clients.at(conn.index).kind == ListenerKind::Loader {
            return None;
        }
        let durable = &self.shared.durable;
        if durable.is_loading() && !entry.row.flags.has(Flags::LOADING) {
            return Some(LOADING);
        }
        // Redis: PING tells of it too.
        let told = entry.is_write || entry.full_name == "ping";
        match () {
            () if !told => None,
            () if self.cannot_save() => Some(CommandError::CannotSave),
            () => self.cannot_log().map(CommandError::CannotLog),
        }
    }

    /// Why the append-only file cannot be written, if there is one: the system's number, 0 when it is too slow.
    pub fn cannot_log(&self) -> Option<i32> {
        let aof = &self.shared.durable.aof;
        if !self.shared.durable.is_gated() || aof.state().mode == LogMode::Off {
            return None;
        }
        aof.error().or_else(|| aof.is_behind().then_some(0))
    }

    /// Did the last save fail, and are writes to be refused for it?
    pub fn cannot_save(&self) -> bool {
        self.shared.durable.is_gated()
            && self.config.flag(id::STOP_WRITES_ON_BGSAVE_ERROR)
            && self.has_save_rules
            && self.shared.durable.state().last_failed
    }

    // --- saving ------------------------------------------------------------------------------------------------

    /// Begins a save. With a client it is answered `line` when all shards have begun; true says that it must wait.
    pub fn start_save(
        &mut self,
        client: Option<(Token, ClientView, &'static str)>,
    ) -> Result<Arc<SaveJob>, AlreadyRunning> {
        let options = SaveOptions {
            functions: self.functions(),
            ..SaveOptions::of(&self.config, self.shared.memory.total())
        };
        self.begin_save(client, options)
    }

    /// Begins a rewrite of the append-only file. Clients are as with [`Core::start_save`].
    pub fn start_rewrite(
        &mut self,
        client: Option<(Token, ClientView, &'static str)>,
    ) -> Result<Arc<SaveJob>, AlreadyRunning> {
        let mut options = SaveOptions {
            functions: self.functions(),
            ..SaveOptions::of_base(&self.config, self.shared.memory.total())
        };
        {
            let aof = self.shared.durable.aof.state();
            if aof.closing {
                return Err(AlreadyRunning);
            }
            if let Some(base) = &mut options.base {
                base.logged = aof.mode != LogMode::Off;
            }
        }
        let job = self.begin_save(client, options)?;
        self.shared.durable.log(level::NOTICE, "Background append only file rewriting started");
        Ok(job)
    }

    fn functions(&self) -> Functions {
        let shared = self.shared.clone();
        Functions::new(move || {
            let libraries = shared.scripts.libraries.all();
            libraries.iter().map(|library| library.source.to_vec()).collect()
        })
    }

    fn begin_save(
        &mut self,
        client: Option<(Token, ClientView, &'static str)>,
        options: SaveOptions,
    ) -> Result<Arc<SaveJob>, AlreadyRunning> {
        let job = self.shared.durable.begin_save(options)?;
        if self.shared.shards == 1 {
            self.end_changing_slices();
            self.shard.begin_snapshot(&job);
            return Ok(job);
        }
        let claims = (0..self.shared.shards).map(|shard| {
            let mut claim = Claim::default();
            claim.intents.add_whole(Mode::Shared);
            (ShardId(shard as u16), claim)
        });
        let (token, view, line) = client.unwrap_or((NOBODY, ClientView::default(), ""));
        let plan = Snapshotting::new(Arc::new(job.clone()), self.shared.shards, line);
        self.coordinator.begin(token, view, claims.collect(), Plan::Snapshot(Box::new(plan)));
        Ok(job)
    }

    /// Tells others how much this shard has changed, and saves when it is time.
    pub fn durable_cron(&mut self) {
        let durable = self.shared.durable.clone();
        if !durable_is_serving(&durable) {
            return;
        }
        if self.me == ShardId(0) {
            self.tell_log_events();
        }
        if self.rewrite_if_due() {
            return;
        }
        let scheduled = {
            let state = durable.state();
            state.scheduled && state.saving.is_none()
        };
        if scheduled {
            // Another core may have been faster.
            let _ = self.start_save(None);
        } else if self.has_save_rules
            && let Some(text) = durable.is_save_due(&self.config)
            && self.start_save(None).is_ok()
        {
            durable.log(level::NOTICE, text);
            durable.log(level::NOTICE, "Background saving started");
        }
    }

    /// Rewrites the append-only file if somebody asked for it earlier, or it has grown. True when that began.
    fn rewrite_if_due(&mut self) -> bool {
        let durable = self.shared.durable.clone();
        if durable.is_saving() {
            return false;
        }
        let now_s = clock::realtime_ms() / 1000;
        let log = |text: String| durable.log(level::WARNING, text);
        let mut aof = durable.aof.state();
        let growth = || {
            let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
            let (now, base) = (of(&durable.aof.current_bytes), of(&durable.aof.base_bytes).max(1));
            let percent = self.config.integer(id::AUTO_AOF_REWRITE_PERCENTAGE) as u64;
            let growth = (u128::from(now) * 100 / u128::from(base)).saturating_sub(100);
            let is_large = now > self.config.memory(id::AUTO_AOF_REWRITE_MIN_SIZE);
            (percent > 0 && is_large && growth >= u128::from(percent)).then_some(growth)
        };
        if aof.closing {
            return false;
        }
        if aof.rewrite_scheduled {
            if aof.is_limited(now_s, log) {
                return false;
            }
        } else if aof.mode == LogMode::On
            && let Some(growth) = growth()
            && !aof.is_limited(now_s, log)
        {
            durable.log(level::NOTICE, format!("Starting automatic rewriting of AOF on {growth}% growth"));
        } else {
            return false;
        }
        drop(aof);
        self.start_rewrite(None).is_ok()
    }

    /// What the log's threads have measured becomes events of LATENCY.
    fn tell_log_events(&mut self) {
        for (name, at_s, ms) in self.shared.durable.aof.take_events() {
            self.observe.latency.add(name, at_s, ms);
        }
    }

    /// When a job is to be looked at although there is no news.
    pub(super) fn job_deadline_ns(&self) -> Option<u64> {
        let of = |job: &Job| match job {
            Job::Synced { deadline_ns, .. } => *deadline_ns,
            _ => None,
        };
        self.jobs.iter().filter_map(of).min()
    }

    /// Once a turn: changes are counted, and what threads have finished is followed up.
    #[inline]
    pub fn durable_turn(&mut self, io: &mut dyn NetIo) -> bool {
        self.shared.durable.set_dirty(self.me.index(), self.shard.effects.dirty);
        if self.shard.snapshot.flushed_all {
            self.flushed_all();
        }
        let round = self.shared.durable.round_of_rest();
        if round != 0 && round != self.rested_in && self.is_at_rest() {
            self.rested_in = round;
            self.shared.durable.core_rests();
        }
        let news = self.shared.durable.news();
        if news != self.news_seen {
            self.news_seen = news;
            self.step_jobs(io);
            let may_begin = durable_is_serving(&self.shared.durable);
            if self.me == ShardId(0) && may_begin {
                self.rewrite_if_due();
            }
        } else if self.job_deadline_ns().is_some_and(|at| at <= self.now_ns) {
            self.step_jobs(io);
        }
        self.shared.durable.is_loading() && self.load_some(io)
    }

    /// Redis: with save points, FLUSHALL writes the empty data set at once.
    #[cold]
    fn flushed_all(&mut self) {
        self.shard.snapshot.flushed_all = false;
        if self.me == ShardId(0) && self.has_save_rules {
            self.shared.durable.state().scheduled = true;
        }
    }

    // --- jobs --------------------------------------------------------------------------------------------------

    /// Something waits for the end of a save or a load.
    pub fn begin_job(&mut self, io: &mut dyn NetIo, job: Job) {
        self.jobs.push(job);
        self.step_jobs(io);
    }

    #[cold]
    fn step_jobs(&mut self, io: &mut dyn NetIo) {
        if self.me == ShardId(0) && self.shared.durable.stop_asked.swap(false, Ordering::AcqRel) {
            self.stop_by_signal(io);
        }
        for job in std::mem::take(&mut self.jobs) {
            if let Some(job) = self.step_job(io, job) {
                self.jobs.push(job);
            }
        }
    }

    fn step_job(&mut self, io: &mut dyn NetIo, job: Job) -> Option<Job> {
        match job {
            Job::Save { token, save: None } => Some(Job::Save { token, save: self.start_save(None).ok() }),
            Job::Save { token, save: Some(save) } => match save.outcome() {
                None => Some(Job::Save { token, save: Some(save) }),
                Some(Outcome::Saved { .. }) => self.answer(token, None),
                Some(Outcome::Cancelled | Outcome::Failed(_)) => self.answer(token, Some(SAVE_FAILED)),
            },
            Job::Synced { token, needs, wanted, deadline_ns } => {
                let conn = ConnId { index: token.index, generation: token.generation };
                let is_gone = self.clients.get(conn).is_none();
                let local = i64::from(self.is_synced(&needs));
                // Redis: when the log is switched off, nobody waits for it.
                let is_off = wanted.0 > 0 && self.shared.durable.aof.state().mode == LogMode::Off;
                let is_over = deadline_ns.is_some_and(|at| at <= self.now_ns);
                if !is_gone && !is_over && !is_off && (local < wanted.0 || wanted.1 > 0) {
                    return Some(Job::Synced { token, needs, wanted, deadline_ns });
                }
                self.shared.durable.aof.waiters.fetch_sub(1, Ordering::SeqCst);
                match is_off && !is_over {
                    true => self.answer(token, Some(SWITCHED_OFF)),
                    false => self.answer_with(token, |reply| {
                        reply.array(2);
                        reply.int(local);
                        reply.int(0);
                    }),
                }
            }
            Job::Reload { token, asked, phase } => self.step_reload(token, asked, phase),
            Job::Shutdown(shutdown) => self.step_shutdown(io, shutdown),
            Job::End { token } if self.shared.durable.stopping.load(Ordering::Acquire) => {
                Some(Job::End { token })
            }
            Job::End { token } => self.answer(token, Some(SHUTDOWN_FAILED)),
            Job::Refuse { token } => self.answer(token, Some(IN_PROGRESS)),
        }
    }

    /// Answers a client whose job is done.
    fn answer(&mut self, token: Token, error: Option<CommandError>) -> Option<Job> {
        if let Some(error) = &error {
            self.observe.count_error(error);
        }
        self.answer_with(token, |reply| match error {
            None => reply.ok(),
            Some(error) => write_error(&error, reply),
        })
    }

    fn answer_with(&mut self, token: Token, write: impl FnOnce(&mut Reply<'_>)) -> Option<Job> {
        let conn = ConnId { index: token.index, generation: token.generation };
        let client = self.clients.get(conn)?;
        let mut output = Output::default();
        write(&mut Reply::new(&mut output, client.protocol));
        client.stall = Stall::None;
        self.deliver(token, &mut output);
        self.ready.push_back(conn);
        None
    }

    // --- loading -----------------------------------------------------------------------------------------------

    /// Saves if that is asked for, then loads.
    pub fn reload(&mut self, io: &mut dyn NetIo, token: Token, asked: Asked) {
        self.begin_job(io, Job::Reload { token, asked, phase: ReloadPhase::Wait });
    }

    fn step_reload(&mut self, token: Token, asked: Asked, phase: ReloadPhase) -> Option<Job> {
        let durable = self.shared.durable.clone();
        let saves = matches!(asked, Asked::Snapshot { save: true, .. });
        let mut phase = phase;
        loop {
            phase = match phase {
                ReloadPhase::Wait if (saves && durable.is_saving()) || !durable.hold_clients() => {
                    return Some(Job::Reload { token, asked, phase: ReloadPhase::Wait });
                }
                ReloadPhase::Wait => ReloadPhase::Rest { again: true },
                ReloadPhase::Rest { again } if !durable.all_rest() => {
                    return Some(Job::Reload { token, asked, phase: ReloadPhase::Rest { again } });
                }
                ReloadPhase::Rest { again: true } => {
                    durable.ask_for_rest();
                    ReloadPhase::Rest { again: false }
                }
                ReloadPhase::Rest { again: false } if saves => ReloadPhase::Save,
                ReloadPhase::Rest { again: false } => ReloadPhase::Load,
                ReloadPhase::Save => match self.start_save(None) {
                    Ok(save) => ReloadPhase::Saving(save),
                    Err(AlreadyRunning) => {
                        return Some(Job::Reload { token, asked, phase: ReloadPhase::Save });
                    }
                },
                ReloadPhase::Saving(save) => match save.outcome() {
                    None => return Some(Job::Reload { token, asked, phase: ReloadPhase::Saving(save) }),
                    Some(Outcome::Saved { .. }) => ReloadPhase::Load,
                    Some(_) => return self.end_reload(token, Some(SAVE_FAILED)),
                },
                ReloadPhase::Load => match self.start_load(asked) {
                    Ok(load) => ReloadPhase::Loading(load),
                    Err(error) => return self.reload_failed(token, asked, &error),
                },
                ReloadPhase::Loading(load) => match load.outcome() {
                    // The process ends.
                    Some(Err(_)) if load.is_fatal() => return None,
                    Some(Err(error)) => return self.reload_failed(token, asked, &error),
                    None => return Some(Job::Reload { token, asked, phase: ReloadPhase::Loading(load) }),
                    Some(Ok(())) => {
                        if asked == Asked::Log {
                            durable.log(level::NOTICE, "Append Only File loaded by DEBUG LOADAOF");
                        }
                        return self.end_reload(token, None);
                    }
                },
            };
        }
    }

    fn reload_failed(&mut self, token: Token, asked: Asked, error: &str) -> Option<Job> {
        let durable = &self.shared.durable;
        match asked {
            Asked::Log => durable.log(level::WARNING, error),
            Asked::Snapshot { .. } => durable.log(level::WARNING, format!("Loading fails: {error}")),
        }
        let reply = if asked == Asked::Log { LOG_LOAD_FAILED } else { LOAD_FAILED };
        self.end_reload(token, Some(reply))
    }

    fn end_reload(&mut self, token: Token, error: Option<CommandError>) -> Option<Job> {
        self.shared.durable.let_clients_go();
        self.answer(token, error)
    }

    /// The second half of DEBUG RELOAD, and DEBUG LOADAOF.
    fn start_load(&mut self, asked: Asked) -> Result<Arc<Load>, String> {
        let durable = self.shared.durable.clone();
        let options = LoadOptions {
            path: path_of(&self.config),
            check: self.config.flag(id::RDBCHECKSUM),
            databases: self.shard.dbs.len() as u32,
            flush: true,
            merge: false,
            at_start: false,
            key_delay_us: delay_of(&self.config, id::KEY_LOAD_DELAY),
            now_ms: 0,
            log: None,
        };
        let options = match asked {
            Asked::Snapshot { flush, merge, .. } => LoadOptions {
                check: options.check && !self.skip_checksums,
                flush,
                merge,
                now_ms: clock::realtime_ms(),
                ..options
            },
            // What is in the log takes the place of what is here.
            Asked::Log => {
                let folder = Folder::of(&self.config);
                let found = find(&folder, &durable)?;
                let found = found.ok_or_else(|| "There is no append-only file".to_owned())?;
                let mut log = LogOptions::of(&self.config, found, self.table);
                log.is_written = durable.aof.state().mode != LogMode::Off;
                LoadOptions { path: folder.path, log: Some(log), ..options }
            }
        };
        let (path, shared) = (options.path.clone(), self.shared.clone());
        let then = move |load: &Load| {
            if load.is_fatal() {
                // Redis ends too: what is on disk is better than what is in memory now.
                shared.started_badly.store(true, Ordering::Relaxed);
                shared.stop.store(true, Ordering::Relaxed);
                shared.durable.tell();
            }
        };
        let process = self.shared.clone();
        let loaded = move || {
            if asked == Asked::Log {
                process.durable.aof.tell(Message::Loaded);
            }
            Ok(())
        };
        durable.begin_load(options, loaded, then).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Takes its share of a file that is loaded. True when there was some.
    fn load_some(&mut self, io: &mut dyn NetIo) -> bool {
        if self.loading.is_none() {
            let load = self.shared.durable.state().load.clone();
            self.loading = load.and_then(|load| Some((load.clone(), load.inbox(self.me.index())?)));
        }
        let Some((load, inbox)) = self.loading.take() else { return false };
        let mut any = false;
        for _ in 0..BATCHES_PER_TURN {
            match inbox.try_recv() {
                Err(_) => break,
                Ok(Batch::Flush { libraries }) => {
                    // Redis: a save that is under way is none of the log's business.
                    if load.options.log.is_none() {
                        self.shard.end_snapshot();
                    }
                    for db in 0..self.shard.dbs.len() {
                        self.shard.flush(DbIndex(db as u16), true);
                    }
                    if libraries {
                        self.shared.scripts.libraries.flush();
                    }
                }
                Ok(Batch::Function(source)) => {
                    if let Err(error) = self.load_function(source, load.options.merge) {
                        load.fail(error);
                    }
                }
                Ok(Batch::Entries(entries)) => {
                    load.keys_loaded.fetch_add(entries.len() as u64, Ordering::Relaxed);
                    for entry in entries {
                        if !load.has_failed()
                            && let Err(error) = self.load_entry(&load, &entry)
                        {
                            load.fail(error);
                        }
                    }
                }
                Ok(Batch::Rest(answer)) => {
                    // The loader waits for it.
                    let _ = answer.send(self.is_at_rest());
                }
                Ok(Batch::Replay) => self.begin_replay(),
                Ok(Batch::Commands(commands)) => self.replay(&commands),
                Ok(Batch::Connection(stream)) => self.adopt_loader(io, stream),
                // The loader waits until nobody has this any more.
                Ok(Batch::Reach(reached)) => drop(reached),
                Ok(Batch::End) => {
                    self.end_replay();
                    if self.shared.durable.aof.state().mode == LogMode::On {
                        self.begin_log();
                    }
                    self.shared.durable.set_dirty(self.me.index(), self.shard.effects.dirty);
                    load.core_ended(&self.shared.durable);
                    return true;
                }
            }
            any = true;
        }
        self.loading = Some((load, inbox));
        any
    }

    fn load_entry(&mut self, load: &Load, entry: &FileEntry) -> Result<(), String> {
        let limits = Limits { string_bytes: STRING_BYTES_MAX, encodings: self.shard.settings.encodings };
        let of = |what: &dyn std::fmt::Display| {
            let (path, key) = (load.options.path.display(), entry.key.escape_ascii());
            format!("{path}: the key '{key}' at offset {}: {what}", entry.offset)
        };
        let value = match entry.parse(limits) {
            Err(RdbError::Empty(_)) => {
                load.keys_loaded.fetch_sub(1, Ordering::Relaxed);
                if load.keys_empty.fetch_add(1, Ordering::Relaxed) < EMPTY_KEYS_TOLD {
                    let text = format!("Loading: skipping empty key: {}", entry.key.escape_ascii());
                    self.shared.durable.log(level::NOTICE, text);
                }
                return Ok(());
            }
            parsed => parsed.map_err(|error| of(&error))?,
        };
        let clock = self.shard.access_clock();
        let access = match (clock.counting, entry.idle_seconds, entry.frequency) {
            (Counting::Lru, Some(seconds), _) => clock.with_idle(seconds),
            (Counting::Lfu { .. }, _, Some(frequency)) => clock.with_frequency(frequency),
            _ => clock.fresh(),
        };
        let expire_at_ms = entry.expire_at_ms.map(|at| at.max(0) as u64);
        let mut keys = self.shard.keyspace(DbIndex(entry.db as u16), false);
        let moved = Moved { value, expire_at_ms, access };
        if keys.load(&entry.key, moved, load.options.merge) {
            Ok(())
        } else {
            Err(of(&format!("it is in database {} already", entry.db)))
        }
    }

    // --- the end -----------------------------------------------------------------------------------------------

    fn stop_by_signal(&mut self, io: &mut dyn NetIo) {
        use crate::config::shutdown::{FORCE, NOSAVE, SAVE};
        let setting = match signals::requested() {
            Some(signals::Shutdown::Int) => id::SHUTDOWN_ON_SIGINT,
            _ => id::SHUTDOWN_ON_SIGTERM,
        };
        let bits = self.config.choice_bits(setting);
        let has = |bit: u32| bits & bit != 0;
        let options = ShutdownOptions { save: has(SAVE), nosave: has(NOSAVE), force: has(FORCE) };
        self.shut_down(io, None, options);
    }

    /// Ends the process, after a save if one is due. A client is answered only when that fails.
    pub fn shut_down(&mut self, io: &mut dyn NetIo, token: Option<Token>, options: ShutdownOptions) {
        let durable = self.shared.durable.clone();
        // Redis: the log would be lost that was just asked for.
        let first = durable.state().saving.as_ref().is_some_and(|save| save.is_rewrite());
        let first = {
            let aof = durable.aof.state();
            aof.mode == LogMode::WaitRewrite && (first || aof.rewrite_scheduled)
        };
        if first && !options.force {
            durable.log(level::WARNING, "Writing initial AOF, can't exit.");
            signals::clear();
            if let Some(token) = token {
                self.answer(token, Some(SHUTDOWN_FAILED));
            }
            return;
        }
        if first {
            durable.log(level::WARNING, "Writing initial AOF. Exit anyway.");
        }
        if durable.stopping.swap(true, Ordering::AcqRel) {
            if let Some(token) = token {
                self.jobs.push(Job::End { token });
            }
            return;
        }
        // Redis: what is half loaded is not saved.
        let save = (options.save || self.has_save_rules) && !options.nosave && !durable.is_loading();
        if !save {
            return self.stop(io);
        }
        durable.log(level::NOTICE, "Saving the final RDB snapshot before exiting.");
        let paused_before = (
            self.shared.pause_until_ms.load(Ordering::Relaxed),
            self.shared.pause_all.load(Ordering::Relaxed),
        );
        // What would be written from here on would be acknowledged and lost.
        self.pause_until(i64::MAX, false);
        durable.cancel_save();
        let shutdown = Shutdown { token, force: options.force, phase: Phase::Wait, saves: 0, paused_before };
        self.begin_job(io, Job::Shutdown(shutdown));
    }

    fn step_shutdown(&mut self, io: &mut dyn NetIo, mut shutdown: Shutdown) -> Option<Job> {
        let durable = self.shared.durable.clone();
        if durable.abort_asked.swap(false, Ordering::AcqRel) {
            durable.cancel_save();
            durable.log(level::NOTICE, "Shutdown manually aborted.");
            return self.give_up_shutdown(shutdown);
        }
        if let Phase::Saving(save) = &shutdown.phase {
            match save.outcome() {
                None => return Some(Job::Shutdown(shutdown)),
                Some(Outcome::Saved { .. }) if durable.changes() == 0 || shutdown.saves >= SHUTDOWN_SAVES => {
                    self.stop(io);
                    return None;
                }
                // Something changed after it had begun, or FLUSHALL ended it.
                Some(Outcome::Saved { .. } | Outcome::Cancelled) => shutdown.phase = Phase::Wait,
                Some(Outcome::Failed(_)) if shutdown.force => {
                    let text = "Error trying to save the DB, but forced to exit anyway.";
                    durable.log(level::WARNING, text);
                    self.stop(io);
                    return None;
                }
                Some(Outcome::Failed(_)) => {
                    durable.log(level::WARNING, "Error trying to save the DB, can't exit.");
                    return self.give_up_shutdown(shutdown);
                }
            }
        }
        if let Ok(save) = self.start_save(None) {
            shutdown.saves += 1;
            shutdown.phase = Phase::Saving(save);
        }
        Some(Job::Shutdown(shutdown))
    }

    fn give_up_shutdown(&mut self, shutdown: Shutdown) -> Option<Job> {
        let (until, all) = shutdown.paused_before;
        self.shared.pause_until_ms.store(until, Ordering::Relaxed);
        self.shared.pause_all.store(all, Ordering::Relaxed);
        self.follow_pause();
        let durable = self.shared.durable.clone();
        durable.stopping.store(false, Ordering::Release);
        signals::clear();
        durable.tell();
        match shutdown.token {
            Some(token) => self.answer(token, Some(SHUTDOWN_FAILED)),
            None => {
                let text = "A signal asked to shut down, but there were errors: see above. Going on.";
                durable.log(level::WARNING, text);
                None
            }
        }
    }

    fn stop(&mut self, io: &mut dyn NetIo) {
        self.shared.stop.store(true, Ordering::Relaxed);
        (0..self.shared.shards).for_each(|core| io.wake(core));
    }
}
