//! Round trips, hostile bytes, and the bytes that Redis itself writes.

use proptest::prelude::*;

use super::length::{Bytes, Length};
use super::lzf::{Compressor, MAX_EXPANSION, decompress};
use super::read::Text;
use super::*;
use crate::types::raw::table::{TakenValue, VALUE_INLINE_MAX, ValueRef};
use crate::types::{Encodings, Value};

const LIMITS: Limits = Limits { string_bytes: 64 << 20, encodings: Encodings::DEFAULT };

fn bytes_of(value: TakenValue<Value>) -> Vec<u8> {
    match value {
        TakenValue::Int(value) => value.to_string().into_bytes(),
        TakenValue::Bytes(bytes) => bytes,
        TakenValue::Heap(Value::String(bytes)) => bytes.to_vec(),
        #[allow(unreachable_patterns)]
        other => panic!("a string, not {other:?}"),
    }
}

/// Puts a good footer behind a body.
fn sealed(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = body.to_vec();
    payload.extend(version.to_le_bytes());
    let crc = crc::Crc::<u64>::new(&crc::CRC_64_REDIS).checksum(&payload);
    payload.extend(crc.to_le_bytes());
    payload
}

#[test]
fn payloads_are_those_of_redis() {
    let dumped = |bytes: &[u8]| dump_value(ValueRef::Bytes(bytes)).escape_ascii().to_string();
    assert_eq!(dumped(b"v"), r"\x00\x01v\n\x00\x91\x08\xce\xb2\x198\x8a\xce");
    assert_eq!(dump_value(ValueRef::Int(-1)), sealed(b"\x00\xc0\xff", 10));
    assert_eq!(dump_value(ValueRef::Int(1 << 31)), sealed(b"\x00\x0a2147483648", 10));
}

#[test]
fn payloads_of_later_versions_are_read() {
    for version in [1, 9, 11, 12, 13] {
        let value = restore_value(&sealed(b"\x00\x03abc", version), LIMITS);
        assert_eq!(value, Ok(TakenValue::Bytes(b"abc".to_vec())), "{version}");
    }
    assert_eq!(restore_value(&sealed(b"\x00\x03abc", 14), LIMITS), Err(RdbError::TooNew(14)));
}

#[test]
fn types_without_a_codec_are_refused() {
    for of in [6, 7, 8].into_iter().chain(26..=255u8) {
        assert_eq!(restore_value(&sealed(&[of, 1, b'v'], 10), LIMITS), Err(RdbError::UnknownType(of)));
    }
}

#[test]
fn lengths_have_their_shortest_form() {
    for (length, bytes) in [
        (0, &b"\x00"[..]),
        (63, b"\x3f"),
        (64, b"\x40\x40"),
        (16383, b"\x7f\xff"),
        (16384, b"\x80\x00\x00\x40\x00"),
        (u64::from(u32::MAX), b"\x80\xff\xff\xff\xff"),
        (1 << 32, b"\x81\x00\x00\x00\x01\x00\x00\x00\x00"),
    ] {
        let mut writer = Writer::new();
        writer.length(length);
        assert_eq!(writer.out, bytes);
        assert_eq!(Reader::new(bytes, LIMITS).length_or_encoding(), Ok(Length::Plain(length)));
        for cut in 0..bytes.len() {
            assert_eq!(Reader::new(&bytes[..cut], LIMITS).length(), Err(RdbError::Truncated(cut)));
        }
    }
}

#[test]
fn announced_lengths_are_not_believed() {
    for body in [
        &b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x80\x03\xff\xff\xffx",
        // LZF: few bytes that claim to unfold to many.
        b"\xc3\x03\x80\x03\xff\xff\xff\x00aa",
        b"\xc3\x81\xff\xff\xff\xff\xff\xff\xff\xff\x05aa",
    ] {
        assert!(Reader::new(body, LIMITS).string().is_err(), "{body:?}");
    }
    let tight = Limits { string_bytes: 10, ..LIMITS };
    assert!(matches!(
        Reader::new(b"\x0bhello world", tight).string(),
        Err(RdbError::TooLong { bytes: 11, .. })
    ));
    assert!(matches!(
        Reader::new(b"\xc3\x05\x0b\x00a\xe0\x02\x00", tight).string(),
        Err(RdbError::TooLong { .. })
    ));
}

#[test]
fn long_strings_come_back_where_they_live() {
    let long = vec![7u8; VALUE_INLINE_MAX + 1];
    let payload = dump_value(ValueRef::Bytes(&long));
    assert!(payload.len() < 40, "it was compressed");
    assert_eq!(restore_value(&payload, LIMITS), Ok(TakenValue::Heap(Value::String(long.into()))));
}

/// Bytes with many repetitions, of one letter or of whole pieces.
fn repetitive() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(b'a'..b'd', 0..40),
        (any::<u8>(), 0..600usize).prop_map(|(byte, times)| vec![byte; times]),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn strings_survive(bytes in repetitive()) {
        let payload = dump_value(ValueRef::Bytes(&bytes));
        prop_assert!(payload.len() <= bytes.len() + 16);
        prop_assert_eq!(bytes_of(restore_value(&payload, LIMITS).unwrap()), bytes);
    }

    #[test]
    fn integers_survive(value: i64, shift in 0..64u32) {
        let value = value >> shift;
        let payload = dump_value(ValueRef::Int(value));
        prop_assert_eq!(restore_value(&payload, LIMITS), Ok(TakenValue::Int(value)));
        // The text of an integer gives the same, like any SET would.
        let text = dump_value(ValueRef::Bytes(value.to_string().as_bytes()));
        prop_assert_eq!(restore_value(&text, LIMITS), Ok(TakenValue::Int(value)));
    }

    #[test]
    fn lzf_agrees_with_the_lzf_crate(bytes in repetitive()) {
        if let Ok(packed) = ::lzf::compress(&bytes) {
            prop_assert_eq!(decompress(&packed, bytes.len()), Some(bytes.clone()));
        }
        if let Some(packed) = Compressor::default().compress(&bytes, bytes.len() + 32) {
            prop_assert_eq!(::lzf::decompress(&packed, bytes.len()).ok(), Some(bytes));
        }
    }

    #[test]
    fn a_compressor_forgets_the_string_before(first in repetitive(), second in repetitive()) {
        let mut used = Compressor::default();
        used.compress(&first, first.len());
        prop_assert_eq!(
            used.compress(&second, second.len()),
            Compressor::default().compress(&second, second.len())
        );
    }

    #[test]
    fn room_is_a_bound(bytes in repetitive(), room in 0..200usize) {
        if let Some(packed) = Compressor::default().compress(&bytes, room) {
            prop_assert!(packed.len() <= room);
        }
    }

    #[test]
    fn lzf_bombs_are_bounded(packed: Vec<u8>, length in 0..100_000usize) {
        if let Some(bytes) = decompress(&packed, length) {
            prop_assert_eq!(bytes.len(), length);
            prop_assert!(length <= packed.len() * MAX_EXPANSION);
        }
    }

    #[test]
    fn any_bytes_do_not_panic(body: Vec<u8>, version in 0..20u16) {
        let _ = restore_value(&body, LIMITS);
        let _ = restore_value(&sealed(&body, version), LIMITS);
        let mut reader = Reader::new(&body, LIMITS);
        while let Ok(text) = reader.string() {
            if let Text::Owned(bytes) = text {
                prop_assert!(bytes.len() <= body.len() * MAX_EXPANSION);
            }
        }
    }

    #[test]
    fn damaged_payloads_do_not_panic(bytes in repetitive(), at: prop::sample::Index, bit in 0..8u32, cut in 0..4usize) {
        let mut payload = dump_value(ValueRef::Bytes(&bytes));
        let index = at.index(payload.len());
        payload[index] ^= 1 << bit;
        prop_assert!(restore_value(&payload, LIMITS).is_err(), "the checksum tells");
        // The same damage under a good checksum reaches the codec.
        let body = &payload[..payload.len() - 10 - cut.min(payload.len() - 10)];
        let _ = restore_value(&sealed(body, 10), LIMITS);
    }
}

#[test]
fn what_cannot_be_compressed_is_soon_not_tried_any_more_and_what_can_soon_again() {
    let mut rng = fastrand::Rng::with_seed(9);
    let random: Vec<u8> = (0..1000).map(|_| rng.u8(..)).collect();
    let regular = vec![b'x'; 900];
    let mut writer = write::Writer::of(target::Target::DUMP);
    for _ in 0..1000 {
        writer.string(&random);
        // Of another length: that it shrinks says nothing about the others.
        writer.string(&regular[..40]);
    }
    let tried = writer.tried_bytes / 1000;
    assert!((25..80).contains(&tried), "{tried} of 1000, beside the short ones");
    let before = writer.out.len();
    for _ in 0..200 {
        writer.string(&regular);
    }
    assert!(writer.out.len() - before < 80 * 900, "it goes on soon");
    let mut reader = Reader::new(&writer.out, LIMITS);
    for _ in 0..1000 {
        assert_eq!(reader.bytes().unwrap(), random);
        assert_eq!(reader.bytes().unwrap(), &regular[..40]);
    }
    for _ in 0..200 {
        assert_eq!(reader.bytes().unwrap(), regular);
    }
}

#[test]
fn a_dump_tries_to_compress_every_string() {
    let mut rng = fastrand::Rng::with_seed(9);
    let random: Vec<u8> = (0..1000).map(|_| rng.u8(..)).collect();
    let mut writer = write::Writer::new();
    (0..100).for_each(|_| writer.string(&random));
    assert_eq!(writer.tried_bytes, 100 * 1000);
}
