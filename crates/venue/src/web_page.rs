//! The web page at `/`, the terminal, embedded in the binary. Its sources are in `terminal/`; what is built from them
//! is in the repository, so that nothing but Rust is needed to build the venue. `make page` builds it once more and
//! compares.

use crossbook_api_binance::rest::Page;

const SCRIPT: &str = "text/javascript;charset=UTF-8";

/// Where a demo tells which accounts anybody may use.
pub const ACCOUNTS: &str = "/demo.json";

macro_rules! page {
    ($path:literal, $file:literal, $content_type:expr) => {
        ($path, $content_type, include_bytes!(concat!("../../../terminal/dist/", $file)).as_slice())
    };
}

const FILES: &[(&str, &str, &[u8])] = &[
    page!("/", "index.html", "text/html;charset=UTF-8"),
    page!("/app.css", "app.css", "text/css;charset=UTF-8"),
    page!("/icon.svg", "icon.svg", "image/svg+xml"),
    page!("/licences.txt", "licences.txt", "text/plain;charset=UTF-8"),
    page!("/app.js", "app.js", SCRIPT),
    page!("/core.js", "core.js", SCRIPT),
    page!("/Chart.js", "Chart.js", SCRIPT),
    page!("/Depth.js", "Depth.js", SCRIPT),
    page!("/ko.js", "ko.js", SCRIPT),
    (ACCOUNTS, "application/json;charset=UTF-8", br#"{"accounts":[]}"#),
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
    fn every_file_that_was_built_is_carried() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../terminal/dist");
        let mut built: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| format!("/{}", file.unwrap().file_name().to_str().unwrap()).replace("/index.html", "/"))
            .collect();
        let mut carried: Vec<&str> = FILES.iter().map(|&(path, ..)| path).filter(|path| *path != ACCOUNTS).collect();
        built.sort();
        carried.sort_unstable();
        assert_eq!(built, carried);
    }

    #[test]
    fn the_document_asks_for_nothing_from_elsewhere() {
        let known: Vec<&str> = FILES.iter().map(|&(path, ..)| path).collect();
        for (path, content_type, content) in FILES {
            if !content_type.starts_with("text/html") && !content_type.starts_with("text/css") {
                continue;
            }
            let text = std::str::from_utf8(content).unwrap();
            for start in ["src=\"", "href=\"", "url("] {
                for part in text.split(start).skip(1) {
                    let target = part.split(['"', ')']).next().unwrap();
                    let documented = ["/docs", "/openapi.json"].contains(&target);
                    assert!(documented || known.contains(&target), "{path} asks for {target}");
                }
            }
        }
    }
}
