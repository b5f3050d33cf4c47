//! What coreshard logs, repeated by Redis: after any history Redis that has read the log holds the same, and has found no
//! fault with any command in it. The histories hold what only coreshard knows, too, as long as Redis can be told in other
//! words.

use crate::driver::{CONNECTIONS, history};
use crate::families::FAMILIES;
use crate::grammar::{Generator, KEYS, LINES};
use crate::support::{Client, Options, Protocol, Rng, Server, Value, args, ok, wait_until};
use crate::{number_from_environment, payloads, reference, seed};
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Commands and options that Redis 7.0 does not know, or whose replies the oracle cannot compare.
const NEWER: &[(u32, &str)] = &[
    (6, "SET $key $value (IFEQ|IFNE) $value [PX $millis]"),
    (4, "DELEX $key [IFNE $value]"),
    (4, "INCREX $key [BYINT $small] [EX $seconds]"),
    (4, "MSETEX 2 $key $value $key $value [EX $seconds]"),
    (3, "BITOP (DIFF|ONE|ANDOR) $bkey $bkey $bkey"),
    (8, "SPOP $skey [$small]"),
    (6, "LMOVEM $lkey $lkey (LEFT|RIGHT) (LEFT|RIGHT) COUNT 2 (OBO|BULK)"),
    (4, "BLMPOP 0.01 2 $lkey $lkey LEFT COUNT 2"),
    (4, "BLMOVE $lkey $lkey LEFT RIGHT 0.01"),
    (4, "BZMPOP 0.01 2 $zkey $zkey MIN COUNT 2"),
    (4, "BZPOPMAX $zkey $zkey 0.01"),
    (3, "ZUNIONSTORE $zkey 2 $zkey $zkey AGGREGATE COUNT"),
    (6, "HINCRBYFLOAT $hkey $field 1.5"),
    (3, "HGETDEL $hkey FIELDS 1 $field"),
    (3, "HSETEX $hkey FIELDS 1 $field $value"),
    (16, "XADD $xkey * $field $value"),
    (6, "XADD $xkey MAXLEN ~ $small * $field $value"),
    (4, "XADD $xkey (DELREF|ACKED) MAXLEN 5 * $field $value"),
    (3, "XADD $xkey IDMP p $small * $field $value"),
    (4, "XTRIM $xkey MAXLEN ~ $small"),
    (4, "XGROUP CREATE $xkey $group 0 MKSTREAM"),
    (8, "XREADGROUP GROUP $group $consumer COUNT 3 STREAMS $xkey $xkey > >"),
    (4, "XREADGROUP GROUP $group $consumer NOACK STREAMS $xkey >"),
    (4, "XREADGROUP GROUP $group $consumer CLAIM 0 STREAMS $xkey >"),
    (4, "XACKDEL $xkey $group (KEEPREF|DELREF|ACKED) IDS 1 $id"),
    (4, "XDELEX $xkey (KEEPREF|DELREF|ACKED) IDS 1 $id"),
];

/// Scripts, whose effects are logged and not they: one with the keys that it names, and one that touches another key, for
/// which its run is undone and begun anew where keys may be elsewhere.
const SCRIPTS: [&str; 2] = [
    "redis.call('del', KEYS[1]) redis.call('set', KEYS[1], ARGV[1]) redis.call('append', KEYS[1], 'more')
     redis.call('pexpire', KEYS[1], 90000000) return redis.pcall('spop', KEYS[2])",
    "redis.call('del', KEYS[1]) redis.call('rpush', KEYS[1], 'a', 'b', 'c') redis.pcall('xadd', KEYS[2], '*', 'f', 'v')
     redis.call('del', ARGV[1]) redis.call('lmove', KEYS[1], ARGV[1], 'LEFT', 'RIGHT')
     return redis.call('incrbyfloat', ARGV[1] .. 'n', '0.5')",
];

/// Runs one of them.
fn run_script(client: &mut Client, rng: &mut Rng) {
    let mut key = || KEYS[rng.below(KEYS.len())];
    let keys = [key(), key(), key()];
    let script = SCRIPTS[rng.below(SCRIPTS.len())].as_bytes();
    client.call(&[b"EVAL", script, b"2", keys[0], keys[1], keys[2]]);
}

fn logging(options: Options, folder: &Path) -> Options {
    // What is answered is on disk.
    options
        .with("dir", folder.to_str().expect("the path is text"))
        .with("appendonly", "yes")
        .with("appendfsync", "always")
        .with("auto-aof-rewrite-percentage", "0")
}

/// A server that has read a copy of the folder's log.
fn reading(options: &Options, from: &Path) -> Server {
    let copy = tempfile::tempdir().expect("a temporary folder can be made");
    let (from, to) = (from.join("appendonlydir"), copy.path().join("appendonlydir"));
    std::fs::create_dir(&to).expect("the folder is new");
    for entry in std::fs::read_dir(from).expect("the log is there") {
        let entry = entry.expect("it can be read");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a file can be copied");
    }
    let server = Server::start_with(&logging(options.clone(), copy.path()));
    wait_until("the log is loaded", PATIENCE, || {
        server.client(Protocol::Resp2).call("PING") == Value::Simple(b"PONG".to_vec())
    });
    server
}

/// What a server holds, key by key.
fn contents(client: &mut Client) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for db in 0..2 {
        client.expect(&["SELECT", &db.to_string()], ok());
        for key in client.call("KEYS *").sorted().elements() {
            let key = key.bytes();
            let kind = client.call(&[b"TYPE", key]);
            let Value::Simple(kind) = kind else { panic!("TYPE answered {kind}") };
            let value = match kind.as_slice() {
                b"list" => client.call(&[b"LRANGE", key, b"0", b"-1"]),
                b"set" => client.call(&[b"SMEMBERS", key]).sorted(),
                b"hash" => {
                    let flat = client.call(&[b"HGETALL", key]).elements();
                    Value::Array(flat.chunks(2).map(|pair| Value::Array(pair.to_vec())).collect()).sorted()
                }
                b"zset" => client.call(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
                b"stream" => stream(client, key),
                b"none" => continue,
                _ => client.call(&[b"GET", key]),
            };
            let deadline = client.call(&[b"PEXPIRETIME", key]);
            all.push((format!("{db} {}", key.escape_ascii()), format!("{deadline} {value}")));
        }
    }
    all
}

/// All of a stream but when its consumers were seen.
fn stream(client: &mut Client, key: &[u8]) -> Value {
    let full = client.call(&args!["XINFO", "STREAM", key, "FULL", "COUNT", "0"]);
    let facts = ["length", "last-generated-id", "max-deleted-entry-id", "entries-added", "entries"];
    let mut all: Vec<Value> = facts.iter().map(|name| full.field(name)).collect();
    for group in full.field("groups").elements() {
        all.extend(
            ["name", "last-delivered-id", "entries-read", "pending"].iter().map(|name| group.field(name)),
        );
        for consumer in group.field("consumers").elements() {
            all.extend(["name", "pending"].iter().map(|name| consumer.field(name)));
        }
    }
    Value::Array(all)
}

fn redis_repeats_the_log(threads: usize) {
    let Some(redis) = reference() else { return };
    let payloads = payloads(&Server::start_with(&redis));
    let seed = seed();
    let rounds = number_from_environment("CORESHARD_ORACLE_ROUNDS", 4);
    let length = number_from_environment("CORESHARD_ORACLE_STEPS", 1500);
    let mut seeds = Rng::new(seed);
    for round in 0..rounds {
        let seed = if round == 0 { seed } else { seeds.next() };
        eprintln!("CORESHARD_ORACLE_SEED={seed} CORESHARD_ORACLE_ROUNDS=1 CORESHARD_ORACLE_STEPS={length}");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // Every other log is written anew on the way, as commands that make the values.
        let rewrites = round % 2 == 1;
        let options =
            Options::threads(threads).with("aof-use-rdb-preamble", if rewrites { "no" } else { "yes" });
        let ours = Server::start_with(&logging(options, folder.path()));
        wait_until("the log has begun", PATIENCE, || {
            ours.client(Protocol::Resp2).call("INFO persistence").text().contains("aof_enabled:1")
        });
        let mut lines = LINES.to_vec();
        lines.extend(NEWER);
        lines.extend(FAMILIES.iter().flat_map(|(_, lines)| lines.iter().copied()));
        // Keys live long enough to become something.
        lines.retain(|(_, line)| !line.starts_with("FLUSH") && !line.starts_with("SWAPDB"));
        lines.extend([(1, "FLUSHDB"), (1, "SWAPDB 0 1")]);
        let mut generator = Generator::new(seed, lines, payloads.clone());
        let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| ours.client(Protocol::Resp2)).collect();
        let mut scripts = Rng::new(!seed);
        let mut observer = ours.client(Protocol::Resp2);
        for (index, step) in history(&mut generator, length).iter().enumerate() {
            if rewrites && index == length / 2 {
                observer.call("BGREWRITEAOF");
            }
            let client = &mut clients[step.connection];
            if step.name() != "HELLO" {
                client.call(&step.arguments);
            }
            if scripts.one_in(40) {
                run_script(client, &mut scripts);
            }
        }
        let (begun, mut passed) = (Instant::now(), false);
        wait_until("short lives are over", PATIENCE, || {
            passed |= begun.elapsed() > Duration::from_millis(5);
            passed
        });
        wait_until("the rewrite is over", PATIENCE, || {
            let info = observer.call("INFO persistence").text();
            info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
        });
        let theirs = reading(&redis, folder.path());
        let complaints: Vec<String> =
            theirs.log().lines().filter(|line| line.contains("CRITICAL")).map(str::to_owned).collect();
        assert!(complaints.is_empty(), "Redis complains: {:#?}", &complaints[..complaints.len().min(5)]);
        let again = reading(&Options::threads(4 - threads), folder.path());
        let contents = |server: &Server| contents(&mut server.client(Protocol::Resp2));
        let ours = contents(&ours);
        for (reader, got) in [("Redis", contents(&theirs)), ("coreshard", contents(&again))] {
            let names = |all: &[(String, String)]| all.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
            assert_eq!(names(&ours), names(&got), "the keys in {reader}");
            for ((key, ours), (_, got)) in ours.iter().zip(&got) {
                assert_eq!(ours, got, "{key} in {reader}");
            }
        }
    }
}

#[test]
fn redis_repeats_what_one_shard_logs() {
    redis_repeats_the_log(1);
}

#[test]
fn redis_repeats_what_several_shards_log() {
    redis_repeats_the_log(3);
}
