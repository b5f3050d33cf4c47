//! Sorted sets: what each command and option answers, in each encoding, with its keys on one shard and on several.

use crate::support::*;
use std::time::Duration;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";
const WRONG_INT: &str = "ERR value is not an integer or out of range";
const WRONG_FLOAT: &str = "ERR value is not a valid float";
const NOT_A_FLOAT: &str = "ERR min or max is not a float";
const NOT_AN_ITEM: &str = "ERR min or max not valid string range item";
const NOT_POSITIVE: &str = "ERR value is out of range, must be positive";
const SYNTAX: &str = "ERR syntax error";

/// Runs a case with sorted sets that are listpacks and with such that are not.
#[track_caller]
fn each_form(case: impl Fn(&Setup)) {
    each_placement(|s| {
        for entries in ["128", "0"] {
            s.config("zset-max-listpack-entries", entries);
            s.client().expect("FLUSHALL", ok());
            case(s);
        }
    });
}

fn words(text: &str) -> Value {
    array(text.split_whitespace())
}

/// Members with scores as pairs: in RESP2 flat.
fn scored(s: &Setup, text: &str) -> Value {
    if s.is_resp3() { nested(text) } else { flat(text) }
}

fn flat(text: &str) -> Value {
    let words: Vec<&str> = text.split_whitespace().collect();
    array(words.chunks(2).flat_map(|pair| [bulk(pair[0]), double(pair[1])]))
}

fn nested(text: &str) -> Value {
    let words: Vec<&str> = text.split_whitespace().collect();
    array(words.chunks(2).map(|pair| array([bulk(pair[0]), double(pair[1])])))
}

/// The words of a command that begins with these and goes on with those of the text.
fn with<'a>(first: &[&'a str], text: &'a str) -> Vec<&'a str> {
    first.iter().copied().chain(text.split_whitespace()).collect()
}

fn fill(c: &mut Client, key: &str, text: &str) {
    let count = text.split_whitespace().count() / 2;
    c.expect(&with(&["ZADD", key], text)[..], count as i64);
}

#[test]
fn members_get_scores() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        fill(&mut c, k, "1 a 2.5 b -inf c 1 aa");
        c.expect(&["ZCARD", k], 4);
        c.expect(&["TYPE", k], simple("zset"));
        c.expect(&["ZSCORE", k, "b"], double("2.5"));
        c.expect(&["ZSCORE", k, "no"], nil());
        c.expect(&["ZMSCORE", k, "a", "no", "c"], array([double("1"), nil(), double("-inf")]));
        c.expect(&["ZADD", k, "3", "a", "3", "new"], 1);
        c.expect(&["ZADD", k, "CH", "4", "a", "3", "new", "5", "d"], 2);
        c.expect(&["ZADD", k, "NX", "9", "a", "9", "e"], 1);
        c.expect(&["ZADD", k, "XX", "CH", "7", "a", "9", "f"], 1);
        c.expect(&["ZADD", k, "GT", "CH", "6", "a", "6", "d"], 1);
        c.expect(&["ZADD", k, "LT", "CH", "6.5", "a", "6.5", "d", "1", "g"], 2);
        c.expect(&["ZADD", k, "INCR", "2", "a"], double("8.5"));
        c.expect(&["ZADD", k, "XX", "INCR", "2", "nobody"], nil());
        c.expect(&["ZADD", k, "GT", "INCR", "-1", "a"], nil());
        c.expect(&["ZINCRBY", k, "-0.25", "a"], double("8.25"));
        c.expect(&["ZINCRBY", k, "1", "newer"], double("1"));
        c.expect(&["ZRANGE", k, "0", "-1"], words("c aa g newer b new d a e"));
        c.expect(&["ZREM", k, "c", "aa", "nobody", "g"], 3);
        c.expect(&["ZREM", k, "newer", "b", "new", "d", "a", "e"], 6);
        c.expect(&["EXISTS", k], 0);
    });
}

#[test]
fn what_zadd_refuses() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        for (line, error) in [
            ("1", "ERR wrong number of arguments for 'zadd' command"),
            ("1 a 2", SYNTAX),
            ("NX a", SYNTAX),
            ("x a", WRONG_FLOAT),
            ("nan a", WRONG_FLOAT),
            ("1 a x b", WRONG_FLOAT),
            ("NX XX 1 a", "ERR XX and NX options at the same time are not compatible"),
            ("GT LT 1 a", "ERR GT, LT, and/or NX options at the same time are not compatible"),
            ("NX GT 1 a", "ERR GT, LT, and/or NX options at the same time are not compatible"),
            ("INCR 1 a 2 b", "ERR INCR option supports a single increment-element pair"),
        ] {
            c.expect(&with(&["ZADD", k], line)[..], err(error));
        }
        c.expect(&["EXISTS", k], 0);
        c.expect(&["ZADD", k, "inf", "a"], 1);
        c.expect(&["ZINCRBY", k, "-inf", "a"], err("ERR resulting score is not a number (NaN)"));
        c.expect(&["ZINCRBY", k, "x", "a"], err(WRONG_FLOAT));
        c.expect(&["ZSCORE", k, "a"], double("inf"));
        c.expect(&["ZADD", &s.key("no"), "XX", "1", "a"], 0);
        c.expect(&["EXISTS", &s.key("no")], 0);
    });
}

#[test]
fn scores_are_shown_with_seventeen_digits() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        for (given, shown) in [
            ("0.1", "0.10000000000000001"),
            ("3", "3"),
            ("1e3", "1000"),
            ("1e20", "1e+20"),
            ("4611686018427387904", "4.6116860184273879e+18"),
            ("-1.5e-7", "-1.4999999999999999e-07"),
            ("5e-324", "4.9406564584124654e-324"),
            ("0x10", "16"),
            ("+inf", "inf"),
        ] {
            c.expect(&["DEL", k], int(if given == "0.1" { 0 } else { 1 }));
            c.expect(&["ZADD", k, given, "a"], 1);
            c.expect(&["ZSCORE", k, "a"], double(shown));
            c.expect(&["ZRANGE", k, "0", "0", "WITHSCORES"], scored(s, &format!("a {shown}")));
        }
    });
}

#[test]
fn ranks() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        fill(&mut c, k, "1 a 2 b 2 bb 3 c");
        for (member, rank) in [("a", 0), ("b", 1), ("bb", 2), ("c", 3)] {
            c.expect(&["ZRANK", k, member], rank);
            c.expect(&["ZREVRANK", k, member], 3 - rank);
        }
        c.expect(&["ZRANK", k, "no"], nil());
        if !s.is_redis() {
            c.expect(&["ZRANK", k, "bb", "WITHSCORE"], array([int(2), double("2")]));
            c.expect(&["ZREVRANK", k, "bb", "withscore"], array([int(1), double("2")]));
            c.expect(&["ZRANK", k, "no", "WITHSCORE"], nil_array());
            c.expect(&["ZRANK", k, "a", "WITHSCORES"], err(SYNTAX));
        }
    });
}

#[test]
fn ranges_of_ranks() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        fill(&mut c, k, "1 a 2 b 3 c 4 d 5 e");
        for (range, forwards, backwards) in [
            ("0 -1", "a b c d e", "e d c b a"),
            ("1 2", "b c", "d c"),
            ("-2 -1", "d e", "b a"),
            ("-100 1", "a b", "e d"),
            ("3 100", "d e", "b a"),
            ("2 1", "", ""),
            ("5 9", "", ""),
            ("0 -9", "", ""),
        ] {
            c.expect(&with(&["ZRANGE", k], range)[..], words(forwards));
            c.expect(&with(&["ZREVRANGE", k], range)[..], words(backwards));
            c.expect(&[&with(&["ZRANGE", k], range)[..], &["REV"]].concat()[..], words(backwards));
        }
        c.expect(&["ZRANGE", k, "0", "1", "WITHSCORES"], scored(s, "a 1 b 2"));
        c.expect(&["ZREVRANGE", k, "0", "1", "WITHSCORES"], scored(s, "e 5 d 4"));
        c.expect(&["ZRANGE", k, "x", "1"], err(WRONG_INT));
        c.expect(
            &["ZRANGE", k, "0", "1", "LIMIT", "0", "1"],
            err("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"),
        );
        c.expect(&["ZREVRANGE", k, "0", "1", "REV"], err(SYNTAX));
    });
}

#[test]
fn ranges_of_scores() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        fill(&mut c, k, "-inf a 1 b 1 bb 2.5 c inf d");
        for (min, max, found) in [
            ("-inf", "+inf", "a b bb c d"),
            ("(-inf", "(inf", "b bb c"),
            ("1", "2.5", "b bb c"),
            ("(1", "2.5", "c"),
            ("1", "(2.5", "b bb"),
            ("(1", "(2.5", ""),
            ("2.5", "1", ""),
            ("5", "4e300", ""),
        ] {
            let count = found.split_whitespace().count() as i64;
            let backwards = found.split_whitespace().rev().collect::<Vec<_>>().join(" ");
            c.expect(&["ZCOUNT", k, min, max], count);
            c.expect(&["ZRANGEBYSCORE", k, min, max], words(found));
            c.expect(&["ZREVRANGEBYSCORE", k, max, min], words(&backwards));
            c.expect(&["ZRANGE", k, min, max, "BYSCORE"], words(found));
            c.expect(&["ZRANGE", k, max, min, "BYSCORE", "REV"], words(&backwards));
        }
        for (offset, count, found, backwards) in [
            ("1", "2", "b bb", "c bb"),
            ("0", "-1", "a b bb c d", "d c bb b a"),
            ("3", "9", "c d", "b a"),
            ("2", "0", "", ""),
            ("-1", "5", "", ""),
            ("9", "-1", "", ""),
        ] {
            c.expect(&["ZRANGEBYSCORE", k, "-inf", "inf", "LIMIT", offset, count], words(found));
            c.expect(
                &["ZRANGE", k, "inf", "-inf", "REV", "BYSCORE", "LIMIT", offset, count],
                words(backwards),
            );
        }
        c.expect(&["ZRANGEBYSCORE", k, "1", "2.5", "WITHSCORES"], scored(s, "b 1 bb 1 c 2.5"));
        c.expect(&["ZCOUNT", k, "x", "1"], err(NOT_A_FLOAT));
        c.expect(&["ZRANGEBYSCORE", k, "1", "(nan"], err(NOT_A_FLOAT));
        c.expect(&["ZRANGEBYSCORE", k, "1", "2", "LIMIT", "0"], err(SYNTAX));
        c.expect(&["ZRANGEBYSCORE", k, "1", "2", "LIMIT", "0", "x"], err(WRONG_INT));
    });
}

#[test]
fn ranges_of_members() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        fill(&mut c, k, "0 a 0 b 0 bb 0 c 0 d");
        for (min, max, found) in [
            ("-", "+", "a b bb c d"),
            ("[b", "[c", "b bb c"),
            ("(b", "(c", "bb"),
            ("(b", "+", "bb c d"),
            ("-", "[bz", "a b bb"),
            ("[x", "+", ""),
            ("+", "-", ""),
            ("[c", "[b", ""),
        ] {
            let count = found.split_whitespace().count() as i64;
            let backwards = found.split_whitespace().rev().collect::<Vec<_>>().join(" ");
            c.expect(&["ZLEXCOUNT", k, min, max], count);
            c.expect(&["ZRANGEBYLEX", k, min, max], words(found));
            c.expect(&["ZREVRANGEBYLEX", k, max, min], words(&backwards));
            c.expect(&["ZRANGE", k, max, min, "REV", "BYLEX"], words(&backwards));
        }
        c.expect(&["ZRANGEBYLEX", k, "-", "+", "LIMIT", "1", "2"], words("b bb"));
        c.expect(&["ZRANGEBYLEX", k, "b", "+"], err(NOT_AN_ITEM));
        c.expect(&["ZLEXCOUNT", k, "-", "x"], err(NOT_AN_ITEM));
        c.expect(
            &["ZRANGE", k, "-", "+", "BYLEX", "WITHSCORES"],
            err("ERR syntax error, WITHSCORES not supported in combination with BYLEX"),
        );
    });
}

#[test]
fn ranges_are_removed() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        fill(&mut c, k, "1 a 2 b 3 c 4 d 5 e 6 f 7 g");
        c.expect(&["ZREMRANGEBYRANK", k, "1", "2"], 2);
        c.expect(&["ZREMRANGEBYSCORE", k, "(4", "5"], 1);
        c.expect(&["ZRANGE", k, "0", "-1"], words("a d f g"));
        c.expect(&["ZREMRANGEBYRANK", k, "9", "12"], 0);
        c.expect(&["ZREMRANGEBYSCORE", k, "x", "5"], err(NOT_A_FLOAT));
        c.expect(&["ZREMRANGEBYRANK", k, "x", "5"], err(WRONG_INT));
        c.expect(&["ZREMRANGEBYRANK", k, "0", "-1"], 4);
        c.expect(&["EXISTS", k], 0);
        fill(&mut c, k, "0 a 0 b 0 c");
        c.expect(&["ZREMRANGEBYLEX", k, "(a", "[b"], 1);
        c.expect(&["ZREMRANGEBYLEX", k, "-", "+"], 2);
        c.expect(&["EXISTS", k], 0);
    });
}

#[test]
fn ranges_are_stored() {
    each_form(|s| {
        let (mut c, [k, to]) = (s.client(), &s.keys(["k", "to"]));
        fill(&mut c, k, "1 a 2 b 3 c 4 d");
        c.expect(&["SET", to, "another type"], ok());
        c.expect(&["ZRANGESTORE", to, k, "1", "2"], 2);
        c.expect(&["ZRANGE", to, "0", "-1", "WITHSCORES"], scored(s, "b 2 c 3"));
        c.expect(&["ZRANGESTORE", to, k, "(3", "-inf", "BYSCORE", "REV", "LIMIT", "1", "5"], 1);
        c.expect(&["ZRANGE", to, "0", "-1", "WITHSCORES"], scored(s, "a 1"));
        c.expect(&["ZRANGESTORE", k, k, "0", "1"], 2);
        c.expect(&["ZRANGE", k, "0", "-1"], words("a b"));
        c.expect(&["ZRANGESTORE", to, k, "5", "9"], 0);
        c.expect(&["EXISTS", to], 0);
        c.expect(&["ZRANGESTORE", to, k, "0", "-1", "WITHSCORES"], err(SYNTAX));
        c.expect(&["SET", to, "another type"], ok());
        c.expect(&["ZRANGESTORE", k, to, "0", "-1"], err(WRONG_TYPE));
        c.expect(&["ZCARD", k], 2);
    });
}

#[test]
fn ends_are_popped() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        fill(&mut c, k, "1 a 2 b 3 c 4 d 5 e 6 f");
        c.expect(&["ZPOPMIN", k], flat("a 1"));
        c.expect(&["ZPOPMAX", k], flat("f 6"));
        c.expect(&["ZPOPMAX", k, "2"], scored(s, "e 5 d 4"));
        c.expect(&["ZPOPMIN", k, "0"], words(""));
        c.expect(&["ZPOPMIN", k, "-1"], err(NOT_POSITIVE));
        c.expect(&["ZPOPMIN", k, "x"], err(NOT_POSITIVE));
        c.expect(&["ZPOPMIN", k, "1", "1"], err(SYNTAX));
        c.expect(&["ZPOPMIN", k, "9"], scored(s, "b 2 c 3"));
        c.expect(&["EXISTS", k], 0);
        c.expect(&["ZPOPMIN", k], words(""));
        c.expect(&["ZPOPMAX", k, "3"], words(""));
    });
}

#[test]
fn the_first_key_that_there_is_is_popped() {
    each_form(|s| {
        let (mut c, [no, a, b]) = (s.client(), &s.keys(["no", "a", "b"]));
        fill(&mut c, a, "1 a 2 b 3 c");
        fill(&mut c, b, "7 x");
        c.expect(&["ZMPOP", "3", no, a, b, "MIN"], array([bulk(a), nested("a 1")]));
        c.expect(&["ZMPOP", "2", b, a, "MAX", "COUNT", "5"], array([bulk(b), nested("x 7")]));
        c.expect(&["ZMPOP", "3", no, b, a, "max", "count", "5"], array([bulk(a), nested("c 3 b 2")]));
        c.expect(&["ZMPOP", "3", no, b, a, "MIN"], nil_array());
        for (line, error) in [
            (vec!["0", a, "MIN"], "ERR numkeys should be greater than 0"),
            (vec!["x", a, "MIN"], "ERR numkeys should be greater than 0"),
            (vec!["2", a, "MIN"], SYNTAX),
            (vec!["1", a, "LEFT"], SYNTAX),
            (vec!["1", a, "MIN", "COUNT", "0"], "ERR count should be greater than 0"),
            (vec!["1", a, "MIN", "COUNT", "1", "COUNT", "1"], SYNTAX),
        ] {
            c.expect(&[&["ZMPOP"], &line[..]].concat()[..], err(error));
            c.expect(&[&["BZMPOP", "0"], &line[..]].concat()[..], err(error));
        }
        c.expect(&["SET", b, "another type"], ok());
        c.expect(&["ZMPOP", "2", no, b, "MIN"], err(WRONG_TYPE));
        c.expect(&["BZPOPMIN", no, b, "0"], err(WRONG_TYPE));
    });
}

#[test]
fn unions_intersections_and_differences() {
    each_form(|s| {
        let (mut c, [a, b, no]) = (s.client(), &s.keys(["a", "b", "no"]));
        fill(&mut c, a, "1 x 2 y 3 z");
        fill(&mut c, b, "10 y 20 z 30 w");
        c.expect(&["ZUNION", "2", a, b, "WITHSCORES"], scored(s, "x 1 y 12 z 23 w 30"));
        c.expect(&["ZUNION", "3", a, b, no], words("x y z w"));
        c.expect(&["ZINTER", "2", a, b, "WITHSCORES"], scored(s, "y 12 z 23"));
        c.expect(&["ZINTER", "3", a, b, no], words(""));
        c.expect(&["ZDIFF", "2", a, b, "WITHSCORES"], scored(s, "x 1"));
        c.expect(&["ZDIFF", "2", no, a], words(""));
        c.expect(
            &["ZUNION", "2", a, b, "WEIGHTS", "2", "-1", "AGGREGATE", "MIN", "WITHSCORES"],
            scored(s, "w -30 z -20 y -10 x 2"),
        );
        c.expect(
            &["ZINTER", "2", a, b, "AGGREGATE", "MAX", "WEIGHTS", "100", "0.5", "WITHSCORES"],
            scored(s, "y 200 z 300"),
        );
        if !s.is_redis() {
            c.expect(
                &["ZUNION", "2", a, b, "WEIGHTS", "2", "3", "AGGREGATE", "COUNT", "WITHSCORES"],
                scored(s, "x 2 w 3 y 5 z 5"),
            );
        }
        c.expect(&["ZINTERCARD", "2", a, b], 2);
        c.expect(&["ZINTERCARD", "2", a, b, "LIMIT", "1"], 1);
        c.expect(&["ZINTERCARD", "2", a, b, "LIMIT", "0"], 2);
        c.expect(&["ZUNION", "2", a, a, "WITHSCORES"], scored(s, "x 2 y 4 z 6"));
    });
}

#[test]
fn sets_are_sorted_sets_with_ones() {
    each_form(|s| {
        let (mut c, [a, b, ints, to]) = (s.client(), &s.keys(["a", "b", "ints", "to"]));
        fill(&mut c, a, "5 x 6 y 7 12");
        c.expect(&["SADD", b, "x", "w"], 2);
        c.expect(&["SADD", ints, "12", "13"], 2);
        c.expect(&["ZUNION", "2", a, b, "WITHSCORES"], scored(s, "w 1 x 6 y 6 12 7"));
        c.expect(&["ZINTER", "2", b, a, "WEIGHTS", "2", "1", "WITHSCORES"], scored(s, "x 7"));
        c.expect(&["ZDIFF", "3", a, b, ints], words("y"));
        c.expect(&["ZINTERCARD", "2", ints, a], 1);
        c.expect(&["ZUNIONSTORE", to, "3", a, b, ints], 5);
        c.expect(&["ZRANGE", to, "0", "-1", "WITHSCORES"], scored(s, "13 1 w 1 x 6 y 6 12 8"));
        c.expect(&["ZUNIONSTORE", b, "1", b], 2);
        c.expect(&["TYPE", b], simple("zset"));
    });
}

#[test]
fn results_are_stored() {
    each_form(|s| {
        let (mut c, [a, b, to]) = (s.client(), &s.keys(["a", "b", "to"]));
        fill(&mut c, a, "1 x 2 y inf z");
        fill(&mut c, b, "10 y -inf z 30 w");
        c.expect(&["SET", to, "another type"], ok());
        c.expect(&["ZUNIONSTORE", to, "2", a, b], 4);
        c.expect(&["ZRANGE", to, "0", "-1", "WITHSCORES"], scored(s, "z 0 x 1 y 12 w 30"));
        c.expect(&["ZINTERSTORE", to, "2", a, b, "AGGREGATE", "MIN"], 2);
        c.expect(&["ZRANGE", to, "0", "-1", "WITHSCORES"], scored(s, "z -inf y 2"));
        c.expect(&["ZDIFFSTORE", to, "2", a, b], 1);
        c.expect(&["ZRANGE", to, "0", "-1", "WITHSCORES"], scored(s, "x 1"));
        c.expect(&["ZINTERSTORE", to, "2", to, b], 0);
        c.expect(&["EXISTS", to], 0);
        c.expect(&["ZUNIONSTORE", a, "2", a, b, "WEIGHTS", "0", "1"], 4);
        c.expect(&["ZRANGE", a, "0", "-1", "WITHSCORES"], scored(s, "z -inf x 0 y 10 w 30"));
        c.expect(&["SET", to, "another type"], ok());
        c.expect(&["ZUNIONSTORE", b, "2", a, to], err(WRONG_TYPE));
        c.expect(&["ZCARD", b], 3);
    });
}

#[test]
fn what_combinations_refuse() {
    each_placement(|s| {
        let (mut c, [a, b]) = (s.client(), &s.keys(["a", "b"]));
        for (line, error) in [
            (vec!["ZUNION", "0", a], "ERR at least 1 input key is needed for 'zunion' command"),
            (vec!["ZINTERCARD", "-1", a], "ERR at least 1 input key is needed for 'zintercard' command"),
            (vec!["ZUNIONSTORE", b, "0", a], "ERR at least 1 input key is needed for 'zunionstore' command"),
            (vec!["ZDIFF", "x", a], WRONG_INT),
            (vec!["ZDIFF", "2", a], SYNTAX),
            (vec!["ZDIFF", "1", a, "WEIGHTS", "1"], SYNTAX),
            (vec!["ZUNION", "1", a, "WEIGHTS", "x"], "ERR weight value is not a float"),
            (vec!["ZUNION", "2", a, b, "WEIGHTS", "1"], SYNTAX),
            (vec!["ZUNION", "1", a, "AGGREGATE", "AVG"], SYNTAX),
            (vec!["ZUNION", "2", a, b, "LIMIT", "1"], SYNTAX),
            (vec!["ZINTERCARD", "2", a, b, "LIMIT", "-1"], "ERR LIMIT can't be negative"),
            (vec!["ZUNIONSTORE", b, "1", a, "WITHSCORES"], SYNTAX),
        ] {
            c.expect(&line[..], err(error));
        }
    });
}

#[test]
fn what_is_missing_is_an_empty_sorted_set() {
    each_placement(|s| {
        let (mut c, no) = (s.client(), &s.key("no"));
        for (line, reply) in [
            ("ZCARD", int(0)),
            ("ZSCORE m", nil()),
            ("ZMSCORE m n", array([nil(), nil()])),
            ("ZRANK m", nil()),
            ("ZREM m", int(0)),
            ("ZCOUNT 1 2", int(0)),
            ("ZLEXCOUNT - +", int(0)),
            ("ZRANGE 0 -1", words("")),
            ("ZRANGEBYSCORE 1 2 WITHSCORES", words("")),
            ("ZREMRANGEBYRANK 0 -1", int(0)),
            ("ZRANDMEMBER", nil()),
            ("ZRANDMEMBER 3", words("")),
            ("ZSCAN 0", array([bulk("0"), words("")])),
        ] {
            let mut line = with(&[], line);
            line.insert(1, no);
            c.expect(&line[..], reply);
        }
        c.expect(&["SET", no, "v"], ok());
        for line in
            ["ZCARD", "ZSCORE m", "ZADD 1 m", "ZREM m", "ZRANGE 0 -1", "ZPOPMIN", "ZSCAN 0", "ZRANDMEMBER"]
        {
            let mut line = with(&[], line);
            line.insert(1, no);
            c.expect(&line[..], err(WRONG_TYPE));
        }
    });
}

#[test]
fn random_members() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        let all: Vec<String> = (0..40).map(|n| format!("m{n}")).collect();
        for (n, member) in all.iter().enumerate() {
            c.expect(&args!["ZADD", k, n, member], 1);
        }
        let is_member = |value: &Value| all.contains(&value.text());
        c.expect_that(&["ZRANDMEMBER", k], is_member);
        for count in ["1", "5", "13", "39", "40", "100"] {
            let shown = c.call(&["ZRANDMEMBER", k, count]).elements();
            let mut texts: Vec<String> = shown.iter().map(Value::text).collect();
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), count.parse::<usize>().unwrap().min(40));
            assert!(shown.iter().all(is_member));
        }
        let shown = c.call(&["ZRANDMEMBER", k, "-100"]).elements();
        assert!(shown.len() == 100 && shown.iter().all(is_member));
        let pairs = c.call(&["ZRANDMEMBER", k, "3", "WITHSCORES"]).elements();
        assert_eq!(pairs.len(), if s.is_resp3() { 3 } else { 6 });
        c.expect(&["ZRANDMEMBER", k, "0"], words(""));
        c.expect(&["ZRANDMEMBER", k, "x"], err(WRONG_INT));
        c.expect(&["ZRANDMEMBER", k, "1", "SCORES"], err(SYNTAX));
    });
}

#[test]
fn a_scan_shows_every_member() {
    each_form(|s| {
        let (mut c, k) = (s.client(), &s.key("k"));
        for n in 0..300 {
            c.expect(&args!["ZADD", k, n, format!("m{n}")], 1);
        }
        let (mut cursor, mut seen) = ("0".to_owned(), std::collections::BTreeMap::new());
        loop {
            let reply = c.call(&["ZSCAN", k, &cursor, "COUNT", "20"]).elements();
            for pair in reply[1].elements().chunks(2) {
                seen.insert(pair[0].text(), pair[1].text());
            }
            cursor = reply[0].text();
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), 300);
        assert!(seen.iter().all(|(member, score)| member[1..] == *score));
        let found = c.call(&["ZSCAN", k, "0", "MATCH", "m29?", "COUNT", "1000"]).elements();
        assert_eq!(found[1].elements().len(), 20);
        c.expect(&["ZSCAN", k, "x"], err("ERR invalid cursor"));
        c.expect(&["ZSCAN", k, "0", "COUNT", "0"], err(SYNTAX));
    });
}

#[test]
fn encodings() {
    each_setup(|s| {
        let mut c = s.client();
        for n in 0..128 {
            c.expect(&args!["ZADD", "k", n, format!("m{n}")], 1);
        }
        c.expect("OBJECT ENCODING k", "listpack");
        c.expect("ZADD k 1 one-more", 1);
        c.expect("OBJECT ENCODING k", "skiplist");
        c.expect("ZREMRANGEBYRANK k 0 120", 121);
        c.expect("OBJECT ENCODING k", "skiplist");
        c.expect("ZUNIONSTORE k 1 k", 8);
        c.expect("OBJECT ENCODING k", "listpack");
        c.expect(&args!["ZADD", "k", 1, "x".repeat(65)], 1);
        c.expect("OBJECT ENCODING k", "skiplist");
        c.expect(&args!["ZADD", "long", 1, "x".repeat(64)], 1);
        c.expect("OBJECT ENCODING long", "listpack");
    });
}

#[test]
fn dumps_come_back() {
    each_form(|s| {
        let (mut c, [k, copy]) = (s.client(), &s.keys(["k", "copy"]));
        for n in 0..200 {
            c.expect(&args!["ZADD", k, format!("{}", f64::from(n) * 0.7), format!("member {n}")], 1);
        }
        let dumped = c.call(&["DUMP", k]);
        c.expect(&args!["RESTORE", copy, "0", dumped.bytes()], ok());
        let all = c.call(&["ZRANGE", k, "0", "-1", "WITHSCORES"]);
        c.expect(&["ZRANGE", copy, "0", "-1", "WITHSCORES"], all.clone());
        c.expect(&["DEL", copy], 1);
        c.expect(&["COPY", k, copy], 1);
        c.expect(&["RENAME", copy, k], ok());
        c.expect(&["ZRANGE", k, "0", "-1", "WITHSCORES"], all);
    });
}

/// Waits until so many clients wait for keys.
fn wait_for_blocked(c: &mut Client, count: usize) {
    wait_until("clients wait for their keys", Duration::from_secs(60), || {
        c.call("INFO clients").text().contains(&format!("blocked_clients:{count}\r\n"))
    });
}

#[test]
fn who_waits_gets_what_comes() {
    each_form(|s| {
        let [a, b] = &s.keys(["a", "b"]);
        let (mut c, mut waiter) = (s.client(), s.client());
        let popped = |text: &str| {
            let (member, score) = text.split_once(' ').expect("two words");
            array([bulk(a), bulk(member), double(score)])
        };
        for (line, served) in [
            (vec!["BZPOPMIN", b, a, "0"], popped("x 1")),
            (vec!["BZPOPMAX", a, b, "0"], popped("y 2.5")),
            (vec!["BZMPOP", "0", "2", b, a, "MAX", "COUNT", "5"], array([bulk(a), nested("y 2.5 x 1")])),
        ] {
            waiter.send(&line[..]);
            wait_for_blocked(&mut c, 1);
            fill(&mut c, a, "1 x 2.5 y");
            waiter.expect_next(served);
            c.call(&["DEL", a]);
        }
        fill(&mut c, a, "1 x 2 y");
        c.expect(&["BZPOPMAX", b, a, "0"], popped("y 2"));
        c.expect(&["BZPOPMIN", b, a, "0"], popped("x 1"));
        c.expect(&["BZPOPMIN", b, a, "0.01"], nil_array());
        c.expect(&["BZMPOP", "0.01", "2", b, a, "MIN"], nil_array());
        c.expect(&["BZPOPMIN", a, "x"], err("ERR timeout is not a float or out of range"));
        c.expect(&["BZPOPMIN", a, "-1"], err("ERR timeout is negative"));
        c.expect("MULTI", ok());
        c.expect(&["BZPOPMIN", a, b, "0"], simple("QUEUED"));
        c.expect("EXEC", array([nil_array()]));
    });
}

#[test]
fn a_stored_result_serves_who_waits() {
    each_form(|s| {
        let [a, b, to] = &s.keys(["a", "b", "to"]);
        let (mut c, mut waiter) = (s.client(), s.client());
        fill(&mut c, a, "1 x 2 y");
        fill(&mut c, b, "3 z");
        waiter.send(&["BZPOPMAX", to, "0"]);
        wait_for_blocked(&mut c, 1);
        c.expect(&["ZUNIONSTORE", to, "2", a, b], 3);
        waiter.expect_next(array([bulk(to), bulk("z"), double("3")]));
        c.expect(&["ZCARD", to], 2);
    });
}
