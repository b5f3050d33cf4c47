//! The numbers of the RDB format.

use crc_fast::{CrcAlgorithm, Digest};

/// What payloads of DUMP say they are, so that Redis 7.0 and all later ones read them.
pub const VERSION_DUMPED: u16 = 10;
/// What files are unless another version is asked for.
pub const VERSION_FILE: u16 = 11;
/// What files can be.
pub const VERSION_WRITABLE: std::ops::RangeInclusive<u16> = 9..=12;
/// What says so that holds deadlines of fields: Redis 7.4 and later read it.
pub const VERSION_FIELD_DEADLINES: u16 = 12;
/// The newest that is read: Redis 8.6 writes 13.
pub const VERSION_MAX: u16 = 13;

/// The checksum of payloads and files, of bytes that come piece by piece: CRC-64/REDIS.
///
/// PERF: 0.05 s per gigabyte, where a table that takes sixteen bytes at a time needs 1.5 s: more than all else that a
/// writer or a reader of a file does.
#[derive(Clone, Debug)]
pub struct Checksum(Digest);

impl Checksum {
    /// Of all these bytes.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut sum = Checksum::default();
        sum.update(bytes);
        sum.value()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of what came so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

impl Default for Checksum {
    fn default() -> Checksum {
        Checksum(Digest::new(CrcAlgorithm::Crc64Redis))
    }
}

/// Two high bits of a length's first byte: the other six are the length.
pub const LEN_6BIT: u8 = 0;
/// Six bits and the next byte, big-endian.
pub const LEN_14BIT: u8 = 1;
/// The two high bits say that six bits of a special encoding follow.
pub const LEN_ENCODED: u8 = 3;
/// The whole first byte: four bytes follow, big-endian.
pub const LEN_32BIT: u8 = 0x80;
/// The whole first byte: eight bytes follow, big-endian.
pub const LEN_64BIT: u8 = 0x81;

/// Special encodings of strings. Integers are little-endian.
pub const ENC_INT8: u8 = 0;
pub const ENC_INT16: u8 = 1;
pub const ENC_INT32: u8 = 2;
/// Compressed length, length, LZF bytes.
pub const ENC_LZF: u8 = 3;

/// Types of values.
pub mod kind {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    /// Scores as binary doubles.
    pub const ZSET_2: u8 = 5;
    pub const MODULE_PRE_GA: u8 = 6;
    pub const MODULE_2: u8 = 7;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM_LISTPACKS: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_LISTPACKS_2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_LISTPACKS_3: u8 = 21;
    /// Hashes with field deadlines, as the release candidates of 7.4 wrote them.
    pub const HASH_METADATA_PRE_GA: u8 = 22;
    pub const HASH_LISTPACK_EX_PRE_GA: u8 = 23;
    pub const HASH_METADATA: u8 = 24;
    pub const HASH_LISTPACK_EX: u8 = 25;
}

/// The version that a value of a type is dumped with: the oldest that knows the type.
pub const fn version_of(kind: u8) -> u16 {
    match kind {
        kind::HASH_METADATA | kind::HASH_LISTPACK_EX => VERSION_FIELD_DEADLINES,
        _ => VERSION_DUMPED,
    }
}

/// What stands between values in a file.
pub mod opcode {
    pub const SLOT_INFO: u8 = 244;
    pub const FUNCTION_2: u8 = 245;
    pub const FUNCTION_PRE_GA: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQ: u8 = 249;
    pub const AUX: u8 = 250;
    pub const RESIZE_DB: u8 = 251;
    pub const EXPIRE_TIME_MS: u8 = 252;
    pub const EXPIRE_TIME: u8 = 253;
    pub const SELECT_DB: u8 = 254;
    pub const EOF: u8 = 255;
}
