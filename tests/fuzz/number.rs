//! Numbers: what is accepted is what C accepts, and texts read back.

use crate::{fuzz, mutate};
use coreshard::types::number::{LongDouble, format_f64, format_f64_17g, parse_f64, parse_i64};

const ALPHABET: &[u8] = b"0123456789+-.eExXpPinfaN_ \0";

fn number_text(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut text = match rng.u8(0..6) {
        0 => rng.i64(..).to_string(),
        1 => f64::from_bits(rng.u64(..)).to_string(),
        2 => format!("{:e}", f64::from_bits(rng.u64(..))),
        3 => format!("{}.{}", rng.u32(..), rng.u64(..)),
        4 => format!("0x{:x}.{:x}p{}", rng.u64(..), rng.u64(..), rng.i32(-20_000..20_000)),
        _ => (0..rng.usize(0..12)).map(|_| ALPHABET[rng.usize(..ALPHABET.len())] as char).collect(),
    }
    .into_bytes();
    mutate(rng, &mut text, ALPHABET);
    text
}

#[test]
fn number_texts() {
    fuzz("number_texts", |rng| {
        let text = number_text(rng);
        if let Some(value) = parse_i64(&text) {
            assert_eq!(value.to_string().as_bytes(), text);
        }
        let float = parse_f64(&text);
        if let Some(value) = float {
            assert!(!value.is_nan());
            assert_eq!(parse_f64(&format_f64_17g(value)).map(f64::to_bits), Some(value.to_bits()));
            assert_eq!(parse_f64(&format_f64(value)), Some(value));
        }
        // The wider format accepts whatever the narrower one does.
        let long = LongDouble::parse(&text);
        assert!(long.is_some() || float.is_none(), "{}", text.escape_ascii());
        if let Some(sum) = long.map(|long| long.add(LongDouble::from_i64(rng.i64(..)))) {
            let human = sum.to_human();
            if sum.is_finite() {
                assert!(LongDouble::parse(&human).is_some(), "{}", human.escape_ascii());
            }
        }
    });
}
