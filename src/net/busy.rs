//! A busy core: one whose script has run for longer than `busy-reply-threshold`, and those who come meanwhile.
//!
//! Redis goes on reading what its clients send then and answers -BUSY, so that somebody can end the script. So does a
//! core: when the machine looks whether its script must end, the core has the engine hand over what came in
//! ([`NetIo::attend`]). Requests pass the usual gates, and one of them refuses what is not allowed meanwhile. Other
//! cores serve on; what needs a busy one they refuse likewise, so that nobody waits for a script without end.
//!
//! INVARIANT: within a script no other command touches the shard's keys. What is allowed ([`Flags::ALLOW_BUSY`]) is
//! about the connection, the script, or the server's end. And nothing is heard of the connection whose request the
//! script is: its bytes are being read up the stack.

use std::sync::atomic::Ordering;

use super::batch::Control;
use super::core::Core;
use super::dispatch::Bound;
use crate::commands::spec::Flags;
use crate::commands::{CommandError, Entry, RowId};
use crate::config::id;
use crate::resp::{Argv, Reply};
use crate::runtime::face::{ConnId, NetIo};
use crate::runtime::mesh::Received;
use crate::script::store::BusyWith;
use crate::tx::Route;
use crate::tx::execute::write_error;
use crate::tx::route::route;
use crate::types::ShardId;

/// Time between two looks at what came in.
pub const ATTEND_NS: u64 = 1_000_000;

const SCRIPT: CommandError = CommandError::Line(
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
);
const FUNCTION: CommandError = CommandError::Line(
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
);

/// What clients are told while a script or a function is busy.
pub fn busy_error(is_function: bool) -> CommandError {
    if is_function { FUNCTION } else { SCRIPT }
}

impl Core {
    /// How long a script may run before others are told, in nanoseconds; `u64::MAX`: for ever.
    pub fn busy_after_ns(&self) -> u64 {
        match self.config.integer(id::BUSY_REPLY_THRESHOLD) {
            ..=0 => u64::MAX,
            ms => (ms as u64).saturating_mul(1_000_000),
        }
    }

    /// Hears those who came while this core's script runs. `but` is whose request it is.
    pub fn attend(&mut self, io: &mut dyn NetIo, but: Option<ConnId>) {
        if !self.attends {
            self.attends = true;
            if let Some(but) = but {
                io.pause_receive(but);
            }
        }
        io.attend(self, but);
        self.attend_mail(io);
        // Clients may have replies from before the script that are not in the log yet.
        self.give_log_before_block();
        self.send_replies_but(io, but);
        self.flush_in_block(io);
    }

    /// Refuses other cores' commands for this shard and takes in connections; all else waits, in its order.
    fn attend_mail(&mut self, io: &mut dyn NetIo) {
        while let Received::Batch { from, mut body } = self.port.receive() {
            let from = ShardId(from as u16);
            let mut commands = std::mem::take(&mut body.commands);
            for command in &commands.list {
                let with = self.shared.scripts.running[self.me.index()].busy_with();
                let error = busy_error(with.is_some_and(|with| with.is_function));
                self.stats[command.row.index()].rejected += 1;
                self.observe.count_error(&error);
                let replies = &mut self.batch_to(from).replies;
                write_error(&error, &mut Reply::new(&mut replies.output, command.client.protocol));
                replies.end(command.token);
            }
            commands.list.clear();
            for control in std::mem::take(&mut body.control) {
                match control {
                    Control::Adopt(socket) => self.adopt(io, socket),
                    control => body.control.push(control),
                }
            }
            if body.is_empty() {
                self.see_log_of(from, body.logged);
                self.recycle(body);
            } else {
                self.stashed.push_back((from, body));
            }
        }
    }

    /// The script has ended.
    pub fn end_attending(&mut self, io: &mut dyn NetIo, but: Option<ConnId>) {
        self.attends = false;
        if let Some(but) = but
            && self.clients.get(but).is_some_and(|client| !client.receive_paused)
        {
            io.resume_receive(but);
        }
    }

    /// Why a command is refused while scripts are busy. Asked only while there are any.
    #[cold]
    pub fn busy_refusal(&self, row: RowId, entry: &Entry, argv: Argv<'_>) -> Option<CommandError> {
        if entry.row.flags.has(Flags::ALLOW_BUSY) {
            return None;
        }
        let running = &self.shared.scripts.running;
        let busy_with = |core: usize| running[core].busy_with();
        let anywhere = || (0..running.len()).find_map(busy_with);
        let with = match busy_with(self.me.index()) {
            Some(with) => Some(with),
            None => match route(entry, argv, self.placement, self.me) {
                // What a script holds as a whole, nobody has a part of.
                _ if !entry.row.keys.is_empty()
                    && let Some(wide) = anywhere().filter(|with| with.is_wide) =>
                {
                    Some(wide)
                }
                Ok(Route::Shard(shard)) => busy_with(shard.index()),
                Ok(Route::Several | Route::Broadcast) => anywhere(),
                Ok(Route::Bound) if matches!(self.bound[row.index()], Bound::Publish(_)) => anywhere(),
                _ => None,
            },
        };
        Some(busy_error(with?.is_function))
    }

    /// Is a script busy anywhere?
    #[inline]
    pub fn is_any_busy(&self) -> bool {
        self.shared.scripts.busy.load(Ordering::Relaxed) > 0
    }

    /// What is busy, if anything is.
    pub fn busy_somewhere(&self) -> Option<BusyWith> {
        self.shared.scripts.running.iter().find_map(|running| running.busy_with())
    }
}
