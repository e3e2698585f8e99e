//! Who sends a request. An API key names an account; a signature over what was sent proves that the sender has the
//! key's secret half; a timestamp bounds for how long the request can be replayed.
//!
//! What is checked, in order: the form of the key, that it exists and may be used from this address, the signature, the
//! permission. Whether a key exists cannot be told from whether it may be used.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use aws_lc_rs::{constant_time, digest, hmac, rsa};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crossbook_protocol::registry::{ApiKey, Credential, Permissions};
use crossbook_types::{AccountId, ApiKeyId, Timestamp};
use crossbook_views::Registry;
use ipnet::IpNet;
use parking_lot::RwLock;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use secrecy::ExposeSecret;

use crate::board::Board;
use crate::error::ApiError;
use crate::parameters::{self, Parameters};
use crate::secret::{self, MasterKey};

/// How long a request stays valid if it does not say, in microseconds.
pub const RECV_WINDOW_DEFAULT: u64 = 5_000_000;
/// The longest it can ask to stay valid, in microseconds.
pub const RECV_WINDOW_MAX: u64 = 60_000_000;
/// How far ahead of the venue a client's clock may be, in microseconds.
pub const AHEAD_MAX: u64 = 1_000_000;
/// Lengths of RSA keys, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

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
    /// -2015 if not.
    pub fn require(&self, security: Security) -> Result<(), ApiError> {
        let may = match security {
            Security::Public => true,
            Security::Read => self.permissions.read,
            Security::Trade => self.permissions.trade,
        };
        if may { Ok(()) } else { Err(ApiError::key_rejected()) }
    }
}

/// Who somebody says to be, before it is proved. It holds what the proof needs, so that signatures, which can take
/// long, are checked without holding the registry.
pub struct Claim(Arc<Verifier>);

/// Looks up a key.
///
/// # Errors
/// -2014 if it has not the form of an API key, -2015 if there is none of that name, -1001 if its secret cannot be
/// opened.
pub fn claim(board: &Board, keyring: &Keyring, key: Option<&str>) -> Result<Claim, ApiError> {
    let key = key.and_then(well_formed).ok_or_else(ApiError::key_format)?;
    keyring.verifier(board, &key).map(Claim)
}

/// The text as an API key, if it could be one: those that are issued have all their characters.
fn well_formed(text: &str) -> Option<ApiKeyId> {
    if text.len() == secret::KEY_CHARACTERS { ApiKeyId::new_checked(text).ok() } else { None }
}

impl Claim {
    /// Checks the address and the signature, which may be over any one of `payloads`.
    ///
    /// # Errors
    /// -2015 if the key is not for this address, -1022 if the signature is wrong.
    pub fn prove(
        self,
        ip: IpAddr,
        payloads: impl IntoIterator<Item: AsRef<[u8]>>,
        signature: &str,
    ) -> Result<Identity, ApiError> {
        let Self(verifier) = self;
        if !verifier.allows(ip) {
            return Err(ApiError::key_rejected());
        }
        if !payloads.into_iter().any(|payload| verifier.verify(payload.as_ref(), signature)) {
            return Err(ApiError::signature());
        }
        Ok(verifier.identity)
    }
}

/// Checks `timestamp` and `recvWindow`; gives the time after which the request must not take effect.
///
/// # Errors
/// -1021 if it is too old or too far ahead, or the errors of the parameters.
pub fn timing(parameters: &Parameters<'_>, now: Timestamp) -> Result<Timestamp, ApiError> {
    // What has to be there is missed first, as it is over HTTP, where a signature is not even looked at without it.
    let sent = parameters.required("timestamp")?;
    let window = recv_window(parameters)?;
    let (sent, _) = parameters::time("timestamp", sent)?;
    if sent.0 >= now.0.saturating_add(AHEAD_MAX) {
        return Err(ApiError::ahead_of_time());
    }
    let deadline = Timestamp(sent.0.saturating_add(window));
    if now > deadline { Err(ApiError::outside_recv_window()) } else { Ok(deadline) }
}

/// `recvWindow` in microseconds.
fn recv_window(parameters: &Parameters<'_>) -> Result<u64, ApiError> {
    let Some(window) = parameters.decimal("recvWindow")? else { return Ok(RECV_WINDOW_DEFAULT) };
    let micros = window.rescale(3).ok_or_else(|| ApiError::precision("recvWindow"))?;
    u64::try_from(micros).ok().filter(|&micros| micros <= RECV_WINDOW_MAX).ok_or_else(|| {
        ApiError::bad_request(-1102, "'recvWindow' contains unexpected value. Cannot be greater than 60000.")
    })
}

/// Whether two secrets are the same, in a time that does not tell where they differ or how long they are.
#[must_use]
pub fn same_secret(one: &[u8], other: &[u8]) -> bool {
    let digest = |text| digest::digest(&digest::SHA256, text);
    constant_time::verify_slices_are_equal(digest(one).as_ref(), digest(other).as_ref()).is_ok()
}

/// The signed text of an HTTP request: query and body as sent, each without its parameter `signature`.
#[must_use]
pub fn signed_payload(query: &str, body: &str) -> String {
    let mut payload = String::with_capacity(query.len() + body.len());
    for part in [query, body] {
        match signature_range(part) {
            None => payload.push_str(part),
            Some((start, end)) => {
                // The signature goes with one of the `&` around it.
                let (before, after) = (&part[..start], &part[end..]);
                payload.push_str(before.strip_suffix('&').unwrap_or(before));
                payload.push_str(if before.is_empty() { after.strip_prefix('&').unwrap_or(after) } else { after });
            }
        }
    }
    payload
}

/// The same text as [`signed_payload`] gives, with what is no ASCII in it written in the other way: percent-encoded
/// where it came raw, raw where it came percent-encoded. Some clients sign before they encode, others the other way
/// round. ASCII stays as it was sent, encoded or not, so no parameter can turn into two. `None` if there is nothing but
/// ASCII.
#[must_use]
pub fn otherwise_encoded(payload: &str) -> Option<String> {
    if !payload.is_ascii() {
        return Some(utf8_percent_encode(payload, CONTROLS).to_string());
    }
    let encoded = |at: &usize| matches!(payload.as_bytes().get(at + 1), Some(b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F'));
    payload.match_indices('%').map(|(at, _)| at).find(encoded)?;
    let mut raw = Vec::with_capacity(payload.len());
    let mut rest = payload.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let decoded = (byte == b'%').then(|| hex::decode(after.get(..2)?).ok()).flatten();
        match decoded.as_deref() {
            Some(&[decoded]) if !decoded.is_ascii() => {
                raw.push(decoded);
                rest = &after[2..];
            }
            _ => {
                raw.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(raw).ok()
}

/// Where `signature=...` stands in a query or form.
fn signature_range(text: &str) -> Option<(usize, usize)> {
    let mut start = 0;
    for pair in text.split('&') {
        if pair.starts_with("signature=") {
            return Some((start, start + pair.len()));
        }
        start += pair.len() + 1;
    }
    None
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
    /// `None` if one of the networks cannot be read: then nobody gets in.
    allowed: Option<Vec<IpNet>>,
}

impl Verifier {
    fn new(key: &ApiKey, revocations: u64, master: &MasterKey) -> Result<Self, secret::Error> {
        let public = |bytes: &[u8], algorithm| {
            ParsedPublicKey::new(algorithm, bytes).map(Method::PublicKey).map_err(|_| secret::Error::Cryptography)
        };
        let method = match &key.credential {
            Credential::Hmac { sealed } => {
                let opened = master.open(&key.key, sealed)?;
                Method::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, opened.expose_secret())))
            }
            Credential::Ed25519 { public: bytes } => public(bytes, &ED25519)?,
            Credential::Rsa { public: bytes } => public(bytes, &RSA_PKCS1_2048_8192_SHA256)?,
        };
        let allowed = key.allowed_ips.iter().map(|text| network(text)).collect();
        let &ApiKey { account, key, permissions, .. } = key;
        Ok(Self { identity: Identity { account, key, permissions }, revocations, method, allowed })
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
                // A plus sign that was not percent-encoded arrives as a blank.
                let text = signature.replace(' ', "+");
                BASE64.decode(text).is_ok_and(|bytes| key.verify_sig(payload, &bytes).is_ok())
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
    capacity: usize,
}

impl Keyring {
    /// Empty, with room for `capacity` keys.
    #[must_use]
    pub fn new(master: MasterKey, capacity: usize) -> Self {
        Self { master, ready: RwLock::default(), capacity }
    }

    /// What secrets are sealed under.
    #[must_use]
    pub fn master_key(&self) -> &MasterKey {
        &self.master
    }

    fn verifier(&self, board: &Board, key: &ApiKeyId) -> Result<Arc<Verifier>, ApiError> {
        // Counted before the registry is asked: a revocation in between only means that it is asked again.
        let revocations = board.revocations();
        if let Some(ready) = self.ready.read().get(key).filter(|ready| ready.revocations == revocations) {
            return Ok(Arc::clone(ready));
        }
        let api_key = board.registry().api_key(key.as_str()).cloned();
        let Some(api_key) = api_key else {
            self.ready.write().remove(key);
            return Err(ApiError::key_rejected());
        };
        let verifier = Arc::new(Verifier::new(&api_key, revocations, &self.master).map_err(|error| {
            tracing::error!(api_key = %key, %error, "an API key cannot be used");
            ApiError::internal()
        })?);
        let mut ready = self.ready.write();
        if ready.len() >= self.capacity && !ready.contains_key(key) {
            // Any other will do: what is in use comes back with its next request.
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

/// The API keys whose secrets `master` does not open: nobody can use them.
#[must_use]
pub fn lost_keys(registry: &Registry, master: &MasterKey) -> Vec<(AccountId, ApiKeyId)> {
    let lost = sealed(registry).filter(|(key, sealed)| master.open(&key.key, sealed).is_err());
    lost.map(|(key, _)| (key.account, key.key)).collect()
}

/// Checks that `master` is what the secrets of these API keys were sealed under. One that opens proves it.
///
/// # Errors
/// When there are sealed secrets and none can be opened: started so, the venue would turn away every client with an
/// HMAC key.
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
