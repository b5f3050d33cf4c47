//! Placement: key to slot to shard.
//!
//! `slot = CRC16(hash tag or key) mod 16384`, as Redis Cluster defines it; a shard owns a contiguous run of slots.

use crc::{CRC_16_XMODEM, Crc, Table};

use crate::types::{ShardId, Slot};

/// Slots of the whole keyspace.
pub const SLOT_COUNT: usize = 16384;

static CRC16: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&CRC_16_XMODEM);

/// The part of a key that decides its slot: what stands between the first `{` and the next `}`, if that is not empty.
pub fn hash_tag(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else { return key };
    match memchr::memchr(b'}', &key[open + 1..]) {
        Some(0) | None => key,
        Some(length) => &key[open + 1..open + 1 + length],
    }
}

/// The slot of a key.
pub fn slot_of(key: &[u8]) -> Slot {
    Slot(CRC16.checksum(hash_tag(key)) & (SLOT_COUNT as u16 - 1))
}

/// Which shard owns what, for a fixed number of shards.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    shards: usize,
}

impl Placement {
    /// Placement over `shards` shards, 1 to 16384.
    pub fn new(shards: usize) -> Placement {
        assert!((1..=SLOT_COUNT).contains(&shards), "every shard owns at least one slot");
        Placement { shards }
    }

    pub fn shards(self) -> usize {
        self.shards
    }

    /// The owner of a slot.
    pub fn owner_of_slot(self, slot: Slot) -> ShardId {
        ShardId((usize::from(slot.0) * self.shards / SLOT_COUNT) as u16)
    }

    /// The owner of a key. Free when there is one shard.
    #[inline]
    pub fn owner_of(self, key: &[u8]) -> ShardId {
        if self.shards == 1 { ShardId(0) } else { self.owner_of_slot(slot_of(key)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        assert_eq!(slot_of(b"123456789").0, 0x31c3 & 16383);
        assert_eq!(slot_of(b"foo").0, 12182);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), Slot(CRC16.checksum(b"foo{}{bar}") % 16384));
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
    }

    #[test]
    fn every_shard_owns_slots_and_they_are_even() {
        for shards in [1, 2, 3, 7, 64] {
            let placement = Placement::new(shards);
            let mut owned = vec![0usize; shards];
            for slot in 0..SLOT_COUNT {
                owned[placement.owner_of_slot(Slot(slot as u16)).index()] += 1;
            }
            let (min, max) = (owned.iter().min().unwrap(), owned.iter().max().unwrap());
            assert!(max - min <= 1, "{shards} shards: {min}..{max}");
        }
    }
}
