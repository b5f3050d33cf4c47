//! ZRANDMEMBER.

use std::collections::HashSet;

use super::{reply_list, reply_member, reply_pair};
use crate::commands::collection::read;
use crate::commands::draw::{Wanted, check_repeats, repeat};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::ZSet;
use crate::types::draw::Selection;
use crate::types::listpack::Element;
use crate::types::zset::ZView;

/// When at least this share of the members is asked for, all are walked over.
const WALK_SHARE: usize = 3;

pub fn zrandmember(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let (wanted, with_scores) = Wanted::take_with(args, "withscores")?;
    // The source of randomness is lent apart from the keys.
    let mut rng = ctx.shard.rng.fork();
    let mut keys = ctx.keys();
    let zset = read::<ZSet>(&mut keys, key)?;
    match (zset, wanted) {
        (None, Wanted::One) => reply.null(),
        (None, _) => reply.array(0),
        (Some(zset), Wanted::One) => match zset.get(rng.usize(..zset.len())) {
            Some((member, _)) => reply_member(member, reply),
            None => reply.null(),
        },
        (Some(zset), Wanted::Repeated(count)) => {
            let count = check_repeats(count)?;
            reply_list(count, with_scores, reply);
            repeat(count, reply, |reply| {
                let drawn = zset.get(rng.usize(..zset.len()));
                let (member, score) = drawn.expect("the rank is below the length");
                reply_pair(member, score, with_scores, reply);
            })?;
        }
        (Some(zset), Wanted::Different(count)) => {
            let count = count.min(zset.len());
            reply_list(count, with_scores, reply);
            let mut show = |(member, score)| reply_pair(member, score, with_scores, reply);
            different(zset, count, &mut rng, &mut show);
        }
    }
    Ok(Outcome::Done)
}

/// Shows `count` different members, not more than there are.
fn different<'a>(
    zset: ZView<'a>,
    count: usize,
    rng: &mut fastrand::Rng,
    show: &mut dyn FnMut((Element<'a>, f64)),
) {
    let len = zset.len();
    if matches!(zset, ZView::Packed(_)) || count.saturating_mul(WALK_SHARE) > len {
        let mut selection = Selection::new(count, len);
        return zset.all().filter(|_| selection.takes(rng.u64(..))).for_each(show);
    }
    let mut taken = HashSet::with_capacity(count);
    while taken.len() < count {
        let rank = rng.usize(..len);
        if taken.insert(rank)
            && let Some(drawn) = zset.get(rank)
        {
            show(drawn);
        }
    }
}
