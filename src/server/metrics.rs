//! The socket of the metrics port.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};

use crate::config::{Config, id};
use crate::runtime::face::{Listener, ListenerKind};
use crate::runtime::socket;

/// Scrapers that may wait to be accepted.
const BACKLOG: u32 = 16;

/// The listening socket, if there is to be one. One core serves it.
pub fn listener(config: &Config) -> Result<Option<Listener>> {
    let port = config.integer(id::METRICS_PORT) as u16;
    if port == 0 {
        return Ok(None);
    }
    let bind = config.text(id::METRICS_BIND);
    let ip: IpAddr = bind.parse().with_context(|| format!("metrics-bind {bind}"))?;
    let mut listener = socket::listen_tcp(SocketAddr::new(ip, port), BACKLOG, false)
        .with_context(|| format!("listening on {ip} port {port} for metrics"))?;
    listener.kind = ListenerKind::Metrics;
    Ok(Some(listener))
}
