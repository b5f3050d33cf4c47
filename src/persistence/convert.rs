//! `coreshard convert IN OUT`: a file of any version becomes one of the version that is asked for.
//!
//! The new file has another name until it is complete and on disk. What there was under its name is not replaced.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::save::Out;
use super::verify::print::view;
use crate::rdb::file::{self, Access, FileReader, Record};
use crate::rdb::format::kind;
use crate::rdb::target::{Losses, Target};
use crate::rdb::write::Writer;
use crate::rdb::{Limits, RdbError};
use crate::sys::process;
use crate::types::Encodings;

/// The new file is written in pieces of this size.
const BUFFER_BYTES: usize = 256 * 1024;

/// What became of the file.
#[derive(Default, Debug)]
pub struct Report {
    pub from_version: u16,
    pub to_version: u16,
    pub keys: u64,
    pub functions: u64,
    /// What the new version does not know.
    pub losses: Losses,
    /// Keys of which nothing is left without what was lost.
    pub keys_lost: u64,
    /// Keys with an empty value, which no Redis would have.
    pub empty: u64,
    /// Data of modules, which nobody here can read.
    pub modules: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Report { from_version, to_version, keys, functions, losses, keys_lost, empty, modules } = self;
        if losses.any() || *keys_lost > 0 {
            writeln!(
                f,
                "WARNING: version {to_version} does not know all there is. Left out: {losses}, {keys_lost} keys"
            )?;
        }
        if *empty > 0 {
            writeln!(f, "WARNING: {empty} keys without a value are left out")?;
        }
        if *modules > 0 {
            writeln!(f, "WARNING: {modules} pieces of modules' data are left out")?;
        }
        write!(
            f,
            "{keys} keys and {functions} libraries of functions, from version {from_version} to {to_version}"
        )
    }
}

/// Writes the file anew: in this version, or in the usual one that loses nothing.
pub fn convert(from: &Path, to: &Path, version: Option<u16>, now_ms: u64) -> Result<Report, String> {
    let target = match version {
        None => Target::FILE,
        Some(version) => Target::exactly(version, now_ms)
            .ok_or_else(|| format!("version {version} cannot be written: only 9, 10, 11 and 12 can"))?,
    };
    if to.exists() {
        return Err(format!("{}: it exists already", to.display()));
    }
    // The header comes first and depends on what follows.
    let to_version = target.version_of_file(version.is_none() && has_field_deadlines(from)?);
    let name = to.file_name().ok_or_else(|| format!("{}: this is no name of a file", to.display()))?;
    let temporary = to.with_file_name(format!("temp-{}-{}", process::pid(), name.to_string_lossy()));
    let written = write(from, &temporary, (target, to_version)).and_then(|report| {
        let of = |error: io::Error| format!("{}: {error}", to.display());
        // Unlike a rename, a link never takes the place of what has appeared since.
        fs::hard_link(&temporary, to).map_err(of)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(of)?;
        Ok(report)
    });
    // It may not be there, and what matters has been said.
    let _ = fs::remove_file(&temporary);
    written
}

fn open(path: &Path) -> Result<FileReader<File>, String> {
    let of = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| of(&error))?;
    FileReader::new(file, true).map_err(|error| of(&error))
}

fn has_field_deadlines(path: &Path) -> Result<bool, String> {
    let mut reader = open(path)?;
    loop {
        match reader.next_record().map_err(|error| format!("{}: {error}", path.display()))? {
            Record::Entry(entry) => match entry.kind {
                kind::HASH_METADATA
                | kind::HASH_LISTPACK_EX
                | kind::HASH_METADATA_PRE_GA
                | kind::HASH_LISTPACK_EX_PRE_GA => return Ok(true),
                _ => {}
            },
            Record::End { .. } => return Ok(false),
            _ => {}
        }
    }
}

fn write(from: &Path, to: &Path, (target, to_version): (Target, u16)) -> Result<Report, String> {
    let bad = |error: &dyn std::fmt::Display| format!("{}: {error}", from.display());
    let failed = |error: io::Error| format!("{}: {error}", to.display());
    let mut reader = open(from)?;
    let mut out = Out::new(File::create_new(to).map_err(failed)?, true, true).map_err(failed)?;
    let mut report = Report { from_version: reader.version(), to_version, ..Report::default() };
    let mut writer = Writer::of(target);
    file::write_header(&mut writer.out, to_version);
    let limits = Limits { string_bytes: usize::MAX, encodings: Encodings::DEFAULT };
    let mut selected = None;
    let mut select = |writer: &mut Writer, db: u32| {
        if selected != Some(db) {
            file::write_select(writer, db);
            selected = Some(db);
        }
    };
    loop {
        match reader.next_record().map_err(|error| bad(&error))? {
            Record::Aux { name, value } => file::write_aux(&mut writer, &name, &value),
            Record::Resize { db, keys, expires } => {
                select(&mut writer, db);
                file::write_resize(&mut writer, keys, expires);
            }
            Record::Function(source) => {
                report.functions += u64::from(target.knows_functions());
                file::write_function(&mut writer, &source);
            }
            Record::Module { .. } => report.modules += 1,
            Record::Entry(entry) => {
                let value = match entry.parse(limits) {
                    Err(RdbError::Empty(_)) => {
                        report.empty += 1;
                        continue;
                    }
                    parsed => parsed,
                };
                let value = value.map_err(|error| {
                    bad(&format!(
                        "the key '{}' at offset {}: {error}",
                        entry.key.escape_ascii(),
                        entry.offset
                    ))
                })?;
                select(&mut writer, entry.db);
                let access = match (entry.idle_seconds, entry.frequency) {
                    (_, Some(count)) => Access::Frequency(count),
                    (Some(seconds), None) => Access::IdleSeconds(seconds),
                    (None, None) => Access::Untold,
                };
                let before = writer.out.len();
                let expire_at_ms = entry.expire_at_ms.map(|at| at as u64);
                file::write_entry(&mut writer, &entry.key, &view(&value), expire_at_ms, access);
                match writer.out.len() > before {
                    true => report.keys += 1,
                    false => report.keys_lost += 1,
                }
            }
            Record::End { .. } => break,
        }
        if writer.out.len() >= BUFFER_BYTES {
            out.write(&std::mem::take(&mut writer.out)).map_err(failed)?;
        }
    }
    out.write(&writer.out).and_then(|()| out.end()).map_err(failed)?;
    report.losses = writer.losses;
    Ok(report)
}
