//! The libraries that scripts find beside Lua's own.

pub mod bit;
pub mod cjson;
pub mod cmsgpack;
pub mod json_read;
pub mod random;
pub mod redis;
pub mod structs;
