//! Counters of one core. What happens per command is a few additions; everything else is computed when it is asked.

use std::collections::BTreeMap;

use super::latencies::Latencies;
use super::latency::Events;
use super::rates::Rates;
use super::slowlog::{Log, Shown};
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
    /// Made by the first call while `latency-tracking` is on.
    pub latencies: Option<Latencies>,
}

impl CommandStats {
    /// Counts a call.
    #[inline]
    pub fn record(&mut self, cycles: u64, ok: bool, tracking: bool) {
        self.calls += 1;
        self.record_end(cycles, ok, tracking);
    }

    /// Counts that a call begins to wait. Redis: that is a call, however it ends.
    pub fn record_wait(&mut self, cycles: u64) {
        self.calls += 1;
        self.cycles += cycles;
    }

    /// Counts the end of a call that has waited.
    #[inline]
    pub fn record_end(&mut self, cycles: u64, ok: bool, tracking: bool) {
        self.cycles += cycles;
        self.failed += u64::from(!ok);
        if tracking {
            self.record_latency(clock::cycles_to_ns(cycles));
        }
    }

    #[inline]
    fn record_latency(&mut self, ns: u64) {
        match &mut self.latencies {
            Some(latencies) => latencies.record(ns),
            None => self.begin_latencies(ns),
        }
    }

    #[cold]
    fn begin_latencies(&mut self, ns: u64) {
        self.latencies.get_or_insert_default().record(ns);
    }
}

/// Most error codes that are told apart; a script could make up any number.
const ERROR_CODES_MAX: usize = 128;
/// A longer code is none.
const CODE_BYTES_MAX: usize = 31;
/// What is counted instead once there are too many.
const ERRORS_DISABLED: &str = "ERRORSTATS_DISABLED";

/// Error replies by their code.
#[derive(Default)]
pub struct Errors {
    pub by_code: BTreeMap<Box<str>, u64>,
    /// All of them, those whose codes are no longer counted included.
    pub total: u64,
    /// There were too many codes: nothing is counted by code until a reset.
    disabled: bool,
}

impl Errors {
    /// Counts an error line, with or without its `-`.
    #[cold]
    pub fn count(&mut self, line: &[u8]) {
        self.total += 1;
        if self.disabled {
            return;
        }
        let line = line.strip_prefix(b"-").unwrap_or(line);
        // Redis: what has no space soon has no code.
        let end = line.iter().take(CODE_BYTES_MAX).position(|byte| *byte == b' ');
        let code = end.map_or("ERR".into(), |end| String::from_utf8_lossy(&line[..end]));
        if let Some(count) = self.by_code.get_mut(&*code) {
            *count += 1;
        } else if self.by_code.len() < ERROR_CODES_MAX {
            self.by_code.insert(code.into(), 1);
        } else {
            self.by_code.clear();
            self.by_code.insert(ERRORS_DISABLED.into(), 1);
            self.disabled = true;
        }
    }
}

/// What a core counts besides.
#[derive(Default)]
pub struct CoreObserve {
    pub net_in: u64,
    pub net_out: u64,
    pub reads: u64,
    pub writes: u64,
    pub protocol_errors: u64,
    pub query_limit_disconnections: u64,
    pub output_limit_disconnections: u64,
    pub errors: Errors,
    /// `latency-tracking`: keep histograms.
    pub tracking: bool,
    /// A command that took at least as long, sent or was answered at least as many bytes, is looked at by `note`.
    pub note_cycles: u64,
    pub note_request_bytes: usize,
    pub note_reply_bytes: usize,
    /// How much of a command the logs show.
    pub shown: Shown,
    /// The three logs of COMMANDLOG; the first is SLOWLOG's.
    pub slow: Log,
    pub large_requests: Log,
    pub large_replies: Log,
    pub latency: Events,
    pub rates: Rates,
    /// Clients of the metrics port.
    pub http_clients: usize,
}

impl CoreObserve {
    /// Takes over the configuration.
    pub fn apply(&mut self, config: &Config) {
        self.tracking = config.flag(id::LATENCY_TRACKING);
        self.slow.apply(config.integer(id::SLOWLOG_LOG_SLOWER_THAN), config.integer(id::SLOWLOG_MAX_LEN));
        self.large_requests.apply(
            config.integer(id::COMMANDLOG_REQUEST_LARGER_THAN),
            config.integer(id::COMMANDLOG_LARGE_REQUEST_MAX_LEN),
        );
        self.large_replies.apply(
            config.integer(id::COMMANDLOG_REPLY_LARGER_THAN),
            config.integer(id::COMMANDLOG_LARGE_REPLY_MAX_LEN),
        );
        self.shown = Shown {
            args: config.integer(id::SLOWLOG_ENTRY_MAX_ARGC) as usize,
            arg_bytes: config.integer(id::SLOWLOG_ENTRY_MAX_STRING_LEN) as usize,
        };
        self.latency.threshold_ms = config.integer(id::LATENCY_MONITOR_THRESHOLD) as u64;
        let event_us = match self.latency.threshold_ms {
            0 => u64::MAX,
            ms => ms.saturating_mul(1000),
        };
        let us = self.slow.threshold().min(event_us);
        self.note_cycles = if us == u64::MAX { u64::MAX } else { cycles_of(us) };
        self.note_request_bytes = usize::try_from(self.large_requests.threshold()).unwrap_or(usize::MAX);
        self.note_reply_bytes = usize::try_from(self.large_replies.threshold()).unwrap_or(usize::MAX);
    }

    /// Counts the error that a command which needs memory, or another, was answered. True when it did not run at all
    /// but was refused for want of memory: Redis counts that as a rejection and not as a call.
    #[cold]
    pub fn count_failure(&mut self, line: &[u8]) -> bool {
        self.errors.count(&line[..line.len().min(128)]);
        line.starts_with(b"-OOM command not allowed")
    }

    /// Counts an error reply.
    #[cold]
    pub fn count_error(&mut self, error: &CommandError) {
        self.errors.count(&error.line());
    }

    /// CONFIG RESETSTAT. Logs and latency events have their own resets.
    pub fn reset(&mut self) {
        self.net_in = 0;
        self.net_out = 0;
        self.reads = 0;
        self.writes = 0;
        self.protocol_errors = 0;
        self.query_limit_disconnections = 0;
        self.output_limit_disconnections = 0;
        self.errors = Errors::default();
        self.rates = Rates::default();
    }
}

/// Cycles that `us` microseconds take, rounded down.
fn cycles_of(us: u64) -> u64 {
    const SPAN: u64 = 1 << 20;
    let ns_per_span = clock::cycles_to_ns(SPAN).max(1);
    let cycles = u128::from(us) * 1000 * u128::from(SPAN) / u128::from(ns_per_span);
    u64::try_from(cycles).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_code_until_there_are_too_many() {
        let mut errors = Errors::default();
        errors.count(b"-WRONGTYPE Operation\r\n");
        errors.count(b"ERR one");
        errors.count(b"ERR");
        errors.count(b"-no\r\n");
        errors.count(b"-an_error_that_has_no_code_at_its_beginning is none\r\n");
        assert_eq!(errors.by_code["ERR"], 4);
        assert_eq!(errors.by_code["WRONGTYPE"], 1);
        for n in 0..126 {
            errors.count(format!("CODE{n} x").as_bytes());
        }
        assert_eq!(errors.by_code.len(), 128);
        errors.count(b"ONE_MORE x");
        errors.count(b"ERR again");
        assert_eq!(errors.by_code.len(), 1);
        assert_eq!(errors.by_code[ERRORS_DISABLED], 1);
        assert_eq!(errors.total, 133);
    }

    #[test]
    fn a_call_is_counted_and_its_latency_kept() {
        let mut stats = CommandStats::default();
        stats.record(1000, true, false);
        assert!(stats.latencies.is_none());
        stats.record(1000, false, true);
        assert_eq!((stats.calls, stats.failed), (2, 1));
        assert_eq!(stats.latencies.map(|latencies| latencies.histogram().len()), Some(1));
    }
}
