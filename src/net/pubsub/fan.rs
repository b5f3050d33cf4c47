//! Messages leave after replies, and not all in one turn.
//!
//! A send costs many times what a command does, so a message to a thousand subscribers would keep a core from everything
//! else for milliseconds. So those who have messages to get stand in a line, and a turn sends to the first of them; what
//! is published meanwhile joins what they have to get, and one send carries it. While commands are answered, the line
//! stands still for a moment: publishers who wait for their answers publish more.
//!
//! INVARIANT: who has messages in `out` stands in the line, or in `Core::dirty`, or a send to it is under way whose end
//! sees to them; and while someone stands in the line the core does not sleep. Who has much to get is sent to in the
//! same turn, so nobody's output grows because of the line.
//!
//! PERF: server CPU per delivery relative to sending everything in the turn of its command, one publisher who waits for
//! each answer: 0.2 with 100 subscribers and 0.2 with 1,000 (bench, `publish`), for a send carries several messages.

use std::collections::VecDeque;

use crate::net::core::Core;
use crate::runtime::face::{ConnId, NetIo};

/// How long the line may stand still.
const STILL_NS: u64 = 200_000;
/// Sends of one turn, and the part of the line that is sent to at least: so everyone's turn comes soon.
const SENDS: usize = 16;
const PARTS: usize = 8;
/// So few sends, replies included, leave together.
const FEW: usize = 2;

/// Turns that a killed subscriber has for what it has to get.
const LAST_TURNS: u8 = 3;

/// The line.
#[derive(Default)]
pub struct Fan {
    line: VecDeque<ConnId>,
    /// It has stood still since.
    since_ns: u64,
    /// Killed while they had messages to get, and the turns they are left for that.
    killed: Vec<(ConnId, u8)>,
}

impl Fan {
    /// A client has messages to get, and did not stand in the line.
    #[inline]
    pub fn join(&mut self, conn: ConnId) {
        self.line.push_back(conn);
    }
}

impl Core {
    /// Sends messages to the first of those who have to get some, after the `replies` of this turn. True when others are
    /// left. A core that stops sends to all.
    #[inline]
    pub(in crate::net) fn send_messages(&mut self, io: &mut dyn NetIo, replies: usize, stops: bool) -> bool {
        let Fan { line, killed, .. } = &self.publishing.fan;
        if line.is_empty() && killed.is_empty() {
            return false;
        }
        let more = self.move_line(io, replies, stops);
        more | self.close_killed(io)
    }

    fn move_line(&mut self, io: &mut dyn NetIo, replies: usize, stops: bool) -> bool {
        let now_ns = self.now_ns;
        let Fan { line, since_ns, .. } = &mut self.publishing.fan;
        if *since_ns == 0 {
            *since_ns = now_ns;
        }
        let has_time = replies > 0 && now_ns.saturating_sub(*since_ns) < STILL_NS;
        if has_time && replies + line.len() > FEW && !stops {
            return true;
        }
        let mut sends = if stops { line.len() } else { SENDS.max(line.len() / PARTS) };
        while sends > 0
            && let Some(conn) = self.publishing.fan.line.pop_front()
        {
            let Some(client) = self.clients.get(conn) else { continue };
            client.in_line = false;
            // Else it was sent to with a reply.
            if !client.out.is_empty() {
                sends -= 1;
                self.send_to(io, conn);
            }
        }
        let Fan { line, since_ns, .. } = &mut self.publishing.fan;
        *since_ns = if line.is_empty() { 0 } else { now_ns };
        !line.is_empty()
    }

    /// Sends to all but one client: the next turn may be far off.
    pub(in crate::net) fn send_all_messages_but(&mut self, io: &mut dyn NetIo, but: Option<ConnId>) {
        for _ in 0..self.publishing.fan.line.len() {
            let Some(conn) = self.publishing.fan.line.pop_front() else { return };
            if Some(conn) == but {
                self.publishing.fan.line.push_back(conn);
            } else if let Some(client) = self.clients.get(conn) {
                client.in_line = false;
                self.send_to(io, conn);
            }
        }
    }

    /// Closes a client that another one killed. What was published before still reaches it, if it reads.
    pub(in crate::net) fn kill(&mut self, io: &mut dyn NetIo, conn: ConnId) {
        let client = self.clients.at(conn.index);
        if !client.subscriptions.any() || client.out.is_empty() || client.close_after_reply {
            return self.close(io, conn);
        }
        self.unsubscribe_all(conn);
        self.clients.at(conn.index).close_after_reply = true;
        self.publishing.fan.killed.push((conn, LAST_TURNS));
        self.send_to(io, conn);
    }

    fn close_killed(&mut self, io: &mut dyn NetIo) -> bool {
        let mut killed = std::mem::take(&mut self.publishing.fan.killed);
        killed.retain_mut(|(conn, turns)| {
            *turns -= 1;
            if *turns == 0 {
                self.close(io, *conn);
            }
            *turns > 0
        });
        let more = !killed.is_empty();
        self.publishing.fan.killed = killed;
        more
    }
}
