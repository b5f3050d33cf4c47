//! Snapshots: what is saved is what comes back, here and in Redis; what cannot be saved or loaded is said.

use super::support::*;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server whose folder survives it.
pub fn at(folder: &Path, threads: usize) -> Options {
    Options::threads(threads).with("dir", folder.to_str().expect("the path is text"))
}

pub fn start(folder: &Path, threads: usize) -> Server {
    ready(Server::start_with(&at(folder, threads)))
}

/// Waits until it has loaded what there was.
pub fn ready(server: Server) -> Server {
    wait_until("it has loaded", PATIENCE, || server.client(Protocol::Resp2).call("PING") == simple("PONG"));
    server
}

pub fn kill(mut server: Server) {
    server.signal("KILL");
    server.wait_for_exit(PATIENCE);
}

pub fn digest(client: &mut Client) -> String {
    client.call("DEBUG DIGEST").text()
}

pub fn info(client: &mut Client, field: &str) -> String {
    let text = client.call("INFO persistence").text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
    line.unwrap_or_else(|| panic!("{field} is missing in {text}")).trim().to_owned()
}

/// Every type in every encoding, in several databases, with and without deadlines. What Redis 7.0 knows, and with
/// `newer` deadlines of fields.
pub fn fill(client: &mut Client, newer: bool) {
    fill_logged(client, newer);
    client.expect("DEBUG POPULATE 2000 many 50", ok());
}

/// The same without what no log tells of.
pub fn fill_logged(client: &mut Client, newer: bool) {
    let long = "lorem ipsum ".repeat(60);
    client.expect("SELECT 2", ok());
    client.expect("SET elsewhere 1", ok());
    client.expect("SELECT 0", ok());
    client.expect("SET int 12345", ok());
    client.expect("SET huge 9223372036854775807", ok());
    client.expect("SET short hello", ok());
    client.expect(&args!["SET", "long", long], ok());
    client.expect("SET volatile v EX 100000", ok());
    client.expect(&args!["SET", "k".repeat(700), "a long key"], ok());
    for (name, count) in [("small", 5), ("big", 700)] {
        for i in 0..count {
            let (key, item) = (|kind: &str| format!("{kind}:{name}"), format!("item:{i}"));
            client.call(&args!["RPUSH", key("list"), item]);
            client.call(&args!["SADD", key("set"), item]);
            client.call(&args!["SADD", key("intset"), i * 1000]);
            client.call(&args!["ZADD", key("zset"), format!("{i}.5"), item]);
            client.call(&args!["HSET", key("hash"), item, i]);
            client.call(&args!["XADD", key("stream"), format!("{}-1", i + 1), "f", i, "g", item]);
        }
    }
    client.call("XGROUP CREATE stream:small g 0");
    client.call("XREADGROUP GROUP g c COUNT 2 STREAMS stream:small >");
    if newer {
        client.call("HPEXPIRE hash:small 10000000 FIELDS 1 item:1");
        client.call("HPEXPIRE hash:big 10000000 FIELDS 1 item:1");
    }
}

#[test]
fn what_was_saved_is_there_after_a_kill() {
    for command in ["SAVE", "BGSAVE"] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let server = start(folder.path(), 2);
        let mut client = server.client(Protocol::Resp2);
        fill(&mut client, true);
        let before = digest(&mut client);
        assert_ne!(info(&mut client, "rdb_changes_since_last_save"), "0");
        client.expect_that(command, |reply| !reply.is_error());
        wait_until("it is saved", PATIENCE, || info(&mut client, "rdb_bgsave_in_progress") == "0");
        assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
        client.expect("SET lost 1", ok());
        drop(client);
        kill(server);
        // Another number of shards deals the keys anew.
        let server = start(folder.path(), 3);
        let mut client = server.client(Protocol::Resp2);
        assert_eq!(digest(&mut client), before);
        client.expect("HTTL hash:big FIELDS 1 item:2", array([int(-1)]));
        client.expect_that("HTTL hash:big FIELDS 1 item:1", |ttl| ttl.clone().elements()[0].int() > 0);
        client.expect("GET lost", nil());
        assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
        let files: Vec<_> = std::fs::read_dir(folder.path()).expect("it is there").collect();
        assert_eq!(files.len(), 1, "nothing but the snapshot is left: {files:?}");
    }
}

#[test]
fn a_snapshot_under_writes_is_the_state_at_one_moment() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path(), 3);
    let mut client = server.client(Protocol::Resp2);
    client.expect("DEBUG POPULATE 30000 filler 200", ok());
    for i in 0..200 {
        client.expect(&args!["SET", format!("n:{i}"), "0"], ok());
    }
    // One writer raises all numbers by one in each transaction: no snapshot may show two of them apart.
    let address = server.address();
    let writer = std::thread::spawn(move || {
        let mut client = Client::connect(address, Protocol::Resp2);
        for _ in 0..150 {
            let steps = (0..200).map(|i| format!("INCR n:{i}"));
            let block = ["MULTI".to_owned()].into_iter().chain(steps).chain(["EXEC".to_owned()]);
            client.pipeline(block.collect::<Vec<_>>());
            client.call(&args!["DEL", format!("filler:{}", 7)]);
        }
    });
    let mut seen = Vec::new();
    for round in 0..3 {
        client.expect("SAVE", ok());
        let copy = tempfile::tempdir().expect("a temporary folder can be made");
        std::fs::copy(folder.path().join("dump.rdb"), copy.path().join("dump.rdb")).expect("it was saved");
        let other = start(copy.path(), 1 + round);
        let mut reader = other.client(Protocol::Resp2);
        let first = reader.call("GET n:0").text();
        for i in 1..200 {
            reader.expect(&args!["GET", format!("n:{i}")], bulk(&first));
        }
        seen.push(first.parse::<u64>().expect("it is a number"));
    }
    writer.join().expect("the writer ends");
    assert!(seen.is_sorted(), "{seen:?}");
}

#[test]
fn big_values_that_are_changed_while_they_are_saved_are_saved_as_they_were() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    let mut rng = fastrand::Rng::with_seed(11);
    for number in 0..6 {
        let name = |kind: &str| format!("{kind}:{number}");
        for part in 0..40 {
            for (command, key) in [("RPUSH", "list"), ("SADD", "set"), ("ZADD", "zset"), ("HSET", "hash")] {
                let mut request = args![command, name(key)].to_vec();
                for item in part * 200..(part + 1) * 200 {
                    match command {
                        "ZADD" => request.extend(args![item, format!("item:{item}")]),
                        "HSET" => request.extend(args![format!("item:{item}"), item]),
                        _ => request.extend(args![format!("item:{item}")]),
                    }
                }
                client.expect_that(&request, |reply| !reply.is_error());
            }
        }
        let random: Vec<u8> = (0..300_000).map(|_| rng.u8(..)).collect();
        client.expect(&args!["SET", name("random"), random], ok());
        client.expect(&args!["SET", name("regular"), "0123456789".repeat(30_000)], ok());
    }
    let before = digest(&mut client);
    client.expect("CONFIG SET rdb-key-save-delay 500", ok());
    client.expect_that("BGSAVE", |reply| !reply.is_error());
    for number in 0..6 {
        let name = |kind: &str| format!("{kind}:{number}");
        client.expect_that(&args!["LPUSH", name("list"), "new"], |reply| !reply.is_error());
        client.expect_that(&args!["SREM", name("set"), "item:7"], |reply| !reply.is_error());
        client.expect_that(&args!["ZINCRBY", name("zset"), 5, "item:7"], |reply| !reply.is_error());
        client.expect_that(&args!["DEL", name("hash")], |reply| !reply.is_error());
        client.expect_that(&args!["SETRANGE", name("random"), 1000, "new"], |reply| !reply.is_error());
        client.expect_that(&args!["APPEND", name("regular"), "new"], |reply| !reply.is_error());
    }
    assert_ne!(digest(&mut client), before);
    wait_until("it is saved", PATIENCE, || info(&mut client, "rdb_bgsave_in_progress") == "0");
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
    kill(server);
    let server = start(folder.path(), 3);
    assert_eq!(digest(&mut server.client(Protocol::Resp2)), before);
}

#[test]
fn flushing_and_swapping_during_a_snapshot_do_not_change_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    client.expect("DEBUG POPULATE 100000 k 100", ok());
    client.expect("SELECT 1", ok());
    client.expect("DEBUG POPULATE 1000 other", ok());
    let before = digest(&mut client);
    let replies = client.pipeline(["BGSAVE", "SWAPDB 0 1", "FLUSHDB", "SET new 1"]);
    assert!(replies.iter().all(|reply| !reply.is_error()), "{replies:?}");
    wait_until("it is saved", PATIENCE, || info(&mut client, "rdb_bgsave_in_progress") == "0");
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
    kill(server);
    let server = start(folder.path(), 2);
    assert_eq!(digest(&mut server.client(Protocol::Resp2)), before);
}

#[test]
fn reloading_keeps_everything_and_says_what_it_cannot() {
    with_server(Options::threads, |s| {
        let mut c = s.client();
        fill(&mut c, true);
        let before = digest(&mut c);
        c.expect("DEBUG RELOAD", ok());
        assert_eq!(digest(&mut c), before);
        c.expect("SET k 1", ok());
        c.expect("DEBUG RELOAD NOSAVE NOFLUSH MERGE", ok());
        c.expect("GET k", bulk("1"));
        c.expect("DEBUG RELOAD NOSAVE", ok());
        c.expect("GET k", nil());
        assert_eq!(digest(&mut c), before);
        // Keys that are there already, and nobody says that they may be replaced.
        c.expect_error("DEBUG RELOAD NOSAVE NOFLUSH", "ERR Error trying to load the RDB dump");
        c.expect_error("DEBUG RELOAD NOSUCH", "ERR DEBUG RELOAD only supports");
        c.expect("MULTI", ok());
        c.expect_error("SAVE", "ERR Command not allowed inside a transaction");
        c.expect_error("EXEC", "EXECABORT");
        c.expect("MULTI", ok());
        c.expect("BGSAVE", simple("QUEUED"));
        c.expect("EXEC", array([simple("Background saving scheduled")]));
        c.expect_error("BGSAVE NOW", "ERR syntax error");
        wait_until("it is saved", PATIENCE, || {
            info(&mut c, "rdb_changes_since_last_save") == "0"
                && info(&mut c, "rdb_bgsave_in_progress") == "0"
        });
    });
}

#[test]
fn libraries_survive_a_reload_whichever_core_it_is_asked_of() {
    with_server(Options::threads, |s| {
        let library = "#!lua name=l\nredis.register_function('f', function() return 1 end)";
        s.client().expect(&["FUNCTION", "LOAD", library], bulk("l"));
        // Connections are spread over the cores.
        for _ in 0..20 {
            let mut c = s.client();
            c.expect("DEBUG RELOAD", ok());
            c.expect("FCALL f 0", int(1));
        }
    });
}

#[test]
fn save_points_save_and_so_does_the_end() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = ready(Server::start_with(&at(folder.path(), 2).with("save", "1 2")));
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    wait_until("the save point is noticed", PATIENCE, || folder.path().join("dump.rdb").exists());
    client.expect("SET d 4", ok());
    server.signal("TERM");
    assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(0), "{}", server.log());
    let mut server = ready(Server::start_with(&at(folder.path(), 1).with("save", "1000 2")));
    let mut client = server.client(Protocol::Resp2);
    client.expect("MGET a d", array([bulk("1"), bulk("4")]));
    client.expect("SET e 5", ok());
    client.send("SHUTDOWN");
    client.expect_closed();
    assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(0));
    let mut server = ready(Server::start_with(&at(folder.path(), 1).with("save", "1000 2")));
    let mut client = server.client(Protocol::Resp2);
    client.expect("GET e", bulk("5"));
    client.expect("SET e 6", ok());
    client.send("SHUTDOWN NOSAVE");
    client.expect_closed();
    server.wait_for_exit(PATIENCE);
    let server = start(folder.path(), 2);
    server.client(Protocol::Resp2).expect("GET e", bulk("5"));
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_stops_writes() {
    // Something that is no folder cannot hold the file, whoever runs this.
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let gone = folder.path().join("gone");
    std::fs::create_dir(&gone).expect("the folder is new");
    let mut server = ready(Server::start_with(&at(&gone, 2).with("save", "1000 1000")));
    let mut client = server.client(Protocol::Resp2);
    client.expect("SET k v", ok());
    std::fs::remove_dir_all(&gone).expect("it is empty");
    client.expect("SAVE", err("ERR"));
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "err");
    client.expect_error("SET k w", "MISCONF Redis is configured to save RDB snapshots");
    client.expect_error("PING", "MISCONF");
    client.expect_error(&["EVAL", "return redis.call('set', 'k', 'w')", "0"], "MISCONF");
    client.expect("GET k", bulk("v"));
    client.expect("SHUTDOWN", err("ERR Errors trying to SHUTDOWN. Check logs."));
    server.signal("TERM");
    wait_until("it refuses to end", PATIENCE, || server.log().contains("A signal asked to shut down"));
    client.expect("CONFIG SET stop-writes-on-bgsave-error no", ok());
    client.expect("SET k w", ok());
    client.send("SHUTDOWN FORCE");
    client.expect_closed();
    assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(0));
}

/// Starts on a file that it must refuse; what it printed.
fn refused(folder: &Path) -> String {
    let options = Options::threads(2);
    let output = options
        .command()
        .args(["--port", "0", "--unixsocket", "s", "--save", "", "--threads", "2", "--dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

#[test]
fn nobody_is_served_what_is_half_loaded() {
    use std::io::{Read, Write};
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let keys: Vec<u8> = (0..200).flat_map(|n| format!("\0\x03{n:03}\x01v").into_bytes()).collect();
    let bytes = [b"REDIS0011", &keys[..], b"\0\x04more"].concat();
    std::fs::write(folder.path().join("dump.rdb"), bytes).expect("the folder is writable");
    let mut command = Options::threads(2).command();
    command.args([
        "--port",
        "0",
        "--unixsocket",
        "s",
        "--save",
        "",
        "--threads",
        "2",
        "--key-load-delay",
        "1000",
    ]);
    command.arg("--dir").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let mut server = command.spawn().expect("it can be started");
    let path = folder.path().join("s");
    let mut stream = None;
    wait_until("it listens", PATIENCE, || {
        stream = std::os::unix::net::UnixStream::connect(&path).ok();
        stream.is_some() || server.try_wait().expect("it is ours").is_some()
    });
    let mut replies = Vec::new();
    if let Some(mut stream) = stream {
        let mut chunk = [0; 4096];
        while stream.write_all(b"SET k v\r\n").is_ok() {
            match stream.read(&mut chunk) {
                Ok(count) if count > 0 => replies.extend_from_slice(&chunk[..count]),
                _ => break,
            }
        }
    }
    assert_eq!(server.wait().expect("it is ours").code(), Some(1));
    let text = String::from_utf8(replies).expect("replies are text");
    assert!(text.lines().all(|line| line.starts_with("-LOADING")), "{text}");
}

#[test]
fn a_damaged_file_stops_the_start_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path(), 2);
    let mut client = server.client(Protocol::Resp2);
    fill(&mut client, true);
    client.expect("SAVE", ok());
    kill(server);
    let path = folder.path().join("dump.rdb");
    let good = std::fs::read(&path).expect("it was saved");
    let check = |wanted: bool| {
        let mut command = Command::new(Options::threads(1).binary);
        let output = command.arg("check-rdb").arg(&path).output().expect("it can be started");
        assert_eq!(output.status.success(), wanted, "{output:?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(check(true).contains("The file is good"));
    for (bytes, said) in [
        (good[..good.len() / 2].to_vec(), "RDB data ends early at offset"),
        (good[..good.len() - 3].to_vec(), "RDB data ends early at offset"),
        (b"REDIS0099".to_vec(), "RDB version 99 is newer"),
        (b"something else".to_vec(), "this is no RDB file"),
        (Vec::new(), "RDB data ends early at offset 0"),
        (
            // The last byte before the end belongs to some text.
            [&good[..good.len() - 10], &[good[good.len() - 10] ^ 1], &good[good.len() - 9..]].concat(),
            "wrong checksum",
        ),
    ] {
        std::fs::write(&path, &bytes).expect("the folder is writable");
        let text = refused(folder.path());
        assert!(text.contains(said) && text.contains("dump.rdb"), "'{said}' is missing in {text}");
        assert!(check(false).contains(said));
        assert_eq!(std::fs::read(&path).expect("it stays"), bytes);
    }
    std::fs::write(&path, &good).expect("the folder is writable");
    start(folder.path(), 1);
}
