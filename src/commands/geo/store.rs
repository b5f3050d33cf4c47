//! Searches whose result is stored on another shard: the source's owner searches, the destination's stores.

use super::search::{Form, Searched, Store, search};
use crate::commands::spec::{FinishFn, Gathered, Hop, On};
use crate::commands::{CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Reply};
use crate::types::ZSet;

/// A result on its way.
pub(super) struct Made {
    /// The argument that is the destination.
    pub index: usize,
    /// The order of the destination among the keys.
    pub order: usize,
    pub zset: ZSet,
}

/// The order of the keys is source, then the key after STORE, then that after STOREDIST, as far as they are there.
pub const GEORADIUS: &[Hop] = &[
    Hop { on: On::Key(0), run: |ctx, argv, _, _| look(ctx, argv, Form::Radius { stores: true }) },
    Hop {
        on: On::Chosen(destination),
        run: |ctx, argv, _, got| put(ctx, argv, got, Form::Radius { stores: true }),
    },
];

pub const GEORADIUSBYMEMBER: &[Hop] = &[
    Hop { on: On::Key(0), run: |ctx, argv, _, _| look(ctx, argv, Form::ByMember { stores: true }) },
    Hop {
        on: On::Chosen(destination),
        run: |ctx, argv, _, got| put(ctx, argv, got, Form::ByMember { stores: true }),
    },
];

/// The order of the keys is destination, source.
pub const GEOSEARCHSTORE: &[Hop] = &[
    Hop { on: On::Key(1), run: |ctx, argv, _, _| look(ctx, argv, Form::SearchStore) },
    Hop { on: On::Key(0), run: |ctx, argv, _, got| put(ctx, argv, got, Form::SearchStore) },
];

fn look(ctx: &mut Ctx<'_>, argv: Argv<'_>, form: Form) -> Result<Part, CommandError> {
    let (protocol, mut out) = (ctx.client.protocol, Output::default());
    match search(ctx, argv, form, &mut Reply::new(&mut out, protocol))? {
        Searched::Shown => Ok(Part::Output(out)),
        Searched::GoesOn(searching) => {
            let source = argv.get(form.source());
            let order = searching.store().map(|store| (store.index, order_of(argv, form, store)));
            match ctx.in_slices(source, searching.sending(order))? {
                Outcome::Slices(slices) => Ok(Part::Slices(slices)),
                _ => unreachable!("it goes on in slices"),
            }
        }
        Searched::Made(store, zset) => {
            let order = order_of(argv, form, store);
            Ok(Part::Gathered(Box::new(Made { index: store.index, order, zset })))
        }
    }
}

/// The order of the destination among the keys.
fn order_of(argv: Argv<'_>, form: Form, store: Store) -> usize {
    let both = |word: &str| argv_from(argv, 5).any(|argument| argument.eq_ignore_ascii_case(word.as_bytes()));
    if store.distances && both("STORE") && form != Form::SearchStore { 2 } else { 1 }
}

fn argv_from<'a>(argv: Argv<'a>, from: usize) -> impl Iterator<Item = &'a [u8]> {
    (from..argv.len()).map(move |at| argv.get(at))
}

fn made(part: &Part) -> Option<&Made> {
    if let Part::Gathered(made) = part { made.downcast_ref() } else { None }
}

fn destination(_: Argv<'_>, got: &Gathered) -> Option<usize> {
    got.parts(0).find_map(made).map(|made| made.order)
}

fn put(ctx: &mut Ctx<'_>, argv: Argv<'_>, got: &mut Gathered, form: Form) -> Result<Part, CommandError> {
    let Part::Gathered(made) = std::mem::take(got.only(0)) else { return Ok(Part::Nothing) };
    let made = *made.downcast::<Made>().expect("the source's owner has made it");
    let len = made.zset.len();
    ctx.keys().store(argv.get(made.index), made.zset, form.event());
    Ok(Part::Int(len as i64))
}

/// What was stored is counted, what was shown is shown.
pub const FINISH: FinishFn = |_, got, reply| {
    match got.hops.last_mut().and_then(|parts| parts.first_mut()) {
        Some((_, Part::Int(count))) => reply.int(*count),
        Some((_, Part::Output(out))) => reply.out.append(out),
        _ => unreachable!("a search shows or stores"),
    }
    Ok(Outcome::Done)
};
