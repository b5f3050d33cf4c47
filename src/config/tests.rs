//! The table is sound, and what derives from it behaves as Redis does.

use std::collections::HashSet;
use std::ffi::OsString;

use super::rewrite::{OwnedLines, RewriteError, rewrite, rewrite_file};
use super::setting::{Kind, Traits};
use super::settings::TABLE;
use super::*;
use proptest::prelude::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    let mut loader = load::Loader::new();
    loader.text(text.as_bytes(), &Origin::Stdin)?;
    loader.finish()
}

fn refusal(text: &str) -> String {
    load(text).expect_err("the configuration should be refused").to_string()
}

fn show(config: &Config, name: &str) -> String {
    let (id, _) = Id::find(name.as_bytes()).expect("a known setting");
    String::from_utf8(config.show(id)).expect("UTF-8")
}

fn set(config: &mut Config, pairs: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let context = SetContext { loading: false, protected_allowed: true };
    match config.set_many(&pairs, context) {
        Ok(ids) => Ok(ids.into_iter().map(|id| id.setting().name).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// What CONFIG SET answers when it refuses one value.
fn refused(name: &str, value: &str) -> String {
    let error = set(&mut Config::default(), &[(name, value)]).expect_err("should be refused");
    let start = format!("CONFIG SET failed (possibly related to argument '{name}') - ");
    error.strip_prefix(&start).unwrap_or(&error).to_string()
}

#[test]
fn names_are_unique_and_well_formed() {
    let mut seen = HashSet::new();
    for setting in TABLE {
        for name in std::iter::once(&setting.name).chain(setting.aliases) {
            assert!(seen.insert(*name), "{name} is declared twice");
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
            assert!(name.bytes().all(fits), "{name}");
        }
        assert!(!setting.name.contains('_'), "{}: variables need dashes", setting.name);
    }
}

#[test]
fn every_setting_says_what_it_means() {
    for setting in TABLE {
        assert!(setting.docs.len() > 10, "{} has no docs", setting.name);
        assert!(setting.docs.ends_with('.'), "{}: docs are sentences", setting.name);
        assert!(!setting.expected().is_empty());
    }
}

#[test]
fn defaults_are_values_of_their_settings() {
    let config = Config::default();
    for id in Id::all() {
        let setting = id.setting();
        let shown = config.show(id);
        if setting.kind == Kind::Primary {
            continue;
        }
        // What CONFIG GET shows can be given to CONFIG SET.
        let args: Vec<&[u8]> = if setting.takes_several() && !shown.is_empty() {
            shown.split(|byte| *byte == b' ').collect()
        } else {
            vec![&shown]
        };
        let read = value::parse(setting, &args, config.value(id)).unwrap_or_else(|refusal| {
            panic!("{} does not take its default: {refusal}", setting.name);
        });
        assert_eq!(read, *config.value(id), "{}", setting.name);
    }
}

#[test]
fn choices_name_their_default_and_several_are_bits() {
    for setting in TABLE {
        if let Kind::Choice { names, several } = setting.kind {
            assert!(names.iter().any(|(name, _)| *name == setting.default), "{}", setting.name);
            assert!(!several || names.iter().all(|(_, bits)| bits.count_ones() <= 1));
        }
    }
}

#[test]
fn the_default_file_loads_and_changes_nothing() {
    let file = generate::default_file();
    let config = load(&file).unwrap();
    assert_eq!(config, Config::default());
    for setting in TABLE.iter().filter(|setting| !setting.traits.has(Traits::HIDDEN)) {
        let line = format!("{} ", setting.name);
        assert!(
            file.lines().any(|l| l.trim_start_matches("# ").starts_with(&line)),
            "{} is missing",
            setting.name
        );
    }
}

#[test]
fn typed_reads_give_the_defaults() {
    let config = Config::default();
    assert_eq!(config.integer(id::HZ), 10);
    assert_eq!(config.integer(id::PORT), 6379);
    assert!(config.flag(id::PROTECTED_MODE));
    assert_eq!(config.memory(id::PROTO_MAX_BULK_LEN), 512 << 20);
    assert_eq!(config.choice(id::MAXMEMORY_POLICY), "noeviction");
    assert_eq!(config.text(id::DBFILENAME), "dump.rdb");
    assert_eq!(config.optional(id::UNIXSOCKET), None);
    assert_eq!(config.secret(id::REQUIREPASS), None);
    assert_eq!(config.bind(), ["127.0.0.1", "-::1"]);
    assert_eq!(config.maxmemory_clients(), MemoryBound::Bytes(0));
    assert_eq!(config.save_rules()[0], SaveRule { seconds: 3600, changes: 1 });
    let replica = config.output_limit(ClientClass::Replica);
    assert_eq!((replica.hard_bytes, replica.soft_bytes, replica.soft_seconds), (256 << 20, 64 << 20, 60));
    assert_eq!(config.primary(), None);
    assert!(config.dir().is_absolute());
}

/// The kinds of lines that the configuration files of Redis 7.0 and 7.2 and of distributions hold.
#[test]
fn a_stock_file_loads() {
    let config = load(
        "# comment\n\n  # indented comment\r\n\
         bind 127.0.0.1 -::1\n\
         PORT 6380\r\n\
         pidfile /run/redis/redis-server.pid\n\
         logfile /var/log/redis/redis-server.log\n\
         proc-title-template \"{title} {listen-addr} {server-mode}\"\n\
         save 900 1 300 10\nsave 60 10000\n\
         slave-read-only no\n\
         appendfilename \"appendonly.aof\"\n\
         auto-aof-rewrite-min-size 64mb\n\
         lua-time-limit 4000\n\
         notify-keyspace-events \"\"\n\
         hash-max-ziplist-entries 100\nhash-max-ziplist-value 32\n\
         list-max-ziplist-entries 512\nlua-replicate-commands yes\n\
         client-output-buffer-limit normal 0 0 0\n\
         client-output-buffer-limit replica 1gb 64mb 60\n\
         oom-score-adj-values 0 200 900\n\
         unixsocketperm 700\n\
         maxmemory 1gb # a remark that isn't Redis's\n",
    )
    .unwrap();
    for (name, value) in [
        ("bind", "127.0.0.1 -::1"),
        ("port", "6380"),
        ("save", "900 1 300 10 60 10000"),
        ("replica-read-only", "no"),
        ("slave-read-only", "no"),
        ("busy-reply-threshold", "4000"),
        ("hash-max-listpack-entries", "100"),
        ("hash-max-listpack-value", "32"),
        (
            "client-output-buffer-limit",
            "normal 0 0 0 slave 1073741824 67108864 60 pubsub 33554432 8388608 60",
        ),
        ("oom-score-adj-values", "0 200 900"),
        ("unixsocketperm", "700"),
        ("maxmemory", "1073741824"),
    ] {
        assert_eq!(show(&config, name), value, "{name}");
    }
}

#[test]
fn save_lines_add_up_and_an_empty_one_forgets() {
    assert_eq!(show(&load("port 1").unwrap(), "save"), "3600 1 300 100 60 10000");
    assert_eq!(show(&load("save \"\"").unwrap(), "save"), "");
    assert_eq!(show(&load("save 1 2\nsave ''\nsave 3 4\nsave '5 6'").unwrap(), "save"), "3 4 5 6");
}

#[test]
fn a_wrong_line_says_where_and_what_was_expected() {
    let error = refusal("port 1\n\nport abc # x");
    assert!(error.contains("standard input, line 3"), "{error}");
    assert!(error.contains(">>> 'port abc # x'"), "{error}");
    assert!(error.contains("couldn't be parsed into an integer"), "{error}");
    assert!(error.contains("an integer between 0 and 65535"), "{error}");
    assert!(refusal("maxmemroy 1gb").contains("did you mean 'maxmemory'?"));
    assert!(refusal("port 1 2").contains("wrong number of arguments"));
    assert!(refusal("port").contains("wrong number of arguments"));
    assert!(refusal("logfile \"x").contains("Unbalanced quotes"));
    assert!(refusal("appendonly maybe").contains("yes or no"));
    assert!(refusal("sentinel monitor a b 1 2").contains("sentinel"));
    assert!(refusal("a.b").contains("Module config"));
    assert!(refusal("include /no/such/file").contains("/no/such/file"));
    let secret = refusal("requirepass a b");
    assert!(!secret.contains("a b"), "{secret}");
    assert!(refusal("cluster-enabled yes\nreplicaof h 1").contains("cluster mode"));
}

#[test]
fn directives_that_are_no_settings_are_kept_in_order() {
    let config = load(
        "rename-command CONFIG \"\"\nuser bob on #aabb ~* # trailing\nloadmodule /a.so x #y\nmod.size 1 2\n",
    )
    .unwrap();
    let bytes = |text: &str| text.as_bytes().to_vec();
    assert_eq!(
        config.directives(),
        [
            Directive::RenameCommand { from: bytes("CONFIG"), to: vec![] },
            Directive::User { name: bytes("bob"), rules: vec![bytes("on"), bytes("#aabb"), bytes("~*")] },
            Directive::LoadModule { path: bytes("/a.so"), args: vec![bytes("x"), bytes("#y")] },
            Directive::ModuleSetting { name: bytes("mod.size"), value: bytes("1 2") },
        ]
    );
}

#[test]
fn files_include_files_and_a_ring_of_them_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::create_dir(path("conf.d")).unwrap();
    std::fs::write(path("conf.d/1.conf"), "port 1\nhz 20").unwrap();
    std::fs::write(path("conf.d/2.conf"), "port 2\n").unwrap();
    let main = format!(
        "port 9\ninclude {}\ninclude {}\n",
        path("conf.d/*.conf").display(),
        path("none.d/*.conf").display()
    );
    std::fs::write(path("main.conf"), main).unwrap();
    let mut loader = load::Loader::new();
    loader.file(&path("main.conf")).unwrap();
    let config = loader.finish().unwrap();
    assert_eq!((config.integer(id::PORT), config.integer(id::HZ)), (2, 20));

    std::fs::write(path("ring.conf"), format!("include {}", path("ring.conf").display())).unwrap();
    let error = load::Loader::new().file(&path("ring.conf")).unwrap_err();
    assert!(error.to_string().contains("include each other"), "{error}");

    std::fs::write(path("conf.d/2.conf"), "\nport x\n").unwrap();
    let error = load::Loader::new().file(&path("main.conf")).unwrap_err().to_string();
    assert!(error.contains("2.conf, line 2"), "{error}");
}

fn start(args: &[&str], environment: &[(&str, &str)], stdin: &str) -> Result<Startup, ConfigError> {
    startup::parse(
        args.iter().map(OsString::from),
        environment.iter().map(|(name, value)| (name.into(), value.into())),
        &mut stdin.as_bytes(),
    )
}

#[test]
fn flags_are_directives_as_redis_reads_them() {
    let shown = |args: &[&str], name: &str| show(&start(args, &[], "").unwrap().config, name);
    assert_eq!(shown(&["--port", "7000", "--save", ""], "port"), "7000");
    assert_eq!(shown(&["--port", "7000", "--save", ""], "save"), "");
    assert_eq!(shown(&["--port 7000"], "port"), "7000");
    assert_eq!(shown(&["--save", "--port", "7000"], "save"), "");
    assert_eq!(shown(&["--save", "--port", "7000"], "port"), "7000");
    assert_eq!(shown(&["--port", "1", "--save"], "save"), "");
    assert_eq!(shown(&["--save", "60", "1", "--save", "30 2"], "save"), "60 1 30 2");
    assert_eq!(shown(&["--requirepass", "--dashes"], "requirepass"), "--dashes");
    assert_eq!(shown(&["--requirepass", "a b#c \"d"], "requirepass"), "a b#c \"d");
    assert_eq!(shown(&["--bind", "127.0.0.1", "::1"], "bind"), "127.0.0.1 ::1");
    assert_eq!(shown(&["--LogLevel", "verbose"], "loglevel"), "verbose");
    assert!(start(&["--port"], &[], "").is_err());
    assert!(start(&["--port", "1", "2"], &[], "").is_err());
    assert!(start(&["--nonsense", "1"], &[], "").unwrap_err().to_string().contains("command line"));
    assert!(start(&["--sentinel"], &[], "").unwrap().sentinel);
}

#[test]
fn sources_win_in_order_file_stdin_environment_flags() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("c.conf");
    std::fs::write(&file, "port 1\nhz 11\ntimeout 1\ndatabases 1\nsave 9 9").unwrap();
    let file = file.to_str().unwrap();
    let environment = [
        ("CORESHARD_TIMEOUT", "3"),
        ("CORESHARD_DATABASES", "3"),
        ("CORESHARD_SAVE", "60 1"),
        ("CORESHARD_SERVER_CPULIST", "0-1"),
        ("PATH", "/bin"),
        ("CORESHARD_PORT", "tcp://10.0.0.1:6379"),
        ("CORESHARD_PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("CORESHARD_SERVICE_HOST", "10.0.0.1"),
    ];
    let started = start(&[file, "--databases", "4", "-"], &environment, "hz 12\ntimeout 2").unwrap();
    assert_eq!(started.config_file.as_deref(), Some(std::path::Path::new(file)));
    let config = started.config;
    for (name, value) in [
        ("port", "1"),
        ("hz", "12"),
        ("timeout", "3"),
        ("databases", "4"),
        ("save", "60 1"),
        ("server-cpulist", "0-1"),
    ] {
        assert_eq!(show(&config, name), value, "{name}");
    }
    let error = start(&[], &[("CORESHARD_MAXMEMROY", "1")], "").unwrap_err().to_string();
    assert!(error.contains("CORESHARD_MAXMEMROY") && error.contains("maxmemory"), "{error}");
    assert!(start(&[], &[("CORESHARD_HZ", "x")], "").is_err());
    assert!(start(&["/no/such.conf"], &[], "").is_err());
}

#[test]
fn options_of_our_own_print_or_check() {
    let action = |args: &[&str]| start(args, &[], "").unwrap().action;
    assert_eq!(action(&[]), Action::Serve);
    assert_eq!(action(&["--port", "1", "--check-config"]), Action::CheckConfig);
    assert!(matches!(action(&["-v"]), Action::Print(text) if text.starts_with("coreshard v=")));
    assert!(matches!(action(&["--help"]), Action::Print(text) if text.contains("--check-config")));
    assert!(
        matches!(action(&["--print-default-config"]), Action::Print(text) if text.contains("\nport 6379\n"))
    );
}

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

fn rewritten(old: &str, config: &Config) -> String {
    String::from_utf8(rewrite(old.as_bytes(), config, &[])).unwrap()
}

/// The lines that every rewritten file holds, whatever was set.
fn constant_lines(config: &Config) -> String {
    format!(
        "latency-tracking-info-percentiles 50 99 99.9\ndir \"{}\"\nsave 3600 1\nsave 300 100\nsave 60 10000\n",
        config.dir().display()
    )
}

#[test]
fn rewriting_keeps_the_file_and_updates_its_lines() {
    let old = "# my file\nport 1 # the port\n\n\nhash-max-ziplist-entries 5\nmaxclients 10000\nunixsocket /x\n\
               include /etc/more.conf\nnonsense 1\nbind 10.0.0.1\nsave 1 1\nsave 2 2\nmod.x 1\n";
    let mut config = load("port 1\nsave 1 1").unwrap();
    set(&mut config, &[("port", "2"), ("maxmemory", "1gb"), ("hash-max-listpack-entries", "7")]).unwrap();
    let expected = format!(
        "# my file\nport 2 # the port\n\nhash-max-listpack-entries 7\nmaxclients 10000\n\n\
         include /etc/more.conf\n# ??? nonsense 1\n\nsave 1 1\n\nmod.x 1\n\n# Generated by CONFIG REWRITE\n\
         maxmemory 1gb\nlatency-tracking-info-percentiles 50 99 99.9\ndir \"{}\"\n",
        config.dir().display()
    );
    assert_eq!(rewritten(old, &config), expected);
    // What was rewritten stays as it is.
    let again = rewritten(&expected, &config);
    assert_eq!(rewritten(&again, &config), again);
    assert_eq!(again.matches("Generated by").count(), 1);
}

#[test]
fn rewriting_nothing_writes_what_differs_from_the_defaults() {
    let config = Config::default();
    let expected = format!("# Generated by CONFIG REWRITE\n{}", constant_lines(&config));
    assert_eq!(rewritten("", &config), expected);
}

#[test]
fn rewriting_replaces_lines_that_another_room_owns() {
    let config = Config::default();
    let owned =
        [OwnedLines { directive: "user", lines: vec![b"user a on".to_vec(), b"user b off".to_vec()] }];
    let text = rewrite(b"user x on\nloadmodule /a.so\n", &config, &owned);
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("user a on\nloadmodule /a.so\n\n# Generated by CONFIG REWRITE\n"), "{text}");
    assert!(text.ends_with("user b off\n"), "{text}");
    assert!(rewritten("user x on\n", &config).starts_with("user x on\n"));
}

#[test]
fn a_rewritten_file_loads_to_the_same_values() {
    let mut config = Config::default();
    set(
        &mut config,
        &[
            ("requirepass", "a \"b\" \u{e9}\n#"),
            ("save", ""),
            ("bind", ""),
            ("maxmemory-clients", "7%"),
            ("latency-tracking-info-percentiles", ""),
            ("client-output-buffer-limit", "normal 1 2 3 pubsub 1gb 1mb 9"),
            ("notify-keyspace-events", "KEx"),
            ("shutdown-on-sigint", "nosave now"),
            ("maxmemory", "18446744073709551615"),
        ],
    )
    .unwrap();
    let text = rewrite(b"port 6379\n", &config, &[]);
    let mut loader = load::Loader::new();
    loader.text(&text, &Origin::Stdin).unwrap();
    assert_eq!(loader.finish().unwrap(), config);
}

#[test]
fn rewriting_a_file_is_atomic_and_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.conf");
    std::fs::write(&path, "port 1\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = load("port 5").unwrap();
    rewrite_file(Some(&path), &config, &[]).unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("port 5\n"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    let error = rewrite_file(Some(&dir.path().join("no/c.conf")), &config, &[]).unwrap_err();
    assert_eq!(error.to_string(), "Rewriting config file: No such file or directory");
    let error = rewrite_file(None, &config, &[]).unwrap_err();
    assert!(matches!(error, RewriteError::NoFile));
}

fn names() -> impl Strategy<Value = &'static str> {
    let names: Vec<&'static str> = TABLE.iter().map(|setting| setting.name).collect();
    proptest::sample::select(names)
}

proptest! {
    #[test]
    fn loading_never_panics(text: Vec<u8>) {
        let mut loader = load::Loader::new();
        let _ = loader.text(&text, &Origin::Stdin);
        rewrite(&text, &Config::default(), &[]);
    }

    #[test]
    fn loading_half_right_lines_never_panics(name in names(), value in r#"[ -~]{0,30}"#) {
        if let Ok(config) = load(&format!("{name} {value}")) {
            // What loads survives being written and read again.
            let text = rewrite(b"", &config, &[]);
            let mut loader = load::Loader::new();
            loader.text(&text, &Origin::Stdin).unwrap();
            prop_assert_eq!(loader.finish().unwrap(), config);
        }
    }

    #[test]
    fn setting_never_panics(name in names(), value in r"(-?[0-9]{0,21}(kb|mb|gb|%)?|yes|no|[ -~]{0,20})") {
        let mut config = Config::default();
        if set(&mut config, &[(name, &value)]).is_ok() && name != "bind" {
            // What CONFIG GET shows can be set again, to the same effect.
            let shown = String::from_utf8(config.show(Id::find(name.as_bytes()).unwrap().0)).unwrap();
            let mut again = Config::default();
            set(&mut again, &[(name, &shown)]).unwrap();
            prop_assert_eq!(again, config);
        }
    }

    #[test]
    fn starting_never_panics(args in proptest::collection::vec(r"(--?[a-z]{0,8}|[ -~]{0,8})", 0..6)) {
        let args: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.contains('/')).collect();
        let _ = start(&args, &[], "");
    }
}
