//! The thread that writes the log.
//!
//! It takes everything that waits, merges it, writes it at once and syncs by `appendfsync`, so that with `always` one sync
//! answers all clients whose writes came meanwhile.
//!
//! INVARIANT: [`Aof::synced`](super::Aof::synced) never tells of a chunk before it is on disk as a whole, nor does
//! [`Aof::released`](super::Aof::released) with `always`. With the other policies `released` follows the write: it tells of
//! what is in the file, but for what a failed write or a sync under way keeps in memory for a while, as Redis does.
//!
//! What cannot be written: with `always` the process ends, having acknowledged nothing that is not on disk. Else the part
//! that was written is cut off again, the bytes are kept, and it is tried again every second while writes are refused.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::gather::Gather;
use super::manifest::{Folder, Manifest};
use super::merge::Merge;
use super::rewrite::Rewriting;
use super::sync::Syncer;
use super::{LogMode, Message, Policy, errno};
use crate::persistence::faults::Place;
use crate::persistence::{Durable, level};
use crate::sys::clock;
use crate::types::ShardId;

/// `everysec`, and how soon what failed is tried again.
const SECOND: Duration = Duration::from_secs(1);
/// A write waits so long for a sync that is under way. Redis's number.
const MAX_POSTPONED: Duration = Duration::from_secs(2);
/// Errors are logged at most this often. Redis's number.
const ERROR_LOG: Duration = Duration::from_secs(30);
/// A round takes no more than this from the shards before it writes.
const ROUND_BYTES: u64 = 8 << 20;
/// A buffer that grew larger is given back.
const KEPT_BUFFER: usize = 1 << 20;

/// What leaves goes there.
pub(super) struct Target {
    pub file: Arc<File>,
    /// What is in it for good.
    pub bytes: u64,
    /// It has its temporary name until the first rewrite has ended.
    pub is_temporary: bool,
}

/// What a round has taken from its channel.
#[derive(Default)]
struct Taken {
    any: bool,
    bytes: u64,
    /// That were not told to whoever counts them.
    commands: u32,
    flushed: Vec<Sender<()>>,
    stop: Option<Sender<()>>,
}

impl Taken {
    fn is_enough(&self) -> bool {
        self.bytes >= ROUND_BYTES || self.stop.is_some() || !self.flushed.is_empty()
    }
}

/// The writer.
pub(super) struct Writer {
    pub durable: Arc<Durable>,
    pub folder: Folder,
    pub manifest: Manifest,
    pub target: Option<Target>,
    pub rewriting: Rewriting,
    pub syncer: Syncer,
    merge: Merge,
    gather: Gather,
    /// Merged and not written, and per shard the last chunk that is in it, or before it, as a whole.
    buffer: Vec<u8>,
    merged: Vec<u64>,
    /// Per shard, the last chunk that is in the file.
    written: Vec<u64>,
    /// Something was written since a sync began.
    unsynced: bool,
    last_sync: Instant,
    postponed: Option<Instant>,
    retry: Option<Instant>,
    error_logged: Option<Instant>,
    /// `aof-disable-auto-gc`, as it was when last looked at.
    keeps_history: bool,
    /// Per shard, which switching off it has followed.
    off: Vec<u64>,
    /// Chunks of these that were never given count as given.
    off_chunks: Vec<u64>,
}

impl Writer {
    pub fn new(durable: Arc<Durable>, folder: Folder, manifest: Manifest, syncer: Syncer) -> Writer {
        let shards = durable.aof.released.len();
        Writer {
            durable,
            folder,
            manifest,
            target: None,
            rewriting: Rewriting::default(),
            syncer,
            merge: Merge::new(shards),
            gather: Gather::default(),
            buffer: Vec::new(),
            merged: vec![0; shards],
            written: vec![0; shards],
            unsynced: false,
            last_sync: Instant::now(),
            postponed: None,
            retry: None,
            error_logged: None,
            keeps_history: false,
            off: vec![0; shards],
            off_chunks: vec![0; shards],
        }
    }

    /// Until the process ends.
    pub fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            let mut taken = Taken::default();
            self.take_all(receiver.try_iter(), &mut taken);
            self.gather.came_meanwhile(std::mem::take(&mut taken.commands));
            if !taken.any {
                let message = match self.deadline() {
                    None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    Some(at) => receiver.recv_timeout(at.saturating_duration_since(Instant::now())),
                };
                match message {
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(first) => self.take_all(std::iter::once(first).chain(receiver.try_iter()), &mut taken),
                }
            }
            self.wait_for_company(receiver, &mut taken);
            self.durable.aof.taken_bytes.fetch_add(taken.bytes, Ordering::Relaxed);
            self.round();
            if !taken.flushed.is_empty() {
                self.flush(true);
                taken.flushed.clear();
            }
            if let Some(done) = taken.stop {
                self.stop();
                drop(done);
                return;
            }
        }
    }

    fn take_all(&mut self, messages: impl Iterator<Item = Message>, taken: &mut Taken) {
        for message in messages {
            taken.any = true;
            match message {
                Message::Chunk(shard, chunk) => {
                    taken.commands += chunk.commands();
                    taken.bytes += self.merge.take(shard, chunk);
                }
                Message::Off { shard, chunk, generation } => {
                    self.off[shard.index()] = generation;
                    self.off_chunks[shard.index()] = chunk;
                }
                Message::Rewritten(job) => self.rewriting.ended(job),
                Message::Look => {}
                Message::Loaded => self.take_over_numbers(),
                Message::Flush(done) => taken.flushed.push(done),
                Message::Stop(done) => taken.stop = Some(done),
            }
            if taken.bytes >= ROUND_BYTES {
                break;
            }
        }
    }

    /// Before a sync that clients wait for: others may be about to come.
    fn wait_for_company(&mut self, receiver: &Receiver<Message>, taken: &mut Taken) {
        self.gather.came(std::mem::take(&mut taken.commands));
        while !taken.is_enough()
            && self.policy() == Policy::Always
            && self.target.is_some()
            && let Some(time) = self.gather.wait(Instant::now())
        {
            // Not in the channel: whoever gives something would have to wake this thread.
            std::thread::park_timeout(time);
            self.take_all(receiver.try_iter(), taken);
            self.gather.came(std::mem::take(&mut taken.commands));
        }
    }

    fn policy(&self) -> Policy {
        self.durable.aof.policy()
    }

    /// When something is to be done although nothing comes.
    fn deadline(&self) -> Option<Instant> {
        if let Some(at) = self.retry {
            return Some(at);
        }
        if let Some(since) = self.postponed {
            return Some(since + MAX_POSTPONED);
        }
        let failed = self.durable.aof.sync_errno.load(Ordering::Relaxed) != 0;
        let waits = self.target.is_some() && (self.unsynced || failed) && self.policy() != Policy::No;
        // A sync that ends tells of it.
        (waits && !self.syncer.is_busy()).then(|| match self.spares_the_disk() {
            true => Instant::now() + SECOND,
            false => self.last_sync + SECOND,
        })
    }

    /// `no-appendfsync-on-rewrite`
    fn spares_the_disk(&self) -> bool {
        self.durable.aof.no_sync_on_rewrite.load(Ordering::Relaxed) && self.durable.is_saving()
    }

    fn round(&mut self) {
        let timestamps = self.durable.aof.timestamps.load(Ordering::Relaxed);
        self.merge.now_s = timestamps.then(|| clock::realtime_ms() / 1000);
        while let Some(rotation) = self.merge.step(&mut self.buffer) {
            self.note_merged();
            self.rotate(&*rotation);
        }
        self.note_merged();
        self.flush(false);
        self.sync();
        self.finish_rewrite();
        let keeps = self.durable.aof.keep_history.load(Ordering::Relaxed);
        if std::mem::replace(&mut self.keeps_history, keeps) && !keeps {
            self.delete_history();
        }
        self.close_if_off();
        self.tell_waiting();
    }

    fn note_merged(&mut self) {
        for (shard, merged) in self.merged.iter_mut().enumerate() {
            *merged = (*merged).max(self.merge.left(ShardId(shard as u16)));
        }
    }

    // --- writing -----------------------------------------------------------------------------------------------

    /// Writes what is merged. With `force` it does not wait for a sync that is under way. True when nothing is left.
    pub fn flush(&mut self, force: bool) -> bool {
        if self.target.is_none() {
            // Nobody keeps it: the log begins with the next rewrite.
            self.written_to_nowhere();
            return true;
        }
        if self.buffer.is_empty() {
            self.written.clone_from(&self.merged);
            return true;
        }
        let now = Instant::now();
        if !force && self.retry.is_some_and(|at| now < at) {
            return false;
        }
        let durable = self.durable.clone();
        let aof = &durable.aof;
        let is_syncing = self.policy() == Policy::EverySecond && self.syncer.is_busy();
        if is_syncing && !force {
            let since = *self.postponed.get_or_insert(now);
            if now.duration_since(since) < MAX_POSTPONED {
                return false;
            }
            aof.delayed_syncs.fetch_add(1, Ordering::Relaxed);
            self.durable.log(
                level::NOTICE,
                "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting \
                 for fsync to complete, this may slow down the server.",
            );
        }
        self.postponed = None;
        let sleep_us = aof.flush_sleep_us.load(Ordering::Relaxed);
        if sleep_us > 0 {
            std::thread::park_timeout(Duration::from_micros(sleep_us));
        }
        let Some(target) = &mut self.target else { return true };
        let (written, error) = durable.faults.write(Place::LogWrite, &target.file, &self.buffer);
        let (at_s, ms) = (clock::realtime_ms() / 1000, now.elapsed().as_millis() as u64);
        aof.event(
            match () {
                () if is_syncing => "aof-write-pending-fsync",
                () if self.durable.is_saving() => "aof-write-active-child",
                () => "aof-write-alone",
            },
            at_s,
            ms,
        );
        aof.event("aof-write", at_s, ms);
        match error {
            None => {
                target.bytes += written as u64;
                self.wrote(written);
                self.buffer.clear();
                self.buffer.shrink_to(KEPT_BUFFER);
                self.written.clone_from(&self.merged);
                self.retry = None;
                if aof.write_errno.swap(0, Ordering::Relaxed) != 0 {
                    self.durable
                        .log(level::WARNING, "AOF write error looks solved, the server can write again.");
                    self.durable.aof_status_changed();
                }
                true
            }
            Some(error) => {
                self.could_not_write(written, &error);
                false
            }
        }
    }

    fn wrote(&mut self, bytes: usize) {
        let aof = &self.durable.aof;
        self.unsynced |= bytes > 0;
        aof.current_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Tells how much waits.
    fn tell_waiting(&self) {
        let aof = &self.durable.aof;
        let waiting = self.merge.waiting_bytes() + self.buffer.len() as u64;
        aof.waiting_bytes.store(waiting, Ordering::Relaxed);
        if aof.told_behind.load(Ordering::Relaxed) != aof.is_behind() {
            self.durable.aof_status_changed();
        }
    }

    fn written_to_nowhere(&mut self) {
        self.buffer = Vec::new();
        self.retry = None;
        self.postponed = None;
        self.unsynced = false;
        if self.written != self.merged {
            self.written.clone_from(&self.merged);
            self.release(&self.written);
        }
    }

    fn could_not_write(&mut self, written: usize, error: &io::Error) {
        let now = Instant::now();
        let is_told = self.error_logged.is_none_or(|at| now.duration_since(at) > ERROR_LOG);
        if is_told {
            self.error_logged = Some(now);
        }
        let say = |text: String| {
            if is_told {
                self.durable.log(level::WARNING, text);
            }
        };
        let policy = self.policy();
        let Some(target) = &mut self.target else { return };
        let mut kept = 0;
        if written == 0 {
            say(format!("Error writing to the AOF file: {error}"));
        } else {
            let expected = self.buffer.len();
            say(format!(
                "Short write while writing to the AOF file: (nwritten={written}, expected={expected}): {error}"
            ));
            let cut =
                self.durable.faults.check(Place::LogCut).and_then(|()| target.file.set_len(target.bytes));
            if let Err(error) = cut {
                say(format!(
                    "Could not remove short write from the append-only file. The server may refuse to load the AOF the \
                     next time it starts. ftruncate: {error}"
                ));
                kept = written;
            }
        }
        if policy == Policy::Always {
            self.durable.log(
                level::WARNING,
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting...",
            );
            std::process::exit(1);
        }
        target.bytes += kept as u64;
        self.buffer.drain(..kept);
        self.wrote(kept);
        self.retry = Some(now + SECOND);
        if self.durable.aof.write_errno.swap(errno(error), Ordering::Relaxed) != errno(error) {
            self.durable.aof_status_changed();
        }
    }

    // --- syncing -----------------------------------------------------------------------------------------------

    fn sync(&mut self) {
        let policy = self.policy();
        if policy != Policy::Always {
            // It is written, or a write was tried, or waits for the disk: replies do not.
            self.release(&self.merged);
        }
        let Some(target) = &self.target else { return };
        let failed = self.durable.aof.sync_errno.load(Ordering::Relaxed) != 0;
        if !self.unsynced && !failed {
            // Chunks that came had nothing in them, or what is in them is on its way.
            if policy == Policy::Always {
                self.syncer.wait();
            }
            if !self.syncer.is_busy() {
                self.release(&self.written);
                self.durable.aof_synced(&self.written);
            }
            return;
        }
        if self.spares_the_disk() {
            self.release(&self.written);
            return;
        }
        match policy {
            Policy::No => {}
            Policy::Always => self.sync_now(),
            Policy::EverySecond => {
                if self.last_sync.elapsed() >= SECOND && !self.syncer.is_busy() {
                    self.syncer.sync(target.file.clone(), self.written.clone());
                    self.unsynced = false;
                    self.last_sync = Instant::now();
                }
            }
        }
    }

    /// Everything written is on disk when this returns.
    pub fn sync_now(&mut self) {
        let Some(target) = &self.target else { return };
        // A file before this one may be on its way.
        self.syncer.wait();
        let begun = Instant::now();
        if let Err(error) = self.durable.faults.sync(Place::LogSync, &target.file) {
            self.durable.log(
                level::WARNING,
                format!(
                    "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {error}. Exiting..."
                ),
            );
            std::process::exit(1);
        }
        let (took, now) = (begun.elapsed(), Instant::now());
        self.gather.synced(took, now);
        self.durable.aof.event("aof-fsync-always", clock::realtime_ms() / 1000, took.as_millis() as u64);
        self.durable.aof.sync_errno.store(0, Ordering::Relaxed);
        self.unsynced = false;
        self.last_sync = now;
        self.release(&self.written);
        self.durable.aof_synced(&self.written);
    }

    /// The same, but an error is the caller's.
    pub fn sync_quietly(&mut self) -> io::Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        self.syncer.wait();
        self.durable.faults.sync(Place::LogSync, &target.file)?;
        self.unsynced = false;
        self.last_sync = Instant::now();
        self.durable.aof_synced(&self.written);
        Ok(())
    }

    /// Replies that tell of these chunks may leave.
    fn release(&self, chunks: &[u64]) {
        let mut any = false;
        for (released, chunk) in self.durable.aof.released.iter().zip(chunks) {
            any |= released.fetch_max(*chunk, Ordering::AcqRel) < *chunk;
        }
        if any {
            self.durable.rouse_holders();
        }
    }

    // --- the file ----------------------------------------------------------------------------------------------

    /// What leaves from here on goes into this file; the one before is synced and closed.
    pub fn change_target(&mut self, target: Option<Target>) {
        if let Some(old) = std::mem::replace(&mut self.target, target) {
            self.syncer.sync(old.file, self.written.clone());
        }
        self.unsynced = false;
        self.last_sync = Instant::now();
    }

    /// When every shard has switched its log off, what there is goes to disk and the file is closed.
    fn close_if_off(&mut self) {
        let aof = &self.durable.aof;
        let generation = aof.generation();
        if self.off.iter().any(|seen| *seen < generation) || !aof.state().closing {
            return;
        }
        if self.target.is_some() {
            self.flush(true);
            self.change_target(None);
            self.syncer.wait();
        }
        // Parts whose others never came belong to what was under way when the log ended.
        self.merge.clear();
        self.buffer.clear();
        self.note_merged();
        for (merged, off) in self.merged.iter_mut().zip(&self.off_chunks) {
            *merged = (*merged).max(*off);
        }
        self.written_to_nowhere();
        let aof = &self.durable.aof;
        aof.write_errno.store(0, Ordering::Relaxed);
        aof.sync_errno.store(0, Ordering::Relaxed);
        aof.lost_sync.store(false, Ordering::Relaxed);
        aof.state().closing = false;
        self.durable.aof_status_changed();
        self.durable.tell();
    }

    fn stop(&mut self) {
        if self.target.is_none() {
            return;
        }
        self.durable.log(level::NOTICE, "Calling fsync() on the AOF file.");
        self.flush(true);
        self.syncer.wait();
        if let Some(target) = &self.target
            && let Err(error) = self.durable.faults.sync(Place::LogSync, &target.file)
        {
            self.durable.log(level::WARNING, format!("Fail to fsync the AOF file: {error}."));
        }
    }

    /// May the log be used? Without one nothing is to be written.
    pub fn mode(&self) -> LogMode {
        self.durable.aof.state().mode
    }
}
