//! What belongs to a virtual machine beside Lua's own memory.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr::NonNull;

use super::engine::NO_MEMORY;
use super::libs::cjson;
use super::libs::random::Random;
use super::raw::{Answer, Fault, L, ffi, push, raise, raise_top};
use crate::resp::{Argv, Output, Protocol, Span};

/// What a script may ask of the server.
pub trait Host {
    /// Runs a command and writes its reply, or its error, in this protocol.
    fn call(&mut self, argv: Argv<'_>, protocol: Protocol, out: &mut Output) -> Called;
    /// May the client run this command? `None`: there is no such command.
    fn may_call(&mut self, argv: Argv<'_>) -> Option<bool>;
    /// A line for the server's log.
    fn log(&mut self, level: u8, line: &[u8]);
    /// Asked now and then: must the script end?
    fn interrupt(&mut self) -> Option<Stop>;
    /// A library declares a function. Only while one is loaded.
    fn register(&mut self, _declared: Declared) -> Result<(), String> {
        Err("redis.register_function can only be called on FUNCTION LOAD command".into())
    }
}

/// A function that a library declares.
pub struct Declared {
    pub name: Vec<u8>,
    pub description: Option<Vec<u8>>,
    pub flags: Vec<Vec<u8>>,
    /// Where the machine keeps it.
    pub function: c_int,
}

/// How a command of a script went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Called {
    /// The reply is written.
    Replied,
    /// The script must end.
    Stop(Stop),
}

/// Why a script ends before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// SCRIPT KILL.
    Killed,
    /// FUNCTION KILL.
    FunctionKilled,
    /// It needs more than this shard: what it did is undone, and it begins anew with all of them.
    Wider,
}

/// One machine's state. It does not move while the machine lives.
pub struct State {
    /// The host of the run that is under way.
    host: Option<NonNull<dyn Host>>,
    /// What Lua may take, and what may be built beside it: half as much by a library function, as much by an answer or the
    /// arguments of a command. A few tables that refer to each other are a few bytes in Lua and without end when they are
    /// written out.
    pub memory_most_bytes: usize,
    /// `redis.setresp`.
    pub protocol: Protocol,
    /// The run must end.
    pub stop: Option<Stop>,
    /// Arguments of the command that is called.
    pub args: Vec<u8>,
    pub spans: Vec<Span>,
    /// Its reply.
    pub reply: Output,
    pub flat: Vec<u8>,
    /// Room of the library function that runs.
    pub scratch: Vec<u8>,
    /// The text of [`Fault::Noted`].
    pub note: String,
    pub cjson: cjson::Settings,
    pub random: Random,
    /// A library is being loaded: `redis.call` and its like are not there.
    pub loading: bool,
    /// What the run writes its reply to.
    pub out: Output,
    pub client_protocol: Protocol,
}

impl State {
    pub fn new(memory_most_bytes: usize) -> Box<State> {
        Box::new(State {
            host: None,
            memory_most_bytes,
            protocol: Protocol::Resp2,
            stop: None,
            args: Vec::new(),
            spans: Vec::new(),
            reply: Output::default(),
            flat: Vec::new(),
            scratch: Vec::new(),
            note: String::new(),
            cjson: cjson::Settings::default(),
            // Not a secret, only another sequence in every machine.
            random: Random::seeded(ahash::RandomState::new().hash_one(0) as i32),
            loading: false,
            out: Output::default(),
            client_protocol: Protocol::Resp2,
        })
    }

    /// Gives buffers that have grown back.
    pub fn shrink(&mut self) {
        const KEEP_BYTES: usize = 64 * 1024;
        self.args.shrink_to(KEEP_BYTES);
        self.flat.clear();
        self.flat.shrink_to(KEEP_BYTES);
        self.scratch.clear();
        self.scratch.shrink_to(KEEP_BYTES);
        self.reply.clear();
        self.reply.bytes.shrink_to(KEEP_BYTES);
    }

    /// Fails when what a library function builds would become too large with this many bytes more.
    pub fn room_for(&self, more_bytes: usize) -> Result<(), Fault> {
        if self.scratch.len().saturating_add(more_bytes) > self.memory_most_bytes / 2 {
            return Err(Fault::Text(NO_MEMORY));
        }
        Ok(())
    }

    /// Notes a fault's text.
    pub fn fault(&mut self, text: impl Into<String>) -> Fault {
        self.note = text.into();
        Fault::Noted
    }

    /// The host of the run that is under way.
    pub fn host(&mut self) -> Option<&mut dyn Host> {
        // SAFETY: `lend` keeps the host borrowed as long as it is noted here, and machines run on one thread.
        self.host.map(|mut host| unsafe { host.as_mut() })
    }
}

/// Lends a host to a machine for one run.
///
/// # Safety
/// `state` is valid for the call, and nothing else holds a reference to it.
pub unsafe fn lend<R>(state: *mut State, host: &mut dyn Host, run: impl FnOnce() -> R) -> R {
    struct Back(*mut State);
    impl Drop for Back {
        fn drop(&mut self) {
            // SAFETY: as promised by the caller of `lend`.
            unsafe { (*self.0).host = None };
        }
    }
    // SAFETY: the lifetime is forgotten, and the host with it before the borrow ends: `Back` sees to that.
    let host =
        unsafe { std::mem::transmute::<NonNull<dyn Host + '_>, NonNull<dyn Host>>(NonNull::from(host)) };
    // SAFETY: as promised.
    unsafe { (*state).host = Some(host) };
    let _back = Back(state);
    run()
}

/// The state of the machine whose native function runs: the function's first upvalue.
///
/// # Safety
/// The running function is a closure over the state.
pub unsafe fn state<'a>(l: L) -> &'a mut State {
    // SAFETY: as promised; the state outlives the machine, and natives do not keep it over calls of Lua.
    unsafe { &mut *ffi::lua_touserdata(l, ffi::lua_upvalueindex(1)).cast::<State>() }
}

/// Ends a library function: its results, or its fault as Lua's error.
///
/// # Safety
/// The running function is a closure over the state; jumps on a fault.
pub unsafe fn end(l: L, answer: Answer) -> c_int {
    // SAFETY: as promised.
    unsafe {
        match answer {
            Ok(results) => results,
            Err(Fault::Text(text)) => raise(l, text.as_bytes()),
            Err(Fault::Noted) => {
                push(l, state(l).note.as_bytes());
                raise_top(l)
            }
        }
    }
}

/// Makes a function of Lua from one that returns an [`Answer`].
macro_rules! native {
    ($($name:ident => $inner:path;)*) => {
        $(
            /// # Safety
            /// Called by Lua, made by `engine`.
            pub unsafe extern "C-unwind" fn $name(l: L) -> std::ffi::c_int {
                // SAFETY: as promised.
                unsafe { $crate::script::lua::state::end(l, $inner(l)) }
            }
        )*
    };
}
pub(super) use native;
