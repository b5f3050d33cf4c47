use super::*;
use sha1::{Digest, Sha1};

fn hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Elements added, what Redis 7.0.15 counted then, and the SHA-1 of what it held before it counted.
const COUNTED_BY_REDIS: &[(usize, u64, &str)] = &[
    (1, 1, "d111dd27cb94748a8cf3c3c1bf002fe0e1b6b277"),
    (2, 2, "271a9920fad4dcd3c997985935bd48803efc4cf0"),
    (3, 3, "91ae38686682c9c0d1eea0e584b16533191fdf3c"),
    (5, 5, "d5d180ffeb60181e898983113a22a1660b0fd0e6"),
    (10, 10, "51fcc6fcbb00ffcc2a029f355325b2943f6a3105"),
    (20, 20, "4085f804c0bdc9ae1da347c06c040eaf5a1e3d81"),
    (50, 50, "3607ed946d3d37e35698db1d60fd838d2a87baf6"),
    (100, 99, "056fe4467250a52771754e6731855d4e77b0dea1"),
    (200, 200, "523aff35bd0fd17c727298f225701f6ce9e031ea"),
    (400, 401, "91ec7baa0588a93d9fc839c3aedb121110c6357f"),
    (600, 602, "716ef16f8e878afc17d3f4da5d053a4ef8225412"),
    (800, 802, "ab1c8cd5a70b036989a80595c22e1abe30b6c6b7"),
    (1000, 997, "81d2260418cfd0aebe35659a4f45d42988f20911"),
    (1500, 1500, "b09ba6c4da8e2451ee570235a594bc9628c85e00"),
    (2000, 2004, "6cb88e5f846f221dbfff82b01ea132050c489fc3"),
    (3000, 3002, "98fd21a7c5165f1ec04136afe73d30fdbd6a7910"),
    (5000, 5005, "ea32c33c3064dc93946e93f9c96c1f52bb9bad98"),
    (10000, 10017, "2eda7729a001fc6a365ba140f22a9c8b7c89d056"),
    (20000, 19986, "72f0ae3a2f735973d47592979d73045e311de602"),
    (50000, 49716, "8a216d7e4c31a5fd7a7a12d7c687a12cf23daa32"),
    (100000, 100039, "c2650fa7127b452968dad3e61010a6c1ed496963"),
    (200000, 198321, "0ef8098400f845937487ca1f220fa9048338ba06"),
];

#[test]
fn bytes_and_counts_are_those_of_redis() {
    let mut bytes = new();
    let mut added = 0;
    for &(elements, counted, digest) in COUNTED_BY_REDIS {
        for element in added..elements {
            add(&mut bytes, format!("element:{element}").as_bytes(), 3000).expect("it is sound");
        }
        added = elements;
        forget_cached(&mut bytes);
        assert_eq!(hex(&bytes), digest, "{elements} elements");
        assert_eq!(count(&bytes), Ok(counted), "{elements} elements");
        let mut registers = [0; REGISTERS];
        merge(&mut registers, &bytes).expect("it is sound");
        assert_eq!(count_registers(&registers), counted);
        set_cached(&mut bytes, counted);
        assert_eq!(cached(&bytes), Some(counted));
    }
}

#[test]
fn sparse_and_dense_hold_the_same() {
    let mut sparse = new();
    for element in 0..800 {
        add(&mut sparse, format!("{element}").as_bytes(), 3000).expect("it is sound");
        if element % 50 != 0 {
            continue;
        }
        assert_eq!(encoding_of(&sparse), Some(Encoding::Sparse));
        let mut dense = sparse.clone();
        assert_eq!(make_dense(&mut dense), Ok(true));
        assert_eq!(make_dense(&mut dense), Ok(false));
        assert_eq!(encoding_of(&dense), Some(Encoding::Dense));
        assert_eq!(count(&dense), count(&sparse));
        let mut merged = [0; REGISTERS];
        merge(&mut merged, &sparse).expect("it is sound");
        assert!(registers(&dense).eq(merged.iter().copied()));
        let mut raised = new();
        raise(&mut raised, &merged, 3000).expect("it is sound");
        assert_eq!(count(&raised), count(&sparse));
    }
}

#[test]
fn a_limit_of_nothing_is_dense_from_the_first_element_on() {
    let mut bytes = new();
    add(&mut bytes, b"a", 0).expect("it is sound");
    assert_eq!(encoding_of(&bytes), Some(Encoding::Dense));
    assert_eq!(count(&bytes), Ok(1));
}

#[test]
fn it_tests_itself() {
    assert_eq!(self_test(7), Ok(()));
}

#[test]
fn what_strangers_store_is_refused_or_served() {
    let mut rng = fastrand::Rng::with_seed(6);
    let (mut served, mut refused) = (0, 0);
    for _ in 0..4000 {
        let mut bytes = new();
        (0..rng.usize(0..60)).for_each(|_| {
            add(&mut bytes, &rng.u64(..).to_le_bytes(), 3000).expect("it is sound");
        });
        for _ in 0..rng.usize(0..4) {
            if bytes.len() <= 4 {
                break;
            }
            let at = rng.usize(4..bytes.len());
            match rng.u8(0..4) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes.insert(at, rng.u8(..)),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        if encoding_of(&bytes).is_none() {
            refused += 1;
            continue;
        }
        decode(&bytes);
        cached(&bytes);
        let counted = count(&bytes);
        assert_eq!(merge(&mut [0; REGISTERS], &bytes).is_ok(), counted.is_ok());
        assert_eq!(make_dense(&mut bytes.clone()).is_ok(), counted.is_ok());
        let added = (0..50).all(|_| add(&mut bytes, &rng.u64(..).to_le_bytes(), 300).is_ok());
        assert!(added || counted.is_err());
        served += 1;
    }
    assert!(served > 100 && refused > 100, "{served} {refused}");
}
