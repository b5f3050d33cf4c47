//! GEOADD.

use super::take_point;
use crate::commands::zsets::{Flags, add_scores};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;

/// Redis: it is a ZADD of cells, and its effect is one.
pub fn geoadd(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut flags = Flags::default();
    loop {
        let flag = if args.token("nx") {
            &mut flags.nx
        } else if args.token("xx") {
            &mut flags.xx
        } else if args.token("ch") {
            &mut flags.ch
        } else {
            break;
        };
        *flag = true;
    }
    if args.is_done() || !args.left().is_multiple_of(3) || (flags.nx && flags.xx) {
        return Err(CommandError::Syntax);
    }
    let mut places = *args;
    while !args.is_done() {
        take_point(args)?;
        args.take()?;
    }
    let pairs = std::iter::from_fn(move || {
        let score = take_point(&mut places).ok()?.score() as f64;
        Some((score, places.take().ok()?))
    });
    add_scores(ctx, key, pairs, flags, reply)
}
