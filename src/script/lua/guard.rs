//! Guards around Lua's own functions: they look at the arguments and then *are* the function, so that its errors and
//! positions are Lua's.
//!
//! What they keep out: writes to protected tables past their metatables; patterns so long that matching them would
//! exhaust the stack (it recurses once per item); repetitions that cost time without end; and errors that end the
//! script being caught by it.

#![allow(unsafe_code)]

use std::ffi::c_int;

use super::raw::{L, Native, bad_argument, check_bytes, ffi, push, raise, to_bytes};
use super::state::state;

/// Longest pattern.
const PATTERN_MOST_BYTES: usize = 8192;
/// Longest string that `string.rep` makes.
const REP_MOST_BYTES: f64 = 512.0 * 1024.0 * 1024.0;
/// Results of `unpack`; Lua's stack is smaller.
const UNPACK_MOST: i64 = 1 << 20;

/// The guards by name.
pub const KINDS: &[(&str, Native)] = &[
    ("write", write),
    ("read", read),
    ("insert", insert),
    ("pattern", pattern),
    ("rep", rep),
    ("rethrow", rethrow),
];

/// `guard(kind, function)`. Its second upvalue are the protected tables.
///
/// # Safety
/// Called by Lua, made by `engine`.
pub unsafe extern "C-unwind" fn guard(l: L) -> c_int {
    // SAFETY: called by Lua, in the prelude.
    unsafe {
        let kind = check_bytes(l, 1);
        let Some((_, native)) = KINDS.iter().find(|(name, _)| name.as_bytes() == kind) else {
            bad_argument(l, 1, c"a kind of guard");
        };
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(l, 2);
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(2));
        ffi::lua_pushcclosure(l, *native, 3);
        1
    }
}

/// Becomes the guarded function, which has no upvalues of its own.
unsafe fn go_on(l: L) -> c_int {
    // SAFETY: the second upvalue is a C function.
    unsafe {
        let function = ffi::lua_tocfunction(l, ffi::lua_upvalueindex(2)).expect("guards are for C functions");
        function(l)
    }
}

/// Pushes the real table behind the first argument, if that is protected.
unsafe fn real_of_first(l: L) -> bool {
    // SAFETY: called within a guard.
    unsafe {
        if ffi::lua_type(l, 1) != ffi::LUA_TTABLE {
            return false;
        }
        ffi::lua_pushvalue(l, 1);
        ffi::lua_rawget(l, ffi::lua_upvalueindex(3));
        if ffi::lua_type(l, -1) == ffi::LUA_TNIL {
            ffi::lua_settop(l, -2);
            return false;
        }
        true
    }
}

unsafe extern "C-unwind" fn write(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if real_of_first(l) {
            push(l, b"Attempt to modify a readonly table");
            ffi::lua_error(l);
        }
        go_on(l)
    }
}

unsafe extern "C-unwind" fn read(l: L) -> c_int {
    // SAFETY: called by Lua. The real table takes the place of the argument and is not handed out.
    unsafe {
        if real_of_first(l) {
            ffi::lua_replace(l, 1);
        }
        go_on(l)
    }
}

unsafe extern "C-unwind" fn insert(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if real_of_first(l) {
            push(l, b"Attempt to modify a readonly table");
            ffi::lua_error(l);
        }
        if ffi::lua_gettop(l) == 3
            && ffi::lua_type(l, 2) == ffi::LUA_TNUMBER
            && ffi::lua_tonumber(l, 2) < -1e6
        {
            raise(l, b"bad argument #2 to 'insert' (position out of bounds)");
        }
        go_on(l)
    }
}

unsafe extern "C-unwind" fn pattern(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if ffi::lua_type(l, 2) == ffi::LUA_TSTRING
            && to_bytes(l, 2).is_some_and(|pattern| pattern.len() > PATTERN_MOST_BYTES)
            && ffi::lua_toboolean(l, 4) == 0
        {
            raise(l, b"pattern too complex");
        }
        go_on(l)
    }
}

unsafe extern "C-unwind" fn rep(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        let len = check_bytes(l, 1).len();
        let count = ffi::luaL_checknumber(l, 2);
        if len == 0 {
            push(l, b"");
            return 1;
        }
        if len as f64 * count > REP_MOST_BYTES {
            raise(l, b"resulting string too large");
        }
        go_on(l)
    }
}

/// `unpack` of its own: the indices may be any, as long as there are not too many.
///
/// CVE-2025-46817: the count of results overflowed.
///
/// # Safety
/// Called by Lua, made by `engine`.
pub unsafe extern "C-unwind" fn unpack(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        let int = |number: f64| i64::from(number as i64 as i32);
        let from = int(ffi::luaL_optnumber(l, 2, 1.0));
        let to = match ffi::lua_type(l, 3) <= ffi::LUA_TNIL {
            true => ffi::lua_objlen(l, 1) as i64,
            false => int(ffi::luaL_checknumber(l, 3)),
        };
        let count = to - from + 1;
        if count <= 0 {
            return 0;
        }
        if count > UNPACK_MOST || ffi::lua_checkstack(l, count as c_int) == 0 {
            raise(l, b"too many results to unpack");
        }
        for index in from..=to {
            ffi::lua_rawgeti(l, 1, index as ffi::lua_Integer);
        }
        count as c_int
    }
}

/// Raises again what ends the script.
///
/// # Safety
/// The running function's first upvalue is the state.
unsafe fn raise_stop(l: L) {
    // SAFETY: as promised.
    unsafe {
        if state(l).stop.is_some() {
            ffi::lua_pushnil(l);
            ffi::lua_error(l);
        }
    }
}

unsafe extern "C-unwind" fn rethrow(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        let results = go_on(l);
        raise_stop(l);
        results
    }
}

/// `pcall`: as Lua's, but a script sees the text of an error that is a table of ours.
///
/// # Safety
/// Called by Lua, made by `engine`.
pub unsafe extern "C-unwind" fn pcall(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        ffi::luaL_checkany(l, 1);
        ffi::lua_pushboolean(l, 1);
        ffi::lua_insert(l, 1);
        if ffi::lua_pcall(l, ffi::lua_gettop(l) - 2, ffi::LUA_MULTRET, 0) == ffi::LUA_OK {
            return ffi::lua_gettop(l);
        }
        raise_stop(l);
        if ffi::lua_type(l, -1) == ffi::LUA_TTABLE {
            push(l, b"err");
            ffi::lua_rawget(l, -2);
            if ffi::lua_isstring(l, -1) != 0 {
                ffi::lua_replace(l, -2);
            } else {
                ffi::lua_settop(l, -2);
            }
        }
        ffi::lua_pushboolean(l, 0);
        ffi::lua_replace(l, 1);
        2
    }
}

/// `xpcall`: as Lua's. An error raised by a hook calls the handler while hooks are off, so a handler that does not end
/// would be out of reach: it is not called when the script must end.
///
/// # Safety
/// Called by Lua, made by `engine`.
pub unsafe extern "C-unwind" fn xpcall(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        ffi::luaL_checkany(l, 2);
        ffi::lua_settop(l, 2);
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
        ffi::lua_insert(l, 2);
        ffi::lua_pushcclosure(l, handle, 2);
        ffi::lua_insert(l, 1);
        let status = ffi::lua_pcall(l, 0, ffi::LUA_MULTRET, 1);
        raise_stop(l);
        ffi::lua_pushboolean(l, c_int::from(status == ffi::LUA_OK));
        ffi::lua_replace(l, 1);
        ffi::lua_gettop(l)
    }
}

unsafe extern "C-unwind" fn handle(l: L) -> c_int {
    // SAFETY: called by Lua with the error; the upvalues are the state and the script's handler.
    unsafe {
        ffi::lua_settop(l, 1);
        if state(l).stop.is_none() {
            ffi::lua_pushvalue(l, ffi::lua_upvalueindex(2));
            ffi::lua_insert(l, 1);
            ffi::lua_call(l, 1, 1);
        }
        1
    }
}

/// `pairs(next)`: makes `pairs`, which steps with the guarded `next`.
///
/// # Safety
/// Called by Lua, made by `engine`.
pub unsafe extern "C-unwind" fn pairs_maker(l: L) -> c_int {
    // SAFETY: called by Lua, in the prelude.
    unsafe {
        ffi::lua_settop(l, 1);
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(2));
        // The function's own `next` of Lua walks tables that are not protected.
        ffi::lua_pushcclosure(l, pairs, 2);
        1
    }
}

unsafe extern "C-unwind" fn pairs(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        ffi::luaL_checktype(l, 1, ffi::LUA_TTABLE);
        ffi::lua_pushvalue(l, ffi::lua_upvalueindex(1));
        ffi::lua_pushvalue(l, 1);
        ffi::lua_pushnil(l);
        3
    }
}

/// `loadstring`: source only, never compiled code, under a name that stays on the stack while it is parsed.
///
/// CVE-2025-49844: the parser keeps the name where the collector does not look. A name without zeros is the very
/// string that lies on the stack here.
///
/// # Safety
/// Called by Lua, made by `engine`.
pub unsafe extern "C-unwind" fn loadstring(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        let source = check_bytes(l, 1);
        let name = if ffi::lua_type(l, 2) <= ffi::LUA_TNIL { source } else { check_bytes(l, 2) };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        push(l, name);
        let name = ffi::lua_tolstring(l, -1, std::ptr::null_mut());
        if source.first() == Some(&0x1b) {
            ffi::lua_pushnil(l);
            push(l, b"attempt to load a binary chunk (mode is 'text')");
            return 2;
        }
        if ffi::luaL_loadbuffer(l, source.as_ptr().cast(), source.len(), name) == ffi::LUA_OK {
            return 1;
        }
        ffi::lua_pushnil(l);
        ffi::lua_insert(l, -2);
        2
    }
}
