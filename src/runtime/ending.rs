//! How a connection ends when its peer has nothing more to say: the same steps in both engines.

/// What the end of the peer's stream led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It has not ended.
    No,
    /// It ended in this turn; what it asked for before is still being answered.
    Seen,
    /// It ended; replies that are still queued leave first.
    Draining,
    /// The handler knows and closes when it has answered everything.
    Kept,
}
