//! Functions: libraries that the process keeps, and what each core has loaded of them.
//!
//! A library is a source whose first line names it. Running it declares functions. The process keeps sources and what
//! they declared; a core runs a source again when it first needs one of its functions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::cache::Cache;
use super::flags::Flags;
use super::lua::{Called, Chunk, Declared, End, Given, Host, Stop};
use crate::resp::{Argv, Output, Protocol};

/// How long a library may take to declare its functions.
const LOAD_MOST: Duration = Duration::from_millis(500);

const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

/// A function.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub description: Option<Vec<u8>>,
    pub flags: Flags,
    /// It has touched more than one shard: it starts with all of them.
    pub is_wide: AtomicBool,
}

/// A library.
#[derive(Debug)]
pub struct Library {
    /// Different for every source that was ever loaded.
    id: u64,
    pub name: String,
    pub source: Box<[u8]>,
    code_at: usize,
    pub functions: Vec<Function>,
}

impl Library {
    /// What it takes beside what the machines have made of it.
    pub fn memory_bytes(&self) -> usize {
        let functions: usize =
            self.functions.iter().map(|function| size_of::<Function>() + function.name.len()).sum();
        size_of::<Library>() + self.name.len() + self.source.len() + functions
    }
}

/// All libraries of the process.
#[derive(Default)]
pub struct Libraries {
    by_name: RwLock<BTreeMap<String, Arc<Library>>>,
    next_id: AtomicU64,
    changes: AtomicU64,
}

/// What becomes of a library that has the name of a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    Refuse,
    Replace,
}

impl Libraries {
    /// All libraries by name.
    pub fn all(&self) -> Vec<Arc<Library>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The library that has a function of this name, in any case, and the function's place in it.
    pub fn find(&self, name: &[u8]) -> Option<(Arc<Library>, usize)> {
        let known = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        known.values().find_map(|library| Some((library.clone(), library.place_of(name)?)))
    }

    /// Rises with every change.
    fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Adds libraries, all or none. With `flush` all others go. `restores`: they come from a dump.
    pub fn add(
        &self,
        new: Vec<Library>,
        existing: Existing,
        flush: bool,
        restores: bool,
    ) -> Result<(), String> {
        let mut known = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = if flush { BTreeMap::new() } else { known.clone() };
        for library in new {
            if existing == Existing::Refuse && next.contains_key(&library.name) {
                let name = &library.name;
                let name = if restores { name.clone() } else { format!("'{name}'") };
                return Err(format!("ERR Library {name} already exists"));
            }
            next.remove(&library.name);
            for function in &library.functions {
                if next.values().any(|other| other.place_of(function.name.as_bytes()).is_some()) {
                    return Err(format!("ERR Function {} already exists", function.name));
                }
            }
            next.insert(library.name.clone(), Arc::new(library));
        }
        *known = next;
        self.changes.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Forgets a library. False when there is none of this name.
    pub fn delete(&self, name: &[u8]) -> bool {
        let mut known = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let found = std::str::from_utf8(name).ok().and_then(|name| known.remove(name)).is_some();
        self.changes.fetch_add(1, Ordering::Release);
        found
    }

    /// Forgets all libraries.
    pub fn flush(&self) {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.changes.fetch_add(1, Ordering::Release);
    }
}

impl Library {
    fn place_of(&self, name: &[u8]) -> Option<usize> {
        self.functions.iter().position(|function| function.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// The functions that one core has loaded.
#[derive(Default)]
pub struct Loaded {
    by_library: HashMap<u64, Vec<Chunk>, ahash::RandomState>,
    changes: u64,
}

/// Takes what a library declares.
struct Loading<'a> {
    declared: Vec<(Function, Chunk)>,
    until: Instant,
    log: &'a dyn Fn(u8, &[u8]),
}

impl Host for Loading<'_> {
    fn call(&mut self, _: Argv<'_>, _: Protocol, out: &mut Output) -> Called {
        out.bytes.extend_from_slice(b"-ERR redis.call can not be used while a library is loaded\r\n");
        Called::Replied
    }

    fn may_call(&mut self, _: Argv<'_>) -> Option<bool> {
        None
    }

    fn log(&mut self, level: u8, line: &[u8]) {
        (self.log)(level, line);
    }

    fn interrupt(&mut self) -> Option<Stop> {
        (Instant::now() > self.until).then_some(Stop::FunctionKilled)
    }

    fn register(&mut self, declared: Declared) -> Result<(), String> {
        let name = name_of(&declared.name)?;
        if self.declared.iter().any(|(known, _)| known.name == name) {
            return Err("Function already exists in the library".into());
        }
        let mut flags = Flags::default();
        for flag in &declared.flags {
            flags.0 |= Flags::named(flag).ok_or("unknown flag given")?.0;
        }
        let function =
            Function { name, description: declared.description, flags, is_wide: AtomicBool::new(false) };
        self.declared.push((function, Chunk::registered(declared.function)));
        Ok(())
    }
}

fn name_of(name: &[u8]) -> Result<String, String> {
    let is_name = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if is_name { Ok(String::from_utf8_lossy(name).into_owned()) } else { Err(BAD_NAME.into()) }
}

/// A word without the quotes around it.
fn unquoted(word: &[u8]) -> &[u8] {
    match word {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
        word => word,
    }
}

/// The name that a library's first line gives it, and where its code begins.
fn head_of(source: &[u8]) -> Result<(String, usize), String> {
    if !source.starts_with(b"#!") {
        return Err("ERR Missing library metadata".into());
    }
    let end = memchr::memchr(b'\n', source).ok_or("ERR Invalid library metadata")?;
    let mut words = source[..end].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let engine = words.next().and_then(|word| word.get(2..)).unwrap_or_default();
    let mut name = None;
    for word in words {
        let given = word.get(..5).filter(|start| start.eq_ignore_ascii_case(b"name=")).map(|_| &word[5..]);
        match given {
            Some(_) if name.is_some() => {
                return Err("ERR Invalid metadata value, name argument was given multiple times".into());
            }
            Some(given) => name = Some(given),
            None => {
                return Err(format!("ERR Invalid metadata value given: {}", String::from_utf8_lossy(word)));
            }
        }
    }
    let name = unquoted(name.ok_or("ERR Library name was not given")?);
    let name = name_of(name).map_err(|error| format!("ERR {error}"))?;
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err(format!("ERR Engine '{}' not found", String::from_utf8_lossy(engine)));
    }
    Ok((name, end))
}

impl Cache {
    /// Runs a library's source; what it is and declares. The error is the reply's line.
    pub fn load_library(
        &mut self,
        libraries: &Libraries,
        source: &[u8],
        log: &dyn Fn(u8, &[u8]),
    ) -> Result<Library, String> {
        let (name, code_at) = head_of(source)?;
        let declared = self.declare(&name, &source[code_at..], log)?;
        if declared.is_empty() {
            return Err("ERR No functions registered".into());
        }
        let id = libraries.next_id.fetch_add(1, Ordering::Relaxed);
        let (functions, chunks) = declared.into_iter().unzip();
        self.forget_gone(libraries);
        self.loaded.by_library.insert(id, chunks);
        Ok(Library { id, name, source: source.into(), code_at, functions })
    }

    fn declare(
        &mut self,
        name: &str,
        code: &[u8],
        log: &dyn Fn(u8, &[u8]),
    ) -> Result<Vec<(Function, Chunk)>, String> {
        let chunk = self
            .compile(code, c"@user_function")
            .map_err(|error| format!("ERR Error compiling function: {error}"))?;
        let mut loading = Loading { declared: Vec::new(), until: Instant::now() + LOAD_MOST, log };
        let given = Given { name, keys: &[], args: &[], is_function: false, protocol: Protocol::Resp2 };
        let mut out = Output::default();
        let end = self.engine.load_library(chunk, &given, &mut loading, &mut out);
        self.engine.forget(chunk);
        if end == End::Replied {
            return Ok(loading.declared);
        }
        for (_, chunk) in loading.declared {
            self.engine.forget(chunk);
        }
        let line = out.to_vec();
        let text = match end {
            End::Stopped(_) => "FUNCTION LOAD timeout".into(),
            _ => String::from_utf8_lossy(line.trim_ascii().get(1..).unwrap_or_default()),
        };
        Err(format!("ERR Error registering functions: {text}"))
    }

    /// A function of a library, loaded when this core has not done so yet.
    pub fn function(
        &mut self,
        libraries: &Libraries,
        library: &Library,
        place: usize,
        log: &dyn Fn(u8, &[u8]),
    ) -> Result<Chunk, String> {
        let changes = libraries.changes();
        if self.loaded.changes != changes {
            self.loaded.changes = changes;
            self.forget_gone(libraries);
        }
        if let Some(chunks) = self.loaded.by_library.get(&library.id) {
            return Ok(chunks[place]);
        }
        let declared = self.declare(&library.name, &library.source[library.code_at..], log)?;
        // In the order in which they were declared first, whatever order it is now.
        let chunk_of = |function: &Function| {
            declared.iter().find(|(other, _)| other.name == function.name).map(|(_, chunk)| *chunk)
        };
        let chunks: Option<Vec<Chunk>> = library.functions.iter().map(chunk_of).collect();
        let chunks = chunks.ok_or("ERR Function not found")?;
        let chunk = chunks[place];
        self.loaded.by_library.insert(library.id, chunks);
        Ok(chunk)
    }
}

impl Cache {
    /// Forgets functions of libraries that are no longer known, or never were: they were loaded and then refused.
    fn forget_gone(&mut self, libraries: &Libraries) {
        let alive: Vec<u64> = libraries.all().iter().map(|library| library.id).collect();
        let gone = self.loaded.by_library.extract_if(|id, _| !alive.contains(id));
        for (_, chunks) in gone {
            chunks.into_iter().for_each(|chunk| self.engine.forget(chunk));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(cache: &mut Cache, libraries: &Libraries, source: &str) -> Result<Library, String> {
        cache.load_library(libraries, source.as_bytes(), &|_, _| {})
    }

    #[test]
    fn heads_are_read_as_in_redis() {
        for (source, error) in [
            ("return 1", "ERR Missing library metadata"),
            ("#!lua\nx", "ERR Library name was not given"),
            ("#!lua name=\nx", &format!("ERR {BAD_NAME}")),
            ("#!lua name=a-b\nx", &format!("ERR {BAD_NAME}")),
            ("#!py name=a\nx", "ERR Engine 'py' not found"),
            ("#! name=a\nx", "ERR Engine '' not found"),
            ("#!lua name=a foo=b\nx", "ERR Invalid metadata value given: foo=b"),
            ("#!lua name=a name=b\nx", "ERR Invalid metadata value, name argument was given multiple times"),
            ("#!lua name=a", "ERR Invalid library metadata"),
        ] {
            assert_eq!(head_of(source.as_bytes()).unwrap_err(), error, "{source}");
        }
        assert_eq!(head_of(b"#!lua name=a\nx").unwrap(), ("a".into(), 12));
        assert_eq!(head_of(b"#!lua name=\"a\"\nx").unwrap(), ("a".into(), 14));
    }

    #[test]
    fn libraries_declare_functions_or_say_why_not() {
        let (mut cache, libraries) = (Cache::default(), Libraries::default());
        for (code, error) in [
            ("return 1", "ERR No functions registered"),
            ("return 1 +", "ERR Error compiling function: user_function:2: unexpected symbol near '<eof>'"),
            (
                "redis.call('get', 'x')",
                "ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'call'",
            ),
            (
                "redis.register_function('f', 1)",
                "ERR Error registering functions: ERR second argument to redis.register_function must be a function",
            ),
            (
                "redis.register_function{function_name='h', callback=function() end, flags={'zz'}}",
                "ERR Error registering functions: ERR unknown flag given",
            ),
            (
                "x = 1",
                "ERR Error registering functions: ERR user_function:2: Attempt to modify a readonly table",
            ),
            ("while true do end", "ERR Error registering functions: FUNCTION LOAD timeout"),
        ] {
            let source = format!("#!lua name=a\n{code}");
            assert_eq!(load(&mut cache, &libraries, &source).unwrap_err(), error, "{code}");
        }
        let source = "#!lua name=a\nredis.register_function('f', function() return 1 end)\n\
                      redis.register_function{function_name='g', callback=function() end, flags={'no-writes'}, description='d'}";
        let library = load(&mut cache, &libraries, source).unwrap();
        assert_eq!(library.functions[1].description.as_deref(), Some(&b"d"[..]));
        libraries.add(vec![library], Existing::Refuse, false, false).unwrap();
        let again = load(&mut cache, &libraries, source).unwrap();
        assert_eq!(
            libraries.add(vec![again], Existing::Refuse, false, false).unwrap_err(),
            "ERR Library 'a' already exists"
        );
        let other = source.replace("name=a", "name=b");
        let other = load(&mut cache, &libraries, &other).unwrap();
        assert_eq!(
            libraries.add(vec![other], Existing::Replace, false, false).unwrap_err(),
            "ERR Function f already exists"
        );
        // A core that has not loaded it does so when it is called.
        let (library, place) = libraries.find(b"F").unwrap();
        assert!(Cache::default().function(&libraries, &library, place, &|_, _| {}).is_ok());
        assert!(libraries.delete(b"a") && !libraries.delete(b"a"));
    }

    #[test]
    fn libraries_that_are_refused_leave_nothing_in_the_machine() {
        let (mut cache, libraries) = (Cache::default(), Libraries::default());
        let long = "x".repeat(100_000);
        let source = &format!("#!lua name=a\nredis.register_function('f', function() return '{long}' end)");
        let library = load(&mut cache, &libraries, source).unwrap();
        libraries.add(vec![library], Existing::Refuse, false, false).unwrap();
        for _ in 0..2000 {
            let again = load(&mut cache, &libraries, source).unwrap();
            libraries.add(vec![again], Existing::Refuse, false, false).unwrap_err();
        }
        assert!(cache.loaded.by_library.len() <= 2);
        // Nor do functions of which the library's other functions are refused.
        let unknown = format!(
            "{source}\nredis.register_function{{function_name='g', callback=function() return '{long}y' end, flags={{'x'}}}}"
        );
        for _ in 0..2000 {
            load(&mut cache, &libraries, &unknown).unwrap_err();
        }
        assert!(cache.engine.memory_bytes() < 64 << 20, "{} bytes", cache.engine.memory_bytes());
    }
}
