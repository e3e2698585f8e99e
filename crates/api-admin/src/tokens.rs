//! The operators and their bearer tokens. There may be several operators, each with a name and a role, and an operator
//! may have several tokens, so that one can be replaced without an interruption: the new one is added, those who use
//! the old one change over, and the old one is removed.

use std::sync::Arc;

use crossbook_gateway::auth;
use parking_lot::RwLock;
use secrecy::{ExposeSecret as _, SecretString};

use crate::roles::Role;

/// The name of an operator whose token stands alone.
pub const OPERATOR: &str = "operator";

/// Who asks: an operator's name and role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The name.
    pub name: Arc<str>,
    /// What the operator may do.
    pub role: Role,
}

/// An operator with one token.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Who it is.
    pub identity: Identity,
    /// What proves it.
    pub token: SecretString,
}

impl Operator {
    /// An operator of that name and role, who has that token.
    #[must_use]
    pub fn new(name: &str, role: Role, token: SecretString) -> Self {
        Self { identity: Identity { name: name.into(), role }, token }
    }
}

impl From<SecretString> for Operator {
    /// The one who may do everything.
    fn from(token: SecretString) -> Self {
        Self::new(OPERATOR, Role::Admin, token)
    }
}

/// The tokens of all operators. Clones share them.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<RwLock<Vec<Operator>>>);

impl Tokens {
    /// These operators. Without any, nobody is admitted.
    #[must_use]
    pub fn new(operators: Vec<Operator>) -> Self {
        Self(Arc::new(RwLock::new(operators)))
    }

    /// Admits whoever has one of these tokens, and nobody else, from now on.
    pub fn replace(&self, operators: Vec<Operator>) {
        *self.0.write() = operators;
    }

    /// Whose token `given` is; `None` if it is nobody's. Takes as long for a wrong token as for a right one.
    #[must_use]
    pub fn admit(&self, given: &[u8]) -> Option<Identity> {
        let operators = self.0.read();
        let admitted = operators.iter().fold(None, |admitted, operator| {
            let same = auth::same_secret(given, operator.token.expose_secret().as_bytes());
            if same { Some(&operator.identity) } else { admitted }
        });
        admitted.cloned()
    }
}

impl From<SecretString> for Tokens {
    fn from(token: SecretString) -> Self {
        Self::new(vec![token.into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_present_tokens_is_admitted() {
        let secret = |text: &str| Operator::from(SecretString::from(text));
        let tokens = Tokens::new(vec![secret("the-old-token-of-the-operator")]);
        let shared = tokens.clone();
        let admit = |token: &[u8]| shared.admit(token).is_some();
        assert!(admit(b"the-old-token-of-the-operator") && !admit(b"") && !admit(b"the-old"));
        tokens.replace(vec![secret("the-old-token-of-the-operator"), secret("the-new-token-of-the-operator")]);
        assert!(admit(b"the-old-token-of-the-operator") && admit(b"the-new-token-of-the-operator"));
        tokens.replace(vec![secret("the-new-token-of-the-operator")]);
        assert!(!admit(b"the-old-token-of-the-operator") && admit(b"the-new-token-of-the-operator"));
        tokens.replace(Vec::new());
        assert!(!admit(b"the-new-token-of-the-operator") && !admit(b""));
    }

    #[test]
    fn a_token_tells_who_has_it() {
        let operator = |name, role, token: &str| Operator::new(name, role, SecretString::from(token));
        let tokens = Tokens::new(vec![
            operator("ann", Role::Viewer, "the-token-of-ann"),
            operator("bea", Role::Admin, "the-token-of-bea"),
        ]);
        let who = |token: &[u8]| tokens.admit(token).map(|who| (who.name.to_string(), who.role));
        assert_eq!(who(b"the-token-of-ann"), Some(("ann".to_owned(), Role::Viewer)));
        assert_eq!(who(b"the-token-of-bea"), Some(("bea".to_owned(), Role::Admin)));
        assert_eq!(who(b"the-token-of-cid"), None);
    }
}
