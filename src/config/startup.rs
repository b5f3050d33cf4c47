//! From the command line and the environment to a configuration.
//!
//! The first argument that does not start with a dash is the configuration file; `-`, first or
//! last, reads standard input after it. Everything else is directives: `--port 7000 --save ""`,
//! appended to the file as Redis appends them. Environment variables stand between the two.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::generate;
use super::line;
use super::load::{ConfigError, Loader, Origin, known_like};
use super::settings::Id;
use super::values::Config;

const VARIABLE_PREFIX: &[u8] = b"CORESHARD_";

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run the server.
    Serve,
    /// Say that the configuration is fine, and end.
    CheckConfig,
    /// Print this, and end.
    Print(String),
}

/// What a start needs to know.
#[derive(Debug)]
pub struct Startup {
    pub config: Config,
    /// The file that CONFIG REWRITE rewrites, absolute.
    pub config_file: Option<PathBuf>,
    pub action: Action,
    /// `--sentinel` was given.
    pub sentinel: bool,
}

/// What the arguments say, before any of it is looked up.
#[derive(Debug, Default)]
struct Arguments {
    config_file: Option<PathBuf>,
    stdin: bool,
    check: bool,
    print: Option<String>,
    sentinel: bool,
    /// The flags as lines of a configuration file.
    directives: Vec<u8>,
}

/// Reads the arguments (without the program's name), the environment and the files they name.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    stdin: &mut dyn Read,
) -> Result<Startup, ConfigError> {
    let args: Vec<OsString> = args.into_iter().collect();
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    let arguments = read_arguments(&args);
    if let Some(text) = arguments.print {
        let action = Action::Print(text);
        return Ok(Startup { config: Config::default(), config_file: None, action, sentinel: false });
    }
    let mut loader = Loader::new().sentinel_mode(arguments.sentinel);
    if let Some(path) = &arguments.config_file {
        loader.file(path)?;
    }
    if arguments.stdin {
        let mut text = Vec::new();
        stdin.read_to_end(&mut text).map_err(ConfigError::Stdin)?;
        loader.text(&text, &Origin::Stdin)?;
    }
    read_environment(&mut loader, environment)?;
    loader.text(&arguments.directives, &Origin::CommandLine)?;
    Ok(Startup {
        config: loader.finish()?,
        // The name is made absolute because a later `dir` changes what a relative one means.
        config_file: arguments.config_file.map(|path| std::path::absolute(&path).unwrap_or(path)),
        action: if arguments.check { Action::CheckConfig } else { Action::Serve },
        sentinel: arguments.sentinel,
    })
}

/// Sorts out the arguments.
///
/// Redis: an argument is a directive's name when it starts with two dashes, unless the directive
/// before it has no value yet; then it is that value. `--save` and `--sentinel` are the
/// exceptions, because scripts have always written them without one.
fn read_arguments(args: &[&[u8]]) -> Arguments {
    let mut found = Arguments::default();
    let mut rest = args;
    match args {
        [b"-v", ..] => found.print = Some(version()),
        [b"-h", ..] => found.print = Some(help()),
        [first, others @ ..] if first.first() != Some(&b'-') => {
            found.config_file = Some(std::ffi::OsStr::from_bytes(first).into());
            rest = others;
        }
        _ => {}
    }
    let mut has_value = true;
    for (place, arg) in rest.iter().enumerate() {
        let last = place + 1 == rest.len();
        // With a file before it, the first of the rest is not the first argument.
        let first = place == 0 && rest.len() == args.len();
        if *arg == b"-" && (first || last) {
            found.stdin = true;
        } else if has_value && arg.starts_with(b"--") {
            match *arg {
                b"--version" => found.print = Some(version()),
                b"--help" => found.print = Some(help()),
                b"--print-default-config" => found.print = Some(generate::default_file()),
                b"--check-config" => found.check = true,
                _ => {
                    let next_is_name = rest.get(place + 1).is_none_or(|next| next.starts_with(b"--"));
                    has_value = push_name(&mut found, arg, last, next_is_name);
                }
            }
        } else {
            found.directives.extend(line::quote(arg));
            found.directives.push(b' ');
            has_value = true;
        }
    }
    found
}

/// Starts a directive; says whether it has a value already.
fn push_name(found: &mut Arguments, arg: &[u8], last: bool, next_is_name: bool) -> bool {
    if !found.directives.is_empty() {
        found.directives.push(b'\n');
    }
    found.directives.extend(&arg[2..]);
    found.directives.push(b' ');
    // Name and value may come in one argument.
    let words = line::split(arg, line::Comments::None).map_or(0, |line| line.args.len());
    if words != 1 {
        return true;
    }
    if next_is_name && arg.eq_ignore_ascii_case(b"--save") {
        found.directives.extend(b"\"\"");
        return !last;
    }
    if arg.eq_ignore_ascii_case(b"--sentinel") {
        found.sentinel = true;
        return next_is_name;
    }
    false
}

/// Applies variables that start with `CORESHARD_`, in the order of their names.
fn read_environment(
    loader: &mut Loader,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    let mut variables: Vec<_> = environment.into_iter().collect();
    variables.sort();
    for (variable, value) in variables {
        let Some(name) = variable.as_bytes().strip_prefix(VARIABLE_PREFIX) else { continue };
        if is_service_link(name, value.as_bytes()) {
            continue;
        }
        let name: Vec<u8> =
            name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect();
        let variable = variable.to_string_lossy().into_owned();
        let Some((id, _)) = Id::find(&name) else {
            return Err(ConfigError::Directive {
                origin: Origin::Environment(variable),
                line: 1,
                text: String::from_utf8_lossy(&name).into_owned(),
                reason: "Bad directive".into(),
                expected: known_like(&name),
            });
        };
        loader.variable(id, value.as_bytes(), &variable)?;
    }
    Ok(())
}

/// Whether Kubernetes made this variable for a service whose name starts with `coreshard`.
///
/// Such a service gives every pod `CORESHARD_PORT=tcp://10.0.0.1:6379` and the like, which must
/// not stop a server.
fn is_service_link(name: &[u8], value: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    let url = value.starts_with(b"tcp://") || value.starts_with(b"udp://") || value.starts_with(b"sctp://");
    let numbered =
        name.split("PORT_").skip(1).any(|after| after.as_bytes().first().is_some_and(u8::is_ascii_digit));
    name.ends_with("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || numbered
        || (name.ends_with("PORT") && url)
}

fn version() -> String {
    format!("coreshard v={} malloc=mimalloc bits={}\n", env!("CARGO_PKG_VERSION"), usize::BITS)
}

fn help() -> String {
    let option = |name: &'static str, help: &'static str| {
        clap::Arg::new(name).long(name).help(help).action(clap::ArgAction::SetTrue)
    };
    clap::Command::new("coreshard")
        .about("A Redis-compatible in-memory data store that uses every core.")
        .override_usage(
            "coreshard [<config file>] [-] [--<directive> <value> ...]\n       \
             coreshard [--check-config | --print-default-config | --version | --help]",
        )
        .disable_help_flag(true)
        .arg(option("check-config", "Read the configuration, say what is wrong with it, and end"))
        .arg(option("print-default-config", "Print a commented coreshard.conf with the defaults"))
        .arg(option("version", "Print the version (-v)"))
        .arg(option("help", "Print this (-h)"))
        .after_help(
            "Every directive of redis.conf is a flag. Later ones win: the file, standard input (-),\n\
             environment variables CORESHARD_<DIRECTIVE> (with _ for -), flags.\n\n\
             Examples:\n  \
             coreshard\n  \
             coreshard /etc/coreshard.conf --port 7000 --save \"\"\n  \
             echo 'maxmemory 100mb' | coreshard -\n  \
             CORESHARD_MAXMEMORY=1gb coreshard --loglevel verbose",
        )
        .render_help()
        .to_string()
}
