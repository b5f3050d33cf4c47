//! Names of the parts of a value that an event is about: of a hash, the fields.
//!
//! They are kept in the form in which subkey notifications show them, `<length>:<name>` with commas between, which any
//! bytes can be read from again.

use std::fmt;

/// Names of fields, in the order in which they were touched. A field that was touched twice is named twice.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Subkeys {
    shown: Vec<u8>,
}

impl Subkeys {
    pub fn push(&mut self, name: &[u8]) {
        if !self.shown.is_empty() {
            self.shown.push(b',');
        }
        self.shown.extend_from_slice(itoa::Buffer::new().format(name.len()).as_bytes());
        self.shown.push(b':');
        self.shown.extend_from_slice(name);
    }

    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    /// `<length>:<name>,...`
    pub fn shown(&self) -> &[u8] {
        &self.shown
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.shown[..];
        std::iter::from_fn(move || {
            let digits = rest.iter().position(|byte| *byte == b':')?;
            let length =
                rest[..digits].iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
            let name = &rest[digits + 1..][..length];
            rest = rest[digits + 1 + length..].strip_prefix(b",").unwrap_or_default();
            Some(name)
        })
    }
}

impl<'a> FromIterator<&'a [u8]> for Subkeys {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(names: I) -> Subkeys {
        let mut subkeys = Subkeys::default();
        names.into_iter().for_each(|name| subkeys.push(name));
        subkeys
    }
}

impl fmt::Debug for Subkeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.escape_ascii().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_names_are_read_as_they_were_pushed() {
        for names in [&[][..], &["a"], &["", ""], &["a,1:b", "12:", ",", "a"], &["0123456789abc"]] {
            let subkeys: Subkeys = names.iter().map(|name| name.as_bytes()).collect();
            let read: Vec<&[u8]> = subkeys.iter().collect();
            assert_eq!(read, names.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
            assert_eq!(subkeys.is_empty(), names.is_empty());
        }
        let subkeys: Subkeys = [b"abc".as_slice(), b"xx"].into_iter().collect();
        assert_eq!(subkeys.shown(), b"3:abc,2:xx");
    }
}
