//! Glob patterns as Redis matches them (KEYS, SCAN, CONFIG GET, PSUBSCRIBE, ACL).
//!
//! `*` is any run of bytes, `?` one byte, `[a-c]` and `[^a-c]` one of a class, and a backslash
//! takes the next byte as itself. Bytes, not characters.
//!
//! The results are those of Redis's recursive matcher, its oddities included; the work is not: it
//! is bounded by pattern length times text length, because only the last `*` is ever retried. A
//! star matches as little as possible first, and once the part after it has matched, an earlier
//! star has nothing to gain from taking more. Redis, which recurses per star, gives up and says
//! "no match" in patterns of more than a thousand of them; so do we, to answer the same.

/// Redis: the depth of recursion, and so the number of stars, beyond which nothing matches.
const STARS_MAX: usize = 1000;

/// Whether the whole text matches the pattern; `nocase` ignores the case of ASCII letters.
///
/// Takes at most `pattern.len() * text.len()` steps and allocates nothing.
pub fn glob_match(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star, and what it left of the text.
    let mut retry: Option<(usize, usize)> = None;
    let mut stars = 0;
    loop {
        if p < pattern.len() && t < text.len() {
            if pattern[p] == b'*' {
                while pattern.get(p) == Some(&b'*') {
                    p += 1;
                }
                if p == pattern.len() {
                    return true;
                }
                stars += 1;
                if stars > STARS_MAX {
                    return false;
                }
                retry = Some((p, t));
                continue;
            }
            if let Some(length) = match_one(&pattern[p..], text[t], nocase) {
                p += length;
                t += 1;
                continue;
            }
        } else if t == text.len() && only_stars(&pattern[p..], text.is_empty()) {
            return true;
        }
        // A mismatch, or one of the two ended early: the last star takes one byte more.
        match retry {
            Some((after, from)) if from + 1 < text.len() => {
                p = after;
                t = from + 1;
                retry = Some((after, t));
            }
            _ => return false,
        }
    }
}

/// Whether what is left of a pattern matches the end of the text.
///
/// Redis: stars at the end are skipped only after something was consumed, so an empty text
/// matches the empty pattern alone; callers treat `*` before they get here.
fn only_stars(rest: &[u8], text_was_empty: bool) -> bool {
    rest.is_empty() || (!text_was_empty && rest.iter().all(|byte| *byte == b'*'))
}

/// Matches one byte with the start of a pattern that is not a star; says how long that start is.
fn match_one(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', ..] => match_class(pattern, byte, nocase),
        [b'\\', escaped, ..] => same(*escaped, byte, nocase).then_some(2),
        [plain, ..] => same(*plain, byte, nocase).then_some(1),
        [] => None,
    }
}

/// Matches a class that starts with `[`; says how long it is, its `]` included.
///
/// Redis: a class without an end goes to the end of the pattern; an escaped byte is compared
/// with its case even when case is ignored; the ends of a range may come in either order.
fn match_class(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    loop {
        match &pattern[at.min(pattern.len())..] {
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [] => break,
            [start, b'-', end, ..] => {
                found |= in_range(*start, *end, byte, nocase);
                at += 3;
            }
            [plain, ..] => {
                found |= same(*plain, byte, nocase);
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

/// Redis: the ends of a range are ordered, and bytes compared, as C's signed `char`; but ignoring
/// case goes through `tolower`, which gives bytes above 127 their unsigned value, except for 255,
/// which it takes for the end of a file.
fn in_range(start: u8, end: u8, byte: u8, nocase: bool) -> bool {
    let (start, end) = if (start as i8) > (end as i8) { (end, start) } else { (start, end) };
    let fold = |byte: u8| match byte {
        0x80..=0xfe if nocase => i32::from(byte),
        _ if nocase => i32::from(byte.to_ascii_lowercase() as i8),
        _ => i32::from(byte as i8),
    };
    (fold(start)..=fold(end)).contains(&fold(byte))
}

fn same(left: u8, right: u8, nocase: bool) -> bool {
    if nocase { left.eq_ignore_ascii_case(&right) } else { left == right }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        glob_match(pattern.as_bytes(), text.as_bytes(), false)
    }

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("", ""),
            ("*", "a"),
            ("**", "a"),
            ("a*", "a"),
            ("a***", "a"),
            ("*b*", "abc"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hbllo"),
            ("a\\*c", "a*c"),
            ("a\\", "a\\"),
            ("[a", "a"),
            ("[\\]]", "]"),
            ("[a-]", "a"),
            ("*a*b*c", "xxaxxbxxc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            // Redis: stars match an empty text only behind something.
            ("*", ""),
            ("a", ""),
            ("?", ""),
            ("", "a"),
            ("a\\*c", "abc"),
            ("h[^e]llo", "hello"),
            ("[]a]", "a"),
            ("a*b", "a"),
            ("*a*b*c", "xxaxxcxxb"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn case_is_ignored_on_demand_but_not_behind_a_backslash_in_a_class() {
        let nocase = |pattern: &str, text: &str| glob_match(pattern.as_bytes(), text.as_bytes(), true);
        assert!(nocase("MAX*", "maxmemory"));
        assert!(nocase("[A-C]x", "bX"));
        assert!(nocase("\\A", "a"));
        assert!(!nocase("[\\A]", "a"));
    }

    #[test]
    fn hostile_patterns_take_bounded_work() {
        let text = "a".repeat(20_000);
        assert!(!matches(&format!("{}b", "*a".repeat(500)), &text));
        assert!(matches(&"*a".repeat(STARS_MAX), &text));
        assert!(!matches(&"*a".repeat(STARS_MAX + 1), &text));
    }

    /// The definition, without bounds: a star tries everything.
    fn by_definition(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (_, []) | ([], _) => false,
            ([b'*', rest @ ..], _) => {
                rest.iter().all(|byte| *byte == b'*')
                    || (0..text.len()).any(|from| by_definition(rest, &text[from..], nocase))
            }
            (_, [byte, rest @ ..]) => match_one(pattern, *byte, nocase).is_some_and(|length| {
                let pattern = &pattern[length..];
                let done = rest.is_empty() && pattern.iter().all(|byte| *byte == b'*');
                done || by_definition(pattern, rest, nocase)
            }),
        }
    }

    proptest! {
        #[test]
        fn any_bytes_do_not_panic(pattern: Vec<u8>, text: Vec<u8>, nocase: bool) {
            glob_match(&pattern, &text, nocase);
        }

        #[test]
        fn retrying_the_last_star_is_enough(
            pattern in r"[abA*?\[\]^\\-]{0,10}",
            text in "[abA*\\]-]{0,10}",
            nocase: bool,
        ) {
            prop_assert_eq!(
                glob_match(pattern.as_bytes(), text.as_bytes(), nocase),
                by_definition(pattern.as_bytes(), text.as_bytes(), nocase)
            );
        }
    }
}
