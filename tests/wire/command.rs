//! COMMAND.

use crate::support::*;

/// `*3` and the like for what a set is in RESP2.
fn words(words: &[&str]) -> Value {
    set(words.iter().map(|word| simple(word)).collect::<Vec<_>>())
}

#[test]
fn info_has_ten_elements() {
    each_setup(|s| {
        let mut c = s.client();
        let info = c.call("COMMAND INFO get nosuch config|get").elements();
        assert_eq!(info.len(), 3);
        let get = info[0].elements();
        assert_eq!(get.len(), 10);
        assert_eq!(get[..2], [bulk("get"), int(2)]);
        let seen = |value: Value| value.as_seen_in(c.protocol());
        assert_eq!(get[2], seen(words(&["readonly", "fast"])));
        assert_eq!(get[3..6], [int(1), int(1), int(1)]);
        assert_eq!(get[6], seen(words(&["@read", "@string", "@fast"])));
        let key = get[8].elements()[0].clone();
        assert_eq!(key.field("flags"), seen(words(&["RO", "access"])));
        assert_eq!(key.field("begin_search").field("type"), bulk("index"));
        assert_eq!(key.field("find_keys").field("spec").field("lastkey"), int(0));
        assert_eq!(info[1], seen(nil()));
        assert_eq!(info[2].elements()[0], bulk("config|get"));
    });
}

#[test]
fn all_of_them_in_every_form() {
    each_setup(|s| {
        let mut c = s.client();
        let count = c.call("COMMAND COUNT").int();
        assert_eq!(c.call("COMMAND").elements().len() as i64, count);
        assert_eq!(c.call("COMMAND INFO").elements().len() as i64, count);
        let docs = c.call("COMMAND DOCS").elements();
        assert_eq!(docs.len() as i64, 2 * count);
        let names = c.call("COMMAND LIST").elements();
        assert!(names.len() as i64 > count && names.contains(&bulk("command|docs")));
        for (name, doc) in docs.chunks_exact(2).map(|pair| (&pair[0], &pair[1])) {
            let fields: Vec<Value> = doc.elements().into_iter().step_by(2).collect();
            for field in ["summary", "since", "group"] {
                assert!(fields.contains(&bulk(field)), "{name} has no {field}");
            }
        }
    });
}

#[test]
fn docs_of_one() {
    each_setup(|s| {
        let mut c = s.client();
        let docs = c.call("COMMAND DOCS mget nosuch");
        assert_eq!(docs.elements().len(), 2);
        let mget = docs.field("mget");
        assert_eq!(mget.field("group"), bulk("string"));
        let argument = mget.field("arguments").elements()[0].clone();
        assert_eq!(argument.field("type"), bulk("key"));
        assert_eq!(argument.field("key_spec_index"), int(0));
        assert_eq!(argument.field("flags").elements(), [simple("multiple")]);
        let command = c.call("COMMAND DOCS command").field("command");
        assert_eq!(command.field("subcommands").field("command|count").field("group"), bulk("server"));
    });
}

#[test]
fn lists_are_filtered() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("COMMAND LIST FILTERBY PATTERN COMMAND|C*", array([bulk("command|count")]));
        let strings = c.call("COMMAND LIST FILTERBY ACLCAT string").elements();
        assert!(strings.contains(&bulk("mset")) && !strings.contains(&bulk("ping")));
        let slow = c.call("COMMAND LIST FILTERBY aclcat slow").elements();
        assert!(slow.contains(&bulk("mset")) && !slow.contains(&bulk("get")));
        c.expect("COMMAND LIST FILTERBY ACLCAT nosuch", Value::Array(vec![]));
        c.expect("COMMAND LIST FILTERBY MODULE nosuch", Value::Array(vec![]));
        for command in ["COMMAND LIST x", "COMMAND LIST FILTERBY PATTERN", "COMMAND LIST FILTERBY x y"] {
            c.expect(command, err("ERR syntax error"));
        }
    });
}

#[test]
fn what_a_request_does_with_its_keys_depends_on_its_options() {
    each_setup(|s| {
        let mut c = s.client();
        const OVERWRITES: &[&str] = &["OW", "update"];
        const CHANGES: &[&str] = &["RW", "access", "update"];
        const READS: &[&str] = &["RO", "access"];
        for (request, expected) in [
            ("SET k v", OVERWRITES),
            ("SET k GET", OVERWRITES),
            ("SET k v EX 10 NX", OVERWRITES),
            ("SET k v GET", CHANGES),
            ("set k v px 10 get", CHANGES),
            ("BITFIELD k", READS),
            ("BITFIELD k GET u8 0 OVERFLOW SAT get u8 8", READS),
            ("BITFIELD k GET u8 0 SET u8 0 1", CHANGES),
            ("BITFIELD k INCRBY u8 0 1", CHANGES),
            ("BITFIELD k GET", CHANGES),
        ] {
            let expected = array([array([bulk("k"), words(expected)])]);
            c.expect(format!("COMMAND GETKEYSANDFLAGS {request}"), expected);
        }
    });
}

#[test]
fn keys_of_a_request() {
    each_setup(|s| {
        let mut c = s.client();
        c.expect("COMMAND GETKEYS mset a 1 b 2", array([bulk("a"), bulk("b")]));
        c.expect("COMMAND GETKEYS GET k", array([bulk("k")]));
        let flags = c.call("COMMAND GETKEYSANDFLAGS mget a b").elements();
        assert_eq!(flags.len(), 2);
        assert_eq!(flags[1].elements()[0], bulk("b"));
        assert_eq!(flags[1].elements()[1], words(&["RO", "access"]).as_seen_in(c.protocol()));
        for (command, error) in [
            ("COMMAND GETKEYS nosuch a", "ERR Invalid command specified"),
            ("COMMAND GETKEYS ping a", "ERR The command has no key arguments"),
            ("COMMAND GETKEYS config get x", "ERR The command has no key arguments"),
            ("COMMAND GETKEYS get a b", "ERR Invalid number of arguments specified for command"),
            ("COMMAND GETKEYS get", "ERR wrong number of arguments for 'command|getkeys' command"),
            ("COMMAND NOSUCH", "ERR unknown subcommand 'NOSUCH'. Try COMMAND HELP."),
        ] {
            c.expect(command, err(error));
        }
    });
}
