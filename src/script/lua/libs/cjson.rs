//! `cjson`: JSON as lua-cjson 2.1 reads and writes it. Reading is in [`json_read`](super::json_read).
//!
//! Settings made by a script hold until it ends.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io::Write;

use super::super::raw::{Answer, Fault, L, Native, bad_argument, ffi, push, to_bytes};
use super::super::state::{State, native, state};

pub const FUNCTIONS: &[(&str, Native)] = &[
    ("encode", encode),
    ("decode", super::json_read::decode),
    ("encode_sparse_array", encode_sparse_array),
    ("encode_max_depth", encode_max_depth),
    ("decode_max_depth", decode_max_depth),
    ("encode_number_precision", encode_number_precision),
    ("encode_keep_buffer", encode_keep_buffer),
    ("encode_invalid_numbers", encode_invalid_numbers),
    ("decode_invalid_numbers", decode_invalid_numbers),
];

native! {
    encode => encode_value;
    encode_sparse_array => set_sparse;
    encode_max_depth => set_encode_depth;
    decode_max_depth => set_decode_depth;
    encode_number_precision => set_precision;
    encode_keep_buffer => set_keep_buffer;
    encode_invalid_numbers => set_encode_invalid;
    decode_invalid_numbers => set_decode_invalid;
}

/// Tables nest in Lua's stack, which has an end.
pub const DEPTH_MOST: i64 = 1900;

/// What becomes of NaN and the infinities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalid {
    Refused,
    Written,
    Null,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub sparse_convert: bool,
    pub sparse_ratio: i64,
    pub sparse_safe: i64,
    pub encode_depth: i64,
    pub decode_depth: i64,
    pub precision: i64,
    pub keep_buffer: bool,
    pub encode_invalid: Invalid,
    pub decode_invalid: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            sparse_convert: false,
            sparse_ratio: 2,
            sparse_safe: 10,
            encode_depth: 1000,
            decode_depth: 1000,
            precision: 14,
            keep_buffer: true,
            encode_invalid: Invalid::Refused,
            decode_invalid: true,
        }
    }
}

unsafe fn encode_value(l: L) -> Answer {
    // SAFETY: called by Lua; the buffer is the state's.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            bad_argument(l, 1, c"expected 1 argument");
        }
        state(l).scratch.clear();
        write(l, 0)?;
        push(l, &state(l).scratch);
        Ok(1)
    }
}

unsafe fn refuse(l: L, reason: &str) -> Fault {
    // SAFETY: called within a native function; type names are Lua's constants.
    unsafe {
        let name = std::ffi::CStr::from_ptr(ffi::lua_typename(l, ffi::lua_type(l, -1)));
        state(l).fault(format!("Cannot serialise {}: {reason}", name.to_string_lossy()))
    }
}

/// Writes the value at the top and leaves it there.
unsafe fn write(l: L, depth: i64) -> Result<(), Fault> {
    // SAFETY: called within a native function; nothing is owned here.
    unsafe {
        state(l).room_for(0)?;
        match ffi::lua_type(l, -1) {
            ffi::LUA_TSTRING => {
                if let Some(bytes) = to_bytes(l, -1) {
                    write_string(state(l), bytes)?;
                }
            }
            ffi::LUA_TNUMBER => write_number(l)?,
            ffi::LUA_TBOOLEAN => {
                let text: &[u8] = if ffi::lua_toboolean(l, -1) != 0 { b"true" } else { b"false" };
                state(l).scratch.extend_from_slice(text);
            }
            ffi::LUA_TNIL => state(l).scratch.extend_from_slice(b"null"),
            ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(l, -1).is_null() => {
                state(l).scratch.extend_from_slice(b"null");
            }
            ffi::LUA_TTABLE => {
                let depth = depth + 1;
                if depth > state(l).cjson.encode_depth.min(DEPTH_MOST) || ffi::lua_checkstack(l, 5) == 0 {
                    return Err(state(l).fault(format!("Cannot serialise, excessive nesting ({depth})")));
                }
                match array_len(l)? {
                    Some(len) => write_array(l, len, depth)?,
                    None => write_object(l, depth)?,
                }
            }
            _ => return Err(refuse(l, "type not supported")),
        }
        Ok(())
    }
}

/// The length of the table at the top, if it is to be an array.
unsafe fn array_len(l: L) -> Result<Option<i64>, Fault> {
    // SAFETY: called within a native function; `lua_next` sees a table that nobody changes.
    unsafe {
        let (mut most, mut items) = (0i64, 0i64);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -2) != 0 {
            let key = if ffi::lua_type(l, -2) == ffi::LUA_TNUMBER { ffi::lua_tonumber(l, -2) } else { 0.0 };
            if !(key >= 1.0 && key.floor() == key && key < 9e15) {
                ffi::lua_settop(l, -3);
                return Ok(None);
            }
            most = most.max(key as i64);
            items += 1;
            ffi::lua_settop(l, -2);
        }
        let settings = &state(l).cjson;
        let is_sparse = settings.sparse_ratio > 0
            && most > items.saturating_mul(settings.sparse_ratio)
            && most > settings.sparse_safe;
        if is_sparse && !settings.sparse_convert {
            return Err(refuse(l, "excessively sparse array"));
        }
        Ok((most > 0 && !is_sparse).then_some(most))
    }
}

unsafe fn write_array(l: L, len: i64, depth: i64) -> Result<(), Fault> {
    // SAFETY: as `write`.
    unsafe {
        state(l).scratch.push(b'[');
        for index in 1..=len {
            if index > 1 {
                state(l).scratch.push(b',');
            }
            ffi::lua_pushnumber(l, index as f64);
            ffi::lua_rawget(l, -2);
            write(l, depth)?;
            ffi::lua_settop(l, -2);
        }
        state(l).scratch.push(b']');
        Ok(())
    }
}

unsafe fn write_object(l: L, depth: i64) -> Result<(), Fault> {
    // SAFETY: as `write`.
    unsafe {
        state(l).scratch.push(b'{');
        let mut first = true;
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -2) != 0 {
            if !first {
                state(l).scratch.push(b',');
            }
            first = false;
            match ffi::lua_type(l, -2) {
                ffi::LUA_TNUMBER => {
                    ffi::lua_pushvalue(l, -2);
                    state(l).scratch.push(b'"');
                    write_number(l)?;
                    state(l).scratch.push(b'"');
                    ffi::lua_settop(l, -2);
                }
                ffi::LUA_TSTRING => {
                    if let Some(bytes) = to_bytes(l, -2) {
                        write_string(state(l), bytes)?;
                    }
                }
                _ => {
                    ffi::lua_settop(l, -2);
                    return Err(refuse(l, "table key must be a number or string"));
                }
            }
            state(l).scratch.push(b':');
            write(l, depth)?;
            ffi::lua_settop(l, -2);
        }
        state(l).scratch.push(b'}');
        Ok(())
    }
}

unsafe fn write_number(l: L) -> Result<(), Fault> {
    // SAFETY: as `write`.
    unsafe {
        let number = ffi::lua_tonumber(l, -1);
        let precision = state(l).cjson.precision as usize;
        if number.is_finite() {
            write_general(&mut state(l).scratch, number, precision);
            return Ok(());
        }
        match state(l).cjson.encode_invalid {
            Invalid::Refused => return Err(refuse(l, "must not be NaN or Inf")),
            Invalid::Null => state(l).scratch.extend_from_slice(b"null"),
            Invalid::Written if number.is_nan() => state(l).scratch.extend_from_slice(b"nan"),
            Invalid::Written if number > 0.0 => state(l).scratch.extend_from_slice(b"inf"),
            Invalid::Written => state(l).scratch.extend_from_slice(b"-inf"),
        }
        Ok(())
    }
}

/// C's `%.{precision}g`.
pub fn write_general(out: &mut Vec<u8>, number: f64, precision: usize) {
    let precision = precision.max(1);
    if number.fract() == 0.0
        && number.abs() < 1e14
        && precision >= 14
        && !(number == 0.0 && number.is_sign_negative())
    {
        out.extend_from_slice(itoa::Buffer::new().format(number as i64).as_bytes());
        return;
    }
    let start = out.len();
    // Writing into memory does not fail.
    let _ = write!(out, "{number:.*e}", precision - 1);
    let Some(at) = out[start..].iter().position(|byte| *byte == b'e').map(|at| start + at) else { return };
    let exponent =
        std::str::from_utf8(&out[at + 1..]).ok().and_then(|text| text.parse::<i32>().ok()).unwrap_or(0);
    out.truncate(at);
    let trim = |out: &mut Vec<u8>| {
        if out[start..].contains(&b'.') {
            while out.last() == Some(&b'0') {
                out.pop();
            }
            if out.last() == Some(&b'.') {
                out.pop();
            }
        }
    };
    if exponent < -4 || exponent >= precision as i32 {
        trim(out);
        let _ = write!(out, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    } else {
        out.truncate(start);
        let _ = write!(out, "{number:.*}", (precision as i32 - 1 - exponent) as usize);
        trim(out);
    }
}

fn write_string(state: &mut State, bytes: &[u8]) -> Result<(), Fault> {
    const CHUNK_BYTES: usize = 64 * 1024;
    state.scratch.push(b'"');
    for chunk in bytes.chunks(CHUNK_BYTES) {
        state.room_for(chunk.len())?;
        write_escaped(&mut state.scratch, chunk);
    }
    state.scratch.push(b'"');
    Ok(())
}

fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'/' => out.extend_from_slice(b"\\/"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 | 0x7f => {
                let digits = b"0123456789abcdef";
                let (high, low) = (digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
            byte => out.push(*byte),
        }
    }
}

// --- settings -------------------------------------------------------------------------------------------------------

unsafe fn integer(l: L, index: c_int, least: i64, most: i64) -> Result<Option<i64>, Fault> {
    // SAFETY: called within a native function.
    unsafe {
        if ffi::lua_type(l, index) <= ffi::LUA_TNIL {
            return Ok(None);
        }
        let value = ffi::luaL_checkinteger(l, index) as i64;
        if (least..=most).contains(&value) {
            return Ok(Some(value));
        }
        let text = format!("expected integer between {least} and {most}");
        push(l, text.as_bytes());
        drop(text);
        ffi::luaL_argerror(l, index, ffi::lua_tolstring(l, -1, std::ptr::null_mut()));
        Ok(None)
    }
}

unsafe fn flag(l: L, index: c_int) -> Option<bool> {
    // SAFETY: called within a native function.
    unsafe {
        match ffi::lua_type(l, index) {
            ffi::LUA_TBOOLEAN => Some(ffi::lua_toboolean(l, index) != 0),
            kind if kind <= ffi::LUA_TNIL => None,
            _ => match ffi::luaL_checklstring(l, index, std::ptr::null_mut()) {
                _ if to_bytes(l, index) == Some(b"on") => Some(true),
                _ if to_bytes(l, index) == Some(b"off") => Some(false),
                _ => invalid_option(l, index),
            },
        }
    }
}

unsafe fn invalid_option(l: L, index: c_int) -> ! {
    // SAFETY: called within a native function; the text is on the stack before the jump.
    unsafe {
        push(l, b"invalid option '");
        ffi::lua_pushvalue(l, index);
        push(l, b"'");
        ffi::lua_concat(l, 3);
        ffi::luaL_argerror(l, index, ffi::lua_tolstring(l, -1, std::ptr::null_mut()));
    }
    unreachable!("luaL_argerror jumps")
}

unsafe fn set_sparse(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        let convert = flag(l, 1);
        let ratio = integer(l, 2, 0, i64::from(i32::MAX))?;
        let safe = integer(l, 3, 0, i64::from(i32::MAX))?;
        let settings = &mut state(l).cjson;
        settings.sparse_convert = convert.unwrap_or(settings.sparse_convert);
        settings.sparse_ratio = ratio.unwrap_or(settings.sparse_ratio);
        settings.sparse_safe = safe.unwrap_or(settings.sparse_safe);
        ffi::lua_pushboolean(l, c_int::from(settings.sparse_convert));
        ffi::lua_pushnumber(l, settings.sparse_ratio as f64);
        ffi::lua_pushnumber(l, settings.sparse_safe as f64);
        Ok(3)
    }
}

unsafe fn set_encode_depth(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        if let Some(depth) = integer(l, 1, 1, i64::from(i32::MAX))? {
            state(l).cjson.encode_depth = depth;
        }
        ffi::lua_pushnumber(l, state(l).cjson.encode_depth as f64);
        Ok(1)
    }
}

unsafe fn set_decode_depth(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        if let Some(depth) = integer(l, 1, 1, i64::from(i32::MAX))? {
            state(l).cjson.decode_depth = depth;
        }
        ffi::lua_pushnumber(l, state(l).cjson.decode_depth as f64);
        Ok(1)
    }
}

unsafe fn set_precision(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        if let Some(precision) = integer(l, 1, 1, 14)? {
            state(l).cjson.precision = precision;
        }
        ffi::lua_pushnumber(l, state(l).cjson.precision as f64);
        Ok(1)
    }
}

unsafe fn set_keep_buffer(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        if let Some(keep) = flag(l, 1) {
            state(l).cjson.keep_buffer = keep;
        }
        ffi::lua_pushboolean(l, c_int::from(state(l).cjson.keep_buffer));
        Ok(1)
    }
}

unsafe fn set_encode_invalid(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        let asked = match ffi::lua_type(l, 1) {
            ffi::LUA_TSTRING if to_bytes(l, 1) == Some(b"null") => Some(Invalid::Null),
            _ => flag(l, 1).map(|on| if on { Invalid::Written } else { Invalid::Refused }),
        };
        let settings = &mut state(l).cjson;
        settings.encode_invalid = asked.unwrap_or(settings.encode_invalid);
        match settings.encode_invalid {
            Invalid::Null => push(l, b"null"),
            invalid => ffi::lua_pushboolean(l, c_int::from(invalid == Invalid::Written)),
        }
        Ok(1)
    }
}

unsafe fn set_decode_invalid(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        if let Some(allowed) = flag(l, 1) {
            state(l).cjson.decode_invalid = allowed;
        }
        ffi::lua_pushboolean(l, c_int::from(state(l).cjson.decode_invalid));
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn general(number: f64, precision: usize) -> String {
        let mut out = Vec::new();
        write_general(&mut out, number, precision);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_printf_writes_them() {
        for (number, text) in [
            (0.1, "0.1"),
            (1e15, "1e+15"),
            (123_456_789_012_345_680.0, "1.2345678901235e+17"),
            (99_999_999_999_999.0, "99999999999999"),
            (1e14, "1e+14"),
            (-0.0, "-0"),
            (1e-5, "1e-05"),
            (0.000_123, "0.000123"),
            (-1.5, "-1.5"),
            (1e300, "1e+300"),
            (0.999_999_999_999_999_9, "1"),
        ] {
            assert_eq!(general(number, 14), text);
        }
        assert_eq!(general(std::f64::consts::PI, 3), "3.14");
        assert_eq!(general(100.0, 2), "1e+02");
    }
}
