//! Requests and replies: a plain reader that sees everything at once is the model of the parser.

use crate::{fuzz, mutate};
use coreshard::resp::inline::split_quoted;
use coreshard::resp::{Deferred, Limits, Output, Parser, Protocol, ProtocolError, Reply, Step};
use coreshard::types::number::parse_i64;
use std::sync::Arc;

const ALPHABET: &[u8] = b"*$\r\n\0-+0123456789\"'\\x a";

type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

fn limits(rng: &mut fastrand::Rng) -> Limits {
    Limits {
        max_bulk_bytes: [5, 500, 512 << 20][rng.usize(0..3)],
        max_inline_bytes: [10, 65536][rng.usize(0..2)],
        max_args: [3, 50, i32::MAX as usize][rng.usize(0..3)],
        authenticated: rng.u8(0..4) != 0,
    }
}

/// A few requests, then damaged a little.
fn stream(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..rng.usize(1..5) {
        let args: Vec<Vec<u8>> = (0..rng.usize(0..14))
            .map(|_| {
                let choices = if rng.u8(..) == 0 { 11 } else { 10 };
                let len = [0, 1, 2, 9, 10, 40, 99, 100, 999, 1000, 17_000][rng.usize(0..choices)];
                (0..len).map(|_| ALPHABET[rng.usize(..ALPHABET.len())]).collect()
            })
            .collect();
        if rng.u8(0..4) == 0 {
            for arg in &args {
                bytes.extend_from_slice(&arg[..arg.len().min(20)]);
                bytes.push(b' ');
            }
            bytes.extend_from_slice(b"\r\n");
        } else {
            bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
            for arg in &args {
                bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                bytes.extend_from_slice(arg);
                bytes.extend_from_slice(b"\r\n");
            }
        }
    }
    mutate(rng, &mut bytes, ALPHABET);
    bytes
}

/// The parser, shown `stream` in random steps.
fn parse(rng: &mut fastrand::Rng, stream: &[u8], limits: &Limits) -> Outcome {
    let largest = [1, 7, 100, usize::MAX][rng.usize(0..4)];
    let mut parser = Parser::new();
    let (mut requests, mut from, mut have) = (Vec::new(), 0, 0);
    loop {
        let buf = &stream[from..have];
        let step = parser.step(buf, limits);
        assert!(parser.heap_bytes() <= 4096 + 8 * buf.len(), "memory follows what was received");
        match step {
            Ok(Step::Request { consumed }) => {
                assert!(consumed > 0 && consumed <= buf.len());
                let argv = parser.argv(buf);
                assert!(!argv.is_empty());
                requests.push(argv.iter().map(<[u8]>::to_vec).collect());
                from += consumed;
            }
            Ok(Step::Skip { consumed }) => {
                assert!(consumed > 0 && consumed <= buf.len());
                from += consumed;
            }
            Ok(Step::Incomplete { missing }) => {
                assert!(missing > 0);
                if have == stream.len() {
                    return (requests, None);
                }
                have += rng.usize(1..=largest.min(stream.len() - have));
            }
            Err(error) => return (requests, Some(error)),
        }
    }
}

/// The same by the book, with everything in hand and no state.
fn model(mut stream: &[u8], limits: &Limits) -> Outcome {
    let mut requests = Vec::new();
    loop {
        match model_request(&mut stream, limits) {
            Ok(Some(args)) if args.is_empty() => {}
            Ok(Some(args)) => requests.push(args),
            Ok(None) => return (requests, None),
            Err(error) => return (requests, Some(error)),
        }
    }
}

/// One request, empty when there is nothing to run; `None` when bytes are missing.
fn model_request(stream: &mut &[u8], limits: &Limits) -> Result<Option<Vec<Vec<u8>>>, ProtocolError> {
    use ProtocolError::*;
    if stream.first() != Some(&b'*') {
        let Some(line) = model_line(stream, b'\n', limits, TooBigInline)? else { return Ok(None) };
        *stream = &stream[line.len() + 1..];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (mut words, mut spans) = (Vec::new(), Vec::new());
        split_quoted(line, &mut words, &mut spans).map_err(|_| UnbalancedQuotes)?;
        return Ok(Some(spans.iter().map(|span| words[span.start..span.end].to_vec()).collect()));
    }
    let Some(line) = model_line(stream, b'\r', limits, TooBigMultibulkCount)? else { return Ok(None) };
    if stream.len() < line.len() + 2 {
        return Ok(None);
    }
    let count = parse_i64(&line[1..]).filter(|&count| count <= limits.max_args as i64);
    let count = count.ok_or(InvalidMultibulkLength)?;
    if count > 10 && !limits.authenticated {
        return Err(UnauthenticatedMultibulkLength);
    }
    *stream = &stream[line.len() + 2..];
    let mut args = Vec::new();
    for _ in 0..count {
        let Some(line) = model_line(stream, b'\r', limits, TooBigBulkCount)? else { return Ok(None) };
        if stream.len() < line.len() + 2 {
            return Ok(None);
        }
        if stream[0] != b'$' {
            return Err(ExpectedDollar { got: stream[0] });
        }
        let len = parse_i64(&line[1..]).filter(|&len| len >= 0 && len <= limits.max_bulk_bytes as i64);
        let len = len.ok_or(InvalidBulkLength)? as usize;
        if len > 16384 && !limits.authenticated {
            return Err(UnauthenticatedBulkLength);
        }
        *stream = &stream[line.len() + 2..];
        if stream.len() < len + 2 {
            return Ok(None);
        }
        args.push(stream[..len].to_vec());
        *stream = &stream[len + 2..];
    }
    Ok(Some(args))
}

/// The line up to `end`, when it is there, short enough, and no zero byte hides its end.
fn model_line<'a>(
    stream: &'a [u8],
    end: u8,
    limits: &Limits,
    too_big: ProtocolError,
) -> Result<Option<&'a [u8]>, ProtocolError> {
    match stream.iter().position(|&byte| byte == end || byte == 0) {
        Some(at) if at <= limits.max_inline_bytes && stream[at] == end => Ok(Some(&stream[..at])),
        _ if stream.len() > limits.max_inline_bytes => Err(too_big),
        _ => Ok(None),
    }
}

#[test]
fn requests() {
    fuzz("requests", |rng| {
        let limits = limits(rng);
        let stream = stream(rng);
        let expected = model(&stream, &limits);
        assert_eq!(parse(rng, &stream, &limits), expected, "{}", stream.escape_ascii());
    });
}

#[test]
fn quoted_words() {
    fuzz("quoted_words", |rng| {
        let list: Vec<Vec<u8>> =
            (0..rng.usize(0..5)).map(|_| (0..rng.usize(0..9)).map(|_| rng.u8(..)).collect()).collect();
        let mut line = Vec::new();
        for word in &list {
            line.push(b'"');
            word.iter().for_each(|byte| line.extend_from_slice(format!("\\x{byte:02X}").as_bytes()));
            line.extend_from_slice(b"\" ");
        }
        let (mut words, mut spans) = (Vec::new(), Vec::new());
        split_quoted(&line, &mut words, &mut spans).expect("balanced");
        let got: Vec<Vec<u8>> = spans.iter().map(|span| words[span.start..span.end].to_vec()).collect();
        assert_eq!(got, list);
        // Whatever the line, words end inside the buffer and never grow beyond the line.
        mutate(rng, &mut line, ALPHABET);
        let (mut words, mut spans) = (Vec::new(), Vec::new());
        let _ = split_quoted(&line, &mut words, &mut spans);
        assert!(words.len() <= line.len() && spans.iter().all(|span| span.end <= words.len()));
    });
}

/// Writes a random value and, beside it, the text it must have.
fn value(
    rng: &mut fastrand::Rng,
    reply: &mut Reply<'_>,
    depth: usize,
    big: &Arc<Vec<u8>>,
    text: &mut Vec<u8>,
) {
    let resp3 = reply.protocol == Protocol::Resp3;
    let bulk = |text: &mut Vec<u8>, data: &[u8]| {
        text.extend_from_slice(format!("${}\r\n", data.len()).as_bytes());
        text.extend_from_slice(data);
        text.extend_from_slice(b"\r\n");
    };
    match rng.u8(0..if depth == 0 { 4 } else { 7 }) {
        0 => {
            let value = rng.i64(..) >> rng.u32(0..64);
            reply.int(value);
            text.extend_from_slice(format!(":{value}\r\n").as_bytes());
        }
        1 => {
            let len = rng.usize(0..150);
            reply.bulk(&big[..len]);
            bulk(text, &big[..len]);
        }
        2 => {
            // Mostly short parts, sometimes one that is referred to.
            let start =
                if rng.u8(0..20) == 0 { rng.usize(0..big.len()) } else { big.len() - rng.usize(0..99) };
            reply.bulk_shared(big, start..big.len());
            bulk(text, &big[start..]);
        }
        3 => {
            reply.null();
            text.extend_from_slice(if resp3 { b"_\r\n" } else { b"$-1\r\n" });
        }
        kind => {
            let len = rng.usize(0..if depth == 2 { 120 } else { 12 });
            let deferred: Option<Deferred> = rng.bool().then(|| reply.deferred());
            if deferred.is_none() {
                match kind {
                    4 => reply.array(len),
                    5 => reply.map(len),
                    _ => reply.set(len),
                }
            }
            let (prefix, count) = match (kind, resp3) {
                (4, _) | (6, false) => ('*', len),
                (5, true) => ('%', len),
                (5, false) => ('*', 2 * len),
                _ => ('~', len),
            };
            text.extend_from_slice(format!("{prefix}{count}\r\n").as_bytes());
            for _ in 0..if kind == 5 { 2 * len } else { len } {
                value(rng, reply, depth - 1, big, text);
            }
            match (deferred, kind) {
                (Some(deferred), 4) => reply.fill_array(deferred, len),
                (Some(deferred), 5) => reply.fill_map(deferred, len),
                (Some(deferred), _) => reply.fill_set(deferred, len),
                (None, _) => {}
            }
        }
    }
}

#[test]
fn replies() {
    let big: Arc<Vec<u8>> = Arc::new((0..20_000u32).map(|at| at as u8).collect());
    fuzz("replies", |rng| {
        let protocol = if rng.bool() { Protocol::Resp2 } else { Protocol::Resp3 };
        let (mut out, mut text) = (Output::new(), Vec::new());
        value(rng, &mut Reply::new(&mut out, protocol), 2, &big, &mut text);
        assert_eq!(out.len(), text.len());
        assert!(out.to_vec() == text);
    });
}
