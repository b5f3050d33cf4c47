//! Ranges of scores and of members, as their borders.

use crate::types::listpack::Element;

/// One end of a range of scores.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScoreBound {
    pub score: f64,
    pub exclusive: bool,
}

/// Scores between two borders.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ScoreRange {
    pub min: ScoreBound,
    pub max: ScoreBound,
}

impl ScoreRange {
    /// Everything.
    pub const ALL: ScoreRange = ScoreRange {
        min: ScoreBound { score: f64::NEG_INFINITY, exclusive: false },
        max: ScoreBound { score: f64::INFINITY, exclusive: false },
    };

    /// Is the score before the range?
    #[inline]
    pub fn is_above(&self, score: f64) -> bool {
        if self.min.exclusive { score <= self.min.score } else { score < self.min.score }
    }

    /// Is the score in the range, or before it?
    #[inline]
    pub fn reaches(&self, score: f64) -> bool {
        if self.max.exclusive { score < self.max.score } else { score <= self.max.score }
    }
}

/// One end of a range of members.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LexBound<'a> {
    /// Before all members, `-`.
    First,
    /// Behind all members, `+`.
    Last,
    Inclusive(&'a [u8]),
    Exclusive(&'a [u8]),
}

/// Members between two borders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LexRange<'a> {
    pub min: LexBound<'a>,
    pub max: LexBound<'a>,
}

impl LexRange<'_> {
    /// Is the member before the range?
    #[inline]
    pub fn is_above(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::First => false,
            LexBound::Last => true,
            LexBound::Inclusive(min) => member < min,
            LexBound::Exclusive(min) => member <= min,
        }
    }

    /// Is the member in the range, or before it?
    #[inline]
    pub fn reaches(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::First => false,
            LexBound::Last => true,
            LexBound::Inclusive(max) => member <= max,
            LexBound::Exclusive(max) => member < max,
        }
    }
}

/// The same questions about an entry of a listpack.
#[inline]
pub fn with_text<R>(element: Element<'_>, ask: impl FnOnce(&[u8]) -> R) -> R {
    ask(element.as_bytes(&mut itoa::Buffer::new()))
}
