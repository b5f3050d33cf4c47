//! Changing what is shared now and then, at the price of a load.

#![allow(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// As [`Arc::make_mut`]: what `shared` points at, of which this becomes the only owner; when there are others they keep
/// what there is, and this takes a copy. Without its locked instruction: values have no weak references.
///
/// # Panics
/// Never; in debug builds when there are weak references.
#[inline]
pub fn own<T: Clone>(shared: &mut Arc<T>) -> &mut T {
    debug_assert_eq!(Arc::weak_count(shared), 0);
    if Arc::strong_count(shared) != 1 {
        *shared = Arc::new(T::clone(shared));
    }
    // Whoever gave the last other reference back did so after reading for the last time.
    fence(Ordering::Acquire);
    // SAFETY: this is the only reference, it is borrowed mutably, and without weak ones nobody can make another.
    unsafe { &mut *Arc::as_ptr(shared).cast_mut() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_owner_changes_in_place_and_another_a_copy() {
        let mut one = Arc::new(vec![1]);
        let address = Arc::as_ptr(&one);
        own(&mut one).push(2);
        assert_eq!((Arc::as_ptr(&one), &*one), (address, &vec![1, 2]));
        let other = one.clone();
        own(&mut one).push(3);
        assert_eq!((&*one, &*other), (&vec![1, 2, 3], &vec![1, 2]));
        assert_eq!(Arc::as_ptr(&other), address);
    }
}
