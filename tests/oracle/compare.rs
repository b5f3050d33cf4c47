//! When two replies to one command count as the same.
//!
//! Byte for byte, unless the command promises less: an order that is free, a time that goes on
//! between the two servers' answers, a choice that is random.

use crate::support::Value;

/// What a command promises about its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promise {
    /// These bytes.
    Exact,
    /// These elements, in any order.
    Unordered,
    /// These pairs, in any order: a map, or an array of keys and values.
    Pairs,
    /// This number, give or take so much.
    Near(i64),
    /// These bytes, or none where Redis 7 takes a range that ends before the first byte to end at it.
    ExactOrEmpty,
    /// Nothing but the type of the reply.
    Kind,
    /// The type of the reply, or null.
    KindIfThere,
    /// These bytes, or the small encoding where Redis has a skiplist.
    Encoding,
    /// These bytes, or an error of Redis's.
    SortedOrRefused,
    /// EXEC: an array of what was promised one by one.
    Each(Vec<Promise>),
}

/// What the command promises. EXEC is the driver's to know.
pub fn promise_of(arguments: &[Vec<u8>]) -> Promise {
    let word = |at: usize| arguments.get(at).map(|a| a.to_ascii_uppercase()).unwrap_or_default();
    match (word(0).as_slice(), word(1).as_slice()) {
        (b"GETRANGE" | b"SUBSTR", _) if word(3).starts_with(b"-") => Promise::ExactOrEmpty,
        (b"KEYS" | b"SMEMBERS" | b"SINTER" | b"SUNION" | b"SDIFF" | b"HKEYS" | b"HVALS", _) => {
            Promise::Unordered
        }
        (b"HGETALL", _) => Promise::Pairs,
        (b"SPOP", _) if arguments.len() == 3 => Promise::Unordered,
        (b"SRANDMEMBER" | b"HRANDFIELD" | b"ZRANDMEMBER" | b"SPOP", _) => Promise::Kind,
        // Redis: elements of equal weight come in any order.
        (b"SORT" | b"SORT_RO", _) if arguments.iter().any(|word| word.eq_ignore_ascii_case(b"BY")) => {
            Promise::Unordered
        }
        (b"SSCAN" | b"HSCAN" | b"ZSCAN", _) => Promise::Kind,
        // They tell idle times, or how the nodes lie in memory.
        (b"XINFO", b"STREAM" | b"CONSUMERS") => Promise::Kind,
        // Redis makes a skiplist of a listpack to sort it.
        (b"OBJECT", b"ENCODING") => Promise::Encoding,
        // Redis takes an error of range that an earlier command met for one of its own.
        (b"SORT" | b"SORT_RO", _) if !arguments.iter().any(|word| word.eq_ignore_ascii_case(b"ALPHA")) => {
            Promise::SortedOrRefused
        }
        (b"XPENDING", _) if arguments.len() > 3 => Promise::Kind,
        (b"TTL" | b"EXPIRETIME", _) => Promise::Near(3),
        (b"PTTL" | b"PEXPIRETIME", _) => Promise::Near(3000),
        (b"OBJECT", b"IDLETIME") => Promise::Near(10),
        // Implementations share small integers or not, and may choose another representation.
        (b"OBJECT", b"REFCOUNT") => Promise::Kind,
        (b"MEMORY", b"USAGE") => Promise::KindIfThere,
        // The version within differs; payloads are compared by restoring each in the other server.
        (b"DUMP", _) => Promise::Kind,
        (b"RANDOMKEY" | b"SCAN" | b"HELLO", _) => Promise::Kind,
        // The whole table of commands, when a mistake left COMMAND alone.
        (b"COMMAND", b"") => Promise::Kind,
        _ => Promise::Exact,
    }
}

/// The two replies are the same as far as the promise goes. Errors are always exact.
pub fn same(promise: &Promise, ours: &Value, theirs: &Value) -> bool {
    if ours == theirs {
        return true;
    }
    match (promise, ours, theirs) {
        (Promise::SortedOrRefused, Value::Array(_), Value::Error(error)) => error.ends_with(b"into double"),
        (Promise::Encoding, Value::Bulk(ours), Value::Bulk(theirs)) => {
            ours == b"listpack" && theirs == b"skiplist"
        }
        (_, Value::Error(_), _) | (_, _, Value::Error(_)) => false,
        // MEMORY USAGE of Redis sees keys whose time has come.
        (Promise::KindIfThere, Value::Null, Value::Int(_)) => true,
        (Promise::ExactOrEmpty, Value::Bulk(ours), Value::Bulk(theirs)) => {
            ours.is_empty() && theirs.len() == 1
        }
        (Promise::Unordered, Value::Array(_), Value::Array(_)) => ours.sorted() == theirs.sorted(),
        (Promise::Unordered, Value::Set(ours), Value::Set(theirs)) => {
            Value::Array(ours.clone()).sorted() == Value::Array(theirs.clone()).sorted()
        }
        (Promise::Pairs, Value::Array(ours), Value::Array(theirs)) => pairs_of(ours) == pairs_of(theirs),
        (Promise::Pairs, Value::Map(ours), Value::Map(theirs)) => {
            let sorted = |pairs: &[(Value, Value)]| {
                let mut pairs = pairs.to_vec();
                pairs.sort();
                pairs
            };
            sorted(ours) == sorted(theirs)
        }
        // -1 and -2 say something else than a time.
        (Promise::Near(by), Value::Int(a @ 0..), Value::Int(b @ 0..)) => (a - b).abs() <= *by,
        (Promise::Kind | Promise::KindIfThere, _, _) => {
            std::mem::discriminant(ours) == std::mem::discriminant(theirs)
        }
        (Promise::Each(promises), Value::Array(a), Value::Array(b)) => {
            a.len() == b.len()
                && a.len() == promises.len()
                && promises.iter().zip(a.iter().zip(b)).all(|(promise, (a, b))| same(promise, a, b))
        }
        _ => false,
    }
}

fn pairs_of(flat: &[Value]) -> Vec<&[Value]> {
    let mut pairs: Vec<_> = flat.chunks(2).collect();
    pairs.sort();
    pairs
}
