//! The row: what a command is, declared once as plain data.
//!
//! Everything else about a command (arity errors, COMMAND INFO / DOCS / GETKEYS, routing, MULTI permission,
//! the out-of-memory gate, statistics, the compatibility page, the fuzzers' grammar) is derived from its row.

use super::args::Args;
use super::block::Block;
use super::context::Ctx;
use super::error::CommandError;
use super::keys_of::KeysAt;
use super::sliced::Slices;
use crate::commands::Part;
use crate::resp::{Argv, Reply};

/// A set of command flags, with the names that COMMAND INFO shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:expr, $wire:expr;)*) => {
        impl Flags {
            /// No flag.
            pub const NONE: Flags = Flags(0);
            $($(#[$doc])* pub const $name: Flags = Flags(1 << $bit);)*
            /// Every flag with the name it has on the wire, in the order Redis lists them.
            pub const ALL: &'static [(Flags, &'static str)] = &[$((Flags::$name, $wire)),*];
        }
    };
}

flags! {
    /// May change the keyspace.
    WRITE = 0, "write";
    /// Reads keys and changes nothing.
    READONLY = 1, "readonly";
    /// May grow memory: refused when out of memory.
    DENYOOM = 2, "denyoom";
    /// For administrators.
    ADMIN = 3, "admin";
    /// Belongs to publish/subscribe.
    PUBSUB = 4, "pubsub";
    /// Not callable from scripts.
    NOSCRIPT = 5, "noscript";
    /// May block the client.
    BLOCKING = 6, "blocking";
    /// Allowed while loading.
    LOADING = 7, "loading";
    /// Allowed on a replica with stale data.
    STALE = 8, "stale";
    /// Not fed to MONITOR.
    SKIP_MONITOR = 9, "skip_monitor";
    /// Not recorded in the slow log.
    SKIP_SLOWLOG = 10, "skip_slowlog";
    /// Accepts keys of an importing slot.
    ASKING = 11, "asking";
    /// Constant or logarithmic time.
    FAST = 12, "fast";
    /// Allowed before authentication.
    NO_AUTH = 13, "no_auth";
    /// May replicate although it is not a write.
    MAY_REPLICATE = 14, "may_replicate";
    /// Refused while loading asynchronously.
    NO_ASYNC_LOADING = 15, "no_async_loading";
    /// Not allowed inside MULTI.
    NO_MULTI = 16, "no_multi";
    /// Keys cannot be found by position alone.
    MOVABLEKEYS = 17, "movablekeys";
    /// Allowed while a script is busy.
    ALLOW_BUSY = 18, "allow_busy";
    /// A container may be called without its keys.
    NO_MANDATORY_KEYS = 19, "no_mandatory_keys";
    /// Needs enable-debug-command or the like.
    PROTECTED = 20, "protected";
    /// Touches keys it does not name.
    TOUCHES_ARBITRARY_KEYS = 21, "touches_arbitrary_keys";
}

impl Flags {
    /// Both sets together.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// True when every flag of `other` is set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How a command uses the keys of a key spec, with the names COMMAND INFO shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access(pub u16);

impl Access {
    pub const RW: Access = Access(1);
    pub const RO: Access = Access(1 << 1);
    pub const OW: Access = Access(1 << 2);
    pub const RM: Access = Access(1 << 3);
    pub const ACCESS: Access = Access(1 << 4);
    pub const UPDATE: Access = Access(1 << 5);
    pub const INSERT: Access = Access(1 << 6);
    pub const DELETE: Access = Access(1 << 7);
    pub const NOT_KEY: Access = Access(1 << 8);
    pub const INCOMPLETE: Access = Access(1 << 9);
    pub const VARIABLE_FLAGS: Access = Access(1 << 10);
    /// Every flag with its wire name, in Redis's order.
    pub const ALL: &'static [(Access, &'static str)] = &[
        (Access::RW, "RW"),
        (Access::RO, "RO"),
        (Access::OW, "OW"),
        (Access::RM, "RM"),
        (Access::ACCESS, "access"),
        (Access::UPDATE, "update"),
        (Access::INSERT, "insert"),
        (Access::DELETE, "delete"),
        (Access::NOT_KEY, "not_key"),
        (Access::INCOMPLETE, "incomplete"),
        (Access::VARIABLE_FLAGS, "variable_flags"),
    ];

    pub const fn and(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }

    pub const fn has(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where the keys of a key spec begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At this argument (the command name is 0).
    Index(usize),
    /// After this keyword, searched from `from` (negative: from the end, backwards).
    Keyword {
        word: &'static str,
        from: isize,
    },
    Unknown,
}

/// How the keys of a key spec follow from where they begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Find {
    /// Up to `last` arguments further (negative: from the end of the arguments, -1 the last one), every `step`-th;
    /// `limit` > 1 divides what remains when `last` is -1.
    Range {
        last: isize,
        step: usize,
        limit: usize,
    },
    /// A count at `index` says how many keys follow, the first at `first` (both from the beginning).
    KeyNum {
        index: usize,
        first: usize,
        step: usize,
    },
    Unknown,
}

/// One group of keys among a command's arguments.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    pub access: Access,
    /// A remark for COMMAND DOCS readers; empty when there is none.
    pub notes: &'static str,
}

impl KeySpec {
    /// One key at a fixed argument.
    pub const fn one(index: usize, access: Access) -> KeySpec {
        KeySpec {
            begin: Begin::Index(index),
            find: Find::Range { last: 0, step: 1, limit: 0 },
            access,
            notes: "",
        }
    }

    /// Keys from `index` to the last argument, every `step`-th.
    pub const fn rest(index: usize, step: usize, access: Access) -> KeySpec {
        KeySpec {
            begin: Begin::Index(index),
            find: Find::Range { last: -1, step, limit: 0 },
            access,
            notes: "",
        }
    }
}

/// The kind of an argument in COMMAND DOCS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    /// A token without a value.
    PureToken,
    /// Exactly one of the children.
    OneOf(&'static [Arg]),
    /// All children in a row.
    Block(&'static [Arg]),
}

/// One argument of a command's syntax.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arg {
    pub name: &'static str,
    pub kind: ArgKind,
    /// The literal word before the value; empty when there is none.
    pub token: &'static str,
    pub optional: bool,
    pub multiple: bool,
    /// The token repeats with every value.
    pub multiple_token: bool,
    /// Which key spec describes it, for keys.
    pub key_spec: Option<u8>,
    /// The version that brought it, when later than the command.
    pub since: &'static str,
}

impl Arg {
    /// An argument of this kind, required, once.
    pub const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg {
            name,
            kind,
            token: "",
            optional: false,
            multiple: false,
            multiple_token: false,
            key_spec: None,
            since: "",
        }
    }
    /// A key described by key spec `spec`.
    pub const fn key(name: &'static str, spec: u8) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Key);
        arg.key_spec = Some(spec);
        arg
    }
    /// A bare word.
    pub const fn word(name: &'static str, token: &'static str) -> Arg {
        Arg::new(name, ArgKind::PureToken).token(token)
    }
    pub const fn token(mut self, token: &'static str) -> Arg {
        self.token = token;
        self
    }
    pub const fn optional(mut self) -> Arg {
        self.optional = true;
        self
    }
    pub const fn multiple(mut self) -> Arg {
        self.multiple = true;
        self
    }
    pub const fn multiple_token(mut self) -> Arg {
        self.multiple = true;
        self.multiple_token = true;
        self
    }
    pub const fn since(mut self, since: &'static str) -> Arg {
        self.since = since;
        self
    }
}

/// The group of COMMAND DOCS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    Generic,
    String,
    Connection,
    Server,
    Transactions,
    PubSub,
    Scripting,
    Hash,
    List,
    Set,
    SortedSet,
    Stream,
    Bitmap,
    Geo,
    HyperLogLog,
    Cluster,
}

impl Group {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Transactions => "transactions",
            Group::PubSub => "pubsub",
            Group::Scripting => "scripting",
            Group::Hash => "hash",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::Geo => "geo",
            Group::HyperLogLog => "hyperloglog",
            Group::Cluster => "cluster",
        }
    }
}

/// What a reply may look like; checked against real traffic by the tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// `+OK`.
    Ok,
    /// A simple string.
    Simple,
    Int,
    Bulk,
    Double,
    Bool,
    Null,
    /// An array of anything.
    Array,
    /// A map (a flat array in RESP2).
    Map,
    Set,
    Push,
    /// One of these.
    Any(&'static [Shape]),
    /// No reply at all.
    Nothing,
    /// Depends on the arguments in ways a shape does not tell (EXEC).
    Open,
}

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
    pub hops: Vec<Vec<(crate::types::ShardId, Part)>>,
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
        let shared = |(shard, part): &(crate::types::ShardId, Part)| match part {
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
    /// A script: on the owner of its declared keys, or holding all shards. Run by `net/scripts.rs`.
    Script,
    /// Has subcommands only.
    Container,
}

/// One command or subcommand.
#[derive(Clone, Copy)]
pub struct Row {
    /// Lower case; a subcommand's own word without its container's.
    pub name: &'static str,
    /// Number of words including the name; negative: at least that many. A subcommand counts its container too.
    pub arity: i16,
    pub flags: Flags,
    pub keys: &'static [KeySpec],
    /// Finds the keys that no spec can tell (SORT's STORE), after those of the specs.
    pub more_keys: Option<MoreKeysFn>,
    /// ACL categories beyond those that flags and group imply, without the `@`.
    pub acl: &'static [&'static str],
    pub group: Group,
    pub since: &'static str,
    /// Since when it is deprecated, and what to use instead.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// For other programs, not for people (a `doc_flags` of COMMAND DOCS).
    pub syscmd: bool,
    pub summary: &'static str,
    pub complexity: &'static str,
    /// COMMAND's tips (`nondeterministic_output`, `request_policy:…`).
    pub tips: &'static [&'static str],
    pub args: &'static [Arg],
    pub reply: Shape,
    pub run: Run,
    pub subcommands: &'static [Row],
}

impl Row {
    /// What rows share; a family writes `Row { name: …, ..Row::BLANK }`.
    pub const BLANK: Row = Row {
        name: "",
        arity: 1,
        flags: Flags::NONE,
        keys: &[],
        more_keys: None,
        acl: &[],
        group: Group::Generic,
        since: "1.0.0",
        deprecated: None,
        syscmd: false,
        summary: "",
        complexity: "",
        tips: &[],
        args: &[],
        reply: Shape::Open,
        run: Run::Bound,
        subcommands: &[],
    };

    /// True when a request of `words` words has the right number of them.
    pub fn arity_accepts(&self, words: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity >= 0 { words == least } else { words >= least }
    }
}
