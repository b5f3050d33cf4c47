//! What a value is: encodings and numbers. Knows nothing of commands, clients or files.

pub mod glob;
pub mod ids;
pub mod listpack;
pub mod number;
pub mod raw;
pub mod value;

pub use ids::{ClientId, DbIndex, ShardId, Slot};
pub use listpack::{Element, Listpack, ListpackRef};
pub use value::{Kind, Value};
