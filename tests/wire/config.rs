//! CONFIG.

use crate::support::*;

#[test]
fn get_knows_patterns_names_and_aliases() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("CONFIG GET maxmemory", map([("maxmemory", "0")]));
        // A name comes back as it was spelt, and only once.
        c.expect("CONFIG GET MaxMemory maxmemory", map([("MaxMemory", "0")]));
        c.expect("CONFIG GET nosuch", Value::Map(vec![]));
        let found = c.call("CONFIG GET maxmemory* *max-listpack-val*");
        assert_eq!(found.field("maxmemory-policy"), bulk("noeviction"));
        assert_eq!(found.field("hash-max-listpack-value"), bulk("64"));
        assert_eq!(c.call("CONFIG GET hash-max-ziplist-value").field("hash-max-ziplist-value"), bulk("64"));
        let all = c.call("CONFIG GET *");
        assert!(all.elements().len() > 400);
    });
}

#[test]
fn set_changes_all_or_nothing() {
    each_setup(|s| {
        let mut c = s.client();
        let mut other = s.client();
        c.expect("CONFIG SET maxmemory-samples 7 lfu-decay-time 3", ok());
        other.expect("CONFIG GET maxmemory-samples", map([("maxmemory-samples", "7")]));
        c.expect(
            "CONFIG SET maxmemory-samples 8 lfu-decay-time x",
            err("ERR CONFIG SET failed (possibly related to argument 'lfu-decay-time') - argument couldn't be \
                 parsed into an integer"),
        );
        other.expect("CONFIG GET maxmemory-samples", map([("maxmemory-samples", "7")]));
        c.expect("CONFIG SET maxmemory-samples 5 lfu-decay-time 1", ok());
        c.expect("CONFIG SET maxmemory 1kb", ok());
        c.expect("CONFIG GET maxmemory", map([("maxmemory", "1024")]));
        c.expect("CONFIG SET maxmemory 0", ok());
    });
}

#[test]
fn set_refuses_as_redis_does() {
    each_setup(|s| {
        let mut c = s.client();
        for (command, error) in [
            ("CONFIG SET nosuch 1", "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'"),
            ("CONFIG SET maxmemory", "ERR wrong number of arguments for 'config|set' command"),
            ("CONFIG SET maxmemory 1 timeout", "ERR syntax error"),
            (
                "CONFIG SET databases 20",
                "ERR CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config",
            ),
            (
                "CONFIG SET timeout 1 timeout 2",
                "ERR CONFIG SET failed (possibly related to argument 'timeout') - duplicate parameter",
            ),
            (
                "CONFIG SET maxmemory-policy never",
                "ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one \
                 of the following: volatile-lru, volatile-lfu, volatile-lrm, volatile-random, volatile-ttl, \
                 allkeys-lru, allkeys-lfu, allkeys-lrm, allkeys-random, noeviction",
            ),
            ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
            ("CONFIG NOSUCH", "ERR unknown subcommand 'NOSUCH'. Try CONFIG HELP."),
            ("CONFIG", "ERR wrong number of arguments for 'config' command"),
            ("CONFIG REWRITE", "ERR The server is running without a config file"),
            ("CONFIG REWRITE x", "ERR wrong number of arguments for 'config|rewrite' command"),
        ] {
            c.expect(command, err(error));
        }
    });
}

#[test]
fn every_core_runs_by_the_new_values_when_the_reply_comes() {
    each_setup(|s| {
        let mut setter = s.client();
        let mut clients: Vec<Client> = (0..6).map(|_| s.client()).collect();
        for size in ["1mb", "2mb", "3mb"] {
            setter.expect(&["CONFIG", "SET", "proto-max-bulk-len", size], ok());
            let limit: usize = size[..1].parse::<usize>().expect("a digit") << 20;
            for c in &mut clients {
                c.send_raw(format!("*2\r\n$4\r\nECHO\r\n${limit}\r\n"));
                c.send_raw(vec![b'x'; limit]);
                c.send_raw("\r\n");
                assert_eq!(c.recv().bytes().len(), limit);
            }
            let mut over = s.client();
            over.send_raw(format!("*2\r\n$4\r\nECHO\r\n${}\r\n", limit + 1));
            over.expect_next(err("ERR Protocol error: invalid bulk length"));
        }
        setter.expect("CONFIG SET proto-max-bulk-len 512mb", ok());
    });
}

#[test]
fn set_inside_a_transaction() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("MULTI", ok());
        c.expect("CONFIG SET timeout 9", simple("QUEUED"));
        c.expect("CONFIG SET timeout x", simple("QUEUED"));
        c.expect("CONFIG GET timeout", simple("QUEUED"));
        let replies = c.call("EXEC").elements();
        assert_eq!(replies[0], ok());
        assert!(replies[1].is_error());
        assert_eq!(replies[2].field("timeout"), bulk("9"));
        c.expect("CONFIG SET timeout 0", ok());
    });
}

#[test]
fn a_change_of_port_keeps_clients_and_moves_the_door() {
    with_server(Options::threads, |s| {
        let mut c = s.client();
        // A port that nobody has: bound and let go.
        let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let taken = probe.local_addr().expect("it is bound").port();
        c.expect(
 &["CONFIG", "SET", "port", &taken.to_string()],
            err("ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. \
                 Check server logs."),
        );
        drop(probe);
        c.expect(&["CONFIG", "SET", "port", &taken.to_string()], ok());
        let mut moved = Client::connect(([127, 0, 0, 1], taken).into(), Protocol::Resp2);
        moved.expect("PING", simple("PONG"));
        c.expect("PING", simple("PONG"));
        c.expect(
            "CONFIG SET bind 192.0.2.1",
            err("ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to specified \
                 addresses."),
        );
        moved.expect(&["CONFIG", "SET", "bind", "127.0.0.1 -192.0.2.1"], ok());
        Client::connect(([127, 0, 0, 1], taken).into(), Protocol::Resp2).expect("PING", simple("PONG"));
    });
}

#[test]
fn without_a_password_everybody_is_in() {
    with_server(
        |threads| Options::threads(threads).with("requirepass", "secret"),
        |s| {
            let mut known = s.raw_client();
            known.expect("AUTH secret", ok());
            let mut waiting: Vec<Client> = (0..4).map(|_| s.raw_client()).collect();
            waiting.iter_mut().for_each(|c| c.expect("PING", err("NOAUTH Authentication required.")));
            known.expect(&["CONFIG", "SET", "requirepass", ""], ok());
            waiting.iter_mut().for_each(|c| c.expect("PING", simple("PONG")));
            known.expect("CONFIG SET requirepass other", ok());
            // Who is in stays in.
            waiting.iter_mut().for_each(|c| c.expect("PING", simple("PONG")));
            s.raw_client().expect("PING", err("NOAUTH Authentication required."));
        },
    );
}

#[test]
fn help() {
    each_setup(|s| {
        let lines = s.client().call("CONFIG HELP").elements();
        assert_eq!(lines[0], simple("CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
        assert_eq!(lines[1], simple("GET <pattern>"));
        assert_eq!(lines.last(), Some(&simple("    Prints this help.")));
    });
}
