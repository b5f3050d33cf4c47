//! Loading a log: one thread reads its commands and deals them to the cores that own their keys.
//!
//! ```text
//!                 ┌── commands of one core's keys, many at a time ──▶ core 0, core 1, …
//!   file ──▶ reader
//!                 └── what is no single core's: when all cores have come so far, on a connection of its own
//! ```
//!
//! INVARIANT: what the log has of one key is done in the order of the log. Nobody looks meanwhile, so blocks
//! (MULTI, EXEC) and commands that go key by key need not be done at one moment: a block's commands are dealt when its
//! end was read. Nothing expires while a log is loaded: it deletes by name what had expired when it was written.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::find::Found;
use super::manifest::Manifest;
use super::read::{LogReader, Next, ReadError};
use crate::commands::context::ClientView;
use crate::commands::spec::{Flags, Run};
use crate::commands::{CommandTable, Entry, RowId};
use crate::config::{Config, id};
use crate::persistence::level;
use crate::persistence::load::{Batch, Dealer};
use crate::rdb::file::FileReader;
use crate::resp::{Argv, Span};
use crate::shard::log::{EXEC, MULTI};
use crate::sys::clock;
use crate::tx::Route;
use crate::tx::execute::pieces_begin;
use crate::tx::message::{Commands, Token};
use crate::tx::route::{by_owner, route};
use crate::types::number::parse_i64;
use crate::types::{DbIndex, ShardId};

/// A core gets its commands in batches of so many, or of so many bytes.
const BATCH_COMMANDS: usize = 512;
const BATCH_BYTES: usize = 128 * 1024;

/// One file of a log.
#[derive(Clone, Debug)]
pub struct LogFile {
    pub path: PathBuf,
    /// As the manifest has it.
    pub name: String,
    /// The first of them; it may be a snapshot, or begin with one.
    pub is_base: bool,
    /// From Redis before 7: one file in all.
    pub is_single: bool,
}

/// What is to be loaded.
#[derive(Clone)]
pub struct LogOptions {
    pub files: Vec<LogFile>,
    pub total_bytes: u64,
    pub manifest: Manifest,
    /// The process's log is being written: it is to be in the files, and in rest, before they are read.
    pub is_written: bool,
    /// `aof-load-truncated`.
    pub load_truncated: bool,
    /// `aof-load-corrupt-tail-max-size`.
    pub corrupt_tail_bytes: u64,
    pub table: &'static CommandTable,
}

impl LogOptions {
    pub fn of(config: &Config, found: Found, table: &'static CommandTable) -> LogOptions {
        LogOptions {
            files: found.files,
            total_bytes: found.total_bytes,
            manifest: found.manifest,
            is_written: false,
            load_truncated: config.flag(id::AOF_LOAD_TRUNCATED),
            corrupt_tail_bytes: config.memory(id::AOF_LOAD_CORRUPT_TAIL_MAX_SIZE),
            table,
        }
    }
}

impl std::fmt::Debug for LogOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.fmt(out)
    }
}

/// How reading a file ended.
#[derive(PartialEq, Eq)]
enum Ended {
    Whole,
    /// The end was cut off: `keep` bytes are good.
    Truncated {
        keep: u64,
    },
}

/// Why a file is not loaded.
enum Halt {
    /// The file ends early, or what follows is no command. Where the last good record ended, and what cannot be read.
    Short {
        keep: u64,
    },
    Format {
        keep: u64,
    },
    /// Already worded.
    Said(String),
}

impl From<String> for Halt {
    fn from(text: String) -> Halt {
        Halt::Said(text)
    }
}

/// A load of a log.
pub(in crate::persistence) struct Replay<'d, 'l> {
    dealer: &'d mut Dealer<'l>,
    options: &'l LogOptions,
    /// Of the files before this one.
    bytes_before: u64,
    db: DbIndex,
    batches: Vec<Commands>,
    /// The commands of the block that was begun, and where it began.
    block: Option<(u64, Commands)>,
    connection: Option<Connection>,
    /// Cores were given commands since all were waited for.
    is_ahead: bool,
}

impl<'d, 'l> Replay<'d, 'l> {
    pub(in crate::persistence) fn new(dealer: &'d mut Dealer<'l>, options: &'l LogOptions) -> Replay<'d, 'l> {
        let batches = (0..dealer.placement.shards()).map(|_| Commands::default()).collect();
        Replay {
            dealer,
            options,
            bytes_before: 0,
            db: DbIndex(0),
            batches,
            block: None,
            connection: None,
            is_ahead: true,
        }
    }

    /// Loads all files.
    pub(in crate::persistence) fn run(mut self) -> Result<(), String> {
        self.dealer.begin_replay();
        if self.dealer.load.options.flush {
            self.dealer.flush_all();
        }
        let files = &self.options.files;
        for (number, file) in files.iter().enumerate() {
            let begun_ms = clock::realtime_ms();
            let is_last = number + 1 == files.len();
            let ended = self.file(file, is_last)?;
            if self.dealer.load.has_failed() {
                return Ok(());
            }
            let seconds = clock::realtime_ms().saturating_sub(begun_ms) as f64 / 1000.0;
            let kind = if file.is_base { "base" } else { "incr" };
            if ended.is_some() {
                self.say(
                    level::NOTICE,
                    format!("DB loaded from {kind} file {}: {seconds:.3} seconds", file.name),
                );
            }
            self.bytes_before += std::fs::metadata(&file.path).map_or(0, |data| data.len());
        }
        self.flush_all();
        Ok(())
    }

    fn say(&self, level: u8, text: impl AsRef<str>) {
        self.dealer.durable.log(level, text);
    }

    /// Loads one file. `None` when it is empty.
    fn file(&mut self, file: &LogFile, is_last: bool) -> Result<Option<Ended>, String> {
        let name = &file.name;
        let mut opened = File::open(&file.path).map_err(|error| {
            format!("Fatal error: can't open the append log file {name} for reading: {error}")
        })?;
        let io = |error: std::io::Error| {
            format!("Unrecoverable error reading the append only file {name}: {error}")
        };
        if opened.metadata().map_err(io)?.len() == 0 {
            return Ok(None);
        }
        let mut magic = [0; 5];
        let is_snapshot = read_some(&mut opened, &mut magic).map_err(io)? == 5 && &magic == b"REDIS";
        opened.rewind().map_err(io)?;
        let mut at = 0;
        if is_snapshot {
            at = self.snapshot(file, &opened)?;
            opened.seek(SeekFrom::Start(at)).map_err(io)?;
        }
        (self.db, self.block) = (DbIndex(0), None);
        let halt = match self.commands(name, LogReader::new(opened, at)) {
            Ok(()) => return Ok(Some(Ended::Whole)),
            Err(halt) => halt,
        };
        let ended = self.cut_off(file, halt, is_last)?;
        if let Ended::Truncated { keep } = ended {
            let cut = OpenOptions::new().write(true).open(&file.path).and_then(|file| {
                file.set_len(keep)?;
                file.sync_all()
            });
            cut.map_err(|error| format!("Error truncating the AOF file {name}: {error}"))?;
        }
        Ok(Some(ended))
    }

    /// Loads the snapshot that a file is or begins with. Where it ends.
    fn snapshot(&mut self, file: &LogFile, opened: &File) -> Result<u64, String> {
        let (what, bad) = if file.is_single {
            ("Reading RDB preamble from AOF file...", "Error reading the RDB preamble of the AOF file")
        } else {
            ("Reading RDB base file on AOF loading...", "Error reading the RDB base file")
        };
        self.say(level::NOTICE, what);
        let worded = |error: String| format!("{error}. {bad} {}, AOF loading aborted", file.name);
        let opened = opened.try_clone().map_err(|error| worded(error.to_string()))?;
        let reader = FileReader::new(opened, self.dealer.load.options.check)
            .map_err(|error| worded(error.to_string()))?;
        self.is_ahead = true;
        let at = self.dealer.deal(reader, &file.path, self.bytes_before).map_err(worded)?;
        (0..self.batches.len()).for_each(|core| self.dealer.flush(core));
        if file.is_single {
            self.say(level::NOTICE, "Reading the remaining AOF tail...");
        }
        Ok(at)
    }

    /// What becomes of a file that could not be read to its end.
    fn cut_off(&self, file: &LogFile, halt: Halt, is_last: bool) -> Result<Ended, String> {
        let name = &file.name;
        let (keep, may_cut, setting) = match halt {
            Halt::Said(text) => return Err(text),
            Halt::Short { keep } => (keep, self.options.load_truncated, "aof-load-truncated"),
            Halt::Format { keep } => {
                let length = std::fs::metadata(&file.path).map_or(u64::MAX, |data| data.len());
                let small = length.saturating_sub(keep) <= self.options.corrupt_tail_bytes;
                if !small || self.options.corrupt_tail_bytes == 0 {
                    return Err(format!(
                        "Bad file format reading the append only file {name}: make a backup of your AOF file, then use \
                         coreshard check-aof --fix <filename.manifest>"
                    ));
                }
                (keep, true, "aof-load-corrupt-tail-max-size")
            }
        };
        if !may_cut {
            return Err(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, \
                 then use coreshard check-aof --fix <filename.manifest>. 2) Alternatively you can set the \
                 'aof-load-truncated' configuration option to yes and restart the server."
            ));
        }
        if setting == "aof-load-truncated" {
            self.say(level::WARNING, format!("!!! Warning: short read while loading the AOF file {name}!!!"));
        } else {
            self.say(level::WARNING, format!("!!! Warning: the end of the AOF file {name} is damaged!!!"));
        }
        if !is_last {
            // What follows in other files was done after what is missing here.
            return Err("Fatal error: the truncated file is not the last file".to_owned());
        }
        self.say(level::WARNING, format!("!!! Truncating the AOF {name} at offset {keep} !!!"));
        self.say(level::WARNING, format!("AOF {name} loaded anyway because {setting} is enabled"));
        Ok(Ended::Truncated { keep })
    }

    /// Deals what a file holds.
    fn commands(&mut self, name: &str, mut reader: LogReader<File>) -> Result<(), Halt> {
        // Where the last record that counts ended.
        let mut good = reader.ends_at();
        let delay_us = self.dealer.load.options.key_delay_us;
        loop {
            if self.dealer.load.has_failed() {
                return Ok(());
            }
            let keep = self.block.as_ref().map_or(good, |(begun, _)| *begun);
            match reader.next() {
                Ok(Next::Note) => {}
                Ok(Next::End) if self.block.is_some() => {
                    self.say(
                        level::WARNING,
                        format!("Revert incomplete MULTI/EXEC transaction in AOF file {name}"),
                    );
                    return Err(Halt::Short { keep });
                }
                Ok(Next::End) => return Ok(()),
                Ok(Next::Command) => {
                    if delay_us > 0 {
                        std::thread::park_timeout(std::time::Duration::from_micros(delay_us));
                    }
                    self.request(name, reader.begins_at(), reader.argv())?;
                }
                Err(ReadError::Short) => return Err(Halt::Short { keep }),
                Err(ReadError::Format) => return Err(Halt::Format { keep }),
                Err(ReadError::Io(error)) => {
                    let text = format!("Unrecoverable error reading the append only file {name}: {error}");
                    return Err(Halt::Said(text));
                }
            }
            good = reader.ends_at();
            self.dealer.load.loaded_bytes.store(self.bytes_before + good, Ordering::Relaxed);
        }
    }

    /// One command as it stands in the file.
    fn request(&mut self, name: &str, at: u64, argv: Argv<'_>) -> Result<(), Halt> {
        let table = self.options.table;
        let mut row = table.find(argv.get(0));
        if let Some(container) = row
            && (matches!(table.entry(container).row.run, Run::Container)
                || (!table.entry(container).children.is_empty() && argv.len() > 1))
        {
            row = argv.try_get(1).and_then(|word| table.find_word(container, word));
        }
        let Some(row) = row else {
            let text = format!(
                "Unknown command '{}' reading the append only file {name}",
                argv.get(0).escape_ascii()
            );
            return Err(Halt::Said(text));
        };
        let entry = table.entry(row);
        if !entry.row.arity_accepts(argv.len()) {
            let text = format!(
                "Wrong number of arguments for '{}' at offset {at} of the append only file {name}",
                entry.full_name
            );
            return Err(Halt::Said(text));
        }
        match (entry.full_name, &mut self.block) {
            ("multi", None) => self.block = Some((at, Commands::default())),
            ("exec", Some(_)) => {
                let (_, commands) = self.block.take().expect("looked at just now");
                for command in &commands.list {
                    self.command(command.row, commands.argv(command))?;
                }
            }
            ("discard", Some(_)) => self.block = None,
            ("multi" | "exec" | "discard" | "watch" | "unwatch", _) => {}
            (_, Some((_, commands))) => {
                commands.push(Token::default(), row, self.db, ClientView::default(), argv);
            }
            (_, None) => self.command(row, argv)?,
        }
        Ok(())
    }

    /// Brings a command to where it is done.
    fn command(&mut self, row: RowId, argv: Argv<'_>) -> Result<(), Halt> {
        let entry = self.options.table.entry(row);
        if entry.full_name == "select" {
            let databases = self.dealer.load.options.databases;
            let index = parse_i64(argv.get(1)).filter(|index| (0..i64::from(databases)).contains(index));
            let Some(index) = index else {
                let text = format!(
                    "The log selects database {}, where there are {databases}",
                    argv.get(1).escape_ascii()
                );
                return Err(Halt::Said(text));
            };
            self.db = DbIndex(index as u16);
            return Ok(());
        }
        if !is_repeated(entry) {
            return Ok(());
        }
        if matches!(entry.row.run, Run::AllShards { .. }) {
            (0..self.batches.len()).for_each(|core| self.push(core, row, argv));
            return Ok(());
        }
        match route(entry, argv, self.dealer.placement, ShardId(0)) {
            Ok(Route::Shard(shard)) if !entry.is_script => self.push(shard.index(), row, argv),
            Ok(Route::Several) if self.by_pieces(row, argv) => {}
            Ok(_) => self.ask(entry, argv)?,
            Err(error) => self.complain(&error.line(), entry.full_name),
        }
        Ok(())
    }

    /// Gives every owner its pieces of a command that goes key by key. False if it is none.
    fn by_pieces(&mut self, row: RowId, argv: Argv<'_>) -> bool {
        let entry = self.options.table.entry(row);
        let Run::PerKey { stride, .. } = entry.row.run else { return false };
        let Ok(first) = pieces_begin(entry, argv, stride) else { return false };
        let Ok(keys) = crate::commands::keys_of::keys_of(entry.row, argv) else { return false };
        for (owner, mine) in by_owner(&keys, argv, self.dealer.placement) {
            let mut spans: SmallVec<[Span; 32]> = argv.spans[..first].into();
            for order in mine {
                let begin = first + order * stride;
                spans.extend_from_slice(&argv.spans[begin..begin + stride]);
            }
            self.push(owner.index(), row, Argv { buf: argv.buf, spans: &spans });
        }
        true
    }

    fn push(&mut self, core: usize, row: RowId, argv: Argv<'_>) {
        let commands = &mut self.batches[core];
        commands.push(Token::default(), row, self.db, ClientView::default(), argv);
        if commands.list.len() >= BATCH_COMMANDS || commands.bytes() >= BATCH_BYTES {
            self.flush(core);
        }
    }

    fn flush(&mut self, core: usize) {
        let commands = std::mem::take(&mut self.batches[core]);
        if !commands.list.is_empty() {
            self.is_ahead = true;
            self.dealer.send(core, Batch::Commands(commands));
            self.dealer.report();
        }
    }

    fn flush_all(&mut self) {
        (0..self.batches.len()).for_each(|core| self.flush(core));
    }

    /// Waits until all cores have done what they were given.
    fn reach(&mut self) {
        self.flush_all();
        if !std::mem::take(&mut self.is_ahead) {
            return;
        }
        self.dealer.reach();
    }

    /// Has a command done as if a client had sent it.
    fn ask(&mut self, entry: &Entry, argv: Argv<'_>) -> Result<(), Halt> {
        self.reach();
        let broken = |error: std::io::Error| Halt::Said(format!("The loader's own connection: {error}"));
        if self.connection.is_none() {
            let (mine, theirs) = UnixStream::pair().map_err(broken)?;
            self.dealer.send(0, Batch::Connection(theirs));
            self.connection = Some(Connection { stream: BufReader::new(mine), db: DbIndex(0) });
        }
        let connection = self.connection.as_mut().expect("there is one now");
        if let Some(error) = connection.ask(self.db, entry.is_blocking, argv).map_err(broken)? {
            self.complain(&error, entry.full_name);
        }
        Ok(())
    }

    /// Redis: a command that fails is told of, and the rest is loaded.
    fn complain(&self, error: &[u8], command: &str) {
        self.say(level::WARNING, complaint(error, command));
    }
}

/// What the log says of a command that failed.
pub fn complaint(error: &[u8], command: &str) -> String {
    format!(
        "== CRITICAL == This AOF-loading-client is sending an error to its server: '{}' after processing the command \
         '{command}'",
        error.strip_prefix(b"-").unwrap_or(error).trim_ascii_end().escape_ascii()
    )
}

/// Does a command change what is loaded? Others, which a log has no reason to hold, are passed over. PFCOUNT keeps what
/// it counted in the value.
fn is_repeated(entry: &Entry) -> bool {
    entry.is_write
        || entry.is_script
        || entry.row.flags.has(Flags::WRITE)
        || matches!(entry.full_name, "script|load" | "pfcount")
}

/// Reads until the buffer is full or the file ends.
fn read_some(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = Vec::new();
    Read::by_ref(file).take(buffer.len() as u64).read_to_end(&mut read)?;
    buffer[..read.len()].copy_from_slice(&read);
    Ok(read.len())
}

/// The reader's connection to the first core. One command is under way at a time, so neither side waits for the other to
/// read.
struct Connection {
    stream: BufReader<UnixStream>,
    db: DbIndex,
}

impl Connection {
    /// The error that the answer is, if it is one.
    fn ask(&mut self, db: DbIndex, in_block: bool, argv: Argv<'_>) -> std::io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let mut replies = 1;
        if self.db != db {
            crate::shard::log::put_select(&mut bytes, db);
            (self.db, replies) = (db, replies + 1);
        }
        if in_block {
            // There nothing waits.
            bytes.extend_from_slice(MULTI);
            replies += 2;
        }
        bytes.extend_from_slice(format!("*{}\r\n", argv.len()).as_bytes());
        for arg in argv.iter() {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
        if in_block {
            bytes.extend_from_slice(EXEC);
        }
        self.stream.get_mut().write_all(&bytes)?;
        let mut error = None;
        for _ in 0..replies {
            error = skip_reply(&mut self.stream)?.or(error);
        }
        Ok(error)
    }
}

/// Passes over a reply of RESP2. The line of an error.
fn skip_reply(from: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut error = None;
    let mut left = 1_u64;
    while left > 0 {
        left -= 1;
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        let Some((kind, rest)) = line.split_first() else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let number = parse_i64(rest.trim_ascii_end()).and_then(|number| u64::try_from(number).ok());
        match (kind, number) {
            (b'-', _) => error = Some(line),
            (b'$', Some(bytes)) => {
                let whole = bytes + 2;
                if std::io::copy(&mut from.by_ref().take(whole), &mut std::io::sink())? < whole {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            (b'*', Some(count)) => left += count,
            _ => {}
        }
    }
    Ok(error)
}
