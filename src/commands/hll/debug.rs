//! PFDEBUG, PFSELFTEST: for those who test HyperLogLogs.

use super::{corrupted, open};
use crate::commands::error::quoted;
use crate::commands::strings::raw;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Edit, Event};
use crate::types::hll::{self, Encoding, REGISTERS};

/// Redis draws one; any will do.
const SELF_TEST_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

pub fn pfdebug(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (word, key) = (args.take()?, args.take()?);
    let looked = ctx.keys().edit_with(key, |edit| {
        let encoding = open(edit.value(), &mut itoa::Buffer::new())?.1;
        look(word, edit, encoding, reply)
    });
    looked.unwrap_or(Err(CommandError::Line("ERR The specified key does not exist")))?;
    Ok(Outcome::Done)
}

fn look(
    word: &[u8],
    edit: &mut Edit<'_, '_>,
    encoding: Encoding,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    match word.to_ascii_lowercase().as_slice() {
        b"getreg" => {
            make_dense(edit, encoding)?;
            reply.array(REGISTERS);
            hll::registers(raw(edit, 0)?).for_each(|value| reply.int(value.into()));
        }
        b"decode" if encoding == Encoding::Sparse => reply.bulk(hll::decode(raw(edit, 0)?).as_bytes()),
        b"decode" => return Err(CommandError::Line("ERR HLL encoding is not sparse")),
        b"encoding" => reply.simple(match encoding {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }),
        b"todense" => reply.int(make_dense(edit, encoding)?.into()),
        _ => {
            let text = [b"ERR Unknown PFDEBUG subcommand '", quoted(word, usize::MAX), b"'"].concat();
            return Err(CommandError::text(text));
        }
    }
    Ok(())
}

fn make_dense(edit: &mut Edit<'_, '_>, encoding: Encoding) -> Result<bool, CommandError> {
    if encoding == Encoding::Dense {
        return Ok(false);
    }
    hll::make_dense(raw(edit, 0)?).map_err(corrupted)?;
    edit.commit(Event::REPRESENTED);
    Ok(true)
}

pub fn pfselftest(_: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    hll::self_test(SELF_TEST_SEED).map_err(|failure| CommandError::text(format!("ERR {failure}")))?;
    reply.ok();
    Ok(Outcome::Done)
}
