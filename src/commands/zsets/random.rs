//! ZRANDMEMBER.

use std::collections::HashSet;

use super::{reply_list, reply_member, reply_pair};
use crate::commands::collection::read;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::ZSet;
use crate::types::zset::ZView;

/// Members that may be asked for with repetitions. Redis: no such limit; but it would be a reply of gigabytes.
const REPEATED_MAX: u64 = 1 << 26;
/// When at least this share of the members is asked for, all are walked over.
const WALK_SHARE: usize = 3;

pub fn zrandmember(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let wanted = Wanted::take(args)?;
    // The source of randomness is lent apart from the keys.
    let mut rng = ctx.shard.rng.fork();
    let mut keys = ctx.keys();
    let zset = read::<ZSet>(&mut keys, key)?;
    let Some(Wanted { count, with_scores }) = wanted else {
        let member = zset.and_then(|zset| zset.get(rng.usize(..zset.len())));
        match member {
            Some((member, _)) => reply_member(member, reply),
            None => reply.null(),
        }
        return Ok(Outcome::Done);
    };
    let Some(zset) = zset.filter(|_| count != 0) else {
        reply.array(0);
        return Ok(Outcome::Done);
    };
    let len = zset.len();
    if count < 0 {
        let picks = count.unsigned_abs();
        if picks > REPEATED_MAX {
            return Err(CommandError::OutOfRange);
        }
        reply_list(picks as usize, with_scores, reply);
        for _ in 0..picks {
            if let Some((member, score)) = zset.get(rng.usize(..len)) {
                reply_pair(member, score, with_scores, reply);
            }
        }
        return Ok(Outcome::Done);
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(len);
    reply_list(count, with_scores, reply);
    if matches!(zset, ZView::Packed(_)) || count.saturating_mul(WALK_SHARE) > len {
        // Each member is taken with the chance that makes every choice equally likely.
        let mut missing = count;
        for (at, (member, score)) in zset.all().enumerate() {
            if missing > 0 && rng.usize(..len - at) < missing {
                reply_pair(member, score, with_scores, reply);
                missing -= 1;
            }
        }
    } else {
        let mut taken = HashSet::with_capacity(count);
        while taken.len() < count {
            let rank = rng.usize(..len);
            if taken.insert(rank)
                && let Some((member, score)) = zset.get(rank)
            {
                reply_pair(member, score, with_scores, reply);
            }
        }
    }
    Ok(Outcome::Done)
}

/// How many, if a number is given.
struct Wanted {
    count: i64,
    with_scores: bool,
}

impl Wanted {
    fn take(args: &mut Args<'_>) -> Result<Option<Wanted>, CommandError> {
        if args.is_done() {
            return Ok(None);
        }
        let count = args.int_in(-i64::MAX..=i64::MAX)?;
        let with_scores = !args.is_done();
        if with_scores && !(args.token("withscores") && args.is_done()) {
            return Err(CommandError::Syntax);
        }
        if with_scores && !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
            return Err(CommandError::OutOfRange);
        }
        Ok(Some(Wanted { count, with_scores }))
    }
}
