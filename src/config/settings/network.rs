//! Listening, connections and what one client may use.

use super::*;

pub(super) const SETTINGS: &[Setting] = &[
    special(
        "bind",
        Kind::Bind,
        "127.0.0.1 -::1",
        "Addresses to listen on. A leading - lets the start go on when the address does not exist on \
         this host; * stands for every IPv4 address and ::* for every IPv6 address. An empty text \
         listens on no TCP address.",
    ),
    integer("port", "6379", (0, 65535), "TCP port for clients; 0 listens on no TCP port."),
    flag(
        "protected-mode",
        "yes",
        "While the default user has no password, answer only clients on this host.",
    ),
    integer(
        "tcp-backlog",
        "511",
        (0, INT_MAX),
        "Connections that may wait to be accepted. The kernel caps it at net.core.somaxconn.",
    )
    .immutable(),
    optional("unixsocket", "Path of a Unix domain socket to listen on as well; none when empty.").immutable(),
    integer(
        "unixsocketperm",
        "0",
        (0, 0o777),
        "Permissions of the Unix socket, in octal; 0 leaves them to the umask.",
    )
    .unsigned()
    .unit(Unit::Octal)
    .immutable(),
    integer(
        "timeout",
        "0",
        (0, INT_MAX),
        "Close a client after this many seconds without a command; 0 never does.",
    ),
    integer(
        "tcp-keepalive",
        "300",
        (0, INT_MAX),
        "Seconds between TCP keep-alive probes, which find dead peers; 0 sends none.",
    ),
    integer(
        "socket-mark-id",
        "0",
        (0, UINT_MAX),
        "Mark put on listening sockets for routing and packet filters; 0 sets none.",
    )
    .unsigned()
    .immutable()
    .area(Area::Compatibility),
    optional("bind-source-addr", "Local address for outgoing connections (to a primary or other nodes).")
        .area(Area::Replication),
    integer(
        "maxclients",
        "10000",
        (1, UINT_MAX),
        "Clients that may be connected at once. Further ones get an error and are closed.",
    )
    .unsigned(),
    memory(
        "maxmemory-clients",
        "0",
        (-100, LONG_MAX),
        "Memory that all clients' buffers together may use before the hungriest clients are closed: a \
         size, or a percentage of maxmemory; 0 sets no bound.",
    )
    .unit(Unit::MemoryOrPercent),
    memory(
        "client-query-buffer-limit",
        "1gb",
        (1024 * 1024, LONG_MAX),
        "Unprocessed input that one client may have before it is closed.",
    )
    .unsigned(),
    special(
        "client-output-buffer-limit",
        Kind::OutputLimits,
        "normal 0 0 0 replica 256mb 64mb 60 pubsub 32mb 8mb 60",
        "Unread output that a client of a class may have. Beyond the hard limit it is closed at once, \
         beyond the soft limit after that many seconds; 0 sets no limit. A line names one or more of \
         the classes normal, replica and pubsub, and the others keep their limits.",
    ),
    memory(
        "proto-max-bulk-len",
        "512mb",
        (1024 * 1024, LONG_MAX),
        "Longest single argument of a command, and so the largest string value. No string is longer than \
         4 GB, whatever this says.",
    ),
    integer(
        "max-new-connections-per-cycle",
        "10",
        (1, 1000),
        "New connections accepted between two rounds of serving the existing ones.",
    )
    .unsigned()
    .since(Since::Redis74)
    .area(Area::Compatibility),
    integer(
        "max-new-tls-connections-per-cycle",
        "1",
        (1, 1000),
        "New TLS connections accepted between two rounds of serving the existing ones.",
    )
    .unsigned()
    .since(Since::Redis74)
    .area(Area::Tls),
    integer(
        "lookahead",
        "16",
        (1, INT_MAX),
        "Commands of one pipeline parsed before they run, so that their keys can be prefetched.",
    )
    .since(Since::Redis8)
    .area(Area::Compatibility),
    integer(
        "metrics-port",
        "0",
        (0, 65535),
        "Port of the HTTP endpoint with /metrics, /healthz and /readyz; 0 has none.",
    )
    .immutable()
    .since(Since::Coreshard),
    text("metrics-bind", "127.0.0.1", "Address that the metrics endpoint listens on.")
        .immutable()
        .since(Since::Coreshard),
];
