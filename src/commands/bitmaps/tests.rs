use super::ROWS;
use crate::commands::strings;
use crate::commands::testing::Bench;
use crate::commands::testing::recording::replay;

fn bench() -> Bench {
    let mut bench = Bench::new(&[strings::ROWS, ROWS]);
    bench.shard.settings.max_bulk_bytes = 1 << 20;
    bench
}

#[test]
fn answers_as_redis_did() {
    replay(bench(), include_str!("recorded.txt"), &["BITOP"]);
}

#[test]
fn answers_as_redis_did_in_resp3() {
    replay(bench().resp3(), include_str!("recorded.txt"), &["BITOP"]);
}

#[test]
fn newer_ways_to_combine() {
    let mut bench = bench();
    for (key, value) in [("a", b"\xff\x0f\xf0"), ("b", b"\x0f\x0f\x00"), ("c", b"\x01\xf0\x0f")] {
        bench.run(&[b"SET", key.as_bytes(), value]);
    }
    let mut combined = |line: &str| {
        assert_eq!(bench.ask(line), ":3\r\n");
        bench.run(&[b"GET", b"d"])
    };
    assert_eq!(combined("BITOP DIFF d a b c"), b"$3\r\n\xf0\x00\xf0\r\n");
    assert_eq!(combined("bitop diff1 d a b c"), b"$3\r\n\x00\xf0\x0f\r\n");
    assert_eq!(combined("BITOP ANDOR d a b c"), b"$3\r\n\x0f\x0f\x00\r\n");
    assert_eq!(combined("BITOP ONE d a b c"), b"$3\r\n\xf0\xf0\xff\r\n");
    assert_eq!(combined("BITOP ONE d none a"), b"$3\r\n\xff\x0f\xf0\r\n");
    assert_eq!(combined("BITOP DIFF d none a"), b"$3\r\n\x00\x00\x00\r\n");
    assert_eq!(combined("BITOP DIFF1 d none a"), b"$3\r\n\xff\x0f\xf0\r\n");
    for how in ["DIFF", "DIFF1", "ANDOR"] {
        let error = format!("-ERR BITOP {how} must be called with at least two source keys.\r\n");
        assert_eq!(bench.ask(&format!("BITOP {} d a", how.to_lowercase())), error);
    }
}

#[test]
fn a_sign_bit_written_to_a_shared_string_leaves_the_reply_alone() {
    let mut bench = bench();
    bench.run(&[b"SET", b"k", &[0; 100_000]]);
    // The reply refers to the string; the bit goes to a copy.
    let before = bench.run(&[b"GET", b"k"]);
    assert_eq!(bench.ask("SETBIT k 799999 1"), ":0\r\n");
    assert_eq!(before.iter().filter(|byte| **byte == 1).count(), 0);
    assert_eq!(bench.ask("BITCOUNT k"), ":1\r\n");
}
