//! What waits to leave on one connection: chunks that are queued, and chunks that a send is carrying.
//!
//! INVARIANT: bytes leave in the order they were pushed. A chunk in flight neither moves its bytes nor is freed
//! until the engine says that it left or that the send is over.

use std::mem;

use super::face::Chunk;
use super::pool::Pool;

/// Chunks one send carries at most; the kernel refuses more than 1024 pieces.
pub const FLIGHT_CHUNKS: usize = 256;
/// Bytes after which a flight takes no further chunk: a send of all that a long reply has would copy for milliseconds,
/// and its core does nothing else meanwhile.
pub const FLIGHT_BYTES: usize = 256 * 1024;

/// The output of one connection.
#[derive(Default)]
pub struct Outbox {
    queued: Vec<Chunk>,
    flying: Vec<Chunk>,
    /// Chunks of `flying` that have wholly left.
    landed: usize,
    /// Bytes of the next chunk that have left.
    offset: usize,
}

impl Outbox {
    /// Queues a chunk. Small replies of one turn join into one buffer when it has room.
    pub fn push(&mut self, chunk: Chunk, pool: &mut Pool) {
        if chunk.bytes().is_empty() {
            return recycle(chunk, pool);
        }
        if let (Some(Chunk::Bytes(last)), Chunk::Bytes(next)) = (self.queued.last_mut(), &chunk)
            && last.capacity() - last.len() >= next.len()
        {
            last.extend_from_slice(next);
            return recycle(chunk, pool);
        }
        self.queued.push(chunk);
    }

    /// Nothing is queued and nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.flying.is_empty()
    }

    /// Something waits for the next flight.
    pub fn has_queued(&self) -> bool {
        !self.queued.is_empty()
    }

    /// Moves queued chunks into flight when the last flight is over. False when nothing is in flight then.
    pub fn launch(&mut self) -> bool {
        if self.flying.is_empty() {
            debug_assert!(self.landed == 0 && self.offset == 0);
            let mut bytes = 0;
            let fits = self.queued.iter().take(FLIGHT_CHUNKS).take_while(|chunk| {
                let before = bytes;
                bytes += chunk.bytes().len();
                before < FLIGHT_BYTES
            });
            let count = fits.count();
            if count == self.queued.len() {
                mem::swap(&mut self.queued, &mut self.flying);
            } else {
                self.flying.extend(self.queued.drain(..count));
            }
        }
        !self.flying.is_empty()
    }

    /// The pieces in flight that have not left, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let mut offset = self.offset;
        self.flying[self.landed..].iter().map(move |chunk| &chunk.bytes()[mem::take(&mut offset)..])
    }

    /// How many pieces are in flight.
    pub fn piece_count(&self) -> usize {
        self.flying.len() - self.landed
    }

    /// How many bytes are in flight.
    pub fn flight_bytes(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }

    /// `count` bytes of the flight have left. True when that was all of it.
    pub fn advance(&mut self, mut count: usize, pool: &mut Pool) -> bool {
        while count > 0 && self.landed < self.flying.len() {
            let left = self.flying[self.landed].bytes().len() - self.offset;
            if count < left {
                self.offset += count;
                return false;
            }
            count -= left;
            self.offset = 0;
            // The bytes left: a shared value may be dropped now, although others of the flight are under way.
            recycle(mem::replace(&mut self.flying[self.landed], Chunk::Bytes(Vec::new())), pool);
            self.landed += 1;
        }
        debug_assert_eq!(count, 0, "more bytes left than were in flight");
        let done = self.landed == self.flying.len();
        if done {
            self.flying.clear();
            self.landed = 0;
        }
        done
    }

    /// The whole flight has left.
    pub fn land(&mut self, pool: &mut Pool) {
        for chunk in self.flying.drain(..) {
            recycle(chunk, pool);
        }
        self.landed = 0;
        self.offset = 0;
    }

    /// Drops what is queued; what is in flight stays.
    pub fn drop_queued(&mut self, pool: &mut Pool) {
        for chunk in self.queued.drain(..) {
            recycle(chunk, pool);
        }
    }

    /// Gives memory back after a connection with long queues ended.
    pub fn reset(&mut self, pool: &mut Pool) {
        self.drop_queued(pool);
        self.land(pool);
        self.queued.shrink_to(4);
        self.flying.shrink_to(4);
    }
}

fn recycle(chunk: Chunk, pool: &mut Pool) {
    if let Chunk::Bytes(buffer) = chunk {
        pool.give(buffer);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn shared(bytes: &[u8], start: usize, end: usize) -> Chunk {
        Chunk::Shared { value: Arc::new(bytes.to_vec()), start, end }
    }

    fn flight(outbox: &Outbox) -> Vec<u8> {
        outbox.pieces().collect::<Vec<_>>().concat()
    }

    #[test]
    fn a_flight_takes_no_more_than_a_core_may_copy_at_once() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        let long = vec![7; FLIGHT_BYTES / 2];
        (0..5).for_each(|_| outbox.push(shared(&long, 0, long.len()), &mut pool));
        outbox.push(shared(&[8; 3 * FLIGHT_BYTES], 0, 3 * FLIGHT_BYTES), &mut pool);
        let mut flights = Vec::new();
        while outbox.launch() {
            flights.push(outbox.flight_bytes());
            outbox.land(&mut pool);
        }
        // A chunk is never cut.
        let (half, whole) = (FLIGHT_BYTES / 2, FLIGHT_BYTES);
        assert_eq!(flights, [whole, whole, half + 3 * whole]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn short_writes_continue_where_they_stopped() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        outbox.push(Chunk::Bytes(b"abc".to_vec()), &mut pool);
        outbox.push(shared(b"0123456789", 2, 8), &mut pool);
        outbox.push(Chunk::Bytes(Vec::new()), &mut pool);
        outbox.push(Chunk::Bytes(b"xyz".to_vec()), &mut pool);
        assert!(outbox.launch());
        let all = b"abc234567xyz";
        for left in 0..all.len() {
            assert_eq!(flight(&outbox), &all[left..]);
            assert_eq!(outbox.advance(1, &mut pool), left + 1 == all.len());
        }
        assert!(outbox.is_empty() && !outbox.launch());
    }

    #[test]
    fn a_shared_value_is_dropped_as_soon_as_it_left() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        let value = Arc::new(vec![7u8; 10]);
        outbox.push(Chunk::Shared { value: value.clone(), start: 0, end: 10 }, &mut pool);
        outbox.push(Chunk::Bytes(b"tail".to_vec()), &mut pool);
        outbox.launch();
        assert!(!outbox.advance(11, &mut pool));
        assert_eq!(Arc::strong_count(&value), 1);
        assert_eq!(flight(&outbox), b"ail");
    }

    #[test]
    fn replies_that_fit_join_one_buffer() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        let mut first = pool.take();
        first.extend_from_slice(b"+OK\r\n");
        outbox.push(Chunk::Bytes(first), &mut pool);
        outbox.push(Chunk::Bytes(b"+OK\r\n".to_vec()), &mut pool);
        outbox.launch();
        assert_eq!(outbox.piece_count(), 1);
        assert_eq!(flight(&outbox), b"+OK\r\n+OK\r\n");
    }

    #[test]
    fn a_flight_has_a_bounded_number_of_chunks() {
        let (mut outbox, mut pool) = (Outbox::default(), Pool::default());
        for _ in 0..FLIGHT_CHUNKS + 1 {
            outbox.push(shared(b"a", 0, 1), &mut pool);
        }
        outbox.launch();
        assert_eq!(outbox.piece_count(), FLIGHT_CHUNKS);
        outbox.land(&mut pool);
        assert!(outbox.launch());
        assert_eq!(outbox.piece_count(), 1);
    }
}
