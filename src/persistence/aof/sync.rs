//! The thread that syncs the log once a second, so that writing goes on meanwhile.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use super::{Message, errno};
use crate::persistence::faults::Place;
use crate::persistence::{Durable, level};
use crate::sys::threads;

/// What is to be on disk.
struct Job {
    file: Arc<File>,
    /// Per shard, the last chunk that is in it, or in the files before.
    chunks: Vec<u64>,
}

/// The thread's end that the writer has.
pub struct Syncer {
    durable: Arc<Durable>,
    jobs: Sender<Job>,
}

/// How often is looked whether all is done.
const LOOK: Duration = Duration::from_millis(1);

impl Syncer {
    pub fn begin(durable: Arc<Durable>) -> std::io::Result<Syncer> {
        let (jobs, receiver) = unbounded::<Job>();
        let process = durable.clone();
        threads::start("aof-sync", move || {
            while let Ok(Job { file, chunks }) = receiver.recv() {
                let aof = &process.aof;
                match process.faults.sync(Place::LogSync, &file) {
                    Ok(()) => {
                        if aof.sync_errno.swap(0, Ordering::Relaxed) != 0 {
                            process.log(
                                level::WARNING,
                                "The AOF file can be synced again. What a failed fsync was to bring to the disk may be \
                                 missing in it: rewriting it",
                            );
                            aof.state().rewrite_scheduled = true;
                            process.aof_status_changed();
                            process.tell();
                        }
                        process.aof_synced(&chunks);
                    }
                    Err(error) => {
                        aof.lost_sync.store(true, Ordering::Release);
                        let known = aof.sync_errno.swap(errno(&error), Ordering::Relaxed);
                        if known != errno(&error) {
                            process.log(level::WARNING, format!("Fail to fsync the AOF file: {error}"));
                        }
                        process.aof_status_changed();
                    }
                }
                aof.pending_syncs.fetch_sub(1, Ordering::Release);
                aof.tell(Message::Look);
            }
        })?;
        Ok(Syncer { durable, jobs })
    }

    /// Syncs a file. It is closed afterwards if nobody else has it.
    pub fn sync(&self, file: Arc<File>, chunks: Vec<u64>) {
        self.durable.aof.pending_syncs.fetch_add(1, Ordering::Relaxed);
        // The thread lives as long as this sender.
        let _ = self.jobs.send(Job { file, chunks });
    }

    pub fn is_busy(&self) -> bool {
        self.durable.aof.pending_syncs.load(Ordering::Acquire) > 0
    }

    /// Waits until nothing is on the way.
    pub fn wait(&self) {
        while self.is_busy() {
            std::thread::park_timeout(LOOK);
        }
    }
}
