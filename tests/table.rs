//! The table of commands, checked as a whole: what a row says of itself in one place must agree with what it says in
//! another. Whether the rows say what Redis says is another question, asked beside the families and in `wire`.

use coreshard::commands::Entry;
use coreshard::commands::introspect::CATEGORIES;
use coreshard::commands::spec::{Access, Arg, ArgKind, Find, Flags, KeySpec, Run, Shape};
use coreshard::commands::table::NAME_MAX_BYTES;
use coreshard::server::registry;

/// Writes without a key of their own, and why.
const WRITES_WITHOUT_KEY: &[(&str, &str)] = &[
    ("flushall", "empties every database"),
    ("flushdb", "empties the selected database"),
    ("swapdb", "exchanges whole databases"),
    ("xreadgroup", "Redis says of its keys that they are read; `tx::route::mode_of` knows better"),
];

/// Reads without a key of their own, and why.
const READS_WITHOUT_KEY: &[(&str, &str)] = &[
    ("dbsize", "counts the selected database"),
    ("keys", "looks at every key"),
    ("lolwut", "draws; Redis flags it so"),
    ("randomkey", "any key will do"),
    ("scan", "walks over the selected database"),
];

/// Commands whose replies no shape describes, and why.
const OPEN_REPLIES: &[(&str, &str)] = &[
    ("debug", "every subcommand has its own, and they are no rows"),
    ("eval", "whatever the script answers"),
    ("evalsha", "whatever the script answers"),
    ("eval_ro", "whatever the script answers"),
    ("evalsha_ro", "whatever the script answers"),
    ("fcall", "whatever the function answers"),
    ("fcall_ro", "whatever the function answers"),
];

/// Commands that do not tell what they cost, and why.
const UNTOLD_COSTS: &[(&str, &str)] = &[("monitor", "Redis tells none: other commands pay for it")];

/// Commands whose arity is not what their arguments add up to, and why.
const LOOSE_ARITIES: &[(&str, &str)] = &[
    ("quit", "Redis lets it pass whatever follows"),
    ("geohash", "Redis answers an empty list when no member is asked for"),
    ("geopos", "the same"),
    ("client|kill", "takes at least one of filters that are optional each"),
    ("command|getkeys", "Redis 7.0 wants an argument of the command whose keys are asked for"),
    ("command|getkeysandflags", "the same"),
];

/// Commands that may block and are called fast, and why.
const FAST_THOUGH_BLOCKING: &[(&str, &str)] =
    &[("bzpopmin", "Redis calls it so: what it does when it need not wait is"), ("bzpopmax", "the same")];

#[test]
fn names_are_unique_words_in_lower_case() {
    let table = registry::table();
    let mut seen = std::collections::HashSet::new();
    let complaints = complaints(|entry| {
        let name = entry.row.name;
        let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let mut found = Vec::new();
        if name.is_empty() || name.len() > NAME_MAX_BYTES || !name.bytes().all(legal) {
            found.push(format!("{name:?} cannot be looked up"));
        }
        if !seen.insert(entry.full_name) {
            found.push("is there twice".to_owned());
        }
        if table.find_full(entry.full_name.to_ascii_uppercase().as_bytes()).is_none() {
            found.push("is not found in capitals".to_owned());
        }
        found
    });
    assert_none(&complaints);
}

#[test]
fn arities_agree_with_the_arguments() {
    let complaints = complaints(|entry| {
        let row = entry.row;
        // A container's own arity leaves its words to its subcommands.
        if !row.subcommands.is_empty() || is_listed(LOOSE_ARITIES, entry) {
            return Vec::new();
        }
        let words = 1 + usize::from(entry.parent.is_some());
        let Words { least, most } = Words::of_all(row.args);
        let (least, fixed) = (words + least, most == Some(least));
        let expected = if fixed { least as i16 } else { -(least as i16) };
        if row.arity == expected {
            return Vec::new();
        }
        vec![format!("has arity {}, and its arguments say {expected}", row.arity)]
    });
    assert_none(&complaints);
}

#[test]
fn keys_agree_with_flags_arguments_and_the_way_it_runs() {
    let writes = Access::RW.0 | Access::OW.0 | Access::RM.0;
    let complaints = complaints(|entry| {
        let row = entry.row;
        let mut found = Vec::new();
        let mut claim = |truth: bool, complaint: &str| {
            if !truth {
                found.push(complaint.to_owned());
            }
        };
        let writes_key = row.keys.iter().any(|spec| spec.access.0 & writes != 0);
        if row.flags.has(Flags::WRITE) {
            claim(
                writes_key || is_listed(WRITES_WITHOUT_KEY, entry),
                "writes, and names no key that it writes",
            );
        } else {
            // PFCOUNT reads, and caches in the value what it has counted.
            let may_cache = row.flags.has(Flags::MAY_REPLICATE);
            claim(!writes_key || may_cache, "writes a key without the flag WRITE");
        }
        if row.flags.has(Flags::READONLY) {
            claim(!row.keys.is_empty() || is_listed(READS_WITHOUT_KEY, entry), "reads, and names no key");
        }
        let ways = |spec: &Access| {
            [Access::RW, Access::RO, Access::OW, Access::RM].into_iter().filter(|way| spec.has(*way)).count()
        };
        // A channel is routed like a key in a cluster, and is none.
        let is_key = |spec: &KeySpec| !spec.access.has(Access::NOT_KEY);
        claim(
            row.keys.iter().filter(|spec| is_key(spec)).all(|spec| ways(&spec.access) == 1),
            "has a key that is not exactly one of RO, RW, OW, RM",
        );
        let mut described = vec![false; row.keys.len()];
        each_arg(row.args, &mut |arg| match (arg.kind, arg.key_spec) {
            // SORT's patterns name keys too.
            (ArgKind::Key | ArgKind::Pattern, Some(spec)) if usize::from(spec) < described.len() => {
                described[usize::from(spec)] = true;
            }
            (ArgKind::Key, _) => claim(false, "has a key argument that no key spec describes"),
            (_, spec) => claim(spec.is_none(), "has a key spec at an argument that is no key"),
        });
        let is_there = |(spec, there): (&KeySpec, &bool)| *there || !is_key(spec);
        claim(row.keys.iter().zip(&described).all(is_there), "has a key spec without a key argument");
        match row.run {
            Run::OnShard(_) => claim(entry.single_key != 0, "runs where its key is, and has not exactly one"),
            Run::Hops { .. } => claim(!row.keys.is_empty(), "goes from key to key, and has none"),
            Run::PerKey { stride, .. } => {
                let of_stride = matches!(row.keys, [spec] if matches!(spec.find, Find::Range { step, .. } if step == stride));
                claim(of_stride, "runs key by key, and its key spec does not go that way");
            }
            Run::AllShards { .. } | Run::AtShard { .. } | Run::Local(_) => {
                claim(row.keys.is_empty(), "has keys, and does not run where they are");
            }
            Run::Bound | Run::Broadcast | Run::Container | Run::Script => {}
        }
        found
    });
    assert_none(&complaints);
}

#[test]
fn flags_do_not_contradict_each_other() {
    let complaints = complaints(|entry| {
        let flags = entry.row.flags;
        let contradictions = [
            (flags.has(Flags::WRITE.and(Flags::READONLY)), "both writes and only reads"),
            (flags.has(Flags::DENYOOM) && !flags.has(Flags::WRITE), "may grow memory without writing"),
            (
                flags.has(Flags::FAST.and(Flags::BLOCKING)) && !is_listed(FAST_THOUGH_BLOCKING, entry),
                "is fast and may block",
            ),
            (
                flags.has(Flags::PROTECTED) && !flags.has(Flags::ADMIN),
                "is protected and not for administrators",
            ),
        ];
        contradictions.into_iter().filter(|(is, _)| *is).map(|(_, complaint)| complaint.to_owned()).collect()
    });
    assert_none(&complaints);
}

#[test]
fn every_row_explains_itself() {
    let complaints = complaints(|entry| {
        let row = entry.row;
        let is_container = !row.subcommands.is_empty();
        let is_version = |text: &str| {
            let parts: Vec<&str> = text.split('.').collect();
            parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok())
        };
        let mut sinces = vec![row.since];
        each_arg(row.args, &mut |arg| {
            if !arg.since.is_empty() {
                sinces.push(arg.since);
            }
        });
        sinces.extend(row.deprecated.map(|(since, _)| since));
        let claims = [
            (row.summary.ends_with('.') && !row.summary.contains('\n'), "has a summary that is no sentence"),
            (!row.complexity.is_empty() || is_listed(UNTOLD_COSTS, entry), "says nothing of its complexity"),
            (sinces.into_iter().all(is_version), "has a since that is no version"),
            (
                row.deprecated.is_none_or(|(_, instead)| !instead.is_empty()),
                "is deprecated in favour of nothing",
            ),
            (row.acl.iter().all(|name| CATEGORIES.contains(name)), "is in an ACL category that there is not"),
            (
                is_container || row.reply != Shape::Open || is_listed(OPEN_REPLIES, entry),
                "does not tell the shape of its reply",
            ),
        ];
        claims.into_iter().filter(|(truth, _)| !truth).map(|(_, complaint)| complaint.to_owned()).collect()
    });
    assert_none(&complaints);
}

#[test]
fn lists_of_exceptions_name_commands() {
    let table = registry::table();
    for list in [
        FAST_THOUGH_BLOCKING,
        WRITES_WITHOUT_KEY,
        READS_WITHOUT_KEY,
        OPEN_REPLIES,
        UNTOLD_COSTS,
        LOOSE_ARITIES,
    ] {
        for (name, reason) in list {
            assert!(table.find_full(name.as_bytes()).is_some(), "{name} is excused and is not there");
            assert!(!reason.is_empty(), "{name} is excused without a reason");
        }
    }
}

#[test]
fn words_are_counted_through_the_tree_of_arguments() {
    const VALUE: Arg = Arg::new("value", ArgKind::String);
    const PAIR: Arg = Arg::new("pair", ArgKind::Block(&[Arg::key("key", 0), VALUE]));
    const ONE_OF: Arg = Arg::new("one", ArgKind::OneOf(&[Arg::word("nx", "NX"), VALUE.token("IFEQ")]));
    let counted = |args: &[Arg]| {
        let Words { least, most } = Words::of_all(args);
        (least, most)
    };
    assert_eq!(counted(&[]), (0, Some(0)));
    assert_eq!(counted(&[VALUE, Arg::word("nx", "NX")]), (2, Some(2)));
    assert_eq!(counted(&[PAIR, VALUE.token("EX")]), (4, Some(4)));
    assert_eq!(counted(&[PAIR.multiple()]), (2, None));
    assert_eq!(counted(&[ONE_OF]), (1, Some(2)));
    assert_eq!(counted(&[VALUE, ONE_OF.optional()]), (1, Some(3)));
}

/// How many words arguments take on the wire.
struct Words {
    least: usize,
    /// `None`: there is no most.
    most: Option<usize>,
}

impl Words {
    fn of_all(args: &[Arg]) -> Words {
        args.iter().map(Words::of).fold(Words { least: 0, most: Some(0) }, |sum, words| Words {
            least: sum.least + words.least,
            most: sum.most.zip(words.most).map(|(sum, words)| sum + words),
        })
    }

    fn of(arg: &Arg) -> Words {
        let mut words = match arg.kind {
            ArgKind::PureToken => Words { least: 0, most: Some(0) },
            ArgKind::Block(parts) => Words::of_all(parts),
            ArgKind::OneOf(choices) => {
                let least = choices.iter().map(|choice| Words::of(choice).least).min();
                let most: Option<Vec<usize>> = choices.iter().map(|choice| Words::of(choice).most).collect();
                Words { least: least.unwrap_or(0), most: most.and_then(|most| most.into_iter().max()) }
            }
            _ => Words { least: 1, most: Some(1) },
        };
        if !arg.token.is_empty() {
            words.least += 1;
            words.most = words.most.map(|most| most + 1);
        }
        if arg.multiple {
            words.most = None;
        }
        if arg.optional {
            words.least = 0;
        }
        words
    }
}

fn each_arg(args: &[Arg], see: &mut dyn FnMut(&Arg)) {
    for arg in args {
        see(arg);
        if let ArgKind::OneOf(inner) | ArgKind::Block(inner) = arg.kind {
            each_arg(inner, see);
        }
    }
}

fn is_listed(list: &[(&str, &str)], entry: &Entry) -> bool {
    list.iter().any(|(name, _)| *name == entry.full_name)
}

/// What `look` finds wrong, with the row's name before it.
fn complaints(mut look: impl FnMut(&Entry) -> Vec<String>) -> Vec<String> {
    let rows = registry::table().iter();
    rows.flat_map(|(_, entry)| {
        look(entry).into_iter().map(|found| format!("{} {found}", entry.full_name)).collect::<Vec<_>>()
    })
    .collect()
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
