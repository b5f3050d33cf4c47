//! The forms that are one listpack.

use super::super::encodings::fits_packed;
use super::super::listpack::{Element, Listpack, ListpackRef};
use super::super::raw::table::Ttl;
use super::super::{Encodings, Packed};
use super::shape::{self, NO_SHAPE, Shape};
use crate::types::collection::Shortened;

/// How fields lie in a listpack.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Form {
    /// Field and value.
    #[default]
    Pairs,
    /// Field, value, and deadline or 0.
    Triples,
    /// Field and value, of a hash that clients are told is a table.
    Wide,
}

impl Form {
    /// Entries per field.
    #[inline]
    pub(super) const fn step(self) -> usize {
        match self {
            Form::Pairs | Form::Wide => 2,
            Form::Triples => 3,
        }
    }

    #[inline]
    pub(super) fn of(packed: Packed) -> Form {
        match packed {
            Packed::Hash | Packed::HashShaped => Form::Pairs,
            Packed::HashEx => Form::Triples,
            Packed::HashWide => Form::Wide,
            other => unreachable!("{other:?} is no hash"),
        }
    }

    #[inline]
    pub(super) const fn packed(self) -> Packed {
        match self {
            Form::Pairs => Packed::Hash,
            Form::Triples => Packed::HashEx,
            Form::Wide => Packed::HashWide,
        }
    }
}

/// A wide listpack may have so many fields,
const WIDE_FIELDS: usize = 64;
/// and so many bytes; then a table is as small, and faster.
const WIDE_BYTES: usize = 4096;

/// A hash that is one listpack.
#[derive(Clone)]
pub(super) struct Small {
    pub form: Form,
    /// The shape it had when it was taken out of its entry; it may have another one, or none, by now.
    shape: u16,
    pub pack: Listpack,
}

impl Default for Small {
    fn default() -> Small {
        Small::new(Form::Pairs, Listpack::default())
    }
}

impl Small {
    pub fn new(form: Form, pack: Listpack) -> Small {
        Small { form, shape: NO_SHAPE, pack }
    }

    pub fn unpack(packed: Packed, bytes: &[u8]) -> Small {
        if packed == Packed::HashShaped {
            let (shape, values) = Shape::split(bytes);
            let pack = shape.lengthen(values);
            return Small { form: Form::Pairs, shape: shape::number_of(bytes), pack };
        }
        Small::new(Form::of(packed), Listpack::from_body(bytes))
    }

    /// The values alone with the number of their fields' shape, if there is one.
    #[inline]
    pub fn shorten(&self, into: &mut Shortened) -> Option<Packed> {
        let has_shape = self.form == Form::Pairs && shape::shorten(self.pack.body(), self.shape, into);
        has_shape.then_some(Packed::HashShaped)
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.pack.len() / self.form.step()
    }

    /// Makes room in an empty hash for this many bytes of this many fields and values.
    pub fn reserve(&mut self, bytes: usize, fields: usize) {
        /// Encoding and backlen of short strings; an estimate for others.
        const AROUND: usize = 2;
        if bytes < WIDE_BYTES {
            self.pack = Listpack::from_parts(Vec::with_capacity(bytes + fields * 2 * AROUND), 0);
        }
    }

    /// The position of a field: perhaps `near`.
    #[inline]
    pub fn find(&self, near: usize, field: &[u8]) -> Option<usize> {
        let view = self.pack.as_ref();
        if near != 0 && view.is_text_at(near, field) {
            return Some(near);
        }
        view.find(field, self.form.step())
    }

    /// Is the listpack still good with this field set? May turn pairs into the wide form.
    pub fn admits(
        &mut self,
        found: Option<usize>,
        field: &[u8],
        value: &[u8],
        ttl: Ttl,
        limits: &Encodings,
    ) -> bool {
        let fields = self.len() + usize::from(found.is_none());
        let short = field.len().max(value.len()) <= limits.hash_value_bytes;
        let bytes = self.pack.body().len() + field.len() + value.len();
        if self.form != Form::Wide && short && fields <= limits.hash_entries && fits_packed(bytes, 0) {
            return true;
        }
        let wide = self.form != Form::Triples
            && !matches!(ttl, Ttl::Set(_))
            && fields <= WIDE_FIELDS
            && bytes <= WIDE_BYTES;
        if wide {
            self.form = Form::Wide;
        }
        wide
    }

    /// Writes a field and returns the position after it.
    pub fn put(&mut self, found: Option<usize>, field: &[u8], value: &[u8], ttl: Ttl) -> usize {
        let triples = self.form == Form::Triples;
        let deadline = if let Ttl::Set(ms) = ttl { ms as i64 } else { 0 };
        let Some(at) = found else {
            self.pack.push_back(field);
            self.pack.push_back(value);
            if triples {
                self.pack.push_back(deadline);
            }
            return self.pack.body().len();
        };
        let value_at = self.pack.as_ref().after(at);
        let after = self.pack.replace_at(value_at, value);
        match ttl {
            _ if !triples => after,
            Ttl::Keep => self.pack.as_ref().after(after),
            Ttl::Clear | Ttl::Set(_) => self.pack.replace_at(after, deadline),
        }
    }

    /// The position of the value of the field at a position.
    fn deadline_at(&self, field_at: usize) -> usize {
        let view = self.pack.as_ref();
        view.after(view.after(field_at))
    }

    /// Sets the deadline of the field at a position.
    pub fn put_deadline(&mut self, field_at: usize, expire_at_ms: u64) {
        let at = self.deadline_at(field_at);
        self.pack.replace_at(at, expire_at_ms as i64);
    }

    pub fn persist(&mut self, field: &[u8]) -> bool {
        if self.form != Form::Triples {
            return false;
        }
        let Some(field_at) = self.find(0, field) else { return false };
        let at = self.deadline_at(field_at);
        if self.pack.as_ref().at(at) == Some(Element::Int(0)) {
            return false;
        }
        self.pack.replace_at(at, 0);
        true
    }

    pub fn remove(&mut self, field: &[u8]) -> bool {
        let found = self.find(0, field);
        if let Some(at) = found {
            self.pack.remove_at(at, self.form.step());
        }
        found.is_some()
    }

    /// Turns pairs into triples without deadlines; says where the field at a position is then.
    pub fn make_triples(&mut self, field_at: Option<usize>) -> Option<usize> {
        debug_assert_eq!(self.form, Form::Pairs);
        let mut triples =
            Listpack::from_parts(Vec::with_capacity(self.pack.body().len() + 2 * self.len() + 16), 0);
        let mut moved = None;
        let mut entries = self.pack.iter();
        while let (Some((at, field)), Some((_, value))) = (entries.next(), entries.next()) {
            if Some(at) == field_at {
                moved = Some(triples.body().len());
            }
            triples.push_back(field);
            triples.push_back(value);
            triples.push_back(0);
        }
        (self.form, self.pack) = (Form::Triples, triples);
        moved
    }

    /// Removes the fields whose deadlines have passed.
    pub fn expire_due(&mut self, now_ms: u64, gone: &mut dyn FnMut(&[u8])) -> usize {
        if self.form != Form::Triples {
            return 0;
        }
        let (mut at, mut expired) = (0, 0);
        while at < self.pack.body().len() {
            let deadline_at = self.deadline_at(at);
            if deadline(self.pack.as_ref(), deadline_at).is_some_and(|ms| ms <= now_ms) {
                if let Some(field) = self.pack.as_ref().at(at) {
                    gone(field.as_bytes(&mut itoa::Buffer::new()));
                }
                self.pack.remove_at(at, 3);
                expired += 1;
            } else {
                at = self.pack.as_ref().after(deadline_at);
            }
        }
        expired
    }

    pub fn verify(&self) {
        let step = self.form.step();
        assert_eq!(self.pack.len(), self.pack.as_ref().len(), "entries are counted");
        assert!(self.pack.len().is_multiple_of(step), "fields are whole");
        let fields = self.pack.iter().step_by(step).map(|(_, field)| field.to_vec());
        let mut seen = std::collections::HashSet::new();
        fields.for_each(|field| assert!(seen.insert(field), "no field is there twice"));
        if step == 3 {
            let deadlines = self.pack.iter().skip(2).step_by(3);
            deadlines.for_each(|(_, ms)| assert!(ms.as_int().is_some_and(|ms| ms >= 0)));
        }
    }
}

/// The deadline that is the entry at a position.
#[inline]
pub(super) fn deadline(pack: ListpackRef<'_>, at: usize) -> Option<u64> {
    pack.at(at).and_then(deadline_of)
}

/// The deadline that an entry tells.
#[inline]
pub(super) fn deadline_of(element: Element<'_>) -> Option<u64> {
    match element {
        Element::Int(ms) if ms > 0 => Some(ms as u64),
        _ => None,
    }
}
