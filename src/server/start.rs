//! From the command line to running cores.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use anyhow::{Context, Result};

use super::registry;
use crate::config::{Action, Config, Startup, id, startup};
use crate::net::core::Parts;
use crate::net::shared::ClientMemory;
use crate::net::{Core, Shared};
use crate::runtime::engine::{self, Kind, Wanted};
use crate::runtime::face::Listener;
use crate::runtime::mesh::mesh;
use crate::runtime::wake::Waker;
use crate::shard::Shard;
use crate::shard::memory::MemoryBoard;
use crate::sys::resources::Resources;
use crate::sys::{clock, crash, entropy, signals};
use crate::tx::Grace;
use crate::types::ShardId;
use crate::types::raw::table::Hasher;

/// Runs the program.
pub fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coreshard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let startup = startup::parse(args, std::env::vars_os(), &mut std::io::stdin())?;
    match &startup.action {
        Action::Print(text) => {
            println!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Action::CheckConfig => {
            println!("The configuration is good.");
            Ok(ExitCode::SUCCESS)
        }
        Action::Serve => serve(startup),
    }
}

fn serve(startup: Startup) -> Result<ExitCode> {
    let Startup { config, config_file, .. } = startup;
    clock::calibrate();
    crash::install_signal_handlers().context("installing the crash handlers")?;
    crash::install_panic_hook(crash::OnPanic::Unwind);
    let stop_fd = signals::install().context("installing the signal handlers")?;
    let resources = Resources::detect();
    let shards = match config.integer(id::THREADS) {
        0 => resources.cpu_count.max(1),
        asked => asked as usize,
    };
    let wanted = match config.choice(id::ENGINE).as_str() {
        "io_uring" => Wanted::IoUring,
        "epoll" => Wanted::Epoll,
        _ => Wanted::Auto,
    };
    let choice = engine::probe(wanted);
    let cpus: Vec<Option<usize>> =
        (0..shards).map(|core| resources.cpus.get(core).map(|cpu| cpu.id)).collect();
    let waker = Waker::new(shards)?;
    let shared = Arc::new(Shared {
        shards,
        config: RwLock::new(Arc::new(config.clone())),
        config_version: AtomicU64::new(1),
        config_file,
        config_change: Mutex::new(()),
        grace: Grace::new(shards),
        tx_counter: Arc::new(AtomicU64::new(0)),
        memory: MemoryBoard::new(shards),
        next_client: AtomicU64::new(1),
        connections: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
        connections_total: AtomicUsize::new(0),
        monitors: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
        monitor_count: AtomicUsize::new(0),
        pause_until_ms: AtomicI64::new(0),
        pause_all: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        started_ms: clock::realtime_ms(),
        run_id: entropy::run_id(),
        engine: (choice.kind.name().to_owned(), choice.reason.clone()),
        client_memory: (0..shards).map(|_| ClientMemory::default()).collect(),
        evicted_clients: AtomicU64::new(0),
        port: AtomicUsize::new(config.integer(id::PORT) as usize),
        addresses: Mutex::new(Vec::new()),
        pending_listeners: Mutex::new(Vec::new()),
        oom_score_base: crate::sys::limits::oom_score_adj().ok(),
        rejected_connections: AtomicU64::new(0),
        total_connections: AtomicU64::new(0),
        observe: Default::default(),
    });
    let listeners = listeners(&config, &shared)?;
    let listeners = Mutex::new(listeners.into_iter().map(Some).collect::<Vec<_>>());
    let table = registry::table();
    let bound = registry::bind(table);
    let ports = Mutex::new(mesh(shards).into_iter().map(Some).collect::<Vec<_>>());
    let databases = config.integer(id::DATABASES) as usize;
    let seed = entropy::seed();
    let hasher = Hasher::from_seed(seed);
    eprintln!(
        "coreshard {}: {} ({}), {} shard(s), port {}, pid {}",
        env!("CARGO_PKG_VERSION"),
        choice.kind.name(),
        choice.reason,
        shards,
        shared.port.load(Ordering::Relaxed),
        std::process::id()
    );
    std::thread::spawn({
        let (shared, waker) = (shared.clone(), waker.clone());
        move || {
            wait_readable(stop_fd);
            shared.stop.store(true, Ordering::Relaxed);
            waker.wake_all();
        }
    });
    let build = {
        let shared = shared.clone();
        move |core: usize| {
            let shard = Shard::new(
                ShardId(core as u16),
                databases,
                hasher.clone(),
                seed ^ (core as u64 + 1),
                shared.memory.clone(),
            );
            let port = ports.lock().expect("no builder panics")[core].take().expect("one port per core");
            let mut handler = Core::new(Parts {
                me: ShardId(core as u16),
                shared: shared.clone(),
                table,
                bound: bound.clone(),
                shard,
                port,
            });
            handler.listeners = listeners.lock().expect("no builder panics")[core].take().unwrap_or_default();
            handler
        }
    };
    let _ = Kind::IoUring;
    engine::run(&choice, &cpus, &waker, build).context("running the cores")?;
    Ok(ExitCode::SUCCESS)
}

fn wait_readable(fd: std::os::fd::RawFd) {
    crate::sys::signals::wait(fd);
}

/// The sockets of every core.
fn listeners(config: &Config, shared: &Shared) -> Result<Vec<Vec<Listener>>> {
    let opened = super::listeners::open_tcp(config, shared.shards, &[])?;
    *shared.addresses.lock().expect("no holder panics") = opened.addresses;
    let mut cores = opened.cores;
    cores[0].extend(super::listeners::open_unix(config)?);
    cores[0].extend(super::listeners::open_metrics(config)?);
    Ok(cores)
}
