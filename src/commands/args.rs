//! The argument cursor: a handler reads its arguments in order, with Redis's errors.

use super::error::CommandError;
use crate::resp::Argv;
use crate::types::number::parse_i64;

/// Reads the arguments after the command name (and subcommand) one by one.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    argv: Argv<'a>,
    at: usize,
}

impl<'a> Args<'a> {
    /// Starts at argument `at`; 1 is the first after the command's name.
    pub fn new(argv: Argv<'a>, at: usize) -> Args<'a> {
        Args { argv, at }
    }

    /// The whole request, name included.
    pub fn argv(&self) -> Argv<'a> {
        self.argv
    }

    /// How many arguments are left.
    pub fn left(&self) -> usize {
        self.argv.len() - self.at
    }

    /// True when every argument was read.
    pub fn is_done(&self) -> bool {
        self.at >= self.argv.len()
    }

    /// The next argument without taking it.
    pub fn peek(&self) -> Option<&'a [u8]> {
        (self.at < self.argv.len()).then(|| self.argv.get(self.at))
    }

    /// The next argument; a syntax error when there is none.
    pub fn take(&mut self) -> Result<&'a [u8], CommandError> {
        let arg = self.peek().ok_or(CommandError::Syntax)?;
        self.at += 1;
        Ok(arg)
    }

    /// Takes the next argument if it is this word, in any case.
    pub fn token(&mut self, word: &str) -> bool {
        match self.peek() {
            Some(arg) if arg.eq_ignore_ascii_case(word.as_bytes()) => {
                self.at += 1;
                true
            }
            _ => false,
        }
    }

    /// The next argument as a 64-bit integer.
    pub fn int(&mut self) -> Result<i64, CommandError> {
        parse_i64(self.take()?).ok_or(CommandError::NotInteger)
    }

    /// The next argument as an integer in a range, with Redis's range error.
    pub fn int_in(&mut self, range: std::ops::RangeInclusive<i64>) -> Result<i64, CommandError> {
        let value = self.int()?;
        if range.contains(&value) { Ok(value) } else { Err(CommandError::OutOfRange) }
    }

    /// The next argument as a number of at least 1, with the command's own error for whatever is none.
    pub fn positive(&mut self, error: &'static str) -> Result<usize, CommandError> {
        let number = parse_i64(self.take()?).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number > 0).ok_or(CommandError::Line(error))
    }

    /// Refuses what was not read.
    pub fn finish(&self) -> Result<(), CommandError> {
        if self.is_done() { Ok(()) } else { Err(CommandError::Syntax) }
    }

    /// All arguments that are left.
    pub fn rest(&mut self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (argv, from) = (self.argv, self.at);
        self.at = argv.len();
        (from..argv.len()).map(move |i| argv.get(i))
    }
}
