//! The writer of a save: a thread that makes one file of what all shards send.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::file::{Out, header, header_of_commands, sums};
use super::job::{Outcome, SaveJob};
use crate::persistence::faults::Place;
use crate::persistence::{aof, level};
use crate::rdb::file;
use crate::rdb::target::Losses;
use crate::rdb::write::Writer;
use crate::shard::log::put_select;
use crate::shard::snapshot::Beginning;
use crate::types::DbIndex;

/// How often the writer looks whether it was called off.
const LOOK: Duration = Duration::from_millis(50);

/// What a shard sends to the writer of a save.
pub(super) enum Message {
    /// First of all: the shard is at the moment that the file shows.
    Begins(Beginning),
    /// Entries of one database.
    Bytes { db: DbIndex, pieces: Vec<Piece> },
    /// That was all of it.
    Ends,
}

/// Bytes of entries, and long strings that belong between them: they are the shard's, until it changes them.
pub(super) struct Piece {
    pub bytes: Vec<u8>,
    /// In rising order of the places where they belong. Neither a length nor anything else of them is in `bytes`.
    pub strings: Vec<(usize, Arc<Vec<u8>>)>,
}

impl Piece {
    /// Bytes that it holds.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.strings.iter().map(|(_, string)| string.len()).sum::<usize>()
    }
}

impl SaveJob {
    /// The thread of a save.
    pub(super) fn run(self: &Arc<Self>, receiver: &Receiver<Message>) {
        let durable = &self.durable;
        let temporary = self.temporary();
        let written = self.write(&temporary, receiver);
        // Whoever still serialises may stop.
        self.cancel();
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        self.end(outcome);
        if self.options.base.is_some() {
            durable.aof.tell(aof::Message::Rewritten(Arc::clone(self)));
        } else {
            durable.save_ended(self, failed, cancelled, dirty);
        }
    }

    /// Writes the file. `None` when it was called off; else the sum of changes in it.
    fn write(&self, temporary: &Path, receiver: &Receiver<Message>) -> Result<Option<u64>, String> {
        let of = |what: &str, path: &Path, error: io::Error| format!("{what} {}: {error}", path.display());
        let path = &self.options.path;
        let file = File::create(temporary).map_err(|error| of("creating", temporary, error))?;
        let checksum = self.options.checksum && self.options.is_rdb();
        let out = Out::new(file, checksum, self.options.incremental_sync);
        let mut out = out.map_err(|error| of("creating", temporary, error))?;
        let dirty = match self.fill(&mut out, receiver) {
            Ok(Some(dirty)) => dirty,
            Ok(None) => return Ok(None),
            Err(error) => return Err(of("writing", temporary, error)),
        };
        let ended = self.durable.faults.check(Place::SaveSync);
        let ended = ended.and_then(|()| if self.options.is_rdb() { out.end() } else { out.sync() });
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

    pub(super) fn count_losses(&self, losses: Losses) {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner).add(losses);
    }

    /// Writes all but the end.
    fn fill(&self, out: &mut Out, receiver: &Receiver<Message>) -> io::Result<Option<u64>> {
        let mut beginnings = Vec::new();
        let mut early: Vec<(DbIndex, Vec<Piece>)> = Vec::new();
        let (mut ended, mut db) = (0, None);
        let mut strings = Writer::of(self.options.target);
        strings.plain_only = !self.options.compress;
        let mut dirty = 0;
        while ended < self.shards {
            if self.is_cancelled() {
                return Ok(None);
            }
            self.durable.faults.check(Place::SaveWrite)?;
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
                        for (of, pieces) in early.drain(..) {
                            self.pieces(out, &mut strings, &mut db, of, pieces)?;
                        }
                    }
                }
                Ok(Message::Bytes { db, pieces }) if beginnings.len() < self.shards => {
                    early.push((db, pieces));
                }
                Ok(Message::Bytes { db: of, pieces }) => {
                    self.pieces(out, &mut strings, &mut db, of, pieces)?;
                }
            }
        }
        Ok(Some(dirty))
    }

    /// Writes pieces of a database; `now` is the one that the file is at, `strings` writes what the shards did not.
    fn pieces(
        &self,
        out: &mut Out,
        strings: &mut Writer,
        now: &mut Option<DbIndex>,
        db: DbIndex,
        pieces: Vec<Piece>,
    ) -> io::Result<()> {
        if *now != Some(db) {
            let mut writer = Writer::new();
            match self.options.is_rdb() {
                true => file::write_select(&mut writer, u32::from(db.0)),
                false => put_select(&mut writer.out, db),
            }
            out.write(&writer.out)?;
            *now = Some(db);
        }
        for piece in pieces {
            let mut from = 0;
            for (at, string) in &piece.strings {
                out.write(&piece.bytes[from..*at])?;
                from = *at;
                strings.out.clear();
                let is_whole = strings.string_or_length(string);
                out.write(&strings.out)?;
                if !is_whole {
                    out.write(string)?;
                }
            }
            out.write(&piece.bytes[from..])?;
            self.pending_bytes.fetch_sub(piece.len(), Ordering::Relaxed);
            self.take_back(piece.bytes);
        }
        Ok(())
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
