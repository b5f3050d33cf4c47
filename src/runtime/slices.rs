//! How the driver and the background task of one core take turns.
//!
//! The background task waits until the driver grants it a slice; the driver waits until the slice is over. So
//! the driver decides the share exactly (see [`due`]), and idle time goes to the background whole.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

/// What one call of [`super::face::Handler::background`] should take.
pub const BUDGET: Duration = Duration::from_micros(100);
/// Under load a slice comes after the driver had nine times as much: a tenth of the core.
const DRIVER_SHARE_NS: u64 = 9 * BUDGET.as_nanos() as u64;

/// The state both tasks look at.
#[derive(Default)]
pub struct Slices {
    granted: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
    stopped: Cell<bool>,
}

/// True when the background deserves a slice although the core is busy.
pub fn due(now_ns: u64, last_slice_ended_ns: u64) -> bool {
    now_ns.saturating_sub(last_slice_ended_ns) >= DRIVER_SHARE_NS
}

impl Slices {
    /// Grants a slice and waits until it is over.
    pub async fn grant(&self) {
        self.granted.set(true);
        self.wake_other();
        self.wait_until(|| !self.granted.get()).await;
    }

    /// Waits for a slice. False when the driver has stopped.
    pub async fn granted(&self) -> bool {
        self.wait_until(|| self.granted.get() || self.stopped.get()).await;
        !self.stopped.get()
    }

    /// The slice is over.
    pub fn done(&self) {
        self.granted.set(false);
        self.wake_other();
    }

    /// Ends the background task.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.wake_other();
    }

    fn wake_other(&self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Only one of the two tasks waits at a time, so one place for a waker is enough.
    async fn wait_until(&self, ready: impl Fn() -> bool) {
        poll_fn(|context| {
            if ready() {
                return Poll::Ready(());
            }
            self.waiting.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
