//! Logs as strangers write them: in whatever pieces they come, the same commands are found at the same places; and what
//! `check-aof --fix` leaves is the good beginning of what was there.

use crate::{fuzz, mutate};
use coreshard::persistence::aof::check::{CheckOptions, check};
use coreshard::persistence::aof::manifest::Manifest;
use coreshard::persistence::aof::read::{LogReader, Next, ReadError, fault_of, time_of};
use coreshard::resp::{Limits, Parser, Step};
use std::io::Read;

const ALPHABET: &[u8] = b"*$\r\n\0-+#0123456789MULTIEXC:TS x";

/// Nothing longer is a note.
const NOTE_BYTES: usize = 1024;

fn log(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    if rng.u8(0..4) == 0 {
        // A snapshot of nothing, without a checksum.
        bytes.extend_from_slice(b"REDIS0011\xff\0\0\0\0\0\0\0\0");
    }
    for _ in 0..rng.usize(0..8) {
        let args: Vec<Vec<u8>> = match rng.u8(0..6) {
            0 => {
                bytes.extend_from_slice(format!("#TS:{}\r\n", rng.u32(0..100)).as_bytes());
                continue;
            }
            1 => vec![b"MULTI".to_vec()],
            2 => vec![b"EXEC".to_vec()],
            _ => (0..rng.usize(1..5))
                .map(|_| {
                    let len = [0, 1, 3, 10, 100, 1100][rng.usize(0..6)];
                    (0..len).map(|_| ALPHABET[rng.usize(..ALPHABET.len())]).collect()
                })
                .collect(),
        };
        bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
        for arg in &args {
            bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            bytes.extend_from_slice(arg);
            bytes.extend_from_slice(b"\r\n");
        }
    }
    mutate(rng, &mut bytes, ALPHABET);
    bytes
}

/// Gives no more at a time than it likes to.
struct Pieces<'a> {
    bytes: &'a [u8],
    largest: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let some = buffer.len().min(self.largest);
        self.bytes.read(&mut buffer[..some])
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Found {
    Command(usize, Vec<Vec<u8>>),
    Note(usize, Vec<u8>),
    End,
    Short,
    Format,
}

/// The log as one who sees all of it at once reads it.
fn model(bytes: &[u8]) -> Vec<Found> {
    let (mut all, mut at) = (Vec::new(), 0);
    loop {
        let rest = &bytes[at..];
        let found = match rest.first() {
            None => Found::End,
            Some(b'*') => {
                let mut parser = Parser::new();
                let limits = Limits { max_bulk_bytes: isize::MAX as usize - 2, ..Limits::default() };
                match parser.step(rest, &limits) {
                    Ok(Step::Request { consumed }) => {
                        at += consumed;
                        Found::Command(at, parser.argv(rest).iter().map(<[u8]>::to_vec).collect())
                    }
                    Ok(Step::Incomplete { .. }) => Found::Short,
                    Ok(Step::Skip { .. }) | Err(_) => Found::Format,
                }
            }
            Some(b'#') => match rest.iter().take(NOTE_BYTES).position(|byte| *byte == b'\n') {
                Some(end) => {
                    at += end + 1;
                    Found::Note(at, rest[..end].trim_ascii_end().to_vec())
                }
                None if rest.len() >= NOTE_BYTES => Found::Format,
                None => Found::Short,
            },
            Some(_) => Found::Format,
        };
        let is_last = matches!(found, Found::End | Found::Short | Found::Format);
        all.push(found);
        if is_last {
            return all;
        }
    }
}

fn read(bytes: &[u8], largest: usize) -> Vec<Found> {
    let mut reader = LogReader::new(Pieces { bytes, largest }, 0);
    let mut all = Vec::new();
    loop {
        let next = reader.next();
        let end = reader.ends_at() as usize;
        all.push(match next {
            Ok(Next::Command) => {
                if let Some((at, _)) = fault_of(reader.bytes(), reader.argv()) {
                    assert!(at <= reader.bytes().len());
                }
                Found::Command(end, reader.argv().iter().map(<[u8]>::to_vec).collect())
            }
            Ok(Next::Note) => {
                time_of(reader.note());
                Found::Note(end, reader.note().to_vec())
            }
            Ok(Next::End) => Found::End,
            Err(ReadError::Short) => Found::Short,
            Err(ReadError::Format) => Found::Format,
            Err(ReadError::Io(error)) => panic!("a slice is read without errors: {error}"),
        });
        if !matches!(all.last(), Some(Found::Command(..) | Found::Note(..))) {
            return all;
        }
    }
}

#[test]
fn a_log_is_read_the_same_in_whatever_pieces_it_comes() {
    fuzz("aof", |rng| {
        let bytes = log(rng);
        let largest = [1, 7, 100, usize::MAX][rng.usize(0..4)];
        assert_eq!(read(&bytes, largest), model(&bytes), "{}", bytes.escape_ascii());
    });
}

#[test]
fn what_check_aof_leaves_is_a_good_beginning() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("log.aof");
    fuzz("check-aof", |rng| {
        let bytes = log(rng);
        std::fs::write(&path, &bytes).expect("the folder is writable");
        let options = CheckOptions { fix: true, until: rng.bool().then(|| rng.i64(1..100)), now_ms: 1 };
        let options = CheckOptions { fix: options.until.is_none(), ..options };
        let mut said = Vec::new();
        let good = check(&path, options, &mut said, &mut || true);
        let left = std::fs::read(&path).expect("it is there");
        assert!(bytes.starts_with(&left), "it only cuts");
        if good && options.fix {
            let again = check(&path, CheckOptions { fix: false, ..options }, &mut said, &mut || false);
            assert!(again, "{}\n{}", bytes.escape_ascii(), String::from_utf8_lossy(&said));
        }
        let _ = Manifest::parse(&bytes);
    });
}
