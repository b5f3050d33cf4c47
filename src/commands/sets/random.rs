//! Random members: SPOP and SRANDMEMBER.

use std::collections::HashSet;

use super::reply_member;
use crate::commands::collection::{change, read};
use crate::commands::draw::{Wanted, check_repeats, repeat};
use crate::commands::rebuild::Pieces;
use crate::commands::sliced::{Changing, STEP_ELEMENTS, Step};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::shard::log::Log;
use crate::types::draw::below;
use crate::types::number::parse_i64;
use crate::types::set::{Element, SetView};
use crate::types::{Collection, DbIndex, Encodings, Set, Value};

/// Of a set of which more than one in this many members are wanted, all are lined up and shuffled; of others, members
/// are drawn until enough different ones were.
const DRAW_SHARE: usize = 3;

/// SPOP that leaves less than one in this many makes a new set of those that stay.
const KEEP_SHARE: usize = 5;

pub fn spop(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    if !args.is_done() {
        return spop_many(ctx, key, args, reply);
    }
    let mut rng = ctx.shard.rng.fork();
    let popped = change(&mut ctx.keys(), key, false, |set: &mut Set, note| {
        let popped = set.pop(&mut || rng.u64(..));
        note.event(Event::SPOP);
        Ok(popped)
    })?;
    match popped.flatten() {
        Some(member) => {
            ctx.say(|log, db| log.say(db, &[b"SREM", key, &member]));
            reply.bulk(&member);
        }
        None => reply.null(),
    }
    Ok(Outcome::Done)
}

fn spop_many(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let count = parse_i64(args.take()?).and_then(|count| usize::try_from(count).ok());
    args.finish()?;
    let count = count.ok_or(CommandError::NotUnsigned)?;
    let (limits, mut rng) = (ctx.shard.settings.encodings, ctx.shard.rng.fork());
    if ctx.is_much(count)
        && let Some(len) = ctx.of_big(key, Set::len)
        && ctx.is_much(count.min(len))
    {
        let all = count.min(len);
        let popping = Popping {
            key: key.into(),
            rng,
            limits,
            is_logged: ctx.is_logged() && all < len,
            left: all,
            all,
            members: Vec::new(),
            stay: (len - all).saturating_mul(KEEP_SHARE).le(&all).then_some(len - all),
            kept: Set::default(),
            cursor: 0,
            begun: false,
        };
        return ctx.change_in_slices(key, popping);
    }
    let (is_logged, mut members) = (ctx.is_logged(), Vec::new());
    let emptied = change(&mut ctx.keys(), key, false, |set: &mut Set, note| {
        let (len, popped) = (set.len(), count.min(set.len()));
        reply.set(popped);
        if popped > 0 {
            let mut tell = |member: Element<'_>| {
                reply_member(member, reply);
                if is_logged && popped < len {
                    members.push(member.to_vec());
                }
            };
            pop_many(set, popped, &limits, &mut || rng.u64(..), &mut tell);
            note.events_of(Event::SPOP, popped as u64);
        }
        Ok(popped > 0 && popped == len)
    })?;
    match emptied {
        None => reply.set(0),
        Some(true) => ctx.say(|log, db| log.say(db, &[b"DEL", key])),
        Some(false) => ctx.say(|log, db| say_popped(log, db, key, &members)),
    }
    Ok(Outcome::Done)
}

fn say_popped(log: &mut Log, db: DbIndex, key: &[u8], members: &[Vec<u8>]) {
    let mut show = |args: &[&[u8]]| log.say(db, args);
    let mut pieces = Pieces::new(b"SREM", key, 1, &mut show);
    members.iter().for_each(|member| pieces.element(&[member]));
    pieces.end();
}

/// The same of many members, in slices.
struct Popping {
    key: Box<[u8]>,
    rng: fastrand::Rng,
    limits: Encodings,
    is_logged: bool,
    left: usize,
    all: usize,
    /// Those that went, when they are to be said.
    members: Vec<Vec<u8>>,
    /// How many are still to be taken out because they stay; nothing when it is those that go which are taken out.
    stay: Option<usize>,
    kept: Set,
    cursor: u64,
    begun: bool,
}

impl Popping {
    fn tell(&mut self, member: Element<'_>, reply: &mut Reply<'_>) {
        reply_member(member, reply);
        if self.is_logged {
            self.members.push(member.to_vec());
        }
    }
}

impl Changing for Popping {
    fn step(&mut self, value: &mut Value, elements: usize, reply: &mut Reply<'_>) -> Step {
        let set = Set::of_mut(value).expect("it was a set when it was pinned");
        let elements = elements.min(STEP_ELEMENTS);
        if !std::mem::replace(&mut self.begun, true) {
            reply.set(self.all);
        }
        match self.stay {
            None => {
                for _ in 0..elements.min(self.left) {
                    let member = set.pop(&mut || self.rng.u64(..)).expect("there are so many");
                    self.tell(Element::Bytes(&member), reply);
                    self.left -= 1;
                }
                if self.left == 0 { Step::Done } else { Step::More }
            }
            Some(0) if self.left > 0 => {
                let mut told = 0;
                self.cursor = set.view().scan(self.cursor, elements, &mut |member| {
                    self.tell(member, reply);
                    told += 1;
                });
                self.left -= told;
                Step::More
            }
            Some(0) => {
                if !set.drop_some(elements) {
                    return Step::More;
                }
                *set = std::mem::take(&mut self.kept);
                Step::Done
            }
            Some(stay) => {
                let count = elements.min(stay);
                for member in (0..count).map_while(|_| set.pop(&mut || self.rng.u64(..))) {
                    self.kept.insert(&member, &self.limits);
                }
                self.stay = Some(stay - count);
                Step::More
            }
        }
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, _: &mut Reply<'_>) -> Result<(), CommandError> {
        let left = change(&mut ctx.keys(), &self.key, false, |set: &mut Set, note| {
            note.events_of(Event::SPOP, self.all as u64);
            Ok(set.len())
        })?;
        match left {
            None => {}
            Some(0) => ctx.say(|log, db| log.say(db, &[b"DEL", &self.key])),
            Some(_) => ctx.say(|log, db| say_popped(log, db, &self.key, &self.members)),
        }
        Ok(())
    }
}

/// Takes `count` members out, not more than there are, and tells of each.
fn pop_many(
    set: &mut Set,
    count: usize,
    limits: &Encodings,
    random: &mut dyn FnMut() -> u64,
    tell: &mut dyn FnMut(Element<'_>),
) {
    let stay = set.len() - count;
    if stay.saturating_mul(KEEP_SHARE) > count {
        for member in (0..count).map_while(|_| set.pop(random)) {
            tell(Element::Bytes(&member));
        }
        return;
    }
    // Redis: the set that is made of what stays has the encoding that a new set would have.
    let mut kept = Set::default();
    for member in (0..stay).map_while(|_| set.pop(random)) {
        kept.insert(&member, limits);
    }
    set.view().iter().for_each(tell);
    *set = kept;
}

pub fn srandmember(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let wanted = Wanted::take(args)?;
    let mut rng = ctx.shard.rng.fork();
    let random = &mut || rng.u64(..);
    let mut keys = ctx.keys();
    match (read::<Set>(&mut keys, key)?, wanted) {
        (None, Wanted::One) => reply.null(),
        (None, _) => reply.array(0),
        (Some(set), Wanted::One) => match set.random(random) {
            Some(member) => reply_member(member, reply),
            None => reply.null(),
        },
        (Some(set), Wanted::Repeated(count)) => {
            let count = check_repeats(count)?;
            reply.array(count);
            repeated(set, count, random, reply)?;
        }
        (Some(set), Wanted::Different(count)) => {
            let count = set.len().min(count);
            reply.array(count);
            different(set, count, random, reply);
        }
    }
    Ok(Outcome::Done)
}

/// Writes `count` random members, any of them as often as it comes.
fn repeated(
    set: SetView<'_>,
    count: usize,
    random: &mut dyn FnMut() -> u64,
    reply: &mut Reply<'_>,
) -> Result<(), CommandError> {
    match set {
        // Walking to a member costs more than lining all of them up once.
        SetView::Members(_) => {
            let all: Vec<Element<'_>> = set.iter().collect();
            repeat(count, reply, |reply| reply_member(all[below(random(), all.len())], reply))
        }
        _ => repeat(count, reply, |reply| {
            let member = set.random(random).expect("a set that exists has members");
            reply_member(member, reply);
        }),
    }
}

/// Writes `count` different random members, not more than there are.
fn different(set: SetView<'_>, count: usize, random: &mut dyn FnMut() -> u64, reply: &mut Reply<'_>) {
    let len = set.len();
    if count == len {
        return set.iter().for_each(|member| reply_member(member, reply));
    }
    if let SetView::Table(_) = set
        && count.saturating_mul(DRAW_SHARE) <= len
    {
        let mut drawn: HashSet<&[u8], ahash::RandomState> = HashSet::default();
        while drawn.len() < count
            && let Some(Element::Bytes(member)) = set.random(random)
        {
            if drawn.insert(member) {
                reply.bulk(member);
            }
        }
        return;
    }
    let mut all: Vec<Element<'_>> = set.iter().collect();
    for at in 0..count {
        let other = at + below(random(), len - at);
        all.swap(at, other);
        reply_member(all[at], reply);
    }
}
