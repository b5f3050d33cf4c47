//! Start and end: what is said, what is refused, what is left behind.

use crate::support::*;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the server to its end with these arguments, and this on its standard input.
#[track_caller]
fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    use std::io::Write;
    let mut child = Options::threads(1)
        .command()
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server can be started");
    child.stdin.take().expect("it was asked to be piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("the child is ours to wait for")
}

/// The server ends with status 1, having said all of this.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str], input: &str, said: &[&str]) {
    let output = run(folder, arguments, input);
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{text}");
    for words in said {
        assert!(text.contains(words), "'{words}' is missing in:\n{text}");
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

#[test]
fn the_start_says_what_it_does() {
    let server = Server::start_with(&Options::threads(2).with("maxmemory", "64mb"));
    // Clients are let in as soon as the sockets are there, a moment before the last core says so.
    wait_until("it is ready", PATIENCE, || server.log().contains("Ready to accept connections"));
    let log = server.log();
    for words in [
        "coreshard ",
        "Engine: ",
        "Cores: 2, one shard each",
        "Memory: maxmemory 64.00 MiB, noeviction; limit ",
        &format!("Listening on 127.0.0.1:{}", server.port()),
        &format!("pid {}", server.pid()),
    ] {
        assert!(log.contains(words), "'{words}' is missing in:\n{log}");
    }
    // The form of Redis: pid, role, date, level.
    let line = log.lines().next().expect("there is a first line");
    assert!(line.starts_with(&format!("{}:M ", server.pid())), "{line}");
    assert!(line.contains(" * "), "{line}");
}

#[test]
fn sigterm_and_sigint_end_it_with_status_0_and_leave_nothing() {
    for signal in ["TERM", "INT"] {
        let place = folder();
        let pid_file = place.path().join("pid");
        let socket = place.path().join("socket");
        let mut server = Server::start_with(
            &Options::threads(2)
                .with("pidfile", pid_file.to_str().expect("the path is text"))
                .with("unixsocket", socket.to_str().expect("the path is text")),
        );
        assert_eq!(std::fs::read_to_string(&pid_file).expect("it is there"), format!("{}\n", server.pid()));
        assert!(socket.exists());
        let mut client = server.client(Protocol::Resp2);
        client.expect("SET k v", ok());
        server.signal(signal);
        let status = server.wait_for_exit(PATIENCE);
        assert_eq!(status.code(), Some(0), "{}", server.log());
        assert!(server.log().contains(&format!("Received SIG{signal}")), "{}", server.log());
        assert!(!pid_file.exists() && !socket.exists());
    }
}

#[test]
fn shutdown_ends_it_and_answers_nothing() {
    for command in ["SHUTDOWN", "SHUTDOWN NOSAVE NOW FORCE"] {
        let mut server = Server::start(2);
        let mut client = server.client(Protocol::Resp2);
        client.send(command);
        client.expect_closed();
        assert_eq!(server.wait_for_exit(PATIENCE).code(), Some(0));
    }
}

#[test]
fn a_wrong_directive_stops_the_start_and_says_where() {
    let place = folder();
    std::fs::write(place.path().join("bad.conf"), "port 0\nmaxmemory 10zz\n")
        .expect("the folder is writable");
    fails(place.path(), &["bad.conf"], "", &["bad.conf, line 2", "'maxmemory 10zz'", "expected"]);
    fails(place.path(), &["-"], "no-such-thing yes\n", &["line 1", "no-such-thing"]);
    fails(place.path(), &["--maxmemory", "much"], "", &["maxmemory", "expected"]);
    fails(place.path(), &["missing.conf"], "", &["missing.conf"]);
    fails(place.path(), &["--dir", "/no/such/folder"], "", &["dir"]);
}

#[test]
fn what_only_asks_ends_with_status_0() {
    let place = folder();
    for (arguments, words) in [
        (&["--version"][..], "coreshard v=0.1"),
        (&["-v"], "coreshard v=0.1"),
        (&["--help"], "--check-config"),
        (&["--maxmemory", "1gb", "--check-config"], "good"),
        (&["--print-default-config"], "maxmemory"),
    ] {
        let output = run(place.path(), arguments, "");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
    fails(place.path(), &["--maxmemory", "x", "--check-config"], "", &["maxmemory"]);
}

#[test]
fn a_port_in_use_is_an_error() {
    let server = Server::start(1);
    let port = server.port().to_string();
    let place = folder();
    fails(place.path(), &["--port", &port, "--bind", "127.0.0.1"], "", &["Address already in use", &port]);
    // On every address, as well as by an optional one.
    fails(place.path(), &["--port", &port, "--bind", "*"], "", &["Address already in use"]);
    fails(place.path(), &["--port", &port, "--bind", "-127.0.0.1"], "", &["Address already in use"]);
    assert!(server.answers());
}

#[test]
fn a_port_that_becomes_free_is_waited_for() {
    let place = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let log = place.path().join("log");
    let mut child = Options::threads(2)
        .command()
        .args(["--threads", "2", "--bind", "127.0.0.1", "--port", &port.to_string(), "--logfile"])
        .arg(&log)
        .current_dir(place.path())
        .spawn()
        .expect("the server can be started");
    let said = |words: &str| std::fs::read_to_string(&log).is_ok_and(|text| text.contains(words));
    wait_until("it says that it waits", PATIENCE, || said("Address already in use"));
    assert!(said("Trying again for 2 seconds"));
    drop(taken);
    wait_until("it is ready", PATIENCE, || said("Ready to accept connections"));
    Client::connect(([127, 0, 0, 1], port).into(), Protocol::Resp2).expect("PING", simple("PONG"));
    child.kill().expect("it runs");
    child.wait().expect("the child is ours to wait for");
}

#[test]
fn an_optional_address_may_be_missing_and_another_may_not() {
    let server = Server::start_with(&Options::threads(1).with("bind", "127.0.0.1 -192.0.2.1"));
    server.client(Protocol::Resp2).expect("PING", simple("PONG"));
    let place = folder();
    fails(place.path(), &["--port", "1", "--bind", "192.0.2.1"], "", &["192.0.2.1"]);
}

#[test]
fn port_0_listens_on_no_tcp_port() {
    let place = folder();
    fails(place.path(), &["--port", "0"], "", &["Configured to not listen anywhere, exiting."]);
    let socket = place.path().join("socket");
    let mut child = Options::threads(1)
        .command()
        .args(["--port", "0", "--threads", "1", "--unixsocketperm", "700", "--unixsocket"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("the server can be started");
    wait_until("the socket is there", PATIENCE, || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(&socket).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    child.kill().expect("it runs");
    child.wait().expect("the child is ours to wait for");
}

#[test]
fn it_goes_to_the_background_with_a_log_and_a_pid_file() {
    let place = folder();
    let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let port = probe.local_addr().expect("it is bound").port();
    drop(probe);
    let port_text = port.to_string();
    let output = run(
        place.path(),
        &[
            "--port",
            &port_text,
            "--threads",
            "1",
            "--daemonize",
            "yes",
            "--logfile",
            "log",
            "--pidfile",
            "pid",
        ],
        "",
    );
    assert_eq!(output.status.code(), Some(0));
    let pid_file = place.path().join("pid");
    wait_until("it is ready", PATIENCE, || {
        std::fs::read_to_string(place.path().join("log")).is_ok_and(|log| log.contains("Ready to accept"))
    });
    let pid = std::fs::read_to_string(&pid_file).expect("it is there");
    let mut client = Client::connect(([127, 0, 0, 1], port).into(), Protocol::Resp2);
    client.expect("PING", simple("PONG"));
    client.send("SHUTDOWN");
    client.expect_closed();
    wait_until("the pid file is gone", PATIENCE, || !pid_file.exists());
    wait_until("the process is gone", PATIENCE, || !Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn systemd_hears_that_it_is_ready() {
    let place = folder();
    let path = place.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("the folder is writable");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let mut child = Options::threads(1)
        .command()
        .args(["--port", "0", "--threads", "2", "--supervised", "systemd", "--unixsocket"])
        .arg(place.path().join("socket"))
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .spawn()
        .expect("the server can be started");
    let mut message = [0; 1024];
    let length = socket.recv(&mut message).expect("it says something");
    let text = String::from_utf8_lossy(&message[..length]);
    assert!(text.starts_with("READY=1\n"), "{text}");
    assert!(text.contains(&format!("MAINPID={}", child.id())), "{text}");
    child.kill().expect("it runs");
    child.wait().expect("the child is ours to wait for");
}

#[test]
fn a_crash_leaves_a_report_without_data() {
    for (command, signal, kind) in [("DEBUG PANIC", 6, "panic"), ("DEBUG SEGFAULT", 11, "SIGSEGV")] {
        let mut server = Server::start(2);
        let mut client = server.client(Protocol::Resp2);
        client.expect("SET secretkey secretvalue", ok());
        client.send(command);
        client.expect_closed();
        let status = server.wait_for_exit(PATIENCE);
        assert_eq!(status.signal(), Some(signal));
        let log = server.log();
        for words in
            [&format!("CRASH REPORT: {kind}"), "shard:    ", "commands: debug", "END OF CRASH REPORT"]
        {
            assert!(log.contains(words), "'{words}' is missing in:\n{log}");
        }
        assert!(!log.contains("shard:    none"), "{log}");
        assert!(!log.contains("secret"), "{log}");
        assert_eq!(log.matches("END OF CRASH REPORT").count(), 1, "{log}");
    }
}

#[test]
fn debug_is_closed_unless_it_is_opened() {
    let refusal = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can \
                   run it from a local connection, otherwise you need to set this option in the configuration \
                   file, and then restart the server.";
    let server = Server::start_with(&Options::threads(2).with("enable-debug-command", "no"));
    let mut client = server.client(Protocol::Resp2);
    client.expect("DEBUG SLEEP 0", err(refusal));
    client.expect("DEBUG", err("ERR wrong number of arguments for 'debug' command"));
    let server = Server::start_with(&Options::threads(2).with("enable-debug-command", "local"));
    server.client(Protocol::Resp2).expect("DEBUG SLEEP 0", ok());
}

#[test]
fn protected_settings_are_closed_unless_they_are_opened() {
    let server = Server::start(2);
    server.client(Protocol::Resp2).expect(
        "CONFIG SET dbfilename x",
        err("ERR CONFIG SET failed (possibly related to argument 'dbfilename') - can't set protected config"),
    );
    let server = Server::start_with(&Options::threads(2).with("enable-protected-configs", "local"));
    server.client(Protocol::Resp2).expect("CONFIG SET dbfilename x", ok());
}

#[test]
fn it_starts_quickly() {
    // Redis is ready in some ten milliseconds. The bound is generous because other tests run beside this one.
    let best = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let server = Server::start(2);
            let spent = begun.elapsed();
            drop(server);
            spent
        })
        .min()
        .expect("five were started");
    assert!(best < Duration::from_millis(1000), "{best:?}");
}

#[test]
fn a_core_that_is_short_of_cpu_amid_background_work_does_not_sleep_on() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().to_str().expect("the path is text").to_owned();
    let server = Server::start_with(&Options::threads(2).with("dir", &path));
    let mut clients = [(); 8].map(|()| server.client(Protocol::Resp2));
    clients[0].expect("DEBUG POPULATE 20000 k 100", ok());
    let over = Instant::now() + Duration::from_secs(6);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < over {
                    std::hint::spin_loop();
                }
            });
        }
        while Instant::now() < over {
            clients[0].expect_that("BGSAVE", |reply| !reply.text().is_empty());
            clients.iter_mut().for_each(|client| client.expect("PING", simple("PONG")));
        }
    });
}
