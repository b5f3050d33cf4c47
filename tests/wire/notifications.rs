//! Keyspace notifications: what is published about keys, to whom, and in which order.

use std::time::Duration;

use crate::support::*;

/// A subscriber of everything about keys, on a server that publishes the classes `flags`.
fn listening(s: &Setup, flags: &str) -> Client {
    s.config("notify-keyspace-events", flags);
    let mut listener = s.client();
    let pattern = "__key*@*__:*";
    listener.expect(&["PSUBSCRIBE", pattern], push([bulk("psubscribe"), bulk(pattern), int(1)]));
    listener
}

/// The next notification as `channel message`, without the underscores.
#[track_caller]
fn next(listener: &mut Client) -> String {
    let [_, _, channel, text] = listener.recv().elements().try_into().expect("a pmessage has four parts");
    format!("{} {}", channel.text().replace("__", ""), text.text())
}

#[track_caller]
fn expect<const N: usize>(listener: &mut Client, lines: [String; N]) {
    for line in lines {
        assert_eq!(next(listener), line);
    }
}

/// Nothing is under way: a message of another kind comes next, from every core that may have notified.
#[track_caller]
fn expect_nothing(s: &Setup, listener: &mut Client) {
    for mut publisher in (0..s.shards()).map(|_| s.client()) {
        publisher.expect("PUBLISH __key@__:mark x", 1);
        assert_eq!(next(listener), "key@: mark x".replace(": ", ":"));
    }
}

#[test]
fn nothing_is_published_unless_it_is_asked_for() {
    each_setup(|s| {
        let mut l = listening(s, "");
        let mut c = s.client();
        c.expect("SET a 1", ok());
        expect_nothing(s, &mut l);
        for flags in ["A", "K", "E", "KEm", "gK"] {
            s.config("notify-keyspace-events", flags);
            c.expect("SET a 1", ok());
            expect_nothing(s, &mut l);
        }
    });
}

#[test]
fn keys_and_events_have_channels_of_their_own() {
    each_placement(|s| {
        let [a] = s.keys(["a"]);
        let mut l = listening(s, "KEA");
        let mut c = s.client();
        c.expect(&["SET", &a, "1"], ok());
        expect(&mut l, [format!("keyspace@0:{a} set"), format!("keyevent@0:set {a}")]);
        c.expect("SELECT 3", ok());
        c.expect(&["INCR", &a], 1);
        expect(&mut l, [format!("keyspace@3:{a} incrby"), format!("keyevent@3:incrby {a}")]);
        s.config("notify-keyspace-events", "KA");
        c.expect(&["INCR", &a], 2);
        c.expect("SELECT 0", ok());
        s.config("notify-keyspace-events", "E$");
        c.expect(&["INCR", &a], 2);
        c.expect(&["DEL", &a], 1);
        expect(&mut l, [format!("keyspace@3:{a} incrby"), format!("keyevent@0:incrby {a}")]);
        expect_nothing(s, &mut l);
    });
}

#[test]
fn a_command_s_events_come_in_its_order() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        let mut l = listening(s, "EA");
        let mut c = s.client();
        c.expect(&["SET", &a, "1", "EX", "100"], ok());
        expect(&mut l, [format!("keyevent@0:set {a}"), format!("keyevent@0:expire {a}")]);
        c.expect(&["PERSIST", &a], 1);
        expect(&mut l, [format!("keyevent@0:persist {a}")]);
        c.expect(&["RENAME", &a, &b], ok());
        let mut both = [next(&mut l), next(&mut l)];
        // On two shards the two halves may be told in either order.
        both.sort();
        assert_eq!(both, [format!("keyevent@0:rename_from {a}"), format!("keyevent@0:rename_to {b}")]);
        c.expect(&["DEL", &b, &a], 1);
        expect(&mut l, [format!("keyevent@0:del {b}")]);
        c.expect(&["EXPIRE", &a, "1"], 0);
        c.expect(&["SET", &a, "1", "PX", "1"], ok());
        expect(&mut l, ["set", "expire", "expired"].map(|event| format!("keyevent@0:{event} {a}")));
    });
}

#[test]
fn keys_expire_without_anybody_looking() {
    each_setup(|s| {
        let mut l = listening(s, "Ex");
        let mut c = s.client();
        let keys: Vec<String> = (0..30).map(|n| format!("key{n:02}")).collect();
        keys.iter().for_each(|key| c.expect(&["SET", key, "1", "PX", "20"], ok()));
        let mut expired: Vec<String> = keys.iter().map(|_| next(&mut l)).collect();
        expired.sort();
        let expected: Vec<String> = keys.iter().map(|key| format!("keyevent@0:expired {key}")).collect();
        assert_eq!(expired, expected);
        expect_nothing(s, &mut l);
    });
}

#[test]
fn every_core_s_subscribers_are_told() {
    each_placement(|s| {
        let keys = s.keys(["a", "b", "c"]);
        s.config("notify-keyspace-events", "KA");
        let mut listeners: Vec<Client> = (0..6).map(|_| s.client()).collect();
        for l in &mut listeners {
            for (index, key) in keys.iter().enumerate() {
                let channel = format!("__keyspace@0__:{key}");
                l.expect(
                    &["SUBSCRIBE", &channel],
                    push([bulk("subscribe"), bulk(&channel), int(index as i64 + 1)]),
                );
            }
        }
        for mut c in (0..3).map(|_| s.client()) {
            for key in &keys {
                c.expect(&["SET", key, "1"], ok());
                let channel = format!("__keyspace@0__:{key}");
                listeners.iter_mut().for_each(|l| l.expect_next(push(["message", &channel, "set"])));
            }
        }
    });
}

#[test]
fn new_keys_and_misses_are_told_to_who_asks() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        let mut l = listening(s, "Enm$g");
        let mut c = s.client();
        let told = |event: &str, key: &str| format!("keyevent@0:{event} {key}");
        c.expect(&["SET", &a, "1"], ok());
        expect(&mut l, [told("new", &a), told("set", &a)]);
        c.expect(&["SET", &a, "2"], ok());
        expect(&mut l, [told("set", &a)]);
        c.expect(&["APPEND", &b, "x"], 1);
        expect(&mut l, [told("new", &b), told("append", &b)]);
        c.expect(&["DEL", &b], 1);
        expect(&mut l, [told("del", &b)]);
        c.expect(&["GET", &b], nil());
        c.expect(&["EXISTS", &b], 0);
        c.expect(&["TTL", &b], -2);
        expect(&mut l, [told("keymiss", &b), told("keymiss", &b), told("keymiss", &b)]);
        // Asking how a value is kept is no miss.
        c.expect(&["OBJECT", "ENCODING", &b], nil());
        c.expect(&["OBJECT", "REFCOUNT", &b], nil());
        c.expect(&["OBJECT", "IDLETIME", &b], nil());
        c.expect(&["DEL", &b], 0);
        c.expect(&["GETSET", &b, "1"], nil());
        expect(&mut l, [told("keymiss", &b), told("new", &b), told("set", &b)]);
        expect_nothing(s, &mut l);
    });
}

#[test]
fn overwriting_is_told_to_who_asks() {
    each_placement(|s| {
        if s.is_redis() {
            return;
        }
        let [a, b] = s.keys(["a", "b"]);
        let mut l = listening(s, "Eoc$");
        let mut c = s.client();
        let told = |event: &str, key: &str| format!("keyevent@0:{event} {key}");
        c.expect(&["SET", &a, "1"], ok());
        expect(&mut l, [told("set", &a)]);
        c.expect(&["SET", &a, "2"], ok());
        expect(&mut l, [told("overwritten", &a), told("set", &a)]);
        c.expect(&["RPUSH", &b, "x"], 1);
        c.expect(&["SET", &b, "2"], ok());
        expect(&mut l, [told("overwritten", &b), told("type_changed", &b), told("set", &b)]);
        expect_nothing(s, &mut l);
        c.expect_that("CONFIG GET notify-keyspace-events", |reply| {
            reply.field("notify-keyspace-events") == bulk("$ocE")
        });
    });
}

#[test]
fn a_block_s_events_come_in_its_order() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        let mut l = listening(s, "EA");
        let mut c = s.client();
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "1"], simple("QUEUED"));
        c.expect("PUBLISH __keymine@0__:x y", simple("QUEUED"));
        c.expect(&["SET", &b, "1"], simple("QUEUED"));
        c.expect(&["DEL", &b], simple("QUEUED"));
        c.expect("EXEC", array([ok(), int(1), ok(), int(1)]));
        expect(
            &mut l,
            [
                format!("keyevent@0:set {a}"),
                "keymine@0:x y".to_owned(),
                format!("keyevent@0:set {b}"),
                format!("keyevent@0:del {b}"),
            ],
        );
    });
}

#[test]
fn flushing_tells_nothing() {
    each_setup(|s| {
        let mut l = listening(s, "KEA");
        let mut c = s.client();
        c.expect("SET a 1", ok());
        next(&mut l);
        next(&mut l);
        c.expect("FLUSHALL", ok());
        expect_nothing(s, &mut l);
    });
}

#[test]
fn keys_that_expire_in_a_script_that_begins_anew_are_told_once() {
    each_placement(|s| {
        let mut l = listening(s, "KA");
        let mut c = s.client();
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        c.expect("DEBUG SET-ACTIVE-EXPIRE 0", ok());
        c.expect(&["SET", a, "1", "PX", "1"], ok());
        expect(&mut l, [format!("keyspace@0:{a} set"), format!("keyspace@0:{a} expire")]);
        let due_ms = now_ms(&mut c) + 2;
        wait_until("the deadline passes", Duration::from_secs(60), || now_ms(&mut c) > due_ms);
        // The second key may live elsewhere: then the first attempt is undone, but the key is gone.
        let source =
            "redis.call('get', KEYS[1]) redis.call('set', KEYS[1], 'x') return redis.call('incr', ARGV[1])";
        c.expect(&["EVAL", source, "1", a, b], int(1));
        expect(
            &mut l,
            [format!("{a} expired"), format!("{a} set"), format!("{b} incrby")]
                .map(|l| format!("keyspace@0:{l}")),
        );
        expect_nothing(s, &mut l);
        c.expect("DEBUG SET-ACTIVE-EXPIRE 1", ok());
    });
}

#[test]
fn a_script_s_events_come_in_its_order_wherever_its_keys_are() {
    each_placement(|s| {
        let mut l = listening(s, "EA");
        let mut c = s.client();
        let [a, b, d] = s.keys(["a", "b", "d"]);
        let source = "redis.call('set', KEYS[1], 1) redis.call('rpush', ARGV[1], 1) \
                      redis.call('publish', '__keymine@0__:x', 'y') redis.call('sadd', ARGV[2], 1) \
                      redis.call('append', KEYS[1], 2) redis.call('del', ARGV[2], KEYS[1]) \
                      redis.call('rpush', ARGV[1], 1)";
        // First it begins anew; then it is known to need all shards.
        for _ in 0..3 {
            c.expect(&["EVAL", source, "1", &a, &b, &d], nil());
            let [x, y, z] = [("set", &a), ("rpush", &b), ("sadd", &d)]
                .map(|(event, key)| format!("keyevent@0:{event} {key}"));
            expect(&mut l, [x, y, "keymine@0:x y".to_owned(), z, format!("keyevent@0:append {a}")]);
            // One command over shards: each tells its own.
            let mut both = [next(&mut l), next(&mut l)];
            both.sort();
            let mut deleted = [format!("keyevent@0:del {a}"), format!("keyevent@0:del {d}")];
            deleted.sort();
            assert_eq!(both, deleted);
            expect(&mut l, [format!("keyevent@0:rpush {b}")]);
            c.expect(&["DEL", &b], 1);
            expect(&mut l, [format!("keyevent@0:del {b}")]);
        }
        expect_nothing(s, &mut l);
    });
}

#[test]
fn evicted_keys_are_told() {
    with_server(
        |threads| Options::threads(threads).with("maxmemory-policy", "allkeys-lru"),
        |s| {
            let mut l = listening(s, "Ee");
            let mut c = s.client();
            let value = "x".repeat(1000);
            c.expect("CONFIG SET maxmemory 4mb", ok());
            let mut sent = 0;
            loop {
                for _ in 0..1000 {
                    c.expect(&["SET", &format!("key{sent}"), &value], ok());
                    sent += 1;
                }
                if c.call("INFO stats")
                    .text()
                    .lines()
                    .any(|line| line.starts_with("evicted_keys:") && line != "evicted_keys:0")
                {
                    break;
                }
                assert!(sent < 100_000, "nothing is evicted");
            }
            assert!(next(&mut l).starts_with("keyevent@0:evicted key"));
        },
    );
}

/// A subscriber of everything about fields.
fn listening_to_fields(s: &Setup, flags: &str) -> Client {
    s.config("notify-keyspace-events", flags);
    let mut listener = s.client();
    let pattern = "__*key*@*__:*";
    listener.expect(&["PSUBSCRIBE", pattern], push([bulk("psubscribe"), bulk(pattern), int(1)]));
    listener
}

#[test]
fn fields_have_channels_of_their_own() {
    each_placement(|s| {
        if s.is_redis() {
            return;
        }
        let [h, other] = s.keys(["h", "other"]);
        let mut l = listening_to_fields(s, "hKESTIV");
        let mut c = s.client();
        c.expect("SELECT 2", ok());
        c.expect(&["HSET", &h, "a", "1", "b,|:", "2", "a", "3"], 2);
        let length = h.len();
        expect(
            &mut l,
            [
                format!("keyspace@2:{h} hset"),
                format!("keyevent@2:hset {h}"),
                format!("subkeyspace@2:{h} hset|1:a,4:b,|:,1:a"),
                format!("subkeyevent@2:hset {length}:{h}|1:a,4:b,|:,1:a"),
                format!("subkeyspaceitem@2:{h}\na hset"),
                format!("subkeyspaceitem@2:{h}\nb,|: hset"),
                format!("subkeyspaceitem@2:{h}\na hset"),
                format!("subkeyspaceevent@2:hset|{h} 1:a,4:b,|:,1:a"),
            ],
        );
        // Each kind of channel is asked for by itself, and only with the class of hashes.
        for (flags, line) in [
            ("hS", format!("subkeyspace@2:{h} hdel|1:a")),
            ("AT", format!("subkeyevent@2:hdel {length}:{h}|1:a")),
            ("hI", format!("subkeyspaceitem@2:{h}\na hdel")),
            ("hV", format!("subkeyspaceevent@2:hdel|{h} 1:a")),
        ] {
            s.config("notify-keyspace-events", flags);
            c.expect(&["HDEL", &h, "a", "nothing", "a"], 1);
            expect(&mut l, [line]);
            s.config("notify-keyspace-events", "g$STIV");
            c.expect(&["HSET", &h, "a", "1"], 1);
            c.expect(&["SET", &other, "1"], ok());
        }
        // What is no hash's event names no field, and an event that names none is told to none of them.
        s.config("notify-keyspace-events", "ASTIV");
        c.expect(&["SET", &other, "1"], ok());
        c.expect(&["DEL", &h], 1);
        c.expect(&["HDEL", &h, "a"], 0);
        expect_nothing(s, &mut l);
    });
}

#[test]
fn a_field_s_channel_is_not_told_of_a_key_with_a_line_break() {
    each_setup(|s| {
        if s.is_redis() {
            return;
        }
        let mut l = listening_to_fields(s, "hIV");
        let mut c = s.client();
        c.expect(&["HSET", "k\nk", "f\nf", "1"], 1);
        c.expect(&["HSET", "k", "f\nf", "1"], 1);
        expect(
            &mut l,
            [
                "subkeyspaceevent@0:hset|k\nk 3:f\nf".to_owned(),
                "subkeyspaceitem@0:k\nf\nf hset".to_owned(),
                "subkeyspaceevent@0:hset|k 3:f\nf".to_owned(),
            ],
        );
    });
}

#[test]
fn every_change_of_a_hash_names_its_fields() {
    each_placement(|s| {
        if s.is_redis() {
            return;
        }
        let [h] = s.keys(["h"]);
        let h = &h[..];
        let mut l = listening_to_fields(s, "hSg");
        let mut c = s.client();
        let told = |text: &str| format!("subkeyspace@0:{h} {text}");
        c.expect(&["HMSET", h, "a", "1", "b", "2"], ok());
        c.expect(&["HSETNX", h, "a", "1"], 0);
        c.expect(&["HSETNX", h, "c", "x"], 1);
        c.expect(&["HINCRBY", h, "a", "1"], 2);
        c.expect(&["HINCRBYFLOAT", h, "a", "0.5"], "2.5");
        expect(&mut l, ["hset|1:a,1:b", "hset|1:c", "hincrby|1:a", "hincrbyfloat|1:a"].map(told));
        c.expect(&["HEXPIRE", h, "100", "FIELDS", "3", "a", "none", "b"], array([int(1), int(-2), int(1)]));
        c.expect(&["HPEXPIRE", h, "9", "GT", "FIELDS", "1", "a"], array([int(0)]));
        c.expect(&["HPERSIST", h, "FIELDS", "2", "b", "c"], array([int(1), int(-1)]));
        c.expect(&["HEXPIREAT", h, "1", "FIELDS", "2", "b", "none"], array([int(2), int(-2)]));
        expect(&mut l, ["hexpire|1:a,1:b", "hpersist|1:b", "hdel|1:b"].map(told));
        c.expect(&["HGETEX", h, "PERSIST", "FIELDS", "2", "a", "c"], array([bulk("2.5"), bulk("x")]));
        c.expect(&["HGETEX", h, "EX", "100", "FIELDS", "2", "c", "none"], array([bulk("x"), nil()]));
        c.expect(&["HGETEX", h, "FIELDS", "1", "c"], array([bulk("x")]));
        c.expect(&["HGETEX", h, "PXAT", "1", "FIELDS", "1", "c"], array([bulk("x")]));
        expect(&mut l, ["hpersist|1:a", "hexpire|1:c", "hdel|1:c"].map(told));
        c.expect(&["HSETEX", h, "FIELDS", "2", "d", "1", "e", "2"], 1);
        c.expect(&["HSETEX", h, "EX", "100", "FIELDS", "1", "f", "1"], 1);
        c.expect(&["HSETEX", h, "FNX", "FIELDS", "1", "f", "1"], 0);
        c.expect(&["HGETDEL", h, "FIELDS", "3", "d", "none", "e"], array([bulk("1"), nil(), bulk("2")]));
        c.expect(&["HDEL", h, "a", "f"], 2);
        expect(&mut l, ["hset|1:d,1:e", "hset|1:f", "hexpire|1:f", "hdel|1:d,1:e", "hdel|1:a,1:f"].map(told));
        expect_nothing(s, &mut l);
    });
}

#[test]
fn fields_that_expire_are_named_together() {
    each_placement(|s| {
        if s.is_redis() {
            return;
        }
        let [h] = s.keys(["h"]);
        let h = &h[..];
        let mut l = listening_to_fields(s, "hT");
        let mut c = s.client();
        let told = |event: &str, fields: &str| format!("subkeyevent@0:{event} {}:{h}|{fields}", h.len());
        // One fewer deadline than fields, so that the hash stays.
        for active in ["1", "0"] {
            c.expect(&["DEBUG", "SET-ACTIVE-EXPIRE", active], ok());
            c.expect(&["HSET", h, "a", "1", "b", "2", "c", "3"], if active == "1" { 3 } else { 2 });
            c.expect(&["HPEXPIRE", h, "1", "FIELDS", "2", "a", "b"], array([int(1), int(1)]));
            if active == "0" {
                let now = || now_ms(&mut s.client());
                let due_ms = now() + 2;
                wait_until("the deadline passes", Duration::from_secs(60), || now() > due_ms);
                c.expect(&["HSET", h, "d", "4"], 1);
            }
            expect(&mut l, [told("hset", "1:a,1:b,1:c"), told("hexpire", "1:a,1:b")]);
            let line = next(&mut l);
            let either = [told("hexpired", "1:a,1:b"), told("hexpired", "1:b,1:a")];
            assert!(either.contains(&line), "{line}");
        }
        expect(&mut l, [told("hset", "1:d")]);
        expect_nothing(s, &mut l);
        c.expect("DEBUG SET-ACTIVE-EXPIRE 1", ok());
    });
}

/// The server's clock.
fn now_ms(c: &mut Client) -> u64 {
    let [s, us] = c.call("TIME").elements().try_into().expect("a time has two parts");
    s.text().parse::<u64>().unwrap() * 1000 + us.text().parse::<u64>().unwrap() / 1000
}
