//! A reply, as the wire carried it.
//!
//! Numbers and doubles keep their text, and the three ways to say "nothing" stay apart, so that two
//! values are equal only if their bytes were. A case writes what it expects in RESP3 and
//! [`Value::as_seen_in`] says what a RESP2 client gets instead.

use super::client::Protocol;
use std::fmt;

/// One reply of the server, of any type of RESP2 or RESP3.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    /// `_` in RESP3, `$-1` in RESP2.
    Null,
    /// `_` in RESP3, `*-1` in RESP2. A RESP3 reply is never parsed as this.
    NullArray,
    Array(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Set(Vec<Value>),
    /// The text of the double, because that is what must be the same.
    Double(Vec<u8>),
    Bool(bool),
    BigNumber(Vec<u8>),
    /// The format (`txt`, `mkd`) and the text.
    Verbatim(Vec<u8>, Vec<u8>),
    Push(Vec<Value>),
    /// `|`: facts about the reply that follows, and that reply.
    Attribute(Vec<(Value, Value)>, Box<Value>),
    /// A bulk string error (`!`) of RESP3.
    BulkError(Vec<u8>),
}

impl Value {
    /// What this RESP3 value becomes for a client of `protocol`.
    pub fn as_seen_in(&self, protocol: Protocol) -> Value {
        let each = |values: &[Value]| values.iter().map(|v| v.as_seen_in(protocol)).collect::<Vec<_>>();
        let pairs = |pairs: &[(Value, Value)]| {
            pairs.iter().map(|(k, v)| (k.as_seen_in(protocol), v.as_seen_in(protocol))).collect::<Vec<_>>()
        };
        match (self, protocol) {
            (Value::NullArray, Protocol::Resp3) => Value::Null,
            (Value::Array(values), _) => Value::Array(each(values)),
            (Value::Map(entries), Protocol::Resp3) => Value::Map(pairs(entries)),
            (Value::Map(entries), Protocol::Resp2) => {
                Value::Array(pairs(entries).into_iter().flat_map(|(k, v)| [k, v]).collect())
            }
            (Value::Set(values), Protocol::Resp3) => Value::Set(each(values)),
            (Value::Push(values), Protocol::Resp3) => Value::Push(each(values)),
            (Value::Set(values) | Value::Push(values), Protocol::Resp2) => Value::Array(each(values)),
            (Value::Double(text) | Value::BigNumber(text) | Value::Verbatim(_, text), Protocol::Resp2) => {
                Value::Bulk(text.clone())
            }
            (Value::Bool(truth), Protocol::Resp2) => Value::Int(i64::from(*truth)),
            (Value::BulkError(text), Protocol::Resp2) => Value::Error(text.clone()),
            (Value::Attribute(facts, value), Protocol::Resp3) => {
                Value::Attribute(pairs(facts), Box::new(value.as_seen_in(protocol)))
            }
            (Value::Attribute(_, value), Protocol::Resp2) => value.as_seen_in(protocol),
            _ => self.clone(),
        }
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Value::Error(_) | Value::BulkError(_))
    }

    /// The bytes of a string-like reply.
    #[track_caller]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Value::Simple(text)
            | Value::Error(text)
            | Value::BulkError(text)
            | Value::Bulk(text)
            | Value::Double(text)
            | Value::BigNumber(text)
            | Value::Verbatim(_, text) => text,
            other => panic!("{other} is not a string"),
        }
    }

    /// The text of a string-like reply, lossy where it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    #[track_caller]
    pub fn int(&self) -> i64 {
        match self {
            Value::Int(number) => *number,
            other => panic!("{other} is not an integer"),
        }
    }

    /// The elements of an array, set or push; a map's keys and values in turn.
    #[track_caller]
    pub fn elements(&self) -> Vec<Value> {
        match self {
            Value::Array(values) | Value::Set(values) | Value::Push(values) => values.clone(),
            Value::Map(pairs) => pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect(),
            other => panic!("{other} has no elements"),
        }
    }

    /// The value of a field in a map, or in a RESP2 array that stands for one.
    #[track_caller]
    pub fn field(&self, name: &str) -> Value {
        let elements = self.elements();
        let found = elements
            .chunks_exact(2)
            .find(|pair| matches!(&pair[0], Value::Bulk(key) | Value::Simple(key) if key == name.as_bytes()));
        found.unwrap_or_else(|| panic!("no field {name} in {self}"))[1].clone()
    }

    /// The same reply with its elements in order, for commands that promise none.
    #[track_caller]
    pub fn sorted(&self) -> Value {
        match self {
            Value::Array(values) => Value::Array(sorted(values)),
            Value::Set(values) => Value::Set(sorted(values)),
            other => panic!("{other} has no elements to sort"),
        }
    }
}

fn sorted(values: &[Value]) -> Vec<Value> {
    let mut values = values.to_vec();
    values.sort();
    values
}

impl fmt::Display for Value {
    /// One line, in the notation of the protocol's own documentation.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |out: &mut fmt::Formatter<'_>, open: &str, values: &[Value]| {
            write!(out, "{open}")?;
            for (index, value) in values.iter().enumerate() {
                write!(out, "{}{value}", if index == 0 { "" } else { ", " })?;
            }
            write!(out, "]")
        };
        let map = |out: &mut fmt::Formatter<'_>, open: &str, pairs: &[(Value, Value)]| {
            write!(out, "{open}")?;
            for (index, (key, value)) in pairs.iter().enumerate() {
                write!(out, "{}{key}: {value}", if index == 0 { "" } else { ", " })?;
            }
            write!(out, "}}")
        };
        match self {
            Value::Simple(text) => write!(out, "+{}", text.escape_ascii()),
            Value::Error(text) => write!(out, "-{}", text.escape_ascii()),
            Value::BulkError(text) => write!(out, "!{}", text.escape_ascii()),
            Value::Int(number) => write!(out, ":{number}"),
            Value::Bulk(text) if text.len() > 600 => {
                write!(out, "\"{}...\" ({} bytes)", text[..200].escape_ascii(), text.len())
            }
            Value::Bulk(text) => write!(out, "\"{}\"", text.escape_ascii()),
            Value::Null => write!(out, "nil"),
            Value::NullArray => write!(out, "nil array"),
            Value::Array(values) => list(out, "[", values),
            Value::Set(values) => list(out, "~[", values),
            Value::Push(values) => list(out, ">[", values),
            Value::Map(pairs) => map(out, "{", pairs),
            Value::Double(text) => write!(out, ",{}", text.escape_ascii()),
            Value::Bool(truth) => write!(out, "#{truth}"),
            Value::BigNumber(text) => write!(out, "({}", text.escape_ascii()),
            Value::Verbatim(format, text) => {
                write!(out, "={}:\"{}\"", format.escape_ascii(), text.escape_ascii())
            }
            Value::Attribute(pairs, value) => {
                map(out, "|{", pairs)?;
                write!(out, " {value}")
            }
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// `+OK`.
pub fn ok() -> Value {
    simple("OK")
}

pub fn simple(text: &str) -> Value {
    Value::Simple(text.into())
}

/// An error with exactly this text, code included: `err("ERR syntax error")`.
pub fn err(text: &str) -> Value {
    Value::Error(text.into())
}

pub fn int(number: i64) -> Value {
    Value::Int(number)
}

pub fn bulk(text: impl AsRef<[u8]>) -> Value {
    Value::Bulk(text.as_ref().to_vec())
}

/// The null of a missing string: `$-1`, or `_` in RESP3.
pub fn nil() -> Value {
    Value::Null
}

/// The null of a missing array, as EXEC of a dirty transaction: `*-1`, or `_` in RESP3.
pub fn nil_array() -> Value {
    Value::NullArray
}

pub fn array<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
    Value::Array(values.into_iter().map(Into::into).collect())
}

/// A map in RESP3, its keys and values in turn in RESP2.
pub fn map<V: Into<Value>>(pairs: impl IntoIterator<Item = (&'static str, V)>) -> Value {
    Value::Map(pairs.into_iter().map(|(key, value)| (bulk(key), value.into())).collect())
}

pub fn set<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
    Value::Set(values.into_iter().map(Into::into).collect())
}

pub fn push<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Value {
    Value::Push(values.into_iter().map(Into::into).collect())
}

/// A double by its text; a bulk string in RESP2.
pub fn double(text: &str) -> Value {
    Value::Double(text.into())
}

pub fn big_number(text: &str) -> Value {
    Value::BigNumber(text.into())
}

pub fn boolean(truth: bool) -> Value {
    Value::Bool(truth)
}

/// A verbatim string of format `txt` or `mkd`; a bulk string in RESP2.
pub fn verbatim(format: &str, text: &str) -> Value {
    Value::Verbatim(format.into(), text.into())
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        bulk(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        bulk(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Bulk(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Value {
        bulk(bytes)
    }
}

impl<V: Into<Value>, const N: usize> From<[V; N]> for Value {
    fn from(values: [V; N]) -> Value {
        array(values)
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}
