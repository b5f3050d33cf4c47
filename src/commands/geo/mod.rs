//! Places: sorted sets whose scores are cells of the globe (see [`crate::types::geohash`]).
//!
//! [`rows`] is the table of contents.

mod add;
mod read;
mod rows;
mod search;
mod sliced;
mod store;
#[cfg(test)]
mod tests;

use super::error::CommandError;
use crate::commands::Args;
use crate::resp::Reply;
use crate::types::geohash::Point;
use crate::types::number::parse_f64;

pub use rows::ROWS;

/// The next two arguments as a place.
fn take_point(args: &mut Args<'_>) -> Result<Point, CommandError> {
    let longitude = parse_f64(args.take()?).ok_or(CommandError::NotFloat)?;
    let latitude = parse_f64(args.take()?).ok_or(CommandError::NotFloat)?;
    let point = Point { longitude, latitude };
    if point.is_valid() {
        return Ok(point);
    }
    let shown = format!("ERR invalid longitude,latitude pair {},{}", Fixed(longitude), Fixed(latitude));
    Err(CommandError::text(shown))
}

/// A float with six decimals, as C's `%f`.
struct Fixed(f64);

impl std::fmt::Display for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

/// How many metres the unit has that is the next argument.
fn take_unit(args: &mut Args<'_>) -> Result<f64, CommandError> {
    for (name, metres) in [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)] {
        if args.token(name) {
            return Ok(metres);
        }
    }
    Err(CommandError::Line("ERR unsupported unit provided. please use M, KM, FT, MI"))
}

/// Writes a distance. Redis: a bulk string in RESP3 too.
fn reply_distance(distance: f64, reply: &mut Reply<'_>) {
    reply.bulk(format!("{distance:.4}").as_bytes());
}

/// Writes a place.
fn reply_point(point: Point, reply: &mut Reply<'_>) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        let text = format!("{degrees:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        reply.double_text(if text == "-0" { b"0" } else { text.as_bytes() });
    }
}
