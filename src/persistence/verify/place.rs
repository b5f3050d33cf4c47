//! Where data are that are compared: a file, or a server that answers.

use std::fmt::{Display, Formatter};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::client::{Answer, Client, push};
use super::print::Print;
use crate::rdb::file::{FileReader, Record};
use crate::rdb::functions::restore_functions;
use crate::rdb::{Limits, RdbError, restore_value};
use crate::sys::clock;
use crate::types::Encodings;

const LIMITS: Limits = Limits { string_bytes: usize::MAX, encodings: Encodings::DEFAULT };
/// Keys that a server is asked for at once.
const SCAN_COUNT: &[u8] = b"512";
/// What a server says of time to live is no moment: as late as an answer may be.
const TTL_TOLERANCE_MS: u64 = 2000;

/// What is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    File(PathBuf),
    /// `host:port`
    Server(String),
}

impl Place {
    /// A file when there is one of this name, else `host:port`.
    pub fn of(text: &str) -> Result<Place, String> {
        let path = Path::new(text);
        if path.is_dir() {
            return Err(format!("{text}: this is a folder, not an RDB file"));
        }
        let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        match text.rsplit_once(':') {
            Some((host, port)) if !path.exists() && !host.is_empty() && is_port(port) => {
                Ok(Place::Server(text.to_owned()))
            }
            _ => Ok(Place::File(path.to_owned())),
        }
    }

    /// Is it a file, and not a server?
    pub fn is_file(&self) -> bool {
        matches!(self, Place::File(_))
    }

    /// Shows everything there is.
    pub fn visit(&self, now_ms: u64, show: &mut dyn FnMut(Found)) -> Result<(), String> {
        match self {
            Place::File(path) => visit_file(path, now_ms, show),
            Place::Server(address) => visit_server(address, now_ms, show),
        }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::File(path) => write!(f, "{}", path.display()),
            Place::Server(address) => write!(f, "{address}"),
        }
    }
}

/// A moment when a key is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    pub at_ms: i64,
    pub tolerance_ms: u64,
}

impl Deadline {
    pub fn is_same(&self, other: &Deadline) -> bool {
        self.at_ms.abs_diff(other.at_ms) <= self.tolerance_ms.max(other.tolerance_ms)
    }
}

/// What a place holds.
#[derive(Debug)]
pub enum Found {
    Key {
        db: u32,
        key: Vec<u8>,
        print: Print,
        deadline: Option<Deadline>,
    },
    /// The source of a library.
    Function(Vec<u8>),
    /// Something that cannot be compared.
    Unknown(String),
}

fn visit_file(path: &Path, now_ms: u64, show: &mut dyn FnMut(Found)) -> Result<(), String> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| of(&error))?;
    let mut reader = FileReader::new(file, true).map_err(|error| of(&error))?;
    loop {
        match reader.next_record().map_err(|error| of(&error))? {
            Record::Entry(entry) => {
                let value = match entry.parse(LIMITS) {
                    // Nobody would have it after a load.
                    Err(RdbError::Empty(_)) => continue,
                    parsed => parsed,
                };
                let value = value.map_err(|error| {
                    of(&format!("the key '{}' at offset {}: {error}", entry.key.escape_ascii(), entry.offset))
                })?;
                let print = Print::of(&value, entry.kind, now_ms);
                let deadline = entry.expire_at_ms.map(|at_ms| Deadline { at_ms, tolerance_ms: 0 });
                show(Found::Key { db: entry.db, key: entry.key, print, deadline });
            }
            Record::Function(source) => show(Found::Function(source)),
            Record::Module { name, key } => {
                let key = key.map_or(String::new(), |key| format!(", the key '{}'", key.escape_ascii()));
                show(Found::Unknown(of(&format!("data of the module {name}{key}"))));
            }
            Record::Aux { .. } | Record::Resize { .. } => {}
            Record::End { .. } => return Ok(()),
        }
    }
}

fn visit_server(address: &str, now_ms: u64, show: &mut dyn FnMut(Found)) -> Result<(), String> {
    let mut client = Client::connect(address)?;
    let refused = |what: &str, answer: &Answer| match answer {
        Answer::Error(error) => format!("{address}: {what}: {error}"),
        other => format!("{address}: {what}: {other:?}"),
    };
    for db in databases(&mut client, address)? {
        let answer = client.call(&[b"SELECT", db.to_string().as_bytes()])?;
        if matches!(answer, Answer::Error(_)) {
            return Err(refused("SELECT", &answer));
        }
        let mut cursor = b"0".to_vec();
        loop {
            let answer = client.call(&[b"SCAN", &cursor, b"COUNT", SCAN_COUNT])?;
            let Answer::Many(parts) = &answer else { return Err(refused("SCAN", &answer)) };
            let [Answer::Text(next), Answer::Many(keys)] = &parts[..] else {
                return Err(refused("SCAN", &answer));
            };
            let keys = keys.iter().filter_map(|key| match key {
                Answer::Text(key) => Some(&key[..]),
                _ => None,
            });
            visit_keys(&mut client, address, (db, now_ms), &keys.collect::<Vec<_>>(), show)?;
            if next == b"0" {
                break;
            }
            cursor.clone_from(next);
        }
    }
    // Redis: before 7 there are no functions.
    if let Answer::Text(payload) = client.call(&[b"FUNCTION", b"DUMP"])? {
        let sources =
            restore_functions(&payload).map_err(|error| format!("{address}: FUNCTION DUMP: {error}"))?;
        sources.into_iter().for_each(|source| show(Found::Function(source)));
    }
    Ok(())
}

/// The databases that have keys.
fn databases(client: &mut Client, address: &str) -> Result<Vec<u32>, String> {
    match client.call(&[b"INFO", b"keyspace"])? {
        Answer::Text(text) => Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter_map(|line| line.strip_prefix("db")?.split_once(':')?.0.parse().ok())
            .collect()),
        Answer::Error(error) => Err(format!("{address}: INFO: {error}")),
        other => Err(format!("{address}: INFO: {other:?}")),
    }
}

fn visit_keys(
    client: &mut Client,
    address: &str,
    (db, now_ms): (u32, u64),
    keys: &[&[u8]],
    show: &mut dyn FnMut(Found),
) -> Result<(), String> {
    let mut requests = Vec::new();
    for key in keys {
        push(&mut requests, &[b"DUMP", key]);
        push(&mut requests, &[b"PEXPIRETIME", key]);
        push(&mut requests, &[b"PTTL", key]);
    }
    client.send(&requests)?;
    for key in keys {
        let (dump, exact, ttl) = (client.read()?, client.read()?, client.read()?);
        let of =
            |what: &dyn std::fmt::Display| format!("{address}: the key '{}': {what}", key.escape_ascii());
        let payload = match dump {
            Answer::Text(payload) => payload,
            // It is gone since.
            Answer::Nothing => continue,
            Answer::Error(error) => return Err(of(&error)),
            other => return Err(of(&format!("{other:?}"))),
        };
        let deadline = match (exact, ttl) {
            (Answer::Int(at_ms), _) => Some((at_ms, 0)).filter(|_| at_ms >= 0),
            // Redis: before 7 nobody tells the moment.
            (_, Answer::Int(left)) if left >= 0 => {
                Some((left.saturating_add(clock::realtime_ms() as i64), TTL_TOLERANCE_MS))
            }
            _ => None,
        };
        let value = restore_value(&payload, LIMITS).map_err(|error| of(&error))?;
        let print = Print::of(&value, payload.first().copied().unwrap_or(0), now_ms);
        let deadline = deadline.map(|(at_ms, tolerance_ms)| Deadline { at_ms, tolerance_ms });
        show(Found::Key { db, key: key.to_vec(), print, deadline });
    }
    Ok(())
}
