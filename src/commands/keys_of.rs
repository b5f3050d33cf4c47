//! The keys of a request: the one extraction that routing, intents, COMMAND GETKEYS, ACL and tracking share.
//!
//! INVARIANT: the keys checked are the keys executed. Nobody else looks for keys among arguments.

use smallvec::SmallVec;

use super::spec::{Access, Begin, Find, KeySpec, Row};
use crate::resp::Argv;

/// A key's place among the arguments and how it is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyAt {
    pub index: usize,
    pub access: Access,
}

/// The keys of one request, in the order of the specs.
pub type KeysAt = SmallVec<[KeyAt; 8]>;

/// Why keys cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeysError {
    /// The arguments do not fit the specs (a key count that is no number or too large).
    Invalid,
}

/// Extracts the keys of a request whose arity is right.
pub fn keys_of(row: &Row, argv: Argv<'_>) -> Result<KeysAt, KeysError> {
    let mut keys = KeysAt::new();
    for spec in row.keys {
        if spec.access.has(Access::NOT_KEY) {
            continue;
        }
        keys_of_spec(spec, argv, &mut keys)?;
    }
    if let Some(more) = row.more_keys {
        more(argv, &mut keys);
    }
    Ok(keys)
}

fn keys_of_spec(spec: &KeySpec, argv: Argv<'_>, keys: &mut KeysAt) -> Result<(), KeysError> {
    let Some(begin) = begin_of(spec.begin, argv) else { return Ok(()) };
    let (first, last, step) = match spec.find {
        Find::Unknown => return Ok(()),
        Find::Range { last, step, limit } => {
            let last = if last >= 0 {
                begin + last as usize
            } else if limit > 1 {
                // Of what remains from `begin` on, only the first part are keys.
                let remaining = argv.len().saturating_sub(begin);
                (begin + remaining / limit).saturating_sub(1)
            } else {
                match argv.len().checked_add_signed(last) {
                    Some(last) => last,
                    None => return Ok(()),
                }
            };
            (begin, last, step)
        }
        Find::KeyNum { index, first, step } => {
            let count = argv.try_get(begin + index).and_then(crate::types::number::parse_i64);
            let count = count.and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
            let (Some(count), first) = (count, begin + first) else { return Err(KeysError::Invalid) };
            let last =
                count.checked_sub(1).and_then(|n| n.checked_mul(step)).and_then(|n| n.checked_add(first));
            (first, last.ok_or(KeysError::Invalid)?, step)
        }
    };
    if last >= argv.len() {
        return if first > last { Ok(()) } else { Err(KeysError::Invalid) };
    }
    keys.extend((first..=last).step_by(step.max(1)).map(|index| KeyAt { index, access: spec.access }));
    Ok(())
}

fn begin_of(begin: Begin, argv: Argv<'_>) -> Option<usize> {
    match begin {
        Begin::Index(index) => (index < argv.len()).then_some(index),
        Begin::Keyword { word, from } => {
            let is_word = |index: &usize| argv.get(*index).eq_ignore_ascii_case(word.as_bytes());
            let found = if from >= 0 {
                (from as usize..argv.len()).find(is_word)
            } else {
                let start = argv.len().checked_add_signed(from)?;
                (1..=start).rev().find(is_word)
            };
            found.map(|index| index + 1).filter(|index| *index < argv.len())
        }
        Begin::Unknown => None,
    }
}
