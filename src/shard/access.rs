//! Access metadata: the two bytes per key by which LRU, LRM and LFU tell what was used.
//!
//! ```text
//!  LRU, LRM   | second of the last access or change, modulo 2^16 (18.2 hours)       |
//!  LFU        | minute of the last decay, modulo 2^8 (4.3 hours) | Redis's counter  |
//! ```
//!
//! Redis spends three bytes and wraps after 194 days (LRU) or 45 days (LFU). Here a sweep over the whole table (see
//! `aging`) visits every key at least once per [`Counting::sweep_ms`] and rewrites stamps that grow old, so that none
//! ever wraps: under LRU a key idle for longer than [`IDLE_CAP_SECONDS`] stays about that idle, under LFU the decay is
//! carried out. What clients see: OBJECT IDLETIME stops between 12 and 16 hours.
//!
//! Changing the policy reinterprets the stamps in place, as in Redis. That does no harm but to the order of the first
//! evictions: any two bytes are a valid stamp under every policy, a key's stamp is right again after its next access
//! (LRU, LFU) or change (LRM), and a counter that came out too high decays by one per `lfu-decay-time`.

/// A new key's counter, so that it is not evicted before it had a chance.
pub const LFU_INIT: u8 = 5;

/// Keys idle for longer than this count as this idle.
pub const IDLE_CAP_SECONDS: u16 = 12 * 3600;
/// Four hours after the cap was written, a stamp is still below 2^16 seconds old.
const LRU_SWEEP_MS: u64 = 4 * 3_600_000;
/// LFU stamps older than this are decayed by the sweep, which comes again long before they would wrap.
const DECAY_AGE_MINUTES: u8 = 96;
const LFU_SWEEP_MS: u64 = 3_600_000;

/// How access is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    Lru,
    /// Least recently modified: only changes are stamped.
    Lrm,
    Lfu {
        log_factor: u32,
        decay_minutes: u32,
    },
}

impl Counting {
    /// How often the sweep must have seen every key.
    pub const fn sweep_ms(self) -> u64 {
        match self {
            Counting::Lru | Counting::Lrm => LRU_SWEEP_MS,
            Counting::Lfu { .. } => LFU_SWEEP_MS,
        }
    }
}

/// Time and manner of counting for one command.
#[derive(Clone, Copy, Debug)]
pub struct AccessClock {
    pub counting: Counting,
    pub now_ms: u64,
    /// What has a deadline up to here has expired. 0 while a log is replayed: there nothing expires by the clock.
    pub due_ms: u64,
}

impl AccessClock {
    fn second(self) -> u16 {
        (self.now_ms / 1000) as u16
    }

    fn minute(self) -> u8 {
        (self.now_ms / 60_000) as u8
    }

    /// The metadata of a key that is stored now.
    #[inline]
    pub fn fresh(self) -> u16 {
        match self.counting {
            Counting::Lru | Counting::Lrm => self.second(),
            Counting::Lfu { .. } => self.lfu(LFU_INIT),
        }
    }

    /// The metadata of a key that is read now. `chance` is a random number in 0..1.
    #[inline]
    pub fn touched(self, access: u16, chance: impl FnOnce() -> f64) -> u16 {
        match self.counting {
            Counting::Lru => self.second(),
            Counting::Lrm => access,
            Counting::Lfu { log_factor, .. } => self.counted(access, log_factor, chance),
        }
    }

    /// The metadata of a key that is changed now. Redis: a change is an access as well.
    #[inline]
    pub fn changed(self, access: u16, chance: impl FnOnce() -> f64) -> u16 {
        match self.counting {
            Counting::Lru | Counting::Lrm => self.second(),
            Counting::Lfu { log_factor, .. } => self.counted(access, log_factor, chance),
        }
    }

    fn counted(self, access: u16, log_factor: u32, chance: impl FnOnce() -> f64) -> u16 {
        let counter = self.frequency(access);
        let base = f64::from(counter.saturating_sub(LFU_INIT));
        let up = counter < u8::MAX && chance() < 1.0 / (base * f64::from(log_factor) + 1.0);
        self.lfu(counter + u8::from(up))
    }

    fn lfu(self, counter: u8) -> u16 {
        u16::from_be_bytes([self.minute(), counter])
    }

    /// Seconds since the last access (LRU) or change (LRM).
    pub fn idle_seconds(self, access: u16) -> u64 {
        u64::from(self.second().wrapping_sub(access))
    }

    /// The counter after decay (LFU).
    pub fn frequency(self, access: u16) -> u8 {
        let [_, counter] = access.to_be_bytes();
        let Counting::Lfu { decay_minutes, .. } = self.counting else { return counter };
        let periods = u32::from(self.minutes_since_decay(access)).checked_div(decay_minutes).unwrap_or(0);
        counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// Minutes since the counter was last decayed or raised (LFU).
    pub fn minutes_since_decay(self, access: u16) -> u8 {
        self.minute().wrapping_sub(access.to_be_bytes()[0])
    }

    /// The metadata that makes [`AccessClock::idle_seconds`] give this (RESTORE IDLETIME), as far as it can.
    pub fn with_idle(self, idle_seconds: u64) -> u16 {
        self.second().wrapping_sub(idle_seconds.min(u64::from(IDLE_CAP_SECONDS)) as u16)
    }

    /// The metadata that makes [`AccessClock::frequency`] give this (RESTORE FREQ).
    pub fn with_frequency(self, counter: u8) -> u16 {
        self.lfu(counter)
    }

    /// What the sweep writes over an ageing stamp; `None` leaves it. `chance` is a random number in 0..1.
    pub fn renewed(self, access: u16, chance: impl FnOnce() -> f64) -> Option<u16> {
        match self.counting {
            Counting::Lru | Counting::Lrm => (self.idle_seconds(access) > u64::from(IDLE_CAP_SECONDS))
                .then(|| self.second().wrapping_sub(IDLE_CAP_SECONDS)),
            Counting::Lfu { decay_minutes: 0, .. } => None,
            Counting::Lfu { decay_minutes, .. } => {
                let passed = self.minutes_since_decay(access);
                if passed < DECAY_AGE_MINUTES {
                    return None;
                }
                if u32::from(passed) >= decay_minutes {
                    // The remainder of a period stays to be counted.
                    let rest = (u32::from(passed) % decay_minutes) as u8;
                    let [minute, counter] = [self.minute().wrapping_sub(rest), self.frequency(access)];
                    return Some(u16::from_be_bytes([minute, counter]));
                }
                // A period longer than a stamp can tell: decay by chance, as often as the period asks on average.
                let due = chance() < f64::from(passed) / f64::from(decay_minutes);
                let [_, counter] = access.to_be_bytes();
                Some(self.lfu(counter.saturating_sub(u8::from(due))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn lru(now_ms: u64) -> AccessClock {
        AccessClock { counting: Counting::Lru, now_ms, due_ms: now_ms }
    }

    fn lfu(now_ms: u64, decay_minutes: u32) -> AccessClock {
        AccessClock { counting: Counting::Lfu { log_factor: 10, decay_minutes }, now_ms, due_ms: now_ms }
    }

    #[test]
    fn a_swept_stamp_never_looks_fresh() {
        let start = 1_700_000_000_000;
        let mut access = lru(start).fresh();
        for step in 1..200 {
            // A little irregular, as a busy server is.
            let clock = lru(start + step * LRU_SWEEP_MS + step % 7 * 60_000);
            let true_idle = (clock.now_ms - start) / 1000;
            let idle = clock.idle_seconds(access);
            assert!(
                idle >= true_idle.min(u64::from(IDLE_CAP_SECONDS)) && idle <= true_idle,
                "{idle} {true_idle}"
            );
            access = clock.renewed(access, || 0.5).unwrap_or(access);
        }
    }

    #[test]
    fn sweeping_decays_as_often_as_not_sweeping() {
        for decay in [1, 7, 60, 95] {
            let start = 1_700_000_000_000;
            let mut access = lfu(start, decay).with_frequency(255);
            for hour in 1..=100 {
                let clock = lfu(start + hour * HOUR_MS, decay);
                let want = 255u64.saturating_sub(hour * 60 / u64::from(decay));
                assert_eq!(u64::from(clock.frequency(access)), want, "decay {decay} hour {hour}");
                access = clock.renewed(access, || 0.5).unwrap_or(access);
            }
        }
    }

    #[test]
    fn decay_periods_longer_than_a_stamp_hold_on_average() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (start, decay) = (1_700_000_000_000, 600);
        let mut sum = 0;
        for _ in 0..300 {
            let mut access = lfu(start, decay).with_frequency(200);
            for hour in 1..=1000 {
                let clock = lfu(start + hour * HOUR_MS, decay);
                access = clock.renewed(access, || rng.f64()).unwrap_or(access);
            }
            sum += u32::from(access.to_be_bytes()[1]);
        }
        let mean = f64::from(sum) / 300.0;
        assert!((95.0..105.0).contains(&mean), "1000 hours are 100 periods of 600 minutes: {mean}");
    }

    #[test]
    fn the_counter_grows_like_the_logarithm_of_hits() {
        let mut rng = fastrand::Rng::with_seed(7);
        let clock = lfu(1_700_000_000_000, 1);
        let mut access = clock.fresh();
        for _ in 0..1000 {
            access = clock.touched(access, || rng.f64());
        }
        // Redis documents 18 after a thousand hits with factor 10, and 142 after a hundred thousand.
        let counter = clock.frequency(access);
        assert!((14..=24).contains(&counter), "{counter}");
    }

    #[test]
    fn reading_leaves_the_stamp_of_the_last_change() {
        let clock = AccessClock { counting: Counting::Lrm, now_ms: 1_700_000_000_000, due_ms: 0 };
        assert_eq!(clock.touched(7, || 0.0), 7);
        assert_eq!(clock.changed(7, || 0.0), clock.fresh());
        assert_eq!(clock.idle_seconds(clock.changed(7, || 0.0)), 0);
    }
}
