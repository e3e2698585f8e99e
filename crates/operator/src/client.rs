//! Requests to the admin API.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Method, StatusCode, redirect};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{CONNECT_TIMEOUT, Error};

/// Speaks with one venue.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<SecretString>,
    /// Why something is asked, for the operator log.
    reason: Option<String>,
}

impl Client {
    /// Speaks with the venue at `url`. `ca` is a file with the authority of its certificate.
    pub(super) fn new(url: &str, ca: Option<&Path>, timeout: Duration, token: &SecretString) -> Result<Self, Error> {
        Ok(Self { token: Some(token.clone()), ..Self::without_token(url, ca, timeout)? })
    }

    /// The same, with the reason of what it asks.
    pub(super) fn because(self, reason: Option<&str>) -> Self {
        Self { reason: reason.map(part), ..self }
    }

    /// As [`Client::new`], for what needs no token.
    pub(super) fn without_token(url: &str, ca: Option<&Path>, timeout: Duration) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            // The token goes to the venue and to nobody else: not to a proxy that the environment names, nor where an
            // answer leads.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout);
        if let Some(path) = ca {
            let unreadable = |why: String| Error::File { path: path.to_owned(), why };
            let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
            let bundle = Certificate::from_pem_bundle(&pem).map_err(|error| unreadable(innermost(&error)))?;
            if bundle.is_empty() {
                return Err(unreadable("there is no certificate in it".to_owned()));
            }
            builder = builder.tls_certs_only(bundle);
        }
        let bad = |why: String| Error::Url { url: url.to_owned(), why };
        let full = if url.contains("://") { url.to_owned() } else { format!("http://{}", bare(url)) };
        let parsed = reqwest::Url::parse(&full).map_err(|error| bad(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err(bad("it is no address of a server".to_owned()));
        }
        let http = builder.build().map_err(|error| bad(innermost(&error)))?;
        Ok(Self { http, url: venue(&full).to_owned(), token: None, reason: None })
    }

    /// One request; the path is that after `/admin/v1/`.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Error> {
        let request = self.http.request(method, format!("{}/admin/v1/{path}", self.url));
        let mut request = match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        if let Some(reason) = &self.reason {
            request = request.header("Crossbook-Reason", reason);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| self.failed(&error))?;
        let answer = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
        let Some(answer) = answer else {
            return Err(Error::Other { url: self.url.clone(), what: format!("status {}", status.as_u16()) });
        };
        if status.is_success() {
            return Ok(answer);
        }
        let (Some(code), Some(message)) = (answer["code"].as_i64(), answer["msg"].as_str()) else {
            return Err(Error::Other { url: self.url.clone(), what: format!("status {}", status.as_u16()) });
        };
        let message = message.to_owned();
        Err(match (status, code) {
            (StatusCode::UNAUTHORIZED, _) => Error::Token,
            (StatusCode::FORBIDDEN, _) => Error::Role { message },
            // The client API answers so.
            (StatusCode::NOT_FOUND, _) if message.contains("/docs") => {
                Error::Other { url: self.url.clone(), what: "it is the client API".to_owned() }
            }
            (StatusCode::GATEWAY_TIMEOUT, _) => Error::Unknown { url: self.url.clone(), why: message },
            (StatusCode::SERVICE_UNAVAILABLE, _) => Error::Busy { code, message },
            _ => Error::Refused { code, message },
        })
    }

    /// A request without a token, and whatever answer it gets. The path is that on the server.
    pub(super) async fn send(&self, method: Method, path: &str) -> Result<(StatusCode, String), Error> {
        let request = self.http.request(method, format!("{}/{path}", self.url));
        let response = request.send().await.map_err(|error| self.silent(&error))?;
        let status = response.status();
        Ok((status, response.text().await.map_err(|error| self.silent(&error))?))
    }

    fn silent(&self, error: &reqwest::Error) -> Error {
        Error::Silent { url: self.url.clone(), why: innermost(error) }
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        let (url, why) = (self.url.clone(), innermost(error));
        if error.is_connect() { Error::Unreachable { url, why } } else { Error::Unknown { url, why } }
    }
}

/// Where the venue is: the address, also where it is written with the path of the admin API.
fn venue(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix("/admin/v1").unwrap_or(url).trim_end_matches('/')
}

/// An address without a scheme: a port alone is one of this machine.
fn bare(url: &str) -> String {
    if url.bytes().all(|byte| byte.is_ascii_digit()) { format!("127.0.0.1:{url}") } else { url.to_owned() }
}

/// A name as a part of a path.
pub(super) fn part(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// What is at the bottom of an error: the rest only says that a request was sent.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long; --timeout gives it more".to_owned();
    }
    let mut at: &dyn std::error::Error = error;
    let mut next = error.source();
    while let Some(source) = next {
        at = source;
        next = source.source();
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_the_path_of_the_api() {
        for url in ["", "/", "/admin/v1", "/admin/v1/", "//admin/v1//"] {
            assert_eq!(venue(&format!("http://h:1{url}")), "http://h:1", "{url}");
        }
        assert_eq!(venue("http://h:1/venue/admin/v1"), "http://h:1/venue");
    }
}
