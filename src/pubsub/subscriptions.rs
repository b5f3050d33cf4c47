//! The subscriptions of one core's connections, both ways: who subscribed to a name, and to what a connection
//! subscribed.
//!
//! INVARIANT: a connection is in a name's set exactly when the name is in the connection's, no set is empty, and every
//! name that is here counts once in [`Presence`].

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::{Presence, Space};
use crate::runtime::face::ConnId;
use crate::types::glob::glob_match;

type Name = Arc<[u8]>;
/// Those who subscribed to one name.
pub type Subscribers = HashSet<ConnId, ahash::RandomState>;
type Names = HashMap<Name, Subscribers, ahash::RandomState>;
type Own = HashSet<Name, ahash::RandomState>;

/// To how much a connection has subscribed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    pub channels: u32,
    pub patterns: u32,
    pub shard_channels: u32,
    /// What the names take.
    pub bytes: usize,
}

impl Counts {
    /// Has it subscribed to anything?
    #[inline]
    pub fn any(&self) -> bool {
        (self.channels | self.patterns | self.shard_channels) != 0
    }

    /// The number that confirmations tell: shard channels are counted apart.
    pub fn told(&self, space: Space) -> i64 {
        match space {
            Space::Shard => i64::from(self.shard_channels),
            Space::Channel | Space::Pattern => i64::from(self.channels) + i64::from(self.patterns),
        }
    }
}

/// Names and connections of one core.
pub struct Subscriptions {
    names: [Names; 3],
    own: HashMap<ConnId, [Own; 3], ahash::RandomState>,
    presence: Arc<Presence>,
    core: usize,
}

impl Subscriptions {
    /// Nobody yet.
    pub fn new(presence: Arc<Presence>, core: usize) -> Subscriptions {
        Subscriptions { names: Default::default(), own: HashMap::default(), presence, core }
    }

    /// True unless the connection had subscribed already.
    pub fn subscribe(&mut self, conn: ConnId, space: Space, name: &[u8]) -> bool {
        let names = &mut self.names[space as usize];
        let name: Name = match names.get_key_value(name) {
            Some((known, _)) => known.clone(),
            None => name.into(),
        };
        if !self.own.entry(conn).or_default()[space as usize].insert(name.clone()) {
            return false;
        }
        let subscribers = names.entry(name).or_insert_with_key(|name| {
            self.presence.begin(self.core, space, name);
            Subscribers::default()
        });
        subscribers.insert(conn);
        true
    }

    /// True when the connection had subscribed.
    pub fn unsubscribe(&mut self, conn: ConnId, space: Space, name: &[u8]) -> bool {
        let Some(own) = self.own.get_mut(&conn) else { return false };
        if !own[space as usize].remove(name) {
            return false;
        }
        if own.iter().all(HashSet::is_empty) {
            self.own.remove(&conn);
        }
        self.leave(conn, space, name);
        true
    }

    fn leave(&mut self, conn: ConnId, space: Space, name: &[u8]) {
        let names = &mut self.names[space as usize];
        let Some(subscribers) = names.get_mut(name) else { return };
        subscribers.remove(&conn);
        if subscribers.is_empty() {
            names.remove(name);
            self.presence.end(self.core, space, name);
        }
    }

    /// The connection is gone, or wants nothing any more.
    pub fn forget(&mut self, conn: ConnId) {
        let Some(own) = self.own.remove(&conn) else { return };
        for (space, names) in Space::ALL.into_iter().zip(own) {
            names.iter().for_each(|name| self.leave(conn, space, name));
        }
    }

    /// To what a connection has subscribed.
    pub fn names_of(&self, conn: ConnId, space: Space) -> Vec<Arc<[u8]>> {
        self.own.get(&conn).map(|own| own[space as usize].iter().cloned().collect()).unwrap_or_default()
    }

    /// Who subscribed to a name.
    #[inline]
    pub fn subscribers(&self, space: Space, name: &[u8]) -> Option<&Subscribers> {
        let names = &self.names[space as usize];
        if names.is_empty() { None } else { names.get(name) }
    }

    /// Patterns that match a channel, with their subscribers.
    pub fn matching<'a>(&'a self, channel: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a Subscribers)> {
        let all = self.names[Space::Pattern as usize].iter();
        all.map(|(pattern, subscribers)| (&**pattern, subscribers))
            .filter(|(pattern, _)| glob_match(pattern, channel, false))
    }

    /// All names of a space.
    pub fn names(&self, space: Space) -> impl Iterator<Item = &[u8]> {
        self.names[space as usize].keys().map(|name| &**name)
    }

    /// A number for every name, the same on every core: for counting names that several cores have.
    pub fn marks(&self, space: Space) -> Vec<u64> {
        self.names(space).map(|name| super::presence::hash(space, name)).collect()
    }

    /// How many names of a space there are.
    pub fn len(&self, space: Space) -> usize {
        self.names[space as usize].len()
    }

    /// True when nobody has subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId { index: 1, generation: 0 };
    const B: ConnId = ConnId { index: 2, generation: 0 };

    fn two_cores() -> (Subscriptions, Arc<Presence>) {
        let presence = Arc::new(Presence::new(2));
        (Subscriptions::new(presence.clone(), 1), presence)
    }

    fn seen_by_others(presence: &Presence, channel: &[u8]) -> bool {
        presence.others(0, Space::Channel, channel).next().is_some()
    }

    #[test]
    fn a_name_lives_from_its_first_subscriber_to_its_last() {
        let (mut subs, presence) = two_cores();
        assert!(subs.subscribe(A, Space::Channel, b"ch"));
        assert!(!subs.subscribe(A, Space::Channel, b"ch"), "twice is once");
        assert!(subs.subscribe(B, Space::Channel, b"ch"));
        assert_eq!(subs.subscribers(Space::Channel, b"ch").map(HashSet::len), Some(2));
        assert!(subs.unsubscribe(A, Space::Channel, b"ch"));
        assert!(!subs.unsubscribe(A, Space::Channel, b"ch"));
        assert!(seen_by_others(&presence, b"ch"));
        assert!(subs.unsubscribe(B, Space::Channel, b"ch"));
        assert!(subs.subscribers(Space::Channel, b"ch").is_none() && subs.is_empty());
        assert!(!seen_by_others(&presence, b"ch") && presence.is_empty());
    }

    #[test]
    fn spaces_are_apart() {
        let (mut subs, _) = two_cores();
        for space in Space::ALL {
            assert!(subs.subscribe(A, space, b"x"));
        }
        assert!(subs.unsubscribe(A, Space::Shard, b"x"));
        assert!(subs.subscribers(Space::Shard, b"x").is_none());
        assert_eq!(subs.names_of(A, Space::Channel), [b"x".as_slice().into()]);
        assert_eq!(Space::ALL.map(|space| subs.len(space)), [1, 1, 0]);
    }

    #[test]
    fn who_leaves_leaves_everything() {
        let (mut subs, presence) = two_cores();
        subs.subscribe(A, Space::Channel, b"one");
        subs.subscribe(A, Space::Pattern, b"o*");
        subs.subscribe(A, Space::Shard, b"one");
        subs.subscribe(B, Space::Channel, b"one");
        subs.forget(A);
        assert_eq!(Space::ALL.map(|space| subs.len(space)), [1, 0, 0]);
        assert!(seen_by_others(&presence, b"one"));
        subs.forget(A);
        subs.forget(B);
        assert!(subs.is_empty() && presence.is_empty());
    }

    #[test]
    fn patterns_match_as_globs() {
        let (mut subs, _) = two_cores();
        for pattern in ["*", "h?llo", "h[ae]llo", "x\\*"] {
            subs.subscribe(A, Space::Pattern, pattern.as_bytes());
        }
        let matching = |channel: &str| {
            let mut found: Vec<_> =
                subs.matching(channel.as_bytes()).map(|(pattern, _)| pattern.to_vec()).collect();
            found.sort();
            found
        };
        assert_eq!(matching("hello"), [&b"*"[..], b"h?llo", b"h[ae]llo"]);
        assert_eq!(matching("x*"), [&b"*"[..], b"x\\*"]);
        assert!(matching("").is_empty(), "Redis: not even by a star");
    }
}
