//! Fair draws, of numbers with 64 random bits: this room has no randomness of its own.

/// A number below `end`; 0 when that is 0.
#[inline]
pub fn below(random: u64, end: usize) -> usize {
    ((u128::from(random) * end as u128) >> 64) as usize
}

/// Chooses some of a number of things while walking over them: every choice is equally likely, and the chosen come in
/// the order of the walk. Selection sampling, Knuth, TAOCP volume 2, 3.4.2, algorithm S.
#[derive(Debug)]
pub struct Selection {
    wanted: usize,
    left: usize,
}

impl Selection {
    /// Of `wanted` out of `of` things; all of them, if they are fewer.
    pub fn new(wanted: usize, of: usize) -> Selection {
        Selection { wanted: wanted.min(of), left: of }
    }

    /// Is the next thing chosen?
    #[inline]
    pub fn takes(&mut self, random: u64) -> bool {
        let takes = below(random, self.left) < self.wanted;
        self.wanted -= usize::from(takes);
        self.left = self.left.saturating_sub(1);
        takes
    }

    /// Have all been chosen?
    #[inline]
    pub fn is_over(&self) -> bool {
        self.wanted == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_below_their_end() {
        for end in [0, 1, 2, 3, 1000, usize::MAX] {
            for random in [0, 1, u64::MAX / 2, u64::MAX] {
                assert!(below(random, end) < end.max(1), "{random} below {end}");
            }
        }
    }

    #[test]
    fn a_selection_finds_as_many_as_are_wanted_and_each_as_often() {
        let mut rng = fastrand::Rng::with_seed(3);
        for (wanted, of) in [(0, 5), (1, 1), (2, 7), (7, 7), (9, 7)] {
            let mut chosen = vec![0u32; of];
            for _ in 0..2000 {
                let mut selection = Selection::new(wanted, of);
                let taken: Vec<usize> = (0..of).filter(|_| selection.takes(rng.u64(..))).collect();
                assert_eq!(taken.len(), wanted.min(of));
                assert!(selection.is_over());
                taken.into_iter().for_each(|at| chosen[at] += 1);
            }
            let fair = 2000.0 * wanted.min(of) as f64 / of as f64;
            assert!(chosen.iter().all(|count| (f64::from(*count) - fair).abs() < 150.0), "{chosen:?}");
        }
    }
}
