//! Why RDB bytes cannot be read.

/// What was wrong. Offsets are for logs of whole files; a client that sends a payload learns only its kind.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RdbError {
    #[error("RDB data ends early at offset {0}")]
    Truncated(usize),
    #[error("unknown RDB length encoding {encoding:#04x} at offset {offset}")]
    BadLength { encoding: u8, offset: usize },
    #[error("unknown RDB string encoding {encoding} at offset {offset}")]
    BadString { encoding: u64, offset: usize },
    #[error("a length stands where a special encoding is not allowed, at offset {0}")]
    UnexpectedEncoding(usize),
    #[error("invalid LZF compressed string at offset {0}")]
    BadLzf(usize),
    #[error("a string of {bytes} bytes at offset {offset} is over the limit")]
    TooLong { bytes: u64, offset: usize },
    #[error("a value of RDB type {0} contradicts itself")]
    BadValue(u8),
    /// Redis: such a key of a file is passed over.
    #[error("a value of RDB type {0} is empty")]
    Empty(u8),
    #[error("RDB type {0} is unknown")]
    UnknownType(u8),
    #[error("RDB version {0} is newer than what can be read")]
    TooNew(u16),
    #[error("the checksum does not match")]
    Checksum,
    #[error("this is no RDB file: it does not begin with REDIS and a version")]
    NotRdb,
    #[error("at offset {offset} a type of value or an opcode was expected, not {kind}")]
    UnknownRecord { kind: u8, offset: usize },
    #[error("database {db}, selected at offset {offset}, is out of range")]
    BadDb { db: u64, offset: usize },
    #[error("wrong checksum (RDB CRC error): the file says {stated:016x}, its bytes give {sum:016x}")]
    FileChecksum { stated: u64, sum: u64 },
    #[error("reading fails at offset {offset}: {error}")]
    Read { offset: usize, error: String },
}

impl RdbError {
    /// The same error with its offset counted from `by` earlier.
    pub fn moved(self, by: usize) -> RdbError {
        let to = |offset: usize| by.saturating_add(offset);
        match self {
            RdbError::Truncated(offset) => RdbError::Truncated(to(offset)),
            RdbError::BadLength { encoding, offset } => RdbError::BadLength { encoding, offset: to(offset) },
            RdbError::BadString { encoding, offset } => RdbError::BadString { encoding, offset: to(offset) },
            RdbError::UnexpectedEncoding(offset) => RdbError::UnexpectedEncoding(to(offset)),
            RdbError::BadLzf(offset) => RdbError::BadLzf(to(offset)),
            RdbError::TooLong { bytes, offset } => RdbError::TooLong { bytes, offset: to(offset) },
            other => other,
        }
    }
}
