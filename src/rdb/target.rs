//! For which Redis bytes are written.
//!
//! ```text
//!   version   Redis    its news
//!      9      5, 6     ziplists; no libraries of functions
//!     10      7.0      listpacks for ziplists, counters of streams, libraries
//!     11      7.2      sets in listpacks, when a consumer was active
//!     12      7.4, 8   deadlines of fields
//! ```

use super::format::{VERSION_DUMPED, VERSION_FIELD_DEADLINES, VERSION_FILE, VERSION_WRITABLE};

/// What the reader of the bytes knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    version: u16,
    dropping_at_ms: Option<u64>,
}

impl Target {
    /// Payloads of DUMP: Redis 7.0 and later read them, except those with deadlines of fields, which say so.
    pub const DUMP: Target = Target { version: VERSION_DUMPED, dropping_at_ms: None };
    /// A file of the usual version, or of the one that deadlines of fields need: nothing is lost.
    pub const FILE: Target = Target { version: VERSION_FILE, dropping_at_ms: None };

    /// A file of this version and no other. What it does not know is left out: fields whose deadline has passed, the
    /// deadlines of the others, libraries. `None` when the version cannot be written.
    pub fn exactly(version: u16, now_ms: u64) -> Option<Target> {
        let dropping_at_ms = (version < VERSION_FIELD_DEADLINES).then_some(now_ms);
        VERSION_WRITABLE.contains(&version).then_some(Target { version, dropping_at_ms })
    }

    /// What the header of a file says.
    pub fn version_of_file(self, has_field_deadlines: bool) -> u16 {
        match (has_field_deadlines, self.dropping_at_ms) {
            (true, None) => self.version.max(VERSION_FIELD_DEADLINES),
            _ => self.version,
        }
    }

    /// Now, when deadlines of fields are dropped.
    pub(super) fn dropping_at_ms(self) -> Option<u64> {
        self.dropping_at_ms
    }

    /// Small collections are ziplists.
    pub(super) fn wants_ziplists(self) -> bool {
        self.version < 10
    }

    /// Libraries of functions can be written.
    pub fn knows_functions(self) -> bool {
        self.version >= 10
    }

    pub(super) fn knows_stream_counters(self) -> bool {
        self.version >= 10
    }

    /// Small sets are listpacks.
    pub(super) fn knows_set_listpacks(self) -> bool {
        self.version >= 11
    }

    pub(super) fn knows_consumer_activity(self) -> bool {
        self.version >= 11
    }
}

impl Default for Target {
    fn default() -> Target {
        Target::DUMP
    }
}

/// What was left out because the target does not know it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Losses {
    /// Fields that are there without their deadline.
    pub field_deadlines: u64,
    /// Libraries of functions.
    pub functions: u64,
}

impl Losses {
    /// Was anything left out?
    pub fn any(self) -> bool {
        self != Losses::default()
    }

    /// Counts these too.
    pub fn add(&mut self, more: Losses) {
        self.field_deadlines += more.field_deadlines;
        self.functions += more.functions;
    }
}

impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Losses { field_deadlines, functions } = self;
        write!(f, "{field_deadlines} deadlines of hash fields, {functions} libraries of functions")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rdb::file::{Access, FileReader, Record, write_entry, write_function, write_header};
    use crate::rdb::format::{kind, opcode};
    use crate::rdb::write::Writer;
    use crate::rdb::{Limits, restore_value};
    use crate::types::raw::table::{TakenValue, Ttl, ValueRef};
    use crate::types::stream::{Group, NodeLimits, StreamId};
    use crate::types::{Encodings, Hash, Set, Stream, Value, ZSet};

    const LIMITS: Limits = Limits { string_bytes: 1 << 30, encodings: Encodings::DEFAULT };

    fn hash(fields: &[(&str, u64)]) -> Value {
        let mut hash = Hash::default();
        for (field, at) in fields {
            let ttl = if *at == 0 { Ttl::Clear } else { Ttl::Set(*at) };
            hash.set(field.as_bytes(), b"value", ttl, &Encodings::DEFAULT);
        }
        Value::Hash(Box::new(hash))
    }

    /// Kind and value of all that there is in a file for the target.
    fn through(values: &[&Value], target: Target) -> (Vec<(u8, TakenValue<Value>)>, Losses) {
        let mut writer = Writer::of(target);
        write_header(&mut writer.out, target.version_of_file(false));
        write_function(&mut writer, b"#!lua name=lib");
        for value in values {
            write_entry(&mut writer, b"key", &ValueRef::Heap(*value), Some(7), Access::IdleSeconds(3));
        }
        writer.byte(opcode::EOF);
        writer.out.extend([0; 8]);
        let mut reader = FileReader::new(&writer.out[..], true).expect("a header");
        let mut all = Vec::new();
        loop {
            match reader.next_record().expect("it was just written") {
                Record::Entry(entry) => {
                    all.push((entry.kind, entry.parse(LIMITS).expect("it was just written")))
                }
                Record::End { .. } => return (all, writer.losses),
                _ => {}
            }
        }
    }

    #[test]
    fn every_version_has_its_own_forms_of_the_same_values() {
        let mut list = crate::types::List::default();
        let limit = crate::types::list::NodeLimit::new(-2);
        for i in 0..3000 {
            list.push(crate::types::list::End::Back, format!("element {i}").as_bytes(), limit);
        }
        list.push(crate::types::list::End::Back, &[b'x'; 100_000], limit);
        let mut set = Set::default();
        for member in ["a", "b", "12"] {
            set.insert(member.as_bytes(), &Encodings::DEFAULT);
        }
        let mut zset = ZSet::default();
        zset.add(b"m", 1.5, &Encodings::DEFAULT).expect("a number");
        zset.add(b"n", -3.0, &Encodings::DEFAULT).expect("a number");
        let mut stream = Stream::new();
        for n in 1..200 {
            stream.append(
                StreamId::new(n, 0),
                &&[(&b"f"[..], &b"v"[..])][..],
                NodeLimits { bytes: 300, entries: 10 },
            );
        }
        let mut group = Group::new(StreamId::new(199, 0), Some(199));
        let consumer = group.add_consumer(b"c", 5);
        group.consumer_mut(consumer).active_at_ms = Some(6);
        stream.add_group(b"g", group);
        let values = [
            Value::List(Box::new(list)),
            Value::Set(Arc::new(set)),
            Value::ZSet(Arc::new(zset)),
            Value::Stream(Box::new(stream)),
            hash(&[("a", 0), ("b", 0)]),
        ];
        let whole: Vec<_> = values
            .iter()
            .map(|value| restore_value(&crate::rdb::dump_value(ValueRef::Heap(value)), LIMITS))
            .collect();
        let kinds_of = |version| {
            let target = Target::exactly(version, 1).expect("it can be written");
            let (all, losses) = through(&values.iter().collect::<Vec<_>>(), target);
            for (at, ((_, value), whole)) in all.iter().zip(&whole).enumerate() {
                // The time a consumer was active at is in no payload.
                assert!(at == 3 || Ok(value) == whole.as_ref(), "{at} in version {version}");
            }
            assert_eq!(losses.functions, u64::from(version == 9));
            all.iter().map(|(kind, _)| *kind).collect::<Vec<_>>()
        };
        use kind::*;
        let (nine, ten) = (kinds_of(9), kinds_of(10));
        assert_eq!(nine, [LIST_QUICKLIST, SET, ZSET_ZIPLIST, STREAM_LISTPACKS, HASH_ZIPLIST]);
        assert_eq!(ten, [LIST_QUICKLIST_2, SET, ZSET_LISTPACK, STREAM_LISTPACKS_2, HASH_LISTPACK]);
        let newer = [LIST_QUICKLIST_2, SET_LISTPACK, ZSET_LISTPACK, STREAM_LISTPACKS_3, HASH_LISTPACK];
        assert_eq!((kinds_of(11), kinds_of(12)), (newer.to_vec(), newer.to_vec()));
        let (all, _) = through(&[&values[3]], Target::FILE);
        assert_eq!(all[0].1, TakenValue::Heap(values[3].clone()), "nothing is lost");
        assert_eq!((Target::exactly(8, 1), Target::exactly(13, 1)), (None, None));
    }

    #[test]
    fn fields_that_are_over_do_not_come_back_without_their_deadline() {
        let mixed = hash(&[("over", 50), ("later", 500), ("ever", 0)]);
        let over = hash(&[("over", 50)]);
        for version in [9, 10, 11] {
            let target = Target::exactly(version, 100).expect("it can be written");
            let (all, losses) = through(&[&mixed, &over], target);
            assert_eq!((all.len(), losses.field_deadlines), (1, 1));
            let TakenValue::Packed(form, bytes) = &all[0].1 else { panic!("a small hash") };
            let view = <Hash as crate::types::Collection>::view_packed(*form, bytes);
            assert!(view.len() == 2 && !view.has_deadlines());
        }
        for target in [Target::FILE, Target::exactly(12, 100).expect("it can be written")] {
            let (all, losses) = through(&[&mixed, &over], target);
            assert_eq!((all.len(), losses.field_deadlines), (2, 0));
            assert_eq!(all[0].0, kind::HASH_LISTPACK_EX);
        }
        let big: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let big: Vec<(&str, u64)> =
            big.iter().map(|field| (&field[..], 50 + field.len() as u64 % 2 * 900)).collect();
        let (all, losses) = through(&[&hash(&big)], Target::exactly(9, 100).expect("it can be written"));
        assert_eq!((all[0].0, losses.field_deadlines), (kind::HASH, 910));
    }
}
