//! Encrypted connections.

use super::*;

const AUTH_CLIENTS: &[(&str, u32)] = &[("no", 0), ("yes", 1), ("optional", 2)];
const CLIENTS_USER: &[(&str, u32)] = &[("off", 0), ("CN", 1)];

pub(super) const SETTINGS: &[Setting] = &[
    integer("tls-port", "0", (0, 65535), "TCP port for clients that use TLS; 0 has none.").area(Area::Tls),
    optional("tls-cert-file", "The server's certificate, PEM.").volatile().area(Area::Tls),
    optional("tls-key-file", "The server's private key, PEM.").volatile().area(Area::Tls),
    optional("tls-key-file-pass", "Password of the private key.").sensitive().area(Area::Tls),
    optional("tls-client-cert-file", "Certificate for outgoing connections; the server's when empty.")
        .volatile()
        .area(Area::Tls),
    optional("tls-client-key-file", "Private key for outgoing connections; the server's when empty.")
        .volatile()
        .area(Area::Tls),
    optional("tls-client-key-file-pass", "Password of the private key for outgoing connections.")
        .sensitive()
        .area(Area::Tls),
    optional("tls-dh-params-file", "Diffie-Hellman parameters for old clients.").volatile().area(Area::Tls),
    optional("tls-ca-cert-file", "Certificates of the authorities that peers are checked against.")
        .volatile()
        .area(Area::Tls),
    optional("tls-ca-cert-dir", "Directory of such certificates.").volatile().area(Area::Tls),
    choice("tls-auth-clients", "yes", AUTH_CLIENTS, "Whether clients must show a certificate.")
        .area(Area::Tls),
    choice(
        "tls-auth-clients-user",
        "off",
        CLIENTS_USER,
        "Field of the client's certificate that names its user.",
    )
    .since(Since::Redis8)
    .area(Area::Tls),
    flag("tls-replication", "no", "Use TLS to the primary.").area(Area::Tls),
    flag("tls-cluster", "no", "Use TLS on the cluster bus.").area(Area::Tls),
    optional(
        "tls-protocols",
        "Protocol versions to accept, such as TLSv1.2 TLSv1.3; the library's choice when empty.",
    )
    .area(Area::Tls),
    optional("tls-ciphers", "Ciphers of TLS 1.2 and older; the library's choice when empty.").area(Area::Tls),
    optional("tls-ciphersuites", "Ciphers of TLS 1.3; the library's choice when empty.").area(Area::Tls),
    flag("tls-prefer-server-ciphers", "no", "Choose ciphers by the server's order, not the client's.")
        .area(Area::Tls),
    flag("tls-session-caching", "yes", "Let clients resume sessions.").area(Area::Tls),
    integer(
        "tls-session-cache-size",
        "20480",
        (0, INT_MAX),
        "Sessions that can be resumed; 0 sets no limit.",
    )
    .area(Area::Tls),
    integer("tls-session-cache-timeout", "300", (0, INT_MAX), "Seconds for which a session can be resumed.")
        .area(Area::Tls),
];
