//! One core's machine and the scripts it has compiled.

use std::ffi::CStr;
use std::sync::Arc;

use hashbrown::HashMap;

use super::functions::Loaded;
use super::lua::{Chunk, Engine, NO_MEMORY};
use super::store::{Script, Scripts, Sha};

/// A core's machine. Made when the first script comes.
#[derive(Default)]
pub struct Cache {
    pub engine: Engine,
    compiled: HashMap<Sha, (Arc<Script>, Chunk), ahash::RandomState>,
    flushes: u64,
    /// Functions of libraries.
    pub(super) loaded: Loaded,
}

/// Compiled scripts that a core keeps although nobody may ever call them again.
const COMPILED_MOST: usize = 4096;

impl Cache {
    /// The compiled script. A new one is kept for everybody when it compiles; the error is the reply's line.
    pub fn compiled(&mut self, scripts: &Scripts, script: &Arc<Script>) -> Result<Chunk, String> {
        self.follow(scripts);
        if let Some((_, chunk)) = self.compiled.get(&script.sha) {
            return Ok(*chunk);
        }
        let code = &script.source[script.code_at..];
        let chunk = self
            .compile(code, c"@user_script")
            .map_err(|error| format!("ERR Error compiling script (new function): {error}"))?;
        if self.compiled.len() >= COMPILED_MOST {
            self.forget_all();
        }
        scripts.keep(script);
        self.compiled.insert(script.sha, (script.clone(), chunk));
        Ok(chunk)
    }

    /// Compiles. What was compiled before is forgotten when it is what fills the machine.
    pub(super) fn compile(&mut self, code: &[u8], name: &CStr) -> Result<Chunk, String> {
        self.engine.compile(code, name).or_else(|error| {
            if error != NO_MEMORY {
                return Err(error);
            }
            self.forget_all();
            self.engine.compile(code, name)
        })
    }

    /// The script of a source, compiled. Looks at this core's own table first.
    pub fn of_source(&mut self, scripts: &Scripts, source: &[u8]) -> Result<(Arc<Script>, Chunk), String> {
        self.follow(scripts);
        let sha = super::store::sha_of(source);
        if let Some((script, chunk)) = self.compiled.get(&sha) {
            return Ok((script.clone(), *chunk));
        }
        let script = scripts.of_source(source)?;
        let chunk = self.compiled(scripts, &script)?;
        Ok((script, chunk))
    }

    /// The script of a name, compiled; `None` when nobody knows it.
    pub fn of_sha(&mut self, scripts: &Scripts, sha: &[u8]) -> Option<Result<(Arc<Script>, Chunk), String>> {
        self.follow(scripts);
        let mut name: Sha = sha.try_into().ok()?;
        name.make_ascii_lowercase();
        if let Some((script, chunk)) = self.compiled.get(&name) {
            return Some(Ok((script.clone(), *chunk)));
        }
        let script = scripts.find(&name)?;
        Some(self.compiled(scripts, &script).map(|chunk| (script, chunk)))
    }

    /// Forgets what the process has forgotten.
    fn follow(&mut self, scripts: &Scripts) {
        let flushes = scripts.flushes();
        if self.flushes != flushes {
            self.flushes = flushes;
            self.forget_all();
        }
    }

    fn forget_all(&mut self) {
        for (_, (_, chunk)) in self.compiled.drain() {
            self.engine.forget(chunk);
        }
    }
}
