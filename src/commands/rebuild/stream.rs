//! A stream, its groups, and what they have not acknowledged.
//!
//! Pending entries can be given to a consumer only while the stream has them. Those that it has no longer are put in and
//! taken out again, in the way in which they had left: between others they were deleted, before the first they were
//! trimmed.

use std::collections::BTreeSet;

use super::{ELEMENTS_PER_COMMAND, Show};
use crate::types::stream::idmp::{DURATION_SECONDS, MAX_SIZE};
use crate::types::stream::{Group, NOBODY, Nack, Stream, StreamId};

/// Shows the commands that make a stream where there is none.
pub fn rebuild(key: &[u8], stream: &Stream, show: Show<'_>) {
    let live = |id: &StreamId| stream.log().get(*id).is_some();
    let pending = stream.groups().values().flat_map(|group| group.pending().keys().copied());
    let gone: BTreeSet<StreamId> = pending.filter(|id| !live(id) && *id != StreamId::MIN).collect();

    let mut waiting = gone.iter().copied().peekable();
    let mut put_in = |until: StreamId, show: &mut dyn FnMut(&[&[u8]])| {
        while let Some(id) = waiting.next_if(|id| *id < until) {
            show(&[b"XADD", key, id.text().as_bytes(), b"x", b"y"]);
        }
    };
    for entry in stream.log().range(StreamId::MIN, StreamId::MAX) {
        put_in(entry.id, show);
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(2 * entry.len());
        entry.for_each(|item| {
            bytes.extend_from_slice(item.text(&mut itoa::Buffer::new()));
            ends.push(bytes.len());
        });
        let id = entry.id.text();
        let mut args: Vec<&[u8]> = vec![b"XADD", key, id.as_bytes()];
        let mut begin = 0;
        for end in ends {
            args.push(&bytes[begin..end]);
            begin = end;
        }
        show(&args);
    }
    put_in(StreamId::MAX, show);
    if stream.entry_count() == 0 && gone.is_empty() {
        // A stream without entries is one that had some.
        show(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
    }

    for (name, group) in stream.groups() {
        rebuild_group(key, name, group, show);
    }
    take_out(key, stream, &gone, show);
    let (mut digits, last, deleted) =
        (itoa::Buffer::new(), stream.last_id.text(), stream.max_deleted_id.text());
    let added = digits.format(stream.entries_added as i64).as_bytes();
    let (last, deleted) = (last.as_bytes(), deleted.as_bytes());
    show(&[b"XSETID", key, last, b"ENTRIESADDED", added, b"MAXDELETEDID", deleted]);
    if let Some(idmp) = stream.idmp()
        && (idmp.duration_seconds, idmp.max_size) != (DURATION_SECONDS, MAX_SIZE)
    {
        let mut digits = [itoa::Buffer::new(), itoa::Buffer::new()];
        let [seconds, size] = &mut digits;
        let (seconds, size) = (seconds.format(idmp.duration_seconds), size.format(idmp.max_size));
        show(&[b"XCFGSET", key, b"IDMP-DURATION", seconds.as_bytes(), b"IDMP-MAXSIZE", size.as_bytes()]);
    }
}

/// Takes out entries that were put in for their groups' sake only.
fn take_out(key: &[u8], stream: &Stream, gone: &BTreeSet<StreamId>, show: Show<'_>) {
    let first = if stream.entry_count() > 0 { stream.first_id() } else { StreamId::MAX };
    let deleted: Vec<StreamId> = gone.range(first..).copied().collect();
    for ids in deleted.chunks(ELEMENTS_PER_COMMAND) {
        let texts: Vec<_> = ids.iter().map(|id| id.text()).collect();
        let mut args: Vec<&[u8]> = vec![b"XDEL", key];
        args.extend(texts.iter().map(|text| text.as_bytes()));
        show(&args);
    }
    if deleted.len() < gone.len() {
        let mut digits = itoa::Buffer::new();
        show(&[b"XTRIM", key, b"MAXLEN", b"=", digits.format(stream.entry_count()).as_bytes()]);
    }
}

fn rebuild_group(key: &[u8], name: &[u8], group: &Group, show: Show<'_>) {
    let (last, mut digits) = (group.last_id.text(), itoa::Buffer::new());
    let read = digits.format(group.entries_read.map_or(-1, |read| read as i64)).as_bytes();
    show(&[b"XGROUP", b"CREATE", key, name, last.as_bytes(), b"ENTRIESREAD", read]);
    for consumer in group.consumers() {
        show(&[b"XGROUP", b"CREATECONSUMER", key, name, &consumer.name]);
        let claims: Vec<(StreamId, Nack)> =
            consumer.pending.iter().filter_map(|id| Some((*id, *group.pending().get(id)?))).collect();
        show_claims(key, name, &consumer.name, &claims, show);
    }
    // What was given back is nobody's: only servers that know how to give back can have that.
    for (id, nack) in group.pending().iter().filter(|(_, nack)| nack.consumer == NOBODY) {
        let (id, mut digits) = (id.text(), itoa::Buffer::new());
        let count = digits.format(as_i64(nack.delivery_count)).as_bytes();
        let (id, ids) = (id.as_bytes(), &b"IDS"[..]);
        show(&[b"XNACK", key, name, b"SILENT", ids, b"1", id, b"RETRYCOUNT", count, b"FORCE"]);
    }
}

/// A count as it can be said: no more than clients can.
fn as_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Shows how pending entries become a consumer's: those that lie side by side and were delivered together, in one command.
pub fn show_claims(key: &[u8], group: &[u8], consumer: &[u8], claims: &[(StreamId, Nack)], show: Show<'_>) {
    let together = |(_, one): &(StreamId, Nack), (_, other): &(StreamId, Nack)| {
        (one.delivered_at_ms, one.delivery_count) == (other.delivered_at_ms, other.delivery_count)
    };
    for claims in claims.chunk_by(together).flat_map(|same| same.chunks(ELEMENTS_PER_COMMAND)) {
        let nack = claims[0].1;
        let texts: Vec<_> = claims.iter().map(|(id, _)| id.text()).collect();
        let mut digits = [itoa::Buffer::new(), itoa::Buffer::new()];
        let [time, count] = &mut digits;
        let (time, count) = (time.format(nack.delivered_at_ms), count.format(as_i64(nack.delivery_count)));
        let mut args: Vec<&[u8]> = vec![b"XCLAIM", key, group, consumer, b"0"];
        args.extend(texts.iter().map(|text| text.as_bytes()));
        args.extend([&b"TIME"[..], time.as_bytes(), b"RETRYCOUNT", count.as_bytes(), b"FORCE", b"JUSTID"]);
        show(&args);
    }
}
