//! What a server allows its connections and what it takes from them: how many there may be, how long they may be
//! silent, how much they may leave unread, and that none of them can harm the others.

use crate::support::*;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// How many clients the server knows, the one that asks among them.
fn client_count(c: &mut Client) -> usize {
    c.call("CLIENT LIST").text().lines().count()
}

/// Value of a field of CLIENT LIST for the client of this id, if it is there.
fn field_of(c: &mut Client, id: i64, name: &str) -> Option<String> {
    let list = c.call("CLIENT LIST").text();
    let line = list.lines().find(|line| line.starts_with(&format!("id={id} ")))?;
    let prefix = format!("{name}=");
    line.split(' ').find_map(|field| field.strip_prefix(&prefix)).map(str::to_owned)
}

fn descriptors(s: &Setup) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", s.server().pid())).expect("the server runs").count()
}

fn resident_bytes(s: &Setup) -> usize {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", s.server().pid())).expect("the server runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux reports it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("a number") * 1024
}

#[test]
fn clients_beyond_maxclients_are_told_and_closed() {
    with_server(
        |threads| Options::threads(threads).with("maxclients", "5"),
        |s| {
            let mut first = s.client();
            wait_until("earlier clients are gone", SOON, || client_count(&mut first) == 1);
            let mut clients: Vec<Client> = (1..5).map(|_| s.client()).collect();
            clients.iter_mut().for_each(|c| c.expect("PING", simple("PONG")));
            let mut refused = s.raw_client();
            refused.expect_next(err("ERR max number of clients reached"));
            refused.expect_closed();
            // Who leaves makes room.
            clients.pop();
            wait_until("a place is free", SOON, || {
                let mut c = s.raw_client();
                c.try_send_raw("PING\r\n").is_ok() && c.try_recv().is_ok_and(|reply| reply == simple("PONG"))
            });
        },
    );
}

#[test]
fn silent_clients_are_closed_after_the_timeout() {
    with_server(
        |threads| Options::threads(threads).with("timeout", "1"),
        |s| {
            let begun = Instant::now();
            let mut silent = s.client();
            let id = silent.call("CLIENT ID").int();
            // Asked by a new client each time: on a busy machine one that stays could be the silent one itself.
            wait_until("the silent client is closed", SOON, || {
                field_of(&mut s.client(), id, "addr").is_none()
            });
            assert!(begun.elapsed() >= Duration::from_secs(1), "closed after {:?}", begun.elapsed());
            silent.expect_closed();
        },
    );
}

#[test]
fn who_waits_for_a_pause_to_end_is_not_idle() {
    with_server(
        |threads| Options::threads(threads).with("timeout", "1"),
        |s| {
            let mut c = s.client();
            let mut other = s.client();
            other.expect("CLIENT PAUSE 2500 WRITE", ok());
            c.expect("SET k v", ok());
        },
    );
}

#[test]
fn a_client_over_the_hard_limit_gets_nothing_and_is_closed() {
    with_server(
        |threads| Options::threads(threads).with("client-output-buffer-limit", "normal 100000 0 0"),
        |s| {
            let mut c = s.client();
            c.expect(&["SET", "small", &"x".repeat(90_000)], ok());
            c.expect(&["SET", "big", &"x".repeat(200_000)], ok());
            c.expect("GET small", bulk("x".repeat(90_000)));
            let mut greedy = s.client();
            greedy.send("GET big");
            greedy.expect_closed();
            c.expect("PING", simple("PONG"));
        },
    );
}

#[test]
fn a_client_over_the_soft_limit_is_closed_in_time() {
    with_server(
        |threads| Options::threads(threads).with("client-output-buffer-limit", "normal 0 100000 1"),
        |s| {
            let mut c = s.client();
            c.expect(&["SET", "big", &"x".repeat(1_000_000)], ok());
            let mut deaf = s.client();
            let id = deaf.call("CLIENT ID").int();
            for _ in 0..50 {
                deaf.send("GET big");
            }
            let begun = Instant::now();
            wait_until("the client that does not read is closed", SOON, || {
                field_of(&mut c, id, "id").is_none()
            });
            assert!(begun.elapsed() >= Duration::from_millis(900), "closed after {:?}", begun.elapsed());
        },
    );
}

#[test]
fn who_never_reads_does_not_grow_the_server() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect(&["SET", "big", &"x".repeat(100_000)], ok());
        let mut deaf = s.client();
        let id = deaf.call("CLIENT ID").int();
        let before = resident_bytes(s);
        // 3,000 replies are 300 MB.
        deaf.send_raw("GET big\r\n".repeat(3000));
        wait_until("its output is full", SOON, || {
            field_of(&mut c, id, "omem")
                .is_some_and(|bytes| bytes.parse::<usize>().expect("a number") > 1 << 20)
        });
        for _ in 0..100 {
            c.expect("PING", simple("PONG"));
        }
        let grown = resident_bytes(s).saturating_sub(before);
        assert!(grown < 64 << 20, "{grown} bytes more");
        // It was only slow: everything comes when it reads.
        for _ in 0..3000 {
            assert_eq!(deaf.recv().bytes().len(), 100_000);
        }
        deaf.expect("PING", simple("PONG"));
    });
}

#[test]
fn the_unauthenticated_must_read_what_they_are_told() {
    with_server(
        |threads| Options::threads(threads).with("requirepass", "secret"),
        |s| {
            let mut c = s.raw_client();
            c.expect("AUTH secret", ok());
            let mut stranger = s.raw_client();
            wait_until("the stranger is there", SOON, || client_count(&mut c) == 2);
            let line = "GET x\r\n".repeat(1000);
            wait_until("the stranger is closed", SOON, || {
                stranger.try_send_raw(&line).is_err() || client_count(&mut c) == 1
            });
            c.expect("PING", simple("PONG"));
        },
    );
}

#[test]
fn a_password_that_comes_later_disconnects_nobody() {
    each_setup(|s| {
        let mut known = s.client();
        known.expect("PING", simple("PONG"));
        let mut admin = s.client();
        admin.expect("CONFIG SET requirepass secret", ok());
        known.expect("SET k v", ok());
        let mut stranger = s.raw_client();
        stranger.expect("GET k", err("NOAUTH Authentication required."));
        stranger.expect("AUTH wrong", err("WRONGPASS invalid username-password pair or user is disabled."));
        admin.expect(&["CONFIG", "SET", "requirepass", ""], ok());
        // Nobody needs to say who they are now.
        stranger.expect("GET k", "v");
    });
}

#[test]
fn a_query_over_its_limit_closes_the_client() {
    with_server(
        |threads| Options::threads(threads).with("client-query-buffer-limit", "1mb"),
        |s| {
            let mut c = s.client();
            let mut long = s.client();
            let bytes = [b"*2\r\n$4\r\nECHO\r\n$3000000\r\n".to_vec(), vec![b'x'; 2_000_000]].concat();
            let _ = long.try_send_raw(bytes);
            long.expect_closed();
            c.expect(&["ECHO", &"x".repeat(900_000)], bulk("x".repeat(900_000)));
        },
    );
}

#[test]
fn the_largest_clients_go_first_when_all_use_too_much() {
    with_server(
        |threads| Options::threads(threads).with("maxmemory-clients", "10mb"),
        |s| {
            let mut c = s.client();
            c.expect("CLIENT NO-EVICT ON", ok());
            let part = |bytes: usize| format!("*2\r\n$4\r\nECHO\r\n${}\r\n{}", bytes * 2, "x".repeat(bytes));
            let mut small = s.client();
            let small_id = small.call("CLIENT ID").int();
            small.send_raw(part(1_000_000));
            let mut kept = s.client();
            let kept_id = kept.call("CLIENT ID").int();
            kept.expect("CLIENT NO-EVICT ON", ok());
            kept.send_raw(part(2_000_000));
            let mut large = s.client();
            let large_id = large.call("CLIENT ID").int();
            // It may be closed while it still sends.
            let _ = large.try_send_raw(part(8_000_000));
            wait_until("the largest client is closed", SOON, || field_of(&mut c, large_id, "id").is_none());
            assert!(field_of(&mut c, small_id, "id").is_some());
            assert!(field_of(&mut c, kept_id, "id").is_some());
            large.expect_closed();
        },
    );
}

#[test]
fn who_sends_too_much_is_closed_while_it_sends() {
    const PIECE_BYTES: usize = 1 << 20;
    with_server(
        |threads| Options::threads(threads).with("maxmemory-clients", "1mb"),
        |s| {
            let mut large = s.client();
            large.send_raw("*2\r\n$4\r\nECHO\r\n$500000000\r\n");
            let piece = vec![b'x'; PIECE_BYTES];
            let sent = (0..400).take_while(|_| large.try_send_raw(&piece).is_ok()).count();
            // What the sockets hold is not the server's.
            assert!(sent < 32, "it took {sent} MiB");
        },
    );
}

#[test]
fn clients_of_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("socket");
    let path = path.to_str().expect("plain ASCII");
    with_server(
        |threads| Options::threads(threads).with("unixsocket", path),
        |s| {
            let mut other = s.client();
            let mut local = UnixStream::connect(path).expect("the server listens there");
            std::io::Write::write_all(&mut local, b"CLIENT SETNAME unix\r\nSET k v\r\nGET k\r\n").unwrap();
            let mut replies = [0; 17];
            local.read_exact(&mut replies).unwrap();
            assert_eq!(&replies, b"+OK\r\n+OK\r\n$1\r\nv\r\n");
            let line = other.call("CLIENT LIST").text();
            let line =
                line.lines().find(|line| line.contains(" name=unix ")).expect("it is there").to_owned();
            assert!(line.contains(&format!(" addr={path}:0 laddr={path}:0 ")), "{line}");
            assert!(line.contains(" flags=U "), "{line}");
            other.expect(&["CLIENT", "KILL", "ADDR", &format!("{path}:0")], 1);
            assert_eq!(local.read(&mut replies).unwrap_or(0), 0);
        },
    );
}

#[test]
fn who_sends_no_more_gets_all_replies() {
    each_setup(|s| {
        for key in s.keys_apart(6) {
            s.client().expect(&["SET", &key, "v"], ok());
            let mut c = s.client();
            c.send(&["GET", &key]);
            c.send("PING");
            c.half_close();
            c.expect_next(bulk("v"));
            c.expect_next(simple("PONG"));
            c.expect_closed();
        }
        let mut c = s.client();
        wait_until("they are forgotten", SOON, || client_count(&mut c) == 1);
    });
}

/// Connections that break off within a request, that send it very slowly, that never read, or that just sit there:
/// the others do not notice, and afterwards nothing of them is left.
#[test]
fn hostile_connections_leave_nothing_behind() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect(&["SET", "k", &"x".repeat(20_000)], ok());
        wait_until("earlier clients are gone", SOON, || client_count(&mut c) == 1);
        let round = |c: &mut Client| {
            let mut hostile: Vec<TcpStream> = Vec::new();
            for number in 0..250 {
                let mut stream = TcpStream::connect(s.server().address()).expect("the server accepts");
                let bytes: &[u8] = match number % 5 {
                    0 => b"",
                    1 => b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000000\r\nabc",
                    2 => b"*1000000\r\n$3\r\nSET\r\n",
                    3 => &b"GET k\r\n".repeat(300),
                    _ => b"MULTI\r\nSET k v\r\nWATCH",
                };
                std::io::Write::write_all(&mut stream, bytes).expect("the server reads");
                if number % 2 == 0 {
                    stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
                }
                hostile.push(stream);
                c.expect("PING", simple("PONG"));
            }
            // One byte after the other.
            for byte in b"00\r\n" {
                for stream in hostile.iter_mut().skip(1).step_by(10) {
                    let _ = std::io::Write::write_all(stream, &[*byte]);
                }
                c.expect("EXISTS k", 1);
            }
            drop(hostile);
            wait_until("all of them are gone", SOON, || client_count(c) == 1);
        };
        round(&mut c);
        let (fds, bytes) = (descriptors(s), resident_bytes(s));
        for _ in 0..3 {
            round(&mut c);
        }
        wait_until("their descriptors are closed", SOON, || descriptors(s) <= fds);
        let grown = resident_bytes(s).saturating_sub(bytes);
        assert!(grown < 96 << 20, "{grown} bytes more after 750 further connections");
    });
}

#[test]
fn a_half_closed_client_is_answered_everything_although_it_reads_slowly() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect(&["SET", "big", &"x".repeat(100_000)], ok());
        c.send_raw(b"GET big\r\n".repeat(500));
        c.half_close();
        for _ in 0..500 {
            assert_eq!(c.recv().bytes().len(), 100_000);
        }
        c.expect_closed();
    });
}
