//! What the program does instead of serving: looks at files, converts and compares them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::offline::{Log, Scratch, log_of_snapshot, snapshot_of_log};

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
        "convert" => convert_data(args),
        "verify" => Ok(compare(args)),
        _ => return None,
    })
}

/// `coreshard check-rdb <file> ...`.
fn check_rdb(files: &[OsString]) -> Result<ExitCode> {
    ensure!(!files.is_empty(), "check-rdb: which file?");
    let mut code = ExitCode::SUCCESS;
    for file in files {
        match check::check(Path::new(file), clock::realtime_ms(), true) {
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

/// How a converted file is to be.
#[derive(Default)]
struct Wanted {
    version: Option<u16>,
    is_log: bool,
    /// A log without a snapshot in front.
    commands: bool,
}

/// `coreshard convert <in> <out> [--to-version N] [--format rdb|aof [--commands]]`. What goes in is a snapshot or a log.
fn convert_data(args: &[OsString]) -> Result<ExitCode> {
    const USAGE: &str =
        "usage: coreshard convert <in> <out> [--to-version 9|10|11|12] [--format rdb|aof [--commands]]";
    let (mut paths, mut wanted) = (Vec::<PathBuf>::new(), Wanted::default());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--to-version") => {
                let text = args.next().and_then(|text| text.to_str()).context(USAGE)?;
                wanted.version = Some(text.parse().with_context(|| format!("--to-version {text}: {USAGE}"))?);
            }
            Some("--format") => match args.next().and_then(|text| text.to_str()) {
                Some("rdb") => wanted.is_log = false,
                Some("aof") => wanted.is_log = true,
                other => bail!("--format {}: {USAGE}", other.unwrap_or_default()),
            },
            Some("--commands") => wanted.commands = true,
            Some(option) if option.starts_with("--") => bail!("{option}: {USAGE}"),
            _ => paths.push(arg.into()),
        }
    }
    let [from, to] = &paths[..] else { bail!("{USAGE}") };
    ensure!(wanted.is_log || !wanted.commands, "--commands: only a log has them. {USAGE}");
    ensure!(!wanted.is_log || wanted.version.is_none(), "--to-version: a log has no version. {USAGE}");
    ensure!(!to.exists(), "{}: it exists already", to.display());
    let beside = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut scratch = Vec::new();
    let from = match Log::of(from)? {
        None => from.clone(),
        Some(log) => {
            scratch.push(Scratch::within(beside)?);
            snapshot_of_log(&log, scratch[0].path())?
        }
    };
    if wanted.is_log {
        // What a snapshot holds is known before a log is made of it.
        let report = check::check(&from, clock::realtime_ms(), true).map_err(|error| anyhow!("{error}"))?;
        let folder = Scratch::within(beside)?;
        let log = log_of_snapshot(&from, folder.path(), wanted.commands)?;
        std::fs::rename(&log, to).with_context(|| to.display().to_string())?;
        File::open(beside)
            .and_then(|beside| beside.sync_all())
            .with_context(|| beside.display().to_string())?;
        println!(
            "{} keys, from version {} to a log",
            report.dbs.values().map(|db| db.0).sum::<u64>(),
            report.version
        );
    } else {
        let report = convert::convert(&from, to, wanted.version, clock::realtime_ms());
        println!("{}", report.map_err(|error| anyhow!("{error}"))?);
    }
    Ok(ExitCode::SUCCESS)
}

/// `coreshard verify <A> <B> [--lines N]`, each a snapshot, a log or `host:port`: 0 the same, 1 not, 2 when that cannot be said.
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
    const USAGE: &str = "usage: coreshard verify <A> <B> [--lines N] [--scratch DIR], each an RDB file, a log (folder or file) or host:port";
    let (mut given, mut lines, mut beside) = (Vec::new(), LINES, std::env::temp_dir());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--lines") => {
                lines = args.next().and_then(|text| text.to_str()?.parse().ok()).context(USAGE)?;
            }
            Some("--scratch") => beside = args.next().context(USAGE)?.into(),
            Some(option) if option.starts_with("--") => bail!("{option}: {USAGE}"),
            _ => given.push(arg),
        }
    }
    ensure!(given.len() == 2, USAGE);
    let mut scratch = Vec::new();
    let places = given.into_iter().map(|arg| place(arg, &beside, &mut scratch));
    let places = places.collect::<Result<Vec<_>>>()?;
    let [a, b] = &places[..] else { bail!("{USAGE}") };
    let verdict = verify(a, b, clock::realtime_ms, lines).map_err(|error| anyhow!("{error}"))?;
    println!("{verdict}");
    Ok(verdict.is_same())
}

/// What an argument means. A log is loaded once, and its snapshot is what is compared.
fn place(arg: &OsStr, beside: &Path, scratch: &mut Vec<Scratch>) -> Result<Place> {
    let path = Path::new(arg);
    if path.exists()
        && let Some(log) = Log::of(path)?
    {
        let folder = Scratch::within(beside)?;
        let snapshot = snapshot_of_log(&log, folder.path())?;
        scratch.push(folder);
        return Ok(Place::File(snapshot));
    }
    match arg.to_str() {
        Some(text) => Place::of(text).map_err(|error| anyhow!("{error}")),
        None => Ok(Place::File(arg.into())),
    }
}
