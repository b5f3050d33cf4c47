//! Commands that go on in slices: the same replies as in one go, whoever conflicts waits and nobody else does.

use crate::support::*;
use std::time::Duration;

pub const LONG: Duration = Duration::from_secs(30);

/// Everything about more than four elements of a big value goes on in slices of this many; with 0 it stands still.
pub fn slices(c: &mut Client, elements: usize) {
    c.expect(&["DEBUG", "SLICES", "4", &elements.to_string()], ok());
}

/// How many commands and transactions are in the queues of all shards.
pub fn queued(c: &mut Client) -> u64 {
    let info = c.call("INFO everything").text();
    let fields = info.lines().filter(|line| line.starts_with("shard")).flat_map(|line| line.split(','));
    fields.filter_map(|field| field.strip_prefix("queue=")?.parse::<u64>().ok()).sum()
}

pub fn wait_for_queue(c: &mut Client, length: u64) {
    wait_until(&format!("{length} in the queues"), LONG, || queued(c) == length);
}

/// A server of its own for each case: DEBUG SLICES is about all of it.
pub fn each_server(case: impl Fn(&Setup)) {
    with_server(Options::threads, |s| {
        if !s.is_redis() {
            case(s);
        }
    });
}

/// Big values of each type, in the forms that go on in slices.
fn fill(c: &mut Client, key: impl Fn(&str) -> String, elements: usize) {
    for index in 0..elements {
        let (text, number) = (format!("element:{index:05}"), index.to_string());
        let long = format!("{text}{}", "x".repeat(if index % 97 == 0 { 20_000 } else { index % 60 }));
        let value = if index % 3 == 0 { &number } else { &long };
        c.call(&["RPUSH", &key("list"), value]);
        c.call(&["SADD", &key("set"), &long]);
        c.call(&["HSET", &key("hash"), &text, value]);
        c.call(&["ZADD", &key("zset"), &(index % 7).to_string(), &text]);
    }
    for index in 0..elements / 10 {
        c.call(&["SADD", &key("numbers"), &(index * 3).to_string()]);
    }
}

const READS: &[&str] = &[
    "LRANGE list 0 -1",
    "LRANGE list 17 -23",
    "LRANGE list -100 300",
    "LRANGE list 5 8",
    "SMEMBERS set",
    "HGETALL hash",
    "HKEYS hash",
    "HVALS hash",
    "ZRANGE zset 0 -1",
    "ZRANGE zset 10 200 REV WITHSCORES",
    "ZRANGE zset 1 5 BYSCORE LIMIT 3 100 WITHSCORES",
    "ZREVRANGE zset 0 -1 WITHSCORES",
    "ZRANGEBYSCORE zset (1 4 WITHSCORES",
    "ZRANGEBYLEX zset - +",
];

/// A command with its keys named as the setup names them.
fn named(command: &str, key: &impl Fn(&str) -> String) -> Vec<String> {
    const KEYS: [&str; 8] = ["list", "set", "hash", "zset", "numbers", "copy", "other", "destination"];
    command.split(' ').map(|word| if KEYS.contains(&word) { key(word) } else { word.to_owned() }).collect()
}

fn comparable(command: &str, value: Value) -> Value {
    let unordered = ["SMEMBERS", "HGETALL", "HKEYS", "HVALS"].iter().any(|name| command.starts_with(name));
    match value {
        Value::Map(mut pairs) => {
            pairs.sort();
            Value::Map(pairs)
        }
        value if unordered => value.sorted(),
        value => value,
    }
}

#[test]
fn replies_are_those_of_one_go() {
    each_server(|s| {
        let mut c = s.client();
        c.expect("CONFIG SET set-max-listpack-entries 8", ok());
        let key = |name: &str| s.key(name);
        fill(&mut c, key, 400);
        for command in READS {
            c.expect("DEBUG SLICES 1000000 256", ok());
            let whole = comparable(command, c.call(&named(command, &key)));
            for elements in [1, 7, 256] {
                slices(&mut c, elements);
                let sliced = comparable(command, c.call(&named(command, &key)));
                assert!(sliced == whole, "{command} in steps of {elements}");
            }
        }
    });
}

#[test]
fn sorting_is_that_of_one_go() {
    each_server(|s| {
        let mut c = s.client();
        let key = |name: &str| s.key(name);
        let mut number = 12345_i64;
        for index in 0..2500 {
            number = (number * 48271) % 2_147_483_647;
            let text = match index % 5 {
                0 => format!("{}", number % 1000 - 500),
                1 => format!("{}.{}", number % 100 - 50, number % 7),
                2 => format!("-{}", number % 3),
                3 => format!("{}e{}", number % 9, number % 20),
                _ => format!("{number}"),
            };
            c.send(&["RPUSH", &key("list"), &text]);
            c.send(&["SADD", &key("set"), &text, &format!("{number}")]);
            c.send(&["ZADD", &key("zset"), &(number % 11).to_string(), &text]);
        }
        (0..7500).for_each(|_| drop(c.recv()));
        c.expect(&["SADD", &key("other"), "1", "2", "x"], 3);
        (0..9)
            .for_each(|index| drop(c.call(&["SADD", &key("other"), &format!("{index}{}", "0".repeat(70))])));
        for source in ["list", "set", "zset", "other"] {
            for options in
                ["", " DESC", " ALPHA", " ALPHA DESC", " LIMIT 100 700", " DESC LIMIT 2499 9", " LIMIT 5 0"]
            {
                let mut replies = Vec::new();
                for (above, elements) in [("1000000", "256"), ("4", "3"), ("4", "256")] {
                    c.expect(&["DEBUG", "SLICES", above, elements], ok());
                    let sorted = c.call(&named(&format!("SORT {source}{options}"), &key));
                    let (from, to) = (&key(source), &format!("{{{}}}destination", key(source)));
                    let mut store = vec!["SORT", from];
                    store.extend(options.split_whitespace());
                    store.extend(["STORE", to]);
                    let stored = c.call(&store);
                    replies.push((sorted, stored, c.call(&["LRANGE", to, "0", "-1"])));
                }
                assert!(replies.iter().all(|reply| *reply == replies[0]), "SORT {source}{options}");
            }
        }
    });
}

#[test]
fn what_a_stream_gives_is_that_of_one_go() {
    each_server(|s| {
        let (mut c, mut waiting) = (s.client(), s.client());
        c.expect("CONFIG SET stream-node-max-entries 7", ok());
        let (key, other) = (s.key("stream"), s.key("other"));
        for index in 1..=300 {
            c.send(&["XADD", &key, &format!("{index}-1"), "field", &"x".repeat(index * 7 % 900)]);
        }
        (0..300).for_each(|_| drop(c.recv()));
        c.call(&["XADD", &other, "1-1", "field", "value"]);
        for command in [
            vec!["XREAD", "STREAMS", &key, "0"],
            vec!["XREAD", "COUNT", "250", "STREAMS", &key, "7"],
            vec!["XREAD", "BLOCK", "0", "STREAMS", &key, "100-1"],
            vec!["XREAD", "STREAMS", &key, "297"],
            vec!["XREAD", "STREAMS", &key, "300-1"],
            vec!["XREAD", "STREAMS", &key, "+"],
            vec!["XREAD", "MAXCOUNT", "100", "STREAMS", &key, "0"],
            vec!["XREAD", "STREAMS", &key, &other, "0", "0"],
        ] {
            c.expect("DEBUG SLICES 1000000 256", ok());
            let whole = c.call(&command);
            for elements in [1, 7, 256] {
                slices(&mut c, elements);
                assert!(c.call(&command) == whole, "{command:?} in steps of {elements}");
            }
        }
        // Who waited is served at once, however much there is.
        slices(&mut c, 1);
        c.expect(&["DEL", &key], 1);
        waiting.send(&["XREAD", "BLOCK", "0", "STREAMS", &key, "0"]);
        wait_until("it waits", LONG, || c.call("INFO clients").text().contains("blocked_clients:1"));
        c.expect("MULTI", ok());
        (1..10).for_each(|index| drop(c.call(&["XADD", &key, &format!("{index}-1"), "field", "value"])));
        c.call("EXEC");
        let served = waiting.recv();
        assert!(served == c.call(&["XREAD", "STREAMS", &key, "0"]), "{served}");
    });
}

#[test]
fn searches_find_what_they_find_in_one_go() {
    each_server(|s| {
        let mut c = s.client();
        let keys = if s.shards() > 1 { s.keys_apart(2) } else { vec!["places".to_owned(), "to".to_owned()] };
        let near = format!("{{{}}}to", keys[0]);
        for index in 0..400 {
            let (longitude, latitude) =
                (f64::from(index * 37 % 400) / 40.0, f64::from(index * 91 % 300) / 30.0);
            // Some lie at the same place, so the order of what is equally far counts too.
            let place = [longitude.floor().to_string(), latitude.floor().to_string()];
            let place = if index % 4 == 0 { place } else { [longitude.to_string(), latitude.to_string()] };
            c.send(&["GEOADD", &keys[0], &place[0], &place[1], &format!("place:{index}")]);
        }
        (0..400).for_each(|_| drop(c.recv()));
        for search in [
            "FROMLONLAT 5 5 BYRADIUS 300 km",
            "FROMLONLAT 5 5 BYRADIUS 300 km ASC",
            "FROMLONLAT 5 5 BYRADIUS 9000 km DESC COUNT 250",
            "FROMLONLAT 5 5 BYRADIUS 9000 km COUNT 7",
            "FROMLONLAT 5 5 BYRADIUS 9000 km COUNT 100 ANY",
            "FROMLONLAT 5 5 BYRADIUS 9000 km COUNT 100 ANY DESC",
            "FROMMEMBER place:77 BYBOX 500 700 km ASC",
            "FROMMEMBER place:77 BYRADIUS 1 m",
        ] {
            let words = |name: &str, from: &[&str], more: &[&str]| {
                let mut words = vec![name.to_owned()];
                words.extend(
                    from.iter()
                        .copied()
                        .chain(search.split(' '))
                        .chain(more.iter().copied())
                        .map(str::to_owned),
                );
                words
            };
            let mut expected = None;
            for (above, elements) in [("1000000", "256"), ("4", "1"), ("4", "256")] {
                c.expect(&["DEBUG", "SLICES", above, elements], ok());
                let mut outcome = vec![
                    c.call(&words("GEOSEARCH", &[&keys[0]], &["WITHDIST", "WITHHASH", "WITHCOORD"])),
                    c.call(&words("GEOSEARCH", &[&keys[0]], &[])),
                ];
                for to in [&keys[1], &near] {
                    for more in [&[][..], &["STOREDIST"]] {
                        outcome.push(c.call(&words("GEOSEARCHSTORE", &[to, &keys[0]], more)));
                        outcome.push(c.call(&["OBJECT", "ENCODING", to]));
                        outcome.push(c.call(&["ZRANGE", to, "0", "-1", "WITHSCORES"]));
                    }
                }
                for store in ["STORE", "STOREDIST"] {
                    for to in [&keys[1], &near] {
                        outcome.push(c.call(&["GEORADIUS", &keys[0], "5", "5", "400", "km", store, to]));
                        outcome.push(c.call(&["ZRANGE", to, "0", "-1", "WITHSCORES"]));
                    }
                }
                assert!(!outcome[0].is_error(), "{search}: {}", outcome[0]);
                let expected = expected.get_or_insert_with(|| outcome.clone());
                assert!(*expected == outcome, "GEOSEARCH {search} in steps of {elements}");
            }
        }
    });
}

#[test]
fn within_a_block_and_a_script_they_run_in_one_go() {
    each_server(|s| {
        let mut c = s.client();
        let key = |name: &str| s.key(name);
        fill(&mut c, key, 200);
        let whole = c.call(&["LRANGE", &s.key("list"), "0", "-1"]);
        slices(&mut c, 0);
        c.expect("MULTI", ok());
        c.expect(&["LRANGE", &s.key("list"), "0", "-1"], simple("QUEUED"));
        c.expect("EXEC", array([whole.clone()]));
        let script = "return redis.call('LRANGE', KEYS[1], 0, -1)";
        c.expect(&["EVAL", script, "1", &s.key("list")], whole);
    });
}

#[test]
fn a_writer_to_the_key_waits_and_nobody_else_does() {
    each_server(|s| {
        let (mut reader, mut writer, mut other, mut watcher) =
            (s.client(), s.client(), s.client(), s.client());
        let (list, free) = (s.key("list"), s.key("free"));
        fill(&mut watcher, |name| s.key(name), 100);
        let whole = watcher.call(&["LRANGE", &list, "0", "-1"]);
        slices(&mut watcher, 0);
        reader.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        writer.send(&["RPUSH", &list, "more"]);
        wait_for_queue(&mut watcher, 2);
        for _ in 0..20 {
            other.expect(&["SET", &free, "1"], ok());
            other.expect(&["GET", &free], "1");
        }
        // A transaction that conflicts with nothing does not wait either.
        other.expect("MULTI", ok());
        other.expect(&["SET", &free, "2"], simple("QUEUED"));
        other.expect(&["INCR", &s.key("another")], simple("QUEUED"));
        other.expect("EXEC", array([ok(), int(1)]));
        assert_eq!(writer.recv_within(Duration::from_millis(1)), None, "the writer waits");
        slices(&mut watcher, 3);
        reader.expect_next(whole);
        writer.expect_next(101);
        reader.expect(&["LINDEX", &list, "-1"], "more");
    });
}

#[test]
fn a_reader_of_the_key_does_not_wait_for_a_reader() {
    each_server(|s| {
        let (mut reader, mut other, mut watcher) = (s.client(), s.client(), s.client());
        let list = s.key("list");
        fill(&mut watcher, |name| s.key(name), 100);
        slices(&mut watcher, 0);
        reader.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        other.expect(&["LLEN", &list], 100);
        other.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 2);
        slices(&mut watcher, 2);
        let first = reader.recv();
        other.expect_next(first);
    });
}

#[test]
fn a_connections_later_commands_come_after_it() {
    each_server(|s| {
        let (mut c, mut watcher) = (s.client(), s.client());
        let list = s.key("list");
        fill(&mut watcher, |name| s.key(name), 60);
        let whole = watcher.call(&["LRANGE", &list, "0", "-1"]);
        slices(&mut watcher, 0);
        c.send(&["LRANGE", &list, "0", "-1"]);
        c.send(&["RPUSH", &list, "a"]);
        c.send(&["SET", &s.key("free"), "1"]);
        c.send(&["LRANGE", &list, "0", "-1"]);
        c.send("MULTI");
        c.send(&["LLEN", &list]);
        c.send("EXEC");
        wait_until("something is under way", LONG, || queued(&mut watcher) >= 1);
        slices(&mut watcher, 5);
        c.expect_next(whole.clone());
        c.expect_next(61);
        c.expect_next(ok());
        let mut longer = whole.elements();
        longer.push(bulk("a"));
        c.expect_next(array(longer));
        c.expect_next(ok());
        c.expect_next(simple("QUEUED"));
        c.expect_next(array([int(61)]));
    });
}

#[test]
fn a_transaction_and_a_flush_wait_for_it() {
    each_server(|s| {
        let (mut reader, mut exec, mut watcher) = (s.client(), s.client(), s.client());
        let list = s.key("list");
        fill(&mut watcher, |name| s.key(name), 60);
        let whole = watcher.call(&["LRANGE", &list, "0", "-1"]);
        slices(&mut watcher, 0);
        reader.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        exec.expect("MULTI", ok());
        exec.expect(&["LPOP", &list], simple("QUEUED"));
        exec.expect("FLUSHALL ASYNC", simple("QUEUED"));
        exec.expect(&["EXISTS", &list], simple("QUEUED"));
        exec.send("EXEC");
        wait_until("EXEC is in a queue", LONG, || queued(&mut watcher) >= 2);
        slices(&mut watcher, 4);
        let first = whole.elements().remove(0);
        reader.expect_next(whole);
        exec.expect_next(array([first, ok(), int(0)]));
    });
}

#[test]
fn a_key_that_expires_meanwhile_is_gone_and_still_read_to_its_end() {
    each_server(|s| {
        let (mut other, mut watcher) = (s.client(), s.client());
        let key = |name: &str| s.key(name);
        fill(&mut watcher, key, 300);
        let commands = ["LRANGE list 0 -1", "SMEMBERS set", "HGETALL hash", "ZRANGE zset 0 -1 WITHSCORES"];
        let names = commands.map(|command| named(command, &key)[1].clone());
        let whole = commands.map(|command| comparable(command, watcher.call(&named(command, &key))));
        slices(&mut watcher, 0);
        names.iter().for_each(|name| watcher.expect(&["PEXPIRE", name, "1500"], 1));
        let mut readers = commands.map(|_| s.client());
        for (reader, command) in readers.iter_mut().zip(commands) {
            reader.send(&named(command, &key));
        }
        wait_for_queue(&mut watcher, 4);
        for name in &names {
            wait_until("the key is gone", LONG, || other.call(&["EXISTS", name]) == int(0));
        }
        slices(&mut watcher, 10);
        for ((reader, command), whole) in readers.iter_mut().zip(commands).zip(whole) {
            assert!(comparable(command, reader.recv()) == whole, "{command}");
        }
        // The names may be used again.
        for name in &names {
            other.expect(&["SET", name, "new"], ok());
            other.expect(&["GET", name], "new");
        }
        let dropped =
            |c: &mut Client| c.call("INFO memory").text().contains("lazyfree_pending_objects:0\r\n");
        wait_until("what was kept for the readers is dropped", LONG, || dropped(&mut watcher));
    });
}

#[test]
fn fields_that_expire_meanwhile_are_read_as_they_were() {
    each_server(|s| {
        let (mut reader, mut watcher) = (s.client(), s.client());
        let hash = s.key("hash");
        fill(&mut watcher, |name| s.key(name), 200);
        watcher.call(&["HPEXPIRE", &hash, "1", "FIELDS", "1", "element:00199"]);
        wait_until("the first is gone", LONG, || {
            watcher.call(&["HEXISTS", &hash, "element:00199"]) == int(0)
        });
        watcher.call(&["HPEXPIRE", &hash, "1500", "FIELDS", "2", "element:00001", "element:00002"]);
        slices(&mut watcher, 0);
        reader.send(&["HKEYS", &hash]);
        wait_for_queue(&mut watcher, 1);
        wait_until("two are gone", LONG, || watcher.call(&["HEXISTS", &hash, "element:00002"]) == int(0));
        slices(&mut watcher, 10);
        assert_eq!(reader.recv().elements().len(), 199);
        wait_until("they go", LONG, || watcher.call(&["HLEN", &hash]) == int(197));
    });
}

#[test]
fn who_leaves_leaves_nothing_behind() {
    each_server(|s| {
        let (mut reader, mut writer, mut watcher) = (s.client(), s.client(), s.client());
        let list = s.key("list");
        fill(&mut watcher, |name| s.key(name), 60);
        slices(&mut watcher, 0);
        let id = reader.call("CLIENT ID").int();
        reader.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        writer.send(&["RPUSH", &list, "more"]);
        wait_for_queue(&mut watcher, 2);
        watcher.expect(&["CLIENT", "KILL", "ID", &id.to_string()], 1);
        writer.expect_next(61);
        wait_for_queue(&mut watcher, 0);
        reader.expect_closed();
    });
}

#[test]
fn a_snapshot_is_taken_meanwhile() {
    each_server(|s| {
        let (mut reader, mut watcher) = (s.client(), s.client());
        let list = s.key("list");
        fill(&mut watcher, |name| s.key(name), 60);
        let whole = watcher.call(&["LRANGE", &list, "0", "-1"]);
        slices(&mut watcher, 0);
        reader.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        watcher.expect("SAVE", ok());
        slices(&mut watcher, 4);
        reader.expect_next(whole.clone());
        watcher.expect("DEBUG RELOAD", ok());
        reader.expect(&["LRANGE", &list, "0", "-1"], whole);
    });
}

#[test]
fn blocked_clients_are_served_after_it() {
    each_server(|s| {
        let (mut reader, mut popper, mut watcher) = (s.client(), s.client(), s.client());
        let [list, other] = s.keys(["list", "other"]);
        fill(&mut watcher, |name| s.key(name), 60);
        slices(&mut watcher, 0);
        reader.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        popper.send(&["BLPOP", &list, "0"]);
        wait_for_queue(&mut watcher, 2);
        slices(&mut watcher, 4);
        assert_eq!(reader.recv().elements().len(), 60);
        popper.expect_next(array([list, "0".to_owned()]));
        popper.send(&["BLPOP", &other, "0"]);
        watcher.expect(&["RPUSH", &other, "x"], 1);
        popper.expect_next(array([other, "x".to_owned()]));
    });
}

#[test]
fn a_script_changes_what_it_did_not_declare() {
    each_server(|s| {
        let (mut reader, mut caller, mut watcher) = (s.client(), s.client(), s.client());
        let list = s.key("list");
        fill(&mut watcher, |name| s.key(name), 60);
        let whole = watcher.call(&["LRANGE", &list, "0", "-1"]);
        slices(&mut watcher, 0);
        reader.send(&["LRANGE", &list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        caller.send(&["EVAL", &format!("return redis.call('DEL', '{list}')"), "0"]);
        if s.shards() > 1 {
            wait_until("the script waits", LONG, || queued(&mut watcher) >= 2);
            slices(&mut watcher, 4);
        }
        reader.expect_next(whole);
        caller.expect_next(1);
        reader.expect(&["EXISTS", &list], 0);
    });
}

/// Adds an element, or two, of this number.
type Add<'a> = &'a dyn Fn(&mut Client, &str);

#[test]
fn copies_are_equal_wherever_they_go() {
    each_server(|s| {
        let mut c = s.client();
        let apart = if s.shards() > 1 { s.keys_apart(2) } else { vec!["{1}a".to_owned(), "{1}b".to_owned()] };
        for (from, to) in [(&apart[0], &apart[1]), (&apart[0], &format!("{{{}}}copy", apart[0]))] {
            let commands: [Add<'_>; 5] = [
                &|c, index| drop(c.call(&["RPUSH", from, &format!("{}{index}", "long".repeat(100)), index])),
                &|c, index| drop(c.call(&["SADD", from, &format!("member:{index}")])),
                &|c, index| {
                    c.call(&["HSET", from, &format!("field:{index}"), index, "long", &"x".repeat(200)]);
                    c.call(&["HEXPIRE", from, "1000", "FIELDS", "1", &format!("field:{index}")]);
                },
                &|c, index| drop(c.call(&["ZADD", from, "1", index, index, &format!("member:{index}")])),
                &|c, index| {
                    c.call(&["XADD", from, &format!("{index}-1"), "field", &"x".repeat(900)]);
                    c.call(&["XGROUP", "CREATE", from, &format!("group:{}", index.len()), "0"]);
                    c.call(&["XREADGROUP", "GROUP", "group:2", "reader", "COUNT", "1", "STREAMS", from, ">"]);
                    c.call(&["XDEL", from, "7-1", "77-1"]);
                },
            ];
            for add in commands {
                c.expect("FLUSHALL", ok());
                (0..200).for_each(|index| add(&mut c, &index.to_string()));
                c.expect(&["EXPIRE", from, "1000"], 1);
                let digest = c.call(&["DEBUG", "DIGEST-VALUE", from]);
                let encoding = c.call(&["OBJECT", "ENCODING", from]);
                for elements in [1, 7, 256] {
                    slices(&mut c, elements);
                    c.expect(&["COPY", from, to, "REPLACE"], 1);
                    c.expect(&["DEBUG", "DIGEST-VALUE", to], digest.clone());
                    c.expect(&["OBJECT", "ENCODING", to], encoding.clone());
                    c.expect_that(&["TTL", to], |ttl| (900..=1000).contains(&ttl.int()));
                    c.expect(&["COPY", from, to], 0);
                    c.expect("MULTI", ok());
                    c.expect(&["COPY", from, to, "REPLACE"], simple("QUEUED"));
                    c.expect("EXEC", array([1]));
                    c.expect(&["DEBUG", "DIGEST-VALUE", to], digest.clone());
                }
            }
        }
    });
}

#[test]
fn who_wants_either_key_of_a_copy_waits() {
    each_server(|s| {
        let (mut copier, mut reader, mut writer, mut other, mut watcher) =
            (s.client(), s.client(), s.client(), s.client(), s.client());
        let keys = if s.shards() > 1 { s.keys_apart(2) } else { vec!["from".to_owned(), "to".to_owned()] };
        for index in 0..100 {
            watcher.call(&["SADD", &keys[0], &format!("member:{index:020}:{}", "x".repeat(60))]);
        }
        slices(&mut watcher, 0);
        copier.send(&["COPY", &keys[0], &keys[1]]);
        wait_until("the copy is under way", LONG, || queued(&mut watcher) >= 1);
        let before = queued(&mut watcher);
        other.expect(&["SCARD", &keys[0]], 100);
        reader.send(&["SCARD", &keys[1]]);
        writer.send(&["SADD", &keys[0], "more"]);
        wait_for_queue(&mut watcher, before + 2);
        other.expect("SET free 1", ok());
        slices(&mut watcher, 9);
        copier.expect_next(1);
        reader.expect_next(100);
        writer.expect_next(1);
        // What writes comes to its end, whoever leaves.
        slices(&mut watcher, 0);
        let id = copier.call("CLIENT ID").int();
        copier.send(&["COPY", &keys[0], &keys[1], "REPLACE"]);
        wait_until("the copy is under way", LONG, || queued(&mut watcher) >= 1);
        watcher.expect(&["CLIENT", "KILL", "ID", &id.to_string()], 1);
        slices(&mut watcher, 9);
        wait_until("the copy is done", LONG, || watcher.call(&["SCARD", &keys[1]]) == int(101));
    });
}

#[test]
fn what_was_made_of_a_key_that_went_meanwhile_is_in_the_log() {
    with_server(
        |threads| Options::threads(threads).with("appendonly", "yes").with("appendfsync", "no"),
        |s| {
            if s.is_redis() {
                return;
            }
            let (mut sorter, mut watcher) = (s.client(), s.client());
            let [from, to] = ["{t}from", "{t}to"];
            (0..60).for_each(|index| drop(watcher.call(&["RPUSH", from, &format!("element:{index:060}")])));
            slices(&mut watcher, 0);
            watcher.expect(&["PEXPIRE", from, "300"], 1);
            sorter.send(&["SORT", from, "ALPHA", "STORE", to]);
            wait_for_queue(&mut watcher, 1);
            wait_until("the key is gone", LONG, || watcher.call(&["EXISTS", from]) == int(0));
            slices(&mut watcher, 9);
            sorter.expect_next(60);
            watcher.expect("DEBUG LOADAOF", ok());
            watcher.expect(&["LLEN", to], 60);
            watcher.expect(&["EXISTS", from], 0);
        },
    );
}

#[test]
fn who_caches_is_told_behind_the_reply_that_the_key_went_meanwhile() {
    each_server(|s| {
        if !s.is_resp3() {
            return;
        }
        for how in ["", "BCAST"] {
            // On either side of what is between shards.
            for list in s.keys_apart(3) {
                let (mut reader, mut watcher) = (s.client(), s.client());
                (0..60).for_each(|_| drop(watcher.call(&["RPUSH", &list, &"x".repeat(60)])));
                slices(&mut watcher, 0);
                watcher.expect(&["PEXPIRE", &list, "300"], 1);
                reader.expect(format!("CLIENT TRACKING ON {how}").trim_end(), ok());
                reader.send(&["LRANGE", &list, "0", "-1"]);
                wait_for_queue(&mut watcher, 1);
                wait_until("the key is gone", LONG, || watcher.call(&["EXISTS", &list]) == int(0));
                slices(&mut watcher, 9);
                let stale = push([bulk("invalidate"), array([list.as_str()])]);
                let mut next = reader.recv();
                while next == stale {
                    next = reader.recv();
                }
                assert_eq!(next.elements().len(), 60);
                reader.expect_next(stale);
            }
        }
    });
}

#[test]
fn who_leaves_takes_along_what_it_wanted_to_read() {
    each_server(|s| {
        let mut watcher = s.client();
        let list = s.key("list");
        fill(&mut watcher, |name| s.key(name), 60);
        slices(&mut watcher, 0);
        // Some of them are connected elsewhere.
        let mut readers: Vec<Client> = (0..6).map(|_| s.client()).collect();
        for reader in &mut readers {
            (0..5).for_each(|_| reader.send(&["LRANGE", &list, "0", "-1"]));
        }
        let most = if s.shards() > 1 { 10 } else { 6 };
        wait_until("they are under way", LONG, || queued(&mut watcher) >= most);
        let mut writer = s.client();
        writer.send(&["RPUSH", &list, "more"]);
        let all = watcher.call("CLIENT LIST TYPE normal").text();
        let lines = all.lines().filter(|line| line.contains("cmd=lrange"));
        let ids: Vec<&str> = lines.filter_map(|line| line.split([' ', '=']).nth(1)).collect();
        assert_eq!(ids.len(), readers.len());
        for id in ids {
            watcher.expect(&["CLIENT", "KILL", "ID", id], 1);
        }
        writer.expect_next(61);
        wait_for_queue(&mut watcher, 0);
    });
}

#[test]
fn a_script_that_waited_for_a_key_comes_before_who_waits_behind_it() {
    each_server(|s| {
        if s.shards() > 1 {
            // There it begins anew, as a transaction over all shards.
            return;
        }
        let (mut first, mut second, mut caller, mut writer, mut watcher) =
            (s.client(), s.client(), s.client(), s.client(), s.client());
        let [list, other] = ["{t}list", "{t}other"];
        for _ in 0..60 {
            watcher.call(&["RPUSH", list, &"x".repeat(60)]);
            watcher.call(&["RPUSH", other, &"x".repeat(600)]);
        }
        slices(&mut watcher, 0);
        first.send(&["LRANGE", list, "0", "-1"]);
        wait_for_queue(&mut watcher, 1);
        second.send(&["LRANGE", other, "0", "-1"]);
        wait_for_queue(&mut watcher, 2);
        caller.send(&["EVAL", "return redis.call('LLEN', KEYS[1])", "1", list]);
        wait_for_queue(&mut watcher, 3);
        writer.send(&["RPUSH", list, "more"]);
        wait_for_queue(&mut watcher, 4);
        slices(&mut watcher, 30);
        assert_eq!(first.recv().elements().len(), 60);
        caller.expect_next(60);
        writer.expect_next(61);
        assert_eq!(second.recv().elements().len(), 60);
    });
}
