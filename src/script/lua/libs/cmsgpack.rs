//! `cmsgpack`: MessagePack, as lua-cmsgpack 0.4 reads and writes it.

#![allow(unsafe_code)]

use super::super::raw::{Answer, Fault, L, Native, bad_argument, check_bytes, ffi, push, to_bytes};
use super::super::state::{native, state};

pub const FUNCTIONS: &[(&str, Native)] =
    &[("pack", pack), ("unpack", unpack), ("unpack_one", unpack_one), ("unpack_limit", unpack_limit)];

native! {
    pack => pack_values;
    unpack => unpack_all;
    unpack_one => unpack_first;
    unpack_limit => unpack_some;
}

/// Tables deeper than this are written as nil.
const DEPTH_MOST: usize = 16;
/// Nesting that is read.
const READ_DEPTH_MOST: usize = 1000;

const MISSING: Fault = Fault::Text("Missing bytes in input.");
const BAD: Fault = Fault::Text("Bad data format in input.");

unsafe fn pack_values(l: L) -> Answer {
    // SAFETY: called by Lua; the buffer is the state's.
    unsafe {
        let count = ffi::lua_gettop(l);
        if count == 0 {
            bad_argument(l, 0, c"MessagePack pack needs input.");
        }
        ffi::luaL_checkstack(l, 3, c"Too many arguments for MessagePack pack.".as_ptr());
        state(l).scratch.clear();
        for index in 1..=count {
            ffi::lua_pushvalue(l, index);
            write_top(l, 0)?;
        }
        push(l, &state(l).scratch);
        Ok(1)
    }
}

/// Writes the value at the top, and pops it.
unsafe fn write_top(l: L, depth: usize) -> Result<(), Fault> {
    // SAFETY: called within a native function; strings stay on the stack while they are copied.
    unsafe {
        state(l).room_for(0)?;
        match ffi::lua_type(l, -1) {
            ffi::LUA_TSTRING => {
                if let Some(bytes) = to_bytes(l, -1) {
                    state(l).room_for(bytes.len())?;
                    write_bytes(&mut state(l).scratch, bytes);
                }
            }
            ffi::LUA_TBOOLEAN => {
                let byte = if ffi::lua_toboolean(l, -1) != 0 { 0xc3 } else { 0xc2 };
                state(l).scratch.push(byte);
            }
            ffi::LUA_TNUMBER => write_number(&mut state(l).scratch, ffi::lua_tonumber(l, -1)),
            ffi::LUA_TTABLE if depth < DEPTH_MOST => write_table(l, depth)?,
            _ => state(l).scratch.push(0xc0),
        }
        ffi::lua_settop(l, -2);
        Ok(())
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..32 => out.push(0xa0 | len as u8),
        len @ 32..=0xff => out.extend([0xd9, len as u8]),
        len @ 0x100..=0xffff => {
            out.push(0xda);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0xdb);
            out.extend((len as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

fn write_number(out: &mut Vec<u8>, number: f64) {
    // What does not fit is no integer. 2^63 would saturate to what is rounded to 2^63 again.
    let int = number as i64;
    if int as f64 == number && int != i64::MAX {
        return write_int(out, int);
    }
    let short = number as f32;
    if f64::from(short) == number {
        out.push(0xca);
        out.extend(short.to_bits().to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend(number.to_bits().to_be_bytes());
    }
}

fn write_int(out: &mut Vec<u8>, int: i64) {
    match int {
        0..=0x7f => out.push(int as u8),
        0x80..=0xff => out.extend([0xcc, int as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend((int as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend((int as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend(int.to_be_bytes());
        }
        -32..0 => out.push(int as u8),
        -0x80..-32 => out.extend([0xd0, int as u8]),
        -0x8000..-0x80 => {
            out.push(0xd1);
            out.extend((int as i16).to_be_bytes());
        }
        -0x8000_0000..-0x8000 => {
            out.push(0xd2);
            out.extend((int as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend(int.to_be_bytes());
        }
    }
}

fn write_header(out: &mut Vec<u8>, len: usize, short: u8, long: u8) {
    match len {
        0..16 => out.push(short | len as u8),
        16..=0xffff => {
            out.push(long);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(long + 1);
            out.extend((len as u32).to_be_bytes());
        }
    }
}

/// A table whose keys are 1 to n is an array.
unsafe fn write_table(l: L, depth: usize) -> Result<(), Fault> {
    // SAFETY: called within a native function; `lua_next` sees a table that nobody changes.
    unsafe {
        ffi::luaL_checkstack(l, 4, c"in function mp_encode_lua_table".as_ptr());
        let (mut count, mut most, mut is_array) = (0usize, 0f64, true);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -2) != 0 {
            ffi::lua_settop(l, -2);
            count += 1;
            if ffi::lua_type(l, -1) == ffi::LUA_TNUMBER {
                let key = ffi::lua_tonumber(l, -1);
                is_array &= key >= 1.0 && key.fract() == 0.0;
                most = most.max(key);
            } else {
                is_array = false;
            }
        }
        if is_array && most == count as f64 {
            write_header(&mut state(l).scratch, count, 0x90, 0xdc);
            for index in 1..=count {
                ffi::lua_rawgeti(l, -1, index as i64);
                write_top(l, depth + 1)?;
            }
            return Ok(());
        }
        write_header(&mut state(l).scratch, count, 0x80, 0xde);
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, -2) != 0 {
            ffi::lua_pushvalue(l, -2);
            write_top(l, depth + 1)?;
            write_top(l, depth + 1)?;
        }
        Ok(())
    }
}

struct Input<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.data.len()).ok_or(MISSING)?;
        let bytes = &self.data[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn unsigned(&mut self, len: usize) -> Result<u64, Fault> {
        Ok(self.take(len)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, len: usize) -> Result<i64, Fault> {
        let unused = 64 - 8 * len as u32;
        Ok((self.unsigned(len)? << unused) as i64 >> unused)
    }
}

/// Reads one value and pushes it.
unsafe fn read(l: L, input: &mut Input<'_>, depth: usize) -> Result<(), Fault> {
    // SAFETY: called within a native function; nothing is owned here.
    unsafe {
        ffi::luaL_checkstack(
            l,
            4,
            c"too many return values at once; use unpack_one or unpack_limit instead.".as_ptr(),
        );
        if depth > READ_DEPTH_MOST {
            return Err(Fault::Text("stack overflow (in function mp_decode_to_lua_array)"));
        }
        let tag = input.take(1)?[0];
        match tag {
            0x00..=0x7f => ffi::lua_pushnumber(l, f64::from(tag)),
            0xe0..=0xff => ffi::lua_pushnumber(l, f64::from(tag as i8)),
            0xc0 => ffi::lua_pushnil(l),
            0xc2 => ffi::lua_pushboolean(l, 0),
            0xc3 => ffi::lua_pushboolean(l, 1),
            0xca => {
                ffi::lua_pushnumber(l, f64::from(f32::from_bits(input.unsigned(4)? as u32)));
            }
            0xcb => ffi::lua_pushnumber(l, f64::from_bits(input.unsigned(8)?)),
            0xcc..=0xcf => ffi::lua_pushnumber(l, input.unsigned(1 << (tag - 0xcc))? as f64),
            0xd0..=0xd3 => ffi::lua_pushnumber(l, input.signed(1 << (tag - 0xd0))? as f64),
            0xa0..=0xbf => push(l, input.take(usize::from(tag & 31))?),
            0xd9..=0xdb => {
                let len = input.unsigned(1 << (tag - 0xd9))? as usize;
                push(l, input.take(len)?);
            }
            0x90..=0x9f => read_array(l, input, usize::from(tag & 15), depth)?,
            0x80..=0x8f => read_map(l, input, usize::from(tag & 15), depth)?,
            0xdc | 0xdd => {
                let len = input.unsigned(2 << (tag - 0xdc))? as usize;
                read_array(l, input, len, depth)?;
            }
            0xde | 0xdf => {
                let len = input.unsigned(2 << (tag - 0xde))? as usize;
                read_map(l, input, len, depth)?;
            }
            _ => return Err(BAD),
        }
        Ok(())
    }
}

unsafe fn read_array(l: L, input: &mut Input<'_>, len: usize, depth: usize) -> Result<(), Fault> {
    // SAFETY: as `read`. What is merely announced is not allocated: the table grows with what comes.
    unsafe {
        ffi::lua_newtable(l);
        for index in 1..=len {
            read(l, input, depth + 1)?;
            ffi::lua_rawseti(l, -2, index as i64);
        }
    }
    Ok(())
}

unsafe fn read_map(l: L, input: &mut Input<'_>, len: usize, depth: usize) -> Result<(), Fault> {
    // SAFETY: as `read`; a key that no table can have jumps as Lua does.
    unsafe {
        ffi::lua_newtable(l);
        for _ in 0..len {
            read(l, input, depth + 1)?;
            read(l, input, depth + 1)?;
            ffi::lua_settable(l, -3);
        }
    }
    Ok(())
}

unsafe fn unpack_all(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe { unpack_full(l, 0, 0, false) }
}

unsafe fn unpack_first(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        let offset = ffi::luaL_optinteger(l, 2, 0) as i64;
        unpack_full(l, 1, offset, true)
    }
}

unsafe fn unpack_some(l: L) -> Answer {
    // SAFETY: called by Lua.
    unsafe {
        let limit = ffi::luaL_checkinteger(l, 2) as i64;
        let offset = ffi::luaL_optinteger(l, 3, 0) as i64;
        unpack_full(l, limit, offset, true)
    }
}

/// Pushes up to `limit` values (0: all), before them where to go on (-1: nowhere) when `tells`.
unsafe fn unpack_full(l: L, limit: i64, offset: i64, tells: bool) -> Answer {
    // SAFETY: called within a native function.
    unsafe {
        let data = check_bytes(l, 1);
        if offset < 0 || limit < 0 {
            let len = data.len();
            return Err(state(l)
                .fault(format!("Invalid request to unpack with offset of {offset} and limit of {len}.")));
        }
        if offset as usize > data.len() {
            let len = data.len();
            return Err(state(l).fault(format!("Start offset {offset} greater than input length {len}.")));
        }
        ffi::lua_settop(l, 1);
        // Where to go on is told only when a limit was given.
        let tells = tells && limit > 0;
        if tells {
            ffi::lua_pushnil(l);
        }
        let mut input = Input { data, at: offset as usize };
        let mut count = 0;
        while input.at < data.len() && (limit == 0 || count < limit) {
            read(l, &mut input, 0)?;
            count += 1;
        }
        if tells {
            let next = if input.at == data.len() { -1.0 } else { input.at as f64 };
            ffi::lua_pushnumber(l, next);
            ffi::lua_replace(l, 2);
        }
        Ok(ffi::lua_gettop(l) - 1)
    }
}
