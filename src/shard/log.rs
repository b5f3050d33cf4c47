//! What a shard has changed, as the commands that repeat it: its share of the append-only file.
//!
//! Commands of this shard alone follow each other as they ran. What a transaction over several shards does here is
//! collected apart, across its hops, and takes its place among them when the shard releases the transaction: then it
//! comes with the number of shards whose parts belong together, so that whoever writes the file writes all or none.
//!
//! With no log there is no [`Log`], and a write costs one branch more.

use std::sync::Arc;

use hashbrown::HashMap;

use super::shard::Shard;
use crate::types::DbIndex;

/// Commands one after the other, as a client would send them, with a SELECT wherever the database changes.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Commands {
    pub bytes: Vec<u8>,
    /// How many, not counting SELECT, MULTI and EXEC.
    pub count: u32,
    /// The databases of the first and the last command. The first one's SELECT is left to whoever puts these commands
    /// behind others.
    pub dbs: Option<(DbIndex, DbIndex)>,
}

/// A place among commands.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    count: u32,
}

/// Writes one command.
fn put<'a>(out: &mut Vec<u8>, args: impl ExactSizeIterator<Item = &'a [u8]>) {
    let mut digits = itoa::Buffer::new();
    let mut head = |out: &mut Vec<u8>, kind: u8, number: usize| {
        out.push(kind);
        out.extend_from_slice(digits.format(number).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    head(out, b'*', args.len());
    for arg in args {
        head(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// `SELECT db`.
pub fn put_select(out: &mut Vec<u8>, db: DbIndex) {
    let mut digits = itoa::Buffer::new();
    put(out, [b"SELECT", digits.format(db.0).as_bytes()].into_iter());
}

/// `MULTI`.
pub const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
/// `EXEC`.
pub const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

impl Commands {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a command.
    pub fn push<'a>(&mut self, db: DbIndex, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.come_to(db, db);
        put(&mut self.bytes, args);
        self.count += 1;
    }

    /// Adds commands that belong behind these.
    pub fn append(&mut self, more: &Commands) {
        if let Some((first, last)) = more.dbs {
            self.come_to(first, last);
            self.bytes.extend_from_slice(&more.bytes);
            self.count += more.count;
        }
    }

    fn come_to(&mut self, first: DbIndex, last: DbIndex) {
        let begun = match self.dbs {
            None => first,
            Some((begun, at)) => {
                if at != first {
                    put_select(&mut self.bytes, first);
                }
                begun
            }
        };
        self.dbs = Some((begun, last));
    }

    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), count: self.count }
    }

    /// Makes one block of everything behind a mark, if that is more than one command.
    pub fn enclose(&mut self, mark: Mark) {
        if self.count - mark.count > 1 {
            self.bytes.splice(mark.bytes..mark.bytes, MULTI.iter().copied());
            self.bytes.extend_from_slice(EXEC);
        }
    }
}

/// Where a new file begins: told to the writer by every shard at one serial point.
pub trait Rotation: Send + Sync + std::fmt::Debug {
    /// For the writer, which knows what it is.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// One piece of a shard's log.
#[derive(Debug)]
pub enum Item {
    /// Commands of this shard alone.
    Plain(Commands),
    /// What a transaction did here, perhaps nothing; `of` shards have such a part, this one included.
    Part { tx: u64, of: u16, commands: Commands },
    /// Every shard has such a mark; what follows it belongs to the next file.
    Rotate(Arc<dyn Rotation>),
}

/// What a shard gives to the writer at the end of a turn.
#[derive(Debug)]
pub struct LogChunk {
    /// Counts the shard's chunks, from 1.
    pub number: u64,
    pub items: Vec<Item>,
}

impl Item {
    /// Bytes of its commands.
    pub fn bytes(&self) -> u64 {
        match self {
            Item::Plain(commands) | Item::Part { commands, .. } => commands.bytes.len() as u64,
            Item::Rotate(_) => 0,
        }
    }
}

impl LogChunk {
    /// Bytes of its commands.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(Item::bytes).sum()
    }
}

/// A shard's log.
#[derive(Debug, Default)]
pub struct Log {
    /// The command that runs, as its handler wants it repeated.
    said: Commands,
    /// Its handler wants the keys' values written down instead.
    say_state: bool,
    /// The transaction whose work runs.
    open: Option<u64>,
    /// What runs is one block with what ran since then (a script, EXEC), and how deep blocks are nested.
    block: Option<Mark>,
    depth: u32,
    parts: HashMap<u64, Commands, ahash::RandomState>,
    items: Vec<Item>,
    chunks: u64,
}

impl Log {
    // --- for handlers: how the command that runs is to be repeated ------------------------------------------------

    /// Says what repeats the command that runs, or a part of it. A handler that says anything says everything: the
    /// request itself is then not logged.
    pub fn say(&mut self, db: DbIndex, args: &[&[u8]]) {
        self.said.push(db, args.iter().copied());
    }

    /// The same for arguments without end.
    pub fn say_all<'a>(&mut self, db: DbIndex, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.said.push(db, args);
    }

    /// The command that runs cannot be repeated as it stands (other servers do not know it, it depends on chance or on
    /// time): the values of the keys that it changed are to be written down.
    pub fn say_state(&mut self) {
        self.say_state = true;
    }

    /// Was anything said?
    pub fn has_said(&self) -> bool {
        !self.said.is_empty()
    }

    /// Takes what was said.
    pub fn take_said(&mut self) -> (Commands, bool) {
        (std::mem::take(&mut self.said), std::mem::take(&mut self.say_state))
    }

    // --- for the end of a command ---------------------------------------------------------------------------------

    /// Adds a command where it belongs now.
    pub fn push<'a>(&mut self, db: DbIndex, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.current().push(db, args);
    }

    /// Adds commands where they belong now.
    pub fn append(&mut self, commands: &Commands) {
        if !commands.is_empty() {
            self.current().append(commands);
        }
    }

    /// Where commands go now: the part of the transaction whose work runs, or behind the others.
    pub fn current(&mut self) -> &mut Commands {
        match self.open {
            Some(tx) => self.parts.entry(tx).or_default(),
            None => {
                if !matches!(self.items.last(), Some(Item::Plain(_))) {
                    self.items.push(Item::Plain(Commands::default()));
                }
                match self.items.last_mut() {
                    Some(Item::Plain(commands)) => commands,
                    _ => unreachable!("put there just now"),
                }
            }
        }
    }

    // --- blocks ---------------------------------------------------------------------------------------------------

    /// What follows, until the block ends, is repeated as one. Blocks within blocks are parts of the outermost.
    pub fn begin_block(&mut self) {
        if self.depth == 0 && self.open.is_none() {
            self.block = Some(self.current().mark());
        }
        self.depth += 1;
    }

    /// The end of the block that was begun last.
    pub fn end_block(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0
            && let Some(mark) = self.block.take()
        {
            self.current().enclose(mark);
        }
    }

    // --- transactions ---------------------------------------------------------------------------------------------

    /// Work of a transaction over several shards begins here.
    pub fn enter(&mut self, tx: u64) {
        self.open = Some(tx);
    }

    /// That was the work.
    pub fn leave(&mut self) {
        self.open = None;
    }

    /// The transaction is over here. `of` shards have a part of it, this one included.
    pub fn close(&mut self, tx: u64, of: u16) {
        let commands = self.parts.remove(&tx).unwrap_or_default();
        self.items.push(Item::Part { tx, of, commands });
    }

    /// What follows belongs to the next file.
    pub fn rotate(&mut self, rotation: Arc<dyn Rotation>) {
        self.items.push(Item::Rotate(rotation));
    }

    // --- for the core ---------------------------------------------------------------------------------------------

    /// Takes what there is for the writer.
    pub fn take_chunk(&mut self) -> Option<LogChunk> {
        if self.items.is_empty() {
            return None;
        }
        self.chunks += 1;
        Some(LogChunk { number: self.chunks, items: std::mem::take(&mut self.items) })
    }

    /// The chunk with which everything so far will be, or was, given away.
    pub fn last_chunk(&self) -> u64 {
        self.chunks + u64::from(!self.items.is_empty())
    }
}

impl Shard {
    /// From here on what this shard does is logged.
    pub fn log_on(&mut self) -> &mut Log {
        if self.log.is_none() {
            self.effects.follow();
        }
        let chunks = self.log_chunks;
        self.log.get_or_insert_with(|| Box::new(Log { chunks, ..Log::default() }))
    }

    /// No longer. The number of the last chunk that was given.
    pub fn log_off(&mut self) -> u64 {
        if let Some(log) = self.log.take() {
            self.log_chunks = log.last_chunk();
            self.effects.unfollow();
        }
        self.log_chunks
    }
}
