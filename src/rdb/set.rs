//! Sets.
//!
//! ```text
//! 11 SET_INTSET      a string: the intset
//!  2 SET             count │ member …
//! 20 SET_LISTPACK    a string: the listpack of members (Redis 7.0 does not know it)
//! ```

use std::borrow::Cow;

use super::error::RdbError;
use super::format::kind;
use super::length::Bytes;
use super::read::Reader;
use super::target::Target;
use super::write::Writer;
use crate::types::intset::IntSet;
use crate::types::listpack::Listpack;
use crate::types::set::SetView;
use crate::types::{Encodings, Set};

/// The type number under which a set is written.
pub fn kind_of(set: SetView<'_>, target: Target) -> u8 {
    match set {
        SetView::Ints(_) => kind::SET_INTSET,
        SetView::Members(_) if target.knows_set_listpacks() => kind::SET_LISTPACK,
        SetView::Members(_) | SetView::Table(_) => kind::SET,
    }
}

/// Writes a set, without its type number.
pub fn write(writer: &mut Writer, set: SetView<'_>) {
    match set {
        SetView::Ints(ints) => return writer.string(&IntSet::to_redis(ints)),
        SetView::Members(pack) if writer.target.knows_set_listpacks() => {
            return writer.string(&pack.to_redis());
        }
        _ => {}
    }
    writer.length(set.len() as u64);
    for member in set.iter() {
        writer.string(member.as_bytes(&mut itoa::Buffer::new()));
    }
}

/// Writes about `count` members of a table; see [`super::value::write_some`].
pub fn write_some(writer: &mut Writer, set: SetView<'_>, at: u64, count: usize) -> Option<u64> {
    if at == 0 {
        writer.length(set.len() as u64);
    }
    let next = set.scan(at, count, &mut |member| writer.string(member.as_bytes(&mut itoa::Buffer::new())));
    (next != 0).then_some(next)
}

/// Reads a set of one of the types above.
///
/// Redis: members of type 2 make an intset when all are integers and not too many.
pub fn read(reader: &mut Reader<'_>, of: u8) -> Result<Set, RdbError> {
    let limits: Encodings = *reader.encodings();
    match of {
        kind::SET_INTSET => {
            let ints = IntSet::from_redis(&reader.bytes()?).ok_or(RdbError::BadValue(of))?;
            Ok(Set::from_ints(ints, &limits))
        }
        kind::SET_LISTPACK => {
            let members = Listpack::from_redis(&reader.bytes()?).ok_or(RdbError::BadValue(of))?;
            let mut digits = itoa::Buffer::new();
            let members = members.iter().map(|(_, member)| member.as_bytes(&mut digits).to_vec());
            of_members(members.map(|member| Ok(Cow::Owned(member))), of, &limits)
        }
        _ => {
            // Each member takes a byte or more, so what is only announced ends with the bytes.
            let count = reader.length()?;
            of_members((0..count).map(|_| reader.bytes()), of, &limits)
        }
    }
}

/// A set of different members, at least one.
fn of_members<'m>(
    members: impl Iterator<Item = Result<Cow<'m, [u8]>, RdbError>>,
    of: u8,
    limits: &Encodings,
) -> Result<Set, RdbError> {
    let mut made = Set::default();
    for member in members {
        if !made.insert(&member?, limits) {
            return Err(RdbError::BadValue(of));
        }
    }
    if made.is_empty() { Err(RdbError::Empty(of)) } else { Ok(made) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::read::Limits;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { string_bytes: 1 << 20, encodings: Encodings::DEFAULT };

    fn of(members: &[&str]) -> Set {
        let mut set = Set::default();
        members.iter().for_each(|member| {
            set.insert(member.as_bytes(), &Encodings::default());
        });
        set
    }

    fn written(set: &Set) -> Vec<u8> {
        let mut writer = Writer::new();
        write(&mut writer, set.view());
        writer.out
    }

    #[test]
    fn bytes_are_those_of_redis() {
        assert_eq!(kind_of(of(&["1", "2"]).view(), Target::DUMP), kind::SET_INTSET);
        assert_eq!(written(&of(&["2", "1"])), b"\x0c\x02\0\0\0\x02\0\0\0\x01\0\x02\0");
        assert_eq!(kind_of(of(&["a"]).view(), Target::DUMP), kind::SET);
        assert_eq!(written(&of(&["a", "12"])), b"\x02\x01a\xc0\x0c");
    }

    #[test]
    fn listpacks_of_later_versions_are_read() {
        let mut members = Listpack::new();
        members.push_back(b"a");
        members.push_back(7);
        let mut writer = Writer::new();
        writer.string(&members.to_redis());
        let read_back = read(&mut Reader::new(&writer.out, LIMITS), kind::SET_LISTPACK);
        assert_eq!(read_back, Ok(of(&["a", "7"])));
    }

    #[test]
    fn bad_sets_are_refused() {
        for (of, body) in [
            (kind::SET, &b"\x00"[..]),
            (kind::SET, b"\x02\x01a\x01a"),
            (kind::SET, b"\x02\x01a"),
            (kind::SET, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
            (kind::SET_INTSET, b"\x0a\x02\0\0\0\x02\0\0\0\x01\0"),
            (kind::SET_INTSET, b"\x08\x02\0\0\0\0\0\0\0"),
            (kind::SET_INTSET, b"\x01a"),
            (kind::SET_LISTPACK, b"\x01a"),
            (kind::SET_LISTPACK, b"\x07\x07\0\0\0\0\0\xff"),
            (kind::SET_LISTPACK, b"\x0b\x0b\0\0\0\x02\0\x01\x01\x01\x01\xff"),
        ] {
            assert!(read(&mut Reader::new(body, LIMITS), of).is_err(), "{of} {body:?}");
        }
    }

    proptest! {
        #[test]
        fn sets_survive(members in proptest::collection::vec("[a-c0-9]{0,3}", 1..300)) {
            let set = of(&members.iter().map(String::as_str).collect::<Vec<_>>());
            let bytes = written(&set);
            prop_assert_eq!(read(&mut Reader::new(&bytes, LIMITS), kind_of(set.view(), Target::DUMP)), Ok(set));
        }

        #[test]
        fn any_bytes_are_a_set_or_refused(
            of in prop_oneof![Just(kind::SET), Just(kind::SET_INTSET), Just(kind::SET_LISTPACK)],
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Ok(set) = read(&mut Reader::new(&bytes, LIMITS), of) {
                prop_assert!(!set.is_empty());
                prop_assert_eq!(set.view().iter().count(), set.len());
            }
        }
    }
}
