//! Edges of the protocol. Each expectation was seen from Redis 7.0.15.

use super::*;
use proptest::prelude::*;

/// What a stream of bytes means: requests, and the error that ended it.
type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Feeds `stream` so that every call sees up to the next of `cuts` (ascending), then all.
fn parse_cut(stream: &[u8], cuts: &[usize], limits: &Limits) -> Outcome {
    let mut parser = Parser::new();
    let (mut requests, mut from) = (Vec::new(), 0);
    for &have in cuts.iter().chain([&stream.len()]) {
        if have < from {
            continue;
        }
        loop {
            let buf = &stream[from..have];
            match parser.step(buf, limits) {
                Ok(Step::Request { consumed }) => {
                    requests.push(parser.argv(buf).iter().map(<[u8]>::to_vec).collect());
                    from += consumed;
                }
                Ok(Step::Skip { consumed }) => from += consumed,
                Ok(Step::Incomplete { missing }) => {
                    assert!(missing > 0);
                    break;
                }
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

fn parse(stream: &[u8]) -> Outcome {
    let limits = Limits::default();
    let whole = parse_cut(stream, &[], &limits);
    let by_bytes: Vec<usize> = (0..stream.len().min(4096)).collect();
    assert_eq!(parse_cut(stream, &by_bytes, &limits), whole, "byte by byte");
    whole
}

fn requests(stream: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (requests, error) = parse(stream);
    assert_eq!(error, None, "{}", stream.escape_ascii());
    requests
}

fn error(stream: &[u8]) -> ProtocolError {
    parse(stream).1.unwrap_or_else(|| panic!("no error: {}", stream[..stream.len().min(80)].escape_ascii()))
}

fn words(list: &[&[u8]]) -> Vec<Vec<u8>> {
    list.iter().map(|word| word.to_vec()).collect()
}

#[test]
fn a_pipeline_of_requests_is_parsed_one_by_one() {
    let stream = b"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\nget a\r\n*2\r\n$3\r\nGET\r\n$12\r\nabcdefghijkl\r\n";
    assert_eq!(
        requests(stream),
        [
            words(&[b"PING"]),
            words(&[b"ECHO", b""]),
            words(&[b"get", b"a"]),
            words(&[b"GET", b"abcdefghijkl"])
        ]
    );
}

#[test]
fn arguments_of_every_length_class_are_taken_whole() {
    for len in [0, 1, 9, 10, 99, 100, 999, 1000, 9999, 70_000] {
        for count in [1, 9, 10, 99, 100, 1100] {
            if len * count > 1_000_000 {
                continue;
            }
            let arg = vec![b'x'; len];
            let mut stream = format!("*{count}\r\n").into_bytes();
            for _ in 0..count {
                stream.extend_from_slice(format!("${len}\r\n").as_bytes());
                stream.extend_from_slice(&arg);
                stream.extend_from_slice(b"\r\n");
            }
            let limits = Limits::default();
            let (requests, error) = parse_cut(&stream, &[], &limits);
            assert_eq!((requests.len(), error), (1, None));
            assert!(requests[0].len() == count && requests[0].iter().all(|got| *got == arg));
        }
    }
}

#[test]
fn empty_requests_are_skipped() {
    for stream in [&b"\r\n"[..], b"\n", b"*0\r\n", b"*-1\r\n", b"*-10\r\n", b"  \t \r\n"] {
        assert_eq!(requests(stream), Vec::<Vec<Vec<u8>>>::new());
        assert_eq!(requests(&[stream, b"PING\r\n"].concat()), [words(&[b"PING"])]);
    }
}

#[test]
fn only_strict_counts_are_numbers() {
    use ProtocolError::InvalidMultibulkLength;
    for count in
        ["", "+1", "01", " 1", "1 ", "-0", "00", "x", "2147483648", "3000000000", "-9223372036854775809"]
    {
        assert_eq!(error(format!("*{count}\r\n").as_bytes()), InvalidMultibulkLength, "{count}");
    }
    // Redis: a line ends at '\r', so this is the count "\n$3\n...".
    assert_eq!(error(b"*1\n$3\nfoo\r\n"), InvalidMultibulkLength);
    assert_eq!(requests(b"*2147483647\r\n").len(), 0);
}

#[test]
fn only_strict_lengths_are_numbers() {
    for len in ["", "-1", "-10", "+1", "01", "00", "1x", "blabla", "536870913", "9223372036854775808"] {
        assert_eq!(error(format!("*1\r\n${len}\r\n").as_bytes()), ProtocolError::InvalidBulkLength, "{len}");
    }
    assert_eq!(requests(b"*1\r\n$536870912\r\n").len(), 0);
}

#[test]
fn the_byte_after_cr_and_the_two_after_an_argument_may_be_anything() {
    assert_eq!(requests(b"*1\rX$3\rYfoo??*1\r\n$1\r\na\r\n"), [words(&[b"foo"]), words(&[b"a"])]);
}

#[test]
fn something_other_than_a_bulk_is_refused_once_its_line_ends() {
    assert_eq!(error(b"*1\r\nfoo\r\n"), ProtocolError::ExpectedDollar { got: b'f' });
    assert_eq!(error(b"*2\r\n$1\r\nx\r\nfooz\r\n"), ProtocolError::ExpectedDollar { got: b'f' });
    assert_eq!(error(b"*1\r\n\r\n"), ProtocolError::ExpectedDollar { got: b'\r' });
    assert_eq!(requests(b"*1\r\nfoo").len(), 0);
}

#[test]
fn lines_without_end_are_refused_after_64_kib() {
    let long = |head: &[u8], len: usize| [head, &vec![b'1'; len - head.len()]].concat();
    const MAX: usize = 65536;
    assert_eq!(requests(&long(b"zz", MAX)).len(), 0);
    assert_eq!(error(&long(b"zz", MAX + 1)), ProtocolError::TooBigInline);
    assert_eq!(requests(&long(b"*", MAX)).len(), 0);
    assert_eq!(error(&long(b"*", MAX + 1)), ProtocolError::TooBigMultibulkCount);
    assert_eq!(requests(&long(b"*1\r\n$", MAX + 4)).len(), 0);
    assert_eq!(error(&long(b"*1\r\n$", MAX + 5)), ProtocolError::TooBigBulkCount);
    assert_eq!(requests(&[&long(b"z", MAX)[..], b"\n"].concat()).len(), 1);
}

#[test]
fn a_zero_byte_hides_the_end_of_a_line() {
    for head in [&b"ab\0cd\r\nPING\r\n"[..], b"\0\r\n", b"*1\0\r\n", b"*1\r\n$1\0\r\nx\r\n"] {
        assert_eq!(requests(head).len(), 0);
        assert!(parse(&[head, &vec![b'x'; 65537]].concat()).1.is_some());
    }
    assert_eq!(requests(b"*1\r\n$3\r\n\0\r\n\r\n"), [words(&[b"\0\r\n"])]);
}

#[test]
fn the_unauthenticated_send_little() {
    let limits = Limits { authenticated: false, ..Limits::default() };
    let check = |stream: &[u8]| parse_cut(stream, &[], &limits).1;
    assert_eq!(check(b"*10\r\n"), None);
    assert_eq!(check(b"*11\r\n"), Some(ProtocolError::UnauthenticatedMultibulkLength));
    assert_eq!(check(b"*1\r\n$16384\r\n"), None);
    assert_eq!(check(b"*1\r\n$16385\r\n"), Some(ProtocolError::UnauthenticatedBulkLength));
}

#[test]
fn inline_quotes_and_escapes() {
    let cases: &[(&[u8], &[&[u8]])] = &[
        (b"set k v", &[b"set", b"k", b"v"]),
        (b"  set\tk  ", &[b"set", b"k"]),
        (br#""\x41\x4g\n\r\t\b\a\q\\\"" z"#, &[b"Ax4g\n\r\t\x08\x07q\\\"", b"z"]),
        (br"'a\'b\n' c", &[b"a'b\\n", b"c"]),
        (b"'' \"\"", &[b"", b""]),
        (b"foo\"bar\" x", &[b"foobar", b"x"]),
        (b"a\x0bb \x0b\x0cc", &[b"a\x0bb", b"c"]),
        (b"a\rb", &[b"a", b"b"]),
        (b"\"a\"\x0b\"b\"", &[b"a", b"b"]),
        (b"a\\ b", &[b"a\\", b"b"]),
    ];
    for (line, expected) in cases {
        assert_eq!(requests(&[line, &b"\r\n"[..]].concat()), [words(expected)], "{}", line.escape_ascii());
        assert_eq!(requests(&[line, &b"\n"[..]].concat()), [words(expected)], "{}", line.escape_ascii());
    }
    for line in [&b"\""[..], b"'", b"\"a\"b", b"'a'b", b"\"a\\\"", b"'a\\'", b"\"a\"'b'", b"\"\\", b"\"\\x4"]
    {
        let stream = [line, &b"\r\n"[..]].concat();
        assert_eq!(error(&stream), ProtocolError::UnbalancedQuotes, "{}", line.escape_ascii());
    }
}

#[test]
fn a_zero_byte_among_quoted_words_is_an_ordinary_one() {
    let (mut words, mut spans) = (Vec::new(), Vec::new());
    inline::split_quoted(b"a \0 \"b\0\"", &mut words, &mut spans).unwrap();
    assert_eq!((words.as_slice(), spans.len()), (&b"a\0b\0"[..], 3));
}

#[test]
fn errors_have_redis_texts() {
    let text = |error: ProtocolError| {
        let mut out = Output::new();
        Reply::new(&mut out, Protocol::Resp2).error(error.line());
        String::from_utf8(out.to_vec()).unwrap()
    };
    assert_eq!(text(ProtocolError::InvalidBulkLength), "-ERR Protocol error: invalid bulk length\r\n");
    assert_eq!(
        text(ProtocolError::ExpectedDollar { got: b'x' }),
        "-ERR Protocol error: expected '$', got 'x'\r\n"
    );
    assert_eq!(
        text(ProtocolError::ExpectedDollar { got: b'\r' }),
        "-ERR Protocol error: expected '$', got ' '\r\n"
    );
}

#[test]
fn the_missing_bytes_of_an_argument_are_known() {
    let mut parser = Parser::new();
    let limits = Limits::default();
    assert_eq!(parser.step(b"", &limits), Ok(Step::Incomplete { missing: 1 }));
    assert_eq!(parser.step(b"*1\r\n$5000\r\nab", &limits), Ok(Step::Incomplete { missing: 5000 }));
    parser.reset();
    assert_eq!(parser.step(b"\r\n", &limits), Ok(Step::Skip { consumed: 2 }));
}

#[test]
fn owned_requests_hold_only_the_arguments() {
    let stream = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";
    let mut parser = Parser::new();
    parser.step(stream, &Limits::default()).unwrap();
    let request = Request::from(parser.argv(stream).tail(1));
    assert_eq!(request.argv().iter().collect::<Vec<_>>(), [&b"k"[..], b""]);
    assert_eq!(request.argv().buf, b"k");
    assert!(request.argv().tail(9).is_empty());
    assert_eq!(request.argv().try_get(2), None);
}

/// Bytes that mean something to the parser, more often than others.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            &b"*1\r\n"[..], b"*2\r\n", b"*12\r\n", b"$1\r\n", b"$2\r\nab\r\n", b"$12\r\nabcdefghijkl\r\n", b"\r\n",
            b"\n", b"\r", b"*", b"$", b"\"", b"'", b"\\x4", b" ", b"\0", b"-1", b"get a\r\n", b"*-1\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn splits_do_not_change_what_is_parsed(
        stream in soup(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        authenticated: bool,
        max_inline_bytes in prop::sample::select(vec![8usize, 65536]),
    ) {
        let limits = Limits { authenticated, max_inline_bytes, ..Limits::default() };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(parse_cut(&stream, &cuts, &limits), parse_cut(&stream, &[], &limits));
    }

    #[test]
    fn any_arguments_survive_encoding(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 1..12)) {
        let mut out = Output::new();
        let mut reply = Reply::new(&mut out, Protocol::Resp2);
        reply.array(args.len());
        args.iter().for_each(|arg| reply.bulk(arg));
        prop_assert_eq!(parse_cut(&out.bytes, &[], &Limits::default()), (vec![args], None));
    }
}

fn both(write: impl Fn(&mut Reply<'_>)) -> [String; 2] {
    [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
        let mut out = Output::new();
        write(&mut Reply::new(&mut out, protocol));
        assert_eq!(out.len(), out.to_vec().len());
        String::from_utf8(out.to_vec()).unwrap()
    })
}

#[test]
fn every_kind_of_reply_in_both_protocols() {
    assert_eq!(both(|r| r.ok()), ["+OK\r\n"; 2]);
    assert_eq!(both(|r| r.simple("a\r\nb")), ["+a  b\r\n"; 2]);
    assert_eq!(both(|r| r.error("\r\nERR a\nb\r\n")), ["-ERR a b\r\n"; 2]);
    assert_eq!(both(|r| r.error("\n")), ["-\r\n"; 2]);
    assert_eq!(both(|r| r.bulk(b"hello")), ["$5\r\nhello\r\n"; 2]);
    assert_eq!(both(|r| r.bulk(b"")), ["$0\r\n\r\n"; 2]);
    assert_eq!(both(|r| r.bulk_int(-12)), ["$3\r\n-12\r\n"; 2]);
    assert_eq!(both(|r| r.null()), ["$-1\r\n", "_\r\n"]);
    assert_eq!(both(|r| r.null_array()), ["*-1\r\n", "_\r\n"]);
    assert_eq!(both(|r| r.array(12)), ["*12\r\n"; 2]);
    assert_eq!(both(|r| r.map(6)), ["*12\r\n", "%6\r\n"]);
    assert_eq!(both(|r| r.set(3)), ["*3\r\n", "~3\r\n"]);
    assert_eq!(both(|r| r.push(3)), ["*3\r\n", ">3\r\n"]);
    assert_eq!(both(|r| r.bool(true)), [":1\r\n", "#t\r\n"]);
    assert_eq!(both(|r| r.bool(false)), [":0\r\n", "#f\r\n"]);
    assert_eq!(both(|r| r.double(1.5)), ["$3\r\n1.5\r\n", ",1.5\r\n"]);
    assert_eq!(both(|r| r.double(f64::NEG_INFINITY)), ["$4\r\n-inf\r\n", ",-inf\r\n"]);
    assert_eq!(both(|r| r.verbatim("txt", b"ab")), ["$2\r\nab\r\n", "=6\r\ntxt:ab\r\n"]);
    assert_eq!(both(|r| r.big_number("-123")), ["$4\r\n-123\r\n", "(-123\r\n"]);
}

#[test]
fn integers_of_every_length() {
    let mut value = 1i64;
    let mut values: Vec<i64> = (0..100_000).step_by(7).chain([i64::MIN, i64::MAX]).collect();
    while let Some(next) = value.checked_mul(10) {
        values.extend([value - 1, value, value + 1, -value, 1 - value, next / 3]);
        value = next;
    }
    for value in values {
        assert_eq!(both(|r| r.int(value)), [format!(":{value}\r\n"), format!(":{value}\r\n")]);
    }
}

#[test]
fn deferred_headers_may_nest_and_grow_around_shared_values() {
    let big = std::sync::Arc::new(vec![b'v'; writer::SHARED_MIN_BYTES + 1]);
    let mut out = Output::new();
    let mut reply = Reply::new(&mut out, Protocol::Resp2);
    reply.bulk_shared(&big, 0..writer::SHARED_MIN_BYTES);
    let outer = reply.deferred();
    let inner = reply.deferred();
    reply.bulk_shared(&big, 1..big.len());
    reply.bulk_shared(&big, 0..3);
    reply.fill_array(inner, 2);
    reply.fill_map(outer, 500);
    let value = "v".repeat(writer::SHARED_MIN_BYTES);
    let expected = format!("$16384\r\n{value}\r\n*1000\r\n*2\r\n$16384\r\n{value}\r\n$3\r\nvvv\r\n");
    assert_eq!(out.shared.len(), 2);
    assert_eq!(out.to_vec(), expected.as_bytes());

    let mut all = Output::new();
    Reply::new(&mut all, Protocol::Resp2).ok();
    all.append(&mut out);
    assert!(out.is_empty());
    assert_eq!(all.to_vec(), format!("+OK\r\n{expected}").as_bytes());
    assert_eq!(all.len(), expected.len() + 5);
    let taken = all.take();
    assert!(all.is_empty() && taken.len() == expected.len() + 5);
}

#[test]
fn announced_sizes_reserve_nothing() {
    let mut parser = Parser::new();
    let limits = Limits::default();
    parser.step(b"*2147483647\r\n$536870912\r\nabc", &limits).unwrap();
    assert!(parser.heap_bytes() < 4096);
    // What a big request needed is given back after it.
    let stream = ["*100000\r\n".as_bytes(), &b"$0\r\n\r\n".repeat(100_000)].concat();
    assert!(matches!(parser_step(&mut parser, &stream), Step::Request { .. }));
    assert!(parser.heap_bytes() >= 100_000);
    parser.reset();
    assert!(parser.heap_bytes() <= 64 * 1024);
}

fn parser_step(parser: &mut Parser, stream: &[u8]) -> Step {
    parser.reset();
    parser.step(stream, &Limits::default()).unwrap()
}
