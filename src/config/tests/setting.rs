//! CONFIG SET and CONFIG GET.

use super::*;

/// Expected texts are the replies of Redis 7.0.15.
#[test]
fn config_set_refuses_in_redis_words() {
    for (name, value, text) in [
        ("maxmemory", "abc", "argument must be a memory value"),
        ("maxmemory-clients", "101%", "percentage argument must be less or equal to 100"),
        ("maxmemory-clients", "x", "argument must be a memory or percent value"),
        ("port", "abc", "argument couldn't be parsed into an integer"),
        ("port", "70000", "argument must be between 0 and 65535 inclusive"),
        ("timeout", "-1", "argument must be between 0 and 2147483647 inclusive"),
        ("databases", "3", "can't set immutable config"),
        ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
        ("appendfsync", "foo", "argument(s) must be one of the following: everysec, always, no"),
        ("save", "a b", "Invalid save parameters"),
        ("save", "900 1  60 2", "Invalid save parameters"),
        (
            "client-output-buffer-limit",
            "normal 1",
            "Wrong number of arguments in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "master 1 2 3",
            "Invalid client class specified in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit",
            "normal 1x 2 3",
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        ("oom-score-adj-values", "1 2", "wrong number of arguments"),
        (
            "oom-score-adj-values",
            "1 2 3000",
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.",
        ),
        ("notify-keyspace-events", "q", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
        (
            "latency-tracking-info-percentiles",
            "50 101",
            "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
        ),
        ("latency-tracking-info-percentiles", "50 x", "Invalid latency-tracking-info-percentiles parameters"),
        (
            "shutdown-on-sigterm",
            "save nosave",
            "shutdown options SAVE and NOSAVE can't be used simultaneously",
        ),
        ("proto-max-bulk-len", "1", "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ("proc-title-template", "{foo}", "template format is invalid or contains unknown variables"),
        ("proc-title-template", "", "template format is invalid or contains unknown variables"),
        ("dbfilename", "a/b", "dbfilename can't be a path, just a filename"),
        (
            "cluster-announce-hostname",
            "a_b",
            "Hostnames may only contain alphanumeric characters, hyphens or dots",
        ),
        ("dir", "/no/such/directory", "No such file or directory"),
        ("foo", "1", "Unknown option or number of arguments for CONFIG SET - 'foo'"),
    ] {
        assert_eq!(refused(name, value), text, "{name} {value}");
    }
}

#[test]
fn config_set_changes_all_or_nothing_and_says_what() {
    let mut config = Config::default();
    let before = config.clone();
    let error = set(&mut config, &[("hz", "50"), ("PORT", "x")]).unwrap_err();
    assert_eq!(
        error,
        "CONFIG SET failed (possibly related to argument 'port') - argument couldn't be parsed into an integer"
    );
    assert_eq!(config, before);
    assert_eq!(set(&mut config, &[("hz", "50"), ("timeout", "0")]), Ok(vec!["hz"]));
    assert_eq!(set(&mut config, &[("tls-cert-file", "")]), Ok(vec!["tls-cert-file"]));
    let error = set(&mut config, &[("hz", "1"), ("HZ", "2")]).unwrap_err();
    assert!(error.ends_with("'HZ') - duplicate parameter"), "{error}");
    // Redis: under another name it is not a duplicate, and the last one stays.
    let pairs = [("hash-max-ziplist-entries", "5"), ("hash-max-listpack-entries", "6")];
    assert_eq!(set(&mut config, &pairs), Ok(vec!["hash-max-listpack-entries"]));
    assert_eq!(show(&config, "hash-max-ziplist-entries"), "6");
    assert_eq!(refused("lua-time-limit", "x"), "argument couldn't be parsed into an integer");

    let set = |config: &mut Config, pair: (&str, &str), context| {
        config.set_many(&[(pair.0.as_bytes(), pair.1.as_bytes())], context)
    };
    let refused = set(&mut config, ("dir", "/"), SetContext::default()).unwrap_err().to_string();
    assert!(refused.ends_with("can't set protected config"), "{refused}");
    let loading = SetContext { loading: true, protected_allowed: false };
    assert_eq!(set(&mut config, ("repl-diskless-load", "swapdb"), loading), Err(ConfigSetError::Loading));
}

#[test]
fn values_are_shown_in_their_normal_form() {
    let mut config = Config::default();
    for (name, value, shown) in [
        ("maxmemory", "", "0"),
        ("maxmemory", "1gb", "1073741824"),
        ("maxmemory-clients", "5%", "5%"),
        ("maxmemory-clients", "1mb", "1048576"),
        ("hz", "1000", "500"),
        ("hz", "0", "1"),
        ("loglevel", "NOTICE", "notice"),
        ("save", "", ""),
        ("save", "60 1 30 2", "60 1 30 2"),
        (
            "client-output-buffer-limit",
            "replica 1mb 2 3",
            "normal 0 0 0 slave 1048576 2 3 pubsub 33554432 8388608 60",
        ),
        ("notify-keyspace-events", "KEA", "AKE"),
        ("notify-keyspace-events", "KEg$lshzxetd", "AKE"),
        ("notify-keyspace-events", "nmK", "nKm"),
        ("notify-keyspace-events", "VISThEm", "hEmSTIV"),
        ("notify-keyspace-events", "TA", "AT"),
        ("latency-tracking-info-percentiles", "50.123456789 99", "50.123457 99"),
        ("latency-tracking-info-percentiles", "", ""),
        ("shutdown-on-sigterm", "now save", "save now"),
        ("shutdown-on-sigterm", "default", "default"),
        ("oom-score-adj", "relative", "yes"),
        ("cluster-link-sendbuf-limit", "18446744073709551615", "18446744073709551615"),
        ("bind", "", ""),
        ("requirepass", "a b", "a b"),
    ] {
        set(&mut config, &[(name, value)]).unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        assert_eq!(show(&config, name), shown, "{name} {value}");
    }
}

#[test]
fn config_get_takes_names_and_patterns() {
    let config = Config::default();
    // A pattern is a prefix and a star here; the real matcher belongs to another room.
    let matches = |pattern: &[u8], name: &str| {
        let prefix = pattern.strip_suffix(b"*").unwrap_or(pattern);
        name.len() >= prefix.len() && name.as_bytes()[..prefix.len()].eq_ignore_ascii_case(prefix)
    };
    let names = |patterns: &[&str]| -> Vec<String> {
        let patterns: Vec<&[u8]> = patterns.iter().map(|pattern| pattern.as_bytes()).collect();
        let found = config.get(&patterns, &matches);
        found.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect()
    };
    assert_eq!(names(&["MaxMemory", "maxmemory"]), ["MaxMemory"]);
    assert_eq!(names(&["nothing"]), Vec::<String>::new());
    assert_eq!(
        names(&["zset-max-listpack-v*", "zset-max-ziplist-v*"]),
        ["zset-max-listpack-value", "zset-max-ziplist-value"]
    );
    assert_eq!(names(&["use-exit*"]), Vec::<String>::new());
    assert_eq!(names(&["use-exit-on-panic"]), ["use-exit-on-panic"]);
    let all = names(&["*"]);
    assert!(all.len() > TABLE.len());
    assert!(Config::is_sensitive(b"REQUIREPASS") && !Config::is_sensitive(b"port"));
}
