//! Killed at random moments under writes of all kinds, again and again on the same data: nothing acknowledged is missing
//! (`everysec` may keep back a write while it syncs), and nothing is half there.
//!
//! Each writer counts what it sent and what was acknowledged; what is found after the next start must lie between the
//! two. `CORESHARD_TEST_CRASHES` says how often to kill; the seed is printed.

use super::persistence::*;
use super::support::*;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const WRITERS: usize = 4;
const PLAIN_KEYS: usize = 4;
const ACCOUNTS: usize = 9;
const ITEMS: i64 = 10;
/// Names that a key is renamed through.
const NAMES: u64 = 5;

/// What a writer knows of a number that only it raises.
#[derive(Clone, Copy, Default, Debug)]
struct Count {
    acknowledged: u64,
    sent: u64,
}

impl Count {
    fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Takes what was found for what is.
    #[track_caller]
    fn found(&mut self, what: &str, found: u64) {
        let Count { acknowledged, sent } = *self;
        assert!(
            (acknowledged..=sent).contains(&found),
            "{what} is {found}, acknowledged {acknowledged}, sent {sent}"
        );
        *self = Count { acknowledged: found, sent: found };
    }
}

/// One writer, over all crashes.
#[derive(Clone, Default)]
struct Writer {
    id: usize,
    plain: [Count; PLAIN_KEYS],
    several: Count,
    block: Count,
    list: Count,
    renamed: Count,
    script: Count,
}

impl Writer {
    fn key(&self, name: &str) -> String {
        format!("{name}:{}", self.id)
    }

    /// The key's name when it was renamed so often.
    fn name(&self, times: u64) -> String {
        format!("name:{}:{}", self.id, times % NAMES)
    }

    /// What has to be there before the first crash.
    fn prepare(&self, client: &mut Client) {
        client.expect(&args!["SET", self.name(0), "token"], ok());
        for item in 0..ITEMS {
            client.call(&args!["RPUSH", self.key("from"), item]);
        }
    }

    /// Does something. Nothing of it is known when the connection breaks.
    fn step(&mut self, client: &mut Client, rng: &mut fastrand::Rng) -> std::io::Result<()> {
        let kind = rng.usize(0..8);
        match kind {
            0 => {
                let key = rng.usize(0..PLAIN_KEYS);
                let number = self.plain[key].next();
                send(client, &[args!["SET", format!("plain:{}:{key}", self.id), number].to_vec()])?;
                self.plain[key].acknowledged = number;
            }
            1 => {
                let number = self.several.next();
                let keys = ["a", "b", "c", "d"].map(|name| self.key(name));
                let mut command = args!["MSET"].to_vec();
                keys.iter().for_each(|key| command.extend(args![key, number].to_vec()));
                send(client, &[command])?;
                self.several.acknowledged = number;
            }
            2 => {
                let number = self.block.next();
                let (from, to, sum) = (rng.usize(0..ACCOUNTS), rng.usize(0..ACCOUNTS), rng.i64(1..100));
                let block = [
                    args!["MULTI"].to_vec(),
                    args!["DECRBY", format!("account:{from}"), sum].to_vec(),
                    args!["INCRBY", format!("account:{to}"), sum].to_vec(),
                    args!["SET", self.key("block"), number].to_vec(),
                    args!["EXEC"].to_vec(),
                ];
                send(client, &block)?;
                self.block.acknowledged = number;
            }
            3 => {
                let number = self.list.next();
                send(client, &[args!["RPUSH", self.key("list"), number].to_vec()])?;
                self.list.acknowledged = number;
            }
            4 => {
                let number = self.renamed.next();
                send(client, &[args!["RENAME", self.name(number - 1), self.name(number)].to_vec()])?;
                self.renamed.acknowledged = number;
            }
            5 => {
                let (mut from, mut to) = ("from", "to");
                if rng.bool() {
                    (from, to) = (to, from);
                }
                send(client, &[args!["LMOVE", self.key(from), self.key(to), "LEFT", "RIGHT"].to_vec()])?;
            }
            6 => {
                let number = self.script.next();
                let script = "for i, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end return 1";
                let keys = ["s1", "s2", "s3"].map(|name| self.key(name));
                send(client, &[args!["EVAL", script, 3, keys[0], keys[1], keys[2], number].to_vec()])?;
                self.script.acknowledged = number;
            }
            _ => {
                let key = self.key("shortlived");
                send(client, &[args!["SET", key, 1, "PX", 5].to_vec()])?;
            }
        }
        Ok(())
    }

    /// What was acknowledged may be gone: what was found at the last start may not.
    fn forgive(&mut self, before: &Writer) {
        let mine = self.plain.iter_mut().chain([
            &mut self.several,
            &mut self.block,
            &mut self.list,
            &mut self.renamed,
            &mut self.script,
        ]);
        let of = [before.several, before.block, before.list, before.renamed, before.script];
        for (now, before) in mine.zip(before.plain.iter().copied().chain(of)) {
            now.acknowledged = before.acknowledged;
        }
    }

    /// Compares what is there with what it knows.
    fn check(&mut self, client: &mut Client) {
        let same = |client: &mut Client, keys: &[String]| {
            let values = client.call(&[&["MGET".to_owned()], keys].concat()).elements();
            assert!(
                values.iter().all(|value| *value == values[0]),
                "half of a transaction: {keys:?} {values:?}"
            );
            number(&values[0])
        };
        for key in 0..PLAIN_KEYS {
            let found = number(&client.call(&args!["GET", format!("plain:{}:{key}", self.id)]));
            self.plain[key].found("a plain key", found);
        }
        let found = same(client, &["a", "b", "c", "d"].map(|name| self.key(name)));
        self.several.found("MSET", found);
        let found = same(client, &["s1", "s2", "s3"].map(|name| self.key(name)));
        self.script.found("a script", found);
        let found = number(&client.call(&args!["GET", self.key("block")]));
        self.block.found("a block", found);
        let list = client.call(&args!["LRANGE", self.key("list"), 0, -1]).elements();
        assert!((1..).zip(&list).all(|(at, value)| number(value) == at), "a list with holes: {list:?}");
        self.list.found("a list", list.len() as u64);
        let there: Vec<u64> =
            (0..NAMES).filter(|at| client.call(&args!["EXISTS", self.name(*at)]) == int(1)).collect();
        let [at] = there[..] else { panic!("a renamed key has the names {there:?}") };
        client.expect(&args!["GET", self.name(at)], bulk("token"));
        // The number nearest above what was acknowledged that gives this name.
        let from = self.renamed.acknowledged;
        self.renamed.found("RENAME", from + (at + NAMES - from % NAMES) % NAMES);
        let mut items: Vec<i64> = Vec::new();
        for name in ["from", "to"] {
            let found = client.call(&args!["LRANGE", self.key(name), 0, -1]).elements();
            items.extend(found.iter().map(|item| number(item) as i64));
        }
        items.sort_unstable();
        assert_eq!(items, (0..ITEMS).collect::<Vec<_>>(), "items were lost or doubled between two lists");
    }
}

/// 0 for what is not there.
fn number(value: &Value) -> u64 {
    if *value == nil() { 0 } else { value.clone().text().parse().expect("a number was written") }
}

/// Sends commands; fine when all were answered and none with an error.
fn send(client: &mut Client, commands: &[Vec<Vec<u8>>]) -> std::io::Result<()> {
    let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
    client.try_send_raw(bytes)?;
    for command in commands {
        let reply = client.try_recv()?;
        assert!(!reply.is_error(), "{}: {reply}", show(command));
    }
    Ok(())
}

/// Writes until the server is gone.
fn write(mut writer: Writer, address: SocketAddr, seed: u64, acknowledged: &AtomicU64) -> Writer {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut client = Client::connect(address, Protocol::Resp2);
    while writer.step(&mut client, &mut rng).is_ok() {
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    writer
}

fn crash(policy: &str, times: usize) {
    let seed = seed_from_environment("CORESHARD_TEST_SEED");
    println!("seed {seed}: CORESHARD_TEST_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let start = |rng: &mut fastrand::Rng, path: &Path| {
        let threads = rng.usize(1..4);
        let options = at(path, threads).with("appendonly", "yes").with("appendfsync", policy);
        ready(Server::start_with(&options.with("auto-aof-rewrite-percentage", "0")))
    };
    let mut writers: Vec<Writer> = (0..WRITERS).map(|id| Writer { id, ..Writer::default() }).collect();
    let mut server = start(&mut rng, folder.path());
    let mut client = server.client(Protocol::Resp2);
    writers.iter().for_each(|writer| writer.prepare(&mut client));
    if policy == "everysec" {
        // From here on it is there.
        client.expect("WAITAOF 1 0 60000", array([int(1), int(0)]));
    }
    for round in 0..times {
        let before = writers.clone();
        let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
        let enough = rng.u64(1..600);
        let rewrites = rng.bool();
        let address = server.address();
        writers = std::thread::scope(|scope| {
            let handles: Vec<_> = writers
                .drain(..)
                .map(|writer| {
                    let (seed, acknowledged) = (rng.u64(..), &acknowledged);
                    scope.spawn(move || write(writer, address, seed, acknowledged))
                })
                .collect();
            if rewrites {
                let (mut client, over) = (server.client(Protocol::Resp2), &over);
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed)
                        && client.try_send_raw("BGREWRITEAOF\r\n").is_ok()
                        && client.try_recv().is_ok()
                    {}
                });
            }
            wait_until("so much is acknowledged", PATIENCE, || {
                acknowledged.load(Ordering::Relaxed) >= enough
            });
            server.signal("KILL");
            over.store(true, Ordering::Relaxed);
            handles.into_iter().map(|handle| handle.join().expect("no writer panics")).collect()
        });
        server.wait_for_exit(PATIENCE);
        server = start(&mut rng, folder.path());
        println!("round {round}: {enough} steps acknowledged, rewrites {rewrites}");
        let mut client = server.client(Protocol::Resp2);
        for (writer, before) in writers.iter_mut().zip(&before) {
            if policy == "everysec" {
                writer.forgive(before);
            }
            writer.check(&mut client);
        }
        let sum: i64 = (0..ACCOUNTS)
            .map(|account| match client.call(&args!["GET", format!("account:{account}")]) {
                value if value == nil() => 0,
                value => value.text().parse::<i64>().expect("a number was written"),
            })
            .sum();
        assert_eq!(sum, 0, "a transfer between accounts was half there");
    }
}

fn times() -> usize {
    std::env::var("CORESHARD_TEST_CRASHES").map_or(20, |text| text.parse().expect("a number of crashes"))
}

#[test]
fn with_always_nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    crash("always", times() / 2);
}

#[test]
fn with_no_sync_a_killed_process_has_lost_nothing_acknowledged() {
    crash("no", times() / 4);
}

#[test]
fn with_everysec_nothing_is_half_there() {
    crash("everysec", times() / 4);
}
