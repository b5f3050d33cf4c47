//! CONFIG GET and CONFIG SET.

use thiserror::Error;

use super::setting::Traits;
use super::settings::Id;
use super::values::Config;

/// What CONFIG SET depends on besides the values.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetContext {
    /// A data set is being loaded.
    pub loading: bool,
    /// `enable-protected-configs` lets this client change protected settings.
    pub protected_allowed: bool,
}

/// Why CONFIG SET changed nothing.
///
/// The text is the reply without its `ERR `; names are shown as Redis shows them (as given, or
/// the setting's own). They are bytes of a client made printable only where they are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigSetError {
    #[error("Unknown option or number of arguments for CONFIG SET - '{0}'")]
    Unknown(String),
    #[error("CONFIG SET failed (possibly related to argument '{name}') - {reason}")]
    Refused { name: String, reason: String },
    /// Answered with the `LOADING` error, not with `ERR`.
    #[error("Redis is loading the dataset in memory")]
    Loading,
}

impl ConfigSetError {
    /// The error for a change that was valid but could not be carried out.
    pub fn refused(name: &str, reason: impl Into<String>) -> ConfigSetError {
        ConfigSetError::Refused { name: name.into(), reason: reason.into() }
    }
}

impl Config {
    /// Answers CONFIG GET for several patterns: names and values, each name once.
    ///
    /// `matches(pattern, name)` decides about patterns (glob style, ignoring case). A name
    /// without wildcards is looked up, is reported as the client spelt it, and finds hidden
    /// settings too.
    pub fn get(&self, patterns: &[&[u8]], matches: &dyn Fn(&[u8], &str) -> bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for pattern in patterns {
            let known = |found: &[(Vec<u8>, Vec<u8>)], name: &[u8]| {
                found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
            };
            if !pattern.iter().any(|byte| b"[*?".contains(byte)) {
                if let Some((id, _)) = Id::find(pattern)
                    && !known(&found, pattern)
                {
                    found.push((pattern.to_vec(), self.show(id)));
                }
                continue;
            }
            for id in Id::all().filter(|id| !id.setting().traits.has(Traits::HIDDEN)) {
                let setting = id.setting();
                for name in std::iter::once(&setting.name).chain(setting.aliases) {
                    if matches(pattern, name) && !known(&found, name.as_bytes()) {
                        found.push((name.as_bytes().to_vec(), self.show(id)));
                    }
                }
            }
        }
        found
    }

    /// Whether the value given for `name` must not be shown in logs.
    pub fn is_sensitive(name: &[u8]) -> bool {
        Id::find(name).is_some_and(|(id, _)| id.setting().traits.has(Traits::SENSITIVE))
    }

    /// Carries out CONFIG SET: all pairs or none.
    ///
    /// Returns the settings whose value is another now (or whose file may be). Acting on them is
    /// the caller's part; if that fails, the caller keeps its old `Config`.
    pub fn set_many(
        &mut self,
        pairs: &[(&[u8], &[u8])],
        context: SetContext,
    ) -> Result<Vec<Id>, ConfigSetError> {
        let names = check_names(pairs, context)?;
        let mut next = self.clone();
        let mut changed = Vec::new();
        for ((id, name), (_, value)) in names.into_iter().zip(pairs) {
            let setting = id.setting();
            // Redis: a client's several arguments are cut at every single blank, without quotes.
            let args: Vec<&[u8]> = match (setting.takes_several(), value.is_empty()) {
                (false, _) => vec![value],
                (true, true) => vec![],
                (true, false) => value.split(|byte| *byte == b' ').collect(),
            };
            let differs = next.put(id, &args).map_err(|refusal| ConfigSetError::refused(name, refusal))?;
            if (differs || setting.traits.has(Traits::VOLATILE)) && !changed.contains(&id) {
                changed.push(id);
            }
        }
        *self = next;
        Ok(changed)
    }
}

/// Finds the settings, and refuses those that may not be set. The first objection counts, except
/// that an unknown name is looked for nowhere after it.
fn check_names(
    pairs: &[(&[u8], &[u8])],
    context: SetContext,
) -> Result<Vec<(Id, &'static str)>, ConfigSetError> {
    let mut names: Vec<(Id, &'static str)> = Vec::with_capacity(pairs.len());
    for (given, _) in pairs {
        let shown = || String::from_utf8_lossy(given).into_owned();
        let refuse = |reason: &str| ConfigSetError::Refused { name: shown(), reason: reason.into() };
        let (id, name) = Id::find(given).ok_or_else(|| ConfigSetError::Unknown(shown()))?;
        let traits = id.setting().traits;
        if traits.has(Traits::IMMUTABLE) {
            return Err(refuse("can't set immutable config"));
        }
        if traits.has(Traits::PROTECTED) && !context.protected_allowed {
            return Err(refuse("can't set protected config"));
        }
        if context.loading && traits.has(Traits::DENY_LOADING) {
            return Err(ConfigSetError::Loading);
        }
        // Redis: a setting may be given once under each of its names.
        if names.iter().any(|(_, known)| *known == name) {
            return Err(refuse("duplicate parameter"));
        }
        names.push((id, name));
    }
    Ok(names)
}
