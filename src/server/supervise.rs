//! Being a service: the background, the pid file, the supervisor.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::log;
use crate::config::{Config, id};
use crate::sys::daemon::{self, Supervised, Supervisor};

/// How this process serves.
pub struct Service {
    supervisor: Supervisor,
    /// Absolute; `None` when none is to be written.
    pid_file: Option<PathBuf>,
    complaint: Option<&'static str>,
}

/// Tells the supervisor that clients can connect.
pub struct Notifier(Supervisor);

impl Service {
    /// Goes to the background if asked. Must come before any thread is started.
    pub fn begin(config: &Config) -> Result<Service> {
        let setting = match config.choice(id::SUPERVISED).as_str() {
            "systemd" => Supervised::Systemd,
            "upstart" => Supervised::Upstart,
            "auto" => Supervised::Auto,
            _ => Supervised::No,
        };
        let (supervisor, complaint) = match daemon::find_supervisor(setting) {
            Ok(supervisor) => (supervisor, None),
            // Redis: the server runs unsupervised then.
            Err(complaint) => (Supervisor::None, Some(complaint)),
        };
        let background = config.flag(id::DAEMONIZE) && supervisor == Supervisor::None;
        if background {
            daemon::daemonize().context("daemonize")?;
        }
        let pid_file = match config.optional(id::PIDFILE) {
            Some(name) => Some(config.dir().join(name)),
            None => background.then(|| daemon::DEFAULT_PID_FILE.into()),
        };
        Ok(Service { supervisor, pid_file, complaint })
    }

    /// Redis: a pid file that cannot be written is worth a line in the log.
    pub fn write_pid_file(&self) {
        if let Some(complaint) = self.complaint {
            log::warning(complaint);
        }
        if let Some(path) = &self.pid_file
            && let Err(error) = daemon::write_pid_file(path)
        {
            log::warning(format!("Failed to write PID file {}: {error}", path.display()));
        }
    }

    pub fn notifier(&self) -> Notifier {
        Notifier(self.supervisor.clone())
    }

    /// The server ends: the pid file goes.
    pub fn end(&self) {
        // A supervisor that is gone needs no word.
        let _ = self.supervisor.stopping("Exiting");
        if let Some(path) = &self.pid_file
            && let Err(error) = daemon::remove_pid_file(path)
        {
            log::warning(format!("Failed to remove PID file {}: {error}", path.display()));
        }
    }
}

impl Notifier {
    pub fn ready(&self) {
        if let Err(error) = self.0.ready("Ready to accept connections") {
            log::warning(format!("The supervisor could not be told that the server is ready: {error}"));
        }
    }
}
