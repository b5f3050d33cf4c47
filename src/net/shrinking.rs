//! Does this core's shard shrink? Then the memory goes back to the system as it becomes free, not much of it at once.
//!
//! What is dropped in the background asks for that itself; this is for what commands and eviction remove key by key.

use crate::sys::memory::PromptPurge;

/// How often it is looked at.
const LOOK_MS: u64 = 4;
/// Falling by this from one look to the next is shrinking.
const FALL_BYTES: u64 = 128 << 10;
/// After so many looks without a fall it no longer shrinks.
const CALM_LOOKS: u32 = 16;

#[derive(Default)]
pub struct Shrinking {
    looked_ms: u64,
    used_bytes: u64,
    calm_looks: u32,
    prompt: Option<PromptPurge>,
}

impl Shrinking {
    /// What the shard's keys use now.
    #[inline]
    pub fn look(&mut self, now_ms: u64, used_bytes: u64) {
        if now_ms.wrapping_sub(self.looked_ms) >= LOOK_MS {
            self.look_again(now_ms, used_bytes);
        }
    }

    fn look_again(&mut self, now_ms: u64, used_bytes: u64) {
        let falls = self.used_bytes.saturating_sub(used_bytes) >= FALL_BYTES;
        (self.looked_ms, self.used_bytes) = (now_ms, used_bytes);
        self.calm_looks = if falls { 0 } else { self.calm_looks.saturating_add(1) };
        if falls {
            self.prompt.get_or_insert_with(PromptPurge::begin);
        } else if self.calm_looks >= CALM_LOOKS {
            self.prompt = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_shrinks_until_it_no_longer_falls() {
        let mut shrinking = Shrinking::default();
        let mut look = |now_ms, used_bytes| {
            shrinking.look(now_ms, used_bytes);
            shrinking.prompt.is_some()
        };
        assert!(!look(1000, 100 << 20));
        assert!(!look(1001, 90 << 20), "it is too early to look again");
        assert!(look(1004, 90 << 20));
        assert!(look(1008, 80 << 20));
        assert!(look(1012, 80 << 20), "it may go on falling");
        assert!(look(1016, 81 << 20));
        for time in 3..=CALM_LOOKS as u64 {
            let is_last = time == CALM_LOOKS as u64;
            assert_eq!(look(1008 + time * LOOK_MS, 81 << 20), !is_last, "look {time}");
        }
    }
}
