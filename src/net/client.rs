//! A client: a connection and what it has said about itself.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::tracking::ClientTracking;
use crate::commands::RowId;
use crate::commands::context::ClientView;
use crate::pubsub::Counts;
use crate::resp::{Output, Parser, Protocol, Request};
use crate::runtime::face::{ConnId, ListenerKind};
use crate::tx::message::WatchedKey;
use crate::types::{ClientId, DbIndex, ShardId};

/// Why a client's next command has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Stall {
    #[default]
    None,
    /// Until everything outstanding is answered.
    Answers,
    /// Until its transaction or broadcast is done.
    Transaction,
    /// Until CLIENT PAUSE ends.
    Paused,
    /// Until another core has taken batches (credit).
    Credit,
    /// Until it reads its replies.
    Output,
    /// Until its command, which may wait for keys, is answered.
    Blocked,
    /// Until the others have had their turn.
    Visited,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// Nothing for the next command.
    SkipNext,
    /// Nothing for this command.
    Skip,
}

/// A reply that is not yet due to leave.
#[derive(Debug)]
pub enum Pending {
    /// Replies of this core that wait for an earlier one.
    Ready(Output),
    /// A reply that is still to come, or has come too early. `mute`: nobody wants it (CLIENT REPLY).
    Awaited { seq: u32, reply: Option<Output>, mute: bool },
}

/// A queued MULTI block.
#[derive(Default)]
pub struct Multi {
    pub commands: Vec<(RowId, Arc<Request>)>,
    /// A command could not be queued: EXEC aborts.
    pub failed: bool,
    /// Bytes the queued commands hold.
    pub bytes: usize,
}

/// One connection.
pub struct Client {
    pub id: ClientId,
    pub conn: ConnId,
    pub kind: ListenerKind,
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
    pub fd: i32,
    /// Of the listener, for clients of a Unix socket.
    pub socket_path: Box<str>,

    pub parser: Parser,
    /// Received and not yet consumed; `query_at` bytes of it are.
    pub query: Vec<u8>,
    pub query_at: usize,
    pub receive_paused: bool,

    /// Replies that may leave.
    pub out: Output,
    /// Handed to the engine and not yet sent.
    pub sending: usize,
    /// In the core's list of clients with something to send.
    pub dirty: bool,
    /// In the line of those who have messages to get.
    pub in_line: bool,
    /// Replies in order, when an earlier one is awaited.
    pub pending: VecDeque<Pending>,
    pub next_seq: u32,
    /// Commands at other shards (or waiting in this one's queue).
    pub outstanding: usize,
    /// Where, while it is one shard only.
    pub outstanding_at: ShardId,
    pub stall: Stall,
    /// Waits for keys.
    pub blocked: bool,
    /// The output was over the soft limit since (milliseconds).
    pub soft_limit_since_ms: Option<u64>,
    /// Most bytes that were sent at once, of late.
    pub output_peak: usize,
    /// The peer sends no more, but is still owed replies.
    pub ended: bool,
    /// Replies wait until the log has come so far (`log.rs`).
    pub held: bool,

    pub db: DbIndex,
    pub protocol: Protocol,
    pub authenticated: bool,
    pub name: Box<[u8]>,
    pub lib_name: Box<[u8]>,
    pub lib_version: Box<[u8]>,
    pub multi: Option<Box<Multi>>,
    pub watched: Vec<WatchedKey>,
    /// Watched by the EXEC that is under way; forgotten when it is done.
    pub watched_by_exec: Vec<WatchedKey>,
    pub reply_mode: ReplyMode,
    /// The command that runs gets no reply.
    pub mute: bool,
    /// Where unwanted replies go.
    sink: Output,
    pub no_touch: bool,
    pub no_evict: bool,
    pub monitor: bool,
    pub subscriptions: Counts,
    pub tracking: Option<Box<ClientTracking>>,
    /// Of the HTTP request that is being answered.
    pub http_head_only: bool,
    pub http_keep_alive: bool,
    /// The command that runs is part of an EXEC.
    pub in_exec: bool,
    /// Close when everything queued has left.
    pub close_after_reply: bool,
    /// Closed; the entry goes at the end of the turn.
    pub closed: bool,

    pub created_ms: u64,
    pub active_ms: u64,
    pub last_command: Option<RowId>,
    pub commands: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

impl Client {
    /// A connection that was just adopted.
    pub fn new(id: ClientId, conn: ConnId, kind: ListenerKind, now_ms: u64) -> Client {
        Client {
            id,
            conn,
            kind,
            peer: None,
            local: None,
            fd: -1,
            socket_path: Box::default(),
            parser: Parser::new(),
            query: Vec::new(),
            query_at: 0,
            receive_paused: false,
            out: Output::default(),
            sending: 0,
            dirty: false,
            in_line: false,
            pending: VecDeque::new(),
            next_seq: 0,
            outstanding: 0,
            outstanding_at: ShardId(0),
            stall: Stall::None,
            blocked: false,
            soft_limit_since_ms: None,
            output_peak: 0,
            ended: false,
            held: false,
            db: DbIndex(0),
            protocol: Protocol::Resp2,
            authenticated: false,
            name: Box::default(),
            lib_name: Box::default(),
            lib_version: Box::default(),
            multi: None,
            watched: Vec::new(),
            watched_by_exec: Vec::new(),
            reply_mode: ReplyMode::On,
            mute: false,
            sink: Output::default(),
            no_touch: false,
            no_evict: false,
            monitor: false,
            subscriptions: Counts::default(),
            tracking: None,
            http_head_only: false,
            http_keep_alive: false,
            in_exec: false,
            close_after_reply: false,
            closed: false,
            created_ms: now_ms,
            active_ms: now_ms,
            last_command: None,
            commands: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// True when the peer is on this host for certain: a Unix socket or a loopback address.
    pub fn is_local(&self) -> bool {
        self.kind == ListenerKind::Unix
            || self.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
    }

    /// A command begins: CLIENT REPLY moves on.
    #[inline]
    pub fn begin_command(&mut self) {
        if self.reply_mode != ReplyMode::On {
            self.reply_mode = match self.reply_mode {
                ReplyMode::SkipNext => ReplyMode::Skip,
                ReplyMode::Skip => ReplyMode::On,
                other => other,
            };
        }
        self.mute = matches!(self.reply_mode, ReplyMode::Off | ReplyMode::Skip);
    }

    /// What handlers may know of it.
    #[inline]
    pub fn view(&self) -> ClientView {
        let tracked_by = self.tracking.as_deref().and_then(ClientTracking::tracked_by);
        ClientView { id: self.id, protocol: self.protocol, no_touch: self.no_touch, tracked_by }
    }

    /// True when no command of it may start now.
    #[inline]
    pub fn is_stalled(&self) -> bool {
        self.stall != Stall::None || self.closed || self.close_after_reply
    }

    /// Where a message that answers nothing goes now: behind what was answered before, wanted or not.
    ///
    /// Who waits for keys, perhaps forever, gets it before the answer.
    #[inline]
    pub fn push_output(&mut self) -> &mut Output {
        if self.blocked {
            self.let_pushes_pass();
            return &mut self.out;
        }
        if self.pending.is_empty() { &mut self.out } else { self.behind_pending() }
    }

    /// Would a message go straight to `out`?
    #[inline]
    pub fn has_clear_way(&self) -> bool {
        self.pending.is_empty() && !self.blocked
    }

    /// It waits from now on: what is behind the answer that it waits for are messages, for no command behind runs.
    pub fn let_pushes_pass(&mut self) {
        while matches!(self.pending.front(), Some(Pending::Awaited { reply: None, .. }))
            && let Some(Pending::Ready(output)) = self.pending.get_mut(1)
        {
            self.out.append(output);
            self.pending.remove(1);
        }
    }

    /// Where a reply of this core goes now: out, or behind what is awaited.
    #[inline]
    pub fn output(&mut self) -> &mut Output {
        if self.mute {
            self.sink.clear();
            return &mut self.sink;
        }
        if self.pending.is_empty() {
            return &mut self.out;
        }
        self.behind_pending()
    }

    fn behind_pending(&mut self) -> &mut Output {
        if !matches!(self.pending.back(), Some(Pending::Ready(_))) {
            self.pending.push_back(Pending::Ready(Output::default()));
        }
        match self.pending.back_mut() {
            Some(Pending::Ready(output)) => output,
            _ => unreachable!("a ready output was just put there"),
        }
    }

    /// Reserves the place of a reply that will come later; returns its number.
    pub fn await_reply(&mut self) -> u32 {
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        self.pending.push_back(Pending::Awaited { seq, reply: None, mute: self.mute });
        seq
    }

    /// The first reply that is still to come.
    pub fn awaited(&self) -> Option<u32> {
        self.pending.iter().find_map(|pending| match pending {
            Pending::Awaited { seq, reply: None, .. } => Some(*seq),
            _ => None,
        })
    }

    /// Is this reply still to come?
    pub fn awaits(&self, seq: u32) -> bool {
        let open = |pending: &Pending| matches!(pending, Pending::Awaited { seq: known, reply: None, .. } if *known == seq);
        self.pending.iter().any(open)
    }

    /// Is this the reply that is due next, and wanted?
    #[inline]
    pub fn is_due(&self, seq: u32) -> bool {
        matches!(self.pending.front(), Some(Pending::Awaited { seq: front, mute: false, .. }) if *front == seq)
    }

    /// The reply that was due was written to `out`.
    #[inline]
    pub fn due_left(&mut self) {
        self.pending.pop_front();
        self.move_ready();
    }

    /// A reply that was awaited has come: what is now due moves to `out`.
    pub fn answer(&mut self, seq: u32, reply: &mut Output) {
        if let Some(Pending::Awaited { seq: front, mute, .. }) = self.pending.front()
            && *front == seq
        {
            if *mute {
                reply.clear();
            }
            self.pending.pop_front();
            self.out.append(reply);
        } else {
            let place = self.pending.iter_mut().find_map(|pending| match pending {
                Pending::Awaited { seq: known, reply, mute } if *known == seq => Some((reply, *mute)),
                _ => None,
            });
            let (place, mute) = place.expect("only awaited replies come");
            *place = Some(if mute { Output::default() } else { reply.take() });
        }
        self.move_ready();
    }

    fn move_ready(&mut self) {
        loop {
            match self.pending.front_mut() {
                Some(Pending::Ready(output)) | Some(Pending::Awaited { reply: Some(output), .. }) => {
                    self.out.append(output);
                    self.pending.pop_front();
                }
                _ => return,
            }
        }
    }

    /// Closed as soon as its replies have left, and they have.
    pub fn is_finished(&self) -> bool {
        (self.close_after_reply && self.pending.is_empty())
            || (self.ended && !self.is_owed() && self.stall == Stall::None)
    }

    /// Is it owed replies that others are working on, or to commands that wait for room?
    pub fn is_owed(&self) -> bool {
        self.outstanding > 0
            || self.held
            || !self.pending.is_empty()
            || matches!(self.stall, Stall::Credit | Stall::Output | Stall::Visited)
    }

    /// What it costs, in bytes: itself, its buffers, and what it has queued, watched and said.
    pub fn memory_bytes(&self) -> usize {
        let watched: usize = self.watched.iter().map(|key| size_of::<WatchedKey>() + key.key.len()).sum();
        let queued = self.multi.as_deref().map_or(0, |multi| {
            size_of::<Multi>() + multi.bytes + multi.commands.capacity() * size_of::<(RowId, Arc<Request>)>()
        });
        let words = self.name.len() + self.lib_name.len() + self.lib_version.len();
        let spare = self.out.bytes.capacity() - self.out.bytes.len();
        size_of::<Client>()
            + self.subscriptions.bytes
            + self.query.capacity()
            + self.output_bytes()
            + spare
            + queued
            + watched
            + words
    }

    /// Have more than `bytes` of replies not left? Cheap in the usual case: nothing awaited, nothing shared.
    #[inline]
    pub fn owes_more_than(&self, bytes: usize) -> bool {
        if self.pending.is_empty() && self.out.shared.is_empty() {
            self.out.bytes.len() + self.sending > bytes
        } else {
            self.output_bytes() > bytes
        }
    }

    /// Bytes of replies that have not left.
    pub fn output_bytes(&self) -> usize {
        let pending: usize = self
            .pending
            .iter()
            .map(|pending| match pending {
                Pending::Ready(output) | Pending::Awaited { reply: Some(output), .. } => output.len(),
                Pending::Awaited { reply: None, .. } => 0,
            })
            .sum();
        self.out.len() + self.sending + pending
    }
}
