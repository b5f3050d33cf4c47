//! The append-only file as it is written: what is acknowledged is in it, and Redis reads it.

use super::persistence::fill;
use super::support::*;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const REDIS: &str = "/usr/bin/redis-server";

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A server that logs, whose folder survives it.
fn logging(folder: &Path, threads: usize, policy: &str) -> Options {
    Options::threads(threads)
        .with("dir", folder.to_str().expect("the path is text"))
        .with("appendonly", "yes")
        .with("appendfsync", policy)
        .with("auto-aof-rewrite-percentage", "0")
}

fn kill(mut server: Server) {
    server.signal("KILL");
    server.wait_for_exit(PATIENCE);
}

fn field(client: &mut Client, name: &str) -> String {
    let text = client.call("INFO persistence").text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("{name} is missing in {text}")).trim().to_owned()
}

fn wait_for_rewrite(client: &mut Client) {
    wait_until("the rewrite has ended", PATIENCE, || {
        field(client, "aof_rewrite_in_progress") == "0" && field(client, "aof_rewrite_scheduled") == "0"
    });
    assert_eq!(field(client, "aof_last_bgrewrite_status"), "ok");
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("appendonlydir")).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.expect("it can be read").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

fn manifest(folder: &Path) -> String {
    let path = folder.join("appendonlydir/appendonly.aof.manifest");
    std::fs::read_to_string(path).expect("there is a manifest")
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("appendonlydir").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A Redis that has loaded a copy of the folder's log; `None` where there is no Redis.
fn in_redis(from: &Path) -> Option<(Server, Client)> {
    Path::new(REDIS).exists().then(|| reader(from, REDIS.into(), 1))
}

/// A server of ours that has.
fn in_coreshard(from: &Path) -> (Server, Client) {
    reader(from, Options::threads(1).binary, 2)
}

fn reader(from: &Path, binary: std::path::PathBuf, threads: usize) -> (Server, Client) {
    let copy = folder();
    let to = copy.keep();
    std::fs::create_dir(to.join("appendonlydir")).expect("the folder is new");
    for name in files(from) {
        std::fs::copy(from.join("appendonlydir").join(&name), to.join("appendonlydir").join(&name))
            .expect("a file can be copied");
    }
    let mut options = logging(&to, threads, "no");
    options.binary = binary;
    let server = Server::start_with(&options);
    wait_until("it has loaded", PATIENCE, || server.client(Protocol::Resp2).call("PING") == simple("PONG"));
    let client = server.client(Protocol::Resp2);
    std::fs::remove_dir_all(&to).expect("it has been read");
    (server, client)
}

/// The log gives the same data again, here and in Redis.
fn assert_logged(from: &Path, client: &mut Client) {
    for (_server, mut reader) in in_redis(from).into_iter().chain([in_coreshard(from)]) {
        assert_eq!(reader.call("DBSIZE"), client.call("DBSIZE"));
        assert_eq!(reader.call("DEBUG DIGEST"), client.call("DEBUG DIGEST"));
    }
}

/// Raises all counters of `names` in one block after the other until told to stop; how often it was acknowledged.
fn raise(address: std::net::SocketAddr, names: &[String], stop: &AtomicBool) -> u64 {
    let mut client = Client::connect(address, Protocol::Resp2);
    let mut acknowledged = 0;
    while !stop.load(Ordering::Relaxed) {
        let steps = names.iter().map(|name| format!("INCR {name}\r\n"));
        let block: String =
            ["MULTI\r\n".to_owned()].into_iter().chain(steps).chain(["EXEC\r\n".to_owned()]).collect();
        if client.try_send_raw(&block).is_err() {
            break;
        }
        let mut last = None;
        for _ in 0..names.len() + 2 {
            last = client.try_recv().ok();
            if last.is_none() {
                break;
            }
        }
        match last {
            Some(reply) if !reply.is_error() => acknowledged += 1,
            _ => break,
        }
    }
    acknowledged
}

fn names_of(writer: usize) -> Vec<String> {
    (0..7).map(|i| format!("w{writer}:n{i}")).collect()
}

#[test]
fn with_always_what_was_acknowledged_survives_a_kill_and_no_block_is_half_there() {
    for threads in [1, 3] {
        let dir = folder();
        let server = Server::start_with(&logging(dir.path(), threads, "always"));
        let stop = AtomicBool::new(false);
        let address = server.address();
        let mut client = server.client(Protocol::Resp2);
        let acknowledged: Vec<u64> = std::thread::scope(|scope| {
            let stop = &stop;
            let writers: Vec<_> =
                (0..4).map(|writer| scope.spawn(move || raise(address, &names_of(writer), stop))).collect();
            for round in 0..3 {
                client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
                wait_for_rewrite(&mut client);
                let before: i64 = client.call("GET w0:n0").text().parse().unwrap_or(0);
                wait_until("writes go on", PATIENCE, || {
                    client.call("GET w0:n0").text().parse().unwrap_or(0) > before + 5 + round
                });
            }
            kill(server);
            stop.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().expect("the writer ends")).collect()
        });
        let (_server, mut reader) = if threads == 1 {
            in_coreshard(dir.path())
        } else {
            let Some(redis) = in_redis(dir.path()) else { return };
            redis
        };
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let values: Vec<u64> = names_of(writer)
                .iter()
                .map(|name| reader.call(&["GET", name]).text().parse().expect("it is a number"))
                .collect();
            assert!(values.iter().all(|value| *value == values[0]), "a block is whole: {values:?}");
            // The last one may have been done and not acknowledged.
            assert!((*acknowledged..=acknowledged + 1).contains(&values[0]), "{values:?}, {acknowledged}");
        }
    }
}

#[test]
fn a_new_log_has_an_empty_base_and_every_type_goes_to_redis() {
    for (threads, preamble) in [(1, "yes"), (3, "no")] {
        let dir = folder();
        let options = logging(dir.path(), threads, "everysec").with("aof-use-rdb-preamble", preamble);
        let server = Server::start_with(&options);
        let format = if preamble == "yes" { "rdb" } else { "aof" };
        let expected = format!(
            "file appendonly.aof.1.base.{format} seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
        );
        assert_eq!(manifest(dir.path()), expected);
        let mut client = server.client(Protocol::Resp2);
        client.expect("CONFIG SET appendfsync always", ok());
        fill(&mut client, false);
        // Not logged, in Redis neither.
        client.pipeline((0..2000).map(|i| format!("DEL many:{i}")).collect::<Vec<_>>());
        // A string that only became longer is a change.
        client.expect("SET longer abc", ok());
        client.expect("BITFIELD longer OVERFLOW FAIL INCRBY u2 400 100", array([nil()]));
        client.expect("APPEND longer x", 52);
        client.expect(&["EVAL", "redis.call('set', 'a', 1) redis.call('incr', 'a')", "1", "a"], nil());
        assert_logged(dir.path(), &mut client);
        client.expect("BGREWRITEAOF", simple("Background append only file rewriting started"));
        wait_for_rewrite(&mut client);
        client.expect("MSET after1 1 after2 2 after3 3", ok());
        wait_until("history is deleted", PATIENCE, || files(dir.path()).len() == 3);
        assert_eq!(
            files(dir.path()),
            [
                format!("appendonly.aof.2.base.{format}"),
                "appendonly.aof.2.incr.aof".into(),
                "appendonly.aof.manifest".into()
            ]
        );
        assert_eq!(
            read(dir.path(), &format!("appendonly.aof.2.base.{format}")).starts_with(b"REDIS"),
            preamble == "yes"
        );
        assert_logged(dir.path(), &mut client);
    }
}

#[test]
fn the_log_is_switched_on_and_off_under_writes() {
    let dir = folder();
    let path = dir.path().to_str().expect("the path is text").to_owned();
    let server = Server::start_with(&Options::threads(3).with("dir", &path));
    let mut client = server.client(Protocol::Resp2);
    client.expect("DEBUG POPULATE 5000 filler 100", ok());
    client.expect_error("WAITAOF 1 0 0", "ERR WAITAOF cannot be used when numlocal is set");
    client.expect("WAITAOF 0 0 0", array([int(0), int(0)]));
    let stop = AtomicBool::new(false);
    let address = server.address();
    let logged = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let stop = &stop;
                scope.spawn(move || raise(address, &names_of(writer), stop))
            })
            .collect();
        for _ in 0..3 {
            client.expect("CONFIG SET appendonly yes", ok());
            assert_eq!(field(&mut client, "aof_enabled"), "1");
            wait_for_rewrite(&mut client);
            client.expect("CONFIG SET appendonly no", ok());
            assert_eq!(field(&mut client, "aof_enabled"), "0");
        }
        client.expect("CONFIG SET appendonly yes appendfsync always", ok());
        wait_for_rewrite(&mut client);
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().expect("the writer ends")).collect::<Vec<u64>>()
    });
    client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    assert_logged(dir.path(), &mut client);
    client.expect("CONFIG SET appendonly no", ok());
    client.expect("SET unlogged 1", ok());
    kill(server);
    let Some((_redis, mut redis)) = in_redis(dir.path()) else { return };
    redis.expect("GET unlogged", nil());
    for (writer, logged) in logged.iter().enumerate() {
        for name in names_of(writer) {
            redis.expect(&["GET", &name], bulk(logged.to_string()));
        }
    }
}

#[test]
fn a_reply_tells_of_what_is_in_the_file() {
    for policy in ["everysec", "no", "always"] {
        let dir = folder();
        let server = Server::start_with(&logging(dir.path(), 3, policy));
        let mut client = server.client(Protocol::Resp2);
        // As if the disk were slow.
        client.expect("DEBUG AOF-FLUSH-SLEEP 20000", ok());
        for i in 0..5 {
            client.expect(&args!["SET", "a", i], ok());
            client.expect(&args!["MSET", "b", i, "c", i, "d", i], ok());
            let log = read(dir.path(), "appendonly.aof.1.incr.aof");
            for key in ["a", "b", "c", "d"] {
                let written = format!("$1\r\n{key}\r\n$1\r\n{i}\r\n");
                let is_there = log.windows(written.len()).any(|part| part == written.as_bytes());
                assert!(is_there, "{policy}: {key} {i} is not in {}", log.escape_ascii());
            }
        }
    }
}

#[test]
fn waitaof_waits_for_the_disk() {
    let dir = folder();
    let server = Server::start_with(&logging(dir.path(), 3, "everysec"));
    let mut client = server.client(Protocol::Resp2);
    for i in 0..3 {
        client.expect(&args!["MSET", "a", i, "b", i, "c", i], ok());
        client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    }
    assert_logged(dir.path(), &mut client);
    // Nobody syncs.
    client.expect("CONFIG SET appendfsync no", ok());
    client.expect("SET a x", ok());
    client.expect("WAITAOF 1 0 50", array([int(0), int(0)]));
    client.expect("WAITAOF 0 1 50", array([int(0), int(0)]));
    client.expect("MULTI", ok());
    client.expect("WAITAOF 1 0 0", simple("QUEUED"));
    client.expect("EXEC", array([array([int(0), int(0)])]));
    // A policy that is stricter syncs what there is.
    client.expect("CONFIG SET appendfsync always", ok());
    client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    client.expect_error("WAITAOF 2 0 0", "ERR value is out of range, value must between 0 and 1");
    client.expect_error("WAITAOF 0 -1 0", "ERR value is out of range, must be positive");
    client.expect_error("WAITAOF 0 0 -1", "ERR timeout is negative");
    client.expect_error("WAITAOF 0 0 x", "ERR timeout is not an integer or out of range");
    // Who waits when the log ends is told.
    client.expect("CONFIG SET appendfsync no", ok());
    client.expect("SET a y", ok());
    client.send("WAITAOF 1 0 0");
    server.client(Protocol::Resp2).expect("CONFIG SET appendonly no", ok());
    let reply = client.recv();
    let refused = err("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
    // Closing syncs: it may be faster.
    assert!(reply == refused || reply == array([int(1), int(0)]), "{reply}");
}

#[test]
fn who_has_closed_its_half_gets_replies_that_waited_for_the_disk() {
    let dir = folder();
    let server = Server::start_with(&logging(dir.path(), 3, "always"));
    for _ in 0..20 {
        let mut client = server.client(Protocol::Resp2);
        client.send_raw("SET k v\r\nMSET a 1 b 2 c 3\r\nGET k\r\n");
        client.half_close();
        client.expect_next(ok());
        client.expect_next(ok());
        client.expect_next(bulk("v"));
        client.expect_closed();
    }
}

#[test]
fn the_end_of_the_process_syncs_the_log() {
    for policy in ["everysec", "no"] {
        let dir = folder();
        let mut server = Server::start_with(&logging(dir.path(), 3, policy));
        let mut client = server.client(Protocol::Resp2);
        client.expect("MSET a 1 b 2 c 3", ok());
        server.signal("TERM");
        assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(0), "{}", server.log());
        assert!(server.log().contains("Calling fsync() on the AOF file"));
        let Some((_redis, mut redis)) = in_redis(dir.path()) else { return };
        redis.expect("MGET a b c", array([bulk("1"), bulk("2"), bulk("3")]));
    }
}

#[test]
fn a_script_that_the_end_of_the_process_cuts_off_is_not_logged() {
    for threads in [1, 3] {
        let dir = folder();
        let options = logging(dir.path(), threads, "no").with("busy-reply-threshold", "20");
        let mut server = Server::start_with(&options);
        let (mut client, mut busy) = (server.client(Protocol::Resp2), server.client(Protocol::Resp2));
        busy.expect("SELECT 3", ok());
        busy.expect("SET before 1", ok());
        busy.send("MULTI");
        busy.send("SET half 1");
        busy.send(&["EVAL", "redis.call('set', KEYS[1], 1) while true do end", "1", "half"]);
        busy.send("EXEC");
        wait_until("the script is busy", PATIENCE, || {
            let mut other = server.client(Protocol::Resp2);
            other.send("SCRIPT KILL");
            other
                .recv_within(Duration::from_millis(20))
                .is_some_and(|reply| reply.to_string().contains("UNKILLABLE"))
        });
        client.send("SHUTDOWN NOSAVE");
        assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(0), "{}", server.log());
        let Some((_redis, mut redis)) = in_redis(dir.path()) else { return };
        redis.expect("SELECT 3", ok());
        redis.expect("MGET before half", array([bulk("1"), nil()]));
    }
}

#[test]
fn a_log_that_has_grown_is_rewritten_by_itself() {
    let dir = folder();
    let options = logging(dir.path(), 2, "no").with("auto-aof-rewrite-min-size", "4kb");
    let server = Server::start_with(&options);
    let mut client = server.client(Protocol::Resp2);
    let value = "x".repeat(1000);
    for i in 0..20 {
        client.expect(&args!["SET", format!("k{}", i % 2), value], ok());
    }
    assert_eq!(field(&mut client, "aof_rewrites"), "0");
    client.expect("CONFIG SET auto-aof-rewrite-percentage 100", ok());
    wait_until("it is rewritten", PATIENCE, || {
        field(&mut client, "aof_rewrites") == "1" && field(&mut client, "aof_rewrite_in_progress") == "0"
    });
    assert_eq!(field(&mut client, "aof_base_size"), field(&mut client, "aof_current_size"));
    assert_logged(dir.path(), &mut client);
}

#[test]
fn notes_of_the_time_stand_between_commands() {
    let dir = folder();
    let server = Server::start_with(&logging(dir.path(), 3, "always").with("aof-timestamp-enabled", "yes"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    assert!(read(dir.path(), "appendonly.aof.1.incr.aof").starts_with(b"#TS:"));
    assert_logged(dir.path(), &mut client);
}

#[test]
fn rewrites_and_snapshots_do_not_run_together() {
    let dir = folder();
    let server = Server::start_with(&logging(dir.path(), 2, "no"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("MULTI", ok());
    client.expect("BGREWRITEAOF", simple("QUEUED"));
    client.expect("EXEC", array([simple("Background append only file rewriting scheduled")]));
    wait_until("it is rewritten", PATIENCE, || field(&mut client, "aof_rewrites") == "1");
    wait_for_rewrite(&mut client);
    client.expect("DEBUG POPULATE 200000 k 100", ok());
    let replies = client.pipeline(["BGREWRITEAOF", "BGSAVE", "BGREWRITEAOF", "BGSAVE SCHEDULE", "SAVE"]);
    assert_eq!(replies[0], simple("Background append only file rewriting started"));
    if replies[2].is_error() {
        assert_eq!(replies[2], err("ERR Background append only file rewriting already in progress"));
    }
    if replies[1].is_error() {
        assert!(replies[1].text().contains("Another child process is active (AOF?)"), "{}", replies[1]);
    }
    wait_for_rewrite(&mut client);
    wait_until("all is saved", PATIENCE, || field(&mut client, "rdb_bgsave_in_progress") == "0");
    assert!(dir.path().join("dump.rdb").exists());
    assert_logged(dir.path(), &mut client);
}

#[test]
fn flushing_everything_during_a_rewrite_loses_nothing_that_follows() {
    let dir = folder();
    let server = Server::start_with(&logging(dir.path(), 3, "always"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("DEBUG POPULATE 5000 k 100", ok());
    // A second or more, so that it is under way when everything goes.
    client.expect("CONFIG SET rdb-key-save-delay 300", ok());
    client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
    wait_until("it has begun", PATIENCE, || manifest(dir.path()).contains("seq 2 type i"));
    let replies = client.pipeline(["FLUSHALL", "MSET a 1 b 2 c 3"]);
    assert!(replies.iter().all(|reply| !reply.is_error()), "{replies:?}");
    wait_for_rewrite(&mut client);
    assert_logged(dir.path(), &mut client);
    client.expect("DBSIZE", int(3));
}

#[test]
fn the_process_does_not_end_before_the_first_log_is_complete() {
    let dir = folder();
    let path = dir.path().to_str().expect("the path is text").to_owned();
    let mut server = Server::start_with(&Options::threads(2).with("dir", &path));
    let mut client = server.client(Protocol::Resp2);
    client.expect("DEBUG POPULATE 200000 k 100", ok());
    let replies = client.pipeline(["CONFIG SET appendonly yes", "SHUTDOWN"]);
    assert_eq!(replies, [ok(), err("ERR Errors trying to SHUTDOWN. Check logs.")]);
    assert!(server.log().contains("Writing initial AOF, can't exit."));
    wait_for_rewrite(&mut client);
    client.expect("SET last 1", ok());
    client.send("SHUTDOWN");
    client.expect_closed();
    assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(0));
    let Some((_redis, mut redis)) = in_redis(dir.path()) else { return };
    redis.expect("DBSIZE", int(200_001));
}

/// How long files of a process may become: a longer one is an error like a full disk.
fn limit_files(server: &Server, bytes: Option<u64>) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_raw(server.pid() as i32).expect("a child has a number");
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("it is our child");
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room_again() {
    let dir = folder();
    let server = Server::start_with(&logging(dir.path(), 3, "everysec"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    let before = read(dir.path(), "appendonly.aof.1.incr.aof");
    limit_files(&server, Some(before.len() as u64 + 100));
    client.expect(&args!["SET", "big", "x".repeat(5000)], ok());
    wait_until("writes are refused", PATIENCE, || client.call("SET b 3").is_error());
    client.expect("SET a 2", err("MISCONF Errors writing to the AOF file: File too large"));
    client.expect_error("PING", "MISCONF");
    client.expect_error(&["EVAL", "return redis.call('set', 'a', '2')", "1", "a"], "MISCONF");
    client.expect("GET a", bulk("1"));
    assert_eq!(field(&mut client, "aof_last_write_status"), "err");
    assert_eq!(read(dir.path(), "appendonly.aof.1.incr.aof"), before, "nothing half written is left");
    limit_files(&server, None);
    wait_until("writes are taken again", PATIENCE, || !client.call("SET a 3").is_error());
    assert_eq!(field(&mut client, "aof_last_write_status"), "ok");
    client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    assert_logged(dir.path(), &mut client);
}

#[test]
fn with_always_a_full_disk_ends_the_process_and_nothing_unwritten_was_acknowledged() {
    let dir = folder();
    let mut server = Server::start_with(&logging(dir.path(), 3, "always"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    let before = read(dir.path(), "appendonly.aof.1.incr.aof");
    limit_files(&server, Some(before.len() as u64 + 100));
    client.send(&args!["SET", "big", "x".repeat(5000)]);
    client.expect_closed();
    assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(1));
    assert_eq!(read(dir.path(), "appendonly.aof.1.incr.aof"), before);
}

#[test]
fn a_rewrite_that_fails_leaves_the_log_whole() {
    let dir = folder();
    let server = Server::start_with(&logging(dir.path(), 2, "always"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    // Something that is no file stands where the snapshot is to be written.
    let taken = dir.path().join(format!("temp-rewriteaof-bg-{}.aof", server.pid()));
    std::fs::create_dir(&taken).expect("the folder is new");
    client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
    wait_until("it has failed", PATIENCE, || field(&mut client, "aof_last_bgrewrite_status") == "err");
    assert_eq!(field(&mut client, "aof_rewrites_consecutive_failures"), "1");
    client.expect("MSET a 4 b 5 d 6", ok());
    assert_logged(dir.path(), &mut client);
    std::fs::remove_dir(&taken).expect("it is empty");
    client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
    wait_for_rewrite(&mut client);
    client.expect("MSET a 7 b 8 e 9", ok());
    assert_eq!(field(&mut client, "aof_rewrites_consecutive_failures"), "0");
    assert_logged(dir.path(), &mut client);
}
