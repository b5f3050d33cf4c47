//! One core: its shard, its clients, and what it has under way with other cores. The engines drive it in turns.
//!
//! A turn: bytes that came in are parsed (`query.rs`) and commands whose keys are here run at once (`dispatch.rs`); the
//! rest goes into one batch per destination. `turn` then sends the batches, publishes the turn, takes the mail (`mail.rs`),
//! steps the transactions and hands every client's replies to the engine (`output.rs`).
//!
//! INVARIANT (causal pipelines): (a) an inbox is one FIFO for all senders; (b) local commands run during parsing,
//! before the flush, and the flush comes before the mail is taken; (c) a batch is run only after its sender published
//! its turn (`runtime/mesh.rs`); (d) a command that spans shards, or changes what the connection is, waits until
//! the connection's earlier commands are answered; (e) beside transactions over several shards a connection has
//! commands outstanding at one shard only (`tx/grace.rs` says why). So what a client's later command shows to
//! others, its earlier command has shown before.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashMap;

use super::batch::Batch;
use super::blocked::{Blocked, EndOfWait};
use super::client::Client;
use super::clients::Clients;
use super::dispatch::Bound;
use super::durable::{Asked, Job, Loading};
use super::lend::Loans;
use super::log::LogGate;
use super::mail::{Broadcast, ShardWork};
use super::pubsub::Publishing;
use super::shared::Shared;
use super::shrinking::Shrinking;
use super::sliced::Sliced;
use super::tracking::Caches;
use crate::commands::CommandTable;
use crate::config::{Config, id};
use crate::observe::CommandStats;
use crate::pubsub::Subscriptions;
use crate::resp::Limits;
use crate::runtime::face::{Closed, ConnId, Handler, ListenerKind, NetIo, Socket, Turn};
use crate::runtime::mesh::Port;
use crate::shard::{Placement, Shard};
use crate::sys::clock;
use crate::tx::message::Token;
use crate::tx::multi::Plan;
use crate::tx::{Coordinator, Queue};
use crate::types::{ClientId, ShardId};

/// Batches kept for reuse.
const SPARE_BATCHES: usize = 64;
/// How often a core looks at timeouts and limits (milliseconds).
const CRON_MS: u64 = 100;
/// The same for a core that nothing happens on: clients are looked at once a second.
const IDLE_CRON_MS: u64 = 1_001;
/// How often an idle core looks whether a save is due.
const SAVE_LOOK_NS: u64 = 1_000_000_000;

/// One core.
pub struct Core {
    pub me: ShardId,
    pub placement: Placement,
    pub shared: Arc<Shared>,
    pub config: Arc<Config>,
    pub config_version: u64,
    pub table: &'static CommandTable,
    pub bound: Arc<Vec<Bound>>,
    pub limits: Limits,
    pub limits_unauthenticated: Limits,

    pub shard: Box<Shard>,
    /// Shards lent to this core and by it.
    pub loans: Loans,
    pub queue: Queue<ShardWork>,
    /// Connections with a command in `queue`: later ones of theirs must not overtake it.
    pub held: HashMap<(ShardId, u32, u32), usize, ahash::RandomState>,
    pub coordinator: Coordinator<Plan>,
    /// Clients, of any core, that wait at keys of this shard.
    pub blocked: Blocked,
    /// Commands that go on in slices.
    pub sliced: Sliced,
    shrinking: Shrinking,
    pub broadcasts: Vec<Option<Broadcast>>,

    pub clients: Clients,
    pub subscriptions: Subscriptions,
    pub publishing: Publishing,
    pub caches: Caches,
    /// Clients with something to send.
    pub dirty: Vec<ConnId>,
    /// Clients whose stall is over.
    pub ready: VecDeque<ConnId>,
    /// Clients that wait for CLIENT PAUSE to end, or for credit.
    pub paused: Vec<ConnId>,
    pub short_of_credit: Vec<ConnId>,
    /// Unsent reply bytes at which a client's next commands wait.
    pub output_stall_bytes: usize,
    /// Clients were last looked at one by one.
    pub clients_checked_ms: u64,
    /// Bytes that clients sent since their memory was looked at.
    pub unlooked_bytes: u64,
    /// Clients that are to go to another core.
    pub leaving: Vec<ConnId>,
    /// Connections that are told why they may not stay.
    pub turned_away: Vec<ConnId>,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub active_expire: bool,
    /// DEBUG SET-SKIP-CHECKSUM-VALIDATION.
    pub skip_checksums: bool,
    /// `min-replicas-to-write` asks for replicas, of which there are none.
    pub lacks_replicas: bool,
    /// There are save points.
    pub has_save_rules: bool,
    /// What waits for a save or a load to end.
    pub jobs: Vec<Job>,
    /// A broadcast's merge began it: the client whose it is follows.
    pub reload_asked: Option<Asked>,
    /// The state of `Durable::news` when jobs were last looked at.
    pub news_seen: u64,
    /// The last round in which this core said that it rests.
    pub rested_in: u64,
    /// Replies that wait for the log.
    pub log_gate: LogGate,
    /// A file is being loaded.
    pub loading: Option<Loading>,
    /// A log is being loaded.
    pub replay: super::replay::Replay,
    /// A snapshot under way gets no slice before.
    pub(super) save_rests_until_ns: u64,
    /// Requests came since the last slice of a snapshot.
    pub(super) has_served: bool,
    /// To be opened in the first turn.
    pub listeners: Option<Vec<crate::runtime::face::Listener>>,

    pub port: Port<Box<Batch>>,
    pub outgoing: Vec<Option<Box<Batch>>>,
    pub spare: Vec<Box<Batch>>,
    /// Batches that arrived while a script waited for an answer, in their order.
    pub stashed: VecDeque<(ShardId, Box<Batch>)>,
    /// This core's script is busy, and the core hears its clients meanwhile (`busy.rs`).
    pub attends: bool,
    /// The machine for scripts, once there was one. Away while one runs.
    pub scripts: Option<Box<crate::script::Cache>>,
    /// Transaction messages to this very core.
    pub own_mail: VecDeque<crate::tx::message::TxMessage>,
    /// Transactions are in flight somewhere: this turn runs in transaction mode.
    pub tx_mode: bool,
    resting: bool,

    pub now_ns: u64,
    pub now_ms: u64,
    next_cron_ns: u64,
    /// A client was over the soft limit of its output when it was looked at last.
    pub over_soft_limit: bool,
    /// Room for requests parsed ahead.
    pub ahead: super::query::Ahead,
    /// Counter reading from which the next command's time counts.
    pub clock_mark: u64,
    /// How long one client's pipeline may run before the others have their turn. Without end unless set: the
    /// simulation goes by no clock.
    pub visit_cycles: u64,
    pub stats: Vec<CommandStats>,
    pub observe: crate::observe::CoreObserve,
}

impl Core {
    /// Reads the clocks once for everything of this turn.
    #[inline]
    pub fn read_clocks(&mut self, io: &dyn NetIo) {
        self.now_ns = io.now_ns();
        self.now_ms = clock::realtime_ms();
        self.shard.now_ms = self.now_ms;
        self.follow_pause();
    }

    /// Wakes from rest: from now on this core is in a turn.
    #[inline]
    fn rise(&mut self, io: &dyn NetIo) {
        if self.resting {
            self.resting = false;
            self.fetch_shard();
            self.begin_turn();
            self.read_clocks(io);
        }
    }

    fn begin_turn(&mut self) {
        self.tx_mode = self.shared.grace.begin_turn(self.me.index());
        self.take_over_config();
        self.follow_log_switch();
        self.coordinator.has_log = self.shard.log.is_some();
    }

    /// Takes over the process's configuration if it is another now.
    pub fn take_over_config(&mut self) {
        let version = self.shared.config_version.load(Ordering::Acquire);
        if version != self.config_version {
            self.config_version = version;
            self.apply_config();
        }
    }

    /// CONFIG RESETSTAT: this core's counters start anew.
    pub fn reset_stats(&mut self) {
        self.stats.fill_with(CommandStats::default);
        self.shard.stats = Default::default();
        self.shard.expiry_lag.reset();
        self.shard.graveyard.count_anew();
        self.observe.reset();
    }

    /// Do `enable-debug-command` and its like allow this to a client of this core?
    pub fn is_allowed(&self, permission: id::ChoiceId, client: ClientId) -> bool {
        match self.config.choice(permission).as_str() {
            "yes" => true,
            "local" => self.clients.iter().any(|known| known.id == client && known.is_local()),
            _ => false,
        }
    }

    /// Takes over the process's configuration.
    pub fn apply_config(&mut self) {
        self.config = self.shared.config();
        self.limits.max_bulk_bytes = super::settings::max_bulk_bytes(&self.config);
        self.limits_unauthenticated = Limits { authenticated: false, ..self.limits.clone() };
        self.shard.settings =
            super::settings::shard_settings(&self.config, self.active_expire, self.is_paused());
        self.shard.settings.slices_above = self.sliced.above;
        self.shard.settings.skip_checksums = self.skip_checksums;
        self.shard.notice(super::settings::notice_wants(&self.config));
        self.shard.tracking.bound_to(self.config.integer(id::TRACKING_TABLE_MAX_KEYS) as usize);
        self.output_stall_bytes = self.output_stall_limit();
        if self.me == ShardId(0) {
            self.shared.durable.aof.configure(&self.config);
        }
        self.observe.apply(&self.config);
        self.has_save_rules = !self.config.save_rules().is_empty();
        self.lacks_replicas = self.config.integer(id::MIN_REPLICAS_TO_WRITE) > 0
            && self.config.integer(id::MIN_REPLICAS_MAX_LAG) > 0;
        self.apply_replay();
    }

    /// The batch for a core, begun if there is none.
    pub fn batch_to(&mut self, to: ShardId) -> &mut Batch {
        let spare = &mut self.spare;
        self.outgoing[to.index()].get_or_insert_with(|| spare.pop().unwrap_or_default())
    }

    /// Sends all batches of this turn.
    pub fn flush(&mut self, io: &mut dyn NetIo) -> bool {
        let logged = self.give_log();
        self.send_batches(io, logged)
    }

    /// The same while a block of the log is open, which cannot be given to the writer in two pieces.
    pub fn flush_in_block(&mut self, io: &mut dyn NetIo) -> bool {
        let logged = self.give_log_before_block();
        self.send_batches(io, logged)
    }

    fn send_batches(&mut self, io: &mut dyn NetIo, logged: u64) -> bool {
        self.shard.publish_keys();
        let mut any = false;
        for to in 0..self.outgoing.len() {
            if let Some(mut batch) = self.outgoing[to].take() {
                batch.logged = logged;
                self.port.send(to, batch);
                any = true;
            }
        }
        if any {
            self.port.publish();
            for to in 0..self.outgoing.len() {
                if to != self.me.index() {
                    io.wake(to);
                }
            }
            self.loans.wake_lenders();
        }
        any
    }

    /// Keeps a batch for reuse.
    pub fn recycle(&mut self, mut batch: Box<Batch>) {
        if self.spare.len() < SPARE_BATCHES {
            batch.recycle();
            self.spare.push(batch);
        }
    }

    /// Adopts a socket as a client of this core.
    pub fn adopt(&mut self, io: &mut dyn NetIo, socket: Socket) {
        use std::os::fd::AsRawFd;
        let (kind, peer, local, fd) = (socket.kind, socket.peer, socket.local, socket.fd.as_raw_fd());
        let keepalive = self.config.integer(id::TCP_KEEPALIVE);
        if kind == ListenerKind::Tcp && keepalive > 0 {
            // A socket that refuses keepalive still serves.
            let _ = crate::runtime::socket::set_keepalive(&socket, keepalive as u32);
        }
        let counters = &self.shared;
        match io.adopt(socket) {
            Ok(conn) => {
                let client_id = match kind {
                    // Redis's number for it.
                    ListenerKind::Loader => ClientId(u64::MAX),
                    _ => ClientId(counters.next_client.fetch_add(1, Ordering::Relaxed)),
                };
                let mut client = Client::new(client_id, conn, kind, self.now_ms);
                client.peer = peer;
                client.local = local;
                client.fd = fd;
                if kind == ListenerKind::Unix {
                    client.socket_path = self.config.optional(id::UNIXSOCKET).unwrap_or_default().into();
                }
                // Nothing that a scraper sends is a command.
                client.authenticated = !kind.is_for_clients() || !self.requires_password();
                self.clients.insert(client);
                self.observe.http_clients += usize::from(kind == ListenerKind::Metrics);
            }
            // Others are not counted among the connections.
            Err(_) if !kind.is_for_clients() => {}
            Err(_) => {
                counters.connections[self.me.index()].fetch_sub(1, Ordering::Relaxed);
                counters.connections_total.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Forgets a client whose connection is gone.
    pub fn forget(&mut self, conn: ConnId) {
        let Some(mut client) = self.clients.remove(conn) else { return };
        if !client.kind.is_for_clients() {
            self.observe.http_clients -= usize::from(client.kind == ListenerKind::Metrics);
            return;
        }
        self.shared.connections[self.me.index()].fetch_sub(1, Ordering::Relaxed);
        self.shared.connections_total.fetch_sub(1, Ordering::Relaxed);
        if client.monitor {
            self.shared.monitors[self.me.index()].fetch_sub(1, Ordering::Relaxed);
            self.shared.monitor_count.fetch_sub(1, Ordering::Relaxed);
        }
        if client.subscriptions.any() {
            self.subscriptions.forget(conn);
        }
        if let Some(tracking) = client.tracking.take() {
            self.forget_tracking(client.id, conn, &tracking);
        }
        self.forget_target(client.id);
        if client.outstanding > 0 {
            self.leave_slices(conn, client.outstanding_at);
        }
        if client.stall == super::client::Stall::Paused {
            self.paused.retain(|known| *known != conn);
        }
        if client.stall == super::client::Stall::Blocked {
            let token = Token { index: conn.index, generation: conn.generation, seq: 0 };
            self.end_waits(token, EndOfWait::Gone);
        }
        let mut watched = std::mem::take(&mut client.watched);
        watched.append(&mut client.watched_by_exec);
        self.unwatch(watched);
    }

    /// Closes a client now.
    pub fn close(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        io.close(conn);
        self.forget(conn);
    }

    /// After every command, and whatever else may have changed keys: tells those who follow them.
    #[inline]
    pub fn follow_up(&mut self) {
        if self.shard.has_news() {
            self.tell_news();
        }
        if self.shard.waits.has_ready() {
            self.serve_waiters();
        }
    }

    /// Publishes what the shard has noticed, and tells those who cache.
    #[cold]
    pub fn tell_news(&mut self) {
        if self.shard.notices.has_pending() {
            self.notify();
        }
        if self.shard.tracking.has_pending() {
            self.tell_invalid();
        }
    }

    /// Lets a client go on whose stall is over.
    pub fn release(&mut self, conn: ConnId) {
        self.ready.push_back(conn);
    }

    /// The first turn: from here on this core serves.
    #[cold]
    fn serve(&mut self, io: &mut dyn NetIo, listeners: Vec<crate::runtime::face::Listener>) {
        for listener in listeners {
            io.listen(listener).expect("a bound socket can be listened on");
        }
        self.shared.ready.one_more();
    }

    fn cron(&mut self, io: &mut dyn NetIo) {
        // By the clock that never goes back: the other one may be set.
        if self.now_ns < self.next_cron_ns {
            return;
        }
        self.next_cron_ns = self.now_ns + CRON_MS * 1_000_000;
        self.check_clients(io);
        self.observe_cron();
        self.durable_cron();
    }

    /// An idle core wakes up for its clients' sake once a second. What is the process's concern is looked at more often, by
    /// one core: who wakes up takes a processor from others, and cannot leave its shard to them.
    fn cron_deadline_ns(&self) -> Option<u64> {
        let is_first = self.me == ShardId(0) || self.shared.connections[0].load(Ordering::Relaxed) == 0;
        let in_ms = if is_first || self.over_soft_limit { CRON_MS } else { IDLE_CRON_MS };
        (!self.clients.is_empty()).then_some(self.now_ns + in_ms * 1_000_000)
    }

    /// With save points and unsaved changes the clock is looked at even when nothing happens.
    fn save_deadline_ns(&self) -> Option<u64> {
        (self.has_save_rules && self.shared.durable.is_attached() && self.shared.durable.changes() > 0)
            .then_some(self.now_ns + SAVE_LOOK_NS)
    }

    /// Clients that were paused or short of credit, or wait for cores to rest, try again.
    fn retry(&mut self) {
        if !self.loans.patient.is_empty() {
            self.ready.extend(self.loans.patient.drain(..));
        }
        if !self.short_of_credit.is_empty() {
            self.ready.extend(self.short_of_credit.drain(..));
        }
        if !self.paused.is_empty() && !self.is_paused() && !self.shared.durable.is_held() {
            self.ready.extend(self.paused.drain(..));
        }
    }

    fn resume_ready(&mut self, io: &mut dyn NetIo) -> bool {
        let mut any = false;
        for _ in 0..self.ready.len() {
            let Some(conn) = self.ready.pop_front() else { break };
            any = true;
            self.resume(io, conn);
        }
        any
    }
}

/// The two halves of [`Handler::turn`], apart so that the simulation can put other cores' steps between them.
impl Core {
    /// The end of a turn: its batches leave.
    pub fn end_turn(&mut self, io: &mut dyn NetIo) -> bool {
        self.rise(io);
        self.read_clocks(io);
        if let Some(listeners) = self.listeners.take() {
            self.serve(io, listeners);
        }
        self.flush(io)
    }

    /// The beginning of the next turn: mail, transactions, clients that may go on, replies.
    pub fn next_turn(&mut self, io: &mut dyn NetIo, flushed: bool) -> Turn {
        // Everything of the last turn is in its inbox, and no command has run since.
        self.shared.grace.end_turn(self.me.index());
        self.begin_turn();
        let mut busy = flushed | self.take_mail(io);
        busy |= self.durable_turn(io);
        self.step_transactions(io);
        self.end_overdue_waits(io);
        self.follow_up();
        self.retry();
        busy |= self.resume_ready(io);
        self.follow_up();
        self.end_sitting(io);
        self.tell_broadcasts();
        busy |= self.flush(io);
        let stop = self.shared.stop.load(Ordering::Relaxed);
        busy |= self.send_replies(io, stop);
        if !self.leaving.is_empty() {
            self.let_leave(io);
        }
        self.look_at_received(io);
        self.cron(io);
        busy |= self.lend(io);
        self.shrinking.look(self.now_ms, self.shard.used_bytes());
        if self.shard.publish_memory() {
            // The process is over its limit: cores that sleep may have what is to be evicted.
            (0..self.shared.shards).for_each(|core| io.wake(core));
        }
        busy |= !self.ready.is_empty() || !self.own_mail.is_empty() || !self.stashed.is_empty();
        self.shard.snapshot.rests = self.now_ns < self.save_rests_until_ns;
        let has_background = self.shard.has_background() || self.sliced.has_work();
        let saves_later = self.shard.snapshot.rests && self.shard.snapshot.is_on();
        let deadlines = [
            saves_later.then_some(self.save_rests_until_ns),
            self.cron_deadline_ns(),
            self.patience_deadline_ns(),
            self.coordinator.deadline_ns(),
            self.pause_deadline_ns(),
            self.save_deadline_ns(),
            self.job_deadline_ns(),
            self.blocked.deadline_ms().map(|at| {
                self.now_ns.saturating_add(at.saturating_sub(self.now_ms).saturating_mul(1_000_000))
            }),
            self.shard
                .next_background_ms()
                // Deadlines may be set as far off as numbers reach.
                .map(|at| {
                    self.now_ns.saturating_add(at.saturating_sub(self.now_ms).saturating_mul(1_000_000))
                }),
        ];
        Turn {
            busy: busy || self.coordinator.is_entering() || !self.short_of_credit.is_empty(),
            background: has_background,
            deadline_ns: deadlines.into_iter().flatten().min(),
            stop,
        }
    }
}

/// What a core is made of, built by `server`.
pub struct Parts {
    pub me: ShardId,
    pub shared: Arc<Shared>,
    pub table: &'static CommandTable,
    pub bound: Arc<Vec<Bound>>,
    pub shard: Shard,
    pub port: Port<Box<Batch>>,
}

impl Core {
    /// Assembles a core.
    pub fn new(parts: Parts) -> Core {
        let Parts { me, shared, table, bound, shard, port } = parts;
        let coordinator = Coordinator::new(me.index(), shared.tx_counter.clone(), shared.grace.clone());
        let mut core = Core {
            me,
            placement: Placement::new(shared.shards),
            config: shared.config(),
            config_version: shared.config_version.load(Ordering::Acquire),
            limits: Limits::default(),
            limits_unauthenticated: Limits::default(),
            stats: table.iter().map(|_| CommandStats::default()).collect(),
            table,
            bound,
            shard: Box::new(shard),
            loans: Loans::default(),
            queue: Queue::default(),
            held: HashMap::default(),
            coordinator,
            blocked: Blocked::default(),
            sliced: Sliced::default(),
            shrinking: Shrinking::default(),
            broadcasts: Vec::new(),
            clients: Clients::default(),
            subscriptions: Subscriptions::new(shared.presence.clone(), me.index()),
            publishing: Publishing::default(),
            caches: Caches::default(),
            dirty: Vec::new(),
            ready: VecDeque::new(),
            paused: Vec::new(),
            short_of_credit: Vec::new(),
            output_stall_bytes: 0,
            clients_checked_ms: 0,
            unlooked_bytes: 0,
            leaving: Vec::new(),
            turned_away: Vec::new(),
            active_expire: true,
            skip_checksums: false,
            lacks_replicas: false,
            has_save_rules: false,
            jobs: Vec::new(),
            reload_asked: None,
            news_seen: 0,
            rested_in: 0,
            log_gate: LogGate::new(shared.shards),
            loading: None,
            replay: Default::default(),
            save_rests_until_ns: 0,
            has_served: false,
            listeners: Some(Vec::new()),
            outgoing: (0..shared.shards).map(|_| None).collect(),
            port,
            spare: Vec::new(),
            stashed: VecDeque::new(),
            attends: false,
            scripts: None,
            own_mail: VecDeque::new(),
            tx_mode: false,
            resting: true,
            now_ns: 0,
            now_ms: clock::realtime_ms(),
            next_cron_ns: 0,
            over_soft_limit: false,
            ahead: super::query::Ahead::default(),
            clock_mark: 0,
            visit_cycles: u64::MAX,
            observe: crate::observe::CoreObserve::default(),
            shared,
        };
        core.shard.tracking.total = core.shared.tracked_keys.clone();
        core.apply_config();
        core
    }
}

impl Handler for Core {
    fn accepted(&mut self, io: &mut dyn NetIo, socket: Socket) {
        self.rise(io);
        self.welcome(io, socket);
    }

    fn received(&mut self, io: &mut dyn NetIo, conn: ConnId, bytes: &[u8]) {
        self.rise(io);
        self.unlooked_bytes += bytes.len() as u64;
        self.has_served = true;
        self.take_bytes(io, conn, bytes);
    }

    fn sent(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        self.rise(io);
        if let Some(at) = self.turned_away.iter().position(|known| *known == conn) {
            self.turned_away.swap_remove(at);
            io.close(conn);
        }
        self.after_send(io, conn);
    }

    fn ended(&mut self, io: &mut dyn NetIo, conn: ConnId) -> bool {
        self.rise(io);
        match self.clients.get(conn) {
            // Redis: who waits and hears nothing more from its peer is gone.
            Some(client) if (client.is_owed() || client.leaving) && !client.blocked => {
                client.ended = true;
                true
            }
            _ => false,
        }
    }

    fn released(&mut self, io: &mut dyn NetIo, conn: ConnId, fd: OwnedFd) {
        self.rise(io);
        self.send_off(conn, fd);
    }

    fn closed(&mut self, io: &mut dyn NetIo, conn: ConnId, _why: Closed) {
        self.rise(io);
        self.turned_away.retain(|known| *known != conn);
        self.forget(conn);
    }

    fn turn(&mut self, io: &mut dyn NetIo) -> Turn {
        let flushed = self.end_turn(io);
        self.next_turn(io, flushed)
    }

    fn has_mail(&mut self) -> bool {
        // Asked when the core is about to sleep: the turn has ended, the next one begins when it rises.
        self.resting = true;
        self.shared.grace.rest(self.me.index());
        // News, or the end, told just before this core announced its sleep rang no bell for it.
        let has_news = self.shared.durable.news() != self.news_seen;
        let is_over = self.shared.stop.load(Ordering::Acquire);
        let has_mail =
            self.port.has_mail() || !self.stashed.is_empty() || has_news || is_over || self.may_send_held();
        if !has_mail {
            self.leave_shard();
        }
        has_mail
    }

    fn background(&mut self, io: &mut dyn NetIo, budget: Duration) -> bool {
        self.rise(io);
        self.now_ms = clock::realtime_ms();
        self.shard.now_ms = self.now_ms;
        self.shard.tracking.writer = ClientId(0);
        let (begun, before) = (clock::cycles(), self.shard.stats);
        let mut budget_us = budget.as_micros() as u64;
        let has_slices = self.sliced.has_work();
        if has_slices {
            // Half for each.
            budget_us /= 2;
        }
        let mut more = !has_slices || self.shard.has_background();
        if more {
            // Otherwise the allocator would give back all that is dropped in one call, which takes long.
            let drops = !self.shard.graveyard.is_empty();
            let direct = drops.then(crate::sys::memory::DirectPurge::begin);
            let now_ns = io.now_ns();
            self.shard.snapshot.rests = now_ns < self.save_rests_until_ns;
            let saved_ns = self.shard.snapshot.spent_ns;
            more = self.shard.background(self.now_ms, budget_us);
            drop(direct);
            self.rest_from_saving(now_ns, self.shard.snapshot.spent_ns - saved_ns);
            self.background_ran(clock::cycles() - begun, before);
        }
        crate::tx::finish::finish(&mut self.shard);
        if has_slices {
            more |= self.run_slices(budget_us * 1000);
        }
        self.follow_up();
        more
    }
}

impl Core {
    /// Forgets for the rest of the turn that transactions are in flight: a fault that the simulation plants to prove
    /// that it would be found.
    #[doc(hidden)]
    pub fn ignore_transactions(&mut self) {
        self.tx_mode = false;
    }
}
