//! The table of commands: rows by name and by number.
//!
//! Every core builds the same table from the same families in the same order, so a [`RowId`] means the same row on
//! all cores and travels in messages instead of a name.

use hashbrown::HashMap;

use super::spec::{Begin, Find, Flags, Row, Run};

/// The number of a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowId(pub u16);

impl RowId {
    /// Its place among all rows.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A row with what is derived from it once.
pub struct Entry {
    pub row: &'static Row,
    /// `get`, or `client|list` for a subcommand.
    pub full_name: &'static str,
    /// The container of a subcommand.
    pub parent: Option<RowId>,
    pub children: Vec<RowId>,
    /// The argument that holds the only key, when there is exactly one and its place is fixed; 0 when not.
    pub single_key: usize,
    /// May change the keyspace.
    pub is_write: bool,
    /// Refused when out of memory.
    pub deny_oom: bool,
    /// May wait for its keys.
    pub is_blocking: bool,
    /// Runs a script.
    pub is_script: bool,
    /// Redis 7.0 knows it: a log that holds it is read there.
    pub is_common: bool,
}

/// Did Redis 7.0 have what came with this version?
fn is_common(since: &str) -> bool {
    let mut numbers = since.split('.').map(|number| number.parse::<u32>().unwrap_or(u32::MAX));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) <= (7, 0)
}

/// Longest command name that is looked up; longer ones are unknown.
pub const NAME_MAX_BYTES: usize = 64;

/// All commands of one core.
pub struct CommandTable {
    entries: Vec<Entry>,
    /// Top-level names, lower case.
    by_name: HashMap<&'static str, RowId, ahash::RandomState>,
    /// Names of up to eight bytes by [`word_of`], in an open-addressing table: most requests stop here.
    short: Vec<(u64, RowId)>,
    /// Subcommands: container and word.
    by_word: HashMap<(RowId, &'static str), RowId, ahash::RandomState>,
}

impl CommandTable {
    /// Builds the table. Panics when two rows share a name: that is a programmer's error, found by any test.
    pub fn new(families: &[&'static [Row]]) -> CommandTable {
        let mut table = CommandTable {
            entries: Vec::new(),
            by_name: HashMap::default(),
            short: vec![(0, RowId(0)); SHORT_SLOTS],
            by_word: HashMap::default(),
        };
        for row in families.iter().flat_map(|rows| rows.iter()) {
            let id = table.add(row, row.name, None);
            assert!(table.by_name.insert(row.name, id).is_none(), "two rows are named {}", row.name);
            table.add_short(row.name, id);
            for sub in row.subcommands {
                let full_name: &'static str =
                    Box::leak(format!("{}|{}", row.name, sub.name).into_boxed_str());
                let child = table.add(sub, full_name, Some(id));
                assert!(
                    table.by_word.insert((id, sub.name), child).is_none(),
                    "two rows are named {full_name}"
                );
                table.entries[id.index()].children.push(child);
            }
        }
        table
    }

    fn add(&mut self, row: &'static Row, full_name: &'static str, parent: Option<RowId>) -> RowId {
        let id = RowId(u16::try_from(self.entries.len()).expect("fewer than 65536 commands"));
        self.entries.push(Entry {
            row,
            full_name,
            parent,
            children: Vec::new(),
            single_key: single_key(row),
            is_write: row.flags.has(Flags::WRITE),
            deny_oom: row.flags.has(Flags::DENYOOM),
            is_blocking: row.flags.has(Flags::BLOCKING),
            is_script: matches!(row.run, Run::Script),
            is_common: is_common(row.since),
        });
        id
    }

    fn add_short(&mut self, name: &str, id: RowId) {
        if name.len() > 8 {
            return;
        }
        let word = word_of(name.as_bytes());
        let mut at = slot_of_word(word);
        while self.short[at].0 != 0 {
            at = (at + 1) % SHORT_SLOTS;
        }
        self.short[at] = (word, id);
    }

    /// The row of a number.
    #[inline]
    pub fn entry(&self, id: RowId) -> &Entry {
        &self.entries[id.index()]
    }

    /// How many rows there are, subcommands included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = (RowId, &Entry)> {
        self.entries.iter().enumerate().map(|(i, entry)| (RowId(i as u16), entry))
    }

    /// The same as [`CommandTable::find`], faster when `name` is that of `last`.
    #[inline]
    pub fn find_again(&self, name: &[u8], last: Option<RowId>) -> Option<RowId> {
        match last {
            Some(id) if self.entry(id).row.name.as_bytes().eq_ignore_ascii_case(name) => Some(id),
            _ => self.find(name),
        }
    }

    /// The top-level command of a name in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<RowId> {
        if name.len() <= 8 {
            let word = word_of(name);
            let mut at = slot_of_word(word);
            loop {
                let (known, id) = self.short[at];
                if known == word && self.entry(id).row.name.as_bytes().eq_ignore_ascii_case(name) {
                    return Some(id);
                }
                if known == 0 {
                    return None;
                }
                at = (at + 1) % SHORT_SLOTS;
            }
        }
        self.find_long(name)
    }

    fn find_long(&self, name: &[u8]) -> Option<RowId> {
        let mut lower = [0u8; NAME_MAX_BYTES];
        self.by_name.get(lowered(name, &mut lower)?).copied()
    }

    /// The subcommand of a container.
    pub fn find_word(&self, container: RowId, word: &[u8]) -> Option<RowId> {
        let mut lower = [0u8; NAME_MAX_BYTES];
        self.by_word.get(&(container, lowered(word, &mut lower)?)).copied()
    }

    /// A command by its full name, `config|get` or `config`.
    pub fn find_full(&self, name: &[u8]) -> Option<RowId> {
        match memchr::memchr(b'|', name) {
            Some(bar) => self.find_word(self.find(&name[..bar])?, &name[bar + 1..]),
            None => self.find(name),
        }
    }
}

/// Slots for short names: several times as many as there are commands.
const SHORT_SLOTS: usize = 1024;

/// Up to eight bytes as one word, letters in lower case (and some other bytes changed: compare afterwards). Never 0.
///
/// PERF: two overlapping loads; a copy of variable length is a call, 2 % of a pipelined GET.
#[inline]
fn word_of(name: &[u8]) -> u64 {
    let word = match name {
        [first, .., last] if name.len() < 4 => {
            let middle = name[name.len() / 2];
            u64::from(*first) | u64::from(middle) << 8 | u64::from(*last) << 16
        }
        [only] => u64::from(*only),
        [] => 0,
        _ => {
            let at = |from: usize| {
                name[from..].first_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
            };
            at(0) | at(name.len() - 4) << (8 * (name.len() - 4))
        }
    };
    (word | 0x2020_2020_2020_2020) ^ ((name.len() as u64) << 61)
}

#[inline]
fn slot_of_word(word: u64) -> usize {
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize
}

fn lowered<'a>(name: &[u8], lower: &'a mut [u8; NAME_MAX_BYTES]) -> Option<&'a str> {
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

fn single_key(row: &Row) -> usize {
    match (row.keys, row.run) {
        ([spec], Run::OnShard(_)) => match (spec.begin, spec.find) {
            (Begin::Index(index), Find::Range { last: 0, .. }) => index,
            _ => 0,
        },
        _ => 0,
    }
}
