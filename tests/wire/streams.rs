//! Streams: what each command answers, with few and many entries in a node, with keys on one shard and on several.

use crate::support::*;
use std::time::Duration;

const WRONG_INT: &str = "ERR value is not an integer or out of range";
const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const SYNTAX: &str = "ERR syntax error";
const INVALID_ID: &str = "ERR Invalid stream ID specified as stream command argument";

/// Runs a case with nodes of each size.
#[track_caller]
fn each_node_size(case: impl Fn(&Setup)) {
    each_placement(|s| {
        for (entries, bytes) in [("100", "4096"), ("3", "4096"), ("0", "60"), ("1", "0")] {
            s.config("stream-node-max-entries", entries);
            s.config("stream-node-max-bytes", bytes);
            s.client().expect("FLUSHALL", ok());
            case(s);
        }
    });
}

/// An entry with its fields and values in turn.
fn entry(id: &str, strings: &str) -> Value {
    array([Value::from(id), array(strings.split_whitespace())])
}

/// Entries that [`fill`] has made.
fn entries(numbers: impl IntoIterator<Item = usize>) -> Value {
    array(numbers.into_iter().map(|n| entry(&format!("{n}-0"), &format!("n {n} word w{n}"))))
}

/// What XREAD answers: streams with their entries.
fn read(s: &Setup, streams: &[(&str, Value)]) -> Value {
    if s.is_resp3() {
        return Value::Map(streams.iter().map(|(key, entries)| (bulk(key), entries.clone())).collect());
    }
    array(streams.iter().map(|(key, entries)| array([Value::from(*key), entries.clone()])))
}

fn fill(c: &mut Client, key: &str, numbers: std::ops::RangeInclusive<usize>) {
    for n in numbers {
        let id = format!("{n}-0");
        c.expect(&["XADD", key, &id, "n", &n.to_string(), "word", &format!("w{n}")], id.as_str());
    }
}

#[test]
fn entries_are_added_listed_and_deleted() {
    each_node_size(|s| {
        let mut c = s.client();
        let k = &s.key("k");
        c.expect(&["XLEN", k], 0);
        c.expect(&["XRANGE", k, "-", "+"], array([] as [Value; 0]));
        c.expect(&["XADD", k, "NOMKSTREAM", "1", "f", "v"], nil());
        fill(&mut c, k, 1..=20);
        c.expect(&["TYPE", k], simple("stream"));
        c.expect(&["OBJECT", "ENCODING", k], "stream");
        c.expect(&["XLEN", k], 20);
        c.expect(&["XRANGE", k, "-", "+"], entries(1..=20));
        c.expect(&["XREVRANGE", k, "+", "-"], entries((1..=20).rev()));
        c.expect(&["XRANGE", k, "5", "9"], entries(5..=9));
        c.expect(&["XRANGE", k, "(5", "(9-0"], entries(6..=8));
        c.expect(&["XRANGE", k, "5-1", "9", "COUNT", "2"], entries(6..=7));
        c.expect(&["XREVRANGE", k, "9", "(5", "COUNT", "3"], entries([9, 8, 7]));
        c.expect(&["XRANGE", k, "9", "5"], array([] as [Value; 0]));
        c.expect(&["XRANGE", k, "-", "+", "COUNT", "0"], nil_array());
        c.expect(&["XDEL", k, "3", "4-0", "99", "4"], 2);
        c.expect(&["XRANGE", k, "2", "5"], entries([2, 5]));
        c.expect(&["XREVRANGE", k, "5", "2"], entries([5, 2]));
        c.expect(&["XTRIM", k, "MAXLEN", "10"], 8);
        c.expect(&["XTRIM", k, "MINID", "13"], 2);
        c.expect(&["XRANGE", k, "-", "+"], entries(13..=20));
        c.expect(&["XADD", k, "20", "f", "v"], err(NOT_ABOVE));
        c.expect(&["XADD", k, "MAXLEN", "2", "21-*", "f", "v"], "21-0");
        c.expect(&["XADD", k, "MINID", "=", "21", "21-*", "f", "007", "f", "-5"], "21-1");
        c.expect(&["XRANGE", k, "-", "+"], array([entry("21-0", "f v"), entry("21-1", "f 007 f -5")]));
        c.expect(&["XDEL", k, "21-0", "21-1"], 2);
        c.expect(&["XLEN", k], 0);
        c.expect(&["EXISTS", k], 1);
        c.expect(&["XADD", k, "21-1", "f", "v"], err(NOT_ABOVE));
        c.expect(&["XSETID", k, "5"], ok());
        c.expect(&["XADD", k, "6", "f", "v"], "6-0");
    });
}

const NOT_ABOVE: &str = "ERR The ID specified in XADD is equal or smaller than the target stream top item";

#[test]
fn values_of_every_length_come_back() {
    each_node_size(|s| {
        let mut c = s.client();
        let k = &s.key("k");
        let lengths = [0, 1, 63, 64, 127, 128, 4095, 4096, 8319, 8320, 16_384, 70_000];
        for (n, length) in lengths.into_iter().enumerate() {
            let value: Vec<u8> = (0..length).map(|at| (at * 7 % 256) as u8).collect();
            let id = format!("{}-0", n + 1);
            c.expect(&args!["XADD", k, id, value, value], id.as_str());
            c.expect(
                &args!["XRANGE", k, id, id],
                array([array([
                    Value::from(id.as_str()),
                    array([Value::Bulk(value.clone()), Value::Bulk(value)]),
                ])]),
            );
        }
        let integers = ["0", "63", "64", "-1", "127", "128", "-32768", "2147483648", "-9223372036854775808"];
        for (n, integer) in integers.into_iter().enumerate() {
            let id = format!("{}-0", n + 100);
            c.expect(&["XADD", k, &id, integer, integer], id.as_str());
            c.expect(&["XRANGE", k, &id, &id], array([entry(&id, &format!("{integer} {integer}"))]));
        }
    });
}

#[test]
fn streams_are_read_together() {
    each_node_size(|s| {
        let mut c = s.client();
        let [a, b, none, text] = &s.keys(["a", "b", "none", "text"]);
        fill(&mut c, a, 1..=9);
        fill(&mut c, b, 5..=7);
        c.expect(&["SET", text, "x"], ok());
        c.expect(&["XREAD", "STREAMS", a, "7"], read(s, &[(a, entries(8..=9))]));
        c.expect(
            &["XREAD", "COUNT", "2", "STREAMS", a, none, b, "0", "0", "5"],
            read(s, &[(a, entries(1..=2)), (b, entries(6..=7))]),
        );
        c.expect(&["XREAD", "STREAMS", b, a, "6", "8"], read(s, &[(b, entries(7..=7)), (a, entries(9..=9))]));
        c.expect(&["XREAD", "STREAMS", a, b, "9", "$"], nil_array());
        c.expect(&["XREAD", "STREAMS", a, b, "+", "9"], read(s, &[(a, entries(9..=9))]));
        c.expect(&["XREAD", "STREAMS", a, text, "0", "0"], err(WRONG_TYPE));
        c.expect(&["XREAD", "STREAMS", a, b, "0", "x"], err(INVALID_ID));
        c.expect(
            &["XREAD", "STREAMS", a, b, "0"],
            err("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."),
        );
        c.expect(&["XREAD", "COUNT", "x", "STREAMS", a, "0"], err(WRONG_INT));
        c.expect(&["XREAD", "COUNT", "1", "FOO", "STREAMS", a, "0"], err(SYNTAX));
        c.expect(&["XREAD", "BLOCK", "-1", "STREAMS", a, "0"], err("ERR timeout is negative"));
        c.expect(
            &["XREAD", "BLOCK", "x", "STREAMS", a, "0"],
            err("ERR timeout is not an integer or out of range"),
        );
    });
}

#[test]
fn groups_read_and_acknowledge() {
    each_node_size(|s| {
        let mut c = s.client();
        let [a, b, none] = &s.keys(["a", "b", "none"]);
        fill(&mut c, a, 1..=6);
        fill(&mut c, b, 1..=2);
        for key in [a, b] {
            c.expect(&["XGROUP", "CREATE", key, "g", "0"], ok());
            c.expect(
                &["XGROUP", "CREATE", key, "g", "0"],
                err("BUSYGROUP Consumer Group name already exists"),
            );
        }
        c.expect(
            &["XREADGROUP", "GROUP", "g", "al", "COUNT", "2", "STREAMS", a, b, ">", ">"],
            read(s, &[(a, entries(1..=2)), (b, entries(1..=2))]),
        );
        c.expect(
            &["XREADGROUP", "GROUP", "g", "bo", "COUNT", "3", "STREAMS", b, a, ">", ">"],
            read(s, &[(a, entries(3..=5))]),
        );
        let no_group = |key: &str| {
            err(&format!("NOGROUP No such key '{key}' or consumer group 'g' in XREADGROUP with GROUP option"))
        };
        // Nothing is delivered when one of the streams cannot be read.
        c.expect(&["XREADGROUP", "GROUP", "g", "bo", "STREAMS", a, none, ">", ">"], no_group(none));
        c.expect(&["XREADGROUP", "GROUP", "g", "bo", "STREAMS", a, b, ">", "x"], err(INVALID_ID));
        c.expect(
            &["XPENDING", a, "g"],
            array([
                Value::Int(5),
                "1-0".into(),
                "5-0".into(),
                array([array(["al", "2"]), array(["bo", "3"])]),
            ]),
        );
        c.expect(&["XACK", a, "g", "1", "4", "6"], 2);
        c.expect(&["XDEL", a, "5"], 1);
        c.expect(
            &["XREADGROUP", "GROUP", "g", "bo", "STREAMS", a, b, "0", "0"],
            read(
                s,
                &[
                    (a, array([entry("3-0", "n 3 word w3"), array([Value::from("5-0"), nil_array()])])),
                    (b, array([] as [Value; 0])),
                ],
            ),
        );
        c.expect(
            &["XREADGROUP", "GROUP", "g", "al", "NOACK", "STREAMS", a, ">"],
            read(s, &[(a, entries(6..=6))]),
        );
        // The time it waits is told too.
        let pending = c.call(&["XPENDING", a, "g", "-", "+", "9", "al"]);
        let one = pending.elements()[0].elements();
        assert_eq!((one[0].text(), one[1].text(), one[3].int()), ("2-0".into(), "al".into(), 1));
        c.expect(&["XCLAIM", a, "g", "ce", "0", "2", "3", "9"], entries([2, 3]));
        c.expect(
            &["XAUTOCLAIM", a, "g", "de", "0", "0", "COUNT", "1"],
            array([Value::from("3-0"), entries([2]), array([] as [Value; 0])]),
        );
        c.expect(
            &["XAUTOCLAIM", a, "g", "de", "0", "3", "JUSTID"],
            array([Value::from("0-0"), array(["3-0"]), array(["5-0"])]),
        );
        c.expect(&["XGROUP", "DELCONSUMER", a, "g", "de"], 2);
        c.expect(&["XGROUP", "DESTROY", a, "g"], 1);
        c.expect(&["XREADGROUP", "GROUP", "g", "bo", "STREAMS", b, a, ">", ">"], no_group(a));
    });
}

#[test]
fn streams_are_described() {
    each_node_size(|s| {
        let mut c = s.client();
        let k = &s.key("k");
        c.expect(&["XINFO", "STREAM", k], err("ERR no such key"));
        fill(&mut c, k, 1..=4);
        c.expect(&["XGROUP", "CREATE", k, "g", "2", "ENTRIESREAD", "2"], ok());
        c.expect(&["XGROUP", "CREATECONSUMER", k, "g", "al"], 1);
        c.expect(
            &["XINFO", "GROUPS", k],
            array([map([
                ("name", Value::from("g")),
                ("consumers", Value::Int(1)),
                ("pending", Value::Int(0)),
                ("last-delivered-id", "2-0".into()),
                ("entries-read", Value::Int(2)),
                ("lag", Value::Int(2)),
            ])]),
        );
        let info = c.call(&["XINFO", "STREAM", k]);
        assert_eq!(info.field("length"), Value::Int(4));
        assert_eq!(info.field("entries-added"), Value::Int(4));
        assert_eq!(info.field("first-entry"), entry("1-0", "n 1 word w1"));
        assert_eq!(info.field("last-generated-id").text(), "4-0");
        c.expect(&["XDEL", k, "1"], 1);
        let info = c.call(&["XINFO", "STREAM", k, "FULL", "COUNT", "2"]);
        assert_eq!(info.field("entries"), entries(2..=3));
        assert_eq!(info.field("recorded-first-entry-id").text(), "2-0");
        assert_eq!(info.field("max-deleted-entry-id").text(), "1-0");
        assert_eq!(
            info.field("groups").elements()[0].field("consumers").elements()[0].field("name").text(),
            "al"
        );
        let help = c.call("XINFO HELP").elements();
        assert_eq!(help[0], simple("XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        assert_eq!(c.call("XGROUP HELP").elements().len(), 17);
    });
}

#[test]
fn streams_move_between_servers() {
    each_node_size(|s| {
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        fill(&mut c, a, 1..=30);
        c.expect(&["XADD", a, "31", "other", "fields", "and", "more"], "31-0");
        c.expect(&["XDEL", a, "7", "30"], 2);
        c.expect(&["XGROUP", "CREATE", a, "g", "0"], ok());
        c.call(&["XREADGROUP", "GROUP", "g", "al", "COUNT", "3", "STREAMS", a, ">"]);
        let full = c.call(&["XINFO", "STREAM", a, "FULL", "COUNT", "0"]);
        let Value::Bulk(dump) = c.call(&["DUMP", a]) else { panic!("a dump is a bulk") };
        c.expect(&args!["RESTORE", b, 0, dump], ok());
        assert_eq!(c.call(&["XINFO", "STREAM", b, "FULL", "COUNT", "0"]), full);
        assert_eq!(c.call(&["DUMP", b]), Value::Bulk(dump));
        c.expect(&["COPY", a, b, "REPLACE"], 1);
        assert_eq!(c.call(&["XINFO", "STREAM", b, "FULL", "COUNT", "0"]), full);
    });
}

#[test]
fn readers_wait_for_what_is_new() {
    each_placement(|s| {
        let mut c = s.client();
        let mut waiting = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        fill(&mut c, a, 1..=1);
        waiting.expect(&["XREAD", "BLOCK", "0", "STREAMS", a, b, "0", "$"], read(s, &[(a, entries(1..=1))]));
        for (n, key) in [(2, b), (3, a)] {
            waiting.send(&["XREAD", "BLOCK", "0", "STREAMS", a, b, "$", "$"]);
            wait_for_blocked(&mut c, 1);
            fill(&mut c, key, n..=n);
            waiting.expect_next(read(s, &[(key, entries(n..=n))]));
        }
        waiting.expect(&["XREAD", "BLOCK", "1", "STREAMS", a, b, "$", "$"], nil_array());
        // What was there when it began to wait is not new, wherever the stream goes meanwhile.
        waiting.send(&["XREAD", "BLOCK", "0", "STREAMS", a, "$"]);
        wait_for_blocked(&mut c, 1);
        c.expect(&["DEL", a], 1);
        fill(&mut c, a, 1..=4);
        waiting.expect_next(read(s, &[(a, entries(4..=4))]));
        c.expect("MULTI", ok());
        c.expect(&["XREAD", "BLOCK", "0", "STREAMS", a, "$"], simple("QUEUED"));
        c.expect("EXEC", array([nil_array()]));
    });
}

#[test]
fn consumers_wait_for_what_is_new_and_are_told_of_the_end() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        let mut readers = [s.client(), s.client()];
        for key in [a, b] {
            c.expect(&["XGROUP", "CREATE", key, "g", "$", "MKSTREAM"], ok());
        }
        for (n, reader) in readers.iter_mut().enumerate() {
            let name = format!("reader{n}");
            reader.send(&["XREADGROUP", "GROUP", "g", &name, "BLOCK", "0", "STREAMS", a, b, ">", ">"]);
            wait_for_blocked(&mut c, n + 1);
        }
        let [first, second] = &mut readers;
        fill(&mut c, b, 1..=1);
        first.expect_next(read(s, &[(b, entries(1..=1))]));
        fill(&mut c, b, 2..=2);
        second.expect_next(read(s, &[(b, entries(2..=2))]));
        let wait = |reader: &mut Client, c: &mut Client| {
            reader.send(&["XREADGROUP", "GROUP", "g", "one", "BLOCK", "0", "STREAMS", a, b, ">", ">"]);
            wait_for_blocked(c, 1);
        };
        wait(first, &mut c);
        c.expect(&["XGROUP", "DESTROY", b, "g"], 1);
        first.expect_next(err("NOGROUP the consumer group this client was blocked on no longer exists"));
        c.expect(&["XGROUP", "CREATE", b, "g", "$"], ok());
        wait(first, &mut c);
        c.expect(&["DEL", a], 1);
        first.expect_next(err("UNBLOCKED the stream key no longer exists"));
        c.expect(&["XGROUP", "CREATE", a, "g", "$", "MKSTREAM"], ok());
        wait(first, &mut c);
        c.expect(&["SET", a, "x"], ok());
        first.expect_next(err("UNBLOCKED the stream key no longer exists"));
    });
}

#[test]
fn options_of_groups_come_in_any_order_and_may_be_repeated() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, none] = &s.keys(["a", "none"]);
        let unknown = |word: &str| {
            err(&format!(
                "ERR unknown subcommand or wrong number of arguments for '{word}'. Try XGROUP HELP."
            ))
        };
        let integer = || err(WRONG_INT);
        for (number, (options, reply)) in [
            ("0 MKSTREAM", ok()),
            ("0 mkstream MKSTREAM", ok()),
            ("0 MKSTREAM MKSTREAM MKSTREAM", ok()),
            ("0 MKSTREAM ENTRIESREAD 5", ok()),
            ("$ ENTRIESREAD 3 MKSTREAM", ok()),
            ("0 MKSTREAM MKSTREAM MKSTREAM MKSTREAM", unknown("CREATE")),
            ("0 ENTRIESREAD 1 MKSTREAM ENTRIESREAD 2", unknown("CREATE")),
            ("0 ENTRIESREAD -1 ENTRIESREAD x", integer()),
            ("0 ENTRIESREAD", unknown("CREATE")),
            ("0 MKSTREAM FOO", unknown("CREATE")),
            ("0 ENTRIESREAD x FOO", integer()),
            ("x ENTRIESREAD x", integer()),
            ("0 ENTRIESREAD -2", err("ERR value for ENTRIESREAD must be positive or -1")),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("g{number}");
            let mut words = vec!["XGROUP", "CREATE", a, &name];
            words.extend(options.split_whitespace());
            c.expect(&words, reply);
        }
        for (options, reply) in [
            ("0 ENTRIESREAD 3", ok()),
            ("0 entriesread -1", ok()),
            ("0 ENTRIESREAD 1 ENTRIESREAD 2", unknown("SETID")),
            ("0 ENTRIESREAD -1 ENTRIESREAD x", integer()),
            ("0 MKSTREAM", unknown("SETID")),
            ("0 ENTRIESREAD 3 MKSTREAM", unknown("SETID")),
            ("0 1 2", unknown("SETID")),
            ("$ ENTRIESREAD", unknown("SETID")),
        ] {
            let mut words = vec!["XGROUP", "SETID", a, "g0"];
            words.extend(options.split_whitespace());
            c.expect(&words, reply);
        }
        c.expect(&["XGROUP", "SETID", none, "g", "0", "FOO"], unknown("SETID"));
        c.expect(&["XGROUP", "CREATE", none, "g", "x", "MKSTREAM"], err(INVALID_ID));
    });
}

/// Bytes of an entry of [`fill`] with a number of one digit, as a reply shows it.
const ENTRY_BYTES: usize = 49;

/// Bytes of a reply before a stream's entries.
fn head_bytes(s: &Setup, key: &str) -> usize {
    let pair = if s.is_resp3() { 0 } else { "*2\r\n".len() };
    pair + format!("${}\r\n{key}\r\n", key.len()).len()
}

#[test]
fn a_reply_over_streams_has_limits() {
    each_node_size(|s| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        let [a, b, none, text] = &s.keys(["a", "b", "none", "text"]);
        fill(&mut c, a, 1..=5);
        fill(&mut c, b, 1..=5);
        let mut reads = |limits: &str, streams: &[(&str, Value)]| {
            let mut words: Vec<&str> = vec!["XREAD"];
            words.extend(limits.split_whitespace());
            words.extend(["STREAMS", a, none, b, "2", "0", "1"]);
            c.expect(&words, read(s, streams));
        };
        let both: &[(&str, Value)] = &[(a, entries(3..=5)), (b, entries(2..=5))];
        reads("MAXCOUNT 7", both);
        reads("MAXCOUNT 9223372036854775807 MAXSIZE 9223372036854775807", both);
        reads("MAXCOUNT 6", &[(a, entries(3..=5)), (b, entries(2..=4))]);
        reads("MAXCOUNT 4", &[(a, entries(3..=5)), (b, entries(2..=2))]);
        reads("MAXCOUNT 3", &[(a, entries(3..=5))]);
        reads("maxcount 1", &[(a, entries(3..=3))]);
        reads("COUNT 2 MAXCOUNT 3", &[(a, entries(3..=4)), (b, entries(2..=2))]);
        reads("MAXCOUNT 2 COUNT 2", &[(a, entries(3..=4))]);
        reads("MAXCOUNT 2 COUNT 0", &[(a, entries(3..=4))]);
        // The entry that reaches the size is given, and the first one whatever its size.
        let head = head_bytes(s, a);
        for (bytes, last) in
            [(1, 3), (head + ENTRY_BYTES, 3), (head + ENTRY_BYTES + 1, 4), (head + 2 * ENTRY_BYTES + 1, 5)]
        {
            reads(&format!("MAXSIZE {bytes}"), &[(a, entries(3..=last))]);
            reads(&format!("COUNT 9 MAXSIZE {bytes} MAXCOUNT 9"), &[(a, entries(3..=last))]);
        }
        // Of a stream that is complete its header counts too.
        let whole = head + "*3\r\n".len() + 3 * ENTRY_BYTES;
        reads(&format!("MAXSIZE {whole}"), &[(a, entries(3..=5))]);
        reads(&format!("MAXSIZE {}", whole + 1), &[(a, entries(3..=5)), (b, entries(2..=2))]);
        let more = whole + 1 + head_bytes(s, b) + ENTRY_BYTES;
        reads(&format!("MAXSIZE {}", more - 1), &[(a, entries(3..=5)), (b, entries(2..=2))]);
        reads(&format!("MAXSIZE {more}"), &[(a, entries(3..=5)), (b, entries(2..=3))]);
        reads(&format!("MAXSIZE {more} MAXCOUNT 4"), &[(a, entries(3..=5)), (b, entries(2..=2))]);
        reads(&format!("MAXSIZE {} MAXCOUNT 5", 9 * more), &[(a, entries(3..=5)), (b, entries(2..=3))]);
        // Nothing stays nothing, and all keys are looked at whatever the limits.
        c.expect(&["XREAD", "MAXCOUNT", "1", "MAXSIZE", "1", "STREAMS", a, b, "5", "5"], nil_array());
        c.expect(&["XREAD", "MAXCOUNT", "1", "STREAMS", a, b, "+", "+"], read(s, &[(a, entries(5..=5))]));
        c.expect(&["SET", text, "x"], ok());
        c.expect(&["XREAD", "MAXCOUNT", "1", "STREAMS", a, text, "0", "0"], err(WRONG_TYPE));
        for (limits, refusal) in [
            ("MAXCOUNT 0", "ERR MAXCOUNT must be a positive integer"),
            ("MAXCOUNT -1", "ERR MAXCOUNT must be a positive integer"),
            ("MAXSIZE 0", "ERR MAXSIZE must be a positive integer"),
            ("MAXSIZE -5", "ERR MAXSIZE must be a positive integer"),
            ("MAXSIZE x", WRONG_INT),
            ("MAXCOUNT 1 COUNT 2", "ERR MAXCOUNT must be greater than or equal to COUNT"),
            ("MAXCOUNT", SYNTAX),
        ] {
            let mut words: Vec<&str> = vec!["XREAD"];
            words.extend(limits.split_whitespace());
            words.extend(["STREAMS", a, "0"]);
            if limits == "MAXCOUNT" {
                words.truncate(2);
                words.extend(["1", "2"]);
            }
            c.expect(&words, err(refusal));
        }
        // In a block every command has limits of its own.
        c.expect("MULTI", ok());
        c.expect(&["XREAD", "MAXSIZE", "50", "STREAMS", a, b, "0", "0"], simple("QUEUED"));
        c.expect(&["XREAD", "MAXCOUNT", "6", "STREAMS", b, a, "0", "0"], simple("QUEUED"));
        c.expect(
            "EXEC",
            array([read(s, &[(a, entries(1..=1))]), read(s, &[(b, entries(1..=5)), (a, entries(1..=1))])]),
        );
        let source = "return #redis.call('XREAD', 'MAXCOUNT', 6, 'STREAMS', KEYS[1], KEYS[2], 0, 0)[2][2]";
        c.expect(&["EVAL", source, "2", a, b], 1);
    });
}

#[test]
fn what_a_limit_leaves_out_is_not_delivered() {
    each_node_size(|s| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        for key in [a, b] {
            fill(&mut c, key, 1..=5);
            c.expect(&["XGROUP", "CREATE", key, "g", "0"], ok());
        }
        let reads = |c: &mut Client, options: &str, ids: [&str; 2], reply: Value| {
            let mut words: Vec<&str> = vec!["XREADGROUP", "GROUP", "g", "al"];
            words.extend(options.split_whitespace());
            words.extend(["STREAMS", a, b, ids[0], ids[1]]);
            c.expect(&words, reply);
        };
        let pending = |c: &mut Client, key: &str| c.call(&["XPENDING", key, "g"]).elements()[0].int();
        reads(&mut c, "MAXCOUNT 2", [">", ">"], read(s, &[(a, entries(1..=2))]));
        assert_eq!((pending(&mut c, a), pending(&mut c, b)), (2, 0));
        let size = format!("MAXSIZE {}", head_bytes(s, a) + ENTRY_BYTES + 1);
        reads(&mut c, &size, [">", ">"], read(s, &[(a, entries(3..=4))]));
        assert_eq!((pending(&mut c, a), pending(&mut c, b)), (4, 0));
        reads(&mut c, "COUNT 2 MAXCOUNT 3", [">", ">"], read(s, &[(a, entries(5..=5)), (b, entries(1..=2))]));
        assert_eq!((pending(&mut c, a), pending(&mut c, b)), (5, 2));
        // What is pending for the consumer has the same limits, and is told even when it is nothing.
        reads(&mut c, "MAXCOUNT 3", ["3", "0"], read(s, &[(a, entries(4..=5)), (b, entries(1..=1))]));
        reads(&mut c, "MAXCOUNT 2", ["3", "0"], read(s, &[(a, entries(4..=5))]));
        reads(&mut c, "MAXSIZE 1", ["5", "0"], read(s, &[(a, array([] as [Value; 0])), (b, entries(1..=1))]));
        reads(&mut c, &size, ["1", "0"], read(s, &[(a, entries(2..=3))]));
        reads(&mut c, "MAXCOUNT 2", ["4", ">"], read(s, &[(a, entries(5..=5)), (b, entries(3..=3))]));
        // A deleted entry counts where it is shown.
        c.expect(&["XDEL", a, "4"], 1);
        let gone = array([Value::from("4-0"), nil_array()]);
        reads(&mut c, "MAXCOUNT 1", ["3", ">"], read(s, &[(a, array([gone]))]));
        assert_eq!((pending(&mut c, a), pending(&mut c, b)), (5, 3));
        // With CLAIM what waits comes first, within the same limits; what is gone is forgotten and does not count.
        c.call(&["XREADGROUP", "GROUP", "g", "bo", "CLAIM", "0", "MAXCOUNT", "4", "STREAMS", a, b, ">", ">"]);
        let owners = |c: &mut Client, key: &str| {
            let all = c.call(&["XPENDING", key, "g", "-", "+", "9"]);
            let line = |one: &Value| format!("{} {}", one.elements()[0].text(), one.elements()[1].text());
            all.elements().iter().map(line).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(owners(&mut c, a), "1-0 bo, 2-0 bo, 3-0 bo, 5-0 bo");
        assert_eq!(owners(&mut c, b), "1-0 al, 2-0 al, 3-0 al");
        c.call(&["XREADGROUP", "GROUP", "g", "ce", "CLAIM", "0", "MAXSIZE", "1", "STREAMS", b, a, ">", ">"]);
        assert_eq!(owners(&mut c, b).matches("ce").count(), 1);
        assert_eq!(owners(&mut c, a).matches("ce").count(), 0);
        c.call(&["XREADGROUP", "GROUP", "g", "de", "CLAIM", "0", "MAXCOUNT", "5", "STREAMS", b, a, ">", ">"]);
        assert_eq!(owners(&mut c, b), "1-0 de, 2-0 de, 3-0 de, 4-0 de, 5-0 de");
        assert_eq!(owners(&mut c, a).matches("de").count(), 0);
    });
}

#[test]
fn who_waited_for_streams_is_served_within_its_limits() {
    each_placement(|s| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        let mut waiting = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        for key in [a, b] {
            c.expect(&["XGROUP", "CREATE", key, "g", "$", "MKSTREAM"], ok());
        }
        let mut next = 1;
        for (wait, id) in [("XREAD MAXCOUNT 2", "$"), ("XREADGROUP GROUP g al MAXSIZE 50", ">")] {
            c.expect(&["XGROUP", "SETID", b, "g", "$"], ok());
            let mut words: Vec<&str> = wait.split_whitespace().collect();
            words.extend(["BLOCK", "0", "STREAMS", a, b, id, id]);
            waiting.send(&words);
            wait_for_blocked(&mut c, 1);
            c.expect("MULTI", ok());
            for n in next..next + 3 {
                let (id, value) = (format!("{n}-0"), format!("w{n}"));
                c.expect(&["XADD", b, &id, "n", &n.to_string(), "word", &value], simple("QUEUED"));
            }
            c.call("EXEC");
            let served = if wait.contains("MAXSIZE") { 1 } else { 2 };
            waiting.expect_next(read(s, &[(b, entries(next..next + served))]));
            next += 3;
        }
    });
}

/// Waits until so many clients wait for keys.
#[track_caller]
fn wait_for_blocked(c: &mut Client, count: usize) {
    wait_until("clients wait", Duration::from_secs(60), || {
        let info = c.call("INFO clients").text();
        info.contains(&format!("blocked_clients:{count}\r\n"))
    });
}

#[test]
fn what_is_done_to_groups_is_no_change_of_the_stream() {
    each_placement(|s| {
        let [a, b] = &s.keys(["a", "b"]);
        let (mut c, mut other) = (s.client(), s.client());
        let mut tracking = s.server().client(Protocol::Resp3);
        tracking.expect("CLIENT TRACKING ON", ok());
        let told = |tracking: &mut Client| {
            tracking.send("PUBSUB NUMSUB");
            std::iter::from_fn(|| Some(tracking.recv())).take_while(|v| matches!(v, Value::Push(_))).count()
        };
        let commands: &[(&str, bool)] = &[
            ("XGROUP CREATE a h 0", false),
            ("XGROUP CREATE a h 0 MKSTREAM", false),
            ("XGROUP SETID a g 0", false),
            ("XGROUP CREATECONSUMER a g new", false),
            ("XGROUP DELCONSUMER a g one", false),
            ("XGROUP DESTROY a g", false),
            ("XREADGROUP GROUP g new COUNT 1 STREAMS a >", false),
            ("XREADGROUP GROUP g one STREAMS a 0", false),
            ("XACK a g 1-1", false),
            ("XCLAIM a g two 0 1-1", false),
            ("XAUTOCLAIM a g two 0 0", false),
            ("XSETID a 9-9 ENTRIESADDED 10 MAXDELETEDID 1-1", false),
            ("XGROUP CREATE b g 0 MKSTREAM", true),
            ("XTRIM a MAXLEN 1", true),
            ("XDEL a 1-1", true),
            ("XADD a 9-9 f v", true),
        ];
        for (command, is_change) in commands {
            c.call("FLUSHALL");
            c.expect(&["XADD", a, "1-1", "f", "v"], "1-1");
            c.expect(&["XADD", a, "2-1", "f", "v"], "2-1");
            c.expect(&["XGROUP", "CREATE", a, "g", "0"], ok());
            c.call(&["XREADGROUP", "GROUP", "g", "one", "COUNT", "1", "STREAMS", a, ">"]);
            c.expect(&["WATCH", a, b], ok());
            told(&mut tracking);
            tracking.call(&["XLEN", a]);
            tracking.call(&["XLEN", b]);
            let words = command.split(' ').map(|word| match word {
                "a" => a.as_str(),
                "b" => b.as_str(),
                word => word,
            });
            let reply = other.call(&words.collect::<Vec<_>>()[..]);
            assert!(!reply.is_error(), "{command}: {reply:?}");
            c.expect("MULTI", ok());
            c.expect("PING", simple("QUEUED"));
            let refused = c.call("EXEC") == nil_array().as_seen_in(s.protocol());
            assert_eq!(refused, *is_change, "{command}");
            // Whatever a core has sent is here before the answer to a question that goes to all cores.
            other.call("PUBSUB NUMPAT");
            assert_eq!(told(&mut tracking), usize::from(*is_change), "{command}");
        }
    });
}
