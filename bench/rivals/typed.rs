//! What is asked of every data type: what is filled in before, the requests with their random
//! arguments, and the shapes their answers must have.
//!
//! Most run by the clock: their requests leave the data as it is, or nearly. What uses up its data
//! (RPOP, XREADGROUP), and what costs so much that many connections would only queue (SINTER, SORT,
//! GEOSEARCH, BITCOUNT), runs over a number of requests instead.

use std::io;
use std::time::Duration;

use fastrand::Rng;

use crate::collections::{self, Kind, item, member, score};
use crate::fill;
use crate::shape::Shape;
use crate::tape::{self, Tape};
use crate::wire::{self, Client, Errors};

/// How large the data are.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Small hashes.
    pub keys: u64,
    /// Of the big set and the big sorted set.
    pub members: u64,
}

const LISTS: u64 = 100;
const LIST_ITEMS: u64 = 600;
/// Members of each set of SINTER, of which half are in the other one too; points; numbers to sort.
const MIDDLING: u64 = 10_000;
const BITMAP_BYTES: usize = 1 << 20;
const COUNTERS: u64 = 100;
/// Enough for the dense representation.
const COUNTED: u64 = 5_000;
/// XACK runs so many entries behind XREADGROUP: more than are ever in flight.
const UNACKED: u64 = 2_000;
const PAGE: u64 = 10;
const SCRIPT_VALUE_BYTES: usize = 64;
/// Callers of the rate limiter, and calls that one of them may have in its window.
const CALLERS: u64 = 10_000;
const CALLS: u64 = 20;
/// Points lie in a square of so many degrees; with this radius about ninety of them are near.
const WEST_SOUTH: (f64, f64) = (5.0, 40.0);
const DEGREES: f64 = 10.0;
const RADIUS_KM: &[u8] = b"50";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    Hashes(u64),
    Lists,
    Queue,
    Set,
    TwoSets,
    SortedSet,
    Stream,
    Counters,
    Bitmap,
    Points,
    Numbers,
    Scripts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Clock,
    /// So many for every second the clock would have given.
    Requests(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    HSet(u64),
    HGetAll(u64),
    LPush,
    RPop,
    LRange(u64),
    SAdd,
    SIsMember,
    SInter,
    ZAdd,
    ZRange,
    ZRangeByScore,
    ZRank,
    XAdd,
    XReadGroupXAck,
    PfAdd,
    PfCount(u64),
    BitCount,
    GeoSearch,
    Sort,
    EvalGet,
    EvalTen,
}

/// A row for each pipeline.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub name: &'static str,
    pub data: Data,
    pub ask: Ask,
    pub length: Length,
}

const fn by_clock(name: &'static str, data: Data, ask: Ask) -> Workload {
    Workload { name, data, ask, length: Length::Clock }
}

const fn counted(name: &'static str, data: Data, ask: Ask, per_second: u64) -> Workload {
    Workload { name, data, ask, length: Length::Requests(per_second) }
}

pub const ALL: [Workload; 25] = [
    by_clock("HSET of 5 fields", Data::Hashes(5), Ask::HSet(5)),
    by_clock("HGETALL of 5 fields", Data::Hashes(5), Ask::HGetAll(5)),
    by_clock("HSET of 50 fields", Data::Hashes(50), Ask::HSet(50)),
    by_clock("HGETALL of 50 fields", Data::Hashes(50), Ask::HGetAll(50)),
    by_clock("LPUSH", Data::Queue, Ask::LPush),
    counted("RPOP", Data::Queue, Ask::RPop, 200_000),
    by_clock("LRANGE of 100", Data::Lists, Ask::LRange(100)),
    by_clock("LRANGE of 600", Data::Lists, Ask::LRange(600)),
    by_clock("SADD", Data::Set, Ask::SAdd),
    by_clock("SISMEMBER", Data::Set, Ask::SIsMember),
    counted("SINTER of 2 x 10,000", Data::TwoSets, Ask::SInter, 200),
    by_clock("ZADD", Data::SortedSet, Ask::ZAdd),
    by_clock("ZRANGE of 10", Data::SortedSet, Ask::ZRange),
    by_clock("ZRANGEBYSCORE of 10", Data::SortedSet, Ask::ZRangeByScore),
    by_clock("ZRANK", Data::SortedSet, Ask::ZRank),
    by_clock("XADD", Data::Stream, Ask::XAdd),
    counted("XREADGROUP+XACK", Data::Stream, Ask::XReadGroupXAck, 200_000),
    by_clock("PFADD", Data::Counters, Ask::PfAdd),
    by_clock("PFCOUNT", Data::Counters, Ask::PfCount(1)),
    by_clock("PFCOUNT of 3 keys", Data::Counters, Ask::PfCount(3)),
    counted("BITCOUNT of 1 MB", Data::Bitmap, Ask::BitCount, 2_000),
    counted("GEOSEARCH of 10,000 points", Data::Points, Ask::GeoSearch, 2_000),
    counted("SORT of 10,000", Data::Numbers, Ask::Sort, 150),
    by_clock("EVALSHA of one GET", Data::Scripts, Ask::EvalGet),
    by_clock("EVALSHA of ten commands", Data::Scripts, Ask::EvalTen),
];

/// What the two scripts are. The second is a rate limiter with a sliding window, then a lock that is taken, and
/// deleted by the holder.
const ONE_GET: &str = "return redis.call('get', KEYS[1])";
const TEN_COMMANDS: &str = "\
redis.call('zremrangebyscore', KEYS[1], '-inf', ARGV[1]) \
local before = redis.call('zcard', KEYS[1]) \
redis.call('zadd', KEYS[1], ARGV[2], ARGV[3]) \
redis.call('pexpire', KEYS[1], 60000) \
redis.call('hincrby', KEYS[2], 'calls', 1) \
redis.call('hset', KEYS[2], 'last', ARGV[2]) \
redis.call('set', KEYS[3], ARGV[3], 'nx', 'px', 60000) \
if redis.call('get', KEYS[3]) == ARGV[3] then redis.call('del', KEYS[3]) end \
return before + redis.call('hlen', KEYS[2])";

fn sha_of(script: &str) -> String {
    use sha1::{Digest, Sha1};
    Sha1::digest(script.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fewer say nothing about a mean.
const REQUESTS_MIN: u64 = 256;
/// What the clock is assumed to give when it decides how much is recorded.
const RECORDED: u64 = 200_000;

impl Workload {
    pub fn connections(&self) -> usize {
        match self.ask {
            Ask::SInter | Ask::BitCount | Ask::GeoSearch | Ask::Sort => 4,
            _ => 50,
        }
    }

    /// How many requests a run of `time` has, if it does not go by the clock. Even, for pairs.
    pub fn requests(&self, time: Duration) -> Option<u64> {
        match self.length {
            Length::Clock => None,
            Length::Requests(per_second) => {
                let count = (per_second as f64 * time.as_secs_f64()) as u64;
                Some(count.max(REQUESTS_MIN).next_multiple_of(2))
            }
        }
    }

    pub fn tape(&self, sizes: Sizes, time: Duration) -> Tape {
        let requests = self.requests(time);
        let ask = self.ask;
        let make = |out: &mut Vec<u8>, rng: &mut Rng, number| write(out, rng, ask, sizes, number);
        let whole = ask == Ask::XReadGroupXAck;
        Tape::of(requests.unwrap_or(RECORDED), whole, replies(ask, sizes), make)
    }

    /// Puts back, before every run, what the run before used up or piled up.
    pub fn reset(&self, client: &mut Client, time: Duration) -> io::Result<()> {
        match self.ask {
            Ask::LPush => client.must(&["DEL", "queue"]).map(drop),
            Ask::XAdd => client.must(&["DEL", "stream"]).map(drop),
            Ask::RPop => {
                client.must(&["DEL", "queue"])?;
                Kind::List.fill(client, "queue", 0..self.requests(time).unwrap_or(0))
            }
            Ask::XReadGroupXAck => stream_to_read(client, self.requests(time).unwrap_or(0) / 2),
            _ => Ok(()),
        }
    }
}

impl Data {
    /// Once for every server.
    pub fn fill(self, client: &mut Client, sizes: Sizes) -> io::Result<()> {
        let mut rng = Rng::with_seed(1);
        match self {
            Data::Queue | Data::Stream => Ok(()),
            Data::Hashes(fields) => {
                let ask = Ask::HSet(fields);
                fill::pipeline(client, hashes(fields, sizes), fill::DEEP, |number, out| {
                    write_hash(out, &mut rng, ask, fields, number);
                })?
                .check()
            }
            Data::Lists => (0..LISTS)
                .try_for_each(|list| Kind::List.fill(client, &format!("list:{list}"), 0..LIST_ITEMS)),
            Data::Set => Kind::Set.fill(client, "set", 0..sizes.members),
            Data::TwoSets => {
                Kind::Set.fill(client, "left", 0..MIDDLING)?;
                Kind::Set.fill(client, "right", MIDDLING / 2..MIDDLING + MIDDLING / 2)
            }
            Data::SortedSet => Kind::SortedSet.fill(client, "board", 0..sizes.members),
            Data::Counters => (0..COUNTERS).try_for_each(|counter| {
                let first = counter * COUNTED;
                collections::chunked(client, "PFADD", &format!("hll:{counter}"), COUNTED, |number, args| {
                    args.push(member(first + number).to_vec());
                })
            }),
            Data::Bitmap => {
                let mut request = Vec::new();
                wire::encode(&mut request, &[b"SET", b"bits", &bitmap()]);
                client.send(&request)?;
                let mut errors = Errors::default();
                client.receive_count(1, &mut errors)?;
                errors.check()
            }
            Data::Points => collections::chunked(client, "GEOADD", "points", MIDDLING, |number, args| {
                let (longitude, latitude) = place(&mut rng, 0.0);
                args.extend([longitude, latitude, member(number).to_vec()]);
            }),
            Data::Numbers => Kind::Numbers.fill(client, "numbers", 0..MIDDLING),
            Data::Scripts => {
                for script in [ONE_GET, TEN_COMMANDS] {
                    client.must(&["SCRIPT", "LOAD", script])?;
                }
                fill::keys(client, 0, sizes.keys, SCRIPT_VALUE_BYTES, fill::DEEP)
            }
        }
    }
}

/// Hashes of that many fields: the large ones are fewer.
fn hashes(fields: u64, sizes: Sizes) -> u64 {
    (sizes.keys * 5 / fields).max(1)
}

fn bitmap() -> Vec<u8> {
    let mut bytes = vec![0; BITMAP_BYTES];
    Rng::with_seed(2).fill(&mut bytes);
    bytes
}

fn bits() -> i64 {
    bitmap().iter().map(|byte| i64::from(byte.count_ones())).sum()
}

/// A random longitude and latitude, at least `margin` degrees inside the square.
fn place(rng: &mut Rng, margin: f64) -> (Vec<u8>, Vec<u8>) {
    let mut degree = |from: f64| {
        let degree = from + margin + rng.f64() * (DEGREES - 2.0 * margin);
        format!("{degree:.6}").into_bytes()
    };
    (degree(WEST_SOUTH.0), degree(WEST_SOUTH.1))
}

/// `entries` that a group has not read, after [`UNACKED`] that it has read and not acknowledged.
fn stream_to_read(client: &mut Client, entries: u64) -> io::Result<()> {
    client.must(&["DEL", "stream"])?;
    client.must(&["XGROUP", "CREATE", "stream", "group", "0", "MKSTREAM"])?;
    let mut rng = Rng::with_seed(3);
    fill::pipeline(client, entries + UNACKED, fill::DEEP, |number, out| {
        write_entry(out, &mut rng, &entry_id(number));
    })?
    .check()?;
    let unacked = UNACKED.to_string();
    let read = ["XREADGROUP", "GROUP", "group", "me", "COUNT", &unacked, "STREAMS", "stream", ">"];
    client.skim(&read.map(str::as_bytes), Shape::items(1))
}

/// IDs of the entries that are filled in, from the lowest.
fn entry_id(number: u64) -> Vec<u8> {
    format!("{}-1", number + 1).into_bytes()
}

pub fn write_entry(out: &mut Vec<u8>, rng: &mut Rng, id: &[u8]) {
    wire::encode(out, &[b"XADD", b"stream", id, b"sensor", &item(rng), b"value", &item(rng)]);
}

/// HSET or HGETALL of the hash of that number.
pub fn write_hash(out: &mut Vec<u8>, rng: &mut Rng, ask: Ask, fields: u64, number: u64) {
    let key = format!("hash:{number:011}");
    if let Ask::HGetAll(_) = ask {
        return wire::encode(out, &[b"HGETALL", key.as_bytes()]);
    }
    let pairs: Vec<_> = (0..fields).map(|field| (format!("field:{field:02}"), item(rng))).collect();
    let mut args: Vec<&[u8]> = vec![b"HSET", key.as_bytes()];
    for (field, value) in &pairs {
        args.extend([field.as_bytes(), value.as_slice()]);
    }
    wire::encode(out, &args);
}

/// Appends request `number` of a tape.
fn write(out: &mut Vec<u8>, rng: &mut Rng, ask: Ask, sizes: Sizes, number: u64) {
    match ask {
        Ask::HSet(fields) | Ask::HGetAll(fields) => {
            let hash = rng.u64(0..hashes(fields, sizes));
            write_hash(out, rng, ask, fields, hash);
        }
        Ask::LPush => wire::encode(out, &[b"LPUSH", b"queue", &item(rng)]),
        Ask::RPop => wire::encode(out, &[b"RPOP", b"queue"]),
        Ask::LRange(count) => {
            let list = format!("list:{}", rng.u64(0..LISTS));
            let last = (count - 1).to_string();
            wire::encode(out, &[b"LRANGE", list.as_bytes(), b"0", last.as_bytes()]);
        }
        // Twice as many as there are: half of them are there, and the set cannot grow for ever.
        Ask::SAdd => wire::encode(out, &[b"SADD", b"set", &member(rng.u64(0..sizes.members * 2))]),
        Ask::SIsMember => wire::encode(out, &[b"SISMEMBER", b"set", &member(rng.u64(0..sizes.members * 2))]),
        Ask::SInter => wire::encode(out, &[b"SINTER", b"left", b"right"]),
        Ask::ZAdd => {
            let member = member(rng.u64(0..sizes.members));
            wire::encode(out, &[b"ZADD", b"board", &score(rng), &member]);
        }
        Ask::ZRange => {
            let first = rng.u64(0..=sizes.members - PAGE);
            let (first, last) = (first.to_string(), (first + PAGE - 1).to_string());
            wire::encode(out, &[b"ZRANGE", b"board", first.as_bytes(), last.as_bytes()]);
        }
        Ask::ZRangeByScore => {
            // The last tenth of the scores is never the beginning, so that a page follows.
            let least = rng.u64(0..collections::SCORES / 10 * 9).to_string();
            let args: [&[u8]; 7] =
                [b"ZRANGEBYSCORE", b"board", least.as_bytes(), b"+inf", b"LIMIT", b"0", b"10"];
            wire::encode(out, &args);
        }
        Ask::ZRank => wire::encode(out, &[b"ZRANK", b"board", &member(rng.u64(0..sizes.members))]),
        Ask::XAdd => write_entry(out, rng, b"*"),
        Ask::XReadGroupXAck if number.is_multiple_of(2) => {
            let args = ["XREADGROUP", "GROUP", "group", "me", "COUNT", "1", "STREAMS", "stream", ">"];
            wire::encode(out, &args.map(str::as_bytes));
        }
        Ask::XReadGroupXAck => wire::encode(out, &[b"XACK", b"stream", b"group", &entry_id(number / 2)]),
        Ask::PfAdd => {
            let counter = format!("hll:{}", rng.u64(0..COUNTERS));
            wire::encode(out, &[b"PFADD", counter.as_bytes(), &item(rng)]);
        }
        Ask::PfCount(keys) => {
            let counters: Vec<_> = (0..keys).map(|_| format!("hll:{}", rng.u64(0..COUNTERS))).collect();
            let mut args: Vec<&[u8]> = vec![b"PFCOUNT"];
            args.extend(counters.iter().map(String::as_bytes));
            wire::encode(out, &args);
        }
        Ask::BitCount => wire::encode(out, &[b"BITCOUNT", b"bits"]),
        Ask::GeoSearch => {
            let (longitude, latitude) = place(rng, 1.0);
            let args: [&[u8]; 9] = [
                b"GEOSEARCH",
                b"points",
                b"FROMLONLAT",
                &longitude,
                &latitude,
                b"BYRADIUS",
                RADIUS_KM,
                b"km",
                b"ASC",
            ];
            wire::encode(out, &args);
        }
        Ask::Sort => wire::encode(out, &[b"SORT", b"numbers"]),
        Ask::EvalGet => {
            let key = tape::key(rng.u64(0..sizes.keys));
            wire::encode(out, &[b"EVALSHA", sha_of(ONE_GET).as_bytes(), b"1", &key]);
        }
        Ask::EvalTen => {
            let caller = rng.u64(0..CALLERS);
            let keys = ["limit", "stats", "lock"].map(|what| format!("{what}:{{{caller}}}"));
            let (now, call) = (1_000_000 + number, rng.u64(0..CALLS));
            let args = [
                keys[0].clone(),
                keys[1].clone(),
                keys[2].clone(),
                "1000".into(),
                now.to_string(),
                call.to_string(),
            ];
            let sha = sha_of(TEN_COMMANDS);
            let mut request: Vec<&[u8]> = vec![b"EVALSHA", sha.as_bytes(), b"3"];
            request.extend(args.iter().map(String::as_bytes));
            wire::encode(out, &request);
        }
    }
}

fn replies(ask: Ask, sizes: Sizes) -> Vec<Shape> {
    let members = sizes.members as i64;
    vec![match ask {
        // Every field was there before.
        Ask::HSet(_) | Ask::ZAdd => Shape::Integer(0, 0),
        Ask::HGetAll(fields) => Shape::items(2 * fields as i64),
        Ask::LPush => Shape::Integer(1, i64::MAX),
        Ask::RPop | Ask::XAdd => Shape::Bulk,
        Ask::LRange(count) => Shape::items(count as i64),
        Ask::SAdd | Ask::SIsMember | Ask::PfAdd => Shape::Integer(0, 1),
        Ask::SInter => Shape::items(MIDDLING as i64 / 2),
        Ask::ZRange | Ask::ZRangeByScore => Shape::items(PAGE as i64),
        Ask::ZRank => Shape::Integer(0, members - 1),
        Ask::XReadGroupXAck => return vec![Shape::items(1), Shape::ONE],
        Ask::PfCount(_) => Shape::Integer(COUNTED as i64 * 9 / 10, i64::MAX),
        Ask::BitCount => Shape::Integer(bits(), bits()),
        Ask::GeoSearch => Shape::Items(1, MIDDLING as i64 / 10),
        Ask::Sort => Shape::items(MIDDLING as i64),
        Ask::EvalGet => Shape::Bulk,
        Ask::EvalTen => Shape::Integer(2, CALLS as i64 + 2),
    }]
}

#[cfg(test)]
#[allow(dead_code, reason = "see main.rs: a bench compiles the tests away and leaves what they use")]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes { keys: 100, members: 1000 };
    const TIME: Duration = Duration::from_millis(200);

    fn words(bytes: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        text.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_workload_writes_whole_requests_of_its_command() {
        for Workload { name, ask, .. } in ALL {
            let mut rng = Rng::with_seed(1);
            for number in 0..100 {
                let mut out = Vec::new();
                write(&mut out, &mut rng, ask, SIZES, number);
                assert_eq!(wire::scan(&out).expect("well-formed"), Some(out.len()), "{name}");
                assert!(name.contains(&words(&out)[0]), "{name}");
            }
            assert!(!replies(ask, SIZES).is_empty());
        }
    }

    #[test]
    fn a_run_of_requests_follows_the_time_and_is_never_tiny() {
        let of = |name: &str| ALL.into_iter().find(|workload| workload.name == name).expect("it exists");
        assert_eq!(of("RPOP").requests(Duration::from_secs(2)), Some(400_000));
        assert_eq!(of("SORT of 10,000").requests(TIME), Some(REQUESTS_MIN));
        assert_eq!(of("ZRANK").requests(TIME), None);
    }

    #[test]
    fn acknowledging_runs_behind_reading() {
        let workload = ALL.into_iter().find(|workload| workload.ask == Ask::XReadGroupXAck);
        let tape = workload.expect("it is there").tape(SIZES, TIME);
        assert_eq!(words(tape.slice(1, 1)), ["XACK", "stream", "group", "1-1"]);
        assert_eq!(words(tape.slice(3, 1)), ["XACK", "stream", "group", "2-1"]);
        let last = tape.requests() - 1;
        assert_eq!(words(tape.slice(last, 1))[3], format!("{}-1", tape.requests() / 2));
        assert_eq!((tape.reply(0), tape.reply(last)), (Shape::items(1), Shape::ONE));
    }

    #[test]
    fn a_page_never_reaches_past_the_end() {
        let sizes = Sizes { keys: 1, members: PAGE };
        let mut out = Vec::new();
        write(&mut out, &mut Rng::with_seed(1), Ask::ZRange, sizes, 0);
        assert_eq!(words(&out)[2..4], ["0", "9"]);
    }
}
