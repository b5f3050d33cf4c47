//! Is what a log repeats the same as what was done? Random commands of every family run on shards with a log; what they
//! logged runs on new shards that know no time, and both must hold the same: values, deadlines, groups.

use super::node::Node;
use crate::commands::rebuild::{Over, rebuild};
use crate::commands::{Row, bitmaps, geo, hashes, hll, keys, lists, sets, sort, streams, strings, zsets};
use crate::shard::log::{Commands, Item};
use crate::shard::{EntryView, ValueView};
use crate::tx::finish::finish;
use crate::types::{Collection, DbIndex, Hash, List, Set, Value, ZSet};

const FAMILIES: &[&[Row]] = &[
    strings::ROWS,
    hashes::ROWS,
    bitmaps::ROWS,
    streams::ROWS,
    hll::ROWS,
    keys::ROWS,
    zsets::ROWS,
    geo::ROWS,
    sets::ROWS,
    sort::ROWS,
    lists::ROWS,
];

/// In a line `a/b` is one of its alternatives, `a+b` in one are two words, and `$x` is made by [`Words::word`].
const STRINGS: &[&str] = &[
    "SET $s $v",
    "SET $s $v /NX/XX/GET/KEEPTTL /EX+$t/PX+$ms/EXAT+$ut/PXAT+$utms",
    "SET $s $v IFEQ/IFNE $v /PX+$ms/KEEPTTL",
    "SETNX $s $v",
    "SETEX $s $t $v",
    "PSETEX $s $ms $v",
    "GET $s",
    "GETEX $s /EX+$t/PX+$ms/PXAT+$utms/PERSIST/EXAT+1",
    "GETDEL $s",
    "GETSET $s $v",
    "MSET $s $v $s $v",
    "MSETNX $s $v $s $v",
    "MSETEX 2 $s $v $s $v /NX/XX /EX+$t/PX+$ms/KEEPTTL",
    "APPEND $s $v",
    "SETRANGE $s $n $v",
    "INCR $s",
    "DECRBY $s $n",
    "INCRBYFLOAT $s $f",
    "INCREX $s /BYINT+$n/BYFLOAT+$f /UBOUND+9/SATURATE+LBOUND+2 /EX+$t/PX+$ms/PERSIST/PXAT+1",
    "DELEX $s /IFEQ+$v/IFNE+$v",
    "DELIFEQ $s $v",
    "SETBIT $s $n 0/1",
    "BITOP AND/OR/XOR/DIFF/ONE/ANDOR $s $s $s",
    "BITFIELD $s SET u8 $n $n OVERFLOW SAT/WRAP/FAIL INCRBY i5 $n $n",
    "PFADD $p $v $v",
    "PFCOUNT $p /$p",
    "PFMERGE $p $p",
    "PFDEBUG TODENSE/GETREG $p",
];

const KEYS: &[&str] = &[
    "DEL $k",
    "DEL $k $k",
    "UNLINK $k $k",
    "EXPIRE $k $t /NX/XX/GT/LT",
    "PEXPIRE $k $ms /NX/XX/GT/LT",
    "EXPIREAT $k 1/$ut",
    "PEXPIREAT $k $utms",
    "PERSIST $k",
    "RENAME $k $k",
    "RENAMENX $k $k",
    "COPY $k $k /DB+1 /REPLACE",
    "MOVE $k 1",
    "TTL $k",
    "EXISTS $k $k",
    "DUMP $k",
    "SCAN 0",
    "RANDOMKEY",
    "SORT $l ALPHA /DESC/LIMIT+0+2 STORE $l",
    "SORT $e ALPHA BY $v* GET # GET $s STORE $l",
    "SELECT 0/1",
    "SELECT 0",
];

const LISTS: &[&str] = &[
    "LPUSH/RPUSH $l $v /$v+$v",
    "LPUSHX/RPUSHX $l $v",
    "LPOP/RPOP $l /1/2",
    "LINSERT $l BEFORE/AFTER $v $v",
    "LSET $l $n $v",
    "LREM $l 1/0/-2 $v",
    "LTRIM $l 0/1 -1/2",
    "LMOVE $l $l LEFT/RIGHT LEFT/RIGHT",
    "RPOPLPUSH $l $l",
    "BLMOVE $l $l LEFT/RIGHT LEFT/RIGHT 0",
    "BRPOPLPUSH $l $l 0",
    "LMOVEM/LMOVEM $l $l LEFT/RIGHT LEFT/RIGHT COUNT/EXACTLY 1/2/3 OBO/BULK",
    "BLMOVEM $l $l LEFT/RIGHT LEFT/RIGHT 0 COUNT 2 OBO/BULK",
    "LMPOP 2 $l $l LEFT/RIGHT /COUNT+2",
    "BLPOP/BRPOP $l $l 0",
    "BLMPOP 0 2 $l $l LEFT/RIGHT /COUNT+2",
];

const SETS: &[&str] = &[
    "SADD $e $v /$v+$v",
    "SREM $e $v",
    "SMOVE $e $e $v",
    "SPOP $e",
    "SPOP $e 1/2/9",
    "SINTERSTORE/SUNIONSTORE/SDIFFSTORE $e $e $e",
];

const ZSETS: &[&str] = &[
    "ZADD $z /NX/XX/GT/LT /CH $f $v /$f+$v",
    "ZADD $z INCR $f $v",
    "ZINCRBY $z $f $v",
    "ZREM $z $v",
    "ZPOPMIN/ZPOPMAX $z /2",
    "BZPOPMIN/BZPOPMAX $z $z 0",
    "ZMPOP 2 $z $z MIN/MAX /COUNT+2",
    "BZMPOP 0 2 $z $z MIN/MAX /COUNT+2",
    "ZREMRANGEBYRANK $z 0 $n",
    "ZREMRANGEBYSCORE $z -inf $f",
    "ZUNIONSTORE/ZINTERSTORE $z 2 $z $z /WEIGHTS+2+3 /AGGREGATE+MIN/AGGREGATE+COUNT",
    "ZDIFFSTORE $z 2 $z $z",
    "ZRANGESTORE $z $z 0 $n",
    "GEOADD $g $n $n $v",
    "GEOSEARCHSTORE $g $g FROMLONLAT 3 3 BYRADIUS 900 km /COUNT+2/COUNT+2+ANY /STOREDIST",
    "GEORADIUS $g 3 3 900 km STORE/STOREDIST $g",
];

const HASHES: &[&str] = &[
    "HSET $h $v $v /$v+$v",
    "HSETNX $h $v $v",
    "HDEL $h $v",
    "HINCRBY $h $v $n",
    "HINCRBYFLOAT $h $v $f",
    "HEXPIRE $h $t /NX/XX/GT/LT FIELDS 2 $v $v",
    "HPEXPIRE $h $ms FIELDS 1 $v",
    "HEXPIREAT $h $ut/1 FIELDS 2 $v $v",
    "HPEXPIREAT $h $utms FIELDS 1 $v",
    "HPERSIST $h FIELDS 2 $v $v",
    "HGETEX $h /EX+$t/PX+$ms/PERSIST/EXAT+1 FIELDS 2 $v $v",
    "HGETDEL $h FIELDS 2 $v $v",
    "HSETEX $h /FNX/FXX /EX+$t/PX+$ms/KEEPTTL/EXAT+1 FIELDS 2 $v $v $v $v",
    "HGETALL $h",
];

const STREAMS: &[&str] = &[
    "XADD $x */*/*/$id $v $v",
    "XADD $x * $v $v $v $v",
    "XADD $x MAXLEN/MINID /=/~ 3/10/$id * $v $v",
    "XADD $x MAXLEN ~ 5 LIMIT 3 * $v $v",
    "XADD $x DELREF/KEEPREF/ACKED MAXLEN 4 * $v $v",
    "XADD $x IDMP p $v * $v $v",
    "XADD $x NOMKSTREAM * $v $v",
    "XTRIM $x MAXLEN/MINID /=/~ 2/8/$id /DELREF/ACKED",
    "XDEL $x $near $near",
    "XDELEX $x KEEPREF/DELREF/ACKED IDS 2 $near $near",
    "XACKDEL $x g/h KEEPREF/DELREF/ACKED IDS 2 $near $near",
    "XSETID $x 9999999999999-1 /ENTRIESADDED+100+MAXDELETEDID+5-5",
    "XGROUP CREATE $x g/h $/0/$id /MKSTREAM /ENTRIESREAD+3",
    "XGROUP CREATE $x g/h 0 MKSTREAM",
    "XGROUP SETID $x g/h $/0/$near /ENTRIESREAD+4",
    "XGROUP CREATECONSUMER $x g/h one/two",
    "XGROUP DELCONSUMER $x g/h one/two",
    "XGROUP DESTROY $x h",
    "XREADGROUP GROUP g/h one/two /COUNT+2 STREAMS $x $x >/> >/>",
    "XREADGROUP GROUP g/h one/two /COUNT+2 /NOACK /CLAIM+0 STREAMS $x >",
    "XREADGROUP GROUP g/h one/two/three COUNT 3 STREAMS $x 0/$near",
    "XACK $x g/h $near $near",
    "XNACK $x g/h SILENT/FAIL/FATAL IDS 1 $near",
    "XCLAIM $x g/h one/two 0/3 $near $near /FORCE /JUSTID /RETRYCOUNT+7 /IDLE+3/TIME+1700000000003 /LASTID+$near",
    "XAUTOCLAIM $x g/h one/two 0/3 0 /COUNT+2 /JUSTID",
    "XCFGSET $x IDMP-DURATION 5",
];

/// Commands that touch whole databases: rare, or nothing lasts.
const WHOLE: &[&str] = &["FLUSHDB", "FLUSHALL /ASYNC", "SWAPDB 0 1"];

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

/// Runs a history; returns what was asked and logged, for those who look for a fault.
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
    let (wanted, context) = (contents(&logged.node), |what: &str| {
        let path = std::env::temp_dir().join(format!("coreshard-repeat-{seed}.txt"));
        std::fs::write(&path, &history).expect("the history is written down");
        format!("{what}, seed {seed}, {shards} shards; the history is in {}", path.display())
    });
    let got = contents(&replay(&logged.log, shards, now_ms));
    if let Some((want, got)) = wanted.iter().zip(&got).find(|(want, got)| want != got) {
        panic!("{}\nwanted {want}\ngot    {got}", context("the log says something else"));
    }
    assert_eq!(wanted.len(), got.len(), "{}", context("the log has other keys"));

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
    let got = contents(&replay(&log, shards, now_ms));
    if let Some((want, got)) = wanted.iter().zip(&got).find(|(want, got)| want != got) {
        panic!("{}\nwanted {want}\ngot    {got}", context("rebuilt it is something else"));
    }
}

fn check_all(families: &[&[&str]]) {
    for seed in 0..6 {
        for shards in [1, 3] {
            check(shards, seed, families, 1500);
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
