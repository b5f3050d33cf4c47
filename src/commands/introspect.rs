//! What the rows say of themselves: the replies of COMMAND INFO and COMMAND DOCS, and the ACL categories.
//!
//! Everything is derived from rows. Nothing here knows a command by name.

use super::spec::{Access, Arg, ArgKind, Begin, Find, Flags, Group, KeySpec, Row};
use super::table::{CommandTable, Entry, RowId};
use crate::resp::Reply;

/// The ACL categories, in the order in which Redis lists them.
pub const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Redis keeps these from COMMAND's readers.
const HIDDEN_FLAGS: Flags = Flags::MAY_REPLICATE.and(Flags::PROTECTED).and(Flags::TOUCHES_ARBITRARY_KEYS);

/// The category that a group implies. Containers without a meaning of their own get none.
fn category_of(group: Group) -> Option<&'static str> {
    Some(match group {
        Group::String => "string",
        Group::Hash => "hash",
        Group::List => "list",
        Group::Set => "set",
        Group::SortedSet => "sortedset",
        Group::Stream => "stream",
        Group::Bitmap => "bitmap",
        Group::Geo => "geo",
        Group::HyperLogLog => "hyperloglog",
        Group::Connection => "connection",
        Group::Transactions => "transaction",
        Group::Scripting => "scripting",
        Group::Generic | Group::Server | Group::PubSub | Group::Cluster => return None,
    })
}

/// True when the row belongs to the category, by its group, its flags or its own word.
pub fn is_in_category(row: &Row, category: &str) -> bool {
    let flags = row.flags;
    // A container is there for its subcommands and implies nothing.
    let implied = category_of(row.group).filter(|_| row.subcommands.is_empty());
    let stated = |name: &str| row.acl.contains(&name) || implied == Some(name);
    match category {
        "write" if flags.has(Flags::WRITE) => true,
        // Redis: scripts do not count as reads.
        "read" if flags.has(Flags::READONLY) && !stated("scripting") => true,
        "admin" | "dangerous" if flags.has(Flags::ADMIN) => true,
        "pubsub" if flags.has(Flags::PUBSUB) => true,
        "blocking" if flags.has(Flags::BLOCKING) => true,
        "fast" => flags.has(Flags::FAST),
        "slow" => !flags.has(Flags::FAST),
        name => stated(name),
    }
}

/// First key, last key and step as Redis 7 told them before there were key specs, and whether they do not tell
/// everything (`movablekeys`).
fn legacy_range(keys: &[KeySpec]) -> ((i64, i64, i64), bool) {
    let plain = |spec: &KeySpec| match (spec.begin, spec.find) {
        (Begin::Index(index), Find::Range { last, step, .. }) => {
            Some((index as i64, last as i64, step as i64))
        }
        _ => None,
    };
    let absolute = |index: i64, last: i64| if last >= 0 { last + index } else { last };
    if let [only] = keys
        && let Some((index, last, step)) = plain(only)
    {
        return ((index, absolute(index, last), step), only.access.has(Access::INCOMPLETE));
    }
    let (mut first, mut end, mut movable) = (None::<i64>, 0, false);
    for spec in keys {
        let consecutive = plain(spec).filter(|(index, _, step)| *step == 1 && (end == 0 || end == index - 1));
        let Some((index, last, _)) = consecutive else {
            movable = true;
            continue;
        };
        movable |= spec.access.has(Access::INCOMPLETE);
        first = Some(first.map_or(index, |first| first.min(index)));
        // Negative ends count from the last argument, so they are beyond every other.
        end = (end as u32).max(absolute(index, last) as u32) as i32 as i64;
    }
    match first {
        Some(first) => ((first, end, 1), movable),
        None => ((0, 0, 0), movable || !keys.is_empty()),
    }
}

/// The ten elements of COMMAND INFO.
pub fn write_info(table: &CommandTable, id: RowId, reply: &mut Reply<'_>) {
    let entry = table.entry(id);
    let row = entry.row;
    let ((first, last, step), movable) = legacy_range(row.keys);
    reply.array(10);
    reply.bulk(entry.full_name.as_bytes());
    reply.int(i64::from(row.arity));
    let movable = if movable { Flags::MOVABLEKEYS } else { Flags::NONE };
    let flags = Flags(row.flags.and(movable).0 & !HIDDEN_FLAGS.0);
    write_words(Flags::ALL.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, name)| *name), reply);
    for number in [first, last, step] {
        reply.int(number);
    }
    let categories: Vec<&str> = CATEGORIES.into_iter().filter(|name| is_in_category(row, name)).collect();
    reply.set(categories.len());
    for category in categories {
        reply.simple(&format!("@{category}"));
    }
    reply.set(row.tips.len());
    for tip in row.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(row.keys.len());
    for spec in row.keys {
        write_key_spec(spec, reply);
    }
    if entry.children.is_empty() {
        reply.set(0);
    } else {
        reply.array(entry.children.len());
        for child in &entry.children {
            write_info(table, *child, reply);
        }
    }
}

fn write_words<'w>(words: impl Iterator<Item = &'w str>, reply: &mut Reply<'_>) {
    let words: Vec<&str> = words.collect();
    reply.set(words.len());
    for word in words {
        reply.simple(word);
    }
}

/// The flags of a key as COMMAND GETKEYSANDFLAGS and key specs show them.
pub fn write_access(access: Access, reply: &mut Reply<'_>) {
    // Redis lists RO before RW.
    const ORDER: [(Access, &str); 2] = [(Access::RO, "RO"), (Access::RW, "RW")];
    let rest = Access::ALL.iter().filter(|(flag, _)| *flag != Access::RO && *flag != Access::RW);
    let all = ORDER.iter().chain(rest);
    write_words(all.filter(|(flag, _)| access.has(*flag)).map(|(_, name)| *name), reply);
}

fn write_key_spec(spec: &KeySpec, reply: &mut Reply<'_>) {
    reply.map(3 + usize::from(!spec.notes.is_empty()));
    if !spec.notes.is_empty() {
        reply.bulk(b"notes");
        reply.bulk(spec.notes.as_bytes());
    }
    reply.bulk(b"flags");
    write_access(spec.access, reply);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => write_search("index", &[("index", index as i64)], reply),
        Begin::Keyword { word, from } => {
            write_search_head("keyword", 2, reply);
            reply.bulk(b"keyword");
            reply.bulk(word.as_bytes());
            reply.bulk(b"startfrom");
            reply.int(from as i64);
        }
        Begin::Unknown => write_search("unknown", &[], reply),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            let fields = [("lastkey", last as i64), ("keystep", step as i64), ("limit", limit as i64)];
            write_search("range", &fields, reply);
        }
        Find::KeyNum { index, first, step } => {
            let fields = [("keynumidx", index as i64), ("firstkey", first as i64), ("keystep", step as i64)];
            write_search("keynum", &fields, reply);
        }
        Find::Unknown => write_search("unknown", &[], reply),
    }
}

fn write_search_head(kind: &str, fields: usize, reply: &mut Reply<'_>) {
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(kind.as_bytes());
    reply.bulk(b"spec");
    reply.map(fields);
}

fn write_search(kind: &str, fields: &[(&str, i64)], reply: &mut Reply<'_>) {
    write_search_head(kind, fields.len(), reply);
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.int(*value);
    }
}

/// The map of COMMAND DOCS.
pub fn write_docs(table: &CommandTable, id: RowId, reply: &mut Reply<'_>) {
    let Entry { row, children, .. } = table.entry(id);
    let texts = [("summary", row.summary), ("since", row.since)];
    let texts = || texts.iter().filter(|(_, text)| !text.is_empty());
    let doc_flags = [(row.deprecated.is_some(), "deprecated"), (row.syscmd, "syscmd")];
    let doc_flags = || doc_flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name);
    let rest = [
        !row.complexity.is_empty(),
        doc_flags().next().is_some(),
        row.deprecated.is_some(),
        row.deprecated.is_some(),
        !row.args.is_empty(),
        !children.is_empty(),
    ];
    reply.map(1 + texts().count() + rest.iter().filter(|there| **there).count());
    for (name, text) in texts() {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    reply.bulk(b"group");
    reply.bulk(row.group.name().as_bytes());
    if !row.complexity.is_empty() {
        reply.bulk(b"complexity");
        reply.bulk(row.complexity.as_bytes());
    }
    if doc_flags().next().is_some() {
        reply.bulk(b"doc_flags");
        write_words(doc_flags(), reply);
    }
    if let Some((since, instead)) = row.deprecated {
        for (name, text) in [("deprecated_since", since), ("replaced_by", instead)] {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
    }
    if !row.args.is_empty() {
        reply.bulk(b"arguments");
        write_args(row.args, reply);
    }
    if !children.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(children.len());
        for child in children {
            reply.bulk(table.entry(*child).full_name.as_bytes());
            write_docs(table, *child, reply);
        }
    }
}

fn write_args(args: &[Arg], reply: &mut Reply<'_>) {
    reply.array(args.len());
    for arg in args {
        let (kind, children): (&str, &[Arg]) = match arg.kind {
            ArgKind::String => ("string", &[]),
            ArgKind::Integer => ("integer", &[]),
            ArgKind::Double => ("double", &[]),
            ArgKind::Key => ("key", &[]),
            ArgKind::Pattern => ("pattern", &[]),
            ArgKind::UnixTime => ("unix-time", &[]),
            ArgKind::PureToken => ("pure-token", &[]),
            ArgKind::OneOf(children) => ("oneof", children),
            ArgKind::Block(children) => ("block", children),
        };
        let flags =
            [(arg.optional, "optional"), (arg.multiple, "multiple"), (arg.multiple_token, "multiple_token")];
        let flags = || flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name);
        let extra = [
            arg.key_spec.is_some(),
            !arg.token.is_empty(),
            !arg.since.is_empty(),
            flags().next().is_some(),
            !children.is_empty(),
        ];
        reply.map(2 + extra.iter().filter(|there| **there).count());
        for (name, text) in [("name", arg.name), ("type", kind)] {
            reply.bulk(name.as_bytes());
            reply.bulk(text.as_bytes());
        }
        if let Some(spec) = arg.key_spec {
            reply.bulk(b"key_spec_index");
            reply.int(i64::from(spec));
        }
        for (name, text) in [("token", arg.token), ("since", arg.since)] {
            if !text.is_empty() {
                reply.bulk(name.as_bytes());
                reply.bulk(text.as_bytes());
            }
        }
        if flags().next().is_some() {
            reply.bulk(b"flags");
            write_words(flags(), reply);
        }
        if !children.is_empty() {
            reply.bulk(b"arguments");
            write_args(children, reply);
        }
    }
}
