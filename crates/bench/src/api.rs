//! `crossbook bench api`: a venue over its own API; durable orders beside pings, the cheapest request of the same
//! server.
//!
//! In a closed loop each connection sends its next request when it has the previous answer, which shows the throughput.
//! Pings and orders are measured alternately, because a machine varies from one minute to the next; the result is the
//! median of their ratios. In an open loop requests are due at a fixed rate, and latency counts from the due time, so a
//! venue that falls behind cannot hide it. Every second order trades with the previous one; the book stays small. An
//! order is answered only when it is on disk.
//!
//! The load runs in this process and shares the CPUs with the venue, which runs in a process of its own.

mod fanout;
mod report;

use std::net::SocketAddr;
use std::time::Duration;

use crossbook_loadgen::http::{self, Client, Outgoing, Pace, Plan, Prepared, Report};
use crossbook_loadgen::operator::{Operator, Trader};
use crossbook_loadgen::websocket;
use crossbook_servers::venue::LocalVenue;
use crossbook_venue::memory;
use crossbook_venue::secrets;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::fanout::Heard;
use super::Error;
use super::progress::ProgressDisplay;
use crate::options::{Api, Part};

/// An answer that takes longer is given up.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most requests in one measurement.
const REQUESTS_MAX: u64 = 1 << 32;

/// Settings under which many may connect from one address.
const ROOM: [(&str, &str); 2] = [
    ("CROSSBOOK_GATEWAY__SERVER__CONNECTIONS_PER_IP_MAX", "10000"),
    ("CROSSBOOK_GATEWAY__STREAMS__ATTEMPTS_MAX", "1000000"),
];

/// What was measured; what was not asked for is empty.
struct Figures {
    pings: Vec<Report>,
    orders: Vec<Report>,
    open: Option<Report>,
    /// Over the WebSocket API, in a closed and an open loop.
    pipelined: Vec<Report>,
    pipelined_open: Option<Report>,
    heard: Vec<Heard>,
    audit: Value,
}

/// Where the venue is.
struct Place {
    http: SocketAddr,
    operator: Operator,
    /// The venue, if it is ours, and its folder, which goes after it.
    own: Option<(LocalVenue, TempDir)>,
}

/// Measures what the command line says. Tells whether the venue's books add up in the end.
///
/// # Errors
/// When there is no venue, or it does not let itself be loaded.
pub fn run(options: &Api) -> Result<bool, Error> {
    memory::clients_on_small_pages();
    let place = place(options)?;
    let runtime = super::runtime()?;
    let traders = place.operator.make(1, options.connections)?;
    let load = Load { options, place: &place, runtime: &runtime, traders: &traders };
    let figures = load.measure()?;
    let folder = place.own.as_ref().map(|(_, folder)| folder.path());
    report::tell(options, &figures, folder)
}

fn place(options: &Api) -> Result<Place, Error> {
    if let (Some(http), Some(admin)) = (options.url, options.admin) {
        let token = secrets::admin_token_of_venue()?;
        let operator = Operator::new(admin.0, token.expose_secret());
        return Ok(Place { http: http.0, operator, own: None });
    }
    let folder = tempfile::tempdir()?;
    let venue = LocalVenue::start(folder.path(), &std::env::current_exe()?, &ROOM)?;
    let operator = Operator::new(venue.admin(), venue.token());
    Ok(Place { http: venue.http(), operator, own: Some((venue, folder)) })
}

/// A venue and those who load it.
struct Load<'a> {
    options: &'a Api,
    place: &'a Place,
    runtime: &'a Runtime,
    traders: &'a [Trader],
}

impl Load<'_> {
    fn measure(&self) -> Result<Figures, Error> {
        let Api { rounds, subscribers, parts, rate, .. } = self.options;
        let (rest, socket) = (parts.contains(&Part::Rest), parts.contains(&Part::Websocket));
        let audiences = if parts.contains(&Part::Fanout) { &subscribers[..] } else { &[] };
        let steps = rounds * (2 * usize::from(rest) + usize::from(socket)) + usize::from(rest) + usize::from(socket);
        let paces = [Pace::Closed, Pace::Open(*rate)];
        let mut display =
            ProgressDisplay::begin("loading the venue".to_owned(), (steps + paces.len() * audiences.len()) as u64);
        let mut done = 0;
        let mut step = |display: &mut ProgressDisplay| {
            done += 1;
            display.at(done);
        };
        let (mut pings, mut orders, mut pipelined) = (Vec::new(), Vec::new(), Vec::new());
        let (mut open, mut pipelined_open) = (None, None);
        for _ in 0..*rounds {
            if rest {
                pings.push(self.pings()?);
                step(&mut display);
                orders.push(self.orders(Pace::Closed)?);
                step(&mut display);
            }
            if socket {
                pipelined.push(self.pipelined(Pace::Closed)?);
                step(&mut display);
            }
        }
        if rest {
            open = Some(self.orders(Pace::Open(*rate))?);
            step(&mut display);
        }
        if socket {
            pipelined_open = Some(self.pipelined(Pace::Open(*rate))?);
            step(&mut display);
        }
        let mut heard = Vec::new();
        for (pace, &count) in paces.iter().flat_map(|pace| audiences.iter().map(move |count| (pace, count))) {
            heard.push(fanout::measure(self, count, *pace)?);
            step(&mut display);
        }
        display.end();
        let audit = self.place.operator.ask("GET", "audit", None)?;
        Ok(Figures { pings, orders, open, pipelined, pipelined_open, heard, audit })
    }

    fn plan(&self, pace: Pace) -> Plan {
        let duration = Duration::from_secs(self.options.seconds.into());
        Plan { address: self.place.http, pace, requests: REQUESTS_MAX, duration, timeout: TIMEOUT }
    }

    fn pings(&self) -> Result<Report, Error> {
        let clients = self.traders.iter().map(|_| Client { credentials: None, flow: ping }).collect();
        Ok(self.runtime.block_on(http::run(self.plan(Pace::Closed), clients))?)
    }

    fn orders(&self, pace: Pace) -> Result<Report, Error> {
        let clients = self.traders.iter().map(Trader::client).collect();
        Ok(self.runtime.block_on(http::run(self.plan(pace), clients))?)
    }

    fn pipelined(&self, pace: Pace) -> Result<Report, Error> {
        let connections = self.options.sockets.clamp(1, self.traders.len());
        let run = websocket::run(self.plan(pace), self.options.pipeline, &self.traders[..connections]);
        Ok(self.runtime.block_on(run)?)
    }
}

fn ping(_: u64, outgoing: Outgoing<'_>) -> Option<Prepared> {
    Some(outgoing.ping())
}
