//! The table is sound, and its default file says nothing else.

use std::collections::HashSet;

use super::*;
use crate::config::setting::{Kind, Traits};

#[test]
fn names_are_unique_and_well_formed() {
    let mut seen = HashSet::new();
    for setting in TABLE {
        for name in std::iter::once(&setting.name).chain(setting.aliases) {
            assert!(seen.insert(*name), "{name} is declared twice");
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
            assert!(name.bytes().all(fits), "{name}");
        }
        assert!(!setting.name.contains('_'), "{}: variables need dashes", setting.name);
    }
}

#[test]
fn every_setting_says_what_it_means() {
    for setting in TABLE {
        assert!(setting.docs.len() > 10, "{} has no docs", setting.name);
        assert!(setting.docs.ends_with('.'), "{}: docs are sentences", setting.name);
        assert!(!setting.expected().is_empty());
    }
}

#[test]
fn defaults_are_values_of_their_settings() {
    let config = Config::default();
    for id in Id::all() {
        let setting = id.setting();
        let shown = config.show(id);
        if setting.kind == Kind::Primary {
            continue;
        }
        // What CONFIG GET shows can be given to CONFIG SET.
        let args: Vec<&[u8]> = if setting.takes_several() && !shown.is_empty() {
            shown.split(|byte| *byte == b' ').collect()
        } else {
            vec![&shown]
        };
        let read = value::parse(setting, &args, config.value(id)).unwrap_or_else(|refusal| {
            panic!("{} does not take its default: {refusal}", setting.name);
        });
        assert_eq!(read, *config.value(id), "{}", setting.name);
    }
}

#[test]
fn choices_name_their_default_and_several_are_bits() {
    for setting in TABLE {
        if let Kind::Choice { names, several } = setting.kind {
            assert!(names.iter().any(|(name, _)| *name == setting.default), "{}", setting.name);
            assert!(!several || names.iter().all(|(_, bits)| bits.count_ones() <= 1));
        }
    }
}

#[test]
fn the_default_file_loads_and_changes_nothing() {
    let file = generate::default_file();
    let config = load(&file).unwrap();
    assert_eq!(config, Config::default());
    for setting in TABLE.iter().filter(|setting| !setting.traits.has(Traits::HIDDEN)) {
        let line = format!("{} ", setting.name);
        assert!(
            file.lines().any(|l| l.trim_start_matches("# ").starts_with(&line)),
            "{} is missing",
            setting.name
        );
    }
}

#[test]
fn typed_reads_give_the_defaults() {
    let config = Config::default();
    assert_eq!(config.integer(id::HZ), 10);
    assert_eq!(config.integer(id::PORT), 6379);
    assert!(config.flag(id::PROTECTED_MODE));
    assert_eq!(config.memory(id::PROTO_MAX_BULK_LEN), 512 << 20);
    assert_eq!(config.choice(id::MAXMEMORY_POLICY), "noeviction");
    assert_eq!(config.text(id::DBFILENAME), "dump.rdb");
    assert_eq!(config.optional(id::UNIXSOCKET), None);
    assert_eq!(config.secret(id::REQUIREPASS), None);
    assert_eq!(config.bind(), ["127.0.0.1", "-::1"]);
    assert_eq!(config.maxmemory_clients(), MemoryBound::Bytes(0));
    assert_eq!(config.save_rules()[0], SaveRule { seconds: 3600, changes: 1 });
    let replica = config.output_limit(ClientClass::Replica);
    assert_eq!((replica.hard_bytes, replica.soft_bytes, replica.soft_seconds), (256 << 20, 64 << 20, 60));
    assert_eq!(config.primary(), None);
    assert!(config.dir().is_absolute());
}
