//! Which elements, in which order.

use std::cmp::Ordering;

use super::elements::Elements;
use super::options::Options;
use super::pattern::Values;
use crate::commands::CommandError;
use crate::types::number::{parse_f64, parse_i64};

pub const NOT_A_NUMBER: CommandError =
    CommandError::Line("ERR One or more scores can't be converted into double");

/// The elements in order, as far as LIMIT wants them. `weights` are what BY's keys hold.
///
/// Redis: equal numbers are ordered by their elements' bytes. Equal weights of ALPHA are not; here they stay in the
/// order of the elements. A missing weight is 0, or before all others with ALPHA.
pub fn chosen(
    elements: &Elements,
    options: &Options<'_>,
    weights: &[&Values],
) -> Result<Elements, CommandError> {
    let mut chosen = Elements::in_final_order();
    let range = if elements.is_final { 0..elements.len() } else { options.range(elements.len()) };
    let mut push = |index: usize| chosen.push(elements.get(index));
    // Redis: a set that is stored unsorted is sorted by its members' bytes, so that the result is always the same.
    let by_bytes = options.keeps_order && elements.are_unordered && options.store.is_some();
    if elements.is_final || (options.keeps_order && !by_bytes) {
        range.for_each(&mut push);
        return Ok(chosen);
    }
    let flip = |order: Ordering| if options.descending { order.reverse() } else { order };
    let bytes = |a: u32, b: u32| elements.get(a as usize).cmp(elements.get(b as usize));
    let count = u32::try_from(elements.len()).map_err(|_| CommandError::OutOfRange)?;
    let weights = (options.weight_pattern().is_some()).then(|| Values::by_cell(weights, elements.len()));
    if options.alpha || by_bytes {
        let mut all: Vec<u32> = (0..count).collect();
        match weights {
            None => sort(&mut all, range.end, |a, b| flip(bytes(*a, *b)).then(a.cmp(b))),
            Some(weights) => sort(&mut all, range.end, |a, b| {
                flip(weights[*a as usize].cmp(&weights[*b as usize])).then(a.cmp(b))
            }),
        }
        all[range].iter().for_each(|index| push(*index as usize));
        return Ok(chosen);
    }
    let score_of = |index: u32| match &weights {
        None => score(elements.get(index as usize)),
        Some(weights) => weights[index as usize].map_or(Some(0.0), score),
    };
    let mut all = (0..count)
        .map(|index| score_of(index).map(|score| (score, index)))
        .collect::<Option<Vec<(f64, u32)>>>()
        .ok_or(NOT_A_NUMBER)?;
    sort(&mut all, range.end, |(a, index_a), (b, index_b)| {
        let numbers = a.partial_cmp(b).unwrap_or(Ordering::Equal);
        flip(numbers.then_with(|| bytes(*index_a, *index_b))).then(index_a.cmp(index_b))
    });
    all[range].iter().for_each(|(_, index)| push(*index as usize));
    Ok(chosen)
}

/// Brings the first `wanted` to the front, in order.
fn sort<T>(all: &mut [T], wanted: usize, compare: impl Fn(&T, &T) -> Ordering) {
    if wanted == 0 {
        return;
    }
    if wanted < all.len() / 2 {
        all.select_nth_unstable_by(wanted, &compare);
        return all[..wanted].sort_unstable_by(compare);
    }
    all.sort_unstable_by(compare);
}

/// The number that a text is: what C's `strtod` reads, if that is all of it.
///
/// Redis: nothing is zero, space before a number is skipped, what follows a zero byte is not seen.
pub fn score(text: &[u8]) -> Option<f64> {
    if let Some(value) = parse_i64(text) {
        return Some(value as f64);
    }
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r');
    let begin = text.iter().position(|byte| !is_space(byte))?;
    parse_f64(&text[begin..])
}
