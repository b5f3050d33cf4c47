//! A shard's part of a save: its entries, serialised into buffers that go to the writer.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::job::SaveJob;
use super::writer::Message;
use crate::commands::rebuild::{Over, rebuild};
use crate::rdb::file::{self, Access};
use crate::rdb::write::Writer;
use crate::shard::EntryView;
use crate::shard::access::{AccessClock, Counting};
use crate::shard::log::{Commands, Rotation};
use crate::shard::snapshot::{Beginning, Sink, Source};
use crate::types::{DbIndex, ShardId};

/// A shard's buffer goes to the writer at this size.
const BUFFER_BYTES: usize = 256 * 1024;
/// Bytes on their way to the disk, at which shards stop serialising for the sake of progress.
const ROOM_BYTES: usize = 16 << 20;

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
