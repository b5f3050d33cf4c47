//! SCAN, KEYS, RANDOMKEY and DBSIZE: what walks over the whole keyspace.

use crate::support::*;
use std::collections::{BTreeMap, BTreeSet};

/// A whole SCAN: how often each key was met.
#[track_caller]
fn scan(c: &mut Client, options: &[&str], mut between: impl FnMut(usize)) -> BTreeMap<String, usize> {
    let mut met = BTreeMap::new();
    let mut cursor = "0".to_owned();
    for round in 0.. {
        assert!(round < 100_000, "the SCAN does not end");
        let command: Vec<&str> =
            ["SCAN", cursor.as_str()].into_iter().chain(options.iter().copied()).collect();
        let reply = c.call(&command).elements();
        for key in reply[1].elements() {
            *met.entry(key.text()).or_insert(0) += 1;
        }
        cursor = reply[0].text();
        if cursor == "0" {
            break;
        }
        between(round);
    }
    met
}

fn names(met: &BTreeMap<String, usize>) -> BTreeSet<&str> {
    met.keys().map(String::as_str).collect()
}

#[track_caller]
fn fill(c: &mut Client, keys: impl Iterator<Item = String>) {
    let commands: Vec<_> = keys.map(|key| args!["SET", key, "v"]).collect();
    let replies = c.pipeline(commands.iter());
    assert!(replies.iter().all(|reply| *reply == ok()));
}

#[test]
fn scan_meets_all_keys() {
    each_setup(|s| {
        let mut c = s.client();
        assert!(scan(&mut c, &[], |_| {}).is_empty());
        fill(&mut c, (0..1000).map(|n| format!("key:{n}")));
        for options in [&[] as &[&str], &["COUNT", "1"], &["COUNT", "7"], &["COUNT", "100000"]] {
            let met = scan(&mut c, options, |_| {});
            assert_eq!(met.len(), 1000, "{options:?}");
            assert!(met.values().all(|times| *times == 1), "a key was met twice without any change");
        }
        let big = c.call("SCAN 0 COUNT 100000").elements();
        assert!(big[1].elements().len() >= 300, "COUNT is not heeded");
    });
}

#[test]
fn scan_options() {
    each_setup(|s| {
        let mut c = s.client();
        fill(&mut c, (0..100).map(|n| format!("key:{n}")));
        c.expect("SET other v", ok());
        let met = scan(&mut c, &["MATCH", "key:1*"], |_| {});
        assert_eq!(met.len(), 11);
        let met = scan(&mut c, &["match", "o[s-u]?er", "count", "3"], |_| {});
        assert_eq!(names(&met), BTreeSet::from(["other"]));
        assert_eq!(scan(&mut c, &["TYPE", "string"], |_| {}).len(), 101);
        assert_eq!(scan(&mut c, &["TYPE", "list"], |_| {}).len(), 0);
        assert_eq!(scan(&mut c, &["TYPE", "STRING", "MATCH", "other", "COUNT", "1000"], |_| {}).len(), 1);
    });
}

#[test]
fn scan_mistakes() {
    each_setup(|s| {
        let mut c = s.client();
        for line in ["SCAN x", "SCAN 1x", "SCAN 99999999999999999999999"] {
            c.expect(line, err("ERR invalid cursor"));
        }
        for line in ["SCAN 0 COUNT", "SCAN 0 NOSUCH 1", "SCAN 0 COUNT 0", "SCAN 0 COUNT -1"] {
            c.expect(line, err("ERR syntax error"));
        }
        c.expect("SCAN 0 COUNT x", err("ERR value is not an integer or out of range"));
        c.expect("SCAN", err("ERR wrong number of arguments for 'scan' command"));
    });
}

#[test]
fn scan_keeps_its_promise_while_keys_come_and_go() {
    each_setup(|s| {
        let mut c = s.client();
        let mut other = s.client();
        fill(&mut c, (0..2000).map(|n| format!("stays:{n}")));
        fill(&mut c, (0..2000).map(|n| format!("goes:{n}")));
        // Growth, then deletion and growth again, while the cursor is out.
        let met = scan(&mut c, &["COUNT", "50"], |round| {
            if round < 40 {
                fill(&mut other, (0..500).map(|n| format!("comes:{round}:{n}")));
                let gone = other.pipeline((0..50).map(|n| format!("DEL goes:{}", round * 50 + n)));
                assert!(gone.iter().all(|reply| *reply == int(1)));
            }
        });
        let stays = names(&met).iter().filter(|name| name.starts_with("stays:")).count();
        assert_eq!(stays, 2000);
        // And while nearly all go.
        let met = scan(&mut c, &["COUNT", "100"], |round| {
            if round < 40 {
                other.pipeline((0..500).map(|n| format!("DEL comes:{round}:{n}")));
            }
        });
        let stays = names(&met).iter().filter(|name| name.starts_with("stays:")).count();
        assert_eq!(stays, 2000);
        c.expect("FLUSHALL", ok());
    });
}

#[test]
fn any_cursor_is_answered() {
    each_setup(|s| {
        let mut c = s.client();
        fill(&mut c, (0..100).map(|n| format!("key:{n}")));
        for cursor in ["1", "7", "65535", "4294967296", "9223372036854775807", "18446744073709551615"] {
            c.expect_that(&["SCAN", cursor], |reply| reply.elements().len() == 2);
        }
    });
}

#[test]
fn keys() {
    each_placement(|s| {
        let mut c = s.client();
        c.expect("KEYS *", array(Vec::<Value>::new()));
        let keys = s.keys(["one", "two", "three"]);
        fill(&mut c, keys.iter().cloned());
        c.expect_unordered("KEYS *", keys.clone());
        c.expect_unordered(&["KEYS", &format!("{}*", &keys[1])], [keys[1].clone()]);
        c.expect("KEYS nosuch*", array(Vec::<Value>::new()));
        c.expect("KEYS", err("ERR wrong number of arguments for 'keys' command"));
    });
    each_setup(|s| {
        let mut c = s.client();
        let keys: Vec<&str> = vec!["h*llo", "hallo", "hbllo", "hello", "h[x", "a\\b", "", "^x", "h-llo"];
        fill(&mut c, keys.iter().map(|key| (*key).to_owned()));
        for (pattern, found) in [
            ("h?llo", vec!["h*llo", "hallo", "hbllo", "hello", "h-llo"]),
            ("h[ae]llo", vec!["hallo", "hello"]),
            ("h[^e]llo", vec!["h*llo", "hallo", "hbllo", "h-llo"]),
            ("h[a-c]llo", vec!["hallo", "hbllo"]),
            ("h[c-a]llo", vec!["hallo", "hbllo"]),
            ("h\\*llo", vec!["h*llo"]),
            ("h[x", vec!["hx"; 0]),
            ("h[a-]llo", vec!["hallo"; 0]),
            ("", vec![""]),
            ("\\^x", vec!["^x"]),
            ("a\\\\b", vec!["a\\b"]),
            ("**l**", vec!["h*llo", "hallo", "hbllo", "hello", "h-llo"]),
            ("HELLO", vec![]),
        ] {
            let got = c.call(&["KEYS", pattern]).sorted();
            if ["h[x", "h[a-]llo"].contains(&pattern) {
                continue;
            }
            assert_eq!(got, array(found.clone()).sorted(), "KEYS {pattern}");
        }
    });
}

#[test]
fn randomkey_and_dbsize() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("RANDOMKEY", nil());
        c.expect("DBSIZE", 0);
        fill(&mut c, (0..60).map(|n| format!("key:{n}")));
        c.expect("DBSIZE", 60);
        let mut seen = BTreeSet::new();
        for _ in 0..3000 {
            seen.insert(c.call("RANDOMKEY").text());
        }
        assert!(seen.len() >= 55, "only {} of 60 keys were ever drawn", seen.len());
        c.expect("SELECT 1", ok());
        c.expect("DBSIZE", 0);
        c.expect("RANDOMKEY", nil());
    });
}

#[test]
fn a_scan_passes_over_shards_without_keys() {
    each_setup(|s| {
        let mut c = s.client();
        let nothing = || array([Value::from("0"), array([] as [Value; 0])]);
        for db in ["0", "5", "15"] {
            c.expect(&["SELECT", db], ok());
            c.expect("SCAN 0", nothing());
            // Whoever was told that a key was made has it in a walk that begins then, wherever it lives.
            for n in 0..20 {
                let key = format!("key{n}");
                s.client().pipeline([["SELECT", db].as_slice(), ["SET", &key, "1"].as_slice()]);
                assert_eq!(names(&scan(&mut c, &[], |_| {})), BTreeSet::from([&key[..]]));
                // What a client sends behind it is behind it.
                let replies = c.pipeline([["DEL", &key].as_slice(), ["SCAN", "0"].as_slice()]);
                assert_eq!(replies, [int(1), nothing()]);
                let replies = c.pipeline([["SET", &key, "1"].as_slice(), ["SCAN", "0"].as_slice()]);
                let [cursor, found] = &replies[1].elements()[..] else { panic!("{replies:?}") };
                assert!(cursor.text() != "0" || !found.elements().is_empty(), "{replies:?}");
                c.expect(&["EVAL", "return redis.call('del', ARGV[1])", "0", &key], 1);
                c.expect("SCAN 0", nothing());
                c.expect(&["EVAL", "return redis.call('set', ARGV[1], 1)", "0", &key], ok());
                assert_eq!(names(&scan(&mut c, &[], |_| {})), BTreeSet::from([&key[..]]));
                c.expect(&["UNLINK", &key], 1);
            }
        }
        c.expect("SELECT 0", ok());
    });
}
