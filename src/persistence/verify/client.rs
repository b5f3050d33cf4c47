//! A client of whichever server is compared: sends commands, reads replies, and believes no announced length.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A server that says nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Strings are read in pieces of this size.
const PIECE_BYTES: u64 = 1 << 20;
/// No reply that is asked for nests deeper.
const DEPTH_MAX: usize = 4;
/// A line of the protocol is not longer.
const LINE_MAX: u64 = 64 * 1024;

/// A reply, as far as it is of interest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Text(Vec<u8>),
    Int(i64),
    Nothing,
    Error(String),
    Many(Vec<Answer>),
}

/// A connection.
pub struct Client {
    address: String,
    stream: BufReader<Box<dyn Stream>>,
}

/// Bytes in both directions.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Result<Client, String> {
        let of = |error: std::io::Error| format!("{address}: {error}");
        let stream = TcpStream::connect(address).map_err(of)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(of)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(of)?;
        Ok(Client { address: address.to_owned(), stream: BufReader::new(Box::new(stream)) })
    }

    /// Connects to a socket in the file system, and waits for answers for as long as they take.
    pub fn connect_unix(path: &Path) -> Result<Client, String> {
        let address = path.display().to_string();
        let stream = UnixStream::connect(path).map_err(|error| format!("{address}: {error}"))?;
        Ok(Client { address, stream: BufReader::new(Box::new(stream)) })
    }

    /// Sends one command and waits for its answer.
    pub fn call(&mut self, words: &[&[u8]]) -> Result<Answer, String> {
        let mut request = Vec::new();
        push(&mut request, words);
        self.send(&request)?;
        self.read()
    }

    /// Sends what [`push`] made.
    pub fn send(&mut self, requests: &[u8]) -> Result<(), String> {
        self.stream.get_mut().write_all(requests).map_err(|error| format!("{}: {error}", self.address))
    }

    /// Reads the next answer.
    pub fn read(&mut self) -> Result<Answer, String> {
        self.read_at(0)
    }

    fn read_at(&mut self, depth: usize) -> Result<Answer, String> {
        let line = self.line()?;
        let text = String::from_utf8_lossy(&line[1..]).into_owned();
        let bad = || format!("{}: a reply that cannot be understood: {}", self.address, line.escape_ascii());
        let number = || text.parse::<i64>().map_err(|_| bad());
        match line[0] {
            b'+' => Ok(Answer::Text(line[1..].to_vec())),
            b'-' => Ok(Answer::Error(text)),
            b':' => Ok(Answer::Int(number()?)),
            b'_' => Ok(Answer::Nothing),
            b'$' => match u64::try_from(number()?) {
                Err(_) => Ok(Answer::Nothing),
                Ok(bytes) => self.bytes(bytes).map(Answer::Text),
            },
            b'*' => match u64::try_from(number()?) {
                Err(_) => Ok(Answer::Nothing),
                Ok(_) if depth == DEPTH_MAX => Err(bad()),
                Ok(count) => {
                    (0..count).map(|_| self.read_at(depth + 1)).collect::<Result<_, _>>().map(Answer::Many)
                }
            },
            _ => Err(bad()),
        }
    }

    /// A line without its end; it has a byte at least.
    fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(LINE_MAX).read_until(b'\n', &mut line);
        read.map_err(|error| format!("{}: {error}", self.address))?;
        match line.strip_suffix(b"\r\n") {
            Some(line) if !line.is_empty() => Ok(line.to_vec()),
            _ => Err(format!("{}: the connection ended", self.address)),
        }
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, String> {
        let (mut bytes, mut left) = (Vec::new(), count.saturating_add(2));
        while left > 0 {
            let piece = left.min(PIECE_BYTES);
            let read = (&mut self.stream).take(piece).read_to_end(&mut bytes);
            if read.map_err(|error| format!("{}: {error}", self.address))? as u64 != piece {
                return Err(format!("{}: the connection ended", self.address));
            }
            left -= piece;
        }
        bytes.truncate(bytes.len() - 2);
        Ok(bytes)
    }
}

/// Adds a command.
pub fn push(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        out.extend(format!("${}\r\n", word.len()).into_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
