//! Streams.
//!
//! [`rows`] is the table of contents; what a stream is stands in `types/stream`. Replies are written straight from the
//! bytes of its nodes.

mod ack;
mod add;
mod claim;
mod group;
mod idmp;
mod ids;
mod info;
mod limits;
mod offer;
mod pending;
mod range;
mod read;
mod read_group;
mod rows;
mod say;
#[cfg(test)]
mod tests;
mod trim;
mod wanted;

use super::{CommandError, Ctx};
use crate::resp::Reply;
use crate::types::stream::{Entry, Group, Item, NodeLimits, Stream, StreamId};

pub use rows::ROWS;

/// When a node is full.
pub(super) fn node_limits(ctx: &Ctx<'_>) -> NodeLimits {
    let encodings = &ctx.shard.settings.encodings;
    NodeLimits { bytes: encodings.stream_node_bytes, entries: encodings.stream_node_entries }
}

#[inline]
fn reply_id(reply: &mut Reply<'_>, id: StreamId) {
    reply.bulk(id.text().as_bytes());
}

/// An entry: its id and the flat list of its fields and values.
#[inline]
fn reply_entry(reply: &mut Reply<'_>, entry: &Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply_fields(reply, entry);
}

#[inline]
fn reply_fields(reply: &mut Reply<'_>, entry: &Entry<'_>) {
    reply.array(2 * entry.len());
    entry.for_each(|item| match item {
        Item::Bytes(bytes) => reply.bulk(bytes),
        Item::Int(value) => reply.bulk_int(value),
    });
}

/// What HELP answers: the lines of the subcommands between the two that every HELP has.
fn reply_help(reply: &mut Reply<'_>, container: &str, lines: &[&str]) {
    reply.array(lines.len() + 3);
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    lines.iter().for_each(|line| reply.simple(line));
    reply.simple("HELP");
    reply.simple("    Prints this help.");
}

/// Redis: in these texts a name ends at a zero byte.
fn c_text(name: &[u8]) -> &[u8] {
    super::quoted(name, usize::MAX)
}

/// There is no such key, or the stream under it has no such group.
fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    let parts: [&[u8]; 5] =
        [b"NOGROUP No such key '", c_text(key), b"' or consumer group '", c_text(group), b"'"];
    CommandError::text(parts.concat())
}

/// The stream is there, but not the group.
fn no_group_of(key: &[u8], group: &[u8]) -> CommandError {
    let parts: [&[u8]; 5] =
        [b"NOGROUP No such consumer group '", c_text(group), b"' for key name '", c_text(key), b"'"];
    CommandError::text(parts.concat())
}

/// The group of a stream that is there, or the error that it is not.
fn group_of<'s>(
    stream: Option<&'s Stream>,
    key: &[u8],
    group: &[u8],
) -> Result<(&'s Stream, &'s Group), CommandError> {
    let found = stream.and_then(|stream| stream.group(group).map(|group| (stream, group)));
    found.ok_or_else(|| no_group(key, group))
}
