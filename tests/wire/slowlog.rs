//! SLOWLOG and COMMANDLOG.

use crate::support::*;

/// Logs everything from now on, and nothing of before.
fn log_everything(s: &Setup, c: &mut Client) {
    s.config("slowlog-log-slower-than", "0");
    c.expect("SLOWLOG RESET", ok());
}

/// The arguments of the entries, newest first.
fn commands(c: &mut Client, count: i64) -> Vec<String> {
    let entries = c.call(&args!["SLOWLOG", "GET", count]).elements();
    let words =
        |entry: &Value| entry.elements()[3].elements().iter().map(Value::text).collect::<Vec<_>>().join(" ");
    entries.iter().map(words).collect()
}

#[test]
fn every_command_is_logged_with_its_client() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b", "c"]);
        log_everything(s, &mut c);
        for key in &keys {
            c.expect(&args!["SET", key, "v"], ok());
        }
        c.expect(&args!["MGET", &keys[0], &keys[1], &keys[2]], array([bulk("v"), bulk("v"), bulk("v")]));
        let address = c.local_address().to_string();
        let entries = c.call("SLOWLOG GET 4").elements();
        assert_eq!(entries.len(), 4);
        let mut id = None;
        for entry in &entries {
            let parts = entry.elements();
            assert_eq!(parts.len(), 6);
            assert!(id.is_none_or(|newer| parts[0].int() < newer), "ids fall");
            id = Some(parts[0].int());
            assert!(parts[1].int() > 1_600_000_000 && parts[2].int() >= 0);
            assert_eq!(parts[4].text(), address);
            assert_eq!(parts[5].text(), "");
        }
        let shown = commands(&mut c, 5);
        assert_eq!(shown[0], "SLOWLOG GET 4");
        assert_eq!(shown[1], format!("MGET {} {} {}", keys[0], keys[1], keys[2]));
        assert_eq!(
            shown[2..],
            [format!("SET {} v", keys[2]), format!("SET {} v", keys[1]), format!("SET {} v", keys[0])]
        );
    });
}

#[test]
fn long_commands_are_cut() {
    each_placement(|s| {
        let mut c = s.client();
        log_everything(s, &mut c);
        let long = "x".repeat(129);
        c.expect(&args!["SET", s.key("k"), &long], ok());
        assert!(commands(&mut c, 1)[0].ends_with(&format!(" {}... (1 more bytes)", "x".repeat(128))));
        let many: Vec<String> =
            std::iter::once("DEL".to_owned()).chain((0..32).map(|at| format!("k{at}"))).collect();
        c.expect(&many, int(0));
        let entry = c.call("SLOWLOG GET 1").elements()[0].elements()[3].elements();
        assert_eq!(entry.len(), 32);
        assert_eq!(entry[31].text(), "... (2 more arguments)");
    });
}

#[test]
fn the_log_has_a_length() {
    each_setup(|s| {
        let mut c = s.client();
        log_everything(s, &mut c);
        s.config("slowlog-max-len", "5");
        for at in 0..30 {
            c.expect(&args!["SET", format!("k{at}"), at], ok());
        }
        c.expect("SLOWLOG LEN", int(5));
        assert_eq!(commands(&mut c, -1).len(), 5);
        assert_eq!(commands(&mut c, 2).len(), 2);
        assert_eq!(commands(&mut c, 0).len(), 0);
        s.config("slowlog-log-slower-than", "-1");
        c.expect("SLOWLOG RESET", ok());
        c.expect("SET k v", ok());
        c.expect("SLOWLOG LEN", int(0));
        s.config("slowlog-log-slower-than", "100000000");
        c.expect("SET k v", ok());
        c.expect("SLOWLOG LEN", int(0));
    });
}

#[test]
fn blocks_show_their_commands() {
    each_placement(|s| {
        let mut c = s.client();
        let keys = s.keys(["a", "b"]);
        log_everything(s, &mut c);
        c.expect("MULTI", ok());
        c.expect(&args!["SET", &keys[0], 1], simple("QUEUED"));
        c.expect(&args!["SET", &keys[1], 2], simple("QUEUED"));
        c.expect("EXEC", array([ok(), ok()]));
        let mut shown = commands(&mut c, 3);
        shown.sort();
        assert_eq!(shown, ["MULTI".to_owned(), format!("SET {} 1", keys[0]), format!("SET {} 2", keys[1])]);
    });
}

#[test]
fn secrets_are_not_logged() {
    each_setup(|s| {
        let mut c = s.client();
        log_everything(s, &mut c);
        c.expect(&["CONFIG", "SET", "masterauth", "secret", "maxmemory-samples", "5"], ok());
        assert_eq!(commands(&mut c, 1), ["CONFIG SET masterauth (redacted) maxmemory-samples 5"]);
        c.expect(&["CONFIG", "SET", "masterauth", ""], ok());
    });
}

#[test]
fn wrong_requests_are_refused() {
    each_setup(|s| {
        let mut c = s.client();
        let count = "ERR count should be greater than or equal to -1";
        c.expect("SLOWLOG GET -2", err(count));
        c.expect("SLOWLOG GET x", err(count));
        c.expect(
            "SLOWLOG GET 1 2",
            err("ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP."),
        );
        c.expect("SLOWLOG LEN 1", err("ERR wrong number of arguments for 'slowlog|len' command"));
        c.expect("SLOWLOG nosuch", err("ERR unknown subcommand 'nosuch'. Try SLOWLOG HELP."));
        c.expect("SLOWLOG", err("ERR wrong number of arguments for 'slowlog' command"));
        assert!(c.call("SLOWLOG HELP").elements()[0].text().starts_with("SLOWLOG <subcommand> "));
    });
}

#[test]
fn large_requests_and_replies_are_logged() {
    each_placement(|s| {
        if s.is_redis() {
            return;
        }
        let mut c = s.client();
        s.config("commandlog-request-larger-than", "1000");
        s.config("commandlog-reply-larger-than", "1000");
        for log in ["large-request", "large-reply", "slow"] {
            c.expect(&["COMMANDLOG", "RESET", log], ok());
        }
        let key = s.key("k");
        c.expect(&args!["SET", &key, "x".repeat(2000)], ok());
        c.expect(&args!["GET", &key], bulk("x".repeat(2000)));
        c.expect("COMMANDLOG LEN large-request", int(1));
        c.expect("COMMANDLOG LEN LARGE-REPLY", int(1));
        let entry = c.call("COMMANDLOG GET -1 large-request").elements()[0].elements();
        assert_eq!(entry[2].int(), (3 + key.len() + 2000) as i64);
        let entry = c.call("COMMANDLOG GET 1 large-reply").elements()[0].elements();
        assert_eq!(entry[2].int(), 2009);
        assert_eq!(entry[3].elements()[0].text(), "GET");
        c.expect_error("COMMANDLOG LEN nosuch", "ERR type should be one of the following");
    });
}
