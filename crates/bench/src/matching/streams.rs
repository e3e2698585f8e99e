//! The requested streams, each with its expected trades.

use std::fs;

use crossbook_oracle::workload::{GroundTruth, Tally, Workload, mix_a, mix_b};

use super::Error;
use crate::options::{Matching, Mix};

/// Where the trades of a stream that is not a standard one are from.
const REFERENCE: &str = "the reference book";
/// And those of one that is.
const PUBLISHED: &str = "the published ground truth";

/// A stream, and what every right engine makes of it.
pub(super) struct Stream {
    pub name: String,
    pub workload: Workload,
    pub tally: Tally,
    /// Who says so.
    pub authority: &'static str,
}

/// The streams, in the order of the command line.
///
/// # Errors
/// When a file cannot be read, or is none of a workload.
pub(super) fn of(options: &Matching) -> Result<Vec<Stream>, Error> {
    if let Some(path) = &options.commands {
        let bytes = fs::read(path).map_err(|source| Error::File { path: path.clone(), source })?;
        let workload = Workload::decode(&bytes, options.warmup.unwrap_or(0))?;
        return Ok(vec![checked(path.display().to_string(), workload)?]);
    }
    let (count, warmup) = (options.count, options.warmup.unwrap_or(GroundTruth::WARMUP_A));
    let mut streams = Vec::new();
    for mix in &options.mix {
        match mix {
            Mix::A => {
                let seed = options.seed.unwrap_or(GroundTruth::SEED_A);
                let standard =
                    (seed, warmup, count) == (GroundTruth::SEED_A, GroundTruth::WARMUP_A, GroundTruth::COUNT);
                let truth = standard.then_some(GroundTruth::MIX_A);
                streams.push(stream(format!("mix A, seed {seed}"), mix_a(seed, warmup, count), truth)?);
            }
            Mix::B => {
                let seed = options.seed.unwrap_or(GroundTruth::SEED_B);
                for &live in &options.live {
                    let truth = match (seed, live, count) {
                        (GroundTruth::SEED_B, 1_000, GroundTruth::COUNT) => Some(GroundTruth::MIX_B_1K),
                        (GroundTruth::SEED_B, 100_000, GroundTruth::COUNT) => Some(GroundTruth::MIX_B_100K),
                        _ => None,
                    };
                    let name = format!("mix B, {live} live, seed {seed}");
                    streams.push(stream(name, mix_b(seed, live, count), truth)?);
                }
            }
        }
    }
    Ok(streams)
}

fn stream(name: String, workload: Workload, truth: Option<GroundTruth>) -> Result<Stream, Error> {
    match truth {
        Some(truth) => Ok(Stream { name, workload, tally: truth.tally, authority: PUBLISHED }),
        None => checked(name, workload),
    }
}

fn checked(name: String, workload: Workload) -> Result<Stream, Error> {
    tracing::info!("{name}: what trades there must be, by {REFERENCE}");
    let (workload, tally) = workload.settled()?;
    Ok(Stream { name, workload, tally, authority: REFERENCE })
}
