//! The real binary under TLS: REST, WebSocket and the admin address with a certificate, for a client that trusts its
//! authority.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::venue::{DEADLINE, TOKEN, Venue, binary, eventually, refusal_with};
use crossbook_servers::certificates::Certificates;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Certificate;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

/// How long a handshake may take where one is left hanging.
const HANDSHAKE: Duration = Duration::from_millis(500);

/// Settings that make a venue show this certificate everywhere.
fn settings(Certificates { certificate, key, .. }: &Certificates) -> Vec<(&'static str, String)> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let mut settings = vec![("CROSSBOOK_GATEWAY__SERVER__HANDSHAKE_TIMEOUT_MS", HANDSHAKE.as_millis().to_string())];
    for [certificate_file, key_file] in [
        ["CROSSBOOK_GATEWAY__TLS__CERTIFICATE_FILE", "CROSSBOOK_GATEWAY__TLS__KEY_FILE"],
        ["CROSSBOOK_GATEWAY__ADMIN_TLS__CERTIFICATE_FILE", "CROSSBOOK_GATEWAY__ADMIN_TLS__KEY_FILE"],
    ] {
        settings.extend([(certificate_file, text(certificate)), (key_file, text(key))]);
    }
    settings
}

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn every_listener_speaks_tls_and_nobody_waits_for_a_handshake_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(&folder.path().join("certificates")).unwrap();
    let settings = settings(&certificates);
    let venue = Venue::serve_with(&folder.path().join("venue"), &borrowed(&settings)).await;
    let authority = std::fs::read(&certificates.ca).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([Certificate::from_pem(&authority).unwrap()]);
    let client = client.build().unwrap();

    // These say nothing, and are let go after a while; all that follows happens beside them.
    let hanging = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(&venue.http).await.unwrap());
    }

    let time: Value =
        client.get(format!("https://{}/api/v3/time", venue.http)).send().await.unwrap().json().await.unwrap();
    assert!(time["serverTime"].is_u64(), "{time}");
    let audit = client.get(format!("https://{}/admin/v1/audit", venue.admin)).bearer_auth(TOKEN);
    assert_eq!(audit.send().await.unwrap().json::<Value>().await.unwrap()["ok"], true);
    let ready = client.get(format!("https://{}/readyz", venue.admin)).send().await.unwrap();
    assert!(ready.status().is_success());

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(&venue.http).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let (mut socket, _) = client_async(format!("wss://{}/ws", venue.http), stream).await.unwrap();
    socket.send(Message::text(json!({"method": "LIST_SUBSCRIPTIONS", "id": 1}).to_string())).await.unwrap();
    let answer = tokio::time::timeout(DEADLINE, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(serde_json::from_str::<Value>(answer.to_text().unwrap()).unwrap(), json!({"result": [], "id": 1}));

    // In the clear there is nothing to be had, nor for whoever does not know the authority.
    assert!(venue.client.get(format!("http://{}/api/v3/time", venue.http)).send().await.is_err());
    assert!(venue.client.get(format!("https://{}/api/v3/time", venue.http)).send().await.is_err());

    for mut connection in silent {
        let ended = tokio::time::timeout(DEADLINE, connection.read(&mut [0; 16])).await;
        assert!(matches!(ended.expect("it is let go"), Ok(0) | Err(_)));
    }
    assert!(hanging.elapsed() >= HANDSHAKE);
    let failed = || async {
        let metrics = client.get(format!("https://{}/metrics", venue.admin)).send().await.ok()?.text().await.ok()?;
        let line = metrics.lines().find(|line| line.starts_with("crossbook_tls_handshakes_failed_total "))?;
        line.rsplit(' ').next()?.parse::<u64>().ok().filter(|count| *count >= 22)
    };
    eventually("the handshakes that failed are counted", failed).await;
    // Under way, it ends in order too.
    drop(socket);
    assert_eq!(venue.stop().await, Some(0));
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [shown, next] = ["shown", "next"].map(|name| Certificates::make(&folder.path().join(name)).unwrap());
    let mut settings = settings(&shown);
    settings.push(("CROSSBOOK_GATEWAY__SERVER__RELOAD_INTERVAL_MS", "20".to_owned()));
    let venue = Venue::serve_with(&folder.path().join("venue"), &borrowed(&settings)).await;
    let trusting = |certificates: &Certificates| {
        let authority = Certificate::from_pem(&std::fs::read(&certificates.ca).unwrap()).unwrap();
        reqwest::Client::builder().tls_certs_only([authority]).build().unwrap()
    };
    let (old, new) = (trusting(&shown), trusting(&next));
    let urls = [format!("https://{}/api/v3/ping", venue.http), format!("https://{}/readyz", venue.admin)];
    for url in &urls {
        assert!(old.get(url).send().await.unwrap().status().is_success());
        assert!(new.get(url).send().await.is_err(), "{url}: not shown yet");
    }
    std::fs::copy(&next.certificate, &shown.certificate).unwrap();
    let says = venue.says();
    eventually("it says that the key is missing", async || says("the certificate cannot be renewed")).await;
    assert!(trusting(&shown).get(&urls[0]).send().await.unwrap().status().is_success(), "the old one is still shown");
    std::fs::copy(&next.key, &shown.key).unwrap();
    for url in &urls {
        eventually("the new one is shown", async || new.get(url).send().await.ok()).await;
        assert!(trusting(&shown).get(url).send().await.is_err(), "{url}: the old one is shown no more");
        // A connection from before goes on.
        assert!(old.get(url).send().await.unwrap().status().is_success());
    }
    assert_eq!(venue.stop().await, Some(0));
}

#[test]
fn a_key_of_another_certificate_is_refused_before_the_log_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, other] = ["ours", "other"].map(|name| Certificates::make(&folder.path().join(name)).unwrap());
    let data = folder.path().join("venue");
    for section in ["TLS", "ADMIN_TLS"] {
        let name = |key: &str| format!("CROSSBOOK_GATEWAY__{section}__{key}");
        let (certificate, key) = (name("CERTIFICATE_FILE"), name("KEY_FILE"));
        let refused = |key_file: &Path| {
            let files =
                [(certificate.as_str(), ours.certificate.to_str().unwrap()), (&key, key_file.to_str().unwrap())];
            refusal_with(&data, &files)
        };
        let said = refused(&other.key);
        assert!(said.contains(&format!("[gateway.{}]", section.to_lowercase())), "{said}");
        assert!(said.contains("other/server.key does not go with the certificate in"), "{said}");
        let said = refused(&folder.path().join("missing.key"));
        assert!(said.contains("cannot read a private key from") && said.contains("missing.key"), "{said}");
    }
    assert!(!data.join("log").exists());
}

#[test]
fn the_demo_does_not_pretend_to_speak_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path()).unwrap();
    let mut demo = binary();
    demo.args(["demo", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).envs(settings(&certificates));
    let output = demo.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("the demo serves without TLS"), "{said}");
}
