use super::ROWS;
use crate::commands::testing::recording::replay;
use crate::commands::testing::{Bench, NOW_MS};
use crate::commands::{keys, strings};

fn bench() -> Bench {
    Bench::new(&[ROWS, strings::ROWS, keys::ROWS])
}

/// What changes keys of streams and Redis 7.0 does not tell of.
const UNTOLD: &[&str] = &["xack", "xclaim", "xautoclaim", "xreadgroup"];

/// What Redis 7.0.15 was asked, with nodes of ten entries. The number of radix-tree-nodes is ours: keys and one.
fn replay_recorded(mut bench: Bench) {
    bench.shard.settings.encodings.stream_node_entries = 10;
    replay(bench, include_str!("recorded.txt"), UNTOLD);
}

#[test]
fn replies_and_events_are_those_of_redis_in_resp2() {
    replay_recorded(bench());
}

#[test]
fn replies_and_events_are_those_of_redis_in_resp3() {
    replay_recorded(bench().resp3());
}

#[test]
fn ids_come_from_the_clock_and_never_go_back() {
    let mut bench = bench();
    assert_eq!(bench.ask("XADD s * f v"), format!("$15\r\n{NOW_MS}-0\r\n"));
    assert_eq!(bench.ask("XADD s * f v"), format!("$15\r\n{NOW_MS}-1\r\n"));
    bench.shard.now_ms += 1;
    assert_eq!(bench.ask("XADD s * f v"), format!("$15\r\n{}-0\r\n", NOW_MS + 1));
    bench.shard.now_ms -= 10;
    assert_eq!(bench.ask("XADD s * f v"), format!("$15\r\n{}-1\r\n", NOW_MS + 1));
}

#[test]
fn what_waits_long_enough_is_claimed() {
    let mut bench = bench();
    bench.ask("XADD s 1 f v");
    bench.ask("XADD s 2 f v");
    bench.ask("XADD s 3 f v");
    bench.ask("XGROUP CREATE s g 0");
    bench.ask("XREADGROUP GROUP g al COUNT 1 STREAMS s >");
    bench.shard.now_ms += 50;
    bench.ask("XREADGROUP GROUP g al COUNT 1 STREAMS s >");
    bench.shard.now_ms += 50;
    assert_eq!(
        bench.ask("XPENDING s g IDLE 100 - + 5"),
        "*1\r\n*4\r\n$3\r\n1-0\r\n$2\r\nal\r\n:100\r\n:1\r\n"
    );
    assert_eq!(bench.ask("XCLAIM s g bo 100 1 2 JUSTID"), "*1\r\n$3\r\n1-0\r\n");
    assert_eq!(bench.ask("XCLAIM s g bo 0 2 IDLE 30 JUSTID"), "*1\r\n$3\r\n2-0\r\n");
    assert_eq!(
        bench.ask("XPENDING s g - + 5 bo"),
        "*2\r\n*4\r\n$3\r\n1-0\r\n$2\r\nbo\r\n:0\r\n:1\r\n*4\r\n$3\r\n2-0\r\n$2\r\nbo\r\n:30\r\n:1\r\n"
    );
    bench.shard.now_ms += 20;
    assert_eq!(bench.ask("XAUTOCLAIM s g ce 40 0 JUSTID"), "*3\r\n$3\r\n0-0\r\n*1\r\n$3\r\n2-0\r\n*0\r\n");
    // Idle for so long, delivered so often; new entries have waited for nothing.
    assert_eq!(
        bench.ask("XREADGROUP GROUP g de CLAIM 20 STREAMS s >"),
        "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*4\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n:20\r\n:1\r\n\
         *4\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n:0\r\n:0\r\n"
    );
    assert_eq!(bench.ask("XPENDING s g - + 5 de").matches("de").count(), 2);
    assert_eq!(
        bench.ask("XREADGROUP GROUP g de CLAIM x STREAMS s >"),
        "-ERR min-idle-time is not an integer\r\n"
    );
}

#[test]
fn consumers_are_seen_when_they_get_something() {
    let mut bench = bench();
    bench.ask("XADD s 1 f v");
    bench.ask("XGROUP CREATE s g 0");
    bench.ask("XREADGROUP GROUP g al STREAMS s >");
    bench.shard.now_ms += 70;
    assert_eq!(
        bench.ask("XINFO CONSUMERS s g"),
        "*1\r\n*6\r\n$4\r\nname\r\n$2\r\nal\r\n$7\r\npending\r\n:1\r\n$4\r\nidle\r\n:70\r\n"
    );
    bench.ask("XREADGROUP GROUP g al STREAMS s 0");
    assert!(bench.ask("XINFO CONSUMERS s g").ends_with("idle\r\n:0\r\n"));
    let full = bench.ask("XINFO STREAM s FULL");
    assert!(full.contains(&format!("seen-time\r\n:{}\r\n", NOW_MS + 70)), "{full}");
    assert!(full.contains(&format!("*3\r\n$3\r\n1-0\r\n:{}\r\n:2\r\n", NOW_MS + 70)), "{full}");
}

#[test]
fn what_is_given_back_belongs_to_nobody_and_comes_first() {
    let mut bench = bench();
    for id in 1..=4 {
        bench.ask(&format!("XADD s {id} f v"));
    }
    assert_eq!(bench.ask("XNACK s g FAIL IDS 1 1").split(' ').next(), Some("-NOGROUP"));
    bench.ask("XGROUP CREATE s g 0");
    bench.ask("XREADGROUP GROUP g al COUNT 3 STREAMS s >");
    assert_eq!(bench.ask("XNACK s g FAIL IDS 2 2 9"), ":1\r\n");
    assert_eq!(bench.ask("XNACK s g SILENT IDS 1 3"), ":1\r\n");
    assert_eq!(bench.ask("XNACK s g FAIL IDS 1 4 RETRYCOUNT 5 FORCE"), ":1\r\n");
    assert_eq!(
        bench.ask("XPENDING s g 2 + 9"),
        "*3\r\n*4\r\n$3\r\n2-0\r\n$0\r\n\r\n:-1\r\n:1\r\n*4\r\n$3\r\n3-0\r\n$0\r\n\r\n:-1\r\n:0\r\n\
         *4\r\n$3\r\n4-0\r\n$0\r\n\r\n:-1\r\n:5\r\n"
    );
    assert_eq!(
        bench.ask("XPENDING s g"),
        "*4\r\n:4\r\n$3\r\n1-0\r\n$3\r\n4-0\r\n*1\r\n*2\r\n$2\r\nal\r\n$1\r\n1\r\n"
    );
    assert_eq!(bench.ask("XACK s g 4"), ":1\r\n");
    assert_eq!(bench.ask("XCLAIM s g bo 99999 2 JUSTID"), "*1\r\n$3\r\n2-0\r\n");
    assert_eq!(bench.ask("XNACK s g FATAL IDS 1 2"), ":1\r\n");
    assert!(bench.ask("XPENDING s g 2 2 9").ends_with(":9223372036854775807\r\n"));
    assert_eq!(bench.ask("XNACK s g WORSE IDS 1 2"), "-ERR syntax error\r\n");
    assert_eq!(
        bench.ask("XNACK s g FAIL IDS 2 2"),
        "-ERR The `numids` parameter must match the number of arguments\r\n"
    );
    assert_eq!(bench.ask("XNACK s g FAIL IDS x 2"), "-ERR Number of IDs must be a positive integer\r\n");
}

#[test]
fn references_are_kept_deleted_or_waited_for() {
    let mut bench = bench();
    let fill = |bench: &mut Bench| {
        bench.ask("DEL s");
        for id in 1..=5 {
            bench.ask(&format!("XADD s {id} f v"));
        }
        bench.ask("XGROUP CREATE s g 0");
        bench.ask("XGROUP CREATE s h 0");
        bench.ask("XREADGROUP GROUP g al COUNT 4 STREAMS s >");
        bench.ask("XREADGROUP GROUP h al COUNT 4 STREAMS s >");
    };
    fill(&mut bench);
    assert_eq!(bench.ask("XDELEX s ACKED IDS 2 1 9"), "*2\r\n:2\r\n:-1\r\n");
    assert_eq!(bench.ask("XACKDEL s g ACKED IDS 2 1 5"), "*2\r\n:2\r\n:-1\r\n");
    assert_eq!(bench.ask("XACKDEL s h ACKED IDS 1 1"), "*1\r\n:1\r\n");
    assert_eq!(bench.ask("XDELEX s ACKED IDS 1 5"), "*1\r\n:2\r\n");
    assert_eq!(bench.ask("XDELEX s DELREF IDS 1 2"), "*1\r\n:1\r\n");
    assert_eq!(bench.ask("XPENDING s g - + 9 nobody"), "*0\r\n");
    assert!(bench.ask("XPENDING s h").starts_with("*4\r\n:2\r\n$3\r\n3-0"));
    assert_eq!(bench.ask("XDELEX s IDS 1 3"), "*1\r\n:1\r\n");
    assert!(bench.ask("XPENDING s h").starts_with("*4\r\n:2\r\n"));
    assert_eq!(bench.ask("XDELEX none KEEPREF IDS 2 3 4"), "*2\r\n:-1\r\n:-1\r\n");
    assert_eq!(bench.ask("XACKDEL none g KEEPREF IDS 1 3"), "*1\r\n:-1\r\n");
    assert_eq!(bench.ask("XDELEX s KEEPREF DELREF IDS 1 3"), "-ERR syntax error\r\n");

    fill(&mut bench);
    bench.ask("XACK s g 1 2 3");
    bench.ask("XACK s h 1 3");
    assert_eq!(bench.ask("XTRIM s MAXLEN 0 ACKED"), ":2\r\n");
    assert_eq!(bench.ask("XTRIM s MINID 3 ACKED"), ":0\r\n");
    assert_eq!(bench.ask("XTRIM s MAXLEN 1 DELREF"), ":2\r\n");
    assert_eq!(bench.ask("XPENDING s g").split("\r\n").nth(1), Some(":0"));
    assert_eq!(bench.ask("XADD s MAXLEN 1 KEEPREF 6 f v"), "$3\r\n6-0\r\n");
    assert_eq!(bench.ask("XLEN s"), ":1\r\n");

    fill(&mut bench);
    bench.shard.settings.encodings.stream_node_entries = 2;
    for id in 6..=9 {
        bench.ask(&format!("XADD s {id} f v"));
    }
    bench.ask("XACK s g 1 2 3 4");
    bench.ask("XACK s h 1 2 3 4");
    // The first node has five entries; whole nodes only.
    assert_eq!(bench.ask("XTRIM s MAXLEN ~ 5 ACKED"), ":0\r\n");
    assert_eq!(bench.ask("XTRIM s MAXLEN ~ 4 ACKED"), ":4\r\n");
}

#[test]
fn the_last_entry_may_be_read_by_its_place() {
    let mut bench = bench();
    assert_eq!(bench.ask("XREAD STREAMS s +"), "*-1\r\n");
    bench.ask("XADD s 1 f v");
    bench.ask("XADD s 2 f w");
    let last = "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\nw\r\n";
    assert_eq!(bench.ask("XREAD STREAMS s +"), last);
    bench.ask("XADD s 3 f x");
    bench.ask("XDEL s 3");
    assert_eq!(bench.ask("XREAD COUNT 9 STREAMS s +"), last);
}

#[test]
fn every_stream_has_one_encoding() {
    let mut bench = bench();
    bench.ask("XADD s 1 f v");
    assert_eq!(bench.ask("OBJECT ENCODING s"), "$6\r\nstream\r\n");
    assert_eq!(bench.ask("TYPE s"), "+stream\r\n");
    assert_eq!(bench.ask("COPY s t"), ":1\r\n");
    bench.ask("XDEL t 1");
    assert_eq!(bench.ask("XLEN s"), ":1\r\n");
    assert_eq!(bench.ask("EXISTS t"), ":1\r\n");
}

#[test]
fn a_message_that_is_sent_twice_is_added_once() {
    let mut bench = bench();
    let first = bench.ask("XADD s IDMP p 1 * f v");
    bench.shard.now_ms += 5;
    assert_eq!(bench.ask("XADD s IDMP p 1 * f other"), first);
    assert_eq!(
        bench.run_noting(&[b"XADD", b"s", b"IDMP", b"p", b"1", b"*", b"f", b"v"]).1,
        Vec::<String>::new()
    );
    assert_ne!(bench.ask("XADD s MAXLEN 9 IDMP q 1 * f v"), first);
    let named = bench.ask("XADD s IDMPAUTO p * f v");
    assert_eq!(bench.ask("XADD s KEEPREF IDMPAUTO p NOMKSTREAM * f v"), named);
    assert_ne!(bench.ask("XADD s IDMPAUTO p * f w"), named);
    assert_eq!(bench.ask("XLEN s"), ":4\r\n");
    let info = bench.ask("XINFO STREAM s");
    assert!(
        info.contains("pids-tracked\r\n:2\r\n$12\r\niids-tracked\r\n:4\r\n$10\r\niids-added\r\n:4"),
        "{info}"
    );
    assert_eq!(bench.ask("XCFGSET s IDMP-DURATION 1 IDMP-MAXSIZE 10000"), "+OK\r\n");
    let second = bench.ask("XADD s IDMP p 1 * f v");
    assert_ne!(second, first);
    bench.shard.now_ms += 999;
    assert_eq!(bench.ask("XADD s IDMP p 1 * f v"), second);
    bench.shard.now_ms += 1;
    assert_ne!(bench.ask("XADD s IDMP p 1 * f v"), second);
    for (wrong, error) in [
        ("XADD s IDMP p * f v", "ERR Invalid stream ID specified as stream command argument"),
        ("XADD s IDMP p i 1-1 f v", "ERR IDMP/IDMPAUTO can be used only with auto-generated IDs"),
        ("XADD s IDMPAUTO p IDMP q i * f v", "ERR IDMP/IDMPAUTO specified multiple times"),
        ("XCFGSET s", "ERR At least one parameter must be specified"),
        ("XCFGSET s IDMP-DURATION 0", "ERR IDMP-DURATION must be between 1 and 86400 seconds"),
        ("XCFGSET s IDMP-MAXSIZE 10001", "ERR IDMP-MAXSIZE must be between 1 and 10000 entries"),
        ("XCFGSET s FOO 1", "ERR syntax error"),
        ("XCFGSET none IDMP-MAXSIZE 1", "ERR no such key"),
    ] {
        assert_eq!(bench.ask(wrong), format!("-{error}\r\n"), "{wrong}");
    }
    let empty = |words: &[&[u8]]| String::from_utf8(Bench::new(&[ROWS]).run(words)).expect("text");
    assert!(empty(&[b"XADD", b"s", b"IDMP", b"", b"i", b"*", b"f", b"v"]).contains("non-empty producer ID"));
    assert!(
        empty(&[b"XADD", b"s", b"IDMP", b"p", b"", b"*", b"f", b"v"]).contains("non-empty idempotent ID")
    );
}

/// Puts a good footer behind the bytes of a dump.
fn sealed(body: &[u8]) -> Vec<u8> {
    let mut payload = body.to_vec();
    payload.extend(10u16.to_le_bytes());
    let crc = crc::Crc::<u64>::new(&crc::CRC_64_REDIS).checksum(&payload);
    payload.extend(crc.to_le_bytes());
    payload
}

#[test]
fn what_hostile_payloads_make_survives_every_command() {
    let mut bench = bench();
    bench.shard.settings.encodings.stream_node_entries = 4;
    for id in 1..=9 {
        bench.ask(&format!("XADD s {id} f {id} g v"));
    }
    bench.ask("XADD s 10 other v");
    bench.ask("XDEL s 3");
    bench.ask("XGROUP CREATE s g 0");
    bench.ask("XREADGROUP GROUP g al COUNT 3 STREAMS s >");
    bench.ask("XREADGROUP GROUP g bo COUNT 2 STREAMS s >");
    let dump = bench.run(&[b"DUMP", b"s"]);
    let body_at = dump.iter().position(|byte| *byte == b'\n').expect("a bulk") + 1;
    let body = &dump[body_at..dump.len() - 2 - 10];
    let mut rng = fastrand::Rng::with_seed(3);
    let mut taken = 0;
    for _ in 0..2500 {
        let mut hostile = body.to_vec();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(1..hostile.len());
            hostile[at] = if rng.bool() { rng.u8(..) } else { hostile[at] ^ 1 << rng.u8(..8) };
        }
        bench.ask("DEL s");
        let restored = bench.run(&[b"RESTORE", b"s", b"0", &sealed(&hostile)]);
        if restored != b"+OK\r\n" {
            continue;
        }
        taken += 1;
        for command in [
            "XLEN s",
            "XRANGE s - +",
            "XREVRANGE s + -",
            "XREAD COUNT 2 STREAMS s 0",
            "XREAD STREAMS s +",
            "XINFO STREAM s",
            "XINFO STREAM s FULL COUNT 0",
            "XINFO GROUPS s",
            "XINFO CONSUMERS s g",
            "XPENDING s g",
            "XPENDING s g IDLE 1 - + 20",
            "XPENDING s g - + 20 al",
            "XREADGROUP GROUP g al STREAMS s 0",
            "XREADGROUP GROUP g ce COUNT 2 CLAIM 1 STREAMS s >",
            "XCLAIM s g de 0 1 2 3 4 5 FORCE",
            "XAUTOCLAIM s g ee 0 0 COUNT 3",
            "XNACK s g FAIL IDS 2 1 2",
            "XACK s g 1 4",
            "XACKDEL s g DELREF IDS 2 2 5",
            "XDELEX s ACKED IDS 2 1 6",
            "XDEL s 1 7",
            "XADD s * f v",
            "XADD s MAXLEN ~ 5 * f 1 g 2",
            "XTRIM s MINID 6",
            "XTRIM s MAXLEN 3 DELREF",
            "XSETID s 99-0 ENTRIESADDED 5 MAXDELETEDID 7",
            "XGROUP SETID s g 5",
            "XGROUP DELCONSUMER s g al",
            "XINFO STREAM s FULL",
            "COPY s t REPLACE",
            "XGROUP DESTROY t g",
            "XTRIM t MAXLEN 0",
        ] {
            let words: Vec<&[u8]> = command.split(' ').map(str::as_bytes).collect();
            bench.run(&words);
        }
        assert_ne!(bench.run(&[b"DUMP", b"s"]), b"$-1\r\n");
    }
    assert!(taken > 50, "only {taken} were taken");
}
