//! A conversation with Redis 7.0.15, held again with one shard and with several.

use super::node::Node;
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
    let mut node = Node::new(shards);
    let mut section = "";
    let mut lines = RECORDED.lines().enumerate();
    let mut wrong = Vec::new();
    while let Some((at, line)) = lines.next() {
        if let Some(name) = line.strip_prefix("# ") {
            section = name;
            node = Node::new(shards);
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

/// Holds the recording against a server: `REDIS_ADDR=127.0.0.1:6379 cargo test -- --ignored the_recording`.
#[test]
#[ignore = "needs a Redis 7.0.15 at REDIS_ADDR, whose data it deletes"]
fn the_recording_is_what_redis_answers() {
    use std::io::{Read, Write};
    let address = std::env::var("REDIS_ADDR").expect("REDIS_ADDR names a server");
    let mut server = std::net::TcpStream::connect(address).expect("the server answers");
    let mut ask = |words: &[Vec<u8>], expected: &[u8]| {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).as_bytes());
            request.extend(word);
            request.extend(b"\r\n");
        }
        server.write_all(&request).expect("the server reads");
        let mut reply = vec![0; expected.len()];
        server.read_exact(&mut reply).expect("the server answers");
        assert_eq!(reply.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{words:?}");
    };
    let mut lines = RECORDED.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("# ") {
            ask(&words("FLUSHALL"), b"+OK\r\n");
            ask(&words("SELECT 0"), b"+OK\r\n");
        } else if let Some(command) = line.strip_prefix("> ") {
            ask(&words(command), &unescape(lines.next().expect("every command has a reply")));
        }
    }
}
