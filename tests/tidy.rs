//! What no compiler checks of this house: which room may use which, where unsafe code and the
//! runtime's crates may be named, and words that must not be anywhere.
//!
//! Each check takes a path and a text and returns complaints, so that it is itself tested on bad
//! samples at the end. Sizes and lengths stay matters of taste.

use std::fs;
use std::path::Path;

use coreshard::config::Id;
use coreshard::config::setting::Area;

/// What a room may use.
enum Uses {
    /// These rooms.
    Only(&'static [&'static str]),
    /// Every room of a lower level, and these of its own.
    Below(&'static [&'static str]),
}
use Uses::{Below, Only};

/// The ladder of rooms: use what is below, never what is above.
const LADDER: &[(&str, u8, Uses)] = &[
    ("sys", 0, Only(&[])),
    // How a number reads and is written is a matter of types, for the wire too.
    ("resp", 0, Only(&["types"])),
    ("types", 0, Only(&[])),
    ("rdb", 1, Only(&["types"])),
    ("config", 1, Only(&[])),
    ("runtime", 1, Only(&["sys"])),
    ("shard", 2, Only(&["types"])),
    ("commands", 3, Only(&["shard", "types", "resp", "rdb"])),
    ("tx", 4, Below(&[])),
    ("acl", 4, Below(&[])),
    ("observe", 4, Below(&[])),
    ("pubsub", 4, Only(&["resp", "runtime", "types"])),
    ("script", 5, Below(&[])),
    ("search", 5, Below(&[])),
    ("persistence", 5, Below(&[])),
    ("replication", 5, Below(&["persistence"])),
    ("cluster", 5, Below(&["replication"])),
    ("sentinel", 5, Below(&[])),
    ("module", 5, Below(&[])),
    ("net", 6, Below(&[])),
    ("server", 7, Below(&[])),
];

/// Rooms whose code is a function of its arguments: no waiting, no I/O, no clock, no dice.
const PURE_ROOMS: &[&str] = &["types", "shard", "commands"];

/// What a pure room must not write. The source of randomness comes in the context, so the type may be
/// named and the thread's own generator may not.
const IMPURE: &[&str] = &[
    ".await",
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::net",
    "std::io::stdin",
    "thread::spawn",
    "fastrand::Rng::new",
    "fastrand::u",
    "fastrand::i",
    "fastrand::f",
    "fastrand::shuffle",
    "fastrand::choice",
];

/// Crates of the runtime, and the folders that may name them.
const RUNTIME_CRATES: &[&str] = &["glommio", "io_uring", "libc", "async_executor", "futures_lite"];
const RUNTIME_FOLDERS: &[&str] = &["src/runtime/", "src/sys/"];

/// Where unsafe code may stand, in files that say so at their top.
const UNSAFE_FOLDERS: &[&str] =
    &["src/sys/", "src/runtime/", "src/types/raw/", "src/script/lua/", "src/module/"];

/// The one file that lets time pass in a test.
const WAITING_FILE: &str = "tests/support/wait.rs";
/// DEBUG SLEEP is there to sleep.
const SLEEPING_FILE: &str = "src/server/commands/debug.rs";

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "misc", "common", "manager"];

/// Where texts are looked for.
const TEXTS: &[&str] = &["src", "tests", "bench", "perf", "tuning", ".ci", "README.md", "Cargo.toml"];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut complaints = Vec::new();
    for text in TEXTS {
        visit(root, &root.join(text), &mut |path, text| complaints.extend(complaints_about(path, text)));
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Calls `check` with every text file below `path`, named from the root.
/// A setting that nothing reads must not look as if it did something: see `Area`.
#[test]
fn settings_are_read_or_say_that_they_have_no_effect() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    visit(root, &root.join("src"), &mut |path, text| {
        if !path.starts_with("src/config/id.rs") && !path.starts_with("src/config/settings/") {
            code.push_str(text);
        }
    });
    let unread: Vec<&str> = Id::all()
        .map(Id::setting)
        .filter(|setting| setting.area == Area::Core)
        .filter(|setting| !has_word(&code, &setting.name.to_uppercase().replace('-', "_")))
        .map(|setting| setting.name)
        .collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

fn visit(root: &Path, path: &Path, check: &mut impl FnMut(&str, &str)) {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut entries: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
        entries.sort();
        for entry in
            entries.iter().filter(|entry| !entry.ends_with("bench/out") && !entry.ends_with("target"))
        {
            visit(root, entry, check);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        let name = path.strip_prefix(root).expect("the walk starts at the root");
        check(&name.to_string_lossy(), &text);
    }
}

fn complaints_about(path: &str, text: &str) -> Vec<String> {
    let mut found = words(path, text);
    if path.ends_with(".rs") {
        let code = code_only(text);
        found.extend(names(path));
        found.extend(ladder(path, &code));
        found.extend(purity(path, &code));
        found.extend(runtime_crates(path, &code));
        found.extend(unsafe_code(path, &code));
        found.extend(unfinished(path, &code));
        found.extend(sleeps(path, &code));
    }
    found
}

// --- the checks --------------------------------------------------------------------------------

/// The room of a file in `src`, or None for the files at its top.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    match inside.split_once('/') {
        Some((room, _)) => Some(room),
        None => LADDER.iter().map(|(name, ..)| *name).find(|name| inside.strip_suffix(".rs") == Some(name)),
    }
}

/// A file that is built for tests only: a unit test may drive its room from above, as the transactions do.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.contains("/testing/") || path.ends_with("tests.rs")
}

fn ladder(path: &str, code: &str) -> Vec<String> {
    if is_test_file(path) {
        return Vec::new();
    }
    let Some(room) = room_of(path) else { return Vec::new() };
    let Some((_, level, uses)) = LADDER.iter().find(|(name, ..)| *name == room) else {
        return vec![format!("{path}: the ladder knows no room {room}")];
    };
    let allowed = |other: &str| match uses {
        Only(rooms) => rooms.contains(&other),
        Below(rooms) => {
            rooms.contains(&other) || LADDER.iter().any(|(name, below, _)| *name == other && below < level)
        }
    };
    let depth = module_depth(path);
    lines(code)
        .flat_map(|(number, line_start)| {
            rooms_named(&code[line_start..], depth)
                .into_iter()
                .filter(|other| *other != room && !allowed(other))
                .map(move |other| (number, other.to_owned()))
        })
        .map(|(number, other)| format!("{path}:{number}: {room} may not use {other}"))
        .collect()
}

/// How many modules lie between the crate's root and the items of a file.
fn module_depth(path: &str) -> usize {
    path.split('/').skip(1).filter(|part| *part != "mod.rs").count()
}

/// The rooms that paths starting on the first line of `code` lead to: `crate::room`, the members of
/// `crate::{...}`, and as many `super::` as it takes to get to the root.
fn rooms_named(code: &str, depth: usize) -> Vec<&'static str> {
    let line = &code[..code.find('\n').unwrap_or(code.len())];
    let supers = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in ["crate::", supers.as_str()] {
        for (at, _) in line.match_indices(prefix) {
            let before = &code[..at];
            if before.ends_with(is_word) || before.ends_with("super::") {
                continue;
            }
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group_members(group)),
                None => found.push(first_word(rest)),
            }
        }
    }
    LADDER.iter().map(|(name, ..)| *name).filter(|name| found.contains(name)).collect()
}

/// The first word of each member of a use group, whose opening brace has been taken.
fn group_members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => {
                members.push(first_word(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                members.push(first_word(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}

fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn purity(path: &str, code: &str) -> Vec<String> {
    let pure = room_of(path).is_some_and(|room| PURE_ROOMS.contains(&room));
    if !pure || path.ends_with("/tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    // By custom the unit tests are the end of a file.
    let code = &code[..code.find("#[cfg(test)]").unwrap_or(code.len())];
    complain(path, code, IMPURE, "a room without clock, I/O, waiting or dice says")
}

fn runtime_crates(path: &str, code: &str) -> Vec<String> {
    if !path.starts_with("src/") || RUNTIME_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for name in RUNTIME_CRATES {
        for (number, line) in code.lines().enumerate() {
            let named = line.match_indices(name).any(|(at, _)| {
                let (before, after) = (&line[..at], &line[at + name.len()..]);
                let is_root =
                    !before.ends_with(is_word) && !before.ends_with("::") || before.trim() == "use ::";
                is_root
                    && (after.starts_with("::") || before.trim() == "use" || before.trim() == "extern crate")
            });
            if named {
                found.push(format!("{path}:{}: only runtime and sys name {name}", number + 1));
            }
        }
    }
    found
}

fn unsafe_code(path: &str, code: &str) -> Vec<String> {
    let allowed = UNSAFE_FOLDERS.iter().any(|folder| path.starts_with(folder));
    let uses = code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe"));
    if !allowed {
        return uses
            .map(|(number, _)| format!("{path}:{}: unsafe code in a safe room", number + 1))
            .collect();
    }
    match uses.count() {
        0 => Vec::new(),
        _ if code.contains("#![allow(unsafe_code)]") => Vec::new(),
        // Tests in a file of their own stand below the file they test, which says so for both.
        _ if path.ends_with("tests.rs") => Vec::new(),
        _ => vec![format!("{path}: unsafe code, but no #![allow(unsafe_code)] at its top")],
    }
}

fn unfinished(path: &str, code: &str) -> Vec<String> {
    complain(path, code, &["todo!", "unimplemented!", "dbg!"], "unfinished:")
}

fn sleeps(path: &str, code: &str) -> Vec<String> {
    // What measures time may let it pass.
    if [WAITING_FILE, SLEEPING_FILE].contains(&path) || path.starts_with("bench/") {
        return Vec::new();
    }
    let mut found = complain(path, code, &["thread::sleep"], "time is waited for, not slept through:");
    if path.starts_with("tests/") {
        found.extend(complain(path, code, &["park_timeout", "sleep("], "a test waits with wait_until, not"));
    }
    found
}

fn names(path: &str) -> Vec<String> {
    let parts = path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    parts
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| format!("{path}: {part} does not say what is inside"))
        .collect()
}

/// Words that no text may hold: paths of one machine, and marks of the unfinished. They are put
/// together here, or this file would complain about itself.
fn words(path: &str, text: &str) -> Vec<String> {
    let banned =
        [["/ro", "ot/"], ["/ho", "me/"], ["/Us", "ers/"], ["/wo", "rk/"], ["FIX", "ME"], ["XX", "X:"]];
    let banned = banned.map(|parts| parts.concat());
    let banned: Vec<&str> = banned.iter().map(String::as_str).collect();
    complain(path, text, &banned, "must not say")
}

fn complain(path: &str, text: &str, banned: &[&str], why: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for word in banned.iter().filter(|word| line.contains(**word)) {
            found.push(format!("{path}:{}: {why} {word}", number + 1));
        }
    }
    found
}

// --- reading code ------------------------------------------------------------------------------

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word))
}

/// Line numbers, from one, and where the lines begin.
fn lines(code: &str) -> impl Iterator<Item = (usize, usize)> {
    let starts = std::iter::once(0).chain(code.match_indices('\n').map(|(at, _)| at + 1));
    starts.enumerate().map(|(index, start)| (index + 1, start))
}

/// The text with comments and the insides of literals blanked out; the lines stay where they are.
fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if first == '"' {
            quoted(rest)
        } else if first == 'r' && !out.ends_with(|c| is_word(c) && c != 'b') {
            raw_string(rest)
        } else if first == '\'' {
            char_literal(rest)
        } else {
            0
        };
        match blank {
            0 => out.push(first),
            _ => out.extend(rest[..blank].chars().map(|c| if c == '\n' { '\n' } else { ' ' })),
        }
        rest = &rest[blank.max(first.len_utf8())..];
    }
    out
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"..."` or `r#"..."#`, or zero when the `r` begins something else.
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let Some(body) = text[1 + hashes..].strip_prefix('"') else { return 0 };
    let close = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    body.find(&close).map_or(text.len(), |at| start + at + close.len())
}

/// The length of `'x'` or `'\n'`, or zero for a lifetime.
fn char_literal(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |at| 3 + at + 1),
        Some((_, _)) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

// --- the checks, checked -----------------------------------------------------------------------

#[test]
fn bad_samples_are_complained_about() {
    let allow = "#![allow(unsafe_code)]\n";
    let samples = [
        ("src/types/string.rs", "use crate::shard::Db;\n", "types may not use shard"),
        ("src/shard/db.rs", "fn f() {\n    crate::commands::run();\n}\n", ":2: shard may not use commands"),
        (
            "src/shard/db.rs",
            "use crate::{\n    types::raw::Table,\n    net::Client,\n};\n",
            "may not use net",
        ),
        ("src/shard/mod.rs", "use super::runtime::now;\n", "shard may not use runtime"),
        ("src/shard/scan/cursor.rs", "use super::super::super::config;\n", "shard may not use config"),
        ("src/commands/strings.rs", "pub(in crate::tx) fn f() {}\n", "commands may not use tx"),
        ("src/tx/multi.rs", "use crate::observe::slowlog;\n", "tx may not use observe"),
        ("src/cluster/bus.rs", "use crate::net::Client;\n", "cluster may not use net"),
        ("src/net/listener.rs", "use crate::server::Core;\n", "net may not use server"),
        ("src/attic/old.rs", "", "knows no room attic"),
        ("src/commands/keys.rs", "let now = Instant::now();\n", "says Instant::now"),
        ("src/shard/expire.rs", "task.await;\n", "says .await"),
        ("src/types/set.rs", "let n = fastrand::usize(..9);\n", "says fastrand::u"),
        ("src/net/client.rs", "use glommio::Task;\n", "name glommio"),
        ("src/net/client.rs", "let n = unsafe_free::x(io_uring::IoUring::new(8));\n", "name io_uring"),
        ("src/tx/hops.rs", "use ::libc::c_int;\n", "name libc"),
        ("src/resp/parser.rs", "unsafe { *p }\n", "unsafe code in a safe room"),
        ("src/types/raw/table.rs", "unsafe { *p }\n", "no #![allow(unsafe_code)]"),
        ("src/net/output.rs", "fn f() { todo!() }\n", "unfinished: todo!"),
        ("tests/wire/keys.rs", "std::thread::sleep(second);\n", "time is waited for"),
        ("tests/sim/net.rs", "std::thread::park_timeout(second);\n", "waits with wait_until"),
        ("src/tx/utils.rs", "", "utils does not say"),
    ];
    for (path, text, complaint) in samples {
        let found = complaints_about(path, text);
        assert!(found.iter().any(|found| found.contains(complaint)), "{path}: {text:?} gave {found:?}");
    }
    let home = format!("see {}someone/notes", ["/ho", "me/"].concat());
    assert_eq!(complaints_about("README.md", &home).len(), 1);
    assert!(complaints_about("src/types/raw/table.rs", &format!("{allow}unsafe {{ *p }}\n")).is_empty());
}

#[test]
fn good_samples_are_not() {
    let samples = [
        ("src/shard/db.rs", "use crate::types::Value;\nuse super::entry::Entry;\nuse crate::shard::slots;\n"),
        (
            "src/shard/db.rs",
            "// use crate::server::x and unsafe and todo!\nlet s = \"crate::net::x unsafe\";\n",
        ),
        ("src/shard/db.rs", "/* glommio::x /* unsafe */ crate::tx::y */ let c = '\"'; let d = '\\'';\n"),
        ("src/shard/db.rs", "let s = r#\"unsafe \" crate::net\"#; fn f<'a>(x: &'a str) {}\n"),
        ("src/tx/multi.rs", "use crate::{commands::Row, runtime, config::Settings, sys};\n"),
        ("src/replication/primary.rs", "use crate::persistence::aof;\n"),
        ("src/server/mod.rs", "use crate::net::Listener;\n"),
        ("src/main.rs", "fn main() { coreshard::server::main() }\n"),
        ("src/runtime/uring/ring.rs", "use io_uring::IoUring;\n"),
        ("src/config/table.rs", "pub struct Engine { pub io_uring: bool, pub libc_version: u8 }\n"),
        ("src/lib.rs", "#![deny(unsafe_code)]\n"),
        ("src/types/tests.rs", "let start = Instant::now();\n"),
        ("src/commands/keys/tests/node.rs", "use crate::tx::execute;\n"),
        ("src/shard/expire.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn t() { Instant::now(); } }\n"),
        ("src/shard/evict.rs", "fn pick(rng: &mut fastrand::Rng) -> u64 { rng.u64(..) }\n"),
        (WAITING_FILE, "std::thread::park_timeout(pause);\n"),
    ];
    for (path, text) in samples {
        assert_eq!(complaints_about(path, text), Vec::<String>::new(), "{text}");
    }
}
