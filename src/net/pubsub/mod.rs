//! Publish and subscribe between clients: messages on their way to those who subscribed, on every core.
//!
//! A message goes to the subscribers of its own core at once, and in one letter to each core that may have others
//! (`pubsub::Presence`). Those cores answer how many got it; the publisher's reply keeps its place among its other
//! replies meanwhile, and its next commands go on. With no subscriber elsewhere the answer is there at once.
//!
//! INVARIANT: all messages that one core sends to another are in one queue, and a core delivers its own in the order
//! in which they were published. So a subscriber sees what one connection publishes in its order, and after the effects
//! of what the connection did before (rules (a) to (e) of `core.rs`; a letter counts as a command at other shards).

pub mod commands;
pub mod fan;
pub mod notify;

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use self::fan::Fan;
use super::batch::Control;
use super::client::Client;
use super::clients::Clients;
use super::core::Core;
use super::dispatch::{After, await_token};
use crate::commands::{Args, CommandError};
use crate::pubsub::message::{Letter, Message, Text};
use crate::pubsub::message::{long, write_line};
use crate::pubsub::subscriptions::Subscribers;
use crate::pubsub::{Counts, Pages, Space};
use crate::resp::{Output, Protocol, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::tx::message::Token;
use crate::tx::multi::Plan;
use crate::types::ShardId;

/// "At no shard in particular", for [`Client::outstanding_at`]: beside transactions nothing joins a letter.
const SEVERAL: ShardId = ShardId(u16::MAX);

/// Whom a message's count is for.
#[derive(Clone, Copy, Debug)]
enum For {
    Reply(Token),
    /// A step of an EXEC that runs over several shards.
    Exec(u32),
}

/// A message whose count is not complete.
#[derive(Debug)]
pub struct Round {
    count: i64,
    missing: usize,
    whom: For,
}

/// Messages on their way.
#[derive(Default)]
pub struct Publishing {
    rounds: Vec<Option<Round>>,
    free: Vec<u32>,
    /// The connection whose EXEC runs here. Messages to it wait for the end of EXEC's reply.
    executing: Option<ConnId>,
    /// Those messages.
    held: Output,
    /// The line that is being delivered.
    line: Output,
    /// Where lines are that several get.
    pub(super) pages: Pages,
    /// Who has messages to get.
    pub(super) fan: Fan,
}

impl Publishing {
    fn begin(&mut self, round: Round) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                self.rounds[slot as usize] = Some(round);
                slot
            }
            None => {
                self.rounds.push(Some(round));
                (self.rounds.len() - 1) as u32
            }
        }
    }

    /// Where messages to a connection go while its EXEC runs here.
    pub fn held_for(&mut self, conn: ConnId) -> Option<&mut Output> {
        (self.executing == Some(conn)).then_some(&mut self.held)
    }

    /// Messages whose count is not complete.
    pub fn len(&self) -> usize {
        self.rounds.len() - self.free.len()
    }

    /// True when every count is complete.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Core {
    /// The cores besides this one that may have a subscriber.
    fn others(&self, space: Space, channel: &[u8]) -> SmallVec<[ShardId; 8]> {
        if self.shared.shards == 1 {
            return SmallVec::new();
        }
        let others = self.shared.presence.others(self.me.index(), space, channel);
        others.map(|core| ShardId(core as u16)).collect()
    }

    /// Would publishing this ask other cores?
    pub fn asks_others(&self, space: Space, channel: &[u8]) -> bool {
        self.shared.shards > 1
            && self.shared.presence.others(self.me.index(), space, channel).next().is_some()
    }

    /// May a letter about this channel leave now?
    pub fn has_credit_to_publish(&self, space: Space, channel: &[u8]) -> bool {
        self.shared.shards == 1
            || self
                .shared
                .presence
                .others(self.me.index(), space, channel)
                .all(|core| self.port.has_credit(core))
    }

    /// PUBLISH and SPUBLISH.
    pub fn publish(
        &mut self,
        conn: ConnId,
        space: Space,
        args: &mut Args<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<After, CommandError> {
        let (channel, text) = (args.take()?, args.take()?);
        let long = long(text);
        let text = long.as_ref().map_or(Text::Short(text), Text::Long);
        let message = Message { space, channel, text };
        let count = self.deliver_message(&message);
        let others = self.others(space, channel);
        if others.is_empty() {
            reply.int(count);
            return Ok(After::Done);
        }
        let client = self.clients.at(conn.index);
        if client.in_exec {
            // Whoever subscribed on another core since this EXEC began did so after it.
            self.send_letters(&message, &others, None);
            reply.int(count);
            return Ok(After::Done);
        }
        let token = await_token(client, SEVERAL);
        let round = Round { count, missing: others.len(), whom: For::Reply(token) };
        let slot = self.publishing.begin(round);
        self.send_letters(&message, &others, Some(slot));
        Ok(After::Awaited)
    }

    /// The step of an EXEC over several shards. `None` when the count comes later.
    pub fn publish_in_exec(&mut self, exec: u32, space: Space, args: &mut Args<'_>) -> Option<i64> {
        let (Ok(channel), Ok(text)) = (args.take(), args.take()) else { return Some(0) };
        let long = long(text);
        let text = long.as_ref().map_or(Text::Short(text), Text::Long);
        let message = Message { space, channel, text };
        let count = self.deliver_message(&message);
        let others = self.others(space, channel);
        if others.is_empty() {
            return Some(count);
        }
        let round = Round { count, missing: others.len(), whom: For::Exec(exec) };
        let slot = self.publishing.begin(round);
        self.send_letters(&message, &others, Some(slot));
        None
    }

    /// Publishes for the server itself: nobody counts.
    pub fn announce(&mut self, message: &Message<'_>) {
        self.deliver_message(message);
        let others = self.others(message.space, message.channel);
        if !others.is_empty() {
            self.send_letters(message, &others, None);
        }
    }

    /// The same for those who know no message.
    pub fn announce_bytes(&mut self, space: Space, channel: &[u8], text: &[u8]) {
        let long = long(text);
        let text = long.as_ref().map_or(Text::Short(text), Text::Long);
        self.announce(&Message { space, channel, text });
    }

    /// How many clients of this core would get a message.
    pub fn subscribers_here(&mut self, space: Space, channel: &[u8]) -> i64 {
        let exact = self.subscriptions.subscribers(space, channel).map_or(0, |subscribers| subscribers.len());
        let by_pattern = match space {
            Space::Channel => {
                self.subscriptions.matching(channel).map(|(_, subscribers)| subscribers.len()).sum()
            }
            _ => 0,
        };
        (exact + by_pattern) as i64
    }

    fn send_letters(&mut self, message: &Message<'_>, others: &[ShardId], slot: Option<u32>) {
        let letter = Arc::new(Letter::new(message));
        for core in others {
            self.batch_to(*core).control.push(Control::Letter { letter: letter.clone(), slot });
        }
    }

    /// A letter of another core.
    pub fn take_letter(&mut self, from: ShardId, letter: &Letter, slot: Option<u32>) {
        let count = self.deliver_message(&letter.message());
        if let Some(slot) = slot {
            self.batch_to(from).control.push(Control::Received { slot, count });
        }
    }

    /// Another core has delivered a message of this one.
    pub fn take_received(&mut self, io: &mut dyn NetIo, slot: u32, count: i64) {
        let round = self.publishing.rounds[slot as usize].as_mut().expect("answers come to open rounds");
        round.count += count;
        round.missing -= 1;
        if round.missing > 0 {
            return;
        }
        let Round { count, whom, .. } = self.publishing.rounds[slot as usize].take().expect("seen above");
        self.publishing.free.push(slot);
        let mut output = Output::default();
        // An integer is the same in both protocols.
        Reply::new(&mut output, Protocol::Resp2).int(count);
        match whom {
            For::Reply(token) => self.deliver(token, &mut output),
            For::Exec(exec) => {
                let Plan::Exec(plan) = self.coordinator.program(exec) else {
                    unreachable!("only EXEC publishes in steps")
                };
                plan.caller_done_as_before(output);
                self.resume_transaction(io, exec);
            }
        }
    }

    /// Gives a message to its subscribers here; says how many it reached.
    fn deliver_message(&mut self, message: &Message<'_>) -> i64 {
        if self.subscriptions.is_empty() {
            return 0;
        }
        let Core { subscriptions, clients, dirty, publishing, .. } = self;
        let Publishing { line, pages, fan, executing, held, .. } = publishing;
        let mut delivery = Delivery { clients, dirty, fan, line, pages, executing: *executing, held };
        let mut count = 0;
        if let Some(subscribers) = subscriptions.subscribers(message.space, message.channel) {
            message.line(delivery.line);
            delivery.give_all(subscribers);
            count += subscribers.len();
        }
        if message.space == Space::Channel {
            for (pattern, subscribers) in subscriptions.matching(message.channel) {
                message.pattern_line(pattern, delivery.line);
                delivery.give_all(subscribers);
                count += subscribers.len();
            }
        }
        line.shared.clear();
        line.bytes.shrink_to(super::batch::KEEP_BYTES);
        count as i64
    }

    // --- subscribing --------------------------------------------------------------------------------------------

    /// Subscribes a client. True unless it had already.
    pub fn subscribe(&mut self, conn: ConnId, space: Space, name: &[u8]) -> bool {
        let is_new = self.subscriptions.subscribe(conn, space, name);
        if is_new {
            let counts = &mut self.clients.at(conn.index).subscriptions;
            *count_of(counts, space) += 1;
            counts.bytes += name.len() + SUBSCRIPTION_BYTES;
        }
        is_new
    }

    /// Ends a subscription of a client, if it had it.
    pub fn unsubscribe(&mut self, conn: ConnId, space: Space, name: &[u8]) {
        if self.subscriptions.unsubscribe(conn, space, name) {
            let counts = &mut self.clients.at(conn.index).subscriptions;
            *count_of(counts, space) -= 1;
            counts.bytes -= name.len() + SUBSCRIPTION_BYTES;
        }
    }

    /// Ends all subscriptions of a client without a word.
    pub fn unsubscribe_all(&mut self, conn: ConnId) {
        let client = self.clients.at(conn.index);
        if client.subscriptions.any() {
            client.subscriptions = Counts::default();
            self.subscriptions.forget(conn);
        }
    }

    // --- EXEC ---------------------------------------------------------------------------------------------------

    /// An EXEC begins to run here: its client's messages come behind its reply.
    ///
    /// Redis 7.0 puts them inside of the reply, 7.2 behind it.
    pub fn hold_messages(&mut self, conn: ConnId) {
        self.publishing.executing = Some(conn);
    }

    /// The EXEC has its reply.
    #[inline]
    pub fn release_messages(&mut self, conn: ConnId) {
        if self.publishing.executing.take().is_some() && !self.publishing.held.is_empty() {
            self.show_held(conn);
        }
    }

    #[cold]
    fn show_held(&mut self, conn: ConnId) {
        let mut held = self.publishing.held.take();
        if let Some(client) = self.clients.get(conn) {
            client.push_output().append(&mut held);
        }
    }
}

/// A message on its way to the clients of this core.
struct Delivery<'a> {
    clients: &'a mut Clients,
    dirty: &'a mut Vec<ConnId>,
    fan: &'a mut Fan,
    line: &'a mut Output,
    pages: &'a mut Pages,
    executing: Option<ConnId>,
    held: &'a mut Output,
}

impl Delivery<'_> {
    /// Gives the line to everyone who subscribed to a name.
    fn give_all(&mut self, subscribers: &Subscribers) {
        // A copy costs one client less than a reference; a long text is referred to anyway.
        let refers = subscribers.len() > 1 && self.line.shared.is_empty();
        let mut places: [Option<Range<usize>>; 2] = [None, None];
        for conn in subscribers {
            let Some(client) = self.clients.get(*conn).filter(|client| !client.close_after_reply) else {
                continue;
            };
            let protocol = client.protocol;
            if self.executing == Some(*conn) {
                write_line(self.line, protocol, self.held);
                continue;
            }
            if refers && client.has_clear_way() {
                let place = &mut places[usize::from(protocol == Protocol::Resp3)];
                let range = match place {
                    Some(range) => range.clone(),
                    None => place.insert(self.pages.write(protocol, &self.line.bytes)).clone(),
                };
                client.out.refer(self.pages.lines(protocol), range);
            } else {
                write_line(self.line, protocol, client.push_output());
            }
            if client.dirty {
                continue;
            }
            if client.out.is_long() {
                client.dirty = true;
                self.dirty.push(*conn);
            } else if !client.in_line {
                client.in_line = true;
                self.fan.join(*conn);
            }
        }
    }
}

/// What a subscription costs besides its name: a place in two sets.
const SUBSCRIPTION_BYTES: usize = 48;

fn count_of(counts: &mut Counts, space: Space) -> &mut u32 {
    match space {
        Space::Channel => &mut counts.channels,
        Space::Pattern => &mut counts.patterns,
        Space::Shard => &mut counts.shard_channels,
    }
}

/// Commands that a subscriber may send in RESP2.
pub fn is_for_subscribers(name: &str) -> bool {
    matches!(
        name,
        "subscribe"
            | "unsubscribe"
            | "psubscribe"
            | "punsubscribe"
            | "ssubscribe"
            | "sunsubscribe"
            | "ping"
            | "quit"
            | "reset"
    )
}

/// In RESP2 replies and messages look alike, so a subscriber sends nothing but what is about its subscriptions.
#[inline]
pub fn is_subscriber_only(client: &Client) -> bool {
    client.subscriptions.any() && client.protocol == Protocol::Resp2
}

/// The answer to what a subscriber may not send.
#[cold]
pub fn refusal(name: &str) -> CommandError {
    CommandError::text(format!(
        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context"
    ))
}
