//! The value of a setting: read from text, and written back as CONFIG GET shows it.
//!
//! Reading never changes anything; it takes the value in force because some settings are merged
//! into it (buffer limits name only some classes, `save` lines of a file add up).

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::number;
use super::setting::{Kind, Range, Setting, Unit};
use super::special::{self, OutputLimit, PrimaryAddress, SaveRule};

/// What a setting holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Flag(bool),
    /// A 64-bit pattern; the setting's range says whether it is signed.
    Number(i64),
    Choice(u32),
    Text(String),
    Secret(Vec<u8>),
    Directory(PathBuf),
    Save(Vec<SaveRule>),
    OutputLimits([OutputLimit; 3]),
    OomScores([i32; 3]),
    Events(u32),
    Bind(Vec<String>),
    Primary(Option<PrimaryAddress>),
    Percentiles(Vec<f64>),
}

/// Why a value was refused, in the words that CONFIG SET answers.
pub type Refusal = Cow<'static, str>;

/// Reads the arguments of a directive.
///
/// Settings that do not take several arguments look at the first only; callers have counted.
pub fn parse(setting: &Setting, args: &[&[u8]], current: &Value) -> Result<Value, Refusal> {
    let first = args.first().copied().unwrap_or_default();
    let value = match setting.kind {
        Kind::Flag => Value::Flag(flag(first)?),
        Kind::Number(range) => Value::Number(number_in(range, first)?),
        Kind::Choice { names, several } => Value::Choice(choice(names, several, args)?),
        Kind::Text { .. } => Value::Text(text(first)?),
        Kind::Secret => Value::Secret(first.to_vec()),
        Kind::Directory => Value::Directory(directory(first, current)?),
        Kind::Save => Value::Save(special::parse_save(args)?),
        Kind::OutputLimits => {
            let mut limits = match current {
                Value::OutputLimits(limits) => *limits,
                _ => [OutputLimit::default(); 3],
            };
            special::parse_output_limits(args, &mut limits)?;
            Value::OutputLimits(limits)
        }
        Kind::OomScores => Value::OomScores(special::parse_oom_scores(args)?),
        Kind::Events => Value::Events(special::parse_events(first)?),
        Kind::Bind => Value::Bind(special::parse_bind(args)?),
        Kind::Primary => Value::Primary(special::parse_primary(args)?),
        Kind::Percentiles => Value::Percentiles(special::parse_percentiles(args)?),
    };
    if let Some(check) = setting.check {
        check(&value)?;
    }
    Ok(value)
}

/// Writes a value as CONFIG GET reports it.
pub fn show(setting: &Setting, value: &Value) -> Vec<u8> {
    let shown = match value {
        Value::Secret(bytes) => return bytes.clone(),
        Value::Directory(path) => return path_bytes(path).to_vec(),
        Value::Text(text) => text.clone(),
        Value::Flag(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::Number(number) => show_number(setting, *number),
        Value::Choice(bits) => show_choice(setting, *bits),
        Value::Save(rules) => special::show_save(rules),
        Value::OutputLimits(limits) => special::show_output_limits(limits),
        Value::OomScores(scores) => special::show_oom_scores(scores),
        Value::Events(events) => special::show_events(*events),
        Value::Bind(addresses) => addresses.join(" "),
        Value::Primary(primary) => special::show_primary(primary.as_ref()),
        Value::Percentiles(percentiles) => special::show_percentiles(percentiles),
    };
    shown.into_bytes()
}

pub(super) fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

fn flag(text: &[u8]) -> Result<bool, Refusal> {
    if text.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

/// Redis keeps most texts as C strings, so they end at a NUL byte.
fn text(bytes: &[u8]) -> Result<String, Refusal> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..end].to_vec()).map_err(|_| "argument must be valid UTF-8".into())
}

/// Resolves a directory against the one in force; it must exist, as Redis changes into it at once.
fn directory(bytes: &[u8], current: &Value) -> Result<PathBuf, Refusal> {
    let given = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes));
    let joined = match current {
        Value::Directory(base) if !bytes.is_empty() => base.join(given),
        _ => given.to_path_buf(),
    };
    match std::fs::canonicalize(&joined) {
        Ok(path) if path.is_dir() => Ok(path),
        Ok(_) => Err("Not a directory".into()),
        Err(error) => Err(os_text(&error).into()),
    }
}

/// The system's words for an error, without Rust's remark about its number.
pub(super) fn os_text(error: &std::io::Error) -> String {
    let shown = error.to_string();
    match shown.find(" (os error") {
        Some(end) => shown[..end].to_string(),
        None => shown,
    }
}

fn number_in(range: Range, text: &[u8]) -> Result<i64, Refusal> {
    let number = read_number(range.unit, text)?;
    if range.unit == Unit::MemoryOrPercent && number < 0 {
        // Percentages are held as negative numbers.
        if number < range.min {
            let max = range.min.unsigned_abs();
            return Err(format!("percentage argument must be less or equal to {max}").into());
        }
        return Ok(number);
    }
    if range.unsigned {
        let (min, max) = (range.min as u64, range.max as u64);
        if !(min..=max).contains(&(number as u64)) {
            return Err(if range.unit == Unit::Octal {
                format!("argument must be between {min:o} and {max:o} inclusive").into()
            } else {
                format!("argument must be between {min} and {max} inclusive").into()
            });
        }
    } else if !(range.min..=range.max).contains(&number) {
        return Err(format!("argument must be between {} and {} inclusive", range.min, range.max).into());
    }
    Ok(number)
}

fn read_number(unit: Unit, text: &[u8]) -> Result<i64, Refusal> {
    let (number, refusal) = match unit {
        Unit::Count => (number::canonical(text), "argument couldn't be parsed into an integer"),
        Unit::Memory => (number::memory(text).map(|bytes| bytes as i64), "argument must be a memory value"),
        Unit::MemoryOrPercent => (
            number::memory(text).map(|bytes| bytes as i64).or_else(|| percentage(text)),
            "argument must be a memory or percent value",
        ),
        Unit::Octal => (
            number::c_integer(text, 8).and_then(|(number, overflow)| (!overflow).then_some(number)),
            "argument couldn't be parsed as an octal number",
        ),
    };
    number.ok_or(Cow::Borrowed(refusal))
}

fn percentage(text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"%")?;
    number::canonical(digits).filter(|number| *number >= 0).map(|number| -number)
}

fn show_number(setting: &Setting, number: i64) -> String {
    let Kind::Number(range) = setting.kind else { return number.to_string() };
    match range.unit {
        Unit::MemoryOrPercent if number < 0 => format!("{}%", number.unsigned_abs()),
        Unit::Octal => format!("{number:o}"),
        Unit::Memory | Unit::MemoryOrPercent => (number as u64).to_string(),
        Unit::Count => number.to_string(),
    }
}

fn choice(names: &[(&'static str, u32)], several: bool, args: &[&[u8]]) -> Result<u32, Refusal> {
    let refusal = || {
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        format!("argument(s) must be one of the following: {}", names.join(", ")).into()
    };
    if args.is_empty() || (!several && args.len() != 1) {
        return Err(refusal());
    }
    let mut bits = 0;
    for arg in args {
        let known = names.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(arg));
        bits |= known.ok_or_else(refusal)?.1;
    }
    Ok(bits)
}

pub(super) fn show_choice(setting: &Setting, bits: u32) -> String {
    let Kind::Choice { names, several } = setting.kind else { return String::new() };
    if let Some((name, _)) = names.iter().find(|(_, value)| *value == bits) {
        return (*name).into();
    }
    debug_assert!(several, "a single choice holds the value of one name");
    let mut rest = bits;
    let mut shown: Vec<&str> = Vec::new();
    for (name, value) in names {
        if *value != 0 && rest & value == *value {
            shown.push(name);
            rest &= !value;
        }
    }
    shown.join(" ")
}
