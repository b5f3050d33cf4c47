//! The end of every write: its effects go to those who follow the keyspace.
//!
//! INVARIANT: this is the only place that reads effects. Watched keys, waited-for keys, keyspace notifications, tracking
//! and the log today; replicas and search indexes join here.

use super::log::{Repeat, log};
use crate::shard::Shard;
use crate::shard::log::Log;

/// Drains the effects of what just ran and was no command, or one that says itself how it is to be repeated.
#[inline]
pub fn finish(shard: &mut Shard) {
    finish_command(shard, Repeat::AsSaid);
}

/// Drains the effects of the command that just ran.
#[inline]
pub fn finish_command(shard: &mut Shard, repeat: Repeat<'_>) {
    if !shard.effects.is_empty() || shard.log.as_deref().is_some_and(Log::has_said) {
        drain(shard, repeat);
    }
}

#[cold]
fn drain(shard: &mut Shard, repeat: Repeat<'_>) {
    if shard.log.is_some() {
        log(shard, repeat);
    }
    let Shard { effects, watches, waits, notices, tracking, .. } = shard;
    for effect in effects.drain() {
        if effect.event.wakes() {
            waits.touch(effect.db, &effect.key);
        }
        if effect.event.is_modification() {
            watches.touch(effect.db, &effect.key);
            tracking.take_effect(&effect);
        }
        notices.take_effect(effect);
    }
    shard.follow_for_tracking();
}
