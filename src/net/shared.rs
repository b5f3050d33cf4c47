//! What the cores of one process share: a few words each of them reads, never data on the way of a command.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use crate::config::{Config, id};
use crate::persistence::Durable;
use crate::pubsub::Presence;
use crate::runtime::face::Listener;
use crate::shard::memory::MemoryBoard;
use crate::tx::Grace;

/// What a core's clients cost, for `maxmemory-clients`.
#[derive(Default)]
pub struct ClientMemory {
    /// Bytes of all of them.
    pub total: AtomicU64,
    /// Bytes of the largest that may be closed.
    pub largest: AtomicU64,
}

/// Waits for all cores to serve.
pub struct Ready {
    missing: AtomicUsize,
    then: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Ready {
    /// Calls `then` on the last of `cores` cores that is ready.
    pub fn new(cores: usize, then: impl FnOnce() + Send + 'static) -> Ready {
        Ready { missing: AtomicUsize::new(cores), then: Mutex::new(Some(Box::new(then))) }
    }

    /// One core more listens. To be called once per core.
    pub fn one_more(&self) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(then) = self.then.lock().expect("no holder panics").take()
        {
            then();
        }
    }
}

/// One per process.
pub struct Shared {
    pub shards: usize,
    /// The configuration; cores keep a copy and look at `config_version` once a turn.
    pub config: RwLock<Arc<Config>>,
    pub config_version: AtomicU64,
    /// Where the configuration came from, for CONFIG REWRITE.
    pub config_file: Option<std::path::PathBuf>,
    /// Serialises CONFIG SET and REWRITE.
    pub config_change: Mutex<()>,
    pub grace: Arc<Grace>,
    /// Where shards rest whose cores sleep.
    pub seats: super::rest::Seats,
    /// The last transaction number drawn.
    pub tx_counter: Arc<AtomicU64>,
    pub memory: Arc<MemoryBoard>,
    /// The next client's id.
    pub next_client: AtomicU64,
    /// Connections per core, for spreading new ones.
    pub connections: Vec<AtomicUsize>,
    /// Connections of the process, those on their way to a core included.
    pub connections_total: AtomicUsize,
    /// Clients in MONITOR, per core.
    pub monitors: Vec<AtomicUsize>,
    /// Clients in MONITOR on all cores.
    pub monitor_count: AtomicUsize,
    /// Which cores have subscribers.
    pub presence: Arc<Presence>,
    /// Keys that are remembered for client-side caching.
    pub tracked_keys: Arc<AtomicUsize>,
    /// CLIENT PAUSE: until when (ms since the epoch; 0 not paused), and whether reads pause too.
    pub pause_until_ms: AtomicI64,
    pub pause_all: AtomicBool,
    /// Saving and loading.
    pub durable: Arc<Durable>,
    /// The data could not be loaded.
    pub started_badly: AtomicBool,
    /// Leave the loops.
    pub stop: AtomicBool,
    /// The process's start, milliseconds since the epoch.
    pub started_ms: u64,
    pub run_id: String,
    /// The engine's name and why it runs.
    pub engine: (String, String),
    /// The TCP port; 0 for none.
    pub port: AtomicUsize,
    /// Per core; meaningful while `maxmemory-clients` is set.
    pub client_memory: Vec<ClientMemory>,
    pub evicted_clients: AtomicU64,
    /// The TCP addresses that are listened on.
    pub addresses: Mutex<Vec<SocketAddr>>,
    /// Per core the TCP listeners that are to replace its present ones.
    pub pending_listeners: Mutex<Vec<Option<Vec<Listener>>>>,
    /// The kernel's out-of-memory score as the process found it.
    pub oom_score_base: Option<i32>,
    /// Told by every core when it serves.
    pub ready: Ready,
    pub rejected_connections: AtomicU64,
    pub total_connections: AtomicU64,
    pub observe: crate::observe::Words,
    pub scripts: crate::script::Scripts,
    /// Writes a line of a script into the log: its level, its bytes.
    pub log: fn(u8, &[u8]),
}

impl Shared {
    /// What a process of `shards` cores with this configuration shares; who runs it fills in who it is.
    pub fn new(shards: usize, config: Config) -> Shared {
        Shared {
            shards,
            scripts: crate::script::Scripts::new(shards),
            log: |_, _| {},
            port: AtomicUsize::new(config.integer(id::PORT) as usize),
            config: RwLock::new(Arc::new(config)),
            config_version: AtomicU64::new(1),
            config_file: None,
            config_change: Mutex::new(()),
            grace: Grace::new(shards),
            seats: super::rest::Seats::new(shards),
            tx_counter: Arc::new(AtomicU64::new(0)),
            memory: MemoryBoard::new(shards),
            next_client: AtomicU64::new(1),
            connections: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            connections_total: AtomicUsize::new(0),
            monitors: (0..shards).map(|_| AtomicUsize::new(0)).collect(),
            monitor_count: AtomicUsize::new(0),
            presence: Arc::new(Presence::new(shards)),
            tracked_keys: Arc::default(),
            client_memory: (0..shards).map(|_| ClientMemory::default()).collect(),
            evicted_clients: AtomicU64::new(0),
            pause_until_ms: AtomicI64::new(0),
            pause_all: AtomicBool::new(false),
            durable: Arc::new(Durable::new(shards)),
            started_badly: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            started_ms: 0,
            run_id: String::new(),
            engine: (String::new(), String::new()),
            addresses: Mutex::new(Vec::new()),
            pending_listeners: Mutex::new(Vec::new()),
            oom_score_base: None,
            ready: Ready::new(shards, || {}),
            observe: Default::default(),
            rejected_connections: AtomicU64::new(0),
            total_connections: AtomicU64::new(0),
        }
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Arc<Config> {
        self.config.read().expect("no holder panics").clone()
    }

    /// Replaces the configuration; cores notice at their next turn.
    pub fn set_config(&self, config: Config) {
        *self.config.write().expect("no holder panics") = Arc::new(config);
        self.config_version.fetch_add(1, Ordering::Release);
    }

    /// CONFIG RESETSTAT: the counters that no core keeps for itself.
    pub fn reset_stats(&self) {
        self.rejected_connections.store(0, Ordering::Relaxed);
        self.evicted_clients.store(0, Ordering::Relaxed);
        self.total_connections.store(0, Ordering::Relaxed);
        self.durable.reset_stats();
    }

    /// The core that serves with the fewest connections: one that a script keeps busy only when all are.
    pub fn emptiest_core(&self) -> usize {
        let loads = self.connections.iter().map(|count| count.load(Ordering::Relaxed));
        let is_busy = |core: usize| self.scripts.running[core].busy_with().is_some();
        loads.enumerate().min_by_key(|(core, load)| (is_busy(*core), *load)).map_or(0, |(core, _)| core)
    }
}
