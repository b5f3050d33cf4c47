//! A real server over TCP: what clients see of each family of commands.
//!
//! One module per family. A case is a function that [`support::each_setup`] runs for RESP2 and RESP3
//! with one shard and with three, or that [`support::each_placement`] runs with its keys on one shard
//! and apart. The cases of the binary share two servers, one after the other, each from an empty
//! keyspace.

#[path = "../support/mod.rs"]
mod support;

mod bitmaps;
mod busy;
mod client;
mod command;
mod config;
mod connection;
mod corrupt;
mod dump;
mod expire;
mod geo;
mod hashes;
mod hll;
mod info;
mod latency;
mod lists;
mod memory;
mod metrics;
mod monitor;
mod multi;
mod notifications;
mod pipelines;
mod protocol;
mod pubsub;
mod scan;
mod scripts;
mod server;
mod sets;
mod slices;
mod slices_more;
mod slowlog;
mod sort;
mod streams;
mod strings;
mod tracking;
mod transactions;
mod types;
mod zsets;
