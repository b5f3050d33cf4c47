//! One constant per setting, typed by what reading it yields.
//!
//! `config.integer(id::HZ)` is an index into an array, and asking a setting for the wrong type
//! does not compile. A misspelt name does not compile either.

use super::setting::{Kind, Unit};
use super::settings::Id;

/// A setting that is `yes` or `no`.
#[derive(Debug, Clone, Copy)]
pub struct FlagId(pub Id);
/// A setting that is a plain (or octal) number.
#[derive(Debug, Clone, Copy)]
pub struct IntegerId(pub Id);
/// A setting that is a number of bytes.
#[derive(Debug, Clone, Copy)]
pub struct MemoryId(pub Id);
/// A setting that is one or several names of a list.
#[derive(Debug, Clone, Copy)]
pub struct ChoiceId(pub Id);
/// A setting that is UTF-8 text.
#[derive(Debug, Clone, Copy)]
pub struct TextId(pub Id);
/// A setting that is arbitrary bytes.
#[derive(Debug, Clone, Copy)]
pub struct SecretId(pub Id);

impl FlagId {
    const fn of(name: &str) -> FlagId {
        let id = Id::of(name);
        assert!(matches!(id.kind(), Kind::Flag));
        FlagId(id)
    }
}

impl IntegerId {
    const fn of(name: &str) -> IntegerId {
        let id = Id::of(name);
        let Kind::Number(range) = id.kind() else { panic!("not a number") };
        assert!(matches!(range.unit, Unit::Count | Unit::Octal));
        IntegerId(id)
    }
}

impl MemoryId {
    const fn of(name: &str) -> MemoryId {
        let id = Id::of(name);
        let Kind::Number(range) = id.kind() else { panic!("not a number") };
        assert!(matches!(range.unit, Unit::Memory));
        MemoryId(id)
    }
}

impl ChoiceId {
    const fn of(name: &str) -> ChoiceId {
        let id = Id::of(name);
        assert!(matches!(id.kind(), Kind::Choice { .. }));
        ChoiceId(id)
    }
}

impl TextId {
    const fn of(name: &str) -> TextId {
        let id = Id::of(name);
        assert!(matches!(id.kind(), Kind::Text { .. }));
        TextId(id)
    }
}

impl SecretId {
    const fn of(name: &str) -> SecretId {
        let id = Id::of(name);
        assert!(matches!(id.kind(), Kind::Secret));
        SecretId(id)
    }
}

pub const BIND: Id = Id::of("bind");
pub const PORT: IntegerId = IntegerId::of("port");
pub const PROTECTED_MODE: FlagId = FlagId::of("protected-mode");
pub const TCP_BACKLOG: IntegerId = IntegerId::of("tcp-backlog");
pub const UNIXSOCKET: TextId = TextId::of("unixsocket");
pub const UNIXSOCKETPERM: IntegerId = IntegerId::of("unixsocketperm");
pub const TIMEOUT: IntegerId = IntegerId::of("timeout");
pub const TCP_KEEPALIVE: IntegerId = IntegerId::of("tcp-keepalive");
pub const SOCKET_MARK_ID: IntegerId = IntegerId::of("socket-mark-id");
pub const BIND_SOURCE_ADDR: TextId = TextId::of("bind-source-addr");
pub const MAXCLIENTS: IntegerId = IntegerId::of("maxclients");
pub const MAXMEMORY_CLIENTS: Id = Id::of("maxmemory-clients");
pub const CLIENT_QUERY_BUFFER_LIMIT: MemoryId = MemoryId::of("client-query-buffer-limit");
pub const CLIENT_OUTPUT_BUFFER_LIMIT: Id = Id::of("client-output-buffer-limit");
pub const PROTO_MAX_BULK_LEN: MemoryId = MemoryId::of("proto-max-bulk-len");
pub const MAX_NEW_CONNECTIONS_PER_CYCLE: IntegerId = IntegerId::of("max-new-connections-per-cycle");
pub const MAX_NEW_TLS_CONNECTIONS_PER_CYCLE: IntegerId = IntegerId::of("max-new-tls-connections-per-cycle");
pub const LOOKAHEAD: IntegerId = IntegerId::of("lookahead");
pub const METRICS_PORT: IntegerId = IntegerId::of("metrics-port");
pub const METRICS_BIND: TextId = TextId::of("metrics-bind");

pub const THREADS: IntegerId = IntegerId::of("threads");
pub const ENGINE: ChoiceId = ChoiceId::of("engine");
pub const NUMA: FlagId = FlagId::of("numa");
pub const PIN_CORES: FlagId = FlagId::of("pin-cores");
pub const SPIN_US: IntegerId = IntegerId::of("spin-us");
pub const DAEMONIZE: FlagId = FlagId::of("daemonize");
pub const SUPERVISED: ChoiceId = ChoiceId::of("supervised");
pub const PIDFILE: TextId = TextId::of("pidfile");
pub const LOGLEVEL: ChoiceId = ChoiceId::of("loglevel");
pub const LOGFILE: TextId = TextId::of("logfile");
pub const SYSLOG_ENABLED: FlagId = FlagId::of("syslog-enabled");
pub const SYSLOG_IDENT: TextId = TextId::of("syslog-ident");
pub const SYSLOG_FACILITY: ChoiceId = ChoiceId::of("syslog-facility");
pub const HIDE_USER_DATA_FROM_LOG: FlagId = FlagId::of("hide-user-data-from-log");
pub const CRASH_LOG_ENABLED: FlagId = FlagId::of("crash-log-enabled");
pub const CRASH_MEMCHECK_ENABLED: FlagId = FlagId::of("crash-memcheck-enabled");
pub const USE_EXIT_ON_PANIC: FlagId = FlagId::of("use-exit-on-panic");
pub const DATABASES: IntegerId = IntegerId::of("databases");
pub const ALWAYS_SHOW_LOGO: FlagId = FlagId::of("always-show-logo");
pub const SET_PROC_TITLE: FlagId = FlagId::of("set-proc-title");
pub const PROC_TITLE_TEMPLATE: TextId = TextId::of("proc-title-template");
pub const LOCALE_COLLATE: TextId = TextId::of("locale-collate");
pub const HZ: IntegerId = IntegerId::of("hz");
pub const DYNAMIC_HZ: FlagId = FlagId::of("dynamic-hz");
pub const SHUTDOWN_TIMEOUT: IntegerId = IntegerId::of("shutdown-timeout");
pub const SHUTDOWN_ON_SIGINT: ChoiceId = ChoiceId::of("shutdown-on-sigint");
pub const SHUTDOWN_ON_SIGTERM: ChoiceId = ChoiceId::of("shutdown-on-sigterm");
pub const OOM_SCORE_ADJ: ChoiceId = ChoiceId::of("oom-score-adj");
pub const OOM_SCORE_ADJ_VALUES: Id = Id::of("oom-score-adj-values");
pub const DISABLE_THP: FlagId = FlagId::of("disable-thp");
pub const IGNORE_WARNINGS: TextId = TextId::of("ignore-warnings");
pub const SERVER_CPULIST: TextId = TextId::of("server-cpulist");
pub const BIO_CPULIST: TextId = TextId::of("bio-cpulist");
pub const AOF_REWRITE_CPULIST: TextId = TextId::of("aof-rewrite-cpulist");
pub const BGSAVE_CPULIST: TextId = TextId::of("bgsave-cpulist");
pub const IO_THREADS: IntegerId = IntegerId::of("io-threads");
pub const IO_THREADS_DO_READS: FlagId = FlagId::of("io-threads-do-reads");
pub const PREFETCH_BATCH_MAX_SIZE: IntegerId = IntegerId::of("prefetch-batch-max-size");
pub const WATCHDOG_PERIOD: IntegerId = IntegerId::of("watchdog-period");
pub const JEMALLOC_BG_THREAD: FlagId = FlagId::of("jemalloc-bg-thread");

pub const MAXMEMORY: MemoryId = MemoryId::of("maxmemory");
pub const MAXMEMORY_POLICY: ChoiceId = ChoiceId::of("maxmemory-policy");
pub const MAXMEMORY_SAMPLES: IntegerId = IntegerId::of("maxmemory-samples");
pub const MAXMEMORY_EVICTION_TENACITY: IntegerId = IntegerId::of("maxmemory-eviction-tenacity");
pub const LFU_LOG_FACTOR: IntegerId = IntegerId::of("lfu-log-factor");
pub const LFU_DECAY_TIME: IntegerId = IntegerId::of("lfu-decay-time");
pub const ACTIVE_EXPIRE_EFFORT: IntegerId = IntegerId::of("active-expire-effort");
pub const LAZYEXPIRE_NESTED_ARBITRARY_KEYS: FlagId = FlagId::of("lazyexpire-nested-arbitrary-keys");
pub const LAZYFREE_LAZY_EVICTION: FlagId = FlagId::of("lazyfree-lazy-eviction");
pub const LAZYFREE_LAZY_EXPIRE: FlagId = FlagId::of("lazyfree-lazy-expire");
pub const LAZYFREE_LAZY_SERVER_DEL: FlagId = FlagId::of("lazyfree-lazy-server-del");
pub const LAZYFREE_LAZY_USER_DEL: FlagId = FlagId::of("lazyfree-lazy-user-del");
pub const LAZYFREE_LAZY_USER_FLUSH: FlagId = FlagId::of("lazyfree-lazy-user-flush");
pub const ACTIVEREHASHING: FlagId = FlagId::of("activerehashing");
pub const ACTIVEDEFRAG: FlagId = FlagId::of("activedefrag");
pub const ACTIVE_DEFRAG_IGNORE_BYTES: MemoryId = MemoryId::of("active-defrag-ignore-bytes");
pub const ACTIVE_DEFRAG_THRESHOLD_LOWER: IntegerId = IntegerId::of("active-defrag-threshold-lower");
pub const ACTIVE_DEFRAG_THRESHOLD_UPPER: IntegerId = IntegerId::of("active-defrag-threshold-upper");
pub const ACTIVE_DEFRAG_CYCLE_MIN: IntegerId = IntegerId::of("active-defrag-cycle-min");
pub const ACTIVE_DEFRAG_CYCLE_MAX: IntegerId = IntegerId::of("active-defrag-cycle-max");
pub const ACTIVE_DEFRAG_MAX_SCAN_FIELDS: IntegerId = IntegerId::of("active-defrag-max-scan-fields");

pub const HASH_MAX_LISTPACK_ENTRIES: IntegerId = IntegerId::of("hash-max-listpack-entries");
pub const HASH_MAX_LISTPACK_VALUE: MemoryId = MemoryId::of("hash-max-listpack-value");
pub const LIST_MAX_LISTPACK_SIZE: IntegerId = IntegerId::of("list-max-listpack-size");
pub const LIST_COMPRESS_DEPTH: IntegerId = IntegerId::of("list-compress-depth");
pub const SET_MAX_INTSET_ENTRIES: IntegerId = IntegerId::of("set-max-intset-entries");
pub const SET_MAX_LISTPACK_ENTRIES: IntegerId = IntegerId::of("set-max-listpack-entries");
pub const SET_MAX_LISTPACK_VALUE: IntegerId = IntegerId::of("set-max-listpack-value");
pub const ZSET_MAX_LISTPACK_ENTRIES: IntegerId = IntegerId::of("zset-max-listpack-entries");
pub const ZSET_MAX_LISTPACK_VALUE: MemoryId = MemoryId::of("zset-max-listpack-value");
pub const HLL_SPARSE_MAX_BYTES: MemoryId = MemoryId::of("hll-sparse-max-bytes");
pub const STREAM_NODE_MAX_BYTES: MemoryId = MemoryId::of("stream-node-max-bytes");
pub const STREAM_NODE_MAX_ENTRIES: IntegerId = IntegerId::of("stream-node-max-entries");
pub const STREAM_IDMP_DURATION: IntegerId = IntegerId::of("stream-idmp-duration");
pub const STREAM_IDMP_MAXSIZE: IntegerId = IntegerId::of("stream-idmp-maxsize");

pub const REQUIREPASS: SecretId = SecretId::of("requirepass");
pub const ACLFILE: TextId = TextId::of("aclfile");
pub const ACLLOG_MAX_LEN: IntegerId = IntegerId::of("acllog-max-len");
pub const ACL_PUBSUB_DEFAULT: ChoiceId = ChoiceId::of("acl-pubsub-default");
pub const ENABLE_PROTECTED_CONFIGS: ChoiceId = ChoiceId::of("enable-protected-configs");
pub const ENABLE_DEBUG_COMMAND: ChoiceId = ChoiceId::of("enable-debug-command");
pub const ENABLE_MODULE_COMMAND: ChoiceId = ChoiceId::of("enable-module-command");

pub const SLOWLOG_LOG_SLOWER_THAN: IntegerId = IntegerId::of("slowlog-log-slower-than");
pub const SLOWLOG_MAX_LEN: IntegerId = IntegerId::of("slowlog-max-len");
pub const SLOWLOG_ENTRY_MAX_ARGC: IntegerId = IntegerId::of("slowlog-entry-max-argc");
pub const SLOWLOG_ENTRY_MAX_STRING_LEN: IntegerId = IntegerId::of("slowlog-entry-max-string-len");
pub const COMMANDLOG_REQUEST_LARGER_THAN: IntegerId = IntegerId::of("commandlog-request-larger-than");
pub const COMMANDLOG_LARGE_REQUEST_MAX_LEN: IntegerId = IntegerId::of("commandlog-large-request-max-len");
pub const COMMANDLOG_REPLY_LARGER_THAN: IntegerId = IntegerId::of("commandlog-reply-larger-than");
pub const COMMANDLOG_LARGE_REPLY_MAX_LEN: IntegerId = IntegerId::of("commandlog-large-reply-max-len");
pub const LATENCY_MONITOR_THRESHOLD: IntegerId = IntegerId::of("latency-monitor-threshold");
pub const LATENCY_TRACKING: FlagId = FlagId::of("latency-tracking");
pub const LATENCY_TRACKING_INFO_PERCENTILES: Id = Id::of("latency-tracking-info-percentiles");
pub const NOTIFY_KEYSPACE_EVENTS: Id = Id::of("notify-keyspace-events");
pub const TRACKING_TABLE_MAX_KEYS: IntegerId = IntegerId::of("tracking-table-max-keys");
pub const KEY_MEMORY_HISTOGRAMS: FlagId = FlagId::of("key-memory-histograms");

pub const DIR: Id = Id::of("dir");
pub const SAVE: Id = Id::of("save");
pub const DBFILENAME: TextId = TextId::of("dbfilename");
pub const STOP_WRITES_ON_BGSAVE_ERROR: FlagId = FlagId::of("stop-writes-on-bgsave-error");
pub const RDBCOMPRESSION: FlagId = FlagId::of("rdbcompression");
pub const RDBCHECKSUM: FlagId = FlagId::of("rdbchecksum");
pub const RDB_WRITE_VERSION: ChoiceId = ChoiceId::of("rdb-write-version");
pub const RDB_DEL_SYNC_FILES: FlagId = FlagId::of("rdb-del-sync-files");
pub const RDB_SAVE_INCREMENTAL_FSYNC: FlagId = FlagId::of("rdb-save-incremental-fsync");
pub const RDB_KEY_SAVE_DELAY: IntegerId = IntegerId::of("rdb-key-save-delay");
pub const KEY_LOAD_DELAY: IntegerId = IntegerId::of("key-load-delay");
pub const LOADING_PROCESS_EVENTS_INTERVAL_BYTES: IntegerId =
    IntegerId::of("loading-process-events-interval-bytes");
pub const SANITIZE_DUMP_PAYLOAD: ChoiceId = ChoiceId::of("sanitize-dump-payload");
pub const APPENDONLY: FlagId = FlagId::of("appendonly");
pub const APPENDFILENAME: TextId = TextId::of("appendfilename");
pub const APPENDDIRNAME: TextId = TextId::of("appenddirname");
pub const APPENDFSYNC: ChoiceId = ChoiceId::of("appendfsync");
pub const NO_APPENDFSYNC_ON_REWRITE: FlagId = FlagId::of("no-appendfsync-on-rewrite");
pub const AUTO_AOF_REWRITE_PERCENTAGE: IntegerId = IntegerId::of("auto-aof-rewrite-percentage");
pub const AUTO_AOF_REWRITE_MIN_SIZE: MemoryId = MemoryId::of("auto-aof-rewrite-min-size");
pub const AOF_LOAD_TRUNCATED: FlagId = FlagId::of("aof-load-truncated");
pub const AOF_LOAD_CORRUPT_TAIL_MAX_SIZE: MemoryId = MemoryId::of("aof-load-corrupt-tail-max-size");
pub const AOF_USE_RDB_PREAMBLE: FlagId = FlagId::of("aof-use-rdb-preamble");
pub const AOF_TIMESTAMP_ENABLED: FlagId = FlagId::of("aof-timestamp-enabled");
pub const AOF_REWRITE_INCREMENTAL_FSYNC: FlagId = FlagId::of("aof-rewrite-incremental-fsync");
pub const AOF_DISABLE_AUTO_GC: FlagId = FlagId::of("aof-disable-auto-gc");

pub const REPLICAOF: Id = Id::of("replicaof");
pub const MASTERAUTH: SecretId = SecretId::of("masterauth");
pub const MASTERUSER: TextId = TextId::of("masteruser");
pub const REPLICA_SERVE_STALE_DATA: FlagId = FlagId::of("replica-serve-stale-data");
pub const REPLICA_READ_ONLY: FlagId = FlagId::of("replica-read-only");
pub const REPL_DISKLESS_SYNC: FlagId = FlagId::of("repl-diskless-sync");
pub const REPL_DISKLESS_SYNC_DELAY: IntegerId = IntegerId::of("repl-diskless-sync-delay");
pub const REPL_DISKLESS_SYNC_MAX_REPLICAS: IntegerId = IntegerId::of("repl-diskless-sync-max-replicas");
pub const REPL_DISKLESS_LOAD: ChoiceId = ChoiceId::of("repl-diskless-load");
pub const REPL_RDB_CHANNEL: FlagId = FlagId::of("repl-rdb-channel");
pub const REPLICA_FULL_SYNC_BUFFER_LIMIT: MemoryId = MemoryId::of("replica-full-sync-buffer-limit");
pub const REPL_PING_REPLICA_PERIOD: IntegerId = IntegerId::of("repl-ping-replica-period");
pub const REPL_TIMEOUT: IntegerId = IntegerId::of("repl-timeout");
pub const REPL_DISABLE_TCP_NODELAY: FlagId = FlagId::of("repl-disable-tcp-nodelay");
pub const REPL_BACKLOG_SIZE: MemoryId = MemoryId::of("repl-backlog-size");
pub const REPL_BACKLOG_TTL: IntegerId = IntegerId::of("repl-backlog-ttl");
pub const REPLICA_PRIORITY: IntegerId = IntegerId::of("replica-priority");
pub const MIN_REPLICAS_TO_WRITE: IntegerId = IntegerId::of("min-replicas-to-write");
pub const MIN_REPLICAS_MAX_LAG: IntegerId = IntegerId::of("min-replicas-max-lag");
pub const REPLICA_ANNOUNCE_IP: TextId = TextId::of("replica-announce-ip");
pub const REPLICA_ANNOUNCE_PORT: IntegerId = IntegerId::of("replica-announce-port");
pub const REPLICA_ANNOUNCED: FlagId = FlagId::of("replica-announced");
pub const REPLICA_IGNORE_MAXMEMORY: FlagId = FlagId::of("replica-ignore-maxmemory");
pub const REPLICA_LAZY_FLUSH: FlagId = FlagId::of("replica-lazy-flush");
pub const REPLICA_IGNORE_DISK_WRITE_ERRORS: FlagId = FlagId::of("replica-ignore-disk-write-errors");
pub const PROPAGATION_ERROR_BEHAVIOR: ChoiceId = ChoiceId::of("propagation-error-behavior");

pub const CLUSTER_ENABLED: FlagId = FlagId::of("cluster-enabled");
pub const CLUSTER_CONFIG_FILE: TextId = TextId::of("cluster-config-file");
pub const CLUSTER_NODE_TIMEOUT: IntegerId = IntegerId::of("cluster-node-timeout");
pub const CLUSTER_PORT: IntegerId = IntegerId::of("cluster-port");
pub const CLUSTER_PING_INTERVAL: IntegerId = IntegerId::of("cluster-ping-interval");
pub const CLUSTER_REPLICA_VALIDITY_FACTOR: IntegerId = IntegerId::of("cluster-replica-validity-factor");
pub const CLUSTER_MIGRATION_BARRIER: IntegerId = IntegerId::of("cluster-migration-barrier");
pub const CLUSTER_ALLOW_REPLICA_MIGRATION: FlagId = FlagId::of("cluster-allow-replica-migration");
pub const CLUSTER_REQUIRE_FULL_COVERAGE: FlagId = FlagId::of("cluster-require-full-coverage");
pub const CLUSTER_REPLICA_NO_FAILOVER: FlagId = FlagId::of("cluster-replica-no-failover");
pub const CLUSTER_ALLOW_READS_WHEN_DOWN: FlagId = FlagId::of("cluster-allow-reads-when-down");
pub const CLUSTER_ALLOW_PUBSUBSHARD_WHEN_DOWN: FlagId = FlagId::of("cluster-allow-pubsubshard-when-down");
pub const CLUSTER_LINK_SENDBUF_LIMIT: MemoryId = MemoryId::of("cluster-link-sendbuf-limit");
pub const CLUSTER_ANNOUNCE_IP: TextId = TextId::of("cluster-announce-ip");
pub const CLUSTER_ANNOUNCE_PORT: IntegerId = IntegerId::of("cluster-announce-port");
pub const CLUSTER_ANNOUNCE_TLS_PORT: IntegerId = IntegerId::of("cluster-announce-tls-port");
pub const CLUSTER_ANNOUNCE_BUS_PORT: IntegerId = IntegerId::of("cluster-announce-bus-port");
pub const CLUSTER_ANNOUNCE_HOSTNAME: TextId = TextId::of("cluster-announce-hostname");
pub const CLUSTER_ANNOUNCE_HUMAN_NODENAME: TextId = TextId::of("cluster-announce-human-nodename");
pub const CLUSTER_PREFERRED_ENDPOINT_TYPE: ChoiceId = ChoiceId::of("cluster-preferred-endpoint-type");
pub const CLUSTER_COMPATIBILITY_SAMPLE_RATIO: IntegerId = IntegerId::of("cluster-compatibility-sample-ratio");
pub const CLUSTER_SLOT_STATS_ENABLED: FlagId = FlagId::of("cluster-slot-stats-enabled");
pub const CLUSTER_SLOT_MIGRATION_HANDOFF_MAX_LAG_BYTES: MemoryId =
    MemoryId::of("cluster-slot-migration-handoff-max-lag-bytes");
pub const CLUSTER_SLOT_MIGRATION_WRITE_PAUSE_TIMEOUT: IntegerId =
    IntegerId::of("cluster-slot-migration-write-pause-timeout");

pub const TLS_PORT: IntegerId = IntegerId::of("tls-port");
pub const TLS_CERT_FILE: TextId = TextId::of("tls-cert-file");
pub const TLS_KEY_FILE: TextId = TextId::of("tls-key-file");
pub const TLS_KEY_FILE_PASS: TextId = TextId::of("tls-key-file-pass");
pub const TLS_CLIENT_CERT_FILE: TextId = TextId::of("tls-client-cert-file");
pub const TLS_CLIENT_KEY_FILE: TextId = TextId::of("tls-client-key-file");
pub const TLS_CLIENT_KEY_FILE_PASS: TextId = TextId::of("tls-client-key-file-pass");
pub const TLS_DH_PARAMS_FILE: TextId = TextId::of("tls-dh-params-file");
pub const TLS_CA_CERT_FILE: TextId = TextId::of("tls-ca-cert-file");
pub const TLS_CA_CERT_DIR: TextId = TextId::of("tls-ca-cert-dir");
pub const TLS_AUTH_CLIENTS: ChoiceId = ChoiceId::of("tls-auth-clients");
pub const TLS_AUTH_CLIENTS_USER: ChoiceId = ChoiceId::of("tls-auth-clients-user");
pub const TLS_REPLICATION: FlagId = FlagId::of("tls-replication");
pub const TLS_CLUSTER: FlagId = FlagId::of("tls-cluster");
pub const TLS_PROTOCOLS: TextId = TextId::of("tls-protocols");
pub const TLS_CIPHERS: TextId = TextId::of("tls-ciphers");
pub const TLS_CIPHERSUITES: TextId = TextId::of("tls-ciphersuites");
pub const TLS_PREFER_SERVER_CIPHERS: FlagId = FlagId::of("tls-prefer-server-ciphers");
pub const TLS_SESSION_CACHING: FlagId = FlagId::of("tls-session-caching");
pub const TLS_SESSION_CACHE_SIZE: IntegerId = IntegerId::of("tls-session-cache-size");
pub const TLS_SESSION_CACHE_TIMEOUT: IntegerId = IntegerId::of("tls-session-cache-timeout");

pub const BUSY_REPLY_THRESHOLD: IntegerId = IntegerId::of("busy-reply-threshold");
pub const LUA_ENABLE_DEPRECATED_API: FlagId = FlagId::of("lua-enable-deprecated-api");
