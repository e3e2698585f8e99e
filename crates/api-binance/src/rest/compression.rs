//! Compresses answers for clients that ask for it. Most answers are too small to gain anything, and an order's always
//! is, so the size is checked first.

use std::io::Write as _;

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

/// Answers above this are compressed beside the work of the connections.
const ON_THE_SPOT_BYTES_MAX: u64 = 32 * 1024;
/// Memory of the brotli encoder.
const BROTLI_BUFFER_BYTES: usize = 4 * 1024;
/// The window of the brotli encoder, as an exponent of two.
const BROTLI_WINDOW: u32 = 18;
/// The next quality of the encoder took a hundred times as long for a seventh less, when a list of 1,500 markets was
/// measured.
const BROTLI_QUALITY: u32 = 1;

/// A way to compress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Encoding {
    Gzip,
    Brotli,
}

impl Encoding {
    /// The best encoding that the client takes; of several that are as good to it, the first of `preferred`.
    pub(super) fn accepted(headers: &HeaderMap, preferred: [Self; 2]) -> Option<Self> {
        let mut best: Option<(Self, u16)> = None;
        for encoding in preferred {
            let quality = encoding.quality(headers);
            if quality > 0 && best.is_none_or(|(_, known)| quality > known) {
                best = Some((encoding, quality));
            }
        }
        best.map(|(encoding, _)| encoding)
    }

    /// How much the client wants it, in thousandths; 0 if not at all.
    fn quality(self, headers: &HeaderMap) -> u16 {
        let mut any = 0;
        let lines = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
        for range in lines.flat_map(|line| line.split(',')) {
            let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
            let quality =
                parameters.trim().strip_prefix("q=").map_or(Some(1.0), |text| text.trim().parse::<f32>().ok());
            let quality = (quality.unwrap_or(0.0).clamp(0.0, 1.0) * 1_000.0) as u16;
            let name = name.trim();
            if name.eq_ignore_ascii_case(self.as_str()) || (self == Self::Gzip && name.eq_ignore_ascii_case("x-gzip")) {
                return quality;
            }
            if name == "*" {
                any = quality;
            }
        }
        any
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// The bytes in this encoding; `None` if the library fails, which it has no reason to.
    pub(super) fn compress(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let room = Vec::with_capacity(bytes.len() / 4);
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(room, Compression::fast());
                encoder.write_all(bytes).ok()?;
                encoder.finish().ok()
            }
            Self::Brotli => {
                let mut encoder =
                    brotli::CompressorWriter::new(room, BROTLI_BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW);
                encoder.write_all(bytes).ok()?;
                Some(encoder.into_inner())
            }
        }
    }
}

/// Notes that the answer depends on what the client takes.
pub(super) fn vary(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("accept-encoding"));
}

/// The answer, compressed if it has at least `bytes_min` bytes and the client takes that. Of two ways that the client
/// likes as much, the one that costs less: who compresses for one client serves others meanwhile.
pub(super) async fn compressed(response: Response<Body>, request: &HeaderMap, bytes_min: usize) -> Response<Body> {
    let size = response.body().size_hint().exact().unwrap_or(0);
    if bytes_min == 0 || size < bytes_min as u64 {
        return response;
    }
    let accepted = Encoding::accepted(request, [Encoding::Gzip, Encoding::Brotli]);
    let (mut head, body) = response.into_parts();
    vary(&mut head.headers);
    let Some(encoding) = accepted else { return Response::from_parts(head, body) };
    // The body is whole in memory, so this waits for nothing.
    let Ok(bytes) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Response::from_parts(head, Body::empty());
    };
    let plain = bytes.clone();
    let smaller = if size > ON_THE_SPOT_BYTES_MAX {
        tokio::task::spawn_blocking(move || encoding.compress(&bytes)).await.ok().flatten()
    } else {
        encoding.compress(&bytes)
    };
    let body = match smaller {
        Some(smaller) if smaller.len() < plain.len() => {
            head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
            Bytes::from(smaller)
        }
        _ => plain,
    };
    Response::from_parts(head, body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_choose_by_quality_and_the_venue_among_equals() {
        let chosen = |lines: &[&'static str], preferred| {
            let mut headers = HeaderMap::new();
            lines.iter().for_each(|line| _ = headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line)));
            Encoding::accepted(&headers, preferred)
        };
        let (gzip, brotli) = ([Encoding::Gzip, Encoding::Brotli], [Encoding::Brotli, Encoding::Gzip]);
        assert_eq!(chosen(&["gzip, deflate, br"], gzip), Some(Encoding::Gzip));
        assert_eq!(chosen(&["gzip, deflate, br"], brotli), Some(Encoding::Brotli));
        assert_eq!(chosen(&["gzip", "BR"], brotli), Some(Encoding::Brotli));
        assert_eq!(chosen(&["gzip;q=0.5, br;q=0.9"], gzip), Some(Encoding::Brotli));
        assert_eq!(chosen(&["br;q=0, *"], brotli), Some(Encoding::Gzip));
        for nothing in [&[][..], &["identity"], &["*;q=0"], &["gzip;q=0"], &["gzip;q=x"], &["deflate"]] {
            assert_eq!(chosen(nothing, gzip), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_is_compressed_is_the_same_again() {
        use std::io::Read as _;

        let text = r#"{"symbol":"BTCUSDT","status":"TRADING"}"#.repeat(1_000);
        let gzip = Encoding::Gzip.compress(text.as_bytes()).unwrap();
        let brotli = Encoding::Brotli.compress(text.as_bytes()).unwrap();
        assert!(gzip.len() < text.len() / 20 && brotli.len() < text.len() / 20);
        let (mut one, mut other) = (String::new(), String::new());
        flate2::read::GzDecoder::new(&*gzip).read_to_string(&mut one).unwrap();
        brotli::Decompressor::new(&*brotli, 4_096).read_to_string(&mut other).unwrap();
        assert!(one == text && other == text);
    }
}
