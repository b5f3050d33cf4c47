//! A save under way, as all who have to do with it see it: its settings, how far it is, how it ended.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::options::SaveOptions;
use super::writer::Message;
use crate::persistence::Durable;
use crate::rdb::target::Losses;
use crate::sys::{clock, process, threads};

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

/// A save under way, or the last one.
pub struct SaveJob {
    pub(super) durable: Arc<Durable>,
    /// The log's generation when it began.
    pub(super) generation: u64,
    /// Counts saves, from 1.
    pub number: u64,
    pub(super) options: SaveOptions,
    pub(super) shards: usize,
    /// How shards reach the writer, until every one has begun, and how many have.
    pub(super) sender: Mutex<(Option<Sender<Message>>, usize)>,
    cancelled: AtomicBool,
    /// On their way to the disk.
    pub(super) pending_bytes: AtomicUsize,
    /// Buffers that came back from there, to be filled again: so the allocator neither asks the system for pages nor
    /// gives them back for every buffer.
    pub(super) spare: Mutex<Vec<Vec<u8>>>,
    outcome: Mutex<Option<Outcome>>,
    /// Seconds since the epoch.
    pub begun_s: u64,
    /// What the target cannot express and the file lacks.
    pub(super) losses: Mutex<Losses>,
    /// The sources of libraries of functions as they were at the serial point.
    pub(super) functions: OnceLock<Vec<Vec<u8>>>,
    /// Keys that are in buffers of the writer or in the file.
    pub keys_done: AtomicU64,
    /// Keys there were at the moment that the file shows; 0 until all shards have begun.
    pub keys_total: AtomicU64,
}

impl SaveJob {
    /// Begins it, on a thread of its own. False if there can be none: it has ended then. (With a thread it may have ended
    /// too, and then the thread tells of it.)
    pub(in crate::persistence) fn begin(
        durable: Arc<Durable>,
        options: SaveOptions,
        shards: usize,
    ) -> (Arc<SaveJob>, bool) {
        let (sender, receiver) = channel();
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let job = Arc::new(SaveJob {
            generation: durable.aof.generation(),
            durable,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            options,
            shards,
            sender: Mutex::new((Some(sender), 0)),
            cancelled: AtomicBool::new(false),
            pending_bytes: AtomicUsize::new(0),
            spare: Mutex::default(),
            outcome: Mutex::new(None),
            begun_s: clock::realtime_ms() / 1000,
            losses: Mutex::default(),
            functions: OnceLock::new(),
            keys_done: AtomicU64::new(0),
            keys_total: AtomicU64::new(0),
        });
        let writer = job.clone();
        let spawned = threads::start_patient("snapshot", move || writer.run(&receiver));
        if let Err(error) = &spawned {
            job.cancel();
            job.end(Outcome::Failed(format!("no thread can be started: {error}")));
        }
        (job, spawned.is_ok())
    }

    /// How it ended, when it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn end(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    /// Calls it off; the writer sees that soon.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
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
}

impl std::fmt::Debug for SaveJob {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "SaveJob {}", self.number)
    }
}
