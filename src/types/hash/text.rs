//! A field or a value as readers see it.

use super::LongValue;
use crate::types::listpack::Element;

/// A string, however it is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Long(&'a LongValue),
}

impl<'a> Text<'a> {
    /// The bytes; an integer is written into `digits`.
    #[inline]
    pub fn as_bytes<'b>(&self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match *self {
            Text::Int(value) => digits.format(value).as_bytes(),
            Text::Bytes(bytes) => bytes,
            Text::Long(bytes) => bytes,
        }
    }

    /// How long the string is.
    pub fn text_len(&self) -> usize {
        match *self {
            Text::Int(value) => Element::Int(value).text_len(),
            Text::Bytes(bytes) => bytes.len(),
            Text::Long(bytes) => bytes.len(),
        }
    }
}

impl<'a> From<Element<'a>> for Text<'a> {
    #[inline]
    fn from(element: Element<'a>) -> Text<'a> {
        match element {
            Element::Int(value) => Text::Int(value),
            Element::Bytes(bytes) => Text::Bytes(bytes),
        }
    }
}

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.as_bytes(&mut itoa::Buffer::new()).escape_ascii())
    }
}
