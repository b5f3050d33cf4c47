//! The HTTP port: metrics and health.

use super::core::Core;
use crate::runtime::face::{ConnId, NetIo};

/// Answers what a scraper asked, once its request is complete.
pub fn serve(core: &mut Core, io: &mut dyn NetIo, conn: ConnId) {
    core.close(io, conn);
}
