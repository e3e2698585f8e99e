//! The options of `crossbook bench scale`.

use std::num::NonZeroU64;
use std::str::FromStr;

use clap::Args;

use super::Output;

pub(super) const EXAMPLES: &str = "\
Examples:
  What one, two and four times the processes can do, each on its slice of a processor:
    crossbook bench scale --report scale.md

  With larger slices on a machine with more processors, and another limit:
    crossbook bench scale --slices master=1,replica=1,gateway=1,worker=1,haproxy=1 --turn-interval-us 4000 --p99-ms 10

It needs redis-server and haproxy, and control groups that it can write (usually as root): version 1 with the controller
cpu, or version 2. The load generator is outside of the groups; all slices of the largest shape and the load must fit
into the machine.

Exit status 0: each doubling brings at least --ratio-min times as much; 3: one does not; 1: it could not be measured.";

/// `crossbook bench scale`.
#[derive(Debug, Args)]
pub struct Scale {
    /// How many times the processes of the smallest shape: one shard, one gateway and one worker.
    #[arg(long, value_name = "NUMBERS", default_value = "1,2,4", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=16))]
    pub shapes: Vec<u8>,
    /// The slice of a processor that each process has. HAProxy is one process, whose slice grows with the shape.
    #[arg(long, value_name = "SLICES", default_value_t)]
    pub slices: Shares,
    /// Time after which each process has its slice anew, in microseconds; longer where a slice would be less than a
    /// millisecond, which is the least that Linux gives. What is not used of one period may be used in the next.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000))]
    pub period_us: u64,
    /// `cluster.log_client.turn_interval_us` of the gateways, in every shape. Small slices need a long one: what a turn
    /// costs Redis must fit into its slice as often as all gateways together make one.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    pub turn_interval_us: u64,
    /// Number of partitions, in every shape.
    #[arg(long, value_name = "NUMBER", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub partitions: u16,
    /// Replicas of each master.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub replicas: u8,
    /// The highest rate counts at which p99 is less than this, in milliseconds. A process with a tenth of a processor
    /// stands still for nine milliseconds after each one that it runs, so 10 ms take larger slices.
    #[arg(long, value_name = "NUMBER", default_value_t = 200.0)]
    pub p99_ms: f64,
    /// How far the rate that was found may be below the true one, in hundredths.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=50))]
    pub precision_percent: u8,
    /// What each doubling must bring at least, in times of the shape before.
    #[arg(long, value_name = "NUMBER", default_value_t = 1.9)]
    pub ratio_min: f64,
    /// The rate of the smallest shape with which the search begins, in orders per second.
    #[arg(long, value_name = "NUMBER", default_value = "400")]
    pub first_rate: NonZeroU64,
    /// Seconds at each rate.
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Connections of the smallest shape, each with an account of its own; they grow with the shape.
    #[arg(long, value_name = "NUMBER", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub connections: u16,
    /// A file with further settings of the venue, as TOML; of `cluster.log_client` without that heading, at its top.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<std::path::PathBuf>,
    /// Where the result is written.
    #[command(flatten)]
    pub output: Output,
}

/// The slice of each process, in processors, by role.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shares {
    /// A Redis master.
    pub master: f64,
    /// A replica of one.
    pub replica: f64,
    /// A gateway.
    pub gateway: f64,
    /// A worker.
    pub worker: f64,
    /// HAProxy in the smallest shape.
    pub haproxy: f64,
}

impl Default for Shares {
    fn default() -> Self {
        Self { master: 0.15, replica: 0.07, gateway: 0.08, worker: 0.025, haproxy: 0.07 }
    }
}

impl Shares {
    /// All slices of the smallest shape together.
    pub fn sum(&self, replicas: u8) -> f64 {
        self.master + self.replica * f64::from(replicas) + self.gateway + self.worker + self.haproxy
    }
}

impl std::fmt::Display for Shares {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { master, replica, gateway, worker, haproxy } = self;
        write!(out, "master={master},replica={replica},gateway={gateway},worker={worker},haproxy={haproxy}")
    }
}

impl FromStr for Shares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut shares = Self::default();
        for given in text.split(',') {
            let (role, share) = given.split_once('=').ok_or_else(|| format!("expected ROLE=PROCESSORS: {given}"))?;
            let share: f64 = share.parse().map_err(|_| format!("not a number of processors: {share}"))?;
            if !(0.001..=64.0).contains(&share) {
                return Err(format!("a slice has 0.001 to 64 processors: {given}"));
            }
            let place = match role {
                "master" => &mut shares.master,
                "replica" => &mut shares.replica,
                "gateway" => &mut shares.gateway,
                "worker" => &mut shares.worker,
                "haproxy" => &mut shares.haproxy,
                _ => return Err(format!("the roles are master, replica, gateway, worker, haproxy: {role}")),
            };
            *place = share;
        }
        Ok(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_read_as_they_are_written() {
        let shares = Shares { master: 0.25, worker: 0.5, ..Shares::default() };
        assert_eq!(shares.to_string().parse(), Ok(shares));
        assert_eq!("gateway=1".parse(), Ok(Shares { gateway: 1.0, ..Shares::default() }));
        for wrong in ["", "gateway", "gateway=", "gateway=0", "writer=1", "gateway=65"] {
            assert!(wrong.parse::<Shares>().is_err(), "{wrong}");
        }
    }
}
