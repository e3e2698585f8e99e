//! A number with its unit, where it is from, and how it was computed.

use serde::Serialize;

/// Where a figure is from. A computed one is as good as the worst of what it was computed from; the order is from good
/// to bad.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It was given on the command line, or is a default of it.
    Given,
    /// It follows from a measurement, whose document the model names.
    Measured,
    /// It is a price, or a property of something that is bought, as its seller tells it.
    Bought,
    /// Nobody has measured it.
    Assumed,
}

impl Origin {
    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Measured => "measured",
            Self::Bought => "bought",
            Self::Assumed => "assumed",
        }
    }
}

/// A number of a plan.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Figure {
    /// What it is of.
    pub what: String,
    /// Its value.
    pub value: f64,
    /// The unit of the value.
    pub unit: &'static str,
    /// Where it is from.
    pub origin: Origin,
    /// How it was computed, or who says so.
    pub how: String,
}

impl Figure {
    /// A figure.
    pub fn new(
        what: impl Into<String>,
        (value, unit): (f64, &'static str),
        origin: Origin,
        how: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), value, unit, origin, how: how.into() }
    }
}
