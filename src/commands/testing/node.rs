//! Several shards on one thread, driven as the server drives them but one message after the other.

use std::sync::Arc;

use crate::commands::context::ClientView;
use crate::commands::{CommandTable, Part, Row};
use crate::resp::{Output, Request};
use crate::shard::memory::MemoryBoard;
use crate::shard::{Placement, Shard};
use crate::tx::Route;
use crate::tx::execute::{run_here, run_work_whole, to_its_end, write_error};
use crate::tx::message::TxCommand;
use crate::tx::route::route;
use crate::tx::single::Single;
use crate::types::raw::table::Hasher;
use crate::types::{DbIndex, ShardId};

pub struct Node {
    pub shards: Vec<Shard>,
    pub client: ClientView,
    pub db: DbIndex,
    pub placement: Placement,
    pub table: &'static CommandTable,
    /// The last command needed several shards.
    pub spanned: bool,
    events: Vec<String>,
}

impl Node {
    pub fn new(shards: usize, families: &[&'static [Row]]) -> Node {
        let board = MemoryBoard::new(shards);
        let shard = |id: usize| {
            let hasher = Hasher::from_seed(7);
            let mut shard = Shard::new(ShardId(id as u16), 16, hasher, id as u64, board.clone());
            shard.now_ms = 1_700_000_000_000;
            shard
        };
        Node {
            shards: (0..shards).map(shard).collect(),
            client: ClientView::default(),
            db: DbIndex(0),
            placement: Placement::new(shards),
            table: Box::leak(Box::new(CommandTable::new(families))),
            spanned: false,
            events: Vec::new(),
        }
    }

    pub fn advance_ms(&mut self, ms: u64) {
        self.shards.iter_mut().for_each(|shard| shard.now_ms += ms);
    }

    /// Runs a command and returns the reply's bytes.
    pub fn run(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut out = Output::default();
        self.run_into(words, &mut out);
        // As a core does before a reply leaves.
        self.shards.iter().for_each(Shard::publish_keys);
        out.to_vec()
    }

    fn run_into(&mut self, words: &[&[u8]], out: &mut Output) {
        self.spanned = false;
        if words[0].eq_ignore_ascii_case(b"select") {
            self.db = DbIndex(std::str::from_utf8(words[1]).unwrap().parse().unwrap());
            out.bytes.extend_from_slice(b"+OK\r\n");
            return;
        }
        let request: Request = words.iter().collect();
        let argv = request.argv();
        let mut id = self.table.find(words[0]).expect("a command of these families");
        if words.len() > 1
            && let Some(sub) = self.table.find_word(id, words[1])
        {
            id = sub;
        }
        let table = self.table;
        let entry = table.entry(id);
        if !entry.row.arity_accepts(words.len()) {
            let line = format!("-ERR wrong number of arguments for '{}' command\r\n", entry.full_name);
            out.bytes.extend_from_slice(line.as_bytes());
            return;
        }
        let to = match route(entry, argv, self.placement, ShardId(0)) {
            Ok(to) => to,
            Err(error) => {
                return write_error(&error, &mut crate::resp::Reply::new(out, self.client.protocol));
            }
        };
        match to {
            Route::Shard(owner) => {
                let shard = &mut self.shards[owner.index()];
                let did = run_here(shard, entry, self.db, self.client, argv, out);
                to_its_end(did, shard, entry, self.db, self.client, argv, out);
                self.collect(owner);
            }
            Route::Local => {
                run_here(&mut self.shards[0], entry, self.db, self.client, argv, out);
            }
            Route::Several => self.span(TxCommand { row: id, db: self.db, request: Arc::new(request) }, out),
            other => panic!("{} goes {other:?}", entry.full_name),
        }
    }

    fn span(&mut self, command: TxCommand, out: &mut Output) {
        self.spanned = true;
        let table = self.table;
        let mut single = Single::new(command, table, self.placement, self.client.protocol).unwrap();
        let mut parts = Vec::new();
        while let Some(stage) = single.next(std::mem::take(&mut parts)) {
            for (owner, work) in stage.works {
                let shard = &mut self.shards[owner.index()];
                let part = run_work_whole(shard, table, self.client, work, &mut Vec::new());
                self.collect(owner);
                parts.push((owner, part.unwrap_or_else(|error| Part::Failed(Box::new(error)))));
            }
        }
        single.finish(out);
    }

    fn collect(&mut self, owner: ShardId) {
        for effect in self.shards[owner.index()].effects.seen.drain(..) {
            self.events.push(format!("{} {}", effect.event.name, effect.key.escape_ascii()));
        }
    }

    /// The events since the last call, in their order.
    pub fn events(&mut self) -> String {
        std::mem::take(&mut self.events).join(", ")
    }

    /// Changes as INFO counts them.
    pub fn dirty(&self) -> u64 {
        self.shards.iter().map(|shard| shard.effects.dirty).sum()
    }

    /// The payload of DUMP.
    pub fn dump(&mut self, key: &[u8]) -> Vec<u8> {
        let reply = self.run(&[b"DUMP", key]);
        let body = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        reply[body..reply.len() - 2].to_vec()
    }

    /// The number of keys per shard in the selected database.
    pub fn spread(&self) -> Vec<usize> {
        self.shards.iter().map(|shard| shard.dbs[self.db.index()].table.len()).collect()
    }

    /// Whether each key, watched before, has changed after the command.
    pub fn changed_by(&mut self, line: &str, watched: &[(u16, &str)]) -> Vec<bool> {
        let owner = |node: &Node, key: &str| node.placement.owner_of(key.as_bytes()).index();
        let mut versions = Vec::new();
        for (db, key) in watched {
            let at = owner(self, key);
            versions.push(self.shards[at].watch(DbIndex(*db), key.as_bytes()));
        }
        self.run(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        let mut changed = Vec::new();
        for ((db, key), version) in watched.iter().zip(versions) {
            let at = owner(self, key);
            changed.push(!self.shards[at].watches.unchanged(DbIndex(*db), key.as_bytes(), version));
            self.shards[at].unwatch(DbIndex(*db), key.as_bytes());
        }
        changed
    }
}
