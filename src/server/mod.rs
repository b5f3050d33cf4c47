//! Assembles the server: registry, cores, start and stop.

pub mod commands;
mod metrics;
pub mod registry;
pub mod start;

pub use start::main;
