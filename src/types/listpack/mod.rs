//! Listpacks: many short strings in one run of bytes, the packed form of small lists, sets, hashes and sorted sets
//! and of the nodes of big lists and streams.
//!
//! The format is Redis's, without the header of six bytes and the end mark: what is kept is the *body*, the entries
//! alone. An entry is
//!
//! ```text
//!   ┌──────────────┬─────────┬─────────┐   0xxxxxxx                      0..=127
//!   │ encoding     │ content │ backlen │   110xxxxx xxxxxxxx              13-bit integer
//!   │ 1..=5 bytes  │         │ 1..=5   │   f1 | f2 | f3 | f4 + LE bytes   16, 24, 32, 64-bit integer
//!   └──────────────┴─────────┴─────────┘   10xxxxxx  1110xxxx xxxxxxxx    strings up to 63 and 4095 bytes
//!                                          f0 + u32 LE                    longer strings
//! ```
//!
//! `backlen` is the size of encoding and content in groups of seven bits, readable from its end, so that a body can
//! be walked in both directions.
//!
//! INVARIANT: bodies are canonical. A string that is the text of an `i64` is held as an integer in its shortest
//! encoding, and so is every length; two entries are equal exactly when their bytes are. [`Listpack::from_redis`] is the
//! only way in for foreign bytes: it checks everything and writes anew what is not canonical. Bytes that a
//! [`ListpackRef`] is made of are ours and are trusted.

mod entry;
mod foreign;
mod owned;
#[cfg(test)]
mod tests;
mod view;

pub use entry::{Element, Encoded, write_text};
pub use owned::Listpack;
pub use view::{Iter, IterRev, ListpackRef};
