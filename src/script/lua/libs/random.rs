//! `math.random` and `math.randomseed`: the same numbers everywhere after the same seed.
//!
//! The generator of POSIX `lrand48`: X = (0x5deece66d X + 11) mod 2^48, of which the upper 31 bits are the number.

#![allow(unsafe_code)]

use std::ffi::c_int;

use super::super::raw::{Answer, Fault, L, Native, bad_argument, ffi};
use super::super::state::{native, state};

pub const FUNCTIONS: &[(&str, Native)] = &[("random", random), ("randomseed", randomseed)];

native! {
    random => next;
}

/// The generator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that `math.randomseed` of this seed begins.
    pub fn seeded(seed: i32) -> Random {
        Random(u64::from(seed as u32) << 16 | 0x330e)
    }

    fn next(&mut self) -> u32 {
        self.0 = (self.0.wrapping_mul(0x5_deec_e66d) + 11) & 0xffff_ffff_ffff;
        (self.0 >> 17) as u32
    }
}

unsafe fn next(l: L) -> Answer {
    // SAFETY: called by Lua; nothing is owned here.
    unsafe {
        const MOST: u32 = i32::MAX as u32;
        let part = f64::from(state(l).random.next() % MOST) / f64::from(MOST);
        let number = match ffi::lua_gettop(l) {
            0 => part,
            1 => {
                let upper = int(l, 1);
                if upper < 1.0 {
                    bad_argument(l, 1, c"interval is empty");
                }
                (part * upper).floor() + 1.0
            }
            2 => {
                let (lower, upper) = (int(l, 1), int(l, 2));
                if lower > upper {
                    bad_argument(l, 2, c"interval is empty");
                }
                (part * (upper - lower + 1.0)).floor() + lower
            }
            _ => return Err(Fault::Text("wrong number of arguments")),
        };
        ffi::lua_pushnumber(l, number);
        Ok(1)
    }
}

/// C's `int` of an argument.
unsafe fn int(l: L, index: c_int) -> f64 {
    // SAFETY: called within a native function; jumps when it is no number.
    unsafe { f64::from(ffi::luaL_checkinteger(l, index) as i32) }
}

unsafe extern "C-unwind" fn randomseed(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        state(l).random = Random::seeded(ffi::luaL_checkinteger(l, 1) as i32);
        0
    }
}
