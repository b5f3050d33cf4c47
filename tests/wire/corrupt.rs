//! Payloads of DUMP that were damaged and given a checksum that fits: each is refused, or loads into a value that
//! survives every command of its type.

use crate::support::*;
use crc::{CRC_64_REDIS, Crc, Table};

static CRC64: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

/// Damaged payloads per setup.
const CASES: usize = 150;

/// What makes a value worth damaging.
const MAKE: &[&[&str]] = &[
    &["SET k 12"],
    &["SET k aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    &["RPUSH k a 1 -5 100000 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 9223372036854775807"],
    &["SADD k 1 2 3 70000"],
    &["SADD k a b 1 cccccccccccccccccccccccccc"],
    &["HSET k a 1 b two c 3000000000"],
    &["HSET k a 1 b two", "HPEXPIREAT k 4000000000000 FIELDS 1 a"],
    &["ZADD k 1 a 2.5 b -inf c 100000 d"],
    &[
        "XADD k 1-1 f v g 5",
        "XADD k 1-2 f w g 70000",
        "XADD k 5-0 other x",
        "XDEL k 1-2",
        "XGROUP CREATE k group 0",
        "XREADGROUP GROUP group consumer COUNT 1 STREAMS k >",
    ],
    &["PFADD k a b c"],
];

/// Commands that look at, change, copy and empty a value of any type; those of other types answer WRONGTYPE.
const SURVIVE: &[&str] = &[
    "TYPE k",
    "OBJECT ENCODING k",
    "DUMP k",
    "MEMORY USAGE k",
    "DEBUG DIGEST-VALUE k",
    "DEBUG OBJECT k",
    "COPY k copy REPLACE",
    "RENAME copy other",
    "SORT k ALPHA",
    "GET k",
    "APPEND k x",
    "SETBIT k 100 1",
    "PFCOUNT k",
    "LRANGE k 0 -1",
    "LPOS k a RANK -1 COUNT 0",
    "LINSERT k BEFORE 1 x",
    "LSET k -1 123",
    "LREM k 0 a",
    "LPUSH k y",
    "RPUSH k z 5",
    "LTRIM k 1 -2",
    "LPOP k 2",
    "RPOP k",
    "SMEMBERS k",
    "SADD k 5 new",
    "SREM k a 1",
    "SRANDMEMBER k -5",
    "SSCAN k 0 COUNT 100",
    "SUNIONSTORE other k k",
    "SPOP k 2",
    "HGETALL k",
    "HSET k a 2 new 1",
    "HINCRBY k a 1",
    "HRANDFIELD k -5 WITHVALUES",
    "HSCAN k 0 COUNT 100",
    "HTTL k FIELDS 2 a b",
    "HPERSIST k FIELDS 1 a",
    "HDEL k b",
    "ZRANGE k 0 -1 WITHSCORES",
    "ZRANGE k -inf +inf BYSCORE",
    "ZRANGE k - + BYLEX",
    "ZADD k 3 a 4 new",
    "ZRANK k a",
    "ZINCRBY k 2 b",
    "ZRANDMEMBER k -5 WITHSCORES",
    "ZSCAN k 0 COUNT 100",
    "ZREMRANGEBYSCORE k 0 1",
    "ZPOPMAX k 2",
    "XRANGE k - +",
    "XREVRANGE k + -",
    "XINFO STREAM k FULL",
    "XADD k * f v",
    "XREADGROUP GROUP group new COUNT 2 STREAMS k >",
    "XREADGROUP GROUP group consumer STREAMS k 0",
    "XPENDING k group - + 10",
    "XAUTOCLAIM k group new 0 0",
    "XACK k group 1-1",
    "XDEL k 1-1",
    "XTRIM k MAXLEN 1",
    "DUMP k",
    "DEBUG DIGEST",
];

fn damage(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..1 + rng.below(3) {
        // The type stays, most of the time.
        let at = 1 + rng.below(bytes.len() - 1);
        let odd = *rng.pick(&[0, 1, 0x7f, 0x80, 0xc3, 0xf0, 0xfe, 0xff]);
        match rng.below(6) {
            0 => bytes[at] = odd,
            1 => bytes[at] = bytes[at].wrapping_add(1),
            2 => bytes[at] ^= 1 << rng.below(8),
            3 => bytes.insert(at, odd),
            4 if bytes.len() > 4 => drop(bytes.remove(at)),
            _ if rng.one_in(10) => bytes[0] = rng.below(26) as u8,
            _ => bytes[at] = rng.below(256) as u8,
        }
    }
}

#[test]
fn damaged_payloads_are_refused_or_survive() {
    let seed = seed_from_environment("CORESHARD_TEST_SEED");
    println!("CORESHARD_TEST_SEED={seed}");
    each_setup(|s| {
        let mut rng = Rng::new(seed);
        let mut c = s.client();
        let sound: Vec<Vec<u8>> = MAKE
            .iter()
            .map(|lines| {
                lines.iter().for_each(|line| assert!(!c.call(*line).is_error(), "{line}"));
                let payload = c.call("DUMP k").bytes().to_vec();
                c.expect("DEL k", 1);
                payload
            })
            .collect();
        let mut loaded = 0;
        for _ in 0..CASES {
            let payload = rng.pick(&sound);
            let (body, version) = payload[..payload.len() - 8].split_at(payload.len() - 10);
            let mut bytes = body.to_vec();
            damage(&mut rng, &mut bytes);
            bytes.extend(version);
            bytes.extend(CRC64.checksum(&bytes).to_le_bytes());
            let reply = c.call(&args!["RESTORE", "k", 0, bytes]);
            if reply.is_error() {
                assert_eq!(reply, err("ERR Bad data format"), "{}", bytes.escape_ascii());
                continue;
            }
            loaded += 1;
            for (line, reply) in SURVIVE.iter().zip(c.pipeline(SURVIVE.iter().copied())) {
                let crashed = reply.is_error() && reply.text().contains("panic");
                assert!(!crashed, "{line}: {reply} of {}", bytes.escape_ascii());
            }
            c.call("DEL k other copy");
        }
        assert!(loaded > 0, "nothing that was damaged could be loaded");
        c.expect("PING", simple("PONG"));
    });
}
