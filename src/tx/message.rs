//! What cores say to each other: batches of commands and replies, and the transactions' own messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use smallvec::SmallVec;

use super::intents::{IntentSet, Mode};
use super::queue::TxId;
use crate::commands::context::ClientView;
use crate::commands::{Block, Part, RowId};
use crate::resp::{Argv, Output, Request, Span};
use crate::shard::Shard;
use crate::types::{DbIndex, ShardId};

/// Names a client's command to the core it came from. Echoed, never interpreted, by others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Token {
    /// The connection.
    pub index: u32,
    pub generation: u32,
    /// Which of the connection's commands.
    pub seq: u32,
}

/// One command for one shard, its arguments in the batch's arena.
#[derive(Clone, Copy, Debug)]
pub struct RemoteCommand {
    pub token: Token,
    pub row: RowId,
    pub db: DbIndex,
    pub client: ClientView,
    first_span: u32,
    spans: u32,
}

/// Commands of one turn for one shard, in the order they were taken.
#[derive(Default, Debug)]
pub struct Commands {
    arena: Vec<u8>,
    spans: Vec<Span>,
    pub list: Vec<RemoteCommand>,
}

impl Commands {
    /// Adds a command, copying its arguments into the arena.
    pub fn push(&mut self, token: Token, row: RowId, db: DbIndex, client: ClientView, argv: Argv<'_>) {
        let first_span = self.spans.len() as u32;
        for arg in argv.iter() {
            let start = self.arena.len();
            self.arena.extend_from_slice(arg);
            self.spans.push(Span { start, end: self.arena.len() });
        }
        self.list.push(RemoteCommand { token, row, db, client, first_span, spans: argv.len() as u32 });
    }

    /// The arguments of a command of this batch.
    #[inline]
    pub fn argv(&self, command: &RemoteCommand) -> Argv<'_> {
        let first = command.first_span as usize;
        Argv { buf: &self.arena, spans: &self.spans[first..first + command.spans as usize] }
    }

    /// Bytes of arguments it carries.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Forgets the commands and keeps up to `keep_bytes` of memory.
    pub fn clear(&mut self, keep_bytes: usize) {
        self.arena.clear();
        self.arena.shrink_to(keep_bytes);
        self.spans.clear();
        self.spans.shrink_to(keep_bytes / size_of::<Span>());
        self.list.clear();
    }
}

/// The end of one reply within [`Replies`].
#[derive(Clone, Copy, Debug)]
pub struct ReplyEnd {
    pub token: Token,
    pub bytes_end: usize,
    pub shared_end: usize,
}

/// Replies to commands, one after the other in one output.
#[derive(Default, Debug)]
pub struct Replies {
    pub output: Output,
    pub ends: Vec<ReplyEnd>,
}

impl Replies {
    /// Marks the end of the reply that was written to `output`.
    pub fn end(&mut self, token: Token) {
        self.ends.push(ReplyEnd {
            token,
            bytes_end: self.output.bytes.len(),
            shared_end: self.output.shared.len(),
        });
    }

    /// Forgets the replies and keeps up to `keep_bytes` of memory.
    pub fn clear(&mut self, keep_bytes: usize) {
        self.output.clear();
        self.output.bytes.shrink_to(keep_bytes);
        self.ends.clear();
    }
}

/// A transaction as its messages name it: where its coordinator keeps it, and its present number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TxRef {
    pub slot: u32,
    pub id: TxId,
}

/// A key to be locked.
#[derive(Clone, Debug)]
pub struct LockedKey {
    pub db: DbIndex,
    pub key: Box<[u8]>,
    pub mode: Mode,
}

/// A watched key and the version that was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WatchedKey {
    pub db: DbIndex,
    pub key: Box<[u8]>,
    pub version: u64,
}

/// One command in the form a transaction carries it.
#[derive(Clone, Debug)]
pub struct TxCommand {
    pub row: RowId,
    pub db: DbIndex,
    pub request: Arc<Request>,
}

/// What a shard does in one hop of a transaction.
pub enum Work {
    /// Begin, no more.
    Nothing,
    /// Begin, and lend the shard to the coordinator's core until it comes back (`TxMessage::Back`). Who would rather
    /// not answers as to `Nothing`.
    Lend,
    /// These keys (by their order) of a command that runs key by key.
    Each { command: TxCommand, mine: Vec<usize> },
    /// One hop of a command of hops. `got` is what earlier hops returned.
    Hop { command: TxCommand, hop: usize, mine: Vec<usize>, got: crate::commands::spec::Gathered },
    /// This shard's part of a command over all shards.
    All { command: TxCommand },
    /// Commands that need only this shard, with their index in the EXEC they belong to.
    Group { commands: Vec<(usize, TxCommand)> },
    /// Begin a snapshot of this shard.
    Snapshot(Arc<dyn crate::shard::snapshot::Source>),
    /// The client waits at these keys (by their order) of the command.
    Wait { command: TxCommand, mine: Vec<usize>, ticket: Ticket },
}

/// A shard that is lent, and the thread that sleeps until it is back.
pub struct Loan {
    pub shard: Box<Shard>,
    pub lender: std::thread::Thread,
}

/// What a client that waits on several shards leaves with each of them.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub token: Token,
    pub block: Box<Block>,
    pub until: Until,
    /// Where it waits.
    pub shards: SmallVec<[ShardId; 4]>,
    /// Whoever sets it first answers the client.
    pub claim: Claim,
}

/// Until when a client waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// For so long from now on; 0 for ever.
    For { timeout_ms: u64 },
    /// As it was decided when it began to wait.
    At { deadline_ms: Option<u64> },
}

/// One client's wait on several shards: the first who has something takes it.
#[derive(Clone, Debug, Default)]
pub struct Claim(Arc<AtomicBool>);

impl Claim {
    /// True for the first who asks.
    pub fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// It had nothing after all.
    pub fn give_back(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Where a transaction was scheduled in a shard's queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Nothing stands before it: what it sends runs as it arrives.
    Free,
    /// Behind something that conflicts.
    Behind,
}

/// A transaction's messages.
pub enum TxMessage {
    /// Take these intents, if the number is still good; and compare the watched keys. `writers` shards get exclusive
    /// intents.
    Schedule { tx: TxRef, client: ClientView, intents: IntentSet, writers: u16, watched: Vec<WatchedKey> },
    /// The answer. No place: the number is not good here.
    Scheduled { tx: TxRef, place: Option<Place>, watched_unchanged: bool },
    /// Do this; after the last work the intents are released.
    Run { tx: TxRef, client: ClientView, work: Work, conclude: bool },
    /// Done.
    Ran { tx: TxRef, part: Part },
    /// The shard that was lent.
    Back { tx: TxRef, shard: Box<Shard> },
    /// Finish without further work; or nothing has run, and nothing will under this number.
    Release { tx: TxRef, withdrawn: bool },
}

/// Something for a core, from a core.
pub struct Addressed {
    pub to: ShardId,
    pub message: TxMessage,
}
