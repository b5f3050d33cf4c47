//! RESP2 from the client's side: encode a command, find where a reply ends, ask one question.
//!
//! The load generator only needs the end of each reply and its first byte; [`scan`] gives that
//! without allocating. [`Client`] is the blocking connection for set-up and for questions.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::shape::{Shape, Skim};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that says nothing for so long has failed the run.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_NESTING: usize = 8;

pub fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Appends a command as an array of bulk strings.
pub fn encode(out: &mut Vec<u8>, args: &[&[u8]]) {
    header(out, b'*', args.len());
    for arg in args {
        header(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

fn header(out: &mut Vec<u8>, kind: u8, count: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(count).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The length of the first whole reply in `input`, or `None` when more bytes are needed.
pub fn scan(input: &[u8]) -> io::Result<Option<usize>> {
    scan_nested(input, MAX_NESTING)
}

fn scan_nested(input: &[u8], depth: usize) -> io::Result<Option<usize>> {
    if depth == 0 {
        return Err(malformed("nested too deeply"));
    }
    let Some((line, mut end)) = first_line(input)? else {
        return Ok(None);
    };
    match line[0] {
        b'+' | b'-' | b':' => Ok(Some(end)),
        b'$' => match number(&line[1..])? {
            length if length < 0 => Ok(Some(end)),
            length => {
                let whole = end.saturating_add(length as usize).saturating_add(2);
                Ok((whole <= input.len()).then_some(whole))
            }
        },
        b'*' => {
            for _ in 0..number(&line[1..])?.max(0) {
                match scan_nested(&input[end..], depth - 1)? {
                    Some(length) => end += length,
                    None => return Ok(None),
                }
            }
            Ok(Some(end))
        }
        other => Err(malformed(&format!("reply type {:?}", char::from(other)))),
    }
}

/// The first line without its end, and where the next begins.
fn first_line(input: &[u8]) -> io::Result<Option<(&[u8], usize)>> {
    match memchr::memchr(b'\r', input) {
        None => Ok(None),
        Some(0) => Err(malformed("an empty line")),
        Some(at) if at + 1 < input.len() => Ok(Some((&input[..at], at + 2))),
        Some(_) => Ok(None),
    }
}

fn number(digits: &[u8]) -> io::Result<i64> {
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed("a length that is no number"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed reply: {what}"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
    Array(Vec<Reply>),
}

impl Reply {
    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }

    /// The text of a simple or bulk string; empty for anything else.
    pub fn text(&self) -> String {
        match self {
            Reply::Simple(text) | Reply::Error(text) => text.clone(),
            Reply::Bulk(Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            Reply::Integer(number) => number.to_string(),
            Reply::Bulk(None) | Reply::Array(_) => String::new(),
        }
    }
}

/// Decodes one whole reply, as [`scan`] delimited it.
fn decode(input: &[u8]) -> io::Result<(Reply, usize)> {
    let (line, mut end) = first_line(input)?.ok_or_else(|| malformed("cut short"))?;
    let text = || String::from_utf8_lossy(&line[1..]).into_owned();
    let reply = match line[0] {
        b'+' => Reply::Simple(text()),
        b'-' => Reply::Error(text()),
        b':' => Reply::Integer(number(&line[1..])?),
        b'$' => match number(&line[1..])? {
            length if length < 0 => Reply::Bulk(None),
            length => {
                let body = &input[end..end + length as usize];
                end += length as usize + 2;
                Reply::Bulk(Some(body.to_vec()))
            }
        },
        _ => {
            let mut items = Vec::new();
            for _ in 0..number(&line[1..])?.max(0) {
                let (item, length) = decode(&input[end..])?;
                end += length;
                items.push(item);
            }
            Reply::Array(items)
        }
    };
    Ok((reply, end))
}

/// A blocking connection with bounded waits.
pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    pub fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address(port), CONNECT_TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Client { stream, input: Vec::new() })
    }

    /// Hands the socket on; nothing may be unread.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.input.is_empty(), "a reply was left unread");
        self.stream
    }

    pub fn set_reply_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub fn receive(&mut self) -> io::Result<Reply> {
        loop {
            if let Some(length) = scan(&self.input)? {
                let (reply, _) = decode(&self.input[..length])?;
                self.input.drain(..length);
                return Ok(reply);
            }
            self.read_more()?;
        }
    }

    /// Reads `count` replies and keeps only the number of errors and the text of the first.
    pub fn receive_count(&mut self, count: usize, errors: &mut Errors) -> io::Result<()> {
        let mut seen = 0;
        while seen < count {
            let mut start = 0;
            while seen < count
                && let Some(length) = scan(&self.input[start..])?
            {
                errors.note(&self.input[start..start + length]);
                start += length;
                seen += 1;
            }
            self.input.drain(..start);
            if seen < count {
                self.read_more()?;
            }
        }
        Ok(())
    }

    /// One command whose answer may be huge: read to its end, not kept. Its first line is looked at.
    pub fn skim(&mut self, args: &[&[u8]], shape: Shape) -> io::Result<()> {
        let mut request = Vec::new();
        encode(&mut request, args);
        self.send(&request)?;
        let mut skim = Skim::default();
        let mut chunk = vec![0; 256 * 1024];
        let early = skim.feed(&self.input)?;
        self.input.drain(..early);
        while !skim.done() {
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => {
                    let taken = skim.feed(&chunk[..count])?;
                    self.input.extend_from_slice(&chunk[taken..count]);
                }
            }
        }
        if shape.fits(&skim.first) {
            return Ok(());
        }
        let name = String::from_utf8_lossy(args.first().copied().unwrap_or_default()).into_owned();
        let first = String::from_utf8_lossy(&skim.first);
        Err(io::Error::other(format!("{name}: expected {shape}, got {first}")))
    }

    /// One command, one reply; an error reply is an `Ok` value here.
    pub fn call(&mut self, args: &[&str]) -> io::Result<Reply> {
        let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
        let mut request = Vec::new();
        encode(&mut request, &args);
        self.send(&request)?;
        self.receive()
    }

    /// As [`Client::call`], but an error reply is a failure of the run.
    pub fn must(&mut self, args: &[&str]) -> io::Result<Reply> {
        match self.call(args)? {
            Reply::Error(text) => Err(io::Error::other(format!("{}: {text}", args.join(" ")))),
            reply => Ok(reply),
        }
    }

    pub fn integer(&mut self, args: &[&str]) -> io::Result<i64> {
        match self.must(args)? {
            Reply::Integer(number) => Ok(number),
            other => Err(malformed(&format!("{}: {other:?}", args.join(" ")))),
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let mut chunk = [0; 64 * 1024];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.input.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

/// Error replies seen: how many, and what the first one said.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    pub count: u64,
    pub first: Option<String>,
}

impl Errors {
    pub fn note(&mut self, reply: &[u8]) {
        self.note_unless(Shape::Any, reply);
    }

    /// As [`Errors::note`], and an answer of another shape than `expected` counts as well.
    pub fn note_unless(&mut self, expected: Shape, reply: &[u8]) {
        if expected.fits(reply) {
            return;
        }
        self.count += 1;
        self.first.get_or_insert_with(|| {
            let line = first_line(reply).ok().flatten().map_or(reply, |(line, _)| line);
            let line = String::from_utf8_lossy(line);
            match expected {
                Shape::Any => line.trim_start_matches('-').to_owned(),
                _ => format!("expected {expected}, got {line}"),
            }
        });
    }

    pub fn merge(&mut self, other: Errors) {
        self.count += other.count;
        self.first = self.first.take().or(other.first);
    }

    /// A run with error replies measured something else than it says.
    pub fn check(&self) -> io::Result<()> {
        match &self.first {
            None => Ok(()),
            Some(text) => Err(io::Error::other(format!("{} error replies, first: {text}", self.count))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_of_a_reply_asks_for_more() {
        let whole = b"*3\r\n$4\r\na\r\nb\r\n*1\r\n:7\r\n$-1\r\n";
        for cut in 0..whole.len() {
            assert_eq!(scan(&whole[..cut]).expect("well-formed"), None, "cut at {cut}");
        }
        assert_eq!(scan(whole).expect("well-formed"), Some(whole.len()));
        assert_eq!(scan(b"+OK\r\n+OK\r\n").expect("well-formed"), Some(5));
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(scan(b"hello\r\n").is_err());
        assert!(scan(b"$x\r\n").is_err());
        assert!(scan(b"\r\n").is_err());
        assert!(scan("*1\r\n".repeat(9).as_bytes()).is_err());
    }

    #[test]
    fn answers_of_another_shape_are_errors() {
        let mut errors = Errors::default();
        errors.note(b"+OK\r\n");
        errors.note_unless(Shape::items(2), b"*2\r\n:1\r\n:2\r\n");
        assert!(errors.check().is_ok());
        errors.note_unless(Shape::items(2), b"*0\r\n");
        errors.note(b"-ERR later\r\n");
        assert_eq!(errors.count, 2);
        assert_eq!(errors.first.as_deref(), Some("expected 2 to 2 items, got *0"));
        let mut errors = Errors::default();
        errors.note(b"-ERR no\r\n");
        assert_eq!(errors.first.as_deref(), Some("ERR no"));
    }

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        encode(&mut out, &[b"GET", b"key:1"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$5\r\nkey:1\r\n");
        let (reply, length) = decode(&out).expect("it reads as a reply too");
        assert_eq!(length, out.len());
        assert_eq!(
            reply,
            Reply::Array(vec![Reply::Bulk(Some(b"GET".to_vec())), Reply::Bulk(Some(b"key:1".to_vec()))])
        );
    }
}
