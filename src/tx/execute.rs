//! Running a command, or a transaction's work, on the shard that is here.

use smallvec::SmallVec;

use super::finish::{finish, finish_command};
use super::log::Repeat;
use super::message::{TxCommand, Work};
use crate::commands::Part;
use crate::commands::context::{ClientView, Ctx};
use crate::commands::keys_of::keys_of;
use crate::commands::sliced::Slices;
use crate::commands::spec::{FinishFn, Flags, Gathered, Hop, KeyFn, Merge, On, Run};
use crate::commands::{Args, Block, CommandError, CommandTable, Entry, Outcome};
use crate::resp::{Argv, Output, Protocol, Reply};
use crate::shard::Shard;
use crate::shard::tracking::Reader;
use crate::sys::clock;
use crate::types::DbIndex;

/// How a command went.
#[derive(Debug)]
pub enum Did {
    /// The reply is written.
    Replied,
    /// The reply is written, and is an error.
    Failed,
    /// Nothing is written: it waits.
    Blocked(Box<Block>),
    /// Nothing is written: it goes on in slices.
    Sliced(Box<Slices>),
}

impl Did {
    /// Is the reply no error?
    pub fn is_ok(&self) -> bool {
        !matches!(self, Did::Failed)
    }
}

/// Runs a command whose keys all live on this shard and writes its reply, unless it waits.
#[inline]
pub fn run_here(
    shard: &mut Shard,
    entry: &Entry,
    db: DbIndex,
    client: ClientView,
    argv: Argv<'_>,
    out: &mut Output,
) -> Did {
    if entry.is_write && shard.over_limit() && !shard.make_room() && entry.deny_oom {
        write_error(&CommandError::OutOfMemory, &mut Reply::new(out, client.protocol));
        return Did::Failed;
    }
    run_admitted(shard, entry, db, client, argv, out)
}

/// Runs a command of a block; false when its reply is an error. Redis: memory is asked for once, when EXEC begins; then
/// no command is refused for it. And none waits: a block is one moment, in which the time is over.
pub fn run_in_block(
    shard: &mut Shard,
    entry: &Entry,
    db: DbIndex,
    client: ClientView,
    argv: Argv<'_>,
    out: &mut Output,
) -> bool {
    if entry.is_write && shard.over_limit() {
        shard.make_room();
    }
    let did = run_whole(shard, entry, db, client, argv, out);
    if let Did::Blocked(block) = &did {
        block.when_over.write(&mut Reply::new(out, client.protocol));
    }
    did.is_ok()
}

/// Runs a command that nothing refuses any more.
#[inline]
pub fn run_admitted(
    shard: &mut Shard,
    entry: &Entry,
    db: DbIndex,
    client: ClientView,
    argv: Argv<'_>,
    out: &mut Output,
) -> Did {
    let (bytes, shared) = (out.bytes.len(), out.shared.len());
    shard.tracking.writer = client.id;
    let mut ctx = Ctx { shard, db, client };
    let mut reply = Reply::new(out, client.protocol);
    let result = match entry.row.run {
        Run::OnShard(run) | Run::AtShard { run, .. } => run(&mut ctx, &mut args_of(entry, argv), &mut reply),
        Run::PerKey { each, stride, merge } => {
            run_keys(&mut ctx, entry, argv, each, stride, merge, &mut reply)
        }
        Run::Hops { here: Some(run), .. } => run(&mut ctx, &mut args_of(entry, argv), &mut reply),
        Run::Hops { here: None, hops, finish } => run_hops(&mut ctx, entry, argv, hops, finish, &mut reply),
        Run::AllShards { each, merge } => {
            each(&mut ctx, argv).and_then(|part| merge(argv, &mut [part], &mut reply))
        }
        Run::Local(run) => run(&mut args_of(entry, argv), &mut reply),
        Run::Bound | Run::Broadcast | Run::Container | Run::Script => {
            unreachable!("routing sends {} to its core, not to a shard", entry.full_name)
        }
    };
    finish_command(shard, Repeat::Request { entry, db, argv });
    if let Some(core) = client.tracked_by
        && entry.row.flags.has(Flags::READONLY)
    {
        track(shard, entry, Reader { core, client: client.id }, argv, None);
    }
    match result {
        Ok(Outcome::Done) => Did::Replied,
        Ok(Outcome::Block(block)) => {
            out.bytes.truncate(bytes);
            out.shared.truncate(shared);
            Did::Blocked(block)
        }
        Ok(Outcome::Slices(slices)) => {
            out.bytes.truncate(bytes);
            out.shared.truncate(shared);
            Did::Sliced(slices)
        }
        Err(error) => {
            out.bytes.truncate(bytes);
            out.shared.truncate(shared);
            write_error(&error, &mut Reply::new(out, client.protocol));
            Did::Failed
        }
    }
}

/// The end of what went on in slices: what it still writes, and its effects.
pub fn finish_slices(
    shard: &mut Shard,
    db: DbIndex,
    client: ClientView,
    slices: Slices,
    result: Result<(), CommandError>,
    repeat: Repeat<'_>,
) -> (Result<Part, CommandError>, Output) {
    let done = slices.finish(shard, db, client, result);
    finish_command(shard, repeat);
    finish(shard);
    done
}

/// A hop's part, with what it was lent.
pub fn with_lent(part: Result<Part, CommandError>, got: Option<Gathered>) -> Part {
    match (part, got) {
        (Ok(part), Some(got)) => Part::Returned(Box::new((part, got))),
        (Ok(part), None) => part,
        (Err(error), _) => Part::Failed(Box::new(error)),
    }
}

/// As [`run_work`], for those for whom nothing can go on later.
pub fn run_work_whole(
    shard: &mut Shard,
    table: &CommandTable,
    client: ClientView,
    work: Work,
    done: &mut Vec<WhatRan>,
) -> Result<Part, CommandError> {
    let db = match &work {
        Work::Hop { command, .. } => command.db,
        _ => DbIndex(0),
    };
    let part = run_work(shard, table, client, work, done)?;
    if !part.is_sliced() {
        return Ok(part);
    }
    let Some((slices, got)) = part.into_slices() else { return Ok(Part::Nothing) };
    let (part, output) = slices.run_to_end(shard, db, client);
    finish_command(shard, Repeat::State);
    finish(shard);
    Ok(with_lent(part.map(|part| part.or_written(output)), got))
}

/// As [`run_admitted`], for those for whom nothing can go on later.
pub fn run_whole(
    shard: &mut Shard,
    entry: &Entry,
    db: DbIndex,
    client: ClientView,
    argv: Argv<'_>,
    out: &mut Output,
) -> Did {
    let did = run_admitted(shard, entry, db, client, argv, out);
    to_its_end(did, shard, entry, db, client, argv, out)
}

/// Brings a command to its end that would go on in slices.
#[inline]
pub fn to_its_end(
    did: Did,
    shard: &mut Shard,
    entry: &Entry,
    db: DbIndex,
    client: ClientView,
    argv: Argv<'_>,
    out: &mut Output,
) -> Did {
    let Did::Sliced(slices) = did else { return did };
    let (result, mut written) = slices.run_to_end(shard, db, client);
    finish_command(shard, Repeat::Request { entry, db, argv });
    match result {
        Ok(_) => {
            out.append(&mut written);
            Did::Replied
        }
        Err(error) => {
            write_error(&error, &mut Reply::new(out, client.protocol));
            Did::Failed
        }
    }
}

/// Remembers who read the keys of a command, or those of them that `mine` lists.
///
/// Redis: also those that are not there, and those of a command that failed.
#[cold]
fn track(shard: &mut Shard, entry: &Entry, reader: Reader, argv: Argv<'_>, mine: Option<&[usize]>) {
    for (order, key) in keys_of(entry.row, argv).iter().flatten().enumerate() {
        if mine.is_none_or(|mine| mine.contains(&order)) {
            shard.track(argv.get(key.index), reader);
        }
    }
}

/// Writes a command's error.
#[cold]
pub fn write_error(error: &CommandError, reply: &mut Reply<'_>) {
    reply.error(error.line());
}

/// The cursor after the command's name, or after its container's and its own.
pub fn args_of<'a>(entry: &Entry, argv: Argv<'a>) -> Args<'a> {
    Args::new(argv, 1 + usize::from(entry.parent.is_some()))
}

fn invalid_keys() -> CommandError {
    super::route::INVALID_KEYS
}

/// Where the pieces of a command that runs key by key begin, unless its last piece is not whole.
pub fn pieces_begin(entry: &Entry, argv: Argv<'_>, stride: usize) -> Result<usize, CommandError> {
    let first = entry.row.keys.first().map_or(1, |spec| match spec.begin {
        crate::commands::spec::Begin::Index(index) => index,
        _ => 1,
    });
    let whole = argv.len().checked_sub(first).is_some_and(|len| len.is_multiple_of(stride));
    if whole { Ok(first) } else { Err(CommandError::WrongArity(entry.full_name)) }
}

fn run_keys(
    ctx: &mut Ctx<'_>,
    entry: &Entry,
    argv: Argv<'_>,
    each: KeyFn,
    stride: usize,
    merge: Merge,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let first = pieces_begin(entry, argv, stride)?;
    if merge == Merge::Elements {
        reply.array((argv.len() - first) / stride);
    }
    let mut sum = 0;
    for pieces in argv.spans[first..].chunks(stride * PREFETCHED_KEYS) {
        prefetch(ctx, pieces.iter().step_by(stride).map(|key| &argv.buf[key.start..key.end]));
        for piece in pieces.chunks_exact(stride) {
            sum += each(ctx, Argv { buf: argv.buf, spans: piece }, reply)?;
        }
    }
    write_merged(merge, sum, reply);
    Ok(Outcome::Done)
}

/// Keys whose memory is asked for before the first of them is looked at.
const PREFETCHED_KEYS: usize = 16;

/// Asks for the memory of these keys, first of the buckets, then of the entries.
fn prefetch<'k>(ctx: &Ctx<'_>, keys: impl ExactSizeIterator<Item = &'k [u8]>) {
    if keys.len() < 2 {
        return;
    }
    let table = &ctx.shard.dbs[ctx.db.index()].table;
    let mut hashes: SmallVec<[u64; PREFETCHED_KEYS]> = SmallVec::new();
    for key in keys {
        let hash = ctx.shard.hasher.hash(key);
        table.prefetch(hash);
        hashes.push(hash);
    }
    hashes.into_iter().for_each(|hash| table.prefetch_entry(hash));
}

fn write_merged(merge: Merge, sum: i64, reply: &mut Reply<'_>) {
    match merge {
        Merge::Sum => reply.int(sum),
        Merge::Ok => reply.ok(),
        Merge::Elements => {}
    }
}

fn run_hops(
    ctx: &mut Ctx<'_>,
    entry: &Entry,
    argv: Argv<'_>,
    hops: &[Hop],
    finish: FinishFn,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let mut gathered = Gathered::default();
    let Ok(keys) = keys_of(entry.row, argv) else {
        // The first hop, given no keys, finds the same fault in the arguments and words it.
        let Some(first) = hops.first() else { return Err(invalid_keys()) };
        (first.run)(ctx, argv, &[], &mut gathered)?;
        return Err(invalid_keys());
    };
    let mine: Vec<usize> = (0..keys.len()).collect();
    for hop in hops {
        let one;
        let mine = match hop.on {
            on if on.is_passed_over(argv) => {
                gathered.hops.push(Vec::new());
                continue;
            }
            On::Owners | On::OwnersIf(_) | On::EveryIf(_) => &mine[..],
            On::Key(order) => {
                one = [order];
                &one[..]
            }
            On::Chosen(choose) => {
                let Some(order) = choose(argv, &gathered) else { break };
                one = [order];
                &one[..]
            }
        };
        let part = (hop.run)(ctx, argv, mine, &mut gathered)?;
        let stop = matches!(part, Part::Stop);
        gathered.hops.push(vec![(ctx.shard.id, part)]);
        if stop {
            break;
        }
    }
    finish(argv, &mut gathered, reply)
}

/// How one command of a group went.
pub struct WhatRan {
    pub command: TxCommand,
    pub cycles: u64,
    pub ok: bool,
    pub reply_bytes: usize,
    /// Its reply, when that is an error.
    pub error: Output,
}

/// Runs a transaction's work here. Errors travel as finished replies inside the part.
///
/// The commands of a group are reported in `done`; a command over several shards is reported by its coordinator.
pub fn run_work(
    shard: &mut Shard,
    table: &CommandTable,
    client: ClientView,
    work: Work,
    done: &mut Vec<WhatRan>,
) -> Result<Part, CommandError> {
    shard.tracking.writer = client.id;
    if let Some(core) = client.tracked_by
        && let Work::Each { command, mine } | Work::Hop { command, mine, .. } = &work
        && table.entry(command.row).row.flags.has(Flags::READONLY)
    {
        // Before it is read: no change can come in between.
        let reader = Reader { core, client: client.id };
        track(shard, table.entry(command.row), reader, command.request.argv(), Some(mine));
    }
    let part = match work {
        Work::Each { command, mine } => {
            let part = run_each(shard, table, client, &command, &mine);
            if shard.log.is_some() {
                log_each(shard, table.entry(command.row), &command, &mine);
            }
            part
        }
        Work::Hop { command, hop, mine, mut got } => {
            let entry = table.entry(command.row);
            let Run::Hops { hops, .. } = entry.row.run else {
                unreachable!("only commands of hops have hops")
            };
            let mut ctx = Ctx { shard, db: command.db, client };
            let part = (hops[hop].run)(&mut ctx, command.request.argv(), &mine, &mut got);
            finish_command(shard, Repeat::State);
            // What was lent goes back: a later hop, or the finish, may want it too. What was shared stayed there.
            let was_lent = !got.hops.is_empty() && matches!(hops[hop].on, On::Key(_) | On::Chosen(_));
            match part {
                Ok(part) if was_lent => Ok(Part::Returned(Box::new((part, got)))),
                part => part,
            }
        }
        Work::All { command } => {
            let entry = table.entry(command.row);
            let Run::AllShards { each, .. } = entry.row.run else {
                unreachable!("only commands over all shards")
            };
            let part = each(&mut Ctx { shard, db: command.db, client }, command.request.argv());
            let repeat = Repeat::Request { entry, db: command.db, argv: command.request.argv() };
            finish_command(shard, repeat);
            part
        }
        Work::Group { commands } => Ok(run_group(shard, table, client, commands, done)),
        Work::Nothing | Work::Lend => Ok(Part::Nothing),
        Work::Snapshot(source) => {
            shard.begin_snapshot(&*source);
            Ok(Part::Nothing)
        }
        Work::Wait { .. } => unreachable!("the core keeps who waits"),
    };
    finish(shard);
    part
}

fn run_each(
    shard: &mut Shard,
    table: &CommandTable,
    client: ClientView,
    command: &TxCommand,
    mine: &[usize],
) -> Result<Part, CommandError> {
    let entry = table.entry(command.row);
    let Run::PerKey { each, stride, merge } = entry.row.run else {
        unreachable!("only commands that run key by key")
    };
    let argv = command.request.argv();
    let keys = keys_of(entry.row, argv).map_err(|_| invalid_keys())?;
    let mut ctx = Ctx { shard, db: command.db, client };
    let mut sum = 0;
    let mut elements = Vec::new();
    for &order in mine {
        let mut out = Output::default();
        let at = keys[order].index;
        let piece = Argv { buf: argv.buf, spans: &argv.spans[at..at + stride] };
        sum += each(&mut ctx, piece, &mut Reply::new(&mut out, client.protocol))?;
        if merge == Merge::Elements {
            elements.push((order, out));
        }
    }
    Ok(Part::Each { sum, elements })
}

/// Logs this shard's share of a command that ran key by key.
#[cold]
fn log_each(shard: &mut Shard, entry: &Entry, command: &TxCommand, mine: &[usize]) {
    let Run::PerKey { stride, .. } = entry.row.run else { return };
    let argv = command.request.argv();
    let Ok(keys) = keys_of(entry.row, argv) else { return };
    let begins: Vec<usize> = mine.iter().map(|&order| keys[order].index).collect();
    finish_command(shard, Repeat::Pieces { entry, db: command.db, argv, begins: &begins, stride });
}

fn run_group(
    shard: &mut Shard,
    table: &CommandTable,
    client: ClientView,
    commands: Vec<(usize, TxCommand)>,
    done: &mut Vec<WhatRan>,
) -> Part {
    let mut replies = Vec::with_capacity(commands.len());
    for (index, command) in commands {
        let mut out = Output::default();
        let begun = clock::cycles();
        let ok = run_in_block(
            shard,
            table.entry(command.row),
            command.db,
            client,
            command.request.argv(),
            &mut out,
        );
        let cycles = clock::cycles() - begun;
        let error =
            if ok { Output::default() } else { Output { bytes: out.bytes.clone(), shared: Vec::new() } };
        done.push(WhatRan { command, cycles, ok, reply_bytes: out.len(), error });
        replies.push((index, out));
    }
    Part::Replies(replies)
}

/// Merges the parts of a command that ran key by key on several shards.
pub fn merge_each(merge: Merge, parts: Vec<Part>, protocol: Protocol, out: &mut Output) {
    let mut total = 0;
    let mut all = Vec::new();
    for part in parts {
        let Part::Each { sum, elements } = part else { unreachable!("key by key parts only") };
        total += sum;
        all.extend(elements);
    }
    let mut reply = Reply::new(out, protocol);
    if merge == Merge::Elements {
        reply.array(all.len());
        all.sort_by_key(|(order, _)| *order);
        for (_, mut element) in all {
            reply.out.append(&mut element);
        }
    }
    write_merged(merge, total, &mut Reply::new(out, protocol));
}
