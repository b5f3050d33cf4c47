//! Files, what they include, and what is wrong in them.

use super::*;

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
