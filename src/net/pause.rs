//! CLIENT PAUSE: which commands wait, and that the data set stands still meanwhile.
//!
//! The pause is two words that all cores read. Who has to wait is parsed again when it is over (`Core::retry`), so
//! a command that was refused for another reason is answered at once.

use std::sync::atomic::Ordering;

use super::core::Core;
use crate::commands::Entry;
use crate::commands::spec::Flags;
use crate::runtime::face::{ConnId, ListenerKind};

impl Core {
    /// Is CLIENT PAUSE in force?
    #[inline]
    pub fn is_paused(&self) -> bool {
        let until = self.shared.pause_until_ms.load(Ordering::Relaxed);
        until != 0 && until > self.now_ms as i64
    }

    /// Pauses, or prolongs a pause. Redis: a pause never becomes shorter or milder than it was.
    pub fn pause_until(&mut self, until_ms: i64, all: bool) {
        let all = all || (self.is_paused() && self.shared.pause_all.load(Ordering::Relaxed));
        self.shared.pause_all.store(all, Ordering::Relaxed);
        self.shared.pause_until_ms.fetch_max(until_ms, Ordering::Relaxed);
        self.follow_pause();
    }

    /// Ends the pause.
    pub fn unpause(&mut self) {
        self.shared.pause_until_ms.store(0, Ordering::Relaxed);
        self.follow_pause();
    }

    /// Tells the shard when a pause has begun or ended.
    #[inline]
    pub fn follow_pause(&mut self) {
        if self.is_paused() != self.shard.settings.stands_still {
            self.apply_config();
        }
    }

    /// Does CLIENT PAUSE hold this command of this client?
    #[inline]
    pub fn pause_holds(&mut self, conn: ConnId, entry: &Entry) -> bool {
        self.shared.pause_until_ms.load(Ordering::Relaxed) != 0
            && self.is_paused()
            && self.would_hold(conn, entry)
    }

    #[cold]
    fn would_hold(&mut self, conn: ConnId, entry: &Entry) -> bool {
        if self.clients.at(conn.index).kind == ListenerKind::Loader {
            return false;
        }
        let may_write = |entry: &Entry| {
            let may_replicate = entry.row.flags.has(Flags::MAY_REPLICATE);
            entry.is_write || may_replicate || (entry.is_script && !entry.row.flags.has(Flags::READONLY))
        };
        let table = self.table;
        self.shared.pause_all.load(Ordering::Relaxed)
            || may_write(entry)
            || (entry.full_name == "exec"
                && self
                    .clients
                    .at(conn.index)
                    .multi
                    .as_deref()
                    .is_some_and(|multi| multi.commands.iter().any(|(row, _)| may_write(table.entry(*row)))))
    }

    /// When paused clients may go on.
    pub fn pause_deadline_ns(&self) -> Option<u64> {
        let until = self.shared.pause_until_ms.load(Ordering::Relaxed);
        let left_ms = until.saturating_sub(self.now_ms as i64).max(0) as u64;
        // Whoever is held for a reload is told of its end.
        (!self.paused.is_empty() && until != 0)
            .then(|| self.now_ns.saturating_add(left_ms.saturating_mul(1_000_000)))
    }
}
