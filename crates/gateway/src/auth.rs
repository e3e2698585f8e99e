//! Authentication: who sends a request. An API key names an account; a signature over the payload proves that the
//! sender has the key's secret half; a time stamp bounds for how long the request can be replayed.
//!
//! The checks, in order: the form of the key, that it exists and may be used from this address, the signature, the
//! permission. An error does not tell whether the key exists.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use aws_lc_rs::{constant_time, digest, hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crossbook_protocol::registry::{ApiKey, Credential, Permissions};
use crossbook_types::{AccountId, ApiKeyId, Timestamp};
use crossbook_views::Registry;
use ipnet::IpNet;
use parking_lot::RwLock;
use secrecy::ExposeSecret;

use crate::clock::now;
use crate::key_uses::{KeyUse, KeyUses};
use crate::read_model::ReadModel;
use crate::secret::{self, MasterKey};

/// How far ahead of the venue a client's clock may be, in microseconds.
pub const AHEAD_MAX: u64 = 1_000_000;
/// Lengths of RSA keys, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Why a sender is not authenticated, or may not do what it asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuthError {
    /// No API key was sent, or what was sent has not the form of one.
    #[error("this is not the form of an API key")]
    KeyFormat,
    /// There is no such API key, it may not be used from this address, or it lacks the permission. The error does not
    /// distinguish these, because it must not reveal whether a key exists.
    #[error("there is no such API key, or it may not be used from here or for this")]
    KeyRejected,
    /// The signature is not one of the key over the payload.
    #[error("the signature is not valid for this request")]
    Signature,
    /// The key's secret cannot be opened, which is the operator's business.
    #[error("the API key cannot be used at this venue")]
    Unusable,
}

/// Why the time that a sender put on a request does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StampError {
    /// It is ahead of the venue's clock by more than [`AHEAD_MAX`].
    #[error("the time of the request is ahead of the venue's clock")]
    Ahead,
    /// The time for which the request is valid is over.
    #[error("the request is no longer valid")]
    Expired,
}

/// What an operation asks of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Security {
    /// No key and no signature.
    Public,
    /// A key that may read.
    Read,
    /// A key that may trade.
    Trade,
}

/// Whose request it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The account.
    pub account: AccountId,
    /// The key it was signed with.
    pub key: ApiKeyId,
    /// What that key may do.
    pub permissions: Permissions,
}

impl Identity {
    /// Checks that the key may do what an operation needs.
    ///
    /// # Errors
    /// [`AuthError::KeyRejected`] if not.
    pub fn require(&self, security: Security) -> Result<(), AuthError> {
        let may = match security {
            Security::Public => true,
            Security::Read => self.permissions.read,
            Security::Trade => self.permissions.trade,
        };
        if may { Ok(()) } else { Err(AuthError::KeyRejected) }
    }
}

/// A sender's claim to be the owner of a key. It holds what the proof needs, so that signatures, which can take long,
/// are checked without holding the registry's lock.
pub struct Claim(Arc<Verifier>);

/// Looks up a key.
///
/// # Errors
/// When it has not the form of an API key, there is none of that name, or its secret cannot be opened.
pub fn claim(read_model: &ReadModel, keyring: &Keyring, key: Option<&str>) -> Result<Claim, AuthError> {
    let key = key.and_then(well_formed).ok_or(AuthError::KeyFormat)?;
    keyring.verifier(read_model, &key).map(Claim)
}

/// The text as an API key, if it could be one: those that are issued have all their characters.
fn well_formed(text: &str) -> Option<ApiKeyId> {
    if text.len() == secret::KEY_CHARACTERS { ApiKeyId::new_checked(text).ok() } else { None }
}

impl Claim {
    /// Checks the address and the signature, which may be over any one of `payloads`.
    ///
    /// # Errors
    /// When the key is not for this address, or the signature is wrong.
    pub fn prove(
        self,
        ip: IpAddr,
        payloads: impl IntoIterator<Item: AsRef<[u8]>>,
        signature: &str,
    ) -> Result<Identity, AuthError> {
        let Self(verifier) = self;
        if !verifier.allows(ip) {
            return Err(AuthError::KeyRejected);
        }
        if !payloads.into_iter().any(|payload| verifier.verify(payload.as_ref(), signature)) {
            return Err(AuthError::Signature);
        }
        verifier.note_use(ip);
        Ok(verifier.identity)
    }
}

impl Claim {
    /// Checks the address, and takes the name of the key for proof: for operations that ask for no signature.
    ///
    /// # Errors
    /// When the key is not for this address.
    pub fn by_name(self, ip: IpAddr) -> Result<Identity, AuthError> {
        let Self(verifier) = self;
        if !verifier.allows(ip) {
            return Err(AuthError::KeyRejected);
        }
        verifier.note_use(ip);
        Ok(verifier.identity)
    }
}

/// The time after which a request must not take effect, which its sender has stamped `sent` and lets be valid for
/// `window` microseconds.
///
/// # Errors
/// When it is too far ahead, or that time is over.
pub fn deadline(sent: Timestamp, window: u64, now: Timestamp) -> Result<Timestamp, StampError> {
    if sent.0 >= now.0.saturating_add(AHEAD_MAX) {
        return Err(StampError::Ahead);
    }
    let deadline = Timestamp(sent.0.saturating_add(window));
    if now > deadline { Err(StampError::Expired) } else { Ok(deadline) }
}

/// Whether two secrets are the same, in a time that reveals neither where they differ nor how long they are.
#[must_use]
pub fn same_secret(one: &[u8], other: &[u8]) -> bool {
    let digest = |text| digest::digest(&digest::SHA256, text);
    constant_time::verify_slices_are_equal(digest(one).as_ref(), digest(other).as_ref()).is_ok()
}

enum Method {
    Hmac(Box<hmac::Key>),
    PublicKey(ParsedPublicKey),
}

/// An API key, ready to check signatures.
struct Verifier {
    identity: Identity,
    /// How many keys had been revoked when this one was found in the registry.
    revocations: u64,
    method: Method,
    /// `None` if one of the networks cannot be parsed: then no address is allowed.
    allowed: Option<Vec<IpNet>>,
    uses: Arc<KeyUses>,
    /// When a use was last noted.
    noted: AtomicU64,
}

impl Verifier {
    fn new(key: &ApiKey, revocations: u64, keyring: &Keyring) -> Result<Self, secret::Error> {
        let public = |bytes: &[u8], algorithm| {
            ParsedPublicKey::new(algorithm, bytes).map(Method::PublicKey).map_err(|_| secret::Error::Cryptography)
        };
        let method = match &key.credential {
            Credential::Hmac { sealed } => {
                let opened = keyring.master.open(&key.key, sealed)?;
                Method::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, opened.expose_secret())))
            }
            Credential::Ed25519 { public: bytes } => public(bytes, &ED25519)?,
            Credential::Rsa { public: bytes } => public(bytes, &RSA_PKCS1_2048_8192_SHA256)?,
        };
        let allowed = key.allowed_ips.iter().map(|text| network(text)).collect();
        let &ApiKey { account, key, permissions, .. } = key;
        let (identity, uses) = (Identity { account, key, permissions }, Arc::clone(&keyring.uses));
        Ok(Self { identity, revocations, method, allowed, uses, noted: AtomicU64::new(0) })
    }

    fn note_use(&self, ip: IpAddr) {
        let time = now();
        if KeyUses::is_news(Timestamp(self.noted.load(Ordering::Relaxed)), time) {
            self.noted.store(time.0, Ordering::Relaxed);
            self.uses.note(self.identity.key, KeyUse { time, address: ip.to_canonical() });
        }
    }

    fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.allowed.as_ref().is_some_and(|nets| nets.is_empty() || nets.iter().any(|net| net.contains(&ip)))
    }

    fn verify(&self, payload: &[u8], signature: &str) -> bool {
        match &self.method {
            Method::Hmac(key) => {
                let mut tag = [0; 32];
                // Decoding takes a time that depends on what was sent, and on no secret; `hmac::verify` takes the same
                // wherever the two differ.
                hex::decode_to_slice(signature, &mut tag).is_ok() && hmac::verify(key, payload, &tag).is_ok()
            }
            Method::PublicKey(key) => {
                BASE64.decode(signature).is_ok_and(|bytes| key.verify_sig(payload, &bytes).is_ok())
            }
        }
    }
}

/// An address or a network in CIDR notation.
#[must_use]
pub fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// API keys ready to check signatures, so that a secret is not opened again for each request. This is a cache, never
/// the truth: whenever any key has been revoked, each is looked up in the registry once more before it is used.
pub struct Keyring {
    master: MasterKey,
    ready: RwLock<HashMap<ApiKeyId, Arc<Verifier>>>,
    uses: Arc<KeyUses>,
    capacity: usize,
}

impl Keyring {
    /// Empty, with room for `capacity` keys.
    #[must_use]
    pub fn new(master: MasterKey, capacity: usize) -> Self {
        Self { master, ready: RwLock::default(), uses: Arc::new(KeyUses::new(capacity)), capacity }
    }

    /// What secrets are sealed under.
    #[must_use]
    pub fn master_key(&self) -> &MasterKey {
        &self.master
    }

    /// When keys were last used.
    #[must_use]
    pub fn uses(&self) -> &Arc<KeyUses> {
        &self.uses
    }

    /// Notes that a session used the key that it was begun with, unless it was noted within the last second: at
    /// `noted`, which becomes `now` if it is noted.
    pub fn note_session(&self, key: ApiKeyId, address: IpAddr, noted: &mut Timestamp, now: Timestamp) {
        if KeyUses::is_news(*noted, now) {
            *noted = now;
            self.uses.note(key, KeyUse { time: now, address: address.to_canonical() });
        }
    }

    fn verifier(&self, read_model: &ReadModel, key: &ApiKeyId) -> Result<Arc<Verifier>, AuthError> {
        // Counted before the registry is asked: a revocation in between only means that it is asked again.
        let revocations = read_model.revocations();
        if let Some(ready) = self.ready.read().get(key).filter(|ready| ready.revocations == revocations) {
            return Ok(Arc::clone(ready));
        }
        let api_key = read_model.registry().api_key(key.as_str()).cloned();
        let Some(api_key) = api_key else {
            self.ready.write().remove(key);
            return Err(AuthError::KeyRejected);
        };
        let verifier = Arc::new(Verifier::new(&api_key, revocations, self).map_err(|error| {
            tracing::error!(api_key = %key, %error, "an API key cannot be used");
            AuthError::Unusable
        })?);
        let mut ready = self.ready.write();
        if ready.len() >= self.capacity && !ready.contains_key(key) {
            // Any other may be evicted: a key in use is loaded again with its next request.
            if let Some(other) = ready.keys().next().copied() {
                ready.remove(&other);
            }
        }
        ready.insert(*key, Arc::clone(&verifier));
        Ok(verifier)
    }
}

/// The API keys with a secret in the registry.
fn sealed(registry: &Registry) -> impl Iterator<Item = (&ApiKey, &[u8])> {
    let keys = registry.accounts().flat_map(|account| registry.api_keys(account.id));
    keys.filter_map(|key| match &key.credential {
        Credential::Hmac { sealed } => Some((key, sealed.as_slice())),
        _ => None,
    })
}

/// Whether any API key has a secret, so that the venue needs the master key that it was sealed under.
#[must_use]
pub fn has_sealed_keys(registry: &Registry) -> bool {
    sealed(registry).next().is_some()
}

/// The API keys whose secrets `master` does not open: they cannot be used.
#[must_use]
pub fn lost_keys(registry: &Registry, master: &MasterKey) -> Vec<(AccountId, ApiKeyId)> {
    let lost = sealed(registry).filter(|(key, sealed)| master.open(&key.key, sealed).is_err());
    lost.map(|(key, _)| (key.account, key.key)).collect()
}

/// Checks that the secrets of these API keys were sealed under `master`. One that opens proves it.
///
/// # Errors
/// When there are sealed secrets and none can be opened: such a venue would refuse every client with an HMAC key.
pub fn check_master_key(registry: &Registry, master: &MasterKey) -> Result<(), secret::Error> {
    let mut opened = sealed(registry).map(|(key, sealed)| master.open(&key.key, sealed).map(drop));
    let Some(first) = opened.next() else { return Ok(()) };
    first.or_else(|error| if opened.any(|other| other.is_ok()) { Ok(()) } else { Err(error) })
}

/// Why a public key is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("publicKey must be a PEM block `BEGIN PUBLIC KEY` with an Ed25519 key, or an RSA key of 2048 to 8192 bits")]
pub struct PublicKeyError;

/// Reads a public key in PEM (SubjectPublicKeyInfo).
///
/// # Errors
/// When it is anything but an Ed25519 key or an RSA key of 2048 to 8192 bits.
pub fn public_key(pem: &str) -> Result<Credential, PublicKeyError> {
    /// SubjectPublicKeyInfo of an Ed25519 key, up to the key.
    const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let body = pem
        .trim()
        .strip_prefix("-----BEGIN PUBLIC KEY-----")
        .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
        .ok_or(PublicKeyError)?;
    let text: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let der = BASE64.decode(text).map_err(|_| PublicKeyError)?;
    if let Some(raw) = der.strip_prefix(&ED25519_PREFIX) {
        ParsedPublicKey::new(&ED25519, raw).map_err(|_| PublicKeyError)?;
        return Ok(Credential::Ed25519 { public: raw.to_vec() });
    }
    // Parsing alone accepts any length; only signatures by short keys would then be refused.
    let key = rsa::PublicEncryptingKey::from_der(&der).map_err(|_| PublicKeyError)?;
    if !RSA_BITS.contains(&key.key_size_bits()) {
        return Err(PublicKeyError);
    }
    Ok(Credential::Rsa { public: der })
}

#[cfg(test)]
mod tests;
