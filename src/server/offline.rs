//! A server of the tools' own: it loads a log or a snapshot in a folder of its own, where no client comes, and writes
//! the other. What is given is only read: links and copies of it are loaded.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::persistence::verify::client::{Answer, Client};
use crate::rdb::file::{FileReader, Record};
use crate::sys::process;

/// How often it is looked whether the server has come so far.
const LOOK: Duration = Duration::from_millis(10);
/// One that answers no more is given up after so many looks.
const END_LOOKS: usize = 500;
/// Databases that a log or a snapshot may speak of.
const DATABASES: &str = "256";
/// Of the server's log so much is shown when it fails.
const LOG_LINES: usize = 5;
/// The names in the server's folder.
const LOG_FOLDER: &str = "appendonlydir";
const SNAPSHOT: &str = "dump.rdb";

/// A folder that goes with its owner.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new folder in this one.
    pub fn within(parent: &Path) -> Result<Scratch> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let path = loop {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("temp-coreshard-{}-{number}", process::pid()));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                // A process of the same number was killed here.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        };
        // The server has another working directory.
        let path = fs::canonicalize(&path).with_context(|| path.display().to_string())?;
        Ok(Scratch(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in nobody's way, and its name says whose it was.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A log, as it may be given to a tool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Log {
    /// A folder with a manifest: that folder, and what the manifest is called without its ending.
    Parts(PathBuf, String),
    /// One file of commands, or a snapshot with commands behind it, from Redis before 7.
    Single(PathBuf),
}

impl Log {
    /// The log that a path means, if it means one and not a snapshot.
    pub fn of(path: &Path) -> Result<Option<Log>> {
        if path.is_dir() {
            let parts = manifest_in(path)?.map(|name| (path.to_owned(), name));
            let inner = path.join(LOG_FOLDER);
            let parts = match parts {
                None if inner.is_dir() => manifest_in(&inner)?.map(|name| (inner, name)),
                found => found,
            };
            let (folder, name) = parts
                .ok_or_else(|| anyhow!("{}: this folder holds no log with a manifest", path.display()))?;
            return Ok(Some(Log::Parts(folder, name)));
        }
        let of = || path.display().to_string();
        let mut file = File::open(path).with_context(of)?;
        let mut first = [0];
        // An empty file is left to who expects a snapshot.
        let is_command = file.read(&mut first).with_context(of)? == 1 && matches!(first[0], b'*' | b'#');
        Ok((is_command || has_preamble(path)?).then(|| Log::Single(path.to_owned())))
    }

    /// Makes the files of the log anew in a folder, so that whoever writes there does not write here; the first part of
    /// their names.
    fn place_in(&self, folder: &Path) -> Result<String> {
        match self {
            Log::Parts(from, name) => {
                let to = folder.join(LOG_FOLDER);
                fs::create_dir(&to).with_context(|| to.display().to_string())?;
                for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
                    let entry = entry.with_context(|| from.display().to_string())?;
                    let file = entry.file_name().to_string_lossy().into_owned();
                    if !file.starts_with(name.as_str()) || !entry.path().is_file() {
                        continue;
                    }
                    // To a base nothing is ever added.
                    place(&entry.path(), &to.join(&file), file.contains(".base."))?;
                }
                Ok(name.clone())
            }
            Log::Single(path) => {
                place(path, &folder.join("appendonly.aof"), false)?;
                Ok("appendonly.aof".to_owned())
            }
        }
    }
}

/// What the manifest in a folder is called, without its ending.
fn manifest_in(folder: &Path) -> Result<Option<String>> {
    let of = || folder.display().to_string();
    for entry in fs::read_dir(folder).with_context(of)? {
        let name = entry.with_context(of)?.file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".manifest") {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

/// Does a snapshot say of itself that commands follow?
fn has_preamble(path: &Path) -> Result<bool> {
    let Ok(mut reader) = FileReader::new(File::open(path)?, false) else { return Ok(false) };
    loop {
        match reader.next_record() {
            Ok(Record::Aux { name, value }) if name == b"aof-preamble" => return Ok(value == b"1"),
            Ok(Record::Aux { .. }) => {}
            _ => return Ok(false),
        }
    }
}

/// Puts a file under another name: the same one if it may be, else a copy.
fn place(from: &Path, to: &Path, shared: bool) -> Result<()> {
    let from = fs::canonicalize(from).with_context(|| from.display().to_string())?;
    if !shared || fs::hard_link(&from, to).is_err() {
        fs::copy(&from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// Writes the snapshot of what a log holds into the folder; its path.
pub fn snapshot_of_log(log: &Log, folder: &Path) -> Result<PathBuf> {
    let name = log.place_in(folder)?;
    let flags = ["--appendonly", "yes", "--appendfilename", &name, "--aof-load-truncated", "no"];
    let mut server = OwnServer::start(folder, &flags)?;
    server.expect_ok(&[b"SAVE"])?;
    Ok(folder.join(SNAPSHOT))
}

/// Writes a log of what a snapshot holds into the folder; the path of its own folder. With `commands` it has no snapshot
/// in front.
pub fn log_of_snapshot(snapshot: &Path, folder: &Path, commands: bool) -> Result<PathBuf> {
    place(snapshot, &folder.join(SNAPSHOT), true)?;
    let preamble = if commands { "no" } else { "yes" };
    let mut server = OwnServer::start(folder, &["--appendonly", "no", "--aof-use-rdb-preamble", preamble])?;
    server.expect_ok(&[b"CONFIG", b"SET", b"appendonly", b"yes"])?;
    loop {
        let Answer::Text(text) = server.call(&[b"INFO", b"persistence"])? else { bail!("INFO: no text") };
        let text = String::from_utf8_lossy(&text).into_owned();
        let has = |line: &str| text.lines().any(|other| other == line);
        ensure!(!has("aof_last_bgrewrite_status:err"), "the log cannot be written: {}", server.last_words());
        if has("aof_rewrite_in_progress:0") && has("aof_rewrite_scheduled:0") {
            break;
        }
        std::thread::park_timeout(LOOK);
    }
    server.stop()?;
    Ok(folder.join(LOG_FOLDER))
}

/// The server, which ends with its owner.
struct OwnServer {
    child: Child,
    client: Client,
    socket: PathBuf,
    log: PathBuf,
}

impl OwnServer {
    /// Starts it in the folder and waits until it has loaded what is there.
    fn start(folder: &Path, flags: &[&str]) -> Result<OwnServer> {
        let log = folder.join("log");
        // The folder's own path may be too long for one.
        let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let socket = std::env::temp_dir().join(format!("{name}.sock"));
        let output = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new(std::env::current_exe().context("this program's own file")?);
        for (variable, _) in std::env::vars_os() {
            // These are directives of another server.
            if variable.to_string_lossy().starts_with("CORESHARD_") {
                command.env_remove(variable);
            }
        }
        command.args(["--port", "0", "--save", "", "--databases", DATABASES, "--unixsocketperm", "700"]);
        command.args(["--auto-aof-rewrite-percentage", "0"]);
        command.args(["--dbfilename", SNAPSHOT, "--appenddirname", LOG_FOLDER]).args(flags);
        command.arg("--dir").arg(folder).arg("--unixsocket").arg(&socket);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut child = command.spawn().context("starting a server")?;
        let client = loop {
            if let Some(status) = child.try_wait()? {
                bail!("a server of its own cannot load it ({status}): {}", last_lines(&log));
            }
            if let Ok(mut client) = Client::connect_unix(&socket)
                && client.call(&[b"PING"]) == Ok(Answer::Text(b"PONG".to_vec()))
            {
                break client;
            }
            std::thread::park_timeout(LOOK);
        };
        Ok(OwnServer { child, client, socket, log })
    }

    fn call(&mut self, words: &[&[u8]]) -> Result<Answer> {
        self.client.call(words).map_err(|error| {
            // What ended the connection is said when it has ended too.
            let ended = (0..END_LOOKS).any(|_| {
                std::thread::park_timeout(LOOK);
                !matches!(self.child.try_wait(), Ok(None))
            });
            let what = if ended { "a server of its own has ended".to_owned() } else { error };
            anyhow!("{what}: {}", last_lines(&self.log))
        })
    }

    fn expect_ok(&mut self, words: &[&[u8]]) -> Result<()> {
        match self.call(words)? {
            Answer::Text(text) if text == b"OK" => Ok(()),
            other => bail!("{}: {other:?}: {}", words[0].escape_ascii(), self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        last_lines(&self.log)
    }

    /// Ends it in order, so that all it has written is on disk.
    fn stop(mut self) -> Result<()> {
        // It answers nothing, and closes the connection.
        let _ = self.client.call(&[b"SHUTDOWN", b"NOSAVE"]);
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended badly ({status}): {}", self.last_words());
        Ok(())
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.socket);
    }
}

/// The end of a log.
fn last_lines(log: &Path) -> String {
    let text =
        fs::read(log).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
