//! The values of all settings at one moment.
//!
//! A `Config` is plain data: cores hold it behind an `Arc`, and a change builds a new one. It is
//! not the place where a change takes effect; whoever sets a value acts on what changed.

use super::directive::Directive;
use super::id::{self, ChoiceId, FlagId, IntegerId, MemoryId, SecretId, TextId};
use super::setting::{Kind, Setting};
use super::settings::{COUNT, Id, TABLE};
use super::special::{ClientClass, OutputLimit, PrimaryAddress, SaveRule};
use super::value::{self, Refusal, Value};
use std::path::Path;

/// `hz` outside of this is pulled inside, not refused, as in Redis.
const HZ_RANGE: std::ops::RangeInclusive<i64> = 1..=500;

/// A smaller replication backlog is made this large, as in Redis.
const BACKLOG_BYTES_MIN: i64 = 16 << 10;

/// The values of all settings, and the directives that are not settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    values: Vec<Value>,
    directives: Vec<Directive>,
}

/// A bound in bytes or as a share of `maxmemory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryBound {
    Bytes(u64),
    Percent(u8),
}

impl Default for Config {
    fn default() -> Config {
        let values: Vec<Value> = TABLE.iter().map(|setting| default_value(setting)).collect();
        assert_eq!(values.len(), COUNT);
        Config { values, directives: Vec::new() }
    }
}

/// The value that a setting has when nobody says otherwise.
pub(super) fn default_value(setting: &Setting) -> Value {
    let none = match setting.kind {
        Kind::Primary => return Value::Primary(None),
        Kind::Directory => {
            // Without a readable working directory the name itself stays.
            return Value::Directory(
                std::fs::canonicalize(setting.default).unwrap_or_else(|_| setting.default.into()),
            );
        }
        _ => Value::Flag(false),
    };
    let args: Vec<&[u8]> = if setting.takes_several() && !setting.default.is_empty() {
        setting.default.split(' ').map(str::as_bytes).collect()
    } else {
        vec![setting.default.as_bytes()]
    };
    value::parse(setting, &args, &none)
        .unwrap_or_else(|refusal| panic!("default of {}: {refusal}", setting.name))
}

impl Config {
    /// Is it `yes`?
    pub fn flag(&self, id: FlagId) -> bool {
        matches!(self.value(id.0), Value::Flag(true))
    }

    /// The number.
    pub fn integer(&self, id: IntegerId) -> i64 {
        self.number(id.0)
    }

    /// A number of bytes.
    pub fn memory(&self, id: MemoryId) -> u64 {
        self.number(id.0) as u64
    }

    /// The name that was chosen; several are separated by blanks.
    pub fn choice(&self, id: ChoiceId) -> String {
        value::show_choice(id.0.setting(), self.choice_bits(id))
    }

    /// The choice as the number (or bits) that its row gives it.
    pub fn choice_bits(&self, id: ChoiceId) -> u32 {
        match self.value(id.0) {
            Value::Choice(bits) => *bits,
            other => unreachable!("{} holds {other:?}", id.0.setting().name),
        }
    }

    /// The text, which may be empty.
    pub fn text(&self, id: TextId) -> &str {
        match self.value(id.0) {
            Value::Text(text) => text,
            other => unreachable!("{} holds {other:?}", id.0.setting().name),
        }
    }

    /// The text, or nothing when it is empty.
    pub fn optional(&self, id: TextId) -> Option<&str> {
        Some(self.text(id)).filter(|text| !text.is_empty())
    }

    /// The bytes, or nothing when they are empty.
    pub fn secret(&self, id: SecretId) -> Option<&[u8]> {
        match self.value(id.0) {
            Value::Secret(bytes) if !bytes.is_empty() => Some(bytes),
            _ => None,
        }
    }

    /// The working directory, absolute.
    pub fn dir(&self) -> &Path {
        match self.value(id::DIR) {
            Value::Directory(path) => path,
            other => unreachable!("dir holds {other:?}"),
        }
    }

    /// `bind`: what to listen on.
    pub fn bind(&self) -> &[String] {
        match self.value(id::BIND) {
            Value::Bind(addresses) => addresses,
            other => unreachable!("bind holds {other:?}"),
        }
    }

    /// `save`: when to save without being asked.
    pub fn save_rules(&self) -> &[SaveRule] {
        match self.value(id::SAVE) {
            Value::Save(rules) => rules,
            other => unreachable!("save holds {other:?}"),
        }
    }

    /// `client-output-buffer-limit` of a class.
    pub fn output_limit(&self, class: ClientClass) -> OutputLimit {
        match self.value(id::CLIENT_OUTPUT_BUFFER_LIMIT) {
            Value::OutputLimits(limits) => limits[class as usize],
            other => unreachable!("client-output-buffer-limit holds {other:?}"),
        }
    }

    /// Scores for a primary, a replica and a background child.
    pub fn oom_scores(&self) -> [i32; 3] {
        match self.value(id::OOM_SCORE_ADJ_VALUES) {
            Value::OomScores(scores) => *scores,
            other => unreachable!("oom-score-adj-values holds {other:?}"),
        }
    }

    /// Bits of [`events`](super::events).
    pub fn notify_events(&self) -> u32 {
        match self.value(id::NOTIFY_KEYSPACE_EVENTS) {
            Value::Events(events) => *events,
            other => unreachable!("notify-keyspace-events holds {other:?}"),
        }
    }

    /// `latency-tracking-info-percentiles`.
    pub fn latency_percentiles(&self) -> &[f64] {
        match self.value(id::LATENCY_TRACKING_INFO_PERCENTILES) {
            Value::Percentiles(percentiles) => percentiles,
            other => unreachable!("latency-tracking-info-percentiles holds {other:?}"),
        }
    }

    /// `replicaof`: whose replica this is.
    pub fn primary(&self) -> Option<&PrimaryAddress> {
        match self.value(id::REPLICAOF) {
            Value::Primary(primary) => primary.as_ref(),
            other => unreachable!("replicaof holds {other:?}"),
        }
    }

    /// Follows REPLICAOF, which changes what CONFIG SET may not.
    pub fn set_primary(&mut self, primary: Option<PrimaryAddress>) {
        self.values[id::REPLICAOF.index()] = Value::Primary(primary);
    }

    /// `maxmemory-clients`; 0 bytes is no bound.
    pub fn maxmemory_clients(&self) -> MemoryBound {
        match self.number(id::MAXMEMORY_CLIENTS) {
            percent @ -100..0 => MemoryBound::Percent(percent.unsigned_abs() as u8),
            bytes => MemoryBound::Bytes(bytes as u64),
        }
    }

    /// `loadmodule`, `user`, `rename-command` and the like, in the order in which they were read.
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    pub(super) fn add_directive(&mut self, directive: Directive) {
        self.directives.push(directive);
    }

    /// The value as CONFIG GET reports it.
    pub fn show(&self, id: Id) -> Vec<u8> {
        value::show(id.setting(), self.value(id))
    }

    /// The value of any setting.
    pub fn value(&self, id: Id) -> &Value {
        &self.values[id.index()]
    }

    /// Reads a value and puts it in place; says whether that was a change.
    pub(super) fn put(&mut self, id: Id, args: &[&[u8]]) -> Result<bool, Refusal> {
        let mut new = value::parse(id.setting(), args, self.value(id))?;
        if let Value::Number(number) = &mut new {
            if id == id::HZ.0 {
                *number = (*number).clamp(*HZ_RANGE.start(), *HZ_RANGE.end());
            } else if id == id::REPL_BACKLOG_SIZE.0 {
                *number = (*number).max(BACKLOG_BYTES_MIN);
            }
        }
        let changed = new != *self.value(id);
        self.values[id.index()] = new;
        Ok(changed)
    }

    /// Adds the rules of a further `save` line.
    pub(super) fn add_save_rules(&mut self, args: &[&[u8]]) -> Result<(), Refusal> {
        let mut rules = self.save_rules().to_vec();
        let Value::Save(more) = value::parse(id::SAVE.setting(), args, self.value(id::SAVE))? else {
            unreachable!("save parses to save rules")
        };
        // An empty line forgets what came before.
        if more.is_empty() {
            rules.clear();
        }
        rules.extend(more);
        self.values[id::SAVE.index()] = Value::Save(rules);
        Ok(())
    }

    fn number(&self, id: Id) -> i64 {
        match self.value(id) {
            Value::Number(number) => *number,
            other => unreachable!("{} holds {other:?}", id.setting().name),
        }
    }
}
