//! A chart as data: its axes, and the lines or bars over them. [`svg`](crate::svg) draws it.

use crate::unit::Unit;

/// A chart: lines over an axis, or bars.
#[derive(Clone, Debug)]
pub struct Chart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) figure: Figure,
}

#[derive(Clone, Debug)]
pub(crate) enum Figure {
    Lines(Vec<Series>),
    /// Groups of bars: a name for each group, and one value of it in each series.
    Bars {
        groups: Vec<String>,
        series: Vec<(String, Vec<f64>)>,
    },
}

impl Chart {
    /// Lines of points.
    #[must_use]
    pub fn lines(title: impl Into<String>, x: Axis, y: Axis, series: Vec<Series>) -> Self {
        Self { title: title.into(), x, y, figure: Figure::Lines(series) }
    }

    /// Bars in groups, each series with a value for each group.
    ///
    /// # Panics
    /// When a series has another number of values.
    #[must_use]
    pub fn bars(title: impl Into<String>, groups: Vec<String>, y: Axis, series: Vec<(String, Vec<f64>)>) -> Self {
        assert!(series.iter().all(|(_, values)| values.len() == groups.len()), "a value for each group");
        Self { title: title.into(), x: Axis::linear("", Unit::Count), y, figure: Figure::Bars { groups, series } }
    }
}

/// A line of a chart: a name, and points from left to right.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

impl Series {
    /// A line of points.
    #[must_use]
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points }
    }
}

/// An axis: what it is of, how its numbers are shown, and how they are laid out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    pub(crate) label: String,
    pub(crate) unit: Unit,
    pub(crate) scale: Scale,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scale {
    /// From zero on.
    Linear,
    Logarithmic,
    /// Shares of one, spread so that each further nine has the same room.
    Percentiles,
}

impl Axis {
    /// From zero on, evenly.
    #[must_use]
    pub fn linear(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, scale: Scale::Linear }
    }

    /// By powers of ten. What is not above zero is left out.
    #[must_use]
    pub fn logarithmic(label: impl Into<String>, unit: Unit) -> Self {
        Self { label: label.into(), unit, scale: Scale::Logarithmic }
    }

    /// Of quantiles from 0 to below 1: 90 %, 99 % and 99.9 % are equally far apart.
    #[must_use]
    pub fn percentiles(label: impl Into<String>) -> Self {
        Self { label: label.into(), unit: Unit::Quantile, scale: Scale::Percentiles }
    }
}
