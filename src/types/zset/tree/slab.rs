//! Nodes by number, so that a link takes four bytes; numbers that were given back are used again first.

/// See the head of this file.
#[derive(Clone)]
pub(super) struct Slab<T> {
    nodes: Vec<Option<Box<T>>>,
    holes: Vec<u32>,
    /// Nodes that are there.
    live: usize,
}

impl<T> Slab<T> {
    pub fn new() -> Slab<T> {
        Slab { nodes: Vec::new(), holes: Vec::new(), live: 0 }
    }

    /// Keeps a node; its number.
    pub fn add(&mut self, node: Box<T>) -> u32 {
        self.live += 1;
        match self.holes.pop() {
            Some(hole) => {
                self.nodes[hole as usize] = Some(node);
                hole
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() as u32 - 1
            }
        }
    }

    #[inline]
    pub fn get(&self, number: u32) -> &T {
        self.nodes[number as usize].as_deref().expect("a node that is linked exists")
    }

    #[inline]
    pub fn get_mut(&mut self, number: u32) -> &mut T {
        self.nodes[number as usize].as_deref_mut().expect("a node that is linked exists")
    }

    /// Frees a node and its number.
    pub fn remove(&mut self, number: u32) {
        self.nodes[number as usize] = None;
        self.live -= 1;
        self.holes.push(number);
    }

    /// Bytes behind it. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.live * size_of::<T>() + self.nodes.capacity() * size_of::<usize>() + self.holes.capacity() * 4
    }

    /// In how many pieces it can be copied.
    pub fn pieces(&self) -> usize {
        self.nodes.len()
    }

    /// Copies one piece to where all before it were copied; how many bytes that were. The first clears the copy.
    pub fn copy_piece(&self, copy: &mut Slab<T>, at: usize) -> usize
    where
        T: Clone,
    {
        if at == 0 {
            *copy = Slab::new();
            copy.nodes.reserve_exact(self.nodes.len());
        }
        copy.nodes.push(self.nodes[at].clone());
        copy.live += usize::from(self.nodes[at].is_some());
        size_of::<T>()
    }

    /// Makes a copy of all pieces whole.
    pub fn copy_rest(&self, copy: &mut Slab<T>) {
        copy.holes = self.holes.clone();
    }

    /// Drops the last `n` nodes; true when none is left. Only when nothing is read any more.
    pub fn drop_some(&mut self, n: usize) -> bool {
        for _ in 0..n {
            let Some(node) = self.nodes.pop() else { return true };
            self.live -= usize::from(node.is_some());
        }
        self.nodes.is_empty()
    }

    /// Panics unless there are just so many nodes.
    #[cfg(test)]
    pub fn verify(&self, nodes: usize) {
        assert_eq!(nodes, self.live);
        assert_eq!(nodes, self.nodes.len() - self.holes.len());
    }
}
