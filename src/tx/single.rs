//! One command over several shards, as stages: key by key, in hops, or on all shards.

use super::coordinator::{Claim, Stage};
use super::execute::{merge_each, pieces_begin, write_error};
use super::intents::Mode;
use super::message::{Claim as Taking, Ticket, Token, TxCommand, Until, Work};
use super::route::{KeysByOwner, by_owner, mode_of};
use crate::commands::Part;
use crate::commands::block::WaitFor;
use crate::commands::keys_of::keys_of;
use crate::commands::spec::{Access, Flags, Gathered, Hop, On, Run};
use crate::commands::{CommandError, CommandTable, Outcome};
use crate::resp::{Output, Protocol, Reply};
use crate::shard::Placement;
use crate::types::ShardId;
use crate::types::raw::table::Hasher;

/// The claims of a command that spans shards.
pub fn claims_of(
    command: &TxCommand,
    table: &CommandTable,
    placement: Placement,
    hasher: &Hasher,
) -> Result<Vec<(ShardId, Claim)>, CommandError> {
    let mut claims = Vec::new();
    add_claims(command, table, placement, hasher, &mut claims)?;
    Ok(claims)
}

/// Adds what a command claims to what others of the same transaction claim.
pub fn add_claims(
    command: &TxCommand,
    table: &CommandTable,
    placement: Placement,
    hasher: &Hasher,
    claims: &mut Vec<(ShardId, Claim)>,
) -> Result<(), CommandError> {
    let row = table.entry(command.row).row;
    let argv = command.request.argv();
    match row.run {
        Run::AllShards { .. } => {
            let mode = if row.flags.has(Flags::WRITE) { Mode::Exclusive } else { Mode::Shared };
            for shard in 0..placement.shards() {
                claim_on(claims, ShardId(shard as u16)).intents.add_whole(mode);
            }
        }
        Run::AtShard { shard, .. } => {
            let shard = shard(argv, placement.shards())?;
            claim_on(claims, ShardId(shard as u16)).intents.add_whole(Mode::Shared);
        }
        _ => {
            let keys = keys_of(row, argv).map_err(|_| super::route::INVALID_KEYS)?;
            for key in &keys {
                let name = argv.get(key.index);
                let mode = if key.access == Access(0) { Mode::Exclusive } else { mode_of(row, key.access) };
                claim_on(claims, placement.owner_of(name)).intents.add(hasher.hash(name), mode);
            }
            if let Run::Hops { hops, .. } = row.run
                && hops.iter().any(|hop| hop.on.is_every(argv))
            {
                for shard in 0..placement.shards() {
                    claim_on(claims, ShardId(shard as u16)).intents.add_whole(Mode::Shared);
                }
            }
        }
    }
    Ok(())
}

/// The claim on one shard, made if there is none yet.
pub fn claim_on(claims: &mut Vec<(ShardId, Claim)>, shard: ShardId) -> &mut Claim {
    let at = match claims.iter().position(|(known, _)| *known == shard) {
        Some(at) => at,
        None => {
            claims.push((shard, Claim::default()));
            claims.len() - 1
        }
    };
    &mut claims[at].1
}

/// The stages of one command.
pub struct Single {
    command: TxCommand,
    table: &'static CommandTable,
    placement: Placement,
    protocol: Protocol,
    owners: KeysByOwner,
    gathered: Gathered,
    failed: Option<CommandError>,
    begun: bool,
    /// Whose reply it is, when that client may wait; within an EXEC nothing waits.
    waits_for: Option<Token>,
    /// Until when, decided when it began to wait.
    deadline_ms: Option<Option<u64>>,
    /// The reply, once the hops have run.
    reply: Option<Output>,
    /// The client waits; somebody else will answer.
    waiting: bool,
    /// When it was planned, in cycles.
    begun_cycles: u64,
}

impl Single {
    /// Plans a command whose route is `Several` (or which an EXEC runs as a stage of its own).
    pub fn new(
        command: TxCommand,
        table: &'static CommandTable,
        placement: Placement,
        protocol: Protocol,
    ) -> Result<Single, CommandError> {
        let entry = table.entry(command.row);
        let keys = keys_of(entry.row, command.request.argv()).map_err(|_| super::route::INVALID_KEYS)?;
        if let Run::PerKey { stride, .. } = entry.row.run {
            // The shards cut the arguments into pieces and rely on the last one being whole.
            pieces_begin(entry, command.request.argv(), stride)?;
        }
        let owners = by_owner(&keys, command.request.argv(), placement);
        Ok(Single {
            command,
            table,
            placement,
            protocol,
            owners,
            gathered: Gathered::default(),
            failed: None,
            begun: false,
            waits_for: None,
            deadline_ms: None,
            reply: None,
            waiting: false,
            begun_cycles: crate::sys::clock::cycles(),
        })
    }

    /// The client whose command it is may wait for its keys, under this name. `deadline_ms` is given when it has waited
    /// before.
    pub fn may_wait(mut self, token: Token, deadline_ms: Option<Option<u64>>) -> Single {
        self.waits_for = Some(token);
        self.deadline_ms = deadline_ms;
        self
    }

    /// Does the client wait? Then there is no reply, and somebody else will answer.
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Has the client waited, and the command runs again?
    pub fn has_waited(&self) -> bool {
        self.deadline_ms.is_some()
    }

    /// Takes the answers to the last stage; the next stage, or `None` when it is time for the reply.
    pub fn next(&mut self, parts: Vec<(ShardId, Part)>) -> Option<Stage> {
        if self.waiting {
            return None;
        }
        let stage = self.next_hop(parts);
        if stage.is_none() && self.waits_for.is_some() { self.wait() } else { stage }
    }

    /// The stage in which the client lines up at its keys, if it has to.
    fn wait(&mut self) -> Option<Stage> {
        let mut out = Output::default();
        let outcome = self.write_reply(&mut out);
        self.reply = Some(out);
        let Outcome::Block(mut block) = outcome else { return None };
        let token = self.waits_for.expect("asked for by the caller");
        if let Some(request) = block.request.take() {
            self.command.request = request.into();
        }
        let until = match self.deadline_ms {
            Some(deadline_ms) => Until::At { deadline_ms },
            None => Until::For { timeout_ms: block.timeout_ms },
        };
        let keys = keys_of(self.table.entry(self.command.row).row, self.command.request.argv()).ok()?;
        let mut owners = by_owner(&keys, self.command.request.argv(), self.placement);
        if block.wait_for == WaitFor::First {
            owners.iter_mut().for_each(|(_, mine)| mine.retain(|order| *order == 0));
            owners.retain(|(_, mine)| !mine.is_empty());
        }
        let shards = owners.iter().map(|(shard, _)| *shard).collect();
        let ticket = Ticket { token, block, until, shards, claim: Taking::default() };
        let work = |(shard, mine)| {
            (shard, Work::Wait { command: self.command.clone(), mine, ticket: ticket.clone() })
        };
        let works: Vec<_> = owners.into_iter().map(work).collect();
        self.waiting = true;
        Some(Stage { works, last: true })
    }

    fn next_hop(&mut self, parts: Vec<(ShardId, Part)>) -> Option<Stage> {
        let mut stop = false;
        if self.begun {
            let mut kept = Vec::with_capacity(parts.len());
            let mut failed: Option<(usize, CommandError)> = None;
            for (shard, part) in parts {
                let part = match part {
                    Part::Returned(returned) => {
                        let (part, got) = *returned;
                        self.gathered = got;
                        part
                    }
                    part => part,
                };
                match part {
                    Part::Failed(error) => {
                        // Of several errors, that of the earliest key: Redis looks at keys in their order.
                        let mine = self.owners.iter().find(|(owner, _)| *owner == shard);
                        let order = mine.and_then(|(_, mine)| mine.first().copied()).unwrap_or(usize::MAX);
                        if failed.as_ref().is_none_or(|(first, _)| order < *first) {
                            failed = Some((order, *error));
                        }
                    }
                    part => {
                        stop |= matches!(part, Part::Stop);
                        kept.push((shard, part));
                    }
                }
            }
            self.failed = failed.map(|(_, error)| error);
            self.gathered.hops.push(kept);
        }
        self.begun = true;
        if stop || self.failed.is_some() {
            return None;
        }
        let command = &self.command;
        let run = self.table.entry(command.row).row.run;
        if let Run::Hops { hops, .. } = run {
            let passed_over = |hop: &Hop| hop.on.is_passed_over(command.request.argv());
            while hops.get(self.gathered.hops.len()).is_some_and(passed_over) {
                self.gathered.hops.push(Vec::new());
            }
        }
        let done = self.gathered.hops.len();
        match run {
            Run::PerKey { .. } if done == 0 => {
                let each = |(shard, mine): &(ShardId, Vec<usize>)| {
                    (*shard, Work::Each { command: command.clone(), mine: mine.clone() })
                };
                Some(Stage { works: self.owners.iter().map(each).collect(), last: true })
            }
            Run::AllShards { .. } if done == 0 => {
                let all = |shard| (ShardId(shard as u16), Work::All { command: command.clone() });
                Some(Stage { works: (0..self.placement.shards()).map(all).collect(), last: true })
            }
            Run::Hops { hops, .. } if done < hops.len() => {
                // Who may wait lines up before the intents are given back.
                let last = done + 1 == hops.len() && self.waits_for.is_none();
                let mut works = Vec::new();
                match hops[done].on {
                    On::Owners | On::OwnersIf(_) => {
                        for (shard, mine) in &self.owners {
                            let (command, mine, got) =
                                (command.clone(), mine.clone(), self.gathered.shared());
                            works.push((*shard, Work::Hop { command, hop: done, mine, got }));
                        }
                    }
                    On::EveryIf(_) => {
                        for shard in (0..self.placement.shards()).map(|shard| ShardId(shard as u16)) {
                            let mine = self.owners.iter().find(|(owner, _)| *owner == shard);
                            let mine = mine.map(|(_, mine)| mine.clone()).unwrap_or_default();
                            let (command, got) = (command.clone(), self.gathered.shared());
                            works.push((shard, Work::Hop { command, hop: done, mine, got }));
                        }
                    }
                    on => {
                        let order = match on {
                            On::Chosen(choose) => choose(command.request.argv(), &self.gathered)?,
                            On::Key(order) => order,
                            On::Owners | On::OwnersIf(_) | On::EveryIf(_) => unreachable!("matched above"),
                        };
                        let owner = self.owners.iter().find(|(_, mine)| mine.contains(&order));
                        let shard = owner.expect("the keys of a row's hops exist").0;
                        let got = std::mem::take(&mut self.gathered);
                        // The hops stay counted while their parts are lent.
                        self.gathered.hops.resize_with(done, Vec::new);
                        works.push((
                            shard,
                            Work::Hop { command: command.clone(), hop: done, mine: vec![order], got },
                        ));
                    }
                }
                Some(Stage { works, last })
            }
            _ => None,
        }
    }

    /// The command and how long it has taken, waiting for others included, in cycles.
    pub fn spent(&self) -> (&TxCommand, u64) {
        (&self.command, crate::sys::clock::cycles() - self.begun_cycles)
    }

    /// What it failed with before its finish.
    pub fn error(&self) -> Option<&CommandError> {
        self.failed.as_ref()
    }

    /// Writes the reply; none when the client waits.
    pub fn finish(&mut self, out: &mut Output) {
        if self.waiting {
            return;
        }
        if let Some(mut reply) = self.reply.take() {
            return out.append(&mut reply);
        }
        if let Outcome::Block(block) = self.write_reply(out) {
            // Redis: within a block the time is over at once.
            block.when_over.write(&mut Reply::new(out, self.protocol));
        }
    }

    fn write_reply(&mut self, out: &mut Output) -> Outcome {
        let argv = self.command.request.argv();
        let mut reply = Reply::new(out, self.protocol);
        if let Some(error) = &self.failed {
            write_error(error, &mut reply);
            return Outcome::Done;
        }
        let result = match self.table.entry(self.command.row).row.run {
            Run::PerKey { merge, .. } => {
                let parts = self.gathered.hops.pop().unwrap_or_default();
                merge_each(merge, parts.into_iter().map(|(_, part)| part).collect(), self.protocol, out);
                return Outcome::Done;
            }
            Run::AllShards { merge, .. } => {
                let parts = self.gathered.hops.pop().unwrap_or_default();
                merge(argv, &mut parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>(), &mut reply)
            }
            Run::Hops { finish, .. } => finish(argv, &mut self.gathered, &mut reply),
            _ => unreachable!("only commands over several shards are planned"),
        };
        match result {
            Ok(Outcome::Done) => Outcome::Done,
            Ok(Outcome::Slices(_)) => unreachable!("a finish has no value that it could pin"),
            Ok(block) => {
                out.clear();
                block
            }
            Err(error) => {
                out.clear();
                write_error(&error, &mut Reply::new(out, self.protocol));
                Outcome::Done
            }
        }
    }
}
