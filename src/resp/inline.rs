//! Inline requests: one line of words, as a person types it.
//!
//! Words are separated by white space; a word may hold parts in double quotes (with escapes) or
//! single quotes. A line without quotes is split in place; one with quotes is unescaped into a
//! buffer of its own.

use super::request::Span;

/// The line has a quote that is not closed, or is closed in the middle of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbalanced;

/// Splits `line`, which holds no quotes, into spans of itself.
pub(super) fn split_plain(line: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    while let Some(start) = word_start(line, at) {
        let len = line[start..].iter().position(|&byte| ends_word(byte)).unwrap_or(line.len() - start);
        spans.push(Span { start, end: start + len });
        at = start + len;
    }
}

/// Splits `line` and appends the unescaped words to `words`; the spans point into `words`.
///
/// The same rules hold for the lines of a configuration file. A zero byte is an ordinary one here; the
/// parser never passes a line that has one.
pub fn split_quoted(line: &[u8], words: &mut Vec<u8>, spans: &mut Vec<Span>) -> Result<(), Unbalanced> {
    let mut at = 0;
    while let Some(start) = word_start(line, at) {
        let begin = words.len();
        at = unquote_word(line, start, words)?;
        spans.push(Span { start: begin, end: words.len() });
    }
    Ok(())
}

/// Copies the word at `at` without its quotes and escapes; returns where it ends.
fn unquote_word(line: &[u8], mut at: usize, words: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    while let Some(&byte) = line.get(at) {
        match byte {
            b'"' => return unquote_part(line, at + 1, words, b'"'),
            b'\'' => return unquote_part(line, at + 1, words, b'\''),
            _ if ends_word(byte) => break,
            _ => words.push(byte),
        }
        at += 1;
    }
    Ok(at)
}

/// Copies the inside of a quoted part. Redis: a closing quote ends the word and must be followed by
/// white space or the end of the line, while an opening one may stand in the middle of a word.
fn unquote_part(line: &[u8], mut at: usize, words: &mut Vec<u8>, quote: u8) -> Result<usize, Unbalanced> {
    loop {
        let rest = line.get(at..).unwrap_or_default();
        match *rest {
            [] => return Err(Unbalanced),
            [byte, ..] if byte == quote => {
                return match rest.get(1) {
                    Some(&next) if !is_space(next) => Err(Unbalanced),
                    _ => Ok(at + 1),
                };
            }
            [b'\\', b'\'', ..] if quote == b'\'' => {
                words.push(b'\'');
                at += 2;
            }
            [b'\\', b'x', high, low, ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                words.push(hex_value(high) * 16 + hex_value(low));
                at += 4;
            }
            [b'\\', escaped, ..] if quote == b'"' => {
                words.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                });
                at += 2;
            }
            [byte, ..] => {
                words.push(byte);
                at += 1;
            }
        }
    }
}

fn word_start(line: &[u8], at: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    Some(at + rest.iter().position(|&byte| !is_space(byte))?)
}

/// White space of the C locale.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}

/// Redis: vertical tab and form feed are skipped before a word but do not end one.
///
/// INVARIANT: whatever ends a word is white space, else a word could be empty and the line never end.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}
