//! The tree of a command's arguments, as COMMAND DOCS shows it.

/// The kind of an argument in COMMAND DOCS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ArgKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    /// A token without a value.
    PureToken,
    /// Exactly one of the children.
    OneOf(&'static [Arg]),
    /// All children in a row.
    Block(&'static [Arg]),
}

/// One argument of a command's syntax.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arg {
    pub name: &'static str,
    pub kind: ArgKind,
    /// The literal word before the value; empty when there is none.
    pub token: &'static str,
    pub optional: bool,
    pub multiple: bool,
    /// The token repeats with every value.
    pub multiple_token: bool,
    /// Which key spec describes it, for keys.
    pub key_spec: Option<u8>,
    /// The version that brought it, when later than the command.
    pub since: &'static str,
}

impl Arg {
    /// An argument of this kind, required, once.
    pub const fn new(name: &'static str, kind: ArgKind) -> Arg {
        Arg {
            name,
            kind,
            token: "",
            optional: false,
            multiple: false,
            multiple_token: false,
            key_spec: None,
            since: "",
        }
    }
    /// A key described by key spec `spec`.
    pub const fn key(name: &'static str, spec: u8) -> Arg {
        let mut arg = Arg::new(name, ArgKind::Key);
        arg.key_spec = Some(spec);
        arg
    }
    /// A bare word.
    pub const fn word(name: &'static str, token: &'static str) -> Arg {
        Arg::new(name, ArgKind::PureToken).token(token)
    }
    /// With this word before it.
    pub const fn token(mut self, token: &'static str) -> Arg {
        self.token = token;
        self
    }
    /// It may be left out.
    pub const fn optional(mut self) -> Arg {
        self.optional = true;
        self
    }
    /// It may be there several times.
    pub const fn multiple(mut self) -> Arg {
        self.multiple = true;
        self
    }
    /// It may be there several times, each time with its word.
    pub const fn multiple_token(mut self) -> Arg {
        self.multiple = true;
        self.multiple_token = true;
        self
    }
    /// It came with this version.
    pub const fn since(mut self, since: &'static str) -> Arg {
        self.since = since;
        self
    }
}
