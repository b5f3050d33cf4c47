//! DEBUG: what tests ask of a server and nobody else should.
//!
//! DEBUG is one command with words of its own, as in Redis. It is a broadcast: every core is asked and decides by
//! the words whether it has a part. The client's core merges the parts; a reply that one core knows alone comes as
//! finished output.

use std::time::Duration;

use super::{digest, object};
use std::sync::atomic::Ordering;

use crate::commands::spec::{Arg, ArgKind, Flags, Group, Row, Run};
use crate::commands::strings::compact;
use crate::commands::{CommandError, Part};
use crate::config::number::memory;
use crate::net::dispatch::{After, Bound};
use crate::net::durable::Asked;
use crate::net::{Asker, Core};
use crate::persistence::faults::{Fault, Place};
use crate::resp::{Argv, Output, Protocol, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::server::log;
use crate::shard::{EntryView, Event, NewValue};
use crate::types::DbIndex;
use crate::types::number::{parse_f64, parse_i64};
use crate::types::raw::table::Ttl;

/// No test sleeps longer, and no duration overflows.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

pub const ROWS: &[Row] = &[Row {
    name: "debug",
    arity: -2,
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE).and(Flags::PROTECTED),
    group: Group::Server,
    syscmd: true,
    summary: "Looks inside the server and disturbs it, for tests.",
    complexity: "Depends on subcommand.",
    args: &[Arg::new("subcommand", ArgKind::String), Arg::new("arg", ArgKind::String).optional().multiple()],
    run: Run::Broadcast,
    ..Row::BLANK
}];

pub const BINDINGS: &[(&str, Bound)] = &[("debug", Bound::Broadcast { each, merge })];

/// What is asked.
enum Word {
    /// Parts in output: the first core that has some answers.
    Here(HereFn),
    OfKey(KeyFn),
    Everywhere(EveryFn),
    Digest,
    DigestValue,
    Reload,
    LoadLog,
    Refused(&'static str),
}

type HereFn = fn(&mut Core, Asker, Argv<'_>, &mut Reply<'_>) -> Result<(), CommandError>;
type KeyFn = fn(&mut Core, DbIndex, &[u8], &mut Reply<'_>) -> Result<(), CommandError>;
type EveryFn = fn(&mut Core, Asker, Argv<'_>) -> Result<(), CommandError>;

const NO_LOG: &str = "ERR this version has no append-only file";
const NO_REPLICATION: &str = "ERR this version does not replicate";

/// The subcommands: word, how many arguments the whole command has at least and at most, and what it does.
const WORDS: &[(&str, usize, usize, Word)] = &[
    ("help", 2, 2, Word::Here(help)),
    ("segfault", 2, usize::MAX, Word::Here(|_, _, _, _| crate::sys::crash::fault_for_test())),
    ("panic", 2, usize::MAX, Word::Here(panic_for_test)),
    ("assert", 2, usize::MAX, Word::Here(|_, _, _, _| panic!("assertion failed: DEBUG ASSERT asked for it"))),
    ("sleep", 3, 3, Word::Here(sleep)),
    ("log", 3, 3, Word::Here(log_line)),
    ("error", 3, 3, Word::Here(error)),
    ("protocol", 3, 3, Word::Here(protocol)),
    ("stringmatch-len", 4, 4, Word::Here(stringmatch_len)),
    ("htstats", 3, 3, Word::Here(htstats)),
    ("shard", 2, 3, Word::Here(shard)),
    ("object", 3, 3, Word::OfKey(object)),
    ("listpack", 3, 3, Word::OfKey(listpack)),
    ("quicklist", 3, 4, Word::OfKey(quicklist)),
    ("htstats-key", 3, 3, Word::OfKey(htstats_key)),
    ("sdslen", 3, 3, Word::OfKey(sdslen)),
    ("quicklist-packed-threshold", 3, 3, Word::Here(packed_threshold)),
    ("slices", 4, 4, Word::Everywhere(slices)),
    ("set-active-expire", 3, 3, Word::Everywhere(set_active_expire)),
    ("set-skip-checksum-validation", 3, 3, Word::Everywhere(set_skip_checksums)),
    ("aof-flush-sleep", 3, 3, Word::Here(aof_flush_sleep)),
    ("disk-fault", 4, 6, Word::Here(disk_fault)),
    ("set-disable-deny-scripts", 3, 3, Word::Here(set_disable_deny_scripts)),
    ("populate", 3, 5, Word::Everywhere(populate)),
    ("digest", 2, 2, Word::Digest),
    ("digest-value", 2, usize::MAX, Word::DigestValue),
    ("reload", 2, usize::MAX, Word::Reload),
    ("loadaof", 2, usize::MAX, Word::LoadLog),
    ("restart", 2, usize::MAX, Word::Refused(NO_LOG)),
    ("crash-and-recover", 2, usize::MAX, Word::Refused(NO_LOG)),
    ("change-repl-id", 2, usize::MAX, Word::Refused(NO_REPLICATION)),
    ("replicate", 3, usize::MAX, Word::Refused(NO_REPLICATION)),
];

fn word_of(argv: Argv<'_>) -> Result<&'static Word, CommandError> {
    let word = argv.get(1);
    WORDS
        .iter()
        .find(|(name, least, most, _)| {
            name.as_bytes().eq_ignore_ascii_case(word) && (*least..=*most).contains(&argv.len())
        })
        .map(|(.., word)| word)
        .ok_or_else(|| super::unknown_subcommand(word, "DEBUG"))
}

fn each(core: &mut Core, _: &mut dyn NetIo, asker: Asker, argv: Argv<'_>) -> Result<Part, CommandError> {
    let mine = asker.core == core.me;
    match word_of(argv)? {
        Word::Refused(text) => Err(CommandError::Line(text)),
        Word::Here(run) if mine => write_part(core, asker, |core, reply| run(core, asker, argv, reply)),
        Word::OfKey(run) if core.placement.owner_of(argv.get(2)) == core.me => {
            write_part(core, asker, |core, reply| run(core, asker.db, argv.get(2), reply))
        }
        Word::Reload => reload_options(argv).map(|_| Part::Nothing),
        Word::LoadLog => Ok(Part::Nothing),
        Word::Here(_) | Word::OfKey(_) => Ok(Part::Nothing),
        Word::Everywhere(run) => {
            run(core, asker, argv)?;
            crate::tx::finish::finish(&mut core.shard);
            Ok(Part::Nothing)
        }
        Word::Digest => Ok(Part::Strings(digest::of_shard(&core.shard))),
        Word::DigestValue => Ok(Part::Strings(
            (2..argv.len())
                .map(|at| argv.get(at))
                .map(|key| {
                    let here = core.placement.owner_of(key) == core.me;
                    here.then(|| digest::of_value(&core.shard, asker.db, key).to_vec())
                })
                .collect(),
        )),
    }
}

fn write_part(
    core: &mut Core,
    asker: Asker,
    run: impl FnOnce(&mut Core, &mut Reply<'_>) -> Result<(), CommandError>,
) -> Result<Part, CommandError> {
    let mut output = Output::default();
    run(core, &mut Reply::new(&mut output, asker.protocol))?;
    Ok(Part::Output(output))
}

fn merge(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    argv: Argv<'_>,
    mut parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    match word_of(argv)? {
        Word::Digest => {
            let shards = parts.iter().filter_map(|part| match part {
                Part::Strings(dbs) => Some(dbs.as_slice()),
                _ => None,
            });
            reply.simple(&digest::hex(&digest::of_dataset(shards)));
        }
        Word::DigestValue => {
            reply.array(argv.len() - 2);
            for at in 0..argv.len() - 2 {
                let found = parts.iter().find_map(|part| match part {
                    Part::Strings(digests) => digests.get(at)?.as_deref(),
                    _ => None,
                });
                reply.simple(&digest::hex(found.unwrap_or(&[0; 20])));
            }
        }
        Word::Reload => {
            let (save, flush, merge) = reload_options(argv)?;
            core.reload_asked = Some(Asked::Snapshot { save, flush, merge });
            return Ok(After::Later);
        }
        Word::LoadLog => {
            core.reload_asked = Some(Asked::Log);
            return Ok(After::Later);
        }
        Word::Everywhere(_) => reply.ok(),
        Word::Here(_) | Word::OfKey(_) | Word::Refused(_) => {
            let output = parts.iter_mut().find_map(|part| match part {
                Part::Output(output) => Some(output),
                _ => None,
            });
            reply.out.append(output.expect("one core has a part in it"));
        }
    }
    Ok(After::Done)
}

/// Save first? Empty the databases before loading? May keys of the file replace others?
fn reload_options(argv: Argv<'_>) -> Result<(bool, bool, bool), CommandError> {
    let (mut save, mut flush, mut merge) = (true, true, false);
    for word in argv.iter().skip(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => save = false,
            b"noflush" => flush = false,
            b"merge" => merge = true,
            _ => {
                return Err(CommandError::Line(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    Ok((save, flush, merge))
}

fn panic_for_test(_: &mut Core, _: Asker, _: Argv<'_>, _: &mut Reply<'_>) -> Result<(), CommandError> {
    panic!("DEBUG PANIC asked for it")
}

/// Redis: a text that is no number sleeps for as long as the number it begins with, or not at all.
fn sleep(_: &mut Core, _: Asker, argv: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let seconds = parse_f64(argv.get(2)).filter(|seconds| *seconds > 0.0).unwrap_or(0.0);
    // Blocks this core and its clients only: that is what the command is for.
    std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or(SLEEP_MAX).min(SLEEP_MAX));
    reply.ok();
    Ok(())
}

fn log_line(_: &mut Core, _: Asker, argv: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    log::warning(format!("DEBUG LOG: {}", String::from_utf8_lossy(argv.get(2))));
    reply.ok();
    Ok(())
}

fn error(_: &mut Core, _: Asker, argv: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.error(argv.get(2));
    Ok(())
}

fn stringmatch_len(
    _: &mut Core,
    _: Asker,
    argv: Argv<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    reply.int(i64::from(crate::types::glob::glob_match(argv.get(3), argv.get(2), false)));
    Ok(())
}

/// The owner of a key, or the shard of this connection's core.
fn shard(core: &mut Core, _: Asker, argv: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let shard = argv.try_get(2).map_or(core.me, |key| core.placement.owner_of(key));
    reply.int(shard.index() as i64);
    Ok(())
}

fn protocol(_: &mut Core, asker: Asker, argv: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let numbers = |reply: &mut Reply<'_>| (0..3).for_each(|number| reply.int(number));
    match argv.get(2).to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.int(12345),
        // Redis: its clients' tests expect these digits.
        #[expect(clippy::approx_constant)]
        b"double" => reply.double(3.141),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            numbers(reply);
        }
        b"set" => {
            reply.set(3);
            numbers(reply);
        }
        b"map" => {
            reply.map(3);
            for number in 0..3 {
                reply.int(number);
                reply.bool(number == 1);
            }
        }
        b"attrib" => {
            if asker.protocol == Protocol::Resp3 {
                reply.attribute(1);
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.int(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if asker.protocol == Protocol::Resp2 {
                return Err(CommandError::Line("ERR RESP2 is not supported by this command"));
            }
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.int(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"true" => reply.bool(true),
        b"false" => reply.bool(false),
        b"verbatim" => reply.verbatim("txt", b"This is a verbatim\nstring"),
        _ => {
            return Err(CommandError::Line(
                "ERR Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

/// What there is to say about the tables of a database on this core, in the words of our own table.
fn htstats(core: &mut Core, _: Asker, argv: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let index = parse_i64(argv.get(2)).ok_or(CommandError::NotInteger)?;
    let index = usize::try_from(index).ok().filter(|index| *index < core.shard.dbs.len());
    let index = index.ok_or(CommandError::Line("ERR Out of range database"))?;
    let table = &core.shard.dbs[index].table;
    let usage = table.usage();
    let text = format!(
        "[Shard {} of {}]\nkeys: {}\nkeys with a deadline: {}\nsegments: {}\nbytes: {}\n",
        core.me.index(),
        core.shared.shards,
        table.len(),
        table.expires_count(),
        table.segments_count(),
        usage.total_bytes(),
    );
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn object(core: &mut Core, db: DbIndex, key: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    let (clock, list_node) = (core.shard.access_clock(), core.shard.settings.encodings.list_node);
    reply.simple(&object::describe(&entry(core, db, key)?, clock, list_node));
    Ok(())
}

/// The entry of a key. Redis: one whose deadline has passed is shown.
fn entry<'c>(core: &'c mut Core, db: DbIndex, key: &[u8]) -> Result<EntryView<'c>, CommandError> {
    let db = core.shard.db_mut(db);
    let hash = db.table.hasher().hash(key);
    db.table.find(hash, key).ok_or(CommandError::NoSuchKey)
}

fn listpack(core: &mut Core, db: DbIndex, key: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.simple(object::listpack(entry(core, db, key)?.value())?);
    Ok(())
}

fn quicklist(core: &mut Core, db: DbIndex, key: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.simple(object::quicklist(entry(core, db, key)?.value())?);
    Ok(())
}

fn htstats_key(core: &mut Core, db: DbIndex, key: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.verbatim("txt", object::table_stats(entry(core, db, key)?.value())?.as_bytes());
    Ok(())
}

fn sdslen(core: &mut Core, db: DbIndex, key: &[u8], reply: &mut Reply<'_>) -> Result<(), CommandError> {
    reply.simple(&object::string_sizes(&entry(core, db, key)?)?);
    Ok(())
}

/// Redis's tests ask for small plain nodes, so as not to need elements of gigabytes. Our lists have no such limit: a
/// size is accepted and changes nothing.
fn set_disable_deny_scripts(
    core: &mut Core,
    _: Asker,
    argv: Argv<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    core.shared.scripts.deny_nothing.store(argv.get(2) != b"0", std::sync::atomic::Ordering::Relaxed);
    reply.ok();
    Ok(())
}

fn packed_threshold(
    _: &mut Core,
    _: Asker,
    argv: Argv<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    if memory(argv.get(2)).is_none_or(|size| size > 1 << 32) {
        return Err(CommandError::Line(
            "ERR argument must be a memory value bigger than 1 and smaller than 4gb",
        ));
    }
    reply.ok();
    Ok(())
}

/// Makes the writer of the append-only file slow.
fn aof_flush_sleep(
    core: &mut Core,
    _: Asker,
    argv: Argv<'_>,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    let us = parse_i64(argv.get(2)).ok_or(CommandError::NotInteger)?;
    core.shared.durable.aof.flush_sleep_us.store(us.max(0) as u64, Ordering::Relaxed);
    reply.ok();
    Ok(())
}

/// DISK-FAULT place NONE | HANG | error [times [bytes]]: the error by its name or number, for ever if no number of times is
/// given.
fn disk_fault(core: &mut Core, _: Asker, argv: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    const ERRORS: &[(&str, i64)] = &[("eio", 5), ("enospc", 28), ("erofs", 30), ("edquot", 122)];
    let place = Place::ALL.iter().find(|(name, _)| argv.get(2).eq_ignore_ascii_case(name.as_bytes()));
    let (_, place) = place.ok_or(CommandError::Syntax)?;
    let number = |at: usize, other: i64| match argv.try_get(at) {
        None => Ok(other),
        Some(text) => parse_i64(text).ok_or(CommandError::NotInteger),
    };
    let fault = match argv.get(3).to_ascii_lowercase().as_slice() {
        b"none" => Fault::None,
        b"hang" => Fault::Hang,
        name => {
            let known = ERRORS.iter().find(|(error, _)| error.as_bytes() == name);
            let errno = known.map_or_else(|| number(3, 0), |(_, errno)| Ok(*errno))?;
            Fault::Fails {
                errno: i32::try_from(errno).map_err(|_| CommandError::NotInteger)?,
                times: number(4, -1)?,
                bytes: number(5, 0)?.max(0) as u64,
            }
        }
    };
    core.shared.durable.faults.set(*place, fault);
    reply.ok();
    Ok(())
}

/// Which commands run in slices, and how much a step of theirs does; 0 elements let those under way stand still.
fn slices(core: &mut Core, _: Asker, argv: Argv<'_>) -> Result<(), CommandError> {
    let count = |at: usize| {
        let number = parse_i64(argv.get(at)).ok_or(CommandError::NotInteger)?;
        usize::try_from(number).map_err(|_| CommandError::NotUnsigned)
    };
    (core.sliced.above, core.sliced.step_elements) = (count(2)?, count(3)?);
    core.apply_config();
    Ok(())
}

fn set_active_expire(core: &mut Core, _: Asker, argv: Argv<'_>) -> Result<(), CommandError> {
    core.active_expire = parse_i64(argv.get(2)).is_some_and(|value| value != 0);
    core.apply_config();
    Ok(())
}

fn set_skip_checksums(core: &mut Core, _: Asker, argv: Argv<'_>) -> Result<(), CommandError> {
    core.skip_checksums = parse_i64(argv.get(2)).is_some_and(|value| value != 0);
    core.apply_config();
    Ok(())
}

/// Makes this shard's part of the keys. Redis: existing keys stay as they are.
fn populate(core: &mut Core, asker: Asker, argv: Argv<'_>) -> Result<(), CommandError> {
    let positive = |at: usize| -> Result<u64, CommandError> {
        let number = parse_i64(argv.get(at)).ok_or(CommandError::NotInteger)?;
        u64::try_from(number).map_err(|_| CommandError::NotUnsigned)
    };
    let count = positive(2)?;
    let prefix = argv.try_get(3).unwrap_or(b"key");
    let size = if argv.len() == 5 { positive(4)? } else { 0 };
    let size = usize::try_from(size).ok().filter(|size| *size <= core.shard.settings.max_bulk_bytes);
    let size = size.ok_or(CommandError::StringTooLong)?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    let placement = core.placement;
    let mut keys = core.shard.keyspace(asker.db, false);
    for number in 0..count {
        let digits = number.to_string();
        key.clear();
        key.extend_from_slice(prefix);
        key.push(b':');
        key.extend_from_slice(digits.as_bytes());
        if placement.owner_of(&key) != core.me || keys.exists(&key) {
            continue;
        }
        value.clear();
        value.extend_from_slice(b"value:");
        value.extend_from_slice(digits.as_bytes());
        if size != 0 {
            value.resize(size, 0);
        }
        let value = if size == 0 { compact(&value) } else { NewValue::Bytes(&value) };
        keys.set(&key, value, Ttl::Clear, Event::SET);
    }
    Ok(())
}

fn help(_: &mut Core, _: Asker, _: Argv<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
    super::help::write(
        "DEBUG",
        &[
            "ASSERT",
            "    Crash by assertion failed.",
            "DIGEST",
            "    Output a hex signature representing the current DB content.",
            "DIGEST-VALUE <key> [<key> ...]",
            "    Output a hex signature of the values of all the specified keys.",
            "ERROR <string>",
            "    Return a protocol error with <string> as message.",
            "HTSTATS <dbid>",
            "    Return statistics of the table of a database on the connection's shard.",
            "HTSTATS-KEY <key>",
            "    Like HTSTATS but for the table of one key's value.",
            "LISTPACK <key>",
            "    Check that <key> is a listpack. It is not shown.",
            "LOG <message>",
            "    Write <message> to the server log.",
            "OBJECT <key>",
            "    Show low level info about `key` and associated value.",
            "PANIC",
            "    Crash the server simulating a panic.",
            "POPULATE <count> [<prefix>] [<size>]",
            "    Create <count> string keys named key:<num>. If <prefix> is specified then",
            "    it is used instead of the 'key' prefix.",
            "PROTOCOL <type>",
            "    Reply with a test value of the specified type. <type> can be: string,",
            "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
            "    true, false.",
            "QUICKLIST <key> [<0|1>]",
            "    Check that <key> is a list. Its nodes are not shown.",
            "QUICKLIST-PACKED-THRESHOLD <size>",
            "    Accepted for Redis's tests: elements of lists need no nodes of their own.",
            "RELOAD [NOSAVE|NOFLUSH|MERGE]",
            "    Save the dataset, empty it and load it again. NOSAVE leaves the saving out,",
            "    NOFLUSH the emptying, and with MERGE keys of the file replace others.",
            "SDSLEN <key>",
            "    Show the bytes that the key and a string value take.",
            "SEGFAULT",
            "    Crash the server with sigsegv.",
            "SET-ACTIVE-EXPIRE <0|1>",
            "    Setting it to 0 disables expiring keys in background when they are not",
            "    accessed. Setting it to 1 reenables back the default.",
            "SET-DISABLE-DENY-SCRIPTS <0|1>",
            "    Setting it to 1 lets scripts call commands that are not for scripts.",
            "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
            "    Setting it to 1 lets RESTORE and DEBUG RELOAD take what has a wrong checksum.",
            "SHARD [<key>]",
            "    Return the number of the shard that owns <key>, or of the shard on whose",
            "    core this connection is.",
            "SLICES <above> <elements>",
            "    Run commands in slices that would touch more than <above> elements of a value,",
            "    about <elements> at a time; with 0 those under way stand still.",
            "SLEEP <seconds>",
            "    Stop the connection's core for <seconds>. Decimals allowed.",
            "STRINGMATCH-LEN <string> <pattern>",
            "    Return 1 if <string> matches the glob-like <pattern>, 0 if not.",
        ],
        reply,
    );
    Ok(())
}
