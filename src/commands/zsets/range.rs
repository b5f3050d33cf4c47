//! Ranges: ZRANGE with all its options, its older forms, and ZRANGESTORE.

use std::ops::Range;

use super::{clamp_ranks, full, lex_range, reply_list, reply_pair, score_range};
use crate::commands::collection::read;
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values};
use crate::commands::spec::{FinishFn, Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::shard::Event;
use crate::types::zset::{LexRange, ScoreRange, ZView};
use crate::types::{Collection, Encodings, ZSet};

/// What a range is given by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

enum Bounds<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(LexRange<'a>),
}

/// What a command of this file does by its name alone.
#[derive(Clone, Copy)]
struct Fixed {
    by: Option<By>,
    reverse: Option<bool>,
    store: bool,
}

/// A range as it was asked for.
struct Query<'a> {
    bounds: Bounds<'a>,
    reverse: bool,
    /// Members left out at the beginning; negative leaves out all.
    offset: i64,
    /// How many at most; negative sets no limit.
    limit: i64,
    with_scores: bool,
}

impl<'a> Query<'a> {
    /// Reads what follows the key.
    fn take(args: &mut Args<'a>, fixed: Fixed) -> Result<Query<'a>, CommandError> {
        let (first, second) = (args.take()?, args.take()?);
        let (mut by, mut reverse, mut with_scores) = (fixed.by, fixed.reverse, false);
        let (mut offset, mut limit) = (0, -1);
        while !args.is_done() {
            if !fixed.store && args.token("withscores") {
                with_scores = true;
            } else if args.left() >= 3 && args.token("limit") {
                (offset, limit) = (args.int()?, args.int()?);
            } else if reverse.is_none() && args.token("rev") {
                reverse = Some(true);
            } else if by.is_none() && args.token("bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && args.token("byscore") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(CommandError::Line(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Lex {
            return Err(CommandError::Line(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (min, max) = if reverse { (second, first) } else { (first, second) };
        let bounds = match by {
            By::Rank => {
                let number = |text| crate::types::number::parse_i64(text).ok_or(CommandError::NotInteger);
                Bounds::Ranks(number(first)?, number(second)?)
            }
            By::Score => Bounds::Scores(score_range(min, max)?),
            By::Lex => Bounds::Members(lex_range(min, max)?),
        };
        Ok(Query { bounds, reverse, offset, limit, with_scores })
    }

    /// What is cut out goes into this. Redis: only a range of ranks is known to be long before it is walked, and it is
    /// walked in its direction. That decides which zeros lose their sign.
    fn begin_cut(&self, len: usize, limits: &Encodings) -> ZSet {
        let is_known = matches!(self.bounds, Bounds::Ranks(..));
        ZSet::with_len(if is_known { len } else { 0 }, limits)
    }

    /// The ranks that it means, from the lowest score.
    fn ranks(&self, zset: ZView<'_>) -> Range<usize> {
        let ranks = match &self.bounds {
            Bounds::Ranks(start, end) => {
                let len = zset.len();
                let ranks = clamp_ranks(*start, *end, len);
                return if self.reverse { len - ranks.end..len - ranks.start } else { ranks };
            }
            Bounds::Scores(range) => zset.ranks_by_score(range),
            Bounds::Members(range) => zset.ranks_by_lex(range, self.reverse),
        };
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let taken = usize::try_from(self.limit).unwrap_or(usize::MAX).min(ranks.len() - skipped);
        if self.reverse {
            let end = ranks.end - skipped;
            end - taken..end
        } else {
            let start = ranks.start + skipped;
            start..start + taken
        }
    }
}

fn run(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    by: Option<By>,
    reverse: Option<bool>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let query = Query::take(args, Fixed { by, reverse, store: false })?;
    let above = ctx.shard.settings.slices_above;
    let mut keys = ctx.keys();
    let Some(zset) = read::<ZSet>(&mut keys, key)? else {
        reply.array(0);
        return Ok(Outcome::Done);
    };
    let ranks = query.ranks(zset);
    if ranks.len() > above && matches!(zset, ZView::Sorted(_)) {
        let (reverse, with_scores) = (query.reverse, query.with_scores);
        return ctx.in_slices(key, Members { ranks, reverse, with_scores, begun: false });
    }
    reply_list(ranks.len(), query.with_scores, reply);
    for (member, score) in zset.iter(ranks, query.reverse) {
        reply_pair(member, score, query.with_scores, reply);
    }
    Ok(Outcome::Done)
}

/// A long range of a big sorted set.
struct Members {
    /// Those that are left.
    ranks: Range<usize>,
    reverse: bool,
    with_scores: bool,
    begun: bool,
}

impl Sliced for Members {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let zset = ZSet::of(values.first()?).ok_or(CommandError::WrongType)?.view();
        if !std::mem::replace(&mut self.begun, true) {
            reply_list(self.ranks.len(), self.with_scores, reply);
        }
        let now = next_ranks(&mut self.ranks, self.reverse, elements.min(STEP_ELEMENTS));
        for (member, score) in zset.iter(now, self.reverse) {
            reply_pair(member, score, self.with_scores, reply);
        }
        Ok(if self.ranks.is_empty() { Step::Done } else { Step::More })
    }
}

/// Takes the next ranks off those that are left.
fn next_ranks(ranks: &mut Range<usize>, reverse: bool, count: usize) -> Range<usize> {
    let count = ranks.len().min(count);
    if reverse {
        let rest = ranks.end - count;
        rest..std::mem::replace(&mut ranks.end, rest)
    } else {
        let rest = ranks.start + count;
        std::mem::replace(&mut ranks.start, rest)..rest
    }
}

/// One handler per name.
macro_rules! ranges {
    ($($name:ident = $by:expr, $reverse:expr;)*) => {
        $(pub fn $name(
            ctx: &mut Ctx<'_>,
            args: &mut Args<'_>,
            reply: &mut Reply<'_>,
        ) -> Result<Outcome, CommandError> {
            run(ctx, args, reply, $by, $reverse)
        })*
    };
}

ranges! {
    zrange = None, None;
    zrevrange = Some(By::Rank), Some(true);
    zrangebyscore = Some(By::Score), Some(false);
    zrevrangebyscore = Some(By::Score), Some(true);
    zrangebylex = Some(By::Lex), Some(false);
    zrevrangebylex = Some(By::Lex), Some(true);
}

/// The members of a range as a sorted set of their own.
fn cut(
    ctx: &mut Ctx<'_>,
    source: &[u8],
    query: &Query<'_>,
    limits: &Encodings,
) -> Result<ZSet, CommandError> {
    let mut keys = ctx.keys();
    let Some(zset) = read::<ZSet>(&mut keys, source)? else { return Ok(ZSet::default()) };
    let ranks = query.ranks(zset);
    let mut made = query.begin_cut(ranks.len(), limits);
    let mut digits = itoa::Buffer::new();
    for (member, score) in zset.iter(ranks, query.reverse) {
        made.add(member.as_bytes(&mut digits), score, limits).map_err(full)?;
    }
    Ok(made)
}

const STORE: Fixed = Fixed { by: None, reverse: None, store: true };

pub fn zrangestore(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (destination, source) = (args.take()?, args.take()?);
    let query = Query::take(args, STORE)?;
    let (limits, above) = (ctx.shard.settings.encodings, ctx.shard.settings.slices_above);
    if let Some(ZView::Sorted(sorted)) = read::<ZSet>(&mut ctx.keys(), source)?
        && sorted.len() > above
    {
        let ranks = query.ranks(ZView::Sorted(sorted));
        if ranks.len() > above {
            let made = query.begin_cut(ranks.len(), &limits);
            let (to, reverse) = (destination.into(), query.reverse);
            return ctx.in_slices(source, Storing { ranks, reverse, limits, made, to });
        }
    }
    let made = cut(ctx, source, &query, &limits)?;
    reply.int(made.len() as i64);
    ctx.keys().store(destination, made, Event::ZRANGESTORE);
    Ok(Outcome::Done)
}

/// A long range on its way into a sorted set of its own.
struct Storing {
    ranks: Range<usize>,
    reverse: bool,
    limits: Encodings,
    made: ZSet,
    to: Box<[u8]>,
}

impl Sliced for Storing {
    fn step(&mut self, values: Values<'_>, elements: usize, _: &mut Reply<'_>) -> Result<Step, CommandError> {
        let zset = ZSet::of(values.first()?).ok_or(CommandError::WrongType)?.view();
        let now = next_ranks(&mut self.ranks, self.reverse, elements.min(STEP_ELEMENTS));
        let mut digits = itoa::Buffer::new();
        for (member, score) in zset.iter(now, self.reverse) {
            self.made.add(member.as_bytes(&mut digits), score, &self.limits).map_err(full)?;
        }
        Ok(if self.ranks.is_empty() { Step::Done } else { Step::More })
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        reply.int(self.made.len() as i64);
        ctx.keys().store(&self.to, std::mem::take(&mut self.made), Event::ZRANGESTORE);
        Ok(Part::Nothing)
    }
}

/// The order of the keys is destination, source.
pub const ZRANGESTORE: &[Hop] =
    &[Hop { on: On::Key(1), run: zrangestore_cut }, Hop { on: On::Key(0), run: zrangestore_put }];

fn zrangestore_cut(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let mut args = Args::new(argv, 3);
    let query = Query::take(&mut args, STORE)?;
    let limits = ctx.shard.settings.encodings;
    Ok(Part::Gathered(Box::new(cut(ctx, argv.get(2), &query, &limits)?)))
}

fn zrangestore_put(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let Part::Gathered(made) = std::mem::take(got.only(0)) else {
        unreachable!("the source's owner has cut")
    };
    let made = *made.downcast::<ZSet>().expect("what was cut is a sorted set");
    let len = made.len();
    ctx.keys().store(argv.get(1), made, Event::ZRANGESTORE);
    Ok(Part::Int(len as i64))
}

/// The number that the last hop has told.
pub const STORED: FinishFn = |_, got, reply| {
    if let Some((_, part)) = got.hops.last_mut().and_then(|parts| parts.first_mut()) {
        part.write_to(reply);
    }
    Ok(Outcome::Done)
};
