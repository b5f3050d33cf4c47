//! The files that an `include` names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Expands a path with wildcards into the files that exist, sorted; a path without wildcards is
/// itself, whether or not it exists.
///
/// Redis: a pattern that matches nothing is no error, so that an empty `conf.d` can be included.
pub fn expand(pattern: &[u8]) -> Vec<PathBuf> {
    let whole = Path::new(OsStr::from_bytes(pattern));
    if !has_wildcards(pattern) {
        return vec![whole.to_path_buf()];
    }
    let mut found: Vec<PathBuf> = vec![PathBuf::new()];
    for component in whole.components() {
        let component = component.as_os_str();
        let mut deeper = Vec::new();
        for base in found {
            if has_wildcards(component.as_bytes()) {
                deeper.extend(matching(&base, component.as_bytes()));
            } else {
                deeper.push(base.join(component));
            }
        }
        found = deeper;
    }
    found.retain(|path| path.exists());
    found
}

fn has_wildcards(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[".contains(byte))
}

/// The entries of a directory that match, sorted; hidden ones only for a pattern that says so.
fn matching(base: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let dir = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| {
            let name = name.as_bytes();
            (pattern[0] == b'.' || name[0] != b'.') && name_matches(pattern, name)
        })
        .collect();
    names.sort();
    names.into_iter().map(|name| base.join(name)).collect()
}

/// Whether a file name matches a pattern of `*`, `?`, `[a-z]`, `[!a-z]` and `\` before a byte.
///
/// Runs in at most pattern times name steps: only the last `*` is ever tried again.
fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some((p, n));
            continue;
        }
        match one(&pattern[p..], name[n]) {
            Some(length) => {
                p += length;
                n += 1;
            }
            None => {
                let Some((after, from)) = star else { return false };
                p = after;
                n = from + 1;
                star = Some((after, n));
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte with the start of a pattern; says how long that start is.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', class @ ..] => match class_end(class) {
            Some(end) => class_matches(&class[..end], byte).then_some(end + 2),
            // Without an end it is a plain bracket.
            None => (byte == b'[').then_some(1),
        },
        [plain, ..] => (*plain == byte).then_some(1),
    }
}

/// Where the `]` of a class is; one that comes first belongs to the class.
fn class_end(class: &[u8]) -> Option<usize> {
    let first = usize::from(matches!(class.first(), Some(b'!' | b'^')));
    class.iter().skip(first + 1).position(|byte| *byte == b']').map(|end| end + first + 1)
}

fn class_matches(class: &[u8], byte: u8) -> bool {
    let (negated, mut class) = match class {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let Some(&first) = class.first() {
        if class.len() >= 3 && class[1] == b'-' {
            found |= (first..=class[2]).contains(&byte);
            class = &class[3..];
        } else {
            found |= first == byte;
            class = &class[1..];
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_match_shell_patterns() {
        let yes = [("*.conf", "a.conf"), ("a?c", "abc"), ("[a-c]x", "bx"), ("[!a]x", "bx"), ("a\\*", "a*")];
        let no = [("*.conf", "a.conf~"), ("a?c", "ac"), ("[a-c]x", "dx"), ("[!a]x", "ax"), ("a\\*", "ab")];
        for (pattern, name) in yes.iter().chain(&[("[]a]", "]"), ("[", "["), ("**", "")]) {
            assert!(name_matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!name_matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_expand_to_existing_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let pattern = dir.path().join("*.conf");
        let found = expand(pattern.as_os_str().as_bytes());
        assert_eq!(found, [dir.path().join("a.conf"), dir.path().join("b.conf")]);
        assert_eq!(expand(dir.path().join("x*").as_os_str().as_bytes()), Vec::<PathBuf>::new());
        assert_eq!(expand(b"/no/such/file"), [PathBuf::from("/no/such/file")]);
    }

    proptest! {
        #[test]
        fn matching_never_panics(pattern in r"[ab\[\]!^\\*?-]{0,12}", name in "[ab!-]{0,12}") {
            name_matches(pattern.as_bytes(), name.as_bytes());
        }
    }
}
