//! Passwords, access control lists and dangerous commands.

use super::*;

const PUBSUB_DEFAULT: &[(&str, u32)] = &[("allchannels", 1), ("resetchannels", 0)];
const PERMISSION: &[(&str, u32)] = &[("no", 0), ("yes", 1), ("local", 2)];

pub(super) const SETTINGS: &[Setting] = &[
    special(
        "requirepass",
        Kind::Secret,
        "",
        "Password of the default user, which clients give with AUTH; none when empty.",
    )
    .sensitive(),
    text("aclfile", "", "File with the users' definitions, instead of user lines in this file.")
        .immutable()
        .area(Area::Acl),
    integer("acllog-max-len", "128", (0, LONG_MAX), "Entries that ACL LOG keeps.").area(Area::Acl),
    choice(
        "acl-pubsub-default",
        "resetchannels",
        PUBSUB_DEFAULT,
        "Channels that a new user may use: all or none.",
    )
    .area(Area::Acl),
    choice(
        "enable-protected-configs",
        "no",
        PERMISSION,
        "Who may change protected settings with CONFIG SET: nobody, everybody, or clients on this host.",
    )
    .immutable(),
    choice(
        "enable-debug-command",
        "no",
        PERMISSION,
        "Who may use DEBUG: nobody, everybody, or clients on this host.",
    )
    .immutable(),
    choice(
        "enable-module-command",
        "no",
        PERMISSION,
        "Who may use MODULE: nobody, everybody, or clients on this host.",
    )
    .immutable()
    .area(Area::Modules),
];
