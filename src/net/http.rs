//! The HTTP port: metrics and health. GET and HEAD of three paths; requests have no bodies.
//!
//! A request is answered when all of its head is there; pipelined ones one after the other. What is not a request,
//! is too long or has a body is answered once and the connection closed. `/metrics` asks all cores as INFO does, and
//! its answer comes back here through [`write_page`].

use super::client::{Client, Stall};
use super::core::Core;
use crate::observe::metrics::page;
use crate::observe::{CoreReport, Facts};
use crate::resp::{Argv, Reply, Span};
use crate::runtime::face::{ConnId, NetIo};

/// Longest head of a request.
const HEAD_MAX_BYTES: usize = 8 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Connections that a core serves at once; scrapers need one.
pub const CONNECTIONS_MAX: usize = 64;
/// A connection without a request is closed after this long.
pub const IDLE_MS: u64 = 60_000;

const PLAIN: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a request wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Target {
    Metrics,
    Health,
    Ready,
    Unknown,
}

/// A request that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ask {
    target: Target,
    /// HEAD: the head alone is sent.
    head_only: bool,
    keep_alive: bool,
    /// Bytes of the request.
    consumed: usize,
}

/// What the start of the bytes is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Read {
    Ask(Ask),
    Incomplete,
    /// Refused with this status; the connection closes.
    Bad(u16),
}

fn read(bytes: &[u8]) -> Read {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let consumed = match request.parse(bytes) {
        Ok(httparse::Status::Complete(consumed)) if consumed <= HEAD_MAX_BYTES => consumed,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX_BYTES => return Read::Incomplete,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Read::Bad(431),
        Err(httparse::Error::Version) => return Read::Bad(505),
        Err(_) => return Read::Bad(400),
    };
    let mut keep_alive = request.version == Some(1);
    for header in request.headers.iter() {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Read::Bad(400);
        }
        if header.name.eq_ignore_ascii_case("content-length") && value != b"0" {
            return Read::Bad(400);
        }
        if header.name.eq_ignore_ascii_case("connection") {
            let says = |word: &[u8]| {
                value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
            };
            keep_alive = !says(b"close") && (keep_alive || says(b"keep-alive"));
        }
    }
    let head_only = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Read::Bad(405),
    };
    let path = request.path.unwrap_or("").split(['?', '#']).next().unwrap_or("");
    let target = match path {
        "/metrics" => Target::Metrics,
        "/healthz" => Target::Health,
        "/readyz" => Target::Ready,
        _ => Target::Unknown,
    };
    Read::Ask(Ask { target, head_only, keep_alive, consumed })
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}

/// Writes a response.
fn write(out: &mut Vec<u8>, status: u16, kind: &str, body: &str, head_only: bool, keep_alive: bool) {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n{allow}Cache-Control: no-store\r\n\
         Connection: {connection}\r\n\r\n",
        reason(status),
        body.len(),
    );
    out.extend_from_slice(head.as_bytes());
    if !head_only {
        out.extend_from_slice(body.as_bytes());
    }
}

/// Answers what a scraper asked, as far as its requests are complete.
pub fn serve(core: &mut Core, io: &mut dyn NetIo, conn: ConnId) {
    loop {
        let Some(client) = core.clients.get(conn) else { return };
        if client.is_stalled() {
            return bound(core, io, conn);
        }
        if client.query.is_empty() {
            return;
        }
        match read(&client.query) {
            Read::Incomplete => return,
            Read::Bad(status) => {
                client.query = Vec::new();
                let body = format!("{}\n", reason(status));
                write(&mut client.out.bytes, status, PLAIN, &body, false, false);
                client.close_after_reply = true;
                return mark(core, conn);
            }
            Read::Ask(ask) => {
                client.query.drain(..ask.consumed);
                client.http_head_only = ask.head_only;
                client.http_keep_alive = ask.keep_alive;
                answer(core, io, conn, ask);
            }
        }
    }
}

fn answer(core: &mut Core, io: &mut dyn NetIo, conn: ConnId, ask: Ask) {
    let (status, body) = match ask.target {
        Target::Metrics => return ask_cores(core, io, conn),
        Target::Health | Target::Ready => (200, "ok\n"),
        Target::Unknown => (404, "The paths are /metrics, /healthz and /readyz.\n"),
    };
    let client = core.clients.at(conn.index);
    write(&mut client.out.bytes, status, PLAIN, body, ask.head_only, ask.keep_alive);
    client.close_after_reply |= !ask.keep_alive;
    mark(core, conn);
}

/// Asks all cores for everything INFO knows; the answer is written by [`write_page`].
fn ask_cores(core: &mut Core, io: &mut dyn NetIo, conn: ConnId) {
    const WORDS: &[u8] = b"infoall";
    const SPANS: [Span; 2] = [Span { start: 0, end: 4 }, Span { start: 4, end: 7 }];
    let row = core.table.find(b"info").expect("INFO has a row");
    core.clients.at(conn.index).stall = Stall::Transaction;
    core.begin_broadcast(io, conn, row, Argv { buf: WORDS, spans: &SPANS });
}

/// Writes the page for a scraper. True when its connection closes.
pub fn write_page(client: &Client, facts: &Facts, cores: &[CoreReport], reply: &mut Reply<'_>) -> bool {
    let body = page(facts, cores);
    write(&mut reply.out.bytes, 200, PROMETHEUS, &body, client.http_head_only, client.http_keep_alive);
    !client.http_keep_alive
}

/// A scraper may not send requests without end while it is being answered.
fn bound(core: &mut Core, io: &mut dyn NetIo, conn: ConnId) {
    if core.clients.get(conn).is_some_and(|client| client.query.len() > 2 * HEAD_MAX_BYTES) {
        core.close(io, conn);
    }
}

fn mark(core: &mut Core, conn: ConnId) {
    let client = core.clients.at(conn.index);
    if !client.dirty {
        client.dirty = true;
        core.dirty.push(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(target: Target, head_only: bool, keep_alive: bool, text: &str) -> Read {
        Read::Ask(Ask { target, head_only, keep_alive, consumed: text.len() })
    }

    #[test]
    fn requests_are_read() {
        for (text, target, head_only, keep_alive) in [
            ("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", Target::Metrics, false, true),
            ("GET /metrics?x=1 HTTP/1.0\r\n\r\n", Target::Metrics, false, false),
            ("HEAD /healthz HTTP/1.1\r\nConnection: Close\r\n\r\n", Target::Health, true, false),
            ("GET /readyz HTTP/1.0\r\nconnection: keep-alive, x\r\n\r\n", Target::Ready, false, true),
            ("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Target::Unknown, false, true),
        ] {
            assert_eq!(read(text.as_bytes()), ask(target, head_only, keep_alive, text), "{text}");
        }
    }

    #[test]
    fn half_a_request_is_waited_for() {
        let text = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 1..text.len() {
            assert_eq!(read(&text.as_bytes()[..cut]), Read::Incomplete, "{cut}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(HEAD_MAX_BYTES));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX + 1));
        for (text, status) in [
            ("*1\r\n$4\r\nPING\r\n", 400),
            ("\0\0", 400),
            ("POST /metrics HTTP/1.1\r\n\r\n", 405),
            ("GET /metrics HTTP/9.1\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            (&long, 431),
            (&many, 431),
        ] {
            assert_eq!(read(text.as_bytes()), Read::Bad(status), "{text}");
        }
    }
}
