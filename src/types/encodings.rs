//! The sizes at which collections change their encoding: `hash-max-listpack-entries` and its kin.

/// No string is longer: a key, a value, or an element of a collection. Lengths of some of them have 32 bits.
pub const STRING_BYTES_MAX: usize = u32::MAX as usize;

/// No listpack of a collection becomes longer, whatever the settings allow. Redis's number.
pub const PACKED_BYTES_MAX: usize = 1 << 30;

/// True when a listpack of a collection takes so many bytes more.
#[inline]
pub fn fits_packed(bytes: usize, more: usize) -> bool {
    bytes.saturating_add(more) < PACKED_BYTES_MAX
}

/// Up to which size a collection is kept in its small form. Entries and bytes of one element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encodings {
    pub hash_entries: usize,
    pub hash_value_bytes: usize,
    pub intset_entries: usize,
    pub set_entries: usize,
    pub set_value_bytes: usize,
    pub zset_entries: usize,
    pub zset_value_bytes: usize,
    /// `list-max-listpack-size`: positive, elements of a node; -1 to -5, 4 to 64 KB.
    pub list_node: i64,
    pub hll_sparse_bytes: usize,
    /// 0 sets no limit.
    pub stream_node_bytes: usize,
    pub stream_node_entries: usize,
}

impl Encodings {
    /// What the settings say unless told otherwise.
    pub const DEFAULT: Encodings = Encodings {
        hash_entries: 512,
        hash_value_bytes: 64,
        intset_entries: 512,
        set_entries: 128,
        set_value_bytes: 64,
        zset_entries: 128,
        zset_value_bytes: 64,
        list_node: -2,
        hll_sparse_bytes: 3000,
        stream_node_bytes: 4096,
        stream_node_entries: 100,
    };
}

impl Default for Encodings {
    fn default() -> Encodings {
        Encodings::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listpack_stays_far_below_what_its_lengths_can_say() {
        assert!(fits_packed(0, PACKED_BYTES_MAX - 1));
        assert!(!fits_packed(1, PACKED_BYTES_MAX - 1));
        assert!(!fits_packed(usize::MAX, usize::MAX));
    }
}
