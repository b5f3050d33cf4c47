//! Running commands in a test: one shard, no server.
//!
//! Besides the rows it was given, a [`Bench`] answers DEL, EXISTS, TTL, PEXPIRETIME and OBJECT ENCODING by
//! itself, so that a family's tests can look at keys without the families that own these commands.

pub mod node;
pub mod recording;
mod repeat;

use crate::commands::context::{ClientView, Ctx};
use crate::commands::spec::Run;
use crate::commands::{CommandError, CommandTable, Outcome, Row, keys};
use crate::resp::{Output, Protocol, Reply, Request};
use crate::shard::effects::Class;
use crate::shard::memory::MemoryBoard;
use crate::shard::{Event, Shard};
use crate::tx::execute::{args_of, run_here, to_its_end, write_error};
use crate::types::raw::table::Hasher;
use crate::types::{DbIndex, ShardId};

/// A shard and the commands under test.
pub struct Bench {
    pub shard: Shard,
    pub client: ClientView,
    table: CommandTable,
}

/// The time at which a bench begins.
pub const NOW_MS: u64 = 1_700_000_000_000;

/// Asks in turn and compares; the line ends of replies are left out.
#[track_caller]
pub fn check(bench: &mut Bench, cases: &[(&str, &str)]) {
    for (command, wanted) in cases {
        assert_eq!(bench.ask(command).trim_end().replace("\r\n", " "), *wanted, "{command}");
    }
}

impl Bench {
    pub fn new(families: &[&'static [Row]]) -> Bench {
        let mut shard = Shard::new(ShardId(0), 1, Hasher::from_seed(7), 7, MemoryBoard::new(1));
        shard.now_ms = NOW_MS;
        shard.effects.follow();
        Bench { shard, client: ClientView::default(), table: CommandTable::new(families) }
    }

    pub fn resp3(mut self) -> Bench {
        self.client.protocol = Protocol::Resp3;
        self
    }

    /// Runs a command given as text, words apart by spaces; its reply.
    pub fn ask(&mut self, command: &str) -> String {
        let words: Vec<&[u8]> = command.split_whitespace().map(str::as_bytes).collect();
        let reply = self.run(&words);
        String::from_utf8(reply).expect("a reply asked for as text is text")
    }

    /// Runs a command; its reply.
    pub fn run(&mut self, words: &[&[u8]]) -> Vec<u8> {
        self.run_noting(words).0
    }

    /// Runs a command; its reply and the effects it left, as `event key`. Commands that run in hops alone or key by key
    /// drain their effects themselves and show none.
    pub fn run_noting(&mut self, words: &[&[u8]]) -> (Vec<u8>, Vec<String>) {
        let request: Request = words.iter().collect();
        let argv = request.argv();
        let mut out = Output::default();
        let subcommand = |id| words.get(1).and_then(|word| self.table.find_word(id, word)).unwrap_or(id);
        match self.table.find(words[0]).map(subcommand) {
            None => self.look(words, &mut Reply::new(&mut out, self.client.protocol)),
            Some(id) => {
                let entry = self.table.entry(id);
                if !entry.row.arity_accepts(words.len()) {
                    let error = CommandError::WrongArity(entry.full_name);
                    write_error(&error, &mut Reply::new(&mut out, self.client.protocol));
                } else if let Run::OnShard(run) | Run::Hops { here: Some(run), .. } = entry.row.run {
                    let mut ctx = Ctx { shard: &mut self.shard, db: DbIndex(0), client: self.client };
                    let mut reply = Reply::new(&mut out, self.client.protocol);
                    match run(&mut ctx, &mut args_of(entry, argv), &mut reply) {
                        Ok(Outcome::Done) => {}
                        Ok(Outcome::Block(block)) => block.when_over.write(&mut reply),
                        Ok(Outcome::Slices(slices)) => {
                            out.append(&mut slices.run_to_end(&mut self.shard, DbIndex(0), self.client).1);
                        }
                        Err(error) => {
                            out.clear();
                            write_error(&error, &mut Reply::new(&mut out, self.client.protocol));
                        }
                    }
                } else {
                    let (db, client) = (DbIndex(0), self.client);
                    let did = run_here(&mut self.shard, entry, db, client, argv, &mut out);
                    to_its_end(did, &mut self.shard, entry, db, client, argv, &mut out);
                }
            }
        }
        let note = |effect: crate::shard::Effect| {
            format!("{} {}", effect.event.name, String::from_utf8_lossy(&effect.key))
        };
        let is_told = |effect: &crate::shard::Effect| effect.event.class != Class::Silent;
        (out.to_vec(), self.shard.effects.drain().filter(is_told).map(note).collect())
    }

    fn look(&mut self, words: &[&[u8]], reply: &mut Reply<'_>) {
        let now_ms = self.shard.now_ms;
        let mut keys = self.shard.keyspace(DbIndex(0), false);
        let key = words[words.len() - 1];
        match words[0].to_ascii_uppercase().as_slice() {
            b"DEL" => {
                let existed = keys.remove(key, Event::DEL);
                reply.int(i64::from(existed));
            }
            b"EXISTS" => reply.int(i64::from(keys.exists(key))),
            b"TTL" => match keys.peek(key).map(|entry| entry.expire_at_ms()) {
                None => reply.int(-2),
                Some(None) => reply.int(-1),
                Some(Some(at)) => reply.int((at - now_ms + 500) as i64 / 1000),
            },
            b"PEXPIRETIME" => match keys.peek(key).map(|entry| entry.expire_at_ms()) {
                None => reply.int(-2),
                Some(None) => reply.int(-1),
                Some(Some(at)) => reply.int(at as i64),
            },
            b"OBJECT" => match keys.peek(key).and_then(|entry| keys::encoding_of(entry.value())) {
                None => reply.null(),
                Some(name) => reply.bulk(name.as_bytes()),
            },
            other => panic!("the test asks for an unknown command {}", other.escape_ascii()),
        }
    }
}
