//! The operator's console at `/console/` of the admin address, embedded in the binary. Its sources are in `console/`;
//! what is built from them is in the repository. `make page` builds it once more and compares.

use crossbook_api_admin::console::{CONSOLE, Page};

macro_rules! page {
    ($path:expr, $file:literal, $content_type:literal) => {
        Page {
            path: $path,
            content_type: $content_type,
            content: include_bytes!(concat!("../../../console/dist/", $file)),
        }
    };
}

const FILES: &[Page] = &[
    page!(CONSOLE, "index.html", "text/html;charset=UTF-8"),
    page!("/console/app.css", "app.css", "text/css;charset=UTF-8"),
    page!("/console/app.js", "app.js", "text/javascript;charset=UTF-8"),
    page!("/console/icon.svg", "icon.svg", "image/svg+xml"),
    page!("/console/licences.txt", "licences.txt", "text/plain;charset=UTF-8"),
];

/// All files of the page.
#[must_use]
pub fn all() -> &'static [Page] {
    FILES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_was_built_is_carried() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/dist");
        let name = |file: std::io::Result<std::fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
        let mut built: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
        built.sort();
        let mut carried: Vec<&str> = FILES.iter().map(|page| page.path.strip_prefix(CONSOLE).unwrap()).collect();
        carried.iter_mut().filter(|name| name.is_empty()).for_each(|name| *name = "index.html");
        carried.sort_unstable();
        assert_eq!(built, carried);
    }

    #[test]
    fn the_document_asks_for_nothing_from_elsewhere() {
        let document = std::str::from_utf8(FILES[0].content).unwrap();
        for start in ["src=\"", "href=\""] {
            for part in document.split(start).skip(1) {
                let target = part.split('"').next().unwrap();
                assert!(FILES.iter().any(|page| page.path == target), "the document asks for {target}");
            }
        }
        assert!(!document.contains("<style") && !document.contains("style=\""), "no style is inline");
    }
}
