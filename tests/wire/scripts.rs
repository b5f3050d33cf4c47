//! EVAL, EVALSHA, SCRIPT: what scripts see and what others see of them, with their keys on one shard and apart.

use std::time::Duration;

use crate::support::*;

const AT: &str = ", on @user_script:1.";

fn sha_of(c: &mut Client, source: &str) -> String {
    c.call(&["SCRIPT", "LOAD", source]).text()
}

#[test]
fn scripts_are_known_on_every_core() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect(&["SCRIPT", "FLUSH"], ok());
        let sha = sha_of(&mut c, "return ARGV[1]");
        let upper = sha.to_uppercase();
        for _ in 0..6 {
            let mut other = s.client();
            other.expect(&["EVALSHA", &sha, "0", "x"], bulk("x"));
            other.expect(&["EVALSHA", &upper, "0", "y"], bulk("y"));
            other.expect(&["SCRIPT", "EXISTS", &sha, "nosuch"], array([int(1), int(0)]));
        }
        c.expect(&["SCRIPT", "SHOW", &sha], bulk("return ARGV[1]"));
        c.expect(&["EVAL", "return 'by eval'", "0"], bulk("by eval"));
        c.expect(&["SCRIPT", "FLUSH", "ASYNC"], ok());
        for _ in 0..6 {
            let no_script = err("NOSCRIPT No matching script. Please use EVAL.");
            s.client().expect(&["EVALSHA", &sha, "0", "x"], no_script);
        }
        c.expect(&["SCRIPT", "FLUSH", "NOW"], err("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
        c.expect(&["SCRIPT", "KILL"], err("NOTBUSY No scripts in execution right now."));
        let too_many = "ERR unknown subcommand or wrong number of arguments for 'FlUsh'. Try FUNCTION HELP.";
        c.expect("FUNCTION FlUsh ASYNC x", err(too_many));
    });
}

#[test]
fn bad_calls_are_refused_as_in_redis() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect(&["EVAL", "return 1", "x"], err("ERR value is not an integer or out of range"));
        c.expect(&["EVAL", "return 1", "-1"], err("ERR Number of keys can't be negative"));
        // What is wrong with the keys is told before what is wrong with the script.
        c.expect(&["EVAL", "return (", "x"], err("ERR value is not an integer or out of range"));
        let unknown = "0".repeat(40);
        c.expect(&["EVALSHA", &unknown, "-1"], err("ERR Number of keys can't be negative"));
        c.expect(&["EVALSHA", "nosuch", "-1"], err("NOSCRIPT No matching script. Please use EVAL."));
        let too_many = err("ERR Number of keys can't be greater than number of args");
        c.expect(&["EVAL", "return 1", "1"], too_many);
        c.expect_error(
            &["EVAL", "return 1 +", "0"],
            "ERR Error compiling script (new function): user_script:1: ",
        );
        c.expect_error(&["SCRIPT", "LOAD", "return 1 +"], "ERR Error compiling script (new function): ");
        let write = ["EVAL_RO", "return redis.call('set', KEYS[1], 'v')", "1", "k"];
        c.expect_error(&write, "ERR Write commands are not allowed from read-only scripts. script: ");
        c.expect(&["EXISTS", "k"], int(0));
        c.expect(
            &["EVAL_RO", "#!lua\nreturn 1", "0"],
            err("ERR Can not execute a script with write flag using *_ro command."),
        );
        c.expect(&["EVAL_RO", "#!lua flags=no-writes\nreturn 1", "0"], int(1));
        c.expect_error(
            &["EVAL", "#!lua flags=no-writes\nreturn redis.call('set', KEYS[1], 'v')", "1", "k"],
            "ERR Write commands are not allowed from read-only scripts.",
        );
    });
}

#[test]
fn scripts_that_only_read_publish_nothing() {
    const REFUSED: &str = "ERR Write commands are not allowed from read-only scripts.";
    each_setup(|s| {
        let mut c = s.client();
        for call in ["'publish', 'c', 'm'", "'spublish', 'c', 'm'", "'pfcount', KEYS[1]"] {
            let source = format!("return redis.call({call})");
            c.expect_error(&["EVAL_RO", &source, "1", "k"], REFUSED);
            c.expect_error(&["EVAL", &format!("#!lua flags=no-writes\n{source}"), "1", "k"], REFUSED);
            c.expect(&["EVAL_RO", &format!("return redis.pcall({call})"), "1", "k"], err(REFUSED));
            c.expect(&["EVAL", &source, "1", "k"], 0);
        }
        let library = "#!lua name=publishing\nredis.register_function{function_name = 'tell', \
                       callback = function() return redis.call('publish', 'c', 'm') end, flags = {'no-writes'}}";
        c.expect(&["FUNCTION", "LOAD", "REPLACE", library], "publishing");
        c.expect_error(&["FCALL", "tell", "0"], REFUSED);
        c.expect_error(&["FCALL_RO", "tell", "0"], REFUSED);
        c.expect("FUNCTION FLUSH", ok());
    });
}

#[test]
fn declared_keys_work_wherever_they_live() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b", "d"]);
        let [a, b, d] = [&keys[0][..], &keys[1][..], &keys[2][..]];
        let source = "redis.call('set', KEYS[1], ARGV[1]) redis.call('rpush', KEYS[2], 1, 2, 3) \
                      redis.call('mset', KEYS[1], 'x', KEYS[3], 'y') \
                      return {redis.call('mget', KEYS[1], KEYS[3]), redis.call('lrange', KEYS[2], 0, -1)}";
        let reply = || array([array([bulk("x"), bulk("y")]), array([bulk("1"), bulk("2"), bulk("3")])]);
        c.expect(&["EVAL", source, "3", a, b, d, "v"], reply());
        c.expect(&["DEL", a, b, d], int(3));
        let sha = sha_of(&mut c, source);
        c.expect(&["EVALSHA", &sha, "3", a, b, d, "v"], reply());
        c.expect(&["EVAL", "return redis.call('rename', KEYS[1], KEYS[2])", "2", a, d], ok());
        c.expect_error(&["EVAL", "return redis.call('incr', KEYS[2])", "2", a, b], "WRONGTYPE ");
    });
}

#[test]
fn undeclared_keys_simply_work_and_leave_nothing_half_done() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b", "d"]);
        let [a, b, d] = [&keys[0][..], &keys[1][..], &keys[2][..]];
        // Each changes what is here before it touches what is not; beginning anew, it must find everything as it was.
        let source = "redis.call('incr', KEYS[1]) redis.call('rpush', ARGV[1], redis.call('get', KEYS[1])) \
                      redis.call('incr', ARGV[2]) return redis.call('llen', ARGV[1])";
        for round in 1..4 {
            c.expect(&["EVAL", source, "1", a, b, d], int(round));
        }
        c.expect(&["GET", a], bulk("3"));
        c.expect(&["GET", d], bulk("3"));
        c.expect(&["LRANGE", b, "0", "-1"], array([bulk("1"), bulk("2"), bulk("3")]));
        // No key is declared at all.
        let source = "return redis.call('incrby', ARGV[1], 5) + redis.call('incrby', ARGV[2], 5)";
        c.expect(&["EVAL", source, "0", a, d], int(16));
        // Values of every size and kind come back.
        let source = "redis.call('append', KEYS[1], ARGV[2]) redis.call('expire', KEYS[1], 100) \
                      redis.call('del', ARGV[1]) return redis.call('strlen', KEYS[1])";
        let long = "x".repeat(40_000);
        c.expect(&["SET", a, "start"], ok());
        c.expect(&["EVAL", source, "1", a, d, &long], int(40_005));
        c.expect(&["EVAL", source, "1", a, b, &long], int(80_005));
        c.expect(&["EXISTS", b, d], int(0));
    });
}

#[test]
fn commands_over_all_keys_work() {
    each_setup(|s| {
        let mut c = s.client();
        let keys: Vec<String> = (0..20).map(|n| format!("key:{n}")).collect();
        for key in &keys {
            c.expect(&["SET", key, "v"], ok());
        }
        c.expect(&["EVAL", "return redis.call('dbsize')", "0"], int(20));
        c.expect(&["EVAL", "return #redis.call('keys', 'key:*')", "0"], int(20));
        let all = "local n, at = 0, '0' repeat local page = redis.call('scan', at) at = page[1] n = n + #page[2] \
                   until at == '0' return n";
        c.expect(&["EVAL", all, "0"], int(20));
        c.expect(
            &["EVAL", "redis.call('select', 1) redis.call('set', 'k', 'v') return redis.call('dbsize')", "0"],
            int(1),
        );
        c.expect(&["DBSIZE"], int(20));
        c.expect(&["EVAL", "return redis.call('flushall')", "0"], ok());
        c.expect(&["DBSIZE"], int(0));
    });
}

#[test]
fn scripts_are_atomic_and_isolated() {
    each_placement(|s| {
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        s.client().expect(&["MSET", a, "500", b, "500"], ok());
        let (server, protocol) = (s.server(), s.protocol());
        // The second key is not declared.
        let transfer = "local n = tonumber(ARGV[2]) redis.call('decrby', KEYS[1], n) \
                        redis.call('incrby', ARGV[1], n) return redis.call('get', KEYS[1])";
        std::thread::scope(|scope| {
            for worker in 0..4usize {
                scope.spawn(move || {
                    let mut c = server.client(protocol);
                    for round in 0..60usize {
                        let (from, to) = if (worker + round) % 2 == 0 { (a, b) } else { (b, a) };
                        match round % 4 {
                            0 => {
                                let both = c.call(&["MGET", a, b]).elements();
                                let sum: i64 =
                                    both.iter().map(|one| one.text().parse::<i64>().unwrap()).sum();
                                assert_eq!(sum, 1000);
                            }
                            1 => {
                                c.expect(&["MULTI"], ok());
                                c.expect(&["EVAL", transfer, "1", from, to, "1"], simple("QUEUED"));
                                c.expect(&["MGET", a, b], simple("QUEUED"));
                                let replies = c.call(&["EXEC"]).elements();
                                let both = replies[1].clone().elements();
                                let sum: i64 =
                                    both.iter().map(|one| one.text().parse::<i64>().unwrap()).sum();
                                assert_eq!(sum, 1000);
                            }
                            2 => {
                                c.expect_that(&["EVAL", transfer, "1", from, to, "7"], |value| {
                                    !value.is_error()
                                });
                            }
                            _ => {
                                let sum = "return redis.call('get', KEYS[1]) + redis.call('get', ARGV[1])";
                                c.expect(&["EVAL_RO", sum, "1", from, to], int(1000));
                            }
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn a_pipeline_keeps_its_order_around_scripts() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        let append = "return redis.call('append', KEYS[1], ARGV[1])";
        let wide = "redis.call('append', KEYS[1], ARGV[1]) return redis.call('append', ARGV[2], ARGV[1])";
        let mut commands: Vec<Vec<&str>> = Vec::new();
        for _ in 0..20 {
            commands.push(vec!["APPEND", a, "1"]);
            commands.push(vec!["EVAL", append, "1", a, "2"]);
            commands.push(vec!["EVAL", wide, "1", a, "3", b]);
            commands.push(vec!["APPEND", a, "4"]);
            commands.push(vec!["APPEND", b, "5"]);
        }
        let replies = c.pipeline(&commands);
        assert_eq!(replies.len(), 100);
        c.expect(&["GET", a], bulk("1234".repeat(20)));
        c.expect(&["GET", b], bulk("35".repeat(20)));
    });
}

#[test]
fn scripts_run_in_blocks_and_touch_watched_keys() {
    each_placement(|s| {
        let (mut c, mut other) = (s.client(), s.client());
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        c.expect(&["MULTI"], ok());
        c.expect(&["SET", a, "1"], simple("QUEUED"));
        c.expect(
            &["EVAL", "redis.call('incr', KEYS[1]) return redis.call('incr', ARGV[1])", "1", a, b],
            simple("QUEUED"),
        );
        c.expect(&["EVAL", "return nosuch", "0"], simple("QUEUED"));
        c.expect(&["INCR", b], simple("QUEUED"));
        let replies = c.call(&["EXEC"]).elements();
        assert_eq!(replies[0], ok());
        assert_eq!(replies[1], int(1));
        assert!(replies[2].is_error());
        assert_eq!(replies[3], int(2));
        c.expect(&["MGET", a, b], array([bulk("2"), bulk("2")]));
        c.expect(&["WATCH", b], ok());
        other.expect(&["EVAL", "return redis.call('set', ARGV[1], 'new')", "1", a, b], ok());
        c.expect(&["MULTI"], ok());
        c.expect(&["SET", a, "never"], simple("QUEUED"));
        c.expect_that(&["EXEC"], |reply| matches!(reply, Value::Null | Value::NullArray));
        c.expect(&["GET", a], bulk("2"));
    });
}

#[test]
fn what_a_script_pushes_wakes_those_who_wait() {
    each_placement(|s| {
        let (mut waiting, mut c) = (s.client(), s.client());
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        waiting.send(&["BLPOP", b, "0"]);
        let mut info = s.client();
        wait_until("a client waits", Duration::from_secs(60), || {
            info.call(&["INFO", "clients"]).text().contains("blocked_clients:1")
        });
        // Nothing waits within a script.
        c.expect_that(
            &["EVAL", "return redis.call('blmove', KEYS[1], KEYS[1], 'left', 'left', 0)", "1", a],
            |value| value.is_error() || matches!(value, Value::Null),
        );
        c.expect(
            &["EVAL", "redis.call('set', KEYS[1], 1) return redis.call('rpush', ARGV[1], 'x')", "1", a, b],
            int(1),
        );
        waiting.expect_next(array([bulk(b), bulk("x")]));
        c.expect(&["EXISTS", b], int(0));
    });
}

#[test]
fn errors_name_the_script_and_the_line() {
    each_setup(|s| {
        let mut c = s.client();
        let source = "return redis.call('nosuch')";
        let sha = sha_of(&mut c, source);
        let line = format!("ERR Unknown Redis command called from script script: {sha}{AT}");
        c.expect(&["EVAL", source, "0"], err(&line));
        c.expect(
            &["EVAL", "return redis.pcall('nosuch')", "0"],
            err("ERR Unknown Redis command called from script"),
        );
        c.expect(&["EVAL", "return {err='MY code'}", "0"], err("MY code"));
        c.expect_error(&["EVAL", "\n\nerror('x')", "0"], "ERR user_script:3: x script: ");
    });
}

/// Kills what runs, from whichever core answers: clients of the core that runs it hear nothing meanwhile, the others do.
#[track_caller]
fn kill_from(others: &mut [Client]) {
    let mut is_asked = vec![false; others.len()];
    wait_until("the script is killed", Duration::from_secs(60), || {
        let mut killed = false;
        for (other, is_asked) in others.iter_mut().zip(&mut is_asked) {
            if !*is_asked {
                other.send(&["SCRIPT", "KILL"]);
            }
            let reply = other.recv_within(Duration::from_millis(5));
            *is_asked = reply.is_none();
            killed |= reply == Some(ok());
        }
        killed
    });
}

#[test]
fn a_busy_script_is_killed_from_another_core() {
    with_server(Options::threads, |s| {
        if s.server().threads() == 1 {
            return;
        }
        let mut busy = s.client();
        let mut others: Vec<Client> = (0..6).map(|_| s.client()).collect();
        busy.send(&["EVAL", "while true do end", "0"]);
        kill_from(&mut others);
        let reply = busy.recv();
        assert!(reply.is_error(), "{reply:?}");
        busy.expect(&["EVAL", "return 1", "0"], int(1));
    });
}

#[test]
fn functions_are_known_on_every_core_and_run_like_scripts() {
    each_placement(|s| {
        let mut c = s.client();
        c.expect(&["FUNCTION", "FLUSH"], ok());
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        let library = "#!lua name=lib\n\
                       redis.register_function('add', function(keys, args) redis.call('incrby', keys[1], args[1]) \
                       return redis.call('incrby', args[2], args[1]) end)\n\
                       redis.register_function{function_name='look', flags={'no-writes'}, \
                       callback=function(keys) return redis.call('get', keys[1]) end}";
        c.expect(&["FUNCTION", "LOAD", library], bulk("lib"));
        c.expect(&["FUNCTION", "LOAD", library], err("ERR Library 'lib' already exists"));
        c.expect(&["FUNCTION", "LOAD", "REPLACE", library], bulk("lib"));
        for round in 1..6 {
            let mut other = s.client();
            // The second key is not declared.
            other.expect(&["FCALL", "add", "1", a, "2", b], int(2 * round));
            other.expect(&["FCALL_RO", "look", "1", a], bulk((2 * round).to_string()));
        }
        let write = err("ERR Can not execute a script with write flag using *_ro command.");
        c.expect(&["FCALL_RO", "add", "1", a, "2", b], write);
        c.expect(&["FCALL", "nosuch", "0"], err("ERR Function not found"));
        let dump = c.call(&["FUNCTION", "DUMP"]);
        c.expect(&["FUNCTION", "DELETE", "lib"], ok());
        c.expect(&["FCALL", "look", "1", a], err("ERR Function not found"));
        c.expect(&[b"FUNCTION" as &[u8], b"RESTORE", dump.bytes()], ok());
        c.expect(&["MULTI"], ok());
        c.expect(&["FCALL", "add", "1", a, "1", b], simple("QUEUED"));
        c.expect(&["EXEC"], array([int(11)]));
        c.expect(&["FUNCTION", "FLUSH"], ok());
        c.expect(&["FUNCTION", "LIST"], array::<Value>([]));
    });
}

/// Scripts that need all cores run on shards that the other cores lend (`net/lend.rs`).
#[test]
fn a_pipeline_of_scripts_over_all_shards_is_answered_in_order() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b", "d"]);
        let [a, b, d] = [&keys[0][..], &keys[1][..], &keys[2][..]];
        let source = "local n = redis.call('incr', ARGV[1]) redis.call('rpush', ARGV[2], n) \
                      if n % 5 == 0 then return redis.call('incr', ARGV[2]) end \
                      return n + redis.call('mget', ARGV[1], ARGV[3])[1]";
        let sha = sha_of(&mut c, source);
        c.expect(&["EVALSHA", &sha, "0", a, b, d], int(2));
        let mut commands: Vec<Vec<&str>> = Vec::new();
        for _ in 0..100 {
            commands.push(vec!["EVALSHA", &sha, "0", a, b, d]);
            commands.push(vec!["EVALSHA", &sha, "0", a, b, d]);
            commands.push(vec!["LLEN", b]);
        }
        let replies = c.pipeline(&commands);
        for (at, three) in replies.chunks(3).enumerate() {
            for (two, reply) in three[..2].iter().enumerate() {
                let n = (at * 2 + two + 2) as i64;
                if n % 5 == 0 {
                    assert!(reply.text().starts_with("WRONGTYPE"), "{reply:?}");
                } else {
                    assert_eq!(*reply, int(n * 2));
                }
            }
            assert_eq!(three[2], int(at as i64 * 2 + 3));
        }
    });
}

#[test]
fn scripts_over_all_shards_of_many_clients_do_not_mix() {
    each_setup(|s| {
        let mut c = s.client();
        let keys = s.keys_apart(4);
        let source = "for i = 2, #ARGV do redis.call('incr', ARGV[i]) end local seen = redis.call('mget', unpack(ARGV, 2)) \
                      for i = 2, #seen do if seen[i] ~= seen[1] then return 'torn' end end return seen[1]";
        let sha = sha_of(&mut c, source);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                let mut one = s.client();
                let mut command = vec!["EVALSHA", &sha, "0", "x"];
                command.extend(keys.iter().map(|key| &key[..]));
                scope.spawn(move || {
                    for _ in 0..10 {
                        let replies = one.pipeline((0..10).map(|_| &command));
                        assert!(replies.iter().all(|reply| *reply != bulk("torn")), "{replies:?}");
                    }
                });
            }
            // Plain clients meanwhile, wherever they are.
            for key in &keys {
                let mut one = s.client();
                scope.spawn(move || {
                    for _ in 0..100 {
                        one.expect_that(&["GET", key], |reply| !reply.is_error());
                    }
                });
            }
        });
        for key in &keys {
            c.expect(&["GET", key], bulk("600"));
        }
    });
}

#[test]
fn a_script_that_ran_on_other_shards_is_heard_of_there() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b"]);
        let [a, b] = [&keys[0][..], &keys[1][..]];
        s.config("notify-keyspace-events", "KEA");
        let mut hears = s.client();
        hears.call(&["PSUBSCRIBE", "__keyspace@0__:*"]);
        let mut waits: Vec<Client> = [a, b].iter().map(|_| s.client()).collect();
        for (one, key) in waits.iter_mut().zip([a, b]) {
            one.send(&["BLPOP", key, "0"]);
        }
        wait_until("both wait", Duration::from_secs(20), || {
            c.call(&["INFO", "clients"]).text().contains("blocked_clients:2")
        });
        let source = "redis.call('rpush', ARGV[1], 'x') redis.call('rpush', ARGV[2], 'y') return 'done'";
        c.expect(&["EVAL", source, "0", a, b], bulk("done"));
        waits[0].expect_next(array([bulk(a), bulk("x")]));
        waits[1].expect_next(array([bulk(b), bulk("y")]));
        let heard: Vec<Vec<Value>> = (0..6).map(|_| hears.recv().elements()).collect();
        for key in [a, b] {
            let channel = bulk(format!("__keyspace@0__:{key}"));
            let of_key = heard.iter().filter(|message| message[2] == channel);
            let events: Vec<String> = of_key.map(|message| message[3].text()).collect();
            assert_eq!(events, ["rpush", "lpop", "del"], "{key}");
        }
        s.config("notify-keyspace-events", "");
    });
}

#[test]
fn a_script_over_all_shards_that_does_not_end_gives_them_back() {
    with_server(Options::threads, |s| {
        if s.server().threads() == 1 {
            return;
        }
        let keys = s.keys_apart(2);
        let source = "for _, key in ipairs(ARGV) do redis.call('get', key) end \
                      while true do redis.call('get', ARGV[1]) end";
        let mut busy = s.client();
        let mut others: Vec<Client> = (0..6).map(|_| s.client()).collect();
        busy.send(&["EVAL", source, "0", &keys[0], &keys[1]]);
        kill_from(&mut others);
        let reply = busy.recv();
        assert!(reply.is_error(), "{reply:?}");
        for key in &keys {
            busy.expect(&["SET", key, "v"], ok());
        }
    });
}

/// Clients whose scripts need all shards, and find others awake, gather on one core (`net/moving.rs`).
#[test]
fn clients_of_scripts_over_all_shards_gather_and_are_answered_in_order() {
    with_server(Options::threads, |s| {
        if s.server().threads() == 1 {
            return;
        }
        let keys = s.keys_apart(3);
        let mut c = s.client();
        let source = "for i = 2, #ARGV do redis.call('incr', ARGV[i]) end return ARGV[1]";
        let sha = sha_of(&mut c, source);
        let moved = |c: &mut Client| {
            let info = c.call(&["INFO", "shards"]).text();
            let figures = info.split(',').filter_map(|word| word.trim().strip_prefix("moved_in="));
            figures
                .map(|figure| figure.split_whitespace().next().unwrap().parse::<u64>().unwrap())
                .sum::<u64>()
        };
        let mut others: Vec<Client> = (0..9).map(|_| s.client()).collect();
        for (index, one) in others.iter_mut().enumerate() {
            one.expect(&["CLIENT", "SETNAME", &format!("name{index}")], ok());
            one.expect(&["SELECT", "3"], ok());
        }
        let mut rounds = 0;
        wait_until("clients go to another core", Duration::from_secs(60), || {
            rounds += 1;
            let numbers: Vec<String> = (0..10).map(|n| n.to_string()).collect();
            let commands = |n: &'_ String| {
                let mut command = vec!["EVALSHA".to_owned(), sha.clone(), "0".to_owned(), n.clone()];
                command.extend(keys.iter().cloned());
                command
            };
            let all: Vec<Vec<String>> = numbers.iter().map(commands).collect();
            for one in &mut others {
                all.iter().for_each(|command| one.send(command));
            }
            for one in &mut others {
                numbers.iter().for_each(|n| one.expect_next(bulk(n)));
            }
            moved(&mut c) >= 3
        });
        for (index, one) in others.iter_mut().enumerate() {
            one.expect(&["CLIENT", "GETNAME"], bulk(format!("name{index}")));
            for key in &keys {
                one.expect(&["GET", key], bulk((rounds * 90).to_string()));
            }
        }
        // They are found where they are.
        let listed = c.call(&["CLIENT", "LIST"]).text();
        (0..9).for_each(|index| assert_eq!(listed.matches(&format!(" name=name{index} ")).count(), 1));
    });
}

/// What is left in a shard whose core sleeps (`net/rest.rs`) is seen to when it is due.
#[test]
fn deadlines_that_come_from_other_cores_are_kept() {
    each_setup(|s| {
        let mut c = s.client();
        s.config("notify-keyspace-events", "Ex");
        let mut hears = s.client();
        hears.call(&["SUBSCRIBE", "__keyevent@0__:expired"]);
        let keys = s.keys_apart(3);
        let source = "for _, key in ipairs(ARGV) do redis.call('set', key, 'v', 'px', 30) end return #ARGV";
        for _ in 0..3 {
            c.expect(&["EVAL", source, "0", &keys[0], &keys[1], &keys[2]], int(3));
            let mut gone: Vec<String> = (0..3).map(|_| hears.recv().elements()[2].text()).collect();
            gone.sort();
            let mut wanted = keys.clone();
            wanted.sort();
            assert_eq!(gone, wanted);
            c.expect(&["MSET", &keys[0], "a", &keys[1], "b", &keys[2], "c"], ok());
            c.expect(&["MULTI"], ok());
            keys.iter().for_each(|key| c.expect(&["PEXPIRE", key, "30"], simple("QUEUED")));
            c.expect(&["EXEC"], array([int(1), int(1), int(1)]));
            (0..3).for_each(|_| drop(hears.recv()));
        }
        s.config("notify-keyspace-events", "");
    });
}

#[test]
fn a_long_block_of_scripts_over_all_shards_is_one() {
    each_setup(|s| {
        let mut c = s.client();
        let keys = s.keys_apart(3);
        let source = "for _, key in ipairs(ARGV) do redis.call('incr', key) end return #ARGV";
        let sha = sha_of(&mut c, source);
        let look = ["MGET", &keys[0], &keys[1], &keys[2]];
        c.expect(&["MSET", &keys[0], "0", &keys[1], "0", &keys[2], "0"], ok());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (mut one, keys, sha) = (s.client(), &keys, &sha);
                scope.spawn(move || {
                    for _ in 0..5 {
                        let script = ["EVALSHA", sha, "0", &keys[0], &keys[1], &keys[2]];
                        let mut block = vec![vec!["MULTI"]];
                        (0..20).for_each(|_| block.push(script.to_vec()));
                        block.push(vec!["INCR", &keys[1]]);
                        block.push(vec!["DECR", &keys[1]]);
                        block.push(vec!["EXEC"]);
                        let replies = one.pipeline(&block);
                        let done = replies.last().unwrap().clone().elements();
                        assert_eq!(done.len(), 22, "{done:?}");
                        assert!(done[..20].iter().all(|reply| *reply == int(3)), "{done:?}");
                    }
                });
            }
            let mut other = s.client();
            for _ in 0..100 {
                let seen = other.call(&look).elements();
                assert!(seen.iter().all(|count| *count == seen[0]), "{seen:?}");
                let blocks = seen[0].text().parse::<u64>().unwrap();
                assert_eq!(blocks % 20, 0, "a part of a block was seen");
            }
        });
        c.expect(&look, array([bulk("200"), bulk("200"), bulk("200")]));
    });
}
