//! `redis`: what scripts ask of the server.

#![allow(unsafe_code)]

use std::ffi::c_int;

use sha1::{Digest, Sha1};

use super::super::convert::{push_coded_error, push_reply, truncate};
use super::super::raw::{L, Native, ffi, get_field, push, to_bytes};
use super::super::state::{Called, Declared, State, state};
use crate::resp::{Argv, Protocol, Span};
use crate::types::number::format_f64_17g;

pub const FUNCTIONS: &[(&str, Native)] = &[
    ("call", call),
    ("pcall", pcall),
    ("error_reply", error_reply),
    ("status_reply", status_reply),
    ("sha1hex", sha1hex),
    ("log", log),
    ("setresp", setresp),
    ("set_repl", set_repl),
    ("replicate_commands", replicate_commands),
    ("breakpoint", breakpoint),
    ("debug", debug),
    ("acl_check_cmd", acl_check_cmd),
];

/// What there is besides while a library is loaded.
pub const LOADING: &[(&str, Native)] = &[("register_function", register_function)];

pub const NUMBERS: &[(&str, f64)] = &[
    ("LOG_DEBUG", 0.0),
    ("LOG_VERBOSE", 1.0),
    ("LOG_NOTICE", 2.0),
    ("LOG_WARNING", 3.0),
    ("REPL_NONE", 0.0),
    ("REPL_AOF", 1.0),
    ("REPL_SLAVE", 2.0),
    ("REPL_REPLICA", 2.0),
    ("REPL_ALL", 3.0),
];

/// Fails with an error table: no position in its text, the handler adds where it was.
unsafe fn fail(l: L, text: &[u8]) -> c_int {
    // SAFETY: called within a native function.
    unsafe {
        push_coded_error(l, text);
        ffi::lua_error(l)
    }
}

/// Copies the arguments into the state, or says why not: one is no string and no number, or they are too long.
unsafe fn take_args(l: L, state: &mut State, wrong: &'static [u8]) -> Result<(), &'static [u8]> {
    state.args.clear();
    state.spans.clear();
    // SAFETY: called within a native function; strings stay on the stack while they are copied.
    unsafe {
        for index in 1..=ffi::lua_gettop(l) {
            let start = state.args.len();
            match ffi::lua_type(l, index) {
                ffi::LUA_TSTRING => {
                    let bytes = to_bytes(l, index).unwrap_or_default();
                    if start + bytes.len() > state.memory_most_bytes {
                        return Err(LONG_ARGUMENTS);
                    }
                    state.args.extend_from_slice(bytes);
                }
                ffi::LUA_TNUMBER => {
                    let number = ffi::lua_tonumber(l, index);
                    let int = number as i64;
                    if int as f64 == number
                        && int.unsigned_abs() < 1 << 53
                        && (int != 0 || number.is_sign_positive())
                    {
                        state.args.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
                    } else {
                        state.args.extend_from_slice(&format_f64_17g(number));
                    }
                }
                _ => return Err(wrong),
            }
            state.spans.push(Span { start, end: state.args.len() });
        }
    }
    Ok(())
}

const NO_ARGUMENTS: &[u8] = b"Please specify at least one argument for this redis lib call";
const BAD_ARGUMENTS: &[u8] = b"Lua redis lib command arguments must be strings or integers";
const LONG_ARGUMENTS: &[u8] = b"The arguments of a command in a script are too long";

/// Runs a command and pushes what it answered; true when that is an error.
unsafe fn run(l: L) -> bool {
    // SAFETY: called within a native function; what the frame holds is the state's.
    unsafe {
        if ffi::lua_gettop(l) == 0 {
            push_coded_error(l, NO_ARGUMENTS);
            return true;
        }
        let state = state(l);
        if let Err(error) = take_args(l, state, BAD_ARGUMENTS) {
            push_coded_error(l, error);
            return true;
        }
        state.reply.clear();
        let (args, spans) = (std::mem::take(&mut state.args), std::mem::take(&mut state.spans));
        let mut reply = std::mem::take(&mut state.reply);
        let protocol = state.protocol;
        let called = match state.host() {
            Some(host) => host.call(Argv { buf: &args, spans: &spans }, protocol, &mut reply),
            None => {
                reply.bytes.extend_from_slice(b"-ERR redis.call is not available here\r\n");
                Called::Replied
            }
        };
        (state.args, state.spans, state.reply) = (args, spans, reply);
        // As many arguments as the stack holds leave no room for the reply.
        ffi::lua_settop(l, 0);
        if let Called::Stop(stop) = called {
            state.stop = Some(stop);
            ffi::lua_pushnil(l);
            ffi::lua_error(l);
        }
        let bytes = if state.reply.shared.is_empty() {
            &state.reply.bytes
        } else {
            state.flat = state.reply.to_vec();
            &state.flat
        };
        push_reply(l, bytes, 0);
        bytes.first() == Some(&b'-')
    }
}

unsafe extern "C-unwind" fn call(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if run(l) {
            ffi::lua_error(l);
        }
        1
    }
}

unsafe extern "C-unwind" fn pcall(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        run(l);
        1
    }
}

unsafe extern "C-unwind" fn error_reply(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if ffi::lua_gettop(l) != 1 || ffi::lua_type(l, 1) != ffi::LUA_TSTRING {
            push_coded_error(l, b"wrong number or type of arguments");
            return 1;
        }
        // Every text is taken as if it began with its code.
        let text = to_bytes(l, 1).unwrap_or_default();
        let text = text.strip_prefix(b"-").unwrap_or(text);
        push(l, b"-");
        push(l, text);
        ffi::lua_concat(l, 2);
        push_coded_error(l, to_bytes(l, -1).unwrap_or_default());
        1
    }
}

unsafe extern "C-unwind" fn status_reply(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if ffi::lua_gettop(l) != 1 || ffi::lua_type(l, 1) != ffi::LUA_TSTRING {
            push_coded_error(l, b"wrong number or type of arguments");
            return 1;
        }
        ffi::lua_createtable(l, 0, 1);
        ffi::lua_pushvalue(l, 1);
        super::super::raw::set_field(l, b"ok");
        1
    }
}

unsafe extern "C-unwind" fn sha1hex(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            return fail(l, b"wrong number of arguments");
        }
        let digest: [u8; 20] = Sha1::digest(to_bytes(l, 1).unwrap_or_default()).into();
        push(l, &hex(digest));
        1
    }
}

/// A SHA1 digest as scripts are named by it.
pub fn hex(digest: [u8; 20]) -> [u8; 40] {
    let mut text = [0; 40];
    for (at, byte) in digest.iter().enumerate() {
        text[2 * at] = b"0123456789abcdef"[usize::from(byte >> 4)];
        text[2 * at + 1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    text
}

unsafe extern "C-unwind" fn log(l: L) -> c_int {
    // SAFETY: called by Lua; the line is the state's.
    unsafe {
        let count = ffi::lua_gettop(l);
        if count < 2 {
            return fail(l, b"redis.log() requires two arguments or more.");
        }
        if ffi::lua_type(l, 1) != ffi::LUA_TNUMBER {
            return fail(l, b"First argument must be a number (log level).");
        }
        let level = truncate(ffi::lua_tonumber(l, 1));
        if !(0..=3).contains(&level) {
            return fail(l, b"Invalid debug level.");
        }
        let state = state(l);
        state.scratch.clear();
        for index in 2..=count {
            let Some(text) = to_bytes(l, index) else { continue };
            if state.room_for(text.len()).is_err() {
                break;
            }
            if index > 2 {
                state.scratch.push(b' ');
            }
            state.scratch.extend_from_slice(text);
        }
        let line = std::mem::take(&mut state.scratch);
        if let Some(host) = state.host() {
            host.log(level as u8, &line);
        }
        state.scratch = line;
        0
    }
}

unsafe extern "C-unwind" fn setresp(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            return fail(l, b"redis.setresp() requires one argument.");
        }
        state(l).protocol = match ffi::lua_tonumber(l, 1) {
            2.0 => Protocol::Resp2,
            3.0 => Protocol::Resp3,
            _ => return fail(l, b"RESP version must be 2 or 3."),
        };
        0
    }
}

unsafe extern "C-unwind" fn set_repl(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if ffi::lua_gettop(l) != 1 {
            return fail(l, b"redis.set_repl() requires two arguments.");
        }
        if !(0..=3).contains(&truncate(ffi::lua_tonumber(l, 1))) {
            return fail(l, b"Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.");
        }
        0
    }
}

unsafe extern "C-unwind" fn replicate_commands(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe { ffi::lua_pushboolean(l, 1) };
    1
}

unsafe extern "C-unwind" fn breakpoint(l: L) -> c_int {
    // SAFETY: called by Lua. There is no debugger.
    unsafe { ffi::lua_pushboolean(l, 0) };
    1
}

unsafe extern "C-unwind" fn debug(_: L) -> c_int {
    0
}

unsafe extern "C-unwind" fn acl_check_cmd(l: L) -> c_int {
    // SAFETY: called by Lua.
    unsafe {
        if ffi::lua_gettop(l) == 0 {
            return fail(l, b"Please specify at least one argument for this redis.acl_check_cmd() call");
        }
        let state = state(l);
        let wrong = b"redis.acl_check_cmd() require all the arguments to be strings or integers";
        if let Err(error) = take_args(l, state, wrong) {
            return fail(l, error);
        }
        let (args, spans) = (std::mem::take(&mut state.args), std::mem::take(&mut state.spans));
        let may = state.host().map(|host| host.may_call(Argv { buf: &args, spans: &spans }));
        (state.args, state.spans) = (args, spans);
        match may {
            Some(Some(may)) => ffi::lua_pushboolean(l, c_int::from(may)),
            _ => return fail(l, b"Invalid command passed to redis.acl_check_cmd()"),
        }
        1
    }
}

/// `register_function(name, callback)` or `register_function{function_name =, callback =, flags =, description =}`.
unsafe extern "C-unwind" fn register_function(l: L) -> c_int {
    // SAFETY: called by Lua; what is owned is given to the host before anything may jump.
    unsafe {
        if let Err(text) = register(l) {
            return fail(l, text.as_bytes());
        }
        if !state(l).note.is_empty() {
            push(l, state(l).note.as_bytes());
            return fail(l, to_bytes(l, -1).unwrap_or_default());
        }
        0
    }
}

unsafe fn register(l: L) -> Result<(), &'static str> {
    // SAFETY: as above.
    unsafe {
        state(l).note.clear();
        match ffi::lua_gettop(l) {
            2 => {
                if ffi::lua_isstring(l, 1) == 0 {
                    return Err("first argument to redis.register_function must be a string");
                }
                if ffi::lua_type(l, 2) != ffi::LUA_TFUNCTION {
                    return Err("second argument to redis.register_function must be a function");
                }
                // From here: 3 name, 4 callback, 5 description, 6 flags.
                ffi::lua_pushvalue(l, 1);
                ffi::lua_pushvalue(l, 2);
                ffi::lua_pushnil(l);
                ffi::lua_pushnil(l);
            }
            1 => {
                if ffi::lua_type(l, 1) != ffi::LUA_TTABLE {
                    return Err(
                        "calling redis.register_function with a single argument is only applicable to Lua \
                                table (representing named arguments).",
                    );
                }
                named_arguments_are_known(l)?;
                ffi::lua_pushnil(l);
                for name in [b"function_name" as &[u8], b"callback", b"description", b"flags"] {
                    ffi::lua_pushvalue(l, 1);
                    get_field(l, name);
                    ffi::lua_remove(l, -2);
                }
                if ffi::lua_type(l, 3) == ffi::LUA_TNIL {
                    return Err("redis.register_function must get a function name argument");
                }
                if ffi::lua_isstring(l, 3) == 0 {
                    return Err("function_name argument given to redis.register_function must be a string");
                }
                if ffi::lua_type(l, 4) == ffi::LUA_TNIL {
                    return Err("redis.register_function must get a callback argument");
                }
                if ffi::lua_type(l, 4) != ffi::LUA_TFUNCTION {
                    return Err("callback argument given to redis.register_function must be a function");
                }
                if ffi::lua_type(l, 5) != ffi::LUA_TNIL && ffi::lua_isstring(l, 5) == 0 {
                    return Err("description argument given to redis.register_function must be a string");
                }
                if !matches!(ffi::lua_type(l, 6), ffi::LUA_TNIL | ffi::LUA_TTABLE) {
                    return Err(
                        "flags argument to redis.register_function must be a table representing function \
                                flags",
                    );
                }
            }
            _ => return Err("wrong number of arguments to redis.register_function"),
        }
        ffi::lua_pushvalue(l, 4);
        let function = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        let mut flags = Vec::new();
        if ffi::lua_type(l, 6) == ffi::LUA_TTABLE {
            for index in 1.. {
                ffi::lua_rawgeti(l, 6, index);
                if ffi::lua_type(l, -1) == ffi::LUA_TNIL {
                    break;
                }
                // What is no string is no flag.
                let is_string = ffi::lua_type(l, -1) == ffi::LUA_TSTRING;
                flags.push(if is_string { to_bytes(l, -1).unwrap_or_default().to_vec() } else { Vec::new() });
                ffi::lua_settop(l, -2);
            }
        }
        let owned = |index| to_bytes(l, index).map(<[u8]>::to_vec);
        let declared = Declared {
            name: owned(3).unwrap_or_default(),
            description: if ffi::lua_type(l, 5) == ffi::LUA_TNIL { None } else { owned(5) },
            flags,
            function,
        };
        let state = state(l);
        let answer = match state.host() {
            Some(host) => host.register(declared),
            None => Err("redis.register_function can only be called on FUNCTION LOAD command".into()),
        };
        if let Err(text) = answer {
            ffi::luaL_unref(l, ffi::LUA_REGISTRYINDEX, function);
            state.note = text;
        }
        Ok(())
    }
}

unsafe fn named_arguments_are_known(l: L) -> Result<(), &'static str> {
    const KNOWN: &[&[u8]] = &[b"function_name", b"callback", b"description", b"flags"];
    // SAFETY: `lua_next` sees a table that nobody changes; only string keys are read as strings.
    unsafe {
        ffi::lua_pushnil(l);
        while ffi::lua_next(l, 1) != 0 {
            ffi::lua_settop(l, -2);
            if ffi::lua_type(l, -1) != ffi::LUA_TSTRING {
                return Err("named argument key given to redis.register_function is not a string");
            }
            if !KNOWN.contains(&to_bytes(l, -1).unwrap_or_default()) {
                return Err("unknown argument given to redis.register_function");
            }
        }
    }
    Ok(())
}
