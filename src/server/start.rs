//! From the command line to running cores, and out again.
//!
//! The order matters: the background before any thread, the directory before any relative path, the log before
//! anything that may fail later, sockets before the cores.

use std::cell::RefCell;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::cores::Cores;
use super::supervise::Service;
use super::{banner, listeners, log, registry, settings, tools};
use crate::config::{Action, Config, Startup, id, startup};
use crate::net::core::Parts;
use crate::net::query::VISIT_NS;
use crate::net::shared::Ready;
use crate::net::{Core, Shared};
use crate::persistence::aof::LogMode;
use crate::persistence::aof::find::find;
use crate::persistence::aof::manifest::{Folder, Manifest};
use crate::persistence::aof::replay::LogOptions;
use crate::persistence::load::{Load, LoadOptions};
use crate::persistence::{self, Host};
use crate::runtime::engine::{self, Choice, Wanted};
use crate::runtime::face::Listener;
use crate::runtime::mesh::mesh;
use crate::runtime::wake::Waker;
use crate::shard::Shard;
use crate::sys::{clock, crash, entropy, limits, memory, signals, threads};
use crate::types::ShardId;
use crate::types::raw::table::Hasher;

/// Runs the program.
pub fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("coreshard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some(done) = tools::run(&args) {
        return done;
    }
    let startup = startup::parse(args, std::env::vars_os(), &mut std::io::stdin())?;
    match &startup.action {
        // A reader that has seen enough closes the pipe: that is no failure.
        Action::Print(text) => match writeln!(std::io::stdout(), "{}", text.trim_end()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            written => written?,
        },
        Action::CheckConfig => println!("The configuration is good."),
        Action::Serve => return prepare(startup),
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything up to the log; from there on errors are logged.
fn prepare(startup: Startup) -> Result<ExitCode> {
    let Startup { config, config_file, sentinel, .. } = startup;
    if sentinel {
        bail!("--sentinel: this version has no sentinel mode");
    }
    let service = Service::begin(&config)?;
    settings::change_dir(config.dir()).with_context(|| format!("dir {}", config.dir().display()))?;
    log::open(&config).with_context(|| format!("logfile {}", config.text(id::LOGFILE)))?;
    match serve(config, config_file, &service) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            log::warning(format!("{error:#}"));
            service.end();
            Ok(ExitCode::FAILURE)
        }
    }
}

fn serve(mut config: Config, config_file: Option<std::path::PathBuf>, service: &Service) -> Result<()> {
    clock::calibrate();
    if config.flag(id::CRASH_LOG_ENABLED) {
        crash::install_signal_handlers().context("installing the crash handlers")?;
        crash::install_panic_hook(crash::OnPanic::Abort);
    }
    let stop_fd = signals::install().context("installing the signal handlers")?;
    let oom_score_base = limits::oom_score_adj().ok();
    let cores = Cores::choose(&config)?;
    threads::give_cpus(cores.resources.cpus.iter().map(|cpu| cpu.id).collect());
    adjust_process(&mut config, &cores, oom_score_base)?;
    let choice = engine::probe(match config.choice(id::ENGINE).as_str() {
        "io_uring" => Wanted::IoUring,
        "epoll" => Wanted::Epoll,
        _ => Wanted::Auto,
    });
    banner::starting(&config, config_file.as_deref(), &choice, &cores);
    let waker = Waker::new(cores.count)?;
    let service_ready = service.notifier();
    // The cores, and the file that is loaded.
    let ready = Ready::new(cores.count + 1, move || {
        log::notice("Ready to accept connections");
        service_ready.ready();
    });
    let shared = share(&config, config_file, &cores, &choice, oom_score_base, ready);
    let (all, one) = (waker.clone(), waker.clone());
    let (wake, rouse) = (Box::new(move || all.wake_all()), Box::new(move |core| one.wake(core)));
    shared.durable.attach(Host { wake, rouse, log: log::of_script });
    let sockets = open_sockets_patiently(&config, &shared)?;
    if sockets.iter().all(Vec::is_empty) {
        bail!("Configured to not listen anywhere, exiting.");
    }
    banner::listening(&config, &shared);
    service.write_pid_file();
    watch_for_signals(stop_fd, shared.clone());
    begin_persistence(&config, &shared, &waker)?;
    let build = builder(&config, &shared, sockets);
    engine::run(&choice, &cores.cpus, &waker, build).context("running the cores")?;
    signals::shutdown_in_progress(true);
    end_of_saving(&shared);
    shared.durable.close_log();
    if let Some(path) = config.optional(id::UNIXSOCKET) {
        // It is in nobody's way when it stays.
        let _ = std::fs::remove_file(path);
    }
    service.end();
    if let Some(Err(error)) = shared.durable.state().load.as_ref().and_then(|load| load.outcome())
        && shared.started_badly.load(Ordering::Relaxed)
    {
        bail!("{error}. Exiting: nothing was changed on disk.");
    }
    log::warning("coreshard is now ready to exit, bye bye...");
    Ok(())
}

/// Limits and switches of the process. The start is refused only where not one client could be served.
fn adjust_process(config: &mut Config, cores: &Cores, oom_score_base: Option<i32>) -> Result<()> {
    let wanted = config.integer(id::MAXCLIENTS) as u64;
    let reserved = settings::reserved_files(cores.count);
    let files = limits::raise_open_files(wanted, reserved);
    ensure!(
        files.maxclients > 0,
        "Your current 'ulimit -n' of {} is not enough for the server to start. Please increase your open file limit to \
         at least {}. Exiting.",
        files.now,
        wanted.saturating_add(reserved)
    );
    if files.maxclients < wanted {
        log::warning(format!(
            "The limit on open files is {} and could not be raised: maxclients is {} instead of {wanted}",
            files.now, files.maxclients
        ));
        let text = files.maxclients.to_string();
        // A number that fits its own setting.
        let _ = config.set_many(&[(b"maxclients", text.as_bytes())], Default::default());
    }
    memory::purge_soon();
    if config.flag(id::DISABLE_THP)
        && let Err(error) = limits::disable_hugepages(true)
    {
        log::warning(format!("Unable to disable transparent huge pages for this process: {error}"));
    }
    if let Err(error) = settings::set_oom_score(oom_score_base, config) {
        log::warning(format!("Unable to write oom_score_adj: {error}"));
    }
    Ok(())
}

fn share(
    config: &Config,
    config_file: Option<std::path::PathBuf>,
    cores: &Cores,
    choice: &Choice,
    oom_score_base: Option<i32>,
    ready: Ready,
) -> Arc<Shared> {
    Arc::new(Shared {
        config_file,
        started_ms: clock::realtime_ms(),
        run_id: entropy::run_id(),
        engine: (choice.kind.name().to_owned(), choice.reason.clone()),
        oom_score_base,
        ready,
        log: log::of_script,
        ..Shared::new(cores.count, config.clone())
    })
}

/// How long a port may still be taken: the kernel takes a moment to close what the rings of a killed server held. And how
/// often is tried.
const PORT_PATIENCE: Duration = Duration::from_secs(2);
const PORT_LOOK: Duration = Duration::from_millis(20);

/// Opens the sockets; waits a while for ports that are in use.
fn open_sockets_patiently(config: &Config, shared: &Shared) -> Result<Vec<Vec<Listener>>> {
    let begun = Instant::now();
    let mut is_told = false;
    loop {
        let error = match open_sockets(config, shared) {
            Ok(sockets) => return Ok(sockets),
            Err(error) => error,
        };
        let in_use = error
            .downcast_ref::<listeners::ListenError>()
            .is_some_and(|error| error.error.kind() == std::io::ErrorKind::AddrInUse);
        if !in_use || begun.elapsed() >= PORT_PATIENCE {
            return Err(error);
        }
        if !std::mem::replace(&mut is_told, true) {
            log::warning(format!("{error:#}. Trying again for {} seconds", PORT_PATIENCE.as_secs()));
        }
        std::thread::park_timeout(PORT_LOOK);
    }
}

/// The sockets of every core; those that there is one of belong to the first.
fn open_sockets(config: &Config, shared: &Shared) -> Result<Vec<Vec<Listener>>> {
    let opened = listeners::open_tcp(config, shared.shards, &[])?;
    for missing in &opened.left_out {
        log::line(log::Level::Verbose, &format!("left out: {missing}"));
    }
    *shared.addresses.lock().expect("no holder panics") = opened.addresses;
    let mut cores = opened.cores;
    cores[0].extend(listeners::open_unix(config)?);
    cores[0].extend(listeners::open_metrics(config)?);
    Ok(cores)
}

/// Loads what is on disk, and begins to log. What is logged is loaded from the log alone.
fn begin_persistence(config: &Config, shared: &Arc<Shared>, waker: &Waker) -> Result<()> {
    let folder = Folder::of(config);
    if !config.flag(id::APPENDONLY) {
        let manifest = Manifest::read(&folder)?.unwrap_or_default();
        shared.durable.open_log(config, manifest)?;
        let path = persistence::path_of(config);
        if path.exists() {
            return load(config, shared, waker, path, None);
        }
        shared.ready.one_more();
        return Ok(());
    }
    match find(&folder, &shared.durable).map_err(anyhow::Error::msg)? {
        None => {
            shared.durable.open_log(config, Manifest::default())?;
            shared.ready.one_more();
            Ok(())
        }
        Some(found) => {
            let log = LogOptions::of(config, found, registry::table());
            load(config, shared, waker, folder.path, Some(log))
        }
    }
}

/// Begins to load a snapshot or a log. The cores serve meanwhile.
fn load(
    config: &Config,
    shared: &Arc<Shared>,
    waker: &Waker,
    path: std::path::PathBuf,
    log: Option<LogOptions>,
) -> Result<()> {
    let is_log = log.is_some();
    let manifest = log.as_ref().map(|log| log.manifest.clone());
    let options = LoadOptions {
        check: config.flag(id::RDBCHECKSUM),
        databases: config.integer(id::DATABASES) as u32,
        flush: false,
        merge: false,
        at_start: true,
        key_delay_us: persistence::delay_of(config, id::KEY_LOAD_DELAY),
        // A log says itself what has expired.
        now_ms: if is_log { 0 } else { clock::realtime_ms() },
        log,
        path: path.clone(),
    };
    let (process, waker) = (shared.clone(), waker.clone());
    let then = move |load: &Load| match load.outcome() {
        Some(Ok(())) => {
            let seconds = clock::realtime_ms().saturating_sub(load.begun_ms) as f64 / 1000.0;
            let (keys, expired) =
                (load.keys_loaded.load(Ordering::Relaxed), load.keys_expired.load(Ordering::Relaxed));
            if is_log {
                log::notice(format!("DB loaded from append only file: {seconds:.3} seconds"));
            } else {
                let empty = match load.keys_empty.load(Ordering::Relaxed) {
                    0 => String::new(),
                    empty => format!(", empty keys skipped: {empty}"),
                };
                log::notice(format!(
                    "Done loading RDB, keys loaded: {keys}, keys expired: {expired}{empty}."
                ));
                log::notice(format!("DB loaded from disk: {seconds:.3} seconds"));
            }
            process.ready.one_more();
        }
        _ => {
            process.started_badly.store(true, Ordering::Relaxed);
            process.stop.store(true, Ordering::Relaxed);
            waker.wake_all();
        }
    };
    let (process, settings) = (shared.clone(), shared.config());
    // What is loaded goes on where it ends.
    let loaded = move || match manifest {
        Some(manifest) => process.durable.open_log(&settings, manifest).map_err(|error| error.to_string()),
        None => Ok(()),
    };
    shared
        .durable
        .begin_load(options, loaded, then)
        .with_context(|| format!("loading {}", path.display()))?;
    Ok(())
}

/// How long the end waits for a save that was called off.
const END_OF_SAVING: Duration = Duration::from_secs(2);

/// A save that is under way ends with the process: its file is removed.
fn end_of_saving(shared: &Shared) {
    let begun = Instant::now();
    while shared.durable.cancel_save() && begun.elapsed() < END_OF_SAVING {
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// SIGTERM and SIGINT ask for a shutdown. A second SIGINT ends the process, wherever it is.
fn watch_for_signals(stop_fd: std::os::fd::RawFd, shared: Arc<Shared>) {
    std::thread::spawn(move || {
        loop {
            signals::wait(stop_fd);
            let name = signals::requested().map_or("a signal", signals::Shutdown::name);
            log::warning(format!("Received {name} scheduling shutdown..."));
            shared.durable.stop_asked.store(true, Ordering::Release);
            shared.durable.tell();
            // Until it has ended, or was refused.
            while signals::requested().is_some() {
                std::thread::park_timeout(SIGNAL_LOOK);
            }
        }
    });
}

/// After a signal was taken, how often is looked whether the shutdown was refused.
const SIGNAL_LOOK: Duration = Duration::from_millis(50);

thread_local! {
    /// A core's registration for crash reports, undone when its thread ends.
    static REGISTERED: RefCell<Option<crash::ThreadGuard>> = const { RefCell::new(None) };
}

/// What builds a core on its own thread.
fn builder(
    config: &Config,
    shared: &Arc<Shared>,
    sockets: Vec<Vec<Listener>>,
) -> impl Fn(usize) -> Core + Send + Sync + 'static {
    let shared = shared.clone();
    let sockets = Mutex::new(sockets.into_iter().map(Some).collect::<Vec<_>>());
    let ports = Mutex::new(mesh(shared.shards).into_iter().map(Some).collect::<Vec<_>>());
    let table = registry::table();
    let bound = registry::bind(table);
    let databases = config.integer(id::DATABASES) as usize;
    let seed = entropy::seed();
    let hasher = Hasher::from_seed(seed);
    hasher.share();
    move |core: usize| {
        let me = ShardId(core as u16);
        match crash::register_thread(Some(me.0)) {
            Ok(guard) => REGISTERED.set(Some(guard)),
            Err(error) => log::warning(format!("core {core} has no stack for crash reports: {error}")),
        }
        let seed = seed ^ (core as u64 + 1);
        let mut handler = Core::new(Parts {
            me,
            shared: shared.clone(),
            table,
            bound: bound.clone(),
            shard: Shard::new(me, databases, hasher.clone(), seed, shared.memory.clone()),
            port: ports.lock().expect("no builder panics")[core].take().expect("one port per core"),
        });
        if shared.durable.aof.state().mode == LogMode::On {
            handler.begin_log();
        }
        handler.visit_cycles = clock::cycles_of_ns(VISIT_NS);
        handler.listeners = sockets.lock().expect("no builder panics")[core].take();
        handler
    }
}
