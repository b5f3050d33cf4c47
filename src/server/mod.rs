//! Assembles the server: registry, cores, start and stop.

pub mod commands;
pub mod registry;
pub mod start;

pub use start::main;
