//! Starting and stopping engines in tests.

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::runtime::engine::{self, Choice, Wanted};
use crate::runtime::face::{Handler, Listener};
use crate::runtime::socket;
use crate::runtime::wake::Waker;

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What every handler of a test gets.
#[derive(Clone)]
pub struct Stage {
    pub waker: Waker,
    pub stop: Arc<AtomicBool>,
    /// One listener per core, taken in the first turn.
    listeners: Arc<Mutex<Vec<Option<Listener>>>>,
}

impl Stage {
    pub fn take_listener(&self, core: usize) -> Option<Listener> {
        self.listeners.lock().unwrap().get_mut(core)?.take()
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// A running engine.
pub struct Running {
    pub addr: SocketAddr,
    pub stage: Stage,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start<H: Handler + 'static>(
        choice: &Choice,
        cores: usize,
        make: impl Fn(usize, Stage) -> H + Send + Sync + 'static,
    ) -> Running {
        let first = socket::listen_tcp("127.0.0.1:0".parse().unwrap(), 511, true).unwrap();
        let addr = socket::local_addr(&first).unwrap();
        let mut listeners = vec![Some(first)];
        for _ in 1..cores {
            listeners.push(Some(socket::listen_tcp(addr, 511, true).unwrap()));
        }
        let stage = Stage {
            waker: Waker::new(cores).unwrap(),
            stop: Arc::new(AtomicBool::new(false)),
            listeners: Arc::new(Mutex::new(listeners)),
        };
        let (choice, inner) = (choice.clone(), stage.clone());
        let thread = std::thread::spawn(move || {
            let waker = inner.waker.clone();
            engine::run(&choice, &vec![None; cores], &waker, move |core| make(core, inner.clone())).unwrap();
        });
        Running { addr, stage, thread: Some(thread) }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stage.stop.store(true, Ordering::SeqCst);
        self.stage.waker.wake_all();
        let result = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            result.unwrap();
        }
    }
}

/// Every engine that this machine can run.
pub fn each_engine(test: impl Fn(&Choice)) {
    let mut choices = vec![engine::probe(Wanted::Epoll)];
    choices.extend(engine::step_downs());
    for choice in &choices {
        eprintln!("engine {:?}", choice);
        test(choice);
    }
}
