//! XGROUP: the groups of a stream and their consumers.

use super::ids::{id, strict_id};
use super::{no_group_of, reply_help};
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Event, Note};
use crate::types::stream::{ConsumerIndex, Group, Stream};

const KEY_MUST_EXIST: CommandError = CommandError::Line(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);

const HELP: [&str; 14] = [
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
];

/// The options of CREATE and SETID.
#[derive(Default)]
struct Options {
    mkstream: bool,
    entries_read: Option<u64>,
}

impl Options {
    fn take(args: &mut Args<'_>, creating: bool) -> Result<Options, CommandError> {
        let mut options = Options::default();
        // Redis: in any order and as often as one likes, but no more words than each option once would need.
        let most_words = if creating { 8 } else { 7 };
        while !args.is_done() {
            if creating && args.token("MKSTREAM") {
                options.mkstream = true;
            } else if args.left() > 1 && args.token("ENTRIESREAD") {
                // -1 is what an unknown count is shown as in files.
                options.entries_read = match args.int()? {
                    -1 => None,
                    count => Some(u64::try_from(count).map_err(|_| {
                        CommandError::Line("ERR value for ENTRIESREAD must be positive or -1")
                    })?),
                };
            } else {
                return Err(Options::unknown(args));
            }
        }
        if args.argv().len() > most_words { Err(Options::unknown(args)) } else { Ok(options) }
    }

    fn unknown(args: &Args<'_>) -> CommandError {
        CommandError::quoting(
            "ERR unknown subcommand or wrong number of arguments for '",
            args.argv().get(1),
            "'. Try XGROUP HELP.",
        )
    }
}

pub fn create(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name, from) = (args.take()?, args.take()?, args.take()?);
    let options = Options::take(args, true)?;
    let created = change(&mut ctx.keys(), key, options.mkstream, |stream: &mut Stream, note: &mut Note| {
        let last_id = match from {
            b"$" => stream.last_id,
            from => strict_id(from, 0)?,
        };
        if !stream.add_group(name, Group::new(last_id, options.entries_read)) {
            return Err(CommandError::Line("BUSYGROUP Consumer Group name already exists"));
        }
        note.event(Event::XGROUP_CREATE);
        Ok(())
    })?;
    created.ok_or(KEY_MUST_EXIST)?;
    reply.ok();
    Ok(Outcome::Done)
}

pub fn setid(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, name, to) = (args.take()?, args.take()?, args.take()?);
    let options = Options::take(args, false)?;
    let set = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note: &mut Note| {
        let stream_last_id = stream.last_id;
        let edit = stream.edit_group(name).ok_or_else(|| no_group_of(key, name))?;
        edit.group.last_id = match to {
            b"$" => stream_last_id,
            to => id(to, 0)?,
        };
        edit.group.entries_read = options.entries_read;
        note.event(Event::XGROUP_SETID);
        Ok(())
    })?;
    set.ok_or(KEY_MUST_EXIST)?;
    reply.ok();
    Ok(Outcome::Done)
}

pub fn destroy(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name) = (args.take()?, args.take()?);
    let destroyed = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note: &mut Note| {
        let destroyed = stream.remove_group(name);
        if destroyed {
            note.event(Event::XGROUP_DESTROY);
        }
        Ok(destroyed)
    })?;
    reply.int(i64::from(destroyed.ok_or(KEY_MUST_EXIST)?));
    Ok(Outcome::Done)
}

pub fn createconsumer(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name, consumer) = (args.take()?, args.take()?, args.take()?);
    let now_ms = ctx.now_ms();
    let created = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note: &mut Note| {
        let edit = stream.edit_group(name).ok_or_else(|| no_group_of(key, name))?;
        if edit.group.consumer_index(consumer).is_some() {
            return Ok(false);
        }
        edit.group.add_consumer(consumer, now_ms);
        note.event(Event::XGROUP_CREATECONSUMER);
        Ok(true)
    })?;
    reply.int(i64::from(created.ok_or(KEY_MUST_EXIST)?));
    Ok(Outcome::Done)
}

pub fn delconsumer(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, name, consumer) = (args.take()?, args.take()?, args.take()?);
    let pending = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note: &mut Note| {
        let edit = stream.edit_group(name).ok_or_else(|| no_group_of(key, name))?;
        let pending = edit.group.remove_consumer(consumer);
        if pending.is_some() {
            note.event(Event::XGROUP_DELCONSUMER);
        }
        Ok(pending.unwrap_or(0))
    })?;
    reply.int(pending.ok_or(KEY_MUST_EXIST)? as i64);
    Ok(Outcome::Done)
}

pub fn help(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply_help(reply, "XGROUP", &HELP);
    Ok(Outcome::Done)
}

/// A consumer of a group, made when it is new. Redis: whoever asks for one is seen.
pub fn consumer_of(group: &mut Group, name: &[u8], now_ms: u64, note: &mut Note) -> ConsumerIndex {
    match group.consumer_index(name) {
        Some(index) => {
            group.consumer_mut(index).seen_at_ms = now_ms as i64;
            index
        }
        None => {
            note.event(Event::XGROUP_CREATECONSUMER);
            group.add_consumer(name, now_ms)
        }
    }
}
