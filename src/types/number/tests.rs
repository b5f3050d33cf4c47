use proptest::prelude::*;
use rustc_apfloat::Float;
use rustc_apfloat::ieee::X87DoubleExtended;

use super::float::parse_any;
use super::long_double::{MAX_LONG_DOUBLE_CHARS, short_decimal};
use super::*;

fn text(text: &[u8]) -> String {
    String::from_utf8(text.to_vec()).expect("numbers are ASCII")
}

#[test]
fn whole_numbers_are_the_same_floats_by_both_ways() {
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let sign = ["", "-", "+"][rng.usize(..3)];
        let digits = (0..rng.usize(0..20)).map(|_| rng.digit(10));
        let text = sign.to_owned() + &digits.collect::<String>();
        let (found, expected) = (parse_f64(text.as_bytes()), parse_any(text.as_bytes()));
        assert_eq!(found.map(f64::to_bits), expected.map(f64::to_bits), "{text}");
    }
    for text in ["-0", "0", "000", "999999999999999", "-999999999999999", "9007199254740993", "1a", "-", ""] {
        let (found, expected) = (parse_f64(text.as_bytes()), parse_any(text.as_bytes()));
        assert_eq!(found.map(f64::to_bits), expected.map(f64::to_bits), "{text}");
    }
}

#[test]
fn integers_are_read_strictly() {
    for (good, value) in [
        ("0", 0),
        ("7", 7),
        ("-1", -1),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(parse_i64(good.as_bytes()), Some(value), "{good}");
    }
    for bad in [
        "",
        "-",
        "+1",
        "01",
        "-0",
        "-01",
        "00",
        " 1",
        "1 ",
        "1.0",
        "1e3",
        "0x1",
        "--1",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        assert_eq!(parse_i64(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
    assert_eq!(parse_u64(b"18446744073709551616"), None);
}

#[test]
fn floats_are_read_as_strtod_does() {
    for (good, value) in [
        ("1", 1.0),
        ("+1.", 1.0),
        (".5", 0.5),
        ("-1.5e3", -1500.0),
        ("1E+2", 100.0),
        ("0x1.8p1", 3.0),
        ("0X10", 16.0),
        ("-0x.8", -0.5),
        ("inf", f64::INFINITY),
        ("-Infinity", f64::NEG_INFINITY),
        ("0e99999999999", 0.0),
        ("0x0p99999999999999", 0.0),
        ("4.9e-324", 5e-324),
        ("00012", 12.0),
    ] {
        assert_eq!(parse_f64(good.as_bytes()), Some(value), "{good}");
    }
    for bad in [
        "",
        ".",
        "-",
        "+",
        "e5",
        "1e",
        "1e+",
        "0x",
        "0x.p1",
        "0x1p",
        "1..",
        " 1",
        "1 ",
        "1,5",
        "1_0",
        "+-1",
        "nan",
        "-nan",
        "nan(1)",
        "infinit",
        "infinity1",
        "1e400",
        "-1e400",
        "1e-400",
        "1e-99999999999999999999",
        "0x1p99999999999999999999",
        "0x1p-99999999999999999999",
        "1\0",
        "\u{a0}1",
    ] {
        assert_eq!(parse_f64(bad.as_bytes()), None, "{bad:?}");
    }
}

#[test]
#[expect(clippy::excessive_precision)]
fn floats_are_written_as_c_does() {
    for (value, reply, stored) in [
        (0.0, "0", "0"),
        (-0.0, "-0", "-0"),
        (3.0, "3", "3"),
        (0.1, "0.10000000000000001", "0.10000000000000001"),
        (-2.5, "-2.5", "-2.5"),
        (1e15, "1000000000000000", "1000000000000000"),
        (1e16, "10000000000000000", "10000000000000000"),
        (1e17, "1e+17", "100000000000000000"),
        (1.5e300, "1.5000000000000001e+300", "1.5000000000000001e+300"),
        (1e-5, "1.0000000000000001e-05", "1.0000000000000001e-05"),
        (0.0001, "0.0001", "0.0001"),
        (5e-324, "4.9406564584124654e-324", "4.9406564584124654e-324"),
        // An exact tie at the seventeenth digit goes to the even one.
        (1125899906842625.25, "1125899906842625.2", "1125899906842625.2"),
        (1125899906842625.75, "1125899906842625.8", "1125899906842625.8"),
        (f64::INFINITY, "inf", "inf"),
        (f64::NEG_INFINITY, "-inf", "-inf"),
        (-f64::NAN, "nan", "nan"),
    ] {
        assert_eq!(text(&format_f64_17g(value)), reply);
        assert_eq!(text(&format_f64(value)), stored);
    }
}

fn incrbyfloat(value: &str, increment: &str) -> Option<String> {
    let sum = LongDouble::parse(value.as_bytes())?.add(LongDouble::parse(increment.as_bytes())?);
    Some(if sum.is_finite() { text(&sum.to_human()) } else { "not finite".into() })
}

#[test]
fn incrbyfloat_gives_the_digits_of_redis() {
    for (value, increment, sum) in [
        ("3", "1.1", "4.1"),
        ("10.50", "0.1", "10.6"),
        ("5.0e3", "2.0e2", "5200"),
        ("0.1", "0.2", "0.3"),
        ("1", "-1", "0"),
        ("-0", "-0.0", "0"),
        ("1", "1e-20", "1"),
        ("0", "5e-18", "0"),
        ("0", "1.5e-17", "0.00000000000000002"),
        ("9223372036854775807", "1", "9223372036854775808"),
        ("18446744073709551615", "1", "18446744073709551616"),
        ("0x1p4", "0", "16"),
        ("1e30", "1", "1000000000000000000024696061952"),
        ("inf", "1", "not finite"),
        ("inf", "-inf", "not finite"),
    ] {
        assert_eq!(incrbyfloat(value, increment).as_deref(), Some(sum), "{value} + {increment}");
    }
    for bad in ["", " 1", "1 ", "nan", "1e5000", "1e-5000", "abc", "1\0"] {
        assert_eq!(incrbyfloat(bad, "1"), None, "{bad:?}");
    }
    assert_eq!(LongDouble::parse(&vec![b'1'; MAX_LONG_DOUBLE_CHARS]), None);
    assert!(incrbyfloat(&"1".repeat(4000), "1").is_some());
}

proptest! {
    #[test]
    fn what_is_no_canonical_integer_is_refused(soup in "[-+0-9 ]{0,22}") {
        let expected = soup.parse::<i64>().ok().filter(|value| value.to_string() == soup);
        prop_assert_eq!(parse_i64(soup.as_bytes()), expected);
    }

    #[test]
    fn written_floats_read_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(!value.is_nan());
        prop_assert_eq!(parse_f64(&format_f64_17g(value)).map(f64::to_bits), Some(bits));
        prop_assert_eq!(parse_f64(&format_f64(value)), Some(value));
    }

    #[test]
    fn the_short_reader_agrees_with_the_general_one(decimal in "[-+]?[0-9]{0,19}\\.?[0-9]{0,19}") {
        if let Some(short) = short_decimal(decimal.as_bytes()) {
            let general: X87DoubleExtended = decimal.parse().expect("a decimal");
            prop_assert!(short.bitwise_eq(general), "{} {:?} {:?}", decimal, short, general);
        }
    }

    #[test]
    fn integers_pass_through_long_doubles(value: i64) {
        prop_assert_eq!(text(&LongDouble::from_i64(value).to_human()), value.to_string());
    }
}
