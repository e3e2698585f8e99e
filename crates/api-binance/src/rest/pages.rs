//! Static files: the venue's web page and its documentation. Each is compressed once, when it is first requested in
//! that encoding. Browsers are told to revalidate, which costs a few bytes.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::compression::{Encoding, vary};

/// A page that is served as it is.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its path.
    pub path: &'static str,
    /// Its content type.
    pub content_type: &'static str,
    /// What it holds.
    pub content: Bytes,
}

/// A page, ready to be served.
#[derive(Debug)]
pub(super) struct Served {
    page: Page,
    tag: HeaderValue,
    /// Of a document: what a browser may load and run for it.
    policy: Option<HeaderValue>,
    /// What is served in its place, once that is set.
    replacement: Option<Arc<OnceLock<Bytes>>>,
    gzip: OnceLock<Option<Bytes>>,
    brotli: OnceLock<Option<Bytes>>,
}

impl Served {
    pub(super) fn new(page: Page) -> Self {
        let tag = hex::encode(&digest::digest(&digest::SHA256, &page.content).as_ref()[..16]);
        // Weak, because it identifies the content of the page and not its bytes, which differ by encoding.
        let tag = HeaderValue::try_from(format!("W/\"{tag}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        let is_document = page.content_type.starts_with("text/html");
        let policy = is_document.then(|| HeaderValue::try_from(policy(&page.content)).ok()).flatten();
        Self { page, tag, policy, replacement: None, gzip: OnceLock::new(), brotli: OnceLock::new() }
    }

    /// Serves `content` in its place once that is set, to browsers of this machine.
    pub(super) fn replace_when_set(&mut self, content: Arc<OnceLock<Bytes>>) {
        self.replacement = Some(content);
    }

    /// Whether it is at that path; with or without a slash at its end.
    pub(super) fn is_at(&self, path: &str) -> bool {
        let bare = path.strip_suffix('/').filter(|bare| !bare.is_empty());
        self.page.path == path || bare == Some(self.page.path)
    }

    pub(super) fn answer(&self, request: &HeaderMap) -> Response<Body> {
        if let Some(late) = self.replacement.as_ref().and_then(|late| late.get())
            && is_of_this_machine(request)
        {
            return self.uncached(late.clone());
        }
        let mut response = Response::new(Body::empty());
        let known = request.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let is_known = known.is_some_and(|tags| {
            let opaque = self.tag.as_bytes().strip_prefix(b"W/");
            let mut tags = tags.split(',').map(str::trim);
            tags.any(|tag| tag == "*" || Some(tag.strip_prefix("W/").unwrap_or(tag).as_bytes()) == opaque)
        });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        } else {
            let encoding = Encoding::accepted(request, [Encoding::Brotli, Encoding::Gzip]);
            let smaller = encoding.and_then(|encoding| Some((encoding, self.compressed(encoding)?)));
            *response.body_mut() = smaller.map_or(&self.page.content, |(_, bytes)| bytes).clone().into();
            if let Some((encoding, _)) = smaller {
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
            }
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.page.content_type));
        headers.insert(ETAG, self.tag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        vary(headers);
        if let Some(policy) = &self.policy {
            headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
            // For browsers that do not know `frame-ancestors`.
            headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
        response
    }

    /// Content that nobody keeps.
    fn uncached(&self, content: Bytes) -> Response<Body> {
        let mut response = Response::new(Body::from(content));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.page.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        vary(headers);
        response
    }

    /// What it holds in that encoding, if that is less.
    fn compressed(&self, encoding: Encoding) -> Option<&Bytes> {
        let kept = match encoding {
            Encoding::Gzip => &self.gzip,
            Encoding::Brotli => &self.brotli,
        };
        let made = kept.get_or_init(|| {
            let smaller = encoding.compress(&self.page.content).map(Bytes::from);
            smaller.filter(|smaller| smaller.len() < self.page.content.len())
        });
        made.as_ref()
    }
}

/// What a document may load: scripts, styles and data of the venue, and the scripts and styles that it carries itself,
/// which are named by what they hold. It is shown in no frame of another page.
fn policy(document: &[u8]) -> String {
    let text = std::str::from_utf8(document).unwrap_or_default();
    let carried = |begin: &str, end: &str| {
        let parts = text.split(begin).skip(1).filter_map(|rest| rest.split_once(end)).map(|(carried, _)| carried);
        let hash = |carried: &str| BASE64.encode(digest::digest(&digest::SHA256, carried.as_bytes()));
        parts.map(|carried| format!(" 'sha256-{}'", hash(carried))).collect::<String>()
    };
    let (scripts, styles) = (carried("<script>", "</script>"), carried("<style>", "</style>"));
    // Not every browser takes a WebSocket to the same host for one to 'self'.
    format!(
        "default-src 'none'; script-src 'self'{scripts}; style-src 'self'{styles}; img-src 'self' data:; \
         connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// Whether a browser, if it is one, asks for a page that it has from this machine by this machine's own names: a name
/// of elsewhere may have been pointed here to read what is for those who sit before it.
fn is_of_this_machine(request: &HeaderMap) -> bool {
    let own = |authority: &str| {
        let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split(':').next().unwrap_or_default(),
        };
        ["localhost", "127.0.0.1", "::1"].contains(&host)
    };
    let text = |name| request.get(name).map(|value| value.to_str().unwrap_or_default());
    let origin = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| own(authority));
    text(HOST).is_some_and(own) && text(ORIGIN).is_none_or(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_get_its_content_later() {
        let content = Bytes::from_static(b"{}");
        let mut served = Served::new(Page { path: "/a.json", content_type: "application/json", content });
        let late = Arc::new(OnceLock::new());
        served.replace_when_set(Arc::clone(&late));
        let asked = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
            headers
        };
        let cache = |request: &HeaderMap| served.answer(request).headers()[CACHE_CONTROL].clone();
        assert_eq!(cache(&asked("localhost:8080", None)), "no-cache");
        late.set(Bytes::from_static(b"[]")).unwrap();
        for (host, origin) in [
            ("localhost:8080", None),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080")),
            ("[::1]:8080", Some("http://localhost:8080")),
        ] {
            assert_eq!(cache(&asked(host, origin)), "no-store", "{host}");
        }
        for (host, origin) in [
            ("rebound.example:8080", None),
            ("localhost.example", None),
            ("127.0.0.1:8080", Some("https://page.example")),
            ("127.0.0.1:8080", Some("null")),
        ] {
            assert_eq!(cache(&asked(host, origin)), "no-cache", "{host} for {origin:?}");
        }
        assert_eq!(cache(&HeaderMap::new()), "no-cache");
    }

    #[test]
    fn a_document_names_the_scripts_that_it_carries() {
        let policy = policy(b"<style>p{}</style><script src=\"/a.js\"></script><script>let a = 1;</script>");
        let hash = |text: &str| BASE64.encode(digest::digest(&digest::SHA256, text.as_bytes()));
        assert!(policy.contains(&format!("script-src 'self' 'sha256-{}';", hash("let a = 1;"))), "{policy}");
        assert!(policy.contains(&format!("style-src 'self' 'sha256-{}';", hash("p{}"))), "{policy}");
        assert!(!policy.contains("unsafe"));
    }
}
