//! What a value is: encodings and numbers. Knows nothing of commands, clients or files.

pub mod bitfield;
pub mod collection;
pub mod draw;
pub mod encodings;
pub mod geohash;
pub mod glob;
pub mod hash;
pub mod hll;
pub mod ids;
pub mod intset;
pub mod list;
pub mod listpack;
pub mod number;
pub mod packed;
pub mod raw;
pub mod set;
pub mod stream;
pub mod value;
pub mod zset;

pub use collection::Collection;
pub use encodings::{Encodings, STRING_BYTES_MAX};
pub use hash::Hash;
pub use ids::{ClientId, DbIndex, ShardId, Slot};
pub use list::List;
pub use listpack::{Element, Listpack, ListpackRef};
pub use packed::Packed;
pub use set::Set;
pub use stream::Stream;
pub use value::{Kind, Value};
pub use zset::ZSet;
