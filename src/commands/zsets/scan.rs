//! ZSCAN.

use super::reply_member;
use crate::commands::collection::read;
use crate::commands::cursor::{ElementScan, parse_cursor};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Output, Protocol, Reply};
use crate::types::ZSet;
use crate::types::number::{format_f64, format_f64_17g};
use crate::types::zset::ZView;

pub fn zscan(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, cursor) = (args.take()?, parse_cursor(args.take()?)?);
    let mut keys = ctx.keys();
    let zset = read::<ZSet>(&mut keys, key)?;
    // Redis: the options are not looked at when there is nothing to scan.
    let options = match zset {
        Some(_) => ElementScan::take(args, false)?,
        None => ElementScan { pattern: None, count: 10, no_values: false },
    };
    let (mut found, mut count) = (Output::default(), 0);
    let mut names = Reply::new(&mut found, Protocol::default());
    let next = zset.map_or(0, |zset| {
        zset.scan(cursor, options.count, &mut |member, score| {
            if !options.wants(member.as_bytes(&mut itoa::Buffer::new())) {
                return;
            }
            reply_member(member, &mut names);
            // Redis: the small form shows the text it holds.
            let text =
                if matches!(zset, ZView::Packed(_)) { format_f64(score) } else { format_f64_17g(score) };
            names.bulk(&text);
            count += 2;
        })
    });
    reply.array(2);
    reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    reply.array(count);
    reply.out.append(&mut found);
    Ok(Outcome::Done)
}
