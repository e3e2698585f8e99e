//! TLS on a listener: a certificate and its key. Clients need no certificate; signatures and tokens decide what they
//! may do. The files are read when the process starts, and again from time to time: a renewed certificate is shown to
//! new connections, and files that do not go together, as while they are being replaced, leave the old one in place.
//!
//! A handshake runs on the task of its connection, within `gateway.server.handshake_timeout_ms`, and counts among the
//! open connections. So a client that never completes its handshake delays nobody else.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

/// Which certificate a listener shows. Without one it speaks in the clear.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file with the certificate, and behind it those that lead to the authority; empty: no TLS.
    pub certificate_file: PathBuf,
    /// A PEM file with the certificate's private key.
    pub key_file: PathBuf,
}

/// Why a certificate cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the two files is not named.
    #[error(
        "TLS needs `certificate_file` and `key_file`, and only one of them is set; set both, or none to serve without \
         TLS"
    )]
    Half,
    /// A file is not there, or not PEM.
    #[error("cannot read {what} from {}: {source}; name a PEM file", file.display())]
    Unreadable {
        /// What should be in it.
        what: &'static str,
        /// Which file.
        file: PathBuf,
        /// The underlying error.
        source: pem::Error,
    },
    /// The certificate cannot be shown with that key.
    #[error(
        "the key in {} does not go with the certificate in {}: {source}; name the private key that the certificate was \
         made for",
        key.display(), certificate.display()
    )]
    Unfit {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Where the key is.
        key: PathBuf,
        /// The underlying error.
        source: rustls::Error,
    },
}

/// Makes the handshakes of a listener.
#[derive(Clone)]
pub struct Handshakes {
    pub(crate) acceptor: TlsAcceptor,
    shown: Arc<Shown>,
}

/// What the files of a certificate hold.
struct Pair {
    key: Arc<CertifiedKey>,
    /// When the certificate expires, in seconds of Unix time; `None` if it does not say so in a form that is
    /// understood.
    expires: Option<i64>,
}

/// The certificate that a listener shows at present, and where its files are.
struct Shown {
    files: TlsConfig,
    pair: RwLock<Pair>,
    /// Why the files were refused when they were last read.
    refused: Mutex<Refused>,
}

/// What was said of files that do not go together.
#[derive(Default)]
struct Refused {
    why: Option<String>,
    reported: bool,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("files", &self.files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.read().key))
    }
}

impl Shown {
    /// Reads the files again, and shows what they hold if that is another certificate. Blocks on the disk.
    fn renew(&self) {
        let read = match self.files.read() {
            Ok(read) => read,
            Err(error) => return self.refuse(error.to_string()),
        };
        *self.refused.lock() = Refused::default();
        if self.pair.read().key.cert == read.key.cert {
            return;
        }
        let certificate = self.files.certificate_file.display().to_string();
        tracing::info!(certificate, expires = read.expires, "the certificate was renewed; new connections get it");
        *self.pair.write() = read;
    }

    /// Two files are replaced one after the other, so an error counts when it is still there at the next look. It is
    /// reported once.
    fn refuse(&self, why: String) {
        let mut refused = self.refused.lock();
        if refused.why.as_ref() != Some(&why) {
            *refused = Refused { why: Some(why), reported: false };
        } else if !refused.reported {
            refused.reported = true;
            tracing::warn!(error = why, "the certificate cannot be renewed; the old one is still shown");
        }
    }
}

impl Handshakes {
    /// When the certificate that is shown expires, in seconds of Unix time.
    pub(crate) fn expires(&self) -> Option<i64> {
        self.shown.pair.read().expires
    }

    /// Reads the files again at an interval, and calls `renewed` after each look. Ends never; an interval of zero looks
    /// never.
    pub(crate) async fn follow(&self, every: Duration, renewed: impl Fn(&Self)) {
        if every.is_zero() {
            return std::future::pending().await;
        }
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let shown = Arc::clone(&self.shown);
            // A panic there leaves the old certificate, like files that cannot be read.
            let _ = tokio::task::spawn_blocking(move || shown.renew()).await;
            renewed(self);
        }
    }
}

/// When a certificate expires, in seconds of Unix time.
fn expiry(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(parsed.validity().not_after.timestamp())
}

impl TlsConfig {
    /// Reads the files; `None` if none are named.
    ///
    /// # Errors
    /// When only one is named, or they are not a certificate and its key.
    pub fn load(&self) -> Result<Option<Handshakes>, Error> {
        let named = |file: &Path| !file.as_os_str().is_empty();
        match (named(&self.certificate_file), named(&self.key_file)) {
            (false, false) => return Ok(None),
            (true, true) => {}
            _ => return Err(Error::Half),
        }
        let shown = Shown { files: self.clone(), pair: RwLock::new(self.read()?), refused: Mutex::default() };
        let shown = Arc::new(shown);
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|source| self.unfit(source))?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(&shown) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Handshakes { acceptor: TlsAcceptor::from(Arc::new(config)), shown }))
    }

    fn unfit(&self, source: rustls::Error) -> Error {
        Error::Unfit { certificate: self.certificate_file.clone(), key: self.key_file.clone(), source }
    }

    /// The certificate and its key, from the files.
    fn read(&self) -> Result<Pair, Error> {
        let unreadable = |what, file: &Path| {
            let file = file.to_owned();
            move |source| Error::Unreadable { what, file, source }
        };
        let read = || CertificateDer::pem_file_iter(&self.certificate_file)?.collect::<Result<Vec<_>, _>>();
        let chain = read().and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
        let chain = chain.map_err(unreadable("a certificate", &self.certificate_file))?;
        let key = PrivateKeyDer::from_pem_file(&self.key_file);
        let key = key.map_err(unreadable("a private key", &self.key_file))?;
        let expires = chain.first().and_then(expiry);
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider());
        Ok(Pair { key: Arc::new(certified.map_err(|source| self.unfit(source))?), expires })
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshakes")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    #[test]
    fn files_that_do_not_go_together_are_refused_with_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            file
        };
        let made = || generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let CertifiedKey { cert, signing_key } = made();
        let certificate_file = write("cert.pem", &cert.pem());
        let key_file = write("key.pem", &signing_key.serialize_pem());
        let other = write("other.pem", &made().signing_key.serialize_pem());
        let with = |certificate_file: &Path, key_file: &Path| {
            let config = TlsConfig { certificate_file: certificate_file.to_owned(), key_file: key_file.to_owned() };
            config.load().map(|loaded| loaded.is_some()).map_err(|error| error.to_string())
        };
        let nothing = Path::new("");
        assert_eq!(with(nothing, nothing), Ok(false));
        assert_eq!(with(&certificate_file, &key_file), Ok(true));
        let shown = TlsConfig { certificate_file: certificate_file.clone(), key_file: key_file.clone() };
        // The end of the year 4095, which is what rcgen writes.
        assert_eq!(shown.load().unwrap().unwrap().expires(), Some(67_090_118_400));
        for (certificate, key, said) in [
            (certificate_file.as_path(), nothing, "only one of them is set"),
            (nothing, key_file.as_path(), "only one of them is set"),
            (&certificate_file, &other, "other.pem does not go with the certificate in"),
            (&certificate_file, &certificate_file, "cannot read a private key from"),
            (&key_file, &key_file, "cannot read a certificate from"),
            (&folder.path().join("missing.pem"), &key_file, "missing.pem"),
        ] {
            let error = with(certificate, key).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_renewed_certificate_is_shown_once_its_key_is_there_too() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate_file, key_file] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        let made = || generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let [old, new] = [made(), made()];
        fs::write(&certificate_file, old.cert.pem()).unwrap();
        fs::write(&key_file, old.signing_key.serialize_pem()).unwrap();
        let config = TlsConfig { certificate_file: certificate_file.clone(), key_file: key_file.clone() };
        let shown = config.load().unwrap().unwrap().shown;
        let shows = |made: &CertifiedKey<_>| shown.pair.read().key.cert[0] == *made.cert.der();
        shown.renew();
        assert!(shows(&old) && shown.refused.lock().why.is_none());

        fs::write(&certificate_file, new.cert.pem()).unwrap();
        for reported in [false, true, true] {
            shown.renew();
            assert!(shows(&old), "the new key is not there yet");
            assert_eq!(shown.refused.lock().reported, reported);
        }
        fs::write(&key_file, new.signing_key.serialize_pem()).unwrap();
        shown.renew();
        assert!(shows(&new) && shown.refused.lock().why.is_none());
        fs::remove_file(&key_file).unwrap();
        shown.renew();
        assert!(shows(&new));
    }
}
