//! Certificates for servers on the loopback address, from an authority that only the test trusts.

use std::path::PathBuf;

/// Files (PEM) for servers that speak TLS, and for their clients.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Who vouches for the certificate.
    pub ca: PathBuf,
    /// A certificate for `127.0.0.1` and `localhost`.
    pub certificate: PathBuf,
    /// The key of that.
    pub key: PathBuf,
}

#[cfg(feature = "certificates")]
impl Certificates {
    /// Makes an authority, and a certificate that it vouches for, in a folder.
    ///
    /// # Errors
    /// When they cannot be made, or not be written there.
    pub fn make(folder: &std::path::Path) -> std::io::Result<Self> {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let made = || -> Result<_, rcgen::Error> {
            let mut authority = CertificateParams::new(Vec::new())?;
            authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            // By default all have the same name, and then each would seem to have signed itself.
            authority.distinguished_name.push(DnType::CommonName, "an authority of the tests");
            let authority_key = KeyPair::generate()?;
            let ca = authority.self_signed(&authority_key)?;
            let key = KeyPair::generate()?;
            let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
            let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key))?;
            Ok((ca.pem(), certificate.pem(), key.serialize_pem()))
        };
        let (ca, certificate, key) = made().map_err(std::io::Error::other)?;
        std::fs::create_dir_all(folder)?;
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            std::fs::write(&file, text).map(|()| file)
        };
        Ok(Self {
            ca: write("ca.pem", ca)?,
            certificate: write("server.pem", certificate)?,
            key: write("server.key", key)?,
        })
    }
}
