//! The row that declares one setting.
//!
//! A row is plain `const` data written with the small builder below, so that a section of the
//! table reads as a list. Everything else about a setting (CONFIG GET, SET and REWRITE, the
//! configuration file, flags, environment variables, the generated `coreshard.conf`) is derived
//! from its row.

use super::value::Value;

/// One setting: what it is called, what it may hold, and what it means.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub name: &'static str,
    /// Older or foreign spellings. CONFIG GET reports them as names of their own, as Redis does.
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    /// The default as one would write it in the configuration file.
    pub default: &'static str,
    pub traits: Traits,
    pub since: Since,
    pub area: Area,
    pub docs: &'static str,
    /// A condition that the kind alone cannot express; the text is what CONFIG SET answers.
    pub check: Option<Check>,
}

/// Refuses a well-formed value with the text that a client sees.
pub type Check = fn(&Value) -> Result<(), &'static str>;

/// What values a setting takes, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `yes` or `no`.
    Flag,
    Number(Range),
    /// One name of a list, or several when `several` is set; the numbers are bits then.
    Choice {
        names: &'static [(&'static str, u32)],
        several: bool,
    },
    /// UTF-8 text. When `empty_is_unset`, an empty text means "not given" and CONFIG REWRITE
    /// removes the line.
    Text {
        empty_is_unset: bool,
    },
    /// Arbitrary bytes (passwords); empty means not given.
    Secret,
    /// The working directory; reported as an absolute path.
    Directory,
    /// `<seconds> <changes>` pairs.
    Save,
    /// `<class> <hard> <soft> <seconds>` for each class of clients.
    OutputLimits,
    /// Three scores: primary, replica, background child.
    OomScores,
    /// Letters that select classes of keyspace notifications.
    Events,
    /// Up to sixteen addresses.
    Bind,
    /// `<host> <port>`, or `no one`.
    Primary,
    /// Percentiles between 0 and 100.
    Percentiles,
}

/// The numbers that a setting takes.
///
/// Bounds and values are 64-bit patterns: when `unsigned`, they are compared as `u64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub min: i64,
    pub max: i64,
    pub unsigned: bool,
    pub unit: Unit,
}

/// What the digits of a number count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain decimal number.
    Count,
    /// Bytes, with an optional `k`, `kb`, `m`, `mb`, `g` or `gb`.
    Memory,
    /// Bytes, or a percentage of `maxmemory` (held as a negative number).
    MemoryOrPercent,
    /// An octal number (file permissions).
    Octal,
}

/// Properties of a setting, a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits(u8);

impl Traits {
    pub const NONE: Traits = Traits(0);
    /// Only the start may set it; CONFIG SET refuses.
    pub const IMMUTABLE: Traits = Traits(1);
    /// Secret: clients' CONFIG SET is redacted wherever commands are shown.
    pub const SENSITIVE: Traits = Traits(2);
    /// CONFIG GET shows it only when named in full, and the generated file omits it.
    pub const HIDDEN: Traits = Traits(4);
    /// CONFIG SET needs `enable-protected-configs`.
    pub const PROTECTED: Traits = Traits(8);
    /// CONFIG SET is refused while a data set is loading.
    pub const DENY_LOADING: Traits = Traits(16);
    /// Setting it to the value it has counts as a change (a file may have new content).
    pub const VOLATILE: Traits = Traits(32);

    /// True when every trait of `other` is set.
    pub const fn has(self, other: Traits) -> bool {
        self.0 & other.0 == other.0
    }

    const fn with(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

/// Where a directive comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Redis70,
    Redis72,
    Redis74,
    Redis8,
    Valkey,
    Coreshard,
}

/// What a setting is about, where that is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// It is here, and reads the setting.
    Core,
    Replication,
    Cluster,
    Acl,
    Tls,
    Modules,
    /// Accepted so that existing files and tools work; there is nothing here for it to govern.
    Compatibility,
}

impl Area {
    /// A remark for the generated configuration file, when the setting has no effect.
    pub const fn remark(self) -> Option<&'static str> {
        match self {
            Area::Core => None,
            Area::Replication => Some("Stored without effect: there is no replication."),
            Area::Cluster => Some("Stored without effect: there is no cluster mode."),
            Area::Acl => Some("Stored without effect: there are no access control lists."),
            Area::Tls => Some("Stored without effect: there is no TLS."),
            Area::Modules => Some("Stored without effect: there are no modules."),
            Area::Compatibility => Some("Accepted for compatibility, without effect."),
        }
    }
}

pub(super) const INT_MAX: i64 = i32::MAX as i64;
pub(super) const INT_MIN: i64 = i32::MIN as i64;
pub(super) const UINT_MAX: i64 = u32::MAX as i64;
pub(super) const LONG_MAX: i64 = i64::MAX;
/// The bit pattern of the largest `u64`.
pub(super) const ULONG_MAX: i64 = -1;

const fn row(name: &'static str, kind: Kind, default: &'static str, docs: &'static str) -> Setting {
    Setting {
        name,
        aliases: &[],
        kind,
        default,
        traits: Traits::NONE,
        since: Since::Redis70,
        area: Area::Core,
        docs,
        check: None,
    }
}

pub(super) const fn flag(name: &'static str, default: &'static str, docs: &'static str) -> Setting {
    row(name, Kind::Flag, default, docs)
}

pub(super) const fn integer(
    name: &'static str,
    default: &'static str,
    (min, max): (i64, i64),
    docs: &'static str,
) -> Setting {
    row(name, Kind::Number(Range { min, max, unsigned: false, unit: Unit::Count }), default, docs)
}

pub(super) const fn memory(
    name: &'static str,
    default: &'static str,
    (min, max): (i64, i64),
    docs: &'static str,
) -> Setting {
    row(name, Kind::Number(Range { min, max, unsigned: false, unit: Unit::Memory }), default, docs)
}

pub(super) const fn choice(
    name: &'static str,
    default: &'static str,
    names: &'static [(&'static str, u32)],
    docs: &'static str,
) -> Setting {
    row(name, Kind::Choice { names, several: false }, default, docs)
}

/// Text whose absence is written as an empty value.
pub(super) const fn optional(name: &'static str, docs: &'static str) -> Setting {
    row(name, Kind::Text { empty_is_unset: true }, "", docs)
}

pub(super) const fn text(name: &'static str, default: &'static str, docs: &'static str) -> Setting {
    row(name, Kind::Text { empty_is_unset: false }, default, docs)
}

pub(super) const fn special(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    docs: &'static str,
) -> Setting {
    row(name, kind, default, docs)
}

impl Setting {
    pub(super) const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn marked(mut self, traits: Traits) -> Self {
        self.traits = self.traits.with(traits);
        self
    }

    pub(super) const fn immutable(self) -> Self {
        self.marked(Traits::IMMUTABLE)
    }

    pub(super) const fn sensitive(self) -> Self {
        self.marked(Traits::SENSITIVE)
    }

    pub(super) const fn hidden(self) -> Self {
        self.marked(Traits::HIDDEN)
    }

    pub(super) const fn protected(self) -> Self {
        self.marked(Traits::PROTECTED)
    }

    pub(super) const fn deny_loading(self) -> Self {
        self.marked(Traits::DENY_LOADING)
    }

    pub(super) const fn volatile(self) -> Self {
        self.marked(Traits::VOLATILE)
    }

    pub(super) const fn since(mut self, since: Since) -> Self {
        self.since = since;
        self
    }

    pub(super) const fn area(mut self, area: Area) -> Self {
        self.area = area;
        self
    }

    pub(super) const fn checked(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Compares bounds and values as unsigned numbers, as Redis does for some settings.
    pub(super) const fn unsigned(mut self) -> Self {
        if let Kind::Number(mut range) = self.kind {
            range.unsigned = true;
            self.kind = Kind::Number(range);
        }
        self
    }

    pub(super) const fn unit(mut self, unit: Unit) -> Self {
        if let Kind::Number(mut range) = self.kind {
            range.unit = unit;
            self.kind = Kind::Number(range);
        }
        self
    }

    pub(super) const fn several(mut self) -> Self {
        if let Kind::Choice { names, .. } = self.kind {
            self.kind = Kind::Choice { names, several: true };
        }
        self
    }

    /// Whether a line or a CONFIG SET value is split into several arguments.
    pub const fn takes_several(&self) -> bool {
        match self.kind {
            Kind::Choice { several, .. } => several,
            Kind::Save
            | Kind::OutputLimits
            | Kind::OomScores
            | Kind::Bind
            | Kind::Primary
            | Kind::Percentiles => true,
            _ => false,
        }
    }

    /// Whether `name` is this setting's name or one of its aliases, and which, in lower case.
    pub fn answers_to(&self, name: &[u8]) -> Option<&'static str> {
        std::iter::once(self.name)
            .chain(self.aliases.iter().copied())
            .find(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    /// What the setting takes, as a phrase for error messages and the generated file.
    pub fn expected(&self) -> String {
        match self.kind {
            Kind::Flag => "yes or no".into(),
            Kind::Number(range) => range.expected(),
            Kind::Choice { names, several } => {
                let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
                let how_many = if several { "one or more of" } else { "one of" };
                format!("{how_many} {}", names.join(", "))
            }
            Kind::Text { .. } | Kind::Secret => "one text, in quotes if it has blanks".into(),
            Kind::Directory => "an existing directory".into(),
            Kind::Save => "pairs of <seconds> <changes>, or \"\"".into(),
            Kind::OutputLimits => {
                "<normal|replica|pubsub> <hard limit> <soft limit> <soft seconds>, repeated".into()
            }
            Kind::OomScores => "three integers between -2000 and 2000".into(),
            Kind::Events => "letters out of Ag$lshzxeKEtmdn, or \"\"".into(),
            Kind::Bind => "up to 16 addresses".into(),
            Kind::Primary => "<host> <port>, or no one".into(),
            Kind::Percentiles => "numbers between 0 and 100, or \"\"".into(),
        }
    }
}

impl Range {
    fn expected(&self) -> String {
        let show = |bound: i64| {
            if self.unit == Unit::Octal {
                format!("{bound:o}")
            } else if self.unsigned {
                (bound as u64).to_string()
            } else {
                bound.to_string()
            }
        };
        let (min, max) = (show(self.min), show(self.max));
        match self.unit {
            Unit::Count => format!("an integer between {min} and {max}"),
            Unit::Octal => format!("an octal number between {min} and {max}"),
            Unit::Memory => format!("a size such as 100mb, between {min} and {max} bytes"),
            Unit::MemoryOrPercent => {
                format!("a size such as 100mb, up to {max} bytes, or a percentage up to {}%", -self.min)
            }
        }
    }
}
