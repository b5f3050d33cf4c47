//! HRANDFIELD.
//!
//! A negative count draws every field anew, so that one may come several times. A positive one draws different fields:
//! all of them when that is enough; by walking over them, each chosen with the chance that leaves the rest to be chosen
//! from what follows (Vitter's selection sampling), when a good part is wanted or the hash is small; else by drawing
//! until there are enough different ones.

use super::{read, reply_text};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::hash::{HashView, Text, below};

/// Redis: drawing pays when the hash has more than three times as many fields as are wanted.
const DRAWING_FACTOR: usize = 3;
/// More fields than this are not drawn in one command: Redis would, until the client's buffer is full.
const DRAWN_MAX: u64 = 1 << 24;

pub fn hrandfield(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, now_ms) = (args.take()?, ctx.now_ms());
    let options = if args.is_done() { None } else { Some(options(args)?) };
    let mut rng = ctx.shard.rng.fork();
    let random = &mut || rng.u64(..);
    let mut keys = ctx.keys();
    let hash = read(&mut keys, key)?;
    let Some((count, with_values)) = options else {
        let drawn = hash.and_then(|hash| hash.random(now_ms, random));
        super::reply_optional(drawn.map(|(field, _)| field), reply);
        return Ok(Outcome::Done);
    };
    let live = hash.map_or(0, |hash| hash.live_len(now_ms));
    let (Some(hash), 1.., true) = (hash, live, count != 0) else {
        reply.array(0);
        return Ok(Outcome::Done);
    };
    let asked = count.unsigned_abs();
    let wanted = if count < 0 { asked } else { asked.min(live as u64) };
    if wanted > DRAWN_MAX && count < 0 {
        return Err(CommandError::OutOfRange);
    }
    let mut draw = Draw { hash, now_ms, live, with_values, reply };
    draw.header(wanted as usize);
    if count < 0 {
        draw.with_repeats(wanted as usize, random);
    } else {
        draw.different(wanted as usize, random);
    }
    Ok(Outcome::Done)
}

/// The count, and whether values are wanted.
fn options(args: &mut Args<'_>) -> Result<(i64, bool), CommandError> {
    let count = args.int_in(-i64::MAX..=i64::MAX)?;
    if args.is_done() {
        return Ok((count, false));
    }
    if args.left() > 1 || !args.token("withvalues") {
        return Err(CommandError::Syntax);
    }
    if !(-i64::MAX / 2..=i64::MAX / 2).contains(&count) {
        return Err(CommandError::OutOfRange);
    }
    Ok((count, true))
}

struct Draw<'a, 'r, 'o> {
    hash: HashView<'a>,
    now_ms: u64,
    live: usize,
    with_values: bool,
    reply: &'r mut Reply<'o>,
}

impl<'a> Draw<'a, '_, '_> {
    fn is_nested(&self) -> bool {
        self.with_values && self.reply.protocol == crate::resp::Protocol::Resp3
    }

    /// Redis: pairs are arrays of their own in RESP3, and flat in RESP2.
    fn header(&mut self, count: usize) {
        let flat = self.with_values && !self.is_nested();
        self.reply.array(if flat { count * 2 } else { count });
    }

    fn show(&mut self, (field, value): (Text<'a>, Text<'a>)) {
        if self.is_nested() {
            self.reply.array(2);
        }
        reply_text(field, self.reply);
        if self.with_values {
            reply_text(value, self.reply);
        }
    }

    fn all(&self) -> Vec<(Text<'a>, Text<'a>)> {
        let mut all = Vec::with_capacity(self.live);
        self.hash.for_each(self.now_ms, |field, value, _| all.push((field, value)));
        all
    }

    fn with_repeats(&mut self, count: usize, random: &mut dyn FnMut() -> u64) {
        if self.hash.is_big() && count < self.live {
            for _ in 0..count {
                let drawn = self.hash.random(self.now_ms, random).expect("a field is live");
                self.show(drawn);
            }
            return;
        }
        let all = self.all();
        for _ in 0..count {
            self.show(all[below(random(), all.len())]);
        }
    }

    fn different(&mut self, count: usize, random: &mut dyn FnMut() -> u64) {
        if !self.hash.is_big() || count.saturating_mul(DRAWING_FACTOR) > self.live {
            return self.by_walking(count, random);
        }
        let mut drawn =
            std::collections::HashSet::with_capacity_and_hasher(count, ahash::RandomState::with_seed(0));
        while drawn.len() < count {
            let (field, value) = self.hash.random(self.now_ms, random).expect("a field is live");
            let Text::Bytes(name) = field else { unreachable!("a table's fields are bytes") };
            if drawn.insert(name.as_ptr()) {
                self.show((field, value));
            }
        }
    }

    fn by_walking(&mut self, count: usize, random: &mut dyn FnMut() -> u64) {
        let (hash, now_ms) = (self.hash, self.now_ms);
        let (mut wanted, mut left) = (count, self.live);
        hash.for_each(now_ms, |field, value, _| {
            if below(random(), left) < wanted {
                wanted -= 1;
                self.show((field, value));
            }
            left -= 1;
        });
        debug_assert_eq!(wanted, 0, "selection sampling finds as many as are wanted");
    }
}
