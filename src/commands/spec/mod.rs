//! The row: what a command is, declared once as plain data.
//!
//! Everything else about a command (arity errors, COMMAND INFO / DOCS / GETKEYS, routing, MULTI permission,
//! the out-of-memory gate, statistics, the compatibility page, the fuzzers' grammar) is derived from its row.

mod arguments;
mod flags;
mod keys;
mod run;

pub use arguments::{Arg, ArgKind};
pub use flags::Flags;
pub use keys::{Access, Begin, Find, KeySpec};
pub use run::{
    AccessFn, AllFn, FinishFn, Gathered, Hop, HopFn, KeyFn, LocalFn, Merge, MergeFn, MoreKeysFn, On, Outcome,
    Run, ShardFn,
};

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
    /// What a request does with its keys of `variable_flags`. For who asks (COMMAND GETKEYSANDFLAGS); intents go by the
    /// specs, which say the most that any request does.
    pub access_of: Option<AccessFn>,
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
        access_of: None,
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
