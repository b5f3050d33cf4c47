//! New files: how the log begins with the process, where a rewrite begins a new increment, and what becomes of its base.
//!
//! A rewrite is a snapshot (`persistence::save`) whose serial point is a mark in every shard's log. Where the merged log
//! comes to that mark a new increment begins, and stands in the manifest before anything is written to it. When the
//! snapshot is complete it becomes the base, and what it holds becomes history. If it fails, the log is base and
//! increments as before, one more of them.
//!
//! With `appendonly yes` at run time there is no log until the first rewrite has ended: what follows its serial point
//! gathers in a file with a temporary name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::manifest::{Folder, Info, Manifest, WriteError};
use super::sync::Syncer;
use super::writer::{Target, Writer};
use super::{LogMode, Policy};
use crate::config::{Config, id};
use crate::persistence::save::{Outcome, SaveJob, SaveOptions, empty_snapshot};
use crate::persistence::{Durable, level};
use crate::shard::log::Rotation;
use crate::sys::{process, threads};

/// How far the present rewrite is.
#[derive(Default)]
pub(super) struct Rewriting {
    /// The number of the rewrite for which the last new file was begun.
    rotated: u64,
    /// The number of one for which that could not be done.
    failed: u64,
    /// Its snapshot has ended.
    ended: Option<Arc<SaveJob>>,
}

impl Rewriting {
    pub fn ended(&mut self, job: Arc<SaveJob>) {
        self.ended = Some(job);
    }
}

/// Why the log cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("Can't open or create append-only dir {}: {error}", path.display())]
    Folder { path: PathBuf, error: io::Error },
    #[error("Can't open the append-only file {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("Can't write the base of the append-only file {}: {error}", path.display())]
    Base { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Manifest(#[from] WriteError),
    #[error("no thread can be started: {0}")]
    Thread(io::Error),
}

impl Durable {
    /// Begins to write the log, if there is to be one, behind what the manifest names and has been loaded; and is there for
    /// rewrites. To be called once, with everything loaded and before the first command is served.
    pub fn open_log(self: &Arc<Self>, config: &Config, manifest: Manifest) -> Result<(), OpenError> {
        self.aof.configure(config);
        let folder = Folder::of(config);
        remove_temporary_files(&folder);
        let mut manifest = manifest;
        let target = match config.flag(id::APPENDONLY) {
            true => Some(self.open_files(config, &folder, &mut manifest)?),
            false => None,
        };
        let syncer = Syncer::begin(self.clone()).map_err(OpenError::Thread)?;
        let is_on = target.is_some();
        let mut writer = Writer::new(self.clone(), folder, manifest, syncer);
        writer.target = target;
        writer.delete_history();
        let receiver = self.aof.take_receiver();
        let Some(receiver) = receiver else { return Ok(()) };
        if is_on {
            self.aof.state().mode = LogMode::On;
        }
        threads::start("aof", move || writer.run(&receiver)).map_err(OpenError::Thread)
    }

    /// The process ends: everything logged is on disk when this returns.
    pub fn close_log(&self) {
        let (done, ended) = crossbeam_channel::bounded(0);
        self.aof.tell(super::Message::Stop(done));
        let has_writer =
            self.aof.receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_none();
        if has_writer {
            // Nothing is ever sent: the writer drops its end.
            let _ = ended.recv();
        }
    }

    fn open_files(
        &self,
        config: &Config,
        folder: &Folder,
        manifest: &mut Manifest,
    ) -> Result<Target, OpenError> {
        folder.create().map_err(|error| OpenError::Folder { path: folder.path.clone(), error })?;
        let before = manifest.clone();
        let show = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        if manifest.is_empty() {
            let rdb = config.flag(id::AOF_USE_RDB_PREAMBLE);
            let name = manifest.new_base(folder, rdb);
            let path = folder.file(&name);
            let text = if rdb { empty_snapshot(SaveOptions::of_base(config, 0)) } else { Vec::new() };
            write_base(&folder.temporary_base(), &path, &text)
                .map_err(|error| OpenError::Base { path, error })?;
            self.log(level::NOTICE, format!("Creating AOF base file {} on server start", show(&name)));
        }
        let (name, what) = match manifest.incrs.last() {
            Some(Info { name, .. }) => (name.clone(), "Opening"),
            None => (manifest.new_incr(folder), "Creating"),
        };
        let path = folder.file(&name);
        let is_new = what == "Creating";
        let opened = open(&path, is_new).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = opened.map_err(|error| OpenError::File { path, error })?;
        if *manifest != before {
            manifest.write(folder)?;
        }
        self.log(level::NOTICE, format!("{what} AOF incr file {} on server start", show(&name)));
        let all = size_of_files(folder, manifest);
        self.aof.current_bytes.store(all, Ordering::Relaxed);
        self.aof.base_bytes.store(all, Ordering::Relaxed);
        Ok(Target { file: Arc::new(file), bytes, is_temporary: false })
    }
}

/// Opens a file of the log for appending.
fn open(path: &Path, fresh: bool) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    if fresh {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Under its name it is complete.
fn write_base(temporary: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(temporary, path)
}

fn size_of_files(folder: &Folder, manifest: &Manifest) -> u64 {
    let of = |info: &Info| fs::metadata(folder.file(&info.name)).map_or(0, |meta| meta.len());
    manifest.base.iter().chain(&manifest.incrs).map(of).sum()
}

/// Where the snapshot of a rewrite is written until it is complete.
pub fn temporary_base() -> PathBuf {
    let name = format!("temp-rewriteaof-bg-{}.aof", process::pid());
    std::env::current_dir().map_or_else(|_| name.clone().into(), |folder| folder.join(&name))
}

/// What processes that are no more have left behind.
fn remove_temporary_files(folder: &Folder) {
    // They may not be there, and are in nobody's way when they stay.
    let _ = fs::remove_file(folder.temporary_incr());
    let _ = fs::remove_file(folder.temporary_base());
    let Some(Ok(entries)) = folder.path.parent().map(fs::read_dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            let name = name.strip_prefix("temp-rewriteaof-")?.strip_suffix(".aof")?;
            name.strip_prefix("bg-").unwrap_or(name).parse::<u32>().ok()
        });
        if pid.is_some_and(|pid| pid == process::pid() || !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Writer {
    /// Every shard has come to the serial point of a rewrite: a new file begins.
    pub fn rotate(&mut self, rotation: &dyn Rotation) {
        let Some(job) = rotation.as_any().downcast_ref::<SaveJob>() else { return };
        if let Err(reason) = self.begin_incr(job) {
            self.rewriting.failed = job.number;
            if let Some(reason) = reason {
                job.cancel();
                self.durable.log(level::WARNING, reason);
            }
            return;
        }
        self.rewriting.rotated = job.number;
    }

    /// `Err` without a reason: there is nothing to begin it for any more.
    fn begin_incr(&mut self, job: &SaveJob) -> Result<(), Option<String>> {
        if job.is_of_no_use() {
            return Err(None);
        }
        let mode = self.mode();
        // What precedes the mark belongs to the file before.
        if !self.flush(true) {
            return Err(Some("The AOF file cannot be written, so no new one is begun".into()));
        }
        // A later file must not hold what an earlier one could still lose.
        match self.durable.aof.policy() {
            Policy::Always => self.sync_now(),
            Policy::EverySecond | Policy::No => {
                self.sync_quietly().map_err(|error| Some(format!("Fail to fsync the AOF file: {error}")))?;
            }
        }
        if mode == LogMode::WaitRewrite {
            self.folder = Folder { path: current(&self.folder), ..self.folder.clone() };
        }
        let of_folder = |error| format!("Can't open or create append-only dir: {error}");
        self.folder.create().map_err(|error| Some(of_folder(error)))?;
        let mut manifest = self.manifest.clone();
        let path = match mode {
            LogMode::Off => return Err(None),
            LogMode::WaitRewrite => self.folder.temporary_incr(),
            LogMode::On => self.folder.file(&manifest.new_incr(&self.folder)),
        };
        let file = open(&path, true)
            .map_err(|error| Some(format!("Can't open the append-only file {}: {error}", path.display())))?;
        if mode == LogMode::On {
            if let Err(error) = manifest.write(&self.folder) {
                // Nothing names it.
                let _ = fs::remove_file(&path);
                return Err(Some(error.to_string()));
            }
            self.manifest = manifest;
        }
        self.durable
            .log(level::NOTICE, format!("Creating AOF incr file {} on background rewrite", name_of(&path)));
        let is_temporary = mode == LogMode::WaitRewrite;
        self.change_target(Some(Target { file: Arc::new(file), bytes: 0, is_temporary }));
        Ok(())
    }

    /// The snapshot of a rewrite has ended, and the log has come to where it began.
    pub fn finish_rewrite(&mut self) {
        let Some(job) = self.rewriting.ended.take() else { return };
        let is_off = self.mode() == LogMode::Off;
        let outcome = match job.outcome() {
            Some(Outcome::Saved { .. }) if job.is_logged() && is_off => Outcome::Cancelled,
            Some(Outcome::Saved { .. }) if job.is_logged() && self.rewriting.failed == job.number => {
                Outcome::Failed("no new file could be begun".into())
            }
            Some(Outcome::Saved { .. }) if job.is_logged() && self.rewriting.rotated != job.number => {
                // The mark is on its way.
                self.rewriting.ended = Some(job);
                return;
            }
            Some(Outcome::Cancelled) if self.rewriting.failed == job.number && !is_off => {
                Outcome::Failed("no new file could be begun".into())
            }
            Some(Outcome::Saved { dirty }) => match self.adopt_base(&job) {
                Ok(()) => Outcome::Saved { dirty },
                Err(reason) => Outcome::Failed(reason),
            },
            other => other.unwrap_or(Outcome::Cancelled),
        };
        match &outcome {
            Outcome::Saved { .. } => {
                self.durable.log(level::NOTICE, "Background AOF rewrite finished successfully");
                self.delete_history();
            }
            _ => {
                let _ = fs::remove_file(job.temporary());
                if let Outcome::Failed(reason) = &outcome {
                    self.durable.log(
                        level::WARNING,
                        format!("Background AOF rewrite terminated with error: {reason}"),
                    );
                }
                if self.target.as_ref().is_some_and(|target| target.is_temporary) {
                    // Without its base it is of no use.
                    self.durable.log(
                        level::NOTICE,
                        format!("Removing the temp incr aof file {}", name_of(&self.folder.temporary_incr())),
                    );
                    self.target = None;
                    let _ = fs::remove_file(self.folder.temporary_incr());
                }
            }
        }
        self.durable.rewrite_ended(&job, &outcome);
    }

    /// The complete snapshot becomes the base.
    fn adopt_base(&mut self, job: &SaveJob) -> Result<(), String> {
        self.durable.log(level::NOTICE, "Background AOF rewrite terminated with success");
        let folder = self.folder.clone();
        let of = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
            format!("Error trying to {what} {}: {error}", path.display())
        };
        folder.create().map_err(|error| of("create the folder", &folder.path, &error))?;
        let mut manifest = self.manifest.clone();
        let base = folder.file(&manifest.new_base(&folder, job.is_rdb()));
        fs::rename(job.temporary(), &base)
            .map_err(|error| of("rename the temporary AOF base file into", &base, &error))?;
        let is_temporary = self.target.as_ref().is_some_and(|target| target.is_temporary);
        if is_temporary {
            let incr = folder.file(&manifest.new_incr(&folder));
            if let Err(error) = fs::rename(folder.temporary_incr(), &incr) {
                let _ = fs::remove_file(&base);
                return Err(of("rename the temporary AOF incr file into", &incr, &error));
            }
        }
        manifest.retire_incrs(usize::from(self.target.is_some()));
        if let Err(error) = manifest.write(&folder) {
            if Manifest::read(&folder).ok().flatten().as_ref() != Some(&manifest) {
                // The old one stands, and names neither.
                if is_temporary && let Some(Info { name, .. }) = manifest.incrs.last() {
                    let _ = fs::rename(folder.file(name), folder.temporary_incr());
                }
                let _ = fs::remove_file(&base);
                return Err(error.to_string());
            }
            self.durable.log(level::WARNING, error.to_string());
        }
        self.manifest = manifest;
        if let Some(target) = &mut self.target {
            target.is_temporary = false;
            let bytes = fs::metadata(&base).map_or(0, |meta| meta.len()) + target.bytes;
            self.durable.aof.current_bytes.store(bytes, Ordering::Relaxed);
            self.durable.aof.base_bytes.store(bytes, Ordering::Relaxed);
            // All that was logged before is in the base now, and that is on disk.
            self.durable.aof.lost_sync.store(false, Ordering::Release);
            let mut state = self.durable.aof.state();
            if state.mode == LogMode::WaitRewrite {
                state.mode = LogMode::On;
            }
        }
        Ok(())
    }

    /// What the manifest on disk names was loaded: files are numbered on from there.
    pub fn take_over_numbers(&mut self) {
        if let Ok(Some(on_disk)) = Manifest::read(&self.folder)
            && on_disk.names_the_same(&self.manifest)
        {
            self.manifest = on_disk;
        }
    }

    /// Files that a rewrite has replaced are deleted in the background.
    pub fn delete_history(&mut self) {
        if self.manifest.history.is_empty() || self.durable.aof.keep_history.load(Ordering::Relaxed) {
            return;
        }
        let mut manifest = self.manifest.clone();
        let history = std::mem::take(&mut manifest.history);
        if let Err(error) = manifest.write(&self.folder) {
            return self.durable.log(level::WARNING, error.to_string());
        }
        self.manifest = manifest;
        let paths: Vec<PathBuf> = history.iter().map(|info| self.folder.file(&info.name)).collect();
        for path in &paths {
            let name = name_of(path);
            self.durable.log(level::NOTICE, format!("Removing the history file {name} in the background"));
        }
        // Deleting a large file takes a while. What is left behind is named nowhere and harms nobody.
        let _ = threads::start_patient("aof-history", move || {
            paths.iter().for_each(|path| drop(fs::remove_file(path)));
        });
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The log's folder in the present working directory.
fn current(folder: &Folder) -> PathBuf {
    match (std::env::current_dir(), folder.path.file_name()) {
        (Ok(dir), Some(name)) => dir.join(name),
        _ => folder.path.clone(),
    }
}
