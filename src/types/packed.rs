//! The forms of small collections, which live inside the entry of their key as plain bytes.

use super::Kind;

/// What the bytes of a small collection are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Packed {
    /// Elements in order, as a listpack body.
    List = 0,
    /// Sorted integers, as an intset.
    IntSet = 1,
    /// Members, as a listpack body.
    Set = 2,
    /// Fields, each followed by its value, as a listpack body.
    Hash = 3,
    /// Members, each followed by its score, in the order of scores, as a listpack body.
    ZSet = 4,
    /// Fields, each followed by its value and its deadline.
    HashEx = 5,
    /// As `Hash`, of one that clients are told is a hash table: it has few fields, but longer ones than listpacks may.
    HashWide = 6,
    /// As `Hash`, the fields' names kept elsewhere: the number of its shape, then the values.
    HashShaped = 7,
}

impl Packed {
    /// The form with this number. Panics on a number that no form has: it was not written by us.
    #[inline]
    pub fn from_code(code: u8) -> Packed {
        match code {
            0 => Packed::List,
            1 => Packed::IntSet,
            2 => Packed::Set,
            3 => Packed::Hash,
            4 => Packed::ZSet,
            5 => Packed::HashEx,
            6 => Packed::HashWide,
            7 => Packed::HashShaped,
            other => panic!("no packed form has number {other}"),
        }
    }

    /// What TYPE answers.
    #[inline]
    pub const fn kind(self) -> Kind {
        match self {
            Packed::List => Kind::List,
            Packed::IntSet | Packed::Set => Kind::Set,
            Packed::Hash | Packed::HashEx | Packed::HashWide | Packed::HashShaped => Kind::Hash,
            Packed::ZSet => Kind::ZSet,
        }
    }

    /// What OBJECT ENCODING answers, as Redis 7.0 names it: there a small list is a quicklist of one node, and a set
    /// that is not all integers a hash table.
    pub const fn encoding(self) -> &'static str {
        match self {
            Packed::List => "quicklist",
            Packed::IntSet => "intset",
            Packed::Set | Packed::HashWide => "hashtable",
            Packed::Hash | Packed::HashShaped | Packed::ZSet => "listpack",
            Packed::HashEx => "listpackex",
        }
    }
}
