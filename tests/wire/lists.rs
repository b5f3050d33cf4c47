//! Lists: what each command answers, for each way a list is held, with its keys on one shard and on several.

use crate::support::*;

const WRONG_INT: &str = "ERR value is not an integer or out of range";
const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
const OUT_OF_RANGE: &str = "ERR index out of range";
const SYNTAX: &str = "ERR syntax error";

/// Runs a case with elements of each size and with nodes of each size: in the entry of the key, in one node, in many,
/// and with elements that no listpack takes. `case` makes its elements by the function it gets.
#[track_caller]
fn each_form(case: impl Fn(&Setup, &dyn Fn(&str) -> String)) {
    each_placement(|s| {
        for (node, padding) in [("-2", 0), ("1", 0), ("2", 0), ("-2", 400), ("-2", 3000), ("-1", 20_000)] {
            s.config("list-max-listpack-size", node);
            s.client().expect("FLUSHALL", ok());
            case(s, &|name| format!("{name}{}", ".".repeat(padding)));
        }
    });
}

fn elements(of: &dyn Fn(&str) -> String, names: &str) -> Value {
    array(names.split_whitespace().map(of))
}

/// `command key element element ...`
fn with(command: &[&str], of: &dyn Fn(&str) -> String, names: &str) -> Vec<String> {
    let command = command.iter().map(|word| (*word).to_owned());
    command.chain(names.split_whitespace().map(of)).collect()
}

#[test]
fn pushing_and_popping() {
    each_form(|s, of| {
        let mut c = s.client();
        let k = &s.key("k");
        c.expect(&with(&["RPUSHX", k], of, "a"), 0);
        c.expect(&with(&["LPUSHX", k], of, "a"), 0);
        c.expect(&with(&["RPUSH", k], of, "c d e"), 3);
        c.expect(&with(&["LPUSH", k], of, "b a"), 5);
        c.expect(&with(&["RPUSHX", k], of, "f"), 6);
        c.expect(&with(&["LPUSHX", k], of, "0 00"), 8);
        c.expect(&["LLEN", k], 8);
        c.expect(&["LRANGE", k, "0", "-1"], elements(of, "00 0 a b c d e f"));
        c.expect(&["OBJECT", "ENCODING", k], "quicklist");
        c.expect(&["TYPE", k], simple("list"));
        c.expect(&["LPOP", k], of("00"));
        c.expect(&["RPOP", k], of("f"));
        c.expect(&["LPOP", k, "2"], elements(of, "0 a"));
        c.expect(&["RPOP", k, "3"], elements(of, "e d c"));
        c.expect(&["LPOP", k, "0"], array::<Value>([]));
        c.expect(&["RPOP", k, "9"], elements(of, "b"));
        c.expect(&["EXISTS", k], 0);
        c.expect(&["LPOP", k], nil());
        c.expect(&["LPOP", k, "1"], nil_array());
        c.expect(&["LPOP", k, "0"], nil_array());
        c.expect(&["LLEN", k], 0);
    });
}

#[test]
fn ranges_and_indices() {
    each_form(|s, of| {
        let mut c = s.client();
        let k = &s.key("k");
        c.expect(&with(&["RPUSH", k], of, "a b c d e f"), 6);
        for (start, stop, names) in [
            ("0", "-1", "a b c d e f"),
            ("1", "3", "b c d"),
            ("-3", "-2", "d e"),
            ("-100", "0", "a"),
            ("5", "100", "f"),
            ("6", "100", ""),
            ("3", "2", ""),
            ("-9223372036854775808", "9223372036854775807", "a b c d e f"),
        ] {
            c.expect(&["LRANGE", k, start, stop], elements(of, names));
        }
        for (index, name) in [("0", "a"), ("5", "f"), ("-1", "f"), ("-6", "a"), ("3", "d")] {
            c.expect(&["LINDEX", k, index], of(name));
        }
        for index in ["6", "-7", "9223372036854775807", "-9223372036854775808"] {
            c.expect(&["LINDEX", k, index], nil());
            c.expect(&["LSET", k, index, "x"], err(OUT_OF_RANGE));
        }
        c.expect(&args!["LSET", k, "0", of("A")], ok());
        c.expect(&args!["LSET", k, "-1", of("F")], ok());
        c.expect(&args!["LSET", k, "2", "short"], ok());
        c.expect(&args!["LSET", k, "3", "y".repeat(9000)], ok());
        c.expect(&["LINDEX", k, "2"], "short");
        c.expect(&["LINDEX", k, "3"], "y".repeat(9000));
        c.expect(&["LRANGE", k, "0", "1"], elements(of, "A b"));
        c.expect(&["LRANGE", k, "4", "5"], elements(of, "e F"));
        c.expect(&["LRANGE", k, "x", "1"], err(WRONG_INT));
        c.expect(&["LINDEX", k, "x"], err(WRONG_INT));
        c.expect(&["LSET", k, "x", "v"], err(WRONG_INT));
        c.expect("LSET missing x v", err("ERR no such key"));
        c.expect("LINDEX missing x", nil());
    });
}

#[test]
fn inserting_removing_and_trimming() {
    each_form(|s, of| {
        let mut c = s.client();
        let k = &s.key("k");
        c.expect(&with(&["RPUSH", k], of, "a b c"), 3);
        for (side, names, reply) in [
            ("BEFORE", "a 0", 4),
            ("after", "c d", 5),
            ("AFTER", "a x", 6),
            ("BEFORE", "c x", 7),
            ("BEFORE", "nosuch x", -1),
        ] {
            c.expect(&with(&["LINSERT", k, side], of, names), reply);
        }
        c.expect(&["LRANGE", k, "0", "-1"], elements(of, "0 a x b x c d"));
        c.expect(&["LINSERT", k, "UP", "a", "b"], err(SYNTAX));
        c.expect("LINSERT missing BEFORE a b", 0);
        c.expect(&with(&["RPUSH", k], of, "x"), 8);
        c.expect(&args!["LREM", k, "-2", of("x")], 2);
        c.expect(&["LRANGE", k, "0", "-1"], elements(of, "0 a x b c d"));
        c.expect(&args!["LREM", k, "1", of("x")], 1);
        c.expect(&args!["LREM", k, "0", of("x")], 0);
        c.expect(&["LTRIM", k, "1", "-2"], ok());
        c.expect(&["LRANGE", k, "0", "-1"], elements(of, "a b c"));
        c.expect(&["LTRIM", k, "-2", "100"], ok());
        c.expect(&["LRANGE", k, "0", "-1"], elements(of, "b c"));
        c.expect(&["LTRIM", k, "5", "1"], ok());
        c.expect(&["EXISTS", k], 0);
        c.expect(&with(&["RPUSH", k], of, "x x x"), 3);
        c.expect(&args!["LREM", k, "0", of("x")], 3);
        c.expect(&["EXISTS", k], 0);
        c.expect(&["LTRIM", k, "0", "x"], err(WRONG_INT));
        c.expect(&["LREM", k, "x", "a"], err(WRONG_INT));
    });
}

#[test]
fn positions() {
    each_form(|s, of| {
        let mut c = s.client();
        let k = &s.key("k");
        c.expect(&with(&["RPUSH", k], of, "a b c 1 2 3 c c"), 8);
        let all = |options: &str| {
            let options = options.split_whitespace().map(str::to_owned);
            ["LPOS".to_owned(), k.clone(), of("c")].into_iter().chain(options).collect::<Vec<_>>()
        };
        c.expect(&all(""), 2);
        c.expect(&all("RANK 2"), 6);
        c.expect(&all("RANK -1"), 7);
        c.expect(&all("RANK -3"), 2);
        c.expect(&all("RANK 4"), nil());
        c.expect(&all("COUNT 0"), array([2, 6, 7]));
        c.expect(&all("COUNT 2"), array([2, 6]));
        c.expect(&all("COUNT 0 RANK -2"), array([6, 2]));
        c.expect(&all("MAXLEN 2"), nil());
        c.expect(&all("MAXLEN 3"), 2);
        c.expect(&all("MAXLEN 2 RANK -1 COUNT 0"), array([7, 6]));
        c.expect(&["LPOS", k, "nosuch"], nil());
        c.expect(&["LPOS", k, "nosuch", "COUNT", "1"], array::<Value>([]));
        c.expect_error(&all("RANK 0"), "ERR RANK can't be zero");
        c.expect(&all("COUNT -1"), err("ERR COUNT can't be negative"));
        c.expect(&all("MAXLEN x"), err("ERR MAXLEN can't be negative"));
        c.expect(&all("NOSUCH 1"), err(SYNTAX));
    });
}

#[test]
fn moving_between_lists() {
    each_form(|s, of| {
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        c.expect(&with(&["RPUSH", a], of, "1 2 3 4"), 4);
        c.expect(&["LMOVE", a, b, "LEFT", "RIGHT"], of("1"));
        c.expect(&["LMOVE", a, b, "right", "left"], of("4"));
        c.expect(&["LRANGE", a, "0", "-1"], elements(of, "2 3"));
        c.expect(&["LRANGE", b, "0", "-1"], elements(of, "4 1"));
        c.expect(&["LMOVE", b, b, "LEFT", "RIGHT"], of("4"));
        c.expect(&["RPOPLPUSH", b, b], of("4"));
        c.expect(&["RPOPLPUSH", a, b], of("3"));
        c.expect(&["RPOPLPUSH", a, b], of("2"));
        c.expect(&["EXISTS", a], 0);
        c.expect(&["LRANGE", b, "0", "-1"], elements(of, "2 3 4 1"));
        c.expect(&["RPOPLPUSH", a, b], nil());
        c.expect(&["LMOVE", a, a, "LEFT", "LEFT"], nil());
        c.expect(&["BLMOVE", b, a, "LEFT", "LEFT", "0"], of("2"));
        c.expect(&["BRPOPLPUSH", b, a, "0"], of("1"));
        c.expect(&["LRANGE", a, "0", "-1"], elements(of, "1 2"));
        c.expect(&["LMOVE", a, b, "UP", "LEFT"], err(SYNTAX));
        c.expect(&["LMOVE", a, b, "LEFT", "UP"], err(SYNTAX));
        c.expect(&["BLMOVE", a, b, "LEFT", "LEFT", "x"], err("ERR timeout is not a float or out of range"));
        c.expect(&["BRPOPLPUSH", a, b, "-1"], err("ERR timeout is negative"));
        c.expect(&["LRANGE", a, "0", "-1"], elements(of, "1 2"));
    });
}

#[test]
fn popping_from_the_first_list_that_has_something() {
    each_form(|s, of| {
        let mut c = s.client();
        let [none, a, b] = &s.keys(["none", "a", "b"]);
        let popped = |key: &str, names: &str| array([bulk(key), elements(of, names)]);
        c.expect(&with(&["RPUSH", a], of, "1 2 3"), 3);
        c.expect(&with(&["RPUSH", b], of, "4 5 6"), 3);
        c.expect(&["LMPOP", "3", none, a, b, "LEFT"], popped(a, "1"));
        c.expect(&["LMPOP", "3", none, b, a, "RIGHT", "COUNT", "2"], popped(b, "6 5"));
        c.expect(&["LMPOP", "2", a, b, "RIGHT", "COUNT", "10"], popped(a, "3 2"));
        c.expect(&["BLMPOP", "0", "3", a, none, b, "LEFT"], popped(b, "4"));
        c.expect(&["LMPOP", "3", none, a, b, "LEFT"], nil_array());
        c.expect(&with(&["RPUSH", b], of, "7 8"), 2);
        c.expect(&["BLPOP", none, a, b, "0"], [bulk(b), bulk(of("7"))]);
        c.expect(&["BRPOP", b, a, "0"], [bulk(b), bulk(of("8"))]);
        c.expect(&["DBSIZE"], 0);
        for (line, error) in [
            (vec!["LMPOP", "0", a, "LEFT"], "ERR numkeys should be greater than 0"),
            (vec!["LMPOP", "x", a, "LEFT"], "ERR numkeys should be greater than 0"),
            (vec!["LMPOP", "2", a, "LEFT"], SYNTAX),
            (vec!["LMPOP", "9", a, b, "LEFT"], SYNTAX),
            (vec!["LMPOP", "2", a, b, "UP"], SYNTAX),
            (vec!["LMPOP", "2", a, b, "LEFT", "COUNT", "0"], "ERR count should be greater than 0"),
            (vec!["LMPOP", "2", a, b, "LEFT", "COUNT", "1", "COUNT", "1"], SYNTAX),
            (vec!["BLMPOP", "x", "2", a, b, "LEFT"], "ERR timeout is not a float or out of range"),
            (vec!["BLMPOP", "x", "0", a, b, "LEFT"], "ERR numkeys should be greater than 0"),
            (vec!["BLPOP", a, b, "x"], "ERR timeout is not a float or out of range"),
            (vec!["BRPOP", a, b, "-1"], "ERR timeout is negative"),
        ] {
            c.expect(&line[..], err(error));
        }
    });
}

#[test]
fn keys_of_other_types() {
    each_placement(|s| {
        let mut c = s.client();
        let [none, l, t] = &s.keys(["none", "l", "t"]);
        c.expect(&["SET", t, "v"], ok());
        c.expect(&["RPUSH", l, "a", "b"], 2);
        for line in [
            vec!["LPUSH", t, "a"],
            vec!["RPUSHX", t, "a"],
            vec!["LPOP", t],
            vec!["RPOP", t, "1"],
            vec!["LLEN", t],
            vec!["LRANGE", t, "0", "-1"],
            vec!["LINDEX", t, "x"],
            vec!["LSET", t, "x", "v"],
            vec!["LINSERT", t, "BEFORE", "a", "b"],
            vec!["LREM", t, "0", "a"],
            vec!["LTRIM", t, "0", "1"],
            vec!["LPOS", t, "a"],
            vec!["LMOVE", t, l, "LEFT", "LEFT"],
            vec!["LMOVE", l, t, "LEFT", "LEFT"],
            vec!["RPOPLPUSH", l, t],
            vec!["BLMOVE", l, t, "LEFT", "LEFT", "0"],
            vec!["BLMOVE", t, l, "LEFT", "LEFT", "0"],
            vec!["LMPOP", "3", none, t, l, "LEFT"],
            vec!["BLPOP", none, t, l, "0"],
            vec!["GET", l],
            vec!["INCR", l],
        ] {
            c.expect(&line[..], err(WRONG_TYPE));
        }
        c.expect(&["LRANGE", l, "0", "-1"], ["a", "b"]);
        c.expect(&["LMOVE", none, t, "LEFT", "LEFT"], nil());
        c.expect(&["LMPOP", "2", l, t, "LEFT"], array([bulk(l), array(["a"])]));
        c.expect(&["LPOP", l, "-1"], err(NOT_POSITIVE));
        c.expect(&["LPOP", l, "1", "2"], err("ERR wrong number of arguments for 'lpop' command"));
        c.expect(&["SET", l, "v"], ok());
        c.expect(&["GET", l], "v");
    });
}

#[test]
fn lists_within_a_transaction_do_not_wait() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        c.expect("MULTI", ok());
        for line in [
            vec!["BLPOP", a, b, "0"],
            vec!["BLMOVE", a, b, "LEFT", "LEFT", "0"],
            vec!["BLMPOP", "0", "2", a, b, "LEFT"],
            vec!["RPUSH", a, "1", "2"],
            vec!["LMOVE", a, b, "LEFT", "LEFT"],
            vec!["BRPOP", a, b, "0"],
        ] {
            c.expect(&line[..], simple("QUEUED"));
        }
        c.expect("EXEC", [nil_array(), nil(), nil_array(), int(2), bulk("1"), array([bulk(a), bulk("2")])]);
    });
}

#[test]
fn lists_are_dumped_copied_and_renamed() {
    each_form(|s, of| {
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        c.expect(&with(&["RPUSH", a], of, "a b c 12 -7 123456789012"), 6);
        let payload = c.call(&["DUMP", a]).bytes().to_vec();
        c.expect(&args!["RESTORE", b, "0", payload], ok());
        c.expect(&["LRANGE", b, "0", "-1"], elements(of, "a b c 12 -7 123456789012"));
        c.expect(&["RPUSH", b, "more"], 7);
        c.expect(&["COPY", a, b, "REPLACE"], 1);
        c.expect(&["LPOP", a], of("a"));
        c.expect(&["LRANGE", b, "0", "0"], elements(of, "a"));
        c.expect(&["RENAME", a, b], ok());
        c.expect(&["LRANGE", b, "0", "-1"], elements(of, "b c 12 -7 123456789012"));
        c.expect(&["UNLINK", b], 1);
    });
}

#[test]
fn many_elements() {
    each_placement(|s| {
        let mut c = s.client();
        let k = &s.key("k");
        for batch in 0..20 {
            let line: Vec<String> = with(&["RPUSH", k], &str::to_owned, "")
                .into_iter()
                .chain((0..500).map(|n| format!("{}", batch * 500 + n)))
                .collect();
            c.expect(&line, (batch + 1) * 500);
        }
        c.expect(&["LINDEX", k, "7777"], "7777");
        c.expect(&["LINDEX", k, "-1"], "9999");
        c.expect(&["LRANGE", k, "4998", "5001"], ["4998", "4999", "5000", "5001"]);
        c.expect(&["LPOS", k, "9000"], 9000);
        c.expect(&["LPOS", k, "9000", "RANK", "-1", "MAXLEN", "1000"], 9000);
        c.expect(&["LPOS", k, "9000", "RANK", "-1", "MAXLEN", "999"], nil());
        c.expect(&["LINSERT", k, "AFTER", "5000", "between"], 10_001);
        c.expect(&["LRANGE", k, "5000", "5002"], ["5000", "between", "5001"]);
        c.expect(&["LREM", k, "0", "between"], 1);
        let all = c.call(&["LRANGE", k, "0", "-1"]).elements();
        assert!(all.iter().enumerate().all(|(n, element)| element.text() == n.to_string()));
        c.expect(&["LTRIM", k, "100", "-101"], ok());
        c.expect(&["LLEN", k], 9800);
        assert_eq!(c.call(&["LPOP", k, "9000"]).elements().len(), 9000);
        c.expect(&["LRANGE", k, "0", "0"], ["9100"]);
    });
}

/// Waits until so many clients wait for keys.
fn wait_for_blocked(c: &mut Client, count: usize) {
    wait_until("clients wait for their keys", std::time::Duration::from_secs(60), || {
        c.call("INFO clients").text().contains(&format!("blocked_clients:{count}\r\n"))
    });
}

#[test]
fn waiting_in_vain() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        for line in [
            vec!["BLPOP", a, b, "0.01"],
            vec!["BRPOP", a, "0.01"],
            vec!["BLMPOP", "0.01", "2", a, b, "LEFT"],
            vec!["BLMOVE", a, b, "LEFT", "LEFT", "0.01"],
            vec!["BRPOPLPUSH", a, a, "0.01"],
        ] {
            c.expect(&line[..], nil_array());
        }
        c.expect("PING", simple("PONG"));
    });
}

#[test]
fn who_waits_gets_what_comes() {
    each_form(|s, of| {
        let [a, b, d] = &s.keys(["a", "b", "d"]);
        let (mut c, mut waiter) = (s.client(), s.client());
        for (line, served) in [
            (vec!["BLPOP", b, a, "0"], array([bulk(a), bulk(of("x"))])),
            (vec!["BRPOP", a, b, "0"], array([bulk(a), bulk(of("y"))])),
            (vec!["BLMPOP", "0", "2", b, a, "RIGHT", "COUNT", "5"], array([bulk(a), elements(of, "y x")])),
            (vec!["BLMOVE", a, d, "LEFT", "RIGHT", "0"], bulk(of("x"))),
            (vec!["BRPOPLPUSH", a, d, "0"], bulk(of("y"))),
            (vec!["BLMOVE", a, a, "LEFT", "RIGHT", "0"], bulk(of("x"))),
        ] {
            waiter.send(&line[..]);
            wait_for_blocked(&mut c, 1);
            c.expect(&with(&["RPUSH", a], of, "x y"), 2);
            waiter.expect_next(served);
            c.call(&["DEL", a]);
        }
        c.expect(&["LRANGE", d, "0", "-1"], elements(of, "y x"));
    });
}

#[test]
fn those_who_wait_longest_are_served_first() {
    each_placement(|s| {
        let k = &s.key("k");
        let mut c = s.client();
        let mut waiters: Vec<_> = (0..4)
            .map(|n| {
                let mut waiter = s.client();
                waiter.send(&["BLPOP", k, "0"]);
                wait_for_blocked(&mut c, n + 1);
                waiter
            })
            .collect();
        c.expect(&["RPUSH", k, "0", "1", "2"], 3);
        for (n, waiter) in waiters.iter_mut().take(3).enumerate() {
            waiter.expect_next([k.clone(), n.to_string()]);
        }
        c.expect(&["EXISTS", k], 0);
        c.expect(&["LPUSH", k, "3"], 1);
        waiters[3].expect_next([k, "3"]);
    });
}

#[test]
fn one_move_may_serve_the_next() {
    each_placement(|s| {
        let [a, b, d] = &s.keys(["a", "b", "d"]);
        let (mut c, mut first, mut second, mut third) = (s.client(), s.client(), s.client(), s.client());
        first.send(&["BLMOVE", a, b, "LEFT", "LEFT", "0"]);
        wait_for_blocked(&mut c, 1);
        second.send(&["BLMOVE", b, d, "LEFT", "LEFT", "0"]);
        wait_for_blocked(&mut c, 2);
        third.send(&["BLPOP", d, "0"]);
        wait_for_blocked(&mut c, 3);
        c.expect(&["RPUSH", a, "x"], 1);
        first.expect_next("x");
        second.expect_next("x");
        third.expect_next([d, "x"]);
        wait_for_blocked(&mut c, 0);
        c.expect("DBSIZE", 0);
    });
}

#[test]
fn what_does_not_serve_leaves_them_waiting() {
    each_placement(|s| {
        let [a, t] = &s.keys(["a", "t"]);
        let (mut c, mut waiter) = (s.client(), s.client());
        c.expect(&["SET", t, "v"], ok());
        waiter.send(&["BLMOVE", a, t, "LEFT", "LEFT", "0"]);
        wait_for_blocked(&mut c, 1);
        // Gone again before anyone could look.
        c.expect("MULTI", ok());
        c.expect(&["RPUSH", a, "x"], simple("QUEUED"));
        c.expect(&["DEL", a], simple("QUEUED"));
        c.expect("EXEC", [1, 1]);
        c.expect(&["SET", a, "not a list"], ok());
        c.expect(&["DEL", a], 1);
        wait_for_blocked(&mut c, 1);
        c.expect(&["RPUSH", a, "x"], 1);
        waiter.expect_next(err(WRONG_TYPE));
        c.expect(&["LRANGE", a, "0", "-1"], ["x"]);
        waiter.expect(&["BLPOP", a, "0"], [a, "x"]);
    });
}

#[test]
fn moving_several_elements() {
    each_form(|s, of| {
        let [a, b] = &s.keys(["a", "b"]);
        let (mut c, mut waiter) = (s.client(), s.client());
        c.expect(&with(&["RPUSH", a], of, "1 2 3 4 5 6"), 6);
        c.expect(&["LMOVEM", a, b, "LEFT", "LEFT", "COUNT", "2", "OBO"], elements(of, "2 1"));
        c.expect(&["LMOVEM", a, b, "RIGHT", "LEFT", "EXACTLY", "2", "BULK"], elements(of, "5 6"));
        c.expect(&["LMOVEM", a, b, "LEFT", "RIGHT", "EXACTLY", "3", "BULK"], nil_array());
        c.expect(&["LRANGE", b, "0", "-1"], elements(of, "5 6 2 1"));
        waiter.send(&["BLMOVEM", a, b, "LEFT", "RIGHT", "0", "EXACTLY", "4", "BULK"]);
        wait_for_blocked(&mut c, 1);
        c.expect(&with(&["RPUSH", a], of, "7"), 3);
        c.expect(&["LLEN", a], 3);
        c.expect(&with(&["LINSERT", a, "BEFORE"], of, "3 0"), 4);
        waiter.expect_next(elements(of, "0 3 4 7"));
        c.expect(&["EXISTS", a], 0);
        c.expect(&["LRANGE", b, "0", "-1"], elements(of, "5 6 2 1 0 3 4 7"));
        waiter.send(&["BLMOVEM", a, b, "LEFT", "RIGHT", "0", "COUNT", "4", "BULK"]);
        wait_for_blocked(&mut c, 1);
        c.expect(&with(&["RPUSH", a], of, "8 9"), 2);
        waiter.expect_next(elements(of, "8 9"));
        c.expect(&["BLMOVEM", a, b, "LEFT", "RIGHT", "0.01"], nil_array());
        c.expect("MULTI", ok());
        c.expect(&["BLMOVEM", a, b, "LEFT", "RIGHT", "0"], simple("QUEUED"));
        c.expect("EXEC", [nil_array()]);
        c.expect(&["LMOVEM", a, b, "LEFT", "RIGHT"], array::<Value>([]));
    });
}
