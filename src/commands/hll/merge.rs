//! Unions: PFMERGE, and what PFCOUNT of several keys needs.

use std::sync::Arc;

use super::{corrupted, open};
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::strings::raw;
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, Keyspace, NewValue};
use crate::types::hll::{self, Encoding, REGISTERS, Registers};
use crate::types::raw::table::Ttl;
use crate::types::{Value, hll::Corrupted};

/// Every owner unites its own, the destination's included; the destination's owner stores the union of unions.
pub const PFMERGE: &[Hop] = &[Hop { on: On::Owners, run: unite }, Hop { on: On::Key(0), run: store_hop }];

/// The highest of several HyperLogLogs' registers.
pub struct Union {
    registers: Box<Registers>,
    /// One of them was dense.
    dense: bool,
}

impl Default for Union {
    fn default() -> Union {
        Union { registers: Box::new([0; REGISTERS]), dense: false }
    }
}

impl Union {
    /// Adds the HyperLogLog under a key; a missing one is empty.
    pub fn add(&mut self, keys: &mut Keyspace<'_>, key: &[u8]) -> Result<(), CommandError> {
        let Some(entry) = keys.read(key) else { return Ok(()) };
        let mut digits = itoa::Buffer::new();
        let (bytes, encoding) = open(entry.value(), &mut digits)?;
        hll::merge(&mut self.registers, bytes).map_err(corrupted)?;
        self.dense |= encoding == Encoding::Dense;
        Ok(())
    }

    pub fn cardinality(&self) -> u64 {
        hll::count_registers(&self.registers)
    }

    /// On its way to another shard.
    pub fn into_part(self) -> Part {
        Part::Gathered(Box::new(self))
    }

    /// The union of what all shards of a hop returned.
    pub fn of_hop(got: &Gathered, hop: usize) -> Union {
        let mut union = Union::default();
        for part in got.parts(hop) {
            let Part::Gathered(part) = part else { unreachable!("the hop returns unions") };
            let part: &Union = part.downcast_ref().expect("and nothing else");
            union.dense |= part.dense;
            for (into, from) in union.registers.iter_mut().zip(part.registers.iter()) {
                *into = (*into).max(*from);
            }
        }
        union
    }
}

/// All keys are here.
pub fn pfmerge(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let mut union = Union::default();
    let argv = args.argv();
    let mut keys = ctx.keys();
    args.rest().try_for_each(|key| union.add(&mut keys, key))?;
    store(ctx, argv.get(1), &union)?;
    reply.ok();
    Ok(Outcome::Done)
}

fn unite(ctx: &mut Ctx<'_>, argv: Argv<'_>, mine: &[usize], _: &mut Gathered) -> Result<Part, CommandError> {
    let mut union = Union::default();
    let mut keys = ctx.keys();
    mine.iter().try_for_each(|order| union.add(&mut keys, argv.get(1 + order)))?;
    Ok(union.into_part())
}

fn store_hop(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    store(ctx, argv.get(1), &Union::of_hop(got, 0))?;
    Ok(Part::Nothing)
}

pub fn finish(_: Argv<'_>, _: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.ok();
    Ok(Outcome::Done)
}

fn store(ctx: &mut Ctx<'_>, key: &[u8], union: &Union) -> Result<(), CommandError> {
    let sparse_max_bytes = ctx.shard.settings.encodings.hll_sparse_bytes;
    let fill = |bytes: &mut Vec<u8>| -> Result<(), Corrupted> {
        if union.dense {
            hll::make_dense(bytes)?;
        }
        hll::raise(bytes, &union.registers, sparse_max_bytes)
    };
    let mut keys = ctx.keys();
    let stored = keys.edit_with(key, |edit| {
        // It may have changed between the hops: intents hold back commands, not eviction and expiry.
        let len = open(edit.value(), &mut itoa::Buffer::new())?.0.len();
        let filled = fill(raw(edit, len)?);
        edit.commit(Event::PFADD);
        filled.map_err(corrupted)
    });
    match stored {
        Some(stored) => stored,
        None => {
            let mut bytes = hll::new();
            fill(&mut bytes).map_err(corrupted)?;
            keys.set(key, NewValue::Value(Value::String(Arc::new(bytes))), Ttl::Clear, Event::PFADD);
            Ok(())
        }
    }
}
