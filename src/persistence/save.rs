//! One save: the shards fill buffers, one thread writes them into one file.
//!
//! ```text
//!   shard: Part ──▶ Begins, Bytes …, Ends ──▶ writer: header, AUX, RESIZE_DB … │ SELECT_DB bytes … │ EOF, checksum
//! ```
//!
//! The file has the name `temp-<pid>.rdb` until it is complete and on disk, then it takes the place of the last one,
//! and the folder is synced. What fails leaves the last file as it was.
//!
//! Background slices wait while more than [`ROOM_BYTES`] are on their way to the disk. Segments that a write waits for
//! are taken in any case: a core never waits for a disk. So the memory of a snapshot is what is written to while the
//! disk is behind, at most a copy of the data.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crc::{CRC_64_REDIS, Crc, Digest, Table};

use super::aof::rewrite::temporary_base;
use super::{Durable, level};
use crate::commands::rebuild::{Over, rebuild};
use crate::config::{Config, id};
use crate::rdb::file::{self, Access};
use crate::rdb::format::opcode;
use crate::rdb::target::{Losses, Target};
use crate::rdb::write::Writer;
use crate::shard::EntryView;
use crate::shard::access::{AccessClock, Counting};
use crate::shard::log::{Commands, Rotation, put_select};
use crate::shard::snapshot::{Beginning, Sink, Source};
use crate::sys::{clock, process};
use crate::types::{DbIndex, ShardId};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// A shard's buffer goes to the writer at this size.
const BUFFER_BYTES: usize = 256 * 1024;
/// Bytes on their way to the disk, at which shards stop serialising for the sake of progress.
const ROOM_BYTES: usize = 16 << 20;
/// With `rdb-save-incremental-fsync`: bytes between two syncs.
const SYNC_BYTES: u64 = 4 << 20;
/// How often the writer looks whether it was called off.
const LOOK: Duration = Duration::from_millis(50);

/// How a save is to be done.
#[derive(Clone, Debug)]
pub struct SaveOptions {
    pub path: PathBuf,
    pub compress: bool,
    pub checksum: bool,
    pub incremental_sync: bool,
    pub counting_idle: bool,
    pub counting_frequency: bool,
    /// What `maxmemory` counts, for the file's facts.
    pub used_bytes: u64,
    /// For which Redis.
    pub target: Target,
    /// `rdb-key-save-delay`: each key takes so long, for tests.
    pub key_delay_us: u64,
    /// Asked at the serial point, on the first shard's core.
    pub functions: Functions,
    /// It is to be the base of the append-only file.
    pub base: Option<Base>,
}

/// Tells the sources of all libraries of functions. None unless it was given something that knows them.
#[derive(Clone, Default)]
pub struct Functions(Option<Arc<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>>);

impl Functions {
    pub fn new(of: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static) -> Functions {
        Functions(Some(Arc::new(of)))
    }

    fn all(&self) -> Vec<Vec<u8>> {
        self.0.as_ref().map_or_else(Vec::new, |of| of())
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Functions")
    }
}

/// How a base of the append-only file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Base {
    /// As a snapshot; else as commands.
    pub rdb: bool,
    /// Shards log what follows.
    pub logged: bool,
    /// `aof-timestamp-enabled`
    pub timestamp: bool,
}

impl SaveOptions {
    pub fn of(config: &Config, used_bytes: u64) -> SaveOptions {
        let policy = config.choice(id::MAXMEMORY_POLICY);
        SaveOptions {
            path: super::path_of(config),
            compress: config.flag(id::RDBCOMPRESSION),
            checksum: config.flag(id::RDBCHECKSUM),
            incremental_sync: config.flag(id::RDB_SAVE_INCREMENTAL_FSYNC),
            counting_idle: policy.ends_with("-lru"),
            counting_frequency: policy.ends_with("-lfu"),
            used_bytes,
            target: super::target_of(config),
            key_delay_us: super::delay_of(config, id::RDB_KEY_SAVE_DELAY),
            functions: Functions::default(),
            base: None,
        }
    }

    /// For the base of the append-only file.
    pub fn of_base(config: &Config, used_bytes: u64) -> SaveOptions {
        let base = Base {
            rdb: config.flag(id::AOF_USE_RDB_PREAMBLE),
            logged: false,
            timestamp: config.flag(id::AOF_TIMESTAMP_ENABLED),
        };
        SaveOptions {
            path: temporary_base(),
            incremental_sync: config.flag(id::AOF_REWRITE_INCREMENTAL_FSYNC),
            // The log is Redis 7.0's, and nothing may be missing in it, whatever `rdb-write-version` drops.
            target: Target::DUMP,
            base: Some(base),
            ..SaveOptions::of(config, used_bytes)
        }
    }

    fn is_rdb(&self) -> bool {
        self.base.is_none_or(|base| base.rdb)
    }
}

/// A snapshot of nothing.
pub fn empty_snapshot(options: SaveOptions) -> Vec<u8> {
    let (mut out, _) = header(&options, clock::realtime_ms() / 1000, &[], &[]);
    out.push(opcode::EOF);
    let sum = if options.checksum { CRC64.checksum(&out) } else { 0 };
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn header(
    options: &SaveOptions,
    now_s: u64,
    beginnings: &[Beginning],
    functions: &[Vec<u8>],
) -> (Vec<u8>, Losses) {
    let mut writer = Writer::of(options.target);
    let field_deadlines = beginnings.iter().any(|beginning| beginning.field_deadlines);
    file::write_header(&mut writer.out, options.target.version_of_file(field_deadlines));
    let mut aux = |name: &str, value: &str| file::write_aux(&mut writer, name.as_bytes(), value.as_bytes());
    aux("redis-ver", crate::REDIS_VERSION);
    aux("redis-bits", &usize::BITS.to_string());
    aux("ctime", &now_s.to_string());
    aux("used-mem", &options.used_bytes.to_string());
    aux("coreshard-ver", env!("CARGO_PKG_VERSION"));
    aux("aof-base", if options.base.is_some() { "1" } else { "0" });
    functions.iter().for_each(|source| file::write_function(&mut writer, source));
    for (db, (keys, expires)) in sums(beginnings) {
        file::write_select(&mut writer, u32::from(db.0));
        file::write_resize(&mut writer, keys, expires);
    }
    (writer.out, writer.losses)
}

/// What stands before the entries of a base of commands.
fn header_of_commands(options: &SaveOptions, now_s: u64, functions: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    if options.base.is_some_and(|base| base.timestamp) {
        out.extend_from_slice(format!("#TS:{now_s}\r\n").as_bytes());
    }
    for source in functions {
        let mut commands = Commands::default();
        commands.push(DbIndex(0), [b"FUNCTION" as &[u8], b"LOAD", source].into_iter());
        out.append(&mut commands.bytes);
    }
    out
}

/// Keys, and keys with a deadline, per database.
fn sums(beginnings: &[Beginning]) -> BTreeMap<DbIndex, (u64, u64)> {
    let mut dbs = BTreeMap::<DbIndex, (u64, u64)>::new();
    for (db, keys, expires) in beginnings.iter().flat_map(|beginning| &beginning.dbs) {
        let sum = dbs.entry(*db).or_default();
        *sum = (sum.0 + keys, sum.1 + expires);
    }
    dbs
}

/// How a save ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The sum of the shards' changes that the file holds.
    Saved {
        dirty: u64,
    },
    Cancelled,
    Failed(String),
}

enum Message {
    Begins(Beginning),
    Bytes { db: DbIndex, bytes: Vec<u8> },
    Ends,
}

impl std::fmt::Debug for SaveJob {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SaveJob {}", self.number)
    }
}

/// A save under way.
pub struct SaveJob {
    durable: Arc<Durable>,
    /// The log's when it began.
    generation: u64,
    /// Counts saves, from 1.
    pub number: u64,
    options: SaveOptions,
    shards: usize,
    /// Until every shard has begun.
    sender: Mutex<(Option<Sender<Message>>, usize)>,
    cancelled: AtomicBool,
    pending_bytes: AtomicUsize,
    outcome: Mutex<Option<Outcome>>,
    pub begun_s: u64,
    losses: Mutex<Losses>,
    /// The sources of libraries of functions as they were at the serial point.
    functions: OnceLock<Vec<Vec<u8>>>,
    pub keys_done: AtomicU64,
    pub keys_total: AtomicU64,
}

impl SaveJob {
    pub(super) fn begin(durable: Arc<Durable>, options: SaveOptions, shards: usize) -> Arc<SaveJob> {
        let (sender, receiver) = channel();
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let job = Arc::new(SaveJob {
            generation: durable.aof.generation(),
            durable: durable.clone(),
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            options,
            shards,
            sender: Mutex::new((Some(sender), 0)),
            cancelled: AtomicBool::new(false),
            pending_bytes: AtomicUsize::new(0),
            outcome: Mutex::new(None),
            begun_s: clock::realtime_ms() / 1000,
            losses: Mutex::default(),
            functions: OnceLock::new(),
            keys_done: AtomicU64::new(0),
            keys_total: AtomicU64::new(0),
        });
        let writer = job.clone();
        let spawned = {
            let durable = durable.clone();
            std::thread::Builder::new().name("snapshot".into()).spawn(move || writer.run(&durable, &receiver))
        };
        if let Err(error) = spawned {
            job.cancel();
            *job.outcome.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Outcome::Failed(format!("no thread can be started: {error}")));
        }
        job
    }

    /// How it ended, when it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn run(self: &Arc<Self>, durable: &Durable, receiver: &Receiver<Message>) {
        let temporary = self.temporary();
        let written = self.write(&temporary, receiver);
        // Whoever still serialises may stop.
        self.cancel();
        let outcome = match written {
            Ok(Some(dirty)) => {
                durable.log(
                    level::NOTICE,
                    match self.options.base {
                        None => "DB saved on disk".to_owned(),
                        Some(_) => format!(
                            "Successfully created the temporary AOF base file {}",
                            temporary.display()
                        ),
                    },
                );
                let losses = *self.losses.lock().unwrap_or_else(PoisonError::into_inner);
                if losses.any() {
                    let text = format!(
                        "WARNING: rdb-write-version is too low for all there is. Not saved: {losses}"
                    );
                    durable.log(level::WARNING, text);
                }
                Outcome::Saved { dirty }
            }
            Ok(None) => {
                let what = if self.options.base.is_some() { "AOF rewrite" } else { "saving" };
                durable.log(level::NOTICE, format!("Background {what} was called off"));
                Outcome::Cancelled
            }
            Err(error) => {
                durable.log(level::WARNING, format!("Saving fails: {error}"));
                Outcome::Failed(error)
            }
        };
        let dirty = match outcome {
            Outcome::Saved { dirty } => dirty,
            Outcome::Cancelled | Outcome::Failed(_) => {
                // It may not be there, and is in nobody's way for long when it stays.
                let _ = fs::remove_file(&temporary);
                0
            }
        };
        let (failed, cancelled) =
            (matches!(outcome, Outcome::Failed(_)), matches!(outcome, Outcome::Cancelled));
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        if self.options.base.is_some() {
            durable.aof.tell(super::aof::Message::Rewritten(Arc::clone(self)));
        } else {
            durable.save_ended(self, failed, cancelled, dirty);
        }
    }

    /// Where it is written until it is complete.
    pub fn temporary(&self) -> PathBuf {
        match self.options.base {
            Some(_) => self.options.path.clone(),
            None => self.options.path.with_file_name(format!("temp-{}.rdb", process::pid())),
        }
    }

    /// Is it a rewrite of the append-only file?
    pub fn is_rewrite(&self) -> bool {
        self.options.base.is_some()
    }

    /// Does the log of what follows begin a new file?
    pub fn is_logged(&self) -> bool {
        self.options.base.is_some_and(|base| base.logged)
    }

    /// A snapshot, or commands?
    pub fn is_rdb(&self) -> bool {
        self.options.is_rdb()
    }

    /// Has it been called off, or failed?
    pub fn is_of_no_use(&self) -> bool {
        match self.outcome() {
            Some(outcome) => !matches!(outcome, Outcome::Saved { .. }),
            None => self.is_cancelled(),
        }
    }

    /// Writes the file. `None` when it was called off; else the sum of changes in it.
    fn write(&self, temporary: &Path, receiver: &Receiver<Message>) -> Result<Option<u64>, String> {
        let of = |what: &str, path: &Path, error: io::Error| format!("{what} {}: {error}", path.display());
        let path = &self.options.path;
        let file = File::create(temporary).map_err(|error| of("creating", temporary, error))?;
        let checksum = self.options.checksum && self.options.is_rdb();
        let mut out = Out::new(file, checksum, self.options.incremental_sync);
        let dirty = match self.fill(&mut out, receiver) {
            Ok(Some(dirty)) => dirty,
            Ok(None) => return Ok(None),
            Err(error) => return Err(of("writing", temporary, error)),
        };
        let ended = if self.options.is_rdb() { out.end() } else { out.file.sync_all() };
        ended.map_err(|error| of("writing", temporary, error))?;
        if self.is_cancelled() {
            return Ok(None);
        }
        if self.options.base.is_some() {
            // The log's writer names it.
            return Ok(Some(dirty));
        }
        fs::rename(temporary, path).map_err(|error| of("renaming to", path, error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| of("syncing the folder of", path, error))?;
        Ok(Some(dirty))
    }

    fn count_losses(&self, losses: Losses) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).add(losses);
    }

    /// Writes all but the end.
    fn fill(&self, out: &mut Out, receiver: &Receiver<Message>) -> io::Result<Option<u64>> {
        let mut beginnings = Vec::new();
        let mut early: Vec<(DbIndex, Vec<u8>)> = Vec::new();
        let (mut ended, mut db) = (0, None);
        let mut dirty = 0;
        while ended < self.shards {
            if self.is_cancelled() {
                return Ok(None);
            }
            match receiver.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                // A shard has dropped its part.
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Ok(Message::Ends) => ended += 1,
                Ok(Message::Begins(beginning)) => {
                    beginnings.push(beginning);
                    if beginnings.len() == self.shards {
                        dirty = beginnings.iter().map(|beginning| beginning.dirty).sum();
                        out.write(&self.header(&beginnings))?;
                        for (of, bytes) in early.drain(..) {
                            self.bytes(out, &mut db, of, &bytes)?;
                        }
                    }
                }
                Ok(Message::Bytes { db, bytes }) if beginnings.len() < self.shards => early.push((db, bytes)),
                Ok(Message::Bytes { db: of, bytes }) => self.bytes(out, &mut db, of, &bytes)?,
            }
        }
        Ok(Some(dirty))
    }

    fn bytes(&self, out: &mut Out, now: &mut Option<DbIndex>, db: DbIndex, bytes: &[u8]) -> io::Result<()> {
        if *now != Some(db) {
            let mut writer = Writer::new();
            match self.options.is_rdb() {
                true => file::write_select(&mut writer, u32::from(db.0)),
                false => put_select(&mut writer.out, db),
            }
            out.write(&writer.out)?;
            *now = Some(db);
        }
        let written = out.write(bytes);
        self.pending_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        written
    }

    fn header(&self, beginnings: &[Beginning]) -> Vec<u8> {
        let keys = sums(beginnings).values().map(|(keys, _)| keys).sum();
        self.keys_total.store(keys, Ordering::Relaxed);
        let functions = self.functions.get().map_or(&[][..], Vec::as_slice);
        match self.options.is_rdb() {
            true => {
                let (out, losses) = header(&self.options, self.begun_s, beginnings, functions);
                self.count_losses(losses);
                out
            }
            false => header_of_commands(&self.options, self.begun_s, functions),
        }
    }
}

impl Rotation for SaveJob {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Source for Arc<SaveJob> {
    fn rotation(&self) -> Option<Arc<dyn Rotation>> {
        // All shards or none, though it may fail meanwhile: a mark that others lack would hold up the log for ever. Only
        // a log that was switched off since needs none, for then what waits in it is dropped.
        let is_wanted = self.durable.aof.generation() == self.generation;
        (self.is_logged() && is_wanted).then(|| Arc::clone(self) as Arc<dyn Rotation>)
    }

    fn begin(&self, beginning: Beginning) -> Box<dyn Sink> {
        if beginning.shard == ShardId(0) {
            self.functions.get_or_init(|| self.options.functions.all());
        }
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.1 += 1;
        let mine = if sender.1 >= self.shards { sender.0.take() } else { sender.0.clone() };
        drop(sender);
        let part = Part {
            job: Arc::clone(self),
            clock: beginning.clock,
            sender: mine,
            db: None,
            writer: Writer::of(self.options.target),
            commands: Commands::default(),
            sent_bytes: 0,
            entries: 0,
            begun: Instant::now(),
            all_entries: 0,
        };
        part.send(Message::Begins(beginning));
        Box::new(part)
    }
}

/// One shard's part of a save.
struct Part {
    job: Arc<SaveJob>,
    clock: AccessClock,
    sender: Option<Sender<Message>>,
    /// Whose entries are in the buffer.
    db: Option<DbIndex>,
    writer: Writer,
    /// The buffer of a base of commands.
    commands: Commands,
    sent_bytes: u64,
    entries: u64,
    begun: Instant,
    all_entries: u64,
}

impl Part {
    fn send(&self, message: Message) {
        if let Some(sender) = &self.sender {
            // A writer that has ended wants no more.
            let _ = sender.send(message);
        }
    }

    fn buffered(&self) -> usize {
        self.writer.out.len() + self.commands.bytes.len()
    }

    fn flush(&mut self) {
        let Some(db) = self.db.take() else { return };
        let bytes = match self.job.options.is_rdb() {
            true => std::mem::take(&mut self.writer.out),
            false => std::mem::take(&mut self.commands).bytes,
        };
        self.sent_bytes += bytes.len() as u64;
        self.job.pending_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        self.job.keys_done.fetch_add(std::mem::take(&mut self.entries), Ordering::Relaxed);
        self.send(Message::Bytes { db, bytes });
    }
}

impl Sink for Part {
    fn entry(&mut self, db: DbIndex, entry: EntryView<'_>, ahead: bool) {
        if self.job.is_cancelled() {
            return;
        }
        if self.db != Some(db) || self.buffered() >= BUFFER_BYTES {
            self.flush();
            self.db = Some(db);
        }
        self.entries += 1;
        self.all_entries += 1;
        if !self.job.options.is_rdb() {
            let commands = &mut self.commands;
            let mut put = |args: &[&[u8]]| commands.push(db, args.iter().copied());
            return rebuild(entry.key(), Some(entry), Over::Nothing, &mut put);
        }
        if self.writer.out.is_empty() {
            self.writer.out.reserve(BUFFER_BYTES / 4);
        }
        self.writer.plain_only = ahead || !self.job.options.compress;
        let options = &self.job.options;
        let access = match self.clock.counting {
            Counting::Lfu { .. } if options.counting_frequency => {
                Access::Frequency(self.clock.frequency(entry.access()))
            }
            Counting::Lru if options.counting_idle => {
                Access::IdleSeconds(self.clock.idle_seconds(entry.access()))
            }
            _ => Access::Untold,
        };
        file::write_entry(&mut self.writer, entry.key(), &entry.value(), entry.expire_at_ms(), access);
    }

    fn bytes(&self) -> u64 {
        self.sent_bytes + self.buffered() as u64
    }

    fn has_room(&mut self) -> bool {
        // All shards together keep to the delay, as one process would.
        let delay_us =
            self.job.options.key_delay_us.saturating_mul(self.all_entries * self.job.shards as u64);
        let is_delayed = delay_us > 0 && self.begun.elapsed() < Duration::from_micros(delay_us);
        !is_delayed && self.job.pending_bytes.load(Ordering::Relaxed) < ROOM_BYTES
    }

    fn survives_flush(&self) -> bool {
        self.job.options.base.is_some()
    }

    fn is_cancelled(&self) -> bool {
        self.job.is_cancelled()
    }

    fn finish(mut self: Box<Self>) {
        self.flush();
        self.job.count_losses(std::mem::take(&mut self.writer.losses));
        self.send(Message::Ends);
        self.sender = None;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.sender.is_some() {
            // Not all of it came: the whole is worth nothing.
            self.job.cancel();
        }
    }
}

/// The file being written.
pub(super) struct Out {
    file: File,
    digest: Option<Digest<'static, u64, Table<16>>>,
    incremental_sync: bool,
    unsynced_bytes: u64,
}

impl Out {
    pub(super) fn new(file: File, checksum: bool, incremental_sync: bool) -> Out {
        Out { file, digest: checksum.then(|| CRC64.digest()), incremental_sync, unsynced_bytes: 0 }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        self.file.write_all(bytes)?;
        self.unsynced_bytes += bytes.len() as u64;
        if self.incremental_sync && self.unsynced_bytes >= SYNC_BYTES {
            self.file.sync_data()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        self.write(&[opcode::EOF])?;
        let sum = self.digest.as_ref().map_or(0, |digest| digest.clone().finalize());
        self.file.write_all(&sum.to_le_bytes())?;
        self.file.sync_all()
    }
}
