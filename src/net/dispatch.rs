//! Where a command goes that has passed the gates: its shard, this core, or a transaction over several.

use super::batch::Asker;
use super::blocked::command_of;
use super::client::{Client, ReplyMode, Stall};
use super::core::Core;
use super::mail::ShardWork;
use super::observe::{Caller, Ran};
use crate::commands::context::ClientView;
use crate::commands::keys_of::keys_of;
use crate::commands::spec::{Access, Flags, Run};
use crate::commands::{Args, CommandError, Entry, Part, RowId};
use crate::pubsub::Space;
use crate::resp::{Argv, Output, Reply, Request};
use crate::runtime::face::{ConnId, NetIo};
use crate::sys::clock;
use crate::tx::Route;
use crate::tx::execute::{Did, args_of, run_here, write_error};
use crate::tx::intents::{IntentSet, Mode};
use crate::tx::message::{Token, TxCommand};
use crate::tx::multi::Plan;
use crate::tx::queue::Armed;
use crate::tx::route::mode_of;
use crate::tx::single::{Single, claims_of};
use crate::types::{DbIndex, ShardId};

/// What a bound handler leaves to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// The reply is written.
    Done,
    /// Close the connection when the reply has left.
    Close,
    /// The reply is written, and consists of pushes: it goes even to who wants no replies.
    Pushed,
    /// The reply comes later, to the place that was kept for it; the next commands need not wait.
    Awaited,
    /// The reply comes later: the handler stalled the client and will answer.
    Later,
}

/// A command that needs its core: bound by `server/registry.rs`.
pub type BoundFn =
    fn(&mut Core, &mut dyn NetIo, ConnId, &mut Args<'_>, &mut Reply<'_>) -> Result<After, CommandError>;
/// One core's part of a broadcast.
pub type EachFn = fn(&mut Core, &mut dyn NetIo, Asker, Argv<'_>) -> Result<Part, CommandError>;
/// Merges the parts of a broadcast, in the order of the cores.
pub type MergeFn =
    fn(&mut Core, &mut dyn NetIo, ConnId, Argv<'_>, Vec<Part>, &mut Reply<'_>) -> Result<After, CommandError>;

/// What the registry binds to a row.
#[derive(Clone, Copy)]
pub enum Bound {
    /// A row that runs without its core.
    Plain,
    /// On the connection's core.
    Here(BoundFn),
    /// On every core.
    Broadcast { each: EachFn, merge: MergeFn },
    /// A message to all cores that have subscribers.
    Publish(Space),
}

impl Core {
    /// Sends a command on its way.
    #[inline]
    pub(super) fn run(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        entry: &Entry,
        way: Route,
        argv: Argv<'_>,
    ) {
        match way {
            Route::Shard(shard) if shard == self.me => self.run_local(io, conn, row, entry, argv),
            Route::Shard(shard) => {
                let client = self.clients.at(conn.index);
                let (db, view) = (client.db, client.view());
                let token = await_token(client, shard);
                if entry.is_blocking {
                    client.stall = Stall::Blocked;
                }
                if entry.is_script {
                    // It may have to begin anew, and what is behind it must not overtake it.
                    client.stall = Stall::Answers;
                }
                self.batch_to(shard).commands.push(token, row, db, view, argv);
            }
            Route::Local | Route::Bound => self.run_bound(io, conn, row, entry, argv),
            Route::Several if entry.is_script => {
                if !self.join_sitting(io, conn, row, argv) && !self.run_script_at_rest(io, conn, row, argv) {
                    self.begin_script(conn, row, argv);
                }
            }
            Route::Several => {
                if !self.run_at_rest(io, conn, row, entry, argv) {
                    self.begin_single(conn, row, entry, argv);
                }
            }
            Route::Broadcast => self.begin_broadcast(io, conn, row, argv),
        }
    }

    /// Runs a command on this core's own shard, or queues it behind a transaction.
    #[inline]
    fn run_local(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, entry: &Entry, argv: Argv<'_>) {
        let client = self.clients.at(conn.index);
        let (db, view) = (client.db, client.view());
        if !self.queue.is_idle() {
            let token = Token { index: conn.index, generation: conn.generation, seq: 0 };
            if self.must_queue(self.me, token, entry, argv) {
                let client = self.clients.at(conn.index);
                let token = await_token(client, self.me);
                if entry.is_blocking {
                    client.stall = Stall::Blocked;
                }
                if entry.is_script {
                    client.stall = Stall::Answers;
                }
                return self.queue_command(self.me, token, row, db, view, argv);
            }
        }
        if entry.is_script {
            return self.run_script_here(io, conn, row, argv);
        }
        let client = self.clients.at(conn.index);
        let out = client.output();
        let (from, before) = (out.bytes.len(), out.len());
        let did = run_here(&mut self.shard, entry, db, view, argv, out);
        let reply_bytes = out.len() - before;
        let ok = match did {
            Did::Replied => true,
            Did::Failed if self.observe.count_failure(&out.bytes[from..]) => {
                self.stats[row.index()].rejected += 1;
                return;
            }
            Did::Failed => false,
            Did::Sliced(slices) => return self.slice_here(conn, row, argv, slices),
            Did::Blocked(block) => {
                let token = await_token(client, self.me);
                client.stall = Stall::Blocked;
                let command = command_of(row, db, Request::from(argv));
                return self.block(self.me, token, view, command, block);
            }
        };
        let cycles = self.lap();
        self.ran(row, Caller::Here(conn), argv, Ran { cycles, ok, reply_bytes });
        self.follow_up();
    }

    /// Cycles since the last command here ended, or since [`Core::start_clock`]. One reading of the counter per
    /// command: the parsing of a pipelined command is part of its time.
    #[inline]
    pub fn lap(&mut self) -> u64 {
        let now = clock::cycles();
        now - std::mem::replace(&mut self.clock_mark, now)
    }

    /// From now on time counts for the next command.
    #[inline]
    pub fn start_clock(&mut self) {
        self.clock_mark = clock::cycles();
    }

    /// Does a command for this shard have to wait for a transaction?
    pub fn must_queue(&self, from: ShardId, token: Token, entry: &Entry, argv: Argv<'_>) -> bool {
        self.held.contains_key(&(from, token.index, token.generation))
            || self.queue.conflict(&self.intents_of(entry, argv))
    }

    /// The intents of a command that runs on this shard alone.
    pub fn intents_of(&self, entry: &Entry, argv: Argv<'_>) -> IntentSet {
        let mut set = IntentSet::default();
        match entry.row.run {
            Run::AllShards { .. } => {
                let write = entry.row.flags.has(Flags::WRITE);
                set.add_whole(if write { Mode::Exclusive } else { Mode::Shared });
            }
            Run::AtShard { .. } => set.add_whole(Mode::Shared),
            _ => {
                for key in keys_of(entry.row, argv).iter().flatten() {
                    let mode = if key.access == Access(0) {
                        Mode::Exclusive
                    } else {
                        mode_of(entry.row, key.access)
                    };
                    set.add(self.shard.hasher.hash(argv.get(key.index)), mode);
                }
            }
        }
        set
    }

    /// Queues a command as a transaction of this shard alone.
    pub fn queue_command(
        &mut self,
        from: ShardId,
        token: Token,
        row: RowId,
        db: DbIndex,
        client: ClientView,
        argv: Argv<'_>,
    ) {
        let intents = self.intents_of(self.table.entry(row), argv);
        let held = self.held.entry((from, token.index, token.generation)).or_insert(0);
        *held += 1;
        let may_overtake = *held == 1;
        let request = Request::from(argv);
        let work = ShardWork::Command { token, row, db, client, request };
        let id = self.draw_number();
        self.queue.schedule_behind(id, from, intents, may_overtake, Armed { work, conclude: true });
    }

    /// Runs a command that needs this core, or nothing at all.
    fn run_bound(&mut self, io: &mut dyn NetIo, conn: ConnId, row: RowId, entry: &Entry, argv: Argv<'_>) {
        let protocol = self.clients.at(conn.index).protocol;
        let mut out = Output::default();
        let result = self.call_bound(io, conn, row, entry, argv, &mut out, protocol);
        self.count_result(&result);
        // EXEC is counted when it has run.
        if !matches!(result, Ok(After::Later)) || entry.full_name != "exec" {
            let ran = Ran { cycles: self.lap(), ok: result.is_ok(), reply_bytes: out.len() };
            self.ran(row, Caller::Here(conn), argv, ran);
        }
        let Some(client) = self.clients.get(conn) else { return self.release_messages(conn) };
        let after = match result {
            Ok(after) => after,
            Err(error) => {
                out.clear();
                let protocol = client.protocol;
                write_error(&error, &mut Reply::new(&mut out, protocol));
                After::Done
            }
        };
        // CLIENT REPLY takes effect with its own reply.
        client.mute |= matches!(client.reply_mode, ReplyMode::Off | ReplyMode::SkipNext);
        match after {
            After::Later | After::Awaited => {}
            After::Pushed => client.push_output().append(&mut out),
            After::Done | After::Close => client.output().append(&mut out),
        }
        match after {
            After::Done | After::Pushed | After::Awaited => {}
            After::Close => client.close_after_reply = true,
            After::Later => client.stall = Stall::Transaction,
        }
        self.release_messages(conn);
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn call_bound(
        &mut self,
        io: &mut dyn NetIo,
        conn: ConnId,
        row: RowId,
        entry: &Entry,
        argv: Argv<'_>,
        out: &mut Output,
        protocol: crate::resp::Protocol,
    ) -> Result<After, CommandError> {
        let mut args = args_of(entry, argv);
        let mut reply = Reply::new(out, protocol);
        match (entry.row.run, self.bound[row.index()]) {
            (Run::Local(run), _) => run(&mut args, &mut reply).map(|_| After::Done),
            (_, Bound::Here(run)) => run(self, io, conn, &mut args, &mut reply),
            (_, Bound::Publish(space)) => self.publish(conn, space, &mut args, &mut reply),
            (Run::Container, _) => Err(CommandError::WrongArity(entry.full_name)),
            _ => unreachable!("the registry binds {}", entry.full_name),
        }
    }

    /// Begins a command that spans shards.
    fn begin_single(&mut self, conn: ConnId, row: RowId, entry: &Entry, argv: Argv<'_>) {
        if entry.deny_oom && self.shard.over_limit() && !self.shard.make_room() {
            self.reject_begun(conn, row, &CommandError::OutOfMemory);
            return;
        }
        let client = self.clients.at(conn.index);
        let (view, protocol) = (client.view(), client.protocol);
        let command = TxCommand { row, db: client.db, request: Request::from(argv).into() };
        let hasher = &self.shard.hasher;
        let planned = claims_of(&command, self.table, self.placement, hasher)
            .and_then(|claims| Ok((claims, Single::new(command, self.table, self.placement, protocol)?)));
        match planned {
            Err(error) => {
                self.reject_begun(conn, row, &error);
            }
            Ok((claims, single)) => {
                let client = self.clients.at(conn.index);
                let token = await_token(client, self.me);
                client.stall = Stall::Transaction;
                let single = if entry.is_blocking { single.may_wait(token, None) } else { single };
                self.coordinator.begin(token, view, claims, Plan::One(Box::new(single)));
            }
        }
    }
}

/// Reserves a reply's place for a command that leaves for `shard`.
pub fn await_token(client: &mut Client, shard: ShardId) -> Token {
    client.outstanding += 1;
    client.outstanding_at = shard;
    Token { index: client.conn.index, generation: client.conn.generation, seq: client.await_reply() }
}
