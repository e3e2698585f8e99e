//! What things are sold for: a table with a date and a source for each line.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::demand::Buy;
use crate::error::Error;

const SHIPPED: &str = include_str!("../../../deploy/prices/aws-2026-11.toml");
const SHIPPED_NAME: &str = "deploy/prices/aws-2026-11.toml";
const DAY_SECONDS: u64 = 86_400;

/// A line of the table.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The service, such as `rds`.
    pub service: String,
    /// What of it, such as `db.r6g.large`.
    pub sku: String,
    /// What the price is for one of.
    pub unit: String,
    /// US dollars.
    pub usd: f64,
    /// The day of the source, or on which it was read.
    pub date: String,
    /// Where the price can be looked up.
    pub source: String,
    /// Whether the price was read there.
    pub verified: bool,
    /// Of an instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processors: Option<f64>,
    /// Of an instance: GiB of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gib: Option<f64>,
    /// Of an instance that is a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods_max: Option<f64>,
}

/// What another way of buying costs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Term {
    buy: String,
    service: String,
    /// Of the price on demand.
    factor: f64,
    date: String,
    source: String,
    verified: bool,
}

/// A table of prices.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The day on which the table was made.
    pub made: String,
    /// The region that they hold in.
    pub region: String,
    #[serde(rename = "price")]
    lines: Vec<Price>,
    #[serde(rename = "term", default)]
    terms: Vec<Term>,
    #[serde(skip)]
    pub(crate) name: String,
}

impl Prices {
    /// The table that comes with the program.
    ///
    /// # Errors
    /// None; a test reads it.
    pub fn shipped() -> Result<Self, Error> {
        Self::parse(SHIPPED_NAME, SHIPPED)
    }

    /// A table from a file.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let wrong = |message: String| Error::Prices { name: name.to_owned(), message };
        let mut prices: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        prices.name = name.to_owned();
        days(&prices.made).ok_or_else(|| wrong(format!("`made` is {}, and must be a date", prices.made)))?;
        for line in &prices.lines {
            let what = || format!("{} {}", line.service, line.sku);
            if days(&line.date).is_none() {
                return Err(wrong(format!("the date of {} is {}, and must be like 2026-11-30", what(), line.date)));
            }
            if !line.source.starts_with("https://") {
                return Err(wrong(format!("the source of {} is {}, and must be a URL", what(), line.source)));
            }
            if !(line.usd >= 0.0 && line.usd.is_finite()) {
                return Err(wrong(format!("{} costs {}", what(), line.usd)));
            }
        }
        Ok(prices)
    }

    /// A price.
    pub(crate) fn of(&self, service: &'static str, sku: &str) -> Result<&Price, Error> {
        let found = self.lines.iter().find(|line| line.service == service && line.sku == sku);
        found.ok_or_else(|| Error::NoPrice { service, sku: sku.to_owned() })
    }

    /// The instances of a service that are sold, the cheapest first.
    pub(crate) fn instances(&self, service: &'static str) -> Vec<&Price> {
        let is_one = |line: &&Price| line.service == service && line.processors.is_some() && line.gib.is_some();
        let mut found: Vec<&Price> = self.lines.iter().filter(is_one).collect();
        found.sort_by(|a, b| a.usd.total_cmp(&b.usd));
        found
    }

    /// What buying that way costs, as a part of the price on demand, and whether that is verified.
    pub(crate) fn term(&self, buy: Buy, service: &str) -> (f64, bool) {
        let name = match buy {
            Buy::OnDemand => return (1.0, true),
            Buy::Spot => "spot",
            Buy::Reserved => "reserved",
        };
        let found = self.terms.iter().find(|term| term.buy == name && term.service == service);
        found.map_or((1.0, true), |term| (term.factor, term.verified))
    }

    /// Days since the table was made, by the clock of this machine.
    pub(crate) fn days_since_made(&self) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() / DAY_SECONDS;
        now.checked_sub(days(&self.made)?)
    }
}

/// Days from 1 January 1970 to a date like `2026-11-30`.
fn days(date: &str) -> Option<u64> {
    let parts: Vec<u64> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let &[year, month, day] = &parts[..] else { return None };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the day that comes and goes is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = year * 365 + year / 4 - year / 100 + year / 400;
    (of_years + (month * 153 + 2) / 5 + day).checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(days("1970-01-01"), Some(0));
        assert_eq!(days("2000-03-01"), Some(11_017));
        assert_eq!(days("2026-11-30"), Some(20_787));
        assert_eq!(days("today"), None);
        assert_eq!(days("2026-13-01"), None);
    }
}
