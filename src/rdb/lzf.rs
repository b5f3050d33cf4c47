//! LZF: the compression of strings in RDB data.
//!
//! ```text
//!  000nnnnn                      n + 1 bytes as they are
//!  lllooooo oooooooo             l + 2 bytes (l of 1 to 6) from o + 1 bytes back
//!  111ooooo llllllll oooooooo    l + 9 bytes from o + 1 bytes back
//! ```
//!
//! Compression finds what Redis's finds, byte for byte, so that a DUMP of ours equals one of Redis. The memory of
//! where three bytes were seen last is kept between strings and never cleared: each entry carries the string it is of.

/// Bits of the hash of three bytes. Redis's choice; another one finds other repetitions.
const HASH_BITS: u32 = 16;
const MAX_BACK: usize = 1 << 13;
const MAX_REPEAT: usize = (1 << 8) + (1 << 3);
const MAX_LITERALS: usize = 1 << 5;
/// Longest string that is compressed, so that positions fit.
const MAX_INPUT: usize = 1 << 31;

/// No input unfolds to more than this many times its length: three bytes give at most 264.
pub const MAX_EXPANSION: usize = 88;

/// A compressor with its memory, to be kept by whoever writes many strings.
pub struct Compressor {
    /// Where three bytes with this hash were seen, plus the base of their string.
    seen: Box<[u32]>,
    /// Entries up to here are of earlier strings.
    base: u32,
}

impl Default for Compressor {
    fn default() -> Compressor {
        Compressor { seen: vec![0; 1 << HASH_BITS].into_boxed_slice(), base: 0 }
    }
}

impl Compressor {
    /// Compresses `input` to at most `room` bytes; `None` when that does not do.
    pub fn compress(&mut self, input: &[u8], room: usize) -> Option<Vec<u8>> {
        if input.len() < 3 || input.len() >= MAX_INPUT || room == 0 {
            return None;
        }
        if self.base > u32::MAX - input.len() as u32 {
            self.seen.fill(0);
            self.base = 0;
        }
        let packed = Run::new(room).compress(self, input);
        self.base += input.len() as u32;
        packed
    }

    /// Where these bytes were seen before in this string, not counting its first position; notes the new place.
    fn swap(&mut self, window: u32, at: usize) -> Option<usize> {
        let hash = (window >> 8).wrapping_sub(window.wrapping_mul(5)) & ((1 << HASH_BITS) - 1);
        let entry = std::mem::replace(&mut self.seen[hash as usize], self.base + at as u32);
        // An entry that equals the base is of this string's first position or of the end of the one before.
        (entry > self.base).then(|| (entry - self.base) as usize)
    }
}

/// The three bytes at `at`.
fn window(input: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([0, input[at], input[at + 1], input[at + 2]])
}

/// The output while it is written: finished pieces, then a run of literals whose first byte waits for their number.
struct Run {
    out: Vec<u8>,
    /// Where the number of the present run goes.
    head: usize,
    room: usize,
}

impl Run {
    fn new(room: usize) -> Run {
        Run { out: vec![0], head: 0, room }
    }

    fn literals(&self) -> usize {
        self.out.len() - self.head - 1
    }

    fn literal(&mut self, byte: u8) {
        self.out.push(byte);
        if self.literals() == MAX_LITERALS {
            self.end();
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.head = self.out.len();
        self.out.push(0);
    }

    /// Ends the run: writes its number, or takes its place back when it is empty.
    fn end(&mut self) {
        match self.literals() {
            0 => self.out.truncate(self.head),
            literals => self.out[self.head] = literals as u8 - 1,
        }
    }

    fn compress(mut self, memory: &mut Compressor, input: &[u8]) -> Option<Vec<u8>> {
        let mut at = 0;
        while at + 2 < input.len() {
            let repeat = memory
                .swap(window(input, at), at)
                .filter(|from| at - from - 1 < MAX_BACK && input[*from..from + 3] == input[at..at + 3]);
            let Some(from) = repeat else {
                if self.out.len() >= self.room {
                    return None;
                }
                self.literal(input[at]);
                at += 1;
                continue;
            };
            if self.out.len() - usize::from(self.literals() == 0) + 4 >= self.room {
                return None;
            }
            let length = repeat_length(input, from, at);
            self.end();
            self.repeat(at - from - 1, length);
            self.begin();
            at += length;
            if at + 2 >= input.len() {
                break;
            }
            // Of the places inside the repetition only the last two are noted: Redis trades ratio for speed so.
            for seen in at - 2..at {
                memory.swap(window(input, seen), seen);
            }
        }
        if self.out.len() + 3 > self.room {
            return None;
        }
        for byte in &input[at..] {
            self.literal(*byte);
        }
        self.end();
        Some(self.out)
    }

    fn repeat(&mut self, back: usize, length: usize) {
        let (high, low) = ((back >> 8) as u8, back as u8);
        match length - 2 {
            short @ 0..7 => self.out.push(high + ((short as u8) << 5)),
            long => self.out.extend([high + (7 << 5), (long - 7) as u8]),
        }
        self.out.push(low);
    }
}

/// How many bytes at `at` repeat those at `from`; three are known to.
///
/// Redis: the bound stops two bytes before the end, except that the first eighteen bytes are compared without it.
fn repeat_length(input: &[u8], from: usize, at: usize) -> usize {
    let bound = (input.len() - at - 2).min(MAX_REPEAT);
    let unbounded = if bound > 16 { 18 } else { 0 };
    let mut length = 3;
    while (length <= unbounded || length < bound) && input[from + length] == input[at + length] {
        length += 1;
    }
    length
}

/// Unfolds `packed` to exactly `length` bytes; `None` when it is not that.
pub fn decompress(packed: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > packed.len().saturating_mul(MAX_EXPANSION) {
        return None;
    }
    let mut out = Vec::with_capacity(length);
    let mut rest = packed;
    while let [control, after @ ..] = rest {
        rest = after;
        if usize::from(*control) < MAX_LITERALS {
            let (literals, after) = rest.split_at_checked(usize::from(*control) + 1)?;
            rest = after;
            out.extend_from_slice(literals);
        } else {
            let mut repeat = usize::from(control >> 5) + 2;
            if repeat == 9 {
                let (more, after) = rest.split_first()?;
                rest = after;
                repeat += usize::from(*more);
            }
            let (low, after) = rest.split_first()?;
            rest = after;
            let back = (usize::from(control & 0x1f) << 8) + usize::from(*low) + 1;
            let from = out.len().checked_sub(back)?;
            if repeat > length - out.len() {
                return None;
            }
            // What is copied may reach into the copy itself.
            for index in from..from + repeat {
                out.push(out[index]);
            }
        }
        if out.len() > length {
            return None;
        }
    }
    (out.len() == length).then_some(out)
}
