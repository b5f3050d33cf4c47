//! Every setting there is, by section.
//!
//! INVARIANT: a setting's [`Id`] is its place in [`TABLE`]; the order of groups and rows is the
//! order of CONFIG GET, of appended lines in CONFIG REWRITE and of the generated file.

mod cluster;
mod encodings;
mod general;
mod memory;
mod network;
mod observe;
mod persistence;
mod replication;
mod scripting;
mod security;
mod tls;

use super::setting::*;
use super::special::checks;

/// The settings of one section of the configuration file.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    pub title: &'static str,
    pub settings: &'static [Setting],
}

pub const GROUPS: &[Group] = &[
    Group { title: "Network and clients", settings: network::SETTINGS },
    Group { title: "General", settings: general::SETTINGS },
    Group { title: "Memory, eviction and expiry", settings: memory::SETTINGS },
    Group { title: "Encodings of small values", settings: encodings::SETTINGS },
    Group { title: "Security", settings: security::SETTINGS },
    Group { title: "Observing", settings: observe::SETTINGS },
    Group { title: "Snapshots and the append-only log", settings: persistence::SETTINGS },
    Group { title: "Replication", settings: replication::SETTINGS },
    Group { title: "Cluster", settings: cluster::SETTINGS },
    Group { title: "TLS", settings: tls::SETTINGS },
    Group { title: "Scripting", settings: scripting::SETTINGS },
];

/// The place of a setting in [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u16);

pub const COUNT: usize = count();

pub static TABLE: [&Setting; COUNT] = flatten();

const fn count() -> usize {
    let mut sum = 0;
    let mut group = 0;
    while group < GROUPS.len() {
        sum += GROUPS[group].settings.len();
        group += 1;
    }
    sum
}

const fn flatten() -> [&'static Setting; COUNT] {
    let mut table = [&GROUPS[0].settings[0]; COUNT];
    let (mut group, mut filled) = (0, 0);
    while group < GROUPS.len() {
        let settings = GROUPS[group].settings;
        let mut place = 0;
        while place < settings.len() {
            table[filled] = &settings[place];
            filled += 1;
            place += 1;
        }
        group += 1;
    }
    table
}

impl Id {
    /// Finds a setting while compiling; an unknown name is a compile error.
    pub const fn of(name: &str) -> Id {
        let (mut group, mut passed) = (0, 0);
        while group < GROUPS.len() {
            let settings = GROUPS[group].settings;
            let mut place = 0;
            while place < settings.len() {
                if same(settings[place].name.as_bytes(), name.as_bytes()) {
                    return Id((passed + place) as u16);
                }
                place += 1;
            }
            passed += settings.len();
            group += 1;
        }
        panic!("no setting has this name")
    }

    /// Every setting, in the order of the table.
    pub fn all() -> impl Iterator<Item = Id> {
        (0..COUNT as u16).map(Id)
    }

    /// Finds a setting by name or alias, in any case; also says which of its names it was.
    pub fn find(name: &[u8]) -> Option<(Id, &'static str)> {
        Id::all().find_map(|id| Some((id, id.setting().answers_to(name)?)))
    }

    /// Its row.
    pub fn setting(self) -> &'static Setting {
        TABLE[self.index()]
    }

    /// Its place in the table.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn kind(self) -> Kind {
        let (mut group, mut place) = (0, self.index());
        while place >= GROUPS[group].settings.len() {
            place -= GROUPS[group].settings.len();
            group += 1;
        }
        GROUPS[group].settings[place].kind
    }
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}
