//! The result of a soak test: the acceptance table, the figures for programs, and the sections of the report.

use crossbook_report::{Axis, Chart, LATENCY_HEADER, Report, Section, Series, Table, Unit, Verdict, latency_cells};
use serde_json::{Value, json};

use super::Soaked;
use crate::options::Soak;

/// Errors must be fewer than this share of requests.
const ERRORS_BELOW_PERCENT: f64 = 0.01;

impl Soaked {
    /// Orders acknowledged a second, from the first acknowledgement to the last.
    fn per_second(&self) -> f64 {
        match self.figures.acknowledgements {
            Some((first, last)) if last > first => {
                (self.figures.acknowledged - 1) as f64 / (last - first).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// Failed requests, and orders that were due and could not be sent, of all that were due, in percent.
    fn error_percent(&self) -> f64 {
        let due = self.figures.sent + self.figures.cancels + self.unsent;
        if due == 0 { 100.0 } else { 100.0 * (self.figures.failed() + self.unsent) as f64 / due as f64 }
    }

    /// Acknowledged orders that are missing, over the API or in SQL.
    fn lost(&self) -> u64 {
        self.api.lost.count() + self.sql.as_ref().map_or(0, |sql| sql.lost.count())
    }

    /// What else does not agree; an audit that is not clean is one more.
    fn inconsistencies(&self) -> u64 {
        let sql = self.sql.as_ref().map_or(0, |sql| sql.inconsistencies.count());
        self.api.inconsistencies.count() + sql + u64::from(!self.is_audit_clean())
    }

    fn is_audit_clean(&self) -> bool {
        self.audit["ok"] == true
    }
}

/// The acceptance table.
pub fn verdicts(options: &Soak, soaked: &Soaked) -> Vec<Verdict> {
    let latency = soaked.figures.orders.summary();
    let ms = |ns: u64| ns as f64 / 1e6;
    let (tps, target) = (soaked.per_second(), options.rate.get());
    let p99_below_ms = options.p99_max.as_secs_f64() * 1e3;
    let ended = if soaked.ended_early { ", ended early" } else { "" };
    let lasted = humantime::format_duration(std::time::Duration::from_secs(soaked.lasted.as_secs_f64().round() as u64));
    let lost = match &soaked.sql {
        Some(sql) => format!("{} over the API, {} in SQL", soaked.api.lost.count(), sql.lost.count()),
        None => format!("{} over the API; SQL not checked, for want of --database", soaked.api.lost.count()),
    };
    let mut verdicts = vec![
        Verdict::new(
            format!("sustained TPS (orders acknowledged a second, over {lasted}{ended})"),
            target.to_string(),
            format!("{tps:.0}"),
            // Whole orders a second: the last acknowledgement may come some milliseconds later than the first did.
            tps.round() >= target as f64,
        ),
        Verdict::new(
            "latency from the due time: p50 / p99 / p99.9 / max",
            format!("p99 < {p99_below_ms} ms"),
            [latency.p50_ns, latency.p99_ns, latency.p999_ns, latency.max_ns]
                .map(|ns| format!("{:.2}", ms(ns)))
                .join(" / ")
                + " ms",
            latency.count > 0 && ms(latency.p99_ns) < p99_below_ms,
        ),
        Verdict::new("acknowledged orders lost", "0", lost, soaked.lost() == 0),
    ];
    let errors = soaked.error_percent();
    verdicts.push(Verdict::new(
        "errors",
        format!("< {ERRORS_BELOW_PERCENT} %"),
        format!("{errors:.4} %"),
        errors < ERRORS_BELOW_PERCENT,
    ));
    let inconsistencies = soaked.inconsistencies();
    verdicts.push(Verdict::new(
        "inconsistencies (orders, fills, balances)",
        "0",
        inconsistencies.to_string(),
        inconsistencies == 0,
    ));
    let audit = if soaked.is_audit_clean() { "every sum is 0" } else { "not clean" };
    verdicts.push(Verdict::new("the venue's audit", "every sum is 0", audit, soaked.is_audit_clean()));
    verdicts
}

/// The figures, for programs.
pub fn json(soaked: &Soaked, report: &Report, pass: bool) -> Value {
    let figures = &soaked.figures;
    let latency = |latency: &crossbook_loadgen::latency::Latency| {
        let summary = latency.summary();
        let ms = |ns: u64| ns as f64 / 1e6;
        json!({
            "count": summary.count, "p50": ms(summary.p50_ns), "p99": ms(summary.p99_ns), "p999": ms(summary.p999_ns),
            "p9999": ms(summary.p9999_ns), "max": ms(summary.max_ns),
        })
    };
    let place = |outcome: &super::Outcome| {
        json!({
            "orders": outcome.orders, "lost": outcome.lost.count(), "inconsistencies": outcome.inconsistencies.count(),
        })
    };
    json!({
        "tps": soaked.per_second(),
        "latencyMs": latency(&figures.orders),
        "sent": figures.sent,
        "acknowledged": figures.acknowledged,
        "lost": soaked.lost(),
        "errorPercent": soaked.error_percent(),
        "inconsistencies": soaked.inconsistencies(),
        "pass": pass,
        "seconds": soaked.lasted.as_secs_f64(),
        "endedEarly": soaked.ended_early,
        "unsent": soaked.unsent,
        "errors": figures.errors,
        "unanswered": {"found": soaked.unanswered.found, "absent": soaked.unanswered.absent},
        "trades": soaked.trades,
        "cancels": {"sent": figures.cancels, "tooLate": figures.too_late, "latencyMs": latency(&figures.canceling)},
        "api": place(&soaked.api),
        "sql": soaked.sql.as_ref().map(place),
        "audit": soaked.audit,
        "findings": findings(soaked),
        "historyCaughtUpSeconds": soaked.caught_up.as_secs_f64(),
        "venue": {"processors": soaked.processors.venue, "memoryBytes": most_memory(soaked)},
        "generator": {"processors": soaked.processors.generator, "memoryBytes": soaked.processors.generator_memory},
        "machine": report.machine(),
        "began": report.began(),
        "commandLine": report.command_line(),
    })
}

/// What does not agree, in words; the first of each kind.
pub fn findings(soaked: &Soaked) -> Vec<String> {
    let places = [Some(&soaked.api), soaked.sql.as_ref()];
    let all = places.into_iter().flatten().flat_map(|place| [&place.lost, &place.inconsistencies]);
    all.flat_map(|findings| findings.examples()).cloned().collect()
}

fn most_memory(soaked: &Soaked) -> Option<f64> {
    soaked.timeline.looks().iter().filter_map(|look| look.vitals.resident).reduce(f64::max)
}

/// The report's sections.
pub fn sections(soaked: &Soaked, verdicts: Vec<Verdict>) -> Vec<Section> {
    let figures = &soaked.figures;
    let mut acceptance = Section::new("Acceptance").verdicts(verdicts);
    for finding in findings(soaked) {
        acceptance = acceptance.text(finding);
    }
    let mut latencies = Table::new([&[""], &LATENCY_HEADER[..]].concat());
    for (name, latency) in
        [("order, from its due time", &figures.orders), ("cancel, from sending it", &figures.canceling)]
    {
        latencies.row([vec![name.to_owned()], latency_cells(latency).to_vec()].concat());
    }
    vec![
        acceptance,
        Section::new("Latency").table(latencies).chart(Chart::percentiles(
            "Latency by percentile",
            [("orders", &figures.orders), ("cancels", &figures.canceling)],
        )),
        Section::new("Counts").table(counts(soaked)),
        over_time(soaked),
    ]
}

fn counts(soaked: &Soaked) -> Table {
    let figures = &soaked.figures;
    let count = |number: u64| Unit::Count.show(number as f64);
    let mut table = Table::new(["", "number"]);
    table.row(["orders sent".to_owned(), count(figures.sent)]);
    table.row(["orders acknowledged".to_owned(), count(figures.acknowledged)]);
    table.row(["orders due and never sent".to_owned(), count(soaked.unsent)]);
    table.row(["orders without an answer, found by name".to_owned(), count(soaked.unanswered.found)]);
    table.row(["orders without an answer, absent".to_owned(), count(soaked.unanswered.absent)]);
    table.row(["trades".to_owned(), count(soaked.trades)]);
    table.row(["cancels sent, on top of the orders".to_owned(), count(figures.cancels)]);
    table.row(["cancels too late".to_owned(), count(figures.too_late)]);
    for (kind, number) in &figures.errors {
        table.row([format!("errors: {kind}"), count(*number)]);
    }
    table.row(["orders shown over the API".to_owned(), count(soaked.api.orders)]);
    if let Some(sql) = &soaked.sql {
        table.row(["orders shown in SQL".to_owned(), count(sql.orders)]);
    }
    let shown = |value: Option<f64>, unit: Unit| value.map_or_else(|| "unknown".to_owned(), |value| unit.show(value));
    let processors = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.2}"));
    table.row(["processors of the venue, on average".to_owned(), processors(soaked.processors.venue)]);
    table.row(["processors of the load generator, on average".to_owned(), processors(soaked.processors.generator)]);
    table.row(["memory of the venue, at most".to_owned(), shown(most_memory(soaked), Unit::Bytes)]);
    table.row([
        "memory of the load generator, at the end".to_owned(),
        shown(soaked.processors.generator_memory, Unit::Bytes),
    ]);
    table.row(["time until the history had everything".to_owned(), Unit::Seconds.show(soaked.caught_up.as_secs_f64())]);
    table
}

fn over_time(soaked: &Soaked) -> Section {
    let points = soaked.timeline.points();
    let series = |name: &str, value: fn(&super::timeline::Point) -> f64| {
        Series::new(name, points.iter().map(|point| (point.at, value(point))).collect())
    };
    let looks = |value: fn(&super::Vitals) -> Option<f64>| -> Vec<(f64, f64)> {
        soaked.timeline.looks().iter().filter_map(|look| Some((look.at, value(&look.vitals)?))).collect()
    };
    let time = || Axis::linear("time", Unit::Seconds);
    let latency =
        vec![series("p50", |point| point.p50), series("p99", |point| point.p99), series("max", |point| point.max)];
    Section::new("Over time")
        .chart(Chart::lines("Latency of orders", time(), Axis::logarithmic("latency", Unit::Nanoseconds), latency))
        .chart(Chart::lines(
            "Orders acknowledged",
            time(),
            Axis::linear("orders/s", Unit::PerSecond),
            vec![series("orders", |point| point.rate)],
        ))
        .chart(Chart::lines(
            "Memory of the venue",
            time(),
            Axis::linear("resident", Unit::Bytes),
            vec![Series::new("venue", looks(|vitals| vitals.resident))],
        ))
        .chart(Chart::lines(
            "Commands that the history is behind",
            time(),
            Axis::linear("commands", Unit::Count),
            vec![Series::new("history", looks(|vitals| vitals.history_lag))],
        ))
}
