//! A report as one page: HTML with its styles and charts in it, and a policy that lets a browser fetch nothing else.

use std::fmt::Write as _;

use crate::document::{Block, Report, Verdict};
use crate::html::{escape, table};
use crate::svg;

const STYLES: &str = include_str!("page.css");

impl Report {
    /// The report as one HTML page that refers to nothing outside itself.
    #[must_use]
    pub fn html(&self) -> String {
        render(self)
    }
}

fn render(report: &Report) -> String {
    let title = escape(&report.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" \
         content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLES}</style>\n</head>\n<body>\n<header>\n<p \
         class=\"brand\">Crossbook</p>\n<h1>{title}</h1>\n"
    );
    paragraph(&mut out, &report.summary);
    facts(&mut out, report);
    out.push_str("</header>\n<main>\n");
    for section in &report.sections {
        let _ = writeln!(out, "<section>\n<h2>{}</h2>", escape(&section.heading));
        for block in &section.blocks {
            match block {
                Block::Text(text) => paragraph(&mut out, text),
                Block::Table(rows) => table(&mut out, rows),
                Block::Chart(drawn) => svg::render(&mut out, drawn),
                Block::Verdicts(list) => verdicts(&mut out, list),
            }
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn paragraph(out: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escape(text));
    }
}

fn facts(out: &mut String, report: &Report) {
    out.push_str("<dl>\n");
    let command_line = format!("<code>{}</code>", escape(&report.command_line));
    let told = [("Command", command_line), ("Begun", escape(&report.began))];
    let told = told.into_iter().filter(|_| report.is_of_a_run());
    let machine = report.facts().into_iter().map(|(name, text)| (name, escape(&text)));
    for (name, text) in told.chain(machine) {
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{text}</dd></div>");
    }
    out.push_str("</dl>\n");
}

fn verdicts(out: &mut String, list: &[Verdict]) {
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\"></th><th scope=\"col\">wanted</th>\
         <th scope=\"col\">found</th><th scope=\"col\">verdict</th></tr></thead>\n<tbody>\n",
    );
    for verdict in list {
        let class = if verdict.passed { "pass" } else { "fail" };
        let [what, wanted, found] = [&verdict.what, &verdict.wanted, &verdict.found].map(|text| escape(text));
        let word = verdict.word();
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{what}</th><td>{wanted}</td><td>{found}</td><td><b \
             class=\"{class}\">{word}</b></td></tr>"
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
}
