//! Effects: what a write has done, for those who follow the keyspace.
//!
//! INVARIANT: no command calls a follower. A write yields one effect through the guard that made it (`keyspace.rs`,
//! `collection.rs`), and `tx/finish.rs` drains them after the command. With no follower an effect costs one branch.

use super::subkeys::Subkeys;
use crate::types::DbIndex;

/// The class of a keyspace notification, by its letter in `notify-keyspace-events`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Generic,
    String,
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
    Expired,
    Evicted,
    Module,
    New,
    /// A read found nothing. Not a change.
    KeyMiss,
    /// A value took the place of another.
    Overwritten,
    /// A value took the place of one of another type.
    TypeChanged,
    /// A change that no notification tells of.
    Silent,
    /// A change of what was delivered to whom (XREADGROUP, XACK). Redis: no notification tells of it, and no watch
    /// fails for it.
    Delivered,
}

impl Class {
    /// The bit of a class in a set.
    #[inline]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// What happened to a key: the name and class of its keyspace notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    pub name: &'static str,
    pub class: Class,
}

impl Event {
    /// Does a watch of the key fail for it, and is its value read anew by who tracks it? Redis: not for what a consumer
    /// group delivered, nor for what else is done to groups and to a stream's ids, although a notification tells of
    /// that; nor for a BITFIELD that only made its string longer. A stream that XGROUP CREATE made is [`Event::MADE`].
    pub fn is_modification(self) -> bool {
        !matches!(self.class, Class::KeyMiss | Class::Delivered)
            && ![
                Event::XGROUP_CREATE,
                Event::XGROUP_SETID,
                Event::XGROUP_DESTROY,
                Event::XGROUP_CREATECONSUMER,
                Event::XGROUP_DELCONSUMER,
                Event::XSETID,
                Event::ALL_FAILED,
            ]
            .contains(&self)
    }

    /// May somebody who waits for the key be served after it, or be told that what was waited for is gone?
    pub fn wakes(self) -> bool {
        self == Event::XGROUP_DESTROY || self.is_modification()
    }
}

macro_rules! events {
    ($($name:ident = $wire:literal, $class:ident;)*) => {
        impl Event {
            $(pub const $name: Event = Event { name: $wire, class: Class::$class };)*
        }
    };
}

events! {
    SET = "set", String;
    APPEND = "append", String;
    SETRANGE = "setrange", String;
    INCRBY = "incrby", String;
    DECRBY = "decrby", String;
    INCRBYFLOAT = "incrbyfloat", String;
    DEL = "del", Generic;
    EXPIRE = "expire", Generic;
    PERSIST = "persist", Generic;
    RENAME_FROM = "rename_from", Generic;
    RENAME_TO = "rename_to", Generic;
    MOVE_FROM = "move_from", Generic;
    MOVE_TO = "move_to", Generic;
    COPY_TO = "copy_to", Generic;
    RESTORE = "restore", Generic;
    LPUSH = "lpush", List;
    RPUSH = "rpush", List;
    LPOP = "lpop", List;
    RPOP = "rpop", List;
    LINSERT = "linsert", List;
    LSET = "lset", List;
    LREM = "lrem", List;
    LTRIM = "ltrim", List;
    SORTSTORE = "sortstore", List;
    SADD = "sadd", Set;
    SREM = "srem", Set;
    SPOP = "spop", Set;
    SINTERSTORE = "sinterstore", Set;
    SUNIONSTORE = "sunionstore", Set;
    SDIFFSTORE = "sdiffstore", Set;
    HSET = "hset", Hash;
    HDEL = "hdel", Hash;
    HINCRBY = "hincrby", Hash;
    HINCRBYFLOAT = "hincrbyfloat", Hash;
    HEXPIRE = "hexpire", Hash;
    HPERSIST = "hpersist", Hash;
    HEXPIRED = "hexpired", Hash;
    ZADD = "zadd", SortedSet;
    ZINCR = "zincr", SortedSet;
    ZREM = "zrem", SortedSet;
    ZREMRANGEBYRANK = "zremrangebyrank", SortedSet;
    ZREMRANGEBYSCORE = "zremrangebyscore", SortedSet;
    ZREMRANGEBYLEX = "zremrangebylex", SortedSet;
    ZPOPMIN = "zpopmin", SortedSet;
    ZPOPMAX = "zpopmax", SortedSet;
    ZRANGESTORE = "zrangestore", SortedSet;
    ZUNIONSTORE = "zunionstore", SortedSet;
    ZINTERSTORE = "zinterstore", SortedSet;
    ZDIFFSTORE = "zdiffstore", SortedSet;
    GEOSEARCHSTORE = "geosearchstore", SortedSet;
    GEORADIUSSTORE = "georadiusstore", SortedSet;
    XADD = "xadd", Stream;
    XTRIM = "xtrim", Stream;
    XDEL = "xdel", Stream;
    XSETID = "xsetid", Stream;
    XGROUP_CREATE = "xgroup-create", Stream;
    XGROUP_SETID = "xgroup-setid", Stream;
    XGROUP_DESTROY = "xgroup-destroy", Stream;
    XGROUP_CREATECONSUMER = "xgroup-createconsumer", Stream;
    XGROUP_DELCONSUMER = "xgroup-delconsumer", Stream;
    XACK = "xack", Delivered;
    XCLAIM = "xclaim", Delivered;
    XAUTOCLAIM = "xautoclaim", Delivered;
    XREADGROUP = "xreadgroup", Delivered;
    XNACK = "xnack", Delivered;
    XCFGSET = "xcfgset", Stream;
    SETBIT = "setbit", String;
    PFADD = "pfadd", String;
    EXPIRED = "expired", Expired;
    EVICTED = "evicted", Evicted;
    NEW = "new", New;
    KEY_MISS = "keymiss", KeyMiss;
    OVERWRITTEN = "overwritten", Overwritten;
    TYPE_CHANGED = "type_changed", TypeChanged;
    ALL_FAILED = "bitfield", Silent;
    MADE = "made", Silent;
    COUNTED = "pfcount", Silent;
    REPRESENTED = "pfdebug", Silent;
}

/// One change of one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    pub db: DbIndex,
    pub key: Box<[u8]>,
    pub event: Event,
    /// The fields it is about; named only while somebody wants to know, and never empty.
    pub subkeys: Option<Box<Subkeys>>,
}

/// News that are recorded only while somebody wants them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wants {
    pub new: bool,
    pub misses: bool,
    pub overwritten: bool,
    pub type_changed: bool,
    /// Which fields of a hash an event is about.
    pub subkeys: bool,
}

/// What a value that was stored as a whole took the place of.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stored {
    pub is_new: bool,
    pub overwritten: bool,
    /// Known only while somebody wants to know it.
    pub type_changed: bool,
}

/// The effects of the command that runs, until they are drained.
#[derive(Default)]
pub struct Effects {
    /// How many followers want effects: watched keys now; log, replicas, notifications later.
    followers: usize,
    pub wants: Wants,
    pending: Vec<Effect>,
    /// Changes since the last save; Redis's `dirty`.
    pub dirty: u64,
    /// Everything recorded, for tests to take.
    #[cfg(test)]
    pub seen: Vec<Effect>,
}

impl Effects {
    /// A follower begins to read effects.
    pub fn follow(&mut self) {
        self.followers += 1;
    }

    /// A follower stops.
    pub fn unfollow(&mut self) {
        self.followers = self.followers.checked_sub(1).expect("only who follows can stop");
    }

    /// Records a change. One branch and one addition when nobody follows.
    #[inline]
    pub fn record(&mut self, db: DbIndex, key: &[u8], event: Event) {
        self.record_many(db, key, event, 1);
    }

    /// Records one effect that counts as several changes.
    #[inline]
    pub fn record_many(&mut self, db: DbIndex, key: &[u8], event: Event, changes: u64) {
        self.dirty += changes;
        #[cfg(test)]
        self.seen.push(Effect { db, key: key.into(), event, subkeys: None });
        if self.followers > 0 {
            self.pending.push(Effect { db, key: key.into(), event, subkeys: None });
        }
    }

    /// Records a change that stored a value as a whole.
    ///
    /// Redis: that a key is new, or was overwritten, is told before what the command did.
    #[inline]
    pub fn record_store(&mut self, db: DbIndex, key: &[u8], event: Event, stored: Stored) {
        if self.followers > 0 && self.wants != Wants::default() {
            self.tell_store(db, key, stored);
        }
        self.record(db, key, event);
    }

    #[cold]
    fn tell_store(&mut self, db: DbIndex, key: &[u8], stored: Stored) {
        let Wants { new, overwritten, type_changed, .. } = self.wants;
        for (is_told, event) in [
            (new && stored.is_new, Event::NEW),
            (overwritten && stored.overwritten, Event::OVERWRITTEN),
            (type_changed && stored.type_changed, Event::TYPE_CHANGED),
        ] {
            if is_told {
                self.also(db, key, event);
            }
        }
    }

    /// A read found no such key.
    #[inline]
    pub fn missed(&mut self, db: DbIndex, key: &[u8]) {
        if self.wants.misses {
            self.also(db, key, Event::KEY_MISS);
        }
    }

    /// Records another notification of the change recorded last (SET with an expiry is `set` and `expire`, and
    /// still one change).
    #[inline]
    pub fn also(&mut self, db: DbIndex, key: &[u8], event: Event) {
        if self.followers > 0 {
            self.pending.push(Effect { db, key: key.into(), event, subkeys: None });
        }
    }

    /// Names the fields that the change recorded last is about.
    pub fn name_subkeys(&mut self, subkeys: Box<Subkeys>) {
        if let Some(last) = self.pending.last_mut() {
            last.subkeys = Some(subkeys);
        }
    }

    /// True when nothing waits to be drained.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// What was recorded and not taken yet.
    pub fn pending(&self) -> &[Effect] {
        &self.pending
    }

    /// Takes what was recorded.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Effect> {
        self.pending.drain(..)
    }
}
