//! Files for other Redises: what is written for one is read by it, and what it writes is read here.

use super::persistence::*;
use super::support::*;
use std::collections::BTreeMap;
use std::path::Path;

const REDIS: &str = "/usr/bin/redis-server";

/// A server on the folder's file that writes files of a version.
fn writing(folder: &Path, threads: usize, version: &str) -> Server {
    let options = at(folder, threads).with("rdb-write-version", version);
    ready(Server::start_with(&options.with("enable-debug-command", "yes")))
}

fn redis(folder: &Path, settings: &[(&str, &str)]) -> Server {
    let mut options = at(folder, 1).with("enable-debug-command", "yes");
    for (name, value) in settings {
        options = options.with(name, value);
    }
    options.binary = REDIS.into();
    ready(Server::start_with(&options))
}

/// What is seldom: numbers at their bounds, elements of their own nodes, streams with a history.
fn fill_strange(client: &mut Client) {
    let big = "0123456789abcdef".repeat(1000);
    let ints = "-1 0 12 13 127 -128 128 32767 -32769 8388607 -8388608 8388608 2147483647 -2147483649 9223372036854775807 \
                -9223372036854775808";
    client.call(format!("RPUSH list:ints {ints}").as_str());
    client.call(&args!["RPUSH", "list:large", big, "small", big, "", big]);
    client.call(&args!["RPUSH", "list:empty", ""]);
    client.call(&args!["SET", "empty", ""]);
    client.call(&args!["SET", "binary", b"\0\xff\r\n".repeat(40)]);
    client.call(&args!["HSET", "hash:long", "field", big]);
    client.call("HSET hash:ints 1 2 -129 70000 9223372036854775807 x");
    client.call("ZADD zset:ends inf a -inf b 1e300 c 0.1 d 3 e 1.7976931348623157e308 f -5e-324 g");
    client.call(&args!["ZADD", "zset:long", "1", big]);
    client.call(&args!["SADD", "set:mixed", "a", "1", "", "-7"]);
    client.call("SADD intset:16 1 2 3");
    client.call("SADD intset:32 1 70000");
    client.call("SADD intset:64 -1 5000000000");
    client.call("PFADD hll a b c d");
    client.call("SETBIT bits 5000 1");
    client.call("GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
    for command in [
        "XADD stream:shapes 1-0 a 1 b 2",
        "XADD stream:shapes 1-1 a 1",
        "XADD stream:shapes 2-0 a 1 b 2",
        "XADD stream:shapes 2-5 c 3",
        "XDEL stream:shapes 1-1 2-5",
        "XGROUP CREATE stream:shapes g 1-0 ENTRIESREAD 1",
        "XGROUP CREATECONSUMER stream:shapes g idle",
        "XREADGROUP GROUP g busy COUNT 5 STREAMS stream:shapes >",
        "XDEL stream:shapes 2-0",
        "XSETID stream:shapes 99-9 ENTRIESADDED 77 MAXDELETEDID 50-0",
        "XGROUP CREATE stream:empty g $ MKSTREAM",
        "XADD stream:last 18446744073709551615-18446744073709551615 a b",
        "EXPIRE stream:last 100000",
        "PEXPIREAT hll 9999999999999",
    ] {
        client.expect_that(command, |reply| !reply.is_error());
    }
}

fn version_of(folder: &Path) -> String {
    let bytes = std::fs::read(folder.join("dump.rdb")).expect("it was saved");
    String::from_utf8_lossy(&bytes[..9]).into_owned()
}

/// Digests of all values, and payloads of those whose order is the same everywhere; what a group has read is not known
/// to all versions.
fn contents(client: &mut Client, groups: bool) -> BTreeMap<String, (Value, Option<Value>)> {
    let keys = client.call("KEYS *").elements();
    let mut all = BTreeMap::new();
    for key in keys.iter().map(|key| key.clone().text()) {
        let digest = client.call(&["DEBUG", "DIGEST-VALUE", &key]);
        let is_unordered = ["set:", "intset:big", "hash:big"].iter().any(|start| key.starts_with(start));
        let is_alike = !is_unordered && (groups || !key.starts_with("stream:"));
        let dump = (is_alike && !key.starts_with("many")).then(|| client.call(&["DUMP", &key]));
        all.insert(key, (digest, dump));
    }
    all
}

pub fn same<V: PartialEq + std::fmt::Debug>(left: &BTreeMap<String, V>, right: &BTreeMap<String, V>) {
    let lacks = |of: &BTreeMap<String, V>, all: &BTreeMap<String, V>| -> Vec<String> {
        all.keys().filter(|key| !of.contains_key(*key)).cloned().collect()
    };
    let lacking = (lacks(left, right), lacks(right, left));
    assert_eq!(lacking, Default::default(), "keys that are only on the right, and only on the left");
    for (key, value) in left {
        assert_eq!(value, &right[key], "{key}");
    }
}

#[test]
fn redis_reads_what_is_written_here_and_the_other_way_round() {
    if !Path::new(REDIS).exists() {
        return println!("skipped: no {REDIS}");
    }
    for (threads, version) in [(1, "10"), (3, "9"), (2, "10")] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let server = writing(folder.path(), threads, version);
        let mut client = server.client(Protocol::Resp2);
        fill(&mut client, false);
        fill_strange(&mut client);
        client.expect("SAVE", ok());
        assert_eq!(version_of(folder.path()), format!("REDIS{version:0>4}"));
        let (ours, our_contents) = (digest(&mut client), contents(&mut client, version != "9"));
        kill(server);
        let server = redis(folder.path(), &[]);
        let mut client = server.client(Protocol::Resp2);
        same(&contents(&mut client, version != "9"), &our_contents);
        assert_eq!(digest(&mut client), ours);
        client.expect("RPUSH more a b c", int(3));
        client.call(&[
            "FUNCTION",
            "LOAD",
            "#!lua name=lib\nredis.register_function('f', function() return 7 end)",
        ]);
        client.expect("SAVE", ok());
        let (theirs, their_contents) = (digest(&mut client), contents(&mut client, version != "9"));
        kill(server);
        let server = writing(folder.path(), threads, "auto");
        let mut client = server.client(Protocol::Resp2);
        assert_eq!(digest(&mut client), theirs);
        same(&contents(&mut client, version != "9"), &their_contents);
        client.expect("FCALL f 0", int(7));
    }
}

/// What Redis holds in other encodings than usual.
#[test]
fn every_encoding_of_redis_is_read() {
    if !Path::new(REDIS).exists() {
        return println!("skipped: no {REDIS}");
    }
    let tight = [
        ("hash-max-listpack-entries", "2"),
        ("set-max-intset-entries", "2"),
        ("zset-max-listpack-entries", "2"),
        ("list-max-listpack-size", "2"),
        ("stream-node-max-entries", "3"),
        ("rdbcompression", "no"),
        ("rdbchecksum", "no"),
        ("maxmemory-policy", "allkeys-lfu"),
    ];
    let loose = [
        ("hash-max-listpack-entries", "5000"),
        ("zset-max-listpack-entries", "5000"),
        ("list-max-listpack-size", "5000"),
        ("stream-node-max-entries", "0"),
        ("maxmemory-policy", "allkeys-lru"),
        ("maxmemory", "1gb"),
    ];
    for settings in [&tight[..], &loose[..]] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let server = redis(folder.path(), settings);
        let mut client = server.client(Protocol::Resp2);
        fill(&mut client, false);
        fill_strange(&mut client);
        client.expect("SAVE", ok());
        let (theirs, contents_before) = (digest(&mut client), contents(&mut client, false));
        kill(server);
        let server = writing(folder.path(), 2, "9");
        let mut client = server.client(Protocol::Resp2);
        assert_eq!(digest(&mut client), theirs);
        let digests = |all: BTreeMap<String, (Value, _)>| -> BTreeMap<_, _> {
            all.into_iter().map(|(key, (digest, _))| (key, digest)).collect()
        };
        let wanted = digests(contents_before);
        same(&digests(contents(&mut client, false)), &wanted);
        client.expect("SAVE", ok());
        kill(server);
        let server = redis(folder.path(), settings);
        let mut client = server.client(Protocol::Resp2);
        assert_eq!(digest(&mut client), theirs);
        same(&digests(contents(&mut client, false)), &wanted);
    }
}

#[test]
fn what_a_version_does_not_know_is_left_out_and_told_of() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = writing(folder.path(), 2, "auto");
    let mut client = server.client(Protocol::Resp2);
    client.expect("SAVE", ok());
    assert_eq!(version_of(folder.path()), "REDIS0011");
    fill(&mut client, true);
    client.call(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=lib\nredis.register_function('f', function() return 7 end)",
    ]);
    client.expect("SAVE", ok());
    assert_eq!(version_of(folder.path()), "REDIS0012");
    for version in ["12", "11", "10", "9"] {
        client.expect(&["CONFIG", "SET", "rdb-write-version", version], ok());
        client.expect("SAVE", ok());
        assert_eq!(version_of(folder.path()), format!("REDIS{version:0>4}"));
        let text = match version {
            "12" => continue,
            "9" => "Not saved: 2 deadlines of hash fields, 1 libraries of functions",
            _ => "Not saved: 2 deadlines of hash fields, 0 libraries of functions",
        };
        assert!(server.log().contains(text), "'{text}' is missing in {}", server.log());
    }
    client.expect_error("CONFIG SET rdb-write-version 8", "ERR CONFIG SET failed");
    kill(server);
    let server = start(folder.path(), 1);
    let mut client = server.client(Protocol::Resp2);
    client.expect("HTTL hash:big FIELDS 1 item:1", array([int(-1)]));
    client.expect("HLEN hash:small", int(5));
    client.expect_error("FCALL f 0", "ERR Function not found");
}
