//! `struct`: values to and from packed bytes, with the formats of Lua's struct library.
//!
//! A format is a run of options: `<` `>` byte order, `!n` alignment, `x` padding, `b h l T i` integers (capitals
//! unsigned, a size after `i`), `f d` floats, `s` a string with its zero, `cn` characters (`c0`: as many as the number
//! before it says).

#![allow(unsafe_code)]

use super::super::raw::{Answer, Fault, L, Native, bad_argument, check_bytes, ffi, push};
use super::super::state::{native, state};

pub const FUNCTIONS: &[(&str, Native)] = &[("pack", pack), ("unpack", unpack), ("size", size)];

native! {
    pack => pack_values;
    unpack => unpack_values;
    size => size_of;
}

const INT_MOST: usize = 32;
const ALIGN_MOST: usize = 8;

/// A format being read.
struct Format<'a> {
    rest: &'a [u8],
    little: bool,
    align: usize,
}

impl Format<'_> {
    fn new(rest: &[u8]) -> Format<'_> {
        Format { rest: rest.split(|byte| *byte == 0).next().unwrap_or_default(), little: true, align: 1 }
    }

    fn number(&mut self, default: usize) -> Result<usize, Fault> {
        if !self.rest.first().is_some_and(u8::is_ascii_digit) {
            return Ok(default);
        }
        let mut value = 0usize;
        while let Some(digit) = self.rest.first().filter(|digit| digit.is_ascii_digit()) {
            let digit = usize::from(digit - b'0');
            if value > (i32::MAX as usize - digit) / 10 {
                return Err(Fault::Text("integral size overflow"));
            }
            value = value * 10 + digit;
            self.rest = &self.rest[1..];
        }
        Ok(value)
    }

    /// The next option and its size.
    unsafe fn next(&mut self, l: L) -> Result<Option<(u8, usize)>, Fault> {
        let Some((option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'l' | b'L' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INT_MOST {
                    // SAFETY: called within a native function.
                    let state = unsafe { state(l) };
                    return Err(
                        state.fault(format!("integral size {size} is larger than limit of {INT_MOST}"))
                    );
                }
                size
            }
            _ => 0,
        };
        Ok(Some((*option, size)))
    }

    /// Bytes to skip before an option at this position.
    fn padding(&self, at: usize, option: u8, size: usize) -> usize {
        if size == 0 || option == b'c' {
            return 0;
        }
        let align = size.min(self.align);
        if align > 1 { (align - (at & (align - 1))) & (align - 1) } else { 0 }
    }

    /// An option that is no value.
    unsafe fn control(&mut self, l: L, option: u8) -> Result<(), Fault> {
        match option {
            b' ' => {}
            b'<' => self.little = true,
            b'>' => self.little = false,
            b'!' => {
                let align = self.number(ALIGN_MOST)?;
                if align == 0 || !align.is_power_of_two() {
                    // SAFETY: called within a native function.
                    let state = unsafe { state(l) };
                    return Err(state.fault(format!("alignment {align} is not a power of 2")));
                }
                self.align = align;
            }
            other => {
                // SAFETY: the text is on the stack before the jump.
                unsafe {
                    push(l, b"invalid format option '");
                    push(l, &[other]);
                    push(l, b"'");
                    ffi::lua_concat(l, 3);
                    ffi::luaL_argerror(l, 1, ffi::lua_tolstring(l, -1, std::ptr::null_mut()));
                }
            }
        }
        Ok(())
    }
}

unsafe fn pack_values(l: L) -> Answer {
    // SAFETY: called by Lua; the buffer is the state's.
    unsafe {
        let mut format = Format::new(check_bytes(l, 1));
        state(l).scratch.clear();
        let mut arg = 2;
        while let Some((option, mut size)) = format.next(l)? {
            // A value has as many bytes as its format says, or is a string of which more is asked below.
            state(l).room_for(INT_MOST)?;
            let at = state(l).scratch.len();
            let padding = format.padding(at, option, size);
            state(l).scratch.resize(at + padding, 0);
            match option {
                b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                    let number = ffi::luaL_checknumber(l, arg);
                    put_int(&mut state(l).scratch, number, format.little, size);
                    arg += 1;
                }
                b'x' => state(l).scratch.push(0),
                b'f' => {
                    let bits = (ffi::luaL_checknumber(l, arg) as f32).to_bits();
                    let bytes = if format.little { bits.to_le_bytes() } else { bits.to_be_bytes() };
                    state(l).scratch.extend_from_slice(&bytes);
                    arg += 1;
                }
                b'd' => {
                    let bits = ffi::luaL_checknumber(l, arg).to_bits();
                    let bytes = if format.little { bits.to_le_bytes() } else { bits.to_be_bytes() };
                    state(l).scratch.extend_from_slice(&bytes);
                    arg += 1;
                }
                b'c' | b's' => {
                    let text = check_bytes(l, arg);
                    arg += 1;
                    if size == 0 {
                        size = text.len();
                    }
                    if text.len() < size {
                        bad_argument(l, arg, c"string too short");
                    }
                    state(l).room_for(size)?;
                    state(l).scratch.extend_from_slice(&text[..size]);
                    if option == b's' {
                        state(l).scratch.push(0);
                    }
                }
                other => format.control(l, other)?,
            }
        }
        push(l, &state(l).scratch);
        Ok(1)
    }
}

fn put_int(out: &mut Vec<u8>, number: f64, little: bool, size: usize) {
    let value = if number < 0.0 { number as i64 as u64 } else { number as u64 };
    let byte = |at: usize| if at < 8 { (value >> (8 * at)) as u8 } else { 0 };
    match little {
        true => out.extend((0..size).map(byte)),
        false => out.extend((0..size).rev().map(byte)),
    }
}

fn get_int(bytes: &[u8], little: bool, signed: bool) -> f64 {
    let mut value = 0u64;
    for at in 0..bytes.len() {
        let byte = if little { bytes[bytes.len() - 1 - at] } else { bytes[at] };
        value = value << 8 | u64::from(byte);
    }
    if !signed {
        return value as f64;
    }
    let unused = 64u32.saturating_sub(8 * bytes.len() as u32);
    if unused == 64 { 0.0 } else { ((value << unused) as i64 >> unused) as f64 }
}

unsafe fn unpack_values(l: L) -> Answer {
    // SAFETY: called by Lua; nothing is owned here.
    unsafe {
        let mut format = Format::new(check_bytes(l, 1));
        let data = check_bytes(l, 2);
        let from = ffi::luaL_optinteger(l, 3, 1) as i64;
        if from == 0 {
            bad_argument(l, 3, c"offset must be 1 or greater");
        }
        let mut at = usize::try_from(from - 1).unwrap_or(usize::MAX);
        ffi::lua_settop(l, 2);
        while let Some((option, mut size)) = format.next(l)? {
            at = at.saturating_add(format.padding(at, option, size));
            if data.len().checked_sub(size).is_none_or(|most| at > most) {
                bad_argument(l, 2, c"data string too short");
            }
            ffi::luaL_checkstack(l, 2, c"too many results".as_ptr());
            let field = &data[at..at + size];
            match option {
                b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                    ffi::lua_pushnumber(l, get_int(field, format.little, option.is_ascii_lowercase()));
                }
                b'x' => {}
                b'f' => {
                    let bytes = [field[0], field[1], field[2], field[3]];
                    let bits =
                        if format.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
                    ffi::lua_pushnumber(l, f64::from(f32::from_bits(bits)));
                }
                b'd' => {
                    let mut bytes = [0; 8];
                    bytes.copy_from_slice(field);
                    let bits =
                        if format.little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) };
                    ffi::lua_pushnumber(l, f64::from_bits(bits));
                }
                b'c' => {
                    if size == 0 {
                        if ffi::lua_gettop(l) <= 2 || ffi::lua_isnumber(l, -1) == 0 {
                            return Err(Fault::Text("format 'c0' needs a previous size"));
                        }
                        let asked = ffi::lua_tonumber(l, -1);
                        size = if asked < 0.0 { usize::MAX } else { asked as usize };
                        ffi::lua_settop(l, -2);
                        if data.len().checked_sub(size).is_none_or(|most| at > most) {
                            bad_argument(l, 2, c"data string too short");
                        }
                    }
                    push(l, &data[at..at + size]);
                }
                b's' => {
                    let Some(len) = memchr::memchr(0, &data[at..]) else {
                        return Err(Fault::Text("unfinished string in data"));
                    };
                    push(l, &data[at..at + len]);
                    size = len + 1;
                }
                other => format.control(l, other)?,
            }
            at += size;
        }
        ffi::lua_pushnumber(l, (at as f64) + 1.0);
        Ok(ffi::lua_gettop(l) - 2)
    }
}

unsafe fn size_of(l: L) -> Answer {
    // SAFETY: called by Lua; nothing is owned here.
    unsafe {
        let mut format = Format::new(check_bytes(l, 1));
        let mut at = 0usize;
        while let Some((option, size)) = format.next(l)? {
            at = at.saturating_add(format.padding(at, option, size));
            match option {
                b's' => bad_argument(l, 1, c"option 's' has no fixed size"),
                b'c' if size == 0 => bad_argument(l, 1, c"option 'c0' has no fixed size"),
                option if !option.is_ascii_alphabetic() => format.control(l, option)?,
                _ => {}
            }
            at = at.saturating_add(size);
        }
        ffi::lua_pushnumber(l, at as f64);
        Ok(1)
    }
}
