use std::path::Path;
use std::time::Duration;

use crossbook_loadgen::latency::Latency;

use super::*;

/// A report with one of everything.
fn report() -> Report {
    let mut latency = Latency::new();
    (1..=1_000_u64).for_each(|micros| latency.record(Duration::from_micros(micros)));
    let mut table = Table::new(["", "orders/s", "note"]);
    table.row(["REST", "12,345", "a < b & \"c\""]);
    table.row(["<script>alert(1)</script>", "7"]);
    let mut report = Report::begin("Orders & pings", "What a <client> waits for.", Some(Path::new("/")));
    let seconds = Axis::linear("time", Unit::Seconds);
    let rates = Series::new("orders", vec![(1.0, 4_900.0), (2.0, 5_100.0)]);
    report.push(
        Section::new("Throughput")
            .text("Each order is on disk before it is answered.")
            .table(table)
            .chart(Chart::lines("Orders a second", seconds, Axis::linear("orders/s", Unit::PerSecond), vec![rates]))
            .chart(Chart::percentiles("Latency", [("order", &latency)]))
            .chart(Chart::bars(
                "By batch",
                vec!["1".to_owned(), "10".to_owned()],
                Axis::logarithmic("records/s", Unit::PerSecond),
                vec![("files".to_owned(), vec![900.0, 8_000.0])],
            )),
    );
    report.push(Section::new("Verdict").verdicts(vec![
        Verdict::new("audit", "0 off", "0 off", true),
        Verdict::new("trades", "the same", "2 differ", false),
    ]));
    report
}

#[test]
fn a_page_needs_nothing_from_elsewhere_and_takes_no_text_for_markup() {
    let page = report().html();
    for outside in ["http://", "https://", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("<title>Orders &amp; pings</title>"));
    assert!(page.contains("a &lt; b &amp; &quot;c&quot;"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for tag in ["section", "table", "figure", "svg", "g", "ul", "li", "details", "div", "dl", "p"] {
        let (open, close) = (
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count(),
            page.matches(&format!("</{tag}>")).count(),
        );
        assert_eq!(open, close, "every <{tag}> ends");
    }
}

#[test]
fn every_figure_can_be_pointed_at_and_read() {
    let page = report().html();
    for title in ["orders: 4,900/s at 1 s", "order: 500 µs at 50 %", "files, 10: 8,000/s"] {
        assert!(page.contains(&format!("<title>{title}</title>")), "{title}");
    }
    assert!(page.contains("<td class=\"number\">5,100/s</td>"), "the table under the chart");
    assert!(page.contains("<b class=\"fail\">FAIL</b>") && page.contains("<b class=\"pass\">PASS</b>"));
}

#[test]
fn a_report_passes_when_all_verdicts_do() {
    assert!(!report().passed());
    assert!(Report::begin("", "", None).passed());
}

#[test]
fn the_terminal_has_the_same_tables() {
    let text = report().text();
    let line = |cells: [&str; 3]| format!("{:<25}  {:>8}  {}\n", cells[0], cells[1], cells[2]);
    assert!(text.contains(&line(["", "orders/s", "note"])), "{text}");
    assert!(text.contains(&line(["REST", "12,345", "a < b & \"c\""])), "{text}");
    assert!(text.contains("trades  the same  2 differ  FAIL\n"), "{text}");
}

#[test]
fn markdown_has_the_same_tables_and_takes_no_text_for_markup() {
    let text = report().markdown();
    assert!(
        text.starts_with("# Orders & pings\n\nWhat a \\<client\\> waits for.\n\n|  |  |\n| --- | --- |\n"),
        "{text}"
    );
    let table = "|  | orders/s | note |\n| --- | ---: | --- |\n| REST | 12,345 | a \\< b & \"c\" |\n";
    assert!(text.contains(table), "{text}");
    assert!(text.contains("\n## Throughput\n\nEach order is on disk before it is answered.\n\n"), "{text}");
    assert!(text.contains("| trades | the same | 2 differ | **FAIL** |\n"), "{text}");
    assert!(text.replace("\\<", "").find('<').is_none(), "{text}");
}

#[test]
fn paragraphs_in_markdown_are_wrapped() {
    let words = "word ".repeat(60);
    let mut report = Report::begin("", words, None);
    report.push(Section::new("").text("a".repeat(200)));
    let text = report.markdown();
    let lines: Vec<usize> = text.lines().filter(|line| line.starts_with("word")).map(str::len).collect();
    assert_eq!(lines, [119, 119, 59], "{text}");
    assert!(text.ends_with(&format!("\n\n{}\n", "a".repeat(200))), "{text}");
}

#[test]
fn the_name_of_a_file_says_how_it_is_written() {
    let folder = std::env::temp_dir().join(format!("crossbook-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (name, begins) in [("report.md", "# Orders"), ("report.html", "<!doctype html>")] {
        report().write(&folder.join(name)).unwrap();
        assert!(std::fs::read_to_string(folder.join(name)).unwrap().starts_with(begins), "{name}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_chart_without_values_says_so() {
    let empty = Chart::lines("Nothing", Axis::linear("", Unit::Count), Axis::linear("", Unit::Count), Vec::new());
    let mut report = Report::begin("", "", None);
    report.push(Section::new("").chart(empty));
    assert!(report.html().contains("Nothing was measured."));
}

#[test]
fn what_was_computed_tells_from_what_and_nothing_of_this_machine() {
    let report = Report::computed("A plan", "", vec![("Prices", "of today".to_owned())]);
    for text in [report.html(), report.markdown(), report.text()] {
        assert!(text.contains("Prices") && text.contains("of today"), "{text}");
        assert!(!text.contains("Begun") && !text.contains("Command") && !text.contains("Linux"), "{text}");
    }
}
