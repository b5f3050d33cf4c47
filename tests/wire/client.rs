//! CLIENT: names, lists, filters, killing, pausing, and who gets replies.

use crate::support::*;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// Long enough for a reply that must not come.
const WHILE: Duration = Duration::from_millis(100);

fn id_of(c: &mut Client) -> i64 {
    c.call("CLIENT ID").int()
}

/// The value of a field in a line of CLIENT LIST.
#[track_caller]
fn field(line: &str, name: &str) -> String {
    let prefix = format!("{name}=");
    let value = line.trim_end().split(' ').find_map(|field| field.strip_prefix(&prefix));
    value.unwrap_or_else(|| panic!("no {name} in {line}")).to_owned()
}

/// The ids in the lines of CLIENT LIST with these filters.
#[track_caller]
fn listed(c: &mut Client, filters: &str) -> Vec<i64> {
    let reply = c.call(format!("CLIENT LIST {filters}"));
    assert!(!reply.is_error(), "CLIENT LIST {filters} answered {reply}");
    reply.text().lines().map(|line| field(line, "id").parse().expect("a number")).collect()
}

fn line_of(c: &mut Client, id: i64) -> String {
    c.call(format!("CLIENT LIST ID {id}")).text()
}

/// As many clients that there is one on every core.
fn crowd(s: &Setup) -> Vec<Client> {
    let client = |_| {
        let mut c = s.client();
        c.expect("PING", simple("PONG"));
        c
    };
    (0..s.shards() * 2).map(client).collect()
}

#[test]
fn ids_grow_and_are_unique() {
    each_setup(|s| {
        let mut clients = crowd(s);
        let ids: Vec<i64> = clients.iter_mut().map(id_of).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        assert_eq!(id_of(&mut clients[0]), ids[0]);
    });
}

#[test]
fn names() {
    each_setup(|s| {
        let mut c = s.client();
        let invalid = "ERR Client names cannot contain spaces, newlines or special characters.";
        c.expect("CLIENT GETNAME", nil());
        for name in ["a b", "a\n", "a\0", "é", "\x7f"] {
            c.expect(&["CLIENT", "SETNAME", name], err(invalid));
        }
        c.expect("CLIENT SETNAME !~", ok());
        c.expect("CLIENT GETNAME", bulk("!~"));
        assert_eq!(field(&c.call("CLIENT INFO").text(), "name"), "!~");
        c.expect(&["CLIENT", "SETNAME", ""], ok());
        c.expect("CLIENT GETNAME", nil());
        c.expect("CLIENT SETNAME", err("ERR wrong number of arguments for 'client|setname' command"));
    });
}

#[test]
fn libraries() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("CLIENT SETINFO lib-name redis.rs", ok());
        c.expect("CLIENT SETINFO LIB-VER 1.2.3", ok());
        let line = c.call("CLIENT INFO").text();
        assert_eq!((field(&line, "lib-name"), field(&line, "lib-ver")), ("redis.rs".into(), "1.2.3".into()));
        c.expect(
            &["CLIENT", "SETINFO", "lib-name", "a b"],
            err("ERR lib-name cannot contain spaces, newlines or special characters."),
        );
        c.expect("CLIENT SETINFO nosuch x", err("ERR Unrecognized option 'nosuch'"));
        // They describe the library, which is the same after a RESET.
        c.expect("RESET", simple("RESET"));
        c.set_protocol(Protocol::Resp2);
        assert_eq!(field(&c.call("CLIENT INFO").text(), "lib-name"), "redis.rs");
        c.expect(&["CLIENT", "SETINFO", "lib-name", ""], ok());
        assert_eq!(field(&c.call("CLIENT INFO").text(), "lib-name"), "");
    });
}

#[test]
fn info_tells_about_the_client_itself() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SELECT 3", ok());
        c.expect("CLIENT NO-EVICT ON", ok());
        c.expect("CLIENT NO-TOUCH on", ok());
        let reply = c.call("CLIENT INFO");
        assert_eq!(matches!(reply, Value::Verbatim(..)), s.is_resp3(), "{reply}");
        let line = reply.text();
        assert!(line.ends_with('\n') && line.lines().count() == 1, "{line}");
        let known: Vec<&str> =
            line.trim_end().split(' ').map(|field| field.split('=').next().unwrap_or("")).collect();
        assert_eq!(
            known[..33],
            [
                "id",
                "addr",
                "laddr",
                "fd",
                "name",
                "age",
                "idle",
                "flags",
                "db",
                "sub",
                "psub",
                "ssub",
                "multi",
                "qbuf",
                "qbuf-free",
                "argv-mem",
                "multi-mem",
                "rbs",
                "rbp",
                "obl",
                "oll",
                "omem",
                "tot-mem",
                "events",
                "cmd",
                "user",
                "redir",
                "resp",
                "lib-name",
                "lib-ver",
                "watch",
                "io-thread",
                "tot-net-in",
            ]
        );
        for (name, value) in [
            ("id", id_of(&mut c).to_string()),
            ("addr", c.local_address().to_string()),
            ("laddr", s.server().address().to_string()),
            ("flags", "eT".into()),
            ("db", "3".into()),
            ("multi", "-1".into()),
            ("qbuf", "26".into()),
            ("argv-mem", "10".into()),
            ("obl", "0".into()),
            ("omem", "0".into()),
            ("events", "r".into()),
            ("cmd", "client|info".into()),
            ("user", "default".into()),
            ("resp", if s.is_resp3() { "3".into() } else { "2".into() }),
        ] {
            assert_eq!(field(&line, name), value, "{name} in {line}");
        }
        let commands = |line: &str| field(line, "tot-cmds").parse::<u64>().expect("a number");
        let bytes = |line: &str, name: &str| field(line, name).parse::<u64>().expect("a number");
        let next = c.call("CLIENT INFO").text();
        assert_eq!(commands(&next), commands(&line) + 2);
        assert!(bytes(&next, "tot-net-in") > bytes(&line, "tot-net-in"));
        assert!(bytes(&next, "tot-net-out") > bytes(&line, "tot-net-out"));
    });
}

#[test]
fn lists_show_what_others_do() {
    each_setup(|s| {
        let mut c = s.client();
        let mut other = s.client();
        let id = id_of(&mut other);
        let key = s.key_on(s.shards() - 1, "watched");
        assert_eq!(field(&line_of(&mut c, id), "cmd"), "client|id");
        other.expect(&["WATCH", &key], ok());
        assert_eq!(field(&line_of(&mut c, id), "watch"), "1");
        other.expect("MULTI", ok());
        other.expect("SET a b", simple("QUEUED"));
        let line = line_of(&mut c, id);
        assert_eq!((field(&line, "multi"), field(&line, "flags")), ("1".into(), "x".into()));
        assert_ne!(field(&line, "multi-mem"), "0");
        other.expect("DISCARD", ok());
        let line = line_of(&mut c, id);
        assert_eq!((field(&line, "multi"), field(&line, "watch")), ("-1".into(), "0".into()));
        other.send_raw("*2\r\n$4\r\nECHO\r\n$5\r\nhel");
        wait_until("half a request is there", SOON, || field(&line_of(&mut c, id), "qbuf") == "21");
        other.send_raw("lo\r\n");
        other.expect_next(bulk("hello"));
        assert_eq!(field(&line_of(&mut c, id), "qbuf"), "0");
    });
}

#[test]
fn lists_with_filters() {
    each_setup(|s| {
        let mut c = s.client();
        // It has its id before the others connect: cores accept side by side.
        let me = id_of(&mut c);
        let mut others = crowd(s);
        let ids: Vec<i64> = others.iter_mut().map(id_of).collect();
        let all = [&[me][..], &ids].concat();
        wait_until("earlier clients are gone", SOON, || listed(&mut c, "") == all);
        assert_eq!(listed(&mut c, "TYPE normal"), all);
        assert_eq!(listed(&mut c, "TYPE NORMAL SKIPME yes"), ids);
        for kind in ["master", "replica", "slave", "pubsub"] {
            assert_eq!(listed(&mut c, &format!("TYPE {kind}")), []);
        }
        // In the order asked for, as often as asked for.
        assert_eq!(listed(&mut c, &format!("ID {} {} 999999 {}", ids[1], me, ids[1])), [ids[1], me, ids[1]]);
        assert_eq!(listed(&mut c, &format!("ID {} {} SKIPME YES", ids[0], me)), [ids[0]]);
        assert_eq!(
            listed(&mut c, &format!("NOT-ID {} TYPE normal", ids[0])),
            [&[me][..], &ids[1..]].concat()
        );
        assert_eq!(listed(&mut c, "USER default"), all);
        assert_eq!(listed(&mut c, "NOT-USER default"), []);
        assert_eq!(listed(&mut c, &format!("ADDR {}", others[1].local_address())), [ids[1]]);
        let mine = c.local_address();
        assert_eq!(listed(&mut c, &format!("NOT-ADDR {mine}")), ids);
        assert_eq!(listed(&mut c, &format!("LADDR {}", s.server().address())), all);
        assert_eq!(listed(&mut c, "IP 127.0.0.1"), all);
        assert_eq!(listed(&mut c, "NOT-IP 127.0.0.1"), []);
        assert_eq!(listed(&mut c, "MAXAGE 100000"), []);
        assert_eq!(listed(&mut c, "IDLE 100000"), []);
        others[0].expect("CLIENT SETNAME first", ok());
        others[0].expect("CLIENT SETINFO lib-name lib", ok());
        others[0].expect("CLIENT SETINFO lib-ver 7", ok());
        others[1].expect("SELECT 5", ok());
        others[1].expect("MULTI", ok());
        for filter in ["NAME first", "LIB-NAME lib", "LIB-VER 7", "lib-name lib NAME first"] {
            assert_eq!(listed(&mut c, filter), [ids[0]], "{filter}");
        }
        assert_eq!(listed(&mut c, "LIB-NAME lib LIB-VER 8"), []);
        assert_eq!(listed(&mut c, "DB 5"), [ids[1]]);
        assert_eq!(listed(&mut c, "FLAGS x"), [ids[1]]);
        assert_eq!(listed(&mut c, "FLAGS xb"), []);
        assert_eq!(listed(&mut c, "NOT-FLAGS N"), [ids[1]]);
        assert_eq!(listed(&mut c, "CAPA r"), []);
        assert_eq!(listed(&mut c, "NOT-CAPA r"), all);
        for (filters, error) in [
            ("TYPE nosuch", "ERR Unknown client type 'nosuch'"),
            ("TYPE", "ERR syntax error"),
            ("nosuch", "ERR syntax error"),
            ("ID", "ERR syntax error"),
            ("ID x", "ERR Invalid client ID"),
            ("ID 1 x", "ERR Invalid client ID"),
            ("USER nobody", "ERR No such user 'nobody'"),
            ("SKIPME maybe", "ERR syntax error"),
            ("MAXAGE 0", "ERR maxage should be greater than 0"),
            ("MAXAGE x", "ERR maxage is not an integer or out of range"),
            ("FLAGS #", "ERR Unknown flags found in the provided filter: #"),
        ] {
            c.expect(format!("CLIENT LIST {filters}"), err(error));
        }
    });
}

#[test]
fn killing() {
    each_setup(|s| {
        let mut c = s.client();
        wait_until("earlier clients are gone", SOON, || listed(&mut c, "").len() == 1);
        c.expect("CLIENT KILL 1.2.3.4:5", err("ERR No such client"));
        for mut other in crowd(s) {
            c.expect(&["CLIENT", "KILL", &other.local_address().to_string()], ok());
            other.expect_closed();
        }
        for mut other in crowd(s) {
            let id = id_of(&mut other).to_string();
            c.expect(&["CLIENT", "KILL", "ID", &id, "TYPE", "replica"], 0);
            c.expect(&["CLIENT", "KILL", "ID", &id], 1);
            other.expect_closed();
            c.expect(&["CLIENT", "KILL", "ID", &id], 0);
        }
        let mut others = crowd(s);
        others[0].expect("CLIENT SETNAME spared", ok());
        others[1].expect("PING", simple("PONG"));
        let count = others.len() as i64;
        c.expect("CLIENT KILL NOT-NAME spared", count - 1);
        others.drain(1..).for_each(|mut other| other.expect_closed());
        others[0].expect("PING", simple("PONG"));
        // All of them, and the one that asks last, when it has its reply.
        c.expect("CLIENT KILL USER default", 1);
        others[0].expect_closed();
        let mut others = crowd(s);
        others.iter_mut().for_each(|other| other.expect("PING", simple("PONG")));
        c.expect("CLIENT KILL SKIPME no TYPE normal", count + 1);
        c.expect_closed();
        others.into_iter().for_each(|mut other| other.expect_closed());
        let mut c = s.client();
        c.expect(&["CLIENT", "KILL", &c.local_address().to_string()], ok());
        c.expect_closed();
    });
}

#[test]
fn killing_within_a_transaction() {
    each_setup(|s| {
        let mut c = s.client();
        let mut others = crowd(s);
        let ids: Vec<String> = others.iter_mut().map(|other| id_of(other).to_string()).collect();
        c.expect("MULTI", ok());
        c.expect(format!("CLIENT KILL ID {}", ids.join(" ")), simple("QUEUED"));
        c.expect(&["CLIENT", "KILL", &c.local_address().to_string()], simple("QUEUED"));
        c.expect("SET k v", simple("QUEUED"));
        c.expect("EXEC", array([int(ids.len() as i64), ok(), ok()]));
        c.expect_closed();
        others.into_iter().for_each(|mut other| other.expect_closed());
        s.client().expect("GET k", "v");
    });
}

#[test]
fn killing_with_wrong_filters() {
    each_setup(|s| {
        let mut c = s.client();
        for (arguments, error) in [
            ("", "ERR wrong number of arguments for 'client|kill' command"),
            ("ID x", "ERR client-id should be greater than 0"),
            ("ID 0", "ERR client-id should be greater than 0"),
            ("ID -1", "ERR client-id should be greater than 0"),
            ("ID 1 ADDR", "ERR syntax error"),
            ("ID 1 x", "ERR syntax error"),
            ("TYPE nosuch", "ERR Unknown client type 'nosuch'"),
            ("USER nobody", "ERR No such user 'nobody'"),
            ("SKIPME maybe", "ERR syntax error"),
            ("nosuch x", "ERR syntax error"),
            ("MAXAGE -1", "ERR maxage should be greater than 0"),
        ] {
            c.expect(format!("CLIENT KILL {arguments}"), err(error));
        }
    });
}

#[test]
fn replies_off_and_on() {
    each_setup(|s| {
        let key = s.key_on(s.shards() - 1, "far");
        let mut c = s.client();
        c.send("CLIENT REPLY OFF");
        c.send(&["SET", &key, "1"]);
        c.send("PING");
        c.send("NOSUCH");
        c.send("CLIENT REPLY SKIP");
        c.send("CLIENT REPLY ON");
        c.expect_next(ok());
        c.expect(&["INCR", &key], 2);
    });
}

#[test]
fn one_reply_skipped() {
    each_setup(|s| {
        let key = s.key_on(s.shards() - 1, "far");
        let mut c = s.client();
        for skipped in [
            &["INCR", &key][..],
            &["NOSUCH"],
            &["GET"],
            &["PING"],
            &["DEL", "a", "b", "c", &key],
            &["CLIENT", "LIST"],
        ] {
            c.send("CLIENT REPLY SKIP");
            c.send(skipped);
            c.expect("ECHO next", bulk("next"));
        }
        c.send("CLIENT REPLY SKIP");
        c.send("CLIENT REPLY ON");
        c.expect_next(ok());
        c.expect("CLIENT REPLY nosuch", err("ERR syntax error"));
        c.expect("PING", simple("PONG"));
    });
}

#[test]
fn reset_gives_replies_again() {
    each_setup(|s| {
        let mut c = s.client();
        c.send("CLIENT REPLY OFF");
        c.send("RESET");
        c.expect_next(simple("RESET"));
        c.set_protocol(Protocol::Resp2);
        c.expect("PING", simple("PONG"));
    });
}

#[test]
fn a_pause_of_writes() {
    each_setup(|s| {
        let mut c = s.client();
        let keys = s.keys_apart(3);
        let mut writers: Vec<Client> = keys.iter().map(|_| s.client()).collect();
        let mut block = s.client();
        block.expect("MULTI", ok());
        block.expect(&["SET", &keys[0], "x"], simple("QUEUED"));
        let mut reads = s.client();
        reads.expect("MULTI", ok());
        reads.expect(&["GET", &keys[0]], simple("QUEUED"));
        c.expect("CLIENT PAUSE 60000 WRITE", ok());
        for (writer, key) in writers.iter_mut().zip(&keys) {
            writer.send(&["SET", key, "v"]);
            // Reads go on, and so does what cannot run anyway.
            c.expect(&["GET", key], nil());
        }
        block.send("EXEC");
        reads.expect("EXEC", array([nil()]));
        assert!(writers[0].recv_within(WHILE).is_none());
        assert!(block.recv_within(WHILE).is_none());
        for key in &keys {
            c.expect(&["GET", key], nil());
        }
        let mut other = s.client();
        other.expect("SET", err("ERR wrong number of arguments for 'set' command"));
        let waiting = writers.len() + 1;
        wait_until("all of them are seen waiting", SOON, || listed(&mut c, "FLAGS b").len() == waiting);
        c.expect("CLIENT UNBLOCK 1", 0);
        c.expect("CLIENT UNPAUSE", ok());
        writers.iter_mut().for_each(|writer| writer.expect_next(ok()));
        block.expect_next(array([ok()]));
        assert_eq!(listed(&mut c, "FLAGS b"), []);
    });
}

#[test]
fn a_pause_of_writes_believes_what_a_script_says_of_itself() {
    const READS: &str = "#!lua flags=no-writes\nreturn 1";
    const WRITES: &str = "#!lua\nreturn 1";
    const LIBRARY: &str = "#!lua name=pausing\n\
        redis.register_function{function_name = 'reads', callback = function() return 1 end, flags = {'no-writes'}}\n\
        redis.register_function('writes', function() return 1 end)";
    each_setup(|s| {
        let mut c = s.client();
        c.expect(&["FUNCTION", "LOAD", "REPLACE", LIBRARY], "pausing");
        let [reads, writes, old] = [READS, WRITES, "return 1"].map(|source| {
            let sha = c.call(&["SCRIPT", "LOAD", source]).text();
            c.expect(&["EVALSHA", &sha, "0"], 1);
            sha
        });
        let unknown = "0".repeat(40);
        c.expect("CLIENT PAUSE 60000 WRITE", ok());
        for goes_on in [
            ["EVAL", READS],
            ["EVALSHA", &reads],
            ["FCALL", "reads"],
            ["EVAL_RO", READS],
            ["EVAL_RO", "return 1"],
            ["EVALSHA_RO", &old],
            ["FCALL_RO", "reads"],
        ] {
            c.expect(&[goes_on[0], goes_on[1], "0"], 1);
            c.expect("MULTI", ok());
            c.expect(&[goes_on[0], goes_on[1], "0"], simple("QUEUED"));
            c.expect("EXEC", array([1]));
        }
        let held = [
            ["EVAL", WRITES],
            ["EVAL", "return 1"],
            ["EVAL", "#!nonsense\nreturn 1"],
            ["EVALSHA", &writes],
            ["EVALSHA", &unknown],
            ["FCALL", "writes"],
            ["FCALL", "unknown"],
            ["EVAL_RO", WRITES],
            ["EVALSHA_RO", &writes],
            ["FCALL_RO", "writes"],
            ["PUBLISH", "channel"],
        ];
        let mut waiting = held.map(|[command, what]| {
            let mut client = s.client();
            client.send(&[command, what, "0"]);
            client
        });
        wait_until("all of them wait", SOON, || listed(&mut c, "FLAGS b").len() == held.len());
        c.expect("CLIENT UNPAUSE", ok());
        waiting.iter_mut().for_each(|client| drop(client.recv()));
        c.expect("FUNCTION FLUSH", ok());
    });
}

#[test]
fn a_pause_of_everything_ends_by_itself() {
    each_setup(|s| {
        let mut c = s.client();
        let mut others = crowd(s);
        c.expect("CLIENT PAUSE 300", ok());
        others.iter_mut().for_each(|other| other.send("PING"));
        // Redis: nobody can end it, either.
        c.send("CLIENT UNPAUSE");
        assert!(others[0].recv_within(WHILE).is_none());
        others.iter_mut().for_each(|other| other.expect_next(simple("PONG")));
        c.expect_next(ok());
    });
}

#[test]
fn a_pause_only_grows() {
    each_setup(|s| {
        let mut c = s.client();
        let mut other = s.client();
        c.expect("CLIENT PAUSE 60000 WRITE", ok());
        c.expect("CLIENT PAUSE 1 WRITE", ok());
        other.send("SET k v");
        assert!(other.recv_within(WHILE).is_none());
        c.expect("CLIENT UNPAUSE", ok());
        other.expect_next(ok());
    });
}

#[test]
fn keys_do_not_expire_during_a_pause() {
    each_setup(|s| {
        let mut c = s.client();
        let keys = s.keys_apart(3);
        for key in &keys {
            c.expect(&["SET", key, "v", "PX", "30"], ok());
        }
        c.expect("CLIENT PAUSE 60000 WRITE", ok());
        for key in &keys {
            wait_until("the key is not seen any more", SOON, || {
                c.call(&["GET", key]) == nil().as_seen_in(c.protocol())
            });
        }
        assert!(c.recv_within(WHILE).is_none());
        c.expect("DBSIZE", 3);
        c.expect("CLIENT UNPAUSE", ok());
        for key in &keys {
            c.expect(&["EXISTS", key], 0);
        }
        wait_until("they are gone", SOON, || c.call("DBSIZE") == int(0));
    });
}

#[test]
fn wrong_pauses() {
    each_setup(|s| {
        let mut c = s.client();
        for (arguments, error) in [
            ("x", "ERR timeout is not an integer or out of range"),
            ("-1", "ERR timeout is negative"),
            ("10 nosuch", "ERR CLIENT PAUSE mode must be WRITE or ALL"),
        ] {
            c.expect(format!("CLIENT PAUSE {arguments}"), err(error));
        }
        c.expect("CLIENT PAUSE 0", ok());
        c.expect("SET k v", ok());
    });
}

#[test]
fn everything_else() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("CLIENT", err("ERR wrong number of arguments for 'client' command"));
        c.expect("CLIENT NOSUCH", err("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP."));
        c.expect("CLIENT ID x", err("ERR wrong number of arguments for 'client|id' command"));
        c.expect("CLIENT NO-EVICT maybe", err("ERR syntax error"));
        c.expect("CLIENT NO-TOUCH maybe", err("ERR syntax error"));
        c.expect("CLIENT UNBLOCK x", err("ERR value is not an integer or out of range"));
        c.expect("CLIENT UNBLOCK x nosuch", err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"));
        c.expect("CLIENT UNBLOCK 1 TIMEOUT", 0);
        for command in ["CLIENT unBlock x nosuch y", "CLIENT Pause x nosuch y"] {
            let word = command.split(' ').nth(1).unwrap_or_default();
            let before = "ERR unknown subcommand or wrong number of arguments for";
            c.expect(command, err(&format!("{before} '{word}'. Try CLIENT HELP.")));
        }
        c.expect_that("CLIENT HELP", |help| help.elements()[0].text().starts_with("CLIENT <subcommand> "));
    });
}
