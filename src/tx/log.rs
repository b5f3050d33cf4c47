//! From effects to the log: with which commands a change is repeated.
//!
//! What the handler said (`Log::say`) is what is logged. A handler that said nothing is repeated by its request, when all
//! of its keys are here and the request means the same whenever it runs. Else the values of the keys that it changed
//! are written down, which is right for every command and dear for a large value: so commands that change a part of
//! something large say how.
//!
//! Keys that expired or were evicted on the way are deleted first, by name: who reads the log deletes none by the clock.

use hashbrown::HashSet;
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
    let mut changed = false;
    for effect in shard.effects.pending() {
        match effect.event.class {
            Class::Expired | Class::Evicted => {
                let mut gone = Commands::default();
                gone.push(effect.db, [b"DEL", &*effect.key].into_iter());
                log.append_gone(effect.db, &effect.key, &gone);
            }
            _ if changes(effect.event) => {
                changed = true;
                log.note_change(effect.db, &effect.key);
            }
            _ => {}
        }
    }
    said.before.iter().for_each(|(db, key, commands)| log.append_gone(*db, key, commands));
    if said.for_all {
        log.cut();
        log.append(&said.commands);
        log.cut();
    } else if !said.commands.is_empty() {
        log.append_block(&said.commands);
    } else if changed && said.unsaid != Unsaid::Nothing {
        let as_it_came = said.unsaid == Unsaid::Request;
        match repeat {
            Repeat::AsSaid => {}
            Repeat::Request { entry, db, argv } if entry.is_common && as_it_came => log.push(db, argv.iter()),
            Repeat::Pieces { entry, db, argv, begins, stride } if entry.is_common && as_it_came => {
                let head = usize::from(entry.parent.is_some());
                let mut spans: SmallVec<[Span; 32]> = argv.spans[..=head].into();
                begins.iter().for_each(|&at| spans.extend_from_slice(&argv.spans[at..at + stride]));
                log.push(db, Argv { buf: argv.buf, spans: &spans }.iter());
            }
            _ => log.append_block(&state(shard)),
        }
    }
    shard.log = Some(log);
}

/// The keys that were changed, as they are now.
fn state(shard: &Shard) -> Commands {
    let mut known = HashSet::<(DbIndex, &[u8]), ahash::RandomState>::default();
    let mut state = Commands::default();
    for effect in shard.effects.pending() {
        let (db, key) = (effect.db, &*effect.key);
        if changes(effect.event) && known.insert((db, key)) {
            let table = &shard.dbs[db.index()].table;
            let entry = table.find(table.hasher().hash(key), key);
            rebuild(key, entry, Over::Anything, &mut |args| state.push(db, args.iter().copied()));
        }
    }
    state
}

/// Does an effect say that its key has another value now, or is gone, because of the command itself? What expired in a
/// hash was said by whoever let it go.
fn changes(event: Event) -> bool {
    use Class::{Evicted, Expired, KeyMiss, New, Overwritten, TypeChanged};
    !matches!(event.class, Expired | Evicted | KeyMiss | New | Overwritten | TypeChanged)
        && event != Event::HEXPIRED
}
