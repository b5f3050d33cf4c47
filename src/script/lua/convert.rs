//! Replies to Lua's values and back, as Redis 7 turns them.
//!
//! ```text
//! reply           value in a script             value in a script            reply
//! :1              1                             number                       :1, cut towards zero
//! $ bulk          string                        string                       $ bulk
//! $-1 *-1         false                         false, nil                   null (RESP2 scripts)
//! +status         {ok = status}                 true                         :1 (RESP2 scripts), #t
//! -error          {err = error}                 {ok =} {err =}               +status -error
//! *array          table                         table                        * up to the first nil
//! _ , #           nil, boolean                  {double =} {map =} {set =}   , % ~
//! ,1.5 % ~        {double =} {map =} {set =}    {big_number =}               (
//! ( =             {big_number =} {verbatim_string = {format =, string =}}    =
//! ```

#![allow(unsafe_code)]

use super::engine::NO_MEMORY;
use super::raw::{L, ffi, get_field, push, set_field, to_bytes};
use crate::resp::{Protocol, Reply};

/// Tables in tables of a script's answer.
const DEPTH_MOST: usize = 1000;

/// The next line of a reply and where the rest begins.
fn line(bytes: &[u8], at: usize) -> (&[u8], usize) {
    let rest = bytes.get(at..).unwrap_or_default();
    let len = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
    (&rest[..len], at + len + 2)
}

fn number(text: &[u8]) -> i64 {
    crate::types::number::parse_i64(text).unwrap_or(0)
}

/// Pushes the reply at `at`; returns where the next one begins. `fails`: errors are to carry the mark of `redis.call`.
///
/// # Safety
/// Called within a native function; jumps when memory is short.
pub unsafe fn push_reply(l: L, bytes: &[u8], at: usize) -> usize {
    // SAFETY: as promised; nothing is owned here. The replies are our own, so they are well formed.
    unsafe {
        ffi::luaL_checkstack(l, 6, c"reply too deep".as_ptr());
        let (head, after) = line(bytes, at);
        let Some((kind, text)) = head.split_first() else {
            ffi::lua_pushnil(l);
            return bytes.len();
        };
        match kind {
            b':' => ffi::lua_pushnumber(l, number(text) as f64),
            b'$' => {
                let len = number(text);
                if len < 0 {
                    ffi::lua_pushboolean(l, 0);
                    return after;
                }
                let end = (after + len as usize).min(bytes.len());
                push(l, &bytes[after..end]);
                return end + 2;
            }
            b'+' => {
                ffi::lua_createtable(l, 0, 1);
                push(l, text);
                set_field(l, b"ok");
            }
            b'-' => push_error(l, text),
            b'*' | b'>' => {
                let len = number(text);
                if len < 0 {
                    ffi::lua_pushboolean(l, 0);
                    return after;
                }
                ffi::lua_createtable(l, len.min(1 << 20) as i32, 0);
                let mut at = after;
                for index in 1..=len {
                    at = push_reply(l, bytes, at);
                    ffi::lua_rawseti(l, -2, index as ffi::lua_Integer);
                }
                return at;
            }
            // Attributes are not shown to scripts; the value comes behind them.
            b'|' => {
                let mut at = after;
                for _ in 0..2 * number(text) {
                    at = push_reply(l, bytes, at);
                    ffi::lua_settop(l, -2);
                }
                return push_reply(l, bytes, at);
            }
            b'%' => {
                ffi::lua_createtable(l, 0, 1);
                ffi::lua_newtable(l);
                let mut at = after;
                for _ in 0..number(text) {
                    at = push_reply(l, bytes, at);
                    at = push_reply(l, bytes, at);
                    ffi::lua_rawset(l, -3);
                }
                set_field(l, b"map");
                return at;
            }
            b'~' => {
                ffi::lua_createtable(l, 0, 1);
                ffi::lua_newtable(l);
                let mut at = after;
                for _ in 0..number(text) {
                    at = push_reply(l, bytes, at);
                    ffi::lua_pushboolean(l, 1);
                    ffi::lua_rawset(l, -3);
                }
                set_field(l, b"set");
                return at;
            }
            b'_' => ffi::lua_pushnil(l),
            b'#' => ffi::lua_pushboolean(l, i32::from(text == b"t")),
            b',' => {
                ffi::lua_createtable(l, 0, 1);
                ffi::lua_pushnumber(l, crate::types::number::parse_f64(text).unwrap_or(f64::NAN));
                set_field(l, b"double");
            }
            b'(' => {
                ffi::lua_createtable(l, 0, 1);
                push(l, text);
                set_field(l, b"big_number");
            }
            b'=' => {
                let end = (after + number(text).max(4) as usize).min(bytes.len());
                let body = bytes.get(after..end).unwrap_or_default();
                ffi::lua_createtable(l, 0, 1);
                ffi::lua_createtable(l, 0, 2);
                push(l, body.get(4..).unwrap_or_default());
                set_field(l, b"string");
                push(l, body.get(..3).unwrap_or_default());
                set_field(l, b"format");
                set_field(l, b"verbatim_string");
                return end + 2;
            }
            _ => ffi::lua_pushnil(l),
        }
        after
    }
}

/// Pushes an error as scripts see it; `text` begins with its code.
///
/// # Safety
/// As [`push_reply`].
unsafe fn push_error(l: L, text: &[u8]) {
    // SAFETY: as promised.
    unsafe {
        ffi::lua_createtable(l, 0, 2);
        push(l, text);
        set_field(l, b"err");
        ffi::lua_pushboolean(l, 1);
        set_field(l, b"ignore_error_stats_update");
    }
}

/// Pushes an error whose text may have a code: `-CODE text`, or `text` which then gets `ERR`.
///
/// # Safety
/// As [`push_reply`].
pub unsafe fn push_coded_error(l: L, text: &[u8]) {
    // SAFETY: as promised.
    unsafe {
        let has_code = text.contains(&b' ');
        ffi::lua_createtable(l, 0, 1);
        match text {
            [b'-', rest @ ..] if has_code => push(l, rest),
            rest => {
                push(l, b"ERR ");
                push(l, rest.strip_prefix(b"-").unwrap_or(rest));
                ffi::lua_concat(l, 2);
            }
        }
        set_field(l, b"err");
    }
}

/// How a script's answer is written.
#[derive(Clone, Copy)]
pub struct Form {
    /// `redis.setresp`.
    pub protocol: Protocol,
    /// A larger one fails.
    pub most_bytes: usize,
}

/// Writes the value at the top as a reply, and pops it. True unless the reply is an error.
///
/// # Safety
/// Called within a protected call; jumps when memory is short.
pub unsafe fn write_reply(l: L, reply: &mut Reply<'_>, form: Form, depth: usize) -> bool {
    // SAFETY: as promised; nothing is owned here.
    unsafe {
        if depth > DEPTH_MOST || ffi::lua_checkstack(l, 6) == 0 {
            reply.error("ERR reached lua stack limit");
            ffi::lua_settop(l, -2);
            return depth > 0;
        }
        if reply.out.bytes.len() > form.most_bytes {
            // Caught where the run ends, which takes back what is written.
            push(l, NO_MEMORY.as_bytes());
            ffi::lua_error(l);
        }
        let mut ok = true;
        match ffi::lua_type(l, -1) {
            ffi::LUA_TSTRING => reply.bulk(to_bytes(l, -1).unwrap_or_default()),
            ffi::LUA_TBOOLEAN => {
                let value = ffi::lua_toboolean(l, -1) != 0;
                match (form.protocol, value) {
                    (Protocol::Resp3, value) => reply.bool(value),
                    (Protocol::Resp2, true) => reply.int(1),
                    (Protocol::Resp2, false) => reply.null(),
                }
            }
            ffi::LUA_TNUMBER => reply.int(truncate(ffi::lua_tonumber(l, -1))),
            ffi::LUA_TTABLE => ok = write_table(l, reply, form, depth),
            _ => reply.null(),
        }
        ffi::lua_settop(l, -2);
        ok
    }
}

/// C's cast to `long long` where Redis runs.
pub fn truncate(number: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number) {
        number as i64
    } else {
        i64::MIN
    }
}

unsafe fn write_table(l: L, reply: &mut Reply<'_>, form: Form, depth: usize) -> bool {
    // SAFETY: as `write_reply`; the table stays at the top, the field it found above it.
    unsafe {
        if get_field(l, b"err") == ffi::LUA_TSTRING {
            reply.error(to_bytes(l, -1).unwrap_or_default());
            ffi::lua_settop(l, -2);
            return false;
        }
        ffi::lua_settop(l, -2);
        if get_field(l, b"ok") == ffi::LUA_TSTRING {
            simple(reply, to_bytes(l, -1).unwrap_or_default());
            ffi::lua_settop(l, -2);
            return true;
        }
        ffi::lua_settop(l, -2);
        if get_field(l, b"double") == ffi::LUA_TNUMBER {
            reply.double(ffi::lua_tonumber(l, -1));
            ffi::lua_settop(l, -2);
            return true;
        }
        ffi::lua_settop(l, -2);
        if get_field(l, b"map") == ffi::LUA_TTABLE {
            let mut len = 0;
            let deferred = reply.deferred();
            ffi::lua_pushnil(l);
            while ffi::lua_next(l, -2) != 0 {
                ffi::lua_pushvalue(l, -2);
                write_reply(l, reply, form, depth + 1);
                write_reply(l, reply, form, depth + 1);
                len += 1;
            }
            reply.fill_map(deferred, len);
            ffi::lua_settop(l, -2);
            return true;
        }
        ffi::lua_settop(l, -2);
        if get_field(l, b"set") == ffi::LUA_TTABLE {
            let mut len = 0;
            let deferred = reply.deferred();
            ffi::lua_pushnil(l);
            while ffi::lua_next(l, -2) != 0 {
                ffi::lua_settop(l, -2);
                ffi::lua_pushvalue(l, -1);
                write_reply(l, reply, form, depth + 1);
                len += 1;
            }
            reply.fill_set(deferred, len);
            ffi::lua_settop(l, -2);
            return true;
        }
        ffi::lua_settop(l, -2);
        if get_field(l, b"big_number") == ffi::LUA_TSTRING {
            big_number(reply, to_bytes(l, -1).unwrap_or_default());
            ffi::lua_settop(l, -2);
            return true;
        }
        ffi::lua_settop(l, -2);
        if get_field(l, b"verbatim_string") == ffi::LUA_TTABLE {
            if get_field(l, b"format") == ffi::LUA_TSTRING {
                let format = to_bytes(l, -1).unwrap_or_default();
                ffi::lua_insert(l, -2);
                if get_field(l, b"string") == ffi::LUA_TSTRING {
                    let ext = std::str::from_utf8(format).unwrap_or("txt");
                    reply.verbatim(ext, to_bytes(l, -1).unwrap_or_default());
                    ffi::lua_settop(l, -4);
                    return true;
                }
                ffi::lua_settop(l, -2);
            }
            ffi::lua_settop(l, -2);
        }
        ffi::lua_settop(l, -2);
        write_array(l, reply, form, depth);
        true
    }
}

unsafe fn write_array(l: L, reply: &mut Reply<'_>, form: Form, depth: usize) {
    // SAFETY: as `write_table`.
    unsafe {
        let deferred = reply.deferred();
        let mut len = 0;
        loop {
            ffi::lua_rawgeti(l, -1, len as ffi::lua_Integer + 1);
            if ffi::lua_type(l, -1) == ffi::LUA_TNIL {
                ffi::lua_settop(l, -2);
                break;
            }
            write_reply(l, reply, form, depth + 1);
            len += 1;
        }
        reply.fill_array(deferred, len);
    }
}

/// A status of any bytes.
fn simple(reply: &mut Reply<'_>, text: &[u8]) {
    reply.raw(b"+");
    raw_line(reply, text);
}

fn big_number(reply: &mut Reply<'_>, text: &[u8]) {
    if reply.protocol == Protocol::Resp3 {
        reply.raw(b"(");
    } else {
        reply.raw(b"$");
        reply.raw(itoa::Buffer::new().format(text.len()).as_bytes());
        reply.raw(b"\r\n");
    }
    raw_line(reply, text);
}

fn raw_line(reply: &mut Reply<'_>, text: &[u8]) {
    for byte in text {
        reply.raw(&[if matches!(byte, b'\r' | b'\n') { b' ' } else { *byte }]);
    }
    reply.raw(b"\r\n");
}
