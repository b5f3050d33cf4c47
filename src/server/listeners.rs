//! The sockets that clients come in by.
//!
//! Every core listens on every TCP address with a socket of its own (SO_REUSEPORT), so the kernel spreads
//! connections. That option also lets a second server share the port unnoticed; therefore an address is first bound
//! without it, which fails when anybody else listens there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::{Config, id};
use crate::runtime::face::{Listener, ListenerKind};
use crate::runtime::socket;

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("Could not create server TCP listening socket {address}: {error}")]
pub struct ListenError {
    pub address: String,
    pub error: io::Error,
}

/// The TCP listeners of every core, and the addresses that had to be left out.
#[derive(Debug)]
pub struct Opened {
    pub cores: Vec<Vec<Listener>>,
    pub addresses: Vec<SocketAddr>,
    pub left_out: Vec<ListenError>,
}

/// Opens TCP listeners for `cores` cores as `bind` and `port` say. `ours` are addresses this process listens on.
pub fn open_tcp(config: &Config, cores: usize, ours: &[SocketAddr]) -> Result<Opened, ListenError> {
    let mut opened = Opened {
        cores: (0..cores).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
        left_out: Vec::new(),
    };
    let port = config.integer(id::PORT) as u16;
    if port == 0 {
        return Ok(opened);
    }
    let backlog = config.integer(id::TCP_BACKLOG) as u32;
    for name in config.bind() {
        let (text, optional) = match name.strip_prefix('-') {
            Some(text) => (text, true),
            None => (name.as_str(), false),
        };
        match open_one(text, port, backlog, cores, ours) {
            Ok((address, listeners)) => {
                opened.addresses.push(address);
                for (core, listener) in opened.cores.iter_mut().zip(listeners) {
                    core.push(listener);
                }
            }
            // Redis: an optional address may be unknown to this host; a port in use is an error all the same.
            Err(error) => {
                let error = ListenError { address: format!("{text}:{port}"), error };
                let unavailable =
                    matches!(
                        error.error.kind(),
                        io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
                    ) || matches!(error.error.raw_os_error(), Some(EAFNOSUPPORT | EPROTONOSUPPORT));
                if !(optional && unavailable) {
                    return Err(error);
                }
                opened.left_out.push(error);
            }
        }
    }
    Ok(opened)
}

const EAFNOSUPPORT: i32 = 97;
const EPROTONOSUPPORT: i32 = 93;

fn open_one(
    text: &str,
    port: u16,
    backlog: u32,
    cores: usize,
    ours: &[SocketAddr],
) -> io::Result<(SocketAddr, Vec<Listener>)> {
    let address = SocketAddr::new(address_of(text)?, port);
    let overlaps = |known: &SocketAddr| {
        let same_ip =
            known.ip() == address.ip() || known.ip().is_unspecified() || address.ip().is_unspecified();
        known.port() == port && same_ip
    };
    if !ours.iter().any(overlaps) {
        // Dropped at once: it only shows that nobody else is there.
        socket::listen_tcp(address, backlog, false)?;
    }
    let listeners =
        (0..cores).map(|_| socket::listen_tcp(address, backlog, true)).collect::<io::Result<_>>()?;
    Ok((address, listeners))
}

/// The IP address of a word of `bind`. A host name takes the first address it resolves to.
fn address_of(text: &str) -> io::Result<IpAddr> {
    match text {
        "*" | "" => return Ok(Ipv4Addr::UNSPECIFIED.into()),
        "::*" => return Ok(Ipv6Addr::UNSPECIFIED.into()),
        _ => {}
    }
    if let Ok(ip) = text.parse() {
        return Ok(ip);
    }
    let mut found = std::net::ToSocketAddrs::to_socket_addrs(&(text, 0))?;
    found.next().map(|address| address.ip()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// The Unix socket, if one is configured.
pub fn open_unix(config: &Config) -> Result<Option<Listener>, ListenError> {
    let Some(path) = config.optional(id::UNIXSOCKET) else { return Ok(None) };
    let perm = config.integer(id::UNIXSOCKETPERM);
    let perm = (perm != 0).then_some(perm as u32);
    socket::listen_unix(path.as_ref(), perm)
        .map(Some)
        .map_err(|error| ListenError { address: path.to_owned(), error })
}

/// The metrics endpoint, if one is configured.
pub fn open_metrics(config: &Config) -> Result<Option<Listener>, ListenError> {
    let port = config.integer(id::METRICS_PORT) as u16;
    if port == 0 {
        return Ok(None);
    }
    let text = config.text(id::METRICS_BIND);
    let listen = || {
        let mut listener = socket::listen_tcp(SocketAddr::new(address_of(text)?, port), 16, false)?;
        listener.kind = ListenerKind::Metrics;
        Ok(listener)
    };
    listen().map(Some).map_err(|error| ListenError { address: format!("{text}:{port} (metrics)"), error })
}
