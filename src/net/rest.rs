//! Shards at rest: what a core that sleeps leaves for others to use.
//!
//! What spans shards usually costs messages to every core, and wakes those that sleep. Where all other cores sleep, nothing
//! of that is needed: a core that goes to sleep puts its shard into its **seat**, and a core that has something to run over
//! shards takes all of them from there, runs it as if everything were its own, and puts them back. Nobody is woken.
//!
//! - A core that wakes up takes its shard out of its seat before it does anything else, and waits when it is not there.
//!   Who took it has it for one script, EXEC or command.
//! - A script that finds a core awake waits a moment for it to rest again ([`Patience`]): cores wake up for little things, and a
//!   transaction would wait for several turns of theirs.
//! - A shard with a log does not rest: its owner vouches for what is in it before a client is answered.
//! - What commands leave in a shard (notices, invalidations, clients to be served, a deadline that comes before the end of
//!   the owner's sleep) is seen to by its owner, who is woken for it. Before it is, nobody takes the shard again.
//! - A script that takes long ([`Loans::are_overdue`]), or that asks all cores something, turns into a transaction that
//!   has begun everywhere: its name is left in every seat, and the owner enters it into its queue before anything else.
//!
//! INVARIANT (serial): what runs so has a place in the order of all commands, because at that moment nothing is under way
//! anywhere. Every other core has ended its turn and cannot begin another, all queues are idle, and with all shards in hand
//! every inbox is seen to be empty; this core has run what it took from its clients, and keeps back no command for others.
//! So there is no pipeline of which one part has run and an earlier one has not, and no transaction between its parts.
//!
//! INVARIANT (no circle): taking waits for nothing. An owner waits for who has its shard, and who has it waits for
//! nothing before it has put it back.

use std::sync::atomic::Ordering;
use std::sync::{Condvar, Mutex, MutexGuard};

use super::core::Core;
use super::lend::Taken;
use super::observe::{Caller, Ran};
use super::scripts::ScriptCall;
use crate::commands::keys_of::keys_of;
use crate::commands::spec::Run;
use crate::commands::{Entry, Part, RowId};
use crate::resp::{Argv, Output, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::shard::Shard;
use crate::sys::clock;
use crate::tx::Route;
use crate::tx::execute::write_error;
use crate::tx::intents::{IntentSet, Mode};
use crate::tx::message::{TxCommand, TxMessage, TxRef, WatchedKey, Work};
use crate::tx::multi::Step;
use crate::tx::route::mode_of;
use crate::tx::single::Single;
use crate::types::ShardId;

/// A core that wakes up looks for its shard so long before it sleeps again: most scripts are shorter, and who gives its
/// processor away beside others that have something to do is without it for milliseconds.
const SPIN_NS: u64 = 200_000;
/// A script that needs all shards waits so long for cores that have just woken up to rest again. They have little to do when
/// this core could run its last script on their shards; a transaction needs several turns of theirs.
const PATIENCE_NS: u64 = 2_000_000;
const LOOK_AGAIN_NS: u64 = 50_000;
/// After waiting in vain scripts do not wait for so long; twice as long every time, up to [`HASTE_DOUBLES`].
const HASTE_NS: u64 = 16_000_000;
const HASTE_DOUBLES: u32 = 6;

/// One seat per core.
pub struct Seats {
    seats: Box<[Seat]>,
}

#[repr(align(128))]
#[derive(Default)]
struct Seat {
    place: Mutex<Place>,
    /// The shard is back.
    back: Condvar,
}

#[derive(Default)]
struct Place {
    shard: Option<Box<Shard>>,
    /// The owner is awake and waits for it, in the end asleep.
    is_wanted: bool,
    is_waited_for: bool,
    /// The configuration that the shard goes by.
    config_version: u64,
    /// When the owner wakes up by itself for the shard's sake.
    wakes_at_ms: Option<u64>,
    /// A transaction that has begun on the shard, and its core.
    entered: Option<(TxRef, ShardId)>,
}

impl Seats {
    pub fn new(cores: usize) -> Seats {
        Seats { seats: (0..cores).map(|_| Seat::default()).collect() }
    }

    /// Looks at a shard, should it rest.
    pub fn look<T>(&self, of: ShardId, look: impl FnOnce(&mut Shard) -> T) -> Option<T> {
        self.place(of).shard.as_deref_mut().map(look)
    }

    fn place(&self, of: ShardId) -> MutexGuard<'_, Place> {
        self.seats[of.index()].place.lock().expect("no holder panics")
    }

    /// Takes a shard that rests, if it is as its owner would have it.
    fn take(&self, of: ShardId, config_version: u64) -> Option<Box<Shard>> {
        let mut place = self.seats[of.index()].place.try_lock().ok()?;
        let is_free = !place.is_wanted && place.entered.is_none() && place.config_version == config_version;
        place.shard.take_if(|shard| {
            is_free && !shard.settings.stands_still && !shard.has_news() && !shard.waits.has_ready()
        })
    }

    /// Puts a shard back. True when its owner has something to do with it.
    fn put_back(&self, of: ShardId, mut shard: Box<Shard>, entered: Option<(TxRef, ShardId)>) -> bool {
        shard.publish_keys();
        let mut place = self.place(of);
        let next_ms = shard.next_background_ms();
        let has_work = shard.has_news()
            || shard.waits.has_ready()
            || shard.has_background()
            || next_ms.is_some_and(|at| place.wakes_at_ms.is_none_or(|wakes| at < wakes));
        place.shard = Some(shard);
        place.entered = entered;
        if place.is_waited_for {
            self.seats[of.index()].back.notify_one();
        }
        has_work
    }

    /// Do all cores but this one sleep, their shards in their seats?
    fn all_rest_but(&self, me: ShardId) -> bool {
        let rests =
            |seat: &Seat| seat.place.try_lock().is_ok_and(|place| !place.is_wanted && place.shard.is_some());
        self.seats.iter().enumerate().all(|(core, seat)| core == me.index() || rests(seat))
    }

    /// A core that has woken up waits for its shard, which somebody uses for a script, most of them short.
    fn await_back(&self, of: ShardId) -> MutexGuard<'_, Place> {
        let since_cycles = clock::cycles();
        let mut place = self.place(of);
        while place.shard.is_none() {
            place.is_wanted = true;
            if clock::cycles().wrapping_sub(since_cycles) < clock::cycles_of_ns(SPIN_NS) {
                drop(place);
                std::hint::spin_loop();
                place = self.place(of);
            } else {
                place.is_waited_for = true;
                place = self.seats[of.index()].back.wait(place).expect("no holder panics");
            }
        }
        (place.is_wanted, place.is_waited_for) = (false, false);
        place
    }
}

/// How long scripts wait for other cores to rest.
#[derive(Default)]
pub(super) struct Patience {
    until_ns: Option<u64>,
    /// Nobody waits before this, and how often it was in vain.
    hasty_until_ns: u64,
    in_vain: u32,
}

impl Patience {
    /// Is a script to wait?
    fn waits(&mut self, others_rest: bool, now_ns: u64) -> bool {
        if others_rest {
            if self.until_ns.take().is_some() {
                self.in_vain = 0;
            }
            return false;
        }
        if now_ns < self.hasty_until_ns {
            return false;
        }
        if now_ns < *self.until_ns.get_or_insert(now_ns + PATIENCE_NS) {
            return true;
        }
        self.until_ns = None;
        self.hasty_until_ns = now_ns + (HASTE_NS << self.in_vain);
        self.in_vain = (self.in_vain + 1).min(HASTE_DOUBLES);
        false
    }
}

impl Core {
    /// This core goes to sleep: its shard is there for others. All its mail was taken.
    pub(super) fn leave_shard(&mut self) {
        let may_rest = self.shared.shards > 1
            && !self.loans.is_left
            && self.shard.log.is_none()
            && self.queue.is_idle()
            && self.sliced.is_empty()
            && self.own_mail.is_empty()
            && !self.keeps_back_commands()
            && !self.replay.is_on
            && self.loading.is_none();
        if !may_rest {
            return;
        }
        let hollow = self.loans.take_hollow().unwrap_or_else(|| self.hollow_shard());
        let shard = std::mem::replace(&mut self.shard, hollow);
        let mut place = self.shared.seats.place(self.me);
        place.config_version = self.config_version;
        place.wakes_at_ms = shard.next_background_ms();
        place.shard = Some(shard);
        self.loans.is_left = true;
    }

    /// This core wakes up: its shard is its own again.
    #[inline]
    pub fn fetch_shard(&mut self) {
        if self.loans.is_left {
            self.fetch_left_shard();
        }
    }

    fn fetch_left_shard(&mut self) {
        self.loans.is_left = false;
        let shared = self.shared.clone();
        let mut place = shared.seats.await_back(self.me);
        let shard = place.shard.take().expect("waited for");
        self.loans.keep_hollow(std::mem::replace(&mut self.shard, shard));
        if let Some((tx, origin)) = place.entered.take() {
            let mut all = IntentSet::default();
            all.add_whole(Mode::Exclusive);
            self.queue.enter_held(tx.id, origin, all);
        }
    }

    /// Must a script that needs all shards wait for other cores to rest, in place of beginning a transaction?
    pub(super) fn waits_for_rest(&mut self) -> bool {
        if self.loans.are_there() || self.shard.log.is_some() {
            return false;
        }
        let rest = self.shared.seats.all_rest_but(self.me);
        self.loans.patience.waits(rest, self.now_ns)
    }

    /// Nobody says that it rests, so this core looks again in a moment, and leaves its processor to others until then.
    pub(super) fn patience_deadline_ns(&self) -> Option<u64> {
        (!self.loans.patient.is_empty()).then_some(self.now_ns + LOOK_AGAIN_NS)
    }

    /// Have commands been taken from clients that are still to leave for other shards?
    fn keeps_back_commands(&self) -> bool {
        let mut batches = self.outgoing.iter().flatten();
        batches.any(|batch| !batch.commands.list.is_empty() || !batch.tx.is_empty())
    }

    /// Takes the shards of all other cores, if all of them rest and nothing is under way. [`Core::let_rest`] gives them
    /// back.
    pub(super) fn hold_all(&mut self) -> Option<TxRef> {
        let is_idle = self.queue.is_idle()
            && !self.loans.are_there()
            && self.shard.log.is_none()
            && self.own_mail.is_empty()
            && self.stashed.is_empty()
            && self.sliced.is_empty()
            && !self.replay.is_on
            && self.loading.is_none()
            && !self.shard.settings.stands_still
            && !self.shared.durable.is_loading()
            && self.shared.config_version.load(Ordering::Acquire) == self.config_version
            && (!self.keeps_back_commands() || self.loans.ignores_mail);
        if !is_idle {
            return None;
        }
        let me = self.me;
        for owner in (0..self.shared.shards).map(|core| ShardId(core as u16)).filter(|core| *core != me) {
            let Some(shard) = self.shared.seats.take(owner, self.config_version) else {
                self.put_all_back(None);
                return None;
            };
            self.loans.taken.push(Taken { owner, shard, lender: None });
        }
        if !self.port.is_quiet() && !self.loans.ignores_mail {
            self.put_all_back(None);
            return None;
        }
        self.loans.begin(self.now_ms);
        Some(TxRef { slot: u32::MAX, id: self.draw_number() })
    }

    /// The end of what ran on the shards that [`Core::hold_all`] took.
    pub(super) fn let_rest(&mut self, io: &mut dyn NetIo, tx: TxRef) {
        self.loans.ran_at_rest += 1;
        if std::mem::take(&mut self.loans.entered) {
            // It has become a transaction; what it holds now was lent.
            self.give_back(tx);
            let me = self.me;
            for to in (0..self.shared.shards).map(|core| ShardId(core as u16)).filter(|core| *core != me) {
                self.post_one(to, TxMessage::Release { tx, withdrawn: false });
            }
            self.flush(io);
            return;
        }
        let mut is_stuck = false;
        for Taken { shard, .. } in &mut self.loans.taken {
            is_stuck |= shard.publish_memory();
        }
        let busy = self.put_all_back(None);
        for core in busy {
            io.wake(core.index());
        }
        if is_stuck {
            (0..self.shared.shards).for_each(|core| io.wake(core));
        }
    }

    /// What runs on shards that rest goes on as a transaction that has begun on all of them.
    pub(super) fn enter_seats(&mut self, tx: TxRef) {
        // Before anybody can begin a turn: all of them will know.
        self.coordinator.enter_at_once();
        self.tx_mode = true;
        self.loans.entered = true;
        self.put_all_back(Some((tx, self.me)));
    }

    /// The owners that have something to do.
    fn put_all_back(&mut self, entered: Option<(TxRef, ShardId)>) -> smallvec::SmallVec<[ShardId; 8]> {
        let seats = &self.shared.seats;
        let taken = self.loans.taken.drain(..);
        let busy = taken
            .filter_map(|Taken { owner, shard, .. }| seats.put_back(owner, shard, entered).then_some(owner));
        busy.collect()
    }

    /// Runs a block on shards that [`Core::hold_all`] took, and lets them rest.
    pub(super) fn exec_at_rest(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        tx: TxRef,
        steps: &[Step],
        watched: &[WatchedKey],
        reply: &mut Reply<'_>,
    ) {
        let are_unchanged = watched.iter().all(|key| {
            let owner = self.placement.owner_of(&key.key);
            self.on_shard(owner, |core| core.are_unchanged(std::slice::from_ref(key)))
        });
        for key in watched {
            let owner = self.placement.owner_of(&key.key);
            self.on_shard(owner, |core| core.shard.unwatch(key.db, &key.key));
        }
        if are_unchanged {
            self.hold_messages(conn);
            reply.array(steps.len());
            for step in steps {
                let mut out = Output::default();
                // A script is shown before its commands.
                let is_script = self.table.entry(step.command.row).is_script;
                if is_script {
                    self.show_step(conn, &step.command);
                }
                self.run_step_at_rest(io, conn, tx, step, &mut out);
                self.tell_noticed();
                reply.out.append(&mut out);
                if !is_script {
                    self.show_step(conn, &step.command);
                }
                if self.shard.has_news() {
                    self.tell_news();
                }
            }
            self.follow_up();
        } else {
            reply.null_array();
        }
        self.let_rest(io, tx);
    }

    /// Publishes what commands on others' shards have told of.
    fn tell_noticed(&mut self) {
        if !self.loans.noticed.is_empty() {
            let noticed = std::mem::take(&mut self.loans.noticed);
            self.notify_of(&noticed);
        }
    }

    /// Does something with a shard that is here, in the place of this core's own.
    fn on_shard<T>(&mut self, owner: ShardId, act: impl FnOnce(&mut Core) -> T) -> T {
        self.loans.swap(owner, &mut self.shard);
        let done = act(self);
        self.loans.swap(owner, &mut self.shard);
        done
    }

    fn run_step_at_rest(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        tx: TxRef,
        step: &Step,
        out: &mut Output,
    ) {
        let TxCommand { row, db, request } = &step.command;
        let (row, db, argv) = (*row, *db, request.argv());
        let Some(client) = self.clients.get(conn) else { return };
        let view = client.view();
        if self.loans.are_overdue() {
            self.give_back(tx);
        }
        match step.route {
            Ok(_) if self.table.entry(row).is_script => {
                let call = ScriptCall { row, db, view, caller: Caller::Here(conn), argv };
                let begun = clock::cycles();
                let did = self.run_script(Some(io), call, Some(tx), out);
                self.count_script(call, did, clock::cycles() - begun, out);
            }
            Ok(Route::Shard(owner)) if owner != self.me => {
                let work = Work::Group { commands: vec![(0, step.command.clone())] };
                let parts = self.run_works_holding(Some(io), tx, view, vec![(owner, work)]);
                if let Some((_, Part::Replies(mut replies))) = parts.and_then(|mut parts| parts.pop())
                    && let Some((_, mut reply)) = replies.pop()
                {
                    out.append(&mut reply);
                }
            }
            Ok(Route::Several) => self.run_several_at_rest(io, conn, tx, &step.command, out),
            _ => self.run_step(io, conn, step, out),
        }
    }

    fn run_several_at_rest(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        tx: TxRef,
        command: &TxCommand,
        out: &mut Output,
    ) {
        let begun = clock::cycles();
        let view = self.clients.at(conn.index).view();
        let planned = Single::new(command.clone(), self.table, self.placement, view.protocol);
        let error = match planned {
            Ok(mut single) => {
                // When the server stops nobody is answered.
                if self.run_single_holding(Some(io), tx, view, &mut single).is_some() {
                    single.finish(out);
                }
                single.error().cloned()
            }
            Err(error) => {
                write_error(&error, &mut Reply::new(out, view.protocol));
                Some(error)
            }
        };
        if let Some(error) = &error {
            self.observe.count_error(error);
        }
        let ran = Ran { cycles: clock::cycles() - begun, ok: error.is_none(), reply_bytes: out.len() };
        self.ran(command.row, Caller::Here(conn), command.request.argv(), ran);
    }

    /// Runs a command over several shards at once, if the others rest. The client awaits nothing else.
    pub(super) fn run_at_rest(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        entry: &Entry,
        argv: Argv<'_>,
    ) -> bool {
        // What may wait, or go on for long, or is faster when all work at it, goes the long way.
        let is_short = matches!(entry.row.run, Run::PerKey { .. } | Run::Hops { .. })
            && !entry.is_blocking
            && entry.full_name != "copy";
        if !is_short || (matches!(entry.row.run, Run::Hops { .. }) && self.is_much_at_rest(conn, entry, argv))
        {
            return false;
        }
        let Some(tx) = self.hold_all() else { return false };
        let db = self.clients.at(conn.index).db;
        let command = TxCommand { row, db, request: Request::from(argv).into() };
        let mut out = Output::default();
        self.run_several_at_rest(io, conn, tx, &command, &mut out);
        self.tell_noticed();
        self.start_clock();
        self.follow_up();
        self.let_rest(io, tx);
        if let Some(client) = self.clients.get(conn) {
            client.output().append(&mut out);
        }
        true
    }

    /// Is so much read under a key that the command will go on in slices? With twice as much as for one key alone set
    /// operations do. What changes a value here and there, as LMOVE does, does not read all of it.
    fn is_much_at_rest(&mut self, conn: ConnId, entry: &Entry, argv: Argv<'_>) -> bool {
        let (db, above) = (self.clients.at(conn.index).db, self.shard.settings.slices_above);
        let Ok(keys) = keys_of(entry.row, argv) else { return false };
        keys.iter().filter(|key| mode_of(entry.row, key.access) == Mode::Shared).any(|key| {
            let name = argv.get(key.index);
            let owner = self.placement.owner_of(name);
            let elements = if owner == self.me {
                Some(self.shard.elements(db, name))
            } else {
                self.shared.seats.look(owner, |shard| shard.elements(db, name))
            };
            elements.is_some_and(|elements| elements > above.saturating_mul(2))
        })
    }

    /// Runs a script that needs all shards at once, if the others rest. The client awaits nothing else.
    pub(super) fn run_script_at_rest(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        argv: Argv<'_>,
    ) -> bool {
        let Some(tx) = self.hold_all() else { return false };
        let client = self.clients.at(conn.index);
        let call = ScriptCall { row, db: client.db, view: client.view(), caller: Caller::Here(conn), argv };
        let mut out = Output::default();
        self.run_script_holding(io, call, tx, &mut out);
        self.let_rest(io, tx);
        if let Some(client) = self.clients.get(conn) {
            client.output().append(&mut out);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_waits_while_another_core_is_awake_for_a_moment() {
        let mut patience = Patience::default();
        assert!(!patience.waits(true, 0), "nobody is awake");
        assert!(patience.waits(false, 1));
        assert!(patience.waits(false, PATIENCE_NS));
        assert!(!patience.waits(true, PATIENCE_NS + 1), "it rests again");
        assert!(patience.waits(false, PATIENCE_NS + 2), "and wakes up again");
    }

    #[test]
    fn scripts_wait_ever_less_for_a_core_that_has_much_to_do() {
        const STEP_NS: u64 = PATIENCE_NS / 4;
        const STEPS: u64 = 20_000;
        let mut patience = Patience::default();
        let waited = (0..STEPS).filter(|step| patience.waits(false, step * STEP_NS)).count();
        assert!(waited > 4 && waited < 300, "{waited} of {STEPS}");
        let again_ns = patience.hasty_until_ns.max(STEPS * STEP_NS);
        assert!(patience.waits(false, again_ns));
        assert!(!patience.waits(true, again_ns + 1), "not in vain");
        assert!(patience.waits(false, again_ns + 2));
        assert!(!patience.waits(false, again_ns + 2 + PATIENCE_NS));
        assert_eq!(patience.hasty_until_ns, again_ns + 2 + PATIENCE_NS + HASTE_NS, "as at first");
    }
}
