//! What a shard has changed, as the commands that repeat it: its share of the append-only file.
//!
//! Commands of this shard alone follow each other as they ran. What a transaction over several shards does here is
//! collected apart, across its hops, and takes its place among them when the shard releases the transaction: then it
//! comes with the number of shards whose parts belong together, so that whoever writes the file writes all or none.
//!
//! With no log there is no [`Log`], and a write costs one branch more.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

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
    /// Where commands of all shards together stand among these, see [`Commands::stages`]: the bytes, the count and the
    /// database of the last command before.
    cuts: Vec<(Mark, Option<DbIndex>)>,
}

/// A place among commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// Fields in one HDEL for what has expired.
const FIELDS_PER_COMMAND: usize = 64;

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
        let is_cut = self.cuts.last().is_some_and(|(mark, _)| mark.bytes == self.bytes.len());
        let begun = match self.dbs {
            None => first,
            Some((begun, at)) => {
                if at != first || is_cut {
                    put_select(&mut self.bytes, first);
                }
                begun
            }
        };
        self.dbs = Some((begun, last));
    }

    /// What follows stands behind a command of all shards together, or is one.
    pub fn cut(&mut self) {
        self.cuts.push((self.mark(), self.dbs.map(|(_, last)| last)));
    }

    /// The commands in pieces. When a transaction has commands for all shards together (FLUSHALL), then all of its parts
    /// have equally many pieces, and what the first pieces of all parts do is done before what the second ones do.
    pub fn stages(&self) -> impl Iterator<Item = Commands> {
        let end = (self.mark(), self.dbs.map(|(_, last)| last));
        let mut begin = Mark { bytes: 0, count: 0 };
        self.cuts.iter().copied().chain([end]).map(move |(mark, last)| {
            let bytes = self.bytes[begin.bytes..mark.bytes].to_vec();
            // Behind a cut every piece begins with a SELECT of its own.
            let first = if begin.bytes == 0 { self.dbs.map(|(first, _)| first) } else { last };
            let dbs = first.zip(last).filter(|_| !bytes.is_empty());
            let count = mark.count - begin.count;
            begin = mark;
            Commands { bytes, count, dbs, cuts: Vec::new() }
        })
    }

    /// Are there several pieces?
    pub fn is_cut(&self) -> bool {
        !self.cuts.is_empty()
    }

    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), count: self.count }
    }

    /// Forgets everything behind a mark, where the commands were at these databases.
    fn forget(&mut self, mark: Mark, dbs: Option<(DbIndex, DbIndex)>) {
        self.bytes.truncate(mark.bytes);
        self.count = mark.count;
        self.dbs = dbs;
        self.cuts.retain(|(cut, _)| cut.bytes <= mark.bytes);
    }

    /// Takes away everything behind a mark, where the commands were at these databases.
    fn split_off(&mut self, mark: Mark, dbs: Option<(DbIndex, DbIndex)>) -> Commands {
        let bytes = self.bytes.split_off(mark.bytes);
        let count = self.count - mark.count;
        let first = dbs.map_or(self.dbs.map(|(first, _)| first), |(_, last)| Some(last));
        let rest_dbs = first.zip(self.dbs.map(|(_, last)| last)).filter(|_| !bytes.is_empty());
        (self.count, self.dbs) = (mark.count, dbs);
        Commands { bytes, count, dbs: rest_dbs, cuts: Vec::new() }
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

/// How a command is repeated whose handler said no commands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Unsaid {
    /// By its request, if that means the same whenever and wherever it runs.
    #[default]
    Request,
    /// By the values of the keys that it changed.
    State,
    /// Not at all: what it changed is not kept.
    Nothing,
}

/// What a handler said.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Said {
    /// What had happened before the command could run: fields of these hashes whose time had come are gone.
    pub before: Vec<(DbIndex, Box<[u8]>, Commands)>,
    pub commands: Commands,
    pub unsaid: Unsaid,
    /// The commands are one shard's word for all, and every shard has come to them.
    pub for_all: bool,
}

impl Item {
    /// Bytes of its commands.
    pub fn bytes(&self) -> u64 {
        match self {
            Item::Plain(commands) | Item::Part { commands, .. } => commands.bytes.len() as u64,
            Item::Rotate(_) => 0,
        }
    }

    fn commands(&self) -> u32 {
        match self {
            Item::Plain(commands) | Item::Part { commands, .. } => commands.count,
            Item::Rotate(_) => 0,
        }
    }
}

impl LogChunk {
    /// Bytes of its commands.
    pub fn bytes(&self) -> u64 {
        self.items.iter().map(Item::bytes).sum()
    }

    /// How many commands that are.
    pub fn commands(&self) -> u32 {
        self.items.iter().map(Item::commands).sum()
    }
}

/// What a transaction over several shards has done here so far.
#[derive(Debug, Default)]
struct Part {
    commands: Commands,
    /// The keys that it has changed: until it is over nobody else does, but time and want of memory.
    keys: HashSet<(DbIndex, Box<[u8]>), ahash::RandomState>,
    /// It has changed whole databases.
    everything: bool,
}

/// A shard's log.
#[derive(Debug, Default)]
pub struct Log {
    /// The command that runs, as its handler wants it repeated.
    said: Said,
    /// The transaction whose work runs.
    open: Option<u64>,
    /// What runs is one block with what ran since then (a script, EXEC), and how deep blocks are nested.
    block: Option<(Mark, Option<(DbIndex, DbIndex)>)>,
    depth: u32,
    parts: HashMap<u64, Part, ahash::RandomState>,
    items: Vec<Item>,
    chunks: u64,
}

impl Log {
    // --- for handlers: how the command that runs is to be repeated ------------------------------------------------

    /// Says what repeats the command that runs, or a part of it. A handler that says anything says everything: the
    /// request itself is then not logged.
    pub fn say(&mut self, db: DbIndex, args: &[&[u8]]) {
        self.said.commands.push(db, args.iter().copied());
    }

    /// The same for arguments without end.
    pub fn say_all<'a>(&mut self, db: DbIndex, args: impl ExactSizeIterator<Item = &'a [u8]>) {
        self.said.commands.push(db, args);
    }

    /// The command that runs cannot be repeated as it stands (other servers do not know it, it depends on chance or on
    /// time): the values of the keys that it changed are to be written down.
    pub fn say_state(&mut self) {
        self.said.unsaid = Unsaid::State;
    }

    /// The command that runs changed nothing that is worth repeating.
    pub fn say_nothing(&mut self) {
        self.said.unsaid = Unsaid::Nothing;
    }

    /// The command runs on every shard, and this one says it for all of them if `this_one`; the others must call this
    /// too.
    pub fn say_for_all<'a>(
        &mut self,
        this_one: bool,
        db: DbIndex,
        args: impl ExactSizeIterator<Item = &'a [u8]>,
    ) {
        self.said.for_all = true;
        if this_one {
            self.said.commands.push(db, args);
        }
    }

    /// Fields of a hash have expired: whoever reads the log deletes none by the clock.
    pub fn say_expired_fields(&mut self, db: DbIndex, key: &[u8], fields: &[Vec<u8>]) {
        let mut commands = Commands::default();
        for fields in fields.chunks(FIELDS_PER_COMMAND) {
            let args: Vec<&[u8]> =
                [&b"HDEL"[..], key].into_iter().chain(fields.iter().map(Vec::as_slice)).collect();
            commands.push(db, args.into_iter());
        }
        self.said.before.push((db, key.into(), commands));
    }

    /// Was anything said?
    pub fn has_said(&self) -> bool {
        let Said { before, commands, unsaid, for_all } = &self.said;
        *for_all || *unsaid != Unsaid::Request || !commands.is_empty() || !before.is_empty()
    }

    /// Takes what was said.
    pub fn take_said(&mut self) -> Said {
        std::mem::take(&mut self.said)
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

    /// Adds what happened to a key by itself: its time had come, or memory was wanted. That is behind what a transaction has
    /// done to it, also when the transaction is not over.
    pub fn append_gone(&mut self, db: DbIndex, key: &[u8], commands: &Commands) {
        if !self.parts.is_empty() {
            let open = self.open;
            let name = (db, Box::from(key));
            let changed = |part: &Part| part.everything || part.keys.contains(&name);
            let holder = self
                .parts
                .iter_mut()
                .find(|(tx, part)| Some(**tx) != open && changed(part))
                .map(|(_, part)| part);
            if let Some(part) = holder {
                return part.commands.append(commands);
            }
        }
        self.append(commands);
    }

    /// The command that runs has changed a key. Matters within transactions only.
    pub fn note_change(&mut self, db: DbIndex, key: &[u8]) {
        if let Some(tx) = self.open {
            self.parts.entry(tx).or_default().keys.insert((db, key.into()));
        }
    }

    /// Adds commands that are repeated as one where they belong now.
    pub fn append_block(&mut self, commands: &Commands) {
        if commands.count > 1 {
            self.begin_block();
            self.append(commands);
            self.end_block();
        } else {
            self.append(commands);
        }
    }

    /// What follows stands behind a command of all shards together, or is one. Matters within transactions only.
    pub fn cut(&mut self) {
        if let Some(tx) = self.open {
            let part = self.parts.entry(tx).or_default();
            part.commands.cut();
            part.everything = true;
        }
    }

    /// Where commands go now: the part of the transaction whose work runs, or behind the others.
    pub fn current(&mut self) -> &mut Commands {
        match self.open {
            Some(tx) => &mut self.parts.entry(tx).or_default().commands,
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
            let current = self.current();
            self.block = Some((current.mark(), current.dbs));
        }
        self.depth += 1;
    }

    /// The end of the block that was begun last.
    pub fn end_block(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0
            && let Some((mark, _)) = self.block.take()
        {
            self.current().enclose(mark);
        }
    }

    /// Forgets what the outermost block has done so far.
    pub fn forget_block(&mut self) {
        if let Some((mark, dbs)) = self.block.take() {
            self.current().forget(mark, dbs);
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
        let part = self.parts.remove(&tx).unwrap_or_default();
        self.items.push(Item::Part { tx, of, commands: part.commands });
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

    /// Takes what was done before the block that is open, if one is: that cannot be given in two pieces.
    pub fn take_chunk_before_block(&mut self) -> Option<LogChunk> {
        let Some((mark, dbs)) = self.block else { return self.take_chunk() };
        let Some(Item::Plain(commands)) = self.items.last_mut() else { return None };
        let block = commands.split_off(mark, dbs);
        if commands.is_empty() {
            self.items.pop();
        }
        let chunk = self.take_chunk();
        self.items.push(Item::Plain(block));
        self.block = Some((Mark { bytes: 0, count: 0 }, None));
        chunk
    }

    /// The last chunk that was given away.
    pub fn last_given(&self) -> u64 {
        self.chunks
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_block_leaves_no_trace() {
        let mut log = Log::default();
        let word = |log: &mut Log, db, word: &'static [u8]| log.push(DbIndex(db), [word].into_iter());
        word(&mut log, 1, b"a");
        log.begin_block();
        word(&mut log, 2, b"b");
        log.begin_block();
        word(&mut log, 1, b"c");
        log.forget_block();
        log.end_block();
        log.end_block();
        word(&mut log, 1, b"d");
        let chunk = log.take_chunk().unwrap();
        let [Item::Plain(commands)] = &chunk.items[..] else { panic!("one run of commands") };
        assert_eq!(String::from_utf8_lossy(&commands.bytes), "*1\r\n$1\r\na\r\n*1\r\n$1\r\nd\r\n");
        assert_eq!(commands.dbs, Some((DbIndex(1), DbIndex(1))));
    }

    #[test]
    fn a_transaction_with_commands_for_all_shards_comes_in_pieces() {
        let mut log = Log::default();
        log.enter(1);
        log.push(DbIndex(3), [&b"a"[..]].into_iter());
        log.cut();
        log.push(DbIndex(3), [&b"b"[..]].into_iter());
        log.cut();
        log.cut();
        log.push(DbIndex(3), [&b"c"[..]].into_iter());
        log.push(DbIndex(4), [&b"d"[..]].into_iter());
        log.leave();
        log.close(1, 1);
        let chunk = log.take_chunk().unwrap();
        let [Item::Part { commands, .. }] = &chunk.items[..] else { panic!("one part") };
        let stages: Vec<Commands> = commands.stages().collect();
        let shown =
            |stage: &Commands| (String::from_utf8_lossy(&stage.bytes).replace("\r\n", " "), stage.dbs);
        let dbs = |first, last| Some((DbIndex(first), DbIndex(last)));
        assert_eq!(shown(&stages[0]), ("*1 $1 a ".into(), dbs(3, 3)));
        assert_eq!(shown(&stages[1]), ("*2 $6 SELECT $1 3 *1 $1 b ".into(), dbs(3, 3)));
        assert_eq!(shown(&stages[2]), (String::new(), None));
        assert_eq!(stages[3].dbs, dbs(4, 4), "it begins with a SELECT, whatever it is");
        assert_eq!(stages.iter().map(|stage| stage.count).collect::<Vec<_>>(), [1, 1, 0, 2]);
    }

    #[test]
    fn what_was_done_before_a_block_is_given_while_that_is_open() {
        let mut log = Log::default();
        log.push(DbIndex(1), [&b"a"[..]].into_iter());
        log.begin_block();
        log.push(DbIndex(1), [&b"b"[..]].into_iter());
        let given = |chunk: Option<LogChunk>| -> Vec<(String, Option<(DbIndex, DbIndex)>)> {
            let of = |item: &Item| match item {
                Item::Plain(commands) => {
                    (String::from_utf8_lossy(&commands.bytes).replace("\r\n", " "), commands.dbs)
                }
                other => panic!("{other:?}"),
            };
            chunk.iter().flat_map(|chunk| &chunk.items).map(of).collect()
        };
        let dbs = |first, last| Some((DbIndex(first), DbIndex(last)));
        assert_eq!(given(log.take_chunk_before_block()), [("*1 $1 a ".to_owned(), dbs(1, 1))]);
        assert_eq!(log.last_given(), 1);
        assert!(log.take_chunk_before_block().is_none());
        log.push(DbIndex(2), [&b"c"[..]].into_iter());
        log.end_block();
        let block = "*1 $5 MULTI *1 $1 b *2 $6 SELECT $1 2 *1 $1 c *1 $4 EXEC ".to_owned();
        assert_eq!(given(log.take_chunk()), [(block, dbs(1, 2))]);
        // A block that is forgotten leaves nothing of itself.
        log.push(DbIndex(2), [&b"d"[..]].into_iter());
        log.begin_block();
        log.push(DbIndex(3), [&b"e"[..]].into_iter());
        assert_eq!(given(log.take_chunk_before_block()), [("*1 $1 d ".to_owned(), dbs(2, 2))]);
        log.forget_block();
        log.push(DbIndex(4), [&b"f"[..]].into_iter());
        assert_eq!(given(log.take_chunk()), [("*1 $1 f ".to_owned(), dbs(4, 4))]);
    }

    #[test]
    fn what_a_transaction_made_and_time_took_is_gone_behind_it() {
        let mut log = Log::default();
        let del = |key: &[u8]| {
            let mut gone = Commands::default();
            gone.push(DbIndex(0), [b"DEL", key].into_iter());
            gone
        };
        log.enter(1);
        log.push(DbIndex(0), [&b"SET"[..], b"mine", b"v"].into_iter());
        log.note_change(DbIndex(0), b"mine");
        log.leave();
        log.append_gone(DbIndex(0), b"mine", &del(b"mine"));
        log.append_gone(DbIndex(0), b"other", &del(b"other"));
        log.close(1, 1);
        let chunk = log.take_chunk().unwrap();
        let [Item::Plain(plain), Item::Part { commands, .. }] = &chunk.items[..] else { panic!("{chunk:?}") };
        assert_eq!(*plain, del(b"other"));
        assert!(commands.bytes.ends_with(&del(b"mine").bytes));
    }
}
