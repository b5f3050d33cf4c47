#![allow(unsafe_code)]
//! Manners of a service: going to the background, the pid file, and telling a supervisor (systemd
//! by its notification socket, upstart by stopping) how things stand.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use super::process;

/// Continues in a child process of its own session, with standard streams on `/dev/null`; the
/// calling process exits with status 0.
///
/// Must come before any thread starts, because a fork takes only the calling thread along; it
/// fails rather than losing others.
pub fn daemonize() -> io::Result<()> {
    if process::thread_count() != 1 {
        return Err(io::Error::other("cannot go to the background: threads are running already"));
    }
    // SAFETY: this process has one thread (checked above), so the child is whole.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: ends the parent without running destructors, whose files the child owns now.
        _ => unsafe { libc::_exit(0) },
    }
    // SAFETY: takes no pointers. It fails only for a group leader, which a fresh child is not.
    unsafe { libc::setsid() };
    // SAFETY: the path ends with a zero byte.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
    if null >= 0 {
        for stream in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            // SAFETY: both are descriptors; the standard streams belong to the whole process.
            unsafe { libc::dup2(null, stream) };
        }
        if null > libc::STDERR_FILENO {
            // SAFETY: opened above and copied.
            unsafe { libc::close(null) };
        }
    }
    Ok(())
}

/// Where the pid goes when the server goes to the background and nobody named a file; without
/// `daemonize` and without `pidfile` none is written, as in Redis.
pub const DEFAULT_PID_FILE: &str = "/var/run/coreshard.pid";

/// Writes the pid and a newline. A failure is worth a line in the log, not the start.
pub fn write_pid_file(path: &Path) -> io::Result<()> {
    fs::write(path, format!("{}\n", process::pid()))
}

/// Removes the file at shutdown, unless another process has written its own pid meanwhile.
pub fn remove_pid_file(path: &Path) -> io::Result<()> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim() == process::pid().to_string() => fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The `supervised` setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supervised {
    #[default]
    No,
    Auto,
    Systemd,
    Upstart,
}

/// Who is to be told, after looking at the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supervisor {
    None,
    /// The value of NOTIFY_SOCKET.
    Systemd(OsString),
    Upstart,
}

/// Finds the supervisor that `setting` asks for; `Err` says what is missing.
pub fn find_supervisor(setting: Supervised) -> Result<Supervisor, &'static str> {
    choose_supervisor(setting, std::env::var_os("UPSTART_JOB"), std::env::var_os("NOTIFY_SOCKET"))
}

fn choose_supervisor(
    setting: Supervised,
    upstart_job: Option<OsString>,
    notify_socket: Option<OsString>,
) -> Result<Supervisor, &'static str> {
    let notify_socket = notify_socket.filter(|socket| !socket.is_empty());
    match (setting, upstart_job, notify_socket) {
        (Supervised::No, ..) => Ok(Supervisor::None),
        (Supervised::Auto | Supervised::Upstart, Some(_), _) => Ok(Supervisor::Upstart),
        (Supervised::Auto | Supervised::Systemd, _, Some(socket)) => Ok(Supervisor::Systemd(socket)),
        (Supervised::Auto, None, None) => Ok(Supervisor::None),
        (Supervised::Upstart, None, _) => Err("upstart supervision requested, but UPSTART_JOB not found"),
        (Supervised::Systemd, _, None) => Err("systemd supervision requested, but NOTIFY_SOCKET not found"),
    }
}

impl Supervisor {
    /// Says that clients can connect. Upstart learns it by the process stopping itself, so under
    /// it this returns only when upstart lets the process go on.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        match self {
            Supervisor::None => Ok(()),
            Supervisor::Systemd(_) => {
                self.send(&format!("READY=1\nMAINPID={}\nSTATUS={}\n", process::pid(), one_line(status)))
            }
            Supervisor::Upstart => {
                // SAFETY: stops this process until it is continued; touches no memory.
                unsafe { libc::raise(libc::SIGSTOP) };
                Ok(())
            }
        }
    }

    /// A line for `systemctl status`.
    pub fn status(&self, status: &str) -> io::Result<()> {
        self.send(&format!("STATUS={}\n", one_line(status)))
    }

    /// Says that the shutdown has begun.
    pub fn stopping(&self, status: &str) -> io::Result<()> {
        self.send(&format!("STOPPING=1\nSTATUS={}\n", one_line(status)))
    }

    /// Asks for more time to start or stop, for long loads and last snapshots.
    pub fn extend_timeout(&self, us: u64) -> io::Result<()> {
        self.send(&format!("EXTEND_TIMEOUT_USEC={us}\n"))
    }

    fn send(&self, message: &str) -> io::Result<()> {
        let Supervisor::Systemd(name) = self else { return Ok(()) };
        let address = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "NOTIFY_SOCKET is no Unix socket")),
        };
        let socket = UnixDatagram::unbound()?;
        // A supervisor that does not read must not hold up the server.
        socket.set_nonblocking(true)?;
        let sent = socket.send_to_addr(message.as_bytes(), &address)?;
        if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

/// A newline would begin the next assignment.
fn one_line(status: &str) -> String {
    status.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::sys::crash::tests::{in_child, rerun};

    #[test]
    fn pid_files_are_ours_to_remove_only_while_they_hold_our_pid() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        write_pid_file(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        remove_pid_file(&path).unwrap();
        assert!(!path.exists());
        remove_pid_file(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        remove_pid_file(&path).unwrap();
        assert!(path.exists());
        assert!(write_pid_file(&folder.path().join("no/such/folder")).is_err());
    }

    #[test]
    fn supervisors_are_found_as_redis_finds_them() {
        let (job, socket) = (|| Some(OsString::from("job")), || Some(OsString::from("/run/x")));
        let systemd = || Ok(Supervisor::Systemd("/run/x".into()));
        assert_eq!(choose_supervisor(Supervised::No, job(), socket()), Ok(Supervisor::None));
        assert_eq!(choose_supervisor(Supervised::Auto, job(), socket()), Ok(Supervisor::Upstart));
        assert_eq!(choose_supervisor(Supervised::Auto, None, socket()), systemd());
        assert_eq!(choose_supervisor(Supervised::Auto, None, None), Ok(Supervisor::None));
        assert_eq!(choose_supervisor(Supervised::Systemd, job(), socket()), systemd());
        assert!(choose_supervisor(Supervised::Systemd, job(), Some("".into())).is_err());
        assert!(choose_supervisor(Supervised::Upstart, None, socket()).is_err());
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn systemd_hears_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::Systemd(path.clone().into());
        supervisor.ready("2 shards\nREADY=0").unwrap();
        let pid = std::process::id();
        assert_eq!(receive(&by_path), format!("READY=1\nMAINPID={pid}\nSTATUS=2 shards READY=0\n"));
        supervisor.stopping("saving").unwrap();
        assert_eq!(receive(&by_path), "STOPPING=1\nSTATUS=saving\n");
        supervisor.extend_timeout(5).unwrap();
        assert_eq!(receive(&by_path), "EXTEND_TIMEOUT_USEC=5\n");

        let name = format!("coreshard-test-{pid}");
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        Supervisor::Systemd(format!("@{name}").into()).status("loading").unwrap();
        assert_eq!(receive(&by_name), "STATUS=loading\n");

        drop(by_path);
        assert!(supervisor.status("nobody listens").is_err());
        assert!(Supervisor::Systemd("vsock:2:1".into()).status("x").is_err());
        assert!(Supervisor::None.ready("x").is_ok() && Supervisor::None.stopping("x").is_ok());
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // The test harness itself has more than one thread.
        if in_child() {
            let (go, wait) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || assert!(wait.recv().is_err()));
            assert!(daemonize().is_err());
            drop(go);
            thread.join().unwrap();
            return;
        }
        let output = rerun("sys::daemon::tests::a_process_with_threads_does_not_fork");
        assert!(output.status.success());
    }

    #[test]
    fn a_daemon_leads_its_own_session_on_dev_null() {
        if in_child() {
            let (mut from_daemon, mut to_parent) = std::io::pipe().unwrap();
            // SAFETY: the fork has only this thread, and ends by _exit without running the rest.
            let forked = unsafe { libc::fork() };
            if forked == 0 {
                let result = daemonize();
                // SAFETY: takes a number only.
                let leads = unsafe { libc::getsid(0) } == std::process::id() as i32;
                let streams: Vec<_> =
                    (0..3).map(|fd| fs::read_link(format!("/proc/self/fd/{fd}")).unwrap()).collect();
                let _ = write!(to_parent, "{} {leads} {streams:?}", result.is_ok());
                // SAFETY: ends this process.
                unsafe { libc::_exit(0) };
            }
            drop(to_parent);
            let mut status = -1;
            // SAFETY: `status` is writable, and the process is our child.
            assert_eq!(unsafe { libc::waitpid(forked, &mut status, 0) }, forked);
            assert_eq!(status, 0, "the parent of the daemon ends well");
            let mut said = String::new();
            from_daemon.read_to_string(&mut said).unwrap();
            assert_eq!(said, r#"true true ["/dev/null", "/dev/null", "/dev/null"]"#);
            return;
        }
        let output = rerun("sys::daemon::tests::a_daemon_leads_its_own_session_on_dev_null");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
