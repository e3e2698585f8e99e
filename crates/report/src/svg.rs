//! A chart as SVG within the page. Every value can be pointed at, and all of them stand in a table below that opens,
//! for those who do not see the drawing and those who want the numbers.

mod scale;

use std::fmt::Write as _;

use self::scale::Mapping;
use crate::chart::{Axis, Chart, Figure, Series};
use crate::document::Table;
use crate::html::{escape, table};

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 36.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;
/// Colours and dashes that the styles know; more series begin again.
const STYLES: usize = 6;
/// Lines with no more points than these show each.
const DOTS_MAX: usize = 24;
/// As many bars have their values written over them.
const LABELS_MAX: usize = 14;

/// Where a value of the x axis comes to lie.
fn across(axis: &Mapping<'_>, value: f64) -> f64 {
    LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)
}

/// Where a value of the y axis comes to lie.
fn down(axis: &Mapping<'_>, value: f64) -> f64 {
    HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM)
}

/// Adds the chart to the page.
pub(super) fn render(out: &mut String, chart: &Chart) {
    let _ = writeln!(out, "<figure>\n<figcaption>{}</figcaption>", escape(&chart.title));
    match &chart.figure {
        Figure::Lines(series) => lines(out, chart, series),
        Figure::Bars { groups, series } => bars(out, chart, groups, series),
    }
    out.push_str("</figure>\n");
}

fn lines(out: &mut String, chart: &Chart, series: &[Series]) {
    let shown = |&&(x, y): &&(f64, f64)| chart.x.holds(x) && chart.y.holds(y);
    let points = || series.iter().flat_map(|series| &series.points).filter(shown);
    let mapped = (Mapping::over(&chart.x, points().map(|p| p.0)), Mapping::over(&chart.y, points().map(|p| p.1)));
    let (Some(x_axis), Some(y)) = mapped else { return nothing(out) };
    let y_axis = y.rounded();
    legend(out, LINE, series.iter().map(|series| &series.name[..]));
    open(out, &chart.title);
    horizontal(out, &chart.y, &y_axis);
    for tick in x_axis.ticks() {
        let (at, low) = (across(&x_axis, tick), HEIGHT - BOTTOM);
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{low}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            low + 17.0,
            escape(&chart.x.unit.show(tick))
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 8.0,
        escape(&chart.x.label)
    );
    for (at, series) in series.iter().enumerate() {
        let points: Vec<_> = series.points.iter().filter(shown).collect();
        let path: Vec<_> =
            points.iter().map(|&&(x, y)| format!("{:.1},{:.1}", across(&x_axis, x), down(&y_axis, y))).collect();
        let _ = writeln!(out, "<g class=\"s{}\"><polyline class=\"line\" points=\"{}\"/>", at % STYLES, path.join(" "));
        let dots = points.len() <= DOTS_MAX;
        for &&(x, y) in &points {
            let (left, top) = (across(&x_axis, x), down(&y_axis, y));
            if dots {
                let _ = write!(out, "<circle cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"3\" fill=\"currentColor\"/>");
            }
            let told = format!("{}: {} at {}", series.name, chart.y.unit.show(y), chart.x.unit.show(x));
            let _ = writeln!(
                out,
                "<circle class=\"hit\" cx=\"{left:.1}\" cy=\"{top:.1}\" r=\"6\"><title>{}</title></circle>",
                escape(&told)
            );
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    figures(out, &figures_of_lines(chart, series));
}

fn bars(out: &mut String, chart: &Chart, groups: &[String], series: &[(String, Vec<f64>)]) {
    let values = || series.iter().flat_map(|(_, values)| values).copied().filter(|&value| chart.y.holds(value));
    let Some(y) = Mapping::over(&chart.y, values()) else { return nothing(out) };
    // The least bar is still a bar.
    let y_axis = y.rounded().with_room_below();
    legend(out, BAR, series.iter().map(|(name, _)| &name[..]));
    open(out, &chart.title);
    horizontal(out, &chart.y, &y_axis);
    let group_width = (WIDTH - LEFT - RIGHT) / groups.len() as f64;
    let bar_width = (group_width * 0.76 / series.len() as f64).min(72.0);
    for (group, name) in groups.iter().enumerate() {
        let middle = LEFT + (group as f64 + 0.5) * group_width;
        let _ = writeln!(
            out,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 18.0,
            escape(name)
        );
        for (at, (series_name, values)) in series.iter().enumerate() {
            let value = values[group];
            if !chart.y.holds(value) {
                continue;
            }
            let left = middle + (at as f64 - series.len() as f64 / 2.0) * bar_width;
            let (top, low) = (down(&y_axis, value), HEIGHT - BOTTOM);
            let shown = chart.y.unit.show(value);
            let _ = writeln!(
                out,
                "<g class=\"s{}\"><rect class=\"bar\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" \
                 height=\"{:.1}\"><title>{}</title></rect></g>",
                at % STYLES,
                left + 1.0,
                bar_width - 2.0,
                (low - top).max(0.5),
                escape(&format!("{series_name}, {name}: {shown}"))
            );
            if groups.len() * series.len() <= LABELS_MAX {
                let _ = writeln!(
                    out,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    left + bar_width / 2.0,
                    top - 4.0,
                    escape(&shown)
                );
            }
        }
    }
    out.push_str("</svg>\n");
    let mut rows = Table::new(std::iter::once("").chain(series.iter().map(|(name, _)| &name[..])));
    for (group, name) in groups.iter().enumerate() {
        let cells = series.iter().map(|(_, values)| chart.y.unit.show(values[group]));
        rows.row(std::iter::once(name.clone()).chain(cells));
    }
    figures(out, &rows);
}

fn nothing(out: &mut String) {
    out.push_str("<p>Nothing was measured.</p>\n");
}

fn open(out: &mut String, title: &str) {
    let title = escape(title);
    let _ = writeln!(out, "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">");
}

/// Lines across, their values, and what they are values of.
fn horizontal(out: &mut String, axis: &Axis, mapping: &Mapping<'_>) {
    for tick in mapping.ticks() {
        let at = down(mapping, tick);
        let _ = writeln!(
            out,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            escape(&axis.unit.show(tick))
        );
    }
    let middle = (TOP + HEIGHT - BOTTOM) / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"14\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {middle:.1})\">{}</text>",
        escape(&axis.label)
    );
}

/// What stands for a series in a legend.
const LINE: &str = "<line class=\"line\" x1=\"0\" y1=\"5\" x2=\"26\" y2=\"5\"/>";
const BAR: &str = "<rect class=\"bar\" x=\"8\" width=\"10\" height=\"10\"/>";

fn legend<'a>(out: &mut String, mark: &str, names: impl Iterator<Item = &'a str>) {
    out.push_str("<ul>");
    for (at, name) in names.enumerate() {
        let _ = write!(
            out,
            "<li class=\"s{}\"><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\">{mark}</svg><span>{}</span></li>",
            at % STYLES,
            escape(name)
        );
    }
    out.push_str("</ul>\n");
}

fn figures(out: &mut String, rows: &Table) {
    out.push_str("<details><summary>Figures</summary>\n");
    table(out, rows);
    out.push_str("</details>\n");
}

/// One row for each place on the x axis if the series share them, or else one for each point.
fn figures_of_lines(chart: &Chart, series: &[Series]) -> Table {
    let places = |series: &Series| series.points.iter().map(|point| point.0).collect::<Vec<_>>();
    let (x, y) = (chart.x.unit, chart.y.unit);
    let first = series.first().map(places).unwrap_or_default();
    if series.iter().all(|series| places(series) == first) {
        let names = series.iter().map(|series| &series.name[..]);
        let mut rows = Table::new(std::iter::once(&chart.x.label[..]).chain(names));
        for (at, &place) in first.iter().enumerate() {
            let cells = series.iter().map(|series| y.show(series.points[at].1));
            rows.row(std::iter::once(x.show(place)).chain(cells));
        }
        return rows;
    }
    let mut rows = Table::new(["", &chart.x.label, &chart.y.label]);
    for series in series {
        for &(place, value) in &series.points {
            rows.row([series.name.clone(), x.show(place), y.show(value)]);
        }
    }
    rows
}
