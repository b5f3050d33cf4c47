//! Reading fields and whole hashes.

use super::{read, reply_optional, reply_text};
use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::hash::Text;
use crate::types::{Collection, Hash};

pub fn hget(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, field, due_ms) = (args.take()?, args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let value = read(&mut keys, key)?.and_then(|hash| hash.get(field, due_ms));
    reply_optional(value, reply);
    Ok(Outcome::Done)
}

pub fn hmget(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, due_ms) = (args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let hash = read(&mut keys, key)?;
    reply.array(args.left());
    let mut near = 0;
    for field in args.rest() {
        reply_optional(hash.and_then(|hash| hash.get_near(&mut near, field, due_ms)), reply);
    }
    Ok(Outcome::Done)
}

pub fn hexists(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, field, due_ms) = (args.take()?, args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let found = read(&mut keys, key)?.is_some_and(|hash| hash.get(field, due_ms).is_some());
    reply.int(i64::from(found));
    Ok(Outcome::Done)
}

pub fn hstrlen(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, field, due_ms) = (args.take()?, args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let value = read(&mut keys, key)?.and_then(|hash| hash.get(field, due_ms));
    reply.int(value.map_or(0, |value| value.text_len()) as i64);
    Ok(Outcome::Done)
}

/// Redis: fields that have expired count until they are removed, which here is at once.
pub fn hlen(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    let len = read(&mut keys, key)?.map_or(0, |hash| hash.len());
    reply.int(len as i64);
    Ok(Outcome::Done)
}

pub fn hgetall(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    all(ctx, args.take()?, Sides::Both, reply)
}

pub fn hkeys(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    all(ctx, args.take()?, Sides::Fields, reply)
}

pub fn hvals(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    all(ctx, args.take()?, Sides::Values, reply)
}

/// What is shown of a whole hash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sides {
    Both,
    Fields,
    Values,
}

impl Sides {
    fn begin(self, fields: usize, reply: &mut Reply<'_>) {
        match self {
            Sides::Both => reply.map(fields),
            Sides::Fields | Sides::Values => reply.array(fields),
        }
    }

    #[inline]
    fn show(self, field: Text<'_>, value: Text<'_>, reply: &mut Reply<'_>) {
        if self != Sides::Values {
            reply_text(field, reply);
        }
        if self != Sides::Fields {
            reply_text(value, reply);
        }
    }
}

fn all(ctx: &mut Ctx<'_>, key: &[u8], sides: Sides, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (due_ms, above) = (ctx.due_ms(), ctx.shard.settings.slices_above);
    let mut keys = ctx.keys();
    let Some(hash) = read(&mut keys, key)? else {
        sides.begin(0, reply);
        return Ok(Outcome::Done);
    };
    if hash.is_big() && hash.len() > above {
        let counting = hash.may_have_due(due_ms).then_some(0);
        return ctx.in_slices(key, Fields { sides, due_ms, cursor: 0, counting, begun: false });
    }
    sides.begin(hash.live_len(due_ms), reply);
    hash.for_each(due_ms, |field, value, _| sides.show(field, value, reply));
    Ok(Outcome::Done)
}

/// All fields of a big hash, as they are seen at one time.
struct Fields {
    sides: Sides,
    due_ms: u64,
    cursor: u64,
    /// The live ones so far, as long as they are counted: some may have expired.
    counting: Option<usize>,
    begun: bool,
}

impl Sliced for Fields {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let hash = Hash::of(values.first()?).ok_or(CommandError::WrongType)?.view();
        let elements = elements.min(STEP_ELEMENTS);
        if let Some(live) = &mut self.counting {
            self.cursor = hash.scan(self.cursor, elements, self.due_ms, |_, _| *live += 1);
            if self.cursor == 0 {
                self.sides.begin(*live, reply);
                (self.counting, self.begun) = (None, true);
            }
            return Ok(Step::More);
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.sides.begin(hash.len(), reply);
        }
        let sides = self.sides;
        self.cursor = hash.scan(self.cursor, elements, self.due_ms, |field, value| {
            sides.show(field, value, reply);
        });
        Ok(if self.cursor == 0 { Step::Done } else { Step::More })
    }
}
