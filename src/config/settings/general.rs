//! The process: how it runs in the background, logs, and uses the machine's cores.

use super::*;

const SUPERVISED: &[(&str, u32)] = &[("upstart", 3), ("systemd", 2), ("auto", 1), ("no", 0)];
const LOG_LEVELS: &[(&str, u32)] =
    &[("debug", 0), ("verbose", 1), ("notice", 2), ("warning", 3), ("nothing", 4)];
const FACILITIES: &[(&str, u32)] = &[
    ("user", 1),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];
const OOM_SCORE_ADJ: &[(&str, u32)] = &[("no", 0), ("yes", 1), ("relative", 1), ("absolute", 2)];
const SHUTDOWN: &[(&str, u32)] = &[
    ("default", 0),
    ("save", checks::SHUTDOWN_SAVE),
    ("nosave", checks::SHUTDOWN_NOSAVE),
    ("now", 4),
    ("force", 8),
];
const ENGINES: &[(&str, u32)] = &[("auto", 0), ("io_uring", 1), ("epoll", 2)];

pub(super) const SETTINGS: &[Setting] = &[
    integer(
        "threads",
        "0",
        (0, 1024),
        "Cores to run on, one shard of the keys each; 0 follows the CPU affinity and the cgroup's quota.",
    )
    .immutable()
    .since(Since::Coreshard),
    choice(
        "engine",
        "auto",
        ENGINES,
        "How cores talk to the kernel. auto takes io_uring where it works and epoll elsewhere.",
    )
    .immutable()
    .since(Since::Coreshard),
    flag("numa", "yes", "Place cores NUMA node by NUMA node and keep each core's memory on its own node.")
        .immutable()
        .since(Since::Coreshard),
    flag(
        "pin-cores",
        "yes",
        "Pin each core's thread to a CPU where the cores take all CPUs that the affinity mask and \
         server-cpulist leave; otherwise the kernel places them.",
    )
    .immutable()
    .since(Since::Coreshard),
    integer(
        "spin-us",
        "0",
        (0, 1000),
        "Microseconds that an idle core looks for work before it sleeps; 0 lets the server decide.",
    )
    .since(Since::Coreshard)
    .area(Area::Compatibility),
    flag("daemonize", "no", "Run in the background.").immutable(),
    choice(
        "supervised",
        "no",
        SUPERVISED,
        "Tell a supervisor when the server is ready: systemd by its notification socket, upstart by \
         stopping once; auto looks at the environment.",
    )
    .immutable(),
    optional(
        "pidfile",
        "File that holds the process id while the server runs; a server in the background writes \
         /var/run/coreshard.pid when none is named.",
    )
    .immutable(),
    choice("loglevel", "notice", LOG_LEVELS, "Least important message that is logged."),
    text("logfile", "", "File to log to; standard output when empty.").immutable(),
    flag("syslog-enabled", "no", "Log to the system logger too.").immutable().area(Area::Compatibility),
    text("syslog-ident", "redis", "Name under which the system logger shows messages.")
        .immutable()
        .area(Area::Compatibility),
    choice("syslog-facility", "local0", FACILITIES, "Facility of messages to the system logger.")
        .immutable()
        .area(Area::Compatibility),
    flag(
        "hide-user-data-from-log",
        "no",
        "Leave keys, values and commands out of the log and crash reports.",
    )
    .since(Since::Redis74)
    .area(Area::Compatibility),
    flag("crash-log-enabled", "yes", "Write a report to the log when the server crashes."),
    flag("crash-memcheck-enabled", "yes", "Test memory after a crash, to tell bad hardware from a bug.")
        .area(Area::Compatibility),
    flag("use-exit-on-panic", "no", "Exit instead of aborting on a bug (for tests under tools).")
        .hidden()
        .area(Area::Compatibility),
    integer("databases", "16", (1, INT_MAX), "Number of databases that SELECT chooses from.").immutable(),
    flag("always-show-logo", "no", "Print the banner even where the log is not a terminal.")
        .immutable()
        .area(Area::Compatibility),
    flag("set-proc-title", "yes", "Show the address and mode in the process list.")
        .immutable()
        .area(Area::Compatibility),
    text(
        "proc-title-template",
        "{title} {listen-addr} {server-mode}",
        "What the process list shows. Variables: {title}, {listen-addr}, {server-mode}, {port}, \
         {tls-port}, {unixsocket}, {config-file}.",
    )
    .checked(checks::proc_title)
    .area(Area::Compatibility),
    text("locale-collate", "", "Locale that compares texts in SORT ALPHA; the environment's when empty.")
        .since(Since::Redis72)
        .area(Area::Compatibility),
    integer(
        "hz",
        "10",
        (0, INT_MAX),
        "Rounds per second of background work such as closing idle clients. Held between 1 and 500.",
    ),
    flag("dynamic-hz", "yes", "Do background rounds more often while many clients are connected.")
        .area(Area::Compatibility),
    integer(
        "shutdown-timeout",
        "10",
        (0, INT_MAX),
        "Seconds that a shutdown waits for replicas to catch up; 0 does not wait.",
    )
    .area(Area::Replication),
    choice(
        "shutdown-on-sigint",
        "default",
        SHUTDOWN,
        "How SIGINT shuts down: one or more options of SHUTDOWN.",
    )
    .several()
    .checked(checks::shutdown),
    choice(
        "shutdown-on-sigterm",
        "default",
        SHUTDOWN,
        "How SIGTERM shuts down: one or more options of SHUTDOWN.",
    )
    .several()
    .checked(checks::shutdown),
    choice(
        "oom-score-adj",
        "no",
        OOM_SCORE_ADJ,
        "Tell the kernel whom to kill first when memory runs out: no leaves it alone, relative adds \
         oom-score-adj-values to what the process started with, absolute writes them as they are.",
    ),
    special(
        "oom-score-adj-values",
        Kind::OomScores,
        "0 200 800",
        "The scores of oom-score-adj for a primary, a replica and a background child.",
    ),
    flag("disable-thp", "yes", "Keep transparent huge pages off for this process; they cost latency.")
        .immutable(),
    text("ignore-warnings", "", "Start-up warnings not to give.").area(Area::Compatibility),
    optional(
        "server-cpulist",
        "CPUs that the server's cores are taken from, such as 0-7:2 or 1,3; all when empty.",
    )
    .aliases(&["server_cpulist"])
    .immutable(),
    optional("bio-cpulist", "CPUs of background threads.")
        .aliases(&["bio_cpulist"])
        .immutable()
        .area(Area::Compatibility),
    optional("aof-rewrite-cpulist", "CPUs of log rewriting.")
        .aliases(&["aof_rewrite_cpulist"])
        .immutable()
        .area(Area::Compatibility),
    optional("bgsave-cpulist", "CPUs of background snapshots.")
        .aliases(&["bgsave_cpulist"])
        .immutable()
        .area(Area::Compatibility),
    integer(
        "io-threads",
        "1",
        (1, 128),
        "I/O threads of Redis. Here every core does its own I/O; see threads.",
    )
    .immutable()
    .area(Area::Compatibility),
    flag("io-threads-do-reads", "no", "Whether Redis's I/O threads read.")
        .immutable()
        .area(Area::Compatibility),
    integer(
        "prefetch-batch-max-size",
        "16",
        (0, 128),
        "Keys that are prefetched together; 0 prefetches none.",
    )
    .hidden()
    .since(Since::Redis8)
    .area(Area::Compatibility),
    integer(
        "watchdog-period",
        "0",
        (0, INT_MAX),
        "Log what runs longer than this many milliseconds; 0 is off.",
    )
    .hidden()
    .area(Area::Compatibility),
    flag("jemalloc-bg-thread", "yes", "Background thread of Redis's allocator.").area(Area::Compatibility),
];
