//! Which commands the oracle sends: one line each, and what stands for the words in it.
//!
//! In a line, `$name` is made by [`Generator::word`]; `(a|b)` is one of its alternatives; `[a|b]` is
//! any number of them; `<a b>` is one to four repetitions. Everything else is sent as it stands, in
//! random case.

use crate::support::Rng;

/// Commands of strings, keys, connections and introspection. What they answer depends on nothing but
/// the commands before, or [`crate::compare`] knows better. The number is how often one is drawn.
pub const LINES: &[(u32, &str)] = &[
    (30, "SET $key $value [NX|XX|GET|KEEPTTL|EX $seconds|PX $millis|EXAT $unix|PXAT $unixms]"),
    (14, "SET $key $value"),
    (20, "GET $key"),
    (4, "GETDEL $key"),
    (8, "GETEX $key [EX $seconds|PX $millis|EXAT $unix|PXAT $unixms|PERSIST]"),
    (4, "GETSET $key $value"),
    (4, "SETNX $key $value"),
    (4, "SETEX $key $seconds $value"),
    (4, "PSETEX $key $millis $value"),
    (8, "MGET <$key>"),
    (8, "MSET <$key $value>"),
    (4, "MSETNX <$key $value>"),
    (8, "APPEND $key $value"),
    (6, "STRLEN $key"),
    (8, "SETRANGE $key $offset $value"),
    (8, "GETRANGE $key $index $index"),
    (2, "SUBSTR $key $index $index"),
    (8, "INCR $key"),
    (4, "DECR $key"),
    (8, "INCRBY $key $int"),
    (4, "DECRBY $key $int"),
    (10, "INCRBYFLOAT $key $float"),
    (6, "LCS $key $key [LEN|IDX|MINMATCHLEN $small|WITHMATCHLEN]"),
    (10, "DEL <$key>"),
    (4, "UNLINK <$key>"),
    (6, "EXISTS <$key>"),
    (2, "TOUCH <$key>"),
    (4, "TYPE $key"),
    (8, "RENAME $key $key"),
    (5, "RENAMENX $key $key"),
    (8, "COPY $key $key [DB $db|REPLACE]"),
    (4, "MOVE $key $db"),
    (8, "EXPIRE $key $seconds [NX|XX|GT|LT]"),
    (8, "PEXPIRE $key $millis [NX|XX|GT|LT]"),
    (6, "EXPIREAT $key $unix [NX|XX|GT|LT]"),
    (6, "PEXPIREAT $key $unixms [NX|XX|GT|LT]"),
    (4, "TTL $key"),
    (4, "PTTL $key"),
    (4, "EXPIRETIME $key"),
    (4, "PEXPIRETIME $key"),
    (5, "PERSIST $key"),
    (3, "KEYS $pattern"),
    (2, "RANDOMKEY"),
    (3, "DBSIZE"),
    (6, "OBJECT ENCODING $key"),
    (1, "OBJECT REFCOUNT $key"),
    (1, "OBJECT IDLETIME $key"),
    (1, "OBJECT FREQ $key"),
    (3, "DUMP $key"),
    (4, "RESTORE $key $restore_ttl $payload [REPLACE|ABSTTL|IDLETIME $small|FREQ $small]"),
    (2, "SCAN $cursor [MATCH $pattern|COUNT $count|TYPE $type]"),
    (1, "SELECT $db"),
    (1, "SWAPDB $db $db"),
    (1, "FLUSHDB [ASYNC|SYNC]"),
    (1, "FLUSHALL [ASYNC|SYNC]"),
    (1, "PING [$value]"),
    (1, "ECHO $value"),
    (2, "COMMAND GETKEYS (GET $key|SET $key $value|MSET <$key $value>|DEL <$key>|OBJECT ENCODING $key|PING)"),
    (1, "HELLO (2|3)"),
    (1, "HELLO (1|4|x|$int)"),
    (1, "RESET"),
    (1, "MEMORY USAGE $key [SAMPLES $small]"),
    (1, "(NOSUCHCOMMAND|OBJECT nosuch|COMMAND nosuch) [$key|$value]"),
];

/// Keys of which commands draw: few, so that they meet; some with one hash tag, some anywhere.
pub const KEYS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"e",
    b"f",
    b"g",
    b"h",
    b"{x}1",
    b"{x}2",
    b"{x}3",
    b"{x}4",
    b"{y}1",
    b"{y}2",
    b"{}1",
    b"{",
    b"with space",
    b"\x00\xff\r\n",
    b"",
    b"foo{x}bar{y}",
    b"123",
    b"longer-key-that-does-not-fit-inline-anywhere-0123456789",
];

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "10",
    "-10",
    "99",
    "9999",
    "10000",
    "-12345",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "-9223372036854775807",
];

/// What is not an integer, or not quite, or too big for one.
const NOT_INTEGERS: &[&str] = &[
    "",
    " ",
    "abc",
    "1.5",
    " 1",
    "1 ",
    "+1",
    "01",
    "-0",
    "0x10",
    "1e3",
    "9223372036854775808",
    "-9223372036854775809",
    "99999999999999999999",
    "--1",
    "1\n",
    "\u{0}",
];

const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "0.2",
    "-0.3",
    "1.5",
    "3.0e3",
    "1e5",
    "1e-7",
    "1e17",
    "1e20",
    "-1e20",
    "1e300",
    "1e308",
    "0.000000000000000001",
    "12345678901234567890",
    "3.14159265358979323846",
    "9007199254740993",
    "1e4932",
    "5e-324",
];

const NOT_FLOATS: &[&str] = &[
    "", "abc", " 1.5", "1.5 ", "1.5x", "nan", "inf", "-inf", "Infinity", "1e5000", "0x1p3", "1e", ".", ".5",
    "5.", "+1.5",
];

/// Times that are past for any clock, or later than any test runs; no time that passes meanwhile.
const UNIX_SECONDS: &[&str] =
    &["1", "1000000000", "4102444800", "4102444801", "5000000000", "9223370000000000"];
const BAD_TIMES: &[&str] =
    &["0", "-1", "-9223372036854775808", "9223372036854775807", "9223372036854775", "abc", "", "1.5"];

const PATTERNS: &[&str] = &[
    "*", "?", "[a-d]", "{x}*", "*1", "[^a]", "\\{*", "nothing", "a", "*{*", "**?**", "[", "[z-a]", "\\",
    "h?", "*[0-9]",
];

/// Makes commands from a seed.
pub struct Generator {
    rng: Rng,
    lines: Vec<(u32, &'static str)>,
    payloads: Vec<Vec<u8>>,
}

impl Generator {
    /// `payloads` are DUMP payloads that both servers understand.
    pub fn new(seed: u64, lines: Vec<(u32, &'static str)>, payloads: Vec<Vec<u8>>) -> Generator {
        Generator { rng: Rng::new(seed), lines, payloads }
    }

    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// A command of the grammar; now and then with a mistake in it.
    pub fn command(&mut self) -> Vec<Vec<u8>> {
        let total = self.lines.iter().map(|(weight, _)| *weight as usize).sum();
        let mut at = self.rng.below(total);
        let line = self.lines.iter().find(|(weight, _)| {
            let found = at < *weight as usize;
            at = at.wrapping_sub(*weight as usize);
            found
        });
        let mut arguments = self.line(line.expect("the draw is below the sum of the weights").1);
        // Redis 7.2 lets ZRANK take one more argument than 7.0 does.
        let is_rank = arguments[0].to_ascii_uppercase().ends_with(b"RANK");
        if self.rng.one_in(25) && !is_rank {
            self.spoil(&mut arguments);
        }
        arguments
    }

    /// The arguments of one line of the grammar.
    pub fn line(&mut self, line: &str) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        self.sequence(&mut Tokens { rest: line }, true, &mut out);
        out
    }

    /// Appends words up to the end of the line, alternative or group; makes none unless `active`.
    fn sequence(&mut self, tokens: &mut Tokens, active: bool, out: &mut Vec<Vec<u8>>) {
        while let Some(token) = tokens.peek() {
            match token {
                "|" | ")" | "]" | ">" => return,
                "(" => self.group(tokens, active, out, ")"),
                "[" => self.group(tokens, active, out, "]"),
                "<" => self.group(tokens, active, out, ">"),
                "$bitop" => {
                    tokens.next();
                    if active {
                        let lines = [
                            "GET $bittype $bitoffset",
                            "SET $bittype $bitoffset $int",
                            "INCRBY $bittype $bitoffset $int",
                            "OVERFLOW (WRAP|SAT|FAIL) INCRBY $bittype $bitoffset $int",
                        ];
                        let line = *self.rng.pick(&lines);
                        out.extend(self.line(line));
                    }
                }
                word => {
                    tokens.next();
                    if active {
                        let bytes = self.token(word);
                        out.push(bytes);
                    }
                }
            }
        }
    }

    fn group(&mut self, tokens: &mut Tokens, active: bool, out: &mut Vec<Vec<u8>>, close: &str) {
        tokens.next();
        let times = match close {
            ")" => 1,
            "]" => [0, 0, 0, 1, 1, 1, 1, 2, 2, 3][self.rng.below(10)],
            _ => 1 + self.rng.below(4),
        };
        let start = *tokens;
        let alternatives = tokens.skip_group(close);
        for _ in 0..times {
            let chosen = self.rng.below(alternatives);
            let mut inside = start;
            for alternative in 0..alternatives {
                self.sequence(&mut inside, active && alternative == chosen, out);
                inside.next();
            }
        }
    }

    fn token(&mut self, word: &str) -> Vec<u8> {
        // A lone dollar is a word of streams.
        if let Some(name) = word.strip_prefix('$').filter(|name| !name.is_empty()) {
            return self.word(name);
        }
        match self.rng.below(4) {
            0 => word.to_ascii_lowercase().into_bytes(),
            1 => word.bytes().map(|b| if self.rng.one_in(2) { b.to_ascii_lowercase() } else { b }).collect(),
            _ => word.as_bytes().to_vec(),
        }
    }

    fn word(&mut self, name: &str) -> Vec<u8> {
        let rng = &mut self.rng;
        match name {
            "key" => rng.pick(KEYS).to_vec(),
            "value" => self.value(),
            "int" if rng.one_in(10) => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
            "int" if rng.one_in(3) => (rng.next() as i64).to_string().into_bytes(),
            "int" => rng.pick(INTEGERS).as_bytes().to_vec(),
            "float" if rng.one_in(10) => rng.pick(NOT_FLOATS).as_bytes().to_vec(),
            "float" if rng.one_in(3) => {
                let (whole, part) = (rng.next() % 100_000, rng.next() % 1_000_000);
                format!("{}{whole}.{part}", if rng.one_in(2) { "-" } else { "" }).into_bytes()
            }
            "float" => rng.pick(FLOATS).as_bytes().to_vec(),
            "index" if rng.one_in(12) => rng.pick(INTEGERS).as_bytes().to_vec(),
            "index" => (rng.below(60) as i64 - 30).to_string().into_bytes(),
            "offset" if rng.one_in(10) => {
                rng.pick(&["-1", "536870912", "536870911999", "9223372036854775807", "x"]).as_bytes().to_vec()
            }
            "offset" => rng.below(if rng.clone().one_in(8) { 3000 } else { 40 }).to_string().into_bytes(),
            // Relative times are drawn from so wide a range that none is drawn twice, or GT and LT
            // would depend on the millisecond.
            "seconds" | "millis" | "unix" | "unixms" if rng.one_in(12) => {
                rng.pick(BAD_TIMES).as_bytes().to_vec()
            }
            "seconds" => (5000 + rng.below(1_000_000_000)).to_string().into_bytes(),
            "millis" if rng.one_in(8) => b"1".to_vec(),
            "millis" => (5_000_000 + rng.below(1_000_000_000_000)).to_string().into_bytes(),
            "unix" => rng.pick(UNIX_SECONDS).as_bytes().to_vec(),
            "unixms" => format!("{}{:03}", rng.pick(&UNIX_SECONDS[..5]), rng.below(1000)).into_bytes(),
            "restore_ttl" if rng.one_in(8) => rng.pick(&["-1", "x", "4102444800123"]).as_bytes().to_vec(),
            "restore_ttl" if rng.one_in(4) => {
                (5_000_000_000_000 + rng.below(1_000_000)).to_string().into_bytes()
            }
            "restore_ttl" => b"0".to_vec(),
            "payload" => self.payload(),
            "small" => rng.below(9).to_string().into_bytes(),
            "count" => rng.pick(&["1", "10", "1000", "0", "-1", "x"]).as_bytes().to_vec(),
            "cursor" => rng.pick(&["0", "0", "0", "x", "-1", "99999999999999999999999"]).as_bytes().to_vec(),
            "db" if rng.one_in(12) => rng.pick(&["-1", "16", "x", "9223372036854775808"]).as_bytes().to_vec(),
            "db" => rng.pick(&["0", "0", "1"]).as_bytes().to_vec(),
            "pattern" => rng.pick(PATTERNS).as_bytes().to_vec(),
            "type" => rng
                .pick(&["string", "STRING", "list", "set", "zset", "hash", "stream", "x"])
                .as_bytes()
                .to_vec(),
            // A few keys for each type, and now and then one of any.
            "lkey" | "skey" | "hkey" | "zkey" | "xkey" | "bkey" | "gkey" if !rng.one_in(30) => {
                let at = "lshzxbg".find(&name[..1]).expect("listed above");
                let mine = [at, at + 8, at * 2 % 16, 16 + at % 5];
                KEYS[*rng.pick(&mine)].to_vec()
            }
            "lkey" | "skey" | "hkey" | "zkey" | "xkey" | "bkey" | "gkey" => rng.pick(KEYS).to_vec(),
            "elem" if rng.one_in(8) => self.value(),
            "elem" if rng.one_in(3) => rng.below(25).to_string().into_bytes(),
            "elem" => vec![*rng.pick(b"abcdefghijkl")],
            "field" if rng.one_in(12) => self.value(),
            "field" if rng.one_in(3) => rng.below(100).to_string().into_bytes(),
            "field" => vec![b'f', *rng.pick(b"abcdefgh")],
            "near" if rng.one_in(20) => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
            "near" => (rng.below(12) as i64 - 4).to_string().into_bytes(),
            "score" if rng.one_in(40) => rng.pick(NOT_FLOATS).as_bytes().to_vec(),
            "score" if rng.one_in(20) => rng.pick(&["inf", "-inf", "+inf"]).as_bytes().to_vec(),
            "score" if rng.one_in(5) => rng.pick(FLOATS[..19].as_ref()).as_bytes().to_vec(),
            "score" => (rng.below(20) as i64 - 8).to_string().into_bytes(),
            "bound" if rng.one_in(25) => rng.pick(NOT_FLOATS).as_bytes().to_vec(),
            "bound" if rng.one_in(4) => rng.pick(&["-inf", "+inf", "(-inf", "(+inf"]).as_bytes().to_vec(),
            "bound" => {
                let score = rng.below(24) as i64 - 10;
                format!("{}{score}{}", rng.pick(&["", "("]), rng.pick(&["", "", ".5"])).into_bytes()
            }
            "lex" if rng.one_in(25) => rng.pick(&["", "a", "[", "(", "inf"]).as_bytes().to_vec(),
            "lex" if rng.one_in(3) => rng.pick(&["-", "+"]).as_bytes().to_vec(),
            "lex" => vec![*rng.pick(b"[("), *rng.pick(b"abcdefghijkl0123")],
            "id" if rng.one_in(25) => {
                let wrong =
                    ["", "-", "1-", "x", "1-x", "18446744073709551616", "0-0", "18446744073709551615-1"];
                rng.pick(&wrong).as_bytes().to_vec()
            }
            "id" if rng.one_in(4) => rng.below(60).to_string().into_bytes(),
            "id" => format!("{}-{}", rng.below(60), rng.below(4)).into_bytes(),
            "range" if rng.one_in(3) => rng.pick(&["-", "+"]).as_bytes().to_vec(),
            "range" => format!("{}{}-{}", rng.pick(&["", "", "("]), rng.below(60), rng.below(4)).into_bytes(),
            "group" => rng.pick(&["g", "g", "h"]).as_bytes().to_vec(),
            "consumer" => rng.pick(&["one", "two", "three"]).as_bytes().to_vec(),
            "longitude" if rng.one_in(30) => rng.pick(&["180.1", "x", "-181"]).as_bytes().to_vec(),
            "longitude" => format!("{}.{}", rng.below(360) as i64 - 180, rng.below(10_000)).into_bytes(),
            "latitude" if rng.one_in(30) => rng.pick(&["86", "x", "-85.06"]).as_bytes().to_vec(),
            "latitude" => format!("{}.{}", rng.below(168) as i64 - 84, rng.below(10_000)).into_bytes(),
            "radius" if rng.one_in(20) => rng.pick(&["-1", "x", "0"]).as_bytes().to_vec(),
            "radius" => rng.pick(&["1", "500", "1000", "5000.5", "10000", "30000"]).as_bytes().to_vec(),
            "vkey" => rng.pick(&["lex:1", "lex:2", "{x}lex"]).as_bytes().to_vec(),
            "pkey" => rng.pick(&["hll:1", "hll:2", "{x}hll", "hll:4"]).as_bytes().to_vec(),
            "byhash" => b"w_*->f".to_vec(),
            "new" => b">".to_vec(),
            "weight" => format!("w_{}", rng.below(9)).into_bytes(),
            "bittype" if rng.one_in(15) => rng.pick(&["u64", "i65", "x", "u0", ""]).as_bytes().to_vec(),
            "bittype" => {
                let bits = 1 + rng.below(63);
                format!("{}{bits}", rng.pick(&["u", "i"])).into_bytes()
            }
            "bitoffset" => format!("{}{}", rng.pick(&["", "#"]), rng.below(70)).into_bytes(),
            other => unreachable!("the grammar has no word ${other}"),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        match rng.below(16) {
            0..4 => rng.pick(INTEGERS).as_bytes().to_vec(),
            4 => rng.pick(NOT_INTEGERS).as_bytes().to_vec(),
            5..7 => rng.pick(FLOATS).as_bytes().to_vec(),
            7 => Vec::new(),
            8 => {
                let count = rng.below(60);
                rng.bytes(count)
            }
            9 => {
                // Around the borders between inline, embstr and raw.
                let count = rng.pick(&[7, 8, 11, 12, 15, 16, 20, 21, 43, 44, 45, 63, 64, 65]);
                vec![b'v'; *count]
            }
            10 => {
                let count = rng.below(6000);
                vec![b'L'; count]
            }
            11 => {
                let count = rng.below(600);
                rng.bytes(count)
            }
            _ => {
                let letters = b"abcdefgh";
                let count = 1 + rng.below(20);
                (0..count).map(|_| *rng.pick(letters)).collect()
            }
        }
    }

    fn payload(&mut self) -> Vec<u8> {
        let mut payload = match self.payloads.len() {
            0 => Vec::new(),
            count => self.payloads[self.rng.below(count)].clone(),
        };
        if self.rng.one_in(4) && !payload.is_empty() {
            let at = self.rng.below(payload.len());
            match self.rng.below(3) {
                0 => payload[at] ^= 1 << self.rng.below(8),
                1 => payload.truncate(at),
                _ => payload.insert(at, 0),
            }
        }
        payload
    }

    /// Makes a mistake: an argument too few, too many, twice, or of the wrong kind. None that could
    /// give a key a lifetime that ends while the test runs.
    fn spoil(&mut self, arguments: &mut Vec<Vec<u8>>) {
        let at = self.rng.below(arguments.len());
        match self.rng.below(4) {
            0 if arguments.len() > 1 => drop(arguments.remove(at.max(1))),
            1 => arguments.push(self.rng.pick(KEYS).to_vec()),
            2 => arguments.insert(at.max(1).min(arguments.len()), arguments[at].clone()),
            _ if at > 0 => {
                arguments[at] = self.rng.pick(NOT_INTEGERS).as_bytes().to_vec();
            }
            _ => arguments.push(b"extra".to_vec()),
        }
        // Without its count it would choose at random, and the servers would go different ways.
        if arguments.len() == 2 && arguments[0].eq_ignore_ascii_case(b"SPOP") {
            arguments.push(b"0".to_vec());
        }
    }
}

/// A line of the grammar, word by word.
#[derive(Clone, Copy)]
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn peek(&self) -> Option<&'a str> {
        let mut copy = *self;
        copy.next()
    }

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let length = match self.rest.find(|c: char| c == ' ' || "()[]<>|".contains(c)) {
            Some(0) => 1,
            Some(length) => length,
            None => self.rest.len(),
        };
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// Steps over the group whose opening was just taken; returns how many alternatives it has.
    fn skip_group(&mut self, close: &str) -> usize {
        let (mut depth, mut alternatives) = (0, 1);
        while let Some(token) = self.next() {
            match token {
                "(" | "[" | "<" => depth += 1,
                "|" if depth == 0 => alternatives += 1,
                _ if depth == 0 && token == close => return alternatives,
                ")" | "]" | ">" => depth -= 1,
                _ => {}
            }
        }
        panic!("a group of the grammar is not closed by {close}");
    }
}
