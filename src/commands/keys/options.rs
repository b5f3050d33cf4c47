//! Arguments that several key commands share.

use crate::commands::{Args, CommandError};
use crate::shard::Shard;
use crate::types::DbIndex;

/// The next argument as a C `int`, with Redis's two different errors.
pub fn c_int(args: &mut Args<'_>) -> Result<i32, CommandError> {
    i32::try_from(args.int()?).map_err(|_| CommandError::NotInt)
}

/// A number as the index of a database that exists.
pub fn db_index(number: i32, shard: &Shard) -> Result<DbIndex, CommandError> {
    let index = usize::try_from(number).ok().filter(|index| *index < shard.dbs.len());
    let index = index.and_then(|index| u16::try_from(index).ok());
    index.map(DbIndex).ok_or(CommandError::DbOutOfRange)
}
