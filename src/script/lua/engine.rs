//! One virtual machine: set up, fed with sources, run.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};

use mlua::{Lua, LuaOptions, StdLib};

use super::convert::{Form, write_reply};
use super::guard;
use super::libs::{bit, cjson, cmsgpack, random, redis, structs};
use super::raw::{L, Native, ffi, get_field, push, set_field, to_bytes};
use super::state::{Host, State, Stop, lend};
use crate::resp::{Output, Protocol, Reply};

/// Memory that a machine may take; what asks for more fails with Lua's own error.
pub const MEMORY_MOST_BYTES: usize = 1 << 30;
/// After a run nothing is collected while no more than this is held.
const COLLECT_FROM_BYTES: usize = 16 << 20;
/// Instructions between two looks at whether the script must end.
const INSTRUCTIONS_PER_LOOK: c_int = 10_000;

/// What Lua says when memory is short.
pub const NO_MEMORY: &str = "not enough memory";

/// A compiled function, kept by its machine until it is forgotten.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Chunk(c_int);

impl Chunk {
    /// The function that a library registered.
    pub fn registered(function: c_int) -> Chunk {
        Chunk(function)
    }
}

/// What a run is given.
pub struct Given<'a> {
    /// The script's SHA1 or the function's name, for errors.
    pub name: &'a str,
    pub keys: &'a [&'a [u8]],
    pub args: &'a [&'a [u8]],
    /// A function takes keys and arguments as arguments, a script finds them in globals.
    pub is_function: bool,
    /// The client's.
    pub protocol: Protocol,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    Replied,
    /// The reply is an error.
    Failed,
    /// The reply is the error that a command of the script was answered: whoever answered it knows it.
    Relayed,
    /// It had to end. When it was killed, the reply is an error; otherwise nothing is written.
    Stopped(Stop),
}

/// A machine.
pub struct Engine {
    l: L,
    state: Box<State>,
    body: c_int,
    handler: c_int,
    real: c_int,
    /// The metatable of globals, and what it shows while a library is loaded.
    meta: c_int,
    loading: c_int,
    /// Holding more than this after a run, the machine collects what is not used any more.
    collect_above_bytes: usize,
    // Last: closing the machine may need the state.
    _lua: Lua,
}

struct Job<'a> {
    engine: &'a Engine,
    given: &'a Given<'a>,
    chunk: Chunk,
    /// No reply: a library is loaded.
    loads: bool,
    end: End,
}

static STATE_KEY: u8 = 0;

impl Default for Engine {
    fn default() -> Engine {
        Engine::new()
    }
}

impl Engine {
    pub fn new() -> Engine {
        Engine::bounded(MEMORY_MOST_BYTES)
    }

    /// A machine that may take this much memory.
    pub(super) fn bounded(memory_most_bytes: usize) -> Engine {
        let libs = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
        let lua = Lua::new_with(libs, LuaOptions::new().catch_rust_panics(false))
            .expect("these libraries are safe to load");
        let mut state = State::new(memory_most_bytes);
        let at: *mut State = &mut *state;
        let mut l: L = std::ptr::null_mut();
        let mut refs = [0; 5];
        // SAFETY: the closure runs with the machine's main thread, in a protected call; the state outlives the machine.
        unsafe {
            lua.exec_raw::<()>((), |main| {
                l = main;
                refs = set_up(main, at);
            })
        }
        .expect("an empty machine can be set up");
        // Only from here on: setting up needs no bound.
        lua.set_memory_limit(memory_most_bytes).expect("this Lua counts its memory");
        // The thread that ran the closure is the main one, which lives as long as the machine.
        let [body, handler, real, meta, loading] = refs;
        let collect_above_bytes = COLLECT_FROM_BYTES;
        Engine { l, state, body, handler, real, meta, loading, collect_above_bytes, _lua: lua }
    }

    /// Bytes that Lua holds.
    pub fn memory_bytes(&self) -> usize {
        self._lua.used_memory()
    }

    /// Collects what nobody uses any more, if much is held.
    ///
    /// Lua 5.1 collects when it holds twice what the last collection left, and never because memory is short. When half
    /// of what a machine may take was once in use, that point lies beyond the limit, and nothing would ever be collected
    /// again: every later script would fail.
    fn collect_if_grown(&mut self) {
        if self.memory_bytes() > self.collect_above_bytes {
            self.collect();
        }
    }

    /// Collects what nobody uses any more.
    fn collect(&mut self) {
        // SAFETY: the machine is idle; no script can make anything that runs when it is collected.
        unsafe { ffi::lua_gc(self.l, ffi::LUA_GCCOLLECT, 0) };
        let left = self.memory_bytes();
        let most = left.midpoint(self.state.memory_most_bytes);
        self.collect_above_bytes = (2 * left).max(COLLECT_FROM_BYTES).min(most);
    }

    /// Compiles a source; the complaint of the parser if it cannot. `name` begins with `@`.
    pub fn compile(&mut self, source: &[u8], name: &CStr) -> Result<Chunk, String> {
        self.try_compile(source, name).or_else(|error| {
            if error != NO_MEMORY {
                return Err(error);
            }
            self.collect();
            self.try_compile(source, name)
        })
    }

    fn try_compile(&mut self, source: &[u8], name: &CStr) -> Result<Chunk, String> {
        struct Source<'a> {
            source: &'a [u8],
            name: &'a CStr,
        }
        unsafe extern "C-unwind" fn parse(l: L) -> c_int {
            // SAFETY: the argument is a `Source` of the caller. The name stays on the stack while it is parsed.
            unsafe {
                let source = &*ffi::lua_touserdata(l, 1).cast::<Source<'_>>();
                push(l, source.name.to_bytes());
                let name = ffi::lua_tolstring(l, -1, std::ptr::null_mut());
                if source.source.first() == Some(&0x1b) {
                    push(l, b"attempt to load a binary chunk (mode is 'text')");
                    ffi::lua_error(l);
                }
                let text = source.source;
                if ffi::luaL_loadbuffer(l, text.as_ptr().cast(), text.len(), name) != ffi::LUA_OK {
                    ffi::lua_error(l);
                }
                ffi::lua_pushnumber(l, f64::from(ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX)));
                1
            }
        }
        let source = Source { source, name };
        // SAFETY: the machine is idle; the call is protected, and `source` outlives it.
        unsafe {
            ffi::lua_settop(self.l, 0);
            let ok = protected(self.l, parse, (&raw const source).cast_mut().cast());
            let answer = if ok {
                Ok(Chunk(ffi::lua_tonumber(self.l, -1) as c_int))
            } else {
                let text = to_bytes(self.l, -1).unwrap_or(NO_MEMORY.as_bytes());
                Err(String::from_utf8_lossy(text).into_owned())
            };
            ffi::lua_settop(self.l, 0);
            answer
        }
    }

    /// Forgets a compiled function.
    pub fn forget(&mut self, chunk: Chunk) {
        // SAFETY: the machine is idle; giving a reference back does not allocate.
        unsafe { ffi::luaL_unref(self.l, ffi::LUA_REGISTRYINDEX, chunk.0) };
    }

    /// Runs a function and writes its reply.
    pub fn run(&mut self, chunk: Chunk, given: &Given<'_>, host: &mut dyn Host, out: &mut Output) -> End {
        self.start(chunk, given, host, out, false)
    }

    /// Runs a library's source, which registers its functions with the host. `Failed`: `out` holds the error.
    pub fn load_library(
        &mut self,
        chunk: Chunk,
        given: &Given<'_>,
        host: &mut dyn Host,
        out: &mut Output,
    ) -> End {
        self.start(chunk, given, host, out, true)
    }

    fn start(
        &mut self,
        chunk: Chunk,
        given: &Given<'_>,
        host: &mut dyn Host,
        out: &mut Output,
        loads: bool,
    ) -> End {
        let state = &mut *self.state;
        state.protocol = Protocol::Resp2;
        state.stop = None;
        state.cjson = cjson::Settings::default();
        state.client_protocol = given.protocol;
        std::mem::swap(&mut state.out, out);
        let (bytes, shared) = (state.out.bytes.len(), state.out.shared.len());
        let state: *mut State = state;
        let mut job = Job { engine: self, given, chunk, loads, end: End::Replied };
        let (l, at) = (self.l, (&raw mut job).cast());
        // SAFETY: the machine is idle and its state not borrowed; the call is protected, and the job outlives it.
        let ok = unsafe {
            lend(state, host, || {
                ffi::lua_settop(l, 0);
                ffi::lua_rawgeti(l, ffi::LUA_REGISTRYINDEX, job.engine.body as ffi::lua_Integer);
                ffi::lua_pushlightuserdata(l, at);
                ffi::lua_pcall(l, 1, 0, 0) == ffi::LUA_OK
            })
        };
        let mut end = job.end;
        let state = &mut *self.state;
        if !ok {
            // What failed outside the script: its arguments or its answer did not fit into memory.
            state.out.bytes.truncate(bytes);
            state.out.shared.truncate(shared);
            Reply::new(&mut state.out, given.protocol).error("ERR not enough memory");
            end = End::Failed;
        }
        if let Some(stop) = state.stop {
            state.out.bytes.truncate(bytes);
            state.out.shared.truncate(shared);
            end = End::Stopped(stop);
            if stop != Stop::Wider {
                // Redis: so also for a function.
                let (name, place) = (given.name, &state.note);
                let line =
                    format!("ERR Script killed by user with SCRIPT KILL... script: {name}, on {place}.");
                Reply::new(&mut state.out, given.protocol).error(line);
            }
        }
        std::mem::swap(&mut state.out, out);
        state.shrink();
        // SAFETY: the machine is idle.
        unsafe {
            ffi::lua_settop(l, 0);
            ffi::lua_sethook(l, Some(look), ffi::LUA_MASKCOUNT, INSTRUCTIONS_PER_LOOK);
        }
        self.collect_if_grown();
        end
    }
}

/// Calls a native function with one pointer, protected. Its result, or the error, is at the top.
unsafe fn protected(l: L, native: Native, argument: *mut c_void) -> bool {
    struct Call {
        native: Native,
        argument: *mut c_void,
    }
    unsafe extern "C-unwind" fn enter(l: L) -> c_int {
        // SAFETY: the argument is the `Call` below. The result cannot pass `lua_cpcall`, so it is kept in the registry.
        unsafe {
            let call = &*ffi::lua_touserdata(l, 1).cast::<Call>();
            ffi::lua_pushcclosure(l, call.native, 0);
            ffi::lua_pushlightuserdata(l, call.argument);
            ffi::lua_call(l, 1, 1);
            ffi::lua_pushlightuserdata(l, (&raw const STATE_KEY).cast_mut().wrapping_add(1).cast());
            ffi::lua_insert(l, -2);
            ffi::lua_rawset(l, ffi::LUA_REGISTRYINDEX);
            0
        }
    }
    let call = Call { native, argument };
    // SAFETY: `call` outlives the protected call.
    unsafe {
        if ffi::lua_cpcall(l, enter, (&raw const call).cast_mut().cast()) != ffi::LUA_OK {
            return false;
        }
        ffi::lua_pushlightuserdata(l, (&raw const STATE_KEY).cast_mut().wrapping_add(1).cast());
        ffi::lua_rawget(l, ffi::LUA_REGISTRYINDEX);
    }
    true
}

/// A run from its arguments to its reply, within a protected call.
unsafe extern "C-unwind" fn body(l: L) -> c_int {
    // SAFETY: called by `start`, whose job is the argument. This frame owns nothing.
    unsafe {
        let job = &mut *ffi::lua_touserdata(l, 1).cast::<Job<'_>>();
        let engine = job.engine;
        let registry = ffi::LUA_REGISTRYINDEX;
        let state = state_of(l);
        ffi::lua_settop(l, 0);
        ffi::lua_rawgeti(l, registry, engine.handler as ffi::lua_Integer);
        ffi::lua_rawgeti(l, registry, job.chunk.0 as ffi::lua_Integer);
        ffi::lua_rawgeti(l, registry, engine.real as ffi::lua_Integer);
        if (*state).loading != job.loads {
            (*state).loading = job.loads;
            let globals = if job.loads { engine.loading } else { engine.real };
            ffi::lua_rawgeti(l, registry, engine.meta as ffi::lua_Integer);
            ffi::lua_rawgeti(l, registry, globals as ffi::lua_Integer);
            set_field(l, b"__index");
            ffi::lua_settop(l, -2);
        }
        let mut arguments = 0;
        if job.given.is_function || job.loads {
            for name in [&b"KEYS"[..], b"ARGV"] {
                ffi::lua_pushnil(l);
                set_field(l, name);
            }
        }
        if job.given.is_function {
            ffi::lua_settop(l, -2);
            push_list(l, job.given.keys);
            push_list(l, job.given.args);
            arguments = 2;
        } else if !job.loads {
            push_list(l, job.given.keys);
            set_field(l, b"KEYS");
            push_list(l, job.given.args);
            set_field(l, b"ARGV");
            ffi::lua_settop(l, -2);
        } else {
            ffi::lua_settop(l, -2);
        }
        let status = ffi::lua_pcall(l, arguments, 1, 1);
        if (*state).stop.is_some() {
            return 0;
        }
        if status != ffi::LUA_OK {
            job.end = if is_relayed(l) { End::Relayed } else { End::Failed };
            write_failure(l, &mut *state, job.given);
            return 0;
        }
        if !job.loads {
            let form = Form { protocol: (*state).protocol, most_bytes: (*state).memory_most_bytes };
            let protocol = (*state).client_protocol;
            let mut reply = Reply::new(&mut (*state).out, protocol);
            ffi::lua_pushvalue(l, -1);
            if !write_reply(l, &mut reply, form, 0) {
                job.end = if is_relayed(l) { End::Relayed } else { End::Failed };
            }
        }
        0
    }
}

/// Is what is at the top an error as `redis.call` and `redis.pcall` make them?
unsafe fn is_relayed(l: L) -> bool {
    // SAFETY: called within `body`.
    unsafe {
        if ffi::lua_type(l, -1) != ffi::LUA_TTABLE {
            return false;
        }
        let known =
            get_field(l, b"ignore_error_stats_update") == ffi::LUA_TBOOLEAN && ffi::lua_toboolean(l, -1) != 0;
        ffi::lua_settop(l, -2);
        known
    }
}

unsafe fn push_list(l: L, list: &[&[u8]]) {
    // SAFETY: called within `body`.
    unsafe {
        ffi::lua_createtable(l, list.len().min(1 << 20) as c_int, 0);
        for (at, bytes) in list.iter().enumerate() {
            push(l, bytes);
            ffi::lua_rawseti(l, -2, at as ffi::lua_Integer + 1);
        }
    }
}

/// Writes the error at the top: `text script: name, on source:line.`
unsafe fn write_failure(l: L, state: &mut State, given: &Given<'_>) {
    // SAFETY: called within `body`; the line is built in the state.
    unsafe {
        state.scratch.clear();
        if ffi::lua_type(l, -1) == ffi::LUA_TTABLE {
            get_field(l, b"err");
            match to_bytes(l, -1) {
                Some(text) => state.scratch.extend_from_slice(text),
                None => state.scratch.extend_from_slice(b"ERR unknown error"),
            }
            ffi::lua_settop(l, -2);
            get_field(l, b"source");
            ffi::lua_insert(l, -2);
            get_field(l, b"line");
            if let (Some(line), Some(source), false) = (to_bytes(l, -1), to_bytes(l, -3), state.loading) {
                for part in [b" script: " as &[u8], given.name.as_bytes(), b", on ", source, b":", line, b"."]
                {
                    state.scratch.extend_from_slice(part);
                }
            }
        } else {
            state.scratch.extend_from_slice(b"ERR ");
            state.scratch.extend_from_slice(to_bytes(l, -1).unwrap_or(b"unknown error"));
        }
        let protocol = state.client_protocol;
        Reply::new(&mut state.out, protocol).error(&state.scratch);
    }
}

/// Makes every error a table and notes where the script was.
unsafe extern "C-unwind" fn handler(l: L) -> c_int {
    // SAFETY: called by Lua where the error happened.
    unsafe {
        ffi::lua_settop(l, 1);
        if ffi::lua_type(l, 1) != ffi::LUA_TTABLE {
            push(l, b"ERR ");
            ffi::luaL_tolstring(l, 1, std::ptr::null_mut());
            ffi::lua_concat(l, 2);
            ffi::lua_createtable(l, 0, 3);
            ffi::lua_insert(l, -2);
            set_field(l, b"err");
            ffi::lua_replace(l, 1);
        }
        // A C function that fails stands before the script that called it, and so do functions of the sandbox.
        for level in 1..8 {
            let mut at: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getstack(l, level, &mut at) == 0 {
                break;
            }
            ffi::lua_getinfo(l, c"Sl".as_ptr(), &mut at);
            let source = CStr::from_ptr(at.source).to_bytes();
            if CStr::from_ptr(at.what).to_bytes() == b"C" || source == b"=prelude" {
                continue;
            }
            push(l, source);
            set_field(l, b"source");
            ffi::lua_pushnumber(l, f64::from(at.currentline));
            set_field(l, b"line");
            break;
        }
        ffi::lua_settop(l, 1);
        1
    }
}

/// Looks now and then whether the script must end.
unsafe extern "C-unwind" fn look(l: L, at: *mut ffi::lua_Debug) {
    // SAFETY: called by Lua while a script runs; a hook may fail.
    unsafe {
        let state = state_of(l);
        if (*state).stop.is_none()
            && let Some(host) = (*state).host()
        {
            (*state).stop = host.interrupt();
            if (*state).stop.is_some() {
                ffi::lua_getinfo(l, c"Sl".as_ptr(), at);
                let source = CStr::from_ptr((*at).source).to_string_lossy();
                (*state).note = format!("{source}:{}", (*at).currentline);
            }
        }
        if (*state).stop.is_some() {
            // From now on at every instruction, so that nothing goes on after catching it.
            ffi::lua_sethook(l, Some(look), ffi::LUA_MASKCOUNT, 1);
            ffi::lua_pushnil(l);
            ffi::lua_error(l);
        }
    }
}

unsafe fn state_of(l: L) -> *mut State {
    // SAFETY: `set_up` put the state there. Neither step allocates.
    unsafe {
        ffi::lua_pushlightuserdata(l, (&raw const STATE_KEY).cast_mut().cast());
        ffi::lua_rawget(l, ffi::LUA_REGISTRYINDEX);
        let state = ffi::lua_touserdata(l, -1).cast();
        ffi::lua_settop(l, -2);
        state
    }
}

unsafe fn set_functions(l: L, at: *mut State, functions: &[(&str, Native)]) {
    // SAFETY: called by `set_up`, with a table at the top.
    unsafe {
        for (name, native) in functions {
            ffi::lua_pushlightuserdata(l, at.cast());
            ffi::lua_pushcclosure(l, *native, 1);
            set_field(l, name.as_bytes());
        }
    }
}

/// Sets a machine up. Returns references to the body, the handler, the real globals, their metatable and the globals of loading.
unsafe fn set_up(l: L, at: *mut State) -> [c_int; 5] {
    const PRELUDE: &str = include_str!("prelude.lua");
    // SAFETY: called within a protected call, with an empty machine.
    unsafe {
        ffi::lua_pushlightuserdata(l, (&raw const STATE_KEY).cast_mut().cast());
        ffi::lua_pushlightuserdata(l, at.cast());
        ffi::lua_rawset(l, ffi::LUA_REGISTRYINDEX);
        // Names of chunks stay, see `guard::loadstring`.
        for name in [&b"@user_script"[..], b"@user_function"] {
            push(l, name);
            ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        }
        let top = ffi::lua_gettop(l);
        ffi::luaL_loadbuffer(l, PRELUDE.as_ptr().cast(), PRELUDE.len(), c"=prelude".as_ptr());
        ffi::lua_newtable(l);
        ffi::lua_newtable(l);
        set_field(l, b"protected");
        for (name, functions) in [
            ("bit", bit::FUNCTIONS),
            ("cjson", cjson::FUNCTIONS),
            ("cmsgpack", cmsgpack::FUNCTIONS),
            ("struct", structs::FUNCTIONS),
            ("redis", redis::FUNCTIONS),
            ("loading", redis::LOADING),
            ("random", random::FUNCTIONS),
        ] {
            ffi::lua_newtable(l);
            set_functions(l, at, functions);
            if name == "redis" {
                for (name, value) in redis::NUMBERS {
                    ffi::lua_pushnumber(l, *value);
                    set_field(l, name.as_bytes());
                }
                push(l, crate::REDIS_VERSION.as_bytes());
                set_field(l, b"REDIS_VERSION");
                ffi::lua_pushnumber(l, version_number(crate::REDIS_VERSION));
                set_field(l, b"REDIS_VERSION_NUM");
            }
            set_field(l, name.as_bytes());
        }
        for (name, native) in [
            ("pcall", guard::pcall as Native),
            ("xpcall", guard::xpcall),
            ("unpack", guard::unpack),
            ("loadstring", guard::loadstring),
            ("handler", handler),
        ] {
            ffi::lua_pushlightuserdata(l, at.cast());
            ffi::lua_pushcclosure(l, native, 1);
            set_field(l, name.as_bytes());
        }
        for (name, native) in [("guard", guard::guard as Native), ("pairs", guard::pairs_maker)] {
            ffi::lua_pushlightuserdata(l, at.cast());
            get_field_below(l, b"protected");
            ffi::lua_pushcclosure(l, native, 2);
            set_field(l, name.as_bytes());
        }
        ffi::lua_pushlightuserdata(l, std::ptr::null_mut());
        set_field(l, b"null");
        ffi::lua_newtable(l);
        set_field(l, b"proxies");
        // The proxies are wanted after the prelude has run.
        get_field(l, b"proxies");
        ffi::lua_insert(l, top + 1);
        ffi::lua_call(l, 1, 1);
        let real = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        get_field(l, b"meta");
        let meta = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        get_field(l, b"loading");
        let loading = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_settop(l, top);
        ffi::lua_pushcclosure(l, body, 0);
        let body = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_pushcclosure(l, handler, 0);
        let handler = ffi::luaL_ref(l, ffi::LUA_REGISTRYINDEX);
        ffi::lua_sethook(l, Some(look), ffi::LUA_MASKCOUNT, INSTRUCTIONS_PER_LOOK);
        [body, handler, real, meta, loading]
    }
}

/// `major.minor.patch` as one number, a byte each.
fn version_number(version: &str) -> f64 {
    version.split('.').fold(0.0, |number, part| number * 256.0 + part.parse::<f64>().unwrap_or(0.0))
}

/// Pushes `table[name]` of the table below the top.
unsafe fn get_field_below(l: L, name: &[u8]) {
    // SAFETY: called by `set_up`.
    unsafe {
        push(l, name);
        ffi::lua_rawget(l, -3);
    }
}
