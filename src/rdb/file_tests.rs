//! Files that nobody should have written.

use super::error::RdbError;
use super::file::{FileEntry, FileReader, Record};
use super::read::Limits;
use crate::types::Encodings;

const LIMITS: Limits = Limits { string_bytes: usize::MAX, encodings: Encodings::DEFAULT };
/// Two databases, deadlines, an access of each kind, every sort of value in short.
const SMALL: &[u8] = b"REDIS0011\xfa\x09redis-ver\x057.2.4\xf5\x0f#!lua name=lib\n\xfe\x00\xfb\x05\x01\xfc\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01a\xc0\x07\xf8\x05\x00\x01b\x05hello\xf9\x07\x02\x01c\x02\x01x\x01y\xfe\x03\x12\x01d\x01\x02\x0a\x0a\x00\x00\x00\x01\x00\x81d\x02\xff\x05\x01e\x01\x01m\x00\x00\x00\x00\x00\x00\xf8\x3f\x04\x01f\x01\x01f\x01v\xf7\x01\x02\x02\x05\x01z\x00\x07\x01g\x81\x00\x00\x00\x00\x00\x00\x00\x01\x02\x05\x00\xff";

/// The file with its checksum.
fn small() -> Vec<u8> {
    let sum = crc::Crc::<u64>::new(&crc::CRC_64_REDIS).checksum(SMALL);
    [SMALL, &sum.to_le_bytes()].concat()
}

fn read_all(bytes: &[u8]) -> Result<Vec<Record>, RdbError> {
    let mut reader = FileReader::new(bytes, true)?;
    let mut records = Vec::new();
    loop {
        let record = reader.next_record()?;
        if let Record::Entry(entry) = &record {
            entry.parse(LIMITS)?;
        }
        records.push(record);
        if let Some(Record::End { .. }) = records.last() {
            return Ok(records);
        }
    }
}

fn refused(body: &[u8]) -> RdbError {
    read_all(&[b"REDIS0011", body].concat()).expect_err("it is refused")
}

#[test]
fn a_file_is_its_records() {
    let records = read_all(&small()).expect("it is sound");
    let entries: Vec<&FileEntry> = records
        .iter()
        .filter_map(|record| match record {
            Record::Entry(entry) => Some(entry),
            _ => None,
        })
        .collect();
    let places: Vec<(u32, &[u8])> = entries.iter().map(|entry| (entry.db, &entry.key[..])).collect();
    assert_eq!(places, [(0, &b"a"[..]), (0, b"b"), (0, b"c"), (3, b"d"), (3, b"e"), (3, b"f")]);
    assert_eq!(entries[0].expire_at_ms, Some(0x0807_0605_0403_0201));
    assert_eq!((entries[1].idle_seconds, entries[2].frequency), (Some(5), Some(7)));
    assert_eq!((entries[1].expire_at_ms, entries[2].idle_seconds), (None, None), "they belong to one entry");
    assert_eq!(records.last(), Some(&Record::End { checked: true }));
    let modules = records.iter().filter(|record| matches!(record, Record::Module { .. }));
    assert_eq!(modules.count(), 2);
    assert!(records.contains(&Record::Function(b"#!lua name=lib\n".to_vec())));
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let bytes = small();
    for end in 0..bytes.len() {
        match read_all(&bytes[..end]) {
            Err(RdbError::Truncated(at)) => assert_eq!(at, end),
            other => panic!("{end}: {other:?}"),
        }
    }
}

#[test]
fn one_changed_bit_is_found() {
    let bytes = small();
    // The version is nobody's secret: the first ones have no checksum.
    for at in (0..bytes.len()).filter(|at| *at != 7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(read_all(&changed).is_err(), "byte {at}");
    }
    let mut none = bytes.clone();
    let end = none.len();
    none[end - 8..].fill(0);
    let records = read_all(&none).expect("a file may have no checksum");
    assert_eq!(records.last(), Some(&Record::End { checked: false }));
}

#[test]
fn announced_lengths_are_not_believed() {
    let huge = b"\x81\x80\x00\x00\x00\x00\x00\x00\x00";
    // A key, a string, an AUX, a function, counts of each collection, and pieces within.
    for before in [
        &b"\x00"[..],
        b"\x00\x01k",
        b"\xfa",
        b"\xfa\x01n",
        b"\xf5",
        b"\x01\x01k",
        b"\x02\x01k",
        b"\x03\x01k",
        b"\x04\x01k",
        b"\x05\x01k",
        b"\x09\x01k",
        b"\x0b\x01k",
        b"\x0e\x01k",
        b"\x0e\x01k\x01",
        b"\x0f\x01k",
        b"\x10\x01k",
        b"\x12\x01k",
        b"\x12\x01k\x01\x02",
        b"\x13\x01k\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x15\x01k\x01",
        b"\x16\x01k",
        b"\x18\x01k\0\0\0\0\0\0\0\0",
        b"\x19\x01k\0\0\0\0\0\0\0\0",
        b"\xf7\x01\x02\x02\x05",
        b"\x07\x01k\x01\x05",
        b"\x00\x01k\xc3",
        b"\x00\x01k\xc3\x02",
    ] {
        let body = [before, huge, b"xy"].concat();
        let error = refused(&body);
        let is_right = matches!(error, RdbError::Truncated(_) | RdbError::BadLzf(_));
        assert!(is_right, "{}: {error}", body.escape_ascii());
    }
}

#[test]
fn what_is_unknown_is_named_with_its_place() {
    for kind in [8, 26, 100, 243] {
        let error = refused(&[&b"\xfe\x00"[..], &[kind], b"\x01k\x01v\xff"].concat());
        assert_eq!(error, RdbError::UnknownRecord { kind, offset: 11 });
    }
    // A module's value of the time before there was an order in them.
    assert_eq!(refused(b"\x06\x01k\x01"), RdbError::UnknownRecord { kind: 6, offset: 9 });
    assert_eq!(refused(b"\xf6\x01k"), RdbError::UnknownRecord { kind: 0xf6, offset: 9 });
    assert_eq!(refused(b"\xfe\x81\0\0\0\0\x80\0\0\0"), RdbError::BadDb { db: 1 << 31, offset: 9 });
    assert_eq!(refused(b"\x00\x01k\xc5\x01"), RdbError::BadString { encoding: 5, offset: 12 });
    assert_eq!(refused(b"\xfe\xc0\x01"), RdbError::UnexpectedEncoding(10));
    assert_eq!(refused(b"\xfe\x82\x01"), RdbError::BadLength { encoding: 0x82, offset: 10 });
    assert_eq!(refused(b"\xf7\x01\x02\x02\x09\x00"), RdbError::BadString { encoding: 9, offset: 13 });
}

#[test]
fn what_is_said_of_an_entry_is_not_carried_past_the_next_record() {
    // A deadline, then a fact of the file, then a key.
    let body = b"\xfc\x01\0\0\0\0\0\0\0\xfa\x01n\x01v\x00\x01k\x01v\xff\0\0\0\0\0\0\0\0";
    let records = read_all(&[b"REDIS0011", &body[..]].concat()).expect("it is sound");
    let Record::Entry(entry) = &records[1] else { panic!("a key: {records:?}") };
    assert_eq!(entry.expire_at_ms, None);
    // Many deadlines are one, the last.
    let many = [&b"\xfc\x01\0\0\0\0\0\0\0".repeat(10_000)[..], &body[14..]].concat();
    let records = read_all(&[b"REDIS0011", &many[..]].concat()).expect("it is sound");
    let Record::Entry(entry) = &records[0] else { panic!("a key: {records:?}") };
    assert_eq!(entry.expire_at_ms, Some(1));
}

#[test]
fn a_long_fact_is_refused() {
    let long = [&b"\xfa\x01n\x80\x00\x20\x00\x00"[..], &vec![b'x'; 0x20_0000]].concat();
    assert!(matches!(refused(&long), RdbError::TooLong { bytes: 0x20_0000, .. }));
}

#[test]
fn only_files_of_redis_and_their_kin_are_read() {
    for (header, known) in [
        (&b"REDIS0001"[..], true),
        (b"REDIS0013", true),
        (b"VALKEY080", true),
        (b"REDIS0080", true),
        (b"REDIS0000", false),
        (b"REDIS0014", false),
        (b"REDIS0079", false),
        (b"VALKEY081", false),
        (b"REDIS00x1", false),
        (b"REDISX011", false),
        (b"VALKEX080", false),
        (b"", false),
    ] {
        let bytes = [header, b"\xff\0\0\0\0\0\0\0\0"].concat();
        assert_eq!(read_all(&bytes).is_ok(), known, "{}", header.escape_ascii());
    }
}
