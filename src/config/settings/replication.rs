//! Primaries and replicas.

use super::*;

const DISKLESS_LOAD: &[(&str, u32)] =
    &[("disabled", 0), ("on-empty-db", 1), ("swapdb", 2), ("flush-before-load", 3)];
const ON_ERROR: &[(&str, u32)] = &[("ignore", 0), ("panic", 1), ("panic-on-replicas", 2)];

pub(super) const SETTINGS: &[Setting] = &[
    special(
        "replicaof",
        Kind::Primary,
        "",
        "Be a replica of the primary at this host and port. REPLICAOF changes it at run time.",
    )
    .immutable()
    .aliases(&["slaveof"])
    .area(Area::Replication),
    special("masterauth", Kind::Secret, "", "Password for the primary.").sensitive().area(Area::Replication),
    optional("masteruser", "User for the primary; its default user when empty.")
        .sensitive()
        .area(Area::Replication),
    flag("replica-serve-stale-data", "yes", "Answer reads while the link to the primary is down.")
        .aliases(&["slave-serve-stale-data"])
        .area(Area::Replication),
    flag("replica-read-only", "yes", "Refuse clients' writes on a replica.")
        .aliases(&["slave-read-only"])
        .area(Area::Replication),
    flag(
        "repl-diskless-sync",
        "yes",
        "Send the snapshot of a full resync straight to the replica, not by way of a file.",
    )
    .area(Area::Replication),
    integer(
        "repl-diskless-sync-delay",
        "5",
        (0, INT_MAX),
        "Seconds to wait for more replicas before such a snapshot starts.",
    )
    .area(Area::Replication),
    integer(
        "repl-diskless-sync-max-replicas",
        "0",
        (0, INT_MAX),
        "Replicas whose arrival ends that wait at once; 0 waits it out.",
    )
    .area(Area::Replication),
    choice(
        "repl-diskless-load",
        "disabled",
        DISKLESS_LOAD,
        "How a replica loads a snapshot: by way of a file, from the link when it has no data, or from \
         the link beside the old data.",
    )
    .deny_loading()
    .area(Area::Replication),
    flag("repl-rdb-channel", "no", "Send the snapshot of a full resync over a connection of its own.")
        .since(Since::Redis8)
        .area(Area::Replication),
    memory(
        "replica-full-sync-buffer-limit",
        "0",
        (0, LONG_MAX),
        "Writes that a replica collects during a full resync; 0 uses the replica class of \
         client-output-buffer-limit.",
    )
    .unsigned()
    .since(Since::Redis8)
    .area(Area::Replication),
    integer(
        "repl-ping-replica-period",
        "10",
        (1, INT_MAX),
        "Seconds between a primary's pings to its replicas.",
    )
    .aliases(&["repl-ping-slave-period"])
    .area(Area::Replication),
    integer(
        "repl-timeout",
        "60",
        (1, INT_MAX),
        "Seconds of silence after which a replication link is given up.",
    )
    .area(Area::Replication),
    flag("repl-disable-tcp-nodelay", "no", "Send fewer, fuller packets to replicas, at the price of delay.")
        .area(Area::Replication),
    memory(
        "repl-backlog-size",
        "1mb",
        (1, LONG_MAX),
        "Writes kept so that a replica that was away can catch up.",
    )
    .area(Area::Replication),
    integer(
        "repl-backlog-ttl",
        "3600",
        (0, LONG_MAX),
        "Seconds without replicas after which the backlog is freed; 0 never does.",
    )
    .area(Area::Replication),
    integer(
        "replica-priority",
        "100",
        (0, INT_MAX),
        "Rank for promotion, lowest first; 0 is never promoted.",
    )
    .aliases(&["slave-priority"])
    .area(Area::Replication),
    integer(
        "min-replicas-to-write",
        "0",
        (0, INT_MAX),
        "Replicas in good shape that a write needs; 0 needs none.",
    )
    .aliases(&["min-slaves-to-write"])
    .area(Area::Replication),
    integer(
        "min-replicas-max-lag",
        "10",
        (0, INT_MAX),
        "Seconds of lag up to which a replica is in good shape.",
    )
    .aliases(&["min-slaves-max-lag"])
    .area(Area::Replication),
    optional("replica-announce-ip", "Address that a replica reports to its primary.")
        .aliases(&["slave-announce-ip"])
        .area(Area::Replication),
    integer(
        "replica-announce-port",
        "0",
        (0, 65535),
        "Port that a replica reports to its primary; 0 reports its own.",
    )
    .aliases(&["slave-announce-port"])
    .area(Area::Replication),
    flag("replica-announced", "yes", "Let Sentinel list this replica.").area(Area::Replication),
    flag("replica-ignore-maxmemory", "yes", "Let only the primary evict; its deletions reach the replica.")
        .aliases(&["slave-ignore-maxmemory"])
        .area(Area::Replication),
    flag("replica-lazy-flush", "no", "Free the old data set in the background before a full resync.")
        .aliases(&["slave-lazy-flush"])
        .area(Area::Replication),
    flag("replica-ignore-disk-write-errors", "no", "Keep replicating when the log cannot be written.")
        .area(Area::Replication),
    choice(
        "propagation-error-behavior",
        "ignore",
        ON_ERROR,
        "What a replica does with a command that fails.",
    )
    .area(Area::Replication),
];
