//! EXEC: the program of a MULTI block.
//!
//! Commands that need one shard run in groups, one hop for a run of them however many shards they touch; a command
//! over several shards is a stage (or more) of its own; what needs the connection's core is done by the caller
//! in between. All intents are held from the first to the last command.

use std::sync::Arc;

use super::coordinator::{Next, Program, Stage};
use super::execute::write_error;
use super::message::{Loan, TxCommand, Work};
use super::route::Route;
use super::single::Single;
use crate::commands::{CommandError, CommandTable, Part};
use crate::resp::{Output, Protocol, Reply, Request};
use crate::shard::Placement;
use crate::shard::snapshot::Source;
use crate::sys::clock;
use crate::types::ShardId;

/// One command of an EXEC and where it runs.
pub struct Step {
    pub command: TxCommand,
    pub route: Result<Route, CommandError>,
}

/// A MULTI block that runs.
pub struct Exec {
    /// EXEC as it was sent.
    request: Request,
    table: &'static CommandTable,
    placement: Placement,
    protocol: Protocol,
    steps: Vec<Step>,
    replies: Vec<Output>,
    /// The first step that has not begun.
    at: usize,
    single: Option<Single>,
    /// All shards have begun the transaction: a script may run.
    arrived: bool,
    aborted: bool,
    /// Commands over several shards that ran: the command, its cycles, whether its reply is not an error.
    ran: Vec<(TxCommand, u64, bool)>,
    /// When it began, in cycles.
    begun_cycles: u64,
}

impl Exec {
    pub fn new(
        request: Request,
        steps: Vec<Step>,
        table: &'static CommandTable,
        placement: Placement,
        protocol: Protocol,
    ) -> Exec {
        let replies = steps.iter().map(|_| Output::default()).collect();
        Exec {
            request,
            table,
            placement,
            protocol,
            steps,
            replies,
            at: 0,
            single: None,
            arrived: false,
            aborted: false,
            ran: Vec::new(),
            begun_cycles: clock::cycles(),
        }
    }

    /// The step the caller must do now.
    pub fn caller_step(&self) -> (usize, &Step) {
        (self.at, &self.steps[self.at])
    }

    /// The caller's reply to it. The protocol may have changed (HELLO).
    pub fn caller_done(&mut self, reply: Output, protocol: Protocol) {
        self.replies[self.at] = reply;
        self.protocol = protocol;
        self.at += 1;
    }

    /// The caller's reply to it, which cannot have changed the protocol.
    pub fn caller_done_as_before(&mut self, reply: Output) {
        self.caller_done(reply, self.protocol);
    }

    /// Does a script follow?
    pub fn goes_on_with_script(&self) -> bool {
        let is_script = |step: &Step| step.route.is_ok() && self.table.entry(step.command.row).is_script;
        self.steps.get(self.at).is_some_and(is_script)
    }

    fn absorb(&mut self, parts: Vec<(ShardId, Part)>) {
        for (_, part) in parts {
            match part {
                Part::Replies(replies) => {
                    replies.into_iter().for_each(|(index, reply)| self.replies[index] = reply)
                }
                Part::Nothing => {}
                _ => unreachable!("groups answer with replies"),
            }
        }
    }

    /// A hop for all commands from `at` on that need one shard each.
    fn group(&mut self) -> Option<Stage> {
        let mut works: Vec<(ShardId, Vec<(usize, TxCommand)>)> = Vec::new();
        while let Some(Step { command, route: Ok(Route::Shard(shard)) }) = self.steps.get(self.at) {
            match works.iter_mut().find(|(known, _)| known == shard) {
                Some((_, commands)) => commands.push((self.at, command.clone())),
                None => works.push((*shard, vec![(self.at, command.clone())])),
            }
            self.at += 1;
        }
        let works: Vec<_> =
            works.into_iter().map(|(shard, commands)| (shard, Work::Group { commands })).collect();
        (!works.is_empty()).then_some(Stage { works, last: self.at == self.steps.len() })
    }

    fn next(&mut self, mut parts: Vec<(ShardId, Part)>) -> Next {
        loop {
            match &mut self.single {
                Some(single) => {
                    if let Some(mut stage) = single.next(std::mem::take(&mut parts)) {
                        stage.last = false;
                        return Next::Stage(stage);
                    }
                    single.finish(&mut self.replies[self.at]);
                    let (command, cycles) = single.spent();
                    self.ran.push((
                        command.clone(),
                        cycles,
                        self.replies[self.at].bytes.first() != Some(&b'-'),
                    ));
                    self.single = None;
                    self.at += 1;
                }
                None => self.absorb(std::mem::take(&mut parts)),
            }
            if let Some(stage) = self.group() {
                return Next::Stage(stage);
            }
            let Some(step) = self.steps.get(self.at) else { return Next::Done };
            match &step.route {
                Ok(Route::Several) => {
                    let planned =
                        Single::new(step.command.clone(), self.table, self.placement, self.protocol);
                    match planned {
                        Ok(single) => self.single = Some(single),
                        Err(error) => self.refuse(&error),
                    }
                }
                Ok(_) if self.table.entry(step.command.row).is_script && !self.arrived => {
                    self.arrived = true;
                    return Next::Stage(arrival(self.placement.shards()));
                }
                Ok(_) => return Next::Caller,
                Err(error) => {
                    let error = error.clone();
                    self.refuse(&error);
                }
            }
        }
    }

    fn refuse(&mut self, error: &CommandError) {
        write_error(error, &mut Reply::new(&mut self.replies[self.at], self.protocol));
        self.at += 1;
    }

    /// EXEC as it was sent.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The commands of the block, unless watched keys had changed.
    pub fn commands(&self) -> impl Iterator<Item = &TxCommand> {
        self.steps.iter().filter(|_| !self.aborted).map(|step| &step.command)
    }

    /// Cycles since it began.
    pub fn spent(&self) -> u64 {
        clock::cycles() - self.begun_cycles
    }

    /// The commands that this coordinator ran over several shards: cycles, and whether they went well.
    pub fn ran(&self) -> &[(TxCommand, u64, bool)] {
        &self.ran
    }

    /// Writes EXEC's reply.
    pub fn finish(&mut self, protocol: Protocol, out: &mut Output) {
        let mut reply = Reply::new(out, protocol);
        if self.aborted {
            return reply.null_array();
        }
        reply.array(self.replies.len());
        self.replies.iter_mut().for_each(|one| out.append(one));
    }
}

/// A hop in which every shard begins the transaction and does nothing: from then on what follows runs at once.
fn arrival(shards: usize) -> Stage {
    Stage { works: on_all(shards, || Work::Nothing), last: false }
}

fn on_all(shards: usize, work: impl Fn() -> Work) -> Vec<(ShardId, Work)> {
    (0..shards).map(|shard| (ShardId(shard as u16), work())).collect()
}

/// A script that holds all shards. It runs in a step of its caller (`net/scripts/wide.rs`).
pub struct Scripted {
    command: TxCommand,
    shards: usize,
    arrived: bool,
    asked: bool,
    lent: Vec<(ShardId, Box<Loan>)>,
    reply: Option<Output>,
    is_answered: bool,
}

impl Scripted {
    pub fn new(command: TxCommand, shards: usize) -> Scripted {
        let (arrived, asked, is_answered) = (false, false, false);
        Scripted { command, shards, arrived, asked, lent: Vec::new(), reply: None, is_answered }
    }

    /// The script's command.
    pub fn command(&self) -> &TxCommand {
        &self.command
    }

    /// The shards that other cores have lent for it. The caller gives them back.
    pub fn take_lent(&mut self) -> Vec<(ShardId, Box<Loan>)> {
        std::mem::take(&mut self.lent)
    }

    /// The caller has run it.
    pub fn caller_done(&mut self, reply: Output) {
        self.reply = Some(reply);
    }

    /// The caller has run it, and has answered the client.
    pub fn caller_answered(&mut self) {
        self.caller_done(Output::default());
        self.is_answered = true;
    }

    fn next(&mut self, parts: Vec<(ShardId, Part)>) -> Next {
        if !std::mem::replace(&mut self.arrived, true) {
            return Next::Stage(arrival(self.shards));
        }
        // Not before it has begun everywhere: who lends waits in place, and may be the one on whom a transaction before
        // this one waits.
        if !std::mem::replace(&mut self.asked, true) {
            return Next::Stage(Stage { works: on_all(self.shards, || Work::Lend), last: false });
        }
        for (owner, part) in parts {
            if let Part::Lent(loan) = part {
                self.lent.push((owner, loan.downcast().expect("what is lent is a shard")));
            }
        }
        if self.reply.is_none() { Next::Caller } else { Next::Done }
    }
}

/// The serial point of a snapshot: every shard begins its part, holding all keys against writers.
pub struct Snapshotting {
    source: Arc<dyn Source>,
    shards: usize,
    begun: bool,
    /// What the client is told, if there is one.
    line: &'static str,
}

impl Snapshotting {
    pub fn new(source: Arc<dyn Source>, shards: usize, line: &'static str) -> Snapshotting {
        Snapshotting { source, shards, begun: false, line }
    }

    fn next(&mut self) -> Next {
        if std::mem::replace(&mut self.begun, true) {
            return Next::Done;
        }
        let work = |shard| (ShardId(shard as u16), Work::Snapshot(self.source.clone()));
        Next::Stage(Stage { works: (0..self.shards).map(work).collect(), last: true })
    }
}

/// What a coordinator of clients' transactions runs.
pub enum Plan {
    One(Box<Single>),
    Exec(Box<Exec>),
    Script(Box<Scripted>),
    Snapshot(Box<Snapshotting>),
}

impl Plan {
    /// Does the client wait for its keys? Then there is no reply yet.
    pub fn is_waiting(&self) -> bool {
        matches!(self, Plan::One(single) if single.is_waiting())
    }

    /// Has the client been answered already?
    pub fn is_answered(&self) -> bool {
        matches!(self, Plan::Script(script) if script.is_answered)
    }

    /// Writes the transaction's reply.
    pub fn finish(&mut self, protocol: Protocol, out: &mut Output) {
        match self {
            Plan::One(single) => single.finish(out),
            Plan::Exec(exec) => exec.finish(protocol, out),
            Plan::Script(script) => out.append(&mut script.reply.take().unwrap_or_default()),
            Plan::Snapshot(snapshot) => Reply::new(out, protocol).simple(snapshot.line),
        }
    }
}

impl Program for Plan {
    fn next(&mut self, parts: Vec<(ShardId, Part)>) -> Next {
        match self {
            Plan::One(single) => single.next(parts).map_or(Next::Done, Next::Stage),
            Plan::Exec(exec) => exec.next(parts),
            Plan::Script(script) => script.next(parts),
            Plan::Snapshot(snapshot) => snapshot.next(),
        }
    }

    fn watch_failed(&mut self) {
        match self {
            Plan::One(_) | Plan::Script(_) | Plan::Snapshot(_) => unreachable!("only EXEC watches"),
            Plan::Exec(exec) => exec.aborted = true,
        }
    }

    fn is_logged_as_one(&self, writers: u16) -> bool {
        match self {
            Plan::One(_) | Plan::Exec(_) => writers > 1,
            // Where a new file begins is one place in all logs.
            Plan::Snapshot(snapshot) => snapshot.source.rotation().is_some(),
            Plan::Script(_) => false,
        }
    }
}
