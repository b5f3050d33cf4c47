//! What a change of settings does beyond changing values.
//!
//! Two moments: `carry_out` does what concerns the process and may fail, before the new values are published, so
//! that a refusal changes nothing. `take_over` is each core's part, after they are.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::{listeners, log};
use crate::config::{Config, ConfigSetError, Id, id};
use crate::net::{Core, Shared};
use crate::runtime::face::{ListenerKind, NetIo};
use crate::sys::limits;

/// Carries out what may fail. The settings in `changed` differ between `old` and `next`.
pub fn carry_out(shared: &Shared, old: &Config, next: &Config, changed: &[Id]) -> Result<(), ConfigSetError> {
    let is = |id: Id| changed.contains(&id);
    let maxclients = next.integer(id::MAXCLIENTS) as u64;
    if is(id::MAXCLIENTS.0) && next.integer(id::MAXCLIENTS) > old.integer(id::MAXCLIENTS) {
        let files = limits::raise_open_files(maxclients, reserved_files(shared.shards));
        if files.maxclients < maxclients {
            let reason = format!(
                "The operating system is not able to handle the specified number of clients, try with {}",
                files.maxclients
            );
            return Err(ConfigSetError::refused("maxclients", reason));
        }
    }
    let relisten = is(id::PORT.0) || is(id::BIND);
    let opened = match relisten {
        false => None,
        true => Some(reopen(shared, next, is(id::BIND))?),
    };
    if is(id::OOM_SCORE_ADJ.0) || is(id::OOM_SCORE_ADJ_VALUES) {
        set_oom_score(shared.oom_score_base, next).map_err(|error| {
            log::warning(format!("Unable to write oom_score_adj: {error}"));
            let name = if is(id::OOM_SCORE_ADJ.0) { "oom-score-adj" } else { "oom-score-adj-values" };
            ConfigSetError::refused(
                name,
                "Failed to apply new oom_score_adj configuration, check server logs.",
            )
        })?;
    }
    if is(id::DIR) {
        change_dir(next.dir()).map_err(|error| ConfigSetError::refused("dir", error.to_string()))?;
    }
    // From here on nothing fails.
    if let Some(opened) = opened {
        let mut pending = shared.pending_listeners.lock().expect("no holder panics");
        *pending = opened.cores.into_iter().map(Some).collect();
        *shared.addresses.lock().expect("no holder panics") = opened.addresses;
        shared.port.store(next.integer(id::PORT) as usize, Ordering::Relaxed);
    }
    if is(id::LOGLEVEL.0) {
        log::set_level(next);
    }
    if is(id::MAXMEMORY.0) && next.memory(id::MAXMEMORY) != 0 {
        let used = shared.memory.total();
        if used > next.memory(id::MAXMEMORY) {
            log::warning(format!(
                "WARNING: the new maxmemory value set via CONFIG SET ({}) is smaller than the current memory \
                 usage ({used}). This will result in key eviction and/or the inability to accept new write \
                 commands depending on the maxmemory-policy.",
                next.memory(id::MAXMEMORY)
            ));
        }
    }
    if is(id::APPENDONLY.0) {
        switch_log(shared, next.flag(id::APPENDONLY));
    }
    Ok(())
}

fn reopen(shared: &Shared, next: &Config, bind: bool) -> Result<listeners::Opened, ConfigSetError> {
    let ours = shared.addresses.lock().expect("no holder panics").clone();
    let refuse = |error: &dyn std::fmt::Display| {
        log::warning(format!("{error}"));
        match bind {
            true => ConfigSetError::refused("bind", "Failed to bind to specified addresses."),
            false => ConfigSetError::refused("port", "Unable to listen on this port. Check server logs."),
        }
    };
    let opened = listeners::open_tcp(next, shared.shards, &ours).map_err(|error| refuse(&error))?;
    let wants_any = next.integer(id::PORT) != 0 && !next.bind().is_empty();
    if wants_any && opened.addresses.is_empty() {
        return Err(refuse(&"none of the addresses exists on this host"));
    }
    Ok(opened)
}

/// CONFIG SET appendonly. A rewrite that began without a log, or for one that is no more, is called off.
fn switch_log(shared: &Shared, on: bool) {
    let durable = &shared.durable;
    match on {
        true => durable.aof.switch_on(),
        false => durable.aof.switch_off(),
    }
    durable.cancel_rewrite();
    durable.tell();
}

/// Descriptors that clients cannot have: files, and per core its listeners, ring and bell.
pub fn reserved_files(shards: usize) -> u64 {
    limits::RESERVED_FILES + 24 * shards as u64
}

/// Writes the score that the kernel's out-of-memory killer goes by.
pub fn set_oom_score(base: Option<i32>, config: &Config) -> std::io::Result<()> {
    let score = config.oom_scores()[0];
    match (config.choice(id::OOM_SCORE_ADJ).as_str(), base) {
        ("absolute", _) => limits::set_oom_score_adj(score),
        ("no", Some(base)) if limits::oom_score_adj().is_ok_and(|now| now != base) => {
            limits::set_oom_score_adj(base)
        }
        ("no", _) => Ok(()),
        (_, base) => limits::set_oom_score_adj((base.unwrap_or(0) + score).clamp(-1000, 1000)),
    }
}

/// Changes the working directory of the process.
pub fn change_dir(dir: &Path) -> std::io::Result<()> {
    std::env::set_current_dir(dir)
}

/// One core takes over the published settings.
pub fn take_over(core: &mut Core, io: &mut dyn NetIo) {
    core.take_over_config();
    core.follow_log_switch();
    let mine = {
        let mut pending = core.shared.pending_listeners.lock().expect("no holder panics");
        pending.get_mut(core.me.index()).and_then(Option::take)
    };
    if let Some(listeners) = mine {
        io.unlisten(ListenerKind::Tcp);
        for listener in listeners {
            if let Err(error) = io.listen(listener) {
                log::warning(format!("core {} cannot listen: {error}", core.me.index()));
            }
        }
    }
    if core.config.secret(id::REQUIREPASS).is_none() {
        // Redis: without a password everybody is let in, whoever was waiting outside included.
        core.clients.iter_mut().for_each(|client| client.authenticated = true);
    }
    if core.shard.over_limit() {
        core.shard.make_room();
        crate::tx::finish::finish(&mut core.shard);
    }
}
