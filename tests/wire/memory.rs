//! MEMORY.

use crate::support::*;

#[test]
fn usage_grows_with_the_value() {
    each_placement(|s| {
        let mut c = s.client();
        let key = s.key("k");
        c.expect(&args!["MEMORY", "USAGE", &key], nil());
        c.expect(&args!["SET", &key, "v"], ok());
        let small = c.call(&args!["MEMORY", "USAGE", &key]).int();
        assert!((1..200).contains(&small), "{small}");
        c.expect(&args!["SET", &key, "x".repeat(100_000)], ok());
        let large = c.call(&args!["memory", "usage", &key, "samples", "0"]).int();
        assert!((100_000..120_000).contains(&large), "{large}");
        c.expect("SELECT 1", ok());
        c.expect(&args!["MEMORY", "USAGE", &key], nil());
    });
}

#[test]
fn usage_checks_its_options() {
    each_setup(|s| {
        let mut c = s.client();
        for command in ["MEMORY USAGE k SAMPLES", "MEMORY USAGE k SAMPLES -1", "MEMORY USAGE k nosuch 1"] {
            c.expect(command, err("ERR syntax error"));
        }
        c.expect("MEMORY USAGE k SAMPLES x", err("ERR value is not an integer or out of range"));
        c.expect("MEMORY USAGE k SAMPLES 1 SAMPLES 2", nil());
        c.expect("MEMORY USAGE", err("ERR wrong number of arguments for 'memory|usage' command"));
        c.expect("MEMORY", err("ERR wrong number of arguments for 'memory' command"));
    });
}

#[test]
fn stats_tell_where_memory_goes() {
    each_setup(|s| {
        let mut c = s.client();
        for at in 0..10 {
            c.expect(&args!["SET", format!("k{at}"), at], ok());
        }
        let stats = c.call("MEMORY STATS");
        assert_eq!(stats.field("keys.count").int(), 10);
        let total = stats.field("total.allocated").int();
        assert!(stats.field("peak.allocated").int() >= total);
        assert!(total > stats.field("overhead.total").int());
        assert!(stats.field("dataset.bytes").int() > 0);
        assert!(stats.field("db.0").field("overhead.hashtable.main").int() > 0);
        assert!(stats.field("fragmentation").text().parse::<f64>().is_ok());
    });
}

#[test]
fn the_rest_answers() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("MEMORY PURGE", ok());
        assert!(!c.call("MEMORY DOCTOR").text().is_empty());
        assert!(!c.call("MEMORY MALLOC-STATS").text().is_empty());
        assert!(c.call("MEMORY HELP").elements().len() > 5);
    });
}
