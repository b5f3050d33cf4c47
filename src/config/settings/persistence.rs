//! Snapshots and the append-only log.

use super::*;

const FSYNC: &[(&str, u32)] = &[("everysec", 2), ("always", 1), ("no", 0)];
const RDB_VERSIONS: &[(&str, u32)] = &[("auto", 0), ("9", 9), ("10", 10), ("11", 11), ("12", 12)];
const SANITIZE: &[(&str, u32)] = &[("no", 0), ("yes", 1), ("clients", 2)];

pub(super) const SETTINGS: &[Setting] = &[
    special(
        "dir",
        Kind::Directory,
        ".",
        "Working directory: snapshots, the log and cluster files are kept here.",
    )
    .protected()
    .deny_loading(),
    special(
        "save",
        Kind::Save,
        "3600 1 300 100 60 10000",
        "Take a snapshot after <seconds> in which at least <changes> writes happened. Several pairs and \
         several lines add up; an empty text takes no snapshots.",
    ),
    text("dbfilename", "dump.rdb", "Name of the snapshot file, in dir.")
        .protected()
        .checked(checks::db_filename),
    flag("stop-writes-on-bgsave-error", "yes", "Refuse writes while the last snapshot failed."),
    flag("rdbcompression", "yes", "Compress texts in snapshots."),
    flag("rdbchecksum", "yes", "End snapshots with a checksum, and verify it when loading.")
        .immutable(),
    choice(
        "rdb-write-version",
        "auto",
        RDB_VERSIONS,
        "For which Redis snapshots are written: 9 for 5 and 6, 10 for 7.0, 11 for 7.2, 12 for 7.4 and 8. What a \
         version does not know is not saved, and the log says so. auto is 11, or 12 when hash fields have deadlines: \
         nothing is lost.",
    )
    .since(Since::Coreshard),
    flag("rdb-del-sync-files", "no", "Delete snapshot files that were only needed to synchronise replicas.")
        .area(Area::Replication),
    flag(
        "rdb-save-incremental-fsync",
        "yes",
        "Sync a snapshot to disk every few megabytes while writing it.",
    ),
    integer(
        "rdb-key-save-delay",
        "0",
        (INT_MIN, INT_MAX),
        "Microseconds to wait per key while saving (for tests).",
    )
    .hidden(),
    integer(
        "key-load-delay",
        "0",
        (INT_MIN, INT_MAX),
        "Microseconds to wait per key while loading (for tests).",
    )
    .hidden(),
    integer(
        "loading-process-events-interval-bytes",
        "2097152",
        (1024, INT_MAX),
        "Bytes loaded between two looks at clients.",
    )
    .hidden()
    .area(Area::Compatibility),
    choice(
        "sanitize-dump-payload",
        "no",
        SANITIZE,
        "Check the inside of values in snapshots and RESTORE: never, always, or only from clients.",
    )
    .area(Area::Compatibility),
    flag("appendonly", "no", "Log every write to an append-only file, and load it at the start."),
    text("appendfilename", "appendonly.aof", "First part of the log's file names.")
        .immutable()
        .checked(checks::append_filename),
    text("appenddirname", "appendonlydir", "Directory of the log's files, in dir.")
        .immutable()
        .checked(checks::append_dirname),
    choice(
        "appendfsync",
        "everysec",
        FSYNC,
        "When the log is synced to disk: before every reply, once a second, or when the kernel likes.",
    ),
    flag("no-appendfsync-on-rewrite", "no", "Do not sync the log while a snapshot or a rewrite runs."),
    integer(
        "auto-aof-rewrite-percentage",
        "100",
        (0, INT_MAX),
        "Rewrite the log when it has grown by this percentage since the last time; 0 never does.",
    ),
    memory(
        "auto-aof-rewrite-min-size",
        "64mb",
        (0, LONG_MAX),
        "Size below which the log is not rewritten by itself.",
    ),
    flag("aof-load-truncated", "yes", "Load a log whose end is missing, instead of refusing to start."),
    memory(
        "aof-load-corrupt-tail-max-size",
        "0",
        (0, LONG_MAX),
        "Largest damaged end of a log that is cut off when loading.",
    )
    .since(Since::Redis8),
    flag("aof-use-rdb-preamble", "yes", "Start a rewritten log with a snapshot."),
    flag("aof-timestamp-enabled", "no", "Note the time in the log, so that it can be cut at a moment."),
    flag(
        "aof-rewrite-incremental-fsync",
        "yes",
        "Sync a rewritten log to disk every few megabytes while writing it.",
    ),
    flag("aof-disable-auto-gc", "no", "Keep files of the log that a rewrite has replaced."),
];
