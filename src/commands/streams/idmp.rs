//! IDMP and IDMPAUTO of XADD, and XCFGSET: a message that is sent twice is added once.

use xxhash_rust::xxh3::Xxh3;

use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::stream::{Fields, Stream, StreamId};

const NO_PRODUCER: CommandError = CommandError::Line("ERR IDMP requires a non-empty producer ID");
const NO_NAME: CommandError = CommandError::Line("ERR IDMP requires a non-empty idempotent ID");
const NO_PRODUCER_AUTO: CommandError = CommandError::Line("ERR IDMPAUTO requires a non-empty producer ID");
const TWICE: CommandError = CommandError::Line("ERR IDMP/IDMPAUTO specified multiple times");

/// Who sends a message, and under which name.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    producer: &'a [u8],
    /// `None`: named by what it says.
    name: Option<&'a [u8]>,
}

impl<'a> Sender<'a> {
    /// Takes the option if it comes next.
    pub fn option(args: &mut Args<'a>, before: &mut Option<Sender<'a>>) -> Result<bool, CommandError> {
        let sender = if args.left() > 2 && args.token("IDMP") {
            let (producer, name) = (args.take()?, args.take()?);
            match (producer, name) {
                (b"", _) => return Err(NO_PRODUCER),
                (_, b"") => return Err(NO_NAME),
                _ => Sender { producer, name: Some(name) },
            }
        } else if args.left() > 1 && args.token("IDMPAUTO") {
            let producer = args.take()?;
            if producer.is_empty() {
                return Err(NO_PRODUCER_AUTO);
            }
            Sender { producer, name: None }
        } else {
            return Ok(false);
        };
        if before.replace(sender).is_some() {
            return Err(TWICE);
        }
        Ok(true)
    }

    /// Adds the message by `add`, unless it is there; its id, and whether it is new.
    pub fn add_once<'f>(
        &self,
        stream: &mut Stream,
        fields: &impl Fields<'f>,
        now_ms: u64,
        add: impl FnOnce(&mut Stream) -> Result<StreamId, CommandError>,
    ) -> Result<StreamId, CommandError> {
        let hash;
        let name = match self.name {
            Some(name) => name,
            None => {
                hash = hash_of(fields);
                &hash
            }
        };
        if let Some(id) = stream.idmp_mut().find(self.producer, name, now_ms) {
            return Ok(id);
        }
        let id = add(stream)?;
        stream.idmp_mut().record(self.producer, name, id, now_ms);
        Ok(id)
    }
}

/// What stands for the fields and values of a message, in their order.
fn hash_of<'f>(fields: &impl Fields<'f>) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    for index in 0..fields.count() {
        for text in [fields.name(index), fields.value(index)] {
            hasher.update(&text.len().to_le_bytes());
            hasher.update(text);
        }
    }
    hasher.digest128().to_le_bytes()
}

pub fn xcfgset(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let (mut duration, mut max_size) = (None, None);
    while !args.is_done() {
        let has_more = args.left() > 1;
        if has_more && args.token("IDMP-DURATION") {
            let seconds = in_range(args, 86_400);
            duration = Some(
                seconds.ok_or(CommandError::Line("ERR IDMP-DURATION must be between 1 and 86400 seconds"))?,
            );
        } else if has_more && args.token("IDMP-MAXSIZE") {
            let size = in_range(args, 10_000);
            max_size =
                Some(size.ok_or(CommandError::Line("ERR IDMP-MAXSIZE must be between 1 and 10000 entries"))?);
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if duration.is_none() && max_size.is_none() {
        return Err(CommandError::Line("ERR At least one parameter must be specified"));
    }
    let set = change(&mut ctx.keys(), key, false, |stream: &mut Stream, note| {
        let idmp = stream.idmp_mut();
        idmp.duration_seconds = duration.unwrap_or(idmp.duration_seconds);
        idmp.max_size = max_size.unwrap_or(idmp.max_size);
        idmp.clear();
        note.event(Event::XCFGSET);
        Ok(())
    })?;
    set.ok_or(CommandError::NoSuchKey)?;
    // Other servers could not be told, and the stream may be long.
    let argv = args.argv();
    ctx.say(|log, db| log.say_all(db, argv.iter()));
    reply.ok();
    Ok(Outcome::Done)
}

fn in_range(args: &mut Args<'_>, most: u32) -> Option<u32> {
    let number = args.int().ok().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| (1..=most).contains(number))
}
