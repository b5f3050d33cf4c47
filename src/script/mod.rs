//! Scripts: Lua programs that run where the data is, as one step.

pub mod lua;
