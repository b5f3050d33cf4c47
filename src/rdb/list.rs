//! Lists.
//!
//! ```text
//! 18 LIST_QUICKLIST_2   nodes │ (container: 1 plain, 2 packed │ a string: the element, or a listpack) …
//! 14 LIST_QUICKLIST     nodes │ (a string: a ziplist) …
//! 10 LIST_ZIPLIST       a string: the ziplist of all
//!  1 LIST               count │ (a string: the element) …
//! ```

use std::borrow::Cow;

use super::error::RdbError;
use super::format::kind;
use super::read::{Reader, Text};
use super::write::Writer;
use super::ziplist;
use crate::types::list::{End, ListView, Node, NodeLimit};
use crate::types::{List, Listpack};

const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// Redis: elements up to this size are in listpacks.
const PACKED_MAX_BYTES: usize = 1 << 30;

/// Writes a list of type 18, without its type number.
pub fn write(writer: &mut Writer, list: ListView<'_>) {
    match list {
        ListView::Packed(pack) => {
            writer.length(1);
            write_pack(writer, &pack.to_redis());
        }
        ListView::Heap(list) => {
            writer.length(list.nodes().len() as u64);
            for node in list.nodes() {
                match node {
                    Node::Pack(pack) => write_pack(writer, &pack.to_redis()),
                    Node::Large(bytes) if bytes.len() < PACKED_MAX_BYTES => {
                        let mut pack = Listpack::new();
                        pack.push_back(&**bytes);
                        write_pack(writer, &pack.to_redis());
                    }
                    Node::Large(bytes) => {
                        writer.length(PLAIN);
                        writer.string(bytes);
                    }
                }
            }
        }
    }
}

fn write_pack(writer: &mut Writer, pack: &[u8]) {
    writer.length(PACKED);
    writer.string(pack);
}

/// Reads a list of one of the types above.
pub fn read(reader: &mut Reader<'_>, of: u8) -> Result<List, RdbError> {
    let limit = NodeLimit::new(reader.encodings().list_node);
    let mut list = List::default();
    // The oldest is one node.
    let nodes = if of == kind::LIST_ZIPLIST { 1 } else { reader.length()? };
    for _ in 0..nodes {
        match of {
            kind::LIST => list.push(End::Back, &bytes(reader)?, limit),
            kind::LIST_QUICKLIST | kind::LIST_ZIPLIST => {
                let pack = ziplist::read(&bytes(reader)?).ok_or(RdbError::BadValue(of))?;
                push_pack(&mut list, pack, limit);
            }
            kind::LIST_QUICKLIST_2 => match reader.length()? {
                PLAIN => list.push(End::Back, &bytes(reader)?, limit),
                PACKED => {
                    let pack = Listpack::from_redis(&bytes(reader)?).ok_or(RdbError::BadValue(of))?;
                    push_pack(&mut list, pack, limit);
                }
                _ => return Err(RdbError::BadValue(of)),
            },
            other => return Err(RdbError::UnknownType(other)),
        }
    }
    if list.is_empty() { Err(RdbError::BadValue(of)) } else { Ok(list) }
}

/// Redis: empty nodes, which it wrote once by mistake, are passed over.
fn push_pack(list: &mut List, pack: Listpack, limit: NodeLimit) {
    if !pack.is_empty() {
        list.push_pack(pack, limit);
    }
}

fn bytes<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, [u8]>, RdbError> {
    Ok(match reader.string()? {
        Text::Int(value) => itoa::Buffer::new().format(value).as_bytes().to_vec().into(),
        Text::Borrowed(bytes) => bytes.into(),
        Text::Owned(bytes) => bytes.into(),
    })
}
