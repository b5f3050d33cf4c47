//! Rates as INFO's `instantaneous_*` shows them: the mean of the last sixteen samples, one every tenth of a second.

/// Samples that are averaged.
const SAMPLES: usize = 16;
/// Least time between samples.
pub const SAMPLE_MS: u64 = 100;

/// What is sampled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub commands: u64,
    pub net_in: u64,
    pub net_out: u64,
}

/// Per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerSecond {
    pub commands: u64,
    pub net_in: u64,
    pub net_out: u64,
}

/// One core's rates.
#[derive(Default)]
pub struct Rates {
    ring: [[u64; 3]; SAMPLES],
    at: usize,
    /// When the last sample was taken, and the totals then.
    last: Option<(u64, Totals)>,
}

impl Rates {
    /// Takes a sample when the last one is old enough.
    pub fn sample(&mut self, now_ms: u64, totals: Totals) {
        let Some((then_ms, then)) = self.last else {
            self.last = Some((now_ms, totals));
            return;
        };
        let elapsed_ms = now_ms.saturating_sub(then_ms);
        if elapsed_ms < SAMPLE_MS {
            return;
        }
        // A reset of the counters may lie between.
        let rate = |now: u64, then: u64| now.saturating_sub(then) * 1000 / elapsed_ms;
        let sample = [
            rate(totals.commands, then.commands),
            rate(totals.net_in, then.net_in),
            rate(totals.net_out, then.net_out),
        ];
        // A core that slept took no samples: the quiet time counts for as many as it lasted.
        let slots = (elapsed_ms / SAMPLE_MS).clamp(1, SAMPLES as u64);
        for _ in 0..slots {
            self.ring[self.at] = sample;
            self.at = (self.at + 1) % SAMPLES;
        }
        self.last = Some((now_ms, totals));
    }

    /// The means.
    pub fn per_second(&self) -> PerSecond {
        let mean = |which: usize| self.ring.iter().map(|sample| sample[which]).sum::<u64>() / SAMPLES as u64;
        PerSecond { commands: mean(0), net_in: mean(1), net_out: mean(2) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_samples_are_averaged() {
        let mut rates = Rates::default();
        for tick in 0..=16 {
            rates.sample(1000 + tick * 100, Totals { commands: tick * 50, net_in: tick * 1024, net_out: 0 });
        }
        assert_eq!(rates.per_second(), PerSecond { commands: 500, net_in: 10_240, net_out: 0 });
        // A second and a half of silence.
        rates.sample(1000 + 1600 + 800, Totals { commands: 800, net_in: 16 * 1024, net_out: 0 });
        assert_eq!(rates.per_second().commands, 250);
    }
}
