//! Flags of a command, as COMMAND INFO shows them.

/// A set of command flags, with the names that COMMAND INFO shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(pub u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:expr, $wire:expr;)*) => {
        impl Flags {
            /// No flag.
            pub const NONE: Flags = Flags(0);
            $($(#[$doc])* pub const $name: Flags = Flags(1 << $bit);)*
            /// Every flag with the name it has on the wire, in the order Redis lists them.
            pub const ALL: &'static [(Flags, &'static str)] = &[$((Flags::$name, $wire)),*];
        }
    };
}

flags! {
    /// May change the keyspace.
    WRITE = 0, "write";
    /// Reads keys and changes nothing.
    READONLY = 1, "readonly";
    /// May grow memory: refused when out of memory.
    DENYOOM = 2, "denyoom";
    /// For administrators.
    ADMIN = 3, "admin";
    /// Belongs to publish/subscribe.
    PUBSUB = 4, "pubsub";
    /// Not callable from scripts.
    NOSCRIPT = 5, "noscript";
    /// May block the client.
    BLOCKING = 6, "blocking";
    /// Allowed while loading.
    LOADING = 7, "loading";
    /// Allowed on a replica with stale data.
    STALE = 8, "stale";
    /// Not fed to MONITOR.
    SKIP_MONITOR = 9, "skip_monitor";
    /// Not recorded in the slow log.
    SKIP_SLOWLOG = 10, "skip_slowlog";
    /// Accepts keys of an importing slot.
    ASKING = 11, "asking";
    /// Constant or logarithmic time.
    FAST = 12, "fast";
    /// Allowed before authentication.
    NO_AUTH = 13, "no_auth";
    /// May replicate although it is not a write.
    MAY_REPLICATE = 14, "may_replicate";
    /// Refused while loading asynchronously.
    NO_ASYNC_LOADING = 15, "no_async_loading";
    /// Not allowed inside MULTI.
    NO_MULTI = 16, "no_multi";
    /// Keys cannot be found by position alone.
    MOVABLEKEYS = 17, "movablekeys";
    /// Allowed while a script is busy.
    ALLOW_BUSY = 18, "allow_busy";
    /// A container may be called without its keys.
    NO_MANDATORY_KEYS = 19, "no_mandatory_keys";
    /// Needs enable-debug-command or the like.
    PROTECTED = 20, "protected";
    /// Touches keys it does not name.
    TOUCHES_ARBITRARY_KEYS = 21, "touches_arbitrary_keys";
}

impl Flags {
    /// Both sets together.
    pub const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// True when every flag of `other` is set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}
