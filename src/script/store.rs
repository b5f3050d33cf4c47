//! The scripts that the process knows, and those that run.
//!
//! One table for all cores: what one core learns, every core knows at once. Each core keeps what it has compiled.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashMap;
use sha1::{Digest, Sha1};

use super::flags::{self, Flags};
use super::functions::Libraries;
use super::lua::Stop;
use super::lua::libs::redis::hex;

/// A script's name: its SHA1 in lower-case hexadecimal.
pub type Sha = [u8; 40];

/// A script.
#[derive(Debug)]
pub struct Script {
    pub sha: Sha,
    pub source: Box<[u8]>,
    /// Where the code begins.
    pub code_at: usize,
    /// `None`: a script of the old kind, which says nothing of itself.
    pub flags: Option<Flags>,
    /// It has touched more than one shard: it starts with all of them.
    pub is_wide: AtomicBool,
}

impl Script {
    /// What it takes, with its place in the table of all scripts.
    fn memory_bytes(&self) -> usize {
        size_of::<Script>() + self.source.len() + size_of::<(Sha, Arc<Script>)>()
    }

    /// The script's name as text.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.sha).expect("hexadecimal digits are text")
    }
}

/// The SHA1 of a source.
pub fn sha_of(source: &[u8]) -> Sha {
    hex(Sha1::digest(source).into())
}

/// What runs on one core.
#[derive(Default)]
pub struct Running {
    /// When it began, in milliseconds; 0: nothing runs.
    pub since_ms: AtomicU64,
    /// It has changed something, so it cannot be killed.
    pub wrote: AtomicBool,
    /// It is a function.
    pub is_function: AtomicBool,
    /// 1: SCRIPT KILL, 2: FUNCTION KILL.
    kill: AtomicU8,
    /// It has run for longer than others should wait, see [`BusyWith`]. 0: no; 1: on its shard, 2: on all of them.
    busy: AtomicU8,
    /// The name of what runs and the command that called it, for FUNCTION STATS.
    pub what: RwLock<(String, Vec<Vec<u8>>)>,
}

impl Running {
    /// Something begins.
    pub fn begin(&self, now_ms: u64, is_function: bool) {
        self.wrote.store(false, Ordering::Relaxed);
        self.kill.store(0, Ordering::Relaxed);
        self.is_function.store(is_function, Ordering::Relaxed);
        self.since_ms.store(now_ms.max(1), Ordering::Release);
    }

    /// Names what begins, for FUNCTION STATS.
    pub fn note<'w>(&self, name: &str, words: impl Iterator<Item = &'w [u8]>) {
        let mut what = self.what.write().unwrap_or_else(PoisonError::into_inner);
        *what = (name.to_owned(), words.map(<[u8]>::to_vec).collect());
    }

    /// What has run for too long, if it has.
    #[inline]
    pub fn busy_with(&self) -> Option<BusyWith> {
        match self.busy.load(Ordering::Relaxed) {
            0 => None,
            how => Some(BusyWith { is_function: self.is_function.load(Ordering::Relaxed), is_wide: how > 1 }),
        }
    }

    /// Must it end?
    pub fn killed(&self) -> Option<Stop> {
        match self.kill.load(Ordering::Relaxed) {
            0 => None,
            _ if self.wrote.load(Ordering::Relaxed) => None,
            1 => Some(Stop::Killed),
            _ => Some(Stop::FunctionKilled),
        }
    }
}

/// A script or function that has run for longer than `busy-reply-threshold`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BusyWith {
    pub is_function: bool,
    /// It holds all shards.
    pub is_wide: bool,
}

/// What became of a wish to kill what runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kill {
    NothingRuns,
    HasWritten,
    /// A function runs where a script was to be killed, or the other way round.
    OtherKind,
    Told,
}

/// All scripts of the process.
pub struct Scripts {
    known: RwLock<HashMap<Sha, Arc<Script>, ahash::RandomState>>,
    /// Rises when scripts are forgotten.
    flushes: AtomicU64,
    pub running: Vec<Running>,
    /// How many of them have run for too long.
    pub busy: AtomicUsize,
    pub libraries: Libraries,
    /// DEBUG SET-DISABLE-DENY-SCRIPTS: scripts may call what is not for scripts.
    pub deny_nothing: AtomicBool,
}

impl Scripts {
    /// For this many cores.
    pub fn new(cores: usize) -> Scripts {
        Scripts {
            known: RwLock::default(),
            flushes: AtomicU64::new(0),
            running: (0..cores).map(|_| Running::default()).collect(),
            busy: AtomicUsize::new(0),
            libraries: Libraries::default(),
            deny_nothing: AtomicBool::new(false),
        }
    }

    /// The script of a name in any case.
    pub fn find(&self, sha: &[u8]) -> Option<Arc<Script>> {
        let mut name: Sha = sha.try_into().ok()?;
        name.make_ascii_lowercase();
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned()
    }

    /// The script of this source, made if it is not known. Not yet kept: see [`Scripts::keep`].
    pub fn of_source(&self, source: &[u8]) -> Result<Arc<Script>, String> {
        let sha = sha_of(source);
        if let Some(script) = self.find(&sha) {
            return Ok(script);
        }
        let (flags, code_at) = flags::of_script(source)?;
        Ok(Arc::new(Script { sha, source: source.into(), code_at, flags, is_wide: AtomicBool::new(false) }))
    }

    /// What a script or function says of itself, by the command that calls it and the command's first argument. `None`
    /// when it is unknown, or says nothing.
    pub fn flags_of(&self, command: &str, name: &[u8]) -> Option<Flags> {
        match command {
            "fcall" | "fcall_ro" => {
                let (library, place) = self.libraries.find(name)?;
                Some(library.functions[place].flags)
            }
            "evalsha" | "evalsha_ro" => self.find(name)?.flags,
            _ => flags::of_script(name).ok()?.0,
        }
    }

    /// From now on everybody knows it.
    pub fn keep(&self, script: &Arc<Script>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(script.sha).or_insert_with(|| script.clone());
    }

    /// Forgets all scripts.
    pub fn flush(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.flushes.fetch_add(1, Ordering::Release);
    }

    /// How often scripts were forgotten.
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// How many scripts there are, and the bytes that they take beside what the machines have made of them.
    pub fn usage(&self) -> (usize, usize) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        (known.len(), known.values().map(|script| script.memory_bytes()).sum())
    }

    /// What runs on a core has run for too long.
    pub fn is_busy(&self, core: usize, is_wide: bool) {
        if self.running[core].busy.swap(1 + u8::from(is_wide), Ordering::Relaxed) == 0 {
            self.busy.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// It has ended.
    pub fn end(&self, core: usize) {
        let running = &self.running[core];
        running.since_ms.store(0, Ordering::Release);
        if running.busy.load(Ordering::Relaxed) != 0 {
            running.busy.store(0, Ordering::Relaxed);
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Asks what runs to end.
    pub fn kill(&self, function: bool) -> Kill {
        let mut answer = Kill::NothingRuns;
        for running in self.running.iter().filter(|running| running.since_ms.load(Ordering::Acquire) != 0) {
            if running.is_function.load(Ordering::Relaxed) != function {
                answer = Kill::OtherKind;
            } else if running.wrote.load(Ordering::Relaxed) {
                return Kill::HasWritten;
            } else {
                running.kill.store(1 + u8::from(function), Ordering::Relaxed);
                return Kill::Told;
            }
        }
        answer
    }
}
