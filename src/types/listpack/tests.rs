use super::entry::{backlen_bytes, read_backlen};
use super::*;
use proptest::prelude::*;

/// Strings that reach every encoding.
fn string() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..20),
        2 => any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        2 => (-70000i64..70000).prop_map(|value| value.to_string().into_bytes()),
        2 => (-9000000i64..9000000).prop_map(|value| value.to_string().into_bytes()),
        2 => (0i64..130).prop_map(|value| value.to_string().into_bytes()),
        1 => (60usize..70).prop_map(|len| vec![b'x'; len]),
        1 => (120usize..130).prop_map(|len| vec![b'y'; len]),
        1 => (4090usize..4100).prop_map(|len| vec![b'z'; len]),
    ]
}

fn strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(string(), 0..40)
}

fn pack(strings: &[Vec<u8>]) -> Listpack {
    let mut pack = Listpack::new();
    for string in strings {
        pack.push_back(string);
    }
    pack
}

fn unpack(pack: &Listpack) -> Vec<Vec<u8>> {
    pack.iter().map(|(_, element)| element.to_vec()).collect()
}

/// Everything that reading promises, against the strings.
fn check(pack: &Listpack, twin: &[Vec<u8>]) {
    assert_eq!(unpack(pack), twin);
    let mut backwards: Vec<_> = pack.iter_rev().map(|(_, element)| element.to_vec()).collect();
    backwards.reverse();
    assert_eq!(backwards, twin);
    assert_eq!(pack.len(), twin.len());
    assert_eq!(pack.as_ref().len(), twin.len());
    for (index, string) in twin.iter().enumerate() {
        let element = pack.get(index).expect("within the length");
        assert!(element == string[..]);
        assert_eq!(element.text_len(), string.len());
        assert_eq!(pack.as_ref().get(index), Some(element));
        assert_eq!(pack.as_ref().get_back(twin.len() - 1 - index), Some(element));
        assert!(pack.as_ref().is_at(pack.seek(index).expect("within the length"), string));
    }
    assert_eq!(pack.get(twin.len()), None);
    assert_eq!(pack.as_ref().get(twin.len()), None);
    assert_eq!(pack.as_ref().get_back(twin.len()), None);
    // The same strings give the same bytes, however they came there.
    assert_eq!(pack, &self::pack(twin));
}

#[derive(Clone, Debug)]
enum Step {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    Insert(usize, Vec<u8>),
    Replace(usize, Vec<u8>),
    Remove(usize, usize),
    DropFront,
    DropBack,
    Split(usize),
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        string().prop_map(Step::PushBack),
        string().prop_map(Step::PushFront),
        (any::<usize>(), string()).prop_map(|(at, string)| Step::Insert(at, string)),
        (any::<usize>(), string()).prop_map(|(at, string)| Step::Replace(at, string)),
        (any::<usize>(), 0usize..5).prop_map(|(at, n)| Step::Remove(at, n)),
        Just(Step::DropFront),
        Just(Step::DropBack),
        any::<usize>().prop_map(Step::Split),
        Just(Step::Shrink),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_listpack_is_a_vector_of_strings(steps in proptest::collection::vec(step(), 0..60)) {
        let (mut pack, mut twin) = (Listpack::new(), Vec::<Vec<u8>>::new());
        for step in steps {
            match step {
                Step::PushBack(string) => {
                    pack.push_back(&string);
                    twin.push(string);
                }
                Step::PushFront(string) => {
                    pack.push_front(&string);
                    twin.insert(0, string);
                }
                Step::Insert(at, string) => {
                    let at = at % (twin.len() + 1);
                    let offset = pack.seek(at).unwrap_or(pack.body().len());
                    let after = pack.insert_at(offset, &string);
                    twin.insert(at, string);
                    prop_assert_eq!(pack.seek(at + 1).unwrap_or(pack.body().len()), after);
                }
                Step::Replace(at, string) if !twin.is_empty() => {
                    let at = at % twin.len();
                    let after = pack.replace_at(pack.seek(at).unwrap(), &string);
                    twin[at] = string;
                    prop_assert_eq!(pack.seek(at + 1).unwrap_or(pack.body().len()), after);
                }
                Step::Remove(at, n) if !twin.is_empty() => {
                    let at = at % twin.len();
                    pack.remove_at(pack.seek(at).unwrap(), n);
                    twin.drain(at..(at + n).min(twin.len()));
                }
                Step::DropFront => {
                    pack.drop_front();
                    if !twin.is_empty() {
                        twin.remove(0);
                    }
                }
                Step::DropBack => {
                    pack.drop_back();
                    twin.pop();
                }
                Step::Split(at) => {
                    let at = at % (twin.len() + 1);
                    let offset = pack.seek(at).unwrap_or(pack.body().len());
                    let rest = pack.split_off(offset, at);
                    check(&rest, &twin[at..]);
                    check(&pack, &twin[..at]);
                    pack.append(&rest);
                }
                Step::Shrink => {
                    pack.shrink();
                    prop_assert!(pack.heap_bytes() <= pack.body().len().max(16));
                }
                Step::Replace(..) | Step::Remove(..) => {}
            }
            check(&pack, &twin);
        }
        prop_assert_eq!(Listpack::from_redis(&pack.to_redis()), Some(pack.clone()));
        prop_assert_eq!(Listpack::from_body(pack.body()).len(), twin.len());
        prop_assert_eq!(pack.clone().into_body(), pack.body().to_vec());
    }

    #[test]
    fn what_is_found_is_the_first_that_is_equal(strings in strings(), needle in string(), step in 1usize..4) {
        let mut strings = strings;
        if let Some(last) = strings.last_mut() {
            last.clone_from(&needle);
        }
        let pack = pack(&strings);
        for needle in strings.iter().chain([&needle]) {
            let expected = strings.iter().step_by(step).position(|string| string == needle);
            let found = pack.as_ref().find(needle, step);
            prop_assert_eq!(found, expected.map(|index| pack.seek(index * step).unwrap()));
        }
    }

    #[test]
    fn foreign_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut whole = (bytes.len() as u32 + 7).to_le_bytes().to_vec();
        whole.extend_from_slice(&[0xff, 0xff]);
        whole.extend_from_slice(&bytes);
        whole.push(0xff);
        for bytes in [bytes, whole] {
            if let Some(pack) = Listpack::from_redis(&bytes) {
                check(&pack, &unpack(&pack));
            }
        }
    }

    #[test]
    fn a_listpack_with_a_wrong_byte_is_refused_or_read(
        strings in strings(), at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>(),
    ) {
        let mut bytes = pack(&strings).to_redis();
        prop_assert_eq!(Listpack::from_redis(&bytes[..cut % bytes.len()]), None);
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Some(pack) = Listpack::from_redis(&bytes) {
            check(&pack, &unpack(&pack));
        }
    }
}

/// The list of the strings below, as a Redis 7.0.15 dumped it.
const FROM_REDIS: &str = "9d0000001c0080018161028568656c6c6f0600017f01c08002dfff02d00002cfff02f1001003f1ffef03\
    f1ff7f03f1008003f200800004f2ff7fff04f2ffff7f04f200008004f30000800005f3ffffff7f05f30000008005f4000000800000000009\
    f4ffffffffffffff7f09f40000000000000080099339323233333732303336383534373735383038148330303704822d3003822b31038220\
    3103ff";

const STRINGS: &[&str] = &[
    "",
    "a",
    "hello",
    "0",
    "127",
    "128",
    "-1",
    "-4096",
    "4095",
    "4096",
    "-4097",
    "32767",
    "-32768",
    "32768",
    "-32769",
    "8388607",
    "-8388608",
    "8388608",
    "2147483647",
    "-2147483648",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "007",
    "-0",
    "+1",
    " 1",
];

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().filter_map(|char| char.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn the_bytes_are_those_of_redis() {
    let strings: Vec<Vec<u8>> = STRINGS.iter().map(|string| string.as_bytes().to_vec()).collect();
    let pack = pack(&strings);
    assert_eq!(pack.to_redis(), from_hex(FROM_REDIS));
    assert_eq!(pack.as_ref().to_redis(), from_hex(FROM_REDIS));
    let read = Listpack::from_redis(&from_hex(FROM_REDIS)).expect("it is well formed");
    check(&read, &strings);
    assert_eq!(Listpack::new().to_redis(), [7, 0, 0, 0, 0, 0, 0xff]);
}

#[test]
fn a_backlen_grows_a_number_early_as_in_redis() {
    for (size, bytes) in [
        (127, 1),
        (128, 2),
        (16382, 2),
        (16383, 3),
        (2097150, 3),
        (2097151, 4),
        (268435454, 4),
        (268435455, 5),
    ] {
        assert_eq!(backlen_bytes(size), bytes, "{size}");
    }
    for len in [126, 127, 128, 16377, 16378, 16379, 2097145, 2097146, 2097147] {
        let mut pack = Listpack::new();
        pack.push_back(&vec![b'x'; len]);
        pack.push_back(b"end");
        check(&pack, &[vec![b'x'; len], b"end".to_vec()]);
        assert_eq!(Listpack::from_redis(&pack.to_redis()), Some(pack));
    }
    assert_eq!(read_backlen(&[0xff; 10]), None);
}

#[test]
fn a_number_written_as_a_string_by_others_becomes_a_number() {
    // "12" as a string, 5 as a 64-bit integer, "a" with a length of 32 bits.
    let mut bytes = vec![0, 0, 0, 0, 3, 0];
    bytes.extend_from_slice(&[0x82, b'1', b'2', 3]);
    bytes.extend_from_slice(&[0xf4, 5, 0, 0, 0, 0, 0, 0, 0, 9]);
    bytes.extend_from_slice(&[0xf0, 1, 0, 0, 0, b'a', 6, 0xff]);
    bytes[0] = bytes.len() as u8;
    let pack = Listpack::from_redis(&bytes).expect("it is well formed");
    check(&pack, &[b"12".to_vec(), b"5".to_vec(), b"a".to_vec()]);
    assert_eq!(pack.as_ref().find(b"12", 1), Some(0));
}

#[test]
fn queues_do_not_grow_and_do_not_copy_their_node() {
    let mut pack = Listpack::new();
    for number in 0..100_000i64 {
        pack.push_back(number);
        if number >= 10 {
            pack.drop_front();
        }
        assert!(pack.heap_bytes() <= 256, "{}", pack.heap_bytes());
    }
    let mut pack = Listpack::new();
    for number in 0..100_000i64 {
        pack.push_front(number);
        if number >= 10 {
            pack.drop_back();
        }
        assert!(pack.heap_bytes() <= 256, "{}", pack.heap_bytes());
    }
}
