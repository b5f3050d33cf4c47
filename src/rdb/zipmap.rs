//! Zipmaps: what Redis up to 2.4 packed small hashes in. Read only.
//!
//! ```text
//!   count    (length │ field │ length │ unused │ value │ unused bytes) …   255
//!   1 byte    1 byte up to 253;        1 byte
//!             or 254 and 4, LE
//! ```
//!
//! A count of 254 says that there may be more.

use crate::types::Listpack;

const LONG: u8 = 254;
const END: u8 = 255;

/// The fields and values of a zipmap, as a listpack; `None` when it contradicts itself.
pub fn read(bytes: &[u8]) -> Option<Listpack> {
    let (&count, mut rest) = bytes.split_first()?;
    let mut pack = Listpack::with_capacity(bytes.len());
    while *rest.first()? != END {
        let (field_bytes, after) = length(rest)?;
        let (field, after) = after.split_at_checked(field_bytes)?;
        let (value_bytes, after) = length(after)?;
        let (&unused, after) = after.split_first()?;
        let (value, after) = after.split_at_checked(value_bytes)?;
        pack.push_back(field);
        pack.push_back(value);
        rest = after.split_at_checked(usize::from(unused))?.1;
    }
    let is_whole = rest.len() == 1 && (count >= LONG || usize::from(count) == pack.len() / 2);
    is_whole.then_some(pack)
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes.split_first()? {
        (&END, _) => None,
        (&LONG, bytes) => {
            let (len, bytes) = bytes.split_first_chunk::<4>()?;
            let len = u32::from_le_bytes(*len);
            // Redis: a length that fits one byte takes one.
            (len >= u32::from(LONG)).then_some((len as usize, bytes))
        }
        (&len, bytes) => Some((usize::from(len), bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn fields_and_values() {
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02world..\xff";
        let pack = read(bytes).expect("it is sound");
        let texts: Vec<Vec<u8>> = pack.iter().map(|(_, element)| element.to_vec()).collect();
        assert_eq!(texts, [&b"foo"[..], b"bar", b"hello", b"world"]);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_none(), "cut at {cut}");
        }
        let mut long = b"\x01\xfe\x2c\x01\x00\x00".to_vec();
        long.extend([b'f'; 300]);
        long.extend(b"\x01\x00v\xff");
        assert_eq!(read(&long).map(|pack| pack.len()), Some(2));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for bytes in [
            &b""[..],
            b"\x00",
            b"\x01\xff",
            b"\x02\x01a\x01\x00b\xff",
            b"\x01\x01a\x01\x00b\xff\xff",
            b"\x01\x01a\x01\x05b\xff",
            b"\x01\x01a\xff",
            b"\x01\xfe\xff\xff\xff\xffa\x01\x00b\xff",
            b"\x01\xfe\x01\x00\x00\x00a\x01\x00b\xff",
        ] {
            assert!(read(bytes).is_none(), "{}", bytes.escape_ascii());
        }
        assert_eq!(read(b"\x00\xff").map(|pack| pack.len()), Some(0));
        assert_eq!(read(b"\xfe\x01a\x01\x00b\xff").map(|pack| pack.len()), Some(2));
    }
}
