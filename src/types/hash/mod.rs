//! Hashes: fields with their values, and with deadlines of their own.
//!
//! | held as                                  | form           | OBJECT ENCODING |
//! |------------------------------------------|----------------|-----------------|
//! | listpack: field, value, ...              | [`Form::Pairs`]   | listpack     |
//! | in an entry: values, names kept in common | [`Form::Pairs`]  | listpack     |
//! | listpack: field, value, deadline, ...    | [`Form::Triples`] | listpackex   |
//! | listpack: field, value, ..., outgrown    | [`Form::Wide`]    | hashtable    |
//! | table                                    | big            | hashtable       |
//!
//! What clients are told follows `hash-max-listpack-entries` and `-value`, as in Redis, and never goes back to a smaller
//! form. How fields are held follows their bytes: a hash of a few fields whose values are longer than the limit is still
//! smallest as a listpack, and searching so few takes no longer than a table.
//!
//! INVARIANTS: a deadline of 0 in a triple is none; no field appears twice; integers that are canonical texts are held
//! as integers everywhere, which no reader sees. Deadlines that have passed hide their fields from readers at once;
//! who changes a hash removes those first ([`Hash::expire_due`]), so that a change sees live fields only.
//!
//! Tables within hashes hash with [`Hasher::shared`](super::raw::table::Hasher::shared), because hashes are also made
//! where no shard is (RESTORE), and move between shards as they are.

mod big;
mod shape;
mod small;
#[cfg(test)]
mod tests;
mod text;
mod view;

use std::sync::Arc;

use super::collection::{Room, Shortened};
use super::raw::table::Ttl;
use super::{Collection, Encodings, Kind, Packed, Value};
use big::{Big, Dying};
pub use small::Form;
use small::Small;
pub use text::Text;
pub use view::HashView;

/// A value too long to lie in a table's entry. Shared so that replies may send it without copying.
pub type LongValue = Arc<Vec<u8>>;

/// A hash, to be changed.
#[derive(Clone)]
pub struct Hash {
    body: Body,
}

#[derive(Clone)]
enum Body {
    Small(Small),
    Big(Box<Big>),
    /// Readable by nobody any more.
    Dying(Dying),
}

impl Default for Hash {
    fn default() -> Hash {
        Hash { body: Body::Small(Small::default()) }
    }
}

impl Hash {
    /// An empty one in the form of the largest.
    pub fn new_table() -> Hash {
        Hash { body: Body::Big(Box::default()) }
    }

    /// Copies about `count` fields, if both are tables; see [`Value::copy_some`].
    pub fn copy_some(&self, copy: &mut Hash, at: u64, count: usize) -> Option<u64> {
        let (Body::Big(from), Body::Big(to)) = (&self.body, &mut copy.body) else { return None };
        from.copy_some(to, at, count)
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        match &self.body {
            Body::Small(small) => small.len(),
            Body::Big(big) => big.table.len(),
            Body::Dying(_) => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        self.view().encoding()
    }

    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<Text<'_>> {
        self.view().get(field, 0)
    }

    /// A field's deadline: `None` when there is no such field.
    pub fn deadline(&self, field: &[u8]) -> Option<Option<u64>> {
        self.view().deadline(field, 0)
    }

    /// Sets a field. True when it existed.
    pub fn set(&mut self, field: &[u8], value: &[u8], ttl: Ttl, limits: &Encodings) -> bool {
        self.set_near(&mut 0, field, value, ttl, limits)
    }

    /// Sets fields, which lose their deadlines, and returns how many are new.
    ///
    /// Clients tend to write the same fields in the same order, so the field after the last one found is looked at
    /// first; and a filter spares most searches for fields of a hash that is being made.
    pub fn set_all<'p>(
        &mut self,
        pairs: impl ExactSizeIterator<Item = (&'p [u8], &'p [u8])> + Clone,
        limits: &Encodings,
    ) -> usize {
        let makes = self.is_empty();
        if makes && let Body::Small(small) = &mut self.body {
            small.reserve(pairs.clone().map(|(field, value)| field.len() + value.len()).sum(), pairs.len());
        }
        let mut filter = Filter::default();
        let filters = makes && pairs.len() >= FILTER_MIN;
        let (mut near, mut created) = (0, 0);
        for (field, value) in pairs {
            if filters && !filter.insert(field) {
                self.set_at(None, &mut near, field, value, Ttl::Clear, limits);
                created += 1;
            } else {
                created += usize::from(!self.set_near(&mut near, field, value, Ttl::Clear, limits));
            }
        }
        created
    }

    /// [`Hash::set_all`] without unpacking: writes the bytes of a hash inside an entry, or of a new one, with these fields
    /// set, and returns their form, how many they are, and how many fields are new. `None` for what is not so simple.
    #[inline]
    pub fn write_all<'p>(
        there: Option<(Packed, &[u8])>,
        pairs: impl ExactSizeIterator<Item = (&'p [u8], &'p [u8])> + Clone,
        limits: &Encodings,
        into: &mut Room,
    ) -> Option<(Packed, usize, usize)> {
        let (bytes, fields, created) = match there {
            Some((Packed::HashShaped, bytes)) => {
                (shape::rewrite(bytes, pairs.clone(), into)?, shape::len_of(bytes), 0)
            }
            Some(_) => return None,
            None => (shape::write(pairs.clone(), into)?, pairs.len(), pairs.len()),
        };
        let longest = pairs.fold(0, |longest, (field, value)| longest.max(field.len()).max(value.len()));
        (fields <= limits.hash_entries && longest <= limits.hash_value_bytes).then_some((
            Packed::HashShaped,
            bytes,
            created,
        ))
    }

    fn set_near(
        &mut self,
        near: &mut usize,
        field: &[u8],
        value: &[u8],
        ttl: Ttl,
        limits: &Encodings,
    ) -> bool {
        let found = match &self.body {
            Body::Small(small) => small.find(*near, field),
            _ => None,
        };
        self.set_at(found, near, field, value, ttl, limits)
    }

    /// Sets a field that was looked for in the listpack, if it is one; moves `near` behind it.
    fn set_at(
        &mut self,
        found: Option<usize>,
        near: &mut usize,
        field: &[u8],
        value: &[u8],
        ttl: Ttl,
        limits: &Encodings,
    ) -> bool {
        if let Body::Small(small) = &mut self.body {
            if let Ttl::Set(_) = ttl
                && small.form == Form::Pairs
            {
                let at = small.make_triples(found);
                return self.set_at(at, near, field, value, ttl, limits);
            }
            if small.admits(found, field, value, ttl, limits) {
                *near = small.put(found, field, value, ttl);
                return found.is_some();
            }
            self.grow();
        }
        match &mut self.body {
            Body::Big(big) => big.set(field, value, ttl),
            Body::Small(_) | Body::Dying(_) => unreachable!("a hash that outgrew its listpack is a table"),
        }
    }

    /// Moves the fields into a table.
    fn grow(&mut self) {
        let mut big = Big::default();
        self.view().for_each(0, |field, value, deadline| big.insert(field, value, deadline));
        self.body = Body::Big(Box::new(big));
    }

    /// Removes a field. True when it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.body {
            Body::Small(small) => small.remove(field),
            Body::Big(big) => big.remove(field),
            Body::Dying(_) => false,
        }
    }

    /// Gives a field a deadline, or another one. False when there is no such field.
    pub fn set_deadline(&mut self, field: &[u8], expire_at_ms: u64) -> bool {
        if let Body::Small(small) = &mut self.body {
            let Some(found) = small.find(0, field) else { return false };
            if small.form != Form::Wide {
                let found =
                    if small.form == Form::Pairs { small.make_triples(Some(found)) } else { Some(found) };
                small.put_deadline(found.expect("the field was found"), expire_at_ms);
                return true;
            }
            self.grow();
        }
        match &mut self.body {
            Body::Big(big) => big.set_deadline(field, expire_at_ms),
            _ => false,
        }
    }

    /// Takes a field's deadline off. False when there is no such field or deadline.
    pub fn persist(&mut self, field: &[u8]) -> bool {
        match &mut self.body {
            Body::Small(small) => small.persist(field),
            Body::Big(big) => big.persist(field),
            Body::Dying(_) => false,
        }
    }

    /// Removes about `budget` fields whose deadlines have passed, naming each, and returns how many, and whether there
    /// are more.
    pub fn expire_due(&mut self, now_ms: u64, budget: usize, gone: &mut dyn FnMut(&[u8])) -> (usize, bool) {
        match &mut self.body {
            Body::Small(small) => (small.expire_due(now_ms, gone), false),
            Body::Big(big) => big.expire_due(now_ms, budget, gone),
            Body::Dying(_) => (0, false),
        }
    }

    /// Bytes on the heap, its own fields included. O(1).
    pub fn heap_bytes(&self) -> usize {
        size_of::<Hash>()
            + match &self.body {
                Body::Small(small) => small.pack.heap_bytes(),
                Body::Big(big) => size_of::<Big>() + big.table.usage().total_bytes(),
                Body::Dying(dying) => dying.heap_bytes(),
            }
    }

    /// Drops about `max_fields` fields of a hash that nobody will read again. True when all are gone.
    pub fn drop_some(&mut self, max_fields: usize) -> bool {
        if let Body::Big(big) = &mut self.body {
            self.body = Body::Dying(big.die());
        }
        match &mut self.body {
            Body::Dying(dying) => dying.drop_some(max_fields),
            _ => true,
        }
    }

    /// Checks the structure, for tests.
    pub fn verify(&self) {
        match &self.body {
            Body::Small(small) => small.verify(),
            Body::Big(big) => big.table.verify(),
            Body::Dying(_) => {}
        }
    }

    /// The hash whose listpack this is, its fields known to be distinct; `triples` tells which form it has.
    pub fn from_listpack(pack: super::listpack::Listpack, triples: bool) -> Hash {
        let form = if triples { Form::Triples } else { Form::Pairs };
        Hash { body: Body::Small(Small::new(form, pack)) }
    }
}

impl Collection for Hash {
    const KIND: Kind = Kind::Hash;
    type View<'a> = HashView<'a>;

    #[inline]
    fn view_packed(form: Packed, bytes: &[u8]) -> HashView<'_> {
        HashView::packed(form, bytes)
    }

    #[inline]
    fn view(&self) -> HashView<'_> {
        match &self.body {
            Body::Small(small) => HashView::small(small.form, small.pack.body()),
            Body::Big(big) => HashView::big(&big.table),
            Body::Dying(_) => HashView::small(Form::Pairs, &[]),
        }
    }

    fn unpack(form: Packed, bytes: &[u8]) -> Hash {
        Hash { body: Body::Small(Small::unpack(form, bytes)) }
    }

    #[inline]
    fn packed(&self) -> Option<(Packed, &[u8])> {
        match &self.body {
            Body::Small(small) => Some((small.form.packed(), small.pack.body())),
            _ => None,
        }
    }

    #[inline]
    fn shorten(&self, into: &mut Shortened) -> Option<Packed> {
        match &self.body {
            Body::Small(small) => small.shorten(into),
            _ => None,
        }
    }

    fn of(value: &Value) -> Option<&Hash> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut Hash> {
        match value {
            Value::Hash(hash) => Some(hash),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Hash(Box::new(self))
    }

    fn is_empty(&self) -> bool {
        Hash::is_empty(self)
    }

    fn next_deadline(&self) -> Option<u64> {
        self.view().next_deadline()
    }
}

/// Equal are hashes of the same fields, values, deadlines and encoding, in whatever order they are held.
impl PartialEq for Hash {
    fn eq(&self, other: &Hash) -> bool {
        let mut equal = self.len() == other.len() && self.encoding() == other.encoding();
        self.view().for_each(0, |field, value, deadline| {
            let (mut digits, mut mine, mut theirs) =
                (itoa::Buffer::new(), itoa::Buffer::new(), itoa::Buffer::new());
            let field = field.as_bytes(&mut digits);
            let same_value = other
                .get(field)
                .is_some_and(|theirs_value| theirs_value.as_bytes(&mut theirs) == value.as_bytes(&mut mine));
            equal &= same_value && other.deadline(field) == Some(deadline);
        });
        equal
    }
}

impl Eq for Hash {}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut map = f.debug_map();
        self.view().for_each(0, |field, value, deadline| {
            map.entry(&field, &(value, deadline));
        });
        map.finish()
    }
}

/// From how many fields on a filter pays.
const FILTER_MIN: usize = 8;

/// Which of a thousand places the fields seen so far fell on.
#[derive(Default)]
struct Filter([u64; 16]);

impl Filter {
    /// Enters a field. False when nothing fell on its place before: then it is new.
    fn insert(&mut self, field: &[u8]) -> bool {
        let place = place_of(field);
        let (word, bit) = (&mut self.0[place >> 6], 1 << (place & 63));
        let was = *word & bit != 0;
        *word |= bit;
        was
    }
}

/// Names of fields differ at their ends, if not at their beginnings.
fn place_of(field: &[u8]) -> usize {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let (first, last) = (&field[..field.len().min(8)], &field[field.len().saturating_sub(8)..]);
    let mixed = word(first) ^ word(last).rotate_left(23) ^ field.len() as u64;
    (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize
}
