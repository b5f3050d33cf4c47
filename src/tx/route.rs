//! Routing: which shards a request needs.

use smallvec::SmallVec;

use crate::commands::keys_of::{KeysAt, keys_of};
use crate::commands::spec::{Access, Flags, Row, Run};
use crate::commands::{CommandError, Entry};
use crate::resp::Argv;
use crate::shard::Placement;
use crate::types::ShardId;

use super::intents::Mode;

/// Where a request runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// On the connection's core, with its arguments alone.
    Local,
    /// On the connection's core, with that core's state.
    Bound,
    /// On every core, not as a transaction.
    Broadcast,
    /// On one shard.
    Shard(ShardId),
    /// On several shards, as a transaction.
    Several,
}

/// The text Redis gives when keys cannot be told from the arguments.
pub const INVALID_KEYS: CommandError = CommandError::Line("ERR Invalid arguments specified for command");

/// Decides where a request runs. `here` is this core: where a command without keys goes.
#[inline]
pub fn route(
    entry: &Entry,
    argv: Argv<'_>,
    placement: Placement,
    here: ShardId,
) -> Result<Route, CommandError> {
    match entry.row.run {
        Run::OnShard(_) if placement.shards() == 1 => Ok(Route::Shard(ShardId(0))),
        Run::OnShard(_) if entry.single_key != 0 => {
            Ok(Route::Shard(placement.owner_of(argv.get(entry.single_key))))
        }
        Run::Local(_) => Ok(Route::Local),
        Run::Bound | Run::Container => Ok(Route::Bound),
        Run::Broadcast => Ok(Route::Broadcast),
        Run::AllShards { .. } if placement.shards() == 1 => Ok(Route::Shard(here)),
        Run::AllShards { .. } => Ok(Route::Several),
        // A cursor that is none: the handler finds the same fault and words it.
        Run::AtShard { shard, .. } => {
            Ok(Route::Shard(shard(argv, placement.shards()).map_or(here, |shard| ShardId(shard as u16))))
        }
        Run::OnShard(_) | Run::PerKey { .. } | Run::Hops { .. } | Run::Script => {
            if placement.shards() == 1 {
                return Ok(Route::Shard(ShardId(0)));
            }
            let Ok(keys) = keys_of(entry.row, argv) else {
                // The handler finds the same fault and words it; any shard will do.
                return Ok(Route::Shard(here));
            };
            if let (Run::PerKey { stride, .. }, Some(first)) = (entry.row.run, keys.first())
                && !(argv.len() - first.index).is_multiple_of(stride)
            {
                // An argument is missing, which the handler words too.
                return Ok(Route::Shard(here));
            }
            if let Run::Hops { hops, .. } = entry.row.run
                && hops.iter().any(|hop| hop.on.is_every(argv))
            {
                return Ok(Route::Several);
            }
            let mut owners = keys.iter().map(|key| placement.owner_of(argv.get(key.index)));
            let Some(first) = owners.next() else { return Ok(Route::Shard(here)) };
            if owners.all(|owner| owner == first) { Ok(Route::Shard(first)) } else { Ok(Route::Several) }
        }
    }
}

/// The keys of a request by owner: for each shard the keys' order numbers.
pub type KeysByOwner = SmallVec<[(ShardId, Vec<usize>); 4]>;

/// Groups keys (in their order) by owner.
pub fn by_owner(keys: &KeysAt, argv: Argv<'_>, placement: Placement) -> KeysByOwner {
    let mut owners = KeysByOwner::new();
    for (order, key) in keys.iter().enumerate() {
        let owner = placement.owner_of(argv.get(key.index));
        match owners.iter_mut().find(|(known, _)| *known == owner) {
            Some((_, mine)) => mine.push(order),
            None => owners.push((owner, vec![order])),
        }
    }
    owners
}

/// The mode in which a command uses a key.
pub fn mode_of(row: &Row, access: Access) -> Mode {
    // Redis: XREADGROUP writes, and yet says of all its keys that it only reads them.
    let says_less = || row.flags.has(Flags::WRITE) && row.keys.iter().all(|spec| spec.access.has(Access::RO));
    if access.has(Access::RO) && !says_less() { Mode::Shared } else { Mode::Exclusive }
}
