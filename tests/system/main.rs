//! Whole processes: how a server starts, what it leaves behind, and how it ends.

#[path = "../support/mod.rs"]
mod support;

mod aof;
mod aof_load;
mod crash;
mod disk;
mod faults;
mod functions;
mod manifest;
mod persistence;
mod reload;
mod start;
mod tools;
mod versions;
