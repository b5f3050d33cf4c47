//! What every test binary needs: start a server, talk to it, wait for a condition.
//!
//! It is not a client library: it blocks, it panics when the network does, and it speaks the
//! protocol by hand so that a test sees exactly the bytes that a client would see. A binary takes
//! it in with `#[path = "../support/mod.rs"] mod support;`, and uses what it needs of it.
//!
//! The binary under test is the `coreshard` that Cargo built. `CORESHARD_TEST_SERVER` names another
//! one, for instance `/usr/bin/redis-server`: then the tests say what Redis does, and the flags that
//! Redis does not know are left out. `CORESHARD_TEST_ENGINE` is handed to `--engine`.
#![allow(dead_code, unused_imports, unused_macros)]

mod client;
mod seed;
mod server;
mod setup;
mod slot;
mod value;
mod wait;

pub use client::{Arguments, Client, Protocol, encode, show};
pub use seed::{Rng, seed_from_environment};
pub use server::{Options, Server, ServerKind};
pub use setup::{Setup, each_placement, each_setup, with_server};
pub use slot::slot_of;
pub use value::{
    Value, array, big_number, boolean, bulk, double, err, int, map, nil, nil_array, ok, push, set, simple,
    verbatim,
};
pub use wait::wait_until;

/// Arguments of different types in one command: `args!["SET", &key, 5]`.
macro_rules! args {
    ($($argument:expr),* $(,)?) => {
        [$($crate::support::Argument::bytes(&$argument)),*]
    };
}
pub(crate) use args;

/// One argument of a command: text, bytes or an integer.
pub trait Argument {
    fn bytes(&self) -> Vec<u8>;
}

macro_rules! integer_arguments {
    ($($integer:ty),*) => {$(
        impl Argument for $integer {
            fn bytes(&self) -> Vec<u8> {
                self.to_string().into_bytes()
            }
        }
    )*};
}
integer_arguments!(i32, i64, i128, u32, u64, usize);

impl Argument for str {
    fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Argument for String {
    fn bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl Argument for [u8] {
    fn bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl Argument for Vec<u8> {
    fn bytes(&self) -> Vec<u8> {
        self.clone()
    }
}

impl<const N: usize> Argument for [u8; N] {
    fn bytes(&self) -> Vec<u8> {
        self.to_vec()
    }
}

impl<T: Argument + ?Sized> Argument for &T {
    fn bytes(&self) -> Vec<u8> {
        (**self).bytes()
    }
}
