//! TLS connections: the authorities that verify the servers, and our own certificate.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionInfo, RedisResult, TlsCertificates};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::{Error, Options, options};

/// What the options name, read once; none if the servers are not asked under TLS.
pub(crate) fn certificates(options: &Options) -> Result<Option<TlsCertificates>, Error> {
    if !options.servers.iter().any(|server| options::is_secured(server)) {
        return Ok(None);
    }
    // The provider is installed explicitly: if another one were compiled in too, the default would be ambiguous. An
    // error here only means that it has been installed before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let root_cert = read("ca_file", &options.ca_file)?;
    if let Some(pem) = &root_cert {
        chain("ca_file", &options.ca_file, pem)?;
    }
    let client_cert = read("client_certificate_file", &options.client_certificate_file)?;
    let client_key = read("client_key_file", &options.client_key_file)?;
    let client_tls =
        client_cert.zip(client_key).map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    if let Some(shown) = &client_tls {
        belong_together(options, shown)?;
    }
    Ok(Some(TlsCertificates { client_tls, root_cert }))
}

fn read(key: &str, file: &Path) -> Result<Option<Vec<u8>>, Error> {
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let wrong = |error| Error::Options(format!("{key} {} cannot be read: {error}; name a PEM file", file.display()));
    std::fs::read(file).map(Some).map_err(wrong)
}

fn chain(key: &str, file: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().unwrap_or_default();
    if found.is_empty() {
        return Err(Error::Options(format!("{key} {} holds no certificate in PEM", file.display())));
    }
    Ok(found)
}

/// A key of another certificate would else only show when a server is connected to, and be waited out like a server
/// that is down.
fn belong_together(options: &Options, shown: &ClientTlsConfig) -> Result<(), Error> {
    let (certificate, key) = (&options.client_certificate_file, &options.client_key_file);
    let chain = chain("client_certificate_file", certificate, &shown.client_cert)?;
    let wrong = |why: &dyn std::fmt::Display| {
        Error::Options(format!(
            "client_key_file {} is not the key of the certificate in {}: {why}; name the PEM file with its private key",
            key.display(),
            certificate.display()
        ))
    };
    let private = PrivateKeyDer::from_pem_slice(&shown.client_key).map_err(|error| wrong(&error))?;
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
    config.with_client_auth_cert(chain, private).map(drop).map_err(|error| wrong(&error))
}

/// The same server, reached with these.
pub(crate) fn secured(info: ConnectionInfo, certificates: &TlsCertificates) -> RedisResult<ConnectionInfo> {
    Client::build_with_tls(info, certificates.clone()).map(|client| client.get_connection_info().clone())
}
