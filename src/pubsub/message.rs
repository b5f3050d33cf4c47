//! A published message, and the lines that subscribers see of it.
//!
//! A line is written once, as the push of RESP3; in RESP2 it is the same bytes behind another first byte. A long
//! message is referred to, not copied.

use std::sync::Arc;

use super::Space;
use crate::resp::writer::SHARED_MIN_BYTES;
use crate::resp::{Output, Protocol, Reply};

/// What is published, for as long as a core works on it.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub space: Space,
    pub channel: &'a [u8],
    pub text: Text<'a>,
}

/// The words of a message.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    Short(&'a [u8]),
    Long(&'a Arc<Vec<u8>>),
}

impl Message<'_> {
    /// The line of those who subscribed to the channel.
    pub fn line(&self, line: &mut Output) {
        line.clear();
        let mut reply = Reply::new(line, Protocol::Resp3);
        reply.push(3);
        reply.bulk(if self.space == Space::Shard { b"smessage" } else { b"message" });
        reply.bulk(self.channel);
        self.text.write(&mut reply);
    }

    /// The line of those who subscribed to a pattern.
    pub fn pattern_line(&self, pattern: &[u8], line: &mut Output) {
        line.clear();
        let mut reply = Reply::new(line, Protocol::Resp3);
        reply.push(4);
        reply.bulk(b"pmessage");
        reply.bulk(pattern);
        reply.bulk(self.channel);
        self.text.write(&mut reply);
    }
}

impl Text<'_> {
    fn write(&self, reply: &mut Reply<'_>) {
        match self {
            Text::Short(text) => reply.bulk(text),
            Text::Long(text) => reply.bulk_shared(text, 0..text.len()),
        }
    }
}

/// Writes a line for one subscriber.
#[inline]
pub fn write_line(line: &Output, protocol: Protocol, out: &mut Output) {
    let at = out.bytes.len();
    out.bytes.extend_from_slice(&line.bytes);
    if protocol == Protocol::Resp2 {
        out.bytes[at] = b'*';
    }
    for (before, text, range) in &line.shared {
        out.shared.push((at + before, text.clone(), range.clone()));
    }
}

/// A text that is long enough to be referred to.
pub fn long(text: &[u8]) -> Option<Arc<Vec<u8>>> {
    (text.len() >= SHARED_MIN_BYTES).then(|| Arc::new(text.to_vec()))
}

/// A message on its way to other cores.
#[derive(Debug)]
pub struct Letter {
    space: Space,
    /// The channel, and behind it a text that is not long.
    bytes: Box<[u8]>,
    channel_bytes: usize,
    long: Option<Arc<Vec<u8>>>,
}

impl Letter {
    /// A copy of a message.
    pub fn new(message: &Message<'_>) -> Letter {
        let (short, long) = match message.text {
            Text::Short(text) => (text, None),
            Text::Long(text) => (&[][..], Some(text.clone())),
        };
        let bytes = [message.channel, short].concat().into();
        Letter { space: message.space, bytes, channel_bytes: message.channel.len(), long }
    }

    /// What it says.
    pub fn message(&self) -> Message<'_> {
        let (channel, short) = self.bytes.split_at(self.channel_bytes);
        let text = self.long.as_ref().map_or(Text::Short(short), Text::Long);
        Message { space: self.space, channel, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(line: &Output, protocol: Protocol) -> String {
        let mut out = Output::default();
        out.bytes.extend_from_slice(b"+OK\r\n");
        write_line(line, protocol, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn lines_differ_by_protocol_in_their_first_byte() {
        let message = Message { space: Space::Channel, channel: b"ch", text: Text::Short(b"hi") };
        let mut line = Output::default();
        message.line(&mut line);
        let text = "3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n";
        assert_eq!(seen(&line, Protocol::Resp2), format!("+OK\r\n*{text}"));
        assert_eq!(seen(&line, Protocol::Resp3), format!("+OK\r\n>{text}"));
        message.pattern_line(b"c*", &mut line);
        let text = "4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$2\r\nch\r\n$2\r\nhi\r\n";
        assert_eq!(seen(&line, Protocol::Resp2), format!("+OK\r\n*{text}"));
        Message { space: Space::Shard, ..message }.line(&mut line);
        assert_eq!(seen(&line, Protocol::Resp3), "+OK\r\n>3\r\n$8\r\nsmessage\r\n$2\r\nch\r\n$2\r\nhi\r\n");
    }

    #[test]
    fn a_long_text_is_referred_to() {
        let text = long(&[b'x'; SHARED_MIN_BYTES]).unwrap();
        assert!(long(&[b'x'; SHARED_MIN_BYTES - 1]).is_none());
        let message = Message { space: Space::Channel, channel: b"ch", text: Text::Long(&text) };
        let letter = Letter::new(&message);
        let mut line = Output::default();
        letter.message().line(&mut line);
        let mut out = Output::default();
        write_line(&line, Protocol::Resp2, &mut out);
        write_line(&line, Protocol::Resp3, &mut out);
        assert_eq!(out.shared[1].1.bytes().as_ptr(), text.as_ptr());
        let x = "x".repeat(SHARED_MIN_BYTES);
        let text = format!("3\r\n$7\r\nmessage\r\n$2\r\nch\r\n${SHARED_MIN_BYTES}\r\n{x}\r\n");
        assert_eq!(String::from_utf8(out.to_vec()).unwrap(), format!("*{text}>{text}"));
    }

    #[test]
    fn a_letter_says_what_the_message_said() {
        let message = Message { space: Space::Shard, channel: b"ch", text: Text::Short(b"") };
        let letter = Letter::new(&message);
        let read = letter.message();
        assert_eq!((read.space, read.channel), (Space::Shard, &b"ch"[..]));
        assert!(matches!(read.text, Text::Short(b"")));
    }
}
