//! What a value is: encodings and numbers. Knows nothing of commands, clients or files.

pub mod glob;
