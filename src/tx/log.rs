//! From effects to the log: with which commands a change is repeated.
//!
//! What the handler said (`Log::say`) is what is logged. A handler that said nothing is repeated by its request, when all
//! of its keys are here and the request means the same whenever it runs. Else the values of the keys that it changed
//! are written down, which is right for every command and dear for a large value: so commands that change a part of
//! something large say how.
//!
//! Keys that expired or were evicted on the way are deleted first, by name: who reads the log deletes none by the clock.

use smallvec::SmallVec;

use crate::commands::Entry;
use crate::commands::rebuild::{Over, rebuild};
use crate::resp::{Argv, Span};
use crate::shard::Shard;
use crate::shard::effects::{Class, Event};
use crate::shard::log::{Commands, Unsaid};
use crate::types::DbIndex;

/// How a command may be repeated if its handler does not say so.
#[derive(Clone, Copy)]
pub enum Repeat<'a> {
    /// Only as it was said.
    AsSaid,
    /// By this request.
    Request { entry: &'a Entry, db: DbIndex, argv: Argv<'a> },
    /// By the request with these pieces of its arguments only: where each begins, and how many arguments it has.
    Pieces { entry: &'a Entry, db: DbIndex, argv: Argv<'a>, begins: &'a [usize], stride: usize },
    /// By what its keys have become: it runs in parts.
    State,
}

/// Logs the command that just ran. Reads its effects and leaves them.
pub fn log(shard: &mut Shard, repeat: Repeat<'_>) {
    let Some(mut log) = shard.log.take() else { return };
    let said = log.take_said();
    let mut changed: SmallVec<[(DbIndex, &[u8]); 4]> = SmallVec::new();
    for effect in shard.effects.pending() {
        let key = &*effect.key;
        match effect.event.class {
            Class::Expired | Class::Evicted => log.push(effect.db, [b"DEL", key].into_iter()),
            Class::KeyMiss | Class::New | Class::Overwritten | Class::TypeChanged => {}
            // What expired in a hash is said by whoever let it go.
            _ if effect.event == Event::HEXPIRED => {}
            _ if changed.contains(&(effect.db, key)) => {}
            _ => changed.push((effect.db, key)),
        }
    }
    log.append(&said.before);
    if said.for_all {
        log.cut();
        log.append(&said.commands);
        log.cut();
    } else if !said.commands.is_empty() {
        log.append_block(&said.commands);
    } else if !changed.is_empty() && said.unsaid != Unsaid::Nothing {
        match repeat {
            Repeat::AsSaid => {}
            Repeat::Request { entry, db, argv } if entry.is_common && said.unsaid == Unsaid::Request => {
                log.push(db, argv.iter());
            }
            Repeat::Pieces { entry, db, argv, begins, stride }
                if entry.is_common && said.unsaid == Unsaid::Request =>
            {
                let head = usize::from(entry.parent.is_some());
                let mut spans: SmallVec<[Span; 32]> = argv.spans[..=head].into();
                begins.iter().for_each(|&at| spans.extend_from_slice(&argv.spans[at..at + stride]));
                log.push(db, Argv { buf: argv.buf, spans: &spans }.iter());
            }
            _ => {
                let changed: Vec<(DbIndex, Box<[u8]>)> =
                    changed.into_iter().map(|(db, key)| (db, Box::from(key))).collect();
                let mut state = Commands::default();
                for (db, key) in changed {
                    let table = &shard.dbs[db.index()].table;
                    let entry = table.find(table.hasher().hash(&key), &key);
                    rebuild(&key, entry, Over::Anything, &mut |args| state.push(db, args.iter().copied()));
                }
                log.append_block(&state);
            }
        }
    }
    shard.log = Some(log);
}
