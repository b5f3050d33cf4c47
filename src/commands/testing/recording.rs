//! Recordings of what Redis was asked, replayed here: every reply and every event is compared.
//!
//! ```text
//! > command      its words apart by spaces
//! 2 reply        in RESP2
//! 3 reply        in RESP3, where it differs
//! ! event%20key  in the order in which they came
//! ```
//!
//! Escapes: `%xx` a byte, `%(n*unit)` a unit n times, and a lone `%` the empty word.

use super::Bench;
use crate::resp::Protocol;

/// Strings are at most this long while a recording is replayed.
const MAX_BULK_BYTES: usize = 1 << 20;

/// Replays a recording. `untold` names commands and events whose events are not compared: Redis does not tell them, or
/// a [`Bench`] does not see them.
pub fn replay(mut bench: Bench, recording: &str, untold: &[&str]) {
    bench.shard.settings.max_bulk_bytes = MAX_BULK_BYTES;
    let is_resp3 = bench.client.protocol == Protocol::Resp3;
    let mut wrong = Vec::new();
    for case in recording.trim_start_matches("> ").split("\n> ") {
        let mut lines = case.lines();
        let command = lines.next().expect("a command");
        let words: Vec<Vec<u8>> = command.split(' ').map(unescape).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let (mut wanted, mut wanted_events) = (Vec::new(), Vec::new());
        for line in lines {
            match line.split_at(2) {
                ("2 ", reply) => wanted = unescape(reply),
                ("3 ", reply) if is_resp3 => wanted = unescape(reply),
                ("! ", event) => wanted_events.push(String::from_utf8_lossy(&unescape(event)).into_owned()),
                _ => {}
            }
        }
        let (got, mut events) = bench.run_noting(&words);
        let is_untold = |text: &str| text.split(' ').next().is_some_and(|name| untold.contains(&name));
        for events in [&mut events, &mut wanted_events] {
            events.retain(|event| !is_untold(command) && !is_untold(event));
        }
        if got != wanted || events != wanted_events {
            wrong.push(format!(
                "{command:.100}\n  wanted {:.300} {wanted_events:?}\n  got    {:.300} {events:?}",
                wanted.escape_ascii().to_string(),
                got.escape_ascii().to_string()
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn unescape(text: &str) -> Vec<u8> {
    if text == "%" {
        return Vec::new();
    }
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some((plain, escaped)) = rest.split_once('%') {
        out.extend(plain.bytes());
        if let Some(run) = escaped.strip_prefix('(') {
            let (run, after) = run.split_once(')').expect("a run ends");
            let (count, unit) = run.split_once('*').expect("a count and a unit");
            out.extend(unit.as_bytes().repeat(count.parse().expect("a count")));
            rest = after;
        } else {
            let (digits, after) = escaped.split_at(2);
            out.push(u8::from_str_radix(digits, 16).expect("two digits"));
            rest = after;
        }
    }
    out.extend(rest.bytes());
    out
}
