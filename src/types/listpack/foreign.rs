//! Listpacks as Redis writes them: in dumps and in files.
//!
//! ```text
//!   │ total bytes u32 LE │ entries u16 LE, ffff: too many to say │ body │ ff │
//! ```

use super::entry::{Encoded, decode_foreign};
use super::owned::Listpack;
use super::view::ListpackRef;

const HEADER_BYTES: usize = 6;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;

impl Listpack {
    /// Reads a listpack of unknown origin: `None` unless header, entries and end all agree.
    ///
    /// Allocates no more than the bytes given, and takes time in proportion to them.
    pub fn from_redis(bytes: &[u8]) -> Option<Listpack> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let (&end, body) = rest.split_last()?;
        let total = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
        if total as usize != bytes.len() || end != END {
            return None;
        }
        let (mut at, mut count, mut canonical) = (0, 0usize, true);
        while at < body.len() {
            let (element, span) = decode_foreign(&body[at..])?;
            let entry = Encoded::from(element);
            canonical &= entry.span() == span && entry.is_at(&body[at..]);
            at += span;
            count += 1;
        }
        let announced = u16::from_le_bytes([header[4], header[5]]);
        if announced != COUNT_UNKNOWN && usize::from(announced) != count {
            return None;
        }
        if canonical {
            return Some(Listpack::from_parts(body.to_vec(), count));
        }
        let (mut rewritten, mut at) = (Listpack::new(), 0);
        while let Some((element, span)) = decode_foreign(&body[at..]) {
            rewritten.push_back(element);
            at += span;
        }
        Some(rewritten)
    }

    /// The listpack as Redis would hold it.
    pub fn to_redis(&self) -> Vec<u8> {
        redis_bytes(self.body(), self.len())
    }
}

impl ListpackRef<'_> {
    /// The listpack as Redis would hold it. Counts the entries.
    pub fn to_redis(&self) -> Vec<u8> {
        redis_bytes(self.body(), self.len())
    }
}

fn redis_bytes(body: &[u8], count: usize) -> Vec<u8> {
    let total = body.len() + HEADER_BYTES + 1;
    let mut bytes = Vec::with_capacity(total);
    let announced = u32::try_from(total).expect("listpacks stay far below 4 GiB");
    bytes.extend_from_slice(&announced.to_le_bytes());
    let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.push(END);
    bytes
}
