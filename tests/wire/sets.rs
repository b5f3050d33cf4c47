//! Sets: what each command and option answers, in each encoding, with its keys on one shard and on several.

use crate::support::*;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const SYNTAX: &str = "ERR syntax error";
const WRONG_INT: &str = "ERR value is not an integer or out of range";

/// Members that make a set of each form: an intset, a listpack, a listpack or a table on the heap.
fn forms() -> Vec<Vec<String>> {
    vec![
        (1..=9).map(|n| n.to_string()).collect(),
        ["1", "2", "3", "a", "b", ""].map(String::from).to_vec(),
        (0..100).map(|n| format!("a rather long member {n}")).collect(),
        (0..300).map(|n| format!("m{n}")).collect(),
        (0..700).map(|n| (n * 100_003).to_string()).collect(),
        ["short".to_owned(), "long".repeat(50)].to_vec(),
    ]
}

fn add(c: &mut Client, key: &str, members: &[String]) {
    let mut command = vec!["SADD", key];
    command.extend(members.iter().map(String::as_str));
    c.expect(&command[..], members.len() as i64);
}

#[track_caller]
fn expect_set<'m>(c: &mut Client, command: &[&str], members: impl IntoIterator<Item = &'m String>) {
    c.expect_unordered(command, set(members.into_iter().map(String::as_str)));
}

#[test]
fn members_come_and_go_in_every_form() {
    each_setup(|s| {
        for members in forms() {
            let mut c = s.client();
            c.expect("DEL s", int(0));
            add(&mut c, "s", &members);
            c.expect("TYPE s", simple("set"));
            c.expect("SCARD s", members.len() as i64);
            c.expect(&["SADD", "s", &members[0], "x1", "x1", "x2"], 2);
            c.expect("SREM s x1 x2 x3", 2);
            expect_set(&mut c, &["SMEMBERS", "s"], &members);
            c.expect(&["SISMEMBER", "s", &members[1]], 1);
            c.expect("SISMEMBER s nobody", 0);
            c.expect(&["SMISMEMBER", "s", &members[1], "nobody", &members[0]], array([1, 0, 1]));
            c.expect("COPY s copy", 1);
            expect_set(&mut c, &["SMEMBERS", "copy"], &members);
            let dumped = c.call("DUMP s");
            c.expect(&args!["RESTORE", "copy", "0", dumped.bytes(), "REPLACE"], ok());
            expect_set(&mut c, &["SMEMBERS", "copy"], &members);
            let digest = |c: &mut Client, key: &str| c.call(&["DEBUG", "DIGEST-VALUE", key]);
            assert_eq!(digest(&mut c, "copy"), digest(&mut c, "s"));
            for member in &members {
                c.expect(&["SREM", "s", member], 1);
            }
            c.expect("EXISTS s", 0);
            c.expect("DEL copy", 1);
        }
    });
}

#[test]
fn what_is_missing_is_an_empty_set() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SREM no a", 0);
        c.expect("SISMEMBER no a", 0);
        c.expect("SMISMEMBER no a b", array([0, 0]));
        c.expect("SCARD no", 0);
        c.expect("SMEMBERS no", set::<&str>([]));
        c.expect("SPOP no", nil());
        c.expect("SPOP no 3", set::<&str>([]));
        c.expect("SRANDMEMBER no", nil());
        c.expect("SRANDMEMBER no 3", array::<&str>([]));
        c.expect("SRANDMEMBER no -3", array::<&str>([]));
        c.expect("SSCAN no 0", array([bulk("0"), array::<&str>([])]));
        c.expect("SSCAN no 0 what", array([bulk("0"), array::<&str>([])]));
        for line in ["SINTER no", "SUNION no no2", "SDIFF no no2 no3"] {
            c.expect(line, set::<&str>([]));
        }
        c.expect("EXISTS no", 0);
    });
}

#[test]
fn other_kinds_are_refused() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["set", "string", "dest"]);
        let [set, string, dest] = [&keys[0][..], &keys[1][..], &keys[2][..]];
        c.expect(&["SADD", set, "1"], 1);
        c.expect(&["SET", string, "x"], ok());
        for command in [
            &["SADD", string, "a"][..],
            &["SREM", string, "a"],
            &["SISMEMBER", string, "a"],
            &["SMISMEMBER", string, "a"],
            &["SCARD", string],
            &["SMEMBERS", string],
            &["SPOP", string],
            &["SPOP", string, "0"],
            &["SRANDMEMBER", string],
            &["SRANDMEMBER", string, "0"],
            &["SSCAN", string, "0"],
            &["SINTER", set, string],
            &["SINTER", "missing", string],
            &["SUNION", "missing", string],
            &["SDIFF", "missing", string],
            &["SINTERCARD", "2", set, string],
            &["SINTERSTORE", dest, set, string],
            &["SUNIONSTORE", dest, set, string],
            &["SDIFFSTORE", dest, string, set],
            &["SMOVE", string, set, "1"],
            &["SMOVE", set, string, "1"],
            &["SMOVE", set, string, "nobody"],
            &["GET", set],
        ] {
            c.expect(command, err(WRONG_TYPE));
        }
        c.expect(&["SMOVE", "missing", string, "1"], 0);
        c.expect(&["EXISTS", dest], 0);
        c.expect(&["SUNIONSTORE", string, set], 1);
        c.expect(&["TYPE", string], simple("set"));
    });
}

#[test]
fn wrong_arguments() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SADD s 1 2 3", 3);
        for line in
            ["SPOP s 1 2", "SRANDMEMBER s 1 2", "SSCAN s 0 COUNT 0", "SSCAN s 0 MATCH", "SSCAN s 0 TYPE set"]
        {
            c.expect(line, err(SYNTAX));
        }
        for line in ["SPOP s -1", "SPOP s x", "SPOP s -9223372036854775809"] {
            c.expect(line, err("ERR value is out of range, must be positive"));
        }
        for line in ["SRANDMEMBER s x", "SRANDMEMBER s -0", "SSCAN s 0 COUNT x"] {
            c.expect(line, err(WRONG_INT));
        }
        let range =
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        c.expect("SRANDMEMBER s -9223372036854775808", err(range));
        c.expect_error("SRANDMEMBER s -9223372036854775807", "ERR value is out of range");
        c.expect("SSCAN s x", err("ERR invalid cursor"));
        c.expect("SSCAN no x", err("ERR invalid cursor"));
        for command in ["SINTERCARD", "SUNIONCARD", "SDIFFCARD"] {
            for keys in ["0 s", "x s", "-1 s"] {
                c.expect(&format!("{command} {keys}")[..], err("ERR numkeys should be greater than 0"));
            }
            for keys in ["3 s t", "2147483648 s", "9223372036854775807 s"] {
                let line = format!("{command} {keys}");
                c.expect(&line[..], err("ERR Number of keys can't be greater than number of args"));
            }
            for options in ["s", "LIMIT", "WHAT 1", "LIMIT 1 LIMIT"] {
                c.expect(&format!("{command} 2 s other {options}")[..], err(SYNTAX));
            }
            for limit in ["-1", "x"] {
                let line = format!("{command} 2 s other LIMIT {limit}");
                c.expect(&line[..], err("ERR LIMIT can't be negative"));
            }
        }
        c.expect("SINTERCARD 1 s APPROX", err(SYNTAX));
        c.expect("SDIFFCARD 1 s APPROX", err(SYNTAX));
        c.expect("SUNIONCARD 1 s APPROX", 3);
    });
}

#[test]
fn algebra() {
    each_placement(|s| {
        for members in forms() {
            let mut c = s.client();
            let keys = s.keys(["a", "b", "c", "dest"]);
            let [a, b, third, dest] = [&keys[0][..], &keys[1][..], &keys[2][..], &keys[3][..]];
            c.expect(&["DEL", a, b, third, dest], int(0));
            let half = members.len() / 2;
            let mut other = members[half..].to_vec();
            other.extend(["5000", "6000"].map(String::from));
            add(&mut c, a, &members);
            add(&mut c, b, &other);
            c.expect(&["SADD", third, &members[half], "5000"], 2);

            expect_set(&mut c, &["SINTER", a, b], &members[half..]);
            expect_set(&mut c, &["SINTER", a, b, third], &members[half..half + 1]);
            expect_set(&mut c, &["SINTER", a, b, "missing"], &[]);
            expect_set(&mut c, &["SINTER", a], &members);
            expect_set(&mut c, &["SDIFF", a, b], &members[..half]);
            expect_set(&mut c, &["SDIFF", a, b, third], &members[..half]);
            expect_set(&mut c, &["SDIFF", b, a, third], &["6000".to_owned()]);
            expect_set(&mut c, &["SDIFF", a, "missing"], &members);
            expect_set(&mut c, &["SDIFF", a, b, a], &[]);
            expect_set(&mut c, &["SDIFF", "missing", a], &[]);
            let extra = ["5000", "6000"].map(String::from);
            expect_set(&mut c, &["SUNION", a, b], members.iter().chain(&extra));
            expect_set(&mut c, &["SUNION", a, b, a, third, "missing", b], members.iter().chain(&extra));

            let shared = (members.len() - half) as i64;
            let total = members.len() as i64;
            c.expect(&["SINTERCARD", "2", a, b], int(shared));
            c.expect(&["SINTERCARD", "2", a, b, "LIMIT", "1"], int(1));
            c.expect(&["SINTERCARD", "2", a, b, "LIMIT", "0"], int(shared));
            c.expect(&["SINTERCARD", "2", a, b, "LIMIT", "100000"], int(shared));
            c.expect(&["SUNIONCARD", "2", a, b], int(total + 2));
            c.expect(&["SUNIONCARD", "2", a, b, "LIMIT", "2", "APPROX"], int(2));
            c.expect(&["SDIFFCARD", "2", a, b], int(total - shared));
            c.expect(&["SDIFFCARD", "2", a, b, "LIMIT", "1"], int(1));

            c.expect(&["SINTERSTORE", dest, a, b], int(shared));
            expect_set(&mut c, &["SMEMBERS", dest], &members[half..]);
            c.expect(&["SUNIONSTORE", dest, a, b], int(total + 2));
            expect_set(&mut c, &["SMEMBERS", dest], members.iter().chain(&extra));
            c.expect(&["SDIFFSTORE", dest, a, b], int(total - shared));
            expect_set(&mut c, &["SMEMBERS", dest], &members[..half]);
            c.expect(&["SDIFFSTORE", dest, a, a], int(0));
            c.expect(&["EXISTS", dest], 0);
            // The destination may be one of the sources.
            c.expect(&["SINTERSTORE", a, a, b], int(shared));
            expect_set(&mut c, &["SMEMBERS", a], &members[half..]);
            c.expect(&["SUNIONSTORE", b, third, third], 2);
            c.expect(&["SCARD", b], 2);
            c.expect(&["DEL", a, b, third], int(3));
        }
    });
}

#[test]
fn integers_come_in_order() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        c.expect(&["SADD", a, "5", "3", "-70000", "1"], 4);
        c.expect(&["SADD", b, "4", "3", "1"], 3);
        c.expect(&["SMEMBERS", a], set(["-70000", "1", "3", "5"]));
        c.expect(&["SUNION", a, b], set(["-70000", "1", "3", "4", "5"]));
        c.expect(&["SINTER", a, b], set(["1", "3"]));
        c.expect(&["SDIFF", a, b], set(["-70000", "5"]));
        c.expect(&["OBJECT", "ENCODING", a], "intset");
    });
}

#[test]
fn stored_results_have_the_encoding_of_a_new_set() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b", "dest"]);
        let [a, b, dest] = [&keys[0][..], &keys[1][..], &keys[2][..]];
        c.expect(&["SADD", a, "1", "2", "x"], 3);
        c.expect(&["SADD", b, "1", "2", "y"], 3);
        c.expect(&["SINTERSTORE", dest, a, b], 2);
        c.expect(&["OBJECT", "ENCODING", dest], "intset");
        c.expect(&["SUNIONSTORE", dest, a, b], 4);
        c.expect(&["OBJECT", "ENCODING", dest], "hashtable");
        c.expect(&["SADD", a, "5"], 1);
        c.expect(&["SREM", a, "x"], 1);
        c.expect(&["SDIFFSTORE", dest, a, b], 1);
        c.expect(&["OBJECT", "ENCODING", dest], "intset");
    });
}

#[test]
fn a_member_moves() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["from", "to"]);
        let [from, to] = [&keys[0][..], &keys[1][..]];
        c.expect(&["SADD", from, "1", "2", "word"], 3);
        c.expect(&["SMOVE", from, to, "nobody"], 0);
        c.expect(&["EXISTS", to], 0);
        c.expect(&["SMOVE", from, to, "1"], 1);
        c.expect(&["SMOVE", from, to, "word"], 1);
        c.expect_unordered(&["SMEMBERS", to], set(["1", "word"]));
        c.expect(&["SMEMBERS", from], set(["2"]));
        c.expect(&["SMOVE", from, from, "2"], 1);
        c.expect(&["SMOVE", from, from, "1"], 0);
        c.expect(&["SADD", to, "2"], 1);
        c.expect(&["SMOVE", from, to, "2"], 1);
        c.expect(&["EXISTS", from], 0);
        c.expect(&["SCARD", to], 3);
        c.expect(&["SMOVE", from, to, "2"], 0);
    });
}

#[test]
fn random_members() {
    each_setup(|s| {
        for members in forms() {
            let mut c = s.client();
            add(&mut c, "s", &members);
            let known = |value: &Value| members.contains(&value.text());
            c.expect_that("SRANDMEMBER s", known);
            let two = c.call("SRANDMEMBER s 2").elements();
            assert!(two.len() == 2 && two[0] != two[1] && two.iter().all(known));
            assert_eq!(c.call("SRANDMEMBER s 10000").elements().len(), members.len());
            let many = c.call("SRANDMEMBER s -1000").elements();
            assert!(many.len() == 1000 && many.iter().all(known));
            c.expect("SRANDMEMBER s 0", array::<&str>([]));
            c.expect("SPOP s 0", set::<&str>([]));
            let mut popped = vec![c.call("SPOP s").text()];
            let half = members.len() / 2;
            popped.extend(c.call(&["SPOP", "s", &half.to_string()]).elements().iter().map(Value::text));
            c.expect("SCARD s", (members.len() - popped.len()) as i64);
            popped.extend(c.call("SPOP s 100000").elements().iter().map(Value::text));
            popped.sort();
            let mut all = members.clone();
            all.sort();
            assert_eq!(popped, all);
            c.expect("EXISTS s", 0);
        }
    });
}

#[test]
fn scans_see_every_member() {
    each_setup(|s| {
        for members in forms() {
            let mut c = s.client();
            add(&mut c, "s", &members);
            for options in [&[][..], &["COUNT", "7"], &["MATCH", "*"]] {
                let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
                loop {
                    let mut command = vec!["SSCAN", "s", &cursor];
                    command.extend(options);
                    let reply = c.call(&command[..]).elements();
                    seen.extend(reply[1].elements().iter().map(Value::text));
                    cursor = reply[0].text();
                    if cursor == "0" {
                        break;
                    }
                }
                seen.sort();
                seen.dedup();
                let mut all = members.clone();
                all.sort();
                assert_eq!(seen, all);
            }
            let reply = c.call("SSCAN s 0 MATCH nobody* COUNT 100000").elements();
            assert_eq!(reply, [bulk("0"), array::<&str>([])]);
            c.expect("DEL s", 1);
        }
    });
}

#[test]
fn blocks_and_watches_see_sets_over_shards() {
    each_placement(|s| {
        let (mut c, mut other) = (s.client(), s.client());
        let keys = s.keys(["a", "b", "dest"]);
        let [a, b, dest] = [&keys[0][..], &keys[1][..], &keys[2][..]];
        c.expect(&["MULTI"], ok());
        for command in [
            &["SADD", a, "1", "2"][..],
            &["SADD", b, "2", "3"],
            &["SINTER", a, b],
            &["SUNIONSTORE", dest, a, b],
        ] {
            c.expect(command, simple("QUEUED"));
        }
        c.expect(&["EXEC"], array([int(2), int(2), set(["2"]), int(3)]));
        c.expect(&["WATCH", dest], ok());
        other.expect(&["SMOVE", a, dest, "1"], 1);
        c.expect(&["MULTI"], ok());
        c.expect(&["SCARD", dest], simple("QUEUED"));
        // 1 was there, so the destination is as it was.
        c.expect(&["EXEC"], array([int(3)]));
        c.expect(&["WATCH", dest], ok());
        other.expect(&["SADD", a, "9"], 1);
        other.expect(&["SMOVE", a, dest, "9"], 1);
        c.expect(&["MULTI"], ok());
        c.expect(&["SCARD", dest], simple("QUEUED"));
        c.expect(&["EXEC"], nil_array());
    });
}
