//! The runtime: the only room that names glommio, io-uring and (beside `sys`) libc.

mod clock;
mod ending;
pub mod engine;
mod epoll;
pub mod face;
pub mod mesh;
mod outbox;
mod pool;
mod slices;
pub mod socket;
mod uring;
pub mod wake;

#[cfg(test)]
mod tests;
