//! `bit`: operations on 32-bit integers, with the semantics of Lua BitOp.

#![allow(unsafe_code)]

use std::ffi::c_int;

use super::super::raw::{L, Native, ffi, push};

pub const FUNCTIONS: &[(&str, Native)] = &[
    ("tobit", tobit),
    ("bnot", bnot),
    ("band", band),
    ("bor", bor),
    ("bxor", bxor),
    ("lshift", lshift),
    ("rshift", rshift),
    ("arshift", arshift),
    ("rol", rol),
    ("ror", ror),
    ("bswap", bswap),
    ("tohex", tohex),
];

/// An argument as 32 bits: the nearest integer, wrapped around.
///
/// Adding 2^52 + 2^51 leaves the integer in the low bits of the mantissa; what does not fit there is noise, as it is
/// in BitOp.
unsafe fn bits(l: L, index: c_int) -> u32 {
    // SAFETY: an argument that is no number jumps, and nothing is owned here.
    let number = unsafe { ffi::luaL_checknumber(l, index) };
    (number + 6_755_399_441_055_744.0).to_bits() as u32
}

unsafe fn answer(l: L, bits: u32) -> c_int {
    // SAFETY: a C function has room for its results.
    unsafe { ffi::lua_pushnumber(l, f64::from(bits as i32)) };
    1
}

macro_rules! unary {
    ($($name:ident = $f:expr;)*) => {
        $(unsafe extern "C-unwind" fn $name(l: L) -> c_int {
            // SAFETY: called by Lua.
            unsafe { let f: fn(u32) -> u32 = $f; answer(l, f(bits(l, 1))) }
        })*
    };
}

macro_rules! fold {
    ($($name:ident = $f:expr;)*) => {
        $(unsafe extern "C-unwind" fn $name(l: L) -> c_int {
            // SAFETY: called by Lua.
            unsafe {
                let f: fn(u32, u32) -> u32 = $f;
                let mut all = bits(l, 1);
                for index in 2..=ffi::lua_gettop(l) {
                    all = f(all, bits(l, index));
                }
                answer(l, all)
            }
        })*
    };
}

macro_rules! shift {
    ($($name:ident = $f:expr;)*) => {
        $(unsafe extern "C-unwind" fn $name(l: L) -> c_int {
            // SAFETY: called by Lua.
            unsafe { let f: fn(u32, u32) -> u32 = $f; answer(l, f(bits(l, 1), bits(l, 2) & 31)) }
        })*
    };
}

unary! {
    tobit = |a| a;
    bnot = |a| !a;
    bswap = u32::swap_bytes;
}

fold! {
    band = |a, b| a & b;
    bor = |a, b| a | b;
    bxor = |a, b| a ^ b;
}

shift! {
    lshift = |a, n| a << n;
    rshift = |a, n| a >> n;
    arshift = |a, n| ((a as i32) >> n) as u32;
    rol = u32::rotate_left;
    ror = u32::rotate_right;
}

/// `tohex(x, n)`: the last `n` digits, capitals when `n` is negative.
///
/// CVE-2024-31449: the least integer has no positive counterpart.
unsafe extern "C-unwind" fn tohex(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        let value = bits(l, 1);
        let n = if ffi::lua_type(l, 2) <= ffi::LUA_TNIL { 8 } else { bits(l, 2) as i32 };
        let digits: &[u8; 16] = if n < 0 { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        let count = n.unsigned_abs().min(8) as usize;
        let mut text = [0u8; 8];
        for (at, digit) in text[..count].iter_mut().enumerate() {
            *digit = digits[(value >> (4 * (count - 1 - at)) & 15) as usize];
        }
        push(l, &text[..count]);
        1
    }
}
