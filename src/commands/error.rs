//! What a command answers when it cannot: Redis's texts, word for word, on one page.

use std::borrow::Cow;
use std::fmt;

/// A client's error. Small and, but for the few that quote the client, free of allocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandError {
    WrongType,
    Syntax,
    NotInteger,
    NotFloat,
    NotUnsigned,
    OutOfRange,
    NoSuchKey,
    IndexOutOfRange,
    SameObject,
    InvalidExpire(&'static str),
    IncrOverflow,
    IncrNanOrInf,
    StringTooLong,
    OffsetOutOfRange,
    InvalidDbIndex,
    DbOutOfRange,
    OutOfMemory,
    NoReplicas,
    CannotSave,
    /// The append-only file cannot be written: the system's number of the error, or 0 when the disk is too slow.
    CannotLog(i32),
    NotANumber,
    BusyKey,
    BadDump,
    InvalidCursor,
    BadDumpFooter,
    InvalidTtl,
    InvalidIdleTime,
    InvalidFreq,
    InvalidFirstDb,
    InvalidSecondDb,
    NotInt,
    ExpireNxWithOthers,
    ExpireGtWithLt,
    LfuNotSelected,
    LfuSelected,
    /// The option, as the client wrote it.
    UnsupportedOption(Box<[u8]>),
    WrongArity(&'static str),
    /// A full line without the leading dash, starting with its code.
    Line(&'static str),
    /// The same, composed. It may quote the client, so it may be any bytes.
    Text(Box<[u8]>),
}

impl CommandError {
    /// An error line composed at run time.
    pub fn text(line: impl Into<Vec<u8>>) -> CommandError {
        CommandError::Text(line.into().into())
    }

    /// An error line that quotes an argument. Redis: at most 128 bytes of it.
    pub fn quoting(before: &str, argument: &[u8], after: &str) -> CommandError {
        CommandError::text([before.as_bytes(), quoted(argument, 128), after.as_bytes()].concat())
    }

    /// The line as it goes over the wire.
    pub fn line(&self) -> Cow<'_, [u8]> {
        match self {
            CommandError::Text(line) => Cow::Borrowed(line),
            CommandError::UnsupportedOption(option) => {
                [b"ERR Unsupported option ", &**option].concat().into()
            }
            CommandError::Line(line) => Cow::Borrowed(line.as_bytes()),
            other => other.to_string().into_bytes().into(),
        }
    }

    /// The `ERR` word or other code that the line starts with (for errorstats).
    pub fn code(line: &str) -> &str {
        line.split([' ', '\r', '\n']).next().unwrap_or("ERR")
    }
}

/// The system's words for one of its errors.
pub fn system_error(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    // The library adds the number.
    text.rsplit_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned())
}

/// What an error quotes of an argument. Redis: `most` bytes of it, and nothing after a zero byte.
pub fn quoted(argument: &[u8], most: usize) -> &[u8] {
    let shown = &argument[..argument.len().min(most)];
    shown.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use CommandError::*;
        let line = match self {
            WrongType => "WRONGTYPE Operation against a key holding the wrong kind of value",
            Syntax => "ERR syntax error",
            NotInteger => "ERR value is not an integer or out of range",
            NotFloat => "ERR value is not a valid float",
            NotUnsigned => "ERR value is out of range, must be positive",
            OutOfRange => "ERR value is out of range",
            NoSuchKey => "ERR no such key",
            IndexOutOfRange => "ERR index out of range",
            SameObject => "ERR source and destination objects are the same",
            IncrOverflow => "ERR increment or decrement would overflow",
            IncrNanOrInf => "ERR increment would produce NaN or Infinity",
            StringTooLong => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
            OffsetOutOfRange => "ERR offset is out of range",
            InvalidDbIndex => "ERR invalid DB index",
            DbOutOfRange => "ERR DB index is out of range",
            NoReplicas => "NOREPLICAS Not enough good replicas to write.",
            OutOfMemory => "OOM command not allowed when used memory > 'maxmemory'.",
            CannotSave => {
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Commands that may modify the data set are disabled, because this instance is configured to report \
                 errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the \
                 Redis logs for details about the RDB error."
            }
            NotANumber => "ERR resulting score is not a number (NaN)",
            BusyKey => "BUSYKEY Target key name already exists.",
            BadDump => "ERR Bad data format",
            InvalidCursor => "ERR invalid cursor",
            BadDumpFooter => "ERR DUMP payload version or checksum are wrong",
            InvalidTtl => "ERR Invalid TTL value, must be >= 0",
            InvalidIdleTime => "ERR Invalid IDLETIME value, must be >= 0",
            InvalidFreq => "ERR Invalid FREQ value, must be >= 0 and <= 255",
            InvalidFirstDb => "ERR invalid first DB index",
            InvalidSecondDb => "ERR invalid second DB index",
            NotInt => "ERR value is out of range, value must between -2147483648 and 2147483647",
            ExpireNxWithOthers => "ERR NX and XX, GT or LT options at the same time are not compatible",
            ExpireGtWithLt => "ERR GT and LT options at the same time are not compatible",
            LfuNotSelected => {
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust."
            }
            LfuSelected => {
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                 between policies at runtime LRU and LFU data will take some time to adjust."
            }
            CannotLog(0) => {
                "MISCONF Errors writing to the AOF file: The disk is too slow, too much waits for it"
            }
            CannotLog(errno) => {
                return write!(f, "MISCONF Errors writing to the AOF file: {}", system_error(*errno));
            }
            InvalidExpire(command) => {
                return write!(f, "ERR invalid expire time in '{command}' command");
            }
            WrongArity(command) => {
                return write!(f, "ERR wrong number of arguments for '{command}' command");
            }
            Line(line) => line,
            Text(_) | UnsupportedOption(_) => return f.write_str(&String::from_utf8_lossy(&self.line())),
        };
        f.write_str(line)
    }
}
