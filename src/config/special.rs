//! Settings with a grammar of their own: save points, output buffer limits, OOM scores,
//! notification classes, addresses, the primary's address, percentiles.

use super::number;
use super::value::{Refusal, Value};

/// Snapshot when at least `changes` writes happened in the last `seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaveRule {
    pub seconds: u64,
    pub changes: u32,
}

/// How much unread output a class of clients may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimit {
    /// Beyond this the client is closed at once; 0 means no limit.
    pub hard_bytes: u64,
    /// Beyond this for `soft_seconds` without a break the client is closed; 0 means no limit.
    pub soft_bytes: u64,
    pub soft_seconds: i64,
}

/// The classes of `client-output-buffer-limit`, in the order in which limits are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientClass {
    Normal = 0,
    Replica = 1,
    PubSub = 2,
}

/// The address of the primary that this server replicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrimaryAddress {
    pub host: String,
    pub port: u16,
}

/// Bits of `notify-keyspace-events`.
pub mod events {
    pub const KEYSPACE: u32 = 1 << 0;
    pub const KEYEVENT: u32 = 1 << 1;
    pub const GENERIC: u32 = 1 << 2;
    pub const STRING: u32 = 1 << 3;
    pub const LIST: u32 = 1 << 4;
    pub const SET: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const ZSET: u32 = 1 << 7;
    pub const EXPIRED: u32 = 1 << 8;
    pub const EVICTED: u32 = 1 << 9;
    pub const STREAM: u32 = 1 << 10;
    /// Not part of `A`: a miss is news about a read.
    pub const KEY_MISS: u32 = 1 << 11;
    pub const MODULE: u32 = 1 << 13;
    /// Not part of `A`.
    pub const NEW: u32 = 1 << 14;
    /// Of Redis 8.2, as the next; neither is part of `A`.
    pub const OVERWRITTEN: u32 = 1 << 15;
    pub const TYPE_CHANGED: u32 = 1 << 16;
    /// Channels that name fields, of Redis 8.8; like those of keys and events, none is part of `A`.
    pub const SUBKEYSPACE: u32 = 1 << 17;
    pub const SUBKEYEVENT: u32 = 1 << 18;
    pub const SUBKEYSPACEITEM: u32 = 1 << 19;
    pub const SUBKEYSPACEEVENT: u32 = 1 << 20;
    pub const ALL: u32 = GENERIC | STRING | LIST | SET | HASH | ZSET | EXPIRED | EVICTED | STREAM | MODULE;
}

/// The letters in the order in which CONFIG GET writes them.
const EVENT_LETTERS: [(u8, u32); 21] = [
    (b'A', events::ALL),
    (b'g', events::GENERIC),
    (b'$', events::STRING),
    (b'l', events::LIST),
    (b's', events::SET),
    (b'h', events::HASH),
    (b'z', events::ZSET),
    (b'x', events::EXPIRED),
    (b'e', events::EVICTED),
    (b't', events::STREAM),
    (b'd', events::MODULE),
    (b'n', events::NEW),
    (b'o', events::OVERWRITTEN),
    (b'c', events::TYPE_CHANGED),
    (b'K', events::KEYSPACE),
    (b'E', events::KEYEVENT),
    (b'm', events::KEY_MISS),
    (b'S', events::SUBKEYSPACE),
    (b'T', events::SUBKEYEVENT),
    (b'I', events::SUBKEYSPACEITEM),
    (b'V', events::SUBKEYSPACEEVENT),
];

/// Bits of `shutdown-on-sigterm` and `shutdown-on-sigint`.
pub mod shutdown {
    pub const SAVE: u32 = 1;
    pub const NOSAVE: u32 = 2;
    pub const NOW: u32 = 4;
    pub const FORCE: u32 = 8;
}

const BIND_ADDRESSES_MAX: usize = 16;

/// Pairs of seconds and changes; one empty text is no rule.
pub fn parse_save(args: &[&[u8]]) -> Result<Vec<SaveRule>, Refusal> {
    const REFUSAL: &str = "Invalid save parameters";
    if matches!(args, [only] if only.is_empty()) {
        return Ok(Vec::new());
    }
    if !args.len().is_multiple_of(2) {
        return Err(REFUSAL.into());
    }
    args.chunks_exact(2)
        .map(|pair| {
            let seconds = number::c_integer(pair[0], 10).map(|(n, _)| n).filter(|n| *n >= 1);
            let changes = number::c_integer(pair[1], 10).map(|(n, _)| n).filter(|n| *n >= 0);
            let (seconds, changes) = seconds.zip(changes).ok_or(REFUSAL)?;
            // Redis holds changes in 32 bits; what cannot be counted up to is as good as the end.
            let changes = i32::try_from(changes).unwrap_or(i32::MAX) as u32;
            Ok(SaveRule { seconds: seconds as u64, changes })
        })
        .collect()
}

/// The rules as CONFIG GET shows them.
pub fn show_save(rules: &[SaveRule]) -> String {
    let shown: Vec<_> = rules.iter().map(|rule| format!("{} {}", rule.seconds, rule.changes)).collect();
    shown.join(" ")
}

/// Quads of class, hard limit, soft limit and seconds. Each replaces the limits of its class.
pub fn parse_output_limits(args: &[&[u8]], limits: &mut [OutputLimit; 3]) -> Result<(), Refusal> {
    if !args.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for quad in args.chunks_exact(4) {
        let class = match quad[0].to_ascii_lowercase().as_slice() {
            b"normal" => ClientClass::Normal,
            b"slave" | b"replica" => ClientClass::Replica,
            b"pubsub" => ClientClass::PubSub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let hard = number::memory(quad[1]);
        let soft = number::memory(quad[2]);
        let seconds = number::c_integer(quad[3], 10).map(|(n, _)| n).filter(|n| *n >= 0);
        let (Some(hard_bytes), Some(soft_bytes), Some(soft_seconds)) = (hard, soft, seconds) else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
        };
        let soft_seconds = soft_seconds.min(i64::from(i32::MAX));
        limits[class as usize] = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
    }
    Ok(())
}

/// Redis: CONFIG GET says `slave` where CONFIG REWRITE says `replica`.
pub fn show_output_limits(limits: &[OutputLimit; 3]) -> String {
    let shown: Vec<_> = ["normal", "slave", "pubsub"]
        .iter()
        .zip(limits)
        .map(|(class, limit)| {
            format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
        })
        .collect();
    shown.join(" ")
}

/// Three scores from -2000 to 2000.
pub fn parse_oom_scores(args: &[&[u8]]) -> Result<[i32; 3], Refusal> {
    if args.len() != 3 {
        return Err("wrong number of arguments".into());
    }
    let mut scores = [0; 3];
    for (score, arg) in scores.iter_mut().zip(args) {
        *score = number::c_integer(arg, 10)
            .and_then(|(number, _)| i32::try_from(number).ok())
            .filter(|number| (-2000..=2000).contains(number))
            .ok_or("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")?;
    }
    Ok(scores)
}

/// The scores as CONFIG GET shows them.
pub fn show_oom_scores(scores: &[i32; 3]) -> String {
    format!("{} {} {}", scores[0], scores[1], scores[2])
}

/// Letters of event classes, as bits of [`events`].
pub fn parse_events(letters: &[u8]) -> Result<u32, Refusal> {
    let mut bits = 0;
    for letter in letters.iter().take_while(|letter| **letter != 0) {
        let known = EVENT_LETTERS.iter().find(|(known, _)| known == letter);
        bits |= known.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?.1;
    }
    Ok(bits)
}

/// Redis: with every class selected only `A` is written, and then `n` is not.
pub fn show_events(bits: u32) -> String {
    let all = bits & events::ALL == events::ALL;
    let shown = EVENT_LETTERS.iter().filter(|(letter, bit)| match letter {
        b'A' => all,
        b'K' | b'E' | b'm' | b'S' | b'T' | b'I' | b'V' => bits & bit != 0,
        _ => !all && bits & bit != 0,
    });
    shown.map(|(letter, _)| *letter as char).collect()
}

/// Addresses, not looked up; one empty text is none.
pub fn parse_bind(args: &[&[u8]]) -> Result<Vec<String>, Refusal> {
    if args.len() > BIND_ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".into());
    }
    if matches!(args, [only] if only.is_empty()) {
        return Ok(Vec::new());
    }
    args.iter()
        .map(|arg| String::from_utf8(arg.to_vec()).map_err(|_| "argument must be valid UTF-8".into()))
        .collect()
}

/// `<host> <port>`, or `no one`.
pub fn parse_primary(args: &[&[u8]]) -> Result<Option<PrimaryAddress>, Refusal> {
    let [host, port] = args else { return Err("wrong number of arguments".into()) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        return Ok(None);
    }
    let port = number::c_integer(port, 10)
        .and_then(|(number, _)| u16::try_from(number).ok())
        .ok_or("Invalid master port")?;
    let host = String::from_utf8(host.to_vec()).map_err(|_| "argument must be valid UTF-8")?;
    Ok(Some(PrimaryAddress { host, port }))
}

/// The address as CONFIG GET shows it; empty without one.
pub fn show_primary(primary: Option<&PrimaryAddress>) -> String {
    primary.map(|primary| format!("{} {}", primary.host, primary.port)).unwrap_or_default()
}

/// Numbers from 0 to 100; one empty text is none.
pub fn parse_percentiles(args: &[&[u8]]) -> Result<Vec<f64>, Refusal> {
    if matches!(args, [only] if only.is_empty()) {
        return Ok(Vec::new());
    }
    args.iter()
        .map(|arg| {
            let number =
                number::fraction(arg).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            if (0.0..=100.0).contains(&number) {
                Ok(number)
            } else {
                Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into())
            }
        })
        .collect()
}

/// The numbers as CONFIG GET shows them.
pub fn show_percentiles(percentiles: &[f64]) -> String {
    let shown: Vec<_> = percentiles.iter().map(|number| number::show_fraction(*number)).collect();
    shown.join(" ")
}

/// Conditions of single settings, named in their rows.
pub(super) mod checks {
    use super::Value;

    fn text(value: &Value) -> &str {
        match value {
            Value::Text(text) => text,
            _ => "",
        }
    }

    fn is_path(text: &str) -> bool {
        text.contains(['/', '\\'])
    }

    pub fn db_filename(value: &Value) -> Result<(), &'static str> {
        if is_path(text(value)) { Err("dbfilename can't be a path, just a filename") } else { Ok(()) }
    }

    pub fn append_filename(value: &Value) -> Result<(), &'static str> {
        match text(value) {
            "" => Err("appendfilename can't be empty"),
            name if is_path(name) => Err("appendfilename can't be a path, just a filename"),
            _ => Ok(()),
        }
    }

    pub fn append_dirname(value: &Value) -> Result<(), &'static str> {
        match text(value) {
            "" => Err("appenddirname can't be empty"),
            name if is_path(name) => Err("appenddirname can't be a path, just a dirname"),
            _ => Ok(()),
        }
    }

    pub use super::shutdown::{NOSAVE as SHUTDOWN_NOSAVE, SAVE as SHUTDOWN_SAVE};

    pub fn shutdown(value: &Value) -> Result<(), &'static str> {
        let Value::Choice(bits) = value else { return Ok(()) };
        if bits & (SHUTDOWN_SAVE | SHUTDOWN_NOSAVE) == SHUTDOWN_SAVE | SHUTDOWN_NOSAVE {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously");
        }
        Ok(())
    }

    pub fn hostname(value: &Value) -> Result<(), &'static str> {
        let name = text(value);
        if name.len() >= 256 {
            return Err("Hostnames must be less than 256 characters");
        }
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
            return Err("Hostnames may only contain alphanumeric characters, hyphens or dots");
        }
        Ok(())
    }

    pub fn node_name(value: &Value) -> Result<(), &'static str> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || !b"!#$%&()*+:;<>?@[]^{|}~".contains(&byte);
        if text(value).bytes().all(fits) {
            Ok(())
        } else {
            Err("Announced human node name contained invalid character")
        }
    }

    /// The template must name known variables only and cannot come out empty.
    pub fn proc_title(value: &Value) -> Result<(), &'static str> {
        const REFUSAL: &str = "template format is invalid or contains unknown variables";
        let mut rest = text(value);
        let mut shows_something = false;
        while let Some(start) = rest.find('{') {
            shows_something |= !rest[..start].trim_matches(' ').is_empty();
            rest = &rest[start + 1..];
            if let Some(after) = rest.strip_prefix('{') {
                shows_something = true;
                rest = after;
                continue;
            }
            let end = rest.find('}').ok_or(REFUSAL)?;
            match &rest[..end] {
                "listen-addr" | "port" | "tls-port" => shows_something = true,
                // These may be empty.
                "title" | "server-mode" | "unixsocket" | "config-file" => {}
                _ => return Err(REFUSAL),
            }
            rest = &rest[end + 1..];
        }
        shows_something |= !rest.trim_matches(' ').is_empty();
        if shows_something { Ok(()) } else { Err(REFUSAL) }
    }
}
