//! The same over several shards: each owner sends the result of its own sets as plain members, each with its hash, and
//! they are put together by the coordinator, or by the owner of the destination.
//!
//! | operation    | an owner sends                                         | together                            |
//! |--------------|--------------------------------------------------------|-------------------------------------|
//! | intersection | the intersection of its sets                           | members that all have sent          |
//! | union        | the union of its sets                                  | members that any has sent, once     |
//! | difference   | of the first set: what its other sets do not have;     | what the first's owner has sent and |
//! |              | elsewhere: the union of its sets                       | no other                            |

use hashbrown::HashTable;

use super::combine::{Card, Diff, Inter, Operation, Union, with_sets};
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::types::raw::table::Hasher;
use crate::types::set::{Element, SetView};
use crate::types::{Encodings, Set};

/// Members that travel, one after the other, with their hashes.
#[derive(Default)]
struct Flat {
    bytes: Vec<u8>,
    /// Hash, and where the member ends.
    members: Vec<(u64, usize)>,
    /// They are the first set's.
    is_first: bool,
    /// They are integers, ascending.
    are_ints: bool,
}

impl Flat {
    fn push(&mut self, member: Element<'_>, hasher: &Hasher) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(member.as_bytes(&mut itoa::Buffer::new()));
        self.members.push((hasher.hash(&self.bytes[from..]), self.bytes.len()));
    }

    fn len(&self) -> usize {
        self.members.len()
    }

    fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut from = 0;
        self.members.iter().map(move |(hash, end)| {
            let member = &self.bytes[from..*end];
            from = *end;
            (*hash, member)
        })
    }
}

/// Which member of which list, found by its bytes.
struct Index<'a> {
    table: HashTable<(u64, &'a [u8], u32)>,
}

impl<'a> Index<'a> {
    fn new(room: usize) -> Index<'a> {
        Index { table: HashTable::with_capacity(room) }
    }

    /// The mark of a member.
    fn mark(&mut self, hash: u64, member: &[u8]) -> Option<&mut u32> {
        self.table.find_mut(hash, |(_, known, _)| *known == member).map(|(_, _, mark)| mark)
    }

    /// Adds a member with mark 0. False when it was there.
    fn add(&mut self, hash: u64, member: &'a [u8]) -> bool {
        if self.mark(hash, member).is_some() {
            return false;
        }
        self.table.insert_unique(hash, (hash, member, 0), |(hash, _, _)| *hash);
        true
    }
}

/// How an operation's parts come together. Of these, too, `show` may end it.
trait Together: Operation {
    /// What an owner sends of its sets; `has_first` when the first of them is the first of all.
    fn part(has_first: bool, sets: &[SetView<'_>], limits: &Encodings, send: &mut dyn FnMut(Element<'_>));
    fn together(flats: &[Flat], show: &mut dyn FnMut(&[u8]) -> bool);
}

/// Of what an owner sends, all of it.
fn all<O: Operation>(sets: &[SetView<'_>], limits: &Encodings, send: &mut dyn FnMut(Element<'_>)) {
    O::run(sets, limits, &mut |member| {
        send(member);
        true
    });
}

impl Together for Inter {
    fn part(_: bool, sets: &[SetView<'_>], limits: &Encodings, send: &mut dyn FnMut(Element<'_>)) {
        all::<Inter>(sets, limits, send);
    }

    fn together(flats: &[Flat], show: &mut dyn FnMut(&[u8]) -> bool) {
        let Some(smallest) = flats.iter().min_by_key(|flat| flat.len()) else { return };
        let mut index = Index::new(smallest.len());
        for (hash, member) in smallest.iter() {
            index.add(hash, member);
        }
        let mut rounds = 0;
        for other in flats.iter().filter(|flat| !std::ptr::eq(*flat, smallest)) {
            for (hash, member) in other.iter() {
                if let Some(mark) = index.mark(hash, member)
                    && *mark == rounds
                {
                    *mark += 1;
                }
            }
            rounds += 1;
        }
        for (hash, member) in smallest.iter() {
            if index.mark(hash, member) == Some(&mut rounds) && !show(member) {
                return;
            }
        }
    }
}

impl Together for Union {
    fn part(_: bool, sets: &[SetView<'_>], limits: &Encodings, send: &mut dyn FnMut(Element<'_>)) {
        all::<Union>(sets, limits, send);
    }

    fn together(flats: &[Flat], show: &mut dyn FnMut(&[u8]) -> bool) {
        let members = flats.iter().map(|flat| flat.len()).sum();
        let mut index = Index::new(members);
        let mut ints = flats.iter().all(|flat| flat.are_ints).then(|| Vec::with_capacity(members));
        for (hash, member) in flats.iter().flat_map(|flat| flat.iter()) {
            if !index.add(hash, member) {
                continue;
            }
            match &mut ints {
                Some(ints) => ints.push(crate::types::number::parse_i64(member).unwrap_or(0)),
                None if !show(member) => return,
                None => {}
            }
        }
        // As on one shard: integers come in their order.
        let mut ints = ints.unwrap_or_default();
        ints.sort_unstable();
        ints.into_iter().all(|value| show(itoa::Buffer::new().format(value).as_bytes()));
    }
}

impl Together for Diff {
    fn part(has_first: bool, sets: &[SetView<'_>], limits: &Encodings, send: &mut dyn FnMut(Element<'_>)) {
        if has_first { all::<Diff>(sets, limits, send) } else { all::<Union>(sets, limits, send) }
    }

    fn together(flats: &[Flat], show: &mut dyn FnMut(&[u8]) -> bool) {
        let Some(first) = flats.iter().find(|flat| flat.is_first) else { return };
        let mut index = Index::new(first.len());
        for (hash, member) in first.iter() {
            index.add(hash, member);
        }
        for (hash, member) in flats.iter().filter(|flat| !flat.is_first).flat_map(|flat| flat.iter()) {
            if let Some(mark) = index.mark(hash, member) {
                *mark = 1;
            }
        }
        for (hash, member) in first.iter() {
            if index.mark(hash, member) == Some(&mut 0) && !show(member) {
                return;
            }
        }
    }
}

/// An owner's part; the first source is the key of order `FIRST`, and key 0 a destination when that is not 0.
fn gather<O: Together, const FIRST: usize>(
    ctx: &mut Ctx<'_>,
    names: &[&[u8]],
    mine: &[usize],
) -> Result<Part, CommandError> {
    let sources = mine.iter().filter(|order| **order >= FIRST).map(|order| names[*order]);
    if sources.clone().next().is_none() {
        return Ok(Part::Nothing);
    }
    let (limits, hasher) = (ctx.shard.settings.encodings, Hasher::shared());
    let is_first = mine.contains(&FIRST);
    let flat = with_sets(ctx, sources, |sets| {
        let are_ints = sets.iter().all(|set| matches!(set, SetView::Ints(_)));
        let mut flat = Box::new(Flat { is_first, are_ints, ..Flat::default() });
        O::part(is_first, sets, &limits, &mut |member| flat.push(member, &hasher));
        flat
    })?;
    Ok(Part::Gathered(flat))
}

fn names_from(argv: Argv<'_>, first: usize, count: usize) -> Vec<&[u8]> {
    (first..first + count).map(|at| argv.get(at)).collect()
}

fn gather_members<O: Together>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    gather::<O, 0>(ctx, &names_from(argv, 1, argv.len() - 1), mine)
}

fn gather_to_store<O: Together>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    gather::<O, 1>(ctx, &names_from(argv, 1, argv.len() - 1), mine)
}

fn gather_to_count<O: Together>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let card = Card::take(Args::new(argv, 1), O::APPROX)?;
    gather::<O, 0>(ctx, &names_from(argv, 2, card.keys), mine)
}

/// What the owners sent.
fn flats(got: &mut Gathered) -> Vec<Flat> {
    let parts = got.hops.first_mut().map(std::mem::take).unwrap_or_default();
    let flat = |part| match part {
        Part::Gathered(flat) => flat.downcast::<Flat>().ok().map(|flat| *flat),
        _ => None,
    };
    parts.into_iter().filter_map(|(_, part)| flat(part)).collect()
}

fn finish_members<O: Together>(
    _: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (header, mut count) = (reply.deferred(), 0);
    O::together(&flats(got), &mut |member| {
        reply.bulk(member);
        count += 1;
        true
    });
    reply.fill_set(header, count);
    Ok(Outcome::Done)
}

fn finish_count<O: Together>(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let limit = Card::take(Args::new(argv, 1), O::APPROX)?.limit;
    let mut count = 0;
    O::together(&flats(got), &mut |_| {
        count += 1;
        count < limit
    });
    reply.int(count as i64);
    Ok(Outcome::Done)
}

fn put<O: Together>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let limits = ctx.shard.settings.encodings;
    let mut made = Set::default();
    O::together(&flats(got), &mut |member| {
        made.insert(member, &limits);
        true
    });
    let len = made.len() as i64;
    ctx.keys().store(argv.get(1), made, O::STORED);
    Ok(Part::Int(len))
}

fn finish_store(_: Argv<'_>, got: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let stored = got.parts(1).find_map(|part| match part {
        Part::Int(len) => Some(*len),
        _ => None,
    });
    reply.int(stored.unwrap_or(0));
    Ok(Outcome::Done)
}

macro_rules! runs {
    ($($name:ident: $members:ident, $store:ident, $card:ident;)*) => {
        use crate::commands::spec::Run;
        use super::combine;
        $(
            pub const $members: Run = Run::Hops {
                here: Some(combine::members::<$name>),
                hops: &[Hop { on: On::Owners, run: gather_members::<$name> }],
                finish: finish_members::<$name>,
            };
            pub const $store: Run = Run::Hops {
                here: Some(combine::store::<$name>),
                hops: &[
                    Hop { on: On::Owners, run: gather_to_store::<$name> },
                    Hop { on: On::Key(0), run: put::<$name> },
                ],
                finish: finish_store,
            };
            pub const $card: Run = Run::Hops {
                here: Some(combine::card::<$name>),
                hops: &[Hop { on: On::Owners, run: gather_to_count::<$name> }],
                finish: finish_count::<$name>,
            };
        )*
    };
}

runs! {
    Inter: SINTER, SINTERSTORE, SINTERCARD;
    Union: SUNION, SUNIONSTORE, SUNIONCARD;
    Diff: SDIFF, SDIFFSTORE, SDIFFCARD;
}
