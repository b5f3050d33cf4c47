//! INCREX: a counter with bounds and a deadline in one step.
//!
//! Options may come in any order, but unlike SET's none may be repeated. A result out of bounds leaves everything as it
//! is and reports an increment of zero; with SATURATE it is moved to the bound, and the reply tells what was added.

use super::expiry::Unit;
use super::incr::{float_of, integer_of};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Edit, Event, NewValue, ValueView};
use crate::types::number::{LongDouble, parse_i64};
use crate::types::raw::table::Ttl;

/// What the counter counts in.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Number {
    Int(i64),
    Float(LongDouble),
}

/// What becomes of the deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Deadline {
    Keep,
    Persist,
    /// `when_none`: only when the key has no deadline (ENX).
    At {
        at_ms: u64,
        when_none: bool,
    },
}

/// The command's options, read and checked.
struct Options {
    increment: Number,
    lower: Option<Number>,
    upper: Option<Number>,
    saturate: bool,
    deadline: Deadline,
}

/// A result: the new value and what was really added.
struct Counted {
    value: Number,
    added: Number,
    /// False when the result was out of bounds.
    is_applied: bool,
}

pub fn increx(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let (now_ms, due_ms) = (ctx.now_ms(), ctx.due_ms());
    let options = Options::of(args, now_ms)?;
    let mut keys = ctx.keys();

    let is_past = matches!(options.deadline, Deadline::At { at_ms, .. } if at_ms <= due_ms);
    let mut delete = false;
    let counted = keys.edit_with(key, |edit| {
        let counted = options.count(edit.value())?;
        if counted.is_applied {
            // Redis: a key that would be gone at once is deleted, and nothing else is reported.
            delete = is_past && options.sets_deadline(edit.expire_at_ms());
            if !delete {
                options.apply(edit, counted.value);
            }
        }
        Ok(counted)
    });
    let counted = match counted {
        Some(counted) => counted?,
        None => {
            let counted = options.count(ValueView::Int(0))?;
            if counted.is_applied && !is_past {
                let ttl = match options.deadline {
                    Deadline::At { at_ms, .. } => Ttl::Set(at_ms),
                    _ => Ttl::Clear,
                };
                let (text, event) = (counted.value.text(), options.event());
                keys.set(key, counted.value.new_value(&text), ttl, event);
                if matches!(ttl, Ttl::Set(_)) {
                    keys.also(key, Event::EXPIRE);
                }
            }
            counted
        }
    };
    if delete {
        keys.remove(key, Event::DEL);
    }
    reply.array(2);
    counted.value.reply(reply);
    counted.added.reply(reply);
    Ok(Outcome::Done)
}

impl Number {
    /// The text that is stored for a float; empty for an integer, which is stored as one.
    fn text(self) -> Vec<u8> {
        match self {
            Number::Int(_) => Vec::new(),
            Number::Float(value) => value.to_human(),
        }
    }

    fn new_value(self, text: &[u8]) -> NewValue<'_> {
        match self {
            Number::Int(value) => NewValue::Int(value),
            Number::Float(_) => NewValue::Bytes(text),
        }
    }

    fn reply(self, reply: &mut Reply<'_>) {
        match self {
            Number::Int(value) => reply.int(value),
            Number::Float(value) => reply.double_text(&value.to_human()),
        }
    }
}

impl Options {
    fn of(args: &mut Args<'_>, now_ms: u64) -> Result<Options, CommandError> {
        let (mut increment, mut is_float) = (None, false);
        let (mut lower, mut upper, mut expiry) = (None, None, None);
        let (mut saturate, mut persist, mut only_new) = (false, false, false);
        while !args.is_done() {
            let word = args.take()?;
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if (is("BYINT") || is("BYFLOAT")) && increment.is_none() {
                is_float = is("BYFLOAT");
                increment = Some(args.take()?);
            } else if is("LBOUND") && lower.is_none() {
                lower = Some(args.take()?);
            } else if is("UBOUND") && upper.is_none() {
                upper = Some(args.take()?);
            } else if is("SATURATE") && !saturate {
                saturate = true;
            } else if is("PERSIST") && !persist && !only_new && expiry.is_none() {
                persist = true;
            } else if is("ENX") && !only_new && !persist {
                only_new = true;
            } else if let Some(unit) = Unit::of(word)
                && expiry.is_none()
                && !persist
            {
                expiry = Some((unit, args.take()?));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        if only_new && expiry.is_none() {
            return Err(CommandError::Line("ERR ENX flag requires an expiration"));
        }
        let number = |text: &[u8], what: &str| {
            if is_float {
                LongDouble::parse(text)
                    .map(Number::Float)
                    .ok_or_else(|| CommandError::text(format!("ERR {what} is not a valid float")))
            } else {
                parse_i64(text).map(Number::Int).ok_or_else(|| {
                    CommandError::text(format!("ERR {what} is not an integer or out of range"))
                })
            }
        };
        let increment = increment.map_or(Ok(Number::Int(1)), |text| number(text, "Increment"))?;
        if matches!(increment, Number::Float(value) if !value.is_finite()) {
            return Err(CommandError::Line("ERR BYFLOAT increment cannot be Infinity"));
        }
        let lower = lower.map(|text| number(text, "LBOUND")).transpose()?;
        let upper = upper.map(|text| number(text, "UBOUND")).transpose()?;
        let crossed = match (lower, upper) {
            (Some(Number::Int(lower)), Some(Number::Int(upper))) => lower > upper,
            (Some(Number::Float(lower)), Some(Number::Float(upper))) => lower > upper,
            _ => false,
        };
        if crossed {
            return Err(CommandError::Line("ERR LBOUND can't be greater than UBOUND"));
        }
        let deadline = match expiry {
            Some((unit, text)) => {
                let number = parse_i64(text).ok_or(CommandError::NotInteger)?;
                Deadline::At { at_ms: unit.deadline(number, now_ms, "increx")?, when_none: only_new }
            }
            None if persist => Deadline::Persist,
            None => Deadline::Keep,
        };
        Ok(Options { increment, lower, upper, saturate, deadline })
    }

    fn event(&self) -> Event {
        match self.increment {
            Number::Int(_) => Event::INCRBY,
            Number::Float(_) => Event::INCRBYFLOAT,
        }
    }

    /// Does a key with this deadline get a new one?
    fn sets_deadline(&self, has: Option<u64>) -> bool {
        matches!(self.deadline, Deadline::At { when_none, .. } if !when_none || has.is_none())
    }

    fn apply(&self, edit: &mut Edit<'_, '_>, value: Number) {
        edit.set(value.new_value(&value.text()));
        edit.commit(self.event());
        match self.deadline {
            Deadline::At { at_ms, .. } if self.sets_deadline(edit.expire_at_ms()) => {
                edit.set_expire(at_ms);
                edit.also(Event::EXPIRE);
            }
            Deadline::Persist if edit.persist() => edit.also(Event::PERSIST),
            _ => {}
        }
    }

    fn count(&self, value: ValueView<'_>) -> Result<Counted, CommandError> {
        match self.increment {
            Number::Int(increment) => self.count_int(integer_of(value)?, increment),
            Number::Float(increment) => self.count_float(float_of(value)?, increment),
        }
    }

    fn count_int(&self, value: i64, increment: i64) -> Result<Counted, CommandError> {
        let bound = |bound, otherwise| match bound {
            Some(Number::Int(bound)) => bound,
            _ => otherwise,
        };
        let (lower, upper) = (bound(self.lower, i64::MIN), bound(self.upper, i64::MAX));
        let sum = value.checked_add(increment);
        let result = match sum {
            Some(sum) if (lower..=upper).contains(&sum) => sum,
            _ if !self.saturate => {
                return Ok(Counted { value: Number::Int(value), added: Number::Int(0), is_applied: false });
            }
            _ => value.saturating_add(increment).clamp(lower, upper),
        };
        let added =
            result.checked_sub(value).ok_or(CommandError::Line("ERR applied increment would overflow"))?;
        Ok(Counted { value: Number::Int(result), added: Number::Int(added), is_applied: true })
    }

    fn count_float(&self, value: LongDouble, increment: LongDouble) -> Result<Counted, CommandError> {
        if !value.is_finite() {
            return Err(CommandError::Line("ERR value cannot be Infinity"));
        }
        let below = |value: LongDouble| matches!(self.lower, Some(Number::Float(lower)) if value < lower);
        let above = |value: LongDouble| matches!(self.upper, Some(Number::Float(upper)) if value > upper);
        let mut result = value.add(increment);
        if !result.is_finite() || below(result) || above(result) {
            if !self.saturate {
                let none = Number::Float(LongDouble::from_i64(0));
                return Ok(Counted { value: Number::Float(value), added: none, is_applied: false });
            }
            result = result.clamp_finite();
            if let (true, Some(Number::Float(lower))) = (below(result), self.lower) {
                result = lower;
            }
            if let (true, Some(Number::Float(upper))) = (above(result), self.upper) {
                result = upper;
            }
        }
        let added = result.sub(value);
        if !added.is_finite() {
            return Err(CommandError::Line("ERR applied increment would be Infinity"));
        }
        Ok(Counted { value: Number::Float(result), added: Number::Float(added), is_applied: true })
    }
}
