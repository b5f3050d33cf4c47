#![doc = include_str!("ARCHITECTURE.md")]
#![deny(unsafe_code)]
// Heads name what is inside their modules: they are read with `cargo doc --document-private-items`, or in the source.
#![allow(rustdoc::private_intra_doc_links)]

/// The version of Redis that clients may take this server for (HELLO, INFO); many choose by it what they use.
pub const REDIS_VERSION: &str = "7.2.4";

pub mod commands;
pub mod config;
pub mod net;
pub mod observe;
pub mod persistence;
pub mod pubsub;
pub mod rdb;
pub mod resp;
pub mod runtime;
pub mod script;
pub mod server;
pub mod shard;
pub mod sys;
pub mod tx;
pub mod types;
