//! Encryption of secrets at rest. The secret of an HMAC key is stored in the venue's log, so it is sealed with
//! AES-256-GCM under a key that only the operator has. The name of the API key is bound into the seal: a sealed secret
//! cannot be moved to another key.

use std::cell::RefCell;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use crossbook_types::ApiKeyId;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

/// First byte of what is sealed today.
const VERSION: u8 = 1;
/// Characters of a drawn API key or secret: some 380 bits.
pub const KEY_CHARACTERS: usize = 64;

/// What is wrong with a key or a sealed secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Not 64 hexadecimal digits.
    #[error("the secret key must be 64 hexadecimal digits; draw one with `openssl rand -hex 32`")]
    MasterKey,
    /// Sealed under another key, for another API key, or damaged.
    #[error(
        "the secrets of API keys cannot be opened; start with the CROSSBOOK_SECRET_KEY, or the key file, that they \
         were sealed under"
    )]
    Sealed,
    /// The system has no randomness, or the cipher failed.
    #[error("the cryptographic library failed")]
    Cryptography,
}

/// The operator's key.
pub struct MasterKey(RandomizedNonceKey);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// From 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn from_hex(digits: &SecretString) -> Result<Self, Error> {
        let mut key = [0; 32];
        hex::decode_to_slice(digits.expose_secret().trim(), &mut key).map_err(|_| Error::MasterKey)?;
        let made = RandomizedNonceKey::new(&AES_256_GCM, &key).map(Self).map_err(|_| Error::Cryptography);
        key.fill(0);
        made
    }

    /// Seals the secret of the API key `of`.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn seal(&self, of: &ApiKeyId, secret: &SecretString) -> Result<Vec<u8>, Error> {
        let mut text = secret.expose_secret().as_bytes().to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(of.as_str().as_bytes()), &mut text)
            .map_err(|_| Error::Cryptography)?;
        let mut sealed = vec![VERSION];
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&text);
        Ok(sealed)
    }

    /// Opens what [`MasterKey::seal`] made for the API key `of`.
    ///
    /// # Errors
    /// When it was sealed otherwise.
    pub fn open(&self, of: &ApiKeyId, sealed: &[u8]) -> Result<SecretSlice<u8>, Error> {
        let (&VERSION, rest) = sealed.split_first().ok_or(Error::Sealed)? else { return Err(Error::Sealed) };
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(Error::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Error::Sealed)?;
        let mut text = text.to_vec();
        let opened =
            self.0.open_in_place(nonce, Aad::from(of.as_str().as_bytes()), &mut text).map_err(|_| Error::Sealed)?.len();
        text.truncate(opened);
        Ok(SecretSlice::from(text))
    }
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A letter or digit out of a random byte; none for those above the largest multiple of 62, with which some would come
/// more often than others.
fn character(byte: u8) -> Option<char> {
    (byte < 248).then(|| char::from(ALPHABET[usize::from(byte % 62)]))
}

/// So many random letters and digits.
///
/// # Errors
/// When the system has no randomness.
pub fn random_text(characters: usize) -> Result<String, Error> {
    let mut text = String::with_capacity(characters);
    let mut bytes = [0; 32];
    while text.len() < characters {
        rand::fill(&mut bytes).map_err(|_| Error::Cryptography)?;
        let fair = bytes.iter().filter_map(|&byte| character(byte));
        text.extend(fair.take(characters - text.len()));
    }
    Ok(text)
}

/// Random bytes that were drawn ahead, for names that must not repeat but need not be secret: the generator asks the
/// processor for fresh randomness with every draw, however small, which takes longer than all else about a name.
struct Ahead {
    bytes: [u8; Self::BYTES],
    used: usize,
}

impl Ahead {
    const BYTES: usize = 1_024;

    fn next(&mut self) -> Result<u8, Error> {
        if self.used == Self::BYTES {
            rand::fill(&mut self.bytes).map_err(|_| Error::Cryptography)?;
            self.used = 0;
        }
        self.used += 1;
        Ok(self.bytes[self.used - 1])
    }
}

/// A name of so many random letters and digits. It stays in memory before and after it is used, so it is not for
/// secrets; those are [`random_text`].
///
/// # Errors
/// When the system has no randomness.
pub fn random_name(characters: usize) -> Result<String, Error> {
    thread_local! {
        static AHEAD: RefCell<Ahead> = const { RefCell::new(Ahead { bytes: [0; Ahead::BYTES], used: Ahead::BYTES }) };
    }
    AHEAD.with_borrow_mut(|ahead| {
        let mut name = String::with_capacity(characters);
        while name.len() < characters {
            name.extend(character(ahead.next()?));
        }
        Ok(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(digit: &str) -> MasterKey {
        MasterKey::from_hex(&SecretString::from(digit.repeat(64))).unwrap()
    }

    #[test]
    fn only_the_same_master_key_opens_and_only_for_the_same_api_key() {
        let (one, other) = (ApiKeyId::new_checked("one").unwrap(), ApiKeyId::new_checked("other").unwrap());
        let secret = SecretString::from("the secret");
        let sealed = master("a").seal(&one, &secret).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(master("a").open(&one, &sealed).unwrap().expose_secret(), b"the secret");
        assert_eq!(master("b").open(&one, &sealed).unwrap_err(), Error::Sealed);
        assert_eq!(master("a").open(&other, &sealed).unwrap_err(), Error::Sealed);
        for cut in 0..sealed.len() {
            assert_eq!(master("a").open(&one, &sealed[..cut]).unwrap_err(), Error::Sealed);
        }
        assert_ne!(sealed, master("a").seal(&one, &secret).unwrap(), "the nonce is never the same");
    }

    #[test]
    fn a_master_key_is_64_hexadecimal_digits() {
        for bad in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"a".repeat(66)] {
            assert_eq!(MasterKey::from_hex(&SecretString::from(bad.to_owned())).unwrap_err(), Error::MasterKey);
        }
    }

    #[test]
    fn random_texts_are_letters_and_digits_of_the_asked_length() {
        let text = random_text(64).unwrap();
        assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(text, random_text(64).unwrap());
        let names: Vec<String> = (0..1_000).map(|_| random_name(22).unwrap()).collect();
        assert!(names.iter().all(|name| name.len() == 22 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())));
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
