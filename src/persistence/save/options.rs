//! What is to be saved how: settled by the settings when a save begins, whatever they become meanwhile.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{Config, id};
use crate::persistence::aof::rewrite::temporary_base;
use crate::persistence::{delay_of, path_of, target_of};
use crate::rdb::target::Target;

/// How a save is to be done.
#[derive(Clone, Debug)]
pub struct SaveOptions {
    pub path: PathBuf,
    pub compress: bool,
    pub checksum: bool,
    pub incremental_sync: bool,
    pub counting_idle: bool,
    pub counting_frequency: bool,
    /// What `maxmemory` counts, for the file's facts.
    pub used_bytes: u64,
    /// For which Redis.
    pub target: Target,
    /// `rdb-key-save-delay`: each key takes so long, for tests.
    pub key_delay_us: u64,
    /// Asked at the serial point, on the first shard's core.
    pub functions: Functions,
    /// It is to be the base of the append-only file.
    pub base: Option<Base>,
}

/// Tells the sources of all libraries of functions. None unless it was given something that knows them.
#[derive(Clone, Default)]
pub struct Functions(Option<Arc<dyn Fn() -> Vec<Vec<u8>> + Send + Sync>>);

impl Functions {
    pub fn new(of: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static) -> Functions {
        Functions(Some(Arc::new(of)))
    }

    pub(super) fn all(&self) -> Vec<Vec<u8>> {
        self.0.as_ref().map_or_else(Vec::new, |of| of())
    }
}

impl std::fmt::Debug for Functions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Functions")
    }
}

/// How a base of the append-only file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Base {
    /// As a snapshot; else as commands.
    pub rdb: bool,
    /// Shards log what follows.
    pub logged: bool,
    /// `aof-timestamp-enabled`
    pub timestamp: bool,
}

impl SaveOptions {
    /// For a snapshot under its own name.
    pub fn of(config: &Config, used_bytes: u64) -> SaveOptions {
        let policy = config.choice(id::MAXMEMORY_POLICY);
        SaveOptions {
            path: path_of(config),
            compress: config.flag(id::RDBCOMPRESSION),
            checksum: config.flag(id::RDBCHECKSUM),
            incremental_sync: config.flag(id::RDB_SAVE_INCREMENTAL_FSYNC),
            counting_idle: policy.ends_with("-lru"),
            counting_frequency: policy.ends_with("-lfu"),
            used_bytes,
            target: target_of(config),
            key_delay_us: delay_of(config, id::RDB_KEY_SAVE_DELAY),
            functions: Functions::default(),
            base: None,
        }
    }

    /// For the base of the append-only file.
    pub fn of_base(config: &Config, used_bytes: u64) -> SaveOptions {
        let base = Base {
            rdb: config.flag(id::AOF_USE_RDB_PREAMBLE),
            logged: false,
            timestamp: config.flag(id::AOF_TIMESTAMP_ENABLED),
        };
        SaveOptions {
            path: temporary_base(),
            incremental_sync: config.flag(id::AOF_REWRITE_INCREMENTAL_FSYNC),
            // The log is Redis 7.0's, and nothing may be missing in it, whatever `rdb-write-version` drops.
            target: Target::DUMP,
            base: Some(base),
            ..SaveOptions::of(config, used_bytes)
        }
    }

    /// A snapshot, or commands?
    pub(super) fn is_rdb(&self) -> bool {
        self.base.is_none_or(|base| base.rdb)
    }
}
