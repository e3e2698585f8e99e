//! Credentials. The first byte chooses what the rest is: a public key, a signature, or an address.

use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crossbook_api_binance::signature;
use crossbook_gateway::auth::{self, AuthError};
use crossbook_protocol::registry::Credential;

use crate::input;
use crate::venue::{CLIENT, ED25519_KEY, HMAC_KEY, Venue, ed25519, sign};

/// What is signed.
const PAYLOAD: &str = "symbol=BTCUSDT&timestamp=1800000000000";

thread_local! {
    static VENUE: Venue = Venue::new();
}

pub(super) fn run(bytes: &[u8]) {
    let (choice, rest) = input::choice(bytes);
    let text = input::text(rest);
    match choice {
        b'a' => network(text),
        b'e' => {
            let right = ed25519().sign(PAYLOAD.as_bytes());
            let sent = text.replace('@', &BASE64.encode(right.as_ref()));
            let decoded = BASE64.decode(sent.replace(' ', "+"));
            proved(ED25519_KEY, &sent, decoded.is_ok_and(|bytes| bytes == right.as_ref()));
        }
        b'h' => {
            let right = sign(PAYLOAD);
            let sent = text.replace('@', &right);
            proved(HMAC_KEY, &sent, sent.to_ascii_lowercase() == right);
        }
        b'k' => VENUE.with(|venue| {
            let claim = auth::claim(&venue.app.gateway.read_model, &venue.app.gateway.keyring, Some(text));
            assert_eq!(claim.is_ok(), text == HMAC_KEY || text == ED25519_KEY);
        }),
        _ => public_key(text),
    }
}

fn proved(key: &str, signature: &str, expected: bool) {
    VENUE.with(|venue| {
        let claim = auth::claim(&venue.app.gateway.read_model, &venue.app.gateway.keyring, Some(key));
        let signature = signature::as_signed(signature);
        let proof = claim.and_then(|claim| claim.prove(CLIENT, &[b"other", PAYLOAD.as_bytes()], &signature));
        match proof {
            Ok(identity) => assert!(expected && identity.key.as_str() == key),
            Err(error) => assert_eq!((error, expected), (AuthError::Signature, false)),
        }
    });
}

/// What is accepted can be written as its owner would write it, and is the same then.
fn public_key(pem: &str) {
    const ED25519_PREFIX: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let own = [ED25519_PREFIX, ed25519().public_key().as_ref()].concat();
    let pem = pem.replace('@', &BASE64.encode(own));
    let Ok(credential) = auth::public_key(&pem) else { return };
    let der = match &credential {
        Credential::Ed25519 { public } => {
            assert_eq!(public.len(), 32);
            [ED25519_PREFIX, public].concat()
        }
        Credential::Rsa { public } => public.clone(),
        Credential::Hmac { .. } => panic!("a public key is no secret"),
    };
    let written = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64.encode(der));
    assert_eq!(auth::public_key(&written), Ok(credential));
}

fn network(text: &str) {
    let Some(network) = auth::network(text) else { return };
    assert!(network.contains(&network.network()) && network.contains(&network.addr()));
    assert_eq!(auth::network(&network.to_string()), Some(network));
}
