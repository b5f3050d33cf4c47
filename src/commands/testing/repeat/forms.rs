//! What commands log, word for word: nearly always what Redis 7 logs, where it knows the command.

use super::Logged;

/// Checks a conversation: a line, and what it logs.
#[track_caller]
fn check(shards: usize, conversation: &[(&str, &str)]) {
    let mut logged = Logged::new(shards);
    for (line, forms) in conversation {
        assert_eq!(logged.logs(line), *forms, "{line}");
    }
}

/// The time at which a node begins, and a second later.
const NOW: &str = "1700000000000";
const SOON: &str = "1700000001000";

fn soon(text: &str) -> String {
    text.replace("SOON", SOON).replace("NOW", NOW)
}

#[track_caller]
fn check_times(conversation: &[(&str, &str)]) {
    let told: Vec<(&str, String)> = conversation.iter().map(|(line, forms)| (*line, soon(forms))).collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(line, forms)| (*line, forms.as_str())).collect();
    check(1, &told);
}

#[test]
fn times_are_absolute() {
    check_times(&[
        ("SET s v EX 1", "SET s v PXAT SOON"),
        ("SET s v GET PX 1000", "SET s v PXAT SOON"),
        ("SET s w XX KEEPTTL", "SET s w KEEPTTL"),
        ("SET s v NX", ""),
        ("SET s w IFEQ x", ""),
        ("SET s v IFEQ w", "SET s v"),
        ("SETEX s 1 v", "SET s v PXAT SOON"),
        ("PSETEX s 1000 v", "SET s v PXAT SOON"),
        ("GETEX s", ""),
        ("GETEX s EX 1", "PEXPIREAT s SOON"),
        ("GETEX s PERSIST", "PERSIST s"),
        ("GETEX s PERSIST", ""),
        ("GETEX s EXAT 1", "DEL s"),
        ("INCRBY s 7", "INCRBY s 7"),
        ("EXPIRE s 1", "PEXPIREAT s SOON"),
        ("EXPIRE s 1 NX", ""),
        ("PEXPIRE s 1000 XX", "PEXPIREAT s SOON"),
        ("INCRBYFLOAT s 0.5", "SET s 7.5 KEEPTTL"),
        ("EXPIREAT s 1", "DEL s"),
        ("EXPIRE s 1", ""),
        ("INCREX s BYINT 3 EX 1", "SET s 3 PXAT SOON"),
        ("DELEX s IFEQ 4", ""),
        ("DELEX s IFEQ 3", "DEL s"),
        ("MSETEX 2 a 1 b 2 EX 1", "MULTI | SET a 1 PXAT SOON | SET b 2 PXAT SOON | EXEC"),
        ("HSET h f 1 g 2", "HSET h f 1 g 2"),
        ("HEXPIRE h 1 FIELDS 2 f x", "HPEXPIREAT h SOON FIELDS 1 f"),
        ("HINCRBYFLOAT h f 1.5", "MULTI | HSET h f 2.5 | HPEXPIREAT h SOON FIELDS 1 f | EXEC"),
        ("HPERSIST h FIELDS 1 f", "HPERSIST h FIELDS 1 f"),
        ("HPERSIST h FIELDS 1 f", ""),
        ("HGETEX h EX 1 FIELDS 1 f", "HPEXPIREAT h SOON FIELDS 1 f"),
        ("HEXPIREAT h 1 FIELDS 1 f", "HDEL h f"),
        ("HSETEX h FXX FIELDS 1 x 1", ""),
        ("HSETEX h EX 1 FIELDS 1 f 1", "MULTI | HSET h f 1 | HPEXPIREAT h SOON FIELDS 1 f | EXEC"),
        ("HSETEX h KEEPTTL FIELDS 1 f 2", "MULTI | HSET h f 2 | HPEXPIREAT h SOON FIELDS 1 f | EXEC"),
        ("HGETDEL h FIELDS 2 f x", "HDEL h f"),
    ]);
}

#[test]
fn what_waited_did_what_its_sisters_do() {
    check(
        1,
        &[
            ("BLPOP l 0", ""),
            ("RPUSH l a b c d e f", "RPUSH l a b c d e f"),
            ("BLPOP l 0", "LPOP l"),
            ("BRPOP x l 0", "RPOP l"),
            ("BLMPOP 0 2 x l LEFT COUNT 2", "LPOP l 2"),
            ("BLMOVE l m LEFT RIGHT 0", "LMOVE l m LEFT RIGHT"),
            ("BRPOPLPUSH l m 0", "LMOVE l m RIGHT LEFT"),
            ("LMOVEM m m LEFT LEFT COUNT 2 OBO", "MULTI | LSET m 0 d | LSET m 1 e | EXEC"),
            ("LMOVEM m l LEFT RIGHT COUNT 2 OBO", "MULTI | LPOP m 2 | RPUSH l d e | EXEC"),
            ("ZADD z 1 a 2 b 3 c", "ZADD z 1 a 2 b 3 c"),
            ("BZPOPMIN z 0", "ZPOPMIN z 1"),
            ("BZMPOP 0 1 z MAX COUNT 9", "ZPOPMAX z 9"),
            ("SADD e a", "SADD e a"),
            ("SPOP e", "SREM e a"),
            ("SADD e a", "SADD e a"),
            ("SPOP e 3", "DEL e"),
        ],
    );
}

#[test]
fn streams_tell_what_was_given_to_whom() {
    let claim = |id: &str| format!("XCLAIM x g c 0 {id} TIME NOW RETRYCOUNT 1 FORCE JUSTID");
    check_times(&[
        ("XADD x 5 f v", "XADD x 5 f v"),
        ("XADD x * f v", "XADD x NOW-0 f v"),
        ("XADD x * f v", "XADD x NOW-1 f v"),
        ("XADD x MAXLEN ~ 1 * f v", "XADD x NOW-2 f v"),
        ("XADD x MAXLEN ~ 1 * f v", "XADD x MAXLEN = 1 NOW-3 f v"),
        ("XADD x MAXLEN ~ 1 * f v", "XADD x NOW-4 f v"),
        ("XTRIM x MAXLEN ~ 2", ""),
        ("XGROUP CREATE x g 0", "XGROUP CREATE x g 0"),
        (
            "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
            &format!("MULTI | {} | XGROUP SETID x g NOW-3 ENTRIESREAD 5 | EXEC", claim("NOW-3")),
        ),
        (
            "XREADGROUP GROUP g d NOACK STREAMS x >",
            "MULTI | XGROUP CREATECONSUMER x g d | XGROUP SETID x g NOW-4 ENTRIESREAD 6 | EXEC",
        ),
        ("XREADGROUP GROUP g d STREAMS x >", ""),
        ("XREADGROUP GROUP g d STREAMS x 0", ""),
        ("XREADGROUP GROUP g c STREAMS x 0", &claim("NOW-3").replace("COUNT 1", "COUNT 2")),
        ("XAUTOCLAIM x g d 0 0 JUSTID", &claim("NOW-3").replace(" c ", " d ").replace("COUNT 1", "COUNT 2")),
        ("XDELEX x DELREF IDS 1 1700000000000-3", "MULTI | XDEL x NOW-3 | XACK x g NOW-3 | EXEC"),
        ("XSETID x 1700000009999-0", "XSETID x 1700000009999-0"),
    ]);
}

#[test]
fn trimming_as_redis_logs_it_is_repeated() {
    let mut node = super::Node::new(1, super::FAMILIES);
    let mut ask = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        String::from_utf8(node.run(&words)).unwrap()
    };
    for id in 1..=9 {
        ask(&format!("XADD x {id} f v"));
    }
    let line = "XTRIM x MAXLEN = 2 LIMIT 5";
    assert!(ask(line).starts_with("-ERR syntax error"));
    node.shards[0].settings.replaying = true;
    assert_eq!(node.run(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()), b":7\r\n");
}

#[test]
fn over_shards_everyone_says_its_own_part() {
    check(
        3,
        &[
            ("RPUSH a 1 2 3", "RPUSH a 1 2 3"),
            ("LMOVE a b LEFT RIGHT", "RPUSH b 1 | LPOP a"),
            ("RPOPLPUSH a b", "LPUSH b 3 | RPOP a"),
            ("LMPOP 2 x b LEFT COUNT 9", "LPOP b 9"),
            ("SADD s 1 2", "SADD s 1 2"),
            ("SMOVE s t 1", "SREM s 1 | SADD t 1"),
            ("SMOVE s t 1", ""),
            ("FLUSHALL", "FLUSHALL"),
            ("SWAPDB 0 1", "SWAPDB 0 1"),
        ],
    );
}

#[test]
fn what_is_read_says_only_what_time_took() {
    let mut logged = Logged::new(1);
    logged.logs("HSET h f 1 g 2");
    logged.logs("HPEXPIRE h 10 FIELDS 1 f");
    logged.logs("SET s v PX 10");
    logged.node.advance_ms(10);
    assert_eq!(logged.logs("GET s"), "DEL s");
    assert_eq!(logged.logs("HGETALL h"), "");
    assert_eq!(logged.logs("HINCRBY h f 1"), "HDEL h f | HINCRBY h f 1");
    logged.logs("HPEXPIRE h 10 FIELDS 2 f g");
    logged.node.advance_ms(10);
    logged.expire();
    assert_eq!(logged.collect().split(' ').count(), 4, "one HDEL of two fields");
    assert_eq!(logged.logs("EXISTS h"), "");
}
