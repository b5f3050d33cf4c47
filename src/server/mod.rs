//! Assembles the server: registry, cores, start and stop.

mod banner;
pub mod commands;
mod cores;
pub mod listeners;
pub mod log;
mod offline;
pub mod registry;
pub mod settings;
pub mod start;
mod supervise;
mod tools;

pub use start::main;
