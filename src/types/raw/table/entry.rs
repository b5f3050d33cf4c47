#![allow(unsafe_code)]
//! The bytes of one entry.
//!
//! ```text
//!  0     1     2        4              10                       
//!  | key | val | access | expire_at_ms | key bytes | value bytes |
//!                         6 bytes, only
//!                         with a TTL
//!  key: bit 7: has a TTL; bits 0-6: 0..=124 length of the key that follows
//!                                   125     u16 length, then the key (up to 256 bytes)
//!                                   126     pointer word and u32 length of a key on the heap
//!                                   127     spare
//!  val: 0..=223   bytes, of that length      225..=232  integer in 1..=8 bytes, little endian
//!       224       u16 length, then bytes     233        pointer word of a `Box<T>`
//!                                            234..=249  packed collection of form 0..=15: u16 length,
//!                                                       then bytes
//!                                            250..=255  spare
//! ```
//!
//! This file knows the format and nothing about where entries are stored. All its functions are
//! unsafe for the same reason: `p` must be the start of an entry written by [`write()`] (or room for
//! one) that nobody else changes meanwhile.

use super::table::Table;
use crate::types::Packed;

pub(super) const KEY_INLINE_MAX: usize = 256;
/// Byte values up to this length live inside the entry; longer ones are the caller's to box.
pub const VALUE_INLINE_MAX: usize = 512;
/// The largest deadline that six bytes hold means: look into the table's side list.
pub(super) const EXPIRE_FAR: u64 = (1 << 48) - 1;

const TTL_BIT: u8 = 0x80;
const KEY_LONG: u8 = 125;
const KEY_BOXED: u8 = 126;
const KEY_BOXED_BYTES: usize = 12;
const VAL_LONG: u8 = 224;
const VAL_HEAP: u8 = 233;
const VAL_PACKED: u8 = 234;
const HEADER: usize = 4;
const TTL_BYTES: usize = 6;

pub(super) const ENTRY_MAX: usize = HEADER + TTL_BYTES + 2 + KEY_INLINE_MAX + 2 + VALUE_INLINE_MAX;
const _: () = assert!(ENTRY_MAX <= 1024);

/// Where the key of a new entry comes from.
#[derive(Clone, Copy)]
pub(super) enum KeySource {
    Inline(*const u8, usize),
    Boxed(*mut u8, usize),
}

/// What the value of a new entry is.
#[derive(Clone, Copy)]
pub(super) enum Payload {
    Int(i64),
    Bytes(*const u8, usize),
    Packed(Packed, *const u8, usize),
    Heap(*mut u8),
    /// The `val` byte and the value section of another entry, verbatim.
    Verbatim(u8, *const u8, usize),
}

#[inline]
fn int_width(value: i64) -> usize {
    let bits = 65 - (value ^ (value >> 63)).leading_zeros() as usize;
    bits.div_ceil(8)
}

impl KeySource {
    #[inline]
    fn section_bytes(self) -> usize {
        match self {
            KeySource::Inline(_, len) if len < KEY_LONG as usize => len,
            KeySource::Inline(_, len) => 2 + len,
            KeySource::Boxed(..) => KEY_BOXED_BYTES,
        }
    }
}

impl Payload {
    #[inline]
    pub(super) fn section_bytes(self) -> usize {
        match self {
            Payload::Int(value) => int_width(value),
            Payload::Bytes(_, len) if len < VAL_LONG as usize => len,
            Payload::Bytes(_, len) | Payload::Packed(_, _, len) => 2 + len,
            Payload::Heap(_) => 8,
            Payload::Verbatim(_, _, len) => len,
        }
    }
}

/// The bytes an entry of these parts takes.
#[inline]
pub(super) fn size_of_parts(key: KeySource, payload: Payload, has_ttl: bool) -> usize {
    HEADER + TTL_BYTES * usize::from(has_ttl) + key.section_bytes() + payload.section_bytes()
}

/// Writes a whole entry at `p`.
#[inline]
pub(super) unsafe fn write(p: *mut u8, key: KeySource, payload: Payload, expire: Option<u64>, access: u16) {
    // SAFETY: `p` has room for `size_of_parts` bytes, and neither source overlaps that room.
    unsafe {
        let ttl_bit = if expire.is_some() { TTL_BIT } else { 0 };
        p.add(2).cast::<u16>().write_unaligned(access);
        let mut at = p.add(HEADER);
        if let Some(ms) = expire {
            at.copy_from_nonoverlapping(ms.to_le_bytes().as_ptr(), TTL_BYTES);
            at = at.add(TTL_BYTES);
        }
        match key {
            KeySource::Inline(from, len) if len < KEY_LONG as usize => {
                *p = len as u8 | ttl_bit;
                at.copy_from_nonoverlapping(from, len);
                at = at.add(len);
            }
            KeySource::Inline(from, len) => {
                *p = KEY_LONG | ttl_bit;
                at.cast::<u16>().write_unaligned(len as u16);
                at.add(2).copy_from_nonoverlapping(from, len);
                at = at.add(2 + len);
            }
            KeySource::Boxed(word, len) => {
                *p = KEY_BOXED | ttl_bit;
                at.cast::<*mut u8>().write_unaligned(word);
                at.add(8).cast::<u32>().write_unaligned(len as u32);
                at = at.add(KEY_BOXED_BYTES);
            }
        }
        write_payload(p, at, payload);
    }
}

/// Writes the `val` byte of `p` and its value section at `at`.
#[inline]
unsafe fn write_payload(p: *mut u8, at: *mut u8, payload: Payload) {
    // SAFETY: the caller made room for the section and `payload` does not overlap it.
    unsafe {
        match payload {
            Payload::Int(value) => {
                let width = int_width(value);
                *p.add(1) = VAL_LONG + width as u8;
                at.copy_from_nonoverlapping(value.to_le_bytes().as_ptr(), width);
            }
            Payload::Bytes(from, len) if len < VAL_LONG as usize => {
                *p.add(1) = len as u8;
                at.copy_from_nonoverlapping(from, len);
            }
            Payload::Bytes(from, len) => {
                *p.add(1) = VAL_LONG;
                at.cast::<u16>().write_unaligned(len as u16);
                at.add(2).copy_from_nonoverlapping(from, len);
            }
            Payload::Packed(form, from, len) => {
                *p.add(1) = VAL_PACKED + form as u8;
                at.cast::<u16>().write_unaligned(len as u16);
                at.add(2).copy_from_nonoverlapping(from, len);
            }
            Payload::Heap(word) => {
                *p.add(1) = VAL_HEAP;
                at.cast::<*mut u8>().write_unaligned(word);
            }
            Payload::Verbatim(val, from, len) => {
                *p.add(1) = val;
                at.copy_from_nonoverlapping(from, len);
            }
        }
    }
}

/// Overwrites the value section only; it must not become longer.
#[inline]
pub(super) unsafe fn overwrite_value(p: *mut u8, payload: Payload) {
    // SAFETY: the section at `value_section` has at least the new length, by contract.
    unsafe { write_payload(p, value_section(p), payload) }
}

/// Overwrites inline bytes by as many others; false, and nothing done, when lengths differ.
///
/// PERF: the commonest write, a SET of a value as long as the last, takes 40 instructions fewer
/// this way than through the general path (callgrind, `table_figures overwrites`).
#[inline(always)]
pub(super) unsafe fn overwrite_same_length(p: *mut u8, payload: Payload) -> bool {
    let Payload::Bytes(from, len) = payload else { return false };
    // SAFETY: a `val` byte below 224 is the number of value bytes in the section.
    unsafe {
        if len >= VAL_LONG as usize || *p.add(1) as usize != len {
            return false;
        }
        value_section(p).copy_from_nonoverlapping(from, len);
        true
    }
}

#[inline(always)]
unsafe fn key_section(p: *const u8) -> *const u8 {
    // SAFETY: the header says where the key section starts.
    unsafe { p.add(HEADER + TTL_BYTES * usize::from(*p >> 7)) }
}

#[inline(always)]
unsafe fn key_section_bytes(p: *const u8) -> usize {
    // SAFETY: the length of a long key stands at the start of its section.
    unsafe {
        match *p & !TTL_BIT {
            KEY_LONG => 2 + key_section(p).cast::<u16>().read_unaligned() as usize,
            KEY_BOXED => KEY_BOXED_BYTES,
            len => len as usize,
        }
    }
}

#[inline]
unsafe fn value_section(p: *const u8) -> *mut u8 {
    // SAFETY: the value section follows the key section.
    unsafe { key_section(p).add(key_section_bytes(p)).cast_mut() }
}

#[inline]
pub(super) unsafe fn value_section_bytes(p: *const u8) -> usize {
    // SAFETY: the length of a long value stands at the start of its section.
    unsafe {
        match *p.add(1) {
            VAL_LONG | VAL_PACKED.. => 2 + value_section(p).cast::<u16>().read_unaligned() as usize,
            VAL_HEAP => 8,
            val if val > VAL_LONG => (val - VAL_LONG) as usize,
            len => len as usize,
        }
    }
}

/// The bytes the entry takes.
#[inline]
pub(super) unsafe fn size(p: *const u8) -> usize {
    // SAFETY: both sections belong to the entry.
    unsafe { HEADER + TTL_BYTES * usize::from(*p >> 7) + key_section_bytes(p) + value_section_bytes(p) }
}

/// The key section as a source for another entry.
#[inline]
pub(super) unsafe fn key_source(p: *const u8) -> KeySource {
    // SAFETY: the section holds what its code says.
    unsafe {
        let at = key_section(p);
        match *p & !TTL_BIT {
            KEY_LONG => KeySource::Inline(at.add(2), at.cast::<u16>().read_unaligned() as usize),
            KEY_BOXED => KeySource::Boxed(
                at.cast::<*mut u8>().read_unaligned(),
                at.add(8).cast::<u32>().read_unaligned() as usize,
            ),
            len => KeySource::Inline(at, len as usize),
        }
    }
}

/// The value section as a payload for another entry.
pub(super) unsafe fn verbatim(p: *const u8) -> Payload {
    // SAFETY: the section belongs to the entry.
    unsafe { Payload::Verbatim(*p.add(1), value_section(p), value_section_bytes(p)) }
}

#[inline]
pub(super) unsafe fn key<'a>(p: *const u8) -> &'a [u8] {
    // SAFETY: the source names initialised bytes that live as long as the entry stays.
    unsafe {
        match key_source(p) {
            KeySource::Inline(at, len) => std::slice::from_raw_parts(at, len),
            KeySource::Boxed(at, len) => std::slice::from_raw_parts(at, len),
        }
    }
}

/// Whether the entry's key is `wanted`.
#[inline(always)]
pub(super) unsafe fn key_is(p: *const u8, wanted: &[u8]) -> bool {
    // SAFETY: a short key's bytes follow its header, `wanted.len()` of them.
    unsafe {
        if wanted.len() < KEY_LONG as usize {
            usize::from(*p & !TTL_BIT) == wanted.len()
                && bytes_equal(key_section(p), wanted.as_ptr(), wanted.len())
        } else {
            long_key_is(p, wanted)
        }
    }
}

#[cold]
unsafe fn long_key_is(p: *const u8, wanted: &[u8]) -> bool {
    // SAFETY: as for `key`.
    unsafe { *p & !TTL_BIT >= KEY_LONG && key(p) == wanted }
}

/// Compares words that overlap at the end. PERF: keys are short, and a call to `memcmp` costs as
/// much as the comparison.
#[inline(always)]
unsafe fn bytes_equal(a: *const u8, b: *const u8, len: usize) -> bool {
    // SAFETY: both sides have `len` bytes, and every read below stays inside them.
    unsafe {
        let word = |p: *const u8, at: usize| p.add(at).cast::<u64>().read_unaligned();
        let half = |p: *const u8, at: usize| p.add(at).cast::<u32>().read_unaligned();
        if len >= 8 {
            let last = len - 8;
            let mut at = 0;
            while at < last {
                if word(a, at) != word(b, at) {
                    return false;
                }
                at += 8;
            }
            word(a, last) == word(b, last)
        } else if len >= 4 {
            half(a, 0) == half(b, 0) && half(a, len - 4) == half(b, len - 4)
        } else {
            (0..len).all(|at| *a.add(at) == *b.add(at))
        }
    }
}

/// The deadline as stored: [`EXPIRE_FAR`] stands for one too far for six bytes.
#[inline(always)]
pub(super) unsafe fn expire(p: *const u8) -> Option<u64> {
    // SAFETY: six bytes of deadline follow the header when the bit says so.
    unsafe {
        if *p & TTL_BIT == 0 {
            return None;
        }
        let low = p.add(HEADER).cast::<u32>().read_unaligned() as u64;
        let high = p.add(HEADER + 4).cast::<u16>().read_unaligned() as u64;
        Some(u64::from_le(low | high << 32))
    }
}

/// Changes the deadline of an entry that has one.
#[inline]
pub(super) unsafe fn set_expire(p: *mut u8, ms: u64) {
    // SAFETY: the entry has its six bytes of deadline.
    unsafe {
        debug_assert!(*p & TTL_BIT != 0);
        p.add(HEADER).copy_from_nonoverlapping(ms.to_le_bytes().as_ptr(), TTL_BYTES);
    }
}

/// Removes the deadline in place; the entry becomes six bytes shorter.
pub(super) unsafe fn clear_expire(p: *mut u8) {
    // SAFETY: the sections move down over the deadline, within the entry.
    unsafe {
        debug_assert!(*p & TTL_BIT != 0);
        let rest = key_section_bytes(p) + value_section_bytes(p);
        p.add(HEADER).copy_from(p.add(HEADER + TTL_BYTES), rest);
        *p &= !TTL_BIT;
    }
}

pub(super) unsafe fn access(p: *const u8) -> u16 {
    // SAFETY: every entry has the two bytes.
    unsafe { p.add(2).cast::<u16>().read_unaligned() }
}

#[inline]
pub(super) unsafe fn set_access(p: *mut u8, access: u16) {
    // SAFETY: every entry has the two bytes.
    unsafe { p.add(2).cast::<u16>().write_unaligned(access) }
}

/// The pointer word of a heap value.
#[inline]
pub(super) unsafe fn heap_word(p: *const u8) -> Option<*mut u8> {
    // SAFETY: a heap value's section is its pointer word.
    unsafe { (*p.add(1) == VAL_HEAP).then(|| value_section(p).cast::<*mut u8>().read_unaligned()) }
}

/// The bytes of an inline byte value: where and how many.
pub(super) unsafe fn inline_bytes(p: *const u8) -> Option<(*mut u8, usize)> {
    // SAFETY: the section holds what its code says.
    unsafe {
        let at = value_section(p);
        match *p.add(1) {
            VAL_LONG => Some((at.add(2), at.cast::<u16>().read_unaligned() as usize)),
            val if val > VAL_LONG => None,
            len => Some((at, len as usize)),
        }
    }
}

unsafe fn int(p: *const u8) -> i64 {
    // SAFETY: an integer's section has the width its code says, 1..=8.
    unsafe {
        let width = (*p.add(1) - VAL_LONG) as usize;
        let mut bytes = [0u8; 8];
        value_section(p).copy_to_nonoverlapping(bytes.as_mut_ptr(), width);
        let unused = 64 - 8 * width as u32;
        i64::from_le_bytes(bytes) << unused >> unused
    }
}

/// A value as a reader sees it.
pub enum ValueRef<'a, T> {
    Int(i64),
    Bytes(&'a [u8]),
    /// A small collection.
    Packed(Packed, &'a [u8]),
    Heap(&'a T),
}

impl<T> Clone for ValueRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ValueRef<'_, T> {}

impl<T: std::fmt::Debug> std::fmt::Debug for ValueRef<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueRef::Int(value) => write!(f, "Int({value})"),
            ValueRef::Bytes(bytes) => write!(f, "Bytes({bytes:?})"),
            ValueRef::Packed(form, bytes) => write!(f, "Packed({form:?}, {bytes:?})"),
            ValueRef::Heap(value) => write!(f, "Heap({value:?})"),
        }
    }
}

/// An entry, readable as long as the table is borrowed.
pub struct EntryRef<'a, T> {
    table: &'a Table<T>,
    p: *const u8,
}

impl<T> Clone for EntryRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for EntryRef<'_, T> {}

impl<'a, T> EntryRef<'a, T> {
    /// # Safety
    /// `p` must be an entry of `table` with heap values of type `T`.
    #[inline]
    pub(super) unsafe fn new(table: &'a Table<T>, p: *const u8) -> Self {
        EntryRef { table, p }
    }

    pub(super) fn address(&self) -> *const u8 {
        self.p
    }

    /// The key's bytes.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        // SAFETY: the table is borrowed for 'a, so the entry neither moves nor changes.
        unsafe { key(self.p) }
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> ValueRef<'a, T> {
        // SAFETY: the table is borrowed for 'a; a heap word is a `Box<T>` that the entry owns.
        unsafe {
            match *self.p.add(1) {
                VAL_HEAP => {
                    let word = value_section(self.p).cast::<*mut T>().read_unaligned();
                    ValueRef::Heap(&*word)
                }
                val @ VAL_PACKED.. => {
                    let at = value_section(self.p);
                    let len = at.cast::<u16>().read_unaligned() as usize;
                    let bytes = std::slice::from_raw_parts(at.add(2), len);
                    ValueRef::Packed(Packed::from_code(val - VAL_PACKED), bytes)
                }
                val if val > VAL_LONG => ValueRef::Int(int(self.p)),
                VAL_LONG => {
                    let at = value_section(self.p);
                    let len = at.cast::<u16>().read_unaligned() as usize;
                    ValueRef::Bytes(std::slice::from_raw_parts(at.add(2), len))
                }
                len => ValueRef::Bytes(std::slice::from_raw_parts(value_section(self.p), len as usize)),
            }
        }
    }

    /// The deadline, in milliseconds of the Unix clock.
    #[inline]
    pub fn expire_at_ms(&self) -> Option<u64> {
        // SAFETY: as for `key`.
        let stored = unsafe { expire(self.p) }?;
        Some(if stored == EXPIRE_FAR { self.table.far_deadline(self.key()) } else { stored })
    }

    /// The two bytes of access metadata, whose meaning is the caller's.
    #[inline]
    pub fn access(&self) -> u16 {
        // SAFETY: as for `key`.
        unsafe { access(self.p) }
    }

    /// The bytes the entry takes in its arena, without what its pointers lead to.
    pub fn inline_bytes(&self) -> usize {
        // SAFETY: as for `key`.
        unsafe { size(self.p) }
    }
}
