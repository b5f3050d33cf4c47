//! The table is sound, and what derives from it behaves as Redis does.

mod loading;
mod random;
mod rewriting;
mod setting;
mod starting;
mod table;

use std::ffi::OsString;

use super::rewrite::rewrite;
use super::settings::TABLE;
use super::*;

fn load(text: &str) -> Result<Config, ConfigError> {
    let mut loader = load::Loader::new();
    loader.text(text.as_bytes(), &Origin::Stdin)?;
    loader.finish()
}

fn refusal(text: &str) -> String {
    load(text).expect_err("the configuration should be refused").to_string()
}

fn show(config: &Config, name: &str) -> String {
    let (id, _) = Id::find(name.as_bytes()).expect("a known setting");
    String::from_utf8(config.show(id)).expect("UTF-8")
}

fn set(config: &mut Config, pairs: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
    let context = SetContext { loading: false, protected_allowed: true };
    match config.set_many(&pairs, context) {
        Ok(ids) => Ok(ids.into_iter().map(|id| id.setting().name).collect()),
        Err(error) => Err(error.to_string()),
    }
}

/// What CONFIG SET answers when it refuses one value.
fn refused(name: &str, value: &str) -> String {
    let error = set(&mut Config::default(), &[(name, value)]).expect_err("should be refused");
    let start = format!("CONFIG SET failed (possibly related to argument '{name}') - ");
    error.strip_prefix(&start).unwrap_or(&error).to_string()
}

fn start(args: &[&str], environment: &[(&str, &str)], stdin: &str) -> Result<Startup, ConfigError> {
    startup::parse(
        args.iter().map(OsString::from),
        environment.iter().map(|(name, value)| (name.into(), value.into())),
        &mut stdin.as_bytes(),
    )
}
