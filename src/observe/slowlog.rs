//! The logs of SLOWLOG and COMMANDLOG: commands that were slow, sent much or were answered much.
//!
//! Every core logs the commands of its own clients; the core that ran a command sends what it saw to the client's
//! core, which knows address and name. Numbers come from one counter of the process, so the logs of all cores merge
//! into one order. Each core keeps as many entries as the whole log may have: the newest of all are among them.

use std::collections::VecDeque;

use crate::resp::{Argv, Reply};

/// How much of a command is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    pub args: usize,
    pub arg_bytes: usize,
}

impl Default for Shown {
    fn default() -> Shown {
        Shown { args: 32, arg_bytes: 128 }
    }
}

/// What a redacted argument shows.
pub const REDACTED: &[u8] = b"(redacted)";

/// A logged command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub id: u64,
    /// Seconds since the epoch.
    pub at_s: u64,
    /// Microseconds, or bytes.
    pub amount: u64,
    pub args: Vec<Vec<u8>>,
    pub peer: String,
    pub name: Vec<u8>,
}

/// Which log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    Slow,
    LargeRequest,
    LargeReply,
}

/// One core's part of one log.
#[derive(Default)]
pub struct Log {
    entries: VecDeque<Logged>,
    /// `None`: nothing is logged.
    least: Option<u64>,
    max_len: usize,
}

impl Log {
    /// Takes over the configuration: the least amount to log (negative: log nothing) and the length.
    pub fn apply(&mut self, least: i64, max_len: i64) {
        self.least = u64::try_from(least).ok();
        self.max_len = usize::try_from(max_len).unwrap_or(0);
    }

    /// The least amount that is logged.
    pub fn threshold(&self) -> u64 {
        if self.max_len == 0 { u64::MAX } else { self.least.unwrap_or(u64::MAX) }
    }

    /// Is this much logged?
    pub fn wants(&self, amount: u64) -> bool {
        self.least.is_some_and(|least| amount >= least) && self.max_len > 0
    }

    /// Adds an entry; the oldest leave.
    pub fn push(&mut self, entry: Logged) {
        self.entries.push_front(entry);
        self.entries.truncate(self.max_len);
    }

    /// Forgets all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The newest entries, newest first.
    pub fn newest(&self, count: usize) -> Vec<Logged> {
        self.entries.iter().take(count).cloned().collect()
    }
}

/// Merges the newest entries of all cores.
pub fn merge(parts: impl Iterator<Item = Vec<Logged>>, count: usize) -> Vec<Logged> {
    let mut all: Vec<Logged> = parts.flatten().collect();
    all.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    all.truncate(count);
    all
}

/// Writes entries as SLOWLOG GET does.
pub fn write(entries: &[Logged], reply: &mut Reply<'_>) {
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.int(entry.id as i64);
        reply.int(entry.at_s as i64);
        reply.int(entry.amount as i64);
        reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(entry.peer.as_bytes());
        reply.bulk(&entry.name);
    }
}

/// The arguments as the log keeps them: secrets hidden, long ones cut, many ones counted.
pub fn shown_args(full_name: &str, argv: Argv<'_>, most: Shown) -> Vec<Vec<u8>> {
    let count = argv.len();
    let shown = count.min(most.args);
    let mut args = Vec::with_capacity(shown);
    for index in 0..shown {
        if shown < count && index + 1 == shown {
            args.push(format!("... ({} more arguments)", count - shown + 1).into_bytes());
        } else if is_secret(full_name, argv, index) {
            args.push(REDACTED.to_vec());
        } else {
            let arg = argv.get(index);
            let mut text = arg[..arg.len().min(most.arg_bytes)].to_vec();
            if arg.len() > most.arg_bytes {
                text.extend_from_slice(format!("... ({} more bytes)", arg.len() - most.arg_bytes).as_bytes());
            }
            args.push(text);
        }
    }
    args
}

/// Is this argument a secret, which neither logs nor monitors show?
pub fn is_secret(full_name: &str, argv: Argv<'_>, index: usize) -> bool {
    let word =
        |at: usize, text: &str| argv.try_get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(text.as_bytes()));
    match full_name {
        "auth" => index > 0,
        // HELLO version AUTH user password.
        "hello" => (2..index).any(|at| word(at, "AUTH") && index - at <= 2),
        "config|set" => {
            index >= 3 && index % 2 == 1 && crate::config::Config::is_sensitive(argv.get(index - 1))
        }
        "acl|setuser" => index > 2,
        // MIGRATE ... AUTH password, AUTH2 user password.
        "migrate" => (6..index)
            .any(|at| (word(at, "AUTH") && index - at == 1) || (word(at, "AUTH2") && index - at <= 2)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Request;

    fn shown(name: &str, words: &[&[u8]]) -> Vec<String> {
        let mut buf = Vec::new();
        let mut spans = Vec::new();
        for word in words {
            let start = buf.len();
            buf.extend_from_slice(word);
            spans.push(crate::resp::Span { start, end: buf.len() });
        }
        let request = Request::from(Argv { buf: &buf, spans: &spans });
        shown_args(name, request.argv(), Shown::default())
            .into_iter()
            .map(|arg| String::from_utf8_lossy(&arg).into_owned())
            .collect()
    }

    #[test]
    fn long_requests_are_cut() {
        let long = vec![b'x'; 200];
        assert_eq!(
            shown("set", &[b"SET", b"k", &long])[2],
            format!("{}... (72 more bytes)", "x".repeat(128))
        );
        let many: Vec<&[u8]> = (0..40).map(|_| &b"a"[..]).collect();
        let args = shown("del", &many);
        assert_eq!(args.len(), 32);
        assert_eq!(args[31], "... (9 more arguments)");
        assert_eq!(shown("del", &many[..32]).last().map(String::as_str), Some("a"));
    }

    #[test]
    fn secrets_are_hidden() {
        assert_eq!(shown("auth", &[b"AUTH", b"u", b"p"]), ["AUTH", "(redacted)", "(redacted)"]);
        assert_eq!(
            shown("hello", &[b"HELLO", b"3", b"AUTH", b"u", b"p", b"SETNAME", b"n"]),
            ["HELLO", "3", "AUTH", "(redacted)", "(redacted)", "SETNAME", "n"]
        );
        assert_eq!(
            shown("config|set", &[b"config", b"set", b"requirepass", b"p", b"maxmemory", b"1"]),
            ["config", "set", "requirepass", "(redacted)", "maxmemory", "1"]
        );
    }

    #[test]
    fn the_newest_of_all_cores_come_first() {
        let entry =
            |id| Logged { id, at_s: 0, amount: 0, args: Vec::new(), peer: String::new(), name: Vec::new() };
        let merged = merge([vec![entry(4), entry(1)], vec![entry(3), entry(2)]].into_iter(), 3);
        assert_eq!(merged.iter().map(|entry| entry.id).collect::<Vec<_>>(), [4, 3, 2]);
    }

    #[test]
    fn a_log_keeps_the_newest() {
        let mut log = Log::default();
        log.apply(-1, 2);
        assert!(!log.wants(u64::MAX));
        log.apply(0, 2);
        assert!(log.wants(0));
        for id in 0..3 {
            log.push(Logged {
                id,
                at_s: 0,
                amount: 0,
                args: Vec::new(),
                peer: String::new(),
                name: Vec::new(),
            });
        }
        assert_eq!(log.newest(10).iter().map(|entry| entry.id).collect::<Vec<_>>(), [2, 1]);
    }
}
