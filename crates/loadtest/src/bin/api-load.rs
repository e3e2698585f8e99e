//! Loads a running venue over its REST API and sets durable order entry beside the cheapest thing that the same server can
//! do: `GET /api/v3/ping`, over the same connections, in the same run.
//!
//! It makes its own market, accounts and keys through the admin API, so point it at a scratch venue:
//!
//! ```text
//! export CROSSBOOK_ADMIN_TOKEN=...
//! crossbook serve --data /tmp/scratch --config no-limits.toml &
//! cargo run --release -p crossbook-loadtest --bin api-load
//! ```
//!
//! Three measurements: ping in a closed loop, signed orders in a closed loop (each answered only when it is on disk), both
//! `--rounds` times in turn, and then signed orders in an open loop at `--rate`, with latency counted from when each was
//! due. Every second order trades with the one before; the book stays small.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use clap::Parser;
use crossbook_loadtest::http::{Client, Outgoing, Pace, Plan, Prepared, Report, run};
use crossbook_loadtest::operator::{Operator, Trader};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

/// Loads a running venue: ping, durable orders, and orders at a fixed rate.
#[derive(Parser, Debug)]
struct Arguments {
    /// The client API's address.
    #[arg(long, default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// The admin API's address.
    #[arg(long, default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// The admin token.
    #[arg(long, env = "CROSSBOOK_ADMIN_TOKEN", hide_env_values = true)]
    token: String,
    /// Connections, each with an account of its own.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many times ping and orders are measured in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Orders per second in the open loop.
    #[arg(long, default_value = "5000")]
    rate: NonZeroU64,
    /// Prints the figures as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let operator = Operator::new(arguments.admin, &arguments.token);
    let traders = operator.make(1, arguments.connections)?;
    let clients = || traders.iter().map(Trader::client).collect();
    let plan = |pace| Plan {
        address: arguments.http,
        pace,
        requests: 1 << 32,
        duration: Duration::from_secs(arguments.seconds),
        timeout: Duration::from_secs(10),
    };
    let (mut pings, mut orders) = (Vec::new(), Vec::new());
    for round in 1..=arguments.rounds.max(1) {
        eprintln!("round {round} of {}: ping, then orders, {} s each", arguments.rounds, arguments.seconds);
        let pinging = (0..arguments.connections).map(|_| Client { credentials: None, flow: ping }).collect();
        pings.push(runtime.block_on(run(plan(Pace::Closed), pinging))?);
        orders.push(runtime.block_on(run(plan(Pace::Closed), clients()))?);
    }
    eprintln!("orders at {} a second for {} s", arguments.rate, arguments.seconds);
    let open = runtime.block_on(run(plan(Pace::Open(arguments.rate)), clients()))?;
    let audit = operator.ask("GET", "audit", None)?;

    let ratios: Vec<f64> = pings.iter().zip(&orders).map(|(p, o)| o.throughput() / p.throughput()).collect();
    let figures = json!({
        "connections": arguments.connections,
        "secondsEach": arguments.seconds,
        "ping": pings.iter().map(figures).collect::<Vec<_>>(),
        "orders": orders.iter().map(figures).collect::<Vec<_>>(),
        "ordersToPing": {"each": ratios, "median": median(ratios.clone())},
        "open": {"rate": arguments.rate, "result": figures(&open)},
        "audit": audit,
    });
    if arguments.json {
        println!("{figures:#}");
    } else {
        print_table(&pings, &orders, &open, median(ratios), arguments.rate);
        println!("audit: ok = {}, sequence {}", audit["ok"], audit["sequence"]);
    }
    Ok(())
}

fn ping(_: u64, outgoing: Outgoing<'_>) -> Option<Prepared> {
    Some(outgoing.ping())
}

fn figures(report: &Report) -> Value {
    let summary = report.latency.summary();
    json!({
        "perSecond": report.throughput(),
        "succeeded": report.succeeded,
        "unsent": report.unsent,
        "errors": report.errors,
        "latencyNs": summary,
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print_table(pings: &[Report], orders: &[Report], open: &Report, ratio: f64, rate: NonZeroU64) {
    println!(
        "{:<24}{:>12}{:>10}{:>10}{:>10}{:>10}{:>9}",
        "", "per second", "p50 ms", "p99 ms", "p99.9", "max", "errors"
    );
    let row = |name: &str, report: &Report| {
        let ms = |ns: u64| ns as f64 / 1e6;
        let s = report.latency.summary();
        let errors: u64 = report.errors.iter().map(|error| error.count).sum::<u64>() + report.unsent;
        println!(
            "{name:<24}{:>12.0}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{errors:>9}",
            report.throughput(),
            ms(s.p50_ns),
            ms(s.p99_ns),
            ms(s.p999_ns),
            ms(s.max_ns)
        );
        for error in &report.errors {
            println!("    {:?} x {}", error.kind, error.count);
        }
    };
    for (ping, order) in pings.iter().zip(orders) {
        row("ping", ping);
        row("order, durable", order);
    }
    row(&format!("order, open at {rate}/s"), open);
    println!("orders to pings, median of {}: {ratio:.2}", pings.len());
}
