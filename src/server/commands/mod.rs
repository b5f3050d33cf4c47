//! Commands about the server itself.

mod help;
pub mod info;
pub mod slowlog;
