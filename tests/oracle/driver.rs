//! Sends one history of commands to two servers and finds where they differ.
//!
//! One thread drives several connections to each server, so the interleaving of the connections is
//! part of the history and the same every time.

use crate::compare::{Promise, promise_of, same};
use crate::dump;
use crate::grammar::{Generator, KEYS};
use crate::support::{Client, Protocol, Server, Value, args, encode, ok, show, wait_until};
use std::fmt::{Display, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connections to each server: the first half begins in RESP2, the others in RESP3.
pub const CONNECTIONS: usize = 4;

/// Databases that the grammar uses.
const DATABASES: usize = 2;

/// One command of a history.
#[derive(Clone, Debug)]
pub struct Step {
    pub connection: usize,
    pub arguments: Vec<Vec<u8>>,
    /// Sent together with the next step of the same connection.
    pub pipelined: bool,
}

impl Step {
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.arguments[0]).to_ascii_uppercase()
    }

    /// Some key ends its life one millisecond after this command.
    fn sets_a_short_life(&self) -> bool {
        const NAMES: [&str; 6] = ["SET", "GETEX", "PSETEX", "PEXPIRE", "EXPIRE", "SETEX"];
        NAMES.contains(&self.name().as_str()) && self.arguments[1..].iter().any(|a| a == b"1")
    }

    /// The reply counts keys whose time has come, unless somebody has looked at them since.
    fn counts_keys(&self) -> bool {
        ["DBSIZE", "RANDOMKEY", "SCAN", "SWAPDB"].contains(&self.name().as_str())
    }
}

/// Where two servers differ.
#[derive(Debug)]
pub struct Difference {
    /// Index of the step, or of the end.
    pub at: usize,
    pub what: String,
    pub ours: String,
    pub theirs: String,
}

/// A history from a generator: transactions are opened and closed, the rest is the grammar's.
pub fn history(generator: &mut Generator, length: usize) -> Vec<Step> {
    let mut queueing = [false; CONNECTIONS];
    let mut steps: Vec<Step> = Vec::with_capacity(length);
    let mut connection = 0;
    while steps.len() < length {
        let pipelined = steps.last().is_some_and(|step| step.pipelined);
        if !pipelined {
            connection = generator.rng().below(CONNECTIONS);
        }
        let line = match (queueing[connection], generator.rng().below(100)) {
            (false, 0..5) => Some("MULTI"),
            (false, 5..9) => Some("WATCH <$key>"),
            (false, 9) => Some("(UNWATCH|EXEC|DISCARD)"),
            (true, 0..18) => Some("EXEC"),
            (true, 18..21) => Some("DISCARD"),
            (true, 21..24) => Some("(WATCH $key|MULTI|UNWATCH)"),
            _ => None,
        };
        let arguments = match line {
            Some(line) => generator.line(line),
            None => generator.command(),
        };
        let mut step = Step { connection, arguments, pipelined: generator.rng().one_in(3) };
        match step.name().as_str() {
            "MULTI" => queueing[connection] = true,
            "EXEC" | "DISCARD" | "RESET" => queueing[connection] = false,
            _ => {}
        }
        // Within a transaction nobody can wait for a short life to end, or look at all keys first.
        if queueing[connection] && (step.sets_a_short_life() || step.counts_keys()) {
            continue;
        }
        if step.sets_a_short_life() {
            step.pipelined = false;
        }
        // What counts keys must not be in one write with what ends them.
        if step.counts_keys() && pipelined {
            continue;
        }
        steps.push(step);
    }
    if let Some(last) = steps.last_mut() {
        last.pipelined = false;
    }
    steps
}

/// Changes what the server under test seems to be asked or to answer: the test of the test.
#[derive(Clone, Copy, Default)]
pub struct Tamper {
    pub request: Option<fn(&mut [Vec<u8>])>,
    pub reply: Option<TamperReply>,
}

/// Gets the command and changes its reply.
pub type TamperReply = fn(&[Vec<u8>], &mut Value);

/// Runs the history on both servers, from empty; the first difference ends it.
pub fn replay(ours: &Server, theirs: &Server, steps: &[Step], tamper: Tamper) -> Result<(), Difference> {
    let mut pair = Pair { ours: Side::new(ours.address()), theirs: Side::new(theirs.address()), tamper };
    let mut promised: Vec<Vec<Promise>> = vec![Vec::new(); CONNECTIONS];
    let mut index = 0;
    while index < steps.len() {
        let first = &steps[index];
        let mut end = index + 1;
        while end < steps.len() && steps[end - 1].pipelined && steps[end].connection == first.connection {
            end += 1;
        }
        let group = &steps[index..end];
        if group.iter().any(Step::counts_keys) {
            pair.look_at_all_keys();
        }
        for (offset, (ours, theirs)) in pair.send(group).into_iter().enumerate() {
            let step = &group[offset];
            let queue = &mut promised[step.connection];
            let promise = match step.name().as_str() {
                "EXEC" => Promise::Each(std::mem::take(queue)),
                _ => promise_of(&step.arguments),
            };
            if !same(&promise, &ours, &theirs) {
                return Err(Difference {
                    at: index + offset,
                    what: step.name(),
                    ours: ours.to_string(),
                    theirs: theirs.to_string(),
                });
            }
            match (step.name().as_str(), &theirs) {
                (_, Value::Simple(text)) if text == b"QUEUED" => queue.push(promise),
                ("DISCARD" | "RESET", _) => queue.clear(),
                _ => {}
            }
        }
        if group.iter().any(Step::sets_a_short_life) {
            outlive(Duration::from_millis(3));
        }
        index = end;
    }
    pair.compare_state(steps.len())
}

/// Waits on the wall clock, because that is what ends the life of keys.
fn outlive(time: Duration) {
    let start = Instant::now();
    wait_until("a few milliseconds pass", Duration::from_secs(5), || start.elapsed() > time);
}

/// One server and the connections to it.
struct Side {
    clients: Vec<Client>,
    /// Looks at things without being part of the history.
    observer: Client,
}

impl Side {
    fn new(address: SocketAddr) -> Side {
        let mut observer = Client::connect(address, Protocol::Resp2);
        observer.expect("FLUSHALL", ok());
        // Who looks at a key decides when it goes, not a timer.
        observer.expect("DEBUG SET-ACTIVE-EXPIRE 0", ok());
        let connect = |index| {
            let protocol = if index < CONNECTIONS / 2 { Protocol::Resp2 } else { Protocol::Resp3 };
            Client::connect(address, protocol)
        };
        Side { clients: (0..CONNECTIONS).map(connect).collect(), observer }
    }

    /// Drops the keys whose time has come by looking at all there may be.
    fn look_at_all_keys(&mut self) {
        let exists: Vec<&[u8]> = std::iter::once(b"EXISTS".as_slice()).chain(KEYS.iter().copied()).collect();
        for database in 0..DATABASES {
            self.observer.expect(&["SELECT", &database.to_string()], ok());
            self.observer.expect_that(&exists, |reply| matches!(reply, Value::Int(_)));
        }
    }

    /// The keys of a database, in order.
    fn keys(&mut self, database: usize) -> Vec<Value> {
        self.observer.expect(&["SELECT", &database.to_string()], ok());
        self.observer.call("KEYS *").sorted().elements()
    }

    /// The keys that a whole SCAN meets, in order.
    fn scanned_keys(&mut self) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = b"0".to_vec();
        loop {
            let reply = self.observer.call(&[b"SCAN".as_slice(), &cursor, b"COUNT", b"3"]).elements();
            found.extend(reply[1].elements());
            cursor = reply[0].bytes().to_vec();
            if cursor == b"0" {
                break;
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// All that can be asked about a key, with what each answer promises.
    fn facts(&mut self, key: &[u8]) -> Vec<(&'static str, Promise, Value)> {
        let ask =
            [("TYPE", Promise::Exact), ("OBJECT ENCODING", Promise::Encoding), ("PTTL", Promise::Near(5000))];
        let commands = ask.iter().map(|(command, _)| {
            let words = command.split(' ').map(|word| word.as_bytes().to_vec());
            words.chain([key.to_vec()]).collect::<Vec<_>>()
        });
        let commands: Vec<_> = commands.collect();
        let replies = self.observer.pipeline(commands.iter());
        let mut facts: Vec<_> = ask
            .into_iter()
            .zip(replies)
            .map(|((command, promise), reply)| (command, promise, reply))
            .collect();
        facts.push(("the value", Promise::Exact, self.value(key)));
        facts
    }

    /// What a key holds, in an order that is the same whatever the server's is.
    fn value(&mut self, key: &[u8]) -> Value {
        let kind = self.observer.call(&[b"TYPE", key]);
        let Value::Simple(kind) = kind else { return kind };
        match kind.as_slice() {
            b"list" => self.observer.call(&[b"LRANGE", key, b"0", b"-1"]),
            b"set" => self.observer.call(&[b"SMEMBERS", key]).sorted(),
            b"hash" => {
                let flat = self.observer.call(&[b"HGETALL", key]).elements();
                let pairs = flat.chunks(2).map(|pair| Value::Array(pair.to_vec()));
                Value::Array(pairs.collect()).sorted()
            }
            b"zset" => self.observer.call(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
            b"stream" => {
                let entries = self.observer.call(&[b"XRANGE", key, b"-", b"+"]);
                let groups = self.observer.call(&[b"XINFO".as_slice(), b"GROUPS", key]);
                Value::Array(vec![entries, groups])
            }
            _ => self.observer.call(&[b"GET", key]),
        }
    }
}

/// The server under test and the one that is right.
struct Pair {
    ours: Side,
    theirs: Side,
    tamper: Tamper,
}

impl Pair {
    /// Sends the steps of one connection in one write to each server, then reads all replies.
    fn send(&mut self, group: &[Step]) -> Vec<(Value, Value)> {
        let connection = group[0].connection;
        let mut ours = Vec::new();
        let mut theirs = Vec::new();
        for step in group {
            let mut tampered = step.arguments.clone();
            if let Some(request) = self.tamper.request {
                request(&mut tampered);
            }
            ours.extend(encode(&tampered));
            theirs.extend(encode(&step.arguments));
        }
        // A connection that has gone shows when its reply is read.
        let _ = self.ours.clients[connection].try_send_raw(&ours);
        self.theirs.clients[connection].send_raw(&theirs);
        let replies = group.iter().map(|step| {
            let mut ours = match self.ours.clients[connection].try_recv() {
                Ok(reply) => reply,
                Err(error) => Value::Error(format!("(no reply: {error})").into_bytes()),
            };
            if let Some(reply) = self.tamper.reply {
                reply(&step.arguments, &mut ours);
            }
            (ours, self.theirs.clients[connection].recv())
        });
        replies.collect()
    }

    fn look_at_all_keys(&mut self) {
        self.ours.look_at_all_keys();
        self.theirs.look_at_all_keys();
    }

    /// Both servers hold the same keys, and each can read what the other dumps.
    fn compare_state(&mut self, at: usize) -> Result<(), Difference> {
        let differ = |what: String, ours: &dyn Display, theirs: &dyn Display| {
            Err(Difference { at, what, ours: ours.to_string(), theirs: theirs.to_string() })
        };
        self.look_at_all_keys();
        for database in 0..DATABASES {
            let (ours, theirs) = (self.ours.keys(database), self.theirs.keys(database));
            if ours != theirs {
                let (ours, theirs) = (Value::Array(ours), Value::Array(theirs));
                return differ(format!("the keys of database {database} at the end"), &ours, &theirs);
            }
            let scanned = self.ours.scanned_keys();
            if scanned != ours {
                let (scanned, keys) = (Value::Array(scanned), Value::Array(ours));
                return differ(format!("SCAN and KEYS in database {database}"), &scanned, &keys);
            }
            for key in ours.iter().map(Value::bytes) {
                let facts = self.ours.facts(key).into_iter().zip(self.theirs.facts(key));
                for ((what, promise, ours), (_, _, theirs)) in facts {
                    if !same(&promise, &ours, &theirs) {
                        let what =
                            format!("{what} of \"{}\" in database {database} at the end", key.escape_ascii());
                        return differ(what, &ours, &theirs);
                    }
                }
                for whose in ["our", "their"] {
                    let (from, to) = match whose {
                        "our" => (&mut self.ours, &mut self.theirs),
                        _ => (&mut self.theirs, &mut self.ours),
                    };
                    if let Err((value, copy)) = carry_over(from, to, key) {
                        let what = format!("\"{}\" restored from {whose} DUMP", key.escape_ascii());
                        return differ(what, &value, &copy);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Restores what one server dumps in the other one; what it then holds must be the same.
fn carry_over(from: &mut Side, to: &mut Side, key: &[u8]) -> Result<(), (Value, Value)> {
    const NAME: &str = "carried over";
    let payload = from.observer.call(&[b"DUMP", key]);
    let Value::Bulk(payload) = payload else { return Err((payload, Value::Null)) };
    let value = from.value(key);
    let restored = to.observer.call(&args!["RESTORE", NAME, 0, dump::as_version(10, &payload)]);
    if restored != ok() {
        return Err((Value::Bulk(payload), restored));
    }
    let copy = to.value(NAME.as_bytes());
    to.observer.expect(&["DEL", NAME], 1);
    if value == copy { Ok(()) } else { Err((value, copy)) }
}

/// The shortest history found, within `budget`, that still ends in a difference of the same kind.
pub fn minimise(
    steps: &[Step],
    difference: Difference,
    budget: Duration,
    mut run: impl FnMut(&[Step]) -> Result<(), Difference>,
) -> (Vec<Step>, Difference) {
    let deadline = Instant::now() + budget;
    let mut steps = steps[..steps.len().min(difference.at + 1)].to_vec();
    let mut difference = difference;
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        let mut shorter = false;
        while start < steps.len() && Instant::now() < deadline {
            let end = (start + chunk).min(steps.len());
            let candidate = [&steps[..start], &steps[end..]].concat();
            match run(&candidate) {
                Err(found) if found.what == difference.what => {
                    steps = candidate;
                    steps.truncate(found.at + 1);
                    difference = found;
                    shorter = true;
                }
                _ => start = end,
            }
        }
        chunk = if chunk == 1 && shorter { 1 } else { chunk / 2 };
    }
    (steps, difference)
}

/// The history as a person would type it, and what came of it.
pub fn report(steps: &[Step], difference: &Difference) -> String {
    let mut out = String::new();
    for step in steps {
        let protocol = if step.connection < CONNECTIONS / 2 { 2 } else { 3 };
        let more = if step.pipelined { "  (and at once)" } else { "" };
        let line = show(&step.arguments);
        let _ = writeln!(out, "  connection {} (RESP{protocol}): {line}{more}", step.connection);
    }
    let brief = |reply: &str| reply.chars().take(1000).collect::<String>();
    let Difference { what, ours, theirs, .. } = difference;
    let _ = writeln!(out, "  {what}\n    ours:   {}\n    theirs: {}", brief(ours), brief(theirs));
    out
}
