//! Listening sockets and socket options, shared by the engines.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::face::{Listener, ListenerKind, Socket};

/// Opens a listening TCP socket. With `reuseport` every core opens its own on the same address and the kernel
/// spreads the connections. An IPv6 socket takes IPv6 only, as in Redis.
pub fn listen_tcp(addr: SocketAddr, backlog: u32, reuseport: bool) -> io::Result<Listener> {
    let family = if addr.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let fd = stream_socket(family)?;
    set_flag(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
    if reuseport {
        set_flag(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT)?;
    }
    if addr.is_ipv6() {
        set_flag(fd.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)?;
    }
    let (storage, len) = to_raw(addr);
    // SAFETY: `storage` holds an address of `len` bytes and lives through the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const storage).cast(), len) })?;
    listen(&fd, backlog)?;
    Ok(Listener { fd, kind: ListenerKind::Tcp })
}

/// Opens a listening Unix socket at `path`, replacing a stale one, with the given permission bits.
pub fn listen_unix(path: &Path, perm: Option<u32>) -> io::Result<Listener> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: an all-zero sockaddr_un is a valid value.
    let mut addr: libc::sockaddr_un = unsafe { zeroed() };
    if bytes.is_empty() || bytes.len() >= addr.sun_path.len() || bytes.contains(&0) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path of a Unix socket must have 1 to 107 bytes",
        ));
    }
    addr.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in addr.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let fd = stream_socket(libc::AF_UNIX)?;
    let len = size_of::<libc::sockaddr_un>() as libc::socklen_t;
    // SAFETY: `addr` is a terminated Unix address that lives through the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const addr).cast(), len) })?;
    if let Some(perm) = perm {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(perm))?;
    }
    listen(&fd, 511)?;
    Ok(Listener { fd, kind: ListenerKind::Unix })
}

/// Takes a listening socket out of service at once, although its descriptor stays open for a while: connections
/// then go to other listeners of the address, and what it has not accepted is reset.
pub fn stop_listening(fd: BorrowedFd<'_>) {
    // SAFETY: the descriptor is open while it is borrowed. There is nothing to do about a failure.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RD) };
}

/// The address a listening TCP socket got, for port 0 and for messages.
pub fn local_addr(listener: &Listener) -> Option<SocketAddr> {
    name(listener.fd.as_raw_fd(), libc::getsockname)
}

/// Asks the kernel to probe a silent peer after `secs` seconds and to give it up after three failed probes a
/// third of that apart. Zero turns it off. Redis's `tcp-keepalive`. A no-op for Unix sockets.
pub fn set_keepalive(socket: &Socket, secs: u32) -> io::Result<()> {
    let Socket { fd, peer: Some(_), .. } = socket else { return Ok(()) };
    let fd = fd.as_fd();
    let secs = secs.min(i32::MAX as u32) as i32;
    set_option(fd, libc::SOL_SOCKET, libc::SO_KEEPALIVE, i32::from(secs > 0))?;
    if secs > 0 {
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, secs.min(32767))?;
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, (secs / 3).clamp(1, 32767))?;
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, 3)?;
    }
    Ok(())
}

/// What an engine makes of a descriptor it accepted: the socket with its addresses.
pub(super) fn accepted(fd: OwnedFd, kind: ListenerKind) -> Socket {
    let raw = fd.as_raw_fd();
    let (peer, local) = match kind {
        ListenerKind::Unix | ListenerKind::Loader => (None, None),
        ListenerKind::Tcp | ListenerKind::Metrics => {
            (name(raw, libc::getpeername), name(raw, libc::getsockname))
        }
    };
    Socket { fd, kind, peer, local }
}

/// Options every adopted connection gets: small replies leave at once, and calls on it may wait, because the
/// engines say per call whether they want to (io_uring gives up at once on a non-blocking descriptor).
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    if socket.local.is_some() {
        set_flag(socket.fd.as_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY)?;
    }
    // SAFETY: fcntl with F_GETFL takes no pointers.
    let flags = check(unsafe { libc::fcntl(socket.fd.as_raw_fd(), libc::F_GETFL) })?;
    if flags & libc::O_NONBLOCK != 0 {
        // SAFETY: fcntl with F_SETFL takes no pointers.
        check(unsafe { libc::fcntl(socket.fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) })?;
    }
    Ok(())
}

/// The result of a C call that returns a negative number on failure.
pub(super) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn stream_socket(family: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket takes no pointers.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor was just created and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn listen(fd: &OwnedFd, backlog: u32) -> io::Result<()> {
    // SAFETY: listen takes no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog.min(i32::MAX as u32) as i32) })?;
    Ok(())
}

fn set_flag(fd: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    set_option(fd, level, option, 1)
}

fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value is a live c_int and its length is given.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) })?;
    Ok(())
}

type NameCall = unsafe extern "C" fn(libc::c_int, *mut libc::sockaddr, *mut libc::socklen_t) -> libc::c_int;

fn name(fd: RawFd, call: NameCall) -> Option<SocketAddr> {
    // SAFETY: an all-zero sockaddr_storage is a valid value.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `storage`, which lives through the call.
    check(unsafe { call(fd, (&raw mut storage).cast(), &mut len) }).ok()?;
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in, which is smaller than the storage.
            let addr = unsafe { (&raw const storage).cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(addr.sin_addr.s_addr));
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(addr.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in6, which is smaller than the storage.
            let addr = unsafe { (&raw const storage).cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(addr.sin6_addr.s6_addr);
            let (flow, scope) = (addr.sin6_flowinfo, addr.sin6_scope_id);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(addr.sin6_port), flow, scope)))
        }
        _ => None,
    }
}

fn to_raw(addr: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: an all-zero sockaddr_storage is a valid value.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let len = match addr {
        SocketAddr::V4(addr) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: addr.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*addr.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than any address and aligned for all of them.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(addr) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: addr.port().to_be(),
                sin6_flowinfo: addr.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                sin6_scope_id: addr.scope_id(),
            };
            // SAFETY: the storage is larger than any address and aligned for all of them.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, len as libc::socklen_t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_of_one_port_share_it() {
        let first = listen_tcp("127.0.0.1:0".parse().unwrap(), 16, true).unwrap();
        let addr = local_addr(&first).unwrap();
        assert_ne!(addr.port(), 0);
        listen_tcp(addr, 16, true).unwrap();
        assert!(listen_tcp(addr, 16, false).is_err());
    }

    #[test]
    fn ipv6_addresses_survive_the_kernel() {
        // A machine without IPv6 has nothing to show here.
        if let Ok(listener) = listen_tcp("[::1]:0".parse().unwrap(), 16, false) {
            assert!(local_addr(&listener).unwrap().is_ipv6());
        }
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_bad_paths_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sock");
        drop(listen_unix(&path, None).unwrap());
        let _listener = listen_unix(&path, Some(0o700)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
        assert!(listen_unix(Path::new(""), None).is_err());
        assert!(listen_unix(Path::new(&"x".repeat(108)), None).is_err());
    }
}
