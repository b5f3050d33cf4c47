//! Reading fields and changing them in one go: HGETEX, HGETDEL; and HSETEX, which sets them with a deadline.

use super::fields::{Clock, NOT_POSITIVE, take_fields};
use super::{Then, change, exists, names_fields, read, reply_optional, say_fields};
use crate::commands::rebuild::show_deadlines;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Event, Note};
use crate::types::Hash;
use crate::types::number::parse_i64;
use crate::types::raw::table::Ttl;

pub fn hgetex(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, now_ms, due_ms) = (args.take()?, ctx.now_ms(), ctx.due_ms());
    let found = exists(ctx, key)?;
    let then = if let Some(clock) = args.peek().and_then(|word| Clock::of_option(word, now_ms)) {
        args.take()?;
        Some(Then::Expire(clock.deadline(args.take()?, "hgetex")?))
    } else if args.token("PERSIST") {
        Some(Then::Persist)
    } else {
        None
    };
    take_fields(args, NOT_POSITIVE)?;
    let fields = args.rest();
    reply.array(fields.size_hint().0);
    if !found {
        fields.for_each(|_| reply.null());
        return Ok(Outcome::Done);
    }
    if then.is_none() {
        let mut keys = ctx.keys();
        let hash = read(&mut keys, key)?;
        let mut near = 0;
        for field in fields {
            reply_optional(hash.and_then(|hash| hash.get_near(&mut near, field, due_ms)), reply);
        }
        return Ok(Outcome::Done);
    }
    let (is_named, mut changed) = (names_fields(ctx), Vec::new());
    change(ctx, key, false, |hash, note| {
        let mut changes = Changes::default();
        for field in fields {
            let value = hash.get(field);
            reply_optional(value, reply);
            if value.is_none() {
                continue;
            }
            let is_changed = match then {
                None | Some(Then::Delete) => false,
                Some(Then::Expire(at)) => changes.expire(hash, field, at, due_ms),
                Some(Then::Persist) => {
                    let persisted = hash.persist(field);
                    changes.persisted += u64::from(persisted);
                    persisted
                }
            };
            if is_named && is_changed {
                changed.push(field);
            }
        }
        changes.note(note, changed.iter().copied());
        Ok(())
    })?;
    match then {
        Some(Then::Expire(at)) if at <= due_ms => say_fields(ctx, key, &changed, Then::Delete),
        Some(then) => say_fields(ctx, key, &changed, then),
        None => {}
    }
    Ok(Outcome::Done)
}

/// What was done to fields.
#[derive(Default)]
struct Changes {
    set: u64,
    expires: u64,
    persisted: u64,
    deleted: u64,
}

impl Changes {
    /// Gives a field that is there a deadline, which may have passed. Did that do anything?
    fn expire(&mut self, hash: &mut Hash, field: &[u8], expire_at_ms: u64, due_ms: u64) -> bool {
        if expire_at_ms <= due_ms {
            let removed = hash.remove(field);
            self.deleted += u64::from(removed);
            return removed;
        }
        hash.set_deadline(field, expire_at_ms);
        self.expires += 1;
        true
    }

    /// Notes what was done, all of it to these fields.
    fn note<'f>(&self, note: &mut Note, fields: impl Iterator<Item = &'f [u8]> + Clone) {
        if self.set > 0 {
            note.events_of(Event::HSET, self.set);
            note.name(fields.clone());
        }
        for (count, event) in
            [(self.deleted, Event::HDEL), (self.expires, Event::HEXPIRE), (self.persisted, Event::HPERSIST)]
        {
            match count {
                0 => continue,
                // Fields that were set are changed once, whatever becomes of them.
                _ if self.set > 0 => note.also(event),
                _ => note.events_of(event, count),
            }
            note.name(fields.clone());
        }
    }
}

pub fn hgetdel(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let found = exists(ctx, key)?;
    take_fields(args, NOT_POSITIVE)?;
    let fields = args.rest();
    reply.array(fields.size_hint().0);
    if !found {
        fields.for_each(|_| reply.null());
        return Ok(Outcome::Done);
    }
    let (is_named, mut deleted) = (names_fields(ctx), Vec::new());
    change(ctx, key, false, |hash, note| {
        let mut changes = Changes::default();
        for field in fields {
            reply_optional(hash.get(field), reply);
            let removed = hash.remove(field);
            changes.deleted += u64::from(removed);
            if is_named && removed {
                deleted.push(field);
            }
        }
        changes.note(note, deleted.iter().copied());
        Ok(())
    })?;
    say_fields(ctx, key, &deleted, Then::Delete);
    Ok(Outcome::Done)
}

/// The options of HSETEX.
struct Options {
    /// FNX: no field may exist; FXX: all must.
    exist: Option<bool>,
    ttl: Option<Ttl>,
}

impl Options {
    /// Reads up to the pairs, in whatever order the options come. Redis: FIELDS ends them.
    fn take(args: &mut Args<'_>, now_ms: u64) -> Result<Options, CommandError> {
        let arity = CommandError::WrongArity("hsetex");
        let mut options = Options { exist: None, ttl: None };
        while let Some(word) = args.peek() {
            if args.token("FIELDS") {
                if args.left() < 3 {
                    return Err(arity);
                }
                let count = parse_i64(args.take()?).filter(|count| (1..=i64::from(i32::MAX)).contains(count));
                let count = count.ok_or(CommandError::Line("ERR invalid number of fields"))?;
                return if args.left() as i64 == count * 2 { Ok(options) } else { Err(arity) };
            }
            let clock = Clock::of_option(word, now_ms);
            if clock.is_some() || word.eq_ignore_ascii_case(b"KEEPTTL") {
                args.take()?;
                if options.ttl.is_some() {
                    return Err(CommandError::Line(
                        "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
                    ));
                }
                options.ttl = Some(match clock {
                    None => Ttl::Keep,
                    Some(clock) => {
                        let number =
                            args.take().map_err(|_| CommandError::Line("ERR missing expire time"))?;
                        Ttl::Set(clock.deadline(number, "hsetex")?)
                    }
                });
            } else if args.token("FNX") || args.token("FXX") {
                if options.exist.is_some() {
                    return Err(CommandError::Line("ERR Only one of FXX or FNX arguments can be specified"));
                }
                options.exist = Some(word.eq_ignore_ascii_case(b"FXX"));
            } else {
                return Err(CommandError::quoting("ERR unknown argument: ", word, ""));
            }
        }
        Err(arity)
    }
}

pub fn hsetex(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, now_ms, due_ms) = (args.take()?, ctx.now_ms(), ctx.due_ms());
    let options = Options::take(args, now_ms)?;
    let argv = args.argv();
    let first = argv.len() - args.left();
    let pairs = (first..argv.len()).step_by(2).map(|at| (argv.get(at), argv.get(at + 1)));
    let limits = ctx.shard.settings.encodings;
    let create = options.exist != Some(true);
    let is_gone = matches!(options.ttl, Some(Ttl::Set(at)) if at <= due_ms);
    let (is_logged, mut deadlines) = (ctx.is_logged(), Vec::new());
    let set = change(ctx, key, create, |hash, note| {
        if let Some(exist) = options.exist
            && pairs.clone().any(|(field, _)| hash.get(field).is_some() != exist)
        {
            return Ok(false);
        }
        let mut changes = Changes { set: pairs.len() as u64, ..Changes::default() };
        match options.ttl {
            None => {
                hash.set_all(pairs.clone(), &limits);
            }
            Some(_) if is_gone => {
                for (field, _) in pairs.clone() {
                    hash.remove(field);
                    changes.deleted += 1;
                }
            }
            Some(ttl) => {
                changes.expires = if matches!(ttl, Ttl::Set(_)) { changes.set } else { 0 };
                for (field, value) in pairs.clone() {
                    hash.set(field, value, ttl, &limits);
                    if is_logged && let Some(at) = hash.deadline(field).flatten() {
                        deadlines.push((at, field.to_vec()));
                    }
                }
            }
        }
        changes.note(note, pairs.map(|(field, _)| field));
        Ok(true)
    })?;
    if set == Some(true) {
        ctx.say(|log, db| {
            let given = (first..argv.len()).map(|at| argv.get(at));
            if is_gone {
                let args: Vec<&[u8]> = [&b"HDEL"[..], key].into_iter().chain(given.step_by(2)).collect();
                log.say(db, &args);
            } else {
                let args: Vec<&[u8]> = [&b"HSET"[..], key].into_iter().chain(given).collect();
                log.say(db, &args);
                show_deadlines(key, deadlines, &mut |args| log.say(db, args));
            }
        });
    }
    reply.int(i64::from(set == Some(true)));
    Ok(Outcome::Done)
}
