//! GET and reading that also changes: GETEX, GETDEL.

use super::expiry::Expiry;
use super::reply_string;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;

pub fn get(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    match ctx.keys().read(args.take()?) {
        Some(entry) => reply_string(entry.value(), reply)?,
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

pub fn getex(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut expiry = Expiry::Unsaid;
    while !args.is_done() {
        if !expiry.option(args, "PERSIST", Expiry::Persist) {
            return Err(CommandError::Syntax);
        }
    }
    let (now_ms, due_ms) = (ctx.now_ms(), ctx.due_ms());
    let mut keys = ctx.keys();
    // Redis: the number is looked at only when there is a string to give back.
    match keys.read(key) {
        Some(entry) => reply_string(entry.value(), reply)?,
        None => {
            reply.null();
            return Ok(Outcome::Done);
        }
    }
    match expiry.deadline(now_ms, "getex")? {
        Some(at) if at <= due_ms => {
            keys.remove(key, Event::DEL);
            ctx.say(|log, db| log.say(db, &[b"DEL", key]));
        }
        Some(at) => {
            keys.edit_with(key, |edit| {
                edit.set_expire(at);
                edit.commit(Event::EXPIRE);
            });
            ctx.say(|log, db| log.say(db, &[b"PEXPIREAT", key, itoa::Buffer::new().format(at).as_bytes()]));
        }
        None if expiry == Expiry::Persist => {
            let persisted = keys.edit_with(key, |edit| {
                let persisted = edit.persist();
                if persisted {
                    edit.commit(Event::PERSIST);
                }
                persisted
            });
            if persisted == Some(true) {
                ctx.say(|log, db| log.say(db, &[b"PERSIST", key]));
            }
        }
        None => {}
    }
    Ok(Outcome::Done)
}

pub fn getdel(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    match keys.read(key) {
        Some(entry) => reply_string(entry.value(), reply)?,
        None => {
            reply.null();
            return Ok(Outcome::Done);
        }
    }
    keys.remove(key, Event::DEL);
    Ok(Outcome::Done)
}
