//! CLIENT ID, INFO, GETNAME, SETNAME, SETINFO, REPLY, NO-EVICT, NO-TOUCH, HELP: a connection about itself.

use crate::commands::{Args, CommandError};
use crate::net::client::{Client, ReplyMode};
use crate::net::core::Core;
use crate::net::dispatch::After;
use crate::net::info::{Line, Running};
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};

/// Every word of CLIENT LIST is separated by spaces, so no value may hold one.
fn is_printable(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_graphic)
}

/// Names a client; the empty name is none.
pub fn set_name(client: &mut Client, name: &[u8]) -> Result<(), CommandError> {
    if !is_printable(name) {
        return Err(CommandError::Line(
            "ERR Client names cannot contain spaces, newlines or special characters.",
        ));
    }
    client.name = name.into();
    Ok(())
}

pub fn id(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.int(core.clients.at(conn.index).id.0 as i64);
    Ok(After::Done)
}

pub fn info(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let (now_ms, index, table) = (core.now_ms, core.me.index(), core.table);
    let client = core.clients.at(conn.index);
    let mut line =
        Line { client, table, now_ms, core: index, running: Some(Running::of(args.argv())) }.to_bytes();
    line.push(b'\n');
    reply.verbatim("txt", &line);
    Ok(After::Done)
}

pub fn getname(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    match &*core.clients.at(conn.index).name {
        [] => reply.null(),
        name => reply.bulk(name),
    }
    Ok(After::Done)
}

pub fn setname(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    set_name(core.clients.at(conn.index), args.take()?)?;
    reply.ok();
    Ok(After::Done)
}

pub fn setinfo(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let (attribute, value) = (args.take()?, args.take()?);
    let client = core.clients.at(conn.index);
    let place = if attribute.eq_ignore_ascii_case(b"lib-name") {
        &mut client.lib_name
    } else if attribute.eq_ignore_ascii_case(b"lib-ver") {
        &mut client.lib_version
    } else {
        let attribute = String::from_utf8_lossy(attribute);
        return Err(CommandError::text(format!("ERR Unrecognized option '{attribute}'")));
    };
    if !is_printable(value) {
        let attribute = String::from_utf8_lossy(attribute);
        return Err(CommandError::text(format!(
            "ERR {attribute} cannot contain spaces, newlines or special characters."
        )));
    }
    *place = value.into();
    reply.ok();
    Ok(After::Done)
}

/// CLIENT REPLY: OFF and SKIP hold for their own reply already, ON for its own again.
pub fn reply_mode(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let client = core.clients.at(conn.index);
    if args.token("on") {
        client.reply_mode = ReplyMode::On;
        client.mute = false;
        reply.ok();
    } else if args.token("off") {
        client.reply_mode = ReplyMode::Off;
    } else if args.token("skip") {
        if client.reply_mode != ReplyMode::Off {
            client.reply_mode = ReplyMode::SkipNext;
        }
    } else {
        return Err(CommandError::Syntax);
    }
    Ok(After::Done)
}

fn on_or_off(args: &mut Args<'_>) -> Result<bool, CommandError> {
    if args.token("on") {
        Ok(true)
    } else if args.token("off") {
        Ok(false)
    } else {
        Err(CommandError::Syntax)
    }
}

pub fn no_evict(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    core.clients.at(conn.index).no_evict = on_or_off(args)?;
    reply.ok();
    Ok(After::Done)
}

pub fn no_touch(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    core.clients.at(conn.index).no_touch = on_or_off(args)?;
    reply.ok();
    Ok(After::Done)
}

const HELP: &[&str] = &[
    "CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CACHING (YES|NO)",
    "    Whether the keys of the next command are tracked, in the modes OPTIN and OPTOUT.",
    "GETREDIR",
    "    The number of the connection that is told in place of this one.",
    "GETNAME",
    "    The name of this connection.",
    "ID",
    "    The number of this connection.",
    "INFO",
    "    The line of CLIENT LIST about this connection.",
    "KILL <ip:port>",
    "    Closes the connection from this address.",
    "KILL <filter> <value> [<filter> <value> [...]]",
    "    Closes the connections that pass every filter. SKIPME is YES unless said otherwise.",
    "LIST [<filter> <value> [...]]",
    "    One line for every connection that passes every filter. Filters are:",
    "    * ID <id> [<id> ...]",
    "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
    "    * USER <username>",
    "    * ADDR (<ip:port>|<unixsocket>:0), LADDR (<ip:port>|<unixsocket>:0), IP <ip>",
    "    * NAME <name>, LIB-NAME <name>, LIB-VER <version>",
    "    * MAXAGE <seconds>, IDLE <seconds>",
    "    * FLAGS <letters>, CAPA <letters>, DB <index>",
    "    * NOT-<filter> <value>: what does not pass it; for all but MAXAGE, IDLE and SKIPME",
    "    * SKIPME (YES|NO)",
    "NO-EVICT (ON|OFF)",
    "    Keeps this connection when the memory of clients is over its limit.",
    "NO-TOUCH (ON|OFF)",
    "    Lets reads of this connection not count as access to keys.",
    "PAUSE <milliseconds> [WRITE|ALL]",
    "    Lets all commands, or those that write, wait.",
    "REPLY (ON|OFF|SKIP)",
    "    Whether this connection gets replies.",
    "SETINFO (LIB-NAME <name>|LIB-VER <version>)",
    "    Says which library this connection uses.",
    "SETNAME <name>",
    "    Names this connection.",
    "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> ...] [OPTIN] [OPTOUT] [NOLOOP]",
    "    Whether this connection is told which keys it should read anew.",
    "TRACKINGINFO",
    "    How keys are tracked for this connection.",
    "UNBLOCK <id> [TIMEOUT|ERROR]",
    "    Ends the waiting of a blocked connection.",
    "UNPAUSE",
    "    Ends CLIENT PAUSE.",
    "HELP",
    "    Prints this help.",
];

pub fn help(args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<crate::commands::Outcome, CommandError> {
    args.finish()?;
    reply.array(HELP.len());
    for line in HELP {
        reply.simple(line);
    }
    Ok(crate::commands::Outcome::Done)
}
