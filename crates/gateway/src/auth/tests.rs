use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use crossbook_protocol::event::{Cause, Event};
use crossbook_types::Sequence;
use crossbook_views::{Limits, Views};
use secrecy::SecretString;

use super::*;

/// The example of the public API documentation.
const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
const PAYLOAD: &str =
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
const SIGNATURE: &str = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";

const BOTH: Permissions = Permissions { read: true, trade: true };

struct Fixture {
    read_model: ReadModel,
    keyring: Keyring,
}

impl Fixture {
    fn new() -> Self {
        let master = MasterKey::from_hex(&SecretString::from("5a".repeat(32))).unwrap();
        Self { read_model: ReadModel::single(Views::new(Limits::default())), keyring: Keyring::new(master, 2) }
    }

    fn issue(&mut self, name: &str, credential: Credential, permissions: Permissions, allowed_ips: &[&str], time: u64) {
        let key = named(name);
        let allowed_ips = allowed_ips.iter().map(|&ip| ip.to_owned()).collect();
        let issued = Timestamp(time);
        let account = AccountId::FIRST_CLIENT;
        let key = ApiKey { key, account, permissions, credential, allowed_ips, issued };
        self.apply(time, &Event::ApiKeyIssued(Box::new(key)));
    }

    fn apply(&mut self, time: u64, event: &Event) {
        let cause = Cause { sequence: Sequence(time), time: Timestamp(time) };
        let mut views = self.read_model.of(crossbook_protocol::Routing::REGISTRY).write();
        if views.registry().account(AccountId::FIRST_CLIENT).is_none() {
            let account = crossbook_protocol::registry::Account {
                id: AccountId::FIRST_CLIENT,
                label: String::new(),
                opened: cause.time,
                trade_group: None,
            };
            views.apply(cause, &Event::AccountOpened(Box::new(account)));
        }
        views.apply(cause, event);
        self.read_model.apply(event);
        views.end_of_command(cause);
    }

    fn hmac(&self, name: &str, secret: &str) -> Credential {
        let key = named(name);
        let sealed = self.keyring.master_key().seal(&key, &SecretString::from(secret.to_owned())).unwrap();
        Credential::Hmac { sealed }
    }

    fn check(&self, name: &str, ip: &str, payload: &str, signature: &str) -> Result<Identity, AuthError> {
        self.check_key(&named(name).to_string(), ip, payload, signature)
    }

    fn check_key(&self, key: &str, ip: &str, payload: &str, signature: &str) -> Result<Identity, AuthError> {
        let ip = ip.parse().unwrap();
        let payloads: [&[u8]; 1] = [payload.as_bytes()];
        claim(&self.read_model, &self.keyring, Some(key)).and_then(|claim| claim.prove(ip, &payloads, signature))
    }
}

/// The API key of that name, as long as those that are issued.
fn named(name: &str) -> ApiKeyId {
    ApiKeyId::new_checked(&format!("{name:0<64}")).unwrap()
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

#[test]
fn the_documented_hmac_example_is_accepted_in_any_case() {
    let mut fixture = Fixture::new();
    fixture.issue("hmac", fixture.hmac("hmac", SECRET), BOTH, &[], 1);
    let ip = "127.0.0.1";
    assert_eq!(fixture.check("hmac", ip, PAYLOAD, SIGNATURE).unwrap().account, AccountId::FIRST_CLIENT);
    assert!(fixture.check("hmac", ip, PAYLOAD, &SIGNATURE.to_uppercase()).is_ok());
    for wrong in ["", "zz", &SIGNATURE[..62], &SIGNATURE.replace('c', "d"), &format!("{SIGNATURE}00")] {
        assert_eq!(fixture.check("hmac", ip, PAYLOAD, wrong), Err(AuthError::Signature), "{wrong:?}");
    }
    assert_eq!(fixture.check("hmac", ip, &PAYLOAD.replace("=1&", "=2&"), SIGNATURE), Err(AuthError::Signature));
}

#[test]
fn keys_are_told_apart_by_form_existence_and_time_of_issue() {
    let mut fixture = Fixture::new();
    fixture.issue("key", fixture.hmac("key", SECRET), BOTH, &[], 1);
    let ip = "127.0.0.1";
    assert!(fixture.check("key", ip, PAYLOAD, SIGNATURE).is_ok());
    for malformed in ["", "key", &"x".repeat(63), &"x".repeat(65), &format!("with blank{:0<54}", "")] {
        assert_eq!(fixture.check_key(malformed, ip, PAYLOAD, SIGNATURE), Err(AuthError::KeyFormat), "{malformed:?}");
    }
    assert_eq!(fixture.check("unknown", ip, PAYLOAD, SIGNATURE), Err(AuthError::KeyRejected));
    let name = named("key");
    fixture.apply(2, &Event::ApiKeyRevoked { account: AccountId::FIRST_CLIENT, key: name });
    assert_eq!(
        fixture.check("key", ip, PAYLOAD, SIGNATURE),
        Err(AuthError::KeyRejected),
        "revoked, though it was kept ready"
    );
    fixture.issue("key", fixture.hmac("key", "another secret"), BOTH, &[], 3);
    assert_eq!(fixture.check("key", ip, PAYLOAD, SIGNATURE), Err(AuthError::Signature), "the old secret is gone");
}

#[test]
fn addresses_outside_the_list_are_refused() {
    let mut fixture = Fixture::new();
    fixture.issue("key", fixture.hmac("key", SECRET), BOTH, &["10.1.0.0/16", "192.0.2.7", "2001:db8::/32"], 1);
    for ip in ["10.1.2.3", "192.0.2.7", "2001:db8::5", "::ffff:10.1.0.1"] {
        assert!(fixture.check("key", ip, PAYLOAD, SIGNATURE).is_ok(), "{ip}");
    }
    for ip in ["10.2.0.1", "192.0.2.8", "2001:db9::5", "127.0.0.1"] {
        assert_eq!(fixture.check("key", ip, PAYLOAD, SIGNATURE), Err(AuthError::KeyRejected), "{ip}");
    }
    fixture.issue("broken", fixture.hmac("broken", SECRET), BOTH, &["not a network"], 2);
    assert_eq!(fixture.check("broken", "127.0.0.1", PAYLOAD, SIGNATURE), Err(AuthError::KeyRejected), "nobody gets in");
}

#[test]
fn permissions_are_kept_apart() {
    let identity = |read, trade| Identity {
        account: AccountId::FIRST_CLIENT,
        key: ApiKeyId::new_checked("key").unwrap(),
        permissions: Permissions { read, trade },
    };
    assert!(identity(true, false).require(Security::Read).is_ok());
    assert_eq!(identity(true, false).require(Security::Trade), Err(AuthError::KeyRejected));
    assert!(identity(false, true).require(Security::Trade).is_ok());
    assert_eq!(identity(false, true).require(Security::Read), Err(AuthError::KeyRejected));
}

#[test]
fn ed25519_and_rsa_signatures_are_checked_with_keys_from_pem() {
    let mut fixture = Fixture::new();
    let random = SystemRandom::new();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let ed25519_pem = pem(ed25519.public_key().as_der().unwrap().as_ref());
    let rsa_pem = pem(rsa.public_key().as_der().unwrap().as_ref());
    let credential = public_key(&ed25519_pem).unwrap();
    assert_eq!(credential, Credential::Ed25519 { public: ed25519.public_key().as_ref().to_vec() });
    fixture.issue("ed25519", credential, BOTH, &[], 1);
    fixture.issue("rsa", public_key(&rsa_pem).unwrap(), BOTH, &[], 2);
    let ed25519_signature = BASE64.encode(ed25519.sign(PAYLOAD.as_bytes()));
    let mut rsa_signature = vec![0; rsa.public_modulus_len()];
    rsa.sign(&RSA_PKCS1_SHA256, &random, PAYLOAD.as_bytes(), &mut rsa_signature).unwrap();
    let rsa_signature = BASE64.encode(rsa_signature);
    let ip = "127.0.0.1";
    for (key, signature) in [("ed25519", &ed25519_signature), ("rsa", &rsa_signature)] {
        assert!(fixture.check(key, ip, PAYLOAD, signature).is_ok(), "{key}");
        assert_eq!(fixture.check(key, ip, &PAYLOAD[1..], signature), Err(AuthError::Signature), "{key}");
        assert_eq!(fixture.check(key, ip, PAYLOAD, &signature[4..]), Err(AuthError::Signature), "{key}");
    }
    assert_eq!(fixture.check("rsa", ip, PAYLOAD, &ed25519_signature), Err(AuthError::Signature));
    assert_eq!(fixture.check("ed25519", ip, PAYLOAD, SIGNATURE), Err(AuthError::Signature));
}

#[test]
fn other_public_keys_are_refused() {
    let secret_key = pem(b"anything").replace("PUBLIC", "PRIVATE");
    let short_rsa = "-----BEGIN PUBLIC KEY-----\n\
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCiH+uc3o0BCtfY13NA77R2aw8Z\n\
        6Im5uzDMJ9cghBreofHetZxPF8eBgmTYZnQVKz7SAqZe3DZDLln6zen7GQpMox6u\n\
        DymF48B4Io5Il9JzN8mhhGA7gI4WbYFP5PrCxXrQVb3OfSLWPapAg3JLk2p/SrBx\n\
        rUiVCO37uly/L6CakQIDAQAB\n\
        -----END PUBLIC KEY-----";
    for bad in ["", "not pem", &pem(b""), &pem(b"too short"), &secret_key, short_rsa] {
        assert_eq!(public_key(bad), Err(PublicKeyError), "{bad:?}");
    }
}

#[test]
fn requests_are_valid_for_their_window() {
    const NOW: Timestamp = Timestamp(1_700_000_000_123_456);
    let of = |sent, window| deadline(Timestamp(sent), window, NOW);
    assert_eq!(of(NOW.0 - 456, 5_000_000), Ok(Timestamp(NOW.0 - 456 + 5_000_000)));
    assert_eq!(of(NOW.0 - 456, 456), Ok(NOW), "up to its last microsecond");
    assert_eq!(of(NOW.0 - 456, 455), Err(StampError::Expired));
    assert_eq!(of(NOW.0 + AHEAD_MAX - 1, 0), Ok(Timestamp(NOW.0 + AHEAD_MAX - 1)));
    assert_eq!(of(NOW.0 + AHEAD_MAX, 0), Err(StampError::Ahead));
}

#[test]
fn secrets_are_compared_whole() {
    assert!(same_secret(b"token", b"token"));
    for other in [&b""[..], b"toke", b"token ", b"Token"] {
        assert!(!same_secret(b"token", other));
    }
}

#[test]
fn a_venue_is_told_that_it_starts_with_another_master_key() {
    let mut fixture = Fixture::new();
    let other = MasterKey::from_hex(&SecretString::from("a5".repeat(32))).unwrap();
    let check = |fixture: &Fixture, master: &MasterKey| check_master_key(&fixture.read_model.registry(), master);
    assert_eq!(check(&fixture, &other), Ok(()), "nothing is sealed yet");
    for (name, time) in [("one", 1), ("two", 2)] {
        fixture.issue(name, fixture.hmac(name, SECRET), BOTH, &[], time);
    }
    assert_eq!(check(&fixture, fixture.keyring.master_key()), Ok(()));
    assert_eq!(check(&fixture, &other), Err(secret::Error::Sealed));
    let names = |master: &MasterKey| -> Vec<String> {
        lost_keys(&fixture.read_model.registry(), master).iter().map(|(_, key)| key.to_string()).collect()
    };
    assert!(has_sealed_keys(&fixture.read_model.registry()));
    assert_eq!(names(&other), [named("one").to_string(), named("two").to_string()]);
    assert_eq!(names(fixture.keyring.master_key()), Vec::<String>::new());
}
