//! LCS: the longest common subsequence of two strings.

use super::bytes_of;
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Reply};

/// Both strings travel to the owner of the first key, which knows the limit of memory and computes.
pub const LCS: &[Hop] = &[Hop { on: On::Owners, run: fetch }, Hop { on: On::Key(0), run: compute }];

/// The strings of the keys that live here, at their keys' places; a missing key is an empty string.
fn fetch(ctx: &mut Ctx<'_>, argv: Argv<'_>, mine: &[usize], _: &mut Gathered) -> Result<Part, CommandError> {
    let mut strings = vec![None, None];
    let mut keys = ctx.keys();
    for &order in mine {
        let bytes = match keys.read(argv.get(1 + order)) {
            Some(entry) => bytes_of(entry.value(), &mut itoa::Buffer::new())
                .map_err(|_| CommandError::Line("ERR The specified keys must contain string values"))?
                .to_vec(),
            None => Vec::new(),
        };
        strings[order] = Some(bytes);
    }
    Ok(Part::Strings(strings))
}

fn compute(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], got: &mut Gathered) -> Result<Part, CommandError> {
    let mut strings = [Vec::new(), Vec::new()];
    for part in got.parts(0) {
        let Part::Strings(some) = part else { unreachable!("the first hop returns strings") };
        for (string, some) in strings.iter_mut().zip(some) {
            if let Some(some) = some {
                string.clone_from(some);
            }
        }
    }
    let [a, b] = strings;
    let mut out = Output::default();
    let wanted = Wanted::of(Args::new(argv, 3))?;
    wanted.reply(
        &a,
        &b,
        ctx.shard.settings.max_bulk_bytes,
        &mut Reply::new(&mut out, ctx.client.protocol),
    )?;
    Ok(Part::Output(out))
}

pub fn finish(_: Argv<'_>, got: &mut Gathered, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let Part::Output(out) = got.only(1) else { unreachable!("the second hop returns the reply") };
    reply.out.append(out);
    Ok(Outcome::Done)
}

#[derive(Default)]
struct Wanted {
    len: bool,
    idx: bool,
    match_len: bool,
    min_match_len: u64,
}

impl Wanted {
    fn of(mut args: Args<'_>) -> Result<Wanted, CommandError> {
        let mut wanted = Wanted::default();
        while !args.is_done() {
            if args.token("IDX") {
                wanted.idx = true;
            } else if args.token("LEN") {
                wanted.len = true;
            } else if args.token("WITHMATCHLEN") {
                wanted.match_len = true;
            } else if args.left() > 1 && args.token("MINMATCHLEN") {
                // Redis: a negative minimum is none.
                wanted.min_match_len = args.int()?.max(0) as u64;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if wanted.len && wanted.idx {
            return Err(CommandError::Line(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(wanted)
    }

    fn reply(&self, a: &[u8], b: &[u8], max_bytes: usize, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        if a.len().max(b.len()) >= u32::MAX as usize - 1 {
            return Err(CommandError::Line("ERR String too long for LCS"));
        }
        // Redis: the table of lengths is charged even where fewer rows would do.
        let cells = (a.len() as u64 + 1) * (b.len() as u64 + 1);
        if cells > max_bytes as u64 / size_of::<u32>() as u64 {
            return Err(CommandError::Line(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        }
        if self.len {
            reply.int(length(a, b).into());
            return Ok(());
        }
        let lengths = Lengths::new(a, b)?;
        if !self.idx {
            let mut common = Vec::with_capacity(lengths.of(a.len(), b.len()) as usize);
            lengths.walk_back(a, b, |step| {
                if let Step::Match(at, _) = step {
                    common.push(a[at]);
                }
            });
            common.reverse();
            reply.bulk(&common);
            return Ok(());
        }
        let matches = self.matches(a, b, &lengths);
        reply.map(2);
        reply.bulk(b"matches");
        reply.array(matches.len());
        for found in matches {
            reply.array(2 + usize::from(self.match_len));
            for start in [found.a, found.b] {
                reply.array(2);
                reply.int(start as i64);
                reply.int((start + found.len - 1) as i64);
            }
            if self.match_len {
                reply.int(found.len as i64);
            }
        }
        reply.bulk(b"len");
        reply.int(lengths.of(a.len(), b.len()).into());
        Ok(())
    }

    /// The runs of matching bytes that are long enough, from the last to the first.
    fn matches(&self, a: &[u8], b: &[u8], lengths: &Lengths) -> Vec<Match> {
        let mut matches: Vec<Match> = Vec::new();
        // The run being extended backwards, not yet in the list.
        let mut run: Option<Match> = None;
        let mut emit = |run: Match| {
            if run.len as u64 >= self.min_match_len {
                matches.push(run);
            }
        };
        lengths.walk_back(a, b, |step| match step {
            Step::Match(at, bt) => match &mut run {
                Some(run) if run.a == at + 1 && run.b == bt + 1 => {
                    *run = Match { a: at, b: bt, len: run.len + 1 };
                }
                run => {
                    if let Some(done) = run.replace(Match { a: at, b: bt, len: 1 }) {
                        emit(done);
                    }
                }
            },
            Step::Skip => {
                if let Some(done) = run.take() {
                    emit(done);
                }
            }
        });
        if let Some(done) = run {
            emit(done);
        }
        matches
    }
}

/// A run of bytes that both strings have, by where it starts in each.
struct Match {
    a: usize,
    b: usize,
    len: usize,
}

enum Step {
    /// These bytes match.
    Match(usize, usize),
    Skip,
}

/// The length alone, in two rows.
fn length(a: &[u8], b: &[u8]) -> u32 {
    let mut row = vec![0u32; b.len() + 1];
    for &byte in a {
        let mut diagonal = 0;
        let mut left = 0;
        for (cell, &other) in row[1..].iter_mut().zip(b) {
            let above = *cell;
            left = if byte == other { diagonal + 1 } else { above.max(left) };
            *cell = left;
            diagonal = above;
        }
    }
    row[b.len()]
}

/// The lengths for all pairs of beginnings.
struct Lengths {
    cells: Vec<u32>,
    width: usize,
}

impl Lengths {
    fn new(a: &[u8], b: &[u8]) -> Result<Lengths, CommandError> {
        let width = b.len() + 1;
        let count = (a.len() + 1) * width;
        let mut cells = Vec::new();
        cells.try_reserve_exact(count).map_err(|_| {
            CommandError::Line("ERR Insufficient memory, failed allocating transient memory for LCS")
        })?;
        cells.resize(width, 0);
        for (at, &byte) in a.iter().enumerate() {
            let above = at * width;
            let mut left = 0;
            cells.push(0);
            for (bt, &other) in b.iter().enumerate() {
                left = if byte == other { cells[above + bt] + 1 } else { cells[above + bt + 1].max(left) };
                cells.push(left);
            }
        }
        Ok(Lengths { cells, width })
    }

    fn of(&self, a_len: usize, b_len: usize) -> u32 {
        self.cells[a_len * self.width + b_len]
    }

    /// Follows one longest subsequence from the ends of both strings.
    ///
    /// Redis: of two ways that are equally long the one that shortens the second string is taken, which decides
    /// what clients see.
    fn walk_back(&self, a: &[u8], b: &[u8], mut step: impl FnMut(Step)) {
        let (mut at, mut bt) = (a.len(), b.len());
        while at > 0 && bt > 0 {
            if a[at - 1] == b[bt - 1] {
                at -= 1;
                bt -= 1;
                step(Step::Match(at, bt));
                continue;
            }
            if self.of(at - 1, bt) > self.of(at, bt - 1) {
                at -= 1;
            } else {
                bt -= 1;
            }
            step(Step::Skip);
        }
    }
}
