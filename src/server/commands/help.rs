//! The form of HELP replies.

use crate::resp::Reply;

/// Writes the lines as simple strings between the head and the foot that every HELP has.
pub fn write(container: &str, lines: &[&str], reply: &mut Reply<'_>) {
    let head = format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    reply.array(lines.len() + 3);
    reply.simple(&head);
    for line in lines {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Prints this help.");
}
