//! `crossbook bench`: the benchmarks.

mod api;
mod bursts;
mod cluster;
mod databases;
mod error;
mod follow;
mod growth;
mod log;
mod matching;
pub mod options;
mod overload;
mod processor;
mod progress;
mod recovery;
mod rows;
mod scale;
mod start;
mod store;
mod structures;

use crossbook_venue::logging;

pub use error::Error;
pub use options::Bench;
use options::What;

/// Measures what the command line says, and prints it. Tells whether all that was verified on the way is right.
///
/// # Errors
/// When something that is needed is not there, or fails.
pub fn run(options: &Bench) -> Result<bool, Error> {
    logging::start(&logging::Options::default())?;
    eprintln!("{}", beginning(&options.what));
    match &options.what {
        What::Book(options) => return matching::run(matching::What::Book, options),
        What::Engine(options) => return matching::run(matching::What::Engine, options),
        What::Structures(options) => return structures::run(options),
        What::Growth(options) => return growth::run(options),
        What::Bursts(options) => return bursts::run(options),
        What::Log(options) => return log::run(options),
        What::Api(options) => return api::run(options),
        What::Overload(options) => return overload::run(options, &runtime()?),
        What::Scale(options) => return scale::run(options, &runtime()?),
        What::Start(options) => return start::run(options, &runtime()?),
        What::Store(options) => store::run(options)?,
        What::Recovery(options) => recovery::run(options, &runtime()?)?,
        What::Cluster(options) => cluster::run(options, &runtime()?)?,
    }
    Ok(true)
}

/// What is done now, and what it waits for: some of it shows nothing for minutes.
fn beginning(what: &What) -> String {
    match what {
        What::Book(options) => {
            format!("drawing the workload, then running it {} times on the book", options.runs.max(1) + 1)
        }
        What::Engine(options) => {
            format!("drawing the workload, then running it {} times on the engine", options.runs.max(1) + 1)
        }
        What::Structures(options) => format!("filling five structures with {:?} orders each", options.orders),
        What::Growth(options) => {
            format!(
                "filling venues of growing sizes, then {} runs of {} commands on each",
                options.runs, options.commands
            )
        }
        What::Bursts(options) => {
            format!(
                "filling three venues with {} orders each, {} s of others' requests before",
                options.orders, options.seconds
            )
        }
        What::Log(options) => format!(
            "appending to {:?}, {} s for each size of a batch and each number of appenders",
            options.providers, options.seconds
        ),
        What::Api(options) => format!(
            "{}, then measuring {:?}: {} rounds of {} s each and more",
            options
                .url
                .map_or_else(|| "starting a venue in a temporary folder".to_owned(), |url| format!("asking {}", url.0)),
            options.parts,
            options.rounds,
            options.seconds
        ),
        What::Overload(options) => format!(
            "starting a venue in a temporary folder, then {} s of normal load, {} s of overload, and {} s of normal \
             load again",
            options.seconds, options.overload_seconds, options.seconds
        ),
        What::Store(options) if options.follow => {
            format!(
                "starting a venue and its database, then {} commands a second for {} s",
                options.rate, options.seconds
            )
        }
        What::Store(options) => format!("making {} rows, then writing them to each database", options.rows),
        What::Recovery(options) => {
            format!("writing a log of {} commands in a temporary folder, which is then replayed", options.commands)
        }
        What::Cluster(options) => format!(
            "starting Redis, workers and gateways for each layout; {} s of load for each of {} rates",
            options.seconds,
            options.rates.len()
        ),
        What::Start(options) => format!(
            "importing a venue of {} orders into a cluster, and starting its gateway {} times",
            options.orders, options.starts
        ),
        What::Scale(options) => format!(
            "starting a cluster of each of {} shapes, and searching its highest rate in trials of {} s",
            options.shapes.len(),
            options.seconds
        ),
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
