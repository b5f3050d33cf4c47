use super::ROWS;
use crate::commands::strings;
use crate::commands::testing::Bench;
use crate::commands::testing::recording::replay;

fn bench() -> Bench {
    Bench::new(&[strings::ROWS, ROWS])
}

/// Commands whose events a bench does not show.
const SILENT: &[&str] = &["PFMERGE"];

#[test]
fn answers_as_redis_did() {
    replay(bench(), include_str!("recorded.txt"), SILENT);
}

#[test]
fn answers_as_redis_did_in_resp3() {
    replay(bench().resp3(), include_str!("recorded.txt"), SILENT);
}

#[test]
fn the_cached_count_is_written_once() {
    let mut bench = bench();
    bench.ask("PFADD k a b c");
    let changes = bench.shard.effects.dirty;
    assert_eq!(bench.ask("PFCOUNT k"), ":3\r\n");
    assert_eq!(bench.ask("PFCOUNT k"), ":3\r\n");
    assert_eq!(bench.shard.effects.dirty, changes + 1);
    assert_eq!(bench.ask("PFADD k a"), ":0\r\n");
    assert_eq!(bench.shard.effects.dirty, changes + 1);
}

#[test]
fn what_has_no_second_byte_is_corrupted() {
    let mut bench = bench();
    let mut value = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f".to_vec();
    bench.run(&[b"SET", b"k", &value]);
    assert_eq!(bench.ask("PFCOUNT k"), "-INVALIDOBJ Corrupted HLL object detected\r\n");
    assert_eq!(bench.ask("PFADD k x"), "-INVALIDOBJ Corrupted HLL object detected\r\n");
    value.pop();
    bench.run(&[b"SET", b"k", &value]);
    assert_eq!(bench.ask("PFADD k x"), "-INVALIDOBJ Corrupted HLL object detected\r\n");
}
