//! Places on the globe as 52-bit numbers, and the cells that a search has to look at.
//!
//! A place is a cell of a grid of 2^26 by 2^26 over longitudes -180 to 180 and latitudes -85.05112878 to 85.05112878, the
//! square of the Mercator projection. The bits of its row and column alternate, so that cells of any coarser grid are
//! intervals of numbers, and a sorted set with these numbers as scores can be searched by place.
//!
//! ```text
//! bits  │ lon₂₅ lat₂₅ lon₂₄ lat₂₄ … lon₀ lat₀ │
//! ```
//!
//! Redis: cells, distances and roundings are its own to the last bit, so that searches find the same members in the
//! same order.

use std::f64::consts::PI;

pub const LONGITUDE_MAX: f64 = 180.0;
pub const LATITUDE_MAX: f64 = 85.05112878;
/// Bits of each coordinate.
pub const STEP_MAX: u32 = 26;
const EARTH_RADIUS_M: f64 = 6372797.560856;
/// Half the width of the projection.
const MERCATOR_MAX_M: f64 = 20037726.37;
const LONGITUDE_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;

/// A place.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    pub longitude: f64,
    pub latitude: f64,
}

/// A cell of the grid with 2^step rows and columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    pub bits: u64,
    pub step: u32,
}

/// What a cell, or a shape, covers.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Area {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

impl Point {
    /// Is it within the grid?
    pub fn is_valid(&self) -> bool {
        (-LONGITUDE_MAX..=LONGITUDE_MAX).contains(&self.longitude)
            && (-LATITUDE_MAX..=LATITUDE_MAX).contains(&self.latitude)
    }

    /// The cell it lies in.
    pub fn cell(&self, step: u32) -> Cell {
        self.cell_within(step, LATITUDE_MAX)
    }

    fn cell_within(&self, step: u32, latitude_max: f64) -> Cell {
        let offset = |value: f64, max: f64| {
            let share = (value + max) / (max + max);
            (share * (1u64 << step) as f64) as u32
        };
        let row = offset(self.latitude, latitude_max);
        let column = offset(self.longitude, LONGITUDE_MAX);
        Cell { bits: spread(row) | spread(column) << 1, step }
    }

    /// The number that is its score.
    pub fn score(&self) -> u64 {
        self.cell(STEP_MAX).bits
    }

    /// The middle of the finest cell with this number.
    pub fn of_score(score: f64) -> Point {
        let area = Cell { bits: score as u64, step: STEP_MAX }.area();
        let middle = |(low, high): (f64, f64), max: f64| ((low + high) / 2.0).clamp(-max, max);
        Point {
            longitude: middle(area.longitude, LONGITUDE_MAX),
            latitude: middle(area.latitude, LATITUDE_MAX),
        }
    }

    /// The usual geohash text of eleven letters, for which latitudes go to the poles.
    pub fn text(&self) -> [u8; 11] {
        const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = self.cell_within(STEP_MAX, 90.0).bits;
        std::array::from_fn(|at| match at {
            // Redis: 52 bits do for ten letters, and the eleventh is a zero.
            10 => ALPHABET[0],
            _ => ALPHABET[(bits >> (52 - (at + 1) * 5)) as usize & 31],
        })
    }

    /// Metres to another place, on a sphere.
    pub fn distance_m(&self, other: Point) -> f64 {
        let half = |from: f64, to: f64| ((radians(to) - radians(from)) / 2.0).sin();
        let v = half(self.longitude, other.longitude);
        if v == 0.0 {
            return latitude_distance_m(self.latitude, other.latitude);
        }
        let u = half(self.latitude, other.latitude);
        let a = u * u + radians(self.latitude).cos() * radians(other.latitude).cos() * v * v;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }
}

fn latitude_distance_m(one: f64, other: f64) -> f64 {
    EARTH_RADIUS_M * (radians(other) - radians(one)).abs()
}

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (PI / 180.0)
}

/// Puts the bits of a number on the even places.
fn spread(value: u32) -> u64 {
    let mut bits = u64::from(value);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, LATITUDE_BITS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Takes the bits from the even places.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & LATITUDE_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

impl Cell {
    fn area(&self) -> Area {
        let side = |index: u32, max: f64| {
            let at = |index: f64| -max + (index / (1u64 << self.step) as f64) * (max + max);
            (at(f64::from(index)), at(f64::from(index.wrapping_add(1))))
        };
        Area {
            longitude: side(gather(self.bits >> 1), LONGITUDE_MAX),
            latitude: side(gather(self.bits), LATITUDE_MAX),
        }
    }

    /// The numbers of the finest cells in it: from the first up to, not including, the second.
    pub fn scores(&self) -> (f64, f64) {
        let shift = 52 - self.step * 2;
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }

    /// The cell so many columns to the east and rows to the north, round the edges.
    fn moved(self, east: i32, north: i32) -> Cell {
        let shift = 64 - self.step * 2;
        // A carry runs over the other coordinate's bits when these are all ones.
        let add = |own: u64, others: u64, by: i32, mask: u64| match by {
            0 => own,
            1 => own.wrapping_add(others + 1) & mask,
            _ => (own | others).wrapping_sub(others + 1) & mask,
        };
        let (columns, rows) = (LONGITUDE_BITS >> shift, LATITUDE_BITS >> shift);
        let column = add(self.bits & LONGITUDE_BITS, rows, east, columns);
        let row = add(self.bits & LATITUDE_BITS, columns, north, rows);
        Cell { bits: column | row, step: self.step }
    }
}

/// What is searched for.
#[derive(Clone, PartialEq, Debug)]
pub enum Shape {
    /// All in metres.
    Circle {
        center: Point,
        radius_m: f64,
    },
    Box {
        center: Point,
        width_m: f64,
        height_m: f64,
    },
    /// Corners in order. It does not cross the line of date.
    Polygon(Vec<Point>),
}

impl Shape {
    /// The metres from its centre to a place, if that lies in it.
    pub fn distance_m(&self, point: Point) -> Option<f64> {
        match self {
            Shape::Circle { center, radius_m } => {
                Some(center.distance_m(point)).filter(|distance_m| distance_m <= radius_m)
            }
            Shape::Box { center, width_m, height_m } => {
                if latitude_distance_m(point.latitude, center.latitude) > height_m / 2.0 {
                    return None;
                }
                let across = Point { latitude: point.latitude, ..*center };
                if point.distance_m(across) > width_m / 2.0 {
                    return None;
                }
                Some(center.distance_m(point))
            }
            Shape::Polygon(corners) => is_inside(corners, point).then(|| self.center().distance_m(point)),
        }
    }

    /// Of a polygon, the mean of its corners.
    pub fn center(&self) -> Point {
        match self {
            Shape::Circle { center, .. } | Shape::Box { center, .. } => *center,
            Shape::Polygon(corners) => {
                let mean = |of: fn(&Point) -> f64| corners.iter().map(of).sum::<f64>() / corners.len() as f64;
                Point { longitude: mean(|point| point.longitude), latitude: mean(|point| point.latitude) }
            }
        }
    }

    fn bounds(&self) -> Area {
        let (center, width_m, height_m) = match self {
            Shape::Circle { center, radius_m } => (center, *radius_m, *radius_m),
            Shape::Box { center, width_m, height_m } => (center, width_m / 2.0, height_m / 2.0),
            Shape::Polygon(corners) => {
                let span = |of: fn(&Point) -> f64| {
                    let (low, high) = (f64::INFINITY, f64::NEG_INFINITY);
                    corners.iter().map(of).fold((low, high), |(low, high), at| (low.min(at), high.max(at)))
                };
                return Area {
                    longitude: span(|point| point.longitude),
                    latitude: span(|point| point.latitude),
                };
            }
        };
        let up = degrees(height_m / EARTH_RADIUS_M);
        // The side nearer to a pole spans more degrees.
        let edge = if center.latitude < 0.0 { center.latitude - up } else { center.latitude + up };
        let aside = degrees(width_m / EARTH_RADIUS_M / radians(edge).cos());
        Area {
            longitude: (center.longitude - aside, center.longitude + aside),
            latitude: (center.latitude - up, center.latitude + up),
        }
    }

    /// Metres from the centre within which all of it lies.
    fn reach_m(&self) -> f64 {
        match self {
            Shape::Circle { radius_m, .. } => *radius_m,
            Shape::Box { width_m, height_m, .. } => {
                ((width_m / 2.0) * (width_m / 2.0) + (height_m / 2.0) * (height_m / 2.0)).sqrt()
            }
            Shape::Polygon(corners) => {
                let center = self.center();
                corners.iter().map(|corner| center.distance_m(*corner)).fold(0.0, f64::max)
            }
        }
    }

    /// The cells that have to be looked at, in the order in which Redis looks at them: one around the centre and up to
    /// eight around it. None is there twice.
    pub fn cells(&self) -> Vec<Cell> {
        let (center, bounds) = (self.center(), self.bounds());
        let mut cell = center.cell(step_for(self.reach_m(), center.latitude));
        let is_wide = |cell: Cell| {
            cell.moved(0, 1).area().latitude.1 >= bounds.latitude.1
                && cell.moved(0, -1).area().latitude.0 <= bounds.latitude.0
                && cell.moved(1, 0).area().longitude.1 >= bounds.longitude.1
                && cell.moved(-1, 0).area().longitude.0 <= bounds.longitude.0
        };
        let tries = if matches!(self, Shape::Polygon(_)) { STEP_MAX } else { 1 };
        for _ in 0..tries {
            if cell.step > 1 && !is_wide(cell) {
                cell = center.cell(cell.step - 1);
            }
        }
        let area = cell.area();
        // Redis: north, south, east, west, and between them.
        let around = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let is_useless = |(east, north): (i32, i32)| {
            cell.step >= 2
                && ((north < 0 && area.latitude.0 < bounds.latitude.0)
                    || (north > 0 && area.latitude.1 > bounds.latitude.1)
                    || (east < 0 && area.longitude.0 < bounds.longitude.0)
                    || (east > 0 && area.longitude.1 > bounds.longitude.1))
        };
        let mut cells: Vec<Cell> = Vec::with_capacity(9);
        for (east, north) in around {
            // Of a coarse grid the neighbours on both sides may be the same.
            let next = cell.moved(east, north);
            if !is_useless((east, north)) && !cells.contains(&next) {
                cells.push(next);
            }
        }
        cells
    }
}

/// The finest grid of which three cells in a row are as wide as a circle.
fn step_for(radius_m: f64, latitude: f64) -> u32 {
    if radius_m == 0.0 {
        return STEP_MAX;
    }
    let (mut range_m, mut step) = (radius_m, 1);
    while range_m < MERCATOR_MAX_M {
        range_m *= 2.0;
        step += 1;
    }
    step -= 2;
    // Towards the poles cells are narrower.
    if latitude.abs() > 66.0 {
        step -= 1;
        if latitude.abs() > 80.0 {
            step -= 1;
        }
    }
    step.clamp(1, STEP_MAX as i32) as u32
}

/// Even or odd: how often a ray from the place crosses the sides.
fn is_inside(corners: &[Point], point: Point) -> bool {
    let mut inside = false;
    let Some(mut from) = corners.last() else { return false };
    for to in corners {
        let crosses = (from.latitude > point.latitude) != (to.latitude > point.latitude);
        if crosses {
            let share = (point.latitude - from.latitude) / (to.latitude - from.latitude);
            if point.longitude < from.longitude + share * (to.longitude - from.longitude) {
                inside = !inside;
            }
        }
        from = to;
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PALERMO: Point = Point { longitude: 13.361389, latitude: 38.115556 };
    const CATANIA: Point = Point { longitude: 15.087269, latitude: 37.502669 };

    #[test]
    fn scores_and_texts_are_those_of_redis() {
        assert_eq!(PALERMO.score(), 3479099956230698);
        assert_eq!(CATANIA.score(), 3479447370796909);
        assert_eq!(&Point::of_score(3479099956230698.0).text(), b"sqc8b49rny0");
        assert_eq!(&Point::of_score(3479447370796909.0).text(), b"sqdtr74hyu0");
    }

    #[test]
    fn distances_are_those_of_redis() {
        let (palermo, catania) = (Point::of_score(3479099956230698.0), Point::of_score(3479447370796909.0));
        assert_eq!(format!("{:.4}", palermo.distance_m(catania)), "166274.1516");
        assert_eq!(palermo.distance_m(palermo), 0.0);
    }

    #[test]
    fn the_edges_of_the_grid_are_in_it() {
        for longitude in [-180.0, 180.0] {
            for latitude in [-LATITUDE_MAX, LATITUDE_MAX] {
                let point = Point { longitude, latitude };
                assert!(point.is_valid());
                Point::of_score(point.score() as f64);
                assert!(!Point { longitude: longitude * 1.01, latitude }.is_valid());
            }
        }
        // Scores that no place has.
        for score in [-1.0, 1e18, f64::INFINITY, f64::MAX] {
            let point = Point::of_score(score);
            assert!(point.longitude.is_finite() && point.latitude.is_finite());
        }
    }

    fn point() -> impl Strategy<Value = Point> {
        (-180.0..180.0f64, -85.0..85.0f64).prop_map(|(longitude, latitude)| Point { longitude, latitude })
    }

    proptest! {
        #[test]
        fn bits_alternate(row: u32, column: u32) {
            let bits = spread(row) | spread(column) << 1;
            prop_assert_eq!((gather(bits), gather(bits >> 1)), (row, column));
        }

        #[test]
        fn a_place_is_near_the_middle_of_its_cell(point in point()) {
            let middle = Point::of_score(point.score() as f64);
            prop_assert!((point.longitude - middle.longitude).abs() < 1e-5);
            prop_assert!((point.latitude - middle.latitude).abs() < 1e-5);
        }

        #[test]
        fn what_a_circle_has_is_in_its_cells(center in point(), radius_m in 0.0..3e5f64, away in (-4.0..4.0f64, -4.0..4.0f64)) {
            let point = Point { longitude: center.longitude + away.0, latitude: center.latitude + away.1 };
            let shape = Shape::Circle { center, radius_m };
            if point.is_valid() && center.latitude.abs() < 75.0 && shape.distance_m(point).is_some() {
                let score = point.score() as f64;
                let found = shape.cells().iter().filter(|cell| (cell.scores().0..cell.scores().1).contains(&score)).count();
                prop_assert_eq!(found, 1);
            }
        }

        #[test]
        fn what_a_polygon_has_is_in_its_cells(corners in proptest::collection::vec(point(), 3..8), point in point()) {
            let shape = Shape::Polygon(corners);
            if shape.distance_m(point).is_some() {
                let score = point.score() as f64;
                prop_assert!(shape.cells().iter().any(|cell| (cell.scores().0..cell.scores().1).contains(&score)));
            }
        }
    }
}
