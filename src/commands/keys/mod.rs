//! Keys: commands that work on keys of any type, and on whole databases.
//!
//! SORT and WAIT live elsewhere. [`rows`] is the table of contents; the handlers stand in the files of its order.

mod dump;
mod exist;
mod expire;
mod object;
mod options;
mod rename;
mod rows;
mod scan;
mod whole;

#[cfg(test)]
mod tests;

pub use exist::kind;
pub use object::encoding_of;
pub use rows::ROWS;
