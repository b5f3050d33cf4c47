//! A core's share of a log that is loaded: its commands run on its shard, one after the other, for no client.
//!
//! The shard meanwhile stands outside time: nothing expires, nothing is evicted or refused, nobody is told, and what is
//! done is not logged again. What is no single shard's comes to the first core on a connection of the loader's own,
//! which passes all gates, counts as nobody's and appears nowhere.

use std::os::unix::net::UnixStream;

use super::client::{Client, Stall};
use super::core::Core;
use crate::persistence::aof::replay::complaint;
use crate::persistence::level;
use crate::resp::Output;
use crate::runtime::face::{ListenerKind, NetIo, Socket};
use crate::shard::Settings;
use crate::shard::notices::NoticeWants;
use crate::tx::execute::{Did, run_here, to_its_end};
use crate::tx::message::Commands;

/// `proto-max-bulk-len` while a log is loaded, unless more is configured.
const BULK_BYTES: usize = 512 << 20;

/// What a shard is told of while a log is loaded.
pub fn replaying(settings: Settings) -> Settings {
    Settings {
        maxmemory_bytes: 0,
        active_expire: false,
        replaying: true,
        // What a log holds was accepted once, perhaps under a larger limit.
        max_bulk_bytes: settings.max_bulk_bytes.max(BULK_BYTES),
        ..settings
    }
}

impl Core {
    /// Is nothing under way here that was begun before the load?
    pub(super) fn is_at_rest(&self) -> bool {
        let waits = |client: &Client| matches!(client.stall, Stall::Blocked | Stall::Transaction);
        self.coordinator.running() == 0
            && !self.coordinator.is_entering()
            && self.queue.is_idle()
            && self.own_mail.is_empty()
            && self.broadcasts.iter().all(Option::is_none)
            && self.clients.iter().all(|client| client.outstanding == 0 || waits(client))
    }

    /// From here on until the end of the load this core's shard is what the log says.
    pub(super) fn begin_replay(&mut self) {
        self.give_log();
        self.replay.is_on = true;
        self.replay.stats = self.stats.clone();
        self.replay.log = self.shard.log.take();
        if self.replay.log.is_some() {
            self.shard.effects.unfollow();
        }
        self.apply_config();
    }

    /// All is loaded.
    pub(super) fn end_replay(&mut self) {
        if !self.replay.is_on {
            return;
        }
        self.replay.is_on = false;
        // Redis: what a log repeats is in no statistics.
        let before = std::mem::take(&mut self.replay.stats);
        for (stats, (before, (_, entry))) in
            self.stats.iter_mut().zip(before.into_iter().zip(self.table.iter()))
        {
            if entry.is_write || entry.is_script {
                *stats = before;
            }
        }
        self.shard.log = self.replay.log.take();
        if self.shard.log.is_some() {
            self.shard.effects.follow();
        }
        self.apply_config();
        self.follow_up();
    }

    /// While a log is loaded, its settings take the place of those configured.
    pub(super) fn apply_replay(&mut self) {
        if self.replay.is_on {
            self.shard.settings = replaying(self.shard.settings.clone());
            self.limits.max_bulk_bytes = self.limits.max_bulk_bytes.max(BULK_BYTES);
            self.lacks_replicas = false;
            self.shard.notice(NoticeWants::default());
        }
    }

    /// Runs commands of the log.
    pub(super) fn replay(&mut self, commands: &Commands) {
        let stats = self.shard.stats;
        let table = self.table;
        let mut out = Output::default();
        for command in &commands.list {
            let entry = table.entry(command.row);
            let argv = commands.argv(command);
            // A command that would wait has nothing to wait for.
            let (db, client) = (command.db, command.client);
            let did = run_here(&mut self.shard, entry, db, client, argv, &mut out);
            let did = to_its_end(did, &mut self.shard, entry, db, client, argv, &mut out);
            if matches!(did, Did::Failed) {
                self.shared.durable.log(level::WARNING, complaint(&out.bytes, entry.full_name));
            }
            out.clear();
        }
        self.shard.stats = stats;
    }

    /// Takes the loader's own connection.
    pub(super) fn adopt_loader(&mut self, io: &mut dyn NetIo, stream: UnixStream) {
        let socket = Socket { fd: stream.into(), kind: ListenerKind::Loader, peer: None, local: None };
        // The loader notices when there is nobody at the other end.
        self.adopt(io, socket);
    }
}

/// What a core keeps while it loads a log.
#[derive(Default)]
pub struct Replay {
    pub is_on: bool,
    /// The commands' statistics from before.
    stats: Vec<crate::observe::CommandStats>,
    /// The shard's own log, which learns nothing of it.
    log: Option<Box<crate::shard::log::Log>>,
}
