//! Writing RDB bytes.

use super::format::{ENC_INT8, ENC_INT16, ENC_INT32, ENC_LZF, LEN_14BIT, LEN_32BIT, LEN_64BIT, LEN_ENCODED};
use super::lzf::Compressor;
use super::target::{Losses, Target};
use crate::types::number::parse_i64;

/// Strings up to this long may be written as integers.
const INT_TEXT_MAX: usize = 11;
/// Shorter strings cannot gain by compression.
const COMPRESS_MIN: usize = 21;
/// Compression must save at least this much.
const COMPRESS_GAIN: usize = 4;
/// After so many strings of about a length in a row that compression does not make shorter...
const VAIN_MAX: u8 = 16;
/// ...it is tried with one of so many, until one becomes shorter.
const TRIED_ANYWAY: u8 = 64;
/// Lengths are told apart by their magnitude: keys that shrink say nothing about their values.
const MAGNITUDES: usize = 24;

/// RDB bytes under construction. Keep one for many values: the table of its compressor is costly to make.
#[derive(Default)]
pub struct Writer {
    pub out: Vec<u8>,
    /// Long strings stay as they are.
    pub plain_only: bool,
    /// Compression is left alone where it was in vain of late. Redis tries every string, so DUMP does too.
    ///
    /// PERF: to find out that 1 KB of random bytes cannot be compressed takes ten times as long as all else about it.
    pub is_patient: bool,
    /// Per magnitude of length, how often in a row compression was in vain, or not even tried since.
    vain: [u8; MAGNITUDES],
    compressor: Option<Compressor>,
    /// Bytes that compression was tried with.
    pub tried_bytes: u64,
    pub target: Target,
    pub losses: Losses,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    /// For a file.
    pub fn of(target: Target) -> Writer {
        Writer { target, is_patient: true, ..Writer::default() }
    }

    /// One byte as it is.
    pub fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    /// A length in the shortest form.
    pub fn length(&mut self, length: u64) {
        if length < 1 << 6 {
            self.out.push(length as u8);
        } else if length < 1 << 14 {
            self.out.extend((length as u16 | u16::from(LEN_14BIT) << 14).to_be_bytes());
        } else if let Ok(length) = u32::try_from(length) {
            self.out.push(LEN_32BIT);
            self.out.extend(length.to_be_bytes());
        } else {
            self.out.push(LEN_64BIT);
            self.out.extend(length.to_be_bytes());
        }
    }

    /// A string given as bytes: as an integer if its text is one, else compressed if that pays, else plain.
    pub fn string(&mut self, bytes: &[u8]) {
        if bytes.len() <= INT_TEXT_MAX
            && let Some(value) = parse_i64(bytes)
            && self.short_int(value)
        {
            return;
        }
        if bytes.len() >= COMPRESS_MIN && !self.plain_only && self.compressed(bytes) {
            return;
        }
        self.plain(bytes);
    }

    /// As [`Writer::string`], for a long one. False when it stays plain, and its bytes have to follow: only their number
    /// was written, so that nobody copies them.
    pub fn string_or_length(&mut self, bytes: &[u8]) -> bool {
        if !self.plain_only && self.compressed(bytes) {
            return true;
        }
        self.length(bytes.len() as u64);
        false
    }

    /// A string that is an integer.
    pub fn int(&mut self, value: i64) {
        if !self.short_int(value) {
            self.plain(itoa::Buffer::new().format(value).as_bytes());
        }
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.length(bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    /// Writes an integer of at most 32 bits; false when it has more.
    fn short_int(&mut self, value: i64) -> bool {
        if let Ok(value) = i8::try_from(value) {
            self.encoding(ENC_INT8);
            self.out.extend(value.to_le_bytes());
        } else if let Ok(value) = i16::try_from(value) {
            self.encoding(ENC_INT16);
            self.out.extend(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.encoding(ENC_INT32);
            self.out.extend(value.to_le_bytes());
        } else {
            return false;
        }
        true
    }

    fn compressed(&mut self, bytes: &[u8]) -> bool {
        let vain = &mut self.vain[bytes.len().ilog2().min(MAGNITUDES as u32 - 1) as usize];
        if self.is_patient && *vain >= VAIN_MAX {
            *vain = if *vain >= VAIN_MAX + TRIED_ANYWAY - 1 { VAIN_MAX - 1 } else { *vain + 1 };
            if *vain >= VAIN_MAX {
                return false;
            }
        }
        *vain = vain.saturating_add(1);
        self.tried_bytes += bytes.len() as u64;
        let compressor = self.compressor.get_or_insert_default();
        let Some(packed) = compressor.compress(bytes, bytes.len() - COMPRESS_GAIN) else { return false };
        *vain = 0;
        self.encoding(ENC_LZF);
        self.length(packed.len() as u64);
        self.length(bytes.len() as u64);
        self.out.extend(packed);
        true
    }

    fn encoding(&mut self, encoding: u8) {
        self.out.push(LEN_ENCODED << 6 | encoding);
    }
}
