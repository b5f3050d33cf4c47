//! What a run has changed is put back.
//!
//! Undoing needs the values as they were. They are copied before the first change of each key, as long as they are
//! small ([`BEFORE_MOST_BYTES`]). A script that changes a larger one beside other shards is run wide instead: it could
//! not be undone cheaply, and nobody knows beforehand that it need not be. With one shard nothing is copied.

use super::host::{ScriptHost, Told};
use crate::commands::Entry;
use crate::commands::keys_of::keys_of;
use crate::resp::Argv;
use crate::shard::effects::Class;
use crate::shard::{Event, Moved, ValueView};
use crate::tx::finish::finish_command;
use crate::tx::intents::Mode;
use crate::tx::log::Repeat;
use crate::tx::route::mode_of;
use crate::types::DbIndex;

/// Values up to this size are copied before a script changes them beside other shards.
const BEFORE_MOST_BYTES: usize = 16 * 1024;

/// A key as it was before a script changed it.
pub(super) struct Before {
    db: DbIndex,
    key: Box<[u8]>,
    value: Option<Moved>,
}

impl ScriptHost<'_, '_> {
    /// Puts everything back as it was. To those who follow the keyspace these are writes like others.
    pub(super) fn undo(&mut self) {
        const UNDO: Event = Event { name: "undo", class: Class::Silent };
        let shard = &mut self.core.shard;
        for Before { db, key, value } in std::mem::take(&mut self.before).into_iter().rev() {
            let mut keys = shard.keyspace(db, false);
            match value {
                Some(value) => keys.put(&key, value, UNDO),
                None => {
                    keys.remove(&key, UNDO);
                }
            }
        }
        finish_command(shard, Repeat::State);
        shard.notices.undo();
        // Keys that went of themselves stay away.
        let gone = |told: &Told| matches!(told, Told::Notice(effect) if matches!(effect.event.class, Class::Expired | Class::Evicted));
        self.told.retain(gone);
        self.collect_notices();
        self.publish();
        if self.core.shard.has_news() {
            self.core.tell_news();
        }
    }

    /// Copies what a command is about to change. False when that is too much.
    pub(super) fn remember(&mut self, entry: &Entry, argv: Argv<'_>) -> bool {
        // Both write to a database that is not the selected one.
        if matches!(entry.full_name, "move" | "copy") {
            return false;
        }
        let Ok(keys) = keys_of(entry.row, argv) else { return true };
        for at in keys.iter().filter(|at| mode_of(entry.row, at.access) == Mode::Exclusive) {
            let key = argv.get(at.index);
            let name = (self.db, Box::from(key));
            if self.saved.contains(&name) {
                continue;
            }
            let mut keyspace = self.core.shard.keyspace(self.db, false);
            let is_large = keyspace.peek(key).is_some_and(|entry| match entry.value() {
                ValueView::Heap(value) => value.heap_bytes() > BEFORE_MOST_BYTES,
                _ => false,
            });
            if is_large {
                return false;
            }
            let value = keyspace.copy(key);
            self.before.push(Before { db: self.db, key: name.1.clone(), value });
            self.saved.insert(name);
        }
        true
    }
}
