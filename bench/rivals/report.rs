//! Keeps every figure, and writes what can be read: a Markdown report, charts, and the raw figures.
//!
//! Raw figures go to disk as they come, so an interrupted run still leaves them.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::aims;
use crate::chart;
use crate::stats;

/// How a metric is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Smaller is better; ratios are quoted, and drawn if `true`.
    Less { charted: bool },
    /// Larger is better.
    More { charted: bool },
    /// A circumstance of the run: no ratio makes sense.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    pub reading: Reading,
}

const fn less(name: &'static str, unit: &'static str, charted: bool) -> Metric {
    Metric { name, unit, reading: Reading::Less { charted } }
}

const fn more(name: &'static str, unit: &'static str, charted: bool) -> Metric {
    Metric { name, unit, reading: Reading::More { charted } }
}

const fn plain(name: &'static str, unit: &'static str) -> Metric {
    Metric { name, unit, reading: Reading::Plain }
}

pub const CPU_PER_OP: Metric = less("server CPU per operation", "us", true);
pub const CPU_PER_DELIVERY: Metric = less("server CPU per delivery", "us", true);
pub const SYSTEM_PER_OP: Metric = less("of it in the kernel", "us", false);
pub const THROUGHPUT: Metric = more("throughput", "ops/s", true);
pub const EFFICIENCY: Metric = more("throughput per CPU of server and load together", "ops/s", true);
pub const MEANWHILE: Metric = more("throughput meanwhile", "ops/s", false);
pub const P50: Metric = less("p50", "us", false);
pub const P99: Metric = less("p99", "us", true);
pub const P999: Metric = less("p99.9", "us", false);
pub const OTHERS: Metric = plain("others on the machine", "CPUs");
pub const SERVER_BUSY: Metric = plain("the server was busy", "CPUs");
pub const LOAD_PER_OP: Metric = plain("load CPU per operation", "us");
pub const HOP: Metric = less("cost of the hop to another core", "us of server CPU", false);
pub const BYTES_PER_KEY: Metric = less("memory per key", "bytes of RSS", true);
pub const TTL_BYTES: Metric = less("a TTL adds", "bytes of RSS per key", false);
pub const CHURN: Metric = less("RSS after deleting half and refilling", "times before", false);
pub const BYTES_PER_ELEMENT: Metric = less("memory per element", "bytes of RSS", true);
pub const ABOVE_OWN: Metric = less("memory per element above its own bytes", "bytes of RSS", true);
pub const ROUND_TRIP: Metric = less("round trip", "us", false);
pub const ACROSS: Metric = less("two shards take", "times one shard", false);
pub const SEEN_WORST: Metric = less("worst stall a client sees", "ms", false);
pub const SEEN_P999: Metric = less("p99.9 a client sees", "ms", false);
pub const SERVER_WORST: Metric = less("worst stall, server time", "ms", true);
pub const SERVER_P999: Metric = less("p99.9, server time", "ms", false);
pub const DURATION: Metric = less("the heavy work took", "s", false);
pub const LAG_P50: Metric = less("expiry lag p50", "ms", false);
pub const LAG_P99: Metric = less("expiry lag p99", "ms", false);
pub const LAG_WORST: Metric = less("expiry lag, worst", "ms", false);
pub const OVERDUE: Metric = less("overdue keys at a time, p99", "keys", false);
pub const STARTUP: Metric = less("start to first PONG", "ms", false);
pub const IDLE_CPU: Metric = less("idle CPU with 1,000 connections", "% of a CPU", false);
pub const OF_NO_SYNC: Metric = more("throughput", "times that with appendfsync no", false);
pub const OF_BEFORE: Metric = more("throughput", "times that without", false);
pub const EXTRA_MEMORY: Metric = less("memory on top", "% of RSS", true);
pub const OF_PLAIN_WRITE: Metric = less("it took", "times a plain write of as much", false);
pub const LOAD_TIME: Metric = less("start to first PONG with data", "s", true);
pub const SERVED: Metric = plain("served of the offered load", "share");

struct Figure {
    scenario: &'static str,
    cell: String,
    rival: String,
    round: usize,
    metric: Metric,
    value: f64,
}

pub struct Recorder {
    dir: PathBuf,
    csv: File,
    jsonl: File,
    figures: Vec<Figure>,
    notes: Vec<String>,
    baseline: String,
}

impl Recorder {
    pub fn create(dir: PathBuf, baseline: &str) -> io::Result<Recorder> {
        fs::create_dir_all(&dir)?;
        let mut csv = File::create(dir.join("figures.csv"))?;
        writeln!(csv, "scenario,cell,rival,round,metric,unit,value")?;
        Ok(Recorder {
            csv,
            jsonl: File::create(dir.join("figures.jsonl"))?,
            dir,
            figures: Vec::new(),
            notes: Vec::new(),
            baseline: baseline.to_owned(),
        })
    }

    pub fn record(
        &mut self,
        scenario: &'static str,
        cell: &str,
        rival: &str,
        round: usize,
        metric: Metric,
        value: f64,
    ) -> io::Result<()> {
        let Metric { name, unit, .. } = metric;
        writeln!(self.csv, "{scenario},\"{cell}\",{rival},{round},\"{name}\",\"{unit}\",{value}")?;
        writeln!(
            self.jsonl,
            "{{\"scenario\":{},\"cell\":{},\"rival\":{},\"round\":{round},\"metric\":{},\"unit\":{},\"value\":{}}}",
            json(scenario),
            json(cell),
            json(rival),
            json(name),
            json(unit),
            if value.is_finite() { value.to_string() } else { "null".to_owned() },
        )?;
        let (cell, rival) = (cell.to_owned(), rival.to_owned());
        self.figures.push(Figure { scenario, cell, rival, round, metric, value });
        Ok(())
    }

    /// Something a reader must know: a rival left out, a quota that could not be set.
    pub fn note(&mut self, text: String) {
        eprintln!("note: {text}");
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Writes report.md and the charts; returns the Markdown.
    pub fn finish(&self, preface: &str, commands: &[(&'static str, String)]) -> io::Result<String> {
        let mut text = preface.to_owned();
        for note in &self.notes {
            let _ = writeln!(text, "- Note: {note}");
        }
        for (scenario, command) in commands {
            let _ = writeln!(text, "\n## {scenario}\n\n`{command}`");
            for metric in unique(self.of(scenario).map(|figure| figure.metric)) {
                self.table(&mut text, scenario, metric);
                if let Reading::Less { charted: true } | Reading::More { charted: true } = metric.reading {
                    self.chart(&mut text, scenario, metric)?;
                }
            }
        }
        fs::write(self.dir.join("report.md"), &text)?;
        Ok(text)
    }

    fn of(&self, scenario: &str) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(move |figure| figure.scenario == scenario)
    }

    fn runs(&self, scenario: &str, cell: &str, metric: Metric, rival: &str) -> Vec<(usize, f64)> {
        self.of(scenario)
            .filter(|figure| figure.cell == cell && figure.metric == metric && figure.rival == rival)
            .map(|figure| (figure.round, figure.value))
            .collect()
    }

    fn cells(&self, scenario: &str, metric: Metric) -> Vec<String> {
        unique(self.of(scenario).filter(|figure| figure.metric == metric).map(|figure| figure.cell.clone()))
    }

    /// The baseline first, then the others in the order they ran.
    fn rivals(&self, scenario: &str, metric: Metric) -> Vec<String> {
        let figures = self.of(scenario).filter(|figure| figure.metric == metric);
        let mut rivals = unique(figures.map(|figure| figure.rival.clone()));
        rivals.sort_by_key(|rival| *rival != self.baseline);
        rivals
    }

    fn ratios(&self, scenario: &str, cell: &str, metric: Metric, rival: &str) -> Vec<f64> {
        let base = self.runs(scenario, cell, metric, &self.baseline);
        stats::pair_ratios(&self.runs(scenario, cell, metric, rival), &base)
    }

    fn table(&self, text: &mut String, scenario: &str, metric: Metric) {
        let rivals = self.rivals(scenario, metric);
        let _ = writeln!(text, "\n### {} ({})\n", capital(metric.name), metric.unit);
        let _ = writeln!(text, "| | {} | aim |", rivals.join(" | "));
        let _ = writeln!(text, "|---|{}---|", "---|".repeat(rivals.len()));
        for cell in self.cells(scenario, metric) {
            let shown: Vec<String> =
                rivals.iter().map(|rival| self.shown(scenario, &cell, metric, rival)).collect();
            let aim = aims::of(scenario, &cell, metric).map_or(String::new(), |aim| aim.to_string());
            let _ = writeln!(text, "| {cell} | {} | {aim} |", shown.join(" | "));
        }
    }

    /// `median`, and for others than the baseline `(median ratio; its quartiles)`.
    fn shown(&self, scenario: &str, cell: &str, metric: Metric, rival: &str) -> String {
        let runs: Vec<f64> =
            self.runs(scenario, cell, metric, rival).into_iter().map(|(_, value)| value).collect();
        let Some(median) = stats::median(&runs) else {
            return "-".to_owned();
        };
        let ratios = self.ratios(scenario, cell, metric, rival);
        match (stats::median(&ratios), stats::quartiles(&ratios)) {
            (Some(ratio), Some((low, high)))
                if rival != self.baseline && metric.reading != Reading::Plain =>
            {
                format!("{} (**{ratio:.2}**; {low:.2}-{high:.2})", rounded(median))
            }
            _ => rounded(median),
        }
    }

    fn chart(&self, text: &mut String, scenario: &str, metric: Metric) -> io::Result<()> {
        let rivals: Vec<String> =
            self.rivals(scenario, metric).into_iter().filter(|rival| *rival != self.baseline).collect();
        let cells = self.cells(scenario, metric);
        let bars: Vec<Vec<Option<f64>>> = cells
            .iter()
            .map(|cell| {
                let ratio = |rival: &String| stats::median(&self.ratios(scenario, cell, metric, rival));
                rivals.iter().map(ratio).collect()
            })
            .collect();
        if bars.iter().flatten().flatten().next().is_none() {
            return Ok(());
        }
        let file = format!("{scenario}-{}.svg", metric.name.replace([' ', ','], "-"));
        let better = if matches!(metric.reading, Reading::More { .. }) { "higher" } else { "lower" };
        let title = format!("{scenario}: {} relative to {} ({better} is better)", metric.name, self.baseline);
        let bars = chart::Bars { title: &title, cells: &cells, rivals: &rivals, ratios: &bars };
        bars.save(&self.dir.join(&file))?;
        let _ = writeln!(text, "\n![{title}]({file})");
        Ok(())
    }
}

fn unique<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// Three significant digits; thousands grouped.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => {
            let step = 10f64.powi(size.log10() as i32 - 2);
            let whole = ((value / step).round() * step) as i64;
            let (sign, digits) = (if whole < 0 { "-" } else { "" }, whole.abs().to_string());
            let groups: Vec<&str> =
                digits.as_bytes().rchunks(3).rev().filter_map(|g| str::from_utf8(g).ok()).collect();
            format!("{sign}{}", groups.join(","))
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_quotes_pair_ratios_to_the_baseline() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let mut recorder = Recorder::create(dir.path().to_path_buf(), "redis").expect("writable");
        for (round, (base, ours)) in [(10.0, 5.0), (20.0, 10.0), (30.0, 18.0)].into_iter().enumerate() {
            recorder.record("cpu", "GET", "ours", round, CPU_PER_OP, ours).expect("writable");
            recorder.record("cpu", "GET", "redis", round, CPU_PER_OP, base).expect("writable");
        }
        let text = recorder.finish("# t\n", &[("cpu", "cmd".to_owned())]).expect("writable");
        assert!(text.contains("| redis | ours |"), "{text}");
        assert!(text.contains("| GET | 20.0 | 10.0 (**0.50**; 0.50-0.60)"), "{text}");
        let raw = fs::read_to_string(dir.path().join("figures.csv")).expect("written");
        assert_eq!(raw.lines().count(), 7);
        assert!(dir.path().join("cpu-server-CPU-per-operation.svg").exists());
    }

    #[test]
    fn figures_have_three_digits() {
        let shown = [0.0123, 1.234, 12.34, 123.4, 1234.0, 1_234_567.0, -4321.0].map(rounded);
        assert_eq!(shown, ["0.012", "1.23", "12.3", "123", "1,230", "1,230,000", "-4,320"]);
    }

    #[test]
    fn json_text_is_escaped() {
        assert_eq!(json("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}
