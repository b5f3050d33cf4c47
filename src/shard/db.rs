//! One selectable database's part on one shard.

use crate::types::Value;
use crate::types::raw::table::{Hasher, Table};

/// The keys of one database that this shard owns.
pub struct Db {
    pub table: Table<Value>,
}

impl Db {
    pub fn new(hasher: Hasher) -> Db {
        Db { table: Table::new(hasher) }
    }
}
