//! Flags, the environment and standard input.

use super::*;

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
