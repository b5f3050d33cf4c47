//! Loading: one thread reads the file and deals its entries, unparsed, to the cores that own them. A log
//! ([`aof::replay`](super::aof::replay)) is loaded on the same way: there the thread deals commands.
//!
//! The cores take them in their turns and answer their clients meanwhile, most of them with -LOADING. A core that is
//! behind holds the reader up, so no more than a few megabytes are in memory twice.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::aof::replay::{LogOptions, Replay};
use super::check::check;
use super::{Durable, level};
use crate::rdb::file::{FileEntry, FileReader, Record};
use crate::shard::Placement;
use crate::sys::{clock, threads};
use crate::tx::message::Commands;

/// Batches a core may be behind.
const BATCHES: usize = 8;
const BATCH_KEYS: usize = 512;
const BATCH_BYTES: usize = 128 * 1024;
/// The log tells of progress at most this often.
const REPORT_MS: u64 = 5000;

/// What to do with a file.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    pub path: PathBuf,
    pub check: bool,
    pub databases: u32,
    /// Empty the databases first, when it is known that the file can be read.
    pub flush: bool,
    /// A key that is there already is replaced; otherwise it is an error.
    pub merge: bool,
    /// The process begins with it. When such a load fails, or one for which the databases were emptied, then the process
    /// ends, and serves nobody what is half loaded: see [`Load::is_fatal`].
    pub at_start: bool,
    /// `key-load-delay`: each key takes so long, for tests.
    pub key_delay_us: u64,
    /// Entries whose deadline is earlier are left out.
    pub now_ms: u64,
    /// Not one file but a log; `path` is its folder.
    pub log: Option<LogOptions>,
}

/// The core that forgets libraries, and then takes those of the file, for all: what another core forgot might be the
/// file's already.
const LIBRARIES_TO: usize = 0;

/// What a core gets to do.
#[derive(Debug)]
pub enum Batch {
    /// Empties the databases of the core, and the libraries of all where that is said.
    Flush {
        libraries: bool,
    },
    Entries(Vec<FileEntry>),
    /// The source of a library.
    Function(Vec<u8>),
    /// Commands of a log whose keys are all this core's.
    Commands(Commands),
    /// The reader's own connection, on which it sends the commands of a log that are no single core's.
    Connection(UnixStream),
    /// Is nothing under way here?
    Rest(Sender<bool>),
    /// A log follows: the shard is what it says.
    Replay,
    /// To be dropped when all before it is done.
    Reach(Sender<()>),
    End,
}

/// A load under way, or the last one.
pub struct Load {
    pub options: LoadOptions,
    inboxes: Vec<Mutex<Option<Receiver<Batch>>>>,
    unfinished: AtomicUsize,
    failed: AtomicBool,
    error: Mutex<Option<String>>,
    ended: AtomicBool,
    /// The databases were emptied for it.
    flushed: AtomicBool,
    pub begun_s: u64,
    pub begun_ms: u64,
    pub total_bytes: u64,
    pub loaded_bytes: AtomicU64,
    pub keys_loaded: AtomicU64,
    pub keys_expired: AtomicU64,
    /// Keys whose value is an empty collection: Redis passes over them.
    pub keys_empty: AtomicU64,
}

impl Load {
    /// This core's inbox, for it to keep.
    pub fn inbox(&self, core: usize) -> Option<Receiver<Batch>> {
        self.inboxes[core].lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What is in it is not loaded; the first reason is kept.
    pub fn fail(&self, error: String) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    /// Has it failed already, though it may not have ended?
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Has it failed, with what was there before gone, so that nothing may be served or written that comes of it?
    pub fn is_fatal(&self) -> bool {
        self.has_failed() && (self.options.at_start || self.flushed.load(Ordering::Acquire))
    }

    /// Has it ended, and if it has failed, why?
    pub fn outcome(&self) -> Option<Result<(), String>> {
        self.ended.load(Ordering::Acquire).then(|| {
            let error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            error.clone().map_or(Ok(()), Err)
        })
    }

    /// A core has taken all.
    pub fn core_ended(&self, durable: &Durable) {
        if self.unfinished.fetch_sub(1, Ordering::AcqRel) == 1 {
            durable.load_ended(self);
        }
    }
}

impl Durable {
    /// Begins to load. From here on until the end the cores take batches and refuse most commands. `loaded` is called when
    /// everything is loaded and nothing is served yet, unless that failed; `then` at the end.
    pub fn begin_load(
        self: &Arc<Self>,
        options: LoadOptions,
        loaded: impl FnOnce() -> Result<(), String> + Send + 'static,
        then: impl FnOnce(&Load) + Send + 'static,
    ) -> std::io::Result<Arc<Load>> {
        let total_bytes = match &options.log {
            None => File::open(&options.path)?.metadata()?.len(),
            Some(log) => log.total_bytes,
        };
        let cores = self.dirty.len();
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..cores).map(|_| bounded(BATCHES)).unzip();
        let begun_ms = clock::realtime_ms();
        let load = Arc::new(Load {
            inboxes: receivers.into_iter().map(|inbox| Mutex::new(Some(inbox))).collect(),
            // The reader counts as one.
            unfinished: AtomicUsize::new(cores + 1),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            ended: AtomicBool::new(false),
            flushed: AtomicBool::new(false),
            begun_s: begun_ms / 1000,
            begun_ms,
            total_bytes,
            loaded_bytes: AtomicU64::new(0),
            keys_loaded: AtomicU64::new(0),
            keys_expired: AtomicU64::new(0),
            keys_empty: AtomicU64::new(0),
            options,
        });
        let mut state = self.state();
        state.load = Some(load.clone());
        self.loading.store(true, Ordering::Release);
        self.set_gate(&state);
        drop(state);
        let (durable, reading) = (self.clone(), load.clone());
        threads::start("load", move || {
            let mut dealer = Dealer::new(&durable, &reading, senders);
            if let Err(error) = dealer.deal_all() {
                reading.fail(error);
            }
            if !reading.has_failed() {
                dealer.reach();
            }
            if !reading.has_failed()
                && let Err(error) = loaded()
            {
                reading.fail(error);
            }
            dealer.end();
            // Waits for the cores: what follows comes after the last entry.
            reading.core_ended(&durable);
            while reading.outcome().is_none() {
                std::thread::park_timeout(std::time::Duration::from_millis(5));
            }
            then(&reading);
        })?;
        Ok(load)
    }

    fn load_ended(&self, load: &Load) {
        let mut state = self.state();
        state.keys_expired = load.keys_expired.load(Ordering::Relaxed);
        state.keys_loaded = load.keys_loaded.load(Ordering::Relaxed);
        self.loading.store(load.is_fatal(), Ordering::Release);
        self.set_gate(&state);
        drop(state);
        self.all_is_saved();
        load.ended.store(true, Ordering::Release);
        self.tell();
    }
}

/// The reader's side.
pub(super) struct Dealer<'l> {
    pub(super) durable: &'l Durable,
    pub(super) load: &'l Load,
    senders: Vec<Sender<Batch>>,
    batches: Vec<(Vec<FileEntry>, usize)>,
    pub(super) placement: Placement,
    reported_ms: u64,
}

impl<'l> Dealer<'l> {
    fn new(durable: &'l Durable, load: &'l Load, senders: Vec<Sender<Batch>>) -> Dealer<'l> {
        let batches = senders.iter().map(|_| Default::default()).collect();
        let placement = Placement::new(senders.len());
        Dealer { durable, load, senders, batches, placement, reported_ms: load.begun_ms }
    }

    fn deal_all(&mut self) -> Result<(), String> {
        let options = &self.load.options;
        if let Some(log) = &options.log {
            return Replay::new(self, log).run();
        }
        if options.flush {
            // What is there now is not given up for a file that cannot be read.
            check(&options.path, options.now_ms, options.check)?;
        }
        let file = File::open(&options.path).map_err(|error| of(&options.path, &error))?;
        let reader = FileReader::new(file, options.check).map_err(|error| of(&options.path, &error))?;
        if options.flush {
            self.flush_all();
        }
        self.deal(reader, &options.path, 0).map(drop)
    }

    pub(super) fn flush_all(&self) {
        self.load.flushed.store(true, Ordering::Release);
        for core in 0..self.senders.len() {
            self.send(core, Batch::Flush { libraries: core == LIBRARIES_TO });
        }
    }

    /// Deals what a snapshot holds. Where it ends; `before` is what was loaded before it.
    pub(super) fn deal(
        &mut self,
        mut reader: FileReader<File>,
        path: &Path,
        before: u64,
    ) -> Result<u64, String> {
        let bad = |error: &dyn std::fmt::Display| of(path, error);
        loop {
            if self.load.has_failed() {
                return Ok(reader.offset() as u64);
            }
            match reader.next_record().map_err(|error| bad(&error))? {
                Record::Entry(entry) => self.entry(entry, path)?,
                Record::Aux { name, value } => self.fact(&name, &value),
                Record::Resize { .. } => {}
                Record::Function(source) => self.send(LIBRARIES_TO, Batch::Function(source)),
                Record::Module { name, key } => {
                    let key = key.map(|key| format!(" under the key '{}'", key.escape_ascii()));
                    self.durable.log(
                        level::WARNING,
                        format!(
                            "The file holds data of the module {name}{}: left out",
                            key.unwrap_or_default()
                        ),
                    );
                }
                Record::End { .. } => return Ok(reader.offset() as u64),
            }
            self.load.loaded_bytes.store(before + reader.offset() as u64, Ordering::Relaxed);
        }
    }

    fn fact(&self, name: &[u8], value: &[u8]) {
        let value = value.escape_ascii();
        match name {
            b"redis-ver" => {
                self.durable.log(level::NOTICE, format!("Loading RDB produced by version {value}"))
            }
            b"ctime" => {
                let age = value.to_string().parse().map_or(0, |at| self.load.begun_s.saturating_sub(at));
                self.durable.log(level::NOTICE, format!("RDB age {age} seconds"));
            }
            _ => {}
        }
    }

    fn entry(&mut self, entry: FileEntry, path: &Path) -> Result<(), String> {
        let options = &self.load.options;
        if options.key_delay_us > 0 {
            std::thread::park_timeout(std::time::Duration::from_micros(options.key_delay_us));
        }
        if entry.db >= options.databases {
            let error = format!(
                "database {}, where there are {}: the key at offset {} has no place",
                entry.db, options.databases, entry.offset
            );
            return Err(of(path, &error));
        }
        if entry.expire_at_ms.is_some_and(|at| at < options.now_ms as i64) {
            self.load.keys_expired.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let core = self.placement.owner_of(&entry.key).index();
        let (entries, bytes) = &mut self.batches[core];
        *bytes += entry.key.len() + entry.value.len();
        entries.push(entry);
        if entries.len() >= BATCH_KEYS || *bytes >= BATCH_BYTES {
            self.flush(core);
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, core: usize) {
        let (entries, _) = std::mem::take(&mut self.batches[core]);
        if !entries.is_empty() {
            self.send(core, Batch::Entries(entries));
        }
        self.report();
    }

    pub(super) fn send(&self, core: usize, batch: Batch) {
        // A core that is gone takes nothing: the process ends.
        let _ = self.senders[core].send(batch);
        if let Some(host) = self.durable.host.get() {
            (host.wake)();
        }
    }

    pub(super) fn report(&mut self) {
        let now_ms = clock::realtime_ms();
        if now_ms.saturating_sub(self.reported_ms) < REPORT_MS {
            return;
        }
        self.reported_ms = now_ms;
        let (loaded, total) = (self.load.loaded_bytes.load(Ordering::Relaxed), self.load.total_bytes);
        let (keys, percent) = (self.load.keys_loaded.load(Ordering::Relaxed), loaded * 100 / total.max(1));
        self.durable.log(level::NOTICE, format!("Loading: {percent}% of the file, {keys} keys so far"));
    }

    /// Waits until all cores have done what they were given.
    pub(super) fn reach(&mut self) {
        let (sender, reached) = unbounded();
        for core in 0..self.senders.len() {
            self.flush(core);
            self.send(core, Batch::Reach(sender.clone()));
        }
        drop(sender);
        // A core that is gone is not waited for.
        while reached.recv().is_ok() {}
    }

    /// Waits until nothing is under way on any core: from then on their shards are what the log says. What they have
    /// logged themselves is in the files then.
    pub(super) fn begin_replay(&mut self) {
        let cores = 0..self.senders.len();
        // What began before the load goes on until it is done, and nothing new begins.
        for core in cores.clone() {
            loop {
                let (sender, answer) = unbounded();
                self.send(core, Batch::Rest(sender));
                if !matches!(answer.recv(), Ok(false)) {
                    break;
                }
                std::thread::park_timeout(std::time::Duration::from_millis(1));
            }
        }
        cores.for_each(|core| self.send(core, Batch::Replay));
        self.reach();
        if self.load.options.log.as_ref().is_some_and(|log| log.is_written) {
            let (sender, flushed) = bounded(0);
            self.durable.aof.tell(super::aof::Message::Flush(sender));
            let _ = flushed.recv();
        }
    }

    fn end(&mut self) {
        for core in 0..self.senders.len() {
            self.flush(core);
            self.send(core, Batch::End);
        }
    }
}

fn of(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", path.display())
}
