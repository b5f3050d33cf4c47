//! Disks that fail, hang or are full under the log: nothing acknowledged is lost that the policy promises, what is on disk
//! is never made worse, and the server is in the state that Redis documents.

use super::aof_load::{commands, stop};
use super::persistence::*;
use super::support::*;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const EIO: &str = "MISCONF Errors writing to the AOF file: Input/output error";

fn start_with_policy(folder: &Path, policy: &str) -> Server {
    let options = at(folder, 3).with("appendonly", "yes").with("appendfsync", policy);
    ready(Server::start_with(&options.with("auto-aof-rewrite-percentage", "0")))
}

fn log_file(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("appendonlydir/appendonly.aof.1.incr.aof")).expect("it is there")
}

/// Raises a counter until the server is gone; how often that was acknowledged.
fn raise(server: std::net::SocketAddr, key: usize, acknowledged: &AtomicU64, stop: &AtomicBool) {
    let mut client = Client::connect(server, Protocol::Resp2);
    while !stop.load(Ordering::Relaxed) && client.try_send_raw(format!("INCR n{key}\r\n")).is_ok() {
        match client.try_recv() {
            Ok(reply) if !reply.is_error() => drop(acknowledged.fetch_add(1, Ordering::Relaxed)),
            _ => break,
        }
    }
}

/// Under writes of several clients this fault ends the process; whatever it acknowledged is there after a start.
fn ends_and_has_all(fault: &str) {
    const WRITERS: usize = 3;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = start_with_policy(folder.path(), "always");
    let counts: [AtomicU64; WRITERS] = Default::default();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (key, count) in counts.iter().enumerate() {
            let (address, stop) = (server.address(), &stop);
            scope.spawn(move || raise(address, key, count, stop));
        }
        wait_until("they write", PATIENCE, || counts.iter().all(|count| count.load(Ordering::Relaxed) > 20));
        let mut client = server.client(Protocol::Resp2);
        // What it answers may be lost with the process.
        client.send(fault);
        assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(1), "{}", server.log());
        stop.store(true, Ordering::Relaxed);
    });
    let server = start_with_policy(folder.path(), "always");
    let mut client = server.client(Protocol::Resp2);
    for (key, count) in counts.iter().enumerate() {
        let (found, count) =
            (client.call(&args!["GET", format!("n{key}")]).text(), count.load(Ordering::Relaxed));
        let found: u64 = found.parse().expect("it is a number");
        assert!((count..=count + 1).contains(&found), "{fault}: n{key} is {found}, acknowledged {count}");
    }
}

#[test]
fn with_always_a_sync_or_a_write_that_fails_ends_the_process_and_loses_nothing_acknowledged() {
    ends_and_has_all("DEBUG DISK-FAULT log-sync EIO");
    ends_and_has_all("DEBUG DISK-FAULT log-write EIO");
    ends_and_has_all("DEBUG DISK-FAULT log-write ENOSPC -1 7");
}

#[test]
fn with_everysec_a_sync_that_fails_refuses_writes_until_one_succeeds_and_everything_is_written_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_with_policy(folder.path(), "everysec");
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    client.expect("DEBUG DISK-FAULT log-sync EIO", ok());
    client.expect("SET a 2", ok());
    wait_until("writes are refused", PATIENCE, || client.call("SET b x").is_error());
    client.expect("SET b y", err(EIO));
    client.expect_error("PING", EIO);
    client.expect_error(&["EVAL", "return redis.call('set', 'a', '9')", "1", "a"], "MISCONF");
    client.expect("GET a", bulk("2"));
    assert_eq!(info(&mut client, "aof_last_write_status"), "err");
    assert!(server.log().contains("Fail to fsync the AOF file"), "{}", server.log());
    let before = digest(&mut client);
    client.expect("DEBUG DISK-FAULT log-sync NONE", ok());
    wait_until("writes are taken again", PATIENCE, || !client.call("SET d 4").is_error());
    assert_eq!(info(&mut client, "aof_last_write_status"), "ok");
    // What the failed sync was to bring to the disk is known to be there when all is rewritten.
    client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    assert_eq!(info(&mut client, "aof_rewrites"), "1");
    client.expect("DEL d", int(1));
    assert_eq!(digest(&mut client), before);
    kill(server);
    assert_eq!(digest(&mut start_with_policy(folder.path(), "no").client(Protocol::Resp2)), before);
}

#[test]
fn a_write_cut_short_by_a_full_disk_leaves_nothing_half_written_and_is_done_later() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_with_policy(folder.path(), "everysec");
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    let before = log_file(folder.path());
    client.expect("DEBUG DISK-FAULT log-write ENOSPC -1 10", ok());
    // Redis: acknowledged, and kept in memory until there is room.
    client.expect("SET a 2", ok());
    wait_until("writes are refused", PATIENCE, || client.call("SET b x").is_error());
    client.expect("SET b y", err("MISCONF Errors writing to the AOF file: No space left on device"));
    client.expect("GET a", bulk("2"));
    assert_eq!(log_file(folder.path()), before, "nothing half written is left");
    let expected = digest(&mut client);
    client.expect("DEBUG DISK-FAULT log-write NONE", ok());
    wait_until("writes are taken again", PATIENCE, || !client.call("SET d 4").is_error());
    client.expect("DEL d", int(1));
    kill(server);
    assert_eq!(digest(&mut start_with_policy(folder.path(), "no").client(Protocol::Resp2)), expected);
}

#[test]
fn what_a_write_cut_short_left_and_cannot_be_cut_off_is_gone_on_with() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_with_policy(folder.path(), "no");
    let mut client = server.client(Protocol::Resp2);
    client.expect("SET a 1", ok());
    let before = log_file(folder.path());
    client.expect("DEBUG DISK-FAULT log-cut EIO 1", ok());
    client.expect("DEBUG DISK-FAULT log-write ENOSPC 1 10", ok());
    client.expect("SET a 2", ok());
    wait_until("the rest is written", PATIENCE, || {
        log_file(folder.path()) == [&before[..], &commands(&["SET a 2"])].concat()
    });
    assert!(server.log().contains("Could not remove short write from the append-only file"));
    wait_until("writes are taken again", PATIENCE, || !client.call("SET b 3").is_error());
    stop(server);
    start_with_policy(folder.path(), "no")
        .client(Protocol::Resp2)
        .expect("MGET a b", array([bulk("2"), bulk("3")]));
}

#[test]
fn a_slow_sync_holds_up_nobody_with_everysec_and_is_counted() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_with_policy(folder.path(), "everysec");
    let mut client = server.client(Protocol::Resp2);
    client.expect("DEBUG DISK-FAULT log-sync HANG", ok());
    client.expect("SET a 1", ok());
    wait_until("a sync is under way", PATIENCE, || info(&mut client, "aof_pending_bio_fsync") == "1");
    // Redis: what comes meanwhile waits in memory for two seconds, then it is written all the same.
    client.expect("SET a 2", ok());
    wait_until("it is written", PATIENCE, || info(&mut client, "aof_delayed_fsync") != "0");
    assert!(server.log().contains("Asynchronous AOF fsync is taking too long"), "{}", server.log());
    wait_until("it is in the file", PATIENCE, || log_file(folder.path()).ends_with(b"$1\r\n2\r\n"));
    client.expect("WAITAOF 1 0 50", array([int(0), int(0)]));
    client.expect("DEBUG DISK-FAULT log-sync NONE", ok());
    client.expect("WAITAOF 1 0 0", array([int(1), int(0)]));
    assert_eq!(info(&mut client, "aof_last_write_status"), "ok");
}

#[test]
fn with_always_replies_wait_for_a_slow_sync_and_are_all_given() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_with_policy(folder.path(), "always");
    let mut waits: Vec<Client> = (0..6).map(|_| server.client(Protocol::Resp2)).collect();
    let mut listens = server.client(Protocol::Resp2);
    listens.expect_that("SUBSCRIBE news", |reply| !reply.is_error());
    let mut blocked = server.client(Protocol::Resp2);
    blocked.send("BLPOP list 0");
    let mut unlocks = server.client(Protocol::Resp2);
    // The answer to this may itself come before or after the fault.
    waits[0].expect("DEBUG DISK-FAULT log-sync HANG", ok());
    waits[0].send("SET a 1");
    waits[1].send("RPUSH list x");
    waits[2].send("MSET a 2 b 2 c 2 d 2");
    waits[3].send_raw("MULTI\r\nSET e 3\r\nSET f 3\r\nPUBLISH news now\r\nEXEC\r\n");
    waits[4].send("SET g 4");
    waits[4].half_close();
    // One that leaves takes nothing with it.
    waits[5].send("SET h 5");
    drop(waits.pop());
    assert!(waits[0].recv_within(std::time::Duration::from_millis(100)).is_none(), "it waits");
    unlocks.expect("DEBUG DISK-FAULT log-sync NONE", ok());
    waits[0].expect_next(ok());
    waits[1].expect_next(int(1));
    waits[2].expect_next(ok());
    waits[3].expect_next(ok());
    (0..3).for_each(|_| waits[3].expect_next(simple("QUEUED")));
    waits[3].expect_next(array([ok(), ok(), int(1)]));
    waits[4].expect_next(ok());
    waits[4].expect_closed();
    listens.expect_next(array([bulk("message"), bulk("news"), bulk("now")]));
    blocked.expect_next(array([bulk("list"), bulk("x")]));
    let mut client = server.client(Protocol::Resp2);
    wait_until("it is there", PATIENCE, || client.call("GET h") == bulk("5"));
}

#[test]
fn a_log_switched_off_or_rewritten_while_a_sync_hangs_leaves_nobody_waiting() {
    for command in ["CONFIG SET appendonly no", "BGREWRITEAOF", "CONFIG SET appendfsync no"] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let server = start_with_policy(folder.path(), "always");
        let mut clients: Vec<Client> = (0..4).map(|_| server.client(Protocol::Resp2)).collect();
        let (mut other, mut unlocks) = (server.client(Protocol::Resp2), server.client(Protocol::Resp2));
        clients[0].expect("DEBUG DISK-FAULT log-sync HANG", ok());
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(&args!["MSET", format!("a{number}"), 1, format!("b{number}"), 1]);
        }
        other.send(command);
        unlocks.expect("DEBUG DISK-FAULT log-sync NONE", ok());
        clients.iter_mut().for_each(|client| client.expect_next(ok()));
        assert!(!other.recv().is_error(), "{command}");
        clients[0].expect("SET after 1", ok());
        clients[1].expect("DBSIZE", int(9));
    }
}

#[test]
fn a_rewrite_that_cannot_be_written_or_synced_leaves_the_log_whole() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start_with_policy(folder.path(), "no");
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    for (number, fault) in [(1, "save-write ENOSPC 1"), (2, "save-sync EIO 1"), (3, "log-sync EIO 1")] {
        client.expect(format!("DEBUG DISK-FAULT {fault}").as_str(), ok());
        client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
        wait_until("it has failed", PATIENCE, || {
            info(&mut client, "aof_rewrites_consecutive_failures") == number.to_string()
        });
        assert_eq!(info(&mut client, "aof_last_bgrewrite_status"), "err");
        client.expect(&args!["SET", "a", number], ok());
        let files = std::fs::read_dir(folder.path()).expect("it is there").count();
        assert_eq!(files, 1, "nothing half written is left");
    }
    client.expect_that("BGREWRITEAOF", |reply| !reply.is_error());
    wait_until("it is rewritten", PATIENCE, || info(&mut client, "aof_last_bgrewrite_status") == "ok");
    let before = digest(&mut client);
    stop(server);
    assert_eq!(digest(&mut start_with_policy(folder.path(), "no").client(Protocol::Resp2)), before);
}

#[test]
fn a_snapshot_that_cannot_be_written_or_synced_leaves_the_last_one() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = ready(Server::start_with(&at(folder.path(), 2).with("save", "100000 100000")));
    let mut client = server.client(Protocol::Resp2);
    client.expect("SET a 1", ok());
    client.expect("SAVE", ok());
    let before = std::fs::read(folder.path().join("dump.rdb")).expect("it was saved");
    client.expect("SET a 2", ok());
    for fault in ["save-write ENOSPC 1", "save-sync EIO 1"] {
        client.expect(format!("DEBUG DISK-FAULT {fault}").as_str(), ok());
        client.expect("SAVE", err("ERR"));
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "err");
        client.expect_error("SET a 3", "MISCONF Redis is configured to save RDB snapshots");
        assert_eq!(std::fs::read(folder.path().join("dump.rdb")).expect("it stays"), before);
        assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 1);
    }
    client.expect("SAVE", ok());
    client.expect("SET a 3", ok());
}
