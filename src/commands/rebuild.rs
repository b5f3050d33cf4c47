//! From a value to the commands that make it.

use crate::rdb::payload::dump_value;
use crate::shard::EntryView;

/// Shows the commands that turn whatever is under `key` into this entry.
pub fn rebuild(key: &[u8], entry: Option<EntryView<'_>>, show: &mut dyn FnMut(&[&[u8]])) {
    let Some(entry) = entry else { return show(&[b"DEL", key]) };
    let mut digits = itoa::Buffer::new();
    let at = digits.format(entry.expire_at_ms().unwrap_or(0)).as_bytes();
    show(&[b"RESTORE", key, at, &dump_value(entry.value()), b"REPLACE", b"ABSTTL"]);
}
