//! `src/COMPATIBILITY.md` says what the table of commands says.
//!
//! The page is generated: `UPDATE_COMPAT=1 cargo test --test compat` writes it anew. Without that the test compares,
//! so that no command comes or goes without the page.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use coreshard::commands::spec::{Flags, Row, Run};
use coreshard::commands::{CommandTable, Entry};
use coreshard::server::registry;

/// The commands of Redis 7.2, by group.
const REDIS_7_2: &str = include_str!("compat/redis-7.2.txt");

/// Commands that are known by name and answer an error that says so, and what they wait for.
const REFUSED: &[(&str, &str)] = &[
    ("client|caching", "client-side caching"),
    ("client|getredir", "client-side caching"),
    ("client|tracking", "client-side caching"),
    ("client|trackinginfo", "client-side caching"),
];

/// How a group is called among people, in the order of the page.
const GROUPS: &[(&str, &str)] = &[
    ("string", "Strings"),
    ("generic", "Keys"),
    ("transactions", "Transactions"),
    ("connection", "Connections"),
    ("server", "Server"),
    ("list", "Lists"),
    ("set", "Sets"),
    ("sorted-set", "Sorted sets"),
    ("hash", "Hashes"),
    ("stream", "Streams"),
    ("bitmap", "Bitmaps"),
    ("hyperloglog", "HyperLogLog"),
    ("geo", "Geo"),
    ("pubsub", "Pub/Sub"),
    ("scripting", "Scripts and functions"),
    ("cluster", "Cluster"),
    ("sentinel", "Sentinel"),
];

const HEAD: &str = "\
# Compatibility

Every command that coreshard answers, and every command of Redis 7.2 that it does not. This page is generated from
the table of commands by `UPDATE_COMPAT=1 cargo test --test compat`; a test fails when the two differ. How a command
behaves is compared with Redis 7.0.15 by `tests/oracle` and `tests/conform`; known differences are in the README.

";

const WAYS: &str = "\
How a command runs:

| word | meaning |
|---|---|
| core | on the core of the connection |
| cores | on every core, the answers merged; not atomic over cores |
| shard | on the shard that owns its key or keys; a transaction if they have several owners |
| shards | on all shards, as one transaction |
| cursor | on the shard that the cursor names |
| script | on the shard of its keys, or as a transaction over all shards |

`EXEC` runs what it queued as one transaction over the shards of all its keys.

";

#[test]
fn the_page_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/COMPATIBILITY.md");
    let page = page(registry::table());
    if std::env::var_os("UPDATE_COMPAT").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let first = page.lines().zip(written.lines()).find(|(ours, theirs)| ours != theirs);
    assert!(
        page == written,
        "src/COMPATIBILITY.md is not what the table says; UPDATE_COMPAT=1 cargo test --test compat writes it anew. \
         The first line that differs, as it should be and as it is: {first:?}"
    );
}

#[test]
fn every_command_has_a_group_of_the_page() {
    let groups: BTreeSet<&str> = GROUPS.iter().map(|(group, _)| *group).collect();
    for (_, entry) in registry::table().iter() {
        assert!(groups.contains(entry.row.group.name()), "{} is in no group of the page", entry.full_name);
    }
    for known in known_commands() {
        assert!(groups.contains(known.group), "{} is in no group of the page", known.name);
    }
}

#[test]
fn refused_commands_are_there() {
    for (name, _) in REFUSED {
        assert!(registry::table().find_full(name.as_bytes()).is_some(), "{name}");
    }
}

fn page(table: &CommandTable) -> String {
    let known = known_commands();
    let there = known.iter().filter(|known| is_answered(table, &known.name)).count();
    let mut page = HEAD.to_owned();
    let _ = write!(
        page,
        "Of the {} commands and subcommands of Redis 7.2, {there} are there. Some of later versions are there too; the \
         column *since* shows it.\n\n",
        known.len()
    );
    page.push_str(WAYS);
    page.push_str("## What is there\n");
    for (group, title) in GROUPS {
        let rows: Vec<&Entry> = table
            .iter()
            .map(|(_, entry)| entry)
            .filter(|entry| entry.row.group.name() == *group && is_shown(entry))
            .collect();
        write_group(&mut page, title, rows);
    }
    page.push_str("\n## What is not there yet\n\n");
    page.push_str(
        "These answer `unknown command` or `unknown subcommand`. So do the commands of modules (JSON, search, time series, \
         probabilistic structures, vector sets).\n\n",
    );
    page.push_str("| group | commands of Redis 7.2 |\n|---|---|\n");
    for (group, title) in GROUPS {
        let missing: Vec<String> = known
            .iter()
            .filter(|known| known.group == *group && !is_answered(table, &known.name))
            .filter_map(|known| missing(table, &known.name))
            .collect();
        if !missing.is_empty() {
            let _ = writeln!(page, "| {title} | {} |", missing.join(", "));
        }
    }
    page
}

/// A container is a row of its own only when it answers something without a subcommand.
///
/// Redis: COMMAND alone lists everything. Every other container wants a subcommand.
fn is_shown(entry: &Entry) -> bool {
    let answers_alone = entry.row.subcommands.is_empty() || entry.row.arity == -1;
    answers_alone && !is_refused(entry.full_name)
}

fn is_refused(name: &str) -> bool {
    REFUSED.iter().any(|(refused, _)| *refused == name)
}

fn is_answered(table: &CommandTable, name: &str) -> bool {
    table.find_full(name.as_bytes()).is_some() && !is_refused(name)
}

/// A missing command as the page shows it. A container that is missing whole stands for its subcommands.
fn missing(table: &CommandTable, name: &str) -> Option<String> {
    let container = name.split_once('|').map(|(container, _)| container);
    if container.is_some_and(|container| table.find(container.as_bytes()).is_none()) {
        return None;
    }
    let is_container = known_commands().iter().any(|known| known.name.starts_with(&format!("{name}|")));
    let waits_for = REFUSED.iter().find(|(refused, _)| *refused == name);
    Some(match (is_container, waits_for) {
        (true, _) => format!("{} and its subcommands", shown(name)),
        (false, Some((_, what))) => format!("{} (known, and answers an error: no {what})", shown(name)),
        (false, None) => shown(name),
    })
}

fn write_group(page: &mut String, title: &str, mut rows: Vec<&Entry>) {
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|entry| entry.full_name);
    let _ = write!(page, "\n### {title}\n\n");
    page.push_str("| command | since | runs | flags | what it does |\n|---|---|---|---|---|\n");
    for Entry { row, full_name, .. } in rows {
        let flags: Vec<&str> =
            Flags::ALL.iter().filter(|(flag, _)| row.flags.has(*flag)).map(|(_, name)| *name).collect();
        let deprecated = match row.deprecated {
            Some((since, instead)) => {
                format!(" Deprecated since {since}: use {}.", instead.replace("`!", "`"))
            }
            None => String::new(),
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {}{} |",
            shown(full_name),
            row.since,
            way(row),
            flags.join(" "),
            row.summary.replace('|', "\\|"),
            deprecated.replace('|', "\\|"),
        );
    }
}

/// `client|list` as people type it.
fn shown(name: &str) -> String {
    name.replace('|', " ").to_ascii_uppercase()
}

fn way(row: &Row) -> &'static str {
    match row.run {
        Run::Local(_) | Run::Bound | Run::Container => "core",
        Run::Broadcast => "cores",
        Run::OnShard(_) | Run::PerKey { .. } | Run::Hops { .. } => "shard",
        Run::AllShards { .. } => "shards",
        Run::AtShard { .. } => "cursor",
        Run::Script => "script",
    }
}

/// A command of Redis 7.2.
struct Known {
    group: &'static str,
    /// `client|list` for a subcommand.
    name: String,
}

/// Reads the list. A line that starts with blanks goes on with the one before.
fn known_commands() -> Vec<Known> {
    let mut known = Vec::new();
    let mut head = "";
    for line in REDIS_7_2.lines().filter(|line| !line.starts_with('#')) {
        let words = match line.split_once(':') {
            Some((before, after)) => {
                head = before;
                after
            }
            None => line,
        };
        for word in words.split_whitespace() {
            let (group, name) = match head.split_once(' ') {
                Some((group, container)) => (group, format!("{container}|{word}")),
                None => (head, word.to_owned()),
            };
            known.push(Known { group, name });
        }
    }
    known
}

#[test]
fn the_list_is_read_as_it_is_meant() {
    let known = known_commands();
    let has = |group: &str, name: &str| known.iter().any(|known| known.group == group && known.name == name);
    assert!(has("generic", "copy") && has("generic", "pexpireat") && has("generic", "object|encoding"));
    assert!(has("sentinel", "sentinel|is-master-down-by-addr"));
    let mut names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
}
