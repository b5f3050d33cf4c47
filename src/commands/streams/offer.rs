//! What streams would give to XREAD and XREADGROUP, before any is read: see [`limits`](super::limits).

use std::sync::Arc;

use super::limits::{Budget, Offer, Shares};
use super::read::begin_stream;
use super::read_group::{idle_entries, reply_pending, reply_with_history};
use super::reply_entry;
use super::wanted::{From, Wanted};
use crate::commands::collection::view_of;
use crate::commands::spec::Gathered;
use crate::commands::{Ctx, Part};
use crate::resp::{Output, Protocol, Reply};
use crate::types::stream::{Group, Stream, StreamId};

/// The offers of the streams here, to be looked at by all owners.
pub(super) fn offers(ctx: &mut Ctx<'_>, wanted: &Wanted<'_>, mine: &[usize]) -> Part {
    let offers: Vec<Offer> =
        mine.iter().map(|&order| offer(ctx, wanted, order).unwrap_or(Offer::none(order))).collect();
    Part::Shared(Arc::new(offers))
}

/// How the limits of the reply are shared out, by what the first hop has found.
pub(super) fn shares(wanted: &Wanted<'_>, got: &Gathered) -> Shares {
    if !wanted.limits.any() {
        return Shares::Unlimited;
    }
    let parts = got.hops.first().into_iter().flatten();
    let offers = parts.filter_map(|(_, part)| match part {
        Part::Shared(offers) => offers.downcast_ref::<Vec<Offer>>(),
        _ => None,
    });
    Shares::of_offers(wanted.limits, offers.flatten())
}

/// `None` when there is nothing to be read.
fn offer(ctx: &mut Ctx<'_>, wanted: &Wanted<'_>, order: usize) -> Option<Offer> {
    let (key, now_ms, protocol) = (wanted.key(order), ctx.now_ms(), ctx.client.protocol);
    let mut keys = ctx.keys();
    let stream = view_of::<Stream>(keys.peek(key)?.value()).ok()?;
    let mut offering = Offering::new(wanted, order, protocol);
    let start = match (wanted.from(order).ok()?, &wanted.group) {
        (From::After(id), None) => id.next(),
        (From::Last, _) => stream.log().last().map(|entry| entry.id),
        (From::After(id), Some(reader)) => {
            let group = stream.group(reader.group)?;
            offering.offer.is_told = true;
            if let Some(consumer) = group.consumer_index(reader.consumer) {
                let pending = group.consumer(consumer).pending.range(id.next().unwrap_or(StreamId::MAX)..);
                for id in pending {
                    if !offering.is_open() {
                        break;
                    }
                    let entry = stream.log().get(*id);
                    offering.give(|reply| reply_pending(reply, *id, entry.as_ref()));
                }
            }
            None
        }
        (From::New, Some(reader)) => {
            let group = stream.group(reader.group)?;
            if let Some(idle_ms) = reader.claim_idle_ms {
                offering.claimed(stream, group, idle_ms, now_ms);
            }
            group.last_id.next()
        }
        (From::Latest | From::New, _) => None,
    };
    if let Some(start) = start {
        let with_history = wanted.group.is_some_and(|reader| reader.claim_idle_ms.is_some());
        for entry in stream.log().range(start, StreamId::MAX) {
            if !offering.is_open() {
                break;
            }
            offering.give(|reply| match with_history {
                true => reply_with_history(reply, &entry, None, now_ms),
                false => reply_entry(reply, &entry),
            });
        }
    }
    Some(offering.offer)
}

/// An offer while it is made. It ends where the limits would end it if the stream were alone, so it never names more
/// entries than a reply may have.
struct Offering<'a> {
    wanted: &'a Wanted<'a>,
    offer: Offer,
    budget: Budget,
    protocol: Protocol,
    /// Where entries are written, to be measured.
    scratch: Output,
}

impl<'a> Offering<'a> {
    fn new(wanted: &'a Wanted<'a>, order: usize, protocol: Protocol) -> Offering<'a> {
        let (mut offer, mut budget) = (Offer::none(order), Budget::new(wanted.limits));
        let mut scratch = Output::new();
        let mut reply = Reply::new(&mut scratch, protocol);
        offer.head_bytes = budget.begin_stream(&mut reply, |reply| begin_stream(wanted.key(order), reply));
        Offering { wanted, offer, budget, protocol, scratch }
    }

    fn is_open(&self) -> bool {
        self.offer.entry_bytes.len() < self.wanted.count && !self.budget.is_spent()
    }

    fn give(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        self.scratch.clear();
        let mut reply = Reply::new(&mut self.scratch, self.protocol);
        if self.wanted.limits.bytes.is_some() {
            let bytes = self.budget.entry(&mut reply, write);
            self.offer.entry_bytes.push(bytes);
        } else {
            self.budget.entry(&mut reply, |_| {});
            self.offer.entry_bytes.push(0);
        }
    }

    /// Pending entries that have waited long enough.
    fn claimed(&mut self, stream: &Stream, group: &Group, idle_ms: u64, now_ms: u64) {
        for (id, before) in idle_entries(group, idle_ms, now_ms, self.wanted.count) {
            self.offer.is_told = true;
            if !self.is_open() {
                break;
            }
            if let Some(entry) = stream.log().get(id) {
                self.give(|reply| reply_with_history(reply, &entry, Some(before), now_ms));
            }
        }
    }
}
