//! The key commands against what Redis answers, and over several shards on one thread.

mod recorded;
mod rows;
mod spanning;

use crate::commands::testing::node::Node;
use crate::commands::{keys, strings};

/// So many shards with strings and keys.
fn node_of(shards: usize) -> Node {
    Node::new(shards, &[strings::ROWS, keys::ROWS])
}

/// Runs `line` (words between spaces) and shows the reply's bytes as text.
fn run(node: &mut Node, line: &str) -> String {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    node.run(&words).escape_ascii().to_string()
}

/// Checks a conversation: a line and its reply, in turn.
#[track_caller]
fn check(node: &mut Node, conversation: &[(&str, &str)]) {
    for (line, reply) in conversation {
        assert_eq!(run(node, line), format!("{reply}\\r\\n"), "{line}");
    }
}

#[test]
fn lookups_count_hits_and_misses_as_redis_does() {
    let mut node = node_of(1);
    let mut counts = |line: &str| {
        node.shards[0].stats = Default::default();
        run(&mut node, line);
        let stats = node.shards[0].stats;
        (stats.hits, stats.misses)
    };
    counts("SET k v");
    for line in [
        "EXISTS k",
        "TOUCH k",
        "TYPE k",
        "TTL k",
        "PEXPIRETIME k",
        "OBJECT ENCODING k",
        "DUMP k",
        "COPY k k2",
    ] {
        assert_eq!(counts(line), (1, 0), "{line}");
    }
    for line in ["EXISTS x", "TOUCH x", "TYPE x", "TTL x", "OBJECT FREQ x", "DUMP x", "COPY x y"] {
        assert_eq!(counts(line), (0, 1), "{line}");
    }
    for line in [
        "EXPIRE k 10",
        "PERSIST k",
        "RENAME k k",
        "RENAME k2 k3",
        "MOVE k 1",
        "DEL k",
        "KEYS *",
        "RANDOMKEY",
        "SCAN 0",
    ] {
        assert_eq!(counts(line), (0, 0), "{line}");
    }
    assert_eq!(counts("SCAN 0 TYPE list"), (1, 0));
}

#[test]
fn telling_about_a_key_is_not_using_it() {
    let mut node = node_of(1);
    run(&mut node, "SET k v");
    let idle_after = |node: &mut Node, line: &str| {
        node.advance_ms(5000);
        run(node, line);
        run(node, "OBJECT IDLETIME k")
    };
    for line in ["EXISTS k", "TYPE k", "TTL k", "OBJECT ENCODING k", "SCAN 0 TYPE string", "KEYS *"] {
        run(&mut node, "TOUCH k");
        assert_eq!(idle_after(&mut node, line), ":5\\r\\n", "{line}");
    }
    for line in [
        "TOUCH k",
        "DUMP k",
        "COPY k k2 REPLACE",
        "EXPIRE k 100",
        "EXPIRE k 100 NX",
        "PERSIST k",
        "RENAME k k",
    ] {
        assert_eq!(idle_after(&mut node, line), ":0\\r\\n", "{line}");
    }
    node.client.no_touch = true;
    assert_eq!(idle_after(&mut node, "DUMP k"), ":5\\r\\n");
    assert_eq!(idle_after(&mut node, "TOUCH k"), ":0\\r\\n", "TOUCH is what it says");
}

#[test]
fn a_key_keeps_its_idle_time_when_restored_with_one() {
    let mut node = node_of(1);
    run(&mut node, "SET k v");
    let payload = node.dump(b"k");
    node.run(&[b"RESTORE", b"r", b"0", &payload, b"IDLETIME", b"1000"]);
    check(&mut node, &[("OBJECT IDLETIME r", ":1000")]);
    node.run(&[b"RESTORE", b"r", b"0", &payload, b"FREQ", b"99", b"REPLACE"]);
    check(&mut node, &[("OBJECT IDLETIME r", ":0")]);
    for shard in &mut node.shards {
        shard.settings.policy = crate::shard::EvictionPolicy::AllKeysLfu;
    }
    node.run(&[b"RESTORE", b"r", b"0", &payload, b"FREQ", b"99", b"REPLACE"]);
    check(&mut node, &[("OBJECT FREQ r", ":99")]);
    assert!(
        run(&mut node, "OBJECT IDLETIME r").starts_with("-ERR An LFU maxmemory policy is selected, idle")
    );
    node.run(&[b"RESTORE", b"r", b"0", &payload, b"IDLETIME", b"7", b"REPLACE"]);
    check(&mut node, &[("OBJECT FREQ r", ":5")]);
}

#[test]
fn events_are_those_of_redis() {
    for shards in [1, 3] {
        let mut node = node_of(shards);
        let payload = {
            run(&mut node, "SET a 1");
            node.dump(b"a")
        };
        node.events();
        for (line, events) in [
            ("EXPIRE a 100", "expire a"),
            ("EXPIRE a 100 NX", ""),
            ("PERSIST a", "persist a"),
            ("PERSIST a", ""),
            ("RENAME a a", ""),
            ("RENAME a b", "rename_from a, rename_to b"),
            ("COPY b a", "copy_to a"),
            ("COPY b a", ""),
            ("RENAMENX a b", ""),
            ("MOVE a 1", "move_from a, move_to a"),
            ("EXPIRE b -1", "del b"),
            ("EXPIRE b -1", ""),
            ("DEL b", ""),
        ] {
            run(&mut node, line);
            assert_eq!(node.events(), events, "{line}");
        }
        node.run(&[b"RESTORE", b"r", b"0", &payload]);
        assert_eq!(node.events(), "restore r");
        node.run(&[b"RESTORE", b"r", b"1", &payload, b"REPLACE", b"ABSTTL"]);
        assert_eq!(node.events(), "del r", "a payload of the past deletes what it replaces");
        node.run(&[b"RESTORE", b"r", b"1", &payload, b"REPLACE", b"ABSTTL"]);
        assert_eq!(node.events(), "");
        run(&mut node, "SET due 1");
        run(&mut node, "PEXPIRE due 10");
        run(&mut node, "SET s 1");
        node.events();
        node.advance_ms(10);
        run(&mut node, "RENAME s due");
        assert_eq!(node.events(), "expired due, rename_from s, rename_to due");
    }
}

#[test]
fn expired_keys_are_not_there() {
    for shards in [1, 3] {
        let mut node = node_of(shards);
        for line in ["SET a 1", "PEXPIRE a 10", "SET b 2"] {
            run(&mut node, line);
        }
        node.advance_ms(10);
        check(&mut node, &[("DBSIZE", ":2"), ("KEYS *", "*1\\r\\n$1\\r\\nb"), ("RANDOMKEY", "$1\\r\\nb")]);
        check(&mut node, &[("RENAME a c", "-ERR no such key"), ("COPY a c", ":0"), ("MOVE a 1", ":0")]);
        check(&mut node, &[("TTL a", ":-2"), ("EXISTS a", ":0"), ("DEL a", ":0"), ("DBSIZE", ":1")]);
    }
}

#[test]
fn scan_expires_what_it_meets() {
    let mut node = node_of(1);
    for line in ["SET a 1", "PEXPIRE a 10", "SET b 2"] {
        run(&mut node, line);
    }
    node.advance_ms(10);
    check(&mut node, &[("SCAN 0", "*2\\r\\n$1\\r\\n0\\r\\n*1\\r\\n$1\\r\\nb"), ("DBSIZE", ":1")]);
    assert_eq!(node.shards[0].stats.expired, 1);
}

#[test]
fn flushing_later_keeps_the_memory_in_the_graveyard() {
    let mut node = node_of(1);
    let value = "v".repeat(100_000);
    for _ in 0..2 {
        run(&mut node, &format!("SET big {value}"));
        run(&mut node, "SET small 1");
        check(&mut node, &[("FLUSHALL ASYNC", "+OK"), ("DBSIZE", ":0")]);
    }
    assert_eq!(node.shards[0].graveyard.pending(), 4);
    assert!(node.shards[0].graveyard.bytes > 2 * value.len());
    while node.shards[0].graveyard.drop_slice() {}
    assert_eq!(node.shards[0].graveyard.bytes, 0);
    run(&mut node, &format!("SET big {value}"));
    check(&mut node, &[("FLUSHDB SYNC", "+OK")]);
    assert!(node.shards[0].graveyard.is_empty());
}

#[test]
fn watched_keys_change_with_their_databases() {
    let mut node = node_of(1);
    for line in ["SET a 1", "SELECT 1", "SET b 1", "SELECT 0"] {
        run(&mut node, line);
    }
    assert_eq!(node.changed_by("FLUSHDB", &[(0, "a"), (0, "b"), (1, "b")]), [true, false, false]);
    run(&mut node, "SET a 1");
    let watched = [(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "b"), (2, "a")];
    assert_eq!(node.changed_by("SWAPDB 0 1", &watched), [true, true, false, true, true, false]);
    assert_eq!(node.changed_by("SWAPDB 0 0", &watched), [false; 6]);
    run(&mut node, "PEXPIRE b 10");
    node.advance_ms(10);
    assert_eq!(
        node.changed_by("SWAPDB 0 1", &[(0, "b"), (1, "b")]),
        [true, false],
        "out of nothing, expired"
    );
    assert_eq!(node.changed_by("FLUSHALL", &[(0, "a"), (1, "a"), (2, "a")]), [true, false, false]);
}
