//! A shard: one core's part of the keyspace. Awaits nothing, does no I/O, reads no clock, draws no randomness of its
//! own: time and the seed come from outside, so a simulator can step any number of shards on one thread.

pub mod access;
pub mod aging;
pub mod background;
pub mod collection;
pub mod db;
pub mod effects;
pub mod evict;
pub mod expire;
pub mod field_expiry;
pub mod graveyard;
pub mod keyspace;
pub mod log;
pub mod memory;
pub mod notices;
pub mod pins;
#[allow(clippy::module_inception)]
pub mod shard;
pub mod slots;
pub mod snapshot;
pub mod stats;
pub mod subkeys;
pub mod tracking;
pub mod waits;
pub mod watch;
pub mod whole;

#[cfg(test)]
mod policy_tests;

pub use collection::{Changed, Note, WrongKind};
pub use db::Db;
pub use effects::{Effect, Effects, Event};
pub use keyspace::{Edit, EntryView, Keyspace, Moved, NewValue, ValueView};
pub use shard::{EvictionPolicy, Settings, Shard};
pub use slots::Placement;
pub use subkeys::Subkeys;
