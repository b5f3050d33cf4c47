//! How changes of streams are repeated: with the ids that were given, the lengths that were left, and who was given what
//! when. Redis: so do its own logs, which know no consumer that reads.

use std::collections::BTreeMap;

use crate::commands::Ctx;
use crate::commands::rebuild::{ELEMENTS_PER_COMMAND, show_claims};
use crate::shard::log::Log;
use crate::types::DbIndex;
use crate::types::stream::{Nack, Stream, StreamId};

/// What was done for one consumer of a group.
#[derive(Default)]
pub struct Delivery {
    /// The consumer is new.
    pub is_new: bool,
    pub acknowledged: Vec<StreamId>,
    pub claimed: Vec<(StreamId, Nack)>,
    /// The group's last id and its count of entries read, if they changed.
    pub group_at: Option<(StreamId, Option<u64>)>,
}

impl Delivery {
    pub fn say(&self, ctx: &mut Ctx<'_>, key: &[u8], group: &[u8], consumer: &[u8]) {
        ctx.say(|log, db| {
            // One that gets something is made by that.
            if self.is_new && self.claimed.is_empty() {
                log.say(db, &[b"XGROUP", b"CREATECONSUMER", key, group, consumer]);
            }
            say_ids(log, db, &[b"XACK", key, group], &self.acknowledged);
            show_claims(key, group, consumer, &self.claimed, &mut |args| log.say(db, args));
            if let Some((last_id, read)) = self.group_at {
                let (last_id, mut digits) = (last_id.text(), itoa::Buffer::new());
                let read = digits.format(read.map_or(-1, |read| read as i64)).as_bytes();
                log.say(db, &[b"XGROUP", b"SETID", key, group, last_id.as_bytes(), b"ENTRIESREAD", read]);
            }
            if !log.has_said() {
                log.say_nothing();
            }
        });
    }
}

/// Says a command for these ids, if there are any.
pub fn say_ids(log: &mut Log, db: DbIndex, head: &[&[u8]], ids: &[StreamId]) {
    for ids in ids.chunks(ELEMENTS_PER_COMMAND) {
        let texts: Vec<_> = ids.iter().map(|id| id.text()).collect();
        let mut args = head.to_vec();
        args.extend(texts.iter().map(|text| text.as_bytes()));
        log.say(db, &args);
    }
}

/// Pending entries that were forgotten with what they referred to, per group.
#[derive(Default)]
pub struct Forgotten(BTreeMap<Box<[u8]>, Vec<StreamId>>);

impl Forgotten {
    /// Notes all references to these ids: before they are forgotten.
    pub fn note(&mut self, stream: &Stream, ids: impl std::ops::RangeBounds<StreamId> + Clone) {
        for (name, group) in stream.groups() {
            let mut pending = group.pending().range(ids.clone()).map(|(id, _)| *id).peekable();
            if pending.peek().is_some() {
                self.0.entry(name.clone()).or_default().extend(pending);
            }
        }
    }

    pub fn say(&self, log: &mut Log, db: DbIndex, key: &[u8]) {
        self.0.iter().for_each(|(group, ids)| say_ids(log, db, &[b"XACK", key, group], ids));
    }
}
