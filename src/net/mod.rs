//! Connections: from bytes to commands to bytes, and everything a core holds together.

pub mod batch;
pub mod blocked;
pub mod busy;
pub mod client;
pub mod client_commands;
pub mod clients;
pub mod connection;
pub mod core;
pub mod dispatch;
pub mod durable;
pub mod functions;
pub mod http;
pub mod info;
pub mod lend;
pub mod limits;
pub mod log;
pub mod mail;
pub mod multi;
pub mod observe;
pub mod output;
pub mod pause;
pub mod pubsub;
pub mod replay;
pub mod scripts;
pub mod settings;
pub mod shared;
mod shrinking;
mod sliced;
pub mod tracking;

pub use self::core::Core;
pub use batch::{Asker, Batch, Control};
pub use client::Client;
pub use shared::Shared;
