//! Runs the unit tests of the benchmark's modules: a `[[bench]]` without a harness runs none itself.

#![allow(dead_code, reason = "each test needs a part of a module, the benchmark needs the rest")]

#[path = "rivals/aims.rs"]
mod aims;
#[path = "rivals/chart.rs"]
mod chart;
#[path = "rivals/cleanup.rs"]
mod cleanup;
#[path = "rivals/collections.rs"]
mod collections;
#[path = "rivals/cpu.rs"]
mod cpu;
#[path = "rivals/fill.rs"]
mod fill;
#[path = "rivals/redis_benchmark.rs"]
mod redis_benchmark;
#[path = "rivals/report.rs"]
mod report;
#[path = "rivals/server.rs"]
mod server;
#[path = "rivals/shape.rs"]
mod shape;
#[path = "rivals/stats.rs"]
mod stats;
#[path = "rivals/tape.rs"]
mod tape;
#[path = "rivals/typed.rs"]
mod typed;
#[path = "rivals/wire.rs"]
mod wire;
