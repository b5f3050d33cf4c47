//! Transactions: MULTI, EXEC, DISCARD, WATCH, with keys on one shard and on several.

use crate::support::*;
use std::time::Duration;

const QUEUED: &str = "QUEUED";
const ABORTED: &str = "EXECABORT Transaction discarded because of previous errors.";

/// Queues the commands on `c` and returns what EXEC answers.
#[track_caller]
fn exec<A: Arguments>(c: &mut Client, commands: impl IntoIterator<Item = A>) -> Value {
    c.expect("MULTI", ok());
    for command in commands {
        c.expect(&command.arguments(), simple(QUEUED));
    }
    c.call("EXEC")
}

/// Waits until the server has forgotten all clients but one.
fn wait_until_alone(c: &mut Client) {
    wait_until("the other clients have left", Duration::from_secs(60), || {
        c.call("CLIENT LIST").text().lines().count() == 1
    });
}

#[test]
fn exec_that_is_refused_ends_its_block_and_says_so_even_without_one() {
    each_setup(|s| {
        let mut c = s.client();
        let refused =
            err("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command");
        c.expect("EXEC x", refused.clone());
        c.expect("WATCH k", ok());
        c.expect("MULTI", ok());
        c.expect("EXEC x", refused);
        c.expect("EXEC", err("ERR EXEC without MULTI"));
        s.client().expect("SET k v", ok());
        c.expect("MULTI", ok());
        c.expect("PING", simple("QUEUED"));
        c.expect("EXEC", array([simple("PONG")]));
    });
}

#[test]
fn a_block_runs_in_order() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b, d] = s.keys(["a", "b", "d"]);
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "1"], simple(QUEUED));
        c.expect(&["SET", &b, "2"], simple(QUEUED));
        c.expect(&["INCR", &a], simple(QUEUED));
        c.expect(&["GET", &d], simple(QUEUED));
        c.expect(&["MGET", &a, &b, &d], simple(QUEUED));
        c.expect(&["DEL", &a, &b, &d], simple(QUEUED));
        s.client().expect(&["EXISTS", &a, &b], 0);
        c.expect("EXEC", array([ok(), ok(), int(2), nil(), array([bulk("2"), bulk("2"), nil()]), int(2)]));
        c.expect("EXEC", err("ERR EXEC without MULTI"));
        c.expect("MULTI", ok());
        c.expect("EXEC", array(Vec::<Value>::new()));
    });
}

#[test]
fn a_failing_command_does_not_stop_the_others() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        let not_int = err("ERR value is not an integer or out of range");
        let replies = exec(
            &mut c,
            [
                args!["SET", a, "x"].as_slice(),
                args!["INCR", a].as_slice(),
                args!["SET", b, "y", "EX", "x"].as_slice(),
                args!["MSET", a, "1", b].as_slice(),
                args!["RENAME", "none", b].as_slice(),
                args!["SET", b, "y"].as_slice(),
            ],
        );
        assert_eq!(
            replies,
            array([
                ok(),
                not_int.clone(),
                not_int,
                err("ERR wrong number of arguments for 'mset' command"),
                err("ERR no such key"),
                ok(),
            ])
        );
        c.expect(&["MGET", &a, &b], ["x", "y"]);
    });
}

#[test]
fn a_command_that_cannot_be_queued_aborts_the_block() {
    each_placement(|s| {
        let mut c = s.client();
        let a = s.key("a");
        for (wrong, reply) in [
            ("NOSUCH x", "ERR unknown command 'NOSUCH', with args beginning with: 'x' "),
            ("GET", "ERR wrong number of arguments for 'get' command"),
            ("OBJECT NOSUCH x", "ERR unknown subcommand 'NOSUCH'. Try OBJECT HELP."),
            ("SHUTDOWN", "ERR Command not allowed inside a transaction"),
            ("MONITOR", ""),
        ] {
            c.expect("MULTI", ok());
            c.expect(&["SET", &a, "x"], simple(QUEUED));
            if reply.is_empty() {
                // Redis 7.0 queues it and fails later; to be queued is not promised.
                c.expect("DISCARD", ok());
                continue;
            }
            c.expect(wrong, err(reply));
            c.expect(&["SET", &a, "y"], simple(QUEUED));
            c.expect("EXEC", err(ABORTED));
            c.expect(&["EXISTS", &a], 0);
        }
        c.expect("MULTI", ok());
        c.expect("MULTI", err("ERR MULTI calls can not be nested"));
        c.expect(&["WATCH", &a], err("ERR WATCH inside MULTI is not allowed"));
        c.expect(&["SET", &a, "x"], simple(QUEUED));
        c.expect("EXEC", array([ok()]));
        c.expect("DISCARD", err("ERR DISCARD without MULTI"));
        c.expect("MULTI x", err("ERR wrong number of arguments for 'multi' command"));
    });
}

#[test]
fn discard_drops_the_block_and_the_watches() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        c.expect(&["WATCH", &a, &b], ok());
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "1"], simple(QUEUED));
        c.expect("DISCARD", ok());
        c.expect(&["EXISTS", &a], 0);
        s.client().expect(&["MSET", &a, "1", &b, "2"], ok());
        assert_eq!(exec(&mut c, ["PING"]), array([simple("PONG")]));
    });
}

#[test]
fn watched_keys() {
    each_placement(|s| {
        let mut c = s.client();
        let mut other = s.client();
        let [a, b, d] = s.keys(["a", "b", "d"]);
        let failed = nil_array().as_seen_in(s.protocol());
        let done = array([simple("PONG")]);
        // What changes a watched key, and what does not.
        for (line, changes) in [
            (args!["SET", a, "1"].to_vec(), true),
            (args!["SET", d, "1"].to_vec(), false),
            (args!["GET", a].to_vec(), false),
            (args!["TOUCH", a, b].to_vec(), false),
            (args!["SET", a, "1", "NX"].to_vec(), false),
            (args!["APPEND", b, "1"].to_vec(), true),
            (args!["EXPIRE", a, "100"].to_vec(), true),
            (args!["EXPIRE", a, "50", "GT"].to_vec(), false),
            (args!["PERSIST", a].to_vec(), true),
            (args!["PERSIST", a].to_vec(), false),
            (args!["RENAME", a, d].to_vec(), true),
            (args!["DEL", a].to_vec(), false),
            (args!["COPY", d, a].to_vec(), true),
            (args!["RENAMENX", d, a].to_vec(), false),
            (args!["MSET", d, "1", b, "2"].to_vec(), true),
            (args!["MSETNX", d, "1", b, "2"].to_vec(), false),
            (args!["DEL", a, b, d].to_vec(), true),
            (args!["FLUSHALL"].to_vec(), false),
            (args!["SET", b, "1"].to_vec(), true),
            (args!["FLUSHALL"].to_vec(), true),
            (args!["SET", b, "1"].to_vec(), true),
            (args!["FLUSHDB", "ASYNC"].to_vec(), true),
            (args!["SWAPDB", "0", "1"].to_vec(), false),
            (args!["SET", b, "1"].to_vec(), true),
            (args!["SWAPDB", "0", "1"].to_vec(), true),
            (args!["SWAPDB", "0", "1"].to_vec(), true),
            (args!["MOVE", b, "3"].to_vec(), true),
        ] {
            c.expect(&["WATCH", &a], ok());
            c.expect(&["WATCH", &b, &b], ok());
            other.call(&line);
            let expected = if changes { &failed } else { &done };
            assert_eq!(exec(&mut c, ["PING"]), *expected, "after {}", show(&line));
        }
        other.expect("FLUSHALL", ok());
        // EXEC ends the watch, UNWATCH does, and one's own changes count.
        c.expect(&["WATCH", &a], ok());
        assert_eq!(exec(&mut c, ["PING"]), done);
        other.expect(&["SET", &a, "x"], ok());
        assert_eq!(exec(&mut c, ["PING"]), done);
        c.expect(&["WATCH", &a, &b], ok());
        other.expect(&["SET", &a, "y"], ok());
        c.expect("UNWATCH", ok());
        assert_eq!(exec(&mut c, ["PING"]), done);
        c.expect(&["WATCH", &a], ok());
        c.expect(&["SET", &a, "z"], ok());
        assert_eq!(exec(&mut c, ["PING"]), failed);
        c.expect(&["WATCH", &a], ok());
        let wrong = exec(&mut c, [args!["INCR", a].as_slice()]);
        assert_eq!(wrong, array([err("ERR value is not an integer or out of range")]));
    });
}

#[test]
fn watch_belongs_to_the_database_of_its_time() {
    each_placement(|s| {
        let mut c = s.client();
        let mut other = s.client();
        let a = s.key("a");
        c.expect("SELECT 5", ok());
        c.expect(&["SET", &a, "1"], ok());
        c.expect(&["WATCH", &a], ok());
        c.expect("SELECT 1", ok());
        c.expect(&["SET", &a, "2"], ok());
        assert_eq!(exec(&mut c, [args!["GET", a].as_slice()]), array([bulk("2")]));
        c.expect(&["WATCH", &a], ok());
        other.expect("SELECT 1", ok());
        other.expect(&["SET", &a, "3"], ok());
        c.expect("SELECT 0", ok());
        assert_eq!(exec(&mut c, ["PING"]), nil_array().as_seen_in(s.protocol()));
    });
}

#[test]
fn watch_and_expiry() {
    each_placement(|s| {
        let mut c = s.client();
        let mut other = s.client();
        let [a, b] = s.keys(["a", "b"]);
        let done = array([simple("PONG")]);
        c.expect("DEBUG SET-ACTIVE-EXPIRE 0", ok());
        // A key that expires while it is watched fails the EXEC, be it seen or not.
        c.expect(&["SET", &a, "x", "PX", "1"], ok());
        c.expect(&["SET", &b, "x", "PX", "30"], ok());
        c.expect(&["WATCH", &b], ok());
        wait_until("the key has expired", Duration::from_secs(60), || other.call(&["PTTL", &b]) == int(-2));
        assert_eq!(exec(&mut c, ["PING"]), nil_array().as_seen_in(s.protocol()));
        // One that had expired before is nothing, and stays nothing.
        c.expect(&["WATCH", &a], ok());
        assert_eq!(exec(&mut c, ["PING"]), done);
        // A stale key that takes the place of none is nothing either.
        other.expect("SELECT 1", ok());
        other.expect(&["SET", &a, "x", "PX", "1"], ok());
        other.expect(&["SET", &b, "x", "PX", "1"], ok());
        wait_until("a millisecond has gone", Duration::from_secs(60), || other.call(&["GET", &b]) == nil());
        c.expect(&["WATCH", &a, &b], ok());
        c.expect("SWAPDB 0 1", ok());
        assert_eq!(exec(&mut c, ["PING"]), done);
        c.expect("DEBUG SET-ACTIVE-EXPIRE 1", ok());
    });
}

#[test]
fn commands_of_every_kind_in_a_block() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        c.expect("SELECT 1", ok());
        let replies = exec(
            &mut c,
            [
                args!["SET", a, "1"].as_slice(),
                args!["PING"].as_slice(),
                args!["CONFIG", "GET", "maxclients"].as_slice(),
                args!["MSET", a, "2", b, "3"].as_slice(),
                args!["DBSIZE"].as_slice(),
                args!["SELECT", "2"].as_slice(),
                args!["SET", b, "x"].as_slice(),
                args!["DBSIZE"].as_slice(),
                args!["MOVE", b, "3"].as_slice(),
                args!["KEYS", "*"].as_slice(),
                args!["SELECT", "99"].as_slice(),
                args!["SWAPDB", "1", "2"].as_slice(),
                args!["MGET", a, b].as_slice(),
                args!["FLUSHALL"].as_slice(),
                args!["DBSIZE"].as_slice(),
                args!["ECHO", "end"].as_slice(),
                args!["UNWATCH"].as_slice(),
                args!["CLIENT", "SETNAME", "me"].as_slice(),
                args!["CLIENT", "GETNAME"].as_slice(),
                args!["RANDOMKEY"].as_slice(),
                args!["COMMAND", "GETKEYS", "GET", "x"].as_slice(),
            ],
        );
        let expected = array([
            ok(),
            simple("PONG"),
            map([("maxclients", "10000")]),
            ok(),
            int(2),
            ok(),
            ok(),
            int(1),
            int(1),
            array(Vec::<Value>::new()),
            err("ERR DB index is out of range"),
            ok(),
            array(["2", "3"]),
            ok(),
            int(0),
            bulk("end"),
            ok(),
            ok(),
            bulk("me"),
            nil(),
            array(["x"]),
        ]);
        assert_eq!(replies, expected.as_seen_in(s.protocol()));
        // The block's last SELECT holds.
        c.expect(&["SET", &a, "1"], ok());
        c.expect("DBSIZE", 1);
        c.expect("SELECT 2", ok());
        c.expect(&["GET", &a], "1");
    });
}

#[test]
fn hello_in_a_block_changes_the_replies_that_follow() {
    each_placement(|s| {
        if s.is_resp3() {
            return;
        }
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        c.expect("MULTI", ok());
        for line in [args!["GET", a].as_slice(), args!["HELLO", "3"].as_slice()] {
            c.expect(line, simple(QUEUED));
        }
        for line in [args!["GET", a].as_slice(), args!["MGET", a, b].as_slice(), args!["GET", b].as_slice()] {
            c.expect(line, simple(QUEUED));
        }
        c.send("EXEC");
        assert_eq!(c.recv_raw(9), b"*5\r\n$-1\r\n");
        assert!(matches!(c.recv(), Value::Map(_)));
        assert_eq!(c.recv_raw(16), b"_\r\n*2\r\n_\r\n_\r\n_\r\n");
    });
}

#[test]
fn nobody_sees_half_of_a_block() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        s.client().expect(&["MSET", &a, "0", &b, "0"], ok());
        let (server, protocol) = (s.server(), s.protocol());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut c = server.client(protocol);
                    for _ in 0..200 {
                        let replies =
                            exec(&mut c, [args!["INCR", a].as_slice(), args!["INCR", b].as_slice()])
                                .elements();
                        assert_eq!(replies[0], replies[1]);
                    }
                });
            }
            let mut c = server.client(protocol);
            for _ in 0..400 {
                let seen = c.call(&["MGET", &a, &b]).elements();
                assert_eq!(seen[0], seen[1]);
            }
        });
        s.client().expect(&["MGET", &a, &b], ["400", "400"]);
    });
}

#[test]
fn watch_makes_increments_safe() {
    each_placement(|s| {
        let [a, b] = s.keys(["a", "b"]);
        s.client().expect(&["MSET", &a, "0", &b, "0"], ok());
        let (server, protocol) = (s.server(), s.protocol());
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut c = server.client(protocol);
                    let mut done = 0;
                    while done < 50 {
                        c.expect(&["WATCH", &a], ok());
                        let next = c.call(&["GET", &a]).text().parse::<i64>().expect("a counter") + 1;
                        let reply = exec(
                            &mut c,
                            [args!["SET", a, next].as_slice(), args!["SET", b, next].as_slice()],
                        );
                        done += i64::from(matches!(reply, Value::Array(_)));
                    }
                });
            }
        });
        s.client().expect(&["MGET", &a, &b], ["150", "150"]);
    });
}

#[test]
fn who_leaves_within_multi_leaves_nothing() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        for how in 0..3 {
            let mut leaving = s.client();
            leaving.expect(&["WATCH", &a, &b], ok());
            leaving.expect("MULTI", ok());
            leaving.expect(&["MSET", &a, "1", &b, "2"], simple(QUEUED));
            match how {
                0 => drop(leaving),
                1 => leaving.half_close(),
                _ => leaving.send_raw("*1\r\n$4\r\nEX"),
            }
        }
        wait_until_alone(&mut c);
        c.expect("DBSIZE", 0);
        assert_eq!(
            exec(&mut c, [args!["SET", a, "x"].as_slice(), args!["SET", b, "y"].as_slice()]),
            array([ok(), ok()])
        );
        // EXEC itself needs nobody to read its reply.
        let mut leaving = s.client();
        leaving.expect("MULTI", ok());
        leaving.expect(&["MSET", &a, "1", &b, "2"], simple(QUEUED));
        leaving.send("EXEC");
        drop(leaving);
        wait_until("the block has run", Duration::from_secs(60), || {
            c.call(&["MGET", &a, &b]) == array(["1", "2"])
        });
    });
}

#[test]
fn quit_and_reset_within_multi() {
    each_placement(|s| {
        let a = s.key("a");
        let mut c = s.client();
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "1"], simple(QUEUED));
        c.expect("QUIT", ok());
        c.expect_closed();
        s.client().expect(&["EXISTS", &a], 0);
    });
}

#[test]
fn a_pipelined_transaction() {
    each_placement(|s| {
        let [a, b, d] = s.keys(["a", "b", "d"]);
        let mut c = s.client();
        for round in 0..50_i64 {
            let replies = c.pipeline([
                args!["SET", d, round].as_slice(),
                args!["WATCH", d].as_slice(),
                args!["MULTI"].as_slice(),
                args!["INCR", a].as_slice(),
                args!["INCR", b].as_slice(),
                args!["EXEC"].as_slice(),
                args!["GET", b].as_slice(),
                args!["WATCH", d].as_slice(),
                args!["INCR", d].as_slice(),
                args!["MULTI"].as_slice(),
                args!["INCR", a].as_slice(),
                args!["EXEC"].as_slice(),
                args!["GET", a].as_slice(),
            ]);
            let queued = || simple(QUEUED);
            let count = int(round + 1);
            let shown = bulk((round + 1).to_string());
            assert_eq!(
                array(replies),
                array([
                    ok(),
                    ok(),
                    ok(),
                    queued(),
                    queued(),
                    array([count.clone(), count.clone()]),
                    shown.clone(),
                    ok(),
                    count,
                    ok(),
                    queued(),
                    nil_array(),
                    shown,
                ])
                .as_seen_in(s.protocol())
            );
        }
    });
}

#[test]
fn a_block_needs_what_its_writes_need() {
    each_placement(|s| {
        let a = s.key("a");
        let mut c = s.client();
        // Enough on every shard that all know of it.
        for key in s.keys_apart(s.shards()) {
            c.expect(&args!["SET", key, vec![b'x'; 1 << 20]], ok());
        }
        c.expect(&["SET", &a, "x"], ok());
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "y"], simple(QUEUED));
        s.config("min-replicas-to-write", "1");
        c.expect(
            "EXEC",
            err("EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to write."),
        );
        c.expect("EXEC", err("ERR EXEC without MULTI"));
        c.expect(&["SET", &a, "y"], err("NOREPLICAS Not enough good replicas to write."));
        assert_eq!(exec(&mut c, [args!["GET", a].as_slice()]), array([bulk("x")]));
        s.config("min-replicas-to-write", "0");
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "y"], simple(QUEUED));
        s.config("maxmemory", "1");
        c.expect(
            "EXEC",
            err("EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'."),
        );
        c.expect("MULTI", ok());
        c.expect(&["SET", &a, "y"], err("OOM command not allowed when used memory > 'maxmemory'."));
        c.expect("EXEC", err(ABORTED));
        c.expect("MULTI", ok());
        c.expect(&["GET", &a], err("OOM command not allowed when used memory > 'maxmemory'."));
        c.expect("DISCARD", ok());
        c.expect(&["GET", &a], "x");
    });
}
