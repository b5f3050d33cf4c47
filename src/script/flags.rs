//! The first line of a script or library, `#!lua name=... flags=...`.

/// What a script says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    pub const NO_WRITES: Flags = Flags(1);
    pub const ALLOW_OOM: Flags = Flags(1 << 1);
    pub const ALLOW_STALE: Flags = Flags(1 << 2);
    pub const NO_CLUSTER: Flags = Flags(1 << 3);
    pub const ALLOW_CROSS_SLOT_KEYS: Flags = Flags(1 << 4);

    /// Every flag with its name, in the order in which functions list them.
    pub const ALL: &'static [(Flags, &'static str)] = &[
        (Flags::NO_WRITES, "no-writes"),
        (Flags::ALLOW_OOM, "allow-oom"),
        (Flags::ALLOW_STALE, "allow-stale"),
        (Flags::NO_CLUSTER, "no-cluster"),
        (Flags::ALLOW_CROSS_SLOT_KEYS, "allow-cross-slot-keys"),
    ];

    /// True when every flag of `other` is set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flag of a name.
    pub fn named(name: &[u8]) -> Option<Flags> {
        Flags::ALL.iter().find(|(_, known)| known.as_bytes() == name).map(|(flag, _)| *flag)
    }
}

/// A script's flags (`None` without a first line of this form) and where its code begins: at the end of that line, so
/// that lines count as written.
pub fn of_script(source: &[u8]) -> Result<(Option<Flags>, usize), String> {
    if !source.starts_with(b"#!") {
        return Ok((None, 0));
    }
    let Some(end) = memchr::memchr(b'\n', source) else {
        return Err("ERR Invalid script shebang".into());
    };
    let mut words = source[..end].split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let engine = words.next().unwrap_or_default();
    if engine != b"#!lua" {
        let engine = String::from_utf8_lossy(engine);
        return Err(format!("ERR Unexpected engine in script shebang: {engine}"));
    }
    let mut flags = Flags::default();
    for word in words {
        let Some(names) = word.strip_prefix(b"flags=") else {
            return Err(format!("ERR Unknown lua shebang option: {}", String::from_utf8_lossy(word)));
        };
        for name in names.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
            let Some(flag) = Flags::named(name) else {
                return Err(format!(
                    "ERR Unexpected flag in script shebang: {}",
                    String::from_utf8_lossy(name)
                ));
            };
            flags.0 |= flag.0;
        }
    }
    Ok((Some(flags), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_read() {
        assert_eq!(of_script(b"return 1"), Ok((None, 0)));
        assert_eq!(of_script(b"#!lua\nreturn 1"), Ok((Some(Flags(0)), 5)));
        assert_eq!(of_script(b"#!lua flags=no-writes,allow-oom\n1"), Ok((Some(Flags(3)), 31)));
        assert_eq!(of_script(b"#!lua").unwrap_err(), "ERR Invalid script shebang");
        assert_eq!(of_script(b"#!py\n").unwrap_err(), "ERR Unexpected engine in script shebang: #!py");
        assert_eq!(of_script(b"#!lua x=1\n").unwrap_err(), "ERR Unknown lua shebang option: x=1");
        assert_eq!(of_script(b"#!lua flags=x\n").unwrap_err(), "ERR Unexpected flag in script shebang: x");
    }
}
