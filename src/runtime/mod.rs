//! The runtime: the only room that names glommio, io-uring and (beside `sys`) libc.

pub mod face;
pub mod mesh;
