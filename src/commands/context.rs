//! What a handler gets besides its arguments: its shard, its database and the time.

use crate::resp::Protocol;
use crate::shard::log::Log;
use crate::shard::{Db, Keyspace, Shard};
use crate::types::{ClientId, DbIndex, ShardId};

/// What a handler may know of the client it works for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientView {
    pub id: ClientId,
    pub protocol: Protocol,
    /// CLIENT NO-TOUCH: reads do not count as access.
    pub no_touch: bool,
    /// Its core, when it is to be told of changes of the keys that the command reads (CLIENT TRACKING).
    pub tracked_by: Option<ShardId>,
}

/// The context of one command on one shard. Time stands still while it runs.
pub struct Ctx<'a> {
    pub shard: &'a mut Shard,
    pub db: DbIndex,
    pub client: ClientView,
}

impl<'a> Ctx<'a> {
    /// Milliseconds since the epoch at which the command runs.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.shard.now_ms
    }

    /// Deadlines up to here have passed: now, but while a log is replayed none has.
    #[inline]
    pub fn due_ms(&self) -> u64 {
        self.shard.due_ms()
    }

    /// The selected database's keys, through which everything is read and written.
    #[inline]
    pub fn keys(&mut self) -> Keyspace<'_> {
        self.shard.keyspace(self.db, !self.client.no_touch)
    }

    /// Says what the log repeats in place of this request, see [`Log::say`]. Does nothing when there is no log.
    #[inline]
    pub fn say(&mut self, say: impl FnOnce(&mut Log, DbIndex)) {
        if let Some(log) = &mut self.shard.log {
            say(log, self.db);
        }
    }

    /// Is there a log? A handler that has to gather what it will say asks first.
    #[inline]
    pub fn is_logged(&self) -> bool {
        self.shard.log.is_some()
    }

    /// The selected database.
    #[inline]
    pub fn db(&mut self) -> &mut Db {
        self.shard.db_mut(self.db)
    }
}
