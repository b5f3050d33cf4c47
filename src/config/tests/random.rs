//! Whatever is said, nothing panics, and what is taken is kept.

use super::*;
use proptest::prelude::*;

fn names() -> impl Strategy<Value = &'static str> {
    let names: Vec<&'static str> = TABLE.iter().map(|setting| setting.name).collect();
    proptest::sample::select(names)
}

proptest! {
    #[test]
    fn loading_never_panics(text: Vec<u8>) {
        let mut loader = load::Loader::new();
        let _ = loader.text(&text, &Origin::Stdin);
        rewrite(&text, &Config::default(), &[]);
    }

    #[test]
    fn loading_half_right_lines_never_panics(name in names(), value in r#"[ -~]{0,30}"#) {
        if let Ok(config) = load(&format!("{name} {value}")) {
            // What loads survives being written and read again.
            let text = rewrite(b"", &config, &[]);
            let mut loader = load::Loader::new();
            loader.text(&text, &Origin::Stdin).unwrap();
            prop_assert_eq!(loader.finish().unwrap(), config);
        }
    }

    #[test]
    fn setting_never_panics(name in names(), value in r"(-?[0-9]{0,21}(kb|mb|gb|%)?|yes|no|[ -~]{0,20})") {
        let mut config = Config::default();
        if set(&mut config, &[(name, &value)]).is_ok() && name != "bind" {
            // What CONFIG GET shows can be set again, to the same effect.
            let shown = String::from_utf8(config.show(Id::find(name.as_bytes()).unwrap().0)).unwrap();
            let mut again = Config::default();
            set(&mut again, &[(name, &shown)]).unwrap();
            prop_assert_eq!(again, config);
        }
    }

    #[test]
    fn starting_never_panics(args in proptest::collection::vec(r"(--?[a-z]{0,8}|[ -~]{0,8})", 0..6)) {
        let args: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.contains('/')).collect();
        let _ = start(&args, &[], "");
    }
}
