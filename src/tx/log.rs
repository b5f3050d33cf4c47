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
use crate::commands::rebuild::rebuild;
use crate::resp::{Argv, Span};
use crate::shard::Shard;
use crate::shard::effects::Class;
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
    let (said, say_state) = log.take_said();
    let mut changed = false;
    for effect in shard.effects.pending() {
        match effect.event.class {
            Class::Expired | Class::Evicted => log.push(effect.db, [b"DEL", &*effect.key].into_iter()),
            class => changed |= changes(class),
        }
    }
    if !said.is_empty() {
        log.append(&said);
    } else if changed {
        match repeat {
            Repeat::AsSaid => {}
            Repeat::Request { entry, db, argv } if entry.is_common && !say_state => log.push(db, argv.iter()),
            Repeat::Pieces { entry, db, argv, begins, stride } if entry.is_common && !say_state => {
                let head = usize::from(entry.parent.is_some());
                let mut spans: SmallVec<[Span; 32]> = argv.spans[..=head].into();
                begins.iter().for_each(|&at| spans.extend_from_slice(&argv.spans[at..at + stride]));
                log.push(db, Argv { buf: argv.buf, spans: &spans }.iter());
            }
            _ => {
                let mut known = HashSet::<(DbIndex, &[u8]), ahash::RandomState>::default();
                let mut changed: Vec<(DbIndex, Box<[u8]>)> = Vec::new();
                for effect in shard.effects.pending() {
                    if changes(effect.event.class) && known.insert((effect.db, &*effect.key)) {
                        changed.push((effect.db, Box::from(&*effect.key)));
                    }
                }
                drop(known);
                for (db, key) in changed {
                    let mut keys = shard.keyspace(db, false);
                    rebuild(&key, keys.peek(&key), &mut |args| log.push(db, args.iter().copied()));
                }
            }
        }
    }
    shard.log = Some(log);
}

/// Does an effect of this class say that its key has another value now, or is gone, because of the command itself?
fn changes(class: Class) -> bool {
    use Class::{Evicted, Expired, KeyMiss, New, Overwritten, TypeChanged};
    !matches!(class, Expired | Evicted | KeyMiss | New | Overwritten | TypeChanged)
}
