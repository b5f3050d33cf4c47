//! Runs the official redis-benchmark and reads its CSV, so that our figures can be held against the
//! tool everybody uses.

use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cpu;
use crate::tape::Op;

/// A server that stops answering would otherwise hold the run for ever.
const RUN_TIMEOUT: Duration = Duration::from_secs(180);

pub struct Shape {
    pub port: u16,
    pub connections: usize,
    pub pipeline: usize,
    pub requests: u64,
    pub keys: u64,
    pub value_bytes: usize,
    pub cpus: Vec<usize>,
}

/// One line of its report.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub test: String,
    pub ops_per_second: f64,
    /// As the tool names them; 6.2 and later only.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// `None` for operations redis-benchmark has no test for.
fn test_of(op: Op) -> Option<&'static str> {
    match op {
        Op::Get => Some("get"),
        Op::Set => Some("set"),
        Op::MSet(10) => Some("mset"),
        _ => None,
    }
}

pub fn supports(op: Op) -> bool {
    test_of(op).is_some()
}

pub fn run(program: &str, shape: &Shape, op: Op) -> io::Result<Line> {
    let test = test_of(op).ok_or_else(|| io::Error::other("redis-benchmark has no such test"))?;
    let numbers = [
        ("-p", u64::from(shape.port)),
        ("-c", shape.connections as u64),
        ("-P", shape.pipeline as u64),
        ("-n", shape.requests),
        ("-r", shape.keys),
        ("-d", shape.value_bytes as u64),
    ];
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-t", test, "--csv"]);
    for (flag, number) in numbers {
        command.args([flag, &number.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let text = output_in_time(cpu::pinned(&shape.cpus, || command.spawn())?)?;
    parse_csv(&text)
        .into_iter()
        .next()
        .ok_or_else(|| io::Error::other(format!("redis-benchmark said: {}", text.trim())))
}

/// What the tool printed, which is a few lines and fits in the pipe.
fn output_in_time(mut child: Child) -> io::Result<String> {
    let started = Instant::now();
    while child.try_wait()?.is_none() {
        if started.elapsed() > RUN_TIMEOUT {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::other("redis-benchmark did not end"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    Ok(text)
}

/// Reads the quoted CSV: with a header line since 6.2, bare `"GET","123.4"` before.
pub fn parse_csv(text: &str) -> Vec<Line> {
    let mut columns: Vec<String> = ["test", "rps"].map(str::to_owned).to_vec();
    let mut lines = Vec::new();
    for row in text.lines().filter(|line| line.starts_with('"')) {
        let cells = split_quoted(row);
        if cells.first().is_some_and(|cell| cell == "test") {
            columns = cells;
            continue;
        }
        let number = |name: &str| -> Option<f64> {
            let at = columns.iter().position(|column| column == name)?;
            cells.get(at)?.parse().ok()
        };
        if let (Some(test), Some(ops_per_second)) = (cells.first(), number("rps")) {
            lines.push(Line {
                test: test.clone(),
                ops_per_second,
                p50_ms: number("p50_latency_ms"),
                p99_ms: number("p99_latency_ms"),
            });
        }
    }
    lines
}

/// Cells between quotes; a test's name may contain commas and, for MSET, parentheses.
fn split_quoted(row: &str) -> Vec<String> {
    row.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_with_a_header() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
                    \"MSET (10 keys)\",\"90909.09\",\"0.301\",\"0.104\",\"0.295\",\"0.415\",\"0.535\",\"1.007\"\n";
        let line = Line {
            test: "MSET (10 keys)".to_owned(),
            ops_per_second: 90_909.09,
            p50_ms: Some(0.295),
            p99_ms: Some(0.535),
        };
        assert_eq!(parse_csv(text), vec![line]);
    }

    #[test]
    fn csv_of_old_versions_and_noise() {
        let lines = parse_csv("Could not connect\n\"GET\",\"50000.00\"\n");
        assert_eq!(lines.len(), 1);
        assert_eq!((lines[0].ops_per_second, lines[0].p99_ms), (50_000.0, None));
        assert!(parse_csv("ERR unknown\n").is_empty());
    }
}
