//! The end of every write: its effects go to those who follow the keyspace.
//!
//! INVARIANT: this is the only place that reads effects. Watched keys, waited-for keys, keyspace notifications
//! and tracking today; the log, replicas and search indexes join here.

use crate::shard::Shard;

/// Drains the effects of the command that just ran.
#[inline]
pub fn finish(shard: &mut Shard) {
    if !shard.effects.is_empty() {
        drain(shard);
    }
}

#[cold]
fn drain(shard: &mut Shard) {
    let Shard { effects, watches, waits, notices, tracking, .. } = shard;
    for effect in effects.drain() {
        if effect.event.is_modification() {
            watches.touch(effect.db, &effect.key);
            waits.touch(effect.db, &effect.key);
            tracking.take_effect(&effect);
        }
        notices.take_effect(effect);
    }
    shard.follow_for_tracking();
}
