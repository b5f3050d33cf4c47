//! Seeing what a core does: statistics, slow log, latencies.

pub mod stats;

pub use stats::{CommandStats, CoreObserve};
