//! The Redis serialisation protocol: requests in, replies out.
//!
//! Bytes in, bytes out. No sockets, no clock, no other room: everything here can be tested and
//! fuzzed with slices alone.
//!
//! - [`parser`]: the resumable request parser, multibulk and inline.
//! - [`request`]: a request's arguments, borrowed ([`Argv`]) or owned ([`Request`]).
//! - [`writer`]: replies of RESP2 and RESP3 ([`Reply`]) into an [`Output`].

pub mod inline;
pub mod parser;
pub mod request;
#[cfg(test)]
mod tests;
pub mod writer;

pub use parser::{Limits, Parser, ProtocolError, Step};
pub use request::{Argv, Request, Span};
pub use writer::{Deferred, Lines, Output, Protocol, Referred, Reply};
