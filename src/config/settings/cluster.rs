//! Cluster mode.

use super::*;

const ENDPOINT: &[(&str, u32)] = &[("ip", 0), ("hostname", 1), ("unknown-endpoint", 2)];

pub(super) const SETTINGS: &[Setting] = &[
    flag("cluster-enabled", "no", "Be a node of a cluster.").immutable().area(Area::Cluster),
    text("cluster-config-file", "nodes.conf", "File in which the node keeps what it knows of the cluster.")
        .immutable()
        .area(Area::Cluster),
    integer(
        "cluster-node-timeout",
        "15000",
        (0, LONG_MAX),
        "Milliseconds after which a silent node is thought to have failed.",
    )
    .area(Area::Cluster),
    integer("cluster-port", "0", (0, 65535), "Port of the cluster bus; 0 is the client port plus 10000.")
        .immutable()
        .area(Area::Cluster),
    integer(
        "cluster-ping-interval",
        "0",
        (0, LONG_MAX),
        "Milliseconds between pings; 0 lets the node decide.",
    )
    .hidden()
    .since(Since::Redis72)
    .area(Area::Cluster),
    integer(
        "cluster-replica-validity-factor",
        "10",
        (0, INT_MAX),
        "How old a replica's data may be, in node timeouts, for it to stand for election; 0 sets no bound.",
    )
    .aliases(&["cluster-slave-validity-factor"])
    .area(Area::Cluster),
    integer(
        "cluster-migration-barrier",
        "1",
        (0, INT_MAX),
        "Replicas that a primary keeps before one may move to another.",
    )
    .area(Area::Cluster),
    flag("cluster-allow-replica-migration", "yes", "Let replicas move to primaries that have none.")
        .area(Area::Cluster),
    flag("cluster-require-full-coverage", "yes", "Refuse queries while some slots have no node.")
        .area(Area::Cluster),
    flag("cluster-replica-no-failover", "no", "Keep this replica from starting a failover by itself.")
        .aliases(&["cluster-slave-no-failover"])
        .area(Area::Cluster),
    flag("cluster-allow-reads-when-down", "no", "Answer reads while the cluster is down.")
        .area(Area::Cluster),
    flag("cluster-allow-pubsubshard-when-down", "yes", "Serve sharded Pub/Sub while the cluster is down.")
        .area(Area::Cluster),
    memory(
        "cluster-link-sendbuf-limit",
        "0",
        (0, ULONG_MAX),
        "Output that a bus link may hold before it is closed; 0 sets no limit.",
    )
    .unsigned()
    .area(Area::Cluster),
    optional("cluster-announce-ip", "Address that the node tells the others.").area(Area::Cluster),
    integer(
        "cluster-announce-port",
        "0",
        (0, 65535),
        "Client port that the node tells the others; 0 tells its own.",
    )
    .area(Area::Cluster),
    integer(
        "cluster-announce-tls-port",
        "0",
        (0, 65535),
        "TLS port that the node tells the others; 0 tells its own.",
    )
    .area(Area::Cluster),
    integer(
        "cluster-announce-bus-port",
        "0",
        (0, 65535),
        "Bus port that the node tells the others; 0 tells its own.",
    )
    .area(Area::Cluster),
    optional("cluster-announce-hostname", "Host name that the node tells the others.")
        .checked(checks::hostname)
        .area(Area::Cluster),
    optional("cluster-announce-human-nodename", "Name of the node in logs, for people.")
        .checked(checks::node_name)
        .since(Since::Redis72)
        .area(Area::Cluster),
    choice("cluster-preferred-endpoint-type", "ip", ENDPOINT, "How redirections name a node.")
        .area(Area::Cluster),
    integer(
        "cluster-compatibility-sample-ratio",
        "0",
        (0, 100),
        "Percentage of commands checked for use in a cluster.",
    )
    .since(Since::Redis8)
    .area(Area::Cluster),
    flag("cluster-slot-stats-enabled", "no", "Count CPU time and traffic per slot.")
        .since(Since::Redis8)
        .area(Area::Cluster),
    integer(
        "cluster-slot-migration-handoff-max-lag-bytes",
        "1048576",
        (0, LONG_MAX),
        "Lag below which a migrating slot is handed over.",
    )
    .unit(Unit::Memory)
    .since(Since::Redis8)
    .area(Area::Cluster),
    integer(
        "cluster-slot-migration-write-pause-timeout",
        "10000",
        (0, LONG_MAX),
        "Milliseconds for which writes may pause while a slot is handed over.",
    )
    .since(Since::Redis8)
    .area(Area::Cluster),
];
