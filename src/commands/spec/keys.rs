//! Key specs: where a command's keys are among its arguments, and what it does with them.

/// How a command uses the keys of a key spec, with the names COMMAND INFO shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access(pub u16);

impl Access {
    pub const RW: Access = Access(1);
    pub const RO: Access = Access(1 << 1);
    pub const OW: Access = Access(1 << 2);
    pub const RM: Access = Access(1 << 3);
    pub const ACCESS: Access = Access(1 << 4);
    pub const UPDATE: Access = Access(1 << 5);
    pub const INSERT: Access = Access(1 << 6);
    pub const DELETE: Access = Access(1 << 7);
    pub const NOT_KEY: Access = Access(1 << 8);
    pub const INCOMPLETE: Access = Access(1 << 9);
    pub const VARIABLE_FLAGS: Access = Access(1 << 10);
    /// Every flag with its wire name, in Redis's order.
    pub const ALL: &'static [(Access, &'static str)] = &[
        (Access::RW, "RW"),
        (Access::RO, "RO"),
        (Access::OW, "OW"),
        (Access::RM, "RM"),
        (Access::ACCESS, "access"),
        (Access::UPDATE, "update"),
        (Access::INSERT, "insert"),
        (Access::DELETE, "delete"),
        (Access::NOT_KEY, "not_key"),
        (Access::INCOMPLETE, "incomplete"),
        (Access::VARIABLE_FLAGS, "variable_flags"),
    ];

    /// Both sets together.
    pub const fn and(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }

    /// True when every flag of `other` is set.
    pub const fn has(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where the keys of a key spec begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// At this argument (the command name is 0).
    Index(usize),
    /// After this keyword, searched from `from` (negative: from the end, backwards).
    Keyword {
        word: &'static str,
        from: isize,
    },
    Unknown,
}

/// How the keys of a key spec follow from where they begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Find {
    /// Up to `last` arguments further (negative: from the end of the arguments, -1 the last one), every `step`-th;
    /// `limit` > 1 divides what remains when `last` is -1.
    Range {
        last: isize,
        step: usize,
        limit: usize,
    },
    /// A count at `index` says how many keys follow, the first at `first` (both from the beginning).
    KeyNum {
        index: usize,
        first: usize,
        step: usize,
    },
    Unknown,
}

/// One group of keys among a command's arguments.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    pub access: Access,
    /// A remark for COMMAND DOCS readers; empty when there is none.
    pub notes: &'static str,
}

impl KeySpec {
    /// One key at a fixed argument.
    pub const fn one(index: usize, access: Access) -> KeySpec {
        KeySpec {
            begin: Begin::Index(index),
            find: Find::Range { last: 0, step: 1, limit: 0 },
            access,
            notes: "",
        }
    }

    /// Keys from `index` to the last argument, every `step`-th.
    pub const fn rest(index: usize, step: usize, access: Access) -> KeySpec {
        KeySpec {
            begin: Begin::Index(index),
            find: Find::Range { last: -1, step, limit: 0 },
            access,
            notes: "",
        }
    }
}
