//! A walk that checks counts, separators and the chain of leaves, for tests.

use super::super::arena::NONE;
use super::Tree;

impl Tree {
    /// Walks everything; scores and ids in order.
    pub fn verify(&self) -> Vec<(f64, u32)> {
        let mut all = Vec::new();
        let mut leaves = Vec::new();
        let mut nodes = (0, 0);
        self.verify_below(self.root, self.height, &mut all, &mut leaves, &mut nodes);
        assert_eq!(all.len(), self.len);
        for (at, leaf) in leaves.iter().enumerate() {
            let beside = |at: usize| leaves.get(at).copied().unwrap_or(NONE);
            assert_eq!(self.leaves.get(*leaf).next, beside(at + 1));
            assert_eq!(self.leaves.get(*leaf).previous, beside(at.wrapping_sub(1)));
        }
        self.leaves.verify(nodes.0);
        self.inners.verify(nodes.1);
        all
    }

    fn verify_below(
        &self,
        node: u32,
        level: usize,
        all: &mut Vec<(f64, u32)>,
        leaves: &mut Vec<u32>,
        nodes: &mut (usize, usize),
    ) {
        if level == 0 {
            let leaf = self.leaves.get(node);
            assert!(leaf.len > 0 || self.height == 0, "only the root may be empty");
            let len = leaf.len as usize;
            all.extend(leaf.scores[..len].iter().copied().zip(leaf.ids[..len].iter().copied()));
            leaves.push(node);
            nodes.0 += 1;
            return;
        }
        nodes.1 += 1;
        let inner = self.inners.get(node);
        assert!(inner.len > 0);
        for child in 0..inner.len as usize {
            let from = all.len();
            self.verify_below(inner.children[child], level - 1, all, leaves, nodes);
            assert_eq!(inner.counts[child] as usize, all.len() - from);
            assert_eq!(
                (inner.scores[child].to_bits(), inner.ids[child]),
                (all[from].0.to_bits(), all[from].1)
            );
        }
    }
}
