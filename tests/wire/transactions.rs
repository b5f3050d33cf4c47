//! Commands and transactions over several shards: what must hold whatever else happens meanwhile.

use crate::support::*;

#[test]
fn a_pair_without_its_value_is_an_error_wherever_the_keys_live() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b", "d"]);
        let [a, b, d] = [&keys[0][..], &keys[1][..], &keys[2][..]];
        c.expect(&["MSET", a, "1", b], err("ERR wrong number of arguments for 'mset' command"));
        c.expect(&["MSET", a, "1", b, "2", d], err("ERR wrong number of arguments for 'mset' command"));
        c.expect(&["MSETNX", a, "1", b], err("ERR wrong number of arguments for 'msetnx' command"));
        c.expect(&["EXISTS", a, b, d], int(0));
        c.expect(&["MULTI"], ok());
        c.expect(&["MSET", a, "1", b], simple("QUEUED"));
        c.expect(&["SET", d, "1"], simple("QUEUED"));
        let error = err("ERR wrong number of arguments for 'mset' command");
        c.expect(&["EXEC"], array([error, ok()]));
    });
}

#[test]
fn a_key_may_expire_while_it_is_renamed_or_copied() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["from", "to"]);
        let [from, to] = [&keys[0][..], &keys[1][..]];
        for round in 0..300 {
            let command = ["RENAME", "RENAMENX", "COPY"][round % 3];
            let set = vec!["SET", from, "v", "PX", "1"];
            let replies = c.pipeline(&[set, vec![command, from, to], vec!["DEL", to]]);
            assert!(matches!(&replies[..], [_, _, Value::Int(_)]), "{replies:?}");
        }
    });
}

#[test]
fn transfers_under_watch_lose_nothing() {
    each_placement(|s| {
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        s.client().expect(&["MSET", a, "1000", b, "1000"], ok());
        let (server, protocol) = (s.server(), s.protocol());
        let money = |c: &mut Client| -> Vec<i64> {
            let both = c.call(&["MGET", a, b]).elements();
            both.iter().map(|one| one.text().parse().expect("a number")).collect()
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut c = server.client(protocol);
                    for amount in 1..150 {
                        c.expect(&["WATCH", a, b], ok());
                        let seen = money(&mut c);
                        let (less, more) = ((seen[0] - amount).to_string(), (seen[1] + amount).to_string());
                        c.pipeline(&[
                            vec!["MULTI"],
                            vec!["SET", a, &less],
                            vec!["SET", b, &more],
                            vec!["EXEC"],
                        ]);
                        assert_eq!(money(&mut c).iter().sum::<i64>(), 2000);
                    }
                });
            }
        });
    });
}

#[test]
fn a_client_that_leaves_right_after_watch_is_forgotten() {
    each_placement(|s| {
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        for _ in 0..50 {
            let mut gone = s.client();
            gone.send(&["WATCH", a, b]);
        }
        let mut c = s.client();
        c.expect(&["WATCH", a], ok());
        c.expect(&["MULTI"], ok());
        c.expect(&["SET", b, "1"], simple("QUEUED"));
        c.expect(&["EXEC"], array([ok()]));
    });
}

#[test]
fn scripts_that_hold_all_shards_and_transactions_before_them_do_not_wait_for_each_other() {
    each_placement(|s| {
        let keys = s.keys(["a", "b", "c"]);
        let (server, protocol) = (s.server(), s.protocol());
        let script =
            format!("for _, key in ipairs {{'{}'}} do redis.call('SET', key, 1) end", keys.join("', '"));
        std::thread::scope(|scope| {
            for client in 0..6 {
                let (keys, script) = (&keys, &script);
                scope.spawn(move || {
                    let mut c = server.client(protocol);
                    for _ in 0..30 {
                        match client % 3 {
                            0 => c.expect(&["EVAL", script, "0"], nil()),
                            1 => c.expect(&["MSET", &keys[0], "1", &keys[1], "2", &keys[2], "3"], ok()),
                            _ => drop(c.call(&["RENAME", &keys[1], &keys[2]])),
                        }
                    }
                });
            }
        });
    });
}
