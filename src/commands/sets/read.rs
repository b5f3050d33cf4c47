//! Looking at one set: SISMEMBER, SMISMEMBER, SCARD, SMEMBERS, SSCAN.

use super::{missing, reply_member};
use crate::commands::collection::read;
use crate::commands::cursor::{ElementScan, parse_cursor};
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Output, Reply};
use crate::types::set::{Needle, SetView};
use crate::types::{Collection, Set};

pub fn sismember(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, member) = (args.take()?, args.take()?);
    let mut keys = ctx.keys();
    let set = read::<Set>(&mut keys, key)?;
    let found = set.is_some_and(|set| set.contains(&mut Needle::new(member)));
    reply.int(i64::from(found));
    Ok(Outcome::Done)
}

pub fn smismember(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    let set = read::<Set>(&mut keys, key)?.unwrap_or(missing());
    reply.array(args.left());
    for member in args.rest() {
        reply.int(i64::from(set.contains(&mut Needle::new(member))));
    }
    Ok(Outcome::Done)
}

pub fn scard(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let mut keys = ctx.keys();
    let set = read::<Set>(&mut keys, args.take()?)?;
    reply.int(set.map_or(0, |set| set.len()) as i64);
    Ok(Outcome::Done)
}

pub fn smembers(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, above) = (args.take()?, ctx.shard.settings.slices_above);
    let mut keys = ctx.keys();
    let set = read::<Set>(&mut keys, key)?.unwrap_or(missing());
    if let SetView::Table(table) = set
        && table.len() > above
    {
        return ctx.in_slices(key, Members { cursor: 0, begun: false });
    }
    reply.set(set.len());
    set.iter().for_each(|member| reply_member(member, reply));
    Ok(Outcome::Done)
}

/// All members of a big set.
struct Members {
    cursor: u64,
    begun: bool,
}

impl Sliced for Members {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let set = Set::of(values.first()?).ok_or(CommandError::WrongType)?.view();
        if !std::mem::replace(&mut self.begun, true) {
            reply.set(set.len());
        }
        let elements = elements.min(STEP_ELEMENTS);
        self.cursor = set.scan(self.cursor, elements, &mut |member| reply_member(member, reply));
        Ok(if self.cursor == 0 { Step::Done } else { Step::More })
    }
}

pub fn sscan(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let cursor = parse_cursor(args.take()?)?;
    let mut keys = ctx.keys();
    let Some(set) = read::<Set>(&mut keys, key)? else {
        // Redis: the options of a scan of nothing are not looked at.
        reply.array(2);
        reply.bulk(b"0");
        reply.array(0);
        return Ok(Outcome::Done);
    };
    let options = ElementScan::take(args, false)?;
    let (mut found, mut count) = (Output::default(), 0);
    let mut members = Reply::new(&mut found, reply.protocol);
    let mut digits = itoa::Buffer::new();
    let next = set.scan(cursor, options.count, &mut |member| {
        if options.wants(member.as_bytes(&mut digits)) {
            reply_member(member, &mut members);
            count += 1;
        }
    });
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(count);
    reply.out.append(&mut found);
    Ok(Outcome::Done)
}
