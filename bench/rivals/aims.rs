//! What the project set out to reach, shown beside what was measured.
//!
//! Ratios refer to Redis 7.0.15 in the same run. They are the io_uring engine's; with
//! `--server 'coreshard-epoll=...'` read them with the epoll column of bench/README.md in mind.

use std::fmt;

use crate::report::{self, Metric};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aim {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    AtMost(f64),
    AtLeast(f64),
}

impl fmt::Display for Aim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aim::RatioAtMost(ratio) => write!(out, "ratio <= {ratio}"),
            Aim::RatioAtLeast(ratio) => write!(out, "ratio >= {ratio}"),
            Aim::AtMost(value) => write!(out, "<= {value}"),
            Aim::AtLeast(value) => write!(out, ">= {value}"),
        }
    }
}

/// The aim of a row of a table, found by what its label says.
pub fn of(scenario: &str, cell: &str, metric: Metric) -> Option<Aim> {
    let says = |word: &str| cell.contains(word);
    match scenario {
        "cpu" if metric == report::CPU_PER_OP => Some(Aim::RatioAtMost(match () {
            () if says("P=64") => 0.42,
            () if says("P=16") => 0.68,
            () => 0.95,
        })),
        "multi" if metric == report::CPU_PER_OP => Some(Aim::RatioAtMost(0.7)),
        "cpu" | "multi" if metric == report::THROUGHPUT => Some(Aim::RatioAtLeast(1.0)),
        "cores" if metric == report::THROUGHPUT || metric == report::EFFICIENCY => {
            Some(Aim::RatioAtLeast(if says("P=16") { 1.5 } else { 1.2 }))
        }
        "types" if metric == report::CPU_PER_OP && says("EVALSHA") => Some(Aim::RatioAtMost(0.8)),
        "publish" if metric == report::CPU_PER_DELIVERY => Some(Aim::RatioAtMost(0.7)),
        "types" if metric == report::CPU_PER_OP => {
            Some(Aim::RatioAtMost(if says("P=16") { 0.7 } else { 0.9 }))
        }
        "types" if metric == report::THROUGHPUT => Some(Aim::RatioAtLeast(1.0)),
        "type-memory" if metric == report::BYTES_PER_ELEMENT => {
            Some(Aim::RatioAtMost(if says("stream") { 0.8 } else { 0.6 }))
        }
        "type-memory" if metric == report::ABOVE_OWN => Some(Aim::AtMost(match () {
            () if says("sorted set") => 45.0,
            () if says("list") => 4.0,
            () => 24.0,
        })),
        "type-stall" if metric == report::SERVER_WORST => Some(Aim::AtMost(2.0)),
        "type-stall" if metric == report::ACROSS => Some(Aim::AtMost(1.3)),
        "equal" if metric == report::P99 || metric == report::P999 => Some(Aim::RatioAtMost(1.0)),
        "memory" if metric == report::BYTES_PER_KEY && says("TTL") => None,
        "memory" if metric == report::BYTES_PER_KEY => {
            Some(Aim::AtMost(if says("64-byte value") { 102.0 } else { 44.0 }))
        }
        "memory" if metric == report::TTL_BYTES => Some(Aim::AtMost(8.0)),
        "memory" if metric == report::CHURN => Some(Aim::AtMost(1.15)),
        "stall" if metric == report::SERVER_WORST && says("growth") => Some(Aim::AtMost(2.0)),
        "stall" if metric == report::SERVER_WORST => Some(Aim::AtMost(3.0)),
        "expiry" if metric == report::LAG_P99 => Some(Aim::AtMost(10.0)),
        "log" if metric == report::THROUGHPUT && says("always") => Some(Aim::RatioAtLeast(3.0)),
        "log" if metric == report::OF_NO_SYNC => Some(Aim::AtLeast(0.9)),
        "snapshot" if metric == report::SERVER_WORST => Some(Aim::AtMost(2.0)),
        "snapshot" if metric == report::EXTRA_MEMORY => Some(Aim::AtMost(5.0)),
        "snapshot" if metric == report::OF_BEFORE => Some(Aim::AtLeast(0.9)),
        "snapshot" if metric == report::OF_PLAIN_WRITE => Some(Aim::AtMost(1.3)),
        "loading" if metric == report::LOAD_TIME => Some(Aim::RatioAtMost(0.67)),
        "startup" if metric == report::STARTUP => Some(Aim::AtMost(100.0)),
        "startup" if metric == report::IDLE_CPU => Some(Aim::AtMost(1.0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_follow_the_label_of_the_row() {
        let cpu = |cell| of("cpu", cell, report::CPU_PER_OP);
        assert_eq!(cpu("GET, 50 connections, P=1"), Some(Aim::RatioAtMost(0.95)));
        assert_eq!(cpu("SET, 50 connections, P=16, saturated"), Some(Aim::RatioAtMost(0.68)));
        assert_eq!(cpu("SET, 50 connections, P=64"), Some(Aim::RatioAtMost(0.42)));
        assert_eq!(of("cpu", "GET", report::P50), None);
    }

    #[test]
    fn aims_of_the_types() {
        let cpu = |cell| of("types", cell, report::CPU_PER_OP);
        assert_eq!(cpu("ZRANK, 50 connections, P=1"), Some(Aim::RatioAtMost(0.9)));
        assert_eq!(cpu("ZRANK, 50 connections, P=16"), Some(Aim::RatioAtMost(0.7)));
        let above = |cell| of("type-memory", cell, report::ABOVE_OWN);
        let cells = [
            "sorted set of 1000 16-byte members",
            "set of 1000 16-byte members",
            "list of 1000 16-byte items",
        ];
        assert_eq!(cells.map(above), [45.0, 24.0, 4.0].map(|bytes| Some(Aim::AtMost(bytes))));
    }
}
