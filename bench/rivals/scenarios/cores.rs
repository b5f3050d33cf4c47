//! Two shards on two cores, with the load generator's two threads on the same two cores: how many
//! operations per second the whole machine gives. A server's idle spinning costs it here.

use std::io;

use super::Bench;
use super::traffic::{self, Row};
use crate::tape::Op;

pub fn run(bench: &mut Bench) -> io::Result<()> {
    let cpus = bench.both_cpus();
    let mut lineup = bench.lineup(2, &cpus)?;
    let Bench { options, recorder } = bench;
    traffic::preload(&mut lineup, options, recorder);
    for op in [Op::Get, Op::Set] {
        for pipeline in [1, 16] {
            let row = Row { op, connections: 50, pipeline };
            traffic::measure("cores", row, "", &cpus, &mut lineup, options, recorder);
        }
    }
    Ok(())
}
