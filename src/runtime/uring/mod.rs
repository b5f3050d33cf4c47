//! The io_uring engine: a glommio executor per core, whose main task drives the core's own ring.
//!
//! glommio gives tasks, task queues with shares and, later, timers and file I/O; its sockets are not used, they
//! cost twice as much. While nothing in glommio waits for anything outside (today: always), the driver waits in
//! its own ring.

mod buffers;
mod conns;
mod driver;
mod net;
pub mod probe;
mod ring;
mod send;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use glommio::{
    Latency, LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement, Shares, Task, TaskQueueHandle,
};

use self::probe::Features;
use super::face::Handler;
use super::slices::Slices;
use super::wake::Waker;

/// glommio's own registered memory and rings; clients' data does not pass through them.
const GLOMMIO_MEMORY_BYTES: usize = 64 * 1024;
const GLOMMIO_RING_DEPTH: usize = 64;
/// INVARIANT: glommio's preemption timer never expires. When it does between glommio's look at its rings and its run of
/// the tasks (the thread only has to lose its CPU there), glommio runs none of them and goes to sleep, although some
/// are ready; and nothing that concerns this core would wake it. The tasks here give way to each other of themselves.
const GLOMMIO_PREEMPTION: Duration = Duration::from_secs(365 * 24 * 3600);

/// The executor of one core. Made before the thread is pinned, so that glommio's helper thread may run elsewhere.
pub fn executor() -> io::Result<LocalExecutor> {
    LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(GLOMMIO_MEMORY_BYTES)
        .ring_depth(GLOMMIO_RING_DEPTH)
        .preempt_timer(GLOMMIO_PREEMPTION)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .make()
        .map_err(io::Error::from)
}

/// One core, set up on its own thread.
pub struct Engine<H> {
    executor: LocalExecutor,
    core: driver::Core<H>,
}

impl<H: Handler + 'static> Engine<H> {
    /// Sets up the ring of a core.
    pub fn new(
        executor: LocalExecutor,
        core: usize,
        waker: Waker,
        features: Features,
        handler: H,
    ) -> io::Result<Engine<H>> {
        Ok(Engine { executor, core: driver::Core::new(core, waker, features, handler)? })
    }

    /// Runs the core until its handler stops.
    pub fn run(self) {
        let core = Rc::new(RefCell::new(self.core));
        self.executor.run(async move {
            let tasks = glommio::executor();
            // A queue with a latency of its own would set the timer to that.
            let commands = tasks.create_task_queue(Shares::Static(900), Latency::NotImportant, "commands");
            let background =
                tasks.create_task_queue(Shares::Static(100), Latency::NotImportant, "background");
            let slices = Rc::new(Slices::default());
            let slicer = spawn_into(slicer(core.clone(), slices.clone()), background);
            spawn_into(driver::drive(core, slices), commands).await;
            slicer.await;
        });
    }
}

async fn slicer<H: Handler>(core: Rc<RefCell<driver::Core<H>>>, slices: Rc<Slices>) {
    while slices.granted().await {
        core.borrow_mut().slice();
        slices.done();
    }
}

fn spawn_into(task: impl Future<Output = ()> + 'static, queue: TaskQueueHandle) -> Task<()> {
    glommio::spawn_local_into(task, queue).expect("the queue was just made")
}
