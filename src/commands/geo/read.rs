//! GEOPOS, GEOHASH, GEODIST.

use super::{reply_distance, reply_point, take_unit};
use crate::commands::collection::read;
use crate::commands::zsets::each_score;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::ZSet;
use crate::types::geohash::Point;

pub fn geopos(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    each_score(ctx, args, reply, |score, reply| match score {
        Some(score) => reply_point(Point::of_score(score), reply),
        None => reply.null_array(),
    })
}

pub fn geohash(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    each_score(ctx, args, reply, |score, reply| match score {
        Some(score) => reply.bulk(&Point::of_score(score).text()),
        None => reply.null(),
    })
}

pub fn geodist(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, from, to) = (args.take()?, args.take()?, args.take()?);
    if args.left() > 1 {
        return Err(CommandError::Syntax);
    }
    let metres = if args.is_done() { 1.0 } else { take_unit(args)? };
    let mut keys = ctx.keys();
    let zset = read::<ZSet>(&mut keys, key)?;
    let places = zset.and_then(|zset| Some((zset.score(from)?, zset.score(to)?)));
    match places {
        Some((from, to)) => {
            reply_distance(Point::of_score(from).distance_m(Point::of_score(to)) / metres, reply);
        }
        None => reply.null(),
    }
    Ok(Outcome::Done)
}
