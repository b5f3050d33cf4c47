//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: client-side caching as a connection asks for it.
//!
//! TRACKING goes to every core: each knows its own clients only (REDIRECT), and each has keys (BCAST).

use crate::commands::{Args, CommandError, Part};
use crate::net::batch::Asker;
use crate::net::core::Core;
use crate::net::dispatch::After;
use crate::net::tracking::{ClientTracking, Mode};
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::types::number::parse_i64;
use crate::types::{ClientId, ShardId};

#[derive(Default)]
struct Asked<'a> {
    redirect: Option<ClientId>,
    prefixes: Vec<&'a [u8]>,
    bcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
}

/// Reads the options. `exists` says whether there is a client with a number.
fn parse<'a>(argv: Argv<'a>, exists: impl Fn(ClientId) -> bool) -> Result<Asked<'a>, CommandError> {
    let mut args = Args::new(argv, 3);
    let mut asked = Asked::default();
    while !args.is_done() {
        if args.left() > 1 && args.token("redirect") {
            if asked.redirect.is_some() {
                return Err(CommandError::Line("ERR A client can only redirect to a single other client"));
            }
            let number = parse_i64(args.take()?).ok_or(CommandError::NotInteger)?;
            let client = ClientId(number as u64);
            if !exists(client) {
                return Err(CommandError::Line("ERR The client ID you want redirect to does not exist"));
            }
            asked.redirect = Some(client);
        } else if args.token("bcast") {
            asked.bcast = true;
        } else if args.token("optin") {
            asked.optin = true;
        } else if args.token("optout") {
            asked.optout = true;
        } else if args.token("noloop") {
            asked.noloop = true;
        } else if args.left() > 1 && args.token("prefix") {
            asked.prefixes.push(args.take()?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(asked)
}

fn asks_for_broadcasts(argv: Argv<'_>) -> bool {
    argv.iter().skip(3).any(|word| word.eq_ignore_ascii_case(b"bcast"))
}

pub fn tracking_each(
    core: &mut Core,
    _: &mut dyn NetIo,
    asker: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    if asks_for_broadcasts(argv) {
        core.asked_for_broadcasts(asker.core);
    }
    let redirect = std::cell::Cell::new(None);
    // What is wrong is told when the parts are merged; here only the client that is named matters.
    let _ = parse(argv, |client| {
        redirect.set(Some(client));
        true
    });
    Ok(Part::Flags(vec![redirect.get().is_some_and(|client| core.is_target(client))]))
}

pub fn tracking_merge(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    argv: Argv<'_>,
    parts: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let at = parts.iter().position(|part| matches!(part, Part::Flags(flags) if flags == &[true]));
    let result = track(core, conn, argv, at.map(|core| ShardId(core as u16)));
    if asks_for_broadcasts(argv) {
        core.answered_for_broadcasts();
    }
    result?;
    reply.ok();
    Ok(After::Done)
}

fn track(core: &mut Core, conn: ConnId, argv: Argv<'_>, target: Option<ShardId>) -> Result<(), CommandError> {
    let asked = parse(argv, |_| target.is_some())?;
    if argv.get(2).eq_ignore_ascii_case(b"off") {
        core.end_tracking(conn);
        return Ok(());
    }
    if !argv.get(2).eq_ignore_ascii_case(b"on") {
        return Err(CommandError::Syntax);
    }
    let home = core.me;
    let known = core.clients.at(conn.index).tracking.as_deref();
    check(&asked, known)?;
    let mode = match asked {
        Asked { bcast: true, .. } => Mode::Broadcast,
        Asked { optin: true, .. } => Mode::OptIn,
        Asked { optout: true, .. } => Mode::OptOut,
        _ => Mode::All,
    };
    let mut prefixes: Vec<Box<[u8]>> = asked.prefixes.iter().map(|prefix| (*prefix).into()).collect();
    if asked.bcast && prefixes.is_empty() {
        prefixes.push(Box::default());
    }
    let asked = ClientTracking {
        home,
        mode,
        noloop: asked.noloop,
        redirect: asked.redirect.zip(target),
        is_broken: false,
        prefixes,
        said: known.is_some_and(|known| known.said),
    };
    core.begin_tracking(conn, asked);
    Ok(())
}

/// What cannot be asked for, or not while the client tracks as it does.
fn check(asked: &Asked<'_>, known: Option<&ClientTracking>) -> Result<(), CommandError> {
    let refuse = |line| Err(CommandError::Line(line));
    if !asked.bcast && !asked.prefixes.is_empty() {
        return refuse("ERR PREFIX option requires BCAST mode to be enabled");
    }
    if known.is_some_and(|known| (known.mode == Mode::Broadcast) != asked.bcast) {
        return refuse(
            "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it \
             with a different mode.",
        );
    }
    if asked.bcast && (asked.optin || asked.optout) {
        return refuse("ERR OPTIN and OPTOUT are not compatible with BCAST");
    }
    if asked.optin && asked.optout {
        return refuse("ERR You can't specify both OPTIN mode and OPTOUT mode");
    }
    let is = |mode| known.is_some_and(|known| known.mode == mode);
    if (asked.optin && is(Mode::OptOut)) || (asked.optout && is(Mode::OptIn)) {
        return refuse(
            "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it \
             with a different mode.",
        );
    }
    check_prefixes(asked, known)
}

/// Prefixes of one client may not overlap, so that no key is told twice.
fn check_prefixes(asked: &Asked<'_>, known: Option<&ClientTracking>) -> Result<(), CommandError> {
    let overlap = |one: &[u8], other: &[u8]| one.starts_with(other) || other.starts_with(one);
    let refuse = |one: &[u8], with: &str, other: &[u8]| {
        let parts: [&[u8]; 7] = [
            b"ERR Prefix '",
            one,
            b"' overlaps with ",
            with.as_bytes(),
            b" prefix '",
            other,
            b"'. Prefixes for a single client must not overlap.",
        ];
        Err(CommandError::text(parts.concat()))
    };
    for (index, prefix) in asked.prefixes.iter().enumerate() {
        for other in known.into_iter().flat_map(|known| &known.prefixes) {
            if overlap(prefix, other) {
                return refuse(prefix, "an existing", other);
            }
        }
        for other in &asked.prefixes[index + 1..] {
            if overlap(prefix, other) {
                return refuse(prefix, "another provided", other);
            }
        }
    }
    Ok(())
}

pub fn caching(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let Some(tracking) = core.clients.at(conn.index).tracking.as_deref_mut() else {
        return Err(CommandError::Line(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
             enabled",
        ));
    };
    let (wanted, line) = if args.token("yes") {
        (Mode::OptIn, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
    } else if args.token("no") {
        (Mode::OptOut, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
    } else {
        return Err(CommandError::Syntax);
    };
    if tracking.mode != wanted {
        return Err(CommandError::Line(line));
    }
    tracking.said = true;
    reply.ok();
    Ok(After::Done)
}

/// Redis: -1 when it does not track, 0 when it redirects to nobody.
pub fn redirection(tracking: Option<&ClientTracking>) -> i64 {
    tracking.map_or(-1, |tracking| tracking.redirect.map_or(0, |(client, _)| client.0 as i64))
}

pub fn getredir(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.int(redirection(core.clients.at(conn.index).tracking.as_deref()));
    Ok(After::Done)
}

pub fn trackinginfo(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let tracking = core.clients.at(conn.index).tracking.as_deref();
    let mut flags = vec![if tracking.is_some() { "on" } else { "off" }];
    if let Some(tracking) = tracking {
        match tracking.mode {
            Mode::All => {}
            Mode::Broadcast => flags.push("bcast"),
            Mode::OptIn => flags.extend(["optin"].into_iter().chain(tracking.said.then_some("caching-yes"))),
            Mode::OptOut => flags.extend(["optout"].into_iter().chain(tracking.said.then_some("caching-no"))),
        }
        flags.extend(tracking.noloop.then_some("noloop"));
        flags.extend(tracking.is_broken.then_some("broken_redirect"));
    }
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"redirect");
    reply.int(redirection(tracking));
    reply.bulk(b"prefixes");
    let prefixes = tracking.map_or(&[][..], |tracking| &tracking.prefixes);
    reply.array(prefixes.len());
    prefixes.iter().for_each(|prefix| reply.bulk(prefix));
    Ok(After::Done)
}
