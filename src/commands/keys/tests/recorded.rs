//! A conversation with Redis 7.0.15, held again with one shard and with several.

use super::node_of;
use crate::resp::inline::split_quoted;

const RECORDED: &str = include_str!("redis-7.0.15.txt");

fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut bytes, mut spans) = (Vec::new(), Vec::new());
    split_quoted(line.as_bytes(), &mut bytes, &mut spans).expect("the recording is well-formed");
    spans.iter().map(|span| bytes[span.start..span.end].to_vec()).collect()
}

fn unescape(line: &str) -> Vec<u8> {
    // A reply is written as the inside of a quoted word.
    words(&format!("\"{line}\"")).remove(0)
}

/// Holds the conversation; `skip` names sections that do not apply.
fn hold(shards: usize, skip: &str) {
    let mut node = node_of(shards);
    let mut section = "";
    let mut lines = RECORDED.lines().enumerate();
    let mut wrong = Vec::new();
    while let Some((at, line)) = lines.next() {
        if let Some(name) = line.strip_prefix("# ") {
            section = name;
            node = node_of(shards);
        }
        let Some(command) = line.strip_prefix("> ") else { continue };
        let (_, reply) = lines.next().expect("every command has a reply");
        if !skip.is_empty() && section.contains(skip) {
            continue;
        }
        let words = words(command);
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let got = node.run(&words);
        if got != unescape(reply) {
            let cut = |text: String| text.chars().take(200).collect::<String>();
            wrong.push(format!(
                "line {} of {section}: {}\n   redis: {}\n    ours: {}",
                at + 1,
                cut(command.into()),
                cut(reply.into()),
                cut(got.escape_ascii().to_string())
            ));
        }
    }
    assert!(wrong.is_empty(), "{shards} shards, {} differences:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn one_shard_answers_as_redis_did() {
    hold(1, "");
}

#[test]
fn several_shards_answer_as_redis_did() {
    for shards in [2, 3, 16] {
        // An empty database of several shards takes several steps to scan.
        hold(shards, "on one shard");
    }
}

/// A server to compare with.
struct Server(std::net::TcpStream);

impl Server {
    fn connect() -> Server {
        let address = std::env::var("REDIS_ADDR").expect("REDIS_ADDR names a server");
        Server(std::net::TcpStream::connect(address).expect("the server answers"))
    }

    fn expect(&mut self, words: &[&[u8]], expected: &[u8]) {
        use std::io::{Read, Write};
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).as_bytes());
            request.extend(*word);
            request.extend(b"\r\n");
        }
        self.0.write_all(&request).expect("the server reads");
        let mut reply = vec![0; expected.len()];
        self.0.read_exact(&mut reply).expect("the server answers");
        assert_eq!(reply.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{words:?}");
    }
}

/// Holds the recording against a server: `REDIS_ADDR=127.0.0.1:6379 cargo test -- --ignored of_redis_itself`.
#[test]
#[ignore = "needs a Redis 7.0.15 at REDIS_ADDR, whose data it deletes"]
fn the_recording_is_of_redis_itself() {
    let mut server = Server::connect();
    let mut lines = RECORDED.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("# ") {
            server.expect(&[b"FLUSHALL"], b"+OK\r\n");
            server.expect(&[b"SELECT", b"0"], b"+OK\r\n");
        } else if let Some(command) = line.strip_prefix("> ") {
            let words = words(command);
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            server.expect(&words, &unescape(lines.next().expect("every command has a reply")));
        }
    }
}

/// Our DUMP of many strings is Redis's, byte for byte, and each restores the other's.
#[test]
#[ignore = "needs a Redis 7.0.15 at REDIS_ADDR, whose data it deletes"]
fn dumps_are_those_of_redis_itself() {
    let mut server = Server::connect();
    let (mut node, mut rng) = (node_of(1), fastrand::Rng::with_seed(1));
    for round in 0..20_000 {
        let letters = rng.u8(1..=255);
        let length = rng.usize(0..if round % 100 == 0 { 40_000 } else { 400 });
        let mut value: Vec<u8> = Vec::new();
        while value.len() < length {
            let repeated = rng.usize(0..=value.len());
            let until = (repeated + rng.usize(0..100)).min(value.len());
            match rng.u8(0..3) {
                0 => value.extend_from_within(repeated..until),
                1 => value.extend(std::iter::repeat_n(letters, rng.usize(0..40))),
                _ => value.extend((0..rng.usize(0..20)).map(|_| rng.u8(0..letters))),
            }
        }
        node.run(&[b"SET", b"k", &value]);
        let reply = node.run(&[b"DUMP", b"k"]);
        server.expect(&[b"SET", b"k", &value], b"+OK\r\n");
        server.expect(&[b"DUMP", b"k"], &reply);
        let payload = node.dump(b"k");
        assert_eq!(node.run(&[b"RESTORE", b"r", b"0", &payload, b"REPLACE"]), b"+OK\r\n");
        let read = node.run(&[b"GET", b"r"]);
        server.expect(&[b"RESTORE", b"r", b"0", &payload, b"REPLACE"], b"+OK\r\n");
        server.expect(&[b"GET", b"r"], &read);
    }
}
