//! What the program does instead of serving: looks at files, converts and compares them.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::persistence::verify::{Place, verify};
use crate::persistence::{aof, check, convert};
use crate::sys::clock;

/// Differences that `verify` shows unless told otherwise.
const LINES: usize = 100;
/// `verify` could not tell.
const TROUBLE: u8 = 2;

/// Runs a tool if the first argument names one.
pub fn run(args: &[OsString]) -> Option<Result<ExitCode>> {
    let (name, args) = args.split_first()?;
    Some(match name.to_str()? {
        "check-rdb" => check_rdb(args),
        "check-aof" => check_aof(args),
        "convert" => convert_rdb(args),
        "verify" => Ok(compare(args)),
        _ => return None,
    })
}

/// `coreshard check-rdb <file> ...`.
fn check_rdb(files: &[OsString]) -> Result<ExitCode> {
    ensure!(!files.is_empty(), "check-rdb: which file?");
    let mut code = ExitCode::SUCCESS;
    for file in files {
        match check::check(Path::new(file), clock::realtime_ms()) {
            Ok(report) => println!("{report}"),
            Err(error) => {
                eprintln!("{error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// `coreshard check-aof [--fix | --truncate-to-timestamp <seconds>] <file, manifest or folder>`.
fn check_aof(args: &[OsString]) -> Result<ExitCode> {
    const USAGE: &str = "usage: coreshard check-aof [--fix|--truncate-to-timestamp <seconds>] <file.manifest|file.aof|folder>";
    let mut options = aof::check::CheckOptions { now_ms: clock::realtime_ms(), ..Default::default() };
    let path = match args {
        [path] => path,
        [fix, path] if fix == "--fix" => {
            options.fix = true;
            path
        }
        [until, seconds, path] if until == "--truncate-to-timestamp" => {
            let seconds = seconds.to_str().and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
            options.until = Some(seconds.context(USAGE)?);
            path
        }
        _ => bail!("{USAGE}"),
    };
    let mut confirm = || {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).is_ok() && answer.to_ascii_lowercase().starts_with('y')
    };
    let good = aof::check::check(Path::new(path), options, &mut std::io::stdout(), &mut confirm);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `coreshard convert <in> <out> [--to-version N] [--format rdb]`.
fn convert_rdb(args: &[OsString]) -> Result<ExitCode> {
    const USAGE: &str = "usage: coreshard convert <in> <out> [--to-version 9|10|11|12] [--format rdb]";
    let (mut paths, mut version) = (Vec::<PathBuf>::new(), None);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--to-version") => {
                let text = args.next().and_then(|text| text.to_str()).context(USAGE)?;
                version = Some(text.parse().with_context(|| format!("--to-version {text}: {USAGE}"))?);
            }
            Some("--format") => match args.next().and_then(|text| text.to_str()) {
                Some("rdb") => {}
                other => bail!("--format {}: {USAGE}", other.unwrap_or_default()),
            },
            Some(option) if option.starts_with("--") => bail!("{option}: {USAGE}"),
            _ => paths.push(arg.into()),
        }
    }
    let [from, to] = &paths[..] else { bail!("{USAGE}") };
    match convert::convert(from, to, version, clock::realtime_ms()) {
        Ok(report) => {
            println!("{report}");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => bail!("{error}"),
    }
}

/// `coreshard verify <A> <B> [--lines N]`, each an RDB file or `host:port`: 0 the same, 1 not, 2 when that cannot be said.
fn compare(args: &[OsString]) -> ExitCode {
    match compared(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("coreshard: {error:#}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn compared(args: &[OsString]) -> Result<bool> {
    const USAGE: &str = "usage: coreshard verify <A> <B> [--lines N], each an RDB file or host:port";
    let (mut places, mut lines) = (Vec::new(), LINES);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--lines") => {
                lines = args.next().and_then(|text| text.to_str()?.parse().ok()).context(USAGE)?;
            }
            Some(option) if option.starts_with("--") => bail!("{option}: {USAGE}"),
            _ => places.push(place(arg)?),
        }
    }
    let [a, b] = &places[..] else { bail!("{USAGE}") };
    let verdict = verify(a, b, clock::realtime_ms, lines).map_err(|error| anyhow::anyhow!("{error}"))?;
    println!("{verdict}");
    Ok(verdict.is_same())
}

fn place(arg: &OsStr) -> Result<Place> {
    match arg.to_str() {
        Some(text) => Place::of(text).map_err(|error| anyhow::anyhow!("{error}")),
        None => Ok(Place::File(arg.into())),
    }
}
