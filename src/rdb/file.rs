//! A whole RDB file as a stream of records.
//!
//! ```text
//!  "REDIS" version, 4 digits │ record … │ EOF │ CRC-64 of all before, 8 bytes little-endian, 0 for none
//!
//!  AUX       name │ value                   SELECT_DB  number             RESIZE_DB  keys │ keys with a deadline
//!  an entry: [EXPIRE_TIME_MS at] [IDLE seconds] [FREQ count]  type │ key │ value
//! ```
//!
//! Reading holds one value in memory at a time and allocates only for bytes that are there. Values come unparsed, see
//! [`value`](super::value): who will own one parses it. What belongs to modules and libraries of functions is passed
//! over, and told of.

use std::io::Read;

use super::error::RdbError;
use super::format::{VERSION_MAX, opcode};
use super::length::Bytes;
use super::read::{Limits, Reader};
use super::stream_of::Source;
use super::write::Writer;
use crate::types::raw::table::{TakenValue, ValueRef};
use crate::types::{STRING_BYTES_MAX, Value};

const MAGIC: &[u8] = b"REDIS";
/// Valkey's own format begins so, with the three digits of a version.
const MAGIC_VALKEY: &[u8] = b"VALKEY";
/// The first and the newest version of Valkey's that is read: it differs from Redis's only in what is not in it.
const VALKEY_VERSIONS: std::ops::RangeInclusive<u16> = 80..=80;
/// Before this version there is no checksum.
const CHECKSUM_SINCE: u16 = 5;
/// A database's number is at most this.
const DB_MAX: u64 = i32::MAX as u64;
/// Names and values of AUX and names of modules are not longer.
const SMALL_BYTES: usize = 1 << 20;

/// An entry as it stands in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    pub db: u32,
    pub key: Vec<u8>,
    pub kind: u8,
    /// The value as in the file, without its type.
    pub value: Vec<u8>,
    pub expire_at_ms: Option<i64>,
    pub idle_seconds: Option<u64>,
    pub frequency: Option<u8>,
    /// Where it begins in the file.
    pub offset: usize,
}

impl FileEntry {
    /// Parses the value.
    pub fn parse(&self, limits: Limits) -> Result<TakenValue<Value>, RdbError> {
        let mut reader = Reader::new(&self.value, limits);
        let value = super::value::read_value(&mut reader, self.kind)?;
        if reader.offset() != self.value.len() {
            return Err(RdbError::BadValue(self.kind));
        }
        Ok(value)
    }
}

/// What a file consists of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    Aux {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// How many keys the selected database is said to have, and how many of them with a deadline.
    Resize {
        db: u32,
        keys: u64,
        expires: u64,
    },
    Entry(FileEntry),
    /// A library of functions: its source.
    Function(Vec<u8>),
    /// Something of a module, passed over: its name, and the key when it is a value.
    Module {
        name: String,
        key: Option<Vec<u8>>,
    },
    /// The end; nothing follows. False when the file has no checksum.
    End {
        checked: bool,
    },
}

/// Reads a file.
pub struct FileReader<R> {
    source: Source<R>,
    version: u16,
    db: u32,
    ended: bool,
    /// Compare the checksum.
    check: bool,
}

impl<R: Read> FileReader<R> {
    /// Reads the header.
    pub fn new(from: R, check: bool) -> Result<FileReader<R>, RdbError> {
        let mut source = Source::new(from);
        let magic: [u8; 5] = source.array()?;
        let (digits, is_valkey): ([u8; 4], bool) = if magic == *MAGIC {
            (source.array()?, false)
        } else if magic == MAGIC_VALKEY[..5] && source.byte()? == MAGIC_VALKEY[5] {
            let [a, b, c]: [u8; 3] = source.array()?;
            ([b'0', a, b, c], true)
        } else {
            return Err(RdbError::NotRdb);
        };
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(RdbError::NotRdb);
        }
        let version = digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        let known = if is_valkey || version >= *VALKEY_VERSIONS.start() {
            VALKEY_VERSIONS.contains(&version)
        } else {
            (1..=VERSION_MAX).contains(&version)
        };
        if !known {
            return Err(RdbError::TooNew(version));
        }
        Ok(FileReader { source, version, db: 0, ended: false, check })
    }

    /// What the file says it is.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// How far in the file it is.
    pub fn offset(&self) -> usize {
        self.source.offset()
    }

    /// The next record. After the end there is none to ask for.
    pub fn next_record(&mut self) -> Result<Record, RdbError> {
        if self.ended {
            return Err(RdbError::Truncated(self.source.offset()));
        }
        let offset = self.source.offset();
        let (mut expire_at_ms, mut idle_seconds, mut frequency) = (None, None, None);
        loop {
            let at = self.source.offset();
            match self.source.byte()? {
                opcode::EXPIRE_TIME => {
                    let seconds = i32::from_le_bytes(self.source.array()?);
                    expire_at_ms = Some(i64::from(seconds) * 1000);
                }
                opcode::EXPIRE_TIME_MS => expire_at_ms = Some(i64::from_le_bytes(self.source.array()?)),
                opcode::IDLE => idle_seconds = Some(self.source.length()?),
                opcode::FREQ => frequency = Some(self.source.byte()?),
                of @ (opcode::MODULE_AUX
                | opcode::FUNCTION_2
                | opcode::FUNCTION_PRE_GA
                | opcode::AUX
                | opcode::RESIZE_DB
                | opcode::SELECT_DB
                | opcode::SLOT_INFO
                | opcode::EOF) => {
                    if let Some(record) = self.between(of, at)? {
                        return Ok(record);
                    }
                }
                kind => {
                    let key = self.text(STRING_BYTES_MAX)?;
                    self.source.begin_copy();
                    let walked = self.source.skip_value(kind);
                    let value = self.source.end_copy();
                    walked.map_err(|error| match error {
                        RdbError::UnknownType(kind) => RdbError::UnknownRecord { kind, offset: at },
                        other => other,
                    })?;
                    if kind == super::format::kind::MODULE_2 {
                        return Ok(Record::Module { name: module_name(&value), key: Some(key) });
                    }
                    let db = self.db;
                    let entry =
                        FileEntry { db, key, kind, value, expire_at_ms, idle_seconds, frequency, offset };
                    return Ok(Record::Entry(entry));
                }
            }
        }
    }

    /// What stands between entries. `None` when the reader alone needs to know.
    fn between(&mut self, of: u8, at: usize) -> Result<Option<Record>, RdbError> {
        Ok(Some(match of {
            opcode::AUX => Record::Aux { name: self.text(SMALL_BYTES)?, value: self.text(SMALL_BYTES)? },
            opcode::SELECT_DB => {
                let db = self.source.length()?;
                if db > DB_MAX {
                    return Err(RdbError::BadDb { db, offset: at });
                }
                self.db = db as u32;
                return Ok(None);
            }
            opcode::RESIZE_DB => {
                let (keys, expires) = (self.source.length()?, self.source.length()?);
                Record::Resize { db: self.db, keys, expires }
            }
            opcode::SLOT_INFO => {
                (0..3).try_for_each(|_| self.source.length().map(drop))?;
                return Ok(None);
            }
            opcode::FUNCTION_2 => Record::Function(self.text(usize::MAX)?),
            opcode::MODULE_AUX => {
                let id = self.source.length()?;
                // When it is to be loaded, with the kind that says so before it.
                (0..2).try_for_each(|_| self.source.length().map(drop))?;
                self.source.skip_module()?;
                Record::Module { name: name_of_id(id), key: None }
            }
            opcode::EOF => {
                self.ended = true;
                let mut checked = false;
                if self.version >= CHECKSUM_SINCE {
                    let sum = self.source.checksum();
                    let stated = u64::from_le_bytes(self.source.array()?);
                    checked = stated != 0 && self.check;
                    if checked && stated != sum {
                        return Err(RdbError::FileChecksum { stated, sum });
                    }
                }
                Record::End { checked }
            }
            kind => return Err(RdbError::UnknownRecord { kind, offset: at }),
        }))
    }

    /// A string, which may be as long as there are bytes for it.
    fn text(&mut self, most: usize) -> Result<Vec<u8>, RdbError> {
        let offset = self.source.offset();
        self.source.begin_copy();
        let walked = self.source.skip_string();
        let bytes = self.source.end_copy();
        walked?;
        let limits = Limits { string_bytes: most, encodings: Default::default() };
        let text = Reader::new(&bytes, limits).bytes().map_err(|error| error.moved(offset))?;
        Ok(text.into_owned())
    }
}

/// The name that the number of a module's type stands for: nine letters of six bits, and ten bits of a version.
fn name_of_id(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|at| LETTERS[(id >> (10 + (8 - at) * 6)) as usize & 63] as char).collect()
}

fn module_name(value: &[u8]) -> String {
    let limits = Limits { string_bytes: 0, encodings: Default::default() };
    Reader::new(value, limits).length().map(name_of_id).unwrap_or_default()
}

/// Writes the header.
pub fn write_header(out: &mut Vec<u8>, version: u16) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(format!("{version:04}").as_bytes());
}

/// Writes a fact about the file.
pub fn write_aux(writer: &mut Writer, name: &[u8], value: &[u8]) {
    writer.byte(opcode::AUX);
    writer.string(name);
    writer.string(value);
}

/// Writes the source of a library of functions, for a reader that knows them.
pub fn write_function(writer: &mut Writer, source: &[u8]) {
    if !writer.target.knows_functions() {
        writer.losses.functions += 1;
        return;
    }
    writer.byte(opcode::FUNCTION_2);
    writer.string(source);
}

/// What follows belongs to this database.
pub fn write_select(writer: &mut Writer, db: u32) {
    writer.byte(opcode::SELECT_DB);
    writer.length(u64::from(db));
}

/// How many keys the database has, and how many of them with a deadline.
pub fn write_resize(writer: &mut Writer, keys: u64, expires: u64) {
    writer.byte(opcode::RESIZE_DB);
    writer.length(keys);
    writer.length(expires);
}

/// What is known of an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Untold,
    IdleSeconds(u64),
    Frequency(u8),
}

/// Writes an entry, unless nothing is left of it for the target.
pub fn write_entry(
    writer: &mut Writer,
    key: &[u8],
    value: &ValueRef<'_, Value>,
    expire_at_ms: Option<u64>,
    access: Access,
) {
    if super::value::is_lost(value, writer.target) {
        return;
    }
    if let Some(at) = expire_at_ms {
        writer.byte(opcode::EXPIRE_TIME_MS);
        writer.out.extend((at as i64).to_le_bytes());
    }
    match access {
        Access::Untold => {}
        Access::IdleSeconds(seconds) => {
            writer.byte(opcode::IDLE);
            writer.length(seconds);
        }
        Access::Frequency(count) => {
            writer.byte(opcode::FREQ);
            writer.byte(count);
        }
    }
    writer.byte(super::value::kind_of(value, writer.target));
    writer.string(key);
    super::value::write_value(writer, value);
}
