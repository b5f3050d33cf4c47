//! How a command runs: its handlers, and the hops of one whose keys have several owners.

use crate::commands::args::Args;
use crate::commands::block::Block;
use crate::commands::context::Ctx;
use crate::commands::error::CommandError;
use crate::commands::keys_of::KeysAt;
use crate::commands::part::Part;
use crate::commands::sliced::Slices;
use crate::commands::spec::Access;
use crate::resp::{Argv, Reply};
use crate::types::ShardId;

/// What a handler leaves to do.
#[derive(Debug)]
pub enum Outcome {
    /// The reply is written.
    Done,
    /// Nothing is there yet: the client waits for its keys, and the command runs again when one may serve it. No reply
    /// is written.
    Block(Box<Block>),
    /// There is much to do: the core goes on with it in slices. No reply is written.
    Slices(Box<Slices>),
}

/// A handler that has its shard and all its keys on it.
pub type ShardFn = fn(&mut Ctx<'_>, &mut Args<'_>, &mut Reply<'_>) -> Result<Outcome, CommandError>;
/// A handler that needs no keyspace and no connection.
pub type LocalFn = fn(&mut Args<'_>, &mut Reply<'_>) -> Result<Outcome, CommandError>;
/// One key's part of a [`Run::PerKey`] command: `piece` is the key and the arguments that belong to it.
/// Writes one element when the merge is by elements; the number is summed when the merge is a sum.
pub type KeyFn = fn(&mut Ctx<'_>, piece: Argv<'_>, &mut Reply<'_>) -> Result<i64, CommandError>;
/// One shard's part of one hop. `mine` lists which of the command's keys (by their order) live here, and `got`
/// holds what the earlier hops returned.
pub type HopFn = fn(&mut Ctx<'_>, Argv<'_>, mine: &[usize], got: &mut Gathered) -> Result<Part, CommandError>;
/// Writes the reply of a command of hops from everything gathered. Runs on the coordinator.
pub type FinishFn = fn(Argv<'_>, &mut Gathered, &mut Reply<'_>) -> Result<Outcome, CommandError>;
/// Every shard's part of a command over all of them.
pub type AllFn = fn(&mut Ctx<'_>, Argv<'_>) -> Result<Part, CommandError>;
/// Merges the shards' parts, in the order of the shards.
pub type MergeFn = fn(Argv<'_>, &mut [Part], &mut Reply<'_>) -> Result<Outcome, CommandError>;

/// Adds keys that are found by reading all the arguments.
pub type MoreKeysFn = fn(Argv<'_>, &mut KeysAt);

/// Tells what a request does with its keys.
pub type AccessFn = fn(Argv<'_>) -> Access;

/// How the replies of a [`Run::PerKey`] command come together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    /// The sum of the keys' numbers.
    Sum,
    /// An array of the keys' elements in the order of the request.
    Elements,
    /// `+OK`.
    Ok,
}

/// Which shards take part in a hop.
#[derive(Clone, Copy, Debug)]
pub enum On {
    /// Every owner of any of the keys. What earlier hops returned as `Part::Shared` comes along.
    Owners,
    /// The same, when this says so of the arguments; else the hop is passed over.
    OwnersIf(fn(Argv<'_>) -> bool),
    /// The owner of the n-th key.
    Key(usize),
    /// The owner of the key (by its order) that this chooses from what was gathered; on `None` the hop and all after
    /// it are left out. Its handler finds itself at that key: `mine` is the key alone.
    Chosen(fn(Argv<'_>, &Gathered) -> Option<usize>),
    /// Every shard, when this says so of the arguments; else the hop is passed over. For keys that are known by their
    /// names' pattern only (SORT's BY and GET): a command with such a hop reads all there is, as far as its intents
    /// go. What earlier hops returned as `Part::Shared` comes along.
    EveryIf(fn(Argv<'_>) -> bool),
}

impl On {
    /// Is this hop left out for these arguments?
    pub fn is_passed_over(self, argv: Argv<'_>) -> bool {
        matches!(self, On::EveryIf(applies) | On::OwnersIf(applies) if !applies(argv))
    }

    /// Does this hop go to every shard?
    pub fn is_every(self, argv: Argv<'_>) -> bool {
        matches!(self, On::EveryIf(applies) if applies(argv))
    }
}

/// One hop of a command.
#[derive(Clone, Copy)]
pub struct Hop {
    pub on: On,
    pub run: HopFn,
}

/// What the hops of a command returned so far.
#[derive(Default, Debug)]
pub struct Gathered {
    /// Per hop, per shard that took part: the shard and its part.
    pub hops: Vec<Vec<(ShardId, Part)>>,
}

impl Gathered {
    /// The part of the only shard of a hop.
    pub fn only(&mut self, hop: usize) -> &mut Part {
        &mut self.hops[hop][0].1
    }

    /// All parts of a hop.
    pub fn parts(&self, hop: usize) -> impl Iterator<Item = &Part> {
        self.hops[hop].iter().map(|(_, part)| part)
    }

    /// What may be given to several shards at once; the other parts are left out.
    pub fn shared(&self) -> Gathered {
        let shared = |(shard, part): &(ShardId, Part)| match part {
            Part::Shared(what) => Some((*shard, Part::Shared(what.clone()))),
            _ => None,
        };
        Gathered { hops: self.hops.iter().map(|hop| hop.iter().filter_map(shared).collect()).collect() }
    }
}

/// How a command runs.
#[derive(Clone, Copy)]
pub enum Run {
    /// On the connection's core, with its arguments alone.
    Local(LocalFn),
    /// On the connection's core, with that core's state: bound to a function by `server/registry.rs`.
    Bound,
    /// On every core, then merged on the connection's: bound by `server/registry.rs`. Not a transaction.
    Broadcast,
    /// On the owner of its keys. When they have several owners the command cannot run that way: only for one key.
    OnShard(ShardFn),
    /// Key by key on their owners, as a transaction when there are several. `stride` arguments belong to a key.
    PerKey { each: KeyFn, stride: usize, merge: Merge },
    /// In hops over the keys' owners, as a transaction when there are several. A hop may return `Part::Stop`
    /// to go straight to the finish.
    ///
    /// `here`, if there is one, does all of it when one shard owns every key, without owned copies of what it reads.
    Hops { here: Option<ShardFn>, hops: &'static [Hop], finish: FinishFn },
    /// On all shards at once, as a transaction.
    AllShards { each: AllFn, merge: MergeFn },
    /// On the shard a function of the arguments names (SCAN's cursor).
    AtShard { shard: fn(Argv<'_>, shards: usize) -> Result<usize, CommandError>, run: ShardFn },
    /// A script: on the owner of its declared keys, or holding all shards. Run by `net/scripts`.
    Script,
    /// Has subcommands only.
    Container,
}
