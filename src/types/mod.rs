//! Values and their encodings.

pub mod number;
