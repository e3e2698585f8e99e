//! Numbers as they are shown.

use crossbook_report::Unit;

/// US dollars: whole ones from 10 on, cents below.
pub fn usd(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    match value.abs() {
        10.0.. => format!("{sign}${}", Unit::Count.show(value.abs())),
        small => format!("{sign}${small:.2}"),
    }
}

/// A number with as many digits as mean something, and its unit.
pub fn number(value: f64, unit: &str) -> String {
    let shown = match (unit, value.abs()) {
        ("B", _) => return Unit::Bytes.show(value),
        ("share", _) => return Unit::Share.show(value),
        (_, 100.0..) => Unit::Count.show(value),
        (_, 10.0..) => trimmed(format!("{value:.1}")),
        (_, 1.0..) => trimmed(format!("{value:.2}")),
        _ => trimmed(format!("{value:.3}")),
    };
    if unit.is_empty() { shown } else { format!("{shown} {unit}") }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_that_mean_something() {
        assert_eq!(usd(1_872.4), "$1,872");
        assert_eq!(usd(0.1), "$0.10");
        assert_eq!(usd(-616.0), "-$616");
        assert_eq!(number(7_000.0, "/s"), "7,000 /s");
        assert_eq!(number(2.5, ""), "2.5");
        assert_eq!(number(3.0, "zones"), "3 zones");
        assert_eq!(number(0.75, "share"), "75 %");
        assert_eq!(number(1_073_741_824.0, "B"), "1 GiB");
    }
}
