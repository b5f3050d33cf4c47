//! Lists.
//!
//! ```text
//! 18 LIST_QUICKLIST_2   nodes │ (container: 1 plain, 2 packed │ a string: the element, or a listpack) …
//! 14 LIST_QUICKLIST     nodes │ (a string: a ziplist) …
//! 10 LIST_ZIPLIST       a string: the ziplist of all
//!  1 LIST               count │ (a string: the element) …
//! ```

use super::error::RdbError;
use super::format::kind;
use super::length::Bytes;
use super::read::Reader;
use super::target::Target;
use super::write::Writer;
use super::ziplist;
use crate::types::list::{End, ListView, Node, NodeLimit};
use crate::types::listpack::ListpackRef;
use crate::types::{List, Listpack};

const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// Redis: elements up to this size are in listpacks.
const PACKED_MAX_BYTES: usize = 1 << 30;

/// The type number under which a list is written.
pub fn kind_of(list: ListView<'_>, target: Target) -> u8 {
    let is_huge = |node: &Node| matches!(node, Node::Large(bytes) if bytes.len() >= PACKED_MAX_BYTES);
    match list {
        _ if !target.wants_ziplists() => kind::LIST_QUICKLIST_2,
        ListView::Heap(list) if list.nodes().any(is_huge) => kind::LIST,
        _ => kind::LIST_QUICKLIST,
    }
}

/// Writes a list, without its type number.
pub fn write(writer: &mut Writer, list: ListView<'_>) {
    let of = kind_of(list, writer.target);
    if of == kind::LIST {
        writer.length(list.len() as u64);
        list.for_each(|item| writer.string(item.element().as_bytes(&mut itoa::Buffer::new())));
        return;
    }
    match list {
        ListView::Packed(pack) => {
            writer.length(1);
            write_pack(writer, pack, of);
        }
        ListView::Heap(list) => {
            writer.length(list.nodes().len() as u64);
            list.nodes().for_each(|node| write_node(writer, node, of));
        }
    }
}

fn write_node(writer: &mut Writer, node: &Node, of: u8) {
    match node {
        Node::Pack(pack) => write_pack(writer, pack.as_ref(), of),
        Node::Large(bytes) if bytes.len() < PACKED_MAX_BYTES => {
            let mut pack = Listpack::new();
            pack.push_back(&**bytes);
            write_pack(writer, pack.as_ref(), of);
        }
        Node::Large(bytes) => {
            writer.length(PLAIN);
            writer.string(bytes);
        }
    }
}

/// Writes nodes of about `count` elements, of those that are of their type; see [`super::value::write_some`].
pub fn write_some(writer: &mut Writer, list: &List, at: u64, count: usize) -> Option<u64> {
    let nodes = list.nodes_from(at as usize);
    if at == 0 {
        writer.length(nodes.len() as u64);
    }
    let (mut written, mut next) = (0, at);
    for node in nodes {
        if written >= count {
            return Some(next);
        }
        write_node(writer, node, kind::LIST_QUICKLIST_2);
        written += node.len();
        next += 1;
    }
    None
}

fn write_pack(writer: &mut Writer, pack: ListpackRef<'_>, of: u8) {
    if of == kind::LIST_QUICKLIST {
        return writer.string(&ziplist::write(pack));
    }
    writer.length(PACKED);
    writer.string(&pack.to_redis());
}

/// Reads a list of one of the types above.
pub fn read(reader: &mut Reader<'_>, of: u8) -> Result<List, RdbError> {
    let limit = NodeLimit::new(reader.encodings().list_node);
    let mut list = List::default();
    // The oldest is one node.
    let nodes = if of == kind::LIST_ZIPLIST { 1 } else { reader.length()? };
    for _ in 0..nodes {
        match of {
            kind::LIST => list.push(End::Back, &reader.bytes()?, limit),
            kind::LIST_QUICKLIST | kind::LIST_ZIPLIST => {
                let pack = ziplist::read(&reader.bytes()?).ok_or(RdbError::BadValue(of))?;
                push_pack(&mut list, pack, limit);
            }
            kind::LIST_QUICKLIST_2 => match reader.length()? {
                PLAIN => {
                    let element = reader.bytes()?;
                    // Redis: an empty element is never alone in its node.
                    if element.is_empty() {
                        return Err(RdbError::BadValue(of));
                    }
                    list.push(End::Back, &element, limit);
                }
                PACKED => {
                    let pack = Listpack::from_redis(&reader.bytes()?).ok_or(RdbError::BadValue(of))?;
                    push_pack(&mut list, pack, limit);
                }
                _ => return Err(RdbError::BadValue(of)),
            },
            other => return Err(RdbError::UnknownType(other)),
        }
    }
    if list.is_empty() { Err(RdbError::Empty(of)) } else { Ok(list) }
}

/// Redis: empty nodes, which it wrote once by mistake, are passed over.
fn push_pack(list: &mut List, pack: Listpack, limit: NodeLimit) {
    if !pack.is_empty() {
        list.push_pack(pack, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rdb::Limits;
    use crate::types::{Collection, Encodings};
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { string_bytes: 1 << 20, encodings: Encodings::DEFAULT };

    fn list_of(elements: &[&[u8]], setting: i64) -> List {
        let mut list = List::default();
        for element in elements {
            list.push(End::Back, element, NodeLimit::new(setting));
        }
        list
    }

    fn written(list: &List) -> Vec<u8> {
        let mut writer = Writer::new();
        write(&mut writer, list.view());
        writer.out
    }

    fn read_all(bytes: &[u8], of: u8) -> Result<List, RdbError> {
        read(&mut Reader::new(bytes, LIMITS), of)
    }

    #[test]
    fn the_bytes_are_those_of_redis() {
        // DUMP of RPUSH l a b c 12 -7 (30 times x) last, with list-max-listpack-size 3, without version and checksum.
        let list = list_of(&[b"a", b"b", b"c", b"12", b"-7", &[b'x'; 30], b"last"], 3);
        let dumped = b"\x03\x02\x10\x10\x00\x00\x00\x03\x00\x81a\x02\x81b\x02\x81c\x02\xff\x02\xc3\x14,\x0c,\x00\x00\x00\
            \x03\x00\x0c\x01\xdf\xf9\x02\x9ex\xe0\x14\x00\x01\x1f\xff\x02\r\r\x00\x00\x00\x01\x00\x84last\x05\xff";
        assert_eq!(written(&list).escape_ascii().to_string(), dumped.escape_ascii().to_string());
        assert_eq!(read_all(dumped, kind::LIST_QUICKLIST_2), Ok(list));
        // A list inside its entry is written as the same bytes as one on the heap.
        let small = list_of(&[b"a", b"1"], -2);
        let mut writer = Writer::new();
        let (form, bytes) = small.packed().expect("it is one node");
        write(&mut writer, List::view_packed(form, bytes));
        assert_eq!(writer.out, written(&small));
    }

    #[test]
    fn a_big_element_is_written_as_a_listpack_and_read_as_what_it_is() {
        let list = list_of(&[&[b'x'; 9000], b"small"], -2);
        let bytes = written(&list);
        assert_eq!(bytes[..2], [2, 2]);
        let read = read_all(&bytes, kind::LIST_QUICKLIST_2).expect("it was just written");
        assert!(matches!(read.nodes().next(), Some(Node::Large(bytes)) if bytes.len() == 9000));
        assert_eq!(read, list);
        // Plain nodes, as Redis writes elements over its own limit.
        let plain = b"\x03\x01\x03abc\x01\xc0\x07\x02\x0a\x0a\x00\x00\x00\x01\x00\x81d\x02\xff";
        assert_eq!(read_all(plain, kind::LIST_QUICKLIST_2), Ok(list_of(&[b"abc", b"7", b"d"], -2)));
    }

    #[test]
    fn the_oldest_lists_are_read() {
        assert_eq!(read_all(b"\x03\x01a\xc0\x0c\x00", kind::LIST), Ok(list_of(&[b"a", b"12", b""], -2)));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (bytes, of) in [
            (&b"\x01\x03\x01a"[..], kind::LIST_QUICKLIST_2),
            (b"\x01\x01\x00", kind::LIST_QUICKLIST_2),
            (b"\x01\x02\x0a\x0a\x00\x00\x00\x02\x00\x81d\x02\xff", kind::LIST_QUICKLIST_2),
        ] {
            assert_eq!(read_all(bytes, of), Err(RdbError::BadValue(of)), "{bytes:?}");
        }
        for (bytes, of) in [
            (&b"\x00"[..], kind::LIST),
            (b"\x00", kind::LIST_QUICKLIST_2),
            (b"\x01\x02\x07\x07\x00\x00\x00\x00\x00\xff", kind::LIST_QUICKLIST_2),
        ] {
            assert_eq!(read_all(bytes, of), Err(RdbError::Empty(of)), "{bytes:?}");
        }
        // An announced count is not believed.
        for of in [kind::LIST, kind::LIST_QUICKLIST_2] {
            let read = read_all(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01a", of);
            assert!(matches!(read, Err(RdbError::Truncated(_) | RdbError::BadValue(_))), "{read:?}");
        }
    }

    proptest! {
        #[test]
        fn lists_survive(
            elements in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70), 1..200),
            setting in prop_oneof![Just(-2i64), Just(3), Just(-1)],
        ) {
            let elements: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
            let list = list_of(&elements, setting);
            let bytes = written(&list);
            prop_assert_eq!(read_all(&bytes, kind::LIST_QUICKLIST_2), Ok(list));
            for cut in 0..bytes.len().min(300) {
                prop_assert!(read_all(&bytes[..cut], kind::LIST_QUICKLIST_2).is_err());
            }
        }

        #[test]
        fn any_bytes_do_not_panic(bytes: Vec<u8>) {
            for of in [kind::LIST, kind::LIST_ZIPLIST, kind::LIST_QUICKLIST, kind::LIST_QUICKLIST_2] {
                let _ = read_all(&bytes, of);
            }
        }
    }
}
