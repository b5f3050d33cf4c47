//! CLIENT PAUSE and UNPAUSE.
//!
//! Every core is asked, so that after the reply none of them begins a command that has to wait, and after UNPAUSE
//! all of them have been woken. What has to wait, and that keys neither expire nor are evicted meanwhile, says
//! `net/pause.rs`.

use crate::commands::{Args, CommandError, Part};
use crate::net::batch::Asker;
use crate::net::core::Core;
use crate::net::dispatch::After;
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};

pub fn pause_each(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: Asker,
    argv: Argv<'_>,
) -> Result<Part, CommandError> {
    let mut args = Args::new(argv, 2);
    let timeout = args.int();
    let all = match args.left() {
        0 => true,
        1 if args.token("write") => false,
        1 if args.token("all") => true,
        1 => return Err(CommandError::Line("ERR CLIENT PAUSE mode must be WRITE or ALL")),
        _ => return Err(super::too_many_words(argv)),
    };
    let timeout = timeout.map_err(|_| CommandError::Line("ERR timeout is not an integer or out of range"))?;
    if timeout < 0 {
        return Err(CommandError::Line("ERR timeout is negative"));
    }
    let until = timeout.checked_add(core.now_ms as i64);
    let until = until.ok_or(CommandError::Line("ERR timeout is out of range"))?;
    if timeout > 0 {
        core.pause_until(until, all);
    }
    Ok(Part::Nothing)
}

pub fn unpause_each(core: &mut Core, _: &mut dyn NetIo, _: Asker, _: Argv<'_>) -> Result<Part, CommandError> {
    core.unpause();
    Ok(Part::Nothing)
}

pub fn merge_ok(
    _: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    _: Argv<'_>,
    _: Vec<Part>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    reply.ok();
    Ok(After::Done)
}
