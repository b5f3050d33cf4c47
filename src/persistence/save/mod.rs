//! One save: the shards fill buffers, one thread writes them into one file.
//!
//! ```text
//!   shard: Part ──▶ Begins, Bytes …, Ends ──▶ writer: header, AUX, RESIZE_DB … │ SELECT_DB bytes … │ EOF, checksum
//! ```
//!
//! The file has the name `temp-<pid>.rdb` until it is complete and on disk, then it takes the place of the last one,
//! and the folder is synced. What fails leaves the last file as it was.
//!
//! Background slices wait while more than `ROOM_BYTES` are on their way to the disk. Keys that a write waits for
//! are taken in any case: a core never waits for a disk. So the memory of a snapshot is `ROOM_BYTES`, and what is
//! overwritten faster than the disk writes: every key at most once. Buffers go round, so no pages are asked for and given
//! back on the way.
//!
//! The file goes past the page cache where it can (`sys::disk`), and there is one sync, at the end.
//!
//! - `options`: what is to be saved how.
//! - `job`: the save as everybody sees it.
//! - `part`: a shard's side.
//! - `writer`: the thread's side.
//! - `file`: the bytes.

mod file;
mod job;
mod options;
mod part;
mod writer;

pub(super) use file::Out;
pub use file::empty_snapshot;
pub use job::{Outcome, SaveJob};
pub use options::{Base, Functions, SaveOptions};
