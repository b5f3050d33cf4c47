//! One server process: started on a free port in a folder of its own, killed when dropped.

use super::client::{Client, Protocol};
use super::value::Value;
use super::wait::wait_until;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Ports tried for servers. Below the range that Linux hands to outgoing connections.
const FIRST_PORT: u16 = 23_000;
const PORT_COUNT: u16 = 1000;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The executable; by default the `coreshard` under test or what `CORESHARD_TEST_SERVER` names.
    pub binary: PathBuf,
    /// Shards. Redis has one, whatever is asked.
    pub threads: usize,
    /// `--engine`, if not the server's own choice; by default what `CORESHARD_TEST_ENGINE` says.
    pub engine: Option<String>,
    /// Directives and their values, after the ones every test server gets.
    pub flags: Vec<(String, String)>,
}

impl Options {
    pub fn threads(threads: usize) -> Options {
        let binary = std::env::var_os("CORESHARD_TEST_SERVER")
            .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_coreshard")), PathBuf::from);
        Options { binary, threads, engine: std::env::var("CORESHARD_TEST_ENGINE").ok(), flags: Vec::new() }
    }

    /// The executable without arguments, and without the variables of ours that it would take for directives.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CORESHARD_TEST_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// The same server with one more directive.
    pub fn with(mut self, directive: &str, value: &str) -> Options {
        self.flags.push((directive.to_owned(), value.to_owned()));
        self
    }

    pub fn kind(&self) -> ServerKind {
        let name = self.binary.file_name().unwrap_or_default().to_string_lossy();
        if name.contains("redis") || name.contains("valkey") {
            ServerKind::Redis
        } else {
            ServerKind::Coreshard
        }
    }
}

/// Whose flags and DEBUG subcommands the server knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    Coreshard,
    Redis,
}

/// A running server.
pub struct Server {
    child: Child,
    kind: ServerKind,
    threads: usize,
    address: SocketAddr,
    folder: tempfile::TempDir,
    _reservation: UdpSocket,
}

impl Server {
    /// Starts the server under test with so many shards.
    #[track_caller]
    pub fn start(threads: usize) -> Server {
        Server::start_with(&Options::threads(threads))
    }

    /// Starts what the options say and waits until it answers.
    #[track_caller]
    pub fn start_with(options: &Options) -> Server {
        let (port, reservation) = reserve_port();
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = options.command();
        let path = folder.path();
        for (directive, value) in [("port", port.to_string().as_str()), ("bind", "127.0.0.1"), ("save", "")] {
            command.arg(format!("--{directive}")).arg(value);
        }
        command.arg("--dir").arg(path).args(["--enable-debug-command", "yes"]);
        if options.kind() == ServerKind::Coreshard {
            command.args(["--threads", &options.threads.to_string()]);
            if let Some(engine) = &options.engine {
                command.args(["--engine", engine]);
            }
        }
        for (directive, value) in &options.flags {
            command.arg(format!("--{directive}")).arg(value);
        }
        // The server takes directives from such variables; those of the tests are not for it.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CORESHARD_"))
        {
            command.env_remove(name);
        }
        let log = std::fs::File::create(path.join("log")).expect("the temporary folder is writable");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file can be cloned"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", options.binary.display()));
        tell_reaper('+', child.id());
        let mut server = Server {
            child,
            kind: options.kind(),
            threads: if options.kind() == ServerKind::Redis { 1 } else { options.threads },
            address: (Ipv4Addr::LOCALHOST, port).into(),
            folder,
            _reservation: reservation,
        };
        server.wait_until_ready();
        server
    }

    #[track_caller]
    fn wait_until_ready(&mut self) {
        wait_until("the server answers PING", START_TIMEOUT, || {
            if let Some(status) = self.exit_status() {
                panic!("the server ended at its start with {status}:\n{}", self.log());
            }
            self.answers()
        });
    }

    /// It takes a connection and answers a PING, be it with an error.
    pub fn answers(&self) -> bool {
        let Ok(stream) = TcpStream::connect(self.address) else { return false };
        let mut client = Client::over(stream);
        client.try_send_raw("PING\r\n").is_ok() && client.try_recv().is_ok()
    }

    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// How many shards there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its working folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[track_caller]
    pub fn client(&self, protocol: Protocol) -> Client {
        Client::connect(self.address, protocol)
    }

    /// How it ended, if it has.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the child is ours to ask for")
    }

    /// Sends a signal by name (`TERM`, `INT`, ...) and does not wait.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(status.expect("kill is a command of every system").success(), "kill -s {name}");
    }

    /// Waits for its end and says how it came.
    #[track_caller]
    pub fn wait_for_exit(&mut self, timeout: Duration) -> ExitStatus {
        let mut status = None;
        wait_until("the server exits", timeout, || {
            status = self.exit_status();
            status.is_some()
        });
        status.expect("the loop ended because it has one")
    }

    /// The number of the shard that owns `key`.
    #[track_caller]
    pub fn shard_of(&self, client: &mut Client, key: &str) -> usize {
        if self.kind == ServerKind::Redis {
            return 0;
        }
        match client.call(&["DEBUG", "SHARD", key]) {
            Value::Int(shard) => usize::try_from(shard).expect("shards are counted from zero"),
            other => panic!("DEBUG SHARD {key} answered {other}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that has ended already cannot be killed, and needs not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
        tell_reaper('-', self.child.id());
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.lines().rev().take(30).collect::<Vec<_>>();
            eprintln!("--- log of the server on port {} ---", self.port());
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A port on which nobody listens, and the UDP socket of the same number that keeps other tests,
/// also in other processes, off it while it lives. (Two servers that share a port by SO_REUSEPORT
/// would not notice each other.)
fn reserve_port() -> (u16, UdpSocket) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(37);
    for _ in 0..PORT_COUNT {
        let turn = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + (turn % u32::from(PORT_COUNT)) as u16;
        let Ok(reservation) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return (port, reservation);
        }
    }
    panic!("all of {PORT_COUNT} ports from {FIRST_PORT} are taken");
}

/// Tells the reaper of a server that has started (`+`) or ended (`-`).
///
/// Servers shared by all tests of a binary live in statics, which are never dropped. So a shell
/// keeps the list of running servers and kills what is left when its input ends, that is when the
/// test process does, however it does.
fn tell_reaper(sign: char, pid: u32) {
    static REAPER: Mutex<Option<ChildStdin>> = Mutex::new(None);
    const SCRIPT: &str = r#"
        trap '' INT
        running=" "
        while read -r sign pid; do
            case $sign in
                +) running="$running$pid " ;;
                -) running="${running%% $pid *} ${running#* $pid }" ;;
            esac
        done
        for pid in $running; do kill -9 "$pid"; done"#;
    let mut reaper = REAPER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let input = reaper.get_or_insert_with(|| {
        let child = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        child.expect("sh is a command of every system").stdin.expect("it was asked to be piped")
    });
    writeln!(input, "{sign} {pid}").expect("the reaper reads until we end");
}
