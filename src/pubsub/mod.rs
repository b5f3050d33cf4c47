//! Publish and subscribe without sockets: who of one core's connections subscribed to what, which cores have
//! subscribers at all, and what a message looks like. How messages travel is `net/pubsub`'s.
//!
//! ```text
//!   PUBLISH news hi      core 0                      core 1
//!        │          Subscriptions              Subscriptions
//!        └─ Presence: has core 1 a subscriber      ├─ names:  "news" → {conn 7, conn 9}
//!           who could want it? ── one letter ────▶ └─ conns:  conn 7 → {"news", …}
//! ```

pub mod message;
pub mod pages;
pub mod presence;
pub mod subscriptions;

pub use message::{Letter, Message};
pub use pages::Pages;
pub use presence::Presence;
pub use subscriptions::{Counts, Subscriptions};

/// What a name names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Space {
    Channel,
    Pattern,
    /// A channel of SSUBSCRIBE and SPUBLISH. It lives apart from the others, and no pattern matches it.
    Shard,
}

impl Space {
    pub const ALL: [Space; 3] = [Space::Channel, Space::Pattern, Space::Shard];
}
