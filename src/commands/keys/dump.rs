//! DUMP and RESTORE.

use crate::commands::sliced::{STEP_ELEMENTS, Sliced, Step, Values};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::rdb::payload::restore_unchecked;
use crate::rdb::{Dumping, Limits, RdbError, dump_value, payload_version, restore_value};
use crate::resp::Reply;
use crate::shard::access::{AccessClock, Counting};
use crate::shard::{Event, Moved, ValueView};

pub fn dump(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, above) = (args.take()?, ctx.shard.settings.slices_above);
    match ctx.keys().read(key) {
        Some(entry) => {
            if let ValueView::Heap(value) = entry.value()
                && value.copied_elements() > above
                && let Some(dumping) = Dumping::begin(value)
            {
                return ctx.in_slices(key, LongDump { dumping, bytes: 0 });
            }
            let payload = std::sync::Arc::new(dump_value(entry.value()));
            reply.bulk_shared(&payload, 0..payload.len());
        }
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

/// DUMP of a big value.
struct LongDump {
    dumping: Dumping,
    bytes: usize,
}

impl Sliced for LongDump {
    fn step(
        &mut self,
        values: Values<'_>,
        elements: usize,
        reply: &mut Reply<'_>,
    ) -> Result<Step, CommandError> {
        let (bytes, more) = self.dumping.step(values.first()?, elements.min(STEP_ELEMENTS));
        self.bytes += bytes.len();
        reply.out.bytes.extend_from_slice(bytes);
        Ok(if more { Step::More } else { Step::Done })
    }

    fn finish(&mut self, _: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<Part, CommandError> {
        reply.out.bytes.extend_from_slice(b"\r\n");
        Ok(Part::Nothing)
    }

    /// The length of the bulk string.
    fn head(&self, reply: &mut Reply<'_>) {
        reply.out.bytes.push(b'$');
        reply.out.bytes.extend_from_slice(itoa::Buffer::new().format(self.bytes).as_bytes());
        reply.out.bytes.extend_from_slice(b"\r\n");
    }
}

/// The newest version of payloads that Redis 7.0 reads.
const READ_EVERYWHERE: u16 = 10;

/// The options of RESTORE.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute_ttl: bool,
    idle_seconds: Option<i64>,
    frequency: Option<i64>,
}

impl Options {
    fn take(args: &mut Args<'_>) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while !args.is_done() {
            let has_value = args.left() >= 2;
            if args.token("replace") {
                options.replace = true;
            } else if args.token("absttl") {
                options.absolute_ttl = true;
            } else if has_value && options.frequency.is_none() && args.token("idletime") {
                let seconds = args.int()?;
                options.idle_seconds = Some(seconds);
                if seconds < 0 {
                    return Err(CommandError::InvalidIdleTime);
                }
            } else if has_value && options.idle_seconds.is_none() && args.token("freq") {
                let frequency = args.int()?;
                options.frequency = Some(frequency);
                if !(0..=255).contains(&frequency) {
                    return Err(CommandError::InvalidFreq);
                }
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// Redis: an option that the policy in force does not count by is ignored.
    fn access(&self, clock: AccessClock) -> u16 {
        match (clock.counting, self.idle_seconds, self.frequency) {
            (Counting::Lru, Some(seconds), _) => clock.with_idle(seconds as u64),
            (Counting::Lfu { .. }, _, Some(frequency)) => clock.with_frequency(frequency as u8),
            _ => clock.fresh(),
        }
    }
}

pub fn restore(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, mut ttl) = (args.take()?, *args);
    args.take()?;
    let payload = args.take()?;
    let options = Options::take(args)?;
    // Redis: the key's presence is looked at before the other arguments.
    if !options.replace && ctx.keys().find_to_write(key).is_some() {
        return Err(CommandError::BusyKey);
    }
    let ttl_ms = ttl.int()?;
    if ttl_ms < 0 {
        return Err(CommandError::InvalidTtl);
    }
    let settings = &ctx.shard.settings;
    let limits = Limits { string_bytes: settings.max_bulk_bytes, encodings: settings.encodings };
    let restore = if settings.skip_checksums { restore_unchecked } else { restore_value };
    let value = restore(payload, limits).map_err(|error| match error {
        RdbError::TooNew(_) | RdbError::Checksum => CommandError::BadDumpFooter,
        _ => CommandError::BadDump,
    })?;

    let (now_ms, due_ms) = (ctx.now_ms(), ctx.due_ms());
    let ttl_ms = ttl_ms as u64;
    let expire_at_ms = match (ttl_ms, options.absolute_ttl) {
        (0, _) => None,
        (at, true) => Some(at),
        (after, false) => Some(after.wrapping_add(now_ms)),
    };
    let access = options.access(ctx.shard.access_clock());
    let mut keys = ctx.keys();
    // Redis: the sum is signed and wraps, so that a huge time to live is one of the past.
    if expire_at_ms.is_some_and(|at| (at as i64) <= due_ms as i64) {
        if options.replace && keys.remove(key, Event::DEL) {
            ctx.say(|log, db| log.say(db, &[b"DEL", key]));
        }
    } else {
        keys.put(key, Moved { value, expire_at_ms, access }, Event::RESTORE);
        let is_checked = !ctx.shard.settings.skip_checksums;
        ctx.say(|log, db| match payload_version(payload) {
            ..=READ_EVERYWHERE if is_checked => {
                let mut digits = itoa::Buffer::new();
                let at = digits.format(expire_at_ms.unwrap_or(0)).as_bytes();
                log.say(db, &[b"RESTORE", key, at, payload, b"REPLACE", b"ABSTTL"]);
            }
            _ => log.say_state(),
        });
    }
    reply.ok();
    Ok(Outcome::Done)
}
