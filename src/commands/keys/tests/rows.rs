//! The rows against COMMAND INFO of Redis 7.0.15.

use crate::commands::keys::ROWS;
use crate::commands::spec::{Begin, Find, Flags, Row};

/// One line per command: name, arity, flags, ACL categories beyond read, write, fast and slow, tips, keys.
const RECORDED: &str = include_str!("command-info-7.0.15.txt");

fn keys(row: &Row) -> String {
    let one = |spec: &crate::commands::spec::KeySpec| {
        let flags = crate::commands::spec::Access::ALL.iter().filter(|(flag, _)| spec.access.has(*flag));
        let flags: Vec<&str> = flags.map(|(_, name)| *name).collect();
        let (Begin::Index(begin), Find::Range { last, step, .. }) = (spec.begin, spec.find) else {
            panic!("{} has its keys at fixed places", row.name)
        };
        format!("{}@{begin}..{last}/{step}", flags.join("+"))
    };
    row.keys.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn line(name: &str, row: &Row) -> String {
    let flags = Flags::ALL.iter().filter(|(flag, _)| row.flags.has(*flag));
    let flags: Vec<&str> = flags.map(|(_, name)| *name).collect();
    let mut acl = row.acl.to_vec();
    acl.sort_unstable();
    let (flags, acl, tips) = (flags.join(","), acl.join(","), row.tips.join(","));
    format!("{name} {} flags={flags} acl={acl} tips={tips} keys={}", row.arity, keys(row))
}

#[test]
fn rows_say_what_command_info_says() {
    let mut ours = Vec::new();
    for row in ROWS {
        ours.push(line(row.name, row));
        for sub in row.subcommands {
            ours.push(line(&format!("{}|{}", row.name, sub.name), sub));
        }
    }
    let mut theirs: Vec<&str> = RECORDED.lines().collect();
    ours.sort_unstable();
    theirs.sort_unstable();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
}
