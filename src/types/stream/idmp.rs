//! Idempotent production: which messages of a producer were added already, so that one sent twice is added once.
//!
//! Every producer names its messages; a name is remembered for some time, and only the latest so many of a producer.

use std::collections::{BTreeMap, VecDeque};

use super::id::StreamId;

/// How long a name is remembered, in seconds, unless XCFGSET says otherwise.
pub const DURATION_SECONDS: u32 = 100;
/// How many names of a producer are remembered, unless XCFGSET says otherwise.
pub const MAX_SIZE: u32 = 100;

const PRODUCER_BYTES: usize = 160;
/// A name in its tree and in its queue, without its own bytes.
const NAME_BYTES: usize = 112;

#[derive(Clone, Default, Debug)]
struct Producer {
    ids: BTreeMap<Box<[u8]>, StreamId>,
    /// The names in the order in which they came, and when.
    order: VecDeque<(u64, Box<[u8]>)>,
}

/// What a stream remembers of its producers.
#[derive(Clone, Debug)]
pub struct Idmp {
    pub duration_seconds: u32,
    pub max_size: u32,
    /// How many messages were ever added by name.
    pub added: u64,
    /// How many were not, because they were there.
    pub duplicates: u64,
    producers: BTreeMap<Box<[u8]>, Producer>,
    names: usize,
    bytes: usize,
}

impl Default for Idmp {
    fn default() -> Idmp {
        Idmp {
            duration_seconds: DURATION_SECONDS,
            max_size: MAX_SIZE,
            added: 0,
            duplicates: 0,
            producers: BTreeMap::new(),
            names: 0,
            bytes: 0,
        }
    }
}

impl Idmp {
    pub fn heap_bytes(&self) -> usize {
        size_of::<Idmp>() + self.bytes
    }

    /// How many producers have names that are remembered.
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// How many names are remembered.
    pub fn name_count(&self) -> usize {
        self.names
    }

    /// Forgets all names.
    pub fn clear(&mut self) {
        self.producers.clear();
        (self.names, self.bytes) = (0, 0);
    }

    /// The entry that a producer has added under this name.
    pub fn find(&mut self, producer: &[u8], name: &[u8], now_ms: u64) -> Option<StreamId> {
        self.forget_old(producer, now_ms);
        let found = self.producers.get(producer)?.ids.get(name).copied();
        self.duplicates += u64::from(found.is_some());
        found
    }

    /// Remembers the name of an entry that was added.
    pub fn record(&mut self, producer: &[u8], name: &[u8], id: StreamId, now_ms: u64) {
        self.added += 1;
        if !self.producers.contains_key(producer) {
            self.producers.insert(producer.into(), Producer::default());
            self.bytes += PRODUCER_BYTES + producer.len();
        }
        let names = self.producers.get_mut(producer).expect("it is there now");
        names.ids.insert(name.into(), id);
        names.order.push_back((now_ms, name.into()));
        self.names += 1;
        self.bytes += NAME_BYTES + 2 * name.len();
        while self.producers[producer].order.len() > self.max_size as usize {
            self.forget_oldest(producer);
        }
    }

    fn forget_old(&mut self, producer: &[u8], now_ms: u64) {
        let lifetime_ms = u64::from(self.duration_seconds) * 1000;
        while let Some((at_ms, _)) = self.producers.get(producer).and_then(|names| names.order.front())
            && at_ms.saturating_add(lifetime_ms) <= now_ms
        {
            self.forget_oldest(producer);
        }
    }

    fn forget_oldest(&mut self, producer: &[u8]) {
        let Some(names) = self.producers.get_mut(producer) else { return };
        let Some((_, name)) = names.order.pop_front() else { return };
        names.ids.remove(&name);
        self.names -= 1;
        self.bytes -= NAME_BYTES + 2 * name.len();
        if names.order.is_empty() {
            self.producers.remove(producer);
            self.bytes -= PRODUCER_BYTES + producer.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_remembered_for_their_time_and_up_to_their_number() {
        let mut idmp = Idmp { max_size: 2, duration_seconds: 1, ..Idmp::default() };
        let id = |n| StreamId::new(n, 0);
        for n in 1..=3 {
            assert_eq!(idmp.find(b"p", &[n], 1000), None);
            idmp.record(b"p", &[n], id(n.into()), 1000 + u64::from(n));
        }
        idmp.record(b"q", &[1], id(9), 1000);
        assert_eq!(idmp.find(b"p", &[1], 1500), None);
        assert_eq!(idmp.find(b"p", &[3], 1500), Some(id(3)));
        assert_eq!(idmp.find(b"q", &[1], 1500), Some(id(9)));
        assert_eq!((idmp.producer_count(), idmp.name_count()), (2, 3));
        assert_eq!(idmp.find(b"p", &[2], 2002), None);
        assert_eq!(idmp.find(b"p", &[3], 2002), Some(id(3)));
        assert_eq!(idmp.find(b"p", &[3], 2003), None);
        assert_eq!(idmp.find(b"q", &[1], 2003), None);
        assert_eq!((idmp.producer_count(), idmp.name_count(), idmp.bytes), (0, 0, 0));
        assert_eq!((idmp.added, idmp.duplicates), (4, 3));
    }
}
