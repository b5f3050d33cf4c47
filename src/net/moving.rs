//! Clients that go to another core.
//!
//! Scripts that need all shards run one after the other, whoever sends them. Where the other cores sleep meanwhile they
//! cost no messages (`rest.rs`), so their clients gather on one core: who sends such scripts from elsewhere, and finds others
//! awake again and again, goes there.
//!
//! INVARIANT: a client goes only when it is owed nothing and has nothing under way, and begins nothing from the moment that
//! it is to go. So no other core knows its connection, and what it sends stays in order.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use super::batch::Control;
use super::client::{Client, Stall};
use super::core::Core;
use crate::runtime::face::{ConnId, NetIo, Socket};
use crate::types::ShardId;

/// Where clients with scripts over all shards gather.
const HOME: ShardId = ShardId(0);

/// As many scripts of a client must have found other cores awake.
const COSTLY_SCRIPTS: u8 = 3;

/// A client on its way.
pub struct Mover {
    client: Box<Client>,
    fd: OwnedFd,
}

impl Core {
    /// A script of this client has to be run as a transaction, since others are awake.
    pub(super) fn count_costly_script(&mut self, conn: ConnId) {
        if self.me == HOME {
            return;
        }
        let client = self.clients.at(conn.index);
        client.costly_scripts += 1;
        if client.costly_scripts >= COSTLY_SCRIPTS {
            client.costly_scripts = 0;
            client.leaving = true;
            self.leaving.push(conn);
        }
    }

    /// Lets go who is to go and has been told everything; who may not is served on.
    pub(super) fn let_leave(&mut self, io: &mut dyn NetIo) {
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|conn| {
            let Some(client) = self.clients.get(*conn) else { return false };
            if !may_move(client) || self.caches.is_target(client.id) {
                client.leaving = false;
                if !client.receive_paused {
                    io.resume_receive(*conn);
                }
                self.ready.push_back(*conn);
                return false;
            }
            // So that it is told at once that its last reply has left.
            io.pause_receive(*conn);
            if is_done(client) {
                io.release(*conn);
                return false;
            }
            true
        });
        self.leaving = leaving;
    }

    /// Its socket is free.
    pub(super) fn send_off(&mut self, conn: ConnId, fd: OwnedFd) {
        let Some(client) = self.clients.remove(conn) else { return };
        let shared = &self.shared;
        shared.connections[self.me.index()].fetch_sub(1, Ordering::Relaxed);
        shared.connections[HOME.index()].fetch_add(1, Ordering::Relaxed);
        self.batch_to(HOME).control.push(Control::Moved(Box::new(Mover { client, fd })));
    }

    /// A client comes from another core.
    pub(super) fn arrive(&mut self, io: &mut dyn NetIo, mover: Mover) {
        let Mover { mut client, fd } = mover;
        let (kind, peer, local) = (client.kind, client.peer, client.local);
        match io.adopt(Socket { fd, kind, peer, local }) {
            Ok(conn) => {
                self.loans.moved_in += 1;
                client.conn = conn;
                client.leaving = false;
                client.receive_paused = false;
                // It is seen here, too.
                client.ended = false;
                self.clients.insert(*client);
                self.release(conn);
            }
            Err(_) => {
                self.shared.connections[self.me.index()].fetch_sub(1, Ordering::Relaxed);
                self.shared.connections_total.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// Does nothing but its socket tie it to its core?
fn may_move(client: &Client) -> bool {
    client.kind.is_for_clients()
        && !client.ended
        && !client.closed
        && !client.close_after_reply
        && !client.monitor
        && !client.subscriptions.any()
        && client.tracking.is_none()
        && client.watched.is_empty()
}

/// Is it owed nothing?
fn is_done(client: &Client) -> bool {
    client.stall == Stall::None
        && !client.is_owed()
        && client.sending == 0
        && client.out.is_empty()
        && client.watched_by_exec.is_empty()
}
