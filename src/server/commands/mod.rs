//! Commands about the server itself.

mod help;
pub mod info;
pub mod latency;
pub mod memory;
pub mod monitor;
pub mod slowlog;
