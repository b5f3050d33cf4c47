//! The epoll engine: for kernels and containers that do not allow io_uring.
//!
//! A single-threaded `async-executor` runs the driver and the background task of a core. Sockets are watched
//! edge-triggered, read when ready and written directly at the end of the turn.

mod driver;
mod net;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use async_executor::LocalExecutor;

use super::face::Handler;
use super::slices::Slices;
use super::wake::Waker;

/// One core, set up on its own thread.
pub struct Engine<H> {
    core: driver::Core<H>,
}

impl<H: Handler + 'static> Engine<H> {
    /// Sets up the epoll instance of a core.
    pub fn new(core: usize, waker: Waker, handler: H) -> io::Result<Engine<H>> {
        Ok(Engine { core: driver::Core::new(core, waker, handler)? })
    }

    /// Runs the core until its handler stops.
    pub fn run(self) {
        let core = Rc::new(RefCell::new(self.core));
        let slices = Rc::new(Slices::default());
        let executor = LocalExecutor::new();
        let slicer = executor.spawn(slicer(core.clone(), slices.clone()));
        futures_lite::future::block_on(executor.run(async {
            driver::drive(core, slices).await;
            slicer.await;
        }));
    }
}

async fn slicer<H: Handler>(core: Rc<RefCell<driver::Core<H>>>, slices: Rc<Slices>) {
    while slices.granted().await {
        core.borrow_mut().slice();
        slices.done();
    }
}
