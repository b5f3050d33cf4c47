//! How commands of collections read and change them: the keyspace's doors with a client's errors.

use super::error::CommandError;
use crate::shard::{Changed, Keyspace, Note, ValueView, WrongKind};
use crate::types::Collection;

/// The collection under a key, to be read. Counts a hit or a miss, and as access.
#[inline]
pub fn read<'k, C: Collection>(
    keys: &'k mut Keyspace<'_>,
    key: &[u8],
) -> Result<Option<C::View<'k>>, CommandError> {
    keys.view::<C>(key).map_err(|WrongKind| CommandError::WrongType)
}

/// The same of a value that was looked up.
#[inline]
pub fn view_of<C: Collection>(value: ValueView<'_>) -> Result<C::View<'_>, CommandError> {
    crate::shard::collection::view_of::<C>(value).map_err(|WrongKind| CommandError::WrongType)
}

/// Changes the collection under a key; `None` when there is none and `create` is false. See [`Keyspace::change`].
///
/// A change that fails must have left the value as it was, or have noted what it did.
#[inline]
pub fn change<C: Collection, R>(
    keys: &mut Keyspace<'_>,
    key: &[u8],
    create: bool,
    change: impl FnOnce(&mut C, &mut Note) -> Result<R, CommandError>,
) -> Result<Option<R>, CommandError> {
    outcome(keys.change(key, create, change))
}

/// What [`Keyspace::change`] and its like found, with a client's errors.
#[inline]
pub fn outcome<R>(changed: Changed<Result<R, CommandError>>) -> Result<Option<R>, CommandError> {
    match changed {
        Changed::Missing => Ok(None),
        Changed::WrongKind => Err(CommandError::WrongType),
        Changed::Ran(result) => result.map(Some),
    }
}
