//! What one core sends another in one turn.

use std::sync::Arc;

use super::blocked::EndOfWait;
use super::client::Client;
use super::tracking::Stale;
use crate::commands::{Part, RowId};
use crate::pubsub::Letter;
use crate::resp::{Protocol, Request};
use crate::runtime::face::Socket;
use crate::shard::tracking::{Invalid, Reader};
use crate::tx::message::{Commands, Replies, Token, TxCommand, TxMessage, WatchedKey};
use crate::types::{ClientId, DbIndex, ShardId};

/// What buffers that are used again may keep.
pub const KEEP_BYTES: usize = 64 * 1024;

/// One message of the mesh.
#[derive(Default)]
pub struct Batch {
    /// Commands for the receiver's shard.
    pub commands: Commands,
    /// Replies to the receiver's clients.
    pub replies: Replies,
    /// Transactions.
    pub tx: Vec<TxMessage>,
    /// Everything else.
    pub control: Vec<Control>,
    /// What the batch tells of is in the sender's log up to this chunk.
    pub logged: u64,
}

impl Batch {
    /// True when there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.commands.list.is_empty()
            && self.replies.ends.is_empty()
            && self.tx.is_empty()
            && self.control.is_empty()
    }

    /// Makes it ready to be filled again.
    pub fn recycle(&mut self) {
        self.commands.clear(KEEP_BYTES);
        self.replies.clear(KEEP_BYTES);
        self.tx.clear();
        self.control.clear();
        self.logged = 0;
    }
}

/// Who asks all cores something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Asker {
    /// The client's core.
    pub core: ShardId,
    pub client: ClientId,
    pub db: DbIndex,
    pub authenticated: bool,
    pub protocol: Protocol,
}

impl Asker {
    /// A client of this core.
    pub fn of(client: &Client, core: ShardId) -> Asker {
        let Client { id, db, authenticated, protocol, .. } = *client;
        Asker { core, client: id, db, authenticated, protocol }
    }
}

/// Rarer messages.
pub enum Control {
    /// A connection for the receiver, accepted elsewhere.
    Adopt(Socket),
    /// A client that goes on at the receiver.
    Moved(Box<super::moving::Mover>),
    /// A broadcast command.
    Ask { slot: u32, row: RowId, asker: Asker, request: Arc<Request> },
    /// The answer.
    Answer { slot: u32, part: Part },
    /// A client of the sender is gone that had commands under way here; of the token only the client counts.
    Left(Token),
    /// These keys are no longer watched by a client.
    Unwatch(Vec<WatchedKey>),
    /// A line for the receiver's monitors.
    Monitor(Arc<Vec<u8>>),
    /// A message for the receiver's subscribers. With a slot the sender is to be told how many there were.
    Letter { letter: Arc<Letter>, slot: Option<u32> },
    /// How many subscribers a letter of the receiver reached.
    Received { slot: u32, count: i64 },
    /// What became invalid on the sender's shard.
    Invalid(Arc<Vec<Invalid>>),
    /// The sender has no clients in broadcasting mode any more.
    NoBroadcasts,
    /// A client of the receiver is told in place of another.
    Redirected { from: Reader, to: ClientId, stale: Stale },
    /// Whom this client of the receiver redirects to is not there.
    RedirectionBroke(ClientId),
    /// A command of a client of the receiver, for its logs.
    Noted(Box<super::observe::Noted>),
    /// A client of the receiver waits for keys.
    Waits(Token),
    /// A client's wait at keys of the receiver is over.
    EndWait { origin: ShardId, token: Token, how: EndOfWait },
    /// Keys of the receiver may have something for a client that waits there.
    LookAgain { origin: ShardId, token: Token },
    /// A command of a client of the receiver has waited and may run again.
    RunAgain { token: Token, command: TxCommand, deadline_ms: Option<u64> },
}
