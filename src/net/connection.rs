//! Commands about the connection itself: who it is, which protocol it speaks, which database it uses, and its end.
//!
//! Until there are users with rules, `default` is the only one; its password is `requirepass`.

use super::client::ReplyMode;
use super::client_commands::attributes::set_name;
use super::core::Core;
use super::dispatch::{After, Bound};
use crate::commands::spec::{Arg, ArgKind, Flags, Group, Outcome, Row, Run, Shape};
use crate::commands::{Args, CommandError};
use crate::config::id;
use crate::resp::{Protocol, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::types::DbIndex;
use crate::types::number::parse_i64;

/// Commands that work at any time and for anybody, but not from scripts.
const ALWAYS: Flags = Flags::NOSCRIPT
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::FAST)
    .and(Flags::NO_AUTH)
    .and(Flags::ALLOW_BUSY);
const CREDENTIALS: &[Arg] = &[Arg::new("username", ArgKind::String), Arg::new("password", ArgKind::String)];

/// The rows of the connection family.
pub const ROWS: &[Row] = &[
    Row {
        name: "auth",
        arity: -2,
        flags: ALWAYS,
        group: Group::Connection,
        since: "1.0.0",
        summary: "Says who the connection is.",
        complexity: "O(N) with N passwords of the user",
        args: &[
            Arg::new("username", ArgKind::String).optional().since("6.0.0"),
            Arg::new("password", ArgKind::String),
        ],
        reply: Shape::Ok,
        ..Row::BLANK
    },
    Row {
        name: "echo",
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        group: Group::Connection,
        since: "1.0.0",
        summary: "Answers what it was given.",
        complexity: "O(1)",
        args: &[Arg::new("message", ArgKind::String)],
        reply: Shape::Bulk,
        run: Run::Local(echo),
        ..Row::BLANK
    },
    Row {
        name: "hello",
        arity: -1,
        flags: ALWAYS,
        group: Group::Connection,
        since: "6.0.0",
        summary: "Chooses the protocol, may also log in and name the connection, and tells about the server.",
        complexity: "O(1)",
        args: &[Arg::new(
            "arguments",
            ArgKind::Block(&[
                Arg::new("protover", ArgKind::Integer),
                Arg::new("auth", ArgKind::Block(CREDENTIALS)).token("AUTH").optional(),
                Arg::new("clientname", ArgKind::String).token("SETNAME").optional(),
            ]),
        )
        .optional()],
        reply: Shape::Map,
        ..Row::BLANK
    },
    Row {
        name: "ping",
        arity: -1,
        flags: Flags::FAST,
        group: Group::Connection,
        since: "1.0.0",
        summary: "Answers PONG, or what it was given.",
        complexity: "O(1)",
        tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
        args: &[Arg::new("message", ArgKind::String).optional()],
        reply: Shape::Any(&[Shape::Simple, Shape::Bulk]),
        ..Row::BLANK
    },
    Row {
        name: "quit",
        arity: -1,
        flags: ALWAYS,
        group: Group::Connection,
        since: "1.0.0",
        summary: "Closes the connection after its replies have left.",
        complexity: "O(1)",
        reply: Shape::Ok,
        ..Row::BLANK
    },
    Row {
        name: "reset",
        arity: 1,
        flags: ALWAYS,
        group: Group::Connection,
        since: "6.2.0",
        summary: "Makes the connection as it was when it was new.",
        complexity: "O(1)",
        reply: Shape::Simple,
        ..Row::BLANK
    },
    Row {
        name: "select",
        arity: 2,
        flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        group: Group::Connection,
        since: "1.0.0",
        summary: "Selects the connection's database.",
        complexity: "O(1)",
        args: &[Arg::new("index", ArgKind::Integer)],
        reply: Shape::Ok,
        ..Row::BLANK
    },
];

/// What the registry binds.
pub const BINDINGS: &[(&str, Bound)] = &[
    ("auth", Bound::Here(auth)),
    ("hello", Bound::Here(hello)),
    ("ping", Bound::Here(ping)),
    ("quit", Bound::Here(quit)),
    ("reset", Bound::Here(reset)),
    ("select", Bound::Here(select)),
];

/// The only user there is.
pub const DEFAULT_USER: &str = "default";

const WRONG_PASS: CommandError =
    CommandError::Line("WRONGPASS invalid username-password pair or user is disabled.");

impl Core {
    /// Must clients say who they are?
    pub fn requires_password(&self) -> bool {
        self.config.secret(id::REQUIREPASS).is_some_and(|pass| !pass.is_empty())
    }

    /// Logs a client in.
    fn authenticate(&mut self, conn: ConnId, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
        let fits = match self.config.secret(id::REQUIREPASS) {
            Some(known) if !known.is_empty() => is_same(known, password),
            // Redis: a user without a password takes any.
            _ => true,
        };
        if user != DEFAULT_USER.as_bytes() || !fits {
            return Err(WRONG_PASS);
        }
        self.clients.at(conn.index).authenticated = true;
        Ok(())
    }
}

/// Compares in a time that does not depend on where the two differ, so that it tells nothing about a password.
fn is_same(known: &[u8], given: &[u8]) -> bool {
    let mut differences = known.len() ^ given.len();
    for (at, byte) in given.iter().enumerate() {
        differences |= usize::from(byte ^ known[at % known.len()]);
    }
    differences == 0
}

fn auth(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let (user, password) = match args.left() {
        1 if !core.requires_password() => {
            return Err(CommandError::Line(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            ));
        }
        1 => (DEFAULT_USER.as_bytes(), args.take()?),
        2 => (args.take()?, args.take()?),
        _ => return Err(CommandError::Syntax),
    };
    core.authenticate(conn, user, password)?;
    reply.ok();
    Ok(After::Done)
}

fn echo(args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.bulk(args.take()?);
    Ok(Outcome::Done)
}

/// Redis: options take effect one by one, also when a later one is an error; the protocol comes last.
fn hello(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let mut protocol = None;
    if !args.is_done() {
        protocol = match parse_i64(args.take()?) {
            Some(2) => Some(Protocol::Resp2),
            Some(3) => Some(Protocol::Resp3),
            Some(_) => return Err(CommandError::Line("NOPROTO unsupported protocol version")),
            None => {
                return Err(CommandError::Line("ERR Protocol version is not an integer or out of range"));
            }
        };
    }
    while let Some(option) = args.peek() {
        if args.left() >= 3 && args.token("auth") {
            let (user, password) = (args.take()?, args.take()?);
            core.authenticate(conn, user, password)?;
        } else if args.left() >= 2 && args.token("setname") {
            set_name(core.clients.at(conn.index), args.take()?)?;
        } else {
            return Err(CommandError::quoting("ERR Syntax error in HELLO option '", option, "'"));
        }
    }
    if core.must_authenticate(conn) {
        return Err(CommandError::Line(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
             <pass> option can be used to authenticate the client and select the RESP protocol version at the same \
             time",
        ));
    }
    let client = core.clients.at(conn.index);
    client.protocol = protocol.unwrap_or(client.protocol);
    reply.protocol = client.protocol;
    let version = match client.protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    };
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(crate::REDIS_VERSION.as_bytes());
    reply.bulk(b"proto");
    reply.int(version);
    reply.bulk(b"id");
    reply.int(client.id.0 as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(After::Done)
}

fn ping(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    if args.left() > 1 {
        return Err(CommandError::WrongArity("ping"));
    }
    let message = args.take();
    // Redis: a subscriber of RESP2 expects arrays only.
    if super::pubsub::is_subscriber_only(core.clients.at(conn.index)) {
        reply.array(2);
        reply.bulk(b"pong");
        reply.bulk(message.unwrap_or_default());
    } else {
        match message {
            Ok(message) => reply.bulk(message),
            Err(_) => reply.simple("PONG"),
        }
    }
    Ok(After::Done)
}

fn quit(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.ok();
    Ok(After::Close)
}

/// Redis: the library's name and version stay, because they still describe who is at the other end.
fn reset(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    _: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    core.leave_monitor(conn);
    core.unsubscribe_all(conn);
    core.end_tracking(conn);
    core.unwatch_all(conn);
    let authenticated = !core.requires_password();
    let client = core.clients.at(conn.index);
    client.multi = None;
    client.db = DbIndex(0);
    client.protocol = Protocol::Resp2;
    client.authenticated = authenticated;
    client.name = Box::default();
    client.no_touch = false;
    client.no_evict = false;
    // Redis: CLIENT REPLY SKIP holds for RESET too, OFF does not.
    client.mute = client.reply_mode == ReplyMode::Skip;
    client.reply_mode = ReplyMode::On;
    reply.protocol = Protocol::Resp2;
    reply.simple("RESET");
    Ok(After::Done)
}

fn select(
    core: &mut Core,
    _: &mut dyn NetIo,
    conn: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    let index = i32::try_from(args.int()?).map_err(|_| {
        CommandError::Line("ERR value is out of range, value must between -2147483648 and 2147483647")
    })?;
    let index = usize::try_from(index).ok().filter(|index| *index < core.shard.dbs.len());
    let index = index.ok_or(CommandError::DbOutOfRange)?;
    core.clients.at(conn.index).db = DbIndex(index as u16);
    reply.ok();
    Ok(After::Done)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn passwords_are_the_same_only_when_they_are() {
        assert!(is_same(b"secret", b"secret"));
        for other in [&b""[..], b"secre", b"secretsecret", b"secreT", b"s"] {
            assert!(!is_same(b"secret", other), "{other:?}");
        }
    }
}
