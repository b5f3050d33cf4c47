//! Loading the append-only file: of this server, of Redis, whole and damaged.

use super::persistence::*;
use super::support::*;
use super::tools::tool;
use super::versions::same;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

const REDIS: &str = "/usr/bin/redis-server";
const INCR: &str = "appendonly.aof.1.incr.aof";

pub fn logging(folder: &Path, threads: usize) -> Options {
    at(folder, threads).with("appendonly", "yes")
}

pub fn start_logging(folder: &Path, threads: usize) -> Server {
    ready(Server::start_with(&logging(folder, threads)))
}

/// Stops it as an administrator does.
pub fn stop(mut server: Server) {
    server.signal("TERM");
    assert!(server.wait_for_exit(PATIENCE).success());
}

/// Every value of a database by its digest: what is not the same is named.
fn contents(client: &mut Client) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for db in [0, 2, 3, 4] {
        client.call(&args!["SELECT", db]);
        for key in client.call("KEYS *").elements() {
            let key = key.text();
            let digest = client.call(&["DEBUG", "DIGEST-VALUE", &key]);
            all.insert(format!("{db} {key}"), digest.to_string());
        }
    }
    client.call("SELECT 0");
    all
}

/// Commands as a log has them.
pub fn commands(lines: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        if line.starts_with('#') {
            bytes.extend_from_slice(format!("{line}\r\n").as_bytes());
            continue;
        }
        let words: Vec<&str> = line.split(' ').collect();
        bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        words
            .iter()
            .for_each(|word| bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes()));
    }
    bytes
}

/// A folder with a log of these increments and no base; the paths of their files.
pub fn log_of(folder: &Path, incrs: &[Vec<u8>]) -> Vec<PathBuf> {
    let dir = folder.join("appendonlydir");
    std::fs::create_dir_all(&dir).expect("the folder is writable");
    let mut manifest = String::new();
    let mut paths = Vec::new();
    for (number, bytes) in (1..).zip(incrs) {
        let name = format!("appendonly.aof.{number}.incr.aof");
        std::fs::write(dir.join(&name), bytes).expect("the folder is writable");
        manifest.push_str(&format!("file {name} seq {number} type i\n"));
        paths.push(dir.join(name));
    }
    std::fs::write(dir.join("appendonly.aof.manifest"), manifest).expect("the folder is writable");
    paths
}

/// Starts a server that is to refuse; what it says.
pub fn refused(folder: &Path, flags: &[(&str, &str)]) -> String {
    let mut command = Options::threads(2).command();
    command.args(["--port", "0", "--unixsocket", "s", "--save", "", "--threads", "2", "--appendonly", "yes"]);
    for (flag, value) in flags {
        command.arg(format!("--{flag}")).arg(value);
    }
    let output = command.arg("--dir").arg(folder).stdin(Stdio::null()).output().expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

/// Changes of all sorts: one key, several, transactions, scripts, what goes by time.
fn change(client: &mut Client, tag: &str) {
    let key = |name: &str| format!("{tag}:{name}");
    for i in 0..30 {
        client.call(&args![
            "MSET",
            key(&format!("a{i}")),
            i,
            key(&format!("b{i}")),
            i,
            key(&format!("c{i}")),
            i
        ]);
        client.call(&args!["RENAME", key(&format!("a{i}")), key(&format!("r{i}"))]);
        client.call(&args!["COPY", key(&format!("b{i}")), key(&format!("copy{i}"))]);
        client.call(&args!["DEL", key(&format!("b{i}")), key(&format!("c{}", i + 1))]);
        client.call(&args!["RPUSH", key("list"), i, i + 1]);
        client.call(&args!["LMOVE", key("list"), key("other"), "LEFT", "RIGHT"]);
        client.call(&args!["SADD", key("set"), i, format!("m{i}")]);
        client.call(&args!["SMOVE", key("set"), key("set2"), i]);
        client.call(&args!["SPOP", key("set")]);
        client.call(&args!["ZADD", key("zset"), i, format!("m{i}")]);
        client.call(&args!["ZINCRBY", key("zset"), "0.1", "m3"]);
        client.call(&args!["HSET", key("hash"), format!("f{i}"), i]);
        client.call(&args!["HINCRBYFLOAT", key("hash"), "f1", "1.1"]);
        client.call(&args!["INCRBYFLOAT", key("float"), "0.1"]);
        client.call(&args!["SETBIT", key("bits"), i * 7, 1]);
        client.call(&args!["PFADD", key("hll"), i]);
        client.call(&args!["XADD", key("stream"), format!("{}-1", i + 1), "f", i]);
        client.call(&args!["SET", key(&format!("ttl{i}")), i, "PX", 100_000 + i]);
        client.call(&args!["SET", key(&format!("gone{i}")), i, "PX", 1]);
        client.call("MULTI");
        client.call(&args!["INCR", key("one")]);
        client.call(&args!["DECR", key("two")]);
        client.call("EXEC");
    }
    client.call(&args!["SUNIONSTORE", key("union"), key("set"), key("set2")]);
    client.call(&args!["ZUNIONSTORE", key("zunion"), 2, key("zset"), key("set")]);
    client.call(&args!["BITOP", "OR", key("bitop"), key("bits"), key("float")]);
    client.call(&args!["SORT", key("list"), "STORE", key("sorted")]);
    client.call(&args!["XGROUP", "CREATE", key("stream"), "g", 0]);
    client.call(&args!["XREADGROUP", "GROUP", "g", "c", "COUNT", 5, "STREAMS", key("stream"), ">"]);
    client.call(&args!["XACK", key("stream"), "g", "1-1"]);
    client.call(&args!["XTRIM", key("stream"), "MAXLEN", 20]);
    let script = "redis.call('SET', KEYS[1], 1) redis.call('RPUSH', KEYS[2], 2, 3)";
    client.call(&args!["EVAL", script, 2, key("e1"), key("e2")]);
    client.call(&args!["FCALL", "both", 2, key("f1"), key("f2"), "v"]);
}

const LIBRARY: &str = "#!lua name=lib\nredis.register_function('both', function(keys, args) \
                       redis.call('SET', keys[1], args[1]) return redis.call('SET', keys[2], args[1]) end)";

fn change_all(client: &mut Client, tag: &str) {
    client.call(&["FUNCTION", "LOAD", "REPLACE", LIBRARY]);
    change(client, tag);
    client.call("SELECT 3");
    change(client, tag);
    client.call("SWAPDB 3 4");
    client.call("SELECT 0");
}

#[test]
fn logs_of_redis_hold_what_redis_holds() {
    if !Path::new(REDIS).exists() {
        return println!("skipped: no {REDIS}");
    }
    for (preamble, rewrite, threads) in [("yes", false, 3), ("yes", true, 1), ("no", true, 3)] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut options = logging(folder.path(), 1)
            .with("aof-use-rdb-preamble", preamble)
            .with("auto-aof-rewrite-percentage", "0")
            .with("aof-timestamp-enabled", "yes");
        options.binary = REDIS.into();
        let server = ready(Server::start_with(&options));
        let mut client = server.client(Protocol::Resp2);
        fill_logged(&mut client, false);
        change_all(&mut client, "x");
        if rewrite {
            client.call("BGREWRITEAOF");
            wait_until("the log is rewritten", PATIENCE, || {
                info(&mut client, "aof_rewrite_in_progress") == "0"
            });
            change_all(&mut client, "y");
        }
        wait_until("what is to expire has", PATIENCE, || client.call("KEYS ?:gone*").elements().is_empty());
        let before = contents(&mut client);
        stop(server);
        let server = start_logging(folder.path(), threads);
        let mut client = server.client(Protocol::Resp2);
        same(&contents(&mut client), &before);
        assert!(client.call("FUNCTION LIST").to_string().contains("both"));
        // What was written goes on where the log ends.
        client.expect("SET more 1", ok());
        let before = contents(&mut client);
        stop(server);
        let server = ready(Server::start_with(&options));
        same(&contents(&mut server.client(Protocol::Resp2)), &before);
    }
}

#[test]
fn a_log_is_loaded_as_it_was_written() {
    for (threads, again) in [(1, 3), (3, 2)] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let server = start_logging(folder.path(), threads);
        let mut client = server.client(Protocol::Resp2);
        fill_logged(&mut client, false);
        change_all(&mut client, "x");
        wait_until("what is to expire has", PATIENCE, || client.call("KEYS ?:gone*").elements().is_empty());
        let before = contents(&mut client);
        client.expect("DEBUG LOADAOF", ok());
        same(&contents(&mut client), &before);
        client.expect("SET more 1", ok());
        let before = contents(&mut client);
        stop(server);
        let server = start_logging(folder.path(), again);
        same(&contents(&mut server.client(Protocol::Resp2)), &before);
    }
}

#[test]
fn while_a_log_is_loaded_nothing_expires() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    log_of(
        folder.path(),
        &[commands(&[
            "SET set v PXAT 1000",
            "RENAME set renamed",
            "PERSIST renamed",
            "SET a v",
            "PEXPIREAT a 1000",
            "APPEND a w",
            "PERSIST a",
            "SET getex v",
            "GETEX getex PXAT 1000",
            "PERSIST getex",
            "HSET hash f v g w",
            "HPEXPIREAT hash 1000 FIELDS 1 f",
            "HINCRBY hash n 1",
            "HPERSIST hash FIELDS 1 f",
            "SET gone v PXAT 1000",
            "HSET goes f v g w",
            "HPEXPIREAT goes 1000 FIELDS 1 f",
        ])],
    );
    let server = start_logging(folder.path(), 3);
    let mut client = server.client(Protocol::Resp2);
    client.expect("GET renamed", bulk("v"));
    client.expect("GET a", bulk("vw"));
    client.expect("GET getex", bulk("v"));
    client.expect("HGET hash f", bulk("v"));
    client.expect("GET gone", nil());
    client.expect("HGETALL goes", array([bulk("g"), bulk("w")]));
}

#[test]
fn what_is_loaded_is_nobodys_doing() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    log_of(
        folder.path(),
        &[commands(&[
            "MSET a 1 b 2 c 3 d 4",
            "RENAME a e",
            "SUNIONSTORE x y z",
            "SET k v",
            "FLUSHDB",
            "SET k v",
        ])],
    );
    let options = logging(folder.path(), 3).with("maxmemory", "1").with("requirepass", "secret");
    let server = Server::start_with(&options.with("notify-keyspace-events", "KEA"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("AUTH secret", ok());
    wait_until("it has loaded", PATIENCE, || client.call("DBSIZE") == int(1));
    let stats = client.call("INFO commandstats").text();
    assert!(!stats.contains("cmdstat_set") && !stats.contains("cmdstat_rename"), "{stats}");
    assert_eq!(client.call("CLIENT LIST").text().lines().count(), 1);
    assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
    client.expect_that("INFO clients", |text| text.to_string().contains("connected_clients:1"));
}

#[test]
fn meanwhile_clients_are_told_to_wait() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bytes = commands(&["INCR n"; 3000]);
    let paths = log_of(folder.path(), std::slice::from_ref(&bytes));
    // Half a minute, if nobody ends it.
    let mut server = Server::start_with(&logging(folder.path(), 2).with("key-load-delay", "10000"));
    let mut client = server.client(Protocol::Resp2);
    client.expect_error("PING", "LOADING Redis is loading the dataset in memory");
    client.expect_error("SET k v", "LOADING");
    client.expect_error("EVAL return 0", "LOADING");
    client.expect("SELECT 1", ok());
    assert_eq!(info(&mut client, "loading"), "1");
    assert_eq!(info(&mut client, "async_loading"), "0");
    assert_eq!(info(&mut client, "loading_total_bytes"), bytes.len().to_string());
    let loaded =
        |client: &mut Client| info(client, "loading_loaded_bytes").parse::<usize>().expect("a number");
    let before = loaded(&mut client);
    wait_until("it goes on", PATIENCE, || loaded(&mut client) > before);
    server.signal("TERM");
    assert!(server.wait_for_exit(PATIENCE).success());
    assert_eq!(std::fs::read(&paths[0]).expect("it is there"), bytes);
}

#[test]
fn commands_that_fail_are_told_of_and_passed_over() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    log_of(
        folder.path(),
        &[commands(&["SET k v", "LPUSH k w", "RENAME nothing k2", "SET l v", "GET k", "PING"])],
    );
    let server = start_logging(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    client.expect("DBSIZE", int(2));
    let log = server.log();
    assert!(log.contains("'WRONGTYPE") && log.contains("after processing the command 'lpush'"), "{log}");
    assert!(log.contains("'ERR no such key' after processing the command 'rename'"), "{log}");
}

#[test]
fn a_log_that_ends_early_is_cut_at_its_last_whole_command() {
    let whole = commands(&["SET a 1", "MULTI", "SET b 2", "SET c 3", "EXEC"]);
    let torn = commands(&["MULTI", "SET a 2", "SET d 4"]);
    let part = commands(&["SET a 3"]);
    for tail in [&torn[..], &torn[..torn.len() - 5], &part[..part.len() - 1], b"#TS:12"] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let paths = log_of(folder.path(), &[[&whole[..], tail].concat()]);
        let text = refused(folder.path(), &[("aof-load-truncated", "no")]);
        assert!(
            text.contains(&format!("Unexpected end of file reading the append only file {INCR}")),
            "{text}"
        );
        assert_eq!(
            std::fs::metadata(&paths[0]).expect("it is there").len() as usize,
            whole.len() + tail.len()
        );
        let server = start_logging(folder.path(), 2);
        let mut client = server.client(Protocol::Resp2);
        client.expect("MGET a b c d", array([bulk("1"), bulk("2"), bulk("3"), nil()]));
        let log = server.log();
        assert!(
            log.contains(&format!("!!! Truncating the AOF {INCR} at offset {} !!!", whole.len())),
            "{log}"
        );
        assert!(
            log.contains(&format!("AOF {INCR} loaded anyway because aof-load-truncated is enabled")),
            "{log}"
        );
        assert_eq!(std::fs::read(&paths[0]).expect("it is there"), whole);
        // The next one finds a whole log, with what was written since.
        client.expect("SET after 1", ok());
        stop(server);
        let server = start_logging(folder.path(), 2);
        server.client(Protocol::Resp2).expect("EXISTS a after", int(2));
        assert!(!server.log().contains("Truncating"));
    }
}

#[test]
fn only_the_last_file_may_end_early() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let whole = commands(&["SET a 1", "SET b 2"]);
    let paths = log_of(folder.path(), &[whole[..whole.len() - 3].to_vec(), whole.clone()]);
    let text = refused(folder.path(), &[]);
    assert!(text.contains("Fatal error: the truncated file is not the last file"), "{text}");
    assert_eq!(std::fs::read(&paths[0]).expect("it is there"), whole[..whole.len() - 3]);
}

#[test]
fn a_damaged_end_is_cut_off_only_when_that_is_allowed() {
    let whole = commands(&["SET a 1", "SET b 2"]);
    let bad = [&whole[..], b"\0\0\0\0\0\0\0\0", &commands(&["SET c 3"])].concat();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let paths = log_of(folder.path(), std::slice::from_ref(&bad));
    for flags in [&[][..], &[("aof-load-corrupt-tail-max-size", "10")]] {
        let text = refused(folder.path(), flags);
        assert!(text.contains(&format!("Bad file format reading the append only file {INCR}")), "{text}");
        assert_eq!(std::fs::read(&paths[0]).expect("it is there"), bad);
    }
    let options = logging(folder.path(), 2).with("aof-load-corrupt-tail-max-size", "100");
    let server = ready(Server::start_with(&options));
    server.client(Protocol::Resp2).expect("DBSIZE", int(2));
    assert_eq!(std::fs::read(&paths[0]).expect("it is there"), whole);
}

#[test]
fn what_is_no_log_stops_the_start() {
    let good = commands(&["SET a 1"]);
    for (bytes, said) in [
        (commands(&["SET a 1", "NOPE a"]), "Unknown command 'NOPE' reading the append only file"),
        (
            commands(&["SET a 1", "FUNCTION NOPE a"]),
            "Unknown command 'FUNCTION' reading the append only file",
        ),
        (commands(&["SET a"]), "Wrong number of arguments for 'set' at offset 0"),
        (commands(&["SELECT 77"]), "The log selects database 77, where there are 16"),
        (b"SET a 1\r\n".to_vec(), "Bad file format"),
        (b"*1\r\n:1\r\n".to_vec(), "Bad file format"),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        log_of(folder.path(), &[bytes]);
        let text = refused(folder.path(), &[]);
        assert!(text.contains(said), "{said}: {text}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let paths = log_of(folder.path(), &[good.clone(), good]);
    std::fs::remove_file(&paths[1]).expect("it is there");
    let text = refused(folder.path(), &[]);
    let said =
        "Unable to obtain the AOF file appendonly.aof.2.incr.aof length. stat: No such file or directory";
    assert!(text.contains(said), "{text}");
    let manifest = folder.path().join("appendonlydir/appendonly.aof.manifest");
    for (bad, said) in [
        ("", "Found an empty AOF manifest"),
        ("file x seq 1 type q\n", "Unknown AOF file type"),
        ("file x seq 2 type i\nfile y seq 1 type i\n", "Found a non-monotonic sequence number"),
    ] {
        std::fs::write(&manifest, bad).expect("the folder is writable");
        let text = refused(folder.path(), &[]);
        assert!(text.contains("FATAL AOF MANIFEST FILE ERROR") && text.contains(said), "{text}");
    }
}

#[test]
fn the_single_file_of_redis_6_is_taken_over() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    client.call("MSET a 1 b 2");
    client.expect("SAVE", ok());
    kill(server);
    let snapshot = folder.path().join("dump.rdb");
    let preamble = std::fs::read(&snapshot).expect("it was saved");
    let single = folder.path().join("appendonly.aof");
    let tail = commands(&["SELECT 0", "RENAME a c", "INCR b"]);
    std::fs::write(&single, [preamble, tail].concat()).expect("the folder is writable");
    std::fs::remove_file(snapshot).expect("it is there");
    for again in [false, true] {
        let server = start_logging(folder.path(), 3);
        let mut client = server.client(Protocol::Resp2);
        client.expect("MGET a b c", array([nil(), bulk("3"), bulk("1")]));
        let log = server.log();
        assert_ne!(
            log.contains("Successfully migrated an old-style AOF file (appendonly.aof)"),
            again,
            "{log}"
        );
        assert!(log.contains("Reading RDB preamble from AOF file..."), "{log}");
        assert!(!single.exists() && folder.path().join("appendonlydir/appendonly.aof").exists());
        stop(server);
    }
}

#[test]
fn check_aof_says_how_far_a_log_is_good_and_cuts_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let whole = commands(&["SET a 1", "MULTI", "SET b 2", "EXEC"]);
    let paths = log_of(folder.path(), std::slice::from_ref(&whole));
    let dir = folder.path().join("appendonlydir");
    let manifest = dir.join("appendonly.aof.manifest");
    for path in [&manifest, &dir] {
        let (code, text) = tool("check-aof", [path]);
        assert_eq!(code, 0, "{text}");
        assert!(
            text.contains(&format!("INCR AOF {INCR} is valid\nAll AOF files and manifest are valid")),
            "{text}"
        );
    }
    let (code, text) = tool("check-aof", [&paths[0]]);
    let size = whole.len();
    assert!(code == 0 && text.contains("Start checking Old-Style AOF"), "{text}");
    assert!(text.contains(&format!("size={size}, ok_up_to={size}, ok_up_to_line=20, diff=0")), "{text}");
    for (tail, said) in [
        (commands(&["MULTI", "SET c 3"]), "Reached EOF before reading EXEC for MULTI"),
        (commands(&["EXEC"]), "Unexpected EXEC"),
        (commands(&["MULTI", "MULTI"]), "Unexpected MULTI"),
        (b"*1\r\n$4\r\nPI".to_vec(), "ends within"),
        (b"*1\r\n$4\r\nPINGxx*1\r\n".to_vec(), "Expected \\r\\n"),
        (b"x".to_vec(), "format error"),
    ] {
        std::fs::write(&paths[0], [&whole[..], &tail].concat()).expect("the folder is writable");
        let (code, text) = tool("check-aof", [&manifest]);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(said) && text.contains(&format!("ok_up_to={size}")), "{said}: {text}");
        assert!(text.contains("is not valid. Use the --fix option to try fixing it."), "{text}");
        let fix = |answer: &str| {
            let mut command = Options::threads(1).command();
            command.arg("check-aof").arg("--fix").arg(&manifest).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().expect("it can be started");
            let mut stdin = child.stdin.take().expect("it is piped");
            std::io::Write::write_all(&mut stdin, answer.as_bytes()).expect("it reads");
            drop(stdin);
            let output = child.wait_with_output().expect("it ends");
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (code, text) = fix("n\n");
        assert!(code == Some(1) && text.contains("Aborting..."), "{text}");
        let (code, text) = fix("y\n");
        assert!(code == Some(0) && text.contains(&format!("Successfully truncated AOF {INCR}")), "{text}");
        assert_eq!(std::fs::read(&paths[0]).expect("it is there"), whole);
    }
}

#[test]
fn check_aof_goes_back_to_a_moment() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let bytes = commands(&["#TS:100", "SET a 1", "#TS:200", "SET a 2", "#TS:300", "SET a 3"]);
    let paths = log_of(folder.path(), std::slice::from_ref(&bytes));
    let cut = |seconds: &str| {
        let path = paths[0].to_str().expect("the path is text");
        tool("check-aof", ["--truncate-to-timestamp", seconds, path])
    };
    let (code, text) = cut("50");
    assert!(code == 1 && text.contains("has nothing before timestamp 50, aborting..."), "{text}");
    let (code, text) = cut("500");
    assert!(code == 0 && text.contains("Truncate nothing in AOF"), "{text}");
    let (code, text) = cut("299");
    assert!(
        code == 0 && text.contains(&format!("Successfully truncated AOF {INCR} to timestamp 299")),
        "{text}"
    );
    assert_eq!(
        std::fs::read(&paths[0]).expect("it is there"),
        commands(&["#TS:100", "SET a 1", "#TS:200", "SET a 2"])
    );
    let server = start_logging(folder.path(), 2);
    server.client(Protocol::Resp2).expect("GET a", bulk("2"));
}
