//! The options of `crossbook plan`.

use std::path::PathBuf;

use clap::Args;

use crate::demand::Demand;

/// Examples for the help text.
pub const EXAMPLES: &str = "\
Examples:
  A cluster for 5,000 orders per second at the peak, and a fifth of that on average:
    crossbook plan --tps 5000

  The same as a page, with the values of the Helm chart and the context of the CDK app:
    crossbook plan --tps 5000 --html plan.html --values values.yaml --cdk context.json

  Use costs that were measured on another machine:
    crossbook bench cluster --shards 3 --partitions 3,12 --rates 1000,2500,5000 --json costs.json
    crossbook plan --tps 20000 --average 4000 --busiest 0.1 --costs costs.json

  Compare what costs predict with what was measured; exit status 3: a role differs by more than --within-percent:
    crossbook bench cluster --shards 3 --partitions 3 --rates 500,1000,2500 --json fit.json
    crossbook bench cluster --shards 3 --partitions 3 --rates 4000 --json measured.json
    crossbook plan --costs fit.json --check measured.json

docs/capacity.md describes how each figure is computed.";

/// `crossbook plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// What the cluster has to do.
    #[command(flatten)]
    pub demand: Demand,
    /// Costs from `crossbook bench cluster --json`, in place of those of 29 November 2026. At least two rates.
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,
    /// Prices, in place of those of deploy/prices.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Write the plan as a page, or as Markdown if the name ends in `.md`.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the plan as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write values for the Helm chart.
    #[arg(long, value_name = "FILE")]
    pub values: Option<PathBuf>,
    /// Write context for the CDK app of deploy/aws.
    #[arg(long, value_name = "FILE")]
    pub cdk: Option<PathBuf>,
    /// Plan nothing: predict the runs of this output of `crossbook bench cluster --json` from --costs, and compare.
    #[arg(long, value_name = "FILE", requires = "costs", conflicts_with_all = ["json", "values", "cdk", "prices"])]
    pub check: Option<PathBuf>,
    /// By how many percent a prediction may differ with --check.
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0)]
    pub within_percent: f64,
}
