//! Splitting a configuration line into arguments, and quoting an argument for one.
//!
//! The grammar is Redis's: blanks separate; double quotes understand `\n \r \t \b \a \xHH` and
//! take any other escaped byte as itself; single quotes understand only `\'`; a closing quote
//! must be followed by a blank or the end. One thing is added, and only where Redis would refuse
//! the line: an unquoted `#` that starts an argument after the first value starts a comment.

/// A line in its parts.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub args: Vec<Vec<u8>>,
    /// The trailing comment with its `#`; empty when there is none.
    pub comment: Vec<u8>,
}

/// The line has a quote that is not closed, or is followed by something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnbalancedQuotes;

/// Which `#` starts a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// None; every `#` is data.
    None,
    /// One at the start of an argument after the directive and its first value, except that in
    /// lines whose arguments may well start with `#` (a password hash in `user`, arguments of
    /// modules) it must stand alone.
    Trailing,
}

/// Splits a line into arguments.
pub fn split(line: &[u8], comments: Comments) -> Result<Line, UnbalancedQuotes> {
    // Redis reads lines as C strings.
    let line = &line[..line.iter().position(|byte| *byte == 0).unwrap_or(line.len())];
    let mut args: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(is_space) {
            at += 1;
        }
        if at == line.len() {
            return Ok(Line { args, comment: Vec::new() });
        }
        if comments == Comments::Trailing && starts_comment(&args, &line[at..]) {
            return Ok(Line { args, comment: line[at..].to_vec() });
        }
        let (arg, next) = argument(line, at)?;
        args.push(arg);
        at = next;
    }
}

fn starts_comment(args: &[Vec<u8>], rest: &[u8]) -> bool {
    if rest[0] != b'#' || args.len() < 2 {
        return false;
    }
    let directive = args[0].to_ascii_lowercase();
    let hash_is_data =
        matches!(directive.as_slice(), b"user" | b"loadmodule" | b"sentinel") || directive.contains(&b'.');
    !hash_is_data || rest.get(1).is_none_or(is_space)
}

/// Reads one argument from `at`, which is not a blank; returns it and where it ended.
fn argument(line: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), UnbalancedQuotes> {
    let mut arg = Vec::new();
    while let Some(&byte) = line.get(at) {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => return Ok((arg, at)),
            b'"' => {
                at = double_quoted(line, at + 1, &mut arg)?;
                return Ok((arg, at));
            }
            b'\'' => {
                at = single_quoted(line, at + 1, &mut arg)?;
                return Ok((arg, at));
            }
            _ => {
                arg.push(byte);
                at += 1;
            }
        }
    }
    Ok((arg, at))
}

fn double_quoted(line: &[u8], mut at: usize, arg: &mut Vec<u8>) -> Result<usize, UnbalancedQuotes> {
    loop {
        match &line[at..] {
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or(0) as u8;
                arg.push(digit(*high) * 16 + digit(*low));
                at += 4;
            }
            [b'\\', escaped, ..] => {
                arg.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                at += 2;
            }
            [b'"', rest @ ..] => return closed(rest, at + 1),
            [byte, ..] => {
                arg.push(*byte);
                at += 1;
            }
            [] => return Err(UnbalancedQuotes),
        }
    }
}

fn single_quoted(line: &[u8], mut at: usize, arg: &mut Vec<u8>) -> Result<usize, UnbalancedQuotes> {
    loop {
        match &line[at..] {
            [b'\\', b'\'', ..] => {
                arg.push(b'\'');
                at += 2;
            }
            [b'\'', rest @ ..] => return closed(rest, at + 1),
            [byte, ..] => {
                arg.push(*byte);
                at += 1;
            }
            [] => return Err(UnbalancedQuotes),
        }
    }
}

fn closed(rest: &[u8], next: usize) -> Result<usize, UnbalancedQuotes> {
    if rest.first().is_none_or(is_space) { Ok(next) } else { Err(UnbalancedQuotes) }
}

/// C's `isspace` in the C locale, which has two more blanks than end an unquoted argument.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Quotes an argument so that [`split`] gives it back.
pub fn quote(arg: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(arg.len() + 2);
    quoted.push(b'"');
    for byte in arg {
        match byte {
            b'\\' | b'"' => quoted.extend([b'\\', *byte]),
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            b'\t' => quoted.extend(b"\\t"),
            0x07 => quoted.extend(b"\\a"),
            0x08 => quoted.extend(b"\\b"),
            0x20..=0x7e => quoted.push(*byte),
            _ => quoted.extend(format!("\\x{byte:02x}").bytes()),
        }
    }
    quoted.push(b'"');
    quoted
}

/// Trims the blanks that Redis trims from a line.
pub fn trim(line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
    let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &line[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn args(line: &str) -> Result<Vec<String>, UnbalancedQuotes> {
        let line = split(line.as_bytes(), Comments::Trailing)?;
        Ok(line.args.into_iter().map(|arg| String::from_utf8_lossy(&arg).into_owned()).collect())
    }

    #[test]
    fn quotes_and_escapes_follow_redis() {
        assert_eq!(args("").unwrap(), Vec::<String>::new());
        assert_eq!(args(" a  b\tc ").unwrap(), ["a", "b", "c"]);
        assert_eq!(args(r#"save """#).unwrap(), ["save", ""]);
        assert_eq!(args(r#"a "b\x41\n\t\q\"" 'c\'d\n'"#).unwrap(), ["a", "bA\n\tq\"", "c'd\\n"]);
        assert_eq!(args(r#"pre"fix""#).unwrap(), ["prefix"]);
        assert_eq!(args(r#"a "\xzz""#).unwrap(), ["a", "xzz"]);
        for wrong in [r#"a "b"#, "a 'b", r#"a "b"c"#, "a 'b'c", r#"a "b\"#] {
            assert_eq!(args(wrong), Err(UnbalancedQuotes), "{wrong}");
        }
    }

    #[test]
    fn a_trailing_comment_is_not_an_argument() {
        assert_eq!(args("port 7000 # don't").unwrap(), ["port", "7000"]);
        assert_eq!(args("port 7000 #x").unwrap(), ["port", "7000"]);
        assert_eq!(args("requirepass #secret").unwrap(), ["requirepass", "#secret"]);
        assert_eq!(args("requirepass pass#word # mine").unwrap(), ["requirepass", "pass#word"]);
        assert_eq!(args(r##"bind a "#b""##).unwrap(), ["bind", "a", "#b"]);
        assert_eq!(args("user a on #0123 ~* # all").unwrap(), ["user", "a", "on", "#0123", "~*"]);
        let line = split(b"port 1 # why", Comments::Trailing).unwrap();
        assert_eq!(line.comment, b"# why");
    }

    proptest! {
        #[test]
        fn splitting_never_panics(line: Vec<u8>) {
            let _ = split(&line, Comments::Trailing);
            let _ = split(&line, Comments::None);
        }

        #[test]
        fn splitting_hostile_lines_never_panics(line in r##"[ab\\x'" #\t0-9\.]{0,40}"##) {
            let _ = split(line.as_bytes(), Comments::Trailing);
        }

        #[test]
        fn a_quoted_argument_comes_back(arg: Vec<u8>) {
            let line = split(&quote(&arg), Comments::Trailing).unwrap();
            prop_assert_eq!(line.args, vec![arg]);
        }
    }
}
