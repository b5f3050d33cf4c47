//! LOLWUT: a picture, and the version.
//!
//! The picture shows what this server is about: one row per core, each drawing its own pattern, none waiting for
//! another.

use crate::commands::spec::{Arg, ArgKind, Flags, Group, Row, Shape};
use crate::commands::{Args, CommandError};
use crate::net::Core;
use crate::net::dispatch::{After, Bound};
use crate::resp::Reply;
use crate::runtime::face::{ConnId, NetIo};

pub const ROWS: &[Row] = &[Row {
    name: "lolwut",
    arity: -1,
    flags: Flags::READONLY.and(Flags::FAST),
    group: Group::Server,
    since: "5.0.0",
    summary: "Draws a picture and tells the version.",
    complexity: "O(N) with N cores",
    args: &[Arg::new("version", ArgKind::Integer).token("VERSION").optional()],
    reply: Shape::Bulk,
    ..Row::BLANK
}];

pub const BINDINGS: &[(&str, Bound)] = &[("lolwut", Bound::Here(lolwut))];

const WIDTH: usize = 64;
const ROWS_MAX: usize = 32;

fn lolwut(
    core: &mut Core,
    _: &mut dyn NetIo,
    _: ConnId,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<After, CommandError> {
    // Redis: what follows the version are wishes about the picture, which each picture takes as it likes.
    if args.left() >= 2 && args.token("version") {
        args.int()?;
    }
    let text = picture(core.shared.shards, &mut core.shard.rng);
    reply.verbatim("txt", text.as_bytes());
    Ok(After::Done)
}

fn picture(cores: usize, rng: &mut fastrand::Rng) -> String {
    let mut text = String::new();
    for core in 0..cores.min(ROWS_MAX) {
        let pieces = ["╱", "╲", "─", "╳"];
        // Each core prefers its own two pieces, by its own odds.
        let (one, other) = (rng.usize(..pieces.len()), rng.usize(..pieces.len()));
        let odds = rng.f32();
        for _ in 0..2 {
            text.push_str(&format!("{:>3} ", core));
            for _ in 0..WIDTH {
                text.push_str(pieces[if rng.f32() < odds { one } else { other }]);
            }
            text.push('\n');
        }
    }
    text.push_str(&format!("\n{} on its own\ncoreshard ver. {}\n", each(cores), env!("CARGO_PKG_VERSION")));
    text
}

fn each(cores: usize) -> String {
    if cores == 1 { "One core".to_owned() } else { format!("{cores} cores, each") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_picture_has_its_rows_and_the_version() {
        let text = super::picture(3, &mut fastrand::Rng::with_seed(1));
        assert_eq!(text.lines().count(), 6 + 1 + 2);
        assert!(text.ends_with(concat!("coreshard ver. ", env!("CARGO_PKG_VERSION"), "\n")));
    }
}
