//! A request's arguments: slices of one buffer, borrowed or owned.

use std::fmt;
use std::ops::Index;

/// Where one argument lies in its buffer.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A request's arguments: slices of one buffer.
///
/// INVARIANT: every span lies inside `buf` (`start <= end <= buf.len()`); whoever builds an `Argv`
/// by hand owes that, because indexing panics otherwise.
#[derive(Clone, Copy)]
pub struct Argv<'a> {
    pub buf: &'a [u8],
    pub spans: &'a [Span],
}

impl<'a> Argv<'a> {
    /// Number of arguments, the command's name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`; panics when there are fewer. Arity is checked before handlers run.
    #[inline]
    pub fn get(&self, index: usize) -> &'a [u8] {
        let span = self.spans[index];
        &self.buf[span.start..span.end]
    }

    /// The argument at `index`, or `None` when there are fewer.
    #[inline]
    pub fn try_get(&self, index: usize) -> Option<&'a [u8]> {
        let span = self.spans.get(index)?;
        Some(&self.buf[span.start..span.end])
    }

    /// The arguments in order, the command's name first.
    #[inline]
    pub fn iter(&self) -> ArgvIter<'a> {
        ArgvIter { buf: self.buf, spans: self.spans.iter() }
    }

    /// The arguments from `from` on; empty when there are fewer.
    #[inline]
    pub fn tail(&self, from: usize) -> Argv<'a> {
        Argv { buf: self.buf, spans: self.spans.get(from..).unwrap_or_default() }
    }

    /// Sum of the arguments' lengths.
    pub fn data_bytes(&self) -> usize {
        self.spans.iter().map(|span| span.end - span.start).sum()
    }
}

impl Index<usize> for Argv<'_> {
    type Output = [u8];

    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.get(index)
    }
}

impl<'a> IntoIterator for Argv<'a> {
    type Item = &'a [u8];
    type IntoIter = ArgvIter<'a>;

    #[inline]
    fn into_iter(self) -> ArgvIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Argv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|arg| arg.escape_ascii().to_string())).finish()
    }
}

/// Iterates over the arguments of an [`Argv`].
#[derive(Clone)]
pub struct ArgvIter<'a> {
    buf: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for ArgvIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let span = self.spans.next()?;
        Some(&self.buf[span.start..span.end])
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for ArgvIter<'_> {}

impl DoubleEndedIterator for ArgvIter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let span = self.spans.next_back()?;
        Some(&self.buf[span.start..span.end])
    }
}

/// An owned request: the arguments' bytes one after the other, without the protocol between them.
#[derive(Clone, Default)]
pub struct Request {
    buf: Vec<u8>,
    spans: Vec<Span>,
}

impl Request {
    /// The arguments, borrowed.
    pub fn argv(&self) -> Argv<'_> {
        Argv { buf: &self.buf, spans: &self.spans }
    }

    /// Bytes this request holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.buf.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl From<Argv<'_>> for Request {
    fn from(argv: Argv<'_>) -> Request {
        let mut buf = Vec::with_capacity(argv.data_bytes());
        let mut spans = Vec::with_capacity(argv.len());
        for arg in argv {
            let start = buf.len();
            buf.extend_from_slice(arg);
            spans.push(Span { start, end: buf.len() });
        }
        Request { buf, spans }
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Request {
    fn from_iter<I: IntoIterator<Item = T>>(args: I) -> Request {
        let mut request = Request::default();
        for arg in args {
            let start = request.buf.len();
            request.buf.extend_from_slice(arg.as_ref());
            request.spans.push(Span { start, end: request.buf.len() });
        }
        request
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.argv().fmt(f)
    }
}
