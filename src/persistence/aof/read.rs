//! A log's bytes as commands, with the place of each.
//!
//! ```text
//!   #TS:1764057600\r\n                 a note: the time of what follows
//!   *3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n
//! ```
//!
//! One command is in memory at a time, and memory is asked for only as bytes come. What is not a command, and not the
//! beginning of one that the file's end cut off, is a bad format: there is no way to go on behind it.

use std::io::{self, Read};

use crate::resp::{Argv, Limits, Parser, Step};
use crate::types::STRING_BYTES_MAX;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// A note is not longer.
const NOTE_BYTES: usize = 1024;

/// What comes next in a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// A command: see [`LogReader::argv`].
    Command,
    /// A line that begins with `#`: see [`LogReader::note`].
    Note,
    /// The file ends, and nothing is cut off.
    End,
}

/// Why a log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file ends within a command.
    #[error("the file ends within a command")]
    Short,
    #[error("this is no command")]
    Format,
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads a log.
pub struct LogReader<R> {
    from: R,
    buffer: Vec<u8>,
    /// Where in `buffer` the present record begins and ends.
    begin: usize,
    end: usize,
    /// Offset in the file of the buffer's first byte.
    base: u64,
    parser: Parser,
    limits: Limits,
    ended: bool,
}

impl<R: Read> LogReader<R> {
    /// `offset` is where in the file `from` stands.
    pub fn new(from: R, offset: u64) -> LogReader<R> {
        // Redis: what a log holds was accepted once, so no limit of clients applies.
        let limits = Limits { max_bulk_bytes: STRING_BYTES_MAX, ..Limits::default() };
        LogReader {
            from,
            buffer: Vec::new(),
            begin: 0,
            end: 0,
            base: offset,
            parser: Parser::new(),
            limits,
            ended: false,
        }
    }

    /// The next record.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Next, ReadError> {
        self.begin = self.end;
        loop {
            let rest = &self.buffer[self.begin..];
            let missing = match rest.first() {
                None if self.ended => return Ok(Next::End),
                None => 1,
                Some(b'*') => match self.parser.step(rest, &self.limits) {
                    Ok(Step::Request { consumed }) => {
                        self.end = self.begin + consumed;
                        return Ok(Next::Command);
                    }
                    Ok(Step::Incomplete { missing }) => missing,
                    Ok(Step::Skip { .. }) | Err(_) => return Err(ReadError::Format),
                },
                Some(b'#') => match memchr::memchr(b'\n', &rest[..rest.len().min(NOTE_BYTES)]) {
                    Some(at) => {
                        self.end = self.begin + at + 1;
                        return Ok(Next::Note);
                    }
                    None if rest.len() >= NOTE_BYTES => return Err(ReadError::Format),
                    None => 1,
                },
                Some(_) => return Err(ReadError::Format),
            };
            if self.ended {
                return Err(ReadError::Short);
            }
            self.fill(missing)?;
        }
    }

    /// Reads some of what is missing.
    fn fill(&mut self, missing: usize) -> io::Result<()> {
        // An unfinished command stays where it is until it is finished, so that the parser need not begin anew: what
        // is before it goes as soon as that is at least as much as must be moved.
        if self.begin > 0 && self.begin >= self.buffer.len() - self.begin {
            self.buffer.drain(..self.begin);
            self.base += self.begin as u64;
            (self.begin, self.end) = (0, 0);
        }
        let wanted = missing.clamp(CHUNK_BYTES, 16 * CHUNK_BYTES);
        let before = self.buffer.len();
        self.from.by_ref().take(wanted as u64).read_to_end(&mut self.buffer)?;
        self.ended = self.buffer.len() - before < wanted;
        Ok(())
    }

    /// The command's arguments.
    pub fn argv(&self) -> Argv<'_> {
        self.parser.argv(&self.buffer[self.begin..self.end])
    }

    /// The note, without the line's end.
    pub fn note(&self) -> &[u8] {
        self.buffer[self.begin..self.end].trim_ascii_end()
    }

    /// The record's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    /// Where the present record begins; after an error, what could not be read.
    pub fn begins_at(&self) -> u64 {
        self.base + self.begin as u64
    }

    /// Where it ends.
    pub fn ends_at(&self) -> u64 {
        self.base + self.end as u64
    }
}

/// The time that a note tells, in seconds since the epoch.
pub fn time_of(note: &[u8]) -> Option<i64> {
    crate::types::number::parse_i64(note.strip_prefix(b"#TS:")?)
}

/// What is wrong with the form of a command which a lenient reader passes over: the places of line ends. For
/// `check-aof`. The place is relative to the command's first byte.
pub fn fault_of(bytes: &[u8], argv: Argv<'_>) -> Option<(usize, &'static str)> {
    let Some(mut at) = memchr::memchr(b'\n', bytes).map(|at| at + 1) else { return Some((0, "\\r\\n")) };
    for arg in argv.spans {
        // A line that does not end where it should may reach into the argument.
        if !bytes.get(at..arg.start).is_some_and(|head| head.ends_with(b"\r\n")) {
            return Some((at.min(arg.start), "\\r\\n"));
        }
        if bytes.get(arg.end..arg.end + 2) != Some(b"\r\n") {
            return Some((arg.end, "\\r\\n"));
        }
        at = arg.end + 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record's end, and its arguments or the note.
    type Record = (u64, Vec<Vec<u8>>);

    fn read(bytes: &[u8]) -> (Vec<Record>, Result<(), ReadError>) {
        let mut reader = LogReader::new(bytes, 0);
        let mut all = Vec::new();
        loop {
            match reader.next() {
                Ok(Next::Command) => {
                    all.push((reader.ends_at(), reader.argv().iter().map(<[u8]>::to_vec).collect()));
                }
                Ok(Next::Note) => all.push((reader.ends_at(), vec![reader.note().to_vec()])),
                Ok(Next::End) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    }

    #[test]
    fn commands_and_notes_come_with_their_places() {
        let (all, ended) = read(b"#TS:5\r\n*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
        assert!(ended.is_ok());
        assert_eq!(
            all,
            [
                (7, vec![b"#TS:5".to_vec()]),
                (21, vec![b"PING".to_vec()]),
                (40, vec![b"GET".to_vec(), b"".to_vec()])
            ]
        );
        assert_eq!(time_of(b"#TS:5"), Some(5));
        assert_eq!(time_of(b"#hello"), None);
    }

    #[test]
    fn every_cut_is_short_and_nothing_else() {
        let whole = b"*1\r\n$4\r\nPING\r\n#TS:1\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        for end in 0..whole.len() {
            let (all, ended) = read(&whole[..end]);
            let kept = all.last().map_or(0, |(at, _)| *at as usize);
            match ended {
                Ok(()) => assert_eq!(kept, end),
                Err(error) => assert!(matches!(error, ReadError::Short), "{end}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_no_command_is_a_bad_format() {
        for bad in [
            &b"PING\r\n"[..],
            b"\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*x\r\n",
            b"*1\r\nPING\r\n",
            b"*1\r\n$-1\r\n",
            b"*1\r\n:1\r\n",
        ] {
            let (all, ended) = read(bad);
            assert!(all.is_empty() && matches!(ended, Err(ReadError::Format)), "{}", bad.escape_ascii());
        }
        let long = [b"#".as_slice(), &[b'x'; 2 * NOTE_BYTES]].concat();
        assert!(matches!(read(&long).1, Err(ReadError::Format)));
    }

    #[test]
    fn nothing_is_allocated_for_what_is_only_announced() {
        let mut reader = LogReader::new(&b"*1\r\n$4294967295\r\nabc"[..], 0);
        assert!(matches!(reader.next(), Err(ReadError::Short)));
        assert!(reader.buffer.capacity() < 32 * CHUNK_BYTES);
        // Longer than any string.
        assert!(matches!(read(b"*1\r\n$4294967296\r\nabc").1, Err(ReadError::Format)));
    }

    #[test]
    fn large_commands_are_read_in_pieces() {
        let value = vec![b'v'; 5 * CHUNK_BYTES];
        let mut bytes = Vec::new();
        for _ in 0..3 {
            bytes.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n${}\r\n", value.len()).as_bytes());
            bytes.extend_from_slice(&value);
            bytes.extend_from_slice(b"\r\n");
        }
        let (all, ended) = read(&bytes);
        assert!(ended.is_ok());
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|(_, argv)| argv[1] == value));
        assert_eq!(all[2].0 as usize, bytes.len());
    }
}
