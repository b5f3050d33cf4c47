//! Scripts, functions and modules.

use super::*;

pub(super) const SETTINGS: &[Setting] = &[
    integer(
        "busy-reply-threshold",
        "5000",
        (0, LONG_MAX),
        "Milliseconds after which other clients are told that a script is busy; 0 never tells them.",
    )
    .aliases(&["lua-time-limit"]),
    flag("lua-enable-deprecated-api", "no", "Offer functions to Lua scripts that newer Redis took away.")
        .immutable()
        .hidden()
        .area(Area::Compatibility),
];
