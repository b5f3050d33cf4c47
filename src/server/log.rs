//! The log: lines in Redis's form, to standard output or to a file.
//!
//! The file is opened for every line, as in Redis, so that it may be moved away while the server runs. Lines are
//! rare: nothing is logged per command.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::config::{Config, id};

/// How important a line is; the numbers are those of the setting `loglevel`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Debug = 0,
    Verbose = 1,
    Notice = 2,
    Warning = 3,
}

static LEAST: AtomicU8 = AtomicU8::new(Level::Notice as u8);
/// Where lines go; standard output while it is empty. Absolute, because `dir` may change.
static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
/// Keeps lines of several cores apart.
static LINE: Mutex<()> = Mutex::new(());

/// Takes over `logfile` (once) and `loglevel`. Fails when the file cannot be opened.
pub fn open(config: &Config) -> std::io::Result<()> {
    set_level(config);
    let path = match config.optional(id::LOGFILE) {
        None => None,
        Some(name) => {
            let path = std::path::absolute(name)?;
            OpenOptions::new().append(true).create(true).open(&path)?;
            crate::sys::crash::set_log_file(Some(&path));
            Some(path)
        }
    };
    // A second start in one process is not a thing.
    let _ = FILE.set(path);
    Ok(())
}

/// Takes over `loglevel`.
pub fn set_level(config: &Config) {
    LEAST.store(config.choice_bits(id::LOGLEVEL) as u8, Ordering::Relaxed);
}

/// Writes a line. A log that cannot be written to does not stop the server.
pub fn line(level: Level, text: &str) {
    if (level as u8) < LEAST.load(Ordering::Relaxed) {
        return;
    }
    let sign = [".", "-", "*", "#"][level as usize];
    let now = jiff::Zoned::now();
    let time = now.strftime("%d %b %Y %H:%M:%S");
    let line = format!("{}:M {time}.{:03} {sign} {text}\n", std::process::id(), now.millisecond());
    let _lines = LINE.lock().unwrap_or_else(|broken| broken.into_inner());
    let _ = match FILE.get() {
        Some(Some(path)) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line.as_bytes())),
        _ => std::io::stdout().lock().write_all(line.as_bytes()),
    };
}

/// A line worth reading in normal operation.
pub fn notice(text: impl AsRef<str>) {
    line(Level::Notice, text.as_ref());
}

/// A line that somebody should act upon.
pub fn warning(text: impl AsRef<str>) {
    line(Level::Warning, text.as_ref());
}

/// A line that a script asked for; its level is one of [`Level`]'s numbers.
pub fn of_script(level: u8, text: &[u8]) {
    let level = [Level::Debug, Level::Verbose, Level::Notice, Level::Warning][usize::from(level.min(3))];
    line(level, &String::from_utf8_lossy(text).replace(['\r', '\n'], " "));
}
