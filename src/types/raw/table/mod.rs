//! The keyspace table of one shard and one database: key bytes to small values, in very few bytes.
//!
//! ```text
//!  directory            segment (depth 2)           bucket, one cache line
//!  00.. ──────────────▶ buckets ──▶ [0][1]..[n-1]   19 fingerprints | spill | 19 offsets | behind
//!  01.. ──┐             chunks  ──▶ 4 KB, 4 KB, ..     │                        │
//!  10.. ──┼─▶ (depth 1) bounds  ──▶ u32 per bucket     └ hash & 0xff            └▶ entry in a chunk
//!  11.. ──┘             next    ──▶ overflow member
//! ```
//!
//! * **Directory**: extendible hashing (Fagin, Nievergelt, Pippenger, Strong; TODS 1979). The top
//!   bits of the hash choose a segment. One segment splits at a time, so growth never stalls.
//! * **Segment**: 1 to [`MAX_BUCKETS`](segment::MAX_BUCKETS) buckets, grown in steps,
//!   so the index stays about four fifths full at every size of the table, and an arena of
//!   up to sixteen 4 KB chunks in which the entries live, addressed by 16-bit offsets.
//! * **Home order is hash order**: a key's home bucket grows with its hash. A position in hash
//!   space is therefore a scan cursor that stays good through every split, merge and resize.
//! * **Deadlines** cost one `u32` per bucket: a lower bound of the bucket's earliest one. A heap
//!   over segments finds the next bucket to look at.
//!
//! | file | what it does |
//! |---|---|
//! | `table` | the table itself: look-ups, storing and removing by key |
//! | `value`, `usage` | what goes in and comes out; what it all takes |
//! | `segment`, `bucket`, `arena`, `entry` | the parts: an index and its chunks; a line of it; room for entries; an entry's bytes |
//! | `store`, `edit`, `expire` | changing an entry that exists: its value, step by step, its deadline |
//! | `restructure` | segments split, are compacted, merge |
//! | `bounds`, `deadline` | lower bounds of deadlines; finding what is due |
//! | `scan`, `probe`, `save`, `doomed` | cursors and samples; look-ups in pieces; walks of a snapshot; dropping in slices |
//! | `verify` | every invariant, checked |
//!
//! The table reads no clock and draws no randomness: hash, time and random numbers are arguments.

#[allow(clippy::module_inception)]
mod table;

mod arena;
mod bounds;
mod bucket;
mod deadline;
mod doomed;
mod edit;
mod entry;
mod expire;
mod hasher;
mod probe;
mod restructure;
mod save;
mod scan;
mod segment;
mod store;
mod usage;
mod value;
mod verify;

#[cfg(test)]
mod tests;

pub use deadline::Popped;
pub use doomed::Doomed;
pub use edit::EntryMut;
pub use entry::{EntryRef, VALUE_INLINE_MAX, ValueRef};
pub use hasher::Hasher;
pub use probe::{Probe, Probed};
pub use scan::Iter;
pub use table::Table;
pub use usage::Usage;
pub use value::{Access, Removed, Replaced, Taken, TakenValue, Ttl, Value};
