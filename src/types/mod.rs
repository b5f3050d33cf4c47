
pub mod glob;
