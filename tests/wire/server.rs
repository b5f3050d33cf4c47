//! DEBUG, TIME, ROLE, WAIT, LOLWUT and the errors of SHUTDOWN.

use crate::support::*;

#[test]
fn protocol_shows_every_type() {
    each_setup(|s| {
        let mut c = s.client();
        let three = || vec![int(0), int(1), int(2)];
        c.expect("DEBUG PROTOCOL string", bulk("Hello World"));
        c.expect("DEBUG PROTOCOL integer", int(12345));
        c.expect("DEBUG PROTOCOL double", double("3.141"));
        c.expect("DEBUG PROTOCOL bignum", big_number("1234567999999999999999999999999999999"));
        c.expect("DEBUG PROTOCOL null", nil());
        c.expect("DEBUG PROTOCOL array", Value::Array(three()));
        c.expect("DEBUG PROTOCOL set", Value::Set(three()));
        c.expect("DEBUG PROTOCOL true", boolean(true));
        c.expect("DEBUG PROTOCOL false", boolean(false));
        c.expect("DEBUG PROTOCOL verbatim", verbatim("txt", "This is a verbatim\nstring"));
        c.expect_error(
            "DEBUG PROTOCOL nosuch",
            "ERR Wrong protocol type name. Please use one of the following: ",
        );
        if c.protocol() == Protocol::Resp2 {
            c.expect("DEBUG PROTOCOL push", err("ERR RESP2 is not supported by this command"));
            c.expect("DEBUG PROTOCOL attrib", bulk("Some real reply following the attribute"));
        }
    });
}

#[test]
fn digests_are_those_of_redis() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("DEBUG DIGEST", simple("0000000000000000000000000000000000000000"));
        c.expect("DEBUG DIGEST-VALUE nosuch", array([simple("0000000000000000000000000000000000000000")]));
        c.expect("DEBUG DIGEST-VALUE", Value::Array(vec![]));
        c.expect("SET a 1", ok());
        c.expect("SET b hello", ok());
        c.expect("SET c hello PX 100000000", ok());
        c.expect("SELECT 3", ok());
        c.expect("SET a 1", ok());
        c.expect("SELECT 0", ok());
        // As redis-server 7.0.15 answers for the same data.
        c.expect("DEBUG DIGEST", simple("3445b3ade7e069e070df54836e7abbee6fe90449"));
        c.expect(
            "DEBUG DIGEST-VALUE a b c",
            array([
                simple("b4fc66738120fba0b5aa500ab5c2bf89cea1c5da"),
                simple("36b23a1456b2dce2c3ed252c456761301dba8060"),
                simple("d037c4eb8a8b36b602fbced4000daeab0714c1e3"),
            ]),
        );
    });
}

#[test]
fn populate_makes_keys_on_every_shard_and_keeps_those_that_are_there() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("SET key:3 mine", ok());
        c.expect("DEBUG POPULATE 100", ok());
        c.expect("GET key:3", bulk("mine"));
        c.expect("GET key:99", bulk("value:99"));
        c.expect("GET key:100", nil());
        c.expect("DEBUG POPULATE 2 other 10", ok());
        c.expect("GET other:1", bulk("value:1\0\0\0"));
        c.expect("DEBUG POPULATE 2 short 3", ok());
        c.expect("GET short:1", bulk("val"));
        c.expect("DEBUG POPULATE -1", err("ERR value is out of range, must be positive"));
        c.expect("DEBUG POPULATE x", err("ERR value is not an integer or out of range"));
    });
}

#[test]
fn object_describes_a_value() {
    each_setup(|s| {
        let mut c = s.client();
        let long = "x".repeat(100);
        for (value, encoding, length) in [
            ("12", "int", 2),
            ("300", "int", 3),
            ("100000", "int", 5),
            ("hello", "embstr", 6),
            (&long, "raw", 13),
        ] {
            let key = s.key("k");
            c.expect(&args!["SET", key, value], ok());
            let line = c.call(&args!["DEBUG", "OBJECT", key]).text();
            assert!(line.starts_with("Value at:0x"), "{line}");
            assert!(line.contains(&format!(" encoding:{encoding} serializedlength:{length} lru:")), "{line}");
            // How long it took to ask, on a machine that has much to do.
            let idle = line.rsplit_once(" lru_seconds_idle:").and_then(|(_, idle)| idle.parse::<u64>().ok());
            assert!(idle.is_some_and(|idle| idle < 60), "{line}");
        }
        c.expect("DEBUG OBJECT nosuch", err("ERR no such key"));
    });
}

#[test]
fn what_debug_does_not_know_or_cannot_do() {
    each_setup(|s| {
        let mut c = s.client();
        for word in ["NOSUCH", "JMAP", "SLEEP", "OBJECT"] {
            let text =
                format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP.");
            c.expect(&["DEBUG", word], err(&text));
        }
        c.expect_error("DEBUG RELOAD x", "ERR DEBUG RELOAD only supports");
        c.expect_error("DEBUG LOADAOF", "ERR Error trying to load the AOF files, check server logs.");
        c.expect_error("DEBUG CHANGE-REPL-ID", "ERR this version does not replicate");
        c.expect("DEBUG ERROR sorry", err("sorry"));
        c.expect("DEBUG LOG line", ok());
        c.expect("DEBUG STRINGMATCH-LEN hello h*o", int(1));
        c.expect("DEBUG SLEEP 0.001", ok());
        c.expect("DEBUG SLEEP x", ok());
        c.expect("DEBUG SET-ACTIVE-EXPIRE 0", ok());
        c.expect("DEBUG SET-ACTIVE-EXPIRE 1", ok());
        c.expect("DEBUG HTSTATS 99", err("ERR Out of range database"));
        assert!(c.call("DEBUG HTSTATS 0").text().contains("keys: "));
        assert!(c.call("DEBUG SHARD").int() < 3);
        let lines = c.call("DEBUG HELP").elements();
        assert_eq!(lines[0], simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    });
}

#[test]
fn time_role_wait_and_lolwut() {
    each_setup(|s| {
        let mut c = s.client();
        let time = c.call("TIME").elements();
        assert_eq!(time.len(), 2);
        let seconds: u64 = time[0].text().parse().expect("a number");
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        assert!(now.abs_diff(seconds) < 60, "{seconds}");
        assert!(time[1].text().parse::<u32>().expect("a number") < 1_000_000);
        c.expect("TIME x", err("ERR wrong number of arguments for 'time' command"));
        c.expect("ROLE", array([bulk("master"), int(0), Value::Array(vec![])]));
        c.expect("WAIT 0 0", int(0));
        c.expect("WAIT 2 100", int(0));
        c.expect("WAIT x 1", err("ERR value is not an integer or out of range"));
        c.expect("WAIT 1 x", err("ERR timeout is not an integer or out of range"));
        c.expect("WAIT 1 -1", err("ERR timeout is negative"));
        assert!(c.call("LOLWUT").text().contains("coreshard ver. "));
        assert!(c.call("LOLWUT VERSION 5 1 1 1").text().contains("coreshard ver. "));
        c.expect("LOLWUT VERSION x", err("ERR value is not an integer or out of range"));
    });
}

#[test]
fn shutdown_refuses() {
    each_setup(|s| {
        let mut c = s.client();
        for command in ["SHUTDOWN x", "SHUTDOWN SAVE NOSAVE", "SHUTDOWN ABORT NOW"] {
            c.expect(command, err("ERR syntax error"));
        }
        c.expect("SHUTDOWN ABORT", err("ERR No shutdown in progress."));
        c.expect("MULTI", ok());
        c.expect("SHUTDOWN", err("ERR Command not allowed inside a transaction"));
        c.expect("DISCARD", ok());
        c.expect("PING", simple("PONG"));
    });
}
