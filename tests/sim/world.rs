//! N cores on one thread, clients that pipeline, and a scheduler that picks every step from a seed.

use std::collections::VecDeque;
use std::sync::Arc;

use coreshard::config::Config;
use coreshard::net::core::Parts;
use coreshard::net::{Core, Shared};
use coreshard::runtime::face::{Closed, ConnId, Handler};
use coreshard::runtime::mesh::mesh;
use coreshard::server::registry;
use coreshard::shard::Shard;
use coreshard::types::ShardId;
use coreshard::types::raw::table::Hasher;

use crate::history::{Operation, Step, token_text, tokens};
use crate::io::{SLICE, SimIo};
use crate::log::LogFile;
use crate::queues::{Ask, Tally};
use crate::reply::{Value, take_value};

/// Faults that the simulation can plant, to prove that it finds them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    Nothing,
    /// Pipelines fly to several shards beside transactions (rule (e) is not kept).
    NoTransactionMode,
    /// What rests is taken although messages are under way.
    RestsBesideMail,
    /// Replies leave when the log is written, and yet it is promised that they wait for the disk.
    RepliesBeforeTheDisk,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Half {
    /// Bytes may come in.
    Open,
    /// `end_turn` was called; its sends have not all happened.
    Ended(bool),
    /// `next_turn` was called; its sends have not all happened.
    Begun,
    /// Asleep.
    Resting,
}

struct SimCore {
    core: Core,
    io: SimIo,
    half: Half,
}

/// What a client waits for.
enum Expect {
    /// The reply of one operation, with the operation's index.
    Operation(usize),
    /// `+OK`, `+QUEUED` and the like of MULTI, WATCH and queued commands.
    Acknowledgement,
    /// The reply to something asked of the lists.
    List(Ask),
}

struct SimClient {
    core: usize,
    conn: ConnId,
    /// Bytes not yet given to the core, cut where the scheduler likes; with the operations that end at each cut.
    to_send: VecDeque<(Vec<u8>, Vec<usize>)>,
    expect: VecDeque<Expect>,
    gone: bool,
}

/// Everything.
pub struct World {
    cores: Vec<SimCore>,
    clients: Vec<SimClient>,
    pub operations: Vec<Operation>,
    rng: fastrand::Rng,
    step: u64,
    keys: usize,
    next_token: u64,
    planted: Planted,
    /// Cores sleep often and long.
    sleepy: bool,
    /// Clients ask for lists instead of strings.
    pub tally: Option<Tally>,
    /// What the shards do is logged.
    log: Option<LogFile>,
}

impl World {
    /// A world with an append-only file, whose disk takes its time and may crash.
    pub fn logging(seed: u64, planted: Planted) -> World {
        let mut world = World::new(seed, planted);
        let shared = world.cores[0].core.shared.clone();
        world.cores.iter_mut().for_each(|sim| sim.core.begin_log());
        world.log = Some(LogFile::new(shared, planted == Planted::RepliesBeforeTheDisk));
        world
    }

    /// How often it has crashed.
    pub fn crashes(&self) -> usize {
        self.log.as_ref().map_or(0, |log| log.crashes)
    }

    /// The disk does something, or does no more.
    fn step_log(&mut self) {
        let Some(log) = &mut self.log else { return };
        match self.rng.u8(0..10) {
            0..4 => log.write(),
            4..9 => log.sync(),
            _ => log.crash(&mut self.rng, &self.operations, self.keys),
        }
    }

    /// A world whose clients push to lists and wait for them.
    pub fn of_lists(seed: u64) -> World {
        World { tally: Some(Tally::default()), ..World::new(seed, Planted::Nothing) }
    }

    pub fn new(seed: u64, planted: Planted) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let shards = rng.usize(2..=5);
        let shared = shared(shards);
        let table = registry::table();
        let bound = registry::bind(table);
        let hasher = Hasher::from_seed(seed);
        let cores = mesh(shards)
            .into_iter()
            .enumerate()
            .map(|(me, mut port)| {
                port.hold();
                let shard = Shard::new(
                    ShardId(me as u16),
                    16,
                    hasher.clone(),
                    seed + me as u64,
                    shared.memory.clone(),
                );
                let (shared, bound) = (shared.clone(), bound.clone());
                let mut core = Core::new(Parts { me: ShardId(me as u16), shared, table, bound, shard, port });
                core.loans.ignores_mail = planted == Planted::RestsBesideMail;
                SimCore { core, io: SimIo::default(), half: Half::Open }
            })
            .collect();
        let keys = rng.usize(2..=6);
        let sleepy = rng.bool();
        let mut world = World {
            cores,
            clients: Vec::new(),
            operations: Vec::new(),
            rng,
            step: 0,
            keys,
            next_token: 1,
            planted,
            sleepy,
            tally: None,
            log: None,
        };
        for _ in 0..world.rng.usize(2..=6) {
            world.connect();
        }
        world
    }

    fn connect(&mut self) {
        let core = self.rng.usize(0..self.cores.len());
        let sim = &mut self.cores[core];
        let before = sim.io.wires.len();
        sim.core.adopt(&mut sim.io, SimIo::socket());
        assert_eq!(sim.io.wires.len(), before + 1, "a socket was adopted");
        let conn = sim.io.wires.last_key_value().expect("just adopted").1.0;
        self.clients.push(SimClient {
            core,
            conn,
            to_send: VecDeque::new(),
            expect: VecDeque::new(),
            gone: false,
        });
    }

    /// Runs until `operations` were begun and all of them are over. Returns the keys' final tokens.
    pub fn run(&mut self, operations: usize) -> Vec<Vec<u64>> {
        while self.operations.len() < operations {
            self.random_step(true);
        }
        let mut idle = 0;
        while idle < 2000 {
            self.random_step(false);
            let waiting = self
                .clients
                .iter()
                .any(|client| !client.gone && (!client.expect.is_empty() || !client.to_send.is_empty()));
            idle = if waiting { 0 } else { idle + 1 };
            assert!(self.step < 3_000_000, "clients wait for ever for {} operations", operations);
        }
        self.everyone_leaves();
        let finals = self.finals();
        if let Some(log) = &mut self.log {
            log.sync();
            assert!(log.is_complete(), "a part of a transaction never came");
            assert_eq!(log.state_of_all(self.keys), finals, "the log tells of the same data");
        }
        finals
    }

    /// Runs until about so many things were asked of the lists and nothing moves any more.
    pub fn run_lists(&mut self, asks: usize) {
        let mut begun = 0;
        while begun < asks {
            let before = self.next_token;
            self.random_step(true);
            begun += (self.next_token - before) as usize;
        }
        let mut idle = 0;
        while idle < 3000 {
            self.random_step(false);
            let moving = self
                .clients
                .iter()
                .any(|client| !client.gone && (!client.to_send.is_empty() || !self.may_wait(client)));
            idle = if moving { 0 } else { idle + 1 };
            assert!(self.step < 3_000_000, "clients wait beside lists that have something, or for ever");
        }
        self.everyone_leaves();
        for sim in &mut self.cores {
            sim.core.fetch_shard();
            assert!(sim.core.blocked.is_empty(), "somebody waits although all clients have left");
            assert!(sim.core.shard.waits.is_empty(), "keys are waited for although all clients have left");
        }
        let lists = (0..self.keys).map(|key| (key, self.list(key))).collect();
        self.tally.take().expect("a world of lists").check(&lists);
    }

    /// Has a client got all it asked for, or does it wait at lists that are empty? Then what it pipelined behind waits
    /// too.
    fn may_wait(&self, client: &SimClient) -> bool {
        match client.expect.front() {
            None => true,
            Some(Expect::List(Ask::Take { waits_at })) => waits_at.iter().all(|key| self.is_empty(*key)),
            Some(Expect::List(Ask::Move { waits_at })) => self.is_empty(*waits_at),
            Some(_) => false,
        }
    }

    fn is_empty(&self, key: usize) -> bool {
        let name = key_name(key);
        let owner = self.cores[0].core.placement.owner_of(name.as_bytes());
        let core = &self.cores[owner.index()].core;
        let lacks = |shard: &Shard| {
            let hash = shard.hasher.hash(name.as_bytes());
            shard.dbs[0].table.find(hash, name.as_bytes()).is_none()
        };
        core.shared.seats.look(owner, |shard| lacks(shard)).unwrap_or_else(|| lacks(&core.shard))
    }

    /// A core's shard, wherever it is.
    fn shard(&mut self, owner: ShardId) -> &mut Shard {
        let core = &mut self.cores[owner.index()].core;
        core.fetch_shard();
        &mut core.shard
    }

    /// The tokens in a list.
    fn list(&mut self, key: usize) -> Vec<u64> {
        use coreshard::types::List;
        let name = key_name(key);
        let owner = self.cores[0].core.placement.owner_of(name.as_bytes());
        let shard = self.shard(owner);
        let mut keys = shard.keyspace(coreshard::types::DbIndex(0), false);
        let Ok(Some(list)) = keys.view::<List>(name.as_bytes()) else { return Vec::new() };
        let mut digits = itoa::Buffer::new();
        let token = |index| {
            let text = list.get(index)?.element().as_bytes(&mut digits).to_vec();
            String::from_utf8(text).ok()?.parse().ok()
        };
        (0..list.len() as i64).map(token).map(|token| token.expect("tokens are numbers")).collect()
    }

    /// A client asks for something of the lists.
    fn begin_lists(&mut self) {
        let index = self.rng.usize(0..self.clients.len());
        if self.clients[index].gone {
            return;
        }
        let mut bytes = Vec::new();
        for _ in 0..self.rng.usize(1..=3) {
            let (a, b) = (self.key(), self.key());
            let (first, second) = (key_name(a), key_name(b));
            match self.rng.u8(0..12) {
                0..4 => {
                    let token = self.token();
                    command(&mut bytes, &["RPUSH", &first, &token.to_string()]);
                    self.ask(index, Ask::Push(vec![token]));
                }
                4 => {
                    let (one, other) = (self.token(), self.token());
                    command(&mut bytes, &["MULTI"]);
                    command(&mut bytes, &["RPUSH", &first, &one.to_string()]);
                    command(&mut bytes, &["LPUSH", &second, &other.to_string()]);
                    command(&mut bytes, &["EXEC"]);
                    (0..3).for_each(|_| self.clients[index].expect.push_back(Expect::Acknowledgement));
                    self.ask(index, Ask::Push(vec![one, other]));
                }
                5..7 => {
                    command(&mut bytes, &["BLPOP", &first, &second, "0"]);
                    self.ask(index, Ask::Take { waits_at: vec![a, b] });
                }
                7 => {
                    command(&mut bytes, &["BRPOP", &first, "0"]);
                    self.ask(index, Ask::Take { waits_at: vec![a] });
                }
                8 => {
                    command(&mut bytes, &["LPOP", &first]);
                    self.ask(index, Ask::Take { waits_at: Vec::new() });
                }
                9 => {
                    command(&mut bytes, &["LMOVE", &first, &second, "LEFT", "RIGHT"]);
                    // Answered in any case.
                    self.clients[index].expect.push_back(Expect::List(Ask::Move { waits_at: a }));
                }
                _ => {
                    command(&mut bytes, &["BLMOVE", &first, &second, "RIGHT", "LEFT", "0"]);
                    self.ask(index, Ask::Move { waits_at: a });
                }
            }
        }
        self.clients[index].to_send.push_back((bytes, Vec::new()));
    }

    fn ask(&mut self, client: usize, ask: Ask) {
        if let (Ask::Push(tokens), Some(tally)) = (&ask, &mut self.tally) {
            tally.sent.extend(tokens);
        }
        self.clients[client].expect.push_back(Expect::List(ask));
    }

    /// What a client that leaves had asked for may have been done or not.
    fn count_unknown(&mut self, index: usize) {
        let Some(tally) = &mut self.tally else { return };
        for expect in &self.clients[index].expect {
            match expect {
                Expect::List(Ask::Take { .. }) => tally.unknown_takes += 1,
                Expect::List(Ask::Push(tokens)) => tally.unknown_takes += tokens.len(),
                _ => {}
            }
        }
    }

    /// Does a core that has nothing to do stay awake for what was told to all cores after its turn?
    pub fn stays_awake_for(&mut self, tell: fn(&Shared)) -> bool {
        let sim = &mut self.cores[0];
        let flushed = sim.core.end_turn(&mut sim.io);
        while sim.core.port.let_happen() {}
        sim.core.next_turn(&mut sim.io, flushed);
        while sim.core.port.let_happen() {}
        assert!(!sim.core.has_mail(), "it has nothing to do");
        tell(&sim.core.shared);
        sim.core.has_mail()
    }

    /// How much was run on the shards of cores that slept.
    pub fn ran_at_rest(&self) -> u64 {
        self.cores.iter().map(|sim| sim.core.loans.ran_at_rest).sum()
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    fn random_step(&mut self, begin: bool) {
        self.step += 1;
        let pick = self.rng.usize(0..100);
        match pick {
            0..8 if begin && self.tally.is_some() => self.begin_lists(),
            0..8 if begin => self.begin_operations(),
            0..30 => self.give_bytes(),
            30..31 if begin && self.rng.u8(0..20) == 0 => self.leave(),
            31..36 => self.confirm_send(),
            36..38 => self.background(),
            38..41 if self.log.is_some() => self.step_log(),
            _ => self.step_core(),
        }
        self.read_replies();
    }

    /// Where cores sleep there is time between the steps, so that now and then no transaction is in flight.
    fn now_ns(&self) -> u64 {
        self.step * if self.sleepy { 200_000 } else { 1000 }
    }

    /// One step of a random core: a half turn, or one send of its flush.
    fn step_core(&mut self) {
        let core = self.rng.usize(0..self.cores.len());
        let step_ns = self.now_ns();
        let sim = &mut self.cores[core];
        sim.io.now_ns = step_ns;
        match sim.half {
            // Who is rung for takes a while to wake up.
            Half::Resting if self.sleepy && self.rng.u8(0..8) > 0 => {}
            Half::Open | Half::Resting => {
                sim.half = Half::Ended(sim.core.end_turn(&mut sim.io));
            }
            Half::Ended(flushed) => {
                if !sim.core.port.let_happen() {
                    sim.core.next_turn(&mut sim.io, flushed);
                    sim.half = Half::Begun;
                }
            }
            Half::Begun => {
                if !sim.core.port.let_happen() {
                    sim.half = Half::Open;
                    let tries = self.sleepy || self.rng.u8(0..4) == 0;
                    if tries && !sim.core.has_mail() {
                        sim.half = Half::Resting;
                    }
                }
            }
        }
    }

    fn background(&mut self) {
        let core = self.rng.usize(0..self.cores.len());
        let sim = &mut self.cores[core];
        if matches!(sim.half, Half::Open) {
            sim.core.background(&mut sim.io, SLICE);
        }
    }

    fn confirm_send(&mut self) {
        let core = self.rng.usize(0..self.cores.len());
        let sim = &mut self.cores[core];
        if !matches!(sim.half, Half::Open | Half::Resting) {
            return;
        }
        let conn =
            sim.io.wires.values().find(|(_, wire)| wire.unconfirmed && !wire.closed).map(|(conn, _)| *conn);
        if let Some(conn) = conn {
            sim.io.wire(conn).expect("found above").unconfirmed = false;
            sim.half = Half::Open;
            sim.core.sent(&mut sim.io, conn);
        }
    }

    /// A client goes away with whatever it has under way, and another comes.
    fn leave(&mut self) {
        let index = self.rng.usize(0..self.clients.len());
        if self.depart(index) {
            self.connect();
        }
    }

    /// Takes a client away, unless it is gone or its core is in the middle of a turn.
    fn depart(&mut self, index: usize) -> bool {
        let client = &mut self.clients[index];
        let sim = &mut self.cores[client.core];
        if client.gone || !matches!(sim.half, Half::Open | Half::Resting) {
            return false;
        }
        client.gone = true;
        client.to_send.clear();
        sim.half = Half::Open;
        let conn = client.conn;
        self.count_unknown(index);
        let sim = &mut self.cores[self.clients[index].core];
        sim.core.closed(&mut sim.io, conn, Closed::Peer);
        sim.io.wire(conn).expect("it was open").closed = true;
        true
    }

    /// Takes all clients away: nothing of them may stay.
    fn everyone_leaves(&mut self) {
        for index in 0..self.clients.len() {
            while !self.clients[index].gone {
                self.depart(index);
                self.random_step(false);
            }
        }
        (0..2000).for_each(|_| self.random_step(false));
        for sim in &mut self.cores {
            sim.core.fetch_shard();
            assert!(sim.core.shard.watches.is_empty(), "keys are watched although all clients have left");
        }
    }

    /// Gives a client's next bytes to its core.
    fn give_bytes(&mut self) {
        let index = self.rng.usize(0..self.clients.len());
        let now_ns = self.now_ns();
        let client = &mut self.clients[index];
        let sim = &mut self.cores[client.core];
        let paused = sim.io.wire(client.conn).is_none_or(|wire| wire.receive_paused);
        if client.gone || paused || !matches!(sim.half, Half::Open | Half::Resting) {
            return;
        }
        let Some((bytes, ending)) = client.to_send.pop_front() else { return };
        for operation in ending {
            self.operations[operation].sent_at = self.step;
        }
        sim.half = Half::Open;
        sim.io.now_ns = now_ns;
        if self.planted == Planted::NoTransactionMode {
            sim.core.ignore_transactions();
        }
        sim.core.received(&mut sim.io, client.conn, &bytes);
    }

    // --- what clients do ----------------------------------------------------------------------------------------

    fn key(&mut self) -> usize {
        self.rng.usize(0..self.keys)
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token - 1
    }

    /// A client writes a pipeline of a few operations.
    fn begin_operations(&mut self) {
        let index = self.rng.usize(0..self.clients.len());
        if self.clients[index].gone {
            return;
        }
        let mut bytes = Vec::new();
        let first = self.operations.len();
        for _ in 0..self.rng.usize(1..=4) {
            match self.rng.u8(0..10) {
                0..3 => self.append(index, &mut bytes),
                3..5 => self.get(index, &mut bytes),
                5..7 => self.mget(index, &mut bytes),
                7..9 => self.exec(index, &mut bytes, false),
                _ => self.exec(index, &mut bytes, true),
            }
        }
        let begun = (first..self.operations.len()).collect();
        self.clients[index].to_send.push_back((bytes, begun));
    }

    fn new_operation(&mut self, client: usize, steps: Vec<Step>, text: String) {
        let index = self.operations.len();
        self.operations.push(Operation {
            client,
            steps,
            sent_at: u64::MAX,
            answered_at: None,
            refused: false,
            watched: None,
            text,
        });
        self.clients[client].expect.push_back(Expect::Operation(index));
    }

    fn append(&mut self, client: usize, bytes: &mut Vec<u8>) {
        let (key, token) = (self.key(), self.token());
        command(bytes, &["APPEND", &key_name(key), &token_text(token)]);
        self.new_operation(client, vec![Step::Append { key, token, length: None }], format!("APPEND {key}"));
    }

    fn get(&mut self, client: usize, bytes: &mut Vec<u8>) {
        let key = self.key();
        command(bytes, &["GET", &key_name(key)]);
        self.new_operation(client, vec![Step::Read { key, seen: None }], format!("GET {key}"));
    }

    fn mget(&mut self, client: usize, bytes: &mut Vec<u8>) {
        let keys: Vec<usize> = (0..self.rng.usize(1..=4)).map(|_| self.key()).collect();
        let names: Vec<String> = keys.iter().map(|key| key_name(*key)).collect();
        let mut words = vec!["MGET"];
        words.extend(names.iter().map(String::as_str));
        command(bytes, &words);
        let steps = keys.iter().map(|key| Step::Read { key: *key, seen: None }).collect();
        self.new_operation(client, steps, format!("MGET {keys:?}"));
    }

    fn exec(&mut self, client: usize, bytes: &mut Vec<u8>, watch: bool) {
        let mut watched = None;
        if watch {
            let key = self.key();
            command(bytes, &["WATCH", &key_name(key)]);
            self.clients[client].expect.push_back(Expect::Acknowledgement);
            watched = Some(self.operations.len());
            command(bytes, &["GET", &key_name(key)]);
            self.new_operation(client, vec![Step::Read { key, seen: None }], format!("GET watched {key}"));
        }
        command(bytes, &["MULTI"]);
        self.clients[client].expect.push_back(Expect::Acknowledgement);
        let mut steps = Vec::new();
        for _ in 0..self.rng.usize(1..=4) {
            let key = self.key();
            if self.rng.bool() {
                let token = self.token();
                command(bytes, &["APPEND", &key_name(key), &token_text(token)]);
                steps.push(Step::Append { key, token, length: None });
            } else {
                command(bytes, &["GET", &key_name(key)]);
                steps.push(Step::Read { key, seen: None });
            }
            self.clients[client].expect.push_back(Expect::Acknowledgement);
        }
        if self.rng.u8(0..4) == 0 {
            // What the client's core does is no work of a shard: the block ends without a last hop.
            command(bytes, &["PING"]);
            self.clients[client].expect.push_back(Expect::Acknowledgement);
        }
        command(bytes, &["EXEC"]);
        self.new_operation(client, steps, format!("EXEC watch={watch}"));
        self.operations.last_mut().expect("just made").watched = watched;
    }

    /// Takes the replies that are complete.
    fn read_replies(&mut self) {
        let step = self.step;
        for client in self.clients.iter_mut().filter(|client| !client.gone) {
            let Some(wire) = self.cores[client.core].io.wire(client.conn) else { continue };
            let mut at = 0;
            while let Some((value, used)) = take_value(&wire.received[at..]) {
                at += used;
                match client.expect.pop_front().expect("a reply that nobody asked for") {
                    Expect::Acknowledgement => assert!(matches!(value, Value::Simple(_)), "{value:?}"),
                    Expect::Operation(index) => settle(&mut self.operations[index], value, step),
                    Expect::List(ask) => {
                        let tally = self.tally.as_mut().expect("lists are asked for in their world");
                        tally.answered(&ask, value);
                    }
                }
            }
            wire.received.drain(..at);
        }
    }

    /// Reads every key from its shard.
    fn finals(&mut self) -> Vec<Vec<u64>> {
        (0..self.keys)
            .map(|key| {
                let name = key_name(key);
                let owner = self.cores[0].core.placement.owner_of(name.as_bytes());
                let shard = self.shard(owner);
                let mut keys = shard.keyspace(coreshard::types::DbIndex(0), false);
                keys.peek(name.as_bytes()).map_or_else(Vec::new, |entry| tokens(&string_of(entry.value())))
            })
            .collect()
    }
}

fn string_of(value: coreshard::shard::ValueView<'_>) -> Vec<u8> {
    use coreshard::shard::ValueView;
    use coreshard::types::Value;
    match value {
        ValueView::Int(value) => value.to_string().into_bytes(),
        ValueView::Bytes(bytes) => bytes.to_vec(),
        ValueView::Heap(Value::String(bytes)) => bytes.to_vec(),
        ValueView::Packed(..) | ValueView::Heap(_) => unreachable!("the histories are about strings"),
    }
}

fn settle(operation: &mut Operation, value: Value, step: u64) {
    operation.answered_at = Some(step);
    let values = match value {
        Value::Array(mut values) => {
            // The answer to PING.
            values.retain(|value| !matches!(value, Value::Simple(_)));
            values
        }
        Value::NullArray => {
            operation.refused = true;
            return;
        }
        one => vec![one],
    };
    assert_eq!(values.len(), operation.steps.len(), "a reply of the wrong shape: {values:?} {operation:?}");
    for (part, value) in operation.steps.iter_mut().zip(values) {
        match (part, value) {
            (Step::Append { length, .. }, Value::Int(now)) => *length = Some(now as usize),
            (Step::Read { seen, .. }, Value::Bulk(bytes)) => *seen = Some(tokens(&bytes)),
            (Step::Read { seen, .. }, Value::Null) => *seen = Some(Vec::new()),
            (part, value) => panic!("a reply of the wrong type: {part:?} {value:?}"),
        }
    }
}

fn key_name(key: usize) -> String {
    format!("key:{key}")
}

fn command(bytes: &mut Vec<u8>, words: &[&str]) {
    bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

fn shared(shards: usize) -> Arc<Shared> {
    Arc::new(Shared::new(shards, Config::default()))
}
