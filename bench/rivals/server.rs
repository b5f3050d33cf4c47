//! The servers that are compared: found, started alike, and stopped.
//!
//! A rival is a program with a known way of saying port, threads and "do not persist". Whatever can
//! be found is used; a rival that does not start or does not answer PING is left out aloud.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cleanup;
use crate::cpu;
use crate::wire::{Client, Reply};

/// It may have data to load.
const START_TIMEOUT: Duration = Duration::from_secs(300);
const NAP_MIN: Duration = Duration::from_micros(200);
const NAP_MAX: Duration = Duration::from_millis(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Which dialect of flags a program takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Redis,
    Valkey,
    Coreshard,
    Dragonfly,
    Garnet,
    Pogocache,
    /// The command line is complete as given.
    Other,
}

const KNOWN: [(&str, &str, Kind); 6] = [
    ("redis", "redis-server", Kind::Redis),
    ("valkey", "valkey-server", Kind::Valkey),
    ("dragonfly", "dragonfly", Kind::Dragonfly),
    ("garnet", "garnet", Kind::Garnet),
    ("garnet", "GarnetServer", Kind::Garnet),
    ("pogocache", "pogocache", Kind::Pogocache),
];

#[derive(Clone, Debug)]
pub struct Rival {
    pub name: String,
    pub kind: Kind,
    /// Program and fixed arguments; `{port}`, `{threads}` and `{dir}` are filled in.
    command: Vec<String>,
}

impl Rival {
    /// Parses `name=program arg arg`.
    pub fn parse(spec: &str) -> Result<Rival, String> {
        let (name, command) = spec.split_once('=').ok_or("expected name=command")?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let program = command.first().ok_or("the command is empty")?;
        let complete = command.iter().any(|arg| arg.contains("{port}"));
        let kind = if complete { Kind::Other } else { kind_of(program)? };
        Ok(Rival { name: name.to_owned(), kind, command })
    }

    /// Everything that is installed, the baseline first, and `coreshard` as cargo just built it.
    pub fn discover() -> Vec<Rival> {
        let mut found: Vec<Rival> = Vec::new();
        for (name, program, kind) in KNOWN {
            if let Some(path) = in_path(program)
                && found.iter().all(|rival| rival.name != name)
            {
                found.push(Rival { name: name.to_owned(), kind, command: vec![path] });
            }
        }
        found.push(Rival {
            name: "coreshard".to_owned(),
            kind: Kind::Coreshard,
            command: vec![env!("CARGO_BIN_EXE_coreshard").to_owned()],
        });
        found
    }

    /// The first line of `--version`, for the report. A program we do not know is not asked: it might
    /// take the question for an order to serve.
    pub fn version(&self) -> String {
        if self.kind == Kind::Other {
            return self.command.join(" ");
        }
        let output = Command::new(&self.command[0])
            .arg("--version")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    }

    fn arguments(&self, launch: &Launch, dir: &Path) -> Vec<String> {
        let fill = |arg: &String| {
            arg.replace("{port}", &launch.port.to_string())
                .replace("{threads}", &launch.threads.to_string())
                .replace("{dir}", &dir.to_string_lossy())
        };
        let mut args: Vec<String> = self.command.iter().map(fill).collect();
        let (port, threads) = (launch.port.to_string(), launch.threads.to_string());
        let dir = dir.to_string_lossy().into_owned();
        let redis_like = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let more: Vec<&str> = match self.kind {
            Kind::Redis => [&redis_like[..], &["--dir", &dir, "--maxclients", "15000"]].concat(),
            Kind::Valkey => {
                [&redis_like[..], &["--dir", &dir, "--maxclients", "15000", "--io-threads", &threads]]
                    .concat()
            }
            Kind::Coreshard => {
                // DEBUG SHARD tells the remote scenario where keys and connections live.
                let own = ["--threads", &threads, "--enable-debug-command", "local"];
                [&redis_like[..], &["--dir", &dir, "--maxclients", "15000"], &own].concat()
            }
            Kind::Dragonfly => vec![
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--proactor_threads",
                &threads,
                "--dir",
                &dir,
                "--dbfilename",
                "",
                "--version_check=false",
            ],
            Kind::Garnet => vec!["--port", &port, "--bind", "127.0.0.1"],
            Kind::Pogocache => vec!["-h", "127.0.0.1", "-p", &port, "-t", &threads, "--quiet"],
            Kind::Other => vec![],
        };
        args.extend(more.into_iter().map(str::to_owned));
        args
    }

    /// Starts the server and waits for its first PONG.
    pub fn start(&self, launch: &Launch) -> io::Result<Running> {
        if Client::connect(launch.port).is_ok() {
            return Err(io::Error::other(format!("something already listens on port {}", launch.port)));
        }
        let dir = tempfile::tempdir()?;
        let args = self.arguments(launch, launch.data.as_deref().unwrap_or(dir.path()));
        let log = File::create(dir.path().join("log"))?;
        let started = Instant::now();
        let child = cpu::pinned(&launch.cpus, || {
            Command::new(&args[0])
                .args(&args[1..])
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log.try_clone()?)
                .current_dir(dir.path())
                .spawn()
        })?;
        cleanup::server_started(child.id());
        let mut running =
            Running { name: self.name.clone(), port: launch.port, startup: Duration::ZERO, child, dir };
        running.startup = running.wait_for_pong(started)?;
        Ok(running)
    }
}

fn kind_of(program: &str) -> Result<Kind, String> {
    let file = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let known = KNOWN.iter().find(|(_, known, _)| file.starts_with(known));
    match known {
        Some((_, _, kind)) => Ok(*kind),
        None if file.starts_with("coreshard") => Ok(Kind::Coreshard),
        None => Err(format!("{file}: unknown program, so its command must contain {{port}}")),
    }
}

/// Where a program of that name lies in PATH.
pub fn in_path(program: &str) -> Option<String> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
        .and_then(|path: PathBuf| path.to_str().map(str::to_owned))
}

pub struct Launch {
    pub port: u16,
    pub threads: usize,
    pub cpus: Vec<usize>,
    /// The folder with the data it begins with; an empty one of its own when there is none.
    pub data: Option<PathBuf>,
}

/// A server that has answered PING. Dropping it stops it.
pub struct Running {
    pub name: String,
    pub port: u16,
    /// From just before the fork to the first PONG.
    pub startup: Duration,
    child: Child,
    dir: tempfile::TempDir,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder it began in, and keeps its files in when it was given no other.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn client(&self) -> io::Result<Client> {
        Client::connect(self.port)
    }

    /// Takes the server off its CPU, so that it cannot disturb the one being measured.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            // A server that is gone shows up at the next request, with a better message.
            let _ = kill_process(pid, signal);
        }
    }

    fn wait_for_pong(&mut self, started: Instant) -> io::Result<Duration> {
        loop {
            if let Ok(mut client) = Client::connect(self.port)
                && matches!(client.call(&["PING"]), Ok(Reply::Simple(text)) if text == "PONG")
            {
                return Ok(started.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.failure(&format!("it ended at once ({status})")));
            }
            let asked = started.elapsed();
            if asked > START_TIMEOUT {
                return Err(self.failure("no PONG in time"));
            }
            // Who loads is not to be kept busy with questions.
            std::thread::sleep((asked / 50).clamp(NAP_MIN, NAP_MAX));
        }
    }

    fn failure(&self, what: &str) -> io::Error {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or("its log is empty");
        io::Error::other(format!("{}: {what}: {last}", self.name))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.resume();
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_TIMEOUT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return cleanup::server_stopped(self.child.id());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        cleanup::server_stopped(self.child.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rival_is_recognised_by_its_program_or_says_its_port() {
        let epoll = Rival::parse("ours=/x/coreshard --engine epoll").expect("known program");
        assert_eq!((epoll.name.as_str(), epoll.kind), ("ours", Kind::Coreshard));
        let strange = Rival::parse("new=/x/newdb -p {port} -t {threads}").expect("says its port");
        let launch = Launch { port: 7, threads: 2, cpus: vec![], data: None };
        let args = strange.arguments(&launch, Path::new("/d"));
        assert_eq!(args, ["/x/newdb", "-p", "7", "-t", "2"]);
        assert!(Rival::parse("new=/x/newdb").is_err());
        assert!(Rival::parse("nothing").is_err());
    }
}
