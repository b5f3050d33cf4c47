//! The memory bound, eviction, expiry and freeing.

use super::*;

const POLICIES: &[(&str, u32)] = &[
    ("volatile-lru", 0),
    ("volatile-lfu", 1),
    ("volatile-lrm", 2),
    ("volatile-random", 3),
    ("volatile-ttl", 4),
    ("allkeys-lru", 5),
    ("allkeys-lfu", 6),
    ("allkeys-lrm", 7),
    ("allkeys-random", 8),
    ("noeviction", 9),
];

pub(super) const SETTINGS: &[Setting] = &[
    memory(
        "maxmemory",
        "0",
        (0, ULONG_MAX),
        "Memory that the data set may use; 0 sets no bound (the log says at start what the cgroup or the \
         host allows). At the bound, maxmemory-policy decides what happens.",
    )
    .unsigned(),
    choice(
        "maxmemory-policy",
        "noeviction",
        POLICIES,
        "Which keys go when memory is full: least recently used (lru), least frequently used (lfu), \
         least recently modified (lrm), random, or nearest to their deadline (ttl), out of all keys or \
         only out of those with a deadline (volatile); noeviction refuses writes instead.",
    ),
    integer(
        "maxmemory-samples",
        "5",
        (1, INT_MAX),
        "Keys looked at for each eviction. More is nearer to the exact order and costs more.",
    ),
    integer(
        "maxmemory-eviction-tenacity",
        "10",
        (0, 100),
        "How much time eviction may take before the next command runs: 0 hardly any, 100 all it needs.",
    )
    .area(Area::Compatibility),
    integer(
        "lfu-log-factor",
        "10",
        (0, INT_MAX),
        "How many accesses it takes to raise a key's frequency counter: the higher, the more.",
    ),
    integer(
        "lfu-decay-time",
        "1",
        (0, INT_MAX),
        "Minutes after which a key's frequency counter is lowered by one.",
    ),
    integer(
        "active-expire-effort",
        "1",
        (1, 10),
        "How much work the removal of expired keys may do in the background.",
    )
    .area(Area::Compatibility),
    flag(
        "lazyexpire-nested-arbitrary-keys",
        "yes",
        "Let SCAN-like commands and scripts remove expired keys they meet.",
    )
    .hidden()
    .since(Since::Redis8)
    .area(Area::Compatibility),
    flag("lazyfree-lazy-eviction", "no", "Free evicted values in the background.").area(Area::Compatibility),
    flag("lazyfree-lazy-expire", "no", "Free expired values in the background.").area(Area::Compatibility),
    flag("lazyfree-lazy-server-del", "no", "Free values that a command replaces in the background.")
        .area(Area::Compatibility),
    flag("lazyfree-lazy-user-del", "no", "Let DEL free in the background, like UNLINK.")
        .area(Area::Compatibility),
    flag(
        "lazyfree-lazy-user-flush",
        "no",
        "Let FLUSHALL and FLUSHDB work in the background unless told SYNC.",
    ),
    flag("activerehashing", "yes", "Rehash Redis's tables in idle time. Tables here grow in small steps.")
        .area(Area::Compatibility),
    flag("activedefrag", "no", "Move values to reduce fragmentation while the server runs.")
        .area(Area::Compatibility),
    memory(
        "active-defrag-ignore-bytes",
        "100mb",
        (1, LONG_MAX),
        "Wasted bytes below which nothing is moved.",
    )
    .unsigned()
    .area(Area::Compatibility),
    integer(
        "active-defrag-threshold-lower",
        "10",
        (0, 1000),
        "Percentage of fragmentation at which moving starts.",
    )
    .area(Area::Compatibility),
    integer(
        "active-defrag-threshold-upper",
        "100",
        (0, 1000),
        "Percentage of fragmentation at which the most effort is made.",
    )
    .area(Area::Compatibility),
    integer("active-defrag-cycle-min", "1", (1, 99), "Percentage of CPU time used at the lower threshold.")
        .area(Area::Compatibility),
    integer("active-defrag-cycle-max", "25", (1, 99), "Percentage of CPU time used at the upper threshold.")
        .area(Area::Compatibility),
    integer(
        "active-defrag-max-scan-fields",
        "1000",
        (1, LONG_MAX),
        "Size above which a collection is moved in pieces.",
    )
    .area(Area::Compatibility),
];
