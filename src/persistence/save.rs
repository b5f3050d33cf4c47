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

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crc::{CRC_64_REDIS, Crc, Digest, Table};

use super::{Durable, level};
use crate::config::{Config, id};
use crate::rdb::file::{self, Access};
use crate::rdb::format::opcode;
use crate::rdb::target::{Losses, Target};
use crate::rdb::write::Writer;
use crate::shard::EntryView;
use crate::shard::access::{AccessClock, Counting};
use crate::shard::snapshot::{Beginning, Sink, Source};
use crate::sys::{clock, process};
use crate::types::DbIndex;

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
    /// The sources of libraries of functions.
    pub functions: Vec<Vec<u8>>,
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
            functions: Vec::new(),
        }
    }
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

/// A save under way.
pub struct SaveJob {
    options: SaveOptions,
    shards: usize,
    /// Until every shard has begun.
    sender: Mutex<(Option<Sender<Message>>, usize)>,
    cancelled: AtomicBool,
    pending_bytes: AtomicUsize,
    outcome: Mutex<Option<Outcome>>,
    pub begun_s: u64,
    losses: Mutex<Losses>,
    pub keys_done: AtomicU64,
    pub keys_total: AtomicU64,
}

impl SaveJob {
    pub(super) fn begin(durable: Arc<Durable>, options: SaveOptions, shards: usize) -> Arc<SaveJob> {
        let (sender, receiver) = channel();
        let job = Arc::new(SaveJob {
            options,
            shards,
            sender: Mutex::new((Some(sender), 0)),
            cancelled: AtomicBool::new(false),
            pending_bytes: AtomicUsize::new(0),
            outcome: Mutex::new(None),
            begun_s: clock::realtime_ms() / 1000,
            losses: Mutex::default(),
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

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn run(&self, durable: &Durable, receiver: &Receiver<Message>) {
        let temporary = self.options.path.with_file_name(format!("temp-{}.rdb", process::pid()));
        let written = self.write(&temporary, receiver);
        // Whoever still serialises may stop.
        self.cancel();
        let outcome = match written {
            Ok(Some(dirty)) => {
                durable.log(level::NOTICE, "DB saved on disk");
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
                durable.log(level::NOTICE, "Background saving was called off");
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
        durable.save_ended(self, failed, cancelled, dirty);
    }

    /// Writes the file. `None` when it was called off; else the sum of changes in it.
    fn write(&self, temporary: &Path, receiver: &Receiver<Message>) -> Result<Option<u64>, String> {
        let of = |what: &str, path: &Path, error: io::Error| format!("{what} {}: {error}", path.display());
        let path = &self.options.path;
        let file = File::create(temporary).map_err(|error| of("creating", temporary, error))?;
        let mut out = Out::new(file, self.options.checksum, self.options.incremental_sync);
        let dirty = match self.fill(&mut out, receiver) {
            Ok(Some(dirty)) => dirty,
            Ok(None) => return Ok(None),
            Err(error) => return Err(of("writing", temporary, error)),
        };
        out.end().map_err(|error| of("writing", temporary, error))?;
        if self.is_cancelled() {
            return Ok(None);
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
            file::write_select(&mut writer, u32::from(db.0));
            out.write(&writer.out)?;
            *now = Some(db);
        }
        let written = out.write(bytes);
        self.pending_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        written
    }

    fn header(&self, beginnings: &[Beginning]) -> Vec<u8> {
        let target = self.options.target;
        let mut writer = Writer::of(target);
        let field_deadlines = beginnings.iter().any(|beginning| beginning.field_deadlines);
        file::write_header(&mut writer.out, target.version_of_file(field_deadlines));
        let mut aux =
            |name: &str, value: &str| file::write_aux(&mut writer, name.as_bytes(), value.as_bytes());
        aux("redis-ver", crate::REDIS_VERSION);
        aux("redis-bits", &usize::BITS.to_string());
        aux("ctime", &self.begun_s.to_string());
        aux("used-mem", &self.options.used_bytes.to_string());
        aux("coreshard-ver", env!("CARGO_PKG_VERSION"));
        aux("aof-base", "0");
        self.options.functions.iter().for_each(|source| file::write_function(&mut writer, source));
        self.count_losses(writer.losses);
        let mut dbs = std::collections::BTreeMap::<DbIndex, (u64, u64)>::new();
        for (db, keys, expires) in beginnings.iter().flat_map(|beginning| &beginning.dbs) {
            let sum = dbs.entry(*db).or_default();
            *sum = (sum.0 + keys, sum.1 + expires);
        }
        self.keys_total.store(dbs.values().map(|(keys, _)| keys).sum(), Ordering::Relaxed);
        for (db, (keys, expires)) in dbs {
            file::write_select(&mut writer, u32::from(db.0));
            file::write_resize(&mut writer, keys, expires);
        }
        writer.out
    }
}

impl Source for Arc<SaveJob> {
    fn begin(&self, beginning: Beginning) -> Box<dyn Sink> {
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
            sent_bytes: 0,
            entries: 0,
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
    sent_bytes: u64,
    entries: u64,
}

impl Part {
    fn send(&self, message: Message) {
        if let Some(sender) = &self.sender {
            // A writer that has ended wants no more.
            let _ = sender.send(message);
        }
    }

    fn flush(&mut self) {
        let Some(db) = self.db.take() else { return };
        let bytes = std::mem::take(&mut self.writer.out);
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
        if self.db != Some(db) || self.writer.out.len() >= BUFFER_BYTES {
            self.flush();
            self.db = Some(db);
            self.writer.out.reserve(BUFFER_BYTES / 4);
        }
        self.entries += 1;
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
        self.sent_bytes + self.writer.out.len() as u64
    }

    fn has_room(&mut self) -> bool {
        self.job.pending_bytes.load(Ordering::Relaxed) < ROOM_BYTES
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
