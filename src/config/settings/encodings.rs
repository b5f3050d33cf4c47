//! Up to which size a collection stays in its compact encoding.

use super::*;

pub(super) const SETTINGS: &[Setting] = &[
    integer("hash-max-listpack-entries", "512", (0, LONG_MAX), "Fields up to which a hash is a listpack.")
        .unsigned()
        .aliases(&["hash-max-ziplist-entries"]),
    memory("hash-max-listpack-value", "64", (0, LONG_MAX), "Longest field or value of a hash in a listpack, in bytes.")
        .unsigned()
        .aliases(&["hash-max-ziplist-value"]),
    integer(
        "list-max-listpack-size",
        "-2",
        (INT_MIN, INT_MAX),
        "Size of one node of a list: a positive number counts elements; -1 to -5 mean 4, 8, 16, 32 and 64 kb.",
    )
    .aliases(&["list-max-ziplist-size"]),
    integer(
        "list-compress-depth",
        "0",
        (0, INT_MAX),
        "Nodes at each end of a list that stay uncompressed; 0 compresses none.",
    ).area(Area::Compatibility),
    integer("set-max-intset-entries", "512", (0, LONG_MAX), "Members up to which a set of integers is an intset.")
        .unsigned(),
    integer("set-max-listpack-entries", "128", (0, LONG_MAX), "Members up to which a set is a listpack.")
        .unsigned()
        .since(Since::Redis72),
    integer("set-max-listpack-value", "64", (0, LONG_MAX), "Longest member of a set in a listpack, in bytes.")
        .unsigned()
        .since(Since::Redis72),
    integer("zset-max-listpack-entries", "128", (0, LONG_MAX), "Members up to which a sorted set is a listpack.")
        .unsigned()
        .aliases(&["zset-max-ziplist-entries"]),
    memory("zset-max-listpack-value", "64", (0, LONG_MAX), "Longest member of a sorted set in a listpack, in bytes.")
        .unsigned()
        .aliases(&["zset-max-ziplist-value"]),
    memory(
        "hll-sparse-max-bytes",
        "3000",
        (0, LONG_MAX),
        "Size up to which a HyperLogLog keeps the sparse representation.",
    )
    .unsigned(),
    memory("stream-node-max-bytes", "4096", (0, LONG_MAX), "Largest node of a stream; 0 sets no limit.").unsigned(),
    integer("stream-node-max-entries", "100", (0, LONG_MAX), "Entries of one node of a stream; 0 sets no limit."),
    integer("stream-idmp-duration", "100", (1, 86400), "Seconds for which a stream remembers idempotent ids.")
        .since(Since::Redis8).area(Area::Compatibility),
    integer("stream-idmp-maxsize", "100", (1, 10000), "Idempotent ids that a stream remembers per producer.")
        .since(Since::Redis8).area(Area::Compatibility),
];
