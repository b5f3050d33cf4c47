//! MAXCOUNT and MAXSIZE of XREAD and XREADGROUP: limits of a reply over all its streams.
//!
//! Redis: the streams are served in the order of the request until a limit is reached, and those behind are left out.
//! MAXSIZE is soft: it is looked at before an entry, so the entry that reaches it is given, and so is the first one
//! whatever its size. What counts are the bytes of the reply. A stream's name counts with its first entry, so that no
//! stream is in the reply only to be empty.
//!
//! Over several shards nobody sees the whole reply while it is written. There every owner says first what its streams
//! would give ([`Offer`]), and from all offers every owner finds the same [`Shares`].

use crate::resp::Reply;

/// The limits, as far as there are any.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// MAXCOUNT: entries.
    pub count: Option<usize>,
    /// MAXSIZE.
    pub bytes: Option<usize>,
}

impl Limits {
    pub fn any(&self) -> bool {
        self.count.is_some() || self.bytes.is_some()
    }
}

/// What of the limits is used up.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    limits: Limits,
    count: usize,
    bytes: usize,
    /// What comes before the entries of a stream, until the first of them.
    head_bytes: usize,
}

impl Budget {
    pub fn new(limits: Limits) -> Budget {
        Budget { limits, count: 0, bytes: 0, head_bytes: 0 }
    }

    /// A budget of so many entries.
    fn of_entries(count: usize) -> Budget {
        Budget::new(Limits { count: Some(count), bytes: None })
    }

    pub fn is_unlimited(&self) -> bool {
        !self.limits.any()
    }

    /// Is a limit reached?
    pub fn is_spent(&self) -> bool {
        self.limits.count.is_some_and(|most| self.count >= most)
            || self.count > 0 && self.limits.bytes.is_some_and(|most| self.bytes >= most)
    }

    /// How many entries may come yet.
    pub fn entries_left(&self) -> usize {
        self.limits.count.map_or(usize::MAX, |most| most.saturating_sub(self.count))
    }

    /// Writes what comes before a stream's entries; how many bytes it is, when that matters.
    pub fn begin_stream(&mut self, reply: &mut Reply<'_>, write: impl FnOnce(&mut Reply<'_>)) -> usize {
        self.head_bytes = self.measure(reply, write);
        self.head_bytes
    }

    /// Writes an entry; how many bytes it is, when that matters.
    pub fn entry(&mut self, reply: &mut Reply<'_>, write: impl FnOnce(&mut Reply<'_>)) -> usize {
        let bytes = self.measure(reply, write);
        self.count_entry(bytes);
        bytes
    }

    fn count_entry(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += std::mem::take(&mut self.head_bytes) + bytes;
    }

    /// A stream's part is complete, so its header, the number of its entries, is known.
    pub fn end_stream(&mut self, count: usize) {
        let header = "*\r\n".len() + itoa::Buffer::new().format(count).len();
        self.bytes += std::mem::take(&mut self.head_bytes) + header;
    }

    fn measure(&self, reply: &mut Reply<'_>, write: impl FnOnce(&mut Reply<'_>)) -> usize {
        if self.limits.bytes.is_none() {
            write(reply);
            return 0;
        }
        let before = reply.out.len();
        write(reply);
        reply.out.len() - before
    }
}

/// What a stream would give if it were alone.
#[derive(Debug)]
pub struct Offer {
    /// The stream's place in the request.
    pub order: usize,
    /// Is it in the reply, even without entries?
    pub is_told: bool,
    /// Bytes before the entries.
    pub head_bytes: usize,
    /// Bytes of each entry.
    pub entry_bytes: Vec<usize>,
}

impl Offer {
    /// A stream that gives nothing.
    pub fn none(order: usize) -> Offer {
        Offer { order, is_told: false, head_bytes: 0, entry_bytes: Vec::new() }
    }
}

/// What every stream may give.
pub enum Shares {
    Unlimited,
    /// Entries, by the order of the streams; those that are missing are left out.
    Entries(Vec<usize>),
}

impl Shares {
    /// Shares the limits out.
    pub fn of_offers<'o>(limits: Limits, offers: impl Iterator<Item = &'o Offer>) -> Shares {
        let mut offers: Vec<&Offer> = offers.collect();
        offers.sort_unstable_by_key(|offer| offer.order);
        let (mut budget, mut shares) = (Budget::new(limits), Vec::with_capacity(offers.len()));
        for offer in offers {
            if budget.is_spent() {
                break;
            }
            let mut count = 0;
            budget.head_bytes = offer.head_bytes;
            for bytes in &offer.entry_bytes {
                if budget.is_spent() {
                    break;
                }
                budget.count_entry(*bytes);
                count += 1;
            }
            if offer.is_told || count > 0 {
                budget.end_stream(count);
            }
            shares.push(count);
        }
        Shares::Entries(shares)
    }

    /// The budget of one stream; `None` when it is left out.
    pub fn of(&self, order: usize) -> Option<Budget> {
        match self {
            Shares::Unlimited => Some(Budget::new(Limits::default())),
            Shares::Entries(shares) => shares.get(order).map(|count| Budget::of_entries(*count)),
        }
    }
}
