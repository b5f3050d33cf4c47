//! Assembles the server: registry, cores, start and stop.

pub mod commands;
pub mod listeners;
pub mod log;
pub mod registry;
pub mod settings;
pub mod start;

pub use start::main;
