//! The file of a save: what stands before the entries, and the bytes on their way into it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use super::options::SaveOptions;
use crate::rdb::file;
use crate::rdb::format::{Checksum, opcode};
use crate::rdb::target::Losses;
use crate::rdb::write::Writer;
use crate::shard::log::Commands;
use crate::shard::snapshot::Beginning;
use crate::sys::clock;
use crate::sys::disk::Stream;
use crate::types::DbIndex;

/// A snapshot of nothing.
pub fn empty_snapshot(options: SaveOptions) -> Vec<u8> {
    let (mut out, _) = header(&options, clock::realtime_ms() / 1000, &[], &[]);
    out.push(opcode::EOF);
    let sum = if options.checksum { Checksum::of(&out) } else { 0 };
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// What stands before the entries of a snapshot, and what of it could not be said for its target.
pub(super) fn header(
    options: &SaveOptions,
    now_s: u64,
    beginnings: &[Beginning],
    functions: &[Vec<u8>],
) -> (Vec<u8>, Losses) {
    let mut writer = Writer::of(options.target);
    let field_deadlines = beginnings.iter().any(|beginning| beginning.field_deadlines);
    file::write_header(&mut writer.out, options.target.version_of_file(field_deadlines));
    let mut aux = |name: &str, value: &str| file::write_aux(&mut writer, name.as_bytes(), value.as_bytes());
    aux("redis-ver", crate::REDIS_VERSION);
    aux("redis-bits", &usize::BITS.to_string());
    aux("ctime", &now_s.to_string());
    aux("used-mem", &options.used_bytes.to_string());
    aux("coreshard-ver", env!("CARGO_PKG_VERSION"));
    aux("aof-base", if options.base.is_some() { "1" } else { "0" });
    functions.iter().for_each(|source| file::write_function(&mut writer, source));
    for (db, (keys, expires)) in sums(beginnings) {
        file::write_select(&mut writer, u32::from(db.0));
        file::write_resize(&mut writer, keys, expires);
    }
    (writer.out, writer.losses)
}

/// What stands before the entries of a base of commands.
pub(super) fn header_of_commands(options: &SaveOptions, now_s: u64, functions: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    if options.base.is_some_and(|base| base.timestamp) {
        out.extend_from_slice(format!("#TS:{now_s}\r\n").as_bytes());
    }
    for source in functions {
        let mut commands = Commands::default();
        commands.push(DbIndex(0), [b"FUNCTION" as &[u8], b"LOAD", source].into_iter());
        out.append(&mut commands.bytes);
    }
    out
}

/// Keys, and keys with a deadline, per database.
pub(super) fn sums(beginnings: &[Beginning]) -> BTreeMap<DbIndex, (u64, u64)> {
    let mut dbs = BTreeMap::<DbIndex, (u64, u64)>::new();
    for (db, keys, expires) in beginnings.iter().flat_map(|beginning| &beginning.dbs) {
        let sum = dbs.entry(*db).or_default();
        *sum = (sum.0 + keys, sum.1 + expires);
    }
    dbs
}

/// The file being written.
pub(in crate::persistence) struct Out {
    stream: Stream,
    digest: Option<Checksum>,
}

impl Out {
    /// `rdb-save-incremental-fsync`: it gets to the disk as it is written.
    pub(in crate::persistence) fn new(file: File, checksum: bool, incremental_sync: bool) -> io::Result<Out> {
        let stream = Stream::new(file, incremental_sync)?;
        Ok(Out { stream, digest: checksum.then(Checksum::default) })
    }

    pub(in crate::persistence) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        self.stream.write(bytes)
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.stream.sync()
    }

    /// Ends a snapshot, and brings it to the disk.
    pub(in crate::persistence) fn end(&mut self) -> io::Result<()> {
        self.write(&[opcode::EOF])?;
        let sum = self.digest.as_ref().map_or(0, Checksum::value);
        self.stream.write(&sum.to_le_bytes())?;
        self.stream.sync()
    }
}
