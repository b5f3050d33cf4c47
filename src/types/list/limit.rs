//! How much goes into a node.

use crate::types::Listpack;

/// Header and end mark of Redis's listpacks, which count as part of a node there.
const REDIS_FRAME_BYTES: usize = 7;
/// What Redis reckons an entry takes beside its text.
const ENTRY_OVERHEAD_BYTES: usize = 8;
/// Most bytes of a node whose limit is a number of elements.
const COUNTED_NODE_BYTES: usize = 8192;
/// Redis: a larger limit means this one.
const MAX_ENTRIES: i64 = 32767;

/// The limit of a node: `list-max-listpack-size`, read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NodeLimit {
    bytes: usize,
    entries: usize,
}

impl NodeLimit {
    /// A positive number limits elements; -1 to -5 mean 4, 8, 16, 32 and 64 KB.
    pub fn new(setting: i64) -> NodeLimit {
        if setting < 0 {
            NodeLimit { bytes: 4096 << (-1 - setting.max(-5)), entries: usize::MAX }
        } else {
            NodeLimit { bytes: COUNTED_NODE_BYTES, entries: setting.clamp(1, MAX_ENTRIES) as usize }
        }
    }

    /// True when the node takes one more element with a text of so many bytes.
    #[inline]
    pub(super) fn admits(&self, node: &Listpack, text_bytes: usize) -> bool {
        node.len() < self.entries
            && node.body().len() + REDIS_FRAME_BYTES + ENTRY_OVERHEAD_BYTES + text_bytes <= self.bytes
    }

    /// True when an element is to have a node of its own, outside of any listpack.
    #[inline]
    pub(super) fn is_large(&self, text_bytes: usize) -> bool {
        text_bytes + REDIS_FRAME_BYTES + ENTRY_OVERHEAD_BYTES > self.bytes
    }

    /// True when two nodes may become one.
    pub(super) fn admits_both(&self, a: &Listpack, b: &Listpack) -> bool {
        a.len() + b.len() <= self.entries && self.fits(a.body().len() + b.body().len())
    }

    /// True when a body of so many bytes is a node's.
    pub(super) fn fits(&self, body_bytes: usize) -> bool {
        body_bytes + REDIS_FRAME_BYTES <= self.bytes
    }
}
