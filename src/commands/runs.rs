//! Sorting in slices: runs that are sorted as soon as they are full, and a heap over their first items.
//!
//! Every step is short, and no array holds everything, so none grows or goes at once.

use std::cmp::Ordering;

/// Items of a run: as many as are sorted well within a slice.
const RUN: usize = 1024;

/// See the head of this file.
pub struct Runs<T> {
    /// The run that is being filled.
    open: Vec<T>,
    /// The items of each, the next one last.
    runs: Vec<Vec<T>>,
    /// The first items and their runs: the smallest at its top.
    heap: Vec<(T, u32)>,
}

impl<T> Default for Runs<T> {
    fn default() -> Runs<T> {
        Runs { open: Vec::new(), runs: Vec::new(), heap: Vec::new() }
    }
}

impl<T: Copy> Runs<T> {
    /// Adds an item.
    pub fn push(&mut self, item: T, compare: impl Fn(&T, &T) -> Ordering) {
        self.open.push(item);
        if self.open.len() == RUN {
            self.end_run(compare);
        }
    }

    /// All items are there.
    pub fn end_run(&mut self, compare: impl Fn(&T, &T) -> Ordering) {
        let mut run = std::mem::take(&mut self.open);
        run.sort_unstable_by(|a, b| compare(b, a));
        let Some(first) = run.pop() else { return };
        self.heap.push((first, self.runs.len() as u32));
        self.runs.push(run);
        let is_before = |a: &T, b: &T| compare(a, b).is_lt();
        let mut at = self.heap.len() - 1;
        while at > 0 && is_before(&self.heap[at].0, &self.heap[(at - 1) / 2].0) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    /// Takes the smallest of all, once the last run has ended.
    pub fn pop(&mut self, compare: impl Fn(&T, &T) -> Ordering) -> Option<T> {
        let is_before = |a: &T, b: &T| compare(a, b).is_lt();
        let (item, run) = *self.heap.first()?;
        match self.runs[run as usize].pop() {
            Some(next) => self.heap[0].0 = next,
            None => {
                self.heap.swap_remove(0);
            }
        }
        let mut at = 0;
        loop {
            let mut least = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && is_before(&self.heap[child].0, &self.heap[least].0) {
                    least = child;
                }
            }
            if least == at {
                return Some(item);
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    /// Drops one run of what is no longer needed; false when none is left. Nothing else may be asked of it then.
    pub fn drop_some(&mut self) -> bool {
        self.runs.pop().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_in_order() {
        let mut rng = fastrand::Rng::with_seed(7);
        for count in [0, 1, 2, RUN - 1, RUN, RUN + 1, 5 * RUN + 17] {
            let mut expected: Vec<u32> = (0..count).map(|_| rng.u32(..1000)).collect();
            let mut runs = Runs::default();
            expected.iter().for_each(|item| runs.push(*item, u32::cmp));
            runs.end_run(u32::cmp);
            expected.sort_unstable();
            assert!(expected.iter().all(|item| runs.pop(u32::cmp) == Some(*item)), "{count} items");
            assert_eq!(runs.pop(u32::cmp), None);
            while runs.drop_some() {}
        }
    }
}
