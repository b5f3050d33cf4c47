//! Looking: ZSCORE, ZMSCORE, ZCARD, ZRANK, ZREVRANK, ZCOUNT, ZLEXCOUNT.

use super::{lex_range, score_range};
use crate::commands::collection::read;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::ZSet;

pub fn zcard(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let len = read::<ZSet>(&mut ctx.keys(), args.take()?)?.map_or(0, |zset| zset.len());
    reply.int(len as i64);
    Ok(Outcome::Done)
}

pub fn zscore(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, member) = (args.take()?, args.take()?);
    match read::<ZSet>(&mut ctx.keys(), key)?.and_then(|zset| zset.score(member)) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

pub fn zmscore(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    each_score(ctx, args, reply, |score, reply| match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    })
}

/// `key member [member ...]`: a list of what `write` makes of the members' scores, `None` where there is none.
pub fn each_score(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    write: impl Fn(Option<f64>, &mut Reply<'_>),
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    let zset = read::<ZSet>(&mut keys, key)?;
    reply.array(args.left());
    args.rest().for_each(|member| write(zset.and_then(|zset| zset.score(member)), reply));
    Ok(Outcome::Done)
}

pub fn zrank(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    rank(ctx, args, false, "zrank", reply)
}

pub fn zrevrank(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    rank(ctx, args, true, "zrevrank", reply)
}

fn rank(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reverse: bool,
    command: &'static str,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, member) = (args.take()?, args.take()?);
    if args.left() > 1 {
        return Err(CommandError::WrongArity(command));
    }
    let with_score = args.token("withscore");
    args.finish()?;
    let mut keys = ctx.keys();
    let zset = read::<ZSet>(&mut keys, key)?;
    let found = zset.and_then(|zset| {
        let (rank, score) = zset.rank(member)?;
        Some((if reverse { zset.len() - 1 - rank } else { rank }, score))
    });
    match (found, with_score) {
        (Some((rank, _)), false) => reply.int(rank as i64),
        (Some((rank, score)), true) => {
            reply.array(2);
            reply.int(rank as i64);
            reply.double(score);
        }
        (None, false) => reply.null(),
        (None, true) => reply.null_array(),
    }
    Ok(Outcome::Done)
}

pub fn zcount(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let range = score_range(args.take()?, args.take()?)?;
    let count = read::<ZSet>(&mut ctx.keys(), key)?.map_or(0, |zset| zset.ranks_by_score(&range).len());
    reply.int(count as i64);
    Ok(Outcome::Done)
}

pub fn zlexcount(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let range = lex_range(args.take()?, args.take()?)?;
    let count = read::<ZSet>(&mut ctx.keys(), key)?.map_or(0, |zset| zset.ranks_by_lex(&range, false).len());
    reply.int(count as i64);
    Ok(Outcome::Done)
}
