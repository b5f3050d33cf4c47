//! `coreshard check-rdb`: reads a file as a load would, value by value, and says what is in it or what is wrong.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::rdb::file::{FileReader, Record};
use crate::rdb::{Limits, RdbError};
use crate::types::Encodings;

/// What a good file holds.
#[derive(Default, Debug)]
pub struct Report {
    pub version: u16,
    pub facts: Vec<(String, String)>,
    /// Per database: keys, keys with a deadline, those of them that have expired.
    pub dbs: BTreeMap<u32, (u64, u64, u64)>,
    pub functions: u64,
    /// Keys with an empty value, which a load passes over.
    pub empty: u64,
    pub modules: u64,
    pub checked: bool,
    pub bytes: u64,
}

/// Reads the file. The error says where and what. Without `sums` its checksum may be wrong.
pub fn check(path: &Path, now_ms: u64, sums: bool) -> Result<Report, String> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| of(&error))?;
    let mut reader = FileReader::new(file, sums).map_err(|error| of(&error))?;
    let mut report = Report { version: reader.version(), ..Report::default() };
    let limits = Limits { string_bytes: usize::MAX, encodings: Encodings::DEFAULT };
    loop {
        match reader.next_record().map_err(|error| of(&error))? {
            Record::Entry(entry) => {
                match entry.parse(limits) {
                    Err(RdbError::Empty(_)) => {
                        report.empty += 1;
                        continue;
                    }
                    parsed => parsed.map(drop).map_err(|error| {
                        let key = entry.key.escape_ascii();
                        of(&format!("the key '{key}' at offset {}: {error}", entry.offset))
                    })?,
                }
                let counts = report.dbs.entry(entry.db).or_default();
                counts.0 += 1;
                if let Some(at) = entry.expire_at_ms {
                    counts.1 += 1;
                    counts.2 += u64::from(at < now_ms as i64);
                }
            }
            Record::Aux { name, value } => {
                report.facts.push((name.escape_ascii().to_string(), value.escape_ascii().to_string()));
            }
            Record::Resize { .. } => {}
            Record::Function(_) => report.functions += 1,
            Record::Module { .. } => report.modules += 1,
            Record::End { checked } => {
                report.checked = checked;
                report.bytes = reader.offset() as u64;
                return Ok(report);
            }
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "RDB version {}, {} bytes", self.version, self.bytes)?;
        for (name, value) in &self.facts {
            writeln!(f, "{name}: {value}")?;
        }
        for (db, (keys, expires, expired)) in &self.dbs {
            writeln!(f, "db{db}: {keys} keys, {expires} with a deadline, {expired} expired")?;
        }
        if self.functions > 0 {
            writeln!(f, "{} libraries of functions", self.functions)?;
        }
        if self.empty > 0 {
            writeln!(f, "{} keys without a value, which would be left out", self.empty)?;
        }
        if self.modules > 0 {
            writeln!(f, "{} pieces of modules' data, which would be left out", self.modules)?;
        }
        writeln!(f, "checksum: {}", if self.checked { "good" } else { "none" })?;
        write!(f, "\\o/ The file is good.")
    }
}
