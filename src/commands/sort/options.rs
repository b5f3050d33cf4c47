//! The options of SORT.

use std::ops::Range;

use smallvec::SmallVec;

use super::pattern::Pattern;
use crate::commands::keys_of::{KeyAt, KeysAt};
use crate::commands::spec::Access;
use crate::commands::{Args, CommandError};
use crate::resp::Argv;

/// What a SORT is to do.
pub struct Options<'a> {
    /// The last BY.
    by: Option<Pattern<'a>>,
    /// Some BY named no key per element: then the order stays what it is.
    pub keeps_order: bool,
    pub gets: SmallVec<[Pattern<'a>; 4]>,
    pub alpha: bool,
    pub descending: bool,
    limit: Option<(i64, i64)>,
    /// Which argument names the destination.
    pub store: Option<usize>,
}

impl<'a> Options<'a> {
    /// Reads the arguments of SORT or SORT_RO.
    pub fn take(argv: Argv<'a>) -> Result<Options<'a>, CommandError> {
        let may_store = !argv.get(0).eq_ignore_ascii_case(b"sort_ro");
        let mut options = Options {
            by: None,
            keeps_order: false,
            gets: SmallVec::new(),
            alpha: false,
            descending: false,
            limit: None,
            store: None,
        };
        let mut args = Args::new(argv, 2);
        while !args.is_done() {
            let left = args.left() - 1;
            if args.token("asc") {
                options.descending = false;
            } else if args.token("desc") {
                options.descending = true;
            } else if args.token("alpha") {
                options.alpha = true;
            } else if left >= 2 && args.token("limit") {
                options.limit = Some((args.int()?, args.int()?));
            } else if may_store && left >= 1 && args.token("store") {
                options.store = Some(argv.len() - args.left());
                args.take()?;
            } else if left >= 1 && args.token("by") {
                let by = Pattern::new(args.take()?);
                // Redis: once said, it holds, whatever BY follows.
                options.keeps_order |= !by.names_keys();
                options.by = Some(by);
            } else if left >= 1 && args.token("get") {
                options.gets.push(Pattern::new(args.take()?));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// The pattern by whose keys' values elements are ordered.
    pub fn weight_pattern(&self) -> Option<Pattern<'a>> {
        self.by.filter(|_| !self.keeps_order)
    }

    /// Does LIMIT leave elements out?
    pub fn range(&self, len: usize) -> Range<usize> {
        let Some((start, count)) = self.limit else { return 0..len };
        let start = usize::try_from(start.max(0)).unwrap_or(usize::MAX).min(len);
        // Redis: a negative count is all that there are.
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// The destination, which no key spec can tell: STORE may stand anywhere.
pub fn store_key(argv: Argv<'_>, keys: &mut KeysAt) {
    if let Ok(Options { store: Some(index), .. }) = Options::take(argv) {
        keys.push(KeyAt { index, access: Access::OW.and(Access::UPDATE) });
    }
}
