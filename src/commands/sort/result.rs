//! What comes of a SORT: a reply, or a list.

use super::elements::Elements;
use super::options::Options;
use super::pattern::{Pattern, Values};
use crate::commands::Ctx;
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::List;
use crate::types::list::{End, NodeLimit};

/// What was found is lined up for so many cells at a time, however many elements and patterns there are.
const BLOCK_CELLS: usize = 1 << 14;

/// Shows what is answered or stored, in order; `None` for what GET did not find.
fn show<'e>(
    chosen: &'e Elements,
    options: &Options<'_>,
    values: &[&'e Values],
    mut show: impl FnMut(Option<&'e [u8]>),
) {
    if options.gets.is_empty() {
        return chosen.iter().for_each(|element| show(Some(element)));
    }
    let patterns = options.gets.len();
    let mut walks: Vec<_> = values.iter().map(|values| values.walk()).collect();
    let mut cells = Vec::new();
    let rows = (BLOCK_CELLS / patterns).max(1);
    for start in (0..chosen.len()).step_by(rows) {
        let end = (start + rows).min(chosen.len());
        cells.clear();
        cells.resize((end - start) * patterns, None);
        for walk in &mut walks {
            walk.until(end * patterns, |cell, value| cells[cell - start * patterns] = Some(value));
        }
        for (row, found) in (start..end).zip(cells.chunks(patterns)) {
            for (pattern, found) in options.gets.iter().zip(found) {
                show(if *pattern == Pattern::Itself { Some(chosen.get(row)) } else { *found });
            }
        }
    }
}

/// How many elements the result has.
fn count(chosen: &Elements, options: &Options<'_>) -> usize {
    chosen.len() * options.gets.len().max(1)
}

pub fn reply(chosen: &Elements, options: &Options<'_>, values: &[&Values], reply: &mut Reply<'_>) {
    reply.array(count(chosen, options));
    show(chosen, options, values, |element| match element {
        Some(bytes) => reply.bulk(bytes),
        None => reply.null(),
    });
}

/// Stores the result as a list, whatever the key held, and tells its length.
///
/// Redis: what GET did not find is stored as an empty string, and every element counts as a change.
pub fn store(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    chosen: &Elements,
    options: &Options<'_>,
    values: &[&Values],
) -> i64 {
    let limit = NodeLimit::new(ctx.shard.settings.encodings.list_node);
    let mut list = List::default();
    show(chosen, options, values, |element| list.push(End::Back, element.unwrap_or_default(), limit));
    let stored = list.len() as u64;
    ctx.keys().store(key, list, Event::SORTSTORE);
    ctx.shard.effects.dirty += stored.saturating_sub(1);
    // The keys that BY and GET name may be anywhere, and may have changed when the log is read.
    ctx.say(|log, _| log.say_state());
    stored as i64
}
