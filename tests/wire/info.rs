//! INFO: its sections and fields, and what they count.

use crate::support::*;
use std::time::Duration;

/// A field of INFO.
#[track_caller]
fn field(c: &mut Client, section: &str, name: &str) -> String {
    let text = c.call(&["INFO", section]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

#[track_caller]
fn number(c: &mut Client, section: &str, name: &str) -> i64 {
    field(c, section, name).parse().unwrap_or_else(|_| panic!("{name} is not a number"))
}

fn titles(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# ")).collect()
}

#[test]
fn sections_come_in_their_order() {
    each_setup(|s| {
        let mut c = s.client();
        let default =
            ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules"];
        let rest = ["Errorstats", "Cluster", "Keyspace"];
        let expected: Vec<&str> = default.iter().chain(&rest).copied().collect();
        assert_eq!(titles(&c.call("INFO").text()), expected);
        assert_eq!(titles(&c.call("INFO default").text()), expected);
        let all = c.call("INFO all").text();
        assert!(titles(&all).contains(&"Commandstats") && titles(&all).contains(&"Latencystats"));
        assert!(titles(&c.call("INFO everything").text()).contains(&"Modules"));
        assert_eq!(titles(&c.call("INFO keyspace CPU").text()), ["CPU", "Keyspace"]);
        assert_eq!(titles(&c.call("INFO default commandstats").text()).len(), expected.len() + 1);
        c.expect("INFO nosuchsection", verbatim("txt", ""));
    });
}

#[test]
fn lines_are_fields_or_titles() {
    each_setup(|s| {
        let mut c = s.client();
        let text = c.call("INFO everything").text();
        for line in text.split("\r\n") {
            assert!(line.is_empty() || line.starts_with("# ") || line.contains(':'), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
        for name in
            ["redis_version", "redis_mode", "run_id", "tcp_port", "used_memory", "role", "uptime_in_seconds"]
        {
            assert!(text.contains(&format!("\r\n{name}:")), "{name}");
        }
        assert_eq!(number(&mut c, "server", "tcp_port"), i64::from(s.server().port()));
        assert_eq!(number(&mut c, "server", "process_id"), i64::from(s.server().pid()));
        assert_eq!(field(&mut c, "server", "run_id").len(), 40);
        assert_eq!(field(&mut c, "replication", "role"), "master");
    });
}

#[test]
fn commands_are_counted_over_all_shards() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("CONFIG RESETSTAT", ok());
        for at in 0..30 {
            c.expect(&args!["SET", format!("key{at}"), at], ok());
        }
        c.expect_error("SET onlykey", "ERR wrong number");
        c.expect_error("INCR key0 1", "ERR wrong number");
        c.expect(&["SET", "text", "a"], ok());
        c.expect_error("INCR text", "ERR value is not an integer");
        let text = c.call("INFO commandstats").text();
        let of = |name: &str| {
            text.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))).map(str::to_owned)
        };
        let set = of("set").expect("SET was called");
        assert!(set.starts_with("cmdstat_set:calls=31,usec="), "{set}");
        assert!(set.ends_with(",rejected_calls=1,failed_calls=0"), "{set}");
        let incr = of("incr").expect("INCR was called");
        assert!(
            incr.starts_with("cmdstat_incr:calls=1,") && incr.ends_with("rejected_calls=1,failed_calls=1"),
            "{incr}"
        );
        assert_eq!(field(&mut c, "errorstats", "errorstat_ERR"), "count=3");
        assert_eq!(number(&mut c, "stats", "total_error_replies"), 3);
        let latency = field(&mut c, "latencystats", "latency_percentiles_usec_set");
        assert!(
            latency.starts_with("p50=") && latency.contains(",p99=") && latency.contains(",p99.9="),
            "{latency}"
        );
        c.expect("CONFIG RESETSTAT", ok());
        assert_eq!(number(&mut c, "stats", "total_error_replies"), 0);
        assert!(!c.call("INFO commandstats").text().contains("cmdstat_set"));
    });
}

#[test]
fn commands_of_transactions_are_counted() {
    each_setup(|s| {
        let mut c = s.client();
        let keys = s.keys(["one", "two", "three"]);
        c.expect("CONFIG RESETSTAT", ok());
        c.expect("MULTI", ok());
        for key in &keys {
            c.expect(&args!["SET", key, 1], simple("QUEUED"));
        }
        c.expect(&args!["MGET", &keys[0], &keys[1], &keys[2]], simple("QUEUED"));
        c.expect(&args!["INCR", &keys[0], "x"], err("ERR wrong number of arguments for 'incr' command"));
        c.expect("DISCARD", ok());
        c.expect("MULTI", ok());
        for key in &keys {
            c.expect(&args!["SET", key, "a"], simple("QUEUED"));
        }
        c.expect(&args!["INCR", &keys[1]], simple("QUEUED"));
        c.expect(&args!["MGET", &keys[0], &keys[1], &keys[2]], simple("QUEUED"));
        assert_eq!(c.call("EXEC").elements().len(), 5);
        let text = c.call("INFO commandstats").text();
        for start in [
            "set:calls=3,",
            "mget:calls=1,",
            "exec:calls=1,",
            "multi:calls=2,",
            "discard:calls=1,",
            "incr:calls=1,",
        ] {
            assert!(text.contains(&format!("cmdstat_{start}")), "{start} in {text}");
        }
        let incr = text.lines().find(|line| line.starts_with("cmdstat_incr:")).unwrap_or("");
        assert!(incr.ends_with("rejected_calls=1,failed_calls=1"), "{incr}");
    });
}

#[test]
fn a_refusal_for_want_of_memory_is_no_call() {
    each_setup(|s| {
        let mut c = s.client();
        s.config("maxmemory", "1");
        c.expect("CONFIG RESETSTAT", ok());
        for at in 0..6 {
            c.expect_error(&args!["SET", format!("key{at}"), at], "OOM ");
        }
        let set = field(&mut c, "commandstats", "cmdstat_set");
        assert!(set.starts_with("calls=0,") && set.ends_with("rejected_calls=6,failed_calls=0"), "{set}");
        assert_eq!(field(&mut c, "errorstats", "errorstat_OOM"), "count=6");
    });
}

/// How often a command was called, refused, and failed.
#[track_caller]
fn counts(c: &mut Client, name: &str) -> [u64; 3] {
    let text = c.call("INFO commandstats").text();
    let Some(line) = text.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))) else {
        return [0; 3];
    };
    let of = |word: &str| {
        let from = line.find(word).unwrap_or_else(|| panic!("no {word} in {line}")) + word.len();
        let digits = line[from..].split(',').next().unwrap_or_default();
        digits.parse().unwrap_or_else(|_| panic!("{word} is no number in {line}"))
    };
    [of(":calls="), of("rejected_calls="), of("failed_calls=")]
}

#[test]
fn errors_of_a_scripts_commands_are_counted_once_and_refusals_are_no_calls() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("RPUSH list 1", 1);
        // What is called, what is counted of it, what of the script, and the error that is counted.
        for (source, name, called, of_script, code) in [
            ("return redis.CALL('get')", "get", [0, 1, 0], true, "ERR"),
            ("return redis.CALL('subscribe', 'x')", "subscribe", [0, 1, 0], true, "ERR"),
            ("return redis.CALL('get', KEYS[1])", "get", [1, 0, 1], true, "WRONGTYPE"),
            ("return redis.CALL('set', KEYS[1], '1', 'x')", "set", [1, 0, 1], true, "ERR"),
            ("return redis.CALL('nosuch')", "nosuch", [0; 3], true, "ERR"),
            ("return redis.CALL()", "get", [0; 3], true, "ERR"),
            ("redis.pcall('get') return 1", "get", [0, 1, 0], false, "ERR"),
            ("redis.pcall('get', KEYS[1]) return 1", "get", [1, 0, 1], false, "WRONGTYPE"),
            ("redis.pcall('nosuch') return 1", "nosuch", [0; 3], false, "ERR"),
            ("return {err = 'nocode'}", "get", [0; 3], true, "ERR"),
            ("return redis.error_reply('MINE is it')", "get", [0; 3], true, "MINE"),
        ] {
            for how in ["call", "pcall"] {
                c.expect("CONFIG RESETSTAT", ok());
                let reply = c.call(&["EVAL", &source.replace("CALL", how), "1", "list"]);
                assert_eq!(reply.is_error(), of_script, "{source}: {reply}");
                assert_eq!(counts(&mut c, name), called, "{source} with {how}");
                assert_eq!(counts(&mut c, "eval"), [1, 0, u64::from(of_script)], "{source} with {how}");
                assert_eq!(field(&mut c, "errorstats", &format!("errorstat_{code}")), "count=1", "{source}");
                assert_eq!(number(&mut c, "stats", "total_error_replies"), 1, "{source}");
            }
        }
        c.expect("CONFIG RESETSTAT", ok());
        c.expect_error("EVAL_RO redis.call('set','k','v') 0", "ERR Write commands are not allowed");
        assert_eq!(counts(&mut c, "set"), [0, 1, 0]);
        assert_eq!(counts(&mut c, "eval_ro"), [1, 0, 1]);
        c.expect("CONFIG RESETSTAT", ok());
        c.expect("EVAL return(redis.call('publish','c','m')) 0", 0);
        assert_eq!(counts(&mut c, "publish"), [1, 0, 0]);
    });
}

#[test]
fn a_script_that_needs_memory_is_refused_and_one_that_comes_to_need_it_fails() {
    each_setup(|s| {
        let mut c = s.client();
        s.config("maxmemory", "1");
        c.expect("CONFIG RESETSTAT", ok());
        let refusal = "OOM command not allowed when used memory > 'maxmemory'.";
        c.expect_error("EVAL redis.call('set','k','v') 0", refusal);
        assert_eq!(counts(&mut c, "set"), [0, 1, 0]);
        assert_eq!(counts(&mut c, "eval"), [1, 0, 1]);
        // Before anything else is looked at.
        for command in ["EVAL", "EVAL_RO"] {
            for source in ["#!lua\nreturn 1", "#!lua\nreturn ("] {
                c.expect(&[command, source, "0"], err(refusal));
                c.expect(&[command, source, "nonsense"], err(refusal));
            }
        }
        assert_eq!(counts(&mut c, "eval"), [1, 4, 1]);
        assert_eq!(counts(&mut c, "eval_ro"), [0, 4, 0]);
        assert_eq!(field(&mut c, "errorstats", "errorstat_OOM"), "count=9");
        c.expect(&["EVAL", "#!lua flags=no-writes\nreturn 1", "0"], 1);
        c.expect(&["EVAL", "#!lua flags=allow-oom\nreturn redis.call('set', 'k', 'v')", "0"], ok());
    });
}

#[test]
fn a_wait_is_a_call_however_it_ends() {
    each_placement(|s| {
        let [a, b] = &s.keys(["a", "b"]);
        let (mut c, mut waiting) = (s.client(), s.client());
        let name = waiting.call("CLIENT ID").int().to_string();
        let wait = |c: &mut Client, waiting: &mut Client| {
            c.expect("CONFIG RESETSTAT", ok());
            waiting.send(&["BLPOP", a, b, "0"]);
            wait_until("it waits", Duration::from_secs(60), || {
                number(c, "clients", "blocked_clients") == 1 && counts(c, "blpop") == [1, 0, 0]
            });
        };
        wait(&mut c, &mut waiting);
        c.expect(&["CLIENT", "UNBLOCK", &name, "ERROR"], 1);
        waiting.expect_next(err("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
        assert_eq!(counts(&mut c, "blpop"), [1, 0, 1]);
        assert_eq!(field(&mut c, "errorstats", "errorstat_UNBLOCKED"), "count=1");
        assert_eq!(number(&mut c, "stats", "total_error_replies"), 1);
        wait(&mut c, &mut waiting);
        c.expect(&["CLIENT", "UNBLOCK", &name], 1);
        waiting.expect_next(nil_array());
        assert_eq!(counts(&mut c, "blpop"), [1, 0, 1]);
        assert_eq!(number(&mut c, "stats", "total_error_replies"), 0);
        wait(&mut c, &mut waiting);
        c.expect(&["RPUSH", b, "x"], 1);
        waiting.expect_next([b, "x"]);
        assert_eq!(counts(&mut c, "blpop"), [1, 0, 0]);
        c.expect("CONFIG RESETSTAT", ok());
        c.expect(&["BLPOP", a, b, "0.01"], nil_array());
        assert_eq!(counts(&mut c, "blpop"), [1, 0, 0]);
    });
}

#[test]
fn commands_that_are_answered_later_are_counted() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("CONFIG RESETSTAT", ok());
        c.expect("SAVE", ok());
        c.expect_error("SCAN x", "ERR invalid cursor");
        assert_eq!(counts(&mut c, "save"), [1, 0, 0]);
        assert_eq!(counts(&mut c, "scan"), [1, 0, 1]);
    });
}

#[test]
fn the_keyspace_is_summed() {
    each_setup(|s| {
        let mut c = s.client();
        for at in 0..20 {
            c.expect(&args!["SET", format!("key{at}"), at], ok());
        }
        c.expect("SET last 1 EX 1000", ok());
        let line = field(&mut c, "keyspace", "db0");
        assert!(line.starts_with("keys=21,expires=1,avg_ttl="), "{line}");
        c.expect("SELECT 3", ok());
        c.expect("SET other 1", ok());
        assert!(field(&mut c, "keyspace", "db3").starts_with("keys=1,expires=0,avg_ttl=0"));
    });
}

#[test]
fn hits_and_misses_are_summed() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("CONFIG RESETSTAT", ok());
        for at in 0..10 {
            c.expect(&args!["SET", format!("key{at}"), at], ok());
            c.expect(&args!["GET", format!("key{at}")], bulk(at.to_string()));
            c.expect(&args!["GET", format!("nokey{at}")], nil());
        }
        assert_eq!(number(&mut c, "stats", "keyspace_hits"), 10);
        assert_eq!(number(&mut c, "stats", "keyspace_misses"), 10);
        assert!(number(&mut c, "stats", "total_net_input_bytes") > 100);
        assert!(number(&mut c, "clients", "connected_clients") >= 1);
    });
}

#[test]
fn memory_grows_with_data() {
    each_setup(|s| {
        let mut c = s.client();
        let before = number(&mut c, "memory", "used_memory");
        c.expect(&args!["SET", "big", vec![b'x'; 4 << 20]], ok());
        let after = number(&mut c, "memory", "used_memory");
        assert!(after - before >= 4 << 20, "{before} to {after}");
        assert!(number(&mut c, "memory", "used_memory_peak") >= after);
        assert!(field(&mut c, "memory", "used_memory_human").ends_with(['K', 'M', 'G']));
        assert_eq!(field(&mut c, "memory", "maxmemory"), "0");
        assert_eq!(field(&mut c, "memory", "maxmemory_policy"), "noeviction");
    });
}

#[test]
fn resetstat_resets_what_was_given_back_and_saved_but_not_the_peak() {
    each_setup(|s| {
        let mut c = s.client();
        let members: Vec<String> = (0..3000).map(|n| format!("{n:0100}")).collect();
        let add: Vec<&str> = ["SADD", "big"].into_iter().chain(members.iter().map(String::as_str)).collect();
        c.expect(&add[..], 3000);
        c.expect("UNLINK big", 1);
        wait_until("its memory is given back", Duration::from_secs(60), || {
            number(&mut c, "memory", "lazyfreed_objects") > 0
        });
        c.expect("SAVE", ok());
        assert!(number(&mut c, "persistence", "rdb_saves") > 0);
        let peak = number(&mut c, "memory", "used_memory_peak");
        c.expect("CONFIG RESETSTAT", ok());
        assert_eq!(number(&mut c, "memory", "lazyfreed_objects"), 0);
        assert_eq!(number(&mut c, "persistence", "rdb_saves"), 0);
        assert!(number(&mut c, "memory", "used_memory_peak") >= peak);
    });
}

#[test]
fn shards_show_their_own_numbers() {
    each_setup(|s| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        let text = c.call("INFO shards").text();
        let shards = text.lines().filter(|line| line.starts_with("shard") && line.contains("keys=")).count();
        assert_eq!(shards, s.shards());
        assert!(text.contains("expire_lag_p99_ms="));
        assert_eq!(number(&mut c, "shards", "shard_count"), s.shards() as i64);
    });
}

#[test]
fn info_tells_what_scripts_take() {
    with_server(Options::threads, |s| {
        let mut c = s.client();
        let figures = |c: &mut Client| {
            let text = c.call("INFO memory").text();
            move |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
                line.unwrap_or_else(|| panic!("{name}")).parse::<u64>().unwrap()
            }
        };
        let before = figures(&mut c);
        assert_eq!((before("number_of_cached_scripts"), before("used_memory_scripts_eval")), (0, 0));
        c.expect(&["EVAL", "return 1", "0"], 1);
        c.expect(&["EVAL", "return 1", "0"], 1);
        c.call(&["SCRIPT", "LOAD", "return 2"]);
        c.call(&["EVAL", "this is no program", "0"]);
        let scripts = figures(&mut c);
        assert_eq!(scripts("number_of_cached_scripts"), 2);
        assert!(scripts("used_memory_scripts_eval") > 16);
        assert!(
            scripts("used_memory_lua") > 10_000
                && scripts("used_memory_vm_eval") == scripts("used_memory_lua")
        );
        let vm = |figures: &dyn Fn(&str) -> u64| {
            figures("used_memory_vm_eval") + figures("used_memory_vm_functions")
        };
        assert_eq!(scripts("used_memory_vm_total"), vm(&scripts));
        let library = "#!lua name=l\nredis.register_function('f', function() return 1 end)";
        c.expect(&["FUNCTION", "LOAD", library], bulk("l"));
        let functions = figures(&mut c);
        assert!(functions("used_memory_functions") > before("used_memory_functions") + library.len() as u64);
        let both = functions("used_memory_functions") + functions("used_memory_scripts_eval");
        assert_eq!(functions("used_memory_scripts"), both);
        // Scripts leave nothing in the machine that they ran in.
        let mut used = [0, 0];
        for used in &mut used {
            for _ in 0..3000 {
                c.expect(&["EVAL", "return 1", "0"], 1);
            }
            *used = figures(&mut c)("used_memory_lua");
        }
        assert!(used[1] < used[0] + 64_000, "{used:?}");
        c.expect("SCRIPT FLUSH", ok());
        c.expect("FUNCTION FLUSH", ok());
        let after = figures(&mut c);
        assert_eq!((after("number_of_cached_scripts"), after("used_memory_scripts_eval")), (0, 0));
        assert_eq!(after("used_memory_functions"), before("used_memory_functions"));
    });
}

#[test]
fn commands_of_a_script_that_begins_anew_are_counted_once() {
    each_placement(|s| {
        let mut c = s.client();
        let [a, b] = &s.keys(["a", "b"]);
        let source = "redis.call('set', KEYS[1], 'x') redis.pcall('incr', KEYS[1]) redis.pcall('get') \
                      return redis.call('incr', ARGV[1]) -- counted once";
        for n in 1..=2 {
            c.expect("CONFIG RESETSTAT", ok());
            c.expect(&["EVAL", source, "1", a, b], n);
            let calls = |c: &mut Client, name: &str| {
                let text = c.call("INFO commandstats").text();
                let line =
                    text.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))).unwrap_or("");
                let fields = line.split([':', ',']).filter(|field| !field.starts_with("usec"));
                fields.skip(1).map(str::to_owned).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(calls(&mut c, "set"), "calls=1 rejected_calls=0 failed_calls=0");
            assert_eq!(calls(&mut c, "incr"), "calls=2 rejected_calls=0 failed_calls=1");
            assert_eq!(calls(&mut c, "eval"), "calls=1 rejected_calls=0 failed_calls=0");
            // The call that was refused, too.
            assert_eq!(field(&mut c, "errorstats", "errorstat_ERR"), "count=2");
        }
    });
}
