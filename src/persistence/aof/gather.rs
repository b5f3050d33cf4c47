//! How many commands one sync answers: with `appendfsync always` the writer waits a moment for company.
//!
//! Clients that wait for each answer fall into two groups without that: while one group's commands are synced the other
//! group's come in, and every sync answers half of the clients. So behind a sync the writer expects as many commands as it
//! has just answered, beside those that came meanwhile, and waits for them, but for less than a sync takes: then a sync is
//! for all clients, and there are half as many.
//!
//! Who is alone waits for nobody: then nothing came meanwhile, and the first command is all that is expected. And where it
//! does not pay, because those who were answered come late or are others every time, it is tried less and less often.

use std::time::{Duration, Instant};

/// What is waited for is looked at so often in the time that may be waited at all.
const LOOKS: u32 = 6;
/// Waiting for less is not worth going to sleep.
const LEAST: Duration = Duration::from_micros(40);
/// A disk that is slow for once makes nobody wait for longer than this.
const MOST: Duration = Duration::from_millis(5);
/// Where it never pays it is tried before one sync in so many.
const SELDOM: u32 = 64;

/// A wait that may be.
struct Chance {
    began: Instant,
    until: Instant,
    look: Duration,
    waited: bool,
}

/// The last sync, and what came since.
#[derive(Default)]
pub struct Gather {
    /// Commands since the last sync began.
    came: u32,
    /// Commands that are expected before the next sync.
    expected: u32,
    /// How long the last sync took.
    took: Duration,
    chance: Option<Chance>,
    /// So many syncs are let go by without a wait after one that did not pay, and are left of those.
    pause: u32,
    left: u32,
}

impl Gather {
    /// Commands have come.
    pub fn came(&mut self, commands: u32) {
        self.came = self.came.saturating_add(commands);
    }

    /// A sync that took so long has ended just now, and answered everything that had come before.
    pub fn synced(&mut self, took: Duration, now: Instant) {
        self.took = took;
        self.expected = std::mem::take(&mut self.came);
        self.chance = None;
        if self.left > 0 {
            self.left -= 1;
            return;
        }
        let patience = (took * 3 / 4).min(MOST);
        if patience >= LEAST {
            let look = (patience / LOOKS).max(LEAST);
            self.chance = Some(Chance { began: now, until: now + patience, look, waited: false });
        }
    }

    /// These commands came during the sync: those who gave them are others than those who were answered.
    pub fn came_meanwhile(&mut self, commands: u32) {
        self.came(commands);
        self.expected = self.expected.saturating_add(commands);
    }

    /// How long to wait before the next look for more; `None`: no longer.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        let chance = self.chance.as_mut()?;
        if self.came > 0 && self.came < self.expected && now < chance.until {
            chance.waited = true;
            return Some(chance.look.min(chance.until - now));
        }
        if self.came > 0 {
            let waited = chance.waited.then(|| now.duration_since(chance.began));
            self.chance = None;
            waited.into_iter().for_each(|waited| self.judge(waited));
        }
        None
    }

    /// Without waiting half of them would have been answered in the time of a sync.
    fn judge(&mut self, waited: Duration) {
        let pays = self.took * 2 * self.came >= (self.took + waited) * self.expected;
        self.pause = if pays { 0 } else { (self.pause * 2 + 1).min(SELDOM - 1) };
        self.left = self.pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_millis(1);

    #[test]
    fn who_is_alone_waits_for_nobody() {
        let (mut gather, now) = (Gather::default(), Instant::now());
        for _ in 0..3 {
            gather.came(1);
            assert_eq!(gather.wait(now), None);
            gather.synced(SYNC, now);
            gather.came_meanwhile(0);
        }
    }

    #[test]
    fn two_groups_become_one_and_stay_one() {
        let (mut gather, begun) = (Gather::default(), Instant::now());
        gather.came(25);
        gather.synced(SYNC, begun);
        gather.came_meanwhile(25);
        for _ in 0..2 {
            let look = gather.wait(begun).expect("those that were answered are expected");
            gather.came(10);
            assert_eq!(gather.wait(begun + look), Some(look));
            gather.came(15);
            assert_eq!(gather.wait(begun + look), None, "all are here");
            gather.synced(SYNC, begun);
            gather.came_meanwhile(0);
            gather.came(25);
        }
    }

    #[test]
    fn nobody_is_waited_for_as_long_as_a_sync_takes() {
        let (mut gather, begun) = (Gather::default(), Instant::now());
        gather.came(25);
        gather.synced(SYNC, begun);
        gather.came_meanwhile(1);
        assert!(gather.wait(begun).is_some());
        assert_eq!(gather.wait(begun + SYNC * 3 / 4), None);
        assert_eq!(gather.wait(begun), None, "once it is over it is over");
        // A hiccup is no measure, and a disk that takes no time is not worth the wait.
        for (took, waited) in [(Duration::from_secs(2), MOST), (LEAST, Duration::ZERO)] {
            let mut gather = Gather::default();
            gather.came(25);
            gather.synced(took, begun);
            gather.came_meanwhile(1);
            assert_eq!(gather.wait(begun + waited), None);
        }
    }

    #[test]
    fn where_waiting_does_not_pay_it_is_tried_seldom() {
        let (mut gather, begun) = (Gather::default(), Instant::now());
        let mut waits = 0;
        for _ in 0..1000 {
            gather.synced(SYNC, begun);
            gather.came_meanwhile(30);
            if gather.wait(begun).is_some() {
                waits += 1;
                gather.came(10);
                assert_eq!(gather.wait(begun + SYNC * 3 / 4), None);
            }
        }
        assert!((5..25).contains(&waits), "{waits} of 1000");
        // Where it pays, it is done every time before long.
        let (mut answered, mut all) = (25, 0);
        for _ in 0..200 {
            gather.synced(SYNC, begun);
            gather.came_meanwhile(50 - answered);
            answered = 50 - answered;
            gather.came(u32::from(answered == 0));
            if gather.wait(begun).is_some() {
                gather.came(if answered == 0 { 49 } else { 25 });
                assert_eq!(gather.wait(begun + SYNC / 2), None);
                answered = 50;
            }
            all = if answered == 50 { all + 1 } else { 0 };
        }
        assert!(all > 100, "the last {all} syncs were for all");
    }
}
