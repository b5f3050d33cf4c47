//! The mesh: one inbox per core, into which every core (itself included) puts batches.
//!
//! INVARIANT (causality, see ARCHITECTURE.md "Causal pipelines"): an inbox is one FIFO queue for all senders,
//! and [`Port::receive`] hands out a batch only after its sender has published the turn it was sent in, which
//! the sender does after *all* its batches of that turn are in their inboxes. So when a core runs a batch of
//! some turn, every other batch of that turn is already ahead of anything that could be caused by it.
//!
//! INVARIANT (no deadlock): sending never waits. The queue itself has no bound; what bounds it is credit: a
//! sender may have at most [`CREDIT_BATCHES`] unanswered batches at one receiver, asked *before* a command is
//! taken from a client ([`Port::has_credit`]). Replies and transaction messages need no credit: there are at most
//! as many as commands that were taken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};

/// Batches one core may have in another core's inbox before it stops taking commands for it.
pub const CREDIT_BATCHES: u64 = 64;

struct Envelope<B> {
    from: usize,
    turn: u64,
    body: B,
}

/// A counter alone on its cache lines, so that cores do not disturb each other.
#[repr(align(128))]
#[derive(Default)]
struct Lone(AtomicU64);

struct Shared {
    cores: usize,
    /// Per core: the last turn whose batches are all in their inboxes.
    published: Vec<Lone>,
    /// `taken[from * cores + to]`: batches of `from` that `to` has taken out of its inbox.
    taken: Vec<Lone>,
}

/// What [`Port::receive`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Received<B> {
    /// A batch of another core (or of this one).
    Batch { from: usize, body: B },
    /// The head of the inbox belongs to a turn its sender has not finished sending; look again next turn.
    Unpublished,
    /// Nothing there.
    Empty,
}

/// One core's end of the mesh.
pub struct Port<B> {
    me: usize,
    /// The turn that is being sent now; published when complete.
    turn: u64,
    inbox: Receiver<Envelope<B>>,
    /// The head of the inbox, taken out but not yet allowed to run.
    head: Option<Envelope<B>>,
    outboxes: Vec<Sender<Envelope<B>>>,
    /// Everybody's, to ask whether they are empty.
    inboxes: Arc<[Receiver<Envelope<B>>]>,
    sent: Vec<u64>,
    unpublished: bool,
    /// In the simulation: what was sent and published and has not happened yet.
    held: Option<VecDeque<Held<B>>>,
    shared: Arc<Shared>,
}

/// A step of a flush that the simulation lets happen later.
enum Held<B> {
    Send { to: usize, envelope: Envelope<B> },
    Publish { turn: u64 },
}

/// Connects `cores` cores with each other.
pub fn mesh<B: Send>(cores: usize) -> Vec<Port<B>> {
    assert!(cores > 0, "a mesh has at least one core");
    let (outboxes, inboxes): (Vec<_>, Vec<_>) = (0..cores).map(|_| crossbeam_channel::unbounded()).unzip();
    let all: Arc<[Receiver<Envelope<B>>]> = inboxes.iter().cloned().collect();
    let shared = Arc::new(Shared {
        cores,
        published: (0..cores).map(|_| Lone::default()).collect(),
        taken: (0..cores * cores).map(|_| Lone::default()).collect(),
    });
    inboxes
        .into_iter()
        .enumerate()
        .map(|(me, inbox)| Port {
            me,
            turn: 1,
            inbox,
            head: None,
            outboxes: outboxes.clone(),
            inboxes: all.clone(),
            sent: vec![0; cores],
            unpublished: false,
            held: None,
            shared: shared.clone(),
        })
        .collect()
}

impl<B: Send> Port<B> {
    /// This core's number.
    pub fn me(&self) -> usize {
        self.me
    }

    /// How many cores the mesh has.
    pub fn cores(&self) -> usize {
        self.shared.cores
    }

    /// Puts a batch into a core's inbox. The receiver runs it after [`Port::publish`].
    pub fn send(&mut self, to: usize, body: B) {
        self.sent[to] += 1;
        self.unpublished = true;
        let envelope = Envelope { from: self.me, turn: self.turn, body };
        match &mut self.held {
            Some(held) => held.push_back(Held::Send { to, envelope }),
            // A receiver that has shut down no longer needs its mail.
            None => drop(self.outboxes[to].send(envelope)),
        }
    }

    /// Declares that all batches of this turn are sent. Free when there were none.
    pub fn publish(&mut self) {
        if self.unpublished {
            match &mut self.held {
                Some(held) => held.push_back(Held::Publish { turn: self.turn }),
                None => self.shared.published[self.me].0.store(self.turn, Ordering::Release),
            }
            self.turn += 1;
            self.unpublished = false;
        }
    }

    /// From now on sends and publications wait for [`Port::let_happen`]: the simulation puts other cores' steps
    /// between them.
    pub fn hold(&mut self) {
        self.held = Some(VecDeque::new());
    }

    /// Lets the next held send or publication happen. False when none is left.
    pub fn let_happen(&mut self) -> bool {
        match self.held.as_mut().and_then(VecDeque::pop_front) {
            Some(Held::Send { to, envelope }) => drop(self.outboxes[to].send(envelope)),
            Some(Held::Publish { turn }) => self.shared.published[self.me].0.store(turn, Ordering::Release),
            None => return false,
        }
        true
    }

    /// Takes the next batch that is allowed to run.
    pub fn receive(&mut self) -> Received<B> {
        let envelope = match self.head.take() {
            Some(envelope) => envelope,
            None => match self.inbox.try_recv() {
                Ok(envelope) => envelope,
                Err(_) => return Received::Empty,
            },
        };
        if self.shared.published[envelope.from].0.load(Ordering::Acquire) < envelope.turn {
            self.head = Some(envelope);
            return Received::Unpublished;
        }
        self.shared.taken[envelope.from * self.shared.cores + self.me].0.fetch_add(1, Ordering::Release);
        Received::Batch { from: envelope.from, body: envelope.body }
    }

    /// True when a batch waits, runnable or not.
    pub fn has_mail(&self) -> bool {
        self.head.is_some() || !self.inbox.is_empty()
    }

    /// Is nothing on its way, between any two cores? Means something only while no other core can send.
    pub fn is_quiet(&self) -> bool {
        let all_happened = self.held.as_ref().is_none_or(VecDeque::is_empty);
        all_happened && self.head.is_none() && self.inboxes.iter().all(Receiver::is_empty)
    }

    /// True when commands may be taken for `to`: fewer than [`CREDIT_BATCHES`] batches wait there.
    pub fn has_credit(&self, to: usize) -> bool {
        let taken = self.shared.taken[self.me * self.shared.cores + to].0.load(Ordering::Acquire);
        self.sent[to] - taken < CREDIT_BATCHES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_waits_until_its_sender_has_published_the_turn() {
        let mut ports = mesh::<u32>(2);
        let (mut b, mut a) = (ports.pop().unwrap(), ports.pop().unwrap());
        a.send(1, 7);
        assert_eq!(b.receive(), Received::Unpublished);
        assert!(b.has_mail());
        a.publish();
        assert_eq!(b.receive(), Received::Batch { from: 0, body: 7 });
        assert_eq!(b.receive(), Received::Empty);
    }

    #[test]
    fn credit_returns_when_the_receiver_takes_a_batch() {
        let mut ports = mesh::<u64>(2);
        let (mut b, mut a) = (ports.pop().unwrap(), ports.pop().unwrap());
        for i in 0..CREDIT_BATCHES {
            assert!(a.has_credit(1));
            a.send(1, i);
        }
        assert!(!a.has_credit(1));
        a.publish();
        assert_eq!(b.receive(), Received::Batch { from: 0, body: 0 });
        assert!(a.has_credit(1));
    }

    #[test]
    fn the_mesh_is_quiet_when_nobody_has_mail() {
        let mut ports = mesh::<u32>(3);
        let (mut c, b, mut a) = (ports.pop().unwrap(), ports.pop().unwrap(), ports.pop().unwrap());
        assert!(b.is_quiet());
        a.send(2, 1);
        assert!(!b.is_quiet());
        assert_eq!(c.receive(), Received::Unpublished);
        assert!(!c.is_quiet());
        a.publish();
        assert!(matches!(c.receive(), Received::Batch { .. }));
        assert!(b.is_quiet() && c.is_quiet());
    }

    #[test]
    fn the_inbox_keeps_the_order_of_all_senders() {
        let mut ports = mesh::<u32>(3);
        let (mut c, mut b, mut a) = (ports.pop().unwrap(), ports.pop().unwrap(), ports.pop().unwrap());
        a.send(2, 1);
        b.send(2, 2);
        b.publish();
        assert_eq!(c.receive(), Received::Unpublished, "b's batch may not overtake a's");
        a.publish();
        assert_eq!(c.receive(), Received::Batch { from: 0, body: 1 });
        assert_eq!(c.receive(), Received::Batch { from: 1, body: 2 });
    }
}
