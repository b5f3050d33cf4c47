//! DEL, UNLINK, EXISTS, TOUCH, TYPE.

use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, ValueView};
use crate::types::Kind;

/// DEL and UNLINK alike: what is big is dropped in slices either way.
pub fn del_one(ctx: &mut Ctx<'_>, piece: Argv<'_>, _: &mut Reply<'_>) -> Result<i64, CommandError> {
    Ok(i64::from(ctx.keys().remove(piece.get(0), Event::DEL)))
}

pub fn exists_one(ctx: &mut Ctx<'_>, piece: Argv<'_>, _: &mut Reply<'_>) -> Result<i64, CommandError> {
    Ok(i64::from(ctx.keys().read_untouched(piece.get(0)).is_some()))
}

/// Redis: TOUCH counts as access even for a client that asked not to touch.
pub fn touch_one(ctx: &mut Ctx<'_>, piece: Argv<'_>, _: &mut Reply<'_>) -> Result<i64, CommandError> {
    Ok(i64::from(ctx.shard.keyspace(ctx.db, true).read(piece.get(0)).is_some()))
}

pub fn type_of(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let name = ctx.keys().read_untouched(args.take()?).map_or("none", |entry| kind(entry.value()).name());
    reply.simple(name);
    Ok(Outcome::Done)
}

/// The kind of a value wherever it is kept.
pub fn kind(value: ValueView<'_>) -> Kind {
    match value {
        ValueView::Int(_) | ValueView::Bytes(_) => Kind::String,
        ValueView::Packed(form, _) => form.kind(),
        ValueView::Heap(value) => value.kind(),
    }
}
