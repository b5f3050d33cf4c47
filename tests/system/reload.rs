//! DEBUG RELOAD and DEBUG LOADAOF while others write, and with files that cannot be loaded.

use super::aof_load::{start_logging, stop};
use super::persistence::*;
use super::support::*;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const WRITERS: usize = 4;
const ROUNDS: usize = 6;

/// Raises counters of one shard, of several, in a block and in a script until told to stop; all of them are equal in the
/// end. How often.
fn raise(address: SocketAddr, writer: usize, stop: &AtomicBool, steps: &AtomicU64) -> u64 {
    let mut client = Client::connect(address, Protocol::Resp2);
    let key = |name: &str| format!("{name}:{writer}");
    let script = "redis.call('incr', KEYS[1]) return redis.call('incr', KEYS[2])";
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        count += 1;
        client.expect(&args!["INCR", key("plain")], int(count));
        client.expect(&args!["MSET", key("a"), count, key("b"), count, key("c"), count], ok());
        client.send_raw(format!("MULTI\r\nINCR {}\r\nINCR {}\r\nEXEC\r\n", key("x"), key("y")));
        client.expect_next(ok());
        client.expect_next(simple("QUEUED"));
        client.expect_next(simple("QUEUED"));
        client.expect_next(array([int(count), int(count)]));
        client.expect(&args!["EVAL", script, 2, key("s"), key("t")], int(count));
        steps.fetch_add(1, Ordering::Relaxed);
    }
    count as u64
}

fn check(client: &mut Client, counts: &[u64]) {
    for (writer, count) in counts.iter().enumerate() {
        for name in ["plain", "a", "b", "c", "x", "y", "s", "t"] {
            client.expect(&args!["GET", format!("{name}:{writer}")], bulk(count.to_string()));
        }
    }
}

/// Reloads again and again under writes, which wait and are all there in the end.
fn reload_under_writes(server: &Server, command: &str) -> Vec<u64> {
    let (stop, steps) = (AtomicBool::new(false), AtomicU64::new(0));
    let address = server.address();
    std::thread::scope(|scope| {
        let (stop, steps) = (&stop, &steps);
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || raise(address, writer, stop, steps))).collect();
        let mut client = server.client(Protocol::Resp2);
        for _ in 0..ROUNDS {
            let before = steps.load(Ordering::Relaxed);
            wait_until("they write", PATIENCE, || steps.load(Ordering::Relaxed) > before + 10);
            client.expect(command, ok());
        }
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().map(|writer| writer.join().expect("every reply was right")).collect()
    })
}

#[test]
fn a_reload_under_writes_loses_none_and_refuses_none() {
    for threads in [1, 3] {
        let server = Server::start(threads);
        let mut client = server.client(Protocol::Resp2);
        client.expect("DEBUG POPULATE 3000 k 50", ok());
        let counts = reload_under_writes(&server, "DEBUG RELOAD");
        check(&mut client, &counts);
        client.expect("EXISTS k:0 k:2999", int(2));
    }
}

#[test]
fn a_reload_under_writes_leaves_the_log_right() {
    for command in ["DEBUG RELOAD", "DEBUG LOADAOF"] {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let server = start_logging(folder.path(), 3);
        let counts = reload_under_writes(&server, command);
        let mut client = server.client(Protocol::Resp2);
        check(&mut client, &counts);
        client.expect("SET after 1", ok());
        let before = digest(&mut client);
        stop(server);
        let server = start_logging(folder.path(), 2);
        assert_eq!(digest(&mut server.client(Protocol::Resp2)), before);
    }
}

#[test]
fn whoever_waits_for_a_key_or_in_a_block_waits_on_through_a_reload() {
    let server = Server::start(3);
    let mut client = server.client(Protocol::Resp2);
    let (mut waits, mut block) = (server.client(Protocol::Resp2), server.client(Protocol::Resp2));
    waits.send("BLPOP list1 list2 0");
    block.expect("MULTI", ok());
    block.expect("INCR n", simple("QUEUED"));
    wait_until("it waits", PATIENCE, || client.call("INFO clients").text().contains("blocked_clients:1"));
    client.expect("SET k v", ok());
    client.expect("DEBUG RELOAD", ok());
    client.expect("RPUSH list2 x", int(1));
    waits.expect_next(array([bulk("list2"), bulk("x")]));
    block.expect("EXEC", array([int(1)]));
}

#[test]
fn two_reloads_come_one_after_the_other() {
    let server = Server::start(3);
    let mut clients: Vec<Client> = (0..4).map(|_| server.client(Protocol::Resp2)).collect();
    clients[0].expect("DEBUG POPULATE 2000 k 50", ok());
    for _ in 0..3 {
        clients.iter_mut().for_each(|client| client.send("DEBUG RELOAD"));
        clients.iter_mut().for_each(|client| client.expect_next(ok()));
    }
    // One whose client is gone ends as well.
    let mut gone = server.client(Protocol::Resp2);
    gone.send("DEBUG RELOAD");
    drop(gone);
    clients[1].expect("DEBUG RELOAD", ok());
    clients[2].expect("DBSIZE", int(2000));
}

#[test]
fn a_snapshot_that_cannot_be_read_leaves_what_there_was() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let server = start(folder.path(), 3);
    let mut client = server.client(Protocol::Resp2);
    fill(&mut client, true);
    client.expect("SAVE", ok());
    client.expect("SET since 1", ok());
    let before = digest(&mut client);
    let path = folder.path().join("dump.rdb");
    let whole = std::fs::read(&path).expect("it was saved");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x10;
    for bad in [&b"REDIS0011"[..], b"nonsense", &whole[..whole.len() * 3 / 4], &flipped] {
        std::fs::write(&path, bad).expect("it is ours");
        client.expect_error("DEBUG RELOAD NOSAVE", "ERR Error trying to load the RDB dump");
        assert_eq!(digest(&mut client), before);
        assert_eq!(std::fs::read(&path).expect("it is there"), bad);
    }
    std::fs::remove_file(&path).expect("it is there");
    client.expect_error("DEBUG RELOAD NOSAVE", "ERR Error trying to load the RDB dump");
    client.expect("SET since 2", ok());
    client.expect("DEBUG RELOAD", ok());
    client.expect("GET since", bulk("2"));
}

#[test]
fn a_log_that_cannot_be_loaded_ends_the_process_and_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut server = start_logging(folder.path(), 3);
    let mut client = server.client(Protocol::Resp2);
    client.expect("MSET a 1 b 2 c 3", ok());
    let path = folder.path().join("appendonlydir/appendonly.aof.1.incr.aof");
    let good = std::fs::read(&path).expect("it is there");
    let bad = [&good[..], b"*1\r\n:no\r\n"].concat();
    std::fs::write(&path, &bad).expect("it is ours");
    client.send("DEBUG LOADAOF");
    client.expect_closed();
    assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(1));
    let log = server.log();
    assert!(log.contains("Bad file format") && log.contains("nothing was changed on disk"), "{log}");
    assert_eq!(std::fs::read(&path).expect("it is there"), bad);
    std::fs::write(&path, &good).expect("it is ours");
    start_logging(folder.path(), 2).client(Protocol::Resp2).expect("DBSIZE", int(3));
}
