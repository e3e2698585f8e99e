//! The web page at `/`, embedded in the binary.

use crossbook_api_binance::rest::Page;

const SCRIPT: &str = "text/javascript;charset=UTF-8";

macro_rules! page {
    ($path:literal, $file:literal, $content_type:expr) => {
        ($path, $content_type, include_bytes!(concat!("../../../web/", $file)).as_slice())
    };
}

const FILES: &[(&str, &str, &[u8])] = &[
    page!("/", "index.html", "text/html;charset=UTF-8"),
    page!("/style.css", "style.css", "text/css;charset=UTF-8"),
    page!("/icon.svg", "icon.svg", "image/svg+xml"),
    page!("/main.js", "main.js", SCRIPT),
    page!("/api.js", "api.js", SCRIPT),
    page!("/book.js", "book.js", SCRIPT),
    page!("/chart.js", "chart.js", SCRIPT),
    page!("/format.js", "format.js", SCRIPT),
    page!("/panels.js", "panels.js", SCRIPT),
    page!("/stream.js", "stream.js", SCRIPT),
];

/// All files of the page.
#[must_use]
pub fn all() -> Vec<Page> {
    FILES.iter().map(|&(path, content_type, content)| Page { path, content_type, content: content.into() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_asks_for_is_carried() {
        let known: Vec<&str> = FILES.iter().map(|&(path, ..)| path).collect();
        for (path, _, content) in FILES {
            let text = std::str::from_utf8(content).unwrap();
            for (start, end) in [("from \"./", "\""), ("src=\"", "\""), ("href=\"", "\"")] {
                for part in text.split(start).skip(1) {
                    let target = format!("/{}", part.split(end).next().unwrap().trim_start_matches('/'));
                    let documented = ["/docs", "/openapi.json"].contains(&target.as_str());
                    assert!(documented || known.contains(&target.as_str()), "{path} asks for {target}");
                }
            }
            assert!(!text.contains("https://") && !text.contains("//cdn"), "{path} asks for something from elsewhere");
        }
    }
}
