//! Messages, each written once for all who get it: subscribers' outputs refer to the place where it is.
//!
//! Who gets all that is published until something is sent gets it as one run of bytes. So a message costs a subscriber
//! the moving of one number, and what is sent to a thousand of them is in the cache.
//!
//! INVARIANT: a page is complete, and never changes again, before anything that refers to it is sent.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use crate::resp::{Lines, Protocol};

/// A page that has come so far takes nothing more: what a slow subscriber has to get keeps all of it alive, and one that
/// all get should stay in the cache.
const PAGE_BYTES: usize = 128 * 1024;
/// Pages kept for reuse, if nobody refers to them any more by then.
const KEPT: usize = 4;
/// The largest page kept.
const KEPT_BYTES: usize = 2 * PAGE_BYTES;

/// The pages of one core; one per protocol is being written.
#[derive(Default)]
pub struct Pages {
    open: [Page; 2],
    complete: VecDeque<Lines>,
}

#[derive(Default)]
struct Page {
    /// What goes into `lines` in the end.
    bytes: Vec<u8>,
    lines: Lines,
}

impl Pages {
    /// Writes a line, which is in RESP3, for those who speak a protocol; says where in [`Pages::lines`] it is. What refers
    /// to it may be sent after [`Pages::complete`].
    pub fn write(&mut self, protocol: Protocol, line: &[u8]) -> Range<usize> {
        let at = place(protocol);
        if self.open[at].bytes.len() >= PAGE_BYTES {
            self.complete_one(at);
        }
        let page = &mut self.open[at];
        if page.bytes.capacity() == 0 {
            reuse(&mut self.complete, page);
        }
        let start = page.bytes.len();
        page.bytes.extend_from_slice(line);
        if protocol == Protocol::Resp2 {
            page.bytes[start] = b'*';
        }
        start..page.bytes.len()
    }

    /// The page that is being written.
    #[inline]
    pub fn lines(&self, protocol: Protocol) -> &Lines {
        &self.open[place(protocol)].lines
    }

    /// Completes what was written.
    #[inline]
    pub fn complete(&mut self) {
        for at in 0..self.open.len() {
            if !self.open[at].bytes.is_empty() {
                self.complete_one(at);
            }
        }
    }

    fn complete_one(&mut self, at: usize) {
        let Page { bytes, lines } = std::mem::take(&mut self.open[at]);
        let was_open = lines.set(bytes).is_ok();
        debug_assert!(was_open, "a page is completed once");
        if self.complete.len() == KEPT {
            self.complete.pop_front();
        }
        self.complete.push_back(lines);
    }
}

fn place(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Resp2 => 0,
        Protocol::Resp3 => 1,
    }
}

/// Takes the memory of a page that nobody refers to any more.
fn reuse(complete: &mut VecDeque<Lines>, page: &mut Page) {
    for _ in 0..complete.len() {
        let Some(mut old) = complete.pop_front() else { return };
        match Arc::get_mut(&mut old).map(OnceLock::take) {
            // Still on its way to someone.
            None => complete.push_back(old),
            Some(Some(mut bytes)) if bytes.capacity() <= KEPT_BYTES => {
                bytes.clear();
                *page = Page { bytes, lines: old };
                return;
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::Output;

    fn refer(pages: &mut Pages, protocol: Protocol, line: &str, out: &mut Output) {
        let range = pages.write(protocol, line.as_bytes());
        out.refer(pages.lines(protocol), range);
    }

    #[test]
    fn who_gets_everything_gets_one_run_of_bytes() {
        let (mut pages, mut all, mut one) = (Pages::default(), Output::default(), Output::default());
        for line in [">a", ">b", ">c"] {
            let range = pages.write(Protocol::Resp3, line.as_bytes());
            all.refer(pages.lines(Protocol::Resp3), range.clone());
            if line != ">b" {
                one.refer(pages.lines(Protocol::Resp3), range);
            }
        }
        pages.complete();
        assert_eq!((all.shared.len(), all.to_vec()), (1, b">a>b>c".to_vec()));
        assert_eq!((one.shared.len(), one.to_vec()), (2, b">a>c".to_vec()));
    }

    #[test]
    fn replies_stay_between_the_messages() {
        let (mut pages, mut out) = (Pages::default(), Output::default());
        refer(&mut pages, Protocol::Resp3, "a", &mut out);
        out.bytes.extend_from_slice(b"1");
        refer(&mut pages, Protocol::Resp3, "b", &mut out);
        refer(&mut pages, Protocol::Resp3, "c", &mut out);
        out.bytes.extend_from_slice(b"2");
        pages.complete();
        refer(&mut pages, Protocol::Resp3, "d", &mut out);
        pages.complete();
        assert_eq!(out.to_vec(), b"a1bc2d");
        assert_eq!(out.shared.len(), 3);
    }

    #[test]
    fn a_page_is_written_again_when_nobody_refers_to_it() {
        let mut pages = Pages::default();
        let mut first = Output::default();
        refer(&mut pages, Protocol::Resp2, "first", &mut first);
        pages.complete();
        let mut second = Output::default();
        refer(&mut pages, Protocol::Resp2, "second", &mut second);
        pages.complete();
        assert_eq!((first.to_vec(), second.to_vec()), (b"*irst".to_vec(), b"*econd".to_vec()));
        let place = first.shared[0].1.bytes().as_ptr();
        drop(first);
        let mut third = Output::default();
        refer(&mut pages, Protocol::Resp2, "third", &mut third);
        pages.complete();
        assert_eq!((second.to_vec(), third.to_vec()), (b"*econd".to_vec(), b"*hird".to_vec()));
        assert_eq!(third.shared[0].1.bytes().as_ptr(), place);
    }

    #[test]
    fn pages_are_bounded() {
        let (mut pages, mut out) = (Pages::default(), Output::default());
        let line = "*".repeat(1000);
        (0..300).for_each(|_| refer(&mut pages, Protocol::Resp2, &line, &mut out));
        pages.complete();
        assert_eq!(out.shared.len(), 3);
        assert!(out.shared.iter().all(|(_, of, _)| of.bytes().len() < PAGE_BYTES + line.len()));
        assert_eq!(out.to_vec(), line.repeat(300).into_bytes());
        for _ in 0..2 * KEPT {
            refer(&mut pages, Protocol::Resp2, &line, &mut Output::default());
            pages.complete();
        }
        assert!(pages.complete.len() <= KEPT);
    }
}
