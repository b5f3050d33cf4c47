//! Whole RDB files: what is read is loaded, converted and compared without a panic, without end or memory that is only
//! announced, and what is good stays the same on the way.

use std::fs;
use std::path::Path;

use crate::rdb::{ALPHABET, CRC64, LIMITS, body, text};
use crate::{fuzz, mutate};
use coreshard::persistence::check::check;
use coreshard::persistence::convert::convert;
use coreshard::persistence::verify::{Place, verify};
use coreshard::rdb::file::{FileReader, Record, write_aux, write_header, write_resize, write_select};
use coreshard::rdb::format::{kind, opcode};
use coreshard::rdb::{RdbError, Writer};
use coreshard::shard::memory::MemoryBoard;
use coreshard::shard::{Moved, Shard};
use coreshard::types::raw::table::Hasher;
use coreshard::types::{DbIndex, ShardId};

const DATABASES: usize = 4;
/// Far more than any case needs, far less than what a length can announce.
const MEMORY_BYTES: u64 = 3 << 30;

/// From here on an allocation of what is only announced ends the process.
fn limit_memory() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::As);
    let limit = Rlimit { current: Some(MEMORY_BYTES), maximum: now.maximum };
    setrlimit(Resource::As, limit).expect("a limit may be lowered");
}

/// What stands between entries.
fn between(rng: &mut fastrand::Rng, writer: &mut Writer) {
    match rng.u8(0..8) {
        0 => write_aux(writer, &text(rng), &text(rng)),
        1 => write_select(writer, rng.u32(0..DATABASES as u32)),
        2 => write_resize(writer, rng.u64(..), rng.u64(0..100)),
        3 => {
            writer.byte(opcode::FUNCTION_2);
            writer.string(&text(rng));
        }
        4 => {
            writer.byte(opcode::MODULE_AUX);
            (0..3).for_each(|_| writer.length(rng.u64(..)));
            module(rng, writer);
        }
        5 => {
            writer.byte(opcode::SLOT_INFO);
            (0..3).for_each(|_| writer.length(rng.u64(..)));
        }
        _ => {}
    }
}

/// What a module may have written.
fn module(rng: &mut fastrand::Rng, writer: &mut Writer) {
    for _ in 0..rng.usize(0..4) {
        let of = rng.u64(1..6);
        writer.length(of);
        match of {
            3 => writer.out.extend([1; 4]),
            4 => writer.out.extend([1; 8]),
            5 => writer.string(&text(rng)),
            _ => writer.length(rng.u64(..)),
        }
    }
    writer.length(0);
}

/// A sound file without its end; keys differ.
fn sound(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut writer = Writer::new();
    write_header(&mut writer.out, rng.u16(5..=13));
    for at in 0..rng.usize(0..10) {
        between(rng, &mut writer);
        match rng.u8(0..8) {
            0 => {
                writer.byte(opcode::EXPIRE_TIME_MS);
                writer.out.extend(rng.i64(..).to_le_bytes());
            }
            1 => {
                writer.byte(opcode::EXPIRE_TIME);
                writer.out.extend(rng.i32(..).to_le_bytes());
            }
            2 => {
                writer.byte(opcode::IDLE);
                writer.length(rng.u64(..));
            }
            3 => writer.out.extend([opcode::FREQ, rng.u8(..)]),
            _ => {}
        }
        let key = [format!("{at}:").into_bytes(), text(rng)].concat();
        if rng.u8(0..12) == 0 {
            writer.byte(kind::MODULE_2);
            writer.string(&key);
            writer.length(rng.u64(..));
            module(rng, &mut writer);
        } else {
            let (of, body) = body(rng);
            writer.byte(of);
            writer.string(&key);
            writer.out.extend(body);
        }
    }
    writer.out
}

/// Puts the end behind it: a right checksum, none, or a wrong one. Is it one that is taken?
fn end(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>) -> bool {
    bytes.push(opcode::EOF);
    let sum = CRC64.checksum(bytes);
    let stated = match rng.u8(0..8) {
        0 => sum ^ 1,
        1 => 0,
        _ => sum,
    };
    bytes.extend(stated.to_le_bytes());
    stated == 0 || stated == sum
}

/// Reads a file as a load does; the keys it put into the shard.
fn load(bytes: &[u8]) -> Result<usize, String> {
    let board = MemoryBoard::new(1);
    let mut shard = Shard::new(ShardId(0), DATABASES, Hasher::from_seed(7), 7, board);
    let mut reader = FileReader::new(bytes, true).map_err(|error| error.to_string())?;
    let (mut records, mut keys) = (0, 0);
    loop {
        records += 1;
        assert!(records <= bytes.len(), "every record takes a byte");
        match reader.next_record().map_err(|error| error.to_string())? {
            Record::Entry(entry) if entry.db < DATABASES as u32 => {
                let value = match entry.parse(LIMITS) {
                    Err(RdbError::Empty(_)) => continue,
                    parsed => parsed.map_err(|error| error.to_string())?,
                };
                let clock = shard.access_clock();
                let access = entry.idle_seconds.map_or(clock.fresh(), |seconds| clock.with_idle(seconds));
                let expire_at_ms = entry.expire_at_ms.map(|at| at.max(0) as u64);
                let mut space = shard.keyspace(DbIndex(entry.db as u16), false);
                if !space.load(&entry.key, Moved { value, expire_at_ms, access }, false) {
                    return Err("a key is there twice".to_owned());
                }
                keys += 1;
            }
            Record::End { .. } => return Ok(keys),
            _ => {}
        }
    }
}

/// Every way from a good file to another one keeps what there is.
fn same_on_every_way(folder: &Path, path: &Path, now_ms: u64) {
    let report = check(path, now_ms, true).expect("it was just loaded");
    let place = |path: &Path| Place::File(path.to_owned());
    let itself = verify(&place(path), &place(path), || now_ms, 10).expect("it was just loaded");
    assert!(itself.differences == 0, "{itself}");
    let other = folder.join("other.rdb");
    for version in [None, Some(12), Some(11), Some(10), Some(9)] {
        let made = convert(path, &other, version, now_ms).expect("it was just loaded");
        check(&other, now_ms, true).expect("it was just written");
        let verdict = verify(&place(path), &place(&other), || now_ms, 10).expect("it was just written");
        // What is lost was told.
        let lost = made.losses.any() || made.keys_lost > 0;
        assert!(verdict.differences == 0 || lost, "version {version:?}: {verdict}\n{made}\n{report}");
        assert!(!lost || version.is_some_and(|version| version < 12), "{made}");
        fs::remove_file(&other).expect("it was just written");
    }
}

#[test]
fn files() {
    limit_memory();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("file.rdb");
    let (mut cases, mut good) = (0, 0);
    fuzz("files", |rng| {
        cases += 1;
        let mut bytes = sound(rng);
        let is_sound = rng.u8(0..4) == 0;
        if !is_sound {
            mutate(rng, &mut bytes, ALPHABET);
        }
        let is_summed = end(rng, &mut bytes);
        if !is_sound && rng.u8(0..4) == 0 {
            mutate(rng, &mut bytes, ALPHABET);
        }
        let loaded = load(&bytes);
        assert!(!is_sound || loaded.is_ok() == is_summed, "{loaded:?}: {}", bytes.escape_ascii());
        good += usize::from(loaded.is_ok());
        // Files on a disk are slow.
        if rng.u8(0..16) > 0 {
            return;
        }
        fs::write(&path, &bytes).expect("the folder is writable");
        let now_ms = 1_700_000_000_000;
        if loaded.is_ok() {
            same_on_every_way(folder.path(), &path, now_ms);
        } else {
            let place = Place::File(path.clone());
            let verdict = verify(&place, &place, || now_ms, 10);
            // A database that is out of range is no matter for tools.
            if check(&path, now_ms, true).is_err() {
                assert!(verdict.is_err());
                assert!(convert(&path, &folder.path().join("none.rdb"), None, now_ms).is_err());
            }
            assert_eq!(
                fs::read_dir(folder.path()).expect("it is there").count(),
                1,
                "nothing is left behind"
            );
        }
    });
    println!("files: {good} of {cases} loaded");
}
