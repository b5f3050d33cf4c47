//! `coreshard check-aof`: reads a log as a load would, says how far it is good, and cuts off what is not when told to.
//!
//! Redis: the words are those of redis-check-aof, which people and programs look for.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::find::{files_of, plain};
use super::manifest::{Folder, Manifest};
use super::read::{LogReader, Next, ReadError, fault_of, time_of};
use super::replay::LogFile;
use crate::persistence::check;

/// What is to be done with what is found.
#[derive(Clone, Copy, Default, Debug)]
pub struct CheckOptions {
    /// Cut off what cannot be read.
    pub fix: bool,
    /// Cut off what was done after this time (seconds since the epoch).
    pub until: Option<i64>,
    pub now_ms: u64,
}

/// Why it ends with an error: already said.
struct Bad;

type Checked<T> = Result<T, Bad>;

/// Checks a file, a manifest, or a folder that holds one. True when all is (now) good.
pub fn check(
    path: &Path,
    options: CheckOptions,
    out: &mut dyn Write,
    confirm: &mut dyn FnMut() -> bool,
) -> bool {
    Checker { options, out, confirm }.check(path).is_ok()
}

struct Checker<'c> {
    options: CheckOptions,
    out: &'c mut dyn Write,
    /// Asks whether to go on.
    confirm: &'c mut dyn FnMut() -> bool,
}

/// How far a file is good.
struct Scanned {
    size: u64,
    good: u64,
    lines: u64,
}

impl Checker<'_> {
    fn say(&mut self, text: impl std::fmt::Display) {
        // A reader that has seen enough is no failure.
        let _ = writeln!(self.out, "{text}");
    }

    fn fail<T>(&mut self, text: impl std::fmt::Display) -> Checked<T> {
        self.say(text);
        Err(Bad)
    }

    fn check(&mut self, path: &Path) -> Checked<()> {
        let of = |error: &io::Error| format!("Cannot open file {}: {}", path.display(), plain(error));
        let path = match is_manifest(path) {
            Err(error) => return self.fail(of(&error)),
            Ok(None) => {
                self.say("Start checking Old-Style AOF");
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
                let file = LogFile { path: path.to_owned(), name, is_base: true, is_single: true };
                return self.file(&file, "AOF", true);
            }
            Ok(Some(manifest)) => manifest,
        };
        self.say("Start checking Multi Part AOF");
        let manifest = match std::fs::read(&path) {
            Ok(text) => Manifest::parse(&text),
            Err(error) => return self.fail(of(&error)),
        };
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(bad) => return self.fail(bad),
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = Folder { path: folder.unwrap_or(Path::new(".")).to_owned(), name: String::new() };
        let files = files_of(&folder, &manifest);
        for (number, file) in files.iter().enumerate() {
            if file.is_base {
                let format = if file.name.ends_with(".rdb") { "RDB" } else { "AOF" };
                self.say(format!("Start to check BASE AOF ({format} format)."));
            } else if number == usize::from(manifest.base.is_some()) {
                self.say("Start to check INCR files.");
            }
            self.file(file, if file.is_base { "BASE AOF" } else { "INCR AOF" }, number + 1 == files.len())?;
        }
        self.say("All AOF files and manifest are valid");
        Ok(())
    }

    fn file(&mut self, file: &LogFile, what: &str, is_last: bool) -> Checked<()> {
        let name = &file.name;
        let opened = File::open(&file.path).and_then(|opened| Ok((opened.metadata()?, opened)));
        let (data, opened) = match opened {
            Err(error) => {
                let path = file.path.display();
                return self.fail(format!("Cannot open file {path}: {}, aborting...", plain(&error)));
            }
            Ok((data, opened)) => (data, opened),
        };
        if data.is_dir() {
            return self.fail(format!("Cannot read file: {name}"));
        }
        if data.len() == 0 {
            self.say(format!("{what} {name} is empty"));
            return Ok(());
        }
        let begins_at = self.preamble(file)?;
        let scanned = match self.options.until {
            Some(until) => return self.cut_at_time(file, what, opened, begins_at, until, is_last),
            None => self.scan(file, opened, begins_at, data.len())?,
        };
        let Scanned { size, good, lines } = scanned;
        let diff = size - good;
        self.say(format!(
            "AOF analyzed: filename={name}, size={size}, ok_up_to={good}, ok_up_to_line={lines}, diff={diff}"
        ));
        if diff == 0 {
            self.say(format!("{what} {name} is valid"));
            return Ok(());
        }
        if !self.options.fix {
            return self.fail(format!("AOF {name} is not valid. Use the --fix option to try fixing it."));
        }
        if !is_last {
            return self.fail(format!("Failed to truncate AOF {name} because it is not the last file"));
        }
        let _ = write!(
            self.out,
            "This will shrink the AOF {name} from {size} bytes, with {diff} bytes, to {good} bytes\nContinue? [y/N]: "
        );
        let _ = self.out.flush();
        if !(self.confirm)() {
            return self.fail("Aborting...");
        }
        self.cut(file, good)?;
        self.say(format!("Successfully truncated AOF {name}"));
        Ok(())
    }

    /// Checks the snapshot that a file begins with, if it does. Where it ends.
    fn preamble(&mut self, file: &LogFile) -> Checked<u64> {
        let mut magic = Vec::new();
        let read = File::open(&file.path).and_then(|opened| opened.take(5).read_to_end(&mut magic));
        if read.is_err() || magic != b"REDIS" {
            return Ok(0);
        }
        match check::check(&file.path, self.options.now_ms, true) {
            Ok(report) => {
                self.say(&report);
                self.say("RDB preamble is OK, proceeding with AOF tail...");
                Ok(report.bytes)
            }
            Err(error) => {
                self.say(error);
                self.fail("RDB preamble of AOF file is not sane, aborting.")
            }
        }
    }

    fn reader(&mut self, mut opened: File, begins_at: u64) -> Checked<LogReader<File>> {
        match opened.seek(SeekFrom::Start(begins_at)) {
            Ok(_) => Ok(LogReader::new(opened, begins_at)),
            Err(error) => self.fail(plain(&error)),
        }
    }

    /// Reads to the end, or to what is not good, and says what that is.
    fn scan(&mut self, file: &LogFile, opened: File, begins_at: u64, size: u64) -> Checked<Scanned> {
        let name = &file.name;
        let mut reader = self.reader(opened, begins_at)?;
        let (mut good, mut lines, mut block) = (begins_at, 0, false);
        let at = |place: u64, text: &dyn std::fmt::Display| format!("0x{place:16x}: {text}");
        loop {
            let next = reader.next();
            let begin = reader.begins_at();
            match next {
                Ok(Next::End) if block => {
                    self.say(at(reader.ends_at(), &"Reached EOF before reading EXEC for MULTI"));
                    break;
                }
                Ok(Next::End) => break,
                Ok(Next::Note) => lines += 1,
                Ok(Next::Command) => {
                    let argv = reader.argv();
                    if let Some((place, expected)) = fault_of(reader.bytes(), argv) {
                        let text = format!("Expected {expected}");
                        self.say(at(begin + place as u64, &text));
                        break;
                    }
                    lines += 1 + 2 * argv.len() as u64;
                    let (multi, exec) =
                        (argv[0].eq_ignore_ascii_case(b"multi"), argv[0].eq_ignore_ascii_case(b"exec"));
                    if (multi && block) || (exec && !block) {
                        let word = if multi { "MULTI" } else { "EXEC" };
                        self.say(at(reader.ends_at(), &format!("Unexpected {word} in AOF {name}")));
                        break;
                    }
                    block = multi || (block && !exec);
                }
                Err(ReadError::Format) => {
                    self.say(at(begin, &format!("AOF {name} format error")));
                    break;
                }
                Err(ReadError::Short) => {
                    self.say(at(begin, &"The file ends within what begins here"));
                    break;
                }
                Err(ReadError::Io(error)) => {
                    return self.fail(format!("Cannot read file {name}: {}", plain(&error)));
                }
            }
            if !block {
                good = reader.ends_at();
            }
        }
        Ok(Scanned { size, good, lines })
    }

    /// Cuts a file before the first note of a later time.
    fn cut_at_time(
        &mut self,
        file: &LogFile,
        what: &str,
        opened: File,
        begins_at: u64,
        until: i64,
        is_last: bool,
    ) -> Checked<()> {
        let name = &file.name;
        let mut reader = self.reader(opened, begins_at)?;
        loop {
            match reader.next() {
                Ok(Next::Command) => {}
                Ok(Next::Note) if time_of(reader.note()).is_some_and(|time| time > until) => break,
                Ok(Next::Note) => {}
                Ok(Next::End) => {
                    if is_last {
                        self.say(format!("Truncate nothing in AOF {name} to timestamp {until}"));
                    }
                    self.say(format!("{what} {name} is valid"));
                    return Ok(());
                }
                Err(error) => {
                    let place = reader.begins_at();
                    self.say(format!("0x{place:16x}: AOF {name}: {error}"));
                    return self
                        .fail(format!("AOF {name} is not valid. Use the --fix option to try fixing it."));
                }
            }
        }
        let place = reader.begins_at();
        if place == 0 {
            return self.fail(format!("AOF {name} has nothing before timestamp {until}, aborting..."));
        }
        if !is_last {
            return self.fail(format!(
                "Failed to truncate AOF {} to timestamp {until} to offset {place} because it is not the last file.\n\
                 If you insist, please delete all files after this file according to the manifest file and delete the \
                 corresponding records in manifest file manually. Then re-run coreshard check-aof.",
                file.path.display()
            ));
        }
        self.cut(file, place)?;
        self.say(format!("Successfully truncated AOF {name} to timestamp {until}"));
        Ok(())
    }

    fn cut(&mut self, file: &LogFile, length: u64) -> Checked<()> {
        let cut = OpenOptions::new().write(true).open(&file.path).and_then(|opened| {
            opened.set_len(length)?;
            opened.sync_all()
        });
        match cut {
            Ok(()) => Ok(()),
            Err(error) => self.fail(format!("Failed to truncate AOF {}: {}", file.name, plain(&error))),
        }
    }
}

/// The manifest that is meant: the file itself, or the one in a folder. `None` when it is a file of another kind.
fn is_manifest(path: &Path) -> io::Result<Option<PathBuf>> {
    if !path.is_dir() {
        let mut line = Vec::new();
        let mut file = BufReader::new(File::open(path)?);
        // Redis: the first line that is no comment says what it is.
        loop {
            line.clear();
            (&mut file).take(1024).read_until(b'\n', &mut line)?;
            if !line.starts_with(b"#") {
                break;
            }
        }
        return Ok(line.to_ascii_lowercase().starts_with(b"file ").then(|| path.to_owned()));
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".manifest") && !name.starts_with("temp-")
        })
        .collect();
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(Some(one)),
        (None, _) => Err(io::Error::new(io::ErrorKind::NotFound, "no manifest is in this folder")),
        _ => Err(io::Error::other("several manifests are in this folder: say which")),
    }
}
