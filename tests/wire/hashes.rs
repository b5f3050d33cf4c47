//! Hashes: what each command answers in every encoding, with keys on one shard and on several.

use crate::support::*;
use std::time::Duration;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// Runs a case with small hashes as listpacks, and with hashes as tables from the first field on.
fn each_encoding(case: impl Fn(&Setup, &str)) {
    each_setup(|s| {
        case(s, "listpack");
        s.client().expect("FLUSHALL", ok());
        s.config("hash-max-listpack-entries", "0");
        case(s, "hashtable");
    });
}

#[track_caller]
fn encoding(c: &mut Client, key: &str, wanted: &str) {
    c.expect(&["OBJECT", "ENCODING", key], wanted);
}

#[test]
fn set_and_get() {
    each_encoding(|s, kept| {
        let mut c = s.client();
        c.expect("HSET h a 1 b two c 3", 3);
        encoding(&mut c, "h", kept);
        c.expect("TYPE h", simple("hash"));
        c.expect("HSET h a 4 d 5", 1);
        c.expect("HMSET h e 6", ok());
        c.expect("HGET h a", "4");
        c.expect("HGET h nope", nil());
        c.expect("HMGET h e nope b", [bulk("6"), nil(), bulk("two")]);
        c.expect("HLEN h", 5);
        c.expect("HEXISTS h b", 1);
        c.expect("HEXISTS h nope", 0);
        c.expect("HSTRLEN h b", 3);
        c.expect("HSETNX h a 9", 0);
        c.expect("HSETNX h f 9", 1);
        c.expect("HDEL h a c d nope", 3);
        assert_eq!(c.call("HKEYS h").sorted(), array(["b", "e", "f"].map(bulk)).sorted());
        assert_eq!(c.call("HVALS h").sorted(), array(["6", "9", "two"].map(bulk)).sorted());
        c.expect("HDEL h b e f", 3);
        c.expect("EXISTS h", 0);
        c.expect("HGETALL h", map::<Value>([]));
        c.expect("HKEYS h", array::<Value>([]));
        c.expect("HSET h one field", 1);
        c.expect("HGETALL h", map([("one", bulk("field"))]));
        c.expect("HSET h a", err("ERR wrong number of arguments for 'hset' command"));
        c.expect("HSET h a 1 b", err("ERR wrong number of arguments for 'hset' command"));
        c.expect("SET s v", ok());
        for command in
            ["HSET s f v", "HGET s f", "HGETALL s", "HDEL s f", "HLEN s", "HSCAN s 0", "HRANDFIELD s"]
        {
            c.expect(command, err(WRONG_TYPE));
        }
        c.expect("GET h", err(WRONG_TYPE));
    });
}

#[test]
fn encodings_go_with_the_limits_and_never_back() {
    each_setup(|s| {
        let mut c = s.client();
        for n in 0..512 {
            c.expect(&args!["HSET", "h", format!("f{n}"), n], 1);
        }
        encoding(&mut c, "h", "listpack");
        c.expect("HSET h f0 again", 0);
        encoding(&mut c, "h", "listpack");
        c.expect("HSET h more v", 1);
        encoding(&mut c, "h", "hashtable");
        c.expect("HLEN h", 513);
        for n in 0..512 {
            c.expect(&args!["HDEL", "h", format!("f{n}")], 1);
        }
        encoding(&mut c, "h", "hashtable");
        c.expect("HGETALL h", map([("more", bulk("v"))]));
        for (length, wanted) in [(64, "listpack"), (65, "hashtable"), (600, "hashtable"), (5000, "hashtable")]
        {
            c.expect("DEL v f", if length == 64 { 0 } else { 2 });
            let long = "x".repeat(length);
            c.expect(&["HSET", "v", "a", "1", "f", &long, "z", "3"], 3);
            c.expect(&["HSET", "f", &long, "v"], 1);
            encoding(&mut c, "v", wanted);
            encoding(&mut c, "f", wanted);
            c.expect("HGET v f", long.as_str());
            c.expect("HMGET v a z", ["1", "3"].map(bulk));
            c.expect(&["HGET", "f", &long], "v");
            c.expect("HSTRLEN v f", length as i64);
        }
    });
}

#[test]
fn counters() {
    each_encoding(|s, _| {
        let mut c = s.client();
        c.expect("HINCRBY h n 5", 5);
        c.expect("HINCRBY h n -10", -5);
        c.expect("HGET h n", "-5");
        c.expect("HINCRBYFLOAT h n 0.1", "-4.9");
        c.expect("HINCRBY h n 1", err("ERR hash value is not an integer"));
        c.expect("HINCRBYFLOAT h x 1.5e3", "1500");
        c.expect("HINCRBY h x 1", 1501);
        c.expect("HSET h t text big 9223372036854775807", 2);
        c.expect("HINCRBY h big 1", err("ERR increment or decrement would overflow"));
        c.expect("HINCRBY h t 1", err("ERR hash value is not an integer"));
        c.expect("HINCRBYFLOAT h t 1", err("ERR hash value is not a float"));
        c.expect("HINCRBYFLOAT h n inf", err("ERR value is NaN or Infinity"));
        c.expect("HINCRBYFLOAT h n x", err("ERR value is not a valid float"));
    });
}

#[test]
fn random_fields() {
    each_encoding(|s, _| {
        let mut c = s.client();
        c.expect("HRANDFIELD h", nil());
        c.expect("HRANDFIELD h 3", array::<Value>([]));
        c.expect("HSET h a 1 b 2 c 3", 3);
        assert!(["a", "b", "c"].contains(&c.call("HRANDFIELD h").text().as_str()));
        assert_eq!(c.call("HRANDFIELD h 9").sorted(), array(["a", "b", "c"].map(bulk)).sorted());
        assert_eq!(c.call("HRANDFIELD h -9").elements().len(), 9);
        let pairs = c.call("HRANDFIELD h 2 WITHVALUES").elements();
        if s.is_resp3() {
            assert!(pairs.len() == 2 && pairs.iter().all(|pair| pair.elements().len() == 2));
        } else {
            assert_eq!(pairs.len(), 4);
        }
        c.expect("HRANDFIELD h 1 nonsense", err("ERR syntax error"));
    });
}

#[test]
fn scans_show_every_field() {
    each_setup(|s| {
        let mut c = s.client();
        let pairs: Vec<String> = (0..2000).flat_map(|n| [format!("f{n}"), n.to_string()]).collect();
        c.expect(&[&["HSET".to_owned(), "h".to_owned()][..], &pairs].concat(), 2000);
        let (mut seen, mut cursor) = (std::collections::HashMap::new(), "0".to_owned());
        loop {
            let reply = c.call(&["HSCAN", "h", &cursor, "COUNT", "50"]).elements();
            let found = reply[1].elements();
            for pair in found.chunks(2) {
                seen.insert(pair[0].text(), pair[1].text());
            }
            cursor = reply[0].text();
            if cursor == "0" {
                break;
            }
        }
        assert!((0..2000).all(|n| seen[&format!("f{n}")] == n.to_string()));
        c.expect("HSET small a 1 ab 2", 2);
        c.expect("HSCAN small 0 MATCH ab", [bulk("0"), array(["ab", "2"].map(bulk))]);
        c.expect("HSCAN nope 0", [bulk("0"), array::<Value>([])]);
        c.expect("HSCAN small x", err("ERR invalid cursor"));
        c.expect("HSCAN small 0 COUNT 0", err("ERR syntax error"));
        if !s.is_redis() {
            c.expect("HSCAN small 0 NOVALUES", [bulk("0"), array(["a", "ab"].map(bulk))]);
        }
    });
}

#[test]
fn fields_expire() {
    each_encoding(|s, kept| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        c.expect("HSET h a 1 b 2 c 3", 3);
        c.expect("HEXPIRE h 100 FIELDS 2 a nope", [1, -2].map(int));
        encoding(&mut c, "h", if kept == "listpack" { "listpackex" } else { kept });
        c.expect("HEXPIRE h 50 GT FIELDS 2 a b", [0, 0].map(int));
        c.expect("HTTL h FIELDS 3 a b nope", [100, -1, -2].map(int));
        c.expect("HPERSIST h FIELDS 2 a b", [1, -1].map(int));
        c.expect("HPEXPIRE h 1 FIELDS 2 a b", [1, 1].map(int));
        // Nobody has to look at them.
        wait_until("both have gone", Duration::from_secs(60), || c.call("HLEN h") == int(1));
        c.expect("HGETALL h", map([("c", bulk("3"))]));
        c.expect("HSETEX h PX 1 FIELDS 1 c 4", 1);
        wait_until("the key has gone", Duration::from_secs(60), || c.call("DBSIZE") == int(0));
        c.expect("HSETEX h FXX EX 9 FIELDS 1 c 4", 0);
        c.expect("HSETEX h EX 9 FIELDS 2 c 4 d 5", 1);
        c.expect("HGETEX h PERSIST FIELDS 2 c nope", [bulk("4"), nil()]);
        c.expect("HTTL h FIELDS 2 c d", [-1, 9].map(int));
        c.expect("HGETDEL h FIELDS 2 c d", ["4", "5"].map(bulk));
        c.expect("EXISTS h", 0);
    });
}

#[test]
fn many_fields_of_many_hashes_expire() {
    each_setup(|s| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        let sets = c.pipeline((0..2000).map(|n| format!("HSETEX h:{n} PX {} FIELDS 2 a 1 b 2", 5 + n % 100)));
        assert!(sets.iter().all(|reply| *reply == int(1)));
        let sets = c.pipeline((0..2000).map(|n| format!("HSETEX big PX {} FIELDS 1 f{n} v", 5 + n % 100)));
        assert!(sets.iter().all(|reply| *reply == int(1)));
        wait_until("all have gone", Duration::from_secs(20), || c.call("DBSIZE") == int(0));
    });
}

#[test]
fn hashes_are_dumped_renamed_and_copied_with_their_deadlines() {
    each_placement(|s| {
        for entries in ["512", "1"] {
            s.config("hash-max-listpack-entries", entries);
            let mut c = s.client();
            let [a, b, d] = s.keys(["a", "b", "d"]);
            c.expect(&args!["HSET", a, "f", "1", "g", "two", "h", "x".repeat(60)], 3);
            let ttl = if s.is_redis() { -1 } else { 100 };
            if ttl > 0 {
                c.expect(&args!["HEXPIRE", a, 100, "FIELDS", 1, "g"], [1].map(int));
            }
            let payload = c.call(&["DUMP", &a]).bytes().to_vec();
            let digest = c.call(&["DEBUG", "DIGEST-VALUE", &a]);
            c.expect(&args!["RESTORE", b, 0, payload], ok());
            c.expect(&["DEBUG", "DIGEST-VALUE", &b], digest.clone());
            c.expect(&["COPY", &b, &d], 1);
            c.expect(&["DEL", &b], 1);
            c.expect(&["RENAME", &d, &b], ok());
            c.expect(&["DEBUG", "DIGEST-VALUE", &b], digest);
            c.expect(&["HMGET", &b, "f", "g"], ["1", "two"].map(bulk));
            if ttl > 0 {
                c.expect(&args!["HTTL", b, "FIELDS", 2, "f", "g"], [-1, ttl].map(int));
            }
            c.expect(&["DEL", &a, &b], 2);
        }
    });
}

#[test]
fn payloads_of_redis_come_back_as_they_were() {
    each_setup(|s| {
        let mut c = s.client();
        // Written by Redis 7.0.15: HSET h a 1 b two, as a listpack.
        let listpack = b"\x10\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x83two\x04\xff\n\x00\x04(\xb5%\xe1\xe2k\x12";
        c.expect(&args!["RESTORE", "h", 0, listpack], ok());
        c.expect("HMGET h a b", ["1", "two"].map(bulk));
        c.expect("DUMP h", bulk(listpack));
    });
}

#[test]
fn watched_hashes_change_with_their_fields() {
    each_setup(|s| {
        let (mut c, mut other) = (s.client(), s.client());
        c.expect("HSET h a 1 b 2", 2);
        for (command, changes) in [
            ("HSET h a 1", true),
            ("HSETNX h a 1", false),
            ("HDEL h nope", false),
            ("HINCRBY h a 1", true),
            ("HDEL h a", true),
            ("HGETALL h", false),
        ] {
            c.expect("WATCH h", ok());
            other.call(command);
            c.expect("MULTI", ok());
            c.expect("HLEN h", simple("QUEUED"));
            let reply = c.call("EXEC");
            assert_eq!(reply == nil_array() || reply == nil(), changes, "{command}: {reply}");
        }
    });
}
