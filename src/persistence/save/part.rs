//! A shard's part of a save: its entries, serialised into buffers that go to the writer.
//!
//! What an entry costs the shard is bounded but for one case: long strings are handed to the writer as they are, and big
//! collections are written some elements at a time. The case is a collection that somebody writes to before its turn.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::job::SaveJob;
use super::writer::{Message, Piece};
use crate::commands::rebuild::{Over, rebuild};
use crate::rdb::file::{self, Access};
use crate::rdb::stream;
use crate::rdb::value::{can_write_some, kind_of, write_some, write_value};
use crate::rdb::write::Writer;
use crate::shard::EntryView;
use crate::shard::access::{AccessClock, Counting};
use crate::shard::log::{Commands, Rotation};
use crate::shard::snapshot::{Beginning, Sink, Source};
use crate::types::raw::table::ValueRef;
use crate::types::stream::StreamId;
use crate::types::{DbIndex, ShardId, Value};

/// A shard's buffer goes to the writer at this size.
const BUFFER_BYTES: usize = 256 * 1024;
/// What comes on top of it, usually: an entry is written as a whole.
const BUFFER_MORE_BYTES: usize = 8 * 1024;
/// Bytes on their way to the disk, at which shards stop serialising for the sake of progress.
const ROOM_BYTES: usize = 8 << 20;
/// What serialising an entry costs besides its bytes.
const ENTRY_NS: u64 = 150;
/// What an element of a big collection costs besides its bytes.
const ELEMENT_NS: u64 = 100;
/// Collections of more elements are written in steps of so many.
const STEP_ELEMENTS: usize = 128;
/// Strings from here on are not copied, and compressed by the writer.
const SHARED_BYTES: usize = 16 * 1024;
/// A hundred bytes of it: copied from where they lie...
const COPY_100_NS: u64 = 30;
/// ...and when compression is tried.
const COMPRESS_100_NS: u64 = 300;

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
            strings: Vec::new(),
            strings_bytes: 0,
            halves: Vec::new(),
            commands: Commands::default(),
            spent_ns: 0,
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
    /// Strings that belong at these places of the buffer.
    strings: Vec<(usize, Arc<Vec<u8>>)>,
    strings_bytes: usize,
    /// Collections that are written in part. Several when a database is flushed meanwhile.
    halves: Vec<Half>,
    /// The buffer of a base of commands.
    commands: Commands,
    spent_ns: u64,
    /// Entries in the buffer.
    entries: u64,
    begun: Instant,
    all_entries: u64,
}

/// A collection that is written in part.
struct Half {
    address: usize,
    /// Where to go on in it.
    at: u64,
    /// In a stream: at this node.
    node: StreamId,
    /// What was written of it is no piece of the file before all of it is: other shards' would come between.
    pieces: Vec<Piece>,
    out: Vec<u8>,
}

impl SaveJob {
    fn spare_buffer(&self) -> Vec<u8> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES + BUFFER_MORE_BYTES))
    }

    /// A buffer that was written, to be filled again.
    pub(super) fn take_back(&self, mut buffer: Vec<u8>) {
        let is_usual = (BUFFER_BYTES..=2 * BUFFER_BYTES).contains(&buffer.capacity());
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if is_usual && spare.len() < ROOM_BYTES / BUFFER_BYTES && !self.is_cancelled() {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

impl Part {
    fn send(&self, message: Message) {
        if let Some(sender) = &self.sender {
            // A writer that has ended wants no more.
            let _ = sender.send(message);
        }
    }

    fn send_pieces(&self, db: DbIndex, pieces: Vec<Piece>, entries: u64) {
        let bytes = pieces.iter().map(Piece::len).sum();
        self.job.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.job.keys_done.fetch_add(entries, Ordering::Relaxed);
        self.send(Message::Bytes { db, pieces });
    }

    fn flush(&mut self) {
        let Some(db) = self.db.take() else { return };
        let bytes = match self.job.options.is_rdb() {
            true => std::mem::take(&mut self.writer.out),
            false => std::mem::take(&mut self.commands).bytes,
        };
        self.strings_bytes = 0;
        let piece = Piece { bytes, strings: std::mem::take(&mut self.strings) };
        let entries = std::mem::take(&mut self.entries);
        self.send_pieces(db, vec![piece], entries);
    }

    /// Makes room in the buffer for an entry of this database.
    fn begin_entry(&mut self, db: DbIndex) {
        let buffered = self.writer.out.len() + self.strings_bytes + self.commands.bytes.len();
        if self.db != Some(db) || buffered >= BUFFER_BYTES {
            self.flush();
            self.db = Some(db);
        }
        if self.writer.out.capacity() == 0 && self.job.options.is_rdb() {
            self.writer.out = self.job.spare_buffer();
        }
    }

    fn put_command(&mut self, db: DbIndex, entry: EntryView<'_>) {
        let before = self.commands.bytes.len();
        let commands = &mut self.commands;
        rebuild(entry.key(), Some(entry), Over::Nothing, &mut |args: &[&[u8]]| {
            commands.push(db, args.iter().copied());
        });
        self.spent_ns += (self.commands.bytes.len() - before) as u64 * COPY_100_NS / 100;
    }

    fn put_head(&mut self, entry: &EntryView<'_>) -> bool {
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
        file::write_head(&mut self.writer, entry.key(), &entry.value(), entry.expire_at_ms(), access)
    }

    fn put(&mut self, entry: EntryView<'_>) {
        let value = entry.value();
        if !self.put_head(&entry) {
            return;
        }
        match value {
            ValueRef::Heap(Value::String(bytes)) if bytes.len() >= SHARED_BYTES => {
                self.strings.push((self.writer.out.len(), Arc::clone(bytes)));
                self.strings_bytes += bytes.len();
            }
            value => write_value(&mut self.writer, &value),
        }
    }

    /// Writes a step of a big collection, or all that is left of it. True when all of it is written.
    fn put_some(&mut self, db: DbIndex, entry: EntryView<'_>, value: &Value, all: bool) -> bool {
        let address = value.address();
        let known = self.halves.iter().position(|half| half.address == address);
        let mut half = match known {
            Some(index) => self.halves.swap_remove(index),
            None => {
                Half { address, at: 0, node: StreamId::MIN, pieces: Vec::new(), out: self.job.spare_buffer() }
            }
        };
        std::mem::swap(&mut self.writer.out, &mut half.out);
        let (mut is_over, mut more) = (false, true);
        // Nothing may be left of it for the target.
        if known.is_none() && !self.put_head(&entry) {
            (is_over, more) = (true, false);
        }
        while more {
            let goes_on = match value {
                Value::Stream(value) => {
                    let next = stream::write_some(&mut self.writer, value, half.node, STEP_ELEMENTS);
                    next.map(|node| half.node = node)
                }
                value => write_some(&mut self.writer, value, half.at, STEP_ELEMENTS).map(|at| half.at = at),
            };
            is_over = goes_on.is_none();
            if self.writer.out.len() >= BUFFER_BYTES || is_over {
                let bytes = std::mem::take(&mut self.writer.out);
                half.pieces.push(Piece { bytes, strings: Vec::new() });
                if !is_over {
                    self.writer.out = self.job.spare_buffer();
                }
            }
            self.spent_ns += STEP_ELEMENTS as u64 * ELEMENT_NS;
            more = all && !is_over;
        }
        std::mem::swap(&mut self.writer.out, &mut half.out);
        if is_over {
            self.all_entries += 1;
            self.send_pieces(db, half.pieces, 1);
        } else {
            self.halves.push(half);
        }
        is_over
    }
}

impl Sink for Part {
    fn entry(&mut self, db: DbIndex, entry: EntryView<'_>, ahead: bool) -> bool {
        if self.job.is_cancelled() {
            return true;
        }
        let tried_before = self.writer.tried_bytes;
        self.spent_ns += ENTRY_NS;
        self.writer.plain_only = ahead || !self.job.options.compress;
        if self.job.options.is_rdb()
            && let ValueRef::Heap(value) = entry.value()
            && value.copied_elements() > STEP_ELEMENTS
            && can_write_some(value, kind_of(&entry.value(), self.writer.target))
        {
            let is_over = self.put_some(db, entry, value, ahead);
            self.spent_ns += (self.writer.tried_bytes - tried_before) * COMPRESS_100_NS / 100;
            return is_over;
        }
        self.begin_entry(db);
        self.entries += 1;
        self.all_entries += 1;
        if !self.job.options.is_rdb() {
            self.put_command(db, entry);
            return true;
        }
        let before = self.writer.out.len();
        self.put(entry);
        let (copied, tried) = (self.writer.out.len() - before, self.writer.tried_bytes - tried_before);
        self.spent_ns += (copied as u64 * COPY_100_NS + tried * COMPRESS_100_NS) / 100;
        true
    }

    fn spent_ns(&self) -> u64 {
        self.spent_ns
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
