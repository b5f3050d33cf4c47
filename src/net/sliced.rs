//! Commands that go on in slices (`commands/sliced.rs`): who they are, and their turns in the background.
//!
//! Such a command is in its shard's queue with its intents, like a transaction that has begun. So what conflicts with
//! it waits behind it, and nobody else does; it is as atomic as a command that runs in one go, and its reply takes the
//! place that was kept for it. Its connection's later commands at this shard stay behind it (`Core::held`); if they are
//! still in the buffer they stay there ([`Stall::Answers`]).
//!
//! Keys expire and are evicted without a command: `shard/pins.rs` keeps the value for who reads it. A client that is
//! gone takes its reading commands with it; what writes comes to its end. With a single shard, scripts touch what they
//! have not declared, so before one begins everything under way is brought to its end; and so is what has changed values
//! by half before a snapshot begins, which asks no intents there.

use std::collections::VecDeque;
use std::sync::Arc;

use super::batch::Control;
use super::client::Stall;
use super::core::Core;
use super::dispatch::await_token;
use super::mail::ShardWork;
use super::observe::{Caller, Ran};
use crate::commands::context::ClientView;
use crate::commands::keys_of::keys_of;
use crate::commands::sliced::{STEP_ELEMENTS, Slices, Step};
use crate::commands::spec::{Flags, Gathered};
use crate::commands::{CommandError, Entry, Part, RowId};
use crate::resp::{Argv, Output, Reply, Request};
use crate::runtime::face::ConnId;
use crate::shard::pins::SLICES_ABOVE;
use crate::shard::tracking::Reader;
use crate::sys::clock;
use crate::sys::memory::DirectPurge;
use crate::tx::TxId;
use crate::tx::execute::{finish_slices, with_lent, write_error};
use crate::tx::log::Repeat;
use crate::tx::message::{Token, TxCommand, TxMessage, TxRef};
use crate::types::{DbIndex, ShardId};

/// Whose the result is.
enum Answer {
    /// A client's; `held` when its later commands at this shard wait for it.
    Reply { token: Token, held: bool },
    /// A transaction's coordinator's: the work is a hop.
    Hop { slot: u32, conclude: bool, got: Option<Gathered> },
}

/// A command under way.
struct Job {
    tx: TxId,
    origin: ShardId,
    answer: Answer,
    row: RowId,
    db: DbIndex,
    client: ClientView,
    request: Arc<Request>,
    slices: Box<Slices>,
    /// Spent so far.
    cycles: u64,
}

/// What goes on in slices at one shard.
pub struct Sliced {
    jobs: VecDeque<Job>,
    /// Commands that would touch more elements than this run in slices (DEBUG SLICES).
    pub above: usize,
    /// About how many elements a step touches; 0 lets everything stand still (DEBUG SLICES).
    pub step_elements: usize,
}

impl Default for Sliced {
    fn default() -> Sliced {
        Sliced { jobs: VecDeque::new(), above: SLICES_ABOVE, step_elements: STEP_ELEMENTS }
    }
}

impl Sliced {
    /// Is there work to do now?
    #[inline]
    pub fn has_work(&self) -> bool {
        !self.jobs.is_empty() && self.step_elements > 0
    }

    /// How many commands are under way.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl Core {
    /// A command of a client of this core, with its keys here, goes on in slices.
    #[cold]
    pub(super) fn slice_here(&mut self, conn: ConnId, row: RowId, argv: Argv<'_>, slices: Box<Slices>) {
        let client = self.clients.at(conn.index);
        let (db, view) = (client.db, client.view());
        let token = await_token(client, self.me);
        client.stall = Stall::Answers;
        self.slice_for(self.me, token, row, db, view, argv, slices);
    }

    /// A command that was sent here goes on in slices.
    #[cold]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn slice_for(
        &mut self,
        origin: ShardId,
        token: Token,
        row: RowId,
        db: DbIndex,
        client: ClientView,
        argv: Argv<'_>,
        slices: Box<Slices>,
    ) {
        let intents = self.intents_of(self.table.entry(row), argv);
        let tx = self.draw_number();
        self.queue.enter_begun(tx, origin, intents);
        *self.held.entry((origin, token.index, token.generation)).or_insert(0) += 1;
        let answer = Answer::Reply { token, held: true };
        let (request, cycles) = (Arc::new(Request::from(argv)), self.lap());
        self.sliced.jobs.push_back(Job { tx, origin, answer, row, db, client, request, slices, cycles });
    }

    /// A command that had waited in the queue, where it is `tx`, goes on in slices.
    #[cold]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn slice_queued(
        &mut self,
        tx: TxId,
        origin: ShardId,
        token: Token,
        row: RowId,
        db: DbIndex,
        client: ClientView,
        request: Request,
        slices: Box<Slices>,
    ) {
        self.queue.goes_on(tx);
        let answer = Answer::Reply { token, held: true };
        let (request, cycles) = (Arc::new(request), self.lap());
        self.sliced.jobs.push_back(Job { tx, origin, answer, row, db, client, request, slices, cycles });
    }

    /// A hop of a transaction goes on in slices; `to` is its coordinator's slot and whether it is the last.
    #[cold]
    pub(super) fn slice_hop(
        &mut self,
        tx: TxId,
        origin: ShardId,
        to: (u32, bool),
        client: ClientView,
        command: TxCommand,
        part: Part,
    ) {
        let Some((slices, got)) = part.into_slices() else { return };
        self.queue.goes_on(tx);
        let answer = Answer::Hop { slot: to.0, conclude: to.1, got };
        let TxCommand { row, db, request } = command;
        let job = Job { tx, origin, answer, row, db, client, request, slices, cycles: 0 };
        self.sliced.jobs.push_back(job);
    }

    /// Goes on with what is under way, for about so long. True when there is more to do at once.
    pub(super) fn run_slices(&mut self, budget_ns: u64) -> bool {
        // As when what was deleted is dropped (`Core::background`): what was needed on the way is dropped in steps too.
        let _direct = DirectPurge::begin();
        let end = clock::cycles() + clock::cycles_of_ns(budget_ns);
        let mut now = clock::cycles();
        while self.sliced.has_work() && now < end {
            let elements = self.sliced.step_elements;
            let Some(mut job) = self.sliced.jobs.pop_front() else { break };
            let step = job.slices.step(&mut self.shard, job.client.protocol, elements);
            let before = std::mem::replace(&mut now, clock::cycles());
            job.cycles += now - before;
            let result = match step {
                Ok(Step::More) => {
                    self.sliced.jobs.push_back(job);
                    continue;
                }
                Ok(Step::Done) => Ok(()),
                Err(error) => Err(error),
            };
            self.finish_job(job, result);
            self.run_queue();
        }
        self.sliced.has_work()
    }

    /// Brings everything under way to its end. Whoever waits for it stays in the queue: a script that is about to run comes
    /// first, and the next turn sees to the others.
    #[cold]
    pub(super) fn end_all_slices(&mut self) {
        while let Some(job) = self.sliced.jobs.pop_front() {
            self.run_to_end(job);
        }
    }

    /// Brings to its end what has changed values by half, so that a snapshot sees all of it or nothing. With several
    /// shards a snapshot is a transaction, and waits. Who waited for these keys goes on in the next turn: now a block may
    /// be running.
    pub(super) fn end_changing_slices(&mut self) {
        while let Some(at) = self.sliced.jobs.iter().position(|job| job.slices.changes()) {
            let Some(job) = self.sliced.jobs.remove(at) else { break };
            self.run_to_end(job);
        }
    }

    fn run_to_end(&mut self, mut job: Job) {
        let result = loop {
            match job.slices.step(&mut self.shard, job.client.protocol, usize::MAX) {
                Ok(Step::More) => {}
                Ok(Step::Done) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.finish_job(job, result);
    }

    fn finish_job(&mut self, job: Job, result: Result<(), CommandError>) {
        let Job { tx, origin, answer, row, db, client, request, slices, cycles } = job;
        self.start_clock();
        let entry = self.table.entry(row);
        self.shard.tracking.writer = client.id;
        // Who repeats the log has no such key any more when it comes to this command.
        let is_gone = slices.is_of_gone_key(&self.shard);
        let repeat = match &answer {
            Answer::Reply { .. } if !is_gone => Repeat::Request { entry, db, argv: request.argv() },
            _ => Repeat::State,
        };
        let (result, mut output) = finish_slices(&mut self.shard, db, client, *slices, result, repeat);
        match answer {
            Answer::Reply { token, held } => {
                let ok = result.is_ok();
                if let Err(error) = &result {
                    write_error(error, &mut Reply::new(&mut output, client.protocol));
                }
                self.queue.release(tx);
                if held {
                    self.unhold(origin, token);
                }
                if self.shard.has_news() {
                    self.tell_news();
                }
                if ok || !self.count_error_reply(row, &output, 0) {
                    let ran = Ran { cycles: cycles + self.lap(), ok, reply_bytes: output.len() };
                    self.ran(row, Caller::Of(origin, client.id), request.argv(), ran);
                }
                self.answer_sliced(origin, token, &mut output);
                if is_gone && entry.row.flags.has(Flags::READONLY) {
                    self.tell_reader_again(client, entry, request.argv());
                }
            }
            Answer::Hop { slot, conclude, got } => {
                let part = with_lent(result.map(|part| part.or_written(output)), got);
                if self.shard.has_news() {
                    self.tell_news();
                }
                if conclude {
                    self.conclude(tx);
                }
                self.post_one(origin, TxMessage::Ran { tx: TxRef { slot, id: tx }, part });
            }
        }
    }

    /// The key went while it was read, and who caches was told before it had the reply: it is told once more, behind it.
    fn tell_reader_again(&mut self, client: ClientView, entry: &Entry, argv: Argv<'_>) {
        let reader = client.tracked_by.map(|core| Reader { core, client: client.id });
        for key in keys_of(entry.row, argv).iter().flatten() {
            self.shard.tracking.tell_again(argv.get(key.index), reader);
        }
        if self.shard.has_news() {
            self.tell_news();
        }
    }

    fn answer_sliced(&mut self, origin: ShardId, token: Token, output: &mut Output) {
        if origin == self.me {
            return self.deliver(token, output);
        }
        let replies = &mut self.batch_to(origin).replies;
        replies.output.append(output);
        replies.end(token);
    }

    /// A client of this core is gone: what it has under way somewhere is of no use any more.
    pub(super) fn leave_slices(&mut self, conn: ConnId, at: ShardId) {
        let token = Token { index: conn.index, generation: conn.generation, seq: 0 };
        if at == self.me {
            self.drop_slices(self.me, token);
        } else {
            self.batch_to(at).control.push(Control::Left(token));
        }
    }

    /// Drops the reading commands of a client that is gone, those under way and those that wait.
    pub(super) fn drop_slices(&mut self, origin: ShardId, token: Token) {
        let is_its = |job: &Job| {
            matches!(job.answer, Answer::Reply { token: its, .. }
                if job.origin == origin && its.index == token.index && its.generation == token.generation)
        };
        let mut any = false;
        while let Some(at) =
            self.sliced.jobs.iter().position(|job| is_its(job) && !self.table.entry(job.row).is_write)
        {
            let Some(job) = self.sliced.jobs.remove(at) else { break };
            job.slices.give_up(&mut self.shard);
            self.queue.release(job.tx);
            if let Answer::Reply { token, held: true } = job.answer {
                self.unhold(origin, token);
            }
            any = true;
        }
        let name = (origin, token.index, token.generation);
        if self.held.contains_key(&name) {
            let table = self.table;
            let dropped = self.queue.drop_waiting(|from, work| match work {
                ShardWork::Command { token, row, .. } => {
                    let entry = table.entry(*row);
                    (from, token.index, token.generation) == name && !entry.is_write && !entry.is_script
                }
                _ => false,
            });
            dropped.iter().for_each(|_| self.unhold(origin, token));
            any |= !dropped.is_empty();
        }
        if any {
            self.run_queue();
        }
    }
}
