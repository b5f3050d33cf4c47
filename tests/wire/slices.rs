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
            let commands: [Add<'_>; 4] = [
                &|c, index| drop(c.call(&["RPUSH", from, &format!("{}{index}", "long".repeat(100)), index])),
                &|c, index| drop(c.call(&["SADD", from, &format!("member:{index}")])),
                &|c, index| {
                    c.call(&["HSET", from, &format!("field:{index}"), index, "long", &"x".repeat(200)]);
                    c.call(&["HEXPIRE", from, "1000", "FIELDS", "1", &format!("field:{index}")]);
                },
                &|c, index| drop(c.call(&["ZADD", from, "1", index, index, &format!("member:{index}")])),
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
