//! `cjson.decode`.

#![allow(unsafe_code)]

use super::super::raw::{Answer, Fault, L, bad_argument, check_bytes, ffi, push};
use super::super::state::{native, state};
use super::cjson::DEPTH_MOST;

native! {
    decode => decode_value;
}

/// What was read, as errors name it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// The text is `State::scratch`.
    String,
    Number(f64),
    Bool(bool),
    Null,
    Colon,
    Comma,
    End,
    Wrong(&'static str),
}

impl Token {
    fn name(self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Bool(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Wrong(what) => what,
        }
    }
}

struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    /// Where the last token began.
    token_at: usize,
    depth: i64,
}

unsafe fn decode_value(l: L) -> Answer {
    // SAFETY: called by Lua; nothing is owned here.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            bad_argument(l, 1, c"expected 1 argument");
        }
        let data = check_bytes(l, 1);
        if data.len() >= 2 && (data[0] == 0 || data[1] == 0) {
            return Err(Fault::Text("JSON parser does not support UTF-16 or UTF-32"));
        }
        let mut reader = Reader { data, at: 0, token_at: 0, depth: 0 };
        let token = reader.next(l);
        reader.value(l, token)?;
        match reader.next(l) {
            Token::End => Ok(1),
            other => Err(reader.expected(l, "the end", other)),
        }
    }
}

impl Reader<'_> {
    unsafe fn expected(&self, l: L, wanted: &str, found: Token) -> Fault {
        // SAFETY: called within a native function.
        let state = unsafe { state(l) };
        let (found, at) = (found.name(), self.token_at + 1);
        state.fault(format!("Expected {wanted} but found {found} at character {at}"))
    }

    unsafe fn value(&mut self, l: L, token: Token) -> Result<(), Fault> {
        // SAFETY: called within a native function.
        unsafe {
            match token {
                Token::String => push(l, &state(l).scratch),
                Token::Number(number) => ffi::lua_pushnumber(l, number),
                Token::Bool(value) => ffi::lua_pushboolean(l, i32::from(value)),
                Token::Null => ffi::lua_pushlightuserdata(l, std::ptr::null_mut()),
                Token::ObjectBegin => self.object(l)?,
                Token::ArrayBegin => self.array(l)?,
                other => return Err(self.expected(l, "value", other)),
            }
            Ok(())
        }
    }

    unsafe fn descend(&mut self, l: L) -> Result<(), Fault> {
        // SAFETY: called within a native function.
        unsafe {
            self.depth += 1;
            if self.depth > state(l).cjson.decode_depth.min(DEPTH_MOST) || ffi::lua_checkstack(l, 3) == 0 {
                let (depth, at) = (self.depth, self.at);
                return Err(state(l)
                    .fault(format!("Found too many nested data structures ({depth}) at character {at}")));
            }
            ffi::lua_newtable(l);
            Ok(())
        }
    }

    unsafe fn object(&mut self, l: L) -> Result<(), Fault> {
        // SAFETY: as `value`.
        unsafe {
            self.descend(l)?;
            let mut token = self.next(l);
            if token == Token::ObjectEnd {
                self.depth -= 1;
                return Ok(());
            }
            loop {
                if token != Token::String {
                    return Err(self.expected(l, "object key string", token));
                }
                push(l, &state(l).scratch);
                match self.next(l) {
                    Token::Colon => {}
                    other => return Err(self.expected(l, "colon", other)),
                }
                token = self.next(l);
                self.value(l, token)?;
                ffi::lua_rawset(l, -3);
                match self.next(l) {
                    Token::ObjectEnd => break,
                    Token::Comma => token = self.next(l),
                    other => return Err(self.expected(l, "comma or object end", other)),
                }
            }
            self.depth -= 1;
            Ok(())
        }
    }

    unsafe fn array(&mut self, l: L) -> Result<(), Fault> {
        // SAFETY: as `value`.
        unsafe {
            self.descend(l)?;
            let mut token = self.next(l);
            if token == Token::ArrayEnd {
                self.depth -= 1;
                return Ok(());
            }
            for index in 1.. {
                self.value(l, token)?;
                ffi::lua_rawseti(l, -2, index);
                match self.next(l) {
                    Token::ArrayEnd => break,
                    Token::Comma => token = self.next(l),
                    other => return Err(self.expected(l, "comma or array end", other)),
                }
            }
            self.depth -= 1;
            Ok(())
        }
    }

    fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    unsafe fn next(&mut self, l: L) -> Token {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.token_at = self.at;
        let Some(byte) = self.peek() else { return Token::End };
        let simple = match byte {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            // SAFETY: called within a native function.
            b'"' => return unsafe { self.string(l) },
            b'-' | b'0'..=b'9' => {
                // SAFETY: as above.
                let allowed = unsafe { state(l).cjson.decode_invalid };
                return if allowed || !self.is_invalid_number() {
                    self.number()
                } else {
                    Token::Wrong("invalid number")
                };
            }
            _ => return self.word(l),
        };
        self.at += 1;
        simple
    }

    fn word(&mut self, l: L) -> Token {
        for (word, token) in
            [("true", Token::Bool(true)), ("false", Token::Bool(false)), ("null", Token::Null)]
        {
            if self.data[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return token;
            }
        }
        // SAFETY: called within a native function.
        let allowed = unsafe { state(l).cjson.decode_invalid };
        if allowed && self.is_invalid_number() { self.number() } else { Token::Wrong("invalid token") }
    }

    /// Numbers that JSON does not know: hexadecimal, with a leading zero, infinities and NaN.
    fn is_invalid_number(&self) -> bool {
        let rest = &self.data[self.at..];
        let rest = match rest {
            [b'-' | b'+', rest @ ..] => rest,
            rest => rest,
        };
        match rest {
            [b'0', b'x' | b'X', ..] => true,
            [b'0', b'0'..=b'9', ..] => true,
            [b'0'..=b'9', ..] => false,
            rest => {
                let starts =
                    |word: &[u8]| rest.len() >= word.len() && rest[..word.len()].eq_ignore_ascii_case(word);
                starts(b"inf") || starts(b"nan")
            }
        }
    }

    /// As `strtod` reads it.
    fn number(&mut self) -> Token {
        let rest = &self.data[self.at..];
        let (negative, body) = match rest {
            [b'-', body @ ..] => (true, body),
            [b'+', body @ ..] => (false, body),
            body => (false, body),
        };
        let sign_len = rest.len() - body.len();
        let starts = |word: &[u8]| body.len() >= word.len() && body[..word.len()].eq_ignore_ascii_case(word);
        let (value, len) = if starts(b"infinity") {
            (f64::INFINITY, 8)
        } else if starts(b"inf") {
            (f64::INFINITY, 3)
        } else if starts(b"nan") {
            (f64::NAN, 3)
        } else if starts(b"0x") && body.get(2).is_some_and(u8::is_ascii_hexdigit) {
            let digits = body[2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let value = body[2..2 + digits].iter().fold(0.0, |value, digit| {
                value * 16.0 + f64::from((*digit as char).to_digit(16).unwrap_or(0))
            });
            (value, 2 + digits)
        } else {
            let len = decimal_len(body);
            match std::str::from_utf8(&body[..len]).ok().and_then(|text| text.parse::<f64>().ok()) {
                Some(value) => (value, len),
                None => return Token::Wrong("invalid number"),
            }
        };
        self.at += sign_len + len;
        Token::Number(if negative { -value } else { value })
    }

    unsafe fn string(&mut self, l: L) -> Token {
        // SAFETY: called within a native function.
        let out = unsafe { &mut state(l).scratch };
        out.clear();
        self.at += 1;
        loop {
            let rest = &self.data[self.at..];
            let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                None => {
                    self.token_at = self.at;
                    return Token::Wrong("unexpected end of string");
                }
                Some(b'"') => {
                    self.at += 1;
                    return Token::String;
                }
                _ => {}
            }
            let escape = self.data.get(self.at + 1).copied();
            let byte = match escape {
                Some(byte @ (b'"' | b'\\' | b'/')) => byte,
                Some(b'b') => 0x08,
                Some(b'f') => 0x0c,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'u') => {
                    let Some(char) = self.unicode() else {
                        self.token_at = self.at;
                        return Token::Wrong("invalid unicode escape code");
                    };
                    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                _ => {
                    self.token_at = self.at;
                    return Token::Wrong("invalid escape code");
                }
            };
            out.push(byte);
            self.at += 2;
        }
    }

    /// `\uXXXX`, or two of them that make one character.
    fn unicode(&mut self) -> Option<char> {
        let first = self.four_digits(self.at)?;
        if !(0xd800..0xe000).contains(&first) {
            self.at += 6;
            return char::from_u32(first);
        }
        if first >= 0xdc00 {
            return None;
        }
        let second = self.four_digits(self.at + 6).filter(|second| (0xdc00..0xe000).contains(second))?;
        self.at += 12;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn four_digits(&self, at: usize) -> Option<u32> {
        let text = self.data.get(at..at + 6)?;
        if !text.starts_with(b"\\u") {
            return None;
        }
        text[2..].iter().try_fold(0, |value, digit| Some(value << 4 | (*digit as char).to_digit(16)?))
    }
}

/// How many bytes are a decimal number; a dot needs no digits behind it in C, but the point is not taken then.
fn decimal_len(body: &[u8]) -> usize {
    let digits = |from: usize| body[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut len = digits(0);
    if body.get(len) == Some(&b'.') {
        len += 1 + digits(len + 1);
    }
    if matches!(body.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(body.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits((len + 1 + sign).min(body.len()));
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    len
}
