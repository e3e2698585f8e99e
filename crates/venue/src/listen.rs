//! The addresses of a process: bound before anything slow begins, so that what is wrong with them is found at once;
//! listened on, with TLS where it is configured; and served until the process stops.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crossbook_api_admin::probe::Only;
use crossbook_http::ServerConfig;
use crossbook_http::server::{self, Listener};
use crossbook_http::tls::{self, Handshakes, TlsConfig};
use tokio::sync::watch;
use tokio::task::JoinError;

use crate::config::Config;
use crate::process::spawn_vital;

/// Why a process cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; {}. Give another address with --{setting}, or as `{setting}` in the \
         settings",
        refused_because(source)
    )]
    Listen {
        /// The setting, whose option has the same name.
        setting: &'static str,
        /// The address of the listener.
        address: SocketAddr,
        /// The underlying error.
        source: std::io::Error,
    },
    /// A certificate cannot be used.
    #[error("[{section}] {source}")]
    Tls {
        /// Where it is set.
        section: &'static str,
        /// The underlying error.
        source: Box<tls::Error>,
    },
}

/// The usual reason of an error to bind or listen, for people.
fn refused_because(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => "another process listens there, perhaps another venue",
        ErrorKind::AddrNotAvailable => "this machine has no such address",
        ErrorKind::PermissionDenied => "ports below 1024 are for root, or for a process with CAP_NET_BIND_SERVICE",
        _ => "the system refuses it",
    }
}

/// Binds the address of the client API, so that no other process takes it; connections are refused until
/// [`Reserved::listen`]. Warns if clients on other machines would connect without TLS.
///
/// # Errors
/// When another process listens there.
pub fn reserve_http(config: &Config) -> Result<Reserved, Error> {
    let tls = certificate("gateway.tls", &config.gateway.tls)?;
    warn_if_in_the_clear("http", config.http, tls.is_none());
    let bound = server::bind(config.http).map_err(|source| refused("http", config.http, source))?;
    Ok(Reserved { setting: "http", bound, address: config.http, tls })
}

/// Binds the admin address of this process, as [`reserve_http`] does. A probe of a process that still waits for
/// something is refused.
///
/// # Errors
/// When another process listens there, or the certificate cannot be used.
pub fn reserve_admin(config: &Config) -> Result<Reserved, Error> {
    let tls = certificate("gateway.admin_tls", &config.gateway.admin_tls)?;
    warn_if_in_the_clear("admin", config.admin, tls.is_none());
    let bound = server::bind(config.admin).map_err(|source| refused("admin", config.admin, source))?;
    Ok(Reserved { setting: "admin", bound, address: config.admin, tls })
}

/// Binds the address for probes, as [`reserve_http`] does; `None` if there is none.
///
/// # Errors
/// When another process listens there.
pub fn reserve_probes(config: &Config) -> Result<Option<Reserved>, Error> {
    let reserve = |address| {
        let bound = server::bind(address).map_err(|source| refused("probes", address, source))?;
        Ok(Reserved { setting: "probes", bound, address, tls: None })
    };
    config.probes.0.map(reserve).transpose()
}

/// Listens where [`reserve_probes`] has reserved an address, and answers with what `service` says to probes.
///
/// # Errors
/// When another process has begun to listen there.
pub fn serve_probes<S: server::Service>(
    reserved: Option<Reserved>,
    bounds: &ServerConfig,
    service: &Arc<S>,
) -> Result<Option<Server>, Error> {
    let serve = |reserved: Reserved| {
        let listener = reserved.listen()?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!(probes = %address, "probes are answered");
        }
        Ok(Server::start("the address for probes", listener, bounds, Arc::new(Only(Arc::clone(service)))))
    };
    reserved.map(serve).transpose()
}

/// Where the processes of this machine with that configuration answer probes, as a URL.
#[must_use]
pub fn probe_url(config: &Config) -> String {
    let secured = config.gateway.admin_tls != TlsConfig::default();
    let (scheme, mut address) = match config.probes.0 {
        Some(probes) => ("http", probes),
        None => (if secured { "https" } else { "http" }, config.admin),
    };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("{scheme}://{address}")
}

/// Checks that the addresses of a venue can be listened on, where much is to be done before it starts. Accepts no
/// connections and holds nothing.
///
/// # Errors
/// When another process listens at one of them, or it is not an address of this machine.
pub fn check_addresses(config: &Config) -> Result<(), Error> {
    let _http = server::bind(config.http).map_err(|source| refused("http", config.http, source))?;
    let _admin = server::bind(config.admin).map_err(|source| refused("admin", config.admin, source))?;
    let _probes = reserve_probes(config)?;
    Ok(())
}

/// See [`reserve_http`], [`reserve_admin`] and [`reserve_probes`].
pub struct Reserved {
    setting: &'static str,
    bound: server::Bound,
    address: SocketAddr,
    tls: Option<Handshakes>,
}

impl Reserved {
    /// Listens.
    ///
    /// # Errors
    /// When another process has begun to listen there.
    pub fn listen(self) -> Result<Listener, Error> {
        let listener = self.bound.listen().map_err(|source| refused(self.setting, self.address, source))?;
        Ok(listener.secured(self.tls))
    }
}

fn refused(setting: &'static str, address: SocketAddr, source: std::io::Error) -> Error {
    Error::Listen { setting, address, source }
}

/// Warns of an address where keys and tokens can be read on the network.
fn warn_if_in_the_clear(setting: &'static str, address: SocketAddr, in_the_clear: bool) {
    if in_the_clear && !address.ip().is_loopback() {
        let section = if setting == "admin" { "gateway.admin_tls" } else { "gateway.tls" };
        tracing::warn!(
            %address,
            "`{setting}` is reached from other machines, and speaks in the clear: set a certificate in [{section}], or \
             let only a proxy that ends TLS reach it"
        );
    }
}

/// Listens on the admin address of this process, with TLS if a certificate is configured.
///
/// # Errors
/// When another process does, or the certificate cannot be used.
pub fn listen_for_admin(config: &Config) -> Result<Listener, Error> {
    reserve_admin(config)?.listen()
}

/// The certificate of a section of the configuration, if one is set.
///
/// # Errors
/// When it cannot be shown.
pub fn certificate(section: &'static str, config: &TlsConfig) -> Result<Option<Handshakes>, Error> {
    config.load().map_err(|source| Error::Tls { section, source: Box::new(source) })
}

/// A listener that is being served.
pub struct Server {
    /// The task that serves.
    pub serving: tokio::task::JoinHandle<()>,
    /// Ends it when `true` is sent.
    pub stop: watch::Sender<bool>,
}

impl Server {
    /// Serves a listener. The server ends when the result is dropped.
    pub fn start<S: server::Service>(
        name: &'static str,
        listener: Listener,
        bounds: &ServerConfig,
        service: Arc<S>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { serving: spawn_vital(name, server::serve(listener, bounds.clone(), service, stopped)), stop }
    }

    /// Ends it, once what was asked is answered.
    ///
    /// # Errors
    /// When the task has panicked.
    pub async fn stop(self) -> Result<(), JoinError> {
        let _ = self.stop.send(true);
        self.serving.await
    }

    /// Ends what answers operators and probes, both at the same time: each may have to wait for its connections.
    ///
    /// # Errors
    /// When a task has panicked.
    pub async fn stop_both(operator: Self, probes: Option<Self>) -> Result<(), JoinError> {
        let probes = async {
            match probes {
                Some(probes) => probes.stop().await,
                None => Ok(()),
            }
        };
        let (operator, probes) = tokio::join!(operator.stop(), probes);
        operator.and(probes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpStream;
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    use crossbook_api_admin::probe::{Probe, Started};
    use serde_json::Value;

    use super::*;
    use crate::config::address::Optional;

    /// A server with a request that it answers when it is let, and the client's end of the connection.
    fn busy() -> (Server, Sender<()>, TcpStream) {
        let ((asked, was_asked), (let_go, released)) = (channel(), channel());
        let released = Mutex::new(released);
        let partitions = move || {
            asked.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
            Value::Null
        };
        let probe = Arc::new(Probe::new(Box::new(String::new)));
        probe.open(Started::new(Box::new(|| (true, Value::Null))).with_partitions(Arc::new(partitions)));
        let listener = server::listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let bounds = ServerConfig { shutdown_timeout_ms: 600_000, ..ServerConfig::default() };
        let server = Server::start("a server", listener, &bounds, probe);
        client.write_all(b"GET /partitions HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
        was_asked.recv().unwrap();
        (server, let_go, client)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn operators_and_probes_are_waited_for_at_the_same_time() {
        let (operator, let_operator, _first) = busy();
        let (Server { serving, stop }, let_probe, _second) = busy();
        // The operator's request is answered once the server for probes has ended.
        let probes = Server {
            serving: tokio::spawn(async move {
                serving.await.unwrap();
                let_operator.send(()).unwrap();
            }),
            stop,
        };
        let_probe.send(()).unwrap();
        let stopped =
            tokio::time::timeout(std::time::Duration::from_secs(60), Server::stop_both(operator, Some(probes)));
        stopped.await.expect("not one after the other").unwrap();
    }

    #[test]
    fn probes_are_asked_on_this_machine() {
        let at = |probes: Option<&str>, admin: &str, secured: bool| {
            let mut config = Config { probes: Optional(probes.map(|text| text.parse().unwrap())), ..Config::default() };
            config.admin = admin.parse().unwrap();
            if secured {
                config.gateway.admin_tls.certificate_file = "admin.pem".into();
            }
            probe_url(&config)
        };
        assert_eq!(at(Some("0.0.0.0:8082"), "0.0.0.0:8081", true), "http://127.0.0.1:8082");
        assert_eq!(at(Some("[::]:8082"), "127.0.0.1:8081", false), "http://[::1]:8082");
        assert_eq!(at(None, "10.0.0.1:8081", false), "http://10.0.0.1:8081");
        assert_eq!(at(None, "0.0.0.0:8081", true), "https://127.0.0.1:8081");
    }
}
