//! Lua's C interface, as little of it as the libraries here need.
//!
//! INVARIANT (jumps): an error in Lua leaves by `longjmp`, over every frame down to the protected call. So a frame that
//! may be jumped over owns nothing: buffers live in [`State`](super::state::State), and an error's text is put on the
//! Lua stack before the jump. Memory that Lua asks for may run out, which is such an error too.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};

pub use mlua::ffi;

/// A Lua thread.
pub type L = *mut ffi::lua_State;
/// What Lua calls.
pub type Native = unsafe extern "C-unwind" fn(L) -> c_int;

/// Why a library function fails. Owns nothing.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The text is preceded by where the script was.
    Text(&'static str),
    /// The same; the text is `State::note`.
    Noted,
}

/// How a library function went: how many results it left, or why it failed.
pub type Answer = Result<c_int, Fault>;

/// The bytes of a string or number; numbers become strings in place, so not for keys that `lua_next` gave.
///
/// # Safety
/// The slice is valid while the value stays on the stack and Lua's stack is not changed below it.
pub unsafe fn to_bytes<'a>(l: L, index: c_int) -> Option<&'a [u8]> {
    let mut len = 0;
    // SAFETY: the caller's thread is valid; the string is kept alive by the stack.
    unsafe {
        let at = ffi::lua_tolstring(l, index, &mut len);
        (!at.is_null()).then(|| std::slice::from_raw_parts(at.cast::<u8>(), len))
    }
}

/// The bytes of an argument that must be a string, or Lua's own complaint.
///
/// # Safety
/// As [`to_bytes`]; jumps.
pub unsafe fn check_bytes<'a>(l: L, index: c_int) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: as above; `luaL_checklstring` does not return null.
    unsafe {
        let at = ffi::luaL_checklstring(l, index, &mut len);
        std::slice::from_raw_parts(at.cast::<u8>(), len)
    }
}

/// Pushes a string.
///
/// # Safety
/// There is a free slot. Jumps when memory is short.
pub unsafe fn push(l: L, bytes: &[u8]) {
    // SAFETY: Lua copies the bytes.
    unsafe { ffi::lua_pushlstring(l, bytes.as_ptr().cast(), bytes.len()) };
}

/// `table[name] = top`, with the table below the top. Pops the value.
///
/// # Safety
/// There is a table below the top and a free slot.
pub unsafe fn set_field(l: L, name: &[u8]) {
    // SAFETY: as promised.
    unsafe {
        push(l, name);
        ffi::lua_insert(l, -2);
        ffi::lua_rawset(l, -3);
    }
}

/// Pushes `table[name]` of the table at the top, without asking metatables.
///
/// # Safety
/// There is a table at the top and a free slot.
pub unsafe fn get_field(l: L, name: &[u8]) -> c_int {
    // SAFETY: as promised.
    unsafe {
        push(l, name);
        ffi::lua_rawget(l, -2);
        ffi::lua_type(l, -1)
    }
}

/// Fails with the text at the top, preceded by where the script was.
///
/// # Safety
/// There is a string at the top. Does not return.
pub unsafe fn raise_top(l: L) -> ! {
    // SAFETY: as promised.
    unsafe {
        ffi::luaL_where(l, 1);
        ffi::lua_insert(l, -2);
        ffi::lua_concat(l, 2);
        ffi::lua_error(l)
    }
}

/// Fails with a text, preceded by where the script was.
///
/// # Safety
/// Does not return: the caller's frame, and those below it that Lua did not make, own nothing.
pub unsafe fn raise(l: L, text: &[u8]) -> ! {
    // SAFETY: as promised.
    unsafe {
        push(l, text);
        raise_top(l)
    }
}

/// Fails as Lua does for an argument.
///
/// # Safety
/// As [`raise`].
pub unsafe fn bad_argument(l: L, index: c_int, why: &CStr) -> ! {
    // SAFETY: `luaL_argerror` does not return.
    unsafe {
        ffi::luaL_argerror(l, index, why.as_ptr());
    }
    unreachable!("luaL_argerror jumps")
}
