//! SORT and SORT_RO, with the keys that patterns name on one shard and on several.

use crate::support::*;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NO_DOUBLE: &str = "ERR One or more scores can't be converted into double";

/// A list and, for its elements, weights and hashes, which with several shards live all over them.
fn fill(c: &mut Client, list: &str) {
    c.expect(&["RPUSH", list, "3", "1", "2", "10"], 4);
    for (element, weight) in [("1", "5"), ("2", "2"), ("3", "1")] {
        c.expect(&["SET", &format!("weight_{element}"), weight], ok());
        c.expect(&["HSET", &format!("hash_{element}"), "f", weight, "g", "x"], 2);
    }
}

#[test]
fn orders_and_limits() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["list", "dest"]);
        let list = &keys[0][..];
        fill(&mut c, list);
        for (options, wanted) in [
            ("", "1 2 3 10"),
            ("DESC", "10 3 2 1"),
            ("ALPHA", "1 10 2 3"),
            ("LIMIT 1 2", "2 3"),
            ("LIMIT 9 2", ""),
            ("BY weight_*", "10 3 2 1"),
            ("BY weight_* DESC", "1 2 3 10"),
            ("BY weight_* DESC LIMIT 1 2", "2 3"),
            ("BY weight_* ALPHA", "10 3 2 1"),
            ("BY hash_*->f", "10 3 2 1"),
            ("BY hash_*->f ALPHA DESC", "1 2 3 10"),
            ("BY hash_*->", "1 10 2 3"),
            ("BY nosort", "3 1 2 10"),
            ("BY nosort DESC LIMIT 1 2", "2 1"),
            ("GET #", "1 2 3 10"),
        ] {
            let wanted: Vec<&str> = wanted.split_whitespace().collect();
            for command in ["SORT", "SORT_RO"] {
                c.expect(&format!("{command} {list} {options}")[..], array(wanted.clone()));
            }
        }
        c.expect(
            &format!(
                "SORT {list} BY weight_* GET # GET weight_* GET hash_*->g GET hash_*->no GET none_* GET const"
            )[..],
            array([
                bulk("10"),
                nil(),
                nil(),
                nil(),
                nil(),
                nil(),
                bulk("3"),
                bulk("1"),
                bulk("x"),
                nil(),
                nil(),
                nil(),
                bulk("2"),
                bulk("2"),
                bulk("x"),
                nil(),
                nil(),
                nil(),
                bulk("1"),
                bulk("5"),
                bulk("x"),
                nil(),
                nil(),
                nil(),
            ]),
        );
        c.expect(&format!("SORT {list} LIMIT 1 2 GET weight_*")[..], array(["2", "1"]));
        c.expect("SORT missing BY weight_* GET weight_*", array::<&str>([]));
    });
}

#[test]
fn results_are_stored() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["list", "dest"]);
        let [list, dest] = [&keys[0][..], &keys[1][..]];
        fill(&mut c, list);
        c.expect(&["SORT", list, "STORE", dest], 4);
        c.expect(&["LRANGE", dest, "0", "-1"], array(["1", "2", "3", "10"]));
        c.expect(&["SET", dest, "something else"], ok());
        c.expect(&["SORT", list, "BY", "weight_*", "GET", "weight_*", "GET", "#", "STORE", dest], 8);
        c.expect(&["LRANGE", dest, "0", "-1"], array(["", "10", "1", "3", "2", "2", "5", "1"]));
        c.expect(&["SORT", list, "LIMIT", "5", "5", "STORE", dest], 0);
        c.expect(&["EXISTS", dest], 0);
        c.expect(&["SORT", list, "STORE", "first", "GET", "#", "STORE", dest], 4);
        c.expect("EXISTS first", 0);
        c.expect(&["SORT", list, "DESC", "STORE", list], 4);
        c.expect(&["LRANGE", list, "0", "-1"], array(["10", "3", "2", "1"]));
        c.expect(&["SORT", "missing", "STORE", list], 0);
        c.expect(&["EXISTS", list], 0);
        c.expect(&["SORT_RO", dest, "STORE", list], err("ERR syntax error"));
        let found = c.call(&[
            "COMMAND", "GETKEYS", "SORT", "abc", "GET", "store", "STORE", "x", "LIMIT", "2", "3", "store",
            "y",
        ]);
        assert_eq!(found, array(["abc", "y"]));
    });
}

#[test]
fn every_kind_of_collection() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["key", "dest"]);
        let [key, dest] = [&keys[0][..], &keys[1][..]];
        c.expect(&["SADD", key, "3", "1", "20"], 3);
        c.expect(&["SORT", key, "DESC"], array(["20", "3", "1"]));
        c.expect(&["DEL", key], 1);
        c.expect(&["SADD", key, "c", "a", "b"], 3);
        c.expect(&["SORT", key], err(NO_DOUBLE));
        c.expect(&["SORT", key, "ALPHA"], array(["a", "b", "c"]));
        c.expect(&["SORT", key, "BY", "nosort", "STORE", dest], 3);
        c.expect(&["LRANGE", dest, "0", "-1"], array(["a", "b", "c"]));
        c.expect(&["DEL", key], 1);
        c.expect(&["ZADD", key, "1", "d", "2", "c", "3", "b", "3", "bb"], 4);
        c.expect(&["SORT", key, "ALPHA"], array(["b", "bb", "c", "d"]));
        c.expect(&["SORT", key, "BY", "nosort"], array(["d", "c", "b", "bb"]));
        c.expect(&["SORT", key, "BY", "nosort", "DESC"], array(["bb", "b", "c", "d"]));
        c.expect(&["SORT", key, "BY", "nosort", "DESC", "LIMIT", "1", "2"], array(["b", "c"]));
        c.expect(&["SORT", key, "BY", "nosort", "LIMIT", "1", "2", "STORE", dest], 2);
        c.expect(&["LRANGE", dest, "0", "-1"], array(["c", "b"]));
        c.expect(&["DEL", key, dest], 2);
        for set_up in [&["SET", key, "x"][..], &["HSET", dest, "f", "v"]] {
            c.call(set_up);
            c.expect(&["SORT", set_up[1]], err(WRONG_TYPE));
            c.expect(&["SORT", set_up[1], "BY", "w_*", "GET", "w_*", "STORE", "other"], err(WRONG_TYPE));
        }
    });
}

#[test]
fn bad_weights_change_nothing() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["list", "dest"]);
        let [list, dest] = [&keys[0][..], &keys[1][..]];
        fill(&mut c, list);
        c.expect(&["SET", dest, "here"], ok());
        c.expect("SET weight_2 word", ok());
        c.expect(&["SORT", list, "BY", "weight_*", "STORE", dest], err(NO_DOUBLE));
        c.expect(&["GET", dest], "here");
        c.expect(&["SORT", list, "BY", "weight_*", "ALPHA"], array(["10", "3", "1", "2"]));
    });
}

#[test]
fn within_blocks() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["list", "dest"]);
        let [list, dest] = [&keys[0][..], &keys[1][..]];
        fill(&mut c, list);
        c.expect("MULTI", ok());
        c.expect("SET weight_10 9", simple("QUEUED"));
        c.expect(&["SORT", list, "BY", "weight_*", "GET", "#", "STORE", dest], simple("QUEUED"));
        c.expect("SET weight_10 0", simple("QUEUED"));
        c.expect(&["SORT", list, "BY", "weight_*"], simple("QUEUED"));
        c.expect(&["LRANGE", dest, "0", "-1"], simple("QUEUED"));
        let first = array(["3", "2", "1", "10"]);
        let second = array(["10", "3", "2", "1"]);
        c.expect("EXEC", array([ok(), int(4), ok(), second, first]));
    });
}

#[test]
fn sorting_sees_all_of_a_transaction_or_nothing() {
    each_placement(|s| {
        let keys = s.keys(["list", "dest"]);
        let list = &keys[0][..];
        s.client().expect(&["RPUSH", list, "1", "2", "3"], 3);
        s.client().expect("MSET weight_1 0 weight_2 0 weight_3 0", ok());
        let (server, protocol) = (s.server(), s.protocol());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut c = server.client(protocol);
                for n in 0..300 {
                    c.expect(&format!("MSET weight_1 {n} weight_2 {n} weight_3 {n}")[..], ok());
                }
            });
            let mut c = server.client(protocol);
            for _ in 0..300 {
                let weights = c.call(&["SORT", list, "GET", "weight_*"]).elements();
                assert!(
                    weights.len() == 3 && weights.iter().all(|weight| *weight == weights[0]),
                    "{weights:?}"
                );
            }
        });
    });
}
