//! Access metadata: the two bytes by which LRU and LFU tell what was used.
//!
//! LRU: the second of the last access, modulo 2^16 (18 hours; a sweep keeps older ones from wrapping).
//! LFU: the minute of the last decay (upper byte, modulo 256) and Redis's logarithmic counter (lower byte).

/// A new key's counter, so that it is not evicted before it had a chance.
pub const LFU_INIT: u8 = 5;

/// How access is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    Lru,
    Lfu { log_factor: u32, decay_minutes: u32 },
}

/// Time and manner of counting for one command.
#[derive(Clone, Copy, Debug)]
pub struct AccessClock {
    pub counting: Counting,
    pub now_ms: u64,
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
            Counting::Lru => self.second(),
            Counting::Lfu { .. } => self.lfu(LFU_INIT),
        }
    }

    /// The metadata of a key that is read now. `chance` is a random number in 0..1.
    #[inline]
    pub fn touched(self, access: u16, chance: impl FnOnce() -> f64) -> u16 {
        match self.counting {
            Counting::Lru => self.second(),
            Counting::Lfu { log_factor, .. } => {
                let counter = self.frequency(access);
                let base = f64::from(counter.saturating_sub(LFU_INIT));
                let up = counter < u8::MAX && chance() < 1.0 / (base * f64::from(log_factor) + 1.0);
                self.lfu(counter + u8::from(up))
            }
        }
    }

    fn lfu(self, counter: u8) -> u16 {
        u16::from_be_bytes([self.minute(), counter])
    }

    /// Seconds since the last access (LRU).
    pub fn idle_seconds(self, access: u16) -> u64 {
        u64::from(self.second().wrapping_sub(access))
    }

    /// The counter after decay (LFU).
    pub fn frequency(self, access: u16) -> u8 {
        let [minute, counter] = access.to_be_bytes();
        let Counting::Lfu { decay_minutes, .. } = self.counting else { return counter };
        let passed = u32::from(self.minute().wrapping_sub(minute));
        let periods = passed.checked_div(decay_minutes).unwrap_or(0);
        counter.saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
    }

    /// The metadata that makes [`AccessClock::idle_seconds`] give this (RESTORE IDLETIME).
    pub fn with_idle(self, idle_seconds: u64) -> u16 {
        self.second().wrapping_sub(idle_seconds.min(u64::from(u16::MAX)) as u16)
    }

    /// The metadata that makes [`AccessClock::frequency`] give this (RESTORE FREQ).
    pub fn with_frequency(self, counter: u8) -> u16 {
        self.lfu(counter)
    }
}
