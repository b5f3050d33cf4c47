//! What one shard's part of a command returns to its coordinator: owned values, so that they may cross cores.

use super::error::CommandError;
use super::sliced::Slices;
use super::spec::Gathered;
use crate::resp::{Output, Reply};
use crate::shard::Moved;
use crate::types::ClientId;

/// One shard's part.
#[derive(Debug, Default)]
pub enum Part {
    #[default]
    Nothing,
    /// End the hops here and go to the finish.
    Stop,
    /// The command failed on this shard.
    Failed(Box<CommandError>),
    Int(i64),
    Flags(Vec<bool>),
    /// A hop's part, and what the earlier hops had returned, which the hop was lent.
    Returned(Box<(Part, Gathered)>),
    /// Of watched keys: index of the argument, version.
    Versions(Vec<(usize, u64)>),
    Bytes(Vec<u8>),
    /// Lines about clients, to be sorted by them.
    Lines(Vec<(ClientId, Vec<u8>)>),
    /// Optional byte strings, such as values per key.
    Strings(Vec<Option<Vec<u8>>>),
    Moved(Option<Box<Moved>>),
    /// There is much to do: the shard goes on with it in slices, and what comes of that is the part.
    Slices(Box<Slices>),
    /// The whole shard, until it is given back: known to `tx`.
    Lent(Box<dyn std::any::Any + Send>),
    /// A reply, or a piece of one.
    Output(Output),
    /// What a subsystem's broadcast gathers: known to its own merge.
    Gathered(Box<dyn std::any::Any + Send>),
    /// What several shards look at together in a later hop (`On::EveryIf`, `On::Owners`): known to its own command.
    Shared(std::sync::Arc<dyn std::any::Any + Send + Sync>),
    /// Of a command that runs key by key: the sum, and per key (by its order in the request) its element.
    Each {
        sum: i64,
        elements: Vec<(usize, Output)>,
    },
    /// The replies of a group of commands of one EXEC: index of the command, its reply.
    Replies(Vec<(usize, Output)>),
}

impl Part {
    /// Does it go on in slices?
    #[inline]
    pub fn is_sliced(&self) -> bool {
        match self {
            Part::Slices(_) => true,
            Part::Returned(returned) => matches!(returned.0, Part::Slices(_)),
            _ => false,
        }
    }

    /// The part of a hop that went on in slices: what it wrote, unless it says something else.
    pub fn or_written(self, output: Output) -> Part {
        match self {
            Part::Nothing if !output.is_empty() => Part::Output(output),
            part => part,
        }
    }

    /// Writes it, if it is a reply or a number.
    pub fn write_to(&mut self, reply: &mut Reply<'_>) -> bool {
        match self {
            Part::Output(output) => reply.out.append(output),
            Part::Int(value) => reply.int(*value),
            _ => return false,
        }
        true
    }

    /// What goes on in slices, and what its hop was lent.
    pub fn into_slices(self) -> Option<(Box<Slices>, Option<Gathered>)> {
        match self {
            Part::Slices(slices) => Some((slices, None)),
            Part::Returned(returned) => match *returned {
                (Part::Slices(slices), got) => Some((slices, Some(got))),
                _ => None,
            },
            _ => None,
        }
    }
}
