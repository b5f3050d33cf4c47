//! Commands on keys, over values of every type and encoding: TYPE, OBJECT, SCAN TYPE, COPY, RENAME, MOVE, DUMP,
//! MEMORY USAGE and DEBUG, with keys on one shard and on several.

use crate::support::*;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// One value: its type and encoding as Redis 7.0.15 names them, the commands that make it (`K` is the key), and a
/// command that shows it.
struct Case {
    kind: &'static str,
    encoding: &'static str,
    make: fn(&str) -> Vec<Vec<String>>,
    show: &'static str,
}

fn words(line: &str, key: &str) -> Vec<String> {
    line.split(' ').map(|word| if word == "K" { key.to_owned() } else { word.to_owned() }).collect()
}

/// A command with `count` elements made from their numbers, after `head`.
fn many(head: &str, key: &str, count: usize, element: fn(usize) -> Vec<String>) -> Vec<Vec<String>> {
    let mut command = words(head, key);
    command.extend((0..count).flat_map(element));
    vec![command]
}

const CASES: &[Case] = &[
    Case { kind: "string", encoding: "int", make: |k| vec![words("SET K 12345", k)], show: "GET" },
    Case { kind: "string", encoding: "embstr", make: |k| vec![words("SET K short", k)], show: "GET" },
    Case {
        kind: "string",
        encoding: "raw",
        make: |k| vec![vec!["SET".into(), k.into(), "long".repeat(50)]],
        show: "GET",
    },
    Case {
        kind: "string",
        encoding: "raw",
        make: |k| vec![vec!["SET".into(), k.into(), "longer".repeat(5000)]],
        show: "GET",
    },
    Case { kind: "list", encoding: "quicklist", make: |k| vec![words("RPUSH K a 1 b", k)], show: "LRANGE" },
    Case {
        kind: "list",
        encoding: "quicklist",
        make: |k| many("RPUSH K", k, 3000, |n| vec![format!("element:{n}")]),
        show: "LRANGE",
    },
    Case { kind: "set", encoding: "intset", make: |k| vec![words("SADD K 3 1 2", k)], show: "SMEMBERS" },
    Case {
        kind: "set",
        encoding: "intset",
        make: |k| many("SADD K", k, 400, |n| vec![format!("{}", n * 1_000_003)]),
        show: "SMEMBERS",
    },
    Case { kind: "set", encoding: "hashtable", make: |k| vec![words("SADD K a b 1", k)], show: "SMEMBERS" },
    Case {
        kind: "set",
        encoding: "hashtable",
        make: |k| many("SADD K", k, 1000, |n| vec![format!("member:{n}")]),
        show: "SMEMBERS",
    },
    Case {
        kind: "hash",
        encoding: "listpack",
        make: |k| vec![words("HSET K a 1 b two", k)],
        show: "HGETALL",
    },
    Case {
        kind: "hash",
        encoding: "hashtable",
        make: |k| many("HSET K", k, 600, |n| vec![format!("field:{n}"), format!("{n}")]),
        show: "HGETALL",
    },
    Case {
        kind: "hash",
        encoding: "hashtable",
        make: |k| vec![vec!["HSET".into(), k.into(), "f".into(), "v".repeat(65)]],
        show: "HGETALL",
    },
    Case { kind: "zset", encoding: "listpack", make: |k| vec![words("ZADD K 1 a 2.5 b", k)], show: "ZRANGE" },
    Case {
        kind: "zset",
        encoding: "skiplist",
        make: |k| many("ZADD K", k, 200, |n| vec![format!("{n}"), format!("member:{n}")]),
        show: "ZRANGE",
    },
    Case {
        kind: "stream",
        encoding: "stream",
        make: |k| {
            let mut commands: Vec<_> =
                (1..300).map(|n| words(&format!("XADD K {n}-1 field {n} other value"), k)).collect();
            commands.push(words("XGROUP CREATE K group 5-1", k));
            commands
        },
        show: "XRANGE",
    },
];

impl Case {
    fn put(&self, c: &mut Client, key: &str) {
        for command in (self.make)(key) {
            let reply = c.call(&command);
            assert!(!reply.is_error(), "{reply}");
        }
    }

    /// What is under the key.
    fn shown(&self, c: &mut Client, key: &str) -> Value {
        let range: &[&str] = match self.show {
            "LRANGE" => &["0", "-1"],
            "ZRANGE" => &["0", "-1", "WITHSCORES"],
            "XRANGE" => &["-", "+"],
            _ => &[],
        };
        let reply = c.call(&[&[self.show, key], range].concat());
        assert!(!reply.is_error(), "{reply}");
        // A table shows its elements in an order of its own.
        match reply {
            Value::Map(mut pairs) => {
                pairs.sort();
                Value::Map(pairs)
            }
            reply if self.encoding == "hashtable" => reply.sorted(),
            reply => reply,
        }
    }
}

#[test]
fn type_and_encoding() {
    each_setup(|s| {
        let mut c = s.client();
        for case in CASES {
            let key = s.key("k");
            case.put(&mut c, &key);
            c.expect(&["TYPE", &key], simple(case.kind));
            c.expect(&["OBJECT", "ENCODING", &key], case.encoding);
            c.expect(&["EXISTS", &key], 1);
            c.expect(&["TOUCH", &key], 1);
            c.expect(&["UNLINK", &key], 1);
            c.expect(&["TYPE", &key], simple("none"));
            c.expect(&["OBJECT", "ENCODING", &key], nil());
        }
    });
}

#[test]
fn copies_are_values_of_their_own() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        for case in CASES {
            case.put(&mut c, &a);
            let shown = case.shown(&mut c, &a);
            c.expect(&["EXPIRE", &a, "1000"], 1);
            c.expect(&["COPY", &a, &b], 1);
            c.expect(&["COPY", &a, &b], 0);
            c.expect(&["COPY", &a, &b, "REPLACE"], 1);
            c.expect(&["COPY", &a, &a, "DB", "1"], 1);
            c.expect_that(&["TTL", &b], |ttl| (500..=1000).contains(&ttl.int()));
            c.expect(&["OBJECT", "ENCODING", &b], case.encoding);
            assert_eq!(case.shown(&mut c, &b), shown);
            c.expect(&["DEL", &a], 1);
            assert_eq!(case.shown(&mut c, &b), shown);
            c.expect("SELECT 1", ok());
            assert_eq!(case.shown(&mut c, &a), shown);
            c.expect(&["DEL", &a], 1);
            c.expect("SELECT 0", ok());
            c.expect(&["DEL", &b], 1);
        }
    });
}

#[test]
fn names_and_databases_change_and_values_stay() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        for case in CASES {
            case.put(&mut c, &a);
            c.expect(&["SET", &b, "overwritten"], ok());
            let shown = case.shown(&mut c, &a);
            c.expect(&["RENAMENX", &a, &b], 0);
            c.expect(&["RENAME", &a, &b], ok());
            c.expect(&["EXISTS", &a], 0);
            assert_eq!(case.shown(&mut c, &b), shown);
            c.expect(&["MOVE", &b, "1"], 1);
            c.expect(&["EXISTS", &b], 0);
            c.expect("SELECT 1", ok());
            assert_eq!(case.shown(&mut c, &b), shown);
            c.expect(&["OBJECT", "ENCODING", &b], case.encoding);
            c.expect(&["DEL", &b], 1);
            c.expect("SELECT 0", ok());
        }
    });
}

#[test]
fn dumped_values_are_restored_as_they_were() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        for case in CASES {
            case.put(&mut c, &a);
            let shown = case.shown(&mut c, &a);
            let payload = c.call(&["DUMP", &a]).bytes().to_vec();
            c.expect(&args!["RESTORE", b, "0", payload], ok());
            c.expect(&args!["RESTORE", b, "0", payload], err("BUSYKEY Target key name already exists."));
            assert_eq!(case.shown(&mut c, &b), shown);
            c.expect(&["TYPE", &b], simple(case.kind));
            c.expect(&["OBJECT", "ENCODING", &b], case.encoding);
            let digests = c.call(&["DEBUG", "DIGEST-VALUE", &a, &b]).elements();
            assert_eq!(digests[0], digests[1], "{} {}", case.kind, case.encoding);
            let mut broken = payload.clone();
            broken[1] ^= 1;
            c.expect(
                &args!["RESTORE", b, "0", broken, "REPLACE"],
                err("ERR DUMP payload version or checksum are wrong"),
            );
            c.expect(&["DEL", &a], 1);
            c.expect(&["DEL", &b], 1);
        }
    });
}

#[test]
fn scan_shows_keys_of_one_type() {
    each_setup(|s| {
        let mut c = s.client();
        for (number, case) in CASES.iter().enumerate() {
            case.put(&mut c, &format!("{}:{number}", case.kind));
        }
        for kind in ["string", "list", "set", "hash", "zset", "stream"] {
            let mut found = Vec::new();
            let mut cursor = "0".to_owned();
            loop {
                let reply = c.call(&["SCAN", &cursor, "COUNT", "100", "TYPE", kind]).elements();
                found.extend(reply[1].elements().iter().map(Value::text));
                cursor = reply[0].text();
                if cursor == "0" {
                    break;
                }
            }
            let prefix = format!("{kind}:");
            assert_eq!(found.len(), CASES.iter().filter(|case| case.kind == kind).count(), "{kind}");
            assert!(found.iter().all(|key| key.starts_with(&prefix)), "{kind}: {found:?}");
        }
    });
}

#[test]
fn memory_is_told_for_every_type() {
    each_setup(|s| {
        let mut c = s.client();
        for case in CASES {
            let key = s.key("k");
            case.put(&mut c, &key);
            let bytes = c.call(&["MEMORY", "USAGE", &key]).int();
            let payload = c.call(&["DUMP", &key]).bytes().len() as i64;
            assert!(bytes > 8 && bytes < 100_000, "{} {}: {bytes}", case.kind, case.encoding);
            assert!(case.kind == "string" || bytes * 4 > payload, "{} {}: {bytes}", case.kind, case.encoding);
            c.expect(&["MEMORY", "USAGE", &key, "SAMPLES", "0"], bytes);
            c.expect(&["DEL", &key], 1);
        }
    });
}

#[test]
fn debug_looks_at_every_type() {
    each_setup(|s| {
        let mut c = s.client();
        let key = s.key("k");
        for case in CASES {
            case.put(&mut c, &key);
            let line = c.call(&["DEBUG", "OBJECT", &key]).text();
            assert!(line.contains(&format!(" encoding:{} serializedlength:", case.encoding)), "{line}");
            assert_eq!(line.contains(" ql_nodes:"), case.kind == "list", "{line}");
            let listpack = c.call(&["DEBUG", "LISTPACK", &key]);
            assert_eq!(listpack.is_error(), case.encoding != "listpack", "{listpack}");
            let quicklist = c.call(&["DEBUG", "QUICKLIST", &key]);
            assert_eq!(quicklist.is_error(), case.kind != "list", "{quicklist}");
            let table = c.call(&["DEBUG", "HTSTATS-KEY", &key]);
            assert_eq!(table.is_error(), !["hashtable", "skiplist"].contains(&case.encoding), "{table}");
            c.expect(&["DEL", &key], 1);
        }
        c.expect("DEBUG OBJECT missing", err("ERR no such key"));
        c.expect("DEBUG LISTPACK missing", err("ERR no such key"));
    });
}

#[test]
fn digests_are_those_of_redis() {
    each_setup(|s| {
        let mut c = s.client();
        for line in [
            "SET string 12",
            "RPUSH list a 1 b",
            "SADD ints 3 1 2",
            "SADD set a b c",
            "ZADD zset 1 a 2.5 b -inf c",
            "HSET hash a 1 b two",
            "XADD stream 1-1 field 5 other value",
            "XADD stream 2-7 field x",
            "EXPIRE hash 1000",
        ] {
            let reply = c.call(line);
            assert!(!reply.is_error(), "{line}: {reply}");
        }
        // As Redis 7.0.15 gives them.
        let digests = c.call("DEBUG DIGEST-VALUE string list ints set zset hash stream missing").elements();
        let digests: Vec<String> = digests.iter().map(Value::text).collect();
        assert_eq!(digests, DIGESTS);
        c.expect("DEBUG DIGEST", simple(DIGEST));
    });
}

const DIGESTS: &[&str] = &[
    "655ac46b180ad2f61a3cee25f0b1780fa2ec879a",
    "d5f44352f6226abea9252dad248ef5de0d964396",
    "2a462a3f51a1db89738ebbeef0c47ce1bbc85246",
    "593c2414786d75446e97f4ea5d4b731f3313da72",
    "f2ad7cda97b68291b8199d655f83d19f6e41e93c",
    "4c69d3290164e43b7cd89e400e6854ec243c4a83",
    "5401c6716d80af38d5727db2e6788f975774b275",
    "0000000000000000000000000000000000000000",
];
const DIGEST: &str = "4fa4f2bf8bcf181b5403799f227f4c03986e2e70";

#[test]
fn every_command_minds_the_type() {
    each_setup(|s| {
        let mut c = s.client();
        for case in CASES {
            let key = s.key("k");
            case.put(&mut c, &key);
            for (kind, line) in [
                ("string", "GET K"),
                ("string", "APPEND K x"),
                ("list", "LPUSH K x"),
                ("list", "LLEN K"),
                ("set", "SADD K x"),
                ("set", "SCARD K"),
                ("hash", "HSET K f v"),
                ("hash", "HLEN K"),
                ("zset", "ZADD K 1 x"),
                ("zset", "ZCARD K"),
                ("stream", "XADD K 9999-1 f v"),
                ("stream", "XLEN K"),
            ] {
                let reply = c.call(&words(line, &key));
                assert_eq!(reply == err(WRONG_TYPE), kind != case.kind, "{line} on a {}: {reply}", case.kind);
            }
            c.expect(&["DEL", &key], 1);
        }
    });
}

#[test]
fn payloads_of_older_versions() {
    each_setup(|s| {
        let mut c = s.client();
        for (payload, shown, wanted) in OLD_PAYLOADS {
            let payload: Vec<u8> = unhex(payload);
            c.expect(&args!["RESTORE", "k", "0", payload, "REPLACE"], ok());
            let mut texts = Vec::new();
            flatten(&c.call(*shown), &mut texts);
            assert_eq!(texts.join(" "), *wanted, "{shown}");
        }
    });
}

fn flatten(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, texts)),
        Value::Map(pairs) => pairs.iter().for_each(|(field, value)| {
            flatten(field, texts);
            flatten(value, texts);
        }),
        value => texts.push(value.text()),
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("a digit") as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// What Redis up to 6.2 wrote; 7.0.15 shows it so.
const OLD_PAYLOADS: &[(&str, &str, &str)] = &[
    (
        "0a29290000001e000000070000016103f202016203fefb03c02c0104f0a0860105e00000000000010000ff06006a6aed387d114d22",
        "LRANGE k 0 -1",
        "a 1 b -5 300 100000 1099511627776",
    ),
    (
        "0e0215150000000f000000030000017803f202f0701101ff15150000001100000002000005797979797907feffff060017dce5bc36d69e46",
        "LRANGE k 0 -1",
        "x 1 70000 yyyyy -1",
    ),
    ("0d181800000012000000040000016103f2020162030374776fff0600a71a65c01c29e9fa", "HGETALL k", "a 1 b two"),
    (
        "0c181800000012000000040000016103f20201620303322e35ff0600caba751d613a9224",
        "ZRANGE k 0 -1 WITHSCORES",
        "a 1 b 2.5",
    ),
    ("090f020161010031026262030074776fff06006c20e5f4503e1b48", "HGETALL k", "a 1 bb two"),
    ("0302016103312e350162fe060093006fef11803479", "ZRANGE k 0 -1", "a b"),
    ("01020161c0050600d14e1f09059a8704", "LRANGE k 0 -1", "a 5"),
];
