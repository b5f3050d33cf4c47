//! What a client looks like in CLIENT LIST, MONITOR and the slow log.

use super::client::Client;
use crate::runtime::face::ListenerKind;

/// `address:port`, or the path of the Unix socket.
pub fn peer_text(client: &Client) -> String {
    match (client.kind, client.peer) {
        (ListenerKind::Unix, _) => "unix:0".into(),
        (_, Some(peer)) => peer.to_string(),
        (_, None) => "?:0".into(),
    }
}

/// A byte string in double quotes, escaped as Redis shows it.
pub fn push_quoted(line: &mut Vec<u8>, text: &[u8]) {
    line.push(b'"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => line.extend_from_slice(&[b'\\', byte]),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            b'\t' => line.extend_from_slice(b"\\t"),
            7 => line.extend_from_slice(b"\\a"),
            8 => line.extend_from_slice(b"\\b"),
            b' '..=b'~' => line.push(byte),
            _ => line.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    line.push(b'"');
}
