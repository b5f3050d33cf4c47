//! Client-side caching: telling clients which keys they should read anew.
//!
//! ```text
//!   shard of the key                 core of the client                core of who is told (REDIRECT)
//!   shard/tracking.rs ── Invalid ──▶ what the client asked for ──────▶ push, or message on
//!   who read what, who broadcasts    (NOLOOP, prefixes, redirection)   __redis__:invalidate
//! ```
//!
//! What became invalid leaves the shard behind the replies of the commands before, and a push stays behind the replies
//! that its client is still owed. So no client gets a value after it was told that it is stale.
//!
//! INVARIANT: a core whose clients broadcast is in `Tracking::broadcast_to` of every shard from before CLIENT TRACKING
//! is answered until the core says that it has none any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::batch::Control;
use super::core::Core;
use crate::pubsub::message::write_line;
use crate::resp::{Output, Protocol, Reply};
use crate::runtime::face::ConnId;
use crate::shard::tracking::{Invalid, Reader};
use crate::types::{ClientId, ShardId};

/// Where Redis tells clients of RESP2.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// What is to be read anew: these keys, or everything.
pub type Stale = Option<Vec<Arc<[u8]>>>;

/// Which of a client's reads are remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    All,
    /// Those after CLIENT CACHING YES.
    OptIn,
    /// All but those after CLIENT CACHING NO.
    OptOut,
    /// None: it is told of every change of keys with its prefixes.
    Broadcast,
}

/// What a client asked for by CLIENT TRACKING.
#[derive(Clone, Debug)]
pub struct ClientTracking {
    pub home: ShardId,
    pub mode: Mode,
    pub noloop: bool,
    /// Who is told in its place, and where that is connected.
    pub redirect: Option<(ClientId, ShardId)>,
    /// That client has left.
    pub is_broken: bool,
    pub prefixes: Vec<Box<[u8]>>,
    /// CLIENT CACHING was said about the command that runs, or comes next.
    pub said: bool,
}

impl ClientTracking {
    /// A command begins, outside of MULTI. Redis: CLIENT CACHING outlasts further commands of CLIENT.
    pub fn begin_command(&mut self, after_client: bool) {
        self.said &= after_client;
    }

    /// The client's core, when the reads of its command are to be remembered.
    pub fn tracked_by(&self) -> Option<ShardId> {
        let is_tracked = match self.mode {
            Mode::All => true,
            Mode::OptIn => self.said,
            Mode::OptOut => !self.said,
            Mode::Broadcast => false,
        };
        is_tracked.then_some(self.home)
    }
}

#[derive(Default)]
struct Prefix {
    clients: Vec<ConnId>,
    /// Keys that were changed in this turn, with the client that changed them last.
    changed: BTreeMap<Arc<[u8]>, ClientId>,
}

/// Those of one core who cache.
#[derive(Default)]
pub struct Caches {
    clients: HashMap<ClientId, ConnId, ahash::RandomState>,
    prefixes: BTreeMap<Box<[u8]>, Prefix>,
    /// Clients of this core to whom others redirect.
    targets: HashMap<ClientId, ConnId, ahash::RandomState>,
    /// CLIENT TRACKING with BCAST of clients of this core that are not answered yet.
    asking: usize,
    has_changed: bool,
}

impl Caches {
    /// Do others redirect to this client?
    pub fn is_target(&self, client: ClientId) -> bool {
        !self.targets.is_empty() && self.targets.contains_key(&client)
    }

    /// How many clients track.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The prefixes of those who broadcast.
    pub fn prefixes(&self) -> impl Iterator<Item = &[u8]> {
        self.prefixes.keys().map(|prefix| &**prefix)
    }
}

impl Core {
    // --- on the key's core --------------------------------------------------------------------------------------

    /// Tells the cores of all whom it concerns what became invalid here.
    #[cold]
    pub fn tell_invalid(&mut self) {
        let all = Arc::new(self.shard.tracking.take());
        let is_for_all = all.contains(&Invalid::All);
        for core in (0..self.shared.shards).map(|core| ShardId(core as u16)) {
            let concerns = |invalid: &Invalid| match invalid {
                Invalid::Key { readers, .. } => readers.iter().any(|reader| reader.core == core),
                Invalid::All => true,
            };
            let broadcasts = self.shard.tracking.broadcast_to.contains(&core);
            if !broadcasts && !is_for_all && !all.iter().any(concerns) {
                continue;
            }
            if core == self.me {
                self.take_invalid(&all);
            } else {
                self.batch_to(core).control.push(Control::Invalid(all.clone()));
            }
        }
    }

    /// A core has clients in broadcasting mode, or none any more.
    pub fn broadcast_to(&mut self, core: ShardId, begins: bool) {
        let cores = &mut self.shard.tracking.broadcast_to;
        cores.retain(|known| *known != core);
        if begins {
            cores.push(core);
        }
        self.shard.follow_for_tracking();
    }

    // --- on the client's core -----------------------------------------------------------------------------------

    /// Keys became invalid somewhere.
    pub fn take_invalid(&mut self, all: &[Invalid]) {
        let me = self.me;
        for invalid in all {
            match invalid {
                Invalid::Key { key, writer, readers, is_change } => {
                    for reader in readers.iter().filter(|reader| reader.core == me) {
                        self.tell_reader(reader.client, *writer, key);
                    }
                    if *is_change {
                        self.note_changed(key, *writer);
                    }
                }
                Invalid::All => {
                    let conns: Vec<ConnId> = self.caches.clients.values().copied().collect();
                    conns.into_iter().for_each(|conn| self.tell_stale(conn, None));
                }
            }
        }
    }

    fn tell_reader(&mut self, client: ClientId, writer: ClientId, key: &Arc<[u8]>) {
        let Some(conn) = self.caches.clients.get(&client).copied() else { return };
        let Some(client) = self.clients.get(conn) else { return };
        let Some(tracking) = client.tracking.as_deref() else { return };
        let is_own = tracking.noloop && client.id == writer;
        if tracking.mode != Mode::Broadcast && !is_own {
            self.tell_stale(conn, Some(vec![key.clone()]));
        }
    }

    fn note_changed(&mut self, key: &Arc<[u8]>, writer: ClientId) {
        for (prefix, of_prefix) in &mut self.caches.prefixes {
            if key.starts_with(prefix) {
                of_prefix.changed.insert(key.clone(), writer);
                self.caches.has_changed = true;
            }
        }
    }

    /// The end of a turn: tells those in broadcasting mode what was changed in it.
    #[inline]
    pub fn tell_broadcasts(&mut self) {
        if self.caches.has_changed {
            self.tell_prefixes();
        }
    }

    #[cold]
    fn tell_prefixes(&mut self) {
        self.caches.has_changed = false;
        let mut told = Vec::new();
        for of_prefix in self.caches.prefixes.values_mut() {
            let changed = std::mem::take(&mut of_prefix.changed);
            if changed.is_empty() {
                continue;
            }
            for conn in &of_prefix.clients {
                let Some(client) = self.clients.get(*conn) else { continue };
                let noloop = client.tracking.as_deref().is_some_and(|tracking| tracking.noloop);
                let is_told = |writer: &ClientId| !noloop || *writer != client.id;
                let keys: Vec<_> = changed
                    .iter()
                    .filter(|(_, writer)| is_told(writer))
                    .map(|(key, _)| key.clone())
                    .collect();
                if !keys.is_empty() {
                    told.push((*conn, keys));
                }
            }
        }
        told.into_iter().for_each(|(conn, keys)| self.tell_stale(conn, Some(keys)));
    }

    /// Tells a client, or whom it redirects to.
    fn tell_stale(&mut self, conn: ConnId, stale: Stale) {
        let Some(client) = self.clients.get(conn) else { return };
        let Some(tracking) = client.tracking.as_deref() else { return };
        match tracking.redirect {
            None if client.protocol == Protocol::Resp3 => self.push(conn, &invalidate(&stale)),
            None => {}
            Some((to, core)) => {
                let from = Reader { core: self.me, client: client.id };
                if core == self.me {
                    self.take_redirected(from, to, &stale);
                } else {
                    self.batch_to(core).control.push(Control::Redirected { from, to, stale });
                }
            }
        }
    }

    /// Another client's keys are stale.
    pub fn take_redirected(&mut self, from: Reader, to: ClientId, stale: &Stale) {
        let target = self.caches.targets.get(&to).copied();
        let target = target.and_then(|conn| self.clients.get(conn));
        let Some(client) = target.filter(|client| !client.close_after_reply) else {
            if from.core == self.me {
                self.redirection_broke(from.client);
            } else {
                self.batch_to(from.core).control.push(Control::RedirectionBroke(from.client));
            }
            return;
        };
        let conn = client.conn;
        if client.protocol == Protocol::Resp3 {
            self.push(conn, &invalidate(stale));
        } else if client.subscriptions.any() {
            let mut line = Output::default();
            let mut reply = Reply::new(&mut line, Protocol::Resp2);
            reply.push(3);
            reply.bulk(b"message");
            reply.bulk(CHANNEL);
            write_stale(stale, &mut reply);
            self.push(conn, &line);
        }
    }

    /// Whom a client redirects to has left.
    pub fn redirection_broke(&mut self, client: ClientId) {
        let Some(conn) = self.caches.clients.get(&client).copied() else { return };
        let Some(client) = self.clients.get(conn) else { return };
        let is_resp3 = client.protocol == Protocol::Resp3;
        let Some(tracking) = client.tracking.as_deref_mut() else { return };
        tracking.is_broken = true;
        let Some((to, _)) = tracking.redirect else { return };
        if is_resp3 {
            let mut line = Output::default();
            let mut reply = Reply::new(&mut line, Protocol::Resp3);
            reply.push(2);
            reply.bulk(b"tracking-redir-broken");
            reply.int(to.0 as i64);
            self.push(conn, &line);
        }
    }

    /// Gives a client a push.
    fn push(&mut self, conn: ConnId, line: &Output) {
        let Some(client) = self.clients.get(conn).filter(|client| !client.close_after_reply) else { return };
        let protocol = client.protocol;
        if let Some(held) = self.publishing.held_for(conn) {
            return write_line(line, protocol, held);
        }
        write_line(line, protocol, client.push_output());
        if !client.dirty {
            client.dirty = true;
            self.dirty.push(conn);
        }
    }

    // --- beginning and end --------------------------------------------------------------------------------------

    /// A client of some core asks for broadcasts; that core counts who asks.
    pub fn asked_for_broadcasts(&mut self, core: ShardId) {
        if core == self.me {
            self.caches.asking += 1;
        }
        self.broadcast_to(core, true);
    }

    /// That was answered, for better or worse.
    pub fn answered_for_broadcasts(&mut self) {
        self.caches.asking -= 1;
        self.end_broadcasts_if_unused();
    }

    fn end_broadcasts_if_unused(&mut self) {
        let me = self.me;
        if self.caches.asking > 0
            || !self.caches.prefixes.is_empty()
            || !self.shard.tracking.broadcast_to.contains(&me)
        {
            return;
        }
        self.broadcast_to(me, false);
        for core in (0..self.shared.shards).map(|core| ShardId(core as u16)).filter(|core| *core != me) {
            self.batch_to(core).control.push(Control::NoBroadcasts);
        }
    }

    /// Is this client connected here? If it is, others may redirect to it.
    pub fn is_target(&mut self, client: ClientId) -> bool {
        let conn = self.clients.iter().find(|known| known.id == client).map(|known| known.conn);
        conn.is_some_and(|conn| {
            self.caches.targets.insert(client, conn);
            true
        })
    }

    /// A client tracks from now on, or in another way. Prefixes are added to those it has.
    pub fn begin_tracking(&mut self, conn: ConnId, mut asked: ClientTracking) {
        let client = self.clients.at(conn.index);
        let added = std::mem::take(&mut asked.prefixes);
        if let Some(known) = client.tracking.take() {
            asked.prefixes = known.prefixes;
        }
        asked.prefixes.extend(added.iter().cloned());
        self.caches.clients.insert(client.id, conn);
        client.tracking = Some(Box::new(asked));
        for prefix in added {
            let clients = &mut self.caches.prefixes.entry(prefix).or_default().clients;
            if !clients.contains(&conn) {
                clients.push(conn);
            }
        }
    }

    /// A client tracks no more.
    pub fn end_tracking(&mut self, conn: ConnId) {
        let Some(client) = self.clients.get(conn) else { return };
        let Some(tracking) = client.tracking.take() else { return };
        let id = client.id;
        self.forget_tracking(id, conn, &tracking);
    }

    /// The counterpart of [`Core::begin_tracking`], for a client that may have left.
    pub fn forget_tracking(&mut self, client: ClientId, conn: ConnId, tracking: &ClientTracking) {
        self.caches.clients.remove(&client);
        for prefix in &tracking.prefixes {
            if let Some(known) = self.caches.prefixes.get_mut(prefix) {
                known.clients.retain(|known| *known != conn);
                if known.clients.is_empty() {
                    self.caches.prefixes.remove(prefix);
                }
            }
        }
        self.end_broadcasts_if_unused();
    }

    /// A client has left: nobody can redirect to it.
    pub fn forget_target(&mut self, client: ClientId) {
        if !self.caches.targets.is_empty() {
            self.caches.targets.remove(&client);
        }
    }
}

fn invalidate(stale: &Stale) -> Output {
    let mut line = Output::default();
    let mut reply = Reply::new(&mut line, Protocol::Resp3);
    reply.push(2);
    reply.bulk(b"invalidate");
    write_stale(stale, &mut reply);
    line
}

fn write_stale(stale: &Stale, reply: &mut Reply<'_>) {
    match stale {
        Some(keys) => {
            reply.array(keys.len());
            keys.iter().for_each(|key| reply.bulk(key));
        }
        None => reply.null(),
    }
}
