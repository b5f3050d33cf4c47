//! Seeing what a core does: statistics, slow log, latencies, and the texts that show them.

pub mod info;
pub mod latencies;
pub mod latency;
pub mod memory;
pub mod metrics;
pub mod rates;
pub mod report;
pub mod slowlog;
pub mod stats;
pub mod words;

pub use report::{CoreReport, Facts};
pub use stats::{CommandStats, CoreObserve};
pub use words::Words;
