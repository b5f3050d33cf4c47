//! Latencies of one command on one core, counted in a few instructions.
//!
//! The slots are those of an HDR histogram from 1 ns to 1 s with two significant digits: exact below 256 ns, then 128
//! to each doubling. Counting costs some ten instructions here and some seventy in the library, which for GET is a
//! twentieth of everything; for merging and percentiles the counts move into the library's histogram without loss.

use hdrhistogram::Histogram;

/// The greatest latency told apart.
pub const MAX_NS: u64 = 1_000_000_000;
/// Slots of a doubling, as a power of two.
const DOUBLING_BITS: u32 = 7;
const SLOTS: usize = slot_of(MAX_NS) + 1;

/// An empty histogram of the library with the same slots.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NS, 2).expect("the bounds are in order")
}

/// Counts per slot: 24 KiB.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Box<[u64; SLOTS]>,
}

#[inline]
const fn slot_of(ns: u64) -> usize {
    let shift = (ns | 0xff).ilog2() - DOUBLING_BITS;
    ((shift as usize) << DOUBLING_BITS) + (ns >> shift) as usize
}

/// The least latency of a slot.
fn least_of(slot: usize) -> u64 {
    let shift = (slot >> DOUBLING_BITS).saturating_sub(1);
    ((slot - (shift << DOUBLING_BITS)) as u64) << shift
}

impl Default for Latencies {
    fn default() -> Latencies {
        let counts = vec![0; SLOTS].into_boxed_slice().try_into().expect("the length is that of the array");
        Latencies { counts }
    }
}

impl Latencies {
    /// Counts one.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.counts[slot_of(ns.min(MAX_NS))] += 1;
    }

    /// The same counts in the library's form.
    pub fn histogram(&self) -> Histogram<u64> {
        let mut histogram = new_histogram();
        for (slot, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            histogram.saturating_record_n(least_of(slot).max(1), *count);
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_library() {
        let mut ours = Latencies::default();
        let mut library = new_histogram();
        let mut ns = 1;
        while ns < 2 * MAX_NS {
            for near in [ns - 1, ns, ns + 1] {
                ours.record(near);
                library.saturating_record(near.clamp(1, MAX_NS));
            }
            ns += 1 + ns / 37;
        }
        assert_eq!(ours.histogram(), library);
        for slot in 0..SLOTS {
            assert_eq!(slot_of(least_of(slot)), slot);
        }
    }
}
