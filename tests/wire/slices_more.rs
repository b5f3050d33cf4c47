//! Commands that take elements out of a value in slices, and those that read several values: the same replies and values
//! as in one go, and nobody sees them half done.

use super::slices::{LONG, each_server, queued, slices, wait_for_queue};
use crate::support::*;
use std::time::Duration;

const ELEMENTS: usize = 300;
/// Keys of one shard.
const WORK: &str = "{t}work";
const OTHER: &str = "{t}other";

/// Makes the values under `{t}list` and so on, which the commands are given copies of.
fn fill(c: &mut Client) {
    c.expect("CONFIG SET stream-node-max-entries 7", ok());
    for index in 0..ELEMENTS {
        let (name, number) = (format!("element:{index:05}"), index.to_string());
        let value = if index % 3 == 0 { number.clone() } else { format!("{name}{}", "x".repeat(index % 80)) };
        c.send(&["RPUSH", "{t}list", &value, if index % 5 == 0 { "again" } else { &name }]);
        c.send(&["SADD", "{t}set", &format!("{name}{}", "y".repeat(60))]);
        c.send(&["ZADD", "{t}zset", &(index % 7).to_string(), &format!("{name}{}", "z".repeat(60))]);
        c.send(&[
            "XADD",
            "{t}stream",
            &format!("{}-{}", 1 + index / 3, index % 3),
            "field",
            &value,
            "f",
            &number,
        ]);
    }
    (0..4 * ELEMENTS).for_each(|_| drop(c.recv()));
}

/// The content of a key, whatever it is.
fn content(c: &mut Client, key: &str) -> Vec<Value> {
    let length = match c.call(&["TYPE", key]).text().as_str() {
        "list" => c.call(&["LLEN", key]),
        "set" => c.call(&["SCARD", key]),
        "zset" => c.call(&["ZCARD", key]),
        "stream" => c.call(&["XINFO", "STREAM", key]),
        _ => nil(),
    };
    let encoding = c.call(&["OBJECT", "ENCODING", key]);
    vec![c.call(&["TYPE", key]), length, encoding, c.call(&["DEBUG", "DIGEST-VALUE", key])]
}

fn words(command: &str) -> Vec<String> {
    command.split(' ').map(str::to_owned).collect()
}

/// What a command answers and leaves when it runs in one go and when it runs in slices, also within EXEC.
fn compare(c: &mut Client, source: &str, command: &str) {
    let mut outcomes = Vec::new();
    for (above, elements) in [("1000000", "256"), ("4", "3"), ("4", "exec")] {
        c.expect("DEBUG SLICES 1000000 256", ok());
        c.expect(&["COPY", source, WORK, "REPLACE"], 1);
        c.call(&["DEL", OTHER]);
        let is_exec = elements == "exec";
        c.expect(&["DEBUG", "SLICES", above, if is_exec { "9" } else { elements }], ok());
        let before = c.call("INFO persistence").text();
        let reply = if is_exec {
            c.expect("MULTI", ok());
            c.expect(&words(command), simple("QUEUED"));
            c.call("EXEC").elements().remove(0)
        } else {
            c.call(&words(command))
        };
        let changes = changes(&c.call("INFO persistence").text()) - changes(&before);
        c.expect("DEBUG SLICES 1000000 256", ok());
        outcomes.push((reply, changes, content(c, WORK), content(c, OTHER)));
    }
    assert!(!outcomes[0].0.is_error(), "{command}: {:?}", outcomes[0].0);
    for outcome in &outcomes[1..] {
        assert!(*outcome == outcomes[0], "{command}:\n{outcome:?}\n{:?}", outcomes[0]);
    }
}

fn changes(info: &str) -> i64 {
    let line = info.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:"));
    line.expect("INFO tells the changes").parse().expect("a number")
}

#[test]
fn what_takes_elements_out_does_as_in_one_go() {
    each_server(|s| {
        let mut c = s.client();
        fill(&mut c);
        for command in [
            "LTRIM {t}work 50 -100",
            "LTRIM {t}work 0 9",
            "LTRIM {t}work -10 -1",
            "LTRIM {t}work 5 2",
            "LTRIM {t}work 0 -1",
            "LREM {t}work 0 again",
            "LREM {t}work 40 again",
            "LREM {t}work -50 again",
            "LREM {t}work 1 element:00299",
            "LREM {t}work 0 nothing",
            "LPOP {t}work 150",
            "LPOP {t}work 1000",
            "RPOP {t}work 599",
            "LINSERT {t}work BEFORE element:00299 new",
            "LINSERT {t}work AFTER element:00203 new",
            "LINSERT {t}work AFTER nothing new",
            "LPOS {t}work again",
            "LPOS {t}work again RANK 40",
            "LPOS {t}work again RANK -59 COUNT 0",
            "LPOS {t}work again RANK -2 COUNT 30",
            "LPOS {t}work again RANK 3 COUNT 0 MAXLEN 200",
            "LPOS {t}work again RANK -3 COUNT 0 MAXLEN 200",
            "LPOS {t}work nothing",
            "LPOS {t}work nothing COUNT 2",
        ] {
            compare(&mut c, "{t}list", command);
        }
        for command in [
            "ZREMRANGEBYRANK {t}work 10 200",
            "ZREMRANGEBYRANK {t}work -100 -2",
            "ZREMRANGEBYRANK {t}work 0 -1",
            "ZREMRANGEBYSCORE {t}work (1 5",
            "ZREMRANGEBYSCORE {t}work -inf +inf",
            "ZREMRANGEBYLEX {t}work - +",
            "ZPOPMIN {t}work 100",
            "ZPOPMAX {t}work 299",
            "ZPOPMAX {t}work 1000",
            "ZRANGESTORE {t}other {t}work 10 200",
            "ZRANGESTORE {t}other {t}work 0 50 REV",
            "ZRANGESTORE {t}other {t}work 1 4 BYSCORE LIMIT 3 100",
            "ZRANGESTORE {t}work {t}work 0 -1",
        ] {
            compare(&mut c, "{t}zset", command);
        }
        for command in [
            "XTRIM {t}work MAXLEN 20",
            "XTRIM {t}work MAXLEN 0",
            "XTRIM {t}work MAXLEN ~ 20 LIMIT 0",
            "XTRIM {t}work MAXLEN ~ 299 LIMIT 0",
            "XTRIM {t}work MINID 50",
            "XTRIM {t}work MINID 50-1",
            "XTRIM {t}work MINID ~ 50-2 LIMIT 0",
            "XRANGE {t}work - +",
            "XRANGE {t}work (3 70-1",
            "XRANGE {t}work 3 + COUNT 40",
            "XRANGE {t}work 3 + COUNT 3",
            "XREVRANGE {t}work + -",
            "XREVRANGE {t}work 70 (3-1 COUNT 100",
        ] {
            compare(&mut c, "{t}stream", command);
        }
    });
}

#[test]
fn random_members_that_leave_are_told_and_the_others_stay() {
    each_server(|s| {
        let mut c = s.client();
        fill(&mut c);
        let mut all: Vec<String> = c.call("SMEMBERS {t}set").elements().iter().map(Value::text).collect();
        all.sort();
        for count in [10, 150, 280, 299, 300, 1000] {
            for elements in ["1", "256"] {
                c.expect("DEBUG SLICES 1000000 256", ok());
                c.expect(&["COPY", "{t}set", WORK, "REPLACE"], 1);
                c.expect(&["DEBUG", "SLICES", "4", elements], ok());
                let popped = c.call(&["SPOP", WORK, &count.to_string()]).elements();
                assert_eq!(popped.len(), count.min(ELEMENTS));
                let stay = c.call(&["SMEMBERS", WORK]).elements();
                let mut both: Vec<String> = popped.iter().chain(&stay).map(Value::text).collect();
                both.sort();
                assert_eq!(both, all, "SPOP {count} in steps of {elements}");
                c.expect(&["EXISTS", WORK], i64::from(count < ELEMENTS));
            }
        }
    });
}

#[test]
fn dumps_are_those_of_one_go() {
    each_server(|s| {
        let mut c = s.client();
        fill(&mut c);
        for index in 0..ELEMENTS {
            c.call(&["HSET", "{t}hash", &format!("field:{index}"), &"v".repeat(index % 90)]);
        }
        c.expect(&["RPUSH", "{t}list", &"long".repeat(5000), "last"], 602);
        c.expect("HSET {t}deadlines a 1 b 2", 2);
        (0..200).for_each(|index| drop(c.call(&["HSET", "{t}deadlines", &index.to_string(), "value"])));
        c.call("HPEXPIRE {t}deadlines 10000000 FIELDS 1 a");
        c.expect("XGROUP CREATE {t}stream readers 0", ok());
        c.call("XREADGROUP GROUP readers one COUNT 100 STREAMS {t}stream >");
        c.call("XDEL {t}stream 3-1 4-1 40-0 40-1 40-2");
        for key in ["{t}list", "{t}set", "{t}zset", "{t}hash", "{t}stream", "{t}deadlines"] {
            let what = content(&mut c, key);
            c.expect("DEBUG SLICES 1000000 256", ok());
            let whole = c.call(&["DUMP", key]).bytes().to_vec();
            for elements in [1, 7, 256] {
                slices(&mut c, elements);
                let dump = c.call(&["DUMP", key]).bytes().to_vec();
                c.expect("DEBUG SLICES 1000000 256", ok());
                assert_eq!(dump.len(), whole.len(), "DUMP {key} in steps of {elements}");
                assert!(key == "{t}set" || key == "{t}hash" || dump == whole, "DUMP {key}");
                let restore: Vec<&[u8]> = vec![b"RESTORE", WORK.as_bytes(), b"0", &dump, b"REPLACE"];
                c.expect(&restore, ok());
                if key != "{t}stream" {
                    assert_eq!(content(&mut c, WORK), what, "RESTORE of {key} in steps of {elements}");
                }
            }
        }
    });
}

#[test]
fn operations_on_several_values_are_those_of_one_go() {
    each_server(|s| {
        let mut c = s.client();
        let mut expected = Vec::new();
        operations(&mut c, &|name| format!("{{t}}{name}"), &mut expected);
        if s.shards() > 1 {
            let names =
                ["a", "b", "c", "y", "z", "few", "ints", "fewz", "endless", "missing", "other", "work"];
            let keys: Vec<(&str, String)> = names
                .iter()
                .enumerate()
                .map(|(index, name)| (*name, s.key_on((index + index / 3) % s.shards(), name)))
                .collect();
            let key = |name: &str| match keys.iter().find(|(known, _)| *known == name) {
                Some((_, key)) => key.clone(),
                None => panic!("{name} has no key"),
            };
            operations(&mut c, &key, &mut expected);
        }
    });
}

/// What every operation answers and leaves, in one go and in slices, here and there: the same as was expected, if
/// anything was.
fn operations(c: &mut Client, key: &dyn Fn(&str) -> String, expected: &mut Vec<(Value, [Vec<Value>; 4])>) {
    let is_first = expected.is_empty();
    let named = |command: &str| -> Vec<String> {
        command.split(' ').map(|word| word.strip_prefix("{t}").map_or(word.to_owned(), key)).collect()
    };
    {
        for index in 0..ELEMENTS {
            let name = |number: usize| format!("member:{number:05}{}", "w".repeat(number % 70));
            c.send(&["SADD", &key("a"), &name(index)]);
            c.send(&["SADD", &key("b"), &name(index * 2), &name(index * 2 + 1)]);
            c.send(&["SADD", &key("c"), &name(index * 3), &index.to_string()]);
            c.send(&["ZADD", &key("y"), &format!("{}.5", index % 50), &name(index)]);
            c.send(&["ZADD", &key("z"), &(index % 9).to_string(), &name(index * 2)]);
        }
        (0..5 * ELEMENTS).for_each(|_| drop(c.recv()));
        c.expect(&named("SADD {t}few 1 2 member:00003www nothing"), 4);
        c.expect(&named("SADD {t}ints 1 2 3"), 3);
        c.expect(&named("ZADD {t}fewz 1 member:00000 inf member:00001w -inf member:00002ww"), 3);
        c.expect(&named("ZADD {t}endless -inf member:00001w inf x"), 2);
        let commands = [
            "SINTER {t}a {t}b {t}c",
            "SINTER {t}a {t}a",
            "SINTER {t}b {t}few",
            "SINTER {t}b {t}missing",
            "SUNION {t}a {t}b {t}c {t}few {t}missing",
            "SUNION {t}c {t}ints {t}few",
            "SDIFF {t}b {t}a",
            "SDIFF {t}b {t}a {t}c {t}few {t}ints {t}missing",
            "SDIFF {t}a {t}b",
            "SINTERSTORE {t}work {t}a {t}b",
            "SINTERSTORE {t}a {t}a {t}b",
            "SUNIONSTORE {t}other {t}a {t}b {t}c",
            "SUNIONSTORE {t}other {t}ints {t}a",
            "SDIFFSTORE {t}other {t}b {t}a",
            "SDIFFSTORE {t}other {t}a {t}b",
            "SINTERCARD 2 {t}a {t}b",
            "SINTERCARD 2 {t}a {t}b LIMIT 17",
            "SUNIONCARD 2 {t}a {t}c",
            "SDIFFCARD 2 {t}b {t}a",
            "ZUNION 3 {t}y {t}z {t}a WITHSCORES",
            "ZUNION 4 {t}y {t}z {t}fewz {t}missing WEIGHTS 2 -1 3 9 AGGREGATE MIN WITHSCORES",
            "ZUNION 3 {t}endless {t}fewz {t}y WEIGHTS 1 0 2 WITHSCORES",
            "ZINTER 2 {t}y {t}z WITHSCORES",
            "ZINTER 3 {t}y {t}z {t}b WEIGHTS 1 2 0.1 AGGREGATE MAX WITHSCORES",
            "ZINTER 2 {t}y {t}fewz WEIGHTS 0 1 WITHSCORES",
            "ZDIFF 3 {t}y {t}fewz {t}z WITHSCORES",
            "ZINTERCARD 2 {t}y {t}z",
            "ZINTERCARD 2 {t}y {t}z LIMIT 10",
            "ZUNIONSTORE {t}other 2 {t}y {t}z",
            "ZUNIONSTORE {t}y 3 {t}z {t}y {t}c AGGREGATE SUM",
            "ZINTERSTORE {t}other 2 {t}z {t}y",
            "ZDIFFSTORE {t}other 2 {t}z {t}y",
        ];
        for (at, command) in commands.into_iter().enumerate() {
            let unordered = command.starts_with('S');
            let above: [(&str, &str); 3] = [("1000000", "256"), ("2", "1"), ("2", "256")];
            for (above, elements) in above {
                c.expect("DEBUG SLICES 1000000 256", ok());
                for name in ["a", "b", "y", "z"] {
                    let (key, kept) = (key(name), format!("{{{}}}:kept", key(name)));
                    c.call(&["COPY", &key, &kept]);
                    c.call(&["COPY", &kept, &key, "REPLACE"]);
                }
                c.call(&named("DEL {t}other {t}work"));
                c.expect(&["DEBUG", "SLICES", above, elements], ok());
                let reply = c.call(&named(command));
                assert!(!reply.is_error(), "{command}: {reply:?}");
                let reply = match (&reply, unordered) {
                    (Value::Int(_), _) | (_, false) => reply,
                    _ => reply.sorted(),
                };
                let left = ["other", "work", "a", "y"].map(|name| content(c, &key(name)));
                let outcome = (reply, left);
                if expected.len() == at {
                    expected.push(outcome);
                } else {
                    assert!(outcome == expected[at], "{command}:\n{outcome:?}\n{:?}", expected[at]);
                }
            }
        }
        assert!(is_first || expected.len() > 30);
    }
}

#[test]
fn who_wants_a_key_that_is_being_changed_waits() {
    each_server(|s| {
        let (mut writer, mut reader, mut other, mut watcher) =
            (s.client(), s.client(), s.client(), s.client());
        fill(&mut watcher);
        slices(&mut watcher, 0);
        writer.send("LPOP {t}list 500");
        wait_for_queue(&mut watcher, 1);
        reader.send("LRANGE {t}list 0 2");
        wait_for_queue(&mut watcher, 2);
        other.expect("LPUSH {t}free 1", 1);
        assert_eq!(reader.recv_within(Duration::from_millis(1)), None, "the reader waits");
        slices(&mut watcher, 3);
        assert_eq!(writer.recv().elements().len(), 500);
        assert_eq!(reader.recv().elements().len(), 3);
        other.expect("LLEN {t}list", 100);
        // It comes to its end, whoever leaves.
        slices(&mut watcher, 0);
        let id = writer.call("CLIENT ID").int();
        writer.send("ZREMRANGEBYRANK {t}zset 0 99");
        wait_for_queue(&mut watcher, 1);
        watcher.expect(&["CLIENT", "KILL", "ID", &id.to_string()], 1);
        slices(&mut watcher, 9);
        wait_until("what was begun is done", LONG, || watcher.call("ZCARD {t}zset") == int(200));
    });
}

/// How many keys there are, asked without waiting for what is being changed.
fn keys(c: &mut Client) -> u64 {
    let info = c.call("INFO keyspace").text();
    let keys = info.lines().find_map(|line| line.strip_prefix("db0:keys=")?.split(',').next());
    keys.expect("there are keys").parse().expect("a number")
}

#[test]
fn a_key_that_expires_while_it_is_changed_stays_away() {
    each_server(|s| {
        let (mut other, mut watcher) = (s.client(), s.client());
        fill(&mut watcher);
        slices(&mut watcher, 0);
        let commands = [
            "LTRIM {t}list 10 50",
            "LPOP {t}list 400",
            "ZPOPMIN {t}zset 250",
            "SPOP {t}set 250",
            "XTRIM {t}stream MAXLEN 5",
            "LINSERT {t}list AFTER element:00299 new",
        ];
        for command in commands {
            let words = words(command);
            let key = &words[1];
            watcher.expect("DEBUG SLICES 1000000 256", ok());
            watcher.expect(&["COPY", key, WORK, "REPLACE"], 1);
            watcher.expect(&["PEXPIRE", WORK, "300"], 1);
            slices(&mut watcher, 0);
            let mut writer = s.client();
            writer.send(&words.iter().map(|word| if word == key { WORK } else { word }).collect::<Vec<_>>());
            // It may have expired before; then there is nothing to be cut short, and the claims below hold too.
            wait_until("the key is gone", LONG, || keys(&mut other) == 4);
            slices(&mut watcher, 11);
            assert!(!writer.recv().is_error(), "{command}");
            other.expect(&["EXISTS", WORK], 0);
        }
        let dropped =
            |c: &mut Client| c.call("INFO memory").text().contains("lazyfree_pending_objects:0\r\n");
        wait_until("what was kept is dropped", LONG, || dropped(&mut watcher));
    });
}

#[test]
fn a_snapshot_has_all_of_a_change_or_nothing() {
    each_server(|s| {
        let (mut writer, mut saver, mut watcher) = (s.client(), s.client(), s.client());
        fill(&mut watcher);
        slices(&mut watcher, 1);
        writer.send("ZREMRANGEBYRANK {t}zset 0 199");
        writer.send("LTRIM {t}list 0 99");
        wait_until("something is under way or done", LONG, || {
            queued(&mut watcher) >= 1 || watcher.call("LLEN {t}list") == int(100)
        });
        saver.expect("SAVE", ok());
        writer.expect_next(200);
        writer.expect_next(ok());
        slices(&mut watcher, 256);
        saver.expect("DEBUG RELOAD NOSAVE", ok());
        let (zset, list) = (saver.call("ZCARD {t}zset").int(), saver.call("LLEN {t}list").int());
        assert!([100, 300].contains(&zset) && [100, 600].contains(&list), "{zset} and {list}");
    });
}

/// A server of several shards that logs.
fn each_logging_server(case: impl Fn(&Setup)) {
    with_server(
        |threads| Options::threads(threads).with("appendonly", "yes").with("appendfsync", "no"),
        |s| {
            if !s.is_redis() && s.shards() > 1 {
                case(s);
            }
        },
    );
}

/// Every shard answers clients that write, each of which may have its replies held.
fn expect_answers(s: &Setup, command: impl Fn(&str) -> Vec<String>, expected: &Value) {
    for shard in 0..s.shards() {
        for _ in 0..3 {
            s.client().expect(&command(&s.key_on(shard, "free")), expected.clone());
        }
    }
}

#[test]
fn a_write_over_shards_that_waits_for_a_slice_does_not_hold_back_the_log() {
    each_logging_server(|s| {
        let (mut watcher, mut reader) = (s.client(), s.client());
        let keys = s.keys_apart(s.shards());
        (0..60).for_each(|_| drop(watcher.call(&["RPUSH", &keys[1], &"x".repeat(60)])));
        slices(&mut watcher, 0);
        reader.send(&["LRANGE", &keys[1], "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        let set = |key: &str| ["SET", key, "1"].map(str::to_owned).to_vec();
        let mut waiting = Vec::new();
        // One command, a block that is one hop, one whose last hop comes to that shard first, and one that gives a value on.
        for commands in [
            vec![[&["MSET"][..], &keys.iter().flat_map(|key| [key, "v"]).collect::<Vec<_>>()].concat()],
            vec![vec!["MULTI"], vec!["SET", &keys[0], "v"], vec!["SET", &keys[1], "v"], vec!["EXEC"]],
            vec![
                vec!["MULTI"],
                vec!["SET", &keys[0], "v"],
                vec!["MGET", &keys[0], "{t}none"],
                vec!["DEL", &keys[1]],
                vec!["EXEC"],
            ],
            vec![vec!["RENAME", &keys[0], &keys[1]]],
            vec![vec!["FLUSHALL"]],
        ] {
            let mut writer = s.client();
            let before = queued(&mut watcher);
            commands.iter().for_each(|command| writer.send(command));
            wait_until("it waits", LONG, || queued(&mut watcher) > before);
            if commands[0][0] != "FLUSHALL" {
                expect_answers(s, set, &ok());
            }
            waiting.push((writer, commands.len()));
        }
        slices(&mut watcher, 9);
        assert_eq!(reader.recv().elements().len(), 60);
        for (mut writer, replies) in waiting {
            (0..replies).for_each(|_| drop(writer.recv()));
        }
        watcher.expect("DEBUG LOADAOF", ok());
        watcher.expect("DBSIZE", 0);
    });
}

#[test]
fn a_rewrite_that_waits_for_a_slice_does_not_hold_back_replies() {
    each_logging_server(|s| {
        let (mut watcher, mut copier) = (s.client(), s.client());
        let keys = s.keys_apart(2);
        for index in 0..100 {
            watcher.call(&["SADD", &keys[0], &format!("member:{index:020}:{}", "x".repeat(60))]);
        }
        slices(&mut watcher, 0);
        copier.send(&["COPY", &keys[0], &keys[1]]);
        wait_until("the copy is under way", LONG, || queued(&mut watcher) >= 2);
        let mut rewriter = s.client();
        rewriter.send("BGREWRITEAOF");
        wait_until("the rewrite waits", LONG, || queued(&mut watcher) >= 2 + s.shards() as u64);
        expect_answers(s, |key| ["GET", key].map(str::to_owned).to_vec(), &nil());
        slices(&mut watcher, 9);
        copier.expect_next(1);
        rewriter.recv();
        watcher.expect(&["SCARD", &keys[1]], 100);
    });
}
