//! What FUNCTION DUMP gives and FUNCTION RESTORE takes: `(0xf5 source)* footer`, the footer as of every dump.

use super::error::RdbError;
use super::format::VERSION_DUMPED;
use super::length::Bytes;
use super::payload::{checked, seal};
use super::read::{Limits, Reader};
use super::write::Writer;
use crate::types::Encodings;

/// Before the source of a library.
const LIBRARY: u8 = 245;

/// Longest source, after decompression.
const SOURCE_MOST_BYTES: usize = 512 << 20;

/// The payload of libraries with these sources.
pub fn dump_functions<'s>(sources: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut writer = Writer::new();
    for source in sources {
        writer.byte(LIBRARY);
        writer.string(source);
    }
    seal(writer.out, VERSION_DUMPED)
}

/// The sources in a payload.
pub fn restore_functions(payload: &[u8]) -> Result<Vec<Vec<u8>>, RdbError> {
    let body = checked(payload)?;
    let mut reader =
        Reader::new(body, Limits { string_bytes: SOURCE_MOST_BYTES, encodings: Encodings::default() });
    let mut sources = Vec::new();
    while reader.offset() < body.len() {
        if reader.byte()? != LIBRARY {
            return Err(RdbError::UnknownType(0));
        }
        sources.push(reader.bytes()?.into_owned());
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_come_back() {
        let sources = [b"#!lua name=a\nx".to_vec(), b"y".repeat(500)];
        let payload = dump_functions(sources.iter().map(|source| &source[..]));
        assert_eq!(restore_functions(&payload).unwrap(), sources);
        for cut in 0..payload.len() {
            assert!(restore_functions(&payload[..cut]).is_err());
        }
    }
}
