//! One table of settings, and everything that derives from it.
//!
//! A row of [`settings`] declares a setting once: name, older names, what it takes, default,
//! whether it may change at run time, and what it means. From the table come CONFIG GET and SET
//! ([`access`]), CONFIG REWRITE ([`rewrite`]), the configuration file ([`load`]), flags and
//! environment variables ([`startup`]) and the commented default file ([`generate`]).
//!
//! What a setting does is not here: this room knows no other, and changing a value changes
//! nothing but the value.
//!
//! Strength of sources, weakest first: defaults, the file (then standard input), environment
//! variables `CORESHARD_<NAME>`, flags.

pub mod access;

pub mod directive;
mod files;
pub mod generate;
pub mod id;
pub mod line;
pub mod load;
pub mod number;
pub mod rewrite;
pub mod setting;
pub mod settings;
pub mod special;
pub mod startup;
pub mod value;
pub mod values;

#[cfg(test)]
mod tests;

pub use access::{ConfigSetError, SetContext};
pub use directive::Directive;
pub use load::{ConfigError, Origin};
pub use settings::Id;
pub use special::shutdown;
pub use special::{ClientClass, OutputLimit, PrimaryAddress, SaveRule, events};
pub use startup::{Action, Startup};
pub use values::{Config, MemoryBound};
