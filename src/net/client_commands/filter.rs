//! Which clients CLIENT LIST and CLIENT KILL mean.
//!
//! Redis 7 knows few filters, and LIST fewer than KILL; here both know those of Valkey 9 as well. Every filter must
//! pass; one given twice counts as given last. `NOT-` before a filter's name turns it round.

use crate::commands::{Args, CommandError};
use crate::net::client::Client;
use crate::net::connection::DEFAULT_USER;
use crate::net::info::{Kind, flags_text, local_text, peer_text};
use crate::types::ClientId;
use crate::types::number::parse_i64;

/// Every letter that `flags=` may show.
const FLAG_LETTERS: &[u8] = b"OSMPxbtRBdcuAUreTN";
/// Every letter of a capability (`r`: redirection), which no client can announce yet.
const CAPABILITY_LETTERS: &[u8] = b"r";

#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    Ids(Vec<u64>),
    Kind(Kind),
    User(Vec<u8>),
    Addr(Vec<u8>),
    LocalAddr(Vec<u8>),
    Ip(Vec<u8>),
    Name(Vec<u8>),
    LibName(Vec<u8>),
    LibVersion(Vec<u8>),
    MaxAge(u64),
    Idle(u64),
    Flags(Vec<u8>),
    Capabilities,
    Db(i64),
}

impl Test {
    fn passes(&self, client: &Client, now_ms: u64) -> bool {
        let seconds_since = |ms: u64| now_ms.saturating_sub(ms) / 1000;
        match self {
            Test::Ids(ids) => ids.contains(&client.id.0),
            Test::Kind(kind) => Kind::of(client) == *kind,
            Test::User(user) => user == DEFAULT_USER.as_bytes(),
            Test::Addr(addr) => peer_text(client).as_bytes() == addr,
            Test::LocalAddr(addr) => local_text(client).as_bytes() == addr,
            Test::Ip(ip) => client.peer.is_some_and(|peer| peer.ip().to_string().as_bytes() == ip),
            Test::Name(name) => *client.name == name[..],
            Test::LibName(name) => *client.lib_name == name[..],
            Test::LibVersion(version) => *client.lib_version == version[..],
            Test::MaxAge(seconds) => seconds_since(client.created_ms) >= *seconds,
            Test::Idle(seconds) => seconds_since(client.active_ms) >= *seconds,
            Test::Flags(letters) => {
                let flags = flags_text(client);
                letters.iter().all(|letter| flags.as_bytes().contains(letter))
            }
            Test::Capabilities => false,
            Test::Db(index) => i64::from(client.db.0) == *index,
        }
    }
}

/// Whose filters are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    List,
    Kill,
}

impl Asked {
    /// The answer to an id that is none.
    fn id_error(self) -> CommandError {
        CommandError::Line(match self {
            Asked::List => "ERR Invalid client ID",
            Asked::Kill => "ERR client-id should be greater than 0",
        })
    }
}

/// Which clients are meant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Tests and whether they are turned round.
    tests: Vec<(Test, bool)>,
    skip_me: Option<bool>,
}

impl Filter {
    /// `CLIENT KILL addr`.
    pub fn addr(addr: &[u8]) -> Filter {
        Filter { tests: vec![(Test::Addr(addr.to_vec()), false)], skip_me: Some(false) }
    }

    /// Reads filters up to the end. `databases` is how many there are.
    pub fn parse(args: &mut Args<'_>, databases: usize, asked: Asked) -> Result<Filter, CommandError> {
        let mut filter = Filter::default();
        while let Some(word) = args.peek() {
            args.take()?;
            if word.eq_ignore_ascii_case(b"skipme") {
                filter.skip_me = Some(match args.take()? {
                    value if value.eq_ignore_ascii_case(b"yes") => true,
                    value if value.eq_ignore_ascii_case(b"no") => false,
                    _ => return Err(CommandError::Syntax),
                });
                continue;
            }
            let negated = word.len() > 4 && word[..4].eq_ignore_ascii_case(b"not-");
            let word = if negated { &word[4..] } else { word };
            let test = parse_test(word, negated, args, databases, asked)?;
            let kind = std::mem::discriminant(&test);
            filter
                .tests
                .retain(|(known, turned)| std::mem::discriminant(known) != kind || *turned != negated);
            filter.tests.push((test, negated));
        }
        Ok(filter)
    }

    /// Is the client that asks left out?
    pub fn skips_asker(&self, by_default: bool) -> bool {
        self.skip_me.unwrap_or(by_default)
    }

    /// The ids, when they are the only filter.
    pub fn only_ids(&self) -> Option<&[u64]> {
        match &self.tests[..] {
            [(Test::Ids(ids), false)] if self.skip_me.is_none() => Some(ids),
            _ => None,
        }
    }

    /// Does it mean this client?
    pub fn passes(&self, client: &Client, now_ms: u64) -> bool {
        self.tests.iter().all(|(test, negated)| test.passes(client, now_ms) != *negated)
    }
}

fn parse_test(
    word: &[u8],
    negated: bool,
    args: &mut Args<'_>,
    databases: usize,
    asked: Asked,
) -> Result<Test, CommandError> {
    let name = word.to_ascii_lowercase();
    let shown = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let value = args.take()?;
    Ok(match &name[..] {
        b"id" => Test::Ids(parse_ids(value, args, asked)?),
        b"type" => match Kind::named(value) {
            Some(kind) => Test::Kind(kind),
            None => return Err(CommandError::text(format!("ERR Unknown client type '{}'", shown(value)))),
        },
        b"user" if value == DEFAULT_USER.as_bytes() => Test::User(value.to_vec()),
        b"user" => return Err(CommandError::text(format!("ERR No such user '{}'", shown(value)))),
        b"addr" => Test::Addr(value.to_vec()),
        b"laddr" => Test::LocalAddr(value.to_vec()),
        b"ip" => Test::Ip(value.to_vec()),
        b"name" => Test::Name(value.to_vec()),
        b"lib-name" => Test::LibName(value.to_vec()),
        b"lib-ver" => Test::LibVersion(value.to_vec()),
        b"maxage" if !negated => match parse_i64(value) {
            Some(seconds @ 1..) => Test::MaxAge(seconds as u64),
            Some(_) => return Err(CommandError::Line("ERR maxage should be greater than 0")),
            None => return Err(CommandError::Line("ERR maxage is not an integer or out of range")),
        },
        b"idle" if !negated => match parse_i64(value) {
            Some(seconds @ 1..) => Test::Idle(seconds as u64),
            Some(_) => return Err(CommandError::Line("ERR idle should be greater than 0")),
            None => return Err(CommandError::Line("ERR idle is not an integer or out of range")),
        },
        b"flags" if value.iter().all(|letter| FLAG_LETTERS.contains(letter)) => Test::Flags(value.to_vec()),
        b"flags" => {
            let line = format!("ERR Unknown flags found in the provided filter: {}", shown(value));
            return Err(CommandError::text(line));
        }
        b"capa" if value.iter().all(|letter| CAPABILITY_LETTERS.contains(letter)) => Test::Capabilities,
        b"capa" => {
            let line = format!("ERR Unknown capa found in the provided filter: {}", shown(value));
            return Err(CommandError::text(line));
        }
        b"db" => match parse_i64(value) {
            Some(index) if (0..databases as i64).contains(&index) => Test::Db(index),
            Some(_) => return Err(CommandError::DbOutOfRange),
            None => return Err(CommandError::NotInteger),
        },
        _ => return Err(CommandError::Syntax),
    })
}

/// One id and all that follow. Redis: to LIST, what is neither a number nor a filter is a wrong id.
fn parse_ids(first: &[u8], args: &mut Args<'_>, asked: Asked) -> Result<Vec<u64>, CommandError> {
    let id = |text: &[u8]| parse_i64(text).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
    let mut ids = vec![id(first).ok_or(asked.id_error())?];
    while let Some(word) = args.peek() {
        match id(word) {
            Some(id) => ids.push(id),
            None if asked == Asked::Kill || is_filter(word) => break,
            None => return Err(asked.id_error()),
        }
        args.take()?;
    }
    Ok(ids)
}

fn is_filter(word: &[u8]) -> bool {
    const NAMES: [&[u8]; 15] = [
        b"id",
        b"type",
        b"user",
        b"addr",
        b"laddr",
        b"ip",
        b"name",
        b"lib-name",
        b"lib-ver",
        b"maxage",
        b"idle",
        b"flags",
        b"capa",
        b"db",
        b"skipme",
    ];
    let word = word.to_ascii_lowercase();
    let word = word.strip_prefix(b"not-").unwrap_or(&word);
    NAMES.contains(&word)
}

/// Sorts lines by their clients; for `CLIENT LIST ID` in the order in which the ids were given, as often as given.
pub fn in_order(mut lines: Vec<(ClientId, Vec<u8>)>, ids: Option<&[u64]>) -> Vec<u8> {
    lines.sort_by_key(|(id, _)| *id);
    let Some(ids) = ids else { return lines.into_iter().flat_map(|(_, line)| line).collect() };
    let mut all = Vec::new();
    for id in ids {
        if let Ok(at) = lines.binary_search_by_key(id, |(id, _)| id.0) {
            all.extend_from_slice(&lines[at].1);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Request;

    fn parse_for(words: &str, asked: Asked) -> Result<Filter, CommandError> {
        let request: Request = words.split(' ').collect();
        Filter::parse(&mut Args::new(request.argv(), 0), 16, asked)
    }

    fn parse(words: &str) -> Result<Filter, CommandError> {
        parse_for(words, Asked::List)
    }

    #[test]
    fn a_filter_given_twice_counts_as_given_last() {
        assert_eq!(parse("name a NAME b"), parse("name b"));
        assert_ne!(parse("name a not-name b"), parse("not-name b"));
    }

    #[test]
    fn ids_end_where_a_filter_begins() {
        let filter = parse("id 3 1 3 type normal").unwrap();
        assert_eq!(filter.tests[0], (Test::Ids(vec![3, 1, 3]), false));
        assert_eq!(filter.only_ids(), None);
        assert_eq!(parse("id 3 1 3").unwrap().only_ids(), Some(&[3, 1, 3][..]));
        for words in ["id x", "id 0", "id -1", "id 1 x"] {
            assert_eq!(parse(words), Err(Asked::List.id_error()), "{words}");
        }
    }

    #[test]
    fn what_is_no_filter_is_a_syntax_error() {
        for words in
            ["id", "not-maxage 1", "not-skipme yes", "not- 1", "skipme maybe", "foo bar", "id 1 addr"]
        {
            assert_eq!(parse(words), Err(CommandError::Syntax), "{words}");
        }
    }

    #[test]
    fn lines_of_ids_come_as_asked() {
        let lines =
            || vec![(ClientId(3), b"c".to_vec()), (ClientId(1), b"a".to_vec()), (ClientId(2), b"b".to_vec())];
        assert_eq!(in_order(lines(), None), b"abc");
        assert_eq!(in_order(lines(), Some(&[3, 9, 1, 3])), b"cac");
    }
}
