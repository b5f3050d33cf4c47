//! MONITOR: what it shows, of whom, and in which order.

use crate::support::*;

/// A monitor, and a client whose address the lines are compared with.
struct Watching {
    monitor: Client,
    client: Client,
}

impl Watching {
    fn begin(s: &Setup) -> Watching {
        let client = s.client();
        let mut monitor = s.client();
        monitor.expect("MONITOR", ok());
        Watching { monitor, client }
    }

    /// The next line about our client, without time, address and database's brackets: `db "WORD" ...`; or
    /// about a command of a script: `db lua "WORD" ...`.
    #[track_caller]
    fn next(&mut self) -> String {
        let address = self.client.local_address().to_string();
        loop {
            let line = self.monitor.recv().text();
            let (time, rest) = line.split_once(" [").unwrap_or_else(|| panic!("no bracket in {line}"));
            let (seconds, micros) = time.split_once('.').unwrap_or_else(|| panic!("no point in {line}"));
            assert!(seconds.parse::<u64>().is_ok() && micros.len() == 6, "{line}");
            let (from, words) = rest.split_once("] ").unwrap_or_else(|| panic!("no bracket in {line}"));
            let (db, peer) = from.split_once(' ').unwrap_or_else(|| panic!("no address in {line}"));
            if peer == address {
                return format!("{db} {words}");
            }
            if peer == "lua" {
                return format!("{db} lua {words}");
            }
        }
    }

    #[track_caller]
    fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.next(), *line);
        }
    }
}

#[test]
fn commands_are_shown_as_they_run() {
    each_placement(|s| {
        let [one, two] = s.keys(["one", "two"]);
        let mut w = Watching::begin(s);
        w.client.expect(&args!["SET", &one, "1"], ok());
        w.client.expect(&args!["GET", &two], nil());
        w.client.expect(&args!["MGET", &one, &two], array([bulk("1"), nil()]));
        w.client.expect("SELECT 2", ok());
        w.client.expect(&args!["ECHO", b"a\"\\\n\r\t\x07\x08\x00\xff"], bulk(b"a\"\\\n\r\t\x07\x08\x00\xff"));
        let lines = [
            format!("0 \"SET\" \"{one}\" \"1\""),
            format!("0 \"GET\" \"{two}\""),
            format!("0 \"MGET\" \"{one}\" \"{two}\""),
            "2 \"SELECT\" \"2\"".to_owned(),
            "2 \"ECHO\" \"a\\\"\\\\\\n\\r\\t\\a\\b\\x00\\xff\"".to_owned(),
        ];
        w.expect(&lines.each_ref().map(String::as_str));
    });
}

#[test]
fn blocks_are_shown_when_they_run() {
    each_placement(|s| {
        let [one, two] = s.keys(["one", "two"]);
        let mut w = Watching::begin(s);
        w.client.expect("MULTI", ok());
        w.client.expect(&args!["SET", &one, "1"], simple("QUEUED"));
        w.client.expect(&args!["SET", &two, "2"], simple("QUEUED"));
        w.client.expect(&args!["MGET", &one, &two], simple("QUEUED"));
        w.client.expect("PING", simple("QUEUED"));
        w.client.expect("exec", array([ok(), ok(), array([bulk("1"), bulk("2")]), simple("PONG")]));
        let lines = [
            "0 \"MULTI\"".to_owned(),
            format!("0 \"SET\" \"{one}\" \"1\""),
            format!("0 \"SET\" \"{two}\" \"2\""),
            format!("0 \"MGET\" \"{one}\" \"{two}\""),
            "0 \"PING\"".to_owned(),
            "0 \"exec\"".to_owned(),
        ];
        w.expect(&lines.each_ref().map(String::as_str));
    });
}

#[test]
fn what_does_not_run_is_not_shown() {
    each_setup(|s| {
        let mut w = Watching::begin(s);
        w.client.expect_error("NOSUCH", "ERR unknown command");
        w.client.expect_error("GET", "ERR wrong number");
        w.client.expect("CONFIG GET port", map([("port", bulk(s.server().port().to_string()))]));
        // However many there are: on a busy machine anything may be slow.
        w.client.expect_that("SLOWLOG LEN", |len| matches!(len, Value::Int(_)));
        w.client.expect("EXEC", err("ERR EXEC without MULTI"));
        w.client.expect("PING", simple("PONG"));
        w.expect(&["0 \"EXEC\"", "0 \"PING\""]);
    });
}

#[test]
fn secrets_are_not_shown() {
    each_setup(|s| {
        let mut w = Watching::begin(s);
        w.client.expect_error("AUTH nosuchuser pass", "");
        w.client.call("HELLO 2 AUTH nosuchuser pass SETNAME x");
        w.expect(&[
            "0 \"AUTH\" \"(redacted)\" \"(redacted)\"",
            "0 \"HELLO\" \"2\" \"AUTH\" \"(redacted)\" \"(redacted)\" \"SETNAME\" \"x\"",
        ]);
    });
}

#[test]
fn a_monitor_may_not_touch_keys() {
    each_setup(|s| {
        let mut monitor = s.client();
        monitor.expect("MONITOR", ok());
        monitor.send("GET k");
        monitor.expect_next(err("ERR Replica can't interact with the keyspace"));
        let mut c = s.client();
        c.expect("MULTI", ok());
        c.expect("MONITOR", simple("QUEUED"));
        c.expect("EXEC", array([err("ERR MONITOR isn't allowed for DENY BLOCKING client")]));
    });
}

#[test]
fn scripts_are_shown_before_their_commands_and_once() {
    each_placement(|s| {
        let [one, two] = s.keys(["one", "two"]);
        let mut w = Watching::begin(s);
        // The second key is undeclared: elsewhere, it makes the script begin anew.
        let source = "redis.call('set', KEYS[1], 'v') redis.pcall('get') redis.pcall('lpush', KEYS[1], 'x') \
                      redis.call('select', 2) redis.call('publish', 'channel', 'm') redis.call('select', 0) \
                      return redis.call('incr', ARGV[1])";
        let lines = |eval: &str, source: &str| {
            [
                format!("0 \"{eval}\" \"{source}\" \"1\" \"{one}\" \"{two}\""),
                format!("0 lua \"set\" \"{one}\" \"v\""),
                format!("0 lua \"lpush\" \"{one}\" \"x\""),
                "2 lua \"select\" \"2\"".to_owned(),
                "2 lua \"publish\" \"channel\" \"m\"".to_owned(),
                "0 lua \"select\" \"0\"".to_owned(),
                format!("0 lua \"incr\" \"{two}\""),
            ]
        };
        for n in 1..=2 {
            w.client.expect(&["EVAL", source, "1", &one, &two], n);
            w.expect(&lines("EVAL", source).each_ref().map(String::as_str));
        }
        w.client.expect("MULTI", ok());
        w.client.expect(&["EVAL", source, "1", &one, &two], simple("QUEUED"));
        w.client.expect("EXEC", array([int(3)]));
        w.expect(&["0 \"MULTI\""]);
        w.expect(&lines("EVAL", source).each_ref().map(String::as_str));
        w.expect(&["0 \"EXEC\""]);
        let library =
            "#!lua name=l\nredis.register_function('f', function(k) return redis.call('echo', k[1]) end)";
        w.client.expect(&["FUNCTION", "LOAD", "REPLACE", library], bulk("l"));
        w.next();
        w.client.expect(&["FCALL", "f", "1", &one], one.as_str());
        w.expect(&[&format!("0 \"FCALL\" \"f\" \"1\" \"{one}\""), &format!("0 lua \"echo\" \"{one}\"")]);
        w.client.expect("FUNCTION FLUSH", ok());
    });
}
