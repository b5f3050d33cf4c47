//! Which files make the log: Redis 7's manifest, and how files are named.
//!
//! ```text
//!   appendonlydir/
//!     appendonly.aof.manifest            file appendonly.aof.2.base.rdb seq 2 type b
//!     appendonly.aof.2.base.rdb          file appendonly.aof.2.incr.aof seq 2 type h
//!     appendonly.aof.2.incr.aof          file appendonly.aof.3.incr.aof seq 3 type i
//!     appendonly.aof.3.incr.aof
//! ```
//!
//! The data set is the base and what follows in the increments, in their order. History is what a rewrite replaced and
//! may be deleted.
//!
//! INVARIANT: what the manifest names is on disk before the manifest is; a new one takes the place of the old one at
//! once, so that whatever moment the machine stops at, one of both is there.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::line::{self, Comments};
use crate::config::{Config, id};
use crate::rdb::file::{FileReader, Record};

/// Redis reads lines of this length, the line's end included.
const MAX_LINE: usize = 1024;
/// There is always room for further numbers.
const MAX_SEQ: i64 = i64::MAX / 2;

/// The folder of the log and the name its files begin with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Folder {
    pub path: PathBuf,
    /// `appendfilename`.
    pub name: String,
}

impl Folder {
    /// As the configuration names it, whatever the working directory becomes.
    pub fn of(config: &Config) -> Folder {
        let folder = config.text(id::APPENDDIRNAME);
        let path = std::env::current_dir().map_or_else(|_| folder.into(), |dir| dir.join(folder));
        Folder { path, name: config.text(id::APPENDFILENAME).to_owned() }
    }

    /// The path of one of its files.
    pub fn file(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    pub fn manifest(&self) -> PathBuf {
        self.path.join(format!("{}.manifest", self.name))
    }

    fn temporary_manifest(&self) -> PathBuf {
        self.path.join(format!("temp-{}.manifest", self.name))
    }

    /// What a start writes until it is complete.
    pub fn temporary_base(&self) -> PathBuf {
        self.path.join(format!("temp-{}.base", self.name))
    }

    /// What is written before the first rewrite after `appendonly yes` has ended.
    pub fn temporary_incr(&self) -> PathBuf {
        self.path.join(format!("temp-{}.incr", self.name))
    }

    /// The log of Redis before 7: one file beside the folder.
    pub fn single_file(&self) -> PathBuf {
        self.path.with_file_name(&self.name)
    }

    /// Makes sure that the folder is there.
    pub fn create(&self) -> io::Result<()> {
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.path.is_dir() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.path.parent().map_or(Ok(()), sync_folder),
        }
    }

    pub fn sync(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }

    /// The names of bases and increments of this log, named by a manifest or not, that hold anything: no empty ones, and no
    /// snapshots of nothing, which a start leaves behind that was ended before it had written its manifest.
    pub fn files_with_data(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if self.is_numbered(name.as_bytes()) && !is_void(&entry.path())? {
                names.push(name.as_bytes().escape_ascii().to_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Is it a name that a base or an increment of this log would get?
    fn is_numbered(&self, name: &[u8]) -> bool {
        let rest = name.strip_prefix(self.name.as_bytes()).and_then(|rest| rest.strip_prefix(b"."));
        let Some(rest) = rest else { return false };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && matches!(&rest[digits..], b".base.rdb" | b".base.aof" | b".incr.aof")
    }
}

/// Does a file of a log hold nothing?
fn is_void(path: &Path) -> io::Result<bool> {
    let length = fs::metadata(path)?.len();
    if length == 0 {
        return Ok(true);
    }
    let Ok(mut reader) = FileReader::new(File::open(path)?, true) else { return Ok(false) };
    loop {
        match reader.next_record() {
            Ok(Record::Aux { .. } | Record::Resize { .. }) => {}
            // Commands may follow a snapshot.
            Ok(Record::End { .. }) => return Ok(reader.offset() as u64 == length),
            _ => return Ok(false),
        }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// What a file is to the data set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Base,
    History,
    Incr,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Base => 'b',
            Kind::History => 'h',
            Kind::Incr => 'i',
        }
    }
}

/// One file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    pub name: Vec<u8>,
    pub seq: i64,
}

/// The files.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Manifest {
    pub base: Option<Info>,
    pub history: Vec<Info>,
    pub incrs: Vec<Info>,
    /// The highest numbers given so far.
    base_seq: i64,
    incr_seq: i64,
}

/// Why a manifest is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadManifest {
    /// Its number, from 1, and what it says.
    pub line: Option<(usize, Vec<u8>)>,
    pub reason: &'static str,
}

/// Redis's words, a line for each.
impl std::fmt::Display for BadManifest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(out, "*** FATAL AOF MANIFEST FILE ERROR ***")?;
        if let Some((number, text)) = &self.line {
            writeln!(out, "Reading the manifest file, at line {number}")?;
            writeln!(out, ">>> '{}'", String::from_utf8_lossy(text))?;
        }
        out.write_str(self.reason)
    }
}

/// Why a manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("Fatal error: can't open the AOF manifest file {} for reading: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{bad}")]
    Bad { path: PathBuf, bad: BadManifest },
}

/// Why a manifest could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{what} {}: {error}", path.display())]
pub struct WriteError {
    pub what: &'static str,
    pub path: PathBuf,
    pub error: io::Error,
}

impl Manifest {
    /// A folder's manifest; `None` if it has none.
    pub fn read(folder: &Folder) -> Result<Option<Manifest>, ReadError> {
        let path = folder.manifest();
        match fs::read(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(ReadError::Io { path, error }),
            Ok(text) => match Manifest::parse(&text) {
                Ok(manifest) => Ok(Some(manifest)),
                Err(bad) => Err(ReadError::Bad { path, bad }),
            },
        }
    }

    /// What a manifest says.
    pub fn parse(text: &[u8]) -> Result<Manifest, BadManifest> {
        let bad = |line: Option<(usize, &[u8])>, reason| {
            let line = line.map(|(number, text)| (number, text.to_vec()));
            Err(BadManifest { line, reason })
        };
        if text.is_empty() {
            return bad(None, "Found an empty AOF manifest");
        }
        let mut manifest = Manifest::default();
        let mut rest = text;
        let mut number = 0;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', &rest[..rest.len().min(MAX_LINE)]);
            let (piece, behind) = rest.split_at(end.map_or(rest.len().min(MAX_LINE), |at| at + 1));
            rest = behind;
            number += 1;
            if piece.starts_with(b"#") {
                continue;
            }
            if end.is_none() || piece.contains(&0) {
                return bad(None, "The AOF manifest file contains too long line");
            }
            let text = line::trim(piece);
            if let Err(reason) = manifest.line(text) {
                return bad((!text.is_empty()).then_some((number, text)), reason);
            }
        }
        Ok(manifest)
    }

    fn line(&mut self, text: &[u8]) -> Result<(), &'static str> {
        const INVALID: &str = "Invalid AOF manifest file format";
        let args = line::split(text, Comments::None).map_err(|_| INVALID)?.args;
        // More than these three may come in later versions.
        if args.len() < 6 || args.len() % 2 != 0 {
            return Err(INVALID);
        }
        let (mut name, mut seq, mut kind) = (None, 0, 0);
        for [key, value] in args.as_chunks().0 {
            match key.to_ascii_lowercase().as_slice() {
                b"file" => {
                    if value.iter().any(|byte| b"/\\".contains(byte)) {
                        return Err("File can't be a path, just a filename");
                    }
                    name = Some(value);
                }
                b"seq" => seq = leading_number(value),
                b"type" => kind = value.first().copied().unwrap_or(0),
                _ => {}
            }
        }
        let Some(name) = name else { return Err(INVALID) };
        // What would be the folder itself, or cannot be a name, is as good as none.
        if seq == 0
            || seq > MAX_SEQ
            || kind == 0
            || matches!(&**name, b"" | b"." | b"..")
            || name.contains(&0)
        {
            return Err(INVALID);
        }
        let info = Info { name: name.clone(), seq };
        match kind {
            b'b' if self.base.is_some() => return Err("Found duplicate base file information"),
            b'b' => {
                self.base_seq = seq;
                self.base = Some(info);
            }
            b'h' => self.history.push(info),
            b'i' if seq <= self.incrs.last().map_or(0, |last| last.seq) => {
                return Err("Found a non-monotonic sequence number");
            }
            b'i' => {
                self.incr_seq = seq;
                self.incrs.push(info);
            }
            _ => return Err("Unknown AOF file type"),
        }
        Ok(())
    }

    /// The manifest as it stands in its file.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let base = self.base.iter().map(|info| (info, Kind::Base));
        let history = self.history.iter().map(|info| (info, Kind::History));
        let incrs = self.incrs.iter().map(|info| (info, Kind::Incr));
        for (info, kind) in base.chain(history).chain(incrs) {
            let plain = |byte: &u8| byte.is_ascii_graphic() && !b"\\\"".contains(byte);
            let name = if info.name.iter().all(plain) { info.name.clone() } else { line::quote(&info.name) };
            text.extend_from_slice(b"file ");
            text.extend_from_slice(&name);
            text.extend_from_slice(format!(" seq {} type {}\n", info.seq, kind.letter()).as_bytes());
        }
        text
    }

    /// Puts the manifest in the place of the one that is there.
    pub fn write(&self, folder: &Folder) -> Result<(), WriteError> {
        let (temporary, path) = (folder.temporary_manifest(), folder.manifest());
        let of = |what, path: &Path| {
            let path = path.to_owned();
            move |error| WriteError { what, path, error }
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)
            .map_err(of("Can't open the AOF manifest file", &temporary))?;
        file.write_all(&self.text())
            .map_err(of("Error trying to write the temporary AOF manifest file", &temporary))?;
        file.sync_all().map_err(of("Fail to fsync the temp AOF file", &temporary))?;
        fs::rename(&temporary, &path)
            .map_err(of("Error trying to rename the temporary AOF manifest file into", &path))?;
        folder.sync().map_err(of("Fail to fsync AOF directory", &folder.path))
    }

    // --- changes -----------------------------------------------------------------------------------------------

    /// Is there nothing to load?
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.incrs.is_empty()
    }

    /// The one file of Redis before 7, as the base.
    pub fn of_single_file(folder: &Folder) -> Manifest {
        let base = Info { name: folder.name.clone().into_bytes(), seq: 1 };
        Manifest { base: Some(base), base_seq: 1, ..Manifest::default() }
    }

    /// Adds a base; the one before becomes history. Its name, which no file has yet.
    pub fn new_base(&mut self, folder: &Folder, rdb: bool) -> Vec<u8> {
        if let Some(old) = self.base.take() {
            self.history.insert(0, old);
        }
        let format = if rdb { "rdb" } else { "aof" };
        let info = next(folder, &mut self.base_seq, &format!("base.{format}"));
        self.base = Some(info.clone());
        info.name
    }

    /// Adds an increment. Its name, which no file has yet.
    pub fn new_incr(&mut self, folder: &Folder) -> Vec<u8> {
        let info = next(folder, &mut self.incr_seq, "incr.aof");
        self.incrs.push(info.clone());
        info.name
    }

    /// The new base holds what is in all increments but the last `keep`.
    pub fn retire_incrs(&mut self, keep: usize) {
        let retired = self.incrs.len().saturating_sub(keep);
        for info in self.incrs.drain(..retired).rev() {
            self.history.insert(0, info);
        }
    }
}

/// The next number whose file is not there, or holds nothing: whoever left one behind, it is not written over.
fn next(folder: &Folder, seq: &mut i64, kind: &str) -> Info {
    loop {
        *seq += 1;
        let name = format!("{}.{seq}.{kind}", folder.name).into_bytes();
        let path = folder.file(&name);
        if !path.exists() || is_void(&path).unwrap_or(false) {
            return Info { name, seq: *seq };
        }
    }
}

/// As C's `atoll` reads it: blanks, a sign, digits, whatever. 0 if there are none.
fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let add = |sum: i64, digit: &u8| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    let number = digits.iter().take_while(|digit| digit.is_ascii_digit()).fold(0, add);
    if negative { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(text: &str) -> &'static str {
        Manifest::parse(text.as_bytes()).expect_err(text).reason
    }

    fn folder(name: &str) -> Folder {
        Folder { path: "/nowhere".into(), name: name.into() }
    }

    const TEXT: &str = "file appendonly.aof.2.base.rdb seq 2 type b\n\
                        file appendonly.aof.1.incr.aof seq 1 type h\n\
                        file appendonly.aof.4.incr.aof seq 4 type i\n\
                        file appendonly.aof.5.incr.aof seq 5 type i\n";

    #[test]
    fn a_manifest_is_read_and_written_as_redis_does() {
        let mut manifest = Manifest::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(manifest.text(), TEXT.as_bytes());
        assert_eq!(manifest.base.as_ref().unwrap().seq, 2);
        assert_eq!(manifest.incrs.len(), 2);
        let folder = folder("appendonly.aof");
        assert_eq!(manifest.new_incr(&folder), b"appendonly.aof.6.incr.aof");
        assert_eq!(manifest.new_base(&folder, false), b"appendonly.aof.3.base.aof");
        manifest.retire_incrs(1);
        let names = |infos: &[Info]| -> Vec<String> {
            infos.iter().map(|info| String::from_utf8(info.name.clone()).unwrap()).collect()
        };
        assert_eq!(names(&manifest.incrs), ["appendonly.aof.6.incr.aof"]);
        assert_eq!(
            names(&manifest.history),
            [
                "appendonly.aof.4.incr.aof",
                "appendonly.aof.5.incr.aof",
                "appendonly.aof.2.base.rdb",
                "appendonly.aof.1.incr.aof"
            ]
        );
    }

    #[test]
    fn comments_further_keys_and_any_case_are_read() {
        let text =
            "#hello\nFILE 'a b' TYPE incremental color red Seq 7\n  file \"c\\x20d\" seq +9 type i\r\n";
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        assert_eq!(manifest.incrs[0], Info { name: b"a b".to_vec(), seq: 7 });
        assert_eq!(manifest.incrs[1], Info { name: b"c d".to_vec(), seq: 9 });
        assert_eq!(manifest.text(), b"file \"a b\" seq 7 type i\nfile \"c d\" seq 9 type i\n");
        assert_eq!(Manifest::parse(b"# nothing else\n").unwrap(), Manifest::default());
    }

    #[test]
    fn what_redis_refuses_is_refused_with_its_words() {
        assert_eq!(reason(""), "Found an empty AOF manifest");
        for invalid in [
            "\n",
            "file a seq 1\n",
            "file a seq 1 type b x\n",
            "file a seq 0 type b\n",
            "file a seq x type b\n",
            "file a seq 1 type \"\"\n",
            "file 'a seq 1 type b\n",
            "file a b c d e\n",
            "file .. seq 1 type b\n",
        ] {
            assert_eq!(reason(invalid), "Invalid AOF manifest file format", "{invalid:?}");
        }
        assert_eq!(reason("file a/b seq 1 type b\n"), "File can't be a path, just a filename");
        assert_eq!(reason("file a seq 1 type q\n"), "Unknown AOF file type");
        let twice = "file a seq 1 type b\nfile b seq 2 type b\n";
        assert_eq!(reason(twice), "Found duplicate base file information");
        let backwards = "file a seq 2 type i\nfile b seq 2 type i\n";
        assert_eq!(reason(backwards), "Found a non-monotonic sequence number");
        let long = format!("file {} seq 1 type i\n", "a".repeat(MAX_LINE));
        assert_eq!(reason(&long), "The AOF manifest file contains too long line");
        assert_eq!(reason("file a seq 1 type i"), "The AOF manifest file contains too long line");
    }

    #[test]
    fn an_error_names_the_line() {
        let bad = Manifest::parse(b"# one\nfile a seq 1 type q\n").unwrap_err();
        assert_eq!(
            bad.to_string(),
            "*** FATAL AOF MANIFEST FILE ERROR ***\nReading the manifest file, at line 2\n\
             >>> 'file a seq 1 type q'\nUnknown AOF file type"
        );
    }

    #[test]
    fn a_new_manifest_takes_the_place_of_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { path: dir.path().join("log"), name: "a b".into() };
        folder.create().unwrap();
        folder.create().unwrap();
        assert_eq!(Manifest::read(&folder).unwrap(), None);
        let mut manifest = Manifest::default();
        for _ in 0..2 {
            manifest.new_base(&folder, true);
            manifest.new_incr(&folder);
            manifest.write(&folder).unwrap();
            assert_eq!(Manifest::read(&folder).unwrap().as_ref(), Some(&manifest));
        }
        assert!(!folder.temporary_manifest().exists());
        assert!(folder.file(b"a b.manifest").exists());
    }

    proptest! {
        #[test]
        fn whatever_a_manifest_says_nothing_panics(text: Vec<u8>) {
            let _ = Manifest::parse(&text);
        }

        #[test]
        fn hostile_manifests_never_panic(text in r##"(file|seq|type|[bhi0-9 #'"/.\\\n-]){0,60}\n"##) {
            if let Ok(manifest) = Manifest::parse(text.as_bytes()) && !manifest.text().is_empty() {
                prop_assert!(Manifest::parse(&manifest.text()).is_ok());
            }
        }
    }
}
