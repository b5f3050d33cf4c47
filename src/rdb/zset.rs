//! Sorted sets.
//!
//! ```text
//! 17 ZSET_LISTPACK   a string: the listpack of members and scores
//! 12 ZSET_ZIPLIST    a string: the ziplist of members and scores
//!  5 ZSET_2          count │ (member │ score, 8 bytes little-endian) …    from the highest to the lowest
//!  3 ZSET            count │ (member │ length of the text, 1 byte │ text; or 253 NaN, 254 inf, 255 -inf) …
//! ```

use super::error::RdbError;
use super::format::kind;
use super::length::Bytes;
use super::read::Reader;
use super::target::Target;
use super::write::Writer;
use super::ziplist;
use crate::types::listpack::Listpack;
use crate::types::number::parse_f64;
use crate::types::zset::ZView;
use crate::types::{Encodings, ZSet};

const TEXT_NAN: u8 = 253;
const TEXT_INF: u8 = 254;
const TEXT_MINUS_INF: u8 = 255;

/// The type number under which a sorted set is written.
pub fn kind_of(zset: ZView<'_>, target: Target) -> u8 {
    match zset {
        ZView::Packed(pack) if !target.wants_ziplists() || ziplist::fits(pack) => {
            match target.wants_ziplists() {
                true => kind::ZSET_ZIPLIST,
                false => kind::ZSET_LISTPACK,
            }
        }
        _ => kind::ZSET_2,
    }
}

/// Writes a sorted set, without its type number.
pub fn write(writer: &mut Writer, zset: ZView<'_>) {
    match (kind_of(zset, writer.target), zset) {
        (kind::ZSET_LISTPACK, ZView::Packed(pack)) => writer.string(&pack.to_redis()),
        (kind::ZSET_ZIPLIST, ZView::Packed(pack)) => writer.string(&ziplist::write(pack)),
        _ => {
            writer.length(zset.len() as u64);
            for (member, score) in zset.iter(0..zset.len(), true) {
                writer.string(member.as_bytes(&mut itoa::Buffer::new()));
                writer.out.extend(score.to_le_bytes());
            }
        }
    }
}

/// Writes about `count` members, of the big form; see [`super::value::write_some`].
pub fn write_some(writer: &mut Writer, zset: ZView<'_>, at: u64, count: usize) -> Option<u64> {
    if at == 0 {
        writer.length(zset.len() as u64);
    }
    let end = zset.len().saturating_sub(at as usize);
    let start = end.saturating_sub(count);
    for (member, score) in zset.iter(start..end, true) {
        writer.string(member.as_bytes(&mut itoa::Buffer::new()));
        writer.out.extend(score.to_le_bytes());
    }
    (start > 0).then_some((zset.len() - start) as u64)
}

/// Reads a sorted set of one of the types above.
pub fn read(reader: &mut Reader<'_>, of: u8) -> Result<ZSet, RdbError> {
    if of == kind::ZSET_LISTPACK || of == kind::ZSET_ZIPLIST {
        let text = reader.bytes()?;
        let pack = if of == kind::ZSET_LISTPACK { Listpack::from_redis(&text) } else { ziplist::read(&text) };
        let pack = pack.ok_or(RdbError::BadValue(of))?;
        if pack.is_empty() {
            return Err(RdbError::Empty(of));
        }
        let limits: Encodings = *reader.encodings();
        return ZSet::from_listpack(pack, &limits).ok_or(RdbError::BadValue(of));
    }
    let (count, limits) = (reader.length()?, *reader.encodings());
    if count == 0 {
        return Err(RdbError::Empty(of));
    }
    let mut made = ZSet::with_len(usize::try_from(count).unwrap_or(usize::MAX), &limits);
    for _ in 0..count {
        let member = reader.bytes()?;
        let score = if of == kind::ZSET_2 { binary_score(reader)? } else { text_score(reader)? };
        // A member that is there twice, a score that is no number, more than fits.
        if score.is_nan() || made.add(&member, score, &limits) != Ok(None) {
            return Err(RdbError::BadValue(of));
        }
    }
    made.settle(&limits);
    Ok(made)
}

fn binary_score(reader: &mut Reader<'_>) -> Result<f64, RdbError> {
    let bytes = reader.take(8)?;
    Ok(f64::from_le_bytes(bytes.try_into().expect("as many bytes as were asked for")))
}

fn text_score(reader: &mut Reader<'_>) -> Result<f64, RdbError> {
    Ok(match reader.byte()? {
        TEXT_NAN => f64::NAN,
        TEXT_INF => f64::INFINITY,
        TEXT_MINUS_INF => f64::NEG_INFINITY,
        len => parse_f64(reader.take(u64::from(len))?).unwrap_or(f64::NAN),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::Limits;
    use crate::types::Collection;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { string_bytes: 1 << 20, encodings: Encodings::DEFAULT };

    fn of(pairs: &[(&str, f64)]) -> ZSet {
        let mut made = ZSet::default();
        for (member, score) in pairs {
            made.add(member.as_bytes(), *score, &Encodings::DEFAULT).unwrap();
        }
        made
    }

    fn read_all(bytes: &[u8], of: u8) -> Result<ZSet, RdbError> {
        read(&mut Reader::new(bytes, LIMITS), of)
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        // DUMP of ZADD z 1 a 2.5 b -inf c, without version and checksum.
        let mut writer = Writer::new();
        write(&mut writer, of(&[("a", 1.0), ("b", 2.5), ("c", f64::NEG_INFINITY)]).view());
        assert_eq!(
            writer.out.escape_ascii().to_string(),
            r"\x1d\x1d\x00\x00\x00\x06\x00\x81c\x02\x84-inf\x05\x81a\x02\x01\x01\x81b\x02\x832.5\x04\xff"
        );
        // The same with zset-max-listpack-entries 0.
        let mut writer = Writer::new();
        let mut big = ZSet::with_len(1000, &Encodings::DEFAULT);
        for (member, score) in [("a", 1.0), ("b", 2.5), ("12", 3.0)] {
            big.add(member.as_bytes(), score, &Encodings::DEFAULT).unwrap();
        }
        assert_eq!(kind_of(big.view(), Target::DUMP), 5);
        write(&mut writer, big.view());
        assert_eq!(
            writer.out.escape_ascii().to_string(),
            r"\x03\xc0\x0c\x00\x00\x00\x00\x00\x00\x08@\x01b\x00\x00\x00\x00\x00\x00\x04@\x01a\x00\x00\x00\x00\x00\x00\xf0?"
        );
    }

    #[test]
    fn old_scores_are_read() {
        let read = read_all(b"\x04\x01a\x031.5\x01b\xfe\x01c\xff\x01d\x05-1e10", kind::ZSET);
        let expected = of(&[("a", 1.5), ("b", f64::INFINITY), ("c", f64::NEG_INFINITY), ("d", -1e10)]);
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_is_no_sorted_set_is_refused() {
        let nan = [&b"\x01\x01a"[..], &f64::NAN.to_le_bytes()].concat();
        let one = 1.0f64.to_le_bytes();
        let twice = [&b"\x02\x01a"[..], &one, b"\x01a", &one].concat();
        for (bytes, of) in [
            (&nan[..], kind::ZSET_2),
            (&twice, kind::ZSET_2),
            (b"\x01\x01a\xfd", kind::ZSET),
            (b"\x01\x01a\x02xx", kind::ZSET),
            (b"\x0a\x0a\x00\x00\x00\x01\x00\x81a\x02\xff", kind::ZSET_LISTPACK),
        ] {
            assert_eq!(read_all(bytes, of), Err(RdbError::BadValue(of)), "{bytes:?}");
        }
        for (bytes, of) in [
            (&b"\x00"[..], kind::ZSET_2),
            (b"\x00", kind::ZSET),
            (b"\x07\x07\x00\x00\x00\x00\x00\xff", kind::ZSET_LISTPACK),
        ] {
            assert_eq!(read_all(bytes, of), Err(RdbError::Empty(of)), "{bytes:?}");
        }
        // An announced count is not believed.
        assert!(matches!(
            read_all(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a", kind::ZSET_2),
            Err(RdbError::Truncated(_))
        ));
    }

    proptest! {
        #[test]
        fn sorted_sets_survive(
            pairs in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..70), any::<f64>()), 1..200),
        ) {
            let mut made = ZSet::default();
            for (member, score) in pairs {
                if !score.is_nan() {
                    made.add(&member, score, &Encodings::DEFAULT).unwrap();
                }
            }
            if !Collection::is_empty(&made) {
                let mut writer = Writer::new();
                write(&mut writer, made.view());
                let read = read_all(&writer.out, kind_of(made.view(), Target::DUMP)).unwrap();
                prop_assert_eq!(&read, &made);
                for cut in 0..writer.out.len().min(300) {
                    prop_assert!(read_all(&writer.out[..cut], kind_of(made.view(), Target::DUMP)).is_err());
                }
            }
        }

        #[test]
        fn any_bytes_do_not_panic(bytes: Vec<u8>) {
            for of in [kind::ZSET, kind::ZSET_2, kind::ZSET_LISTPACK] {
                let _ = read_all(&bytes, of);
            }
        }
    }
}
