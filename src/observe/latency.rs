//! LATENCY's events: things that took longer than `latency-monitor-threshold`, by kind.

/// Samples kept per event.
const SAMPLES_MAX: usize = 160;

/// The worst of one second.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Seconds since the epoch.
    pub at_s: u64,
    pub ms: u64,
}

/// One event's samples, oldest first.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Series {
    pub samples: Vec<Sample>,
    pub max_ms: u64,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.max_ms = self.max_ms.max(sample.ms);
        match self.samples.last_mut() {
            Some(last) if last.at_s == sample.at_s => last.ms = last.ms.max(sample.ms),
            _ => {
                if self.samples.len() == SAMPLES_MAX {
                    self.samples.remove(0);
                }
                self.samples.push(sample);
            }
        }
    }
}

/// The events of one core, or of all.
#[derive(Clone, Default, Debug)]
pub struct Events {
    /// 0: nothing is recorded.
    pub threshold_ms: u64,
    by_name: Vec<(&'static str, Series)>,
}

impl Events {
    /// Records an event if it took long enough.
    pub fn add(&mut self, name: &'static str, at_s: u64, ms: u64) {
        if self.threshold_ms == 0 || ms < self.threshold_ms {
            return;
        }
        self.series_mut(name).add(Sample { at_s, ms });
    }

    fn series_mut(&mut self, name: &'static str) -> &mut Series {
        let at = match self.by_name.iter().position(|(known, _)| *known == name) {
            Some(at) => at,
            None => {
                self.by_name.push((name, Series::default()));
                self.by_name.len() - 1
            }
        };
        &mut self.by_name[at].1
    }

    /// All events with a sample.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Series)> {
        self.by_name.iter().map(|(name, series)| (*name, series))
    }

    /// An event by its exact name.
    pub fn find(&self, name: &[u8]) -> Option<(&'static str, &Series)> {
        self.iter().find(|(known, _)| known.as_bytes() == name)
    }

    #[cfg(test)]
    fn get(&self, name: &[u8]) -> Option<&Series> {
        self.find(name).map(|(_, series)| series)
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Forgets the events that are named, or all; returns the names of those that were there.
    pub fn reset(&mut self, names: &[&[u8]]) -> Vec<&'static str> {
        let chosen = |name: &str| {
            names.is_empty() || names.iter().any(|given| given.eq_ignore_ascii_case(name.as_bytes()))
        };
        let gone = self.by_name.iter().map(|(name, _)| *name).filter(|name| chosen(name)).collect();
        self.by_name.retain(|(name, _)| !chosen(name));
        gone
    }

    /// Adds another core's events.
    pub fn absorb(&mut self, other: &Events) {
        for (name, series) in other.iter() {
            let mine = self.series_mut(name);
            mine.max_ms = mine.max_ms.max(series.max_ms);
            mine.samples.extend_from_slice(&series.samples);
            mine.samples.sort_by_key(|sample| sample.at_s);
            let mut merged: Vec<Sample> = Vec::with_capacity(mine.samples.len());
            for sample in mine.samples.drain(..) {
                match merged.last_mut() {
                    Some(last) if last.at_s == sample.at_s => last.ms = last.ms.max(sample.ms),
                    _ => merged.push(sample),
                }
            }
            merged.drain(..merged.len().saturating_sub(SAMPLES_MAX));
            mine.samples = merged;
        }
    }
}

/// The cumulative counts that LATENCY HISTOGRAM shows: microseconds and calls that took no longer, from 1.024 us up
/// by doubling, without repetitions.
pub fn cumulative(histogram: &hdrhistogram::Histogram<u64>) -> Vec<(u64, u64)> {
    let mut steps = Vec::new();
    let (mut level_ns, mut count, mut shown) = (1024, 0, 0);
    for bucket in histogram.iter_recorded() {
        let value = bucket.value_iterated_to();
        while value > histogram.highest_equivalent(level_ns) {
            if count != shown {
                steps.push((histogram.highest_equivalent(level_ns) / 1000, count));
                shown = count;
            }
            level_ns *= 2;
        }
        count += bucket.count_since_last_iteration();
    }
    if count != shown {
        steps.push((histogram.highest_equivalent(level_ns) / 1000, count));
    }
    steps
}

/// The height of LATENCY GRAPH's bars, and the glyphs of a cell from empty to full.
const GRAPH_ROWS: usize = 4;
const GLYPHS: [char; 4] = [' ', '_', 'o', '#'];

/// LATENCY GRAPH: a bar per sample, scaled to the greatest, over the age of each.
pub fn graph(name: &str, series: &Series, now_s: u64) -> String {
    let least = series.samples.iter().map(|sample| sample.ms).min().unwrap_or(0);
    let most = series.samples.iter().map(|sample| sample.ms).max().unwrap_or(0);
    let mut text = format!("{name} - high {most} ms, low {least} ms (all time high {} ms)\n", series.max_ms);
    text.push_str(&"-".repeat(80));
    text.push('\n');
    let span = (most - least).max(1);
    let shades = (GRAPH_ROWS * (GLYPHS.len() - 1)) as u64;
    for row in (0..GRAPH_ROWS).rev() {
        for sample in &series.samples {
            // At least the lowest shade, so that every sample is seen.
            let height = ((sample.ms - least) * shades / span).max(1) as usize;
            let cell = height.saturating_sub(row * (GLYPHS.len() - 1)).min(GLYPHS.len() - 1);
            text.push(GLYPHS[cell]);
        }
        text.push('\n');
    }
    text.push('\n');
    // The ages stand upright under their bars.
    let ages: Vec<String> =
        series.samples.iter().map(|sample| age(now_s.saturating_sub(sample.at_s))).collect();
    let longest = ages.iter().map(String::len).max().unwrap_or(0);
    for line in 0..longest {
        text.extend(ages.iter().map(|age| age.as_bytes().get(line).map_or(' ', |byte| char::from(*byte))));
        text.push('\n');
    }
    text
}

fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// LATENCY DOCTOR.
pub fn doctor(events: &Events) -> String {
    if events.threshold_ms == 0 {
        return "The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> turns it on; events \
                that take at least as long are then kept and judged here.\n"
            .into();
    }
    if events.is_empty() {
        return format!(
            "No event took {} ms or longer since the latency monitor began.\n",
            events.threshold_ms
        );
    }
    let mut text = String::from("Latency events, and what may help:\n\n");
    for (number, (name, series)) in events.iter().enumerate() {
        let count = series.samples.len() as u64;
        let mean = series.samples.iter().map(|sample| sample.ms).sum::<u64>() / count.max(1);
        let deviation = series.samples.iter().map(|sample| sample.ms.abs_diff(mean)).sum::<u64>() as f64
            / count.max(1) as f64;
        let first = series.samples.first().map_or(0, |sample| sample.at_s);
        let last = series.samples.last().map_or(0, |sample| sample.at_s);
        let period = (last - first) as f64 / count.max(1) as f64;
        text.push_str(&format!(
            "{}. {name}: {count} spikes (mean {mean} ms, mean deviation {deviation:.2} ms, one in {period:.2} s). \
             Worst of all time {} ms.\n",
            number + 1,
            series.max_ms
        ));
        text.push_str(match name {
            "command" => {
                "   Commands of linear or greater cost ran on many elements: SLOWLOG GET names them. Prefer SCAN and \
                 ranges, or smaller values; a slow command delays only the clients of its shard.\n"
            }
            "fast-command" => {
                "   Commands of constant cost were slow, so the core itself was held up: look for CPU contention, \
                 swapping (MEMORY DOCTOR), and more shards than free cores.\n"
            }
            "expire-cycle" => "   Many keys expire at the same moment: spread their deadlines.\n",
            "eviction-cycle" | "eviction-del" => {
                "   The memory limit forces evictions: raise maxmemory, or write less.\n"
            }
            _ => "   See INFO shards for the core that was busy.\n",
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_a_second_is_kept() {
        let mut events = Events { threshold_ms: 10, ..Events::default() };
        events.add("command", 5, 9);
        assert!(events.is_empty());
        events.add("command", 5, 10);
        events.add("command", 5, 30);
        events.add("command", 6, 20);
        let series = events.get(b"command").expect("it was recorded");
        assert_eq!(series.samples, [Sample { at_s: 5, ms: 30 }, Sample { at_s: 6, ms: 20 }]);
        assert_eq!(series.max_ms, 30);
        for at_s in 10..300 {
            events.add("command", at_s, 10);
        }
        assert_eq!(events.get(b"command").map(|series| series.samples.len()), Some(160));
    }

    #[test]
    fn cores_are_merged_by_second() {
        let mut one = Events { threshold_ms: 1, ..Events::default() };
        let mut two = one.clone();
        one.add("command", 1, 5);
        one.add("command", 3, 5);
        two.add("command", 2, 7);
        two.add("command", 3, 9);
        two.add("fast-command", 3, 9);
        one.absorb(&two);
        let series = one.get(b"command").expect("both have it");
        assert_eq!(
            series.samples.iter().map(|sample| (sample.at_s, sample.ms)).collect::<Vec<_>>(),
            [(1, 5), (2, 7), (3, 9)]
        );
        assert_eq!(series.max_ms, 9);
        assert_eq!(one.reset(&[b"fast-command", b"nothing"]), ["fast-command"]);
        assert_eq!(one.reset(&[]), ["command"]);
    }

    #[test]
    fn cumulative_counts_double() {
        let mut histogram = crate::observe::latencies::new_histogram();
        for ns in [500, 900, 3000, 40_000] {
            histogram.saturating_record(ns);
        }
        assert_eq!(cumulative(&histogram), [(1, 2), (4, 3), (66, 4)]);
        assert!(cumulative(&crate::observe::latencies::new_histogram()).is_empty());
    }

    #[test]
    fn a_graph_has_a_bar_per_sample() {
        let mut events = Events { threshold_ms: 1, ..Events::default() };
        events.add("command", 100, 10);
        events.add("command", 160, 100);
        let text = graph("command", events.get(b"command").expect("recorded"), 200);
        assert!(text.starts_with("command - high 100 ms, low 10 ms (all time high 100 ms)\n"));
        assert!(text.contains("_#\n"));
        assert!(text.ends_with("14\nm0\n s\n"), "{text}");
        assert!(doctor(&events).contains("1. command: 2 spikes"));
    }
}
