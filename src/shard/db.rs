//! One selectable database's part on one shard.

use super::field_expiry::FieldDeadlines;
use super::snapshot::Saving;
use crate::types::Value;
use crate::types::raw::table::{Hasher, Table};

/// The keys of one database that this shard owns.
pub struct Db {
    pub table: Table<Value>,
    /// Which hashes lose a field when.
    pub field_deadlines: FieldDeadlines,
    /// A snapshot is under way and has not had all of this database.
    pub saving: Option<Saving>,
}

impl Db {
    pub fn new(hasher: Hasher) -> Db {
        Db { table: Table::new(hasher), field_deadlines: FieldDeadlines::default(), saving: None }
    }
}
