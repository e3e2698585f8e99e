//! A process of the venue: its runtime, and its end, on request or when a part must not continue.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::Config;

/// Exit status of a process that did not do what it was started for.
pub const FAILED: u8 = 1;

/// After so many polls a runtime thread that is busy with connections checks the queue of tasks that other threads have
/// woken, such as those with an answer from the partition. By default the runtime does so about a thousand times a
/// second and takes one task, so under load answers that are ready wait behind new requests.
const HEARD_EVERY: u32 = 4;

/// The runtime of the gateway.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("gateway")
        .global_queue_interval(HEARD_EVERY)
        .enable_all()
        .build()?;
    // A write past the limit of a file's size would end the process without a word. Once listened for, for good, the
    // signal does nothing, and the write fails with an error that names the file.
    let entered = runtime.enter();
    drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?);
    drop(entered);
    Ok(runtime)
}

/// What has asked the process to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopSignal {
    /// A supervisor, by SIGTERM.
    Terminate,
    /// Somebody at a terminal, by Ctrl-C.
    Interrupt,
    /// The terminal was closed, by SIGHUP.
    Hangup,
}

impl StopSignal {
    /// How long clients are served while draining. A supervisor usually has a load balancer that must notice that this
    /// gateway is stopping; at a terminal nobody wants to wait for that.
    #[must_use]
    pub fn drain(self, config: &Config) -> Duration {
        match self {
            Self::Terminate => Duration::from_millis(config.gateway.server.drain_ms),
            Self::Interrupt | Self::Hangup => Duration::ZERO,
        }
    }
}

/// For so long after a signal another one is the same: `timeout` and some supervisors send theirs to the process and to
/// its group.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// Whether this process was started with SIGHUP ignored, as `nohup` does, and so should outlive its terminal. `status`
/// is Linux's description of the process; without it, the signal is left alone.
fn ignores_hangup(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = 1 << (rustix::process::Signal::HUP.as_raw() - 1);
    ignored.is_none_or(|mask| mask & bit != 0)
}

/// Waits for a signal; forever, if it is not listened for.
async fn received(listener: &mut Option<Signal>) {
    match listener {
        Some(listener) => drop(listener.recv().await),
        None => std::future::pending().await,
    }
}

/// Ends when the process is first asked to stop, by SIGTERM, Ctrl-C or SIGHUP, and returns which. Asked a second
/// time by SIGTERM or Ctrl-C, [`SAME_SIGNAL`] later or more, the process ends at once, after `at_last`; the log is
/// whole then too, only the next start takes longer. SIGHUP is ignored if it was when the process was started.
///
/// # Errors
/// When signals cannot be listened for.
pub fn stop_requested(
    at_last: impl FnOnce() + Send + 'static,
) -> std::io::Result<impl Future<Output = StopSignal> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut hangup = if ignores_hangup(&status) { None } else { Some(signal(SignalKind::hangup())?) };
    let (sender, receiver) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut sender, mut first) = (Some(sender), None);
        loop {
            let asked = tokio::select! {
                _ = terminate.recv() => StopSignal::Terminate,
                _ = interrupt.recv() => StopSignal::Interrupt,
                () = received(&mut hangup) => StopSignal::Hangup,
            };
            if let Some(sender) = sender.take() {
                first = Some(Instant::now());
                let _ = sender.send(asked);
            } else if asked == StopSignal::Hangup {
                // The kernel and the shell each send one when a terminal is closed; a second one is not a demand to
                // stop at once.
            } else if first.is_none_or(|first| first.elapsed() >= SAME_SIGNAL) {
                tracing::warn!("asked to stop a second time; ending at once");
                at_last();
                std::process::exit(FAILED.into());
            }
        }
    });
    // The task that has the sender lives as long as the runtime.
    Ok(async { receiver.await.unwrap_or(StopSignal::Interrupt) })
}

/// Runs the start of a process, which blocks, on a thread of its own. If the process is asked to stop meanwhile it ends
/// at once: it has accepted nothing yet, and the logs need no process to end in order.
pub async fn start<T: Send + 'static>(
    stop: impl Future<Output = StopSignal>,
    start: impl FnOnce() -> T + Send + 'static,
) -> T {
    tokio::select! {
        started = tokio::task::spawn_blocking(start) => match started {
            Ok(started) => started,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        },
        _ = stop => {
            tracing::info!("asked to stop during the start; ending at once");
            std::process::exit(0)
        }
    }
}

/// Ends the process: its memory may differ from the disk, and only a restart resolves that.
pub fn fatal(reason: String) {
    tracing::error!("{reason}; the venue ends now, and the next start recovers from the log");
    std::process::exit(FAILED.into());
}

/// Spawns a task without which the process must not run. If it panics, the process ends: otherwise the failure would go
/// unnoticed, and a listener without its task, for instance, would let connections wait without end.
pub fn spawn_vital(name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    spawn_watched(name, work, fatal)
}

fn spawn_watched(
    name: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
    fatal: impl FnOnce(String) + Send + 'static,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        if AssertUnwindSafe(work).catch_unwind().await.is_err() {
            fatal(format!("{name} panicked"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
        let status = |mask: &str| format!("Name:\tcrossbook\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(ignores_hangup("") && ignores_hangup(&status("?")), "not known");
    }

    #[tokio::test]
    async fn the_death_of_a_task_ends_the_process() {
        let (sender, reason) = tokio::sync::oneshot::channel();
        let dying = async { panic!("no more") };
        let watched = spawn_watched("the client API", dying, move |reason| sender.send(reason).unwrap());
        watched.await.unwrap();
        assert_eq!(reason.await.unwrap(), "the client API panicked");
        // One that ends as it should is no reason.
        spawn_watched("the client API", async {}, |reason| panic!("{reason}")).await.unwrap();
    }
}
