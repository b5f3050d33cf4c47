//! Lists: a sequence of listpacks, as Redis's quicklist is one.
//!
//! ```text
//!   List   │ node │ node │ node │ …         a deque of nodes; a list of one node has no deque
//!            │      │      └ large: one element too big for a listpack, shared with replies
//!            │      └ listpack of up to 8 KB (`list-max-listpack-size`)
//!            └ listpack, with a gap at its front when elements left or came there
//! ```
//!
//! What it costs: pushing and popping is constant and moves nothing but the element; finding an index walks the nodes
//! and then one listpack, from the nearer end; changes in the middle touch one node and its neighbours. Nothing ever
//! copies the whole list.
//!
//! A list of one listpack node is the packed form that lives inside its key's entry while it is short
//! ([`Collection::packed`](super::Collection)).
//!
//! INVARIANT: no node is empty, except the only one of an empty list. `List::len` is the sum of the nodes' lengths, and
//! `nodes_bytes` that of their memory.
//!
//! Where elements come to lie follows Redis 7.0's rules for filling, splitting and merging nodes, so that a list that
//! was built by the same commands is dumped as the same bytes; with two exceptions, where Redis fills a node beyond its
//! limit and this does not: when an element is replaced by a longer one, and when a big one is inserted in the middle of
//! a node. Nothing is compressed: `list-compress-depth` chooses nothing.

mod edit;
mod limit;
mod nodes;
mod quicklist;
#[cfg(test)]
mod tests;
mod view;

pub use edit::{Side, Spot};
pub use limit::NodeLimit;
pub use nodes::Node;
pub use quicklist::{End, List};
pub use view::{Item, ListView, Place};
