//! Several shards' logs become one file.
//!
//! Every shard gives a stream of [`Item`]s. Commands of one shard alone leave as they come. The parts of a transaction
//! leave together, as one MULTI … EXEC block, when each of them is the next in its stream:
//!
//! ```text
//!   shard 0:  set a 1 │ part of 7 │ set a 2            set a 1  set b 1  MULTI part of 7, part of 7 EXEC  set a 2 …
//!   shard 1:  set b 1 │ set b 2 │ part of 7     ──▶
//! ```
//!
//! Transactions that do not conflict may stand in different orders in two streams, so that each waits for the other. Then
//! everything that stands before any of them in any stream leaves with them, as one block.
//!
//! INVARIANT: wherever between two blocks the file ends, it has all parts of a transaction or none, and of every shard
//! what it did up to one moment. A file that ends within a block is cut at the block's beginning by whoever reads it.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;

use crate::shard::log::{Commands, EXEC, Item, LogChunk, MULTI, Rotation, put_select};
use crate::types::{DbIndex, ShardId};

/// An item that has not left.
struct Queued {
    item: Item,
    /// The number of its chunk, if it is the last one in it.
    ends_chunk: Option<u64>,
}

#[derive(Default)]
struct Stream {
    items: VecDeque<Queued>,
    /// How many have left.
    gone: u64,
    /// The last chunk that has left with all it had.
    left: u64,
    /// Its head waits until this transaction has arrived, as far as is known.
    blocked_on: Option<u64>,
}

/// Where the parts of a transaction stand: the stream, and the number of items before it there since the beginning.
#[derive(Default)]
struct Places {
    of: u16,
    at: SmallVec<[(usize, u64); 4]>,
}

impl Places {
    fn are_complete(&self) -> bool {
        self.at.len() >= usize::from(self.of)
    }
}

/// The streams, and what of them is in the file.
pub struct Merge {
    streams: Vec<Stream>,
    parts: HashMap<u64, Places, ahash::RandomState>,
    /// Of what has not left.
    waiting_bytes: u64,
    /// The database of the file's last command.
    selected: Option<DbIndex>,
    /// The second to be noted (`aof-timestamp-enabled`), and the one that was noted last.
    pub now_s: Option<u64>,
    noted_s: u64,
}

impl Merge {
    pub fn new(shards: usize) -> Merge {
        Merge {
            streams: (0..shards).map(|_| Stream::default()).collect(),
            parts: HashMap::default(),
            waiting_bytes: 0,
            selected: None,
            now_s: None,
            noted_s: 0,
        }
    }

    /// The file is another one: nothing is known of its database.
    pub fn begin_file(&mut self) {
        self.selected = None;
        self.noted_s = 0;
    }

    /// The last of a shard's chunks that has left with all it had.
    pub fn left(&self, shard: ShardId) -> u64 {
        self.streams[shard.index()].left
    }

    /// Has everything left?
    pub fn is_empty(&self) -> bool {
        self.streams.iter().all(|stream| stream.items.is_empty())
    }

    /// Forgets what has not left.
    pub fn clear(&mut self) {
        self.parts.clear();
        for shard in 0..self.streams.len() {
            while self.pop(shard).is_some() {}
            self.streams[shard].blocked_on = None;
        }
        self.begin_file();
    }

    /// Bytes of commands that have not left.
    pub fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// Takes what a shard gave. How many bytes that are.
    pub fn take(&mut self, shard: ShardId, chunk: LogChunk) -> u64 {
        let bytes = chunk.bytes();
        self.waiting_bytes += bytes;
        let LogChunk { number, items } = chunk;
        let (index, count) = (shard.index(), items.len());
        for (nth, item) in items.into_iter().enumerate() {
            let stream = &mut self.streams[index];
            if let Item::Part { tx, of, .. } = &item {
                let places = self.parts.entry(*tx).or_default();
                places.of = *of;
                places.at.push((index, stream.gone + stream.items.len() as u64));
            }
            stream.items.push_back(Queued { item, ends_chunk: (nth + 1 == count).then_some(number) });
        }
        bytes
    }

    /// Writes what may leave. Stops where a new file begins.
    pub fn step(&mut self, out: &mut Vec<u8>) -> Option<Arc<dyn Rotation>> {
        loop {
            let mut any = false;
            for index in 0..self.streams.len() {
                any |= self.step_stream(index, out);
            }
            if any {
                continue;
            }
            if let Some(rotation) = self.rotate() {
                return Some(rotation);
            }
            let extents = self.circle()?;
            self.put_circle(&extents, out);
        }
    }

    /// Plain commands, and transactions all of whose parts are at the heads.
    fn step_stream(&mut self, index: usize, out: &mut Vec<u8>) -> bool {
        let mut any = false;
        while let Some(head) = self.streams[index].items.front() {
            match &head.item {
                Item::Plain(_) => {
                    if let Some(Item::Plain(commands)) = self.pop(index) {
                        self.note_time(&commands, out);
                        self.put(&commands, out);
                    }
                }
                Item::Part { tx, .. } => {
                    let tx = *tx;
                    let at_heads = self.parts.get(&tx).is_some_and(|places| {
                        places.are_complete()
                            && places.at.iter().all(|&(stream, at)| at == self.streams[stream].gone)
                    });
                    if !at_heads {
                        return any;
                    }
                    let places = self.parts.remove(&tx).unwrap_or_default();
                    let parts: Vec<Commands> =
                        places.at.iter().filter_map(|&(stream, _)| self.pop_commands(stream)).collect();
                    self.put_block(&parts, out);
                }
                Item::Rotate(_) => return any,
            }
            any = true;
        }
        any
    }

    fn pop(&mut self, index: usize) -> Option<Item> {
        let stream = &mut self.streams[index];
        let Queued { item, ends_chunk } = stream.items.pop_front()?;
        stream.gone += 1;
        self.waiting_bytes -= item.bytes();
        stream.blocked_on = None;
        stream.left = ends_chunk.unwrap_or(stream.left);
        Some(item)
    }

    fn pop_commands(&mut self, index: usize) -> Option<Commands> {
        match self.pop(index)? {
            Item::Plain(commands) | Item::Part { commands, .. } => Some(commands),
            Item::Rotate(_) => None,
        }
    }

    /// The rotation that all streams have come to.
    fn rotate(&mut self) -> Option<Arc<dyn Rotation>> {
        let at_it =
            |stream: &Stream| matches!(stream.items.front(), Some(Queued { item: Item::Rotate(_), .. }));
        if !self.streams.iter().all(at_it) {
            return None;
        }
        let mut rotation = None;
        for index in 0..self.streams.len() {
            if let Some(Item::Rotate(one)) = self.pop(index) {
                rotation = Some(one);
            }
        }
        self.begin_file();
        rotation
    }

    // --- circles -----------------------------------------------------------------------------------------------

    /// The least that a head which waits in a circle needs to leave: how many items of each stream.
    fn circle(&mut self) -> Option<Vec<u64>> {
        let mut least: Option<(u64, Vec<u64>)> = None;
        for index in 0..self.streams.len() {
            let Some(Queued { item: Item::Part { tx, .. }, .. }) = self.streams[index].items.front() else {
                continue;
            };
            let is_missing = |tx: &u64| self.parts.get(tx).is_none_or(|places| !places.are_complete());
            // Looked at before, and still not here.
            if self.streams[index].blocked_on.as_ref().is_some_and(is_missing) {
                continue;
            }
            match self.closure(*tx) {
                Ok(extents) => {
                    let size = extents.iter().sum();
                    if least.as_ref().is_none_or(|(known, _)| size < *known) {
                        least = Some((size, extents));
                    }
                }
                Err(missing) => self.streams[index].blocked_on = missing,
            }
        }
        least.map(|(_, extents)| extents)
    }

    /// A transaction and everything that stands before it, or before a part of that, in any stream: how many items of
    /// each. `Err` names a transaction of it that is not here yet.
    fn closure(&self, tx: u64) -> Result<Vec<u64>, Option<u64>> {
        let mut extents = vec![0; self.streams.len()];
        let mut members = HashSet::<u64>::from([tx]);
        let mut open = vec![tx];
        while let Some(tx) = open.pop() {
            let places = self.parts.get(&tx).filter(|places| places.are_complete()).ok_or(Some(tx))?;
            for &(index, at) in &places.at {
                let stream = &self.streams[index];
                let extent = at - stream.gone + 1;
                while extents[index] < extent {
                    match &stream.items[extents[index] as usize].item {
                        Item::Plain(_) => {}
                        Item::Part { tx, .. } => {
                            if members.insert(*tx) {
                                open.push(*tx);
                            }
                        }
                        // Nothing that stands before a rotation in one stream stands behind it in another.
                        Item::Rotate(_) => return Err(None),
                    }
                    extents[index] += 1;
                }
            }
        }
        Ok(extents)
    }

    /// Everything in these extents leaves as one block.
    fn put_circle(&mut self, extents: &[u64], out: &mut Vec<u8>) {
        let mut parts = Vec::new();
        for (index, &extent) in extents.iter().enumerate() {
            for _ in 0..extent {
                match self.pop(index) {
                    Some(Item::Plain(mut commands)) => {
                        commands.bytes = without_blocks(&commands.bytes);
                        parts.push(commands);
                    }
                    Some(Item::Part { tx, commands, .. }) => {
                        self.parts.remove(&tx);
                        parts.push(commands);
                    }
                    Some(Item::Rotate(_)) | None => {}
                }
            }
        }
        self.put_block(&parts, out);
    }

    // --- writing -----------------------------------------------------------------------------------------------

    /// Commands that belong together.
    fn put_block(&mut self, parts: &[Commands], out: &mut Vec<u8>) {
        let is_block = parts.iter().map(|commands| commands.count).sum::<u32>() > 1;
        if let Some(first) = parts.iter().find(|commands| !commands.is_empty()) {
            self.note_time(first, out);
        }
        if is_block {
            out.extend_from_slice(MULTI);
        }
        if parts.iter().any(Commands::is_cut) {
            self.put_in_stages(parts, out);
        } else {
            parts.iter().for_each(|commands| self.put(commands, out));
        }
        if is_block {
            out.extend_from_slice(EXEC);
        }
    }

    /// The parts of a transaction that has commands for all shards together: what any shard did before one of them stands
    /// before it.
    fn put_in_stages(&mut self, parts: &[Commands], out: &mut Vec<u8>) {
        let mut parts: Vec<_> = parts.iter().map(|part| part.stages().collect::<VecDeque<_>>()).collect();
        while parts.iter().any(|part| !part.is_empty()) {
            for part in &mut parts {
                if let Some(stage) = part.pop_front() {
                    self.put(&stage, out);
                }
            }
        }
    }

    fn put(&mut self, commands: &Commands, out: &mut Vec<u8>) {
        if let Some((first, last)) = commands.dbs {
            if self.selected != Some(first) {
                put_select(out, first);
            }
            out.extend_from_slice(&commands.bytes);
            self.selected = Some(last);
        }
    }

    /// Redis: a file that can be cut at a moment has notes of the time between commands, never within a block.
    fn note_time(&mut self, before: &Commands, out: &mut Vec<u8>) {
        if let Some(now_s) = self.now_s
            && now_s != self.noted_s
            && !before.is_empty()
        {
            self.noted_s = now_s;
            out.extend_from_slice(format!("#TS:{now_s}\r\n").as_bytes());
        }
    }
}

/// Commands without the MULTI and EXEC between them: within a block there are no blocks.
fn without_blocks(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let (command, behind) = rest.split_at(command_len(rest));
        if command != MULTI && command != EXEC {
            out.extend_from_slice(command);
        }
        rest = behind;
    }
    out
}

/// The length of the command that bytes of a [`Commands`] begin with.
fn command_len(bytes: &[u8]) -> usize {
    let number = |at: usize| {
        let end = at + memchr::memchr(b'\n', &bytes[at..]).expect("commands are whole") + 1;
        let digits = std::str::from_utf8(&bytes[at + 1..end - 2]).expect("lengths are digits");
        (digits.parse::<usize>().expect("lengths are digits"), end)
    };
    let (args, mut at) = number(0);
    for _ in 0..args {
        let (len, begins) = number(at);
        at = begins + len + 2;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(db: u16, words: &[&str]) -> Commands {
        let mut commands = Commands::default();
        for word in words {
            commands.push(DbIndex(db), [b"DO" as &[u8], word.as_bytes()].into_iter());
        }
        commands
    }

    fn plain(db: u16, words: &[&str]) -> Item {
        Item::Plain(commands(db, words))
    }

    fn part(tx: u64, of: u16, words: &[&str]) -> Item {
        Item::Part { tx, of, commands: commands(0, words) }
    }

    #[derive(Debug)]
    struct Mark(u32);
    impl Rotation for Mark {
        fn as_any(&self) -> &dyn std::any::Any {
            self
        }
    }

    #[test]
    fn what_any_shard_did_before_a_command_for_all_stands_before_it() {
        let of_shard = |before: &str, for_all: &[&str], after: &str| {
            let mut part = commands(0, &[before]);
            part.cut();
            for_all.iter().for_each(|word| part.push(DbIndex(1), [&b"DO"[..], word.as_bytes()].into_iter()));
            part.cut();
            part.push(DbIndex(0), [&b"DO"[..], after.as_bytes()].into_iter());
            vec![Item::Part { tx: 1, of: 2, commands: part }]
        };
        let mut merge = Merge::new(2);
        merge.take(ShardId(0), LogChunk { number: 1, items: of_shard("a", &["FLUSH"], "A") });
        merge.take(ShardId(1), LogChunk { number: 1, items: of_shard("b", &[], "B") });
        let mut out = Vec::new();
        merge.step(&mut out);
        let words = ["a", "b", "FLUSH", "A", "B"].map(|word| (u16::from(word == "FLUSH"), word.to_owned()));
        assert_eq!(units(&out), [words.to_vec()]);
    }

    /// What a reader of the file does: every unit is a command or a block, as (database, word).
    fn units(file: &[u8]) -> Vec<Vec<(u16, String)>> {
        let (mut units, mut db, mut block) = (Vec::new(), 0, None::<Vec<(u16, String)>>);
        let mut rest = file;
        while !rest.is_empty() {
            if rest.starts_with(b"#") {
                assert!(block.is_none(), "no note within a block");
                let end = memchr::memchr(b'\n', rest).unwrap() + 1;
                rest = &rest[end..];
                continue;
            }
            let (command, behind) = rest.split_at(command_len(rest));
            let text = String::from_utf8(command.to_vec()).unwrap();
            let words: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
            match words[..] {
                ["SELECT", index] => db = index.parse().unwrap(),
                ["MULTI"] => assert!(block.replace(Vec::new()).is_none(), "no block within a block"),
                ["EXEC"] => units.push(block.take().expect("a block has begun")),
                ["DO", word] => match &mut block {
                    Some(block) => block.push((db, word.to_owned())),
                    None => units.push(vec![(db, word.to_owned())]),
                },
                _ => panic!("{text}"),
            }
            rest = behind;
        }
        assert!(block.is_none());
        units
    }

    fn words(file: &[u8]) -> Vec<String> {
        let join = |unit: Vec<(u16, String)>| {
            unit.into_iter().map(|(db, word)| format!("{db}:{word}")).collect::<Vec<_>>().join(" ")
        };
        units(file).into_iter().map(join).collect()
    }

    struct Streams {
        merge: Merge,
        chunks: Vec<u64>,
        out: Vec<u8>,
    }

    impl Streams {
        fn new(shards: usize) -> Streams {
            Streams { merge: Merge::new(shards), chunks: vec![0; shards], out: Vec::new() }
        }

        fn give(&mut self, shard: usize, items: Vec<Item>) {
            self.chunks[shard] += 1;
            self.merge.take(ShardId(shard as u16), LogChunk { number: self.chunks[shard], items });
        }

        fn step(&mut self) -> Vec<String> {
            self.out.clear();
            assert!(self.merge.step(&mut self.out).is_none());
            words(&self.out)
        }
    }

    #[test]
    fn commands_leave_as_they_come_with_their_database() {
        let mut streams = Streams::new(2);
        streams.give(0, vec![plain(0, &["a", "b"])]);
        streams.give(1, vec![plain(3, &["c"])]);
        assert_eq!(streams.step(), ["0:a", "0:b", "3:c"]);
        streams.give(0, vec![plain(3, &["d"])]);
        streams.step();
        assert_eq!(streams.out, commands(3, &["d"]).bytes, "its database is selected already");
        streams.merge.begin_file();
        streams.give(0, vec![plain(3, &["e"])]);
        assert_eq!(streams.step(), ["3:e"]);
        assert!(streams.out.starts_with(b"*2\r\n$6\r\nSELECT"), "a new file knows of no database");
    }

    #[test]
    fn a_transaction_leaves_when_all_its_parts_are_next() {
        let mut streams = Streams::new(2);
        streams.give(0, vec![part(7, 2, &["a"]), plain(0, &["b"])]);
        assert_eq!(streams.step(), [""; 0]);
        assert_eq!(streams.merge.left(ShardId(0)), 0);
        streams.give(1, vec![plain(0, &["c"]), part(7, 2, &["d"])]);
        let together = streams.step();
        assert_eq!(together.len(), 3);
        assert_eq!(together[0], "0:c");
        assert!(["0:a 0:d", "0:d 0:a"].contains(&together[1].as_str()));
        assert_eq!(together[2], "0:b");
        assert_eq!(streams.merge.left(ShardId(0)), 1);
        assert_eq!(streams.merge.left(ShardId(1)), 1);
        assert!(streams.merge.is_empty());
    }

    #[test]
    fn one_command_is_no_block_and_nothing_is_nothing() {
        let mut streams = Streams::new(2);
        streams.give(0, vec![part(1, 2, &["a"]), part(2, 2, &[])]);
        streams.give(1, vec![part(1, 2, &[]), part(2, 2, &[])]);
        assert_eq!(streams.step(), ["0:a"]);
        assert!(!streams.out.windows(MULTI.len()).any(|window| window == MULTI));
        assert!(streams.merge.is_empty());
    }

    #[test]
    fn transactions_in_a_circle_leave_as_one_block() {
        let mut streams = Streams::new(2);
        let mut enclosed = Commands::default();
        let mark = enclosed.mark();
        enclosed.append(&commands(2, &["x", "y"]));
        enclosed.enclose(mark);
        streams.give(0, vec![part(1, 2, &["a"]), part(2, 2, &["b"]), plain(0, &["c"])]);
        streams.give(1, vec![part(2, 2, &["d"]), Item::Plain(enclosed)]);
        assert_eq!(streams.step(), [""; 0]);
        streams.give(1, vec![part(1, 2, &["e"]), plain(0, &["f"])]);
        let mut left = streams.step();
        left[1..].sort();
        assert_eq!(left, ["0:a 0:b 0:d 2:x 2:y 0:e", "0:c", "0:f"]);
        assert!(streams.merge.is_empty() && streams.merge.parts.is_empty());
    }

    #[test]
    fn a_new_file_begins_where_all_streams_say_so() {
        let mut streams = Streams::new(2);
        let mark: Arc<dyn Rotation> = Arc::new(Mark(5));
        streams.give(0, vec![plain(1, &["a"]), Item::Rotate(mark.clone()), plain(1, &["b"])]);
        assert_eq!(streams.step(), ["1:a"]);
        streams.give(1, vec![plain(1, &["c"]), Item::Rotate(mark)]);
        streams.out.clear();
        let rotation = streams.merge.step(&mut streams.out).expect("all have come to it");
        assert_eq!(rotation.as_any().downcast_ref::<Mark>().unwrap().0, 5);
        assert_eq!(streams.out, commands(1, &["c"]).bytes);
        assert_eq!(streams.step(), ["1:b"]);
        assert!(streams.out.starts_with(b"*2\r\n$6\r\nSELECT"));
    }

    #[test]
    fn what_has_not_left_can_be_forgotten() {
        let mut streams = Streams::new(2);
        streams.give(0, vec![part(1, 2, &["a"]), plain(0, &["b"])]);
        streams.merge.clear();
        assert_eq!(streams.merge.left(ShardId(0)), 1);
        streams.give(0, vec![plain(0, &["c"])]);
        assert_eq!(streams.step(), ["0:c"]);
    }

    #[test]
    fn the_time_is_noted_when_its_second_changes() {
        let mut streams = Streams::new(1);
        streams.merge.now_s = Some(10);
        streams.give(0, vec![plain(0, &["a"]), part(1, 1, &["b", "c"])]);
        streams.step();
        assert!(streams.out.starts_with(b"#TS:10\r\n*2\r\n$6\r\nSELECT"));
        assert_eq!(streams.out.iter().filter(|byte| **byte == b'#').count(), 1);
        streams.merge.now_s = Some(11);
        streams.give(0, vec![part(2, 1, &["d", "e"])]);
        streams.step();
        assert!(streams.out.starts_with(b"#TS:11\r\n*1\r\n$5\r\nMULTI"));
    }

    /// One run: what each shard did (every word named `shard.number`), given in pieces in any order.
    fn run(seed: u64) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let shards = rng.usize(1..6);
        let mut of_shard: Vec<Vec<Item>> = (0..shards).map(|_| Vec::new()).collect();
        let mut did: Vec<Vec<(u16, String)>> = vec![Vec::new(); shards];
        let mut txs: HashMap<u64, Vec<String>> = HashMap::new();
        let (mut next_tx, rounds) = (0, rng.usize(1..4));
        for round in 0..rounds {
            // A round's transactions conflict with none of it: every shard has them in an order of its own.
            let mut orders: Vec<Vec<(u64, u16)>> = vec![Vec::new(); shards];
            for _ in 0..rng.usize(0..6) {
                next_tx += 1;
                let mut on: Vec<usize> = (0..shards).collect();
                rng.shuffle(&mut on);
                on.truncate(rng.usize(1..=shards));
                on.iter().for_each(|&shard| orders[shard].push((next_tx, on.len() as u16)));
            }
            for shard in 0..shards {
                if rng.u32(..3) > 0 {
                    rng.shuffle(&mut orders[shard]);
                }
                let mut say = |rng: &mut fastrand::Rng, count: usize| {
                    let mut commands = Commands::default();
                    let mut said = Vec::new();
                    for _ in 0..count {
                        let (db, word) = (rng.u16(..3), format!("{shard}.{}", did[shard].len()));
                        commands.push(DbIndex(db), [b"DO" as &[u8], word.as_bytes()].into_iter());
                        did[shard].push((db, word.clone()));
                        said.push(word);
                    }
                    (commands, said)
                };
                for &(tx, of) in &orders[shard] {
                    if rng.bool() {
                        let count = rng.usize(1..4);
                        let (mut commands, _) = say(&mut rng, count);
                        if rng.u32(..4) == 0 {
                            let mut whole = Commands::default();
                            let mark = whole.mark();
                            whole.append(&commands);
                            whole.enclose(mark);
                            commands = whole;
                        }
                        of_shard[shard].push(Item::Plain(commands));
                    }
                    let count = rng.usize(..3);
                    let (commands, said) = say(&mut rng, count);
                    txs.entry(tx).or_default().extend(said);
                    of_shard[shard].push(Item::Part { tx, of, commands });
                }
                if round + 1 < rounds {
                    of_shard[shard].push(Item::Rotate(Arc::new(Mark(round as u32))));
                    did[shard].push((u16::MAX, String::new()));
                }
            }
        }
        let mut streams = Streams::new(shards);
        let mut files: Vec<Vec<u8>> = vec![Vec::new()];
        let mut given: Vec<Vec<usize>> = vec![vec![0]; shards];
        while of_shard.iter().any(|items| !items.is_empty()) {
            let shard = rng.usize(..shards);
            if of_shard[shard].is_empty() {
                continue;
            }
            let count = rng.usize(1..=of_shard[shard].len().min(4));
            let items: Vec<Item> = of_shard[shard].drain(..count).collect();
            let commands: usize = items
                .iter()
                .map(|item| match item {
                    Item::Plain(commands) | Item::Part { commands, .. } => commands.count as usize,
                    Item::Rotate(_) => 1,
                })
                .sum();
            let so_far = given[shard].last().unwrap() + commands;
            given[shard].push(so_far);
            streams.give(shard, items);
            if rng.bool() {
                step(&mut streams, &mut files);
            }
            // What is said to have left is there.
            for shard in 0..shards {
                let left = given[shard][streams.merge.left(ShardId(shard as u16)) as usize];
                let prefix = format!("{shard}.");
                let there = files
                    .iter()
                    .flat_map(|file| units(file))
                    .flatten()
                    .filter(|(_, word)| word.starts_with(&prefix))
                    .count();
                let words = did[shard][..left].iter().filter(|(_, word)| !word.is_empty()).count();
                assert!(there >= words, "seed {seed}");
            }
        }
        step(&mut streams, &mut files);
        assert!(streams.merge.is_empty(), "seed {seed}: everything leaves");
        assert_eq!(files.len(), rounds, "seed {seed}");
        // Every transaction is in one unit, every shard's commands are in their order.
        let units: Vec<Vec<(u16, String)>> = files.iter().flat_map(|file| units(file)).collect();
        for (shard, did) in did.iter().enumerate() {
            let prefix = format!("{shard}.");
            let there: Vec<_> =
                units.iter().flatten().filter(|(_, word)| word.starts_with(&prefix)).cloned().collect();
            let meant: Vec<_> = did.iter().filter(|(_, word)| !word.is_empty()).cloned().collect();
            assert_eq!(there, meant, "seed {seed}, shard {shard}");
        }
        for words in txs.values().filter(|words| !words.is_empty()) {
            let with = |unit: &&Vec<(u16, String)>| unit.iter().any(|(_, word)| words.contains(word));
            assert_eq!(units.iter().filter(with).count(), 1, "seed {seed}: {words:?}");
        }
        fn step(streams: &mut Streams, files: &mut Vec<Vec<u8>>) {
            while streams.merge.step(files.last_mut().unwrap()).is_some() {
                files.push(Vec::new());
            }
        }
    }

    #[test]
    fn any_streams_give_files_that_are_consistent_wherever_they_end() {
        for seed in 0..2000 {
            run(seed);
        }
    }
}
