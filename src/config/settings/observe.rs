//! Slow log, latency, notifications and tracking.

use super::*;

pub(super) const SETTINGS: &[Setting] = &[
    integer(
        "slowlog-log-slower-than",
        "10000",
        (-1, LONG_MAX),
        "Microseconds from which a command enters the slow log; 0 logs every one and -1 none.",
    )
    .aliases(&["commandlog-execution-slower-than"]),
    integer("slowlog-max-len", "128", (0, LONG_MAX), "Entries that the slow log keeps.")
        .aliases(&["commandlog-slow-execution-max-len"]),
    integer("slowlog-entry-max-argc", "32", (2, INT_MAX), "Arguments of a command that the slow log shows.")
        .since(Since::Redis8),
    integer(
        "slowlog-entry-max-string-len",
        "128",
        (1, LONG_MAX),
        "Bytes of an argument that the slow log shows.",
    )
    .since(Since::Redis8),
    integer(
        "commandlog-request-larger-than",
        "1048576",
        (-1, LONG_MAX),
        "Bytes from which a request enters the log of large requests; -1 logs none.",
    )
    .since(Since::Valkey),
    integer(
        "commandlog-large-request-max-len",
        "128",
        (0, LONG_MAX),
        "Entries that the log of large requests keeps.",
    )
    .since(Since::Valkey),
    integer(
        "commandlog-reply-larger-than",
        "1048576",
        (-1, LONG_MAX),
        "Bytes from which a reply enters the log of large replies; -1 logs none.",
    )
    .since(Since::Valkey),
    integer(
        "commandlog-large-reply-max-len",
        "128",
        (0, LONG_MAX),
        "Entries that the log of large replies keeps.",
    )
    .since(Since::Valkey),
    integer(
        "latency-monitor-threshold",
        "0",
        (0, LONG_MAX),
        "Milliseconds from which an event is recorded for LATENCY; 0 records none.",
    ),
    flag("latency-tracking", "yes", "Keep a histogram of each command's latency."),
    special(
        "latency-tracking-info-percentiles",
        Kind::Percentiles,
        "50 99 99.9",
        "Percentiles of each command's latency in INFO; an empty text shows none.",
    ),
    special(
        "notify-keyspace-events",
        Kind::Events,
        "",
        "Keyspace notifications to publish: K for keyspace channels and E for keyevent channels, with g \
         generic, $ strings, l lists, s sets, h hashes, z sorted sets, x expired, e evicted, t streams, d \
         modules, n new keys, m misses; A stands for all but n and m. An empty text publishes none.",
    ),
    integer(
        "tracking-table-max-keys",
        "1000000",
        (0, LONG_MAX),
        "Keys that client-side caching remembers before it invalidates some at random; 0 sets no limit.",
    )
    .unsigned(),
    flag("key-memory-histograms", "no", "Keep histograms of the keys' sizes in memory.")
        .since(Since::Redis8)
        .area(Area::Compatibility),
];
