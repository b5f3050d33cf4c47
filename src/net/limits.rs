//! What clients may cost: unread replies, silence, and the memory of all of them together.
//!
//! Hard limits on replies hold whenever replies are about to leave, and the memory of clients is looked at when they have
//! sent much; everything else is looked at a few times a second. Nothing here is on the way of a command.

use std::sync::atomic::Ordering;

use super::client::{Client, Stall};
use super::core::Core;
use super::info::{Kind, OWN_OUTPUT_BYTES};
use crate::config::{ClientClass, MemoryBound, id};
use crate::runtime::face::{ConnId, ListenerKind, NetIo};

/// Redis: unread output that a client may have before it has authenticated.
const UNAUTHENTICATED_OUTPUT_BYTES: u64 = 1024;
/// Unsent reply bytes at which a client's next commands wait, unless its limits allow more.
const OUTPUT_STALL_BYTES: u64 = 4 << 20;
/// The memory of clients is looked at when they have sent this much, and this part of what they may use together.
const LOOK_BYTES: u64 = 64 * 1024;
const LOOK_PARTS: u64 = 32;
/// How often clients are looked at one by one (milliseconds).
const CHECK_MS: u64 = 1000;

impl Core {
    /// Must this client still say who it is?
    #[inline]
    pub fn must_authenticate(&mut self, conn: ConnId) -> bool {
        !self.clients.at(conn.index).authenticated && self.requires_password()
    }

    /// Unsent reply bytes at which a client's next commands wait. Where a limit is set it is what closes the
    /// client, so it must be possible to reach it.
    pub fn output_stall_limit(&self) -> usize {
        let limit = self.config.output_limit(ClientClass::Normal);
        OUTPUT_STALL_BYTES.max(limit.hard_bytes).max(limit.soft_bytes).saturating_add(OWN_OUTPUT_BYTES as u64)
            as usize
    }

    /// Are a client's unsent replies over the limits of its class? Notes when the soft limit was passed.
    pub fn is_over_output_limit(&mut self, conn: ConnId) -> bool {
        let now_ms = self.now_ms;
        let client = self.clients.at(conn.index);
        if client.kind == ListenerKind::Loader {
            return false;
        }
        // Redis: what fits a client's own buffer is not counted; a reply whose length comes later (KEYS) is, all of it.
        let bytes = match client.output_bytes() {
            few if few <= OWN_OUTPUT_BYTES => 0,
            bytes => bytes as u64,
        };
        if bytes == 0 {
            client.soft_limit_since_ms = None;
            return false;
        }
        if bytes > UNAUTHENTICATED_OUTPUT_BYTES && self.must_authenticate(conn) {
            return true;
        }
        let class = match Kind::of(self.clients.at(conn.index)) {
            Kind::PubSub => ClientClass::PubSub,
            Kind::Replica | Kind::Primary => ClientClass::Replica,
            Kind::Normal => ClientClass::Normal,
        };
        let limit = self.config.output_limit(class);
        let client = self.clients.at(conn.index);
        if limit.soft_bytes == 0 || bytes < limit.soft_bytes {
            client.soft_limit_since_ms = None;
        }
        let over_hard = limit.hard_bytes > 0 && bytes >= limit.hard_bytes;
        let over_soft = limit.soft_bytes > 0 && bytes >= limit.soft_bytes && {
            let since = *client.soft_limit_since_ms.get_or_insert(now_ms);
            self.over_soft_limit = true;
            // Redis: counted in whole seconds of the clock, so never early.
            (now_ms / 1000).saturating_sub(since / 1000) > limit.soft_seconds as u64
        };
        over_hard || over_soft
    }

    /// Timeouts, soft limits and the memory of clients.
    pub fn check_clients(&mut self, io: &mut dyn NetIo) {
        self.evict_clients(io);
        if self.now_ms.saturating_sub(self.clients_checked_ms) < CHECK_MS {
            if self.over_soft_limit {
                let over = self.clients.iter_mut().filter(|client| client.soft_limit_since_ms.is_some());
                let over = over.map(|client| client.conn).collect();
                self.close_over_limit(io, over);
            }
            return;
        }
        self.clients_checked_ms = self.now_ms;
        let timeout_ms = self.config.integer(id::TIMEOUT) as u64 * 1000;
        let now_ms = self.now_ms;
        // Who waits for the server is not idle.
        let is_idle = |client: &Client| {
            let idle_ms = now_ms.saturating_sub(client.active_ms);
            if client.kind == ListenerKind::Metrics {
                return idle_ms > super::http::IDLE_MS;
            }
            timeout_ms > 0
                && client.kind.is_for_clients()
                && !client.monitor
                && !client.subscriptions.any()
                && client.outstanding == 0
                && client.stall != Stall::Paused
                && idle_ms > timeout_ms
        };
        let mut idle = Vec::new();
        let mut slow = Vec::new();
        for client in self.clients.iter_mut() {
            client.output_peak = client.sending.max(client.output_peak / 2);
            if is_idle(client) {
                idle.push(client.conn);
            } else if client.sending > 0 || client.outstanding > 0 {
                slow.push(client.conn);
            }
        }
        for conn in idle {
            self.close(io, conn);
        }
        self.close_over_limit(io, slow);
    }

    /// Closes who is over a limit of its output. Given are all who may be.
    fn close_over_limit(&mut self, io: &mut dyn NetIo, those: Vec<ConnId>) {
        self.over_soft_limit = false;
        for conn in those {
            if self.is_over_output_limit(conn) {
                self.observe.output_limit_disconnections += 1;
                self.close(io, conn);
            }
        }
    }

    /// Evicts clients when what they have sent may have brought them over their limit.
    ///
    /// Redis: looked at before every wait for events, so that what is not yet a request does not pile up meanwhile.
    #[inline]
    pub fn look_at_received(&mut self, io: &mut dyn NetIo) {
        if self.unlooked_bytes >= LOOK_BYTES && self.unlooked_bytes >= self.clients_limit_bytes() / LOOK_PARTS
        {
            self.evict_clients(io);
        }
    }

    /// `maxmemory-clients` in bytes; 0: none.
    fn clients_limit_bytes(&self) -> u64 {
        match self.config.maxmemory_clients() {
            MemoryBound::Bytes(bytes) => bytes,
            MemoryBound::Percent(percent) => {
                (u128::from(self.config.memory(id::MAXMEMORY)) * u128::from(percent) / 100) as u64
            }
        }
    }

    /// Closes the clients that use most until all together use less than `maxmemory-clients`.
    ///
    /// Every core publishes what its clients use and what the largest of them uses; the core that has the largest
    /// of all closes it. So clients go in order of their size although no core knows all of them.
    fn evict_clients(&mut self, io: &mut dyn NetIo) {
        self.unlooked_bytes = 0;
        let limit = self.clients_limit_bytes();
        if limit == 0 {
            return;
        }
        let me = self.me.index();
        let mut total = 0;
        let mut evictable = Vec::new();
        for client in self.clients.iter().filter(|client| client.kind.is_for_clients()) {
            let bytes = client.memory_bytes() as u64;
            total += bytes;
            if !client.no_evict {
                evictable.push((bytes, client.conn));
            }
        }
        evictable.sort_unstable_by_key(|(bytes, _)| *bytes);
        loop {
            let largest = evictable.last().map_or(0, |(bytes, _)| *bytes);
            let board = &self.shared.client_memory;
            // The largest first: who sees the new total also sees whose turn it is.
            board[me].largest.store(largest, Ordering::Relaxed);
            board[me].total.store(total, Ordering::Release);
            let all: u64 = board.iter().map(|core| core.total.load(Ordering::Acquire)).sum();
            let is_mine = board
                .iter()
                .enumerate()
                .all(|(core, other)| (largest, me) >= (other.largest.load(Ordering::Relaxed), core));
            let Some((bytes, conn)) = evictable.pop_if(|_| all >= limit && is_mine) else { return };
            total -= bytes;
            self.shared.evicted_clients.fetch_add(1, Ordering::Relaxed);
            self.close(io, conn);
        }
    }
}
