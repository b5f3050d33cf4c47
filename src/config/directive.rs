//! Directives of a configuration file that are not settings.
//!
//! They are kept in order for the rooms that understand them; nothing here judges them.

/// A line that CONFIG GET does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `loadmodule <path> [<arg> ...]`
    LoadModule { path: Vec<u8>, args: Vec<Vec<u8>> },
    /// `user <name> [<rule> ...]`
    User { name: Vec<u8>, rules: Vec<Vec<u8>> },
    /// `rename-command <name> <new name>`; an empty new name removes the command.
    RenameCommand { from: Vec<u8>, to: Vec<u8> },
    /// `<module>.<setting> <value>`
    ModuleSetting { name: Vec<u8>, value: Vec<u8> },
    /// `sentinel <arg> ...`
    Sentinel(Vec<Vec<u8>>),
}
