//! Counters of one core.

use std::collections::BTreeMap;

use crate::commands::CommandError;
use crate::config::{Config, id};
use crate::sys::clock;

/// What is counted per command.
#[derive(Clone, Debug, Default)]
pub struct CommandStats {
    pub calls: u64,
    pub cycles: u64,
    pub failed: u64,
    pub rejected: u64,
}

impl CommandStats {
    /// Counts a call.
    #[inline]
    pub fn record(&mut self, cycles: u64, ok: bool) {
        self.calls += 1;
        self.cycles += cycles;
        self.failed += u64::from(!ok);
    }
}

/// What a core counts besides.
#[derive(Default)]
pub struct CoreObserve {
    pub net_in: u64,
    pub net_out: u64,
    pub protocol_errors: u64,
    pub query_limit_disconnections: u64,
    pub output_limit_disconnections: u64,
    /// Errors by their code.
    pub errors: BTreeMap<String, u64>,
    /// A command that took longer goes to the slow log.
    pub slow_cycles: u64,
}

impl CoreObserve {
    /// Takes over the configuration.
    pub fn apply(&mut self, config: &Config) {
        let micros = config.integer(id::SLOWLOG_LOG_SLOWER_THAN);
        self.slow_cycles = match u64::try_from(micros) {
            // Nanoseconds per 2^20 cycles, so that the division happens once.
            Ok(micros) => (micros as f64 * 1000.0 * (1u64 << 20) as f64 / clock::cycles_to_ns(1 << 20).max(1) as f64) as u64,
            Err(_) => u64::MAX,
        };
    }

    /// CONFIG RESETSTAT: the counters start anew.
    pub fn reset(&mut self) {
        let slow_cycles = self.slow_cycles;
        *self = CoreObserve { slow_cycles, ..CoreObserve::default() };
    }

    /// Counts an error reply.
    pub fn count_error(&mut self, error: &CommandError) {
        let line = error.to_string();
        *self.errors.entry(CommandError::code(&line).to_owned()).or_insert(0) += 1;
    }
}
