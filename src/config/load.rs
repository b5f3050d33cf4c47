//! Reading configuration files and other lists of directives.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::directive::Directive;
use super::files;
use super::id;
use super::line::{self, Comments};
use super::setting::{Setting, Traits};
use super::settings::{Id, TABLE};
use super::value::os_text;
use super::values::Config;

/// Files may include files only this deep; a file that includes itself must end somewhere.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Directives that old files hold and that mean nothing any more.
const IGNORED: [&[u8]; 3] =
    [b"list-max-ziplist-entries", b"list-max-ziplist-value", b"lua-replicate-commands"];

/// Where a directive was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Stdin,
    /// The variable's name.
    Environment(String),
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => write!(f, "{}", path.display()),
            Origin::Stdin => f.write_str("standard input"),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("{}\n>>> '{text}'\n{reason}{}", place(.origin, *.line), Expected(.expected))]
    Directive {
        origin: Origin,
        /// Counted from one.
        line: usize,
        /// The line without what it holds of secrets.
        text: String,
        reason: String,
        /// What would have been right, when that can be said.
        expected: String,
    },
    #[error("can't open config file '{}': {}", .path.display(), os_text(.error))]
    Read { path: PathBuf, error: io::Error },
    #[error("can't read the configuration from standard input: {}", os_text(.0))]
    Stdin(io::Error),
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Where a line is; only files and standard input have lines that one can count.
fn place(origin: &Origin, line: usize) -> String {
    match origin {
        Origin::File(_) | Origin::Stdin => format!("{origin}, line {line}"),
        Origin::Environment(_) | Origin::CommandLine => origin.to_string(),
    }
}

struct Expected<'a>(&'a str);

impl fmt::Display for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (expected {})", self.0) }
    }
}

/// Builds a configuration from its sources, weakest first.
#[derive(Debug, Default)]
pub struct Loader {
    config: Config,
    /// Whether a `save` line has replaced the default; the following ones add to it.
    save_seen: bool,
    sentinel_mode: bool,
    include_depth: usize,
}

/// What is wrong with a line: the reason, and what was expected.
struct Objection {
    reason: String,
    expected: String,
}

impl Objection {
    fn new(reason: impl Into<String>, expected: impl Into<String>) -> Objection {
        Objection { reason: reason.into(), expected: expected.into() }
    }
}

enum LineError {
    Objection(Objection),
    /// An included file failed, and says itself where.
    Included(ConfigError),
}

impl From<Objection> for LineError {
    fn from(objection: Objection) -> LineError {
        LineError::Objection(objection)
    }
}

impl Loader {
    pub fn new() -> Loader {
        Loader::default()
    }

    /// Accepts `sentinel` directives with arguments.
    pub fn sentinel_mode(mut self, on: bool) -> Loader {
        self.sentinel_mode = on;
        self
    }

    /// Reads a file, and the files it includes.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read(path).map_err(|error| ConfigError::Read { path: path.to_path_buf(), error })?;
        self.text(&text, &Origin::File(path.to_path_buf()))
    }

    /// Reads directives, one on each line.
    pub fn text(&mut self, text: &[u8], origin: &Origin) -> Result<(), ConfigError> {
        for (number, raw) in text.split(|byte| *byte == b'\n').enumerate() {
            let raw = line::trim(raw);
            if raw.is_empty() || raw[0] == b'#' {
                continue;
            }
            self.line(raw).map_err(|error| match error {
                LineError::Included(error) => error,
                LineError::Objection(objection) => ConfigError::Directive {
                    origin: origin.clone(),
                    line: number + 1,
                    text: without_secrets(raw),
                    reason: objection.reason,
                    expected: objection.expected,
                },
            })?;
        }
        Ok(())
    }

    /// Sets one setting to the value of an environment variable, whatever was set before.
    pub fn variable(&mut self, id: Id, value: &[u8], variable: &str) -> Result<(), ConfigError> {
        let setting = id.setting();
        let done = if setting.takes_several() && !value.is_empty() {
            split_again(setting, value).and_then(|args| self.put(id, &args))
        } else {
            self.put(id, &[value.to_vec()])
        };
        self.save_seen |= id == id::SAVE;
        done.map_err(|objection| ConfigError::Directive {
            origin: Origin::Environment(variable.into()),
            line: 1,
            text: if setting.traits.has(Traits::SENSITIVE) {
                "<hidden>".into()
            } else {
                String::from_utf8_lossy(value).into_owned()
            },
            reason: objection.reason,
            expected: objection.expected,
        })
    }

    /// The configuration, when its settings do not contradict each other.
    pub fn finish(self) -> Result<Config, ConfigError> {
        if self.config.flag(id::CLUSTER_ENABLED) && self.config.primary().is_some() {
            return Err(ConfigError::Contradiction("replicaof directive not allowed in cluster mode"));
        }
        Ok(self.config)
    }

    fn line(&mut self, raw: &[u8]) -> Result<(), LineError> {
        let line::Line { mut args, .. } = line::split(raw, Comments::Trailing)
            .map_err(|_| Objection::new("Unbalanced quotes in configuration line", ""))?;
        if args.is_empty() {
            return Ok(());
        }
        let name = args.remove(0).to_ascii_lowercase();
        match Id::find(&name) {
            Some((id, _)) => Ok(self.setting(id, args)?),
            None if IGNORED.contains(&name.as_slice()) && args.len() == 1 => Ok(()),
            None if name == b"include" && args.len() == 1 => self.include(&args[0]),
            None => Ok(self.directive(&name, args)?),
        }
    }

    fn setting(&mut self, id: Id, args: Vec<Vec<u8>>) -> Result<(), Objection> {
        let setting = id.setting();
        let args = if setting.takes_several() {
            match args.as_slice() {
                // One quoted argument may hold them all.
                [only] if !only.is_empty() => split_again(setting, only)?,
                _ => args,
            }
        } else if args.len() != 1 {
            return Err(Objection::new("wrong number of arguments", setting.expected()));
        } else {
            args
        };
        if id == id::SAVE && self.save_seen {
            let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            return self
                .config
                .add_save_rules(&args)
                .map_err(|refusal| Objection::new(refusal, setting.expected()));
        }
        self.save_seen |= id == id::SAVE;
        self.put(id, &args)
    }

    fn put(&mut self, id: Id, args: &[Vec<u8>]) -> Result<(), Objection> {
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.config
            .put(id, &args)
            .map(|_changed| ())
            .map_err(|refusal| Objection::new(refusal, id.setting().expected()))
    }

    fn include(&mut self, pattern: &[u8]) -> Result<(), LineError> {
        if self.include_depth == INCLUDE_DEPTH_MAX {
            return Err(Objection::new("too many files include each other", "").into());
        }
        self.include_depth += 1;
        for path in files::expand(pattern) {
            self.file(&path).map_err(LineError::Included)?;
        }
        self.include_depth -= 1;
        Ok(())
    }

    fn directive(&mut self, name: &[u8], args: Vec<Vec<u8>>) -> Result<(), Objection> {
        let mut args = args.into_iter();
        let directive = match (name, args.len()) {
            (b"loadmodule", 1..) => {
                Directive::LoadModule { path: args.next().unwrap_or_default(), args: args.collect() }
            }
            (b"user", 1..) => {
                Directive::User { name: args.next().unwrap_or_default(), rules: args.collect() }
            }
            (b"rename-command", 2) => Directive::RenameCommand {
                from: args.next().unwrap_or_default(),
                to: args.next().unwrap_or_default(),
            },
            (b"sentinel", 0) => return Ok(()),
            (b"sentinel", _) if self.sentinel_mode => Directive::Sentinel(args.collect()),
            (b"sentinel", _) => {
                return Err(Objection::new("sentinel directive while not in sentinel mode", "--sentinel"));
            }
            _ if name.contains(&b'.') => {
                if args.len() == 0 {
                    return Err(Objection::new("Module config specified without value", ""));
                }
                let value: Vec<Vec<u8>> = args.collect();
                Directive::ModuleSetting { name: name.to_vec(), value: value.join(&b' ') }
            }
            _ => return Err(Objection::new("Bad directive or wrong number of arguments", known_like(name))),
        };
        self.config.add_directive(directive);
        Ok(())
    }
}

fn split_again(setting: &Setting, value: &[u8]) -> Result<Vec<Vec<u8>>, Objection> {
    match line::split(value, Comments::None) {
        Ok(line) => Ok(line.args),
        Err(_) => Err(Objection::new("Unbalanced quotes in configuration line", setting.expected())),
    }
}

/// The line as it may be shown: secrets are masked.
fn without_secrets(raw: &[u8]) -> String {
    let shown = String::from_utf8_lossy(raw);
    let name = shown.split_whitespace().next().unwrap_or_default();
    let secret = Config::is_sensitive(name.as_bytes()) || name.eq_ignore_ascii_case("user");
    if secret { format!("{name} <hidden>") } else { shown.into_owned() }
}

/// A suggestion for a misspelt directive.
pub(super) fn known_like(name: &[u8]) -> String {
    const DISTANCE_MAX: usize = 3;
    const OTHERS: [&str; 4] = ["include", "loadmodule", "user", "rename-command"];
    let names = TABLE.iter().flat_map(|setting| std::iter::once(&setting.name).chain(setting.aliases));
    // Longer names are nobody's slip of the finger, and the comparison is quadratic.
    if name.len() > 64 {
        return "a known directive".into();
    }
    names
        .chain(&OTHERS)
        .map(|known| (distance(known.as_bytes(), name), known))
        .min()
        .filter(|(distance, known)| *distance <= DISTANCE_MAX && *distance < known.len())
        .map_or_else(
            || "a known directive".into(),
            |(_, known)| format!("a known directive; did you mean '{known}'?"),
        )
}

/// Levenshtein's distance: how many bytes to insert, delete or replace.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
