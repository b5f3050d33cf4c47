//! Searching: GEOSEARCH, GEORADIUS, GEORADIUSBYMEMBER and their kin. What is stored elsewhere goes through
//! [`super::store`] when the destination has another owner.

use std::ops::Range;

use smallvec::SmallVec;

use super::sliced::Searching;
use super::{reply_distance, reply_point, take_point, take_unit};
use crate::commands::collection::read;
use crate::commands::zsets::{made_of, reply_member};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Argv, Reply};
use crate::shard::Event;
use crate::types::geohash::{Cell, Point, Shape};
use crate::types::listpack::Element;
use crate::types::number::{parse_f64, parse_i64};
use crate::types::zset::{ScoreBound, ScoreRange, ZView};
use crate::types::{Encodings, ZSet};

/// The commands of this file, as far as their arguments differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A place and a radius come first; whether it may store.
    Radius {
        stores: bool,
    },
    /// A member and a radius come first.
    ByMember {
        stores: bool,
    },
    Search,
    SearchStore,
}

impl Form {
    pub fn source(self) -> usize {
        if self == Form::SearchStore { 2 } else { 1 }
    }

    /// Where the options begin.
    fn options(self) -> usize {
        match self {
            Form::Radius { .. } => 6,
            Form::ByMember { .. } => 5,
            Form::Search => 2,
            Form::SearchStore => 3,
        }
    }

    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    fn stores(self) -> bool {
        matches!(self, Form::Radius { stores: true } | Form::ByMember { stores: true })
    }

    /// What a stored result reports.
    pub fn event(self) -> Event {
        if self.is_search() { Event::GEOSEARCHSTORE } else { Event::GEORADIUSSTORE }
    }
}

/// Where the result goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Store {
    /// The argument that is the destination.
    pub index: usize,
    /// Its scores are distances.
    pub distances: bool,
    /// The word before it, by which the key was found.
    by_word: Option<&'static str>,
}

#[derive(Default)]
struct Options {
    with_distance: bool,
    with_hash: bool,
    with_point: bool,
    any: bool,
    /// `Some(true)` is descending.
    order: Option<bool>,
    count: Option<usize>,
}

/// A search that was understood.
pub struct Query {
    options: Options,
    pub store: Option<Store>,
    /// `None` when there is no set to be searched: then its shape may not be known either.
    pub(super) shape: Option<Shape>,
    /// Metres of the unit asked for.
    metres: f64,
}

/// Bounds of a shape while its centre may still be unknown.
enum Extent {
    Radius(f64),
    Box(f64, f64),
}

const NO_MEMBER: CommandError = CommandError::Line("ERR could not decode requested zset member");

impl Query {
    /// Reads the arguments; members are looked up in the set, if there is one.
    pub fn of(argv: Argv<'_>, form: Form, zset: Option<ZView<'_>>) -> Result<Query, CommandError> {
        let mut options = Options::default();
        let (mut center, mut extent, mut corners, mut metres) = (None, None, None, 1.0);
        let (mut from_member, mut from_place) = (false, false);
        let point_of = |member: &[u8]| -> Result<Option<Point>, CommandError> {
            let Some(zset) = zset else { return Ok(None) };
            zset.score(member).map(Point::of_score).ok_or(NO_MEMBER).map(Some)
        };
        match form {
            Form::Radius { .. } => {
                let mut first = Args::new(argv, 2);
                center = Some(take_point(&mut first)?);
                extent = Some(take_radius(&mut first, &mut metres)?);
            }
            // Redis: without a set these are not looked at.
            Form::ByMember { .. } if zset.is_none() => {}
            Form::ByMember { .. } => {
                center = point_of(argv.get(2))?;
                extent = Some(take_radius(&mut Args::new(argv, 3), &mut metres)?);
            }
            Form::Search | Form::SearchStore => {}
        }
        let mut store = match form {
            Form::SearchStore => Some(Store { index: 1, distances: false, by_word: None }),
            _ => None,
        };
        let mut args = Args::new(argv, form.options());
        while !args.is_done() {
            let left = args.left();
            let mut has = |word: &str, values: usize| left > values && args.token(word);
            if has("withdist", 0) {
                options.with_distance = true;
            } else if has("withhash", 0) {
                options.with_hash = true;
            } else if has("withcoord", 0) {
                options.with_point = true;
            } else if has("any", 0) {
                options.any = true;
            } else if has("asc", 0) {
                options.order = Some(false);
            } else if has("desc", 0) {
                options.order = Some(true);
            } else if has("count", 1) {
                let count = args.int()?;
                let count = usize::try_from(count).ok().filter(|count| *count > 0);
                options.count = Some(count.ok_or(CommandError::Line("ERR COUNT must be > 0"))?);
            } else if form.stores() && has("store", 1) {
                args.take()?;
                let index = argv.len() - left + 1;
                store = Some(Store { index, distances: false, by_word: Some("STORE") });
            } else if form.stores() && has("storedist", 1) {
                args.take()?;
                let index = argv.len() - left + 1;
                store = Some(Store { index, distances: true, by_word: Some("STOREDIST") });
            } else if form.is_search() && !from_place && has("frommember", 1) {
                from_member = true;
                center = point_of(args.take()?)?;
            } else if form.is_search() && !from_member && has("fromlonlat", 2) {
                from_place = true;
                center = Some(take_point(&mut args)?);
            } else if form.is_search() && !matches!(extent, Some(Extent::Box(..))) && has("byradius", 2) {
                extent = Some(take_radius(&mut args, &mut metres)?);
            } else if form.is_search() && !matches!(extent, Some(Extent::Radius(_))) && has("bybox", 3) {
                extent = Some(take_box(&mut args, &mut metres)?);
            } else if form.is_search() && extent.is_none() && has("bypolygon", 1) {
                corners = Some(take_polygon(&mut args)?);
            } else if form == Form::SearchStore
                && has("storedist", 0)
                && let Some(store) = &mut store
            {
                store.distances = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        let shows = options.with_distance || options.with_hash || options.with_point;
        if store.is_some() && shows {
            return Err(CommandError::Line(match form {
                Form::SearchStore => {
                    "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                }
                _ => {
                    "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
                }
            }));
        }
        if corners.is_some() && (from_member || from_place || extent.is_some()) {
            return Err(CommandError::Syntax);
        }
        if form.is_search() && corners.is_none() && !(from_member || from_place) {
            let text = "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for ";
            return Err(CommandError::quoting(text, argv.get(0), ""));
        }
        if form.is_search() && corners.is_none() && extent.is_none() {
            let text = "ERR exactly one of BYRADIUS and BYBOX can be specified for ";
            return Err(CommandError::quoting(text, argv.get(0), ""));
        }
        if options.any && options.count.is_none() {
            return Err(CommandError::Line("ERR the ANY argument requires COUNT argument"));
        }
        if let Some(Store { index, by_word: Some(word), .. }) = store {
            // The key that is stored to is the one that was found among the arguments: of a word given twice that is
            // the first. Redis takes the last, which here may live on another shard.
            let found = (form.options()..argv.len())
                .find(|at| argv.get(*at).eq_ignore_ascii_case(word.as_bytes()))
                .map(|at| at + 1);
            if found != Some(index) {
                return Err(CommandError::Syntax);
            }
        }
        let shape = match (corners, center, extent) {
            (Some(corners), _, _) => Some(Shape::Polygon(corners)),
            (_, Some(center), Some(Extent::Radius(radius_m))) => Some(Shape::Circle { center, radius_m }),
            (_, Some(center), Some(Extent::Box(width_m, height_m))) => {
                Some(Shape::Box { center, width_m, height_m })
            }
            _ => None,
        };
        Ok(Query { options, store, shape, metres })
    }

    /// The ranks that have to be looked at, one range after the other.
    pub(super) fn ranges(&self, zset: ZView<'_>) -> SmallVec<[Range<usize>; 9]> {
        let of_cell = |cell: Cell| {
            let (min, max) = cell.scores();
            zset.ranks_by_score(&ScoreRange {
                min: ScoreBound { score: min, exclusive: false },
                max: ScoreBound { score: max, exclusive: true },
            })
        };
        self.shape.iter().flat_map(|shape| shape.cells()).map(of_cell).collect()
    }

    /// A member as it is found, if it lies in the shape.
    pub(super) fn found<'a>(&self, (member, score): (Element<'a>, f64)) -> Option<Found<'a>> {
        let point = Point::of_score(score);
        let distance_m = self.shape.as_ref()?.distance_m(point)?;
        Some(Found { member, score, point, distance: distance_m / self.metres })
    }

    /// When so many are found, nothing more is looked for.
    pub(super) fn enough(&self) -> usize {
        if self.options.any { self.most() } else { usize::MAX }
    }

    /// How many are wanted.
    pub(super) fn most(&self) -> usize {
        self.options.count.unwrap_or(usize::MAX)
    }

    /// `Some(true)` is descending. Redis: without an order the nearest are meant, unless any will do.
    pub(super) fn order(&self) -> Option<bool> {
        let Options { any, order, count, .. } = self.options;
        order.or((count.is_some() && !any).then_some(false))
    }

    /// What lies in the shape, as many and in the order as asked for.
    fn run<'a>(&self, zset: ZView<'a>, ranges: &[Range<usize>]) -> Vec<Found<'a>> {
        let all = ranges.iter().flat_map(|ranks| zset.iter(ranks.clone(), false));
        let mut found: Vec<Found<'a>> = all.filter_map(|pair| self.found(pair)).take(self.enough()).collect();
        match self.order() {
            Some(false) => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
            Some(true) => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
            None => {}
        }
        found.truncate(self.most());
        found
    }

    fn reply(&self, found: &[Found<'_>], reply: &mut Reply<'_>) {
        reply.array(found.len());
        found.iter().for_each(|found| self.reply_one(found, reply));
    }

    pub(super) fn reply_one(&self, found: &Found<'_>, reply: &mut Reply<'_>) {
        let Options { with_distance, with_hash, with_point, .. } = self.options;
        let more = usize::from(with_distance) + usize::from(with_hash) + usize::from(with_point);
        if more > 0 {
            reply.array(1 + more);
        }
        reply_member(found.member, reply);
        if with_distance {
            reply_distance(found.distance, reply);
        }
        if with_hash {
            reply.int(found.score as i64);
        }
        if with_point {
            reply_point(found.point, reply);
        }
    }
}

/// One member that was found.
pub(super) struct Found<'a> {
    pub member: Element<'a>,
    pub score: f64,
    point: Point,
    /// In the unit asked for.
    pub distance: f64,
}

impl Found<'_> {
    /// The score that it is stored with.
    pub fn stored(&self, store: Store) -> f64 {
        if store.distances { self.distance } else { self.score }
    }
}

fn take_radius(args: &mut Args<'_>, metres: &mut f64) -> Result<Extent, CommandError> {
    let radius = parse_f64(args.take()?).ok_or(CommandError::Line("ERR need numeric radius"))?;
    if radius < 0.0 {
        return Err(CommandError::Line("ERR radius cannot be negative"));
    }
    *metres = take_unit(args)?;
    Ok(Extent::Radius(radius * *metres))
}

fn take_box(args: &mut Args<'_>, metres: &mut f64) -> Result<Extent, CommandError> {
    let width = parse_f64(args.take()?).ok_or(CommandError::Line("ERR need numeric width"))?;
    let height = parse_f64(args.take()?).ok_or(CommandError::Line("ERR need numeric height"))?;
    if height < 0.0 || width < 0.0 {
        return Err(CommandError::Line("ERR height or width cannot be negative"));
    }
    *metres = take_unit(args)?;
    Ok(Extent::Box(width * *metres, height * *metres))
}

fn take_polygon(args: &mut Args<'_>) -> Result<Vec<Point>, CommandError> {
    let corners = parse_i64(args.take()?).ok_or(CommandError::NotInteger)?;
    if corners < 3 {
        return Err(CommandError::Line("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices"));
    }
    let corners = usize::try_from(corners).unwrap_or(usize::MAX);
    if corners > args.left() / 2 {
        return Err(CommandError::Syntax);
    }
    (0..corners).map(|_| take_point(args)).collect()
}

/// What a search came to.
pub enum Searched {
    /// The reply is written.
    Shown,
    /// To be put under this key.
    Made(Store, ZSet),
    /// It is long.
    GoesOn(Box<Searching>),
}

/// Searches the source, which lives here.
pub fn search(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    form: Form,
    reply: &mut Reply<'_>,
) -> Result<Searched, CommandError> {
    let limits: Encodings = ctx.shard.settings.encodings;
    let above = ctx.shard.settings.slices_above;
    let mut keys = ctx.keys();
    let zset = read::<ZSet>(&mut keys, argv.get(form.source()))?;
    let query = Query::of(argv, form, zset)?;
    let ranges = zset.map_or(SmallVec::new(), |zset| query.ranges(zset));
    if let Some(ZView::Sorted(_)) = zset
        && ranges.iter().map(Range::len).sum::<usize>() > above
    {
        return Ok(Searched::GoesOn(Box::new(Searching::new(query, ranges, limits))));
    }
    let found = zset.map_or(Vec::new(), |zset| query.run(zset, &ranges));
    let Some(store) = query.store else {
        query.reply(&found, reply);
        return Ok(Searched::Shown);
    };
    let scored = found.into_iter().map(|found| (found.member, found.stored(store)));
    Ok(Searched::Made(store, made_of(scored.collect(), &limits)?))
}

/// Source and destination are here.
fn run(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    form: Form,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let argv = args.argv();
    match search(ctx, argv, form, reply)? {
        Searched::Shown => {}
        Searched::Made(store, made) => {
            reply.int(made.len() as i64);
            ctx.keys().store(argv.get(store.index), made, form.event());
            // Other servers search in another order, round distances in another way, or do not know the shape.
            ctx.say(|log, _| log.say_state());
        }
        Searched::GoesOn(searching) => {
            let to = searching.store().map(|store| (argv.get(store.index).into(), form.event()));
            return ctx.in_slices(argv.get(form.source()), searching.storing(to));
        }
    }
    Ok(Outcome::Done)
}

/// One handler per name.
macro_rules! searches {
    ($($name:ident = $form:expr;)*) => {
        $(pub fn $name(
            ctx: &mut Ctx<'_>,
            args: &mut Args<'_>,
            reply: &mut Reply<'_>,
        ) -> Result<Outcome, CommandError> {
            run(ctx, args, $form, reply)
        })*
    };
}

searches! {
    georadius = Form::Radius { stores: true };
    georadius_ro = Form::Radius { stores: false };
    georadiusbymember = Form::ByMember { stores: true };
    georadiusbymember_ro = Form::ByMember { stores: false };
    geosearch = Form::Search;
    geosearchstore = Form::SearchStore;
}
