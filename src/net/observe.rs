//! What a core counts and records about the commands it runs, and what it reports when it is asked.
//!
//! Per command there is one call of `ran`: counters, a latency, three comparisons. All else is cold.

use std::sync::atomic::{AtomicU64, Ordering};

use super::batch::Control;
use super::core::Core;
use crate::commands::spec::Flags;
use crate::commands::{CommandError, RowId};
use crate::observe::rates::Totals;
use crate::observe::report::{AofFacts, CommandReport, DbReport, Loading, Memory, Persistence, ScriptFacts};
use crate::observe::slowlog::{Logged, Which, shown_args};
use crate::observe::{CoreReport, Facts};
use crate::persistence::aof::LogMode;
use crate::pubsub::Space;
use crate::resp::{Argv, Output};
use crate::runtime::face::ConnId;
use crate::shard::stats::KeyStats;
use crate::sys::{clock, process};
use crate::tx::execute::WhatRan;
use crate::tx::multi::Plan;
use crate::types::{ClientId, ShardId};

/// Whose command it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caller {
    /// A connection of this core.
    Here(ConnId),
    /// A client of a core, perhaps of this one.
    Of(ShardId, ClientId),
}

/// How a command went.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    pub cycles: u64,
    pub ok: bool,
    pub reply_bytes: usize,
}

/// A command for the logs, on its way to its client's core.
#[derive(Debug)]
pub struct Noted {
    pub client: ClientId,
    /// The logs it belongs to, with its time or size.
    pub logs: Vec<(Which, u64)>,
    pub at_s: u64,
    pub args: Vec<Vec<u8>>,
}

impl Core {
    /// Must its words be kept for a command that is counted later?
    pub fn is_notable(&self, argv: Argv<'_>, ran: Ran) -> bool {
        let observe = &self.observe;
        ran.cycles >= observe.note_cycles
            || argv.data_bytes() as u64 >= observe.note_request_bytes as u64
            || ran.reply_bytes >= observe.note_reply_bytes
    }

    /// Counts a command that ran.
    #[inline]
    pub fn ran(&mut self, row: RowId, caller: Caller, argv: Argv<'_>, ran: Ran) {
        self.stats[row.index()].record(ran.cycles, ran.ok, self.observe.tracking);
        self.note_if_notable(row, caller, argv, ran);
    }

    /// Counts that a command which was counted when it began to wait has come to its end.
    pub fn ran_after_wait(&mut self, row: RowId, caller: Caller, argv: Argv<'_>, ran: Ran) {
        self.stats[row.index()].record_end(ran.cycles, ran.ok, self.observe.tracking);
        self.note_if_notable(row, caller, argv, ran);
    }

    #[inline]
    fn note_if_notable(&mut self, row: RowId, caller: Caller, argv: Argv<'_>, ran: Ran) {
        let observe = &self.observe;
        let request_bytes = match argv.spans {
            [first, .., last] => last.end - first.start,
            [only] => only.end - only.start,
            [] => 0,
        };
        let notable = (ran.cycles >= observe.note_cycles)
            | (request_bytes >= observe.note_request_bytes)
            | (ran.reply_bytes >= observe.note_reply_bytes);
        if notable {
            self.note(row, caller, argv, ran);
        }
    }

    /// Counts the error that a reply is, written into `out` from `from` on.
    ///
    /// True when the command was refused before it ran: it is counted then, and [`Core::ran`] is not to be called.
    #[cold]
    pub fn count_error_reply(&mut self, row: RowId, out: &Output, from: usize) -> bool {
        let refused = out.bytes.get(from..).is_some_and(|line| self.observe.count_failure(line));
        self.stats[row.index()].rejected += u64::from(refused);
        refused
    }

    /// Counts a command that a script has called, with its reply when that is an error. `ran`: `None` when it was
    /// refused; `row`: `None` when there is no such command.
    pub fn count_called(
        &mut self,
        row: Option<RowId>,
        caller: Caller,
        argv: Argv<'_>,
        ran: Option<Ran>,
        error: &[u8],
    ) {
        let is_error = ran.is_none_or(|ran| !ran.ok);
        let refused = is_error && self.observe.count_failure(error) || ran.is_none();
        match (row, ran) {
            (Some(row), _) if refused => self.stats[row.index()].rejected += 1,
            (Some(row), Some(ran)) => self.ran(row, caller, argv, ran),
            _ => {}
        }
    }

    /// What the commands of a transaction's work told.
    pub fn ran_in_work(&mut self, origin: ShardId, client: ClientId, done: Vec<WhatRan>) {
        for what in done {
            if !what.ok && self.count_error_reply(what.command.row, &what.error, 0) {
                continue;
            }
            let ran = Ran { cycles: what.cycles, ok: what.ok, reply_bytes: what.reply_bytes };
            self.ran(what.command.row, Caller::Of(origin, client), what.command.request.argv(), ran);
        }
    }

    /// Counts a command over shards whose client begins to wait.
    pub fn plan_waits(&mut self, plan: &Plan) {
        if let Plan::One(single) = plan
            && !single.has_waited()
        {
            let (command, cycles) = single.spent();
            self.stats[command.row.index()].record_wait(cycles);
        }
    }

    /// Counts the command, or the EXEC, that a transaction of this core's client was.
    pub fn plan_ran(&mut self, conn: ConnId, plan: &Plan, reply_bytes: usize) {
        match plan {
            Plan::One(single) => {
                let (command, cycles) = single.spent();
                let ok = single.error().is_none();
                if let Some(error) = single.error() {
                    self.observe.count_error(error);
                }
                let (caller, argv) = (Caller::Here(conn), command.request.argv());
                let ran = Ran { cycles, ok, reply_bytes };
                if single.has_waited() {
                    self.ran_after_wait(command.row, caller, argv, ran);
                } else {
                    self.ran(command.row, caller, argv, ran);
                }
            }
            // Counted where it ran.
            Plan::Script(_) | Plan::Snapshot(_) => {}
            Plan::Exec(exec) => {
                for (command, cycles, ok) in exec.ran() {
                    let ran = Ran { cycles: *cycles, ok: *ok, reply_bytes: 0 };
                    self.ran(command.row, Caller::Here(conn), command.request.argv(), ran);
                }
                let cycles = exec.spent();
                if let Some(row) = self.table.find(b"exec") {
                    let ran = Ran { cycles, ok: true, reply_bytes };
                    self.ran(row, Caller::Here(conn), exec.request().argv(), ran);
                }
                if self.has_monitors() {
                    // Scripts were shown when they ran, before what they called.
                    let table = self.table;
                    let others = exec.commands().filter(|command| !table.entry(command.row).is_script);
                    others.for_each(|command| self.show_step(conn, command));
                    let db = self.clients.at(conn.index).db;
                    self.feed_monitors(conn, db, "exec", exec.request().argv());
                }
            }
        }
    }

    /// Looks closer at a command that took long or was large.
    #[cold]
    fn note(&mut self, row: RowId, caller: Caller, argv: Argv<'_>, ran: Ran) {
        let table = self.table;
        let entry = table.entry(row);
        let us = clock::cycles_to_ns(ran.cycles) / 1000;
        let at_s = self.now_ms / 1000;
        let event = if entry.row.flags.has(Flags::FAST) { "fast-command" } else { "command" };
        self.observe.latency.add(event, at_s, us / 1000);
        if entry.row.flags.has(Flags::SKIP_SLOWLOG) {
            return;
        }
        let request_bytes = argv.data_bytes() as u64;
        let reply_bytes = ran.reply_bytes as u64;
        let observe = &self.observe;
        let mut logs = Vec::new();
        if observe.slow.wants(us) {
            logs.push((Which::Slow, us));
        }
        if observe.large_requests.wants(request_bytes) {
            logs.push((Which::LargeRequest, request_bytes));
        }
        if observe.large_replies.wants(reply_bytes) {
            logs.push((Which::LargeReply, reply_bytes));
        }
        if logs.is_empty() {
            return;
        }
        let (home, client) = match caller {
            Caller::Here(conn) => (self.me, self.clients.get(conn).map_or(ClientId(0), |client| client.id)),
            Caller::Of(home, client) => (home, client),
        };
        let args = shown_args(entry.full_name, argv, self.observe.shown);
        let noted = Noted { client, logs, at_s, args };
        if home == self.me {
            let conn = if let Caller::Here(conn) = caller { Some(conn) } else { None };
            self.log(noted, conn);
        } else {
            self.batch_to(home).control.push(Control::Noted(Box::new(noted)));
        }
    }

    /// Logs a command of a client of this core.
    #[cold]
    pub fn log(&mut self, noted: Noted, conn: Option<ConnId>) {
        let Noted { client, logs, at_s, args } = noted;
        let client = match conn {
            Some(conn) => self.clients.get(conn).map(|client| &*client),
            None => self.clients.iter().find(|known| known.id == client),
        };
        // A client that left meanwhile has no address any more.
        let (peer, name) = client.map_or_else(
            || ("?:0".to_owned(), Vec::new()),
            |client| (super::info::peer_text(client), client.name.to_vec()),
        );
        for (which, amount) in logs {
            let words = &self.shared.observe;
            let (counter, log) = match which {
                Which::Slow => (&words.slow_id, &mut self.observe.slow),
                Which::LargeRequest => (&words.large_request_id, &mut self.observe.large_requests),
                Which::LargeReply => (&words.large_reply_id, &mut self.observe.large_replies),
            };
            let id = counter.fetch_add(1, Ordering::Relaxed);
            log.push(Logged { id, at_s, amount, args: args.clone(), peer: peer.clone(), name: name.clone() });
        }
    }

    /// A slice of background work ended: it is an event when it took long.
    pub fn background_ran(&mut self, cycles: u64, before: KeyStats) {
        let after = self.shard.stats;
        let name = match () {
            () if after.expired != before.expired => "expire-cycle",
            () if after.evicted != before.evicted => "eviction-cycle",
            () => "lazyfree-cycle",
        };
        self.observe.latency.add(name, self.now_ms / 1000, clock::cycles_to_ns(cycles) / 1_000_000);
    }

    /// Counts a command that this core answered with an error of its own, or well.
    pub fn count_result<T>(&mut self, result: &Result<T, CommandError>) {
        if let Err(error) = result {
            self.observe.count_error(error);
        }
    }

    /// Samples the rates; a few times a second.
    pub fn observe_cron(&mut self) {
        let totals = Totals {
            commands: self.stats.iter().map(|stats| stats.calls).sum(),
            net_in: self.observe.net_in,
            net_out: self.observe.net_out,
        };
        self.observe.rates.sample(self.now_ms, totals);
        if self.me == ShardId(0) {
            self.shared.observe.peak(self.shared.memory.total());
        }
    }

    /// This core's numbers. `by_command` includes every command that was called.
    pub fn report(&mut self, by_command: bool) -> CoreReport {
        let figures = self.shard.memory_figures();
        let lag = &self.shard.expiry_lag;
        let mut report = CoreReport {
            core: self.me.index(),
            keyspace_bytes: figures.allocated_bytes() as u64,
            changes: self.shard.effects.dirty,
            counted_bytes: figures.used_bytes() as u64,
            dataset_bytes: figures.dataset_bytes() as u64,
            extra: vec![
                ("expire_lag_count", lag.count()),
                ("expire_lag_p50_ms", lag.quantile_ms(0.5)),
                ("expire_lag_p99_ms", lag.quantile_ms(0.99)),
                ("expire_lag_max_ms", lag.max_ms()),
                ("ran_at_rest", self.loans.ran_at_rest),
                ("moved_in", self.loans.moved_in),
            ],
            subscribed: Space::ALL.map(|space| self.subscriptions.marks(space)),
            tracking: self.caches.clients() as u64,
            tracked_keys: self.shard.tracking.keys() as u64,
            tracked_items: self.shard.tracking.items() as u64,
            prefixes: self
                .caches
                .prefixes()
                .map(|prefix| crate::pubsub::presence::hash(Space::Pattern, prefix))
                .collect(),
            monitors: self.shared.monitors[self.me.index()].load(Ordering::Relaxed) as u64,
            net_in: self.observe.net_in,
            net_out: self.observe.net_out,
            reads: self.observe.reads,
            writes: self.observe.writes,
            rates: self.observe.rates.per_second(),
            keys: self.shard.stats,
            protocol_errors: self.observe.protocol_errors,
            query_limit_disconnections: self.observe.query_limit_disconnections,
            output_limit_disconnections: self.observe.output_limit_disconnections,
            errors_total: self.observe.errors.total,
            errors: self.observe.errors.by_code.clone(),
            queue: self.queue.len() as u64,
            transactions: self.coordinator.running() as u64,
            tx_retries: self.coordinator.retries,
            tx_concluded: self.coordinator.concluded,
            lazy_pending: self.shard.graveyard.pending() as u64,
            lazy_freed: self.shard.graveyard.freed,
            lazy_bytes: self.shard.graveyard.bytes as u64,
            lua_bytes: self.scripts.as_deref().map_or(0, |cache| cache.engine.memory_bytes() as u64),
            cpu: process::thread_usage(),
            ..CoreReport::default()
        };
        self.report_keys(&mut report);
        self.report_clients(&mut report);
        for (id, entry) in self.table.iter() {
            let stats = &self.stats[id.index()];
            report.commands += stats.calls;
            if by_command && stats.calls + stats.failed + stats.rejected > 0 {
                let command = CommandReport {
                    calls: stats.calls,
                    ns: clock::cycles_to_ns(stats.cycles),
                    failed: stats.failed,
                    rejected: stats.rejected,
                    histogram: stats.latencies.as_ref().map(|latencies| Box::new(latencies.histogram())),
                };
                report.by_command.insert(entry.full_name, command);
            }
        }
        report
    }

    fn report_keys(&self, report: &mut CoreReport) {
        for db in &self.shard.dbs {
            let usage = db.table.usage();
            let expires = db.table.expires_count() as u64;
            let mean_ms = db.table.mean_deadline_ms().map_or(0, |at_ms| at_ms.saturating_sub(self.now_ms));
            report.dbs.push(DbReport {
                keys: db.table.len() as u64,
                expires,
                ttl_sum_ms: u128::from(mean_ms) * u128::from(expires),
                overhead_bytes: (usage.index_bytes + usage.arena_bytes - usage.live_bytes) as u64,
            });
        }
    }

    fn report_clients(&self, report: &mut CoreReport) {
        for client in self.clients.iter().filter(|client| client.kind.is_for_clients()) {
            report.clients += 1;
            // Redis: who waits for CLIENT PAUSE to end counts as blocked.
            report.blocked += u64::from(client.blocked || client.stall == super::client::Stall::Paused);
            report.subscribers += u64::from(client.subscriptions.any());
            let watched = client.watched.len() as u64;
            report.watching += u64::from(watched > 0);
            report.watched_keys += watched;
            let (input, output) = (client.query.capacity() as u64, client.output_bytes() as u64);
            let queued = client.multi.as_ref().map_or(0, |multi| multi.bytes as u64);
            report.client_bytes += size_of::<super::Client>() as u64 + input + output + queued;
            report.input_max_bytes =
                report.input_max_bytes.max((client.query.len() - client.query_at) as u64);
            report.output_max_bytes = report.output_max_bytes.max(output);
        }
    }

    fn persistence(&self, changes: u64) -> Persistence {
        let durable = &self.shared.durable;
        let state = durable.state();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let loading = state.load.as_ref().filter(|_| durable.is_loading());
        let log = &durable.aof;
        let of_log = log.state();
        let rewriting = state.saving.as_ref().filter(|save| save.is_rewrite());
        let aof = AofFacts {
            enabled: of_log.mode != LogMode::Off,
            rewriting: rewriting.map(|save| save.begun_s),
            rewrite_scheduled: of_log.rewrite_scheduled,
            rewrite_failed: of_log.rewrite_failed,
            last_rewrite_took_s: of_log.last_rewrite_took_s,
            rewrites: of_log.rewrites,
            failures_in_a_row: of_log.failures_in_a_row,
            write_failed: log.error().is_some(),
            current_bytes: count(&log.current_bytes),
            base_bytes: count(&log.base_bytes),
            buffer_bytes: log.pending_bytes(),
            pending_syncs: count(&log.pending_syncs),
            delayed_syncs: count(&log.delayed_syncs),
        };
        Persistence {
            aof,
            loading: loading.map(|load| Loading {
                begun_s: load.begun_s,
                total_bytes: load.total_bytes,
                loaded_bytes: count(&load.loaded_bytes),
            }),
            changes: durable.unsaved_of(changes),
            saving: state
                .saving
                .as_ref()
                .filter(|save| !save.is_rewrite())
                .map(|save| (save.begun_s, count(&save.keys_done), count(&save.keys_total))),
            last_save_s: state.last_save_s,
            last_failed: state.last_failed,
            last_took_s: state.last_took_s,
            saves: state.saves,
            keys_expired: state.keys_expired,
            keys_loaded: state.keys_loaded,
        }
    }

    /// What is known once for the process. `total` is the sum over its cores.
    pub fn facts(&self, total: &CoreReport) -> Facts {
        use crate::config::id;
        let config = &self.config;
        // What maxmemory bounds, so that the two can be compared: keys and values with their tables. The process's own
        // memory and clients' buffers are not evicted for and are told apart (rss, mem_clients_normal).
        let used = total.counted_bytes;
        let memory = Memory {
            used,
            peak: self.shared.observe.peak(used),
            rss: process::memory_use().rss,
            dataset: total.dataset_bytes,
            overhead: used.saturating_sub(total.dataset_bytes),
            maxmemory: config.memory(id::MAXMEMORY),
        };
        let path = self
            .shared
            .config_file
            .as_ref()
            .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let (scripts, script_bytes) = self.shared.scripts.usage();
        let libraries = self.shared.scripts.libraries.all();
        let functions = libraries.iter().map(|library| library.functions.len()).sum();
        let library_bytes = libraries.iter().map(|library| library.memory_bytes()).sum();
        let libraries = libraries.len();
        Facts {
            scripts: ScriptFacts { scripts, script_bytes, libraries, library_bytes, functions },
            run_id: self.shared.run_id.clone(),
            port: self.shared.port.load(Ordering::Relaxed),
            started_ms: self.shared.started_ms,
            now_us: clock::realtime_us(),
            config_file: path.map(|path| path.display().to_string()).unwrap_or_default(),
            engine: self.shared.engine.0.clone(),
            engine_reason: self.shared.engine.1.clone(),
            maxclients: config.integer(id::MAXCLIENTS),
            maxmemory_policy: config.choice(id::MAXMEMORY_POLICY),
            hz: config.integer(id::HZ),
            supervised: config.choice(id::SUPERVISED),
            cluster_enabled: config.flag(id::CLUSTER_ENABLED),
            percentiles: config.latency_percentiles().to_vec(),
            connections_received: self.shared.total_connections.load(Ordering::Relaxed),
            connections_rejected: self.shared.rejected_connections.load(Ordering::Relaxed),
            clients_evicted: self.shared.evicted_clients.load(Ordering::Relaxed),
            memory,
            persistence: self.persistence(total.changes),
        }
    }
}
