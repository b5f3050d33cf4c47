//! Transactions: routing requests to shards and running what spans several of them as one.

pub mod coordinator;
pub mod execute;
pub mod finish;
pub mod grace;
pub mod intents;
pub mod log;
pub mod message;
pub mod multi;
pub mod queue;
pub mod route;
pub mod single;

pub use coordinator::{Claim, Coordinator, Event, Next, Program, Stage};
pub use grace::Grace;
pub use queue::{Queue, TxId};
pub use route::Route;
