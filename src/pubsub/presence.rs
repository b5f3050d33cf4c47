//! Which cores may have a subscriber: read by every publisher of the process, written on a name's first and last
//! subscriber of a core.
//!
//! Per core there is one counter of patterns, and a table of counters in which every channel counts under its hash.
//! So a core is asked only if it has a pattern, or a channel with the same hash.
//!
//! INVARIANT: a counter is raised before the subscription is confirmed and lowered after it has ended, so who was told
//! that it is subscribed is never left out.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::Space;

/// Counters per core. A power of two.
const PLACES: usize = 4096;

struct OfCore {
    patterns: AtomicUsize,
    channels: Box<[AtomicU32]>,
}

/// Where subscribers may be.
pub struct Presence {
    cores: Vec<OfCore>,
    /// Channels and patterns of all cores; those of shards not included.
    total: AtomicUsize,
}

impl Presence {
    /// Nobody anywhere.
    pub fn new(cores: usize) -> Presence {
        let one = || OfCore {
            patterns: AtomicUsize::new(0),
            channels: (0..PLACES).map(|_| AtomicU32::new(0)).collect(),
        };
        Presence { cores: (0..cores).map(|_| one()).collect(), total: AtomicUsize::new(0) }
    }

    /// A core has its first subscriber of a name.
    pub fn begin(&self, core: usize, space: Space, name: &[u8]) {
        if space != Space::Shard {
            self.total.fetch_add(1, Ordering::Release);
        }
        match space {
            Space::Pattern => {
                self.cores[core].patterns.fetch_add(1, Ordering::Release);
            }
            _ => {
                self.cores[core].channels[place(space, name)].fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Its last subscriber of the name has left.
    pub fn end(&self, core: usize, space: Space, name: &[u8]) {
        if space != Space::Shard {
            self.total.fetch_sub(1, Ordering::Release);
        }
        match space {
            Space::Pattern => {
                self.cores[core].patterns.fetch_sub(1, Ordering::Release);
            }
            _ => {
                self.cores[core].channels[place(space, name)].fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Has nobody subscribed to any channel or pattern?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.total.load(Ordering::Acquire) == 0
    }

    /// The cores, but for `me`, that may have a subscriber of a channel.
    pub fn others(&self, me: usize, space: Space, channel: &[u8]) -> impl Iterator<Item = usize> {
        let place = if self.cores.len() > 1 { place(space, channel) } else { 0 };
        let may_have = move |(core, known): &(usize, &OfCore)| {
            *core != me
                && (known.channels[place].load(Ordering::Acquire) > 0
                    || (space == Space::Channel && known.patterns.load(Ordering::Acquire) > 0))
        };
        self.cores.iter().enumerate().filter(may_have).map(|(core, _)| core)
    }
}

fn place(space: Space, name: &[u8]) -> usize {
    hash(space, name) as usize % PLACES
}

/// The same on every core. Whoever finds names with the same hash makes cores be asked in vain, no more.
pub fn hash(space: Space, name: &[u8]) -> u64 {
    let mut hasher = ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher();
    hasher.write_u8(space as u8);
    hasher.write(name);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(presence: &Presence, space: Space, channel: &str) -> Vec<usize> {
        presence.others(0, space, channel.as_bytes()).collect()
    }

    #[test]
    fn only_cores_that_may_have_a_subscriber_are_named() {
        let presence = Presence::new(4);
        presence.begin(0, Space::Channel, b"news");
        presence.begin(2, Space::Channel, b"news");
        assert_eq!(others(&presence, Space::Channel, "news"), [2], "not the one that asks");
        assert!(others(&presence, Space::Channel, "other").is_empty());
        assert!(others(&presence, Space::Shard, "news").is_empty());
        presence.begin(3, Space::Pattern, b"n*");
        assert_eq!(others(&presence, Space::Channel, "news"), [2, 3]);
        assert_eq!(others(&presence, Space::Channel, "other"), [3], "patterns may match anything");
        assert!(others(&presence, Space::Shard, "other").is_empty(), "but no shard channel");
        presence.end(2, Space::Channel, b"news");
        presence.end(3, Space::Pattern, b"n*");
        assert!(others(&presence, Space::Channel, "news").is_empty());
    }

    #[test]
    fn it_is_empty_when_all_have_left() {
        let presence = Presence::new(2);
        assert!(presence.is_empty());
        presence.begin(1, Space::Shard, b"s");
        assert!(presence.is_empty(), "nothing that is published for shards alone counts");
        presence.begin(1, Space::Channel, b"a");
        presence.begin(0, Space::Pattern, b"a");
        presence.end(1, Space::Channel, b"a");
        assert!(!presence.is_empty());
        presence.end(0, Space::Pattern, b"a");
        assert!(presence.is_empty());
    }
}
