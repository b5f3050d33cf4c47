//! The protocol itself: how requests are cut into arguments, what a broken one is answered, where the
//! limits are, and what HELLO, RESET and QUIT do to a connection.

use crate::support::*;

/// Sends the bytes on a fresh connection and expects this one error and the end of the connection.
#[track_caller]
fn breaks_with(s: &Setup, request: impl AsRef<[u8]>, error: &str) {
    let mut c = s.client();
    c.send_raw(request);
    c.expect_next(err(error));
    c.expect_closed();
}

#[test]
fn inline_commands() {
    each_setup(|s| {
        let mut c = s.client();
        for (line, reply) in [
            ("PING\r\n", simple("PONG")),
            ("PING\n", simple("PONG")),
            ("   ping   \r\n", simple("PONG")),
            ("\r\nPING\r\n", simple("PONG")),
            ("\n\n\r\nPING\r\n", simple("PONG")),
            ("ECHO\thello\r\n", bulk("hello")),
            ("ECHO 'two words'\r\n", bulk("two words")),
            ("ECHO \"two words\"\r\n", bulk("two words")),
            ("ECHO \"\"\r\n", bulk("")),
            ("ECHO ''\r\n", bulk("")),
            ("ECHO \"\\x41\\n\\r\\t\\b\\a\\\"\\q\"\r\n", bulk("A\n\r\t\x08\x07\"q")),
            ("ECHO '\\'\\n'\r\n", bulk("'\\n")),
            ("ECHO a\\n\r\n", bulk("a\\n")),
            ("SET inline 1\r\n", ok()),
            ("INCR inline\r\n", int(2)),
        ] {
            c.send_raw(line);
            c.expect_next(reply);
        }
    });
}

#[test]
fn inline_commands_with_unbalanced_quotes_close_the_connection() {
    each_setup(|s| {
        for line in
            ["SET \"k v\r\n", "SET 'k v\r\n", "SET \"k\"v\r\n", "SET 'k'v\r\n", "SET \"\"\"k\"\"\" v\r\n"]
        {
            breaks_with(s, line, "ERR Protocol error: unbalanced quotes in request");
        }
    });
}

#[test]
fn an_inline_command_has_at_most_64_kib() {
    each_setup(|s| {
        let mut c = s.client();
        c.send_raw([b"ECHO ".to_vec(), vec![b'x'; 60_000], b"\r\n".to_vec()].concat());
        c.expect_next(bulk(vec![b'x'; 60_000]));
        breaks_with(s, vec![b'x'; 64 * 1024 + 1], "ERR Protocol error: too big inline request");
    });
}

#[test]
fn empty_requests_are_ignored() {
    each_setup(|s| {
        let mut c = s.client();
        for request in ["*0\r\n", "*-1\r\n", "*-10\r\n", "\r\n"] {
            c.send_raw(format!("{request}PING\r\n"));
            c.expect_next(simple("PONG"));
        }
    });
}

#[test]
fn broken_requests_close_the_connection() {
    each_setup(|s| {
        let multibulk = "ERR Protocol error: invalid multibulk length";
        let length = "ERR Protocol error: invalid bulk length";
        for (request, error) in [
            ("*3000000000\r\n", multibulk),
            ("*2147483648\r\n", multibulk),
            ("*abc\r\n", multibulk),
            ("*\r\n", multibulk),
            ("* 1\r\n", multibulk),
            ("*1x\r\n", multibulk),
            ("*+1\r\n", multibulk),
            ("*1\r\n$abc\r\n", length),
            ("*1\r\n$\r\n", length),
            ("*1\r\n$-1\r\n", length),
            ("*1\r\n$-10\r\n", length),
            ("*1\r\n$536870913\r\n", length),
            ("*1\r\n$99999999999999999999\r\n", length),
            ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "ERR Protocol error: expected '$', got 'f'"),
            ("*1\r\n\r\n", "ERR Protocol error: expected '$', got '\r'"),
        ] {
            // A line end within an error would end it, so Redis sends spaces instead.
            breaks_with(s, request, &error.replace('\r', " "));
        }
    });
}

#[test]
fn lengths_that_never_end_close_the_connection() {
    each_setup(|s| {
        let endless = "1".repeat(64 * 1024 + 1);
        breaks_with(s, format!("*{endless}"), "ERR Protocol error: too big mbulk count string");
        breaks_with(s, format!("*1\r\n${endless}"), "ERR Protocol error: too big bulk count string");
    });
}

#[test]
fn commands_before_a_broken_one_are_answered() {
    each_setup(|s| {
        let mut c = s.client();
        c.send_raw("SET k v\r\nGET k\r\n*1\r\n$-5\r\nGET k\r\n");
        c.expect_next(ok());
        c.expect_next(bulk("v"));
        c.expect_next(err("ERR Protocol error: invalid bulk length"));
        c.expect_closed();
        s.client().expect("GET k", "v");
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    each_setup(|s| {
        let mut c = s.client();
        let request = b"*3\r\n$3\r\nSET\r\n$5\r\n\r\n\0\r\n\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$5\r\n\r\n\0\r\n\r\nPING x\r\n";
        for byte in request {
            c.send_raw([*byte]);
        }
        c.expect_next(ok());
        c.expect_next(bulk(""));
        c.expect_next(bulk("x"));
    });
}

#[test]
fn arguments_may_be_any_bytes() {
    each_setup(|s| {
        let mut c = s.client();
        let all: Vec<u8> = (0..=255).collect();
        c.expect(&args!["SET", all, all], ok());
        c.expect(&args!["GET", all], all.clone());
        c.expect(&["SET", "", ""], ok());
        c.expect(&["GET", ""], "");
        c.expect(&["STRLEN", ""], 0);
        c.expect("DBSIZE", 2);
    });
}

#[test]
fn big_arguments_arrive_whole() {
    each_setup(|s| {
        let mut c = s.client();
        for length in [32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 5_000_000] {
            let value: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            c.expect(&args!["SET", "big", value], ok());
            c.expect("STRLEN big", length as i64);
            assert!(c.call("GET big").bytes() == value, "a value of {length} bytes changed on its way");
        }
    });
}

#[test]
fn a_big_argument_leaves_the_rest_of_the_pipeline_alone() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = s.keys(["a", "b"]);
        let big = vec![b'z'; 300_000];
        let replies = c.pipeline([
            args!["SET", a, "1", "EX", "100"].as_slice(),
            args!["SET", b, big].as_slice(),
            args!["APPEND", a, "2"].as_slice(),
            args!["STRLEN", b].as_slice(),
            args!["GET", a].as_slice(),
        ]);
        assert_eq!(replies, [ok(), ok(), int(2), int(300_000), bulk("12")]);
    });
}

#[test]
fn many_arguments() {
    each_setup(|s| {
        let mut c = s.client();
        let mut command = vec!["MSET".to_owned()];
        command.extend((0..20_000).flat_map(|n| [format!("key:{n}"), n.to_string()]));
        c.expect(&command, ok());
        c.expect("DBSIZE", 20_000);
        let mut command = vec!["MGET".to_owned()];
        command.extend((0..20_000).map(|n| format!("key:{n}")));
        c.expect(&command, array((0..20_000).map(|n| n.to_string())));
    });
}

#[test]
fn what_is_only_announced_takes_no_memory() {
    each_setup(|s| {
        let used = |c: &mut Client| {
            let info = c.call("INFO memory").text();
            let field = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
            field.expect("INFO memory has used_memory").parse::<i64>().expect("it is a number")
        };
        let mut watcher = s.client();
        let before = used(&mut watcher);
        let mut hostile = Vec::new();
        for header in
            ["*2\r\n$4\r\nECHO\r\n$536870912\r\n", "*2147483647\r\n", "*1000000000\r\n$4\r\nMSET\r\n"]
        {
            let mut c = s.client();
            c.send_raw("PING\r\n");
            c.send_raw(header);
            c.expect_next(simple("PONG"));
            hostile.push(c);
        }
        // Redis makes room for the whole argument as soon as its length is known.
        if !s.is_redis() {
            let grown = used(&mut watcher) - before;
            assert!(grown < 32 << 20, "{grown} bytes more after headers alone");
        }
        watcher.expect("PING", simple("PONG"));
    });
}

#[test]
fn the_longest_argument_is_configurable() {
    each_setup(|s| {
        s.config("proto-max-bulk-len", "2000000");
        let mut c = s.client();
        c.expect(&args!["SET", "k", vec![b'x'; 2_000_000]], ok());
        c.expect("STRLEN k", 2_000_000);
        breaks_with(s, "*1\r\n$2000001\r\n", "ERR Protocol error: invalid bulk length");
        c.expect("APPEND k x", err("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    });
}

#[test]
fn replies_leave_in_the_order_of_the_requests() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b", "c", "d", "e", "f", "g"]);
        let key = |n: usize| &keys[n % keys.len()];
        let sets = c.pipeline((0..700).map(|n| format!("SET {} {n}", key(n))));
        assert!(sets.iter().all(|reply| *reply == ok()));
        let replies = c.pipeline((0..700).map(|n| match n % 3 {
            0 => format!("GETSET {} {n}", key(n)),
            1 => format!("ECHO {n}"),
            _ => format!("MGET {} {}", key(n), key(n + 1)),
        }));
        let mut model: Vec<i64> = (693..700).collect();
        for (n, reply) in replies.iter().enumerate() {
            let slot = n % keys.len();
            let expected = match n % 3 {
                0 => bulk(std::mem::replace(&mut model[slot], n as i64).to_string()),
                1 => bulk(n.to_string()),
                _ => array([model[slot], model[(n + 1) % keys.len()]].map(|value| value.to_string())),
            };
            assert_eq!(*reply, expected, "reply {n}");
        }
    });
}

#[test]
fn a_half_closed_client_gets_its_replies() {
    each_setup(|s| {
        let mut c = s.client();
        c.send_raw("SET k v\r\nGET k\r\n");
        c.half_close();
        c.expect_next(ok());
        c.expect_next(bulk("v"));
        c.expect_closed();
    });
}

#[test]
fn a_request_cut_off_by_the_end_of_the_connection_does_not_run() {
    each_setup(|s| {
        let mut c = s.client();
        c.send_raw("SET whole 1\r\n*3\r\n$3\r\nSET\r\n$3\r\ncut\r\n$1\r\n2");
        c.half_close();
        c.expect_next(ok());
        c.expect_closed();
        s.client().expect("EXISTS whole cut", 1);
    });
}

#[test]
fn unknown_commands() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("NOSUCH", err("ERR unknown command 'NOSUCH', with args beginning with: "));
        c.expect("nosuch a b", err("ERR unknown command 'nosuch', with args beginning with: 'a' 'b' "));
        c.expect(
            &["no\r\nsuch", "x\ny"],
            err("ERR unknown command 'no  such', with args beginning with: 'x y' "),
        );
        let long = "x".repeat(200);
        c.expect(
            &[&long, &long, &long],
            err(&format!(
                "ERR unknown command '{}', with args beginning with: '{}' ",
                &long[..128],
                &long[..128]
            )),
        );
        c.expect(&["", "a"], err("ERR unknown command '', with args beginning with: 'a' "));
        c.expect("PING", simple("PONG"));
    });
}

#[test]
fn wrong_arity() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("GET", err("ERR wrong number of arguments for 'get' command"));
        c.expect("get a b", err("ERR wrong number of arguments for 'get' command"));
        c.expect("SET k", err("ERR wrong number of arguments for 'set' command"));
        c.expect("PING a b", err("ERR wrong number of arguments for 'ping' command"));
        c.expect("CLIENT", err("ERR wrong number of arguments for 'client' command"));
        c.expect("CLIENT ID x", err("ERR wrong number of arguments for 'client|id' command"));
        c.expect("CONFIG GET", err("ERR wrong number of arguments for 'config|get' command"));
        c.expect("client nosuch", err("ERR unknown subcommand 'nosuch'. Try CLIENT HELP."));
        c.expect("OBJECT nosuch k", err("ERR unknown subcommand 'nosuch'. Try OBJECT HELP."));
    });
}

#[test]
fn names_of_commands_have_no_case() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("sEt k v", ok());
        c.expect("gET k", "v");
        c.expect("Object ENCODING k", "embstr");
        c.expect("set k v2 KeepTtl", ok());
    });
}

#[test]
fn every_type_of_reply() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("DEBUG PROTOCOL string", "Hello World");
        c.expect("DEBUG PROTOCOL integer", 12345);
        c.expect("DEBUG PROTOCOL double", double("3.141"));
        c.expect("DEBUG PROTOCOL null", nil());
        c.expect("DEBUG PROTOCOL array", [0, 1, 2]);
        c.expect("DEBUG PROTOCOL set", set([0, 1, 2]));
        c.expect("DEBUG PROTOCOL bignum", big_number("1234567999999999999999999999999999999"));
        c.expect("DEBUG PROTOCOL true", boolean(true));
        c.expect("DEBUG PROTOCOL false", boolean(false));
        c.expect("DEBUG PROTOCOL verbatim", verbatim("txt", "This is a verbatim\nstring"));
        let pairs = (0..3).map(|n| (int(n), boolean(n == 1)));
        c.expect("DEBUG PROTOCOL map", Value::Map(pairs.collect()));
        let reply = bulk("Some real reply following the attribute");
        let facts = vec![(bulk("key-popularity"), array([bulk("key:123"), int(90)]))];
        c.expect("DEBUG PROTOCOL attrib", Value::Attribute(facts, Box::new(reply)));
    });
}

#[test]
fn hello_switches_the_protocol() {
    each_setup(|s| {
        let mut c = s.raw_client();
        c.expect("GET nothing", nil());
        let reply = c.call("HELLO 3");
        assert!(matches!(reply, Value::Map(_)), "{reply}");
        c.set_protocol(Protocol::Resp3);
        c.expect("CONFIG GET maxclients", map([("maxclients", "10000")]));
        let hello = c.call("HELLO");
        assert!(matches!(hello, Value::Map(_)), "{hello}");
        for (field, value) in [
            ("server", bulk("redis")),
            ("proto", int(3)),
            ("mode", bulk("standalone")),
            ("role", bulk("master")),
        ] {
            assert_eq!(hello.field(field), value, "{field} in {hello}");
        }
        assert_eq!(hello.field("modules"), Value::Array(vec![]));
        assert_eq!(hello.field("id"), c.call("CLIENT ID"));
        let names = hello.elements().into_iter().step_by(2).map(|name| name.text()).collect::<Vec<_>>();
        assert_eq!(names, ["server", "version", "proto", "id", "mode", "role", "modules"]);
        let reply = c.call("HELLO 2");
        assert!(matches!(reply, Value::Array(_)), "{reply}");
        c.set_protocol(Protocol::Resp2);
        c.expect("CONFIG GET maxclients", ["maxclients", "10000"]);
    });
}

#[test]
fn hello_with_options() {
    each_setup(|s| {
        let mut c = s.client();
        let version = if s.is_resp3() { "3" } else { "2" };
        c.expect("HELLO 4", err("NOPROTO unsupported protocol version"));
        c.expect("HELLO 1", err("NOPROTO unsupported protocol version"));
        c.expect("HELLO x", err("ERR Protocol version is not an integer or out of range"));
        c.expect(&["HELLO", version, "NOSUCH"], err("ERR Syntax error in HELLO option 'NOSUCH'"));
        c.expect(&["HELLO", version, "SETNAME"], err("ERR Syntax error in HELLO option 'SETNAME'"));
        c.expect(&["HELLO", version, "AUTH", "x"], err("ERR Syntax error in HELLO option 'AUTH'"));
        c.expect(
            &["HELLO", version, "SETNAME", "a b"],
            err("ERR Client names cannot contain spaces, newlines or special characters."),
        );
        c.expect(
            &["HELLO", version, "AUTH", "nobody", "x"],
            err("WRONGPASS invalid username-password pair or user is disabled."),
        );
        c.expect_that(&["HELLO", version, "AUTH", "default", "any", "SETNAME", "me"], |hello| {
            hello.field("server") == bulk("redis")
        });
        c.expect("CLIENT GETNAME", "me");
    });
}

#[test]
fn reset_makes_a_connection_as_new() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET k v", ok());
        c.expect("SELECT 3", ok());
        c.expect("CLIENT SETNAME me", ok());
        c.expect("WATCH k", ok());
        c.expect("MULTI", ok());
        c.expect("SET k w", simple("QUEUED"));
        c.expect("RESET", simple("RESET"));
        c.set_protocol(Protocol::Resp2);
        c.expect("GET k", "v");
        c.expect("GET nothing", nil());
        c.expect("EXEC", err("ERR EXEC without MULTI"));
        c.expect("CONFIG GET maxclients", ["maxclients", "10000"]);
        c.expect_that("CLIENT GETNAME", |name| matches!(name, Value::Null) || *name == bulk(""));
    });
}

#[test]
fn quit_answers_and_closes() {
    each_setup(|s| {
        let mut c = s.client();
        c.send_raw("SET k before\r\nQUIT\r\nSET k after\r\n");
        c.expect_next(ok());
        c.expect_next(ok());
        c.expect_closed();
        s.client().expect("GET k", "before");
    });
}

#[test]
fn web_pages_cannot_speak_to_the_server() {
    each_setup(|s| {
        for request in ["POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", "Host: x\r\nSET k v\r\n"] {
            let mut c = s.client();
            c.send_raw(request);
            c.expect_closed();
        }
        s.client().expect("EXISTS k", 0);
    });
}

#[test]
fn authentication() {
    with_server(
        |threads| Options::threads(threads).with("requirepass", "secret"),
        |s| {
            let noauth = "NOAUTH Authentication required.";
            let wrongpass = "WRONGPASS invalid username-password pair or user is disabled.";
            let mut c = s.raw_client();
            c.expect("GET k", err(noauth));
            c.expect("PING", err(noauth));
            c.expect("NOSUCH", err("ERR unknown command 'NOSUCH', with args beginning with: "));
            c.expect("GET", err("ERR wrong number of arguments for 'get' command"));
            c.expect("AUTH wrong", err(wrongpass));
            c.expect("AUTH default wrong", err(wrongpass));
            c.expect("AUTH a b c", err("ERR syntax error"));
            c.expect_error("HELLO 3", "NOAUTH HELLO must be called with the client already authenticated, ");
            c.expect("AUTH secret", ok());
            c.expect("SET k v", ok());
            c.expect("RESET", simple("RESET"));
            c.expect("GET k", err(noauth));
            let hello = c.call("HELLO 3 AUTH default secret");
            assert!(matches!(hello, Value::Map(_)), "{hello}");
            c.expect("GET k", "v");
        },
    );
}

#[test]
fn strangers_may_send_little() {
    with_server(
        |threads| Options::threads(threads).with("requirepass", "secret"),
        |s| {
            for (request, error) in [
                ("*11\r\n", "ERR Protocol error: unauthenticated multibulk length"),
                ("*2\r\n$4\r\nAUTH\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length"),
            ] {
                let mut c = s.raw_client();
                c.send_raw(request);
                c.expect_next(err(error));
                c.expect_closed();
            }
        },
    );
}

#[test]
fn auth_without_a_password_configured() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect(
            "AUTH any",
            err("ERR AUTH <password> called without any password configured for the default user. Are you \
                 sure your configuration is correct?"),
        );
        c.expect("AUTH default any", ok());
    });
}
