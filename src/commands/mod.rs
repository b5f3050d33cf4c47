//! Commands: what a client can ask for, declared as rows and implemented as plain functions over a shard.
//!
//! Commands of a type live here; commands of a subsystem (CLIENT, INFO, CONFIG) live beside it. All are rows of
//! one kind ([`spec::Row`]). Nothing here awaits, does I/O, reads a clock or draws randomness: time and randomness
//! come in the [`context::Ctx`].

pub mod args;
pub mod bitmaps;
pub mod block;
pub mod collection;
pub mod context;
pub mod cursor;
pub mod draw;
pub mod error;
pub mod geo;
pub mod hashes;
pub mod hll;
pub mod introspect;
pub mod keys;
pub mod keys_of;
pub mod lists;
pub mod part;
pub mod pop_first;
pub mod rebuild;
pub mod runs;
pub mod sets;
pub mod sliced;
pub mod sort;
pub mod spec;
pub mod streams;
pub mod strings;
pub mod table;
#[cfg(test)]
pub mod testing;
pub mod zsets;

pub use args::Args;
pub use block::Block;
pub use context::Ctx;
pub use error::{CommandError, quoted};
pub use part::Part;
pub use spec::{Outcome, Row};
pub use table::{CommandTable, Entry, RowId};

/// The commands of data: every family that lives here.
pub const FAMILIES: &[&[Row]] = &[
    strings::ROWS,
    hashes::ROWS,
    bitmaps::ROWS,
    streams::ROWS,
    hll::ROWS,
    keys::ROWS,
    zsets::ROWS,
    geo::ROWS,
    sets::ROWS,
    sort::ROWS,
    lists::ROWS,
];
