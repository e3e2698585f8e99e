//! The operator's bearer tokens. There may be several, so that one can be replaced without an interruption: the new one
//! is added, those who use the old one change over, and the old one is removed.

use std::sync::Arc;

use crossbook_gateway::auth;
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};

/// Tokens, any of which admits the operator. Clones share them.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<RwLock<Vec<SecretString>>>);

impl Tokens {
    /// These tokens. Without any, nobody is admitted.
    #[must_use]
    pub fn new(tokens: Vec<SecretString>) -> Self {
        Self(Arc::new(RwLock::new(tokens)))
    }

    /// Admits whoever has one of `tokens`, and nobody else, from now on.
    pub fn replace(&self, tokens: Vec<SecretString>) {
        *self.0.write() = tokens;
    }

    /// Whether `given` is one of them. Takes as long for a wrong token as for a right one.
    #[must_use]
    pub fn admit(&self, given: &[u8]) -> bool {
        let tokens = self.0.read();
        tokens
            .iter()
            .fold(false, |admitted, token| admitted | auth::same_secret(given, token.expose_secret().as_bytes()))
    }
}

impl From<SecretString> for Tokens {
    fn from(token: SecretString) -> Self {
        Self::new(vec![token])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_present_tokens_is_admitted() {
        let secret = |text: &str| SecretString::from(text);
        let tokens = Tokens::from(secret("the-old-token-of-the-operator"));
        let shared = tokens.clone();
        assert!(shared.admit(b"the-old-token-of-the-operator") && !shared.admit(b"") && !shared.admit(b"the-old"));
        tokens.replace(vec![secret("the-old-token-of-the-operator"), secret("the-new-token-of-the-operator")]);
        assert!(shared.admit(b"the-old-token-of-the-operator") && shared.admit(b"the-new-token-of-the-operator"));
        tokens.replace(vec![secret("the-new-token-of-the-operator")]);
        assert!(!shared.admit(b"the-old-token-of-the-operator") && shared.admit(b"the-new-token-of-the-operator"));
        tokens.replace(Vec::new());
        assert!(!shared.admit(b"the-new-token-of-the-operator") && !shared.admit(b""));
    }
}
