//! The operator's console: a page at `/console/` that uses the admin API. Its files need no token, and hold nothing of
//! the venue: whoever opens the page types a token, which the page keeps in its memory.

use axum::body::Body;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

/// Where the console is.
pub const CONSOLE: &str = "/console/";

/// What the page may load and run: scripts, styles and data of this address. No other page may show it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the console.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Its path; the document's is [`CONSOLE`].
    pub path: &'static str,
    /// Its content type.
    pub content_type: &'static str,
    /// What it holds.
    pub content: &'static [u8],
}

/// The file at a path; `None` if it is none of the console's.
pub(super) fn answer(pages: &[Page], path: &str) -> Option<Response<Body>> {
    if pages.is_empty() || !path.starts_with("/console") {
        return None;
    }
    // Its files are named relative to the slash.
    if path == CONSOLE.trim_end_matches('/') {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(LOCATION, HeaderValue::from_static(CONSOLE));
        return Some(response);
    }
    let page = pages.iter().find(|page| page.path == path)?;
    let mut response = Response::new(Body::from(Bytes::from_static(page.content)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(page.content_type));
    protect(headers);
    Some(response)
}

fn protect(headers: &mut HeaderMap) {
    // A new program has new files under the same names.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_files_are_served() {
        let pages = [Page { path: CONSOLE, content_type: "text/html;charset=UTF-8", content: b"page" }];
        let status = |path| answer(&pages, path).map(|response| response.status().as_u16());
        assert_eq!(status("/console/"), Some(200));
        assert_eq!(status("/console"), Some(308));
        assert_eq!(status("/console/other"), None);
        assert_eq!(status("/admin/v1/assets"), None);
        assert!(answer(&[], "/console").is_none(), "a program without the page has none");
        let response = answer(&pages, "/console/").unwrap();
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    }
}
