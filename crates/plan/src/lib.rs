//! `crossbook plan`: what a cluster for a rate of orders consists of and costs.
//!
//! The model is a pure function of the [`Demand`], of measured [`Costs`] and of [`Prices`]; [`run`] reads these and
//! writes what it finds. Every figure tells where it is from ([`Origin`]): it was measured, is assumed, is bought, or
//! was given on the command line. docs/capacity.md describes the formulae.

mod amounts;
mod assumed;
mod bill;
mod check;
mod compare;
mod costs;
mod demand;
mod error;
mod figure;
mod fit;
mod layout;
mod memory;
mod model;
mod nodes;
mod options;
mod prices;
mod render;
mod sensitivity;
mod size;
#[cfg(test)]
mod tests;
mod traffic;
mod values;

pub use costs::Costs;
pub use demand::{Buy, Demand, Store};
pub use error::Error;
pub use figure::{Figure, Origin};
pub use model::{Outcome, plan};
pub use options::{EXAMPLES, Plan};
pub use prices::Prices;

use crossbook_report::{print, write_json};

/// Carries out `crossbook plan`. Whether all is as it should be: only a check can find that it is not.
///
/// # Errors
/// When there is no such plan, or when files cannot be read or written.
pub fn run(options: &Plan) -> Result<bool, Error> {
    let costs = options.costs.as_deref().map_or_else(Costs::shipped, Costs::read)?;
    if let Some(measured) = &options.check {
        return check::run(options, &costs, measured);
    }
    let prices = options.prices.as_deref().map_or_else(Prices::shipped, Prices::read)?;
    if let Some(days) = prices.days_since_made().filter(|&days| days > assumed::PRICES_DAYS_MAX) {
        eprintln!("crossbook plan: warning: the prices are {days} days old; replace them with --prices FILE");
    }
    let outcome = plan(&options.demand, &costs, &prices)?;
    let report = render::report(&outcome);
    print(&report.text())?;
    if let Some(path) = &options.html {
        report.write(path)?;
    }
    if let Some(path) = &options.json {
        write_json(path, &outcome)?;
    }
    if let Some(path) = &options.values {
        values::write(path, &values::helm(&outcome))?;
    }
    if let Some(path) = &options.cdk {
        write_json(path, &values::cdk(&outcome))?;
    }
    Ok(true)
}
