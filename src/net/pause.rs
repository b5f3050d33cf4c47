//! CLIENT PAUSE: which commands wait, and that the data set stands still meanwhile.
//!
//! The pause is two words that all cores read. Who has to wait is parsed again when it is over (`Core::retry`), so
//! a command that was refused for another reason is answered at once.

use std::sync::atomic::Ordering;

use super::core::Core;
use crate::commands::Entry;
use crate::commands::spec::Flags;
use crate::resp::Argv;
use crate::runtime::face::{ConnId, ListenerKind};
use crate::script::flags::Flags as ScriptFlags;

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
    pub fn pause_holds(&self, conn: ConnId, entry: &Entry, argv: Argv<'_>) -> bool {
        self.shared.pause_until_ms.load(Ordering::Relaxed) != 0
            && self.is_paused()
            && self.would_hold(conn, entry, argv)
    }

    #[cold]
    fn would_hold(&self, conn: ConnId, entry: &Entry, argv: Argv<'_>) -> bool {
        let client = self.clients.peek(conn.index);
        if client.kind == ListenerKind::Loader {
            return false;
        }
        if self.shared.pause_all.load(Ordering::Relaxed) || self.may_write(entry, argv) {
            return true;
        }
        let Some(multi) = client.multi.as_deref() else { return false };
        entry.full_name == "exec"
            && multi
                .commands
                .iter()
                .any(|(row, request)| self.may_write(self.table.entry(*row), request.argv()))
    }

    /// May a command change something? Redis: a script that says what it does is believed, whichever command calls it;
    /// of others the command tells.
    fn may_write(&self, entry: &Entry, argv: Argv<'_>) -> bool {
        if !entry.is_script {
            return entry.is_write || entry.row.flags.has(Flags::MAY_REPLICATE);
        }
        match self.shared.scripts.flags_of(entry.full_name, argv.get(1)) {
            Some(flags) => !flags.has(ScriptFlags::NO_WRITES),
            None => !entry.row.flags.has(Flags::READONLY),
        }
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
