//! Is what a log repeats the same as what was done? Random commands of every family run on shards with a log; what they
//! logged runs on new shards that know no time, and both must hold the same: values, deadlines, groups.

mod forms;
mod lines;

use lines::{HASHES, KEYS, LISTS, SETS, STREAMS, STRINGS, WHOLE, ZSETS};

use super::node::Node;
use crate::commands::FAMILIES;
use crate::commands::rebuild::{Over, rebuild};
use crate::shard::log::{Commands, Item};
use crate::shard::{EntryView, ValueView};
use crate::tx::finish::finish;
use crate::types::{Collection, DbIndex, Hash, List, Set, Value, ZSet};

struct Words {
    rng: fastrand::Rng,
    now_ms: u64,
    /// Ids that streams may know.
    ids: Vec<String>,
}

impl Words {
    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.rng.usize(..from.len())]
    }

    /// A command of a line.
    fn command(&mut self, line: &str) -> Vec<String> {
        let mut out = Vec::new();
        for token in line.split(' ') {
            let alternatives: Vec<&str> = token.split('/').collect();
            let chosen = *self.pick(&alternatives);
            out.extend(chosen.split('+').filter(|word| !word.is_empty()).map(|word| self.word(word)));
        }
        out
    }

    fn word(&mut self, word: &str) -> String {
        let now_ms = self.now_ms;
        match word {
            "$v" if self.rng.u8(..40) == 0 => "long ".repeat(30),
            "$v" => format!("{}", self.rng.u8(..9)),
            "$v*" => "s*".into(),
            "$n" => format!("{}", self.rng.u8(..9)),
            "$f" => (*self.pick(&["1", "2.5", "-3", "0.1", "3"])).into(),
            "$t" => (*self.pick(&["1", "2", "100"])).into(),
            "$ms" => (*self.pick(&["1", "20", "500", "90000"])).into(),
            "$ut" => format!("{}", now_ms / 1000 + self.rng.u64(..3)),
            "$utms" => format!("{}", now_ms + self.rng.u64(..300)),
            "$id" => format!("{}-{}", now_ms - self.rng.u64(..500), self.rng.u8(..2)),
            "$near" => {
                let from = self.ids.len().saturating_sub(12);
                self.ids[from..].get(self.rng.usize(..12)).cloned().unwrap_or("1-1".into())
            }
            "$k" => {
                let kind = *self.pick(&["s", "p", "l", "e", "z", "g", "h", "x"]);
                format!("{kind}{}", self.rng.u8(..3))
            }
            "$s" | "$p" | "$l" | "$e" | "$z" | "$g" | "$h" | "$x" => {
                format!("{}{}", &word[1..], self.rng.u8(..3))
            }
            word => word.into(),
        }
    }
}

/// Shards whose log is on, and all of it so far.
struct Logged {
    node: Node,
    log: Commands,
}

impl Logged {
    fn new(shards: usize) -> Logged {
        let mut node = Node::new(shards, FAMILIES);
        for shard in &mut node.shards {
            shard.log_on();
            shard.settings.encodings.stream_node_entries = 4;
        }
        Logged { node, log: Commands::default() }
    }

    /// What was logged since the last call, as text; it is added to all that was logged.
    fn collect(&mut self) -> String {
        let mut shown = Vec::new();
        for shard in &mut self.node.shards {
            let log = shard.log.as_mut().expect("it is on");
            assert!(!log.has_said(), "what was said is taken with the command");
            for item in log.take_chunk().into_iter().flat_map(|chunk| chunk.items) {
                let Item::Plain(commands) = item else { panic!("no transaction ran: {item:?}") };
                shown.extend(commands_of(&commands.bytes));
                self.log.append(&commands);
            }
        }
        let words = |words: &Vec<Vec<u8>>| {
            words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
        };
        shown.iter().map(words).collect::<Vec<_>>().join(" | ")
    }

    fn ask(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        String::from_utf8_lossy(&self.node.run(&words)).into_owned()
    }

    /// What a command logs.
    fn logs(&mut self, line: &str) -> String {
        self.ask(line);
        self.collect()
    }

    fn expire(&mut self) {
        for shard in &mut self.node.shards {
            let now_ms = shard.now_ms;
            shard.expire_slice(now_ms, 100);
            finish(shard);
            shard.expire_fields(now_ms, 100);
            finish(shard);
        }
    }
}

/// The commands that bytes of a log hold.
fn commands_of(mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    fn number(bytes: &mut &[u8]) -> usize {
        let end = bytes.iter().position(|byte| *byte == b'\r').expect("a line ends");
        let number = std::str::from_utf8(&bytes[1..end]).unwrap().parse().expect("a number");
        *bytes = &bytes[end + 2..];
        number
    }
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let words = number(&mut bytes);
        commands.push(
            (0..words)
                .map(|_| {
                    let len = number(&mut bytes);
                    let word = bytes[..len].to_vec();
                    bytes = &bytes[len + 2..];
                    word
                })
                .collect(),
        );
    }
    commands
}

/// Runs what was logged on new shards.
fn replay(log: &Commands, shards: usize, now_ms: u64) -> Node {
    let mut node = Node::new(shards, FAMILIES);
    for shard in &mut node.shards {
        shard.settings.replaying = true;
        shard.now_ms = now_ms;
    }
    node.db = log.dbs.map_or(DbIndex(0), |(first, _)| first);
    for words in commands_of(&log.bytes) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        if let [b"MULTI"] | [b"EXEC"] = words[..] {
            continue;
        }
        let reply = node.run(&words);
        assert_ne!(reply[0], b'-', "{words:?}: {}", reply.escape_ascii());
    }
    node
}

/// Everything that shards hold, in an order of its own, as text.
fn contents(node: &Node) -> Vec<String> {
    let mut all = Vec::new();
    for shard in &node.shards {
        for (index, db) in shard.dbs.iter().enumerate() {
            for entry in db.table.iter() {
                let value = value_of(&entry);
                let key = entry.key().escape_ascii();
                all.push(format!("{index} {key} {:?} {value}", entry.expire_at_ms()));
            }
        }
    }
    all.sort();
    all
}

fn value_of(entry: &EntryView<'_>) -> String {
    let mut digits = [itoa::Buffer::new(), itoa::Buffer::new()];
    let [one, other] = &mut digits;
    match entry.value() {
        ValueView::Packed(form, bytes) if form.kind() == Hash::KIND => {
            let mut fields = Vec::new();
            Hash::view_packed(form, bytes)
                .for_each(0, |field, value, at| fields.push(format!("{field:?}={value:?}@{at:?}")));
            fields.sort();
            fields.join(" ")
        }
        ValueView::Heap(Value::Hash(hash)) => {
            let mut fields = Vec::new();
            hash.view().for_each(0, |field, value, at| fields.push(format!("{field:?}={value:?}@{at:?}")));
            fields.sort();
            fields.join(" ")
        }
        ValueView::Packed(form, bytes) if form.kind() == Set::KIND => {
            let mut members: Vec<_> =
                Set::view_packed(form, bytes).iter().map(|member| member.to_vec()).collect();
            members.sort();
            format!("{members:?}")
        }
        ValueView::Heap(Value::Set(set)) => {
            let mut members: Vec<_> = set.view().iter().map(|member| member.to_vec()).collect();
            members.sort();
            format!("{members:?}")
        }
        ValueView::Packed(form, bytes) if form.kind() == ZSet::KIND => ZSet::view_packed(form, bytes)
            .all()
            .map(|(member, score)| format!("{}={score} ", member.as_bytes(one).escape_ascii()))
            .collect(),
        ValueView::Heap(Value::ZSet(zset)) => zset
            .view()
            .all()
            .map(|(member, score)| format!("{}={score} ", member.as_bytes(other).escape_ascii()))
            .collect(),
        ValueView::Packed(form, bytes) => format!("{:?}", List::view_packed(form, bytes).to_vecs()),
        ValueView::Heap(Value::List(list)) => format!("{:?}", list.view().to_vecs()),
        _ => {
            // Strings, and streams with all that belongs to them.
            let mut text = String::new();
            rebuild(b"key", Some(*entry), Over::Nothing, &mut |args| {
                args.iter().for_each(|arg| text.push_str(&format!("{} ", arg.escape_ascii())));
                text.push('\n');
            });
            text
        }
    }
}

/// Runs a history, then what it logged, then what makes the values it left.
fn check(shards: usize, seed: u64, families: &[&[&str]], steps: usize) {
    let mut words = Words { rng: fastrand::Rng::with_seed(seed), now_ms: 0, ids: Vec::new() };
    let mut logged = Logged::new(shards);
    let lines: Vec<&str> = families.iter().flat_map(|lines| lines.iter().copied()).collect();
    let mut history = String::new();
    for _ in 0..steps {
        words.now_ms = logged.node.shards[0].now_ms;
        let line = if words.rng.u16(..400) == 0 { *words.pick(WHOLE) } else { *words.pick(&lines) };
        let command = words.command(line);
        let bytes: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
        let reply = String::from_utf8_lossy(&logged.node.run(&bytes)).into_owned();
        let shown = logged.collect();
        history += &format!("{}: {} => {shown}\n", words.now_ms, command.join(" "));
        if command[0] == "XADD" && reply.starts_with('$') {
            words.ids.extend(reply.split("\r\n").nth(1).map(str::to_owned));
        }
        if words.rng.u8(..3) == 0 {
            let ms = *words.pick(&[1, 1, 1, 15, 60, 700]);
            logged.node.advance_ms(ms);
        }
        if words.rng.u8(..6) == 0 {
            logged.expire();
            history += &format!("expiry => {}\n", logged.collect());
        }
    }
    let now_ms = logged.node.shards[0].now_ms;
    let wanted = contents(&logged.node);
    let compare = |what: &str, got: &[String]| {
        let pair = wanted.iter().zip(got).find(|(want, got)| want != got);
        let (want, got) = match pair {
            Some((want, got)) => (want.as_str(), got.as_str()),
            None if wanted.len() == got.len() => return,
            None => ("as many keys", "others, too"),
        };
        // What was done to that key last.
        let key = format!(" {} ", want.split(' ').nth(1).unwrap_or(want));
        let told: Vec<&str> = history.lines().filter(|line| line.contains(&key)).collect();
        let told = told[told.len().saturating_sub(30)..].join("\n");
        panic!("{what}, seed {seed}, {shards} shards\n{told}\nwanted {want}\ngot    {got}");
    };
    compare("the log says something else", &contents(&replay(&logged.log, shards, now_ms)));

    // The same from the values themselves.
    let mut log = Commands::default();
    for shard in &logged.node.shards {
        for (index, db) in shard.dbs.iter().enumerate() {
            for entry in db.table.iter() {
                let mut push = |args: &[&[u8]]| log.push(DbIndex(index as u16), args.iter().copied());
                rebuild(entry.key(), Some(entry), Over::Nothing, &mut push);
            }
        }
    }
    compare("rebuilt it is something else", &contents(&replay(&log, shards, now_ms)));
}

fn check_all(families: &[&[&str]]) {
    for seed in 0..3 {
        for shards in [1, 3] {
            check(shards, seed, families, 1200);
        }
    }
}

#[test]
fn what_strings_log_repeats_them() {
    check_all(&[STRINGS, KEYS]);
}

#[test]
fn what_lists_and_sets_log_repeats_them() {
    check_all(&[LISTS, SETS, KEYS]);
}

#[test]
fn what_sorted_sets_log_repeats_them() {
    check_all(&[ZSETS, KEYS]);
}

#[test]
fn what_hashes_log_repeats_them() {
    check_all(&[HASHES, KEYS]);
}

#[test]
fn what_streams_log_repeats_them() {
    check_all(&[STREAMS]);
    check_all(&[STREAMS, STREAMS, KEYS]);
}

#[test]
fn what_all_families_log_repeats_them() {
    check_all(&[STRINGS, KEYS, LISTS, SETS, ZSETS, HASHES, STREAMS]);
}
