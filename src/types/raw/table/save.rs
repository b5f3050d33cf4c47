#![allow(unsafe_code)]
//! A walk that sees every entry as it was when the walk began, while the table changes: what a snapshot needs.
//!
//! ```text
//!  hash space   0 ──────────── at ─────────────────────────────── 2^42
//!  segments     ├ shown ┤├ sh|own ┤├ unsaved ┤├ shown ┤├ unsaved ┤
//!                           at: the segment in progress
//! ```
//!
//! The walk goes through hash space group by group (the keys of one home bucket). Whoever is about to change a segment
//! that the walk has not finished shows it all that is left of the segment first ([`Table::save_segment`]), and the
//! segment is marked with the table's epoch. So a mark means: the walk has had everything that was here when it began.
//! Beginning costs nothing, because it only raises the epoch.
//!
//! INVARIANTS: a segment is rewritten only when it is marked, or with the marks of what it is made of (both halves of a
//! split have their parent's; segments merge only when both are marked or neither is). Segments made anew are marked,
//! for what comes into them came after the walk began.

use super::entry::EntryRef;
use super::segment::{CURSOR_BITS, Segment};
use super::table::Table;

/// How far a walk has come: a cursor in hash space, as of [`Table::scan`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Walk {
    at: u64,
}

impl<T> Table<T> {
    /// Begins a walk. There is one at a time: an earlier one is forgotten.
    pub fn begin_walk(&mut self) -> Walk {
        self.advance_epoch();
        self.saving = true;
        Walk::default()
    }

    /// Ends the walk, whether or not it is through.
    pub fn end_walk(&mut self) {
        self.saving = false;
    }

    /// Must the walk see the segment of `hash` before it changes?
    #[inline]
    pub fn is_unsaved(&self, hash: u64) -> bool {
        self.saving && !self.is_saved_at(self.root(hash))
    }

    pub(super) fn is_saved_at(&self, root: *mut Segment) -> bool {
        // SAFETY: a directory's segment is valid.
        unsafe { (*root).saved == self.epoch }
    }

    /// Shows the walk what it has not seen of the segment of `hash`, which may be changed then.
    pub fn save_segment(&mut self, walk: &Walk, hash: u64, visit: &mut dyn FnMut(EntryRef<'_, T>)) {
        let root = self.root(hash);
        // SAFETY: a directory's segment is valid.
        let (start, end) = unsafe { (*root).cursors() };
        let from = walk.at.max(start);
        if from < end {
            self.visit_range(root, from, end, visit);
        }
        // SAFETY: the table is borrowed mutably.
        unsafe { (*root).saved = self.epoch };
    }

    /// Shows the walk its next group. False when it is through; the walk has ended then.
    pub fn save_group(&mut self, walk: &mut Walk, visit: &mut dyn FnMut(EntryRef<'_, T>)) -> bool {
        while walk.at >> CURSOR_BITS == 0 {
            let root = self.root(walk.at << (64 - CURSOR_BITS));
            // SAFETY: a directory's segment is valid.
            let (group_end, (_, end)) = unsafe { ((*root).cursor_after(walk.at), (*root).cursors()) };
            if self.is_saved_at(root) {
                walk.at = end;
                continue;
            }
            self.visit_range(root, walk.at, group_end, visit);
            walk.at = group_end;
            if group_end >= end {
                // SAFETY: the table is borrowed mutably.
                unsafe { (*root).saved = self.epoch };
            }
            return true;
        }
        self.end_walk();
        false
    }
}

impl Segment {
    /// The first cursor of the segment, and the first one after it.
    fn cursors(&self) -> (u64, u64) {
        let start = self.prefix >> (64 - CURSOR_BITS);
        (start, start + (1 << (CURSOR_BITS - self.depth)))
    }
}
