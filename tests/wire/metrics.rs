//! The metrics port: HTTP, its limits, and what Prometheus reads.

use crate::support::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A server with a metrics port, and that port.
fn server(threads: usize) -> (Server, SocketAddr) {
    server_with(Options::threads(threads))
}

fn server_with(options: Options) -> (Server, SocketAddr) {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address = free.expect("a free port can be found");
    (Server::start_with(&options.with("metrics-port", &address.port().to_string())), address)
}

/// Sends bytes and reads until the server closes or `enough` says so.
fn talk(address: SocketAddr, request: &[u8], enough: impl Fn(&str) -> bool) -> String {
    let mut stream = TcpStream::connect(address).expect("the port listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a positive timeout is legal");
    // A server that refuses may close before it has read everything.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while !enough(&String::from_utf8_lossy(&bytes)) {
        match stream.read(&mut chunk) {
            Ok(count @ 1..) => bytes.extend_from_slice(&chunk[..count]),
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("read: {error}"),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The answer of a connection that is to be closed.
fn ask(address: SocketAddr, request: &str) -> String {
    talk(address, request.as_bytes(), |_| false)
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

#[track_caller]
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
        .parse()
        .unwrap_or_else(|_| panic!("{name} is no number"))
}

#[test]
fn metrics_are_gathered_over_all_shards() {
    for threads in [1, 3] {
        let (server, address) = server(threads);
        let mut c = server.client(Protocol::Resp2);
        for at in 0..30 {
            c.expect(&args!["SET", format!("k{at}"), at], ok());
        }
        let text = get(address, "/metrics");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Type: text/plain; version=0.0.4"));
        let (_, body) = text.split_once("\r\n\r\n").expect("a head ends with an empty line");
        assert!(text.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
        assert_eq!(sample(body, "redis_up"), 1.0);
        assert_eq!(sample(body, "redis_connected_clients"), 1.0);
        assert_eq!(sample(body, "redis_db_keys{db=\"db0\"}"), 30.0);
        assert_eq!(sample(body, "redis_commands_total{cmd=\"set\"}"), 30.0);
        assert_eq!(sample(body, "coreshard_command_latency_seconds_count{cmd=\"set\"}"), 30.0);
        let shards: f64 = (0..threads)
            .map(|shard| sample(body, &format!("coreshard_shard_keys{{shard=\"{shard}\"}}")))
            .sum();
        assert_eq!(shards, 30.0);
        for line in body.lines().filter(|line| !line.starts_with('#')) {
            let value = line.rsplit(' ').next().unwrap_or("");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn a_connection_may_ask_again() {
    let (_server, address) = server(3);
    let request = "GET /healthz HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\nGET /nosuch HTTP/1.1\r\n\r\n\
                   HEAD /metrics HTTP/1.1\r\nConnection: close\r\n\r\n";
    let text = ask(address, request);
    let heads: Vec<&str> = text.match_indices("HTTP/1.1 ").map(|(at, _)| &text[at + 9..at + 12]).collect();
    assert_eq!(heads, ["200", "200", "404", "200"]);
    assert!(text.ends_with("\r\n\r\n"), "HEAD has no body");
    // In pieces.
    let mut stream = TcpStream::connect(address).expect("the port listens");
    for piece in ["GE", "T /ready", "z HTTP/1.0\r", "\n\r\n"] {
        stream.write_all(piece.as_bytes()).expect("the server reads");
    }
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the server answers and closes");
    assert!(text.ends_with("\r\n\r\nok\n"), "{text}");
}

#[test]
fn bad_requests_are_refused_and_closed() {
    let (server, address) = server(1);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(20_000));
    let endless = format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    for (request, status) in [
        ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
        ("*1\r\n$4\r\nPING\r\n", "400"),
        ("GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "400"),
        ("GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        ("\r\n\u{1}\u{2}\r\n\r\n", "400"),
        (&long, "431"),
        (&endless, "431"),
        (&many, "431"),
    ] {
        let text = ask(address, request);
        // A close with unread bytes may reset the connection before the answer was read.
        assert!(text.is_empty() || text.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {text}");
    }
    assert!(get(address, "/healthz").ends_with("ok\n"));
    server.client(Protocol::Resp2).expect("PING", simple("PONG"));
}

#[test]
fn connections_are_limited() {
    let (server, address) = server(1);
    let held: Vec<TcpStream> = (0..80).filter_map(|_| TcpStream::connect(address).ok()).collect();
    server.client(Protocol::Resp2).expect("PING", simple("PONG"));
    drop(held);
    wait_until("a scraper is served again", Duration::from_secs(60), || {
        get(address, "/healthz").ends_with("ok\n")
    });
}

#[test]
fn scrapers_need_no_password() {
    let (_server, address) = server_with(Options::threads(1).with("requirepass", "secret"));
    let text = get(address, "/metrics");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains("redis_up 1\n"), "{text}");
}
