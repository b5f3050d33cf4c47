//! SORT and SORT_RO: the elements of a list, set or sorted set in another order, or what keys named after them hold.
//!
//! ```text
//!  elements ──▶ weights (BY, one key per element) ──▶ order, LIMIT ──▶ values (GET, keys per element) ──▶ reply, STORE
//! ```
//!
//! The keys of BY and GET are known only when the elements are, and may be anywhere. With one shard [`sort`] does it
//! all in one go, or, when it is only about many elements of one big value, in slices ([`sliced`]). With several, and patterns that name keys, SORT is a transaction over all of them: elements are read
//! and ordered by the owner of the key, and every shard looks up those names that it owns ([`spread`]).

mod elements;
mod options;
mod order;
mod pattern;
mod result;
mod rows;
mod sliced;
mod spread;
#[cfg(test)]
mod tests;

pub use rows::ROWS;

use elements::Elements;
use options::Options;
use pattern::{Values, look_up};

use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;

/// All of it, on a shard that has every key.
pub fn sort(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let argv = args.argv();
    let options = Options::take(argv)?;
    if let Some(sorting) = sliced::begin(ctx, argv, &options) {
        return ctx.in_slices(argv.get(1), sorting);
    }
    let elements = Elements::read(ctx, argv.get(1), &options)?;
    let everything = |_: &[u8]| true;
    let weights = match options.weight_pattern() {
        Some(by) => look_up(ctx, &elements, &[by], everything),
        None => Values::default(),
    };
    let chosen = order::chosen(&elements, &options, &[&weights])?;
    let values = look_up(ctx, &chosen, &options.gets, everything);
    match options.store {
        None => result::reply(&chosen, &options, &[&values], reply),
        Some(at) => {
            let stored = result::store(ctx, argv.get(at), &chosen, &options, &[&values]);
            reply.int(stored);
        }
    }
    Ok(Outcome::Done)
}
