//! A blocking client of RESP2 and RESP3 over a plain socket.

use super::value::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a reply may take before the test fails instead of hanging.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30);

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Resp2,
    Resp3,
}

/// A command: words of one text, or a list of arguments of any bytes.
pub trait Arguments {
    fn arguments(&self) -> Vec<Vec<u8>>;
}

/// The words of the text; an argument with a space or of no bytes needs a list.
impl Arguments for &str {
    fn arguments(&self) -> Vec<Vec<u8>> {
        self.split_ascii_whitespace().map(|word| word.as_bytes().to_vec()).collect()
    }
}

impl Arguments for String {
    fn arguments(&self) -> Vec<Vec<u8>> {
        self.as_str().arguments()
    }
}

impl<A: AsRef<[u8]>> Arguments for &[A] {
    fn arguments(&self) -> Vec<Vec<u8>> {
        self.iter().map(|argument| argument.as_ref().to_vec()).collect()
    }
}

impl<A: AsRef<[u8]>, const N: usize> Arguments for &[A; N] {
    fn arguments(&self) -> Vec<Vec<u8>> {
        self.as_slice().arguments()
    }
}

impl<A: AsRef<[u8]>> Arguments for &Vec<A> {
    fn arguments(&self) -> Vec<Vec<u8>> {
        self.as_slice().arguments()
    }
}

/// One connection. Every method panics when the connection fails, at the line of its caller.
pub struct Client {
    stream: BufReader<TcpStream>,
    protocol: Protocol,
}

impl Client {
    /// Connects, and says HELLO when RESP3 is wanted.
    #[track_caller]
    pub fn connect(address: SocketAddr, protocol: Protocol) -> Client {
        let mut client = Client::connect_silently(address);
        if protocol == Protocol::Resp3 {
            let reply = client.call("HELLO 3");
            assert!(matches!(reply, Value::Map(_)), "HELLO 3 answered {reply}");
        }
        client.protocol = protocol;
        client
    }

    /// Connects and sends nothing.
    #[track_caller]
    pub fn connect_silently(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).unwrap_or_else(|e| panic!("connect to {address}: {e}")))
    }

    /// A client of a connection that exists.
    pub fn over(stream: TcpStream) -> Client {
        stream.set_nodelay(true).expect("a connected socket takes options");
        stream.set_read_timeout(Some(REPLY_TIMEOUT)).expect("a positive timeout is legal");
        stream.set_write_timeout(Some(REPLY_TIMEOUT)).expect("a positive timeout is legal");
        Client { stream: BufReader::with_capacity(64 * 1024, stream), protocol: Protocol::Resp2 }
    }

    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// After a HELLO or RESET sent by hand: what the connection speaks from now on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    pub fn local_address(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().expect("a connected socket has an address")
    }

    /// How long `recv` waits before it panics.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.stream.get_ref().set_read_timeout(Some(timeout)).expect("a positive timeout is legal");
    }

    /// Sends a command and does not wait for its reply.
    #[track_caller]
    pub fn send(&mut self, command: impl Arguments) {
        self.send_raw(encode(&command.arguments()));
    }

    /// Sends bytes as they are.
    #[track_caller]
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send_raw(bytes).unwrap_or_else(|error| panic!("send: {error}"));
    }

    /// Sends bytes as they are, or says why the connection took them not.
    pub fn try_send_raw(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// The next reply.
    #[track_caller]
    pub fn recv(&mut self) -> Value {
        self.try_recv().unwrap_or_else(|error| panic!("receive: {error}"))
    }

    /// The next reply, or why there is none.
    pub fn try_recv(&mut self) -> io::Result<Value> {
        read_value(&mut self.stream)
    }

    /// The next reply if its first byte comes within `timeout`.
    #[track_caller]
    pub fn recv_within(&mut self, timeout: Duration) -> Option<Value> {
        self.set_timeout(timeout);
        let first = self.stream.fill_buf().map(<[u8]>::len);
        self.set_timeout(REPLY_TIMEOUT);
        match first {
            Ok(_) => Some(self.recv()),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => None,
            Err(e) => panic!("receive: {e}"),
        }
    }

    /// The next `count` bytes as they are.
    #[track_caller]
    pub fn recv_raw(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap_or_else(|error| panic!("receive: {error}"));
        bytes
    }

    /// Sends a command and returns its reply.
    #[track_caller]
    pub fn call(&mut self, command: impl Arguments) -> Value {
        self.send(command);
        self.recv()
    }

    /// Sends all commands in one write, then reads all replies.
    #[track_caller]
    pub fn pipeline<A: Arguments>(&mut self, commands: impl IntoIterator<Item = A>) -> Vec<Value> {
        let mut bytes = Vec::new();
        let mut count = 0;
        for command in commands {
            bytes.extend_from_slice(&encode(&command.arguments()));
            count += 1;
        }
        self.send_raw(bytes);
        (0..count).map(|_| self.recv()).collect()
    }

    /// The command answers exactly this (written in RESP3, seen through this connection's protocol).
    #[track_caller]
    pub fn expect(&mut self, command: impl Arguments, expected: impl Into<Value>) {
        let arguments = command.arguments();
        let got = self.call(&arguments);
        let expected = expected.into().as_seen_in(self.protocol);
        assert!(got == expected, "{}\n  answered {got}\n  expected {expected}", show(&arguments));
    }

    /// The next reply is exactly this.
    #[track_caller]
    pub fn expect_next(&mut self, expected: impl Into<Value>) {
        let got = self.recv();
        let expected = expected.into().as_seen_in(self.protocol);
        assert!(got == expected, "next reply\n  is       {got}\n  expected {expected}");
    }

    /// The command answers these elements, in any order.
    #[track_caller]
    pub fn expect_unordered(&mut self, command: impl Arguments, expected: impl Into<Value>) {
        let arguments = command.arguments();
        let got = self.call(&arguments).sorted();
        let expected = expected.into().as_seen_in(self.protocol).sorted();
        assert!(got == expected, "{}\n  answered {got}\n  expected {expected}", show(&arguments));
    }

    /// The command answers an error that starts so.
    #[track_caller]
    pub fn expect_error(&mut self, command: impl Arguments, start: &str) {
        let arguments = command.arguments();
        let got = self.call(&arguments);
        let fits = got.is_error() && got.bytes().starts_with(start.as_bytes());
        assert!(fits, "{}\n  answered {got}\n  expected an error -{start}...", show(&arguments));
    }

    /// The command answers something for which `fits` holds.
    #[track_caller]
    pub fn expect_that(&mut self, command: impl Arguments, fits: impl FnOnce(&Value) -> bool) {
        let arguments = command.arguments();
        let got = self.call(&arguments);
        assert!(fits(&got), "{}\n  answered {got}", show(&arguments));
    }

    /// The server closes the connection, having sent nothing more.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        match self.stream.fill_buf() {
            Ok([]) => {}
            Ok(bytes) => panic!("expected the connection to close, got \"{}\"", bytes.escape_ascii()),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => {}
            Err(e) => panic!("expected the connection to close: {e}"),
        }
    }

    /// The sending half, for a thread that writes while another reads.
    pub fn writer(&self) -> TcpStream {
        self.stream.get_ref().try_clone().expect("a connected socket can be cloned")
    }

    /// Sends no more, but still receives.
    pub fn half_close(&mut self) {
        self.stream.get_ref().shutdown(Shutdown::Write).expect("the socket is connected");
    }

    /// Reads into the void until the server closes, and returns how many bytes came.
    pub fn drain(&mut self) -> usize {
        let mut total = 0;
        let mut scratch = [0; 64 * 1024];
        while let Ok(count @ 1..) = self.stream.read(&mut scratch) {
            total += count;
        }
        total
    }
}

/// The command as the array of bulk strings that clients send.
pub fn encode<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The command as a person would type it.
pub fn show(arguments: &[Vec<u8>]) -> String {
    let words = arguments.iter().map(|argument| {
        let plain = !argument.is_empty() && argument.iter().all(|b| b.is_ascii_graphic() && *b != b'"');
        match argument.len() {
            601.. => format!("\"{}...\"({} bytes)", argument[..100].escape_ascii(), argument.len()),
            _ if plain => argument.escape_ascii().to_string(),
            _ => format!("\"{}\"", argument.escape_ascii()),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn read_value(stream: &mut impl BufRead) -> io::Result<Value> {
    let line = read_line(stream)?;
    let (kind, text) = line.split_first().ok_or_else(|| invalid("an empty line as reply"))?;
    Ok(match kind {
        b'+' => Value::Simple(text.to_vec()),
        b'-' => Value::Error(text.to_vec()),
        b':' => Value::Int(number(text)?),
        b'$' if text == b"-1" => Value::Null,
        b'*' if text == b"-1" => Value::NullArray,
        b'_' => Value::Null,
        b'$' => Value::Bulk(read_bulk(stream, text)?),
        b'!' => Value::BulkError(read_bulk(stream, text)?),
        b'=' => {
            let mut format = read_bulk(stream, text)?;
            if format.get(3) != Some(&b':') {
                return Err(invalid("a verbatim string without a format"));
            }
            let text = format.split_off(4);
            format.truncate(3);
            Value::Verbatim(format, text)
        }
        b'*' => Value::Array(read_values(stream, number(text)?)?),
        b'~' => Value::Set(read_values(stream, number(text)?)?),
        b'>' => Value::Push(read_values(stream, number(text)?)?),
        b'%' => Value::Map(read_pairs(stream, number(text)?)?),
        b'|' => {
            let facts = read_pairs(stream, number(text)?)?;
            Value::Attribute(facts, Box::new(read_value(stream)?))
        }
        b',' => Value::Double(text.to_vec()),
        b'#' => Value::Bool(match text {
            b"t" => true,
            b"f" => false,
            _ => return Err(invalid("a boolean that is neither")),
        }),
        b'(' => Value::BigNumber(text.to_vec()),
        _ => return Err(invalid(&format!("a reply of unknown type: \"{}\"", line.escape_ascii()))),
    })
}

fn read_values(stream: &mut impl BufRead, count: i64) -> io::Result<Vec<Value>> {
    (0..count).map(|_| read_value(stream)).collect()
}

fn read_pairs(stream: &mut impl BufRead, count: i64) -> io::Result<Vec<(Value, Value)>> {
    (0..count).map(|_| Ok((read_value(stream)?, read_value(stream)?))).collect()
}

fn read_bulk(stream: &mut impl BufRead, length: &[u8]) -> io::Result<Vec<u8>> {
    let length = usize::try_from(number(length)?).map_err(|_| invalid("a bulk string of negative length"))?;
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes)?;
    if !bytes.ends_with(b"\r\n") {
        return Err(invalid("a bulk string longer than it said"));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn read_line(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    if !line.ends_with(b"\r\n") {
        return Err(invalid(&format!("a line that ends badly: \"{}\"", line.escape_ascii())));
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

fn number(text: &[u8]) -> io::Result<i64> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid(&format!("\"{}\" for a number", text.escape_ascii())))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}
