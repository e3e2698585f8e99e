//! The task that sends traces, and the queue in front of it.

use std::sync::Arc;

use crossbook_gateway::traces::{OrderTrace, Tracer};
use metrics::Counter;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::ids::{Sampler, random};
use crate::options::Options;
use crate::spans::{self, Origin, TimeOfDay};

/// The most bytes of an answer of the collector that are read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client cannot be made.
    #[error("the exporter of traces cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Request(#[from] reqwest::Error),
    #[error("the collector has answered {0}")]
    Status(StatusCode),
    #[error("the collector has rejected {spans} spans: {why}")]
    Rejected { spans: u64, why: String },
}

/// Exports traces until it is stopped.
#[derive(Debug)]
pub struct Exporter {
    queue: Arc<Queue>,
    options: Options,
    /// Dropping it stops the task, too.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// The way to the task.
#[derive(Debug)]
struct Queue {
    sampler: Sampler,
    traces: mpsc::Sender<OrderTrace>,
    dropped: Counter,
}

impl Exporter {
    /// Starts the task, in the runtime around it; nothing if the options trace no orders. Metrics go to the recorder
    /// that is installed now.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn start(options: &Options, origin: Origin) -> Result<Option<Self>, Error> {
        if options.sample_one_in == 0 {
            return Ok(None);
        }
        let (sender, receiver) = mpsc::channel(options.queue_traces_max.max(1));
        let (stop, stopped) = oneshot::channel();
        let client = Client::builder()
            // What is sent goes to the collector and to nobody else.
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(options.export_timeout())
            .build()?;
        let dropped = metrics::counter!("crossbook_trace_spans_dropped_total");
        let instance: String = random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let task = Task {
            options: options.clone(),
            origin,
            instance,
            client,
            sent: metrics::counter!("crossbook_trace_spans_sent_total"),
            dropped: dropped.clone(),
            is_failing: false,
        };
        let task = tokio::spawn(task.run(receiver, stopped));
        let queue = Arc::new(Queue { sampler: Sampler::new(options.sample_one_in), traces: sender, dropped });
        let (one_in, endpoint) = (options.sample_one_in, &options.endpoint);
        tracing::info!(one_in, %endpoint, "orders are traced");
        Ok(Some(Self { queue, options: options.clone(), stop, task }))
    }

    /// What a gateway hands its traces to.
    #[must_use]
    pub fn tracer(&self) -> Arc<dyn Tracer> {
        Arc::clone(&self.queue) as _
    }

    /// Sends what waits, for as long as a request may take, and ends the task.
    pub async fn stop(self) {
        let Self { options, stop, mut task, .. } = self;
        let _ = stop.send(());
        if tokio::time::timeout(options.export_timeout(), &mut task).await.is_err() {
            task.abort();
        }
    }
}

impl Tracer for Queue {
    fn samples(&self) -> bool {
        self.sampler.chooses()
    }

    fn take(&self, trace: OrderTrace) {
        if let Err(mpsc::error::TrySendError::Full(trace) | mpsc::error::TrySendError::Closed(trace)) =
            self.traces.try_send(trace)
        {
            self.dropped.increment(spans::count(&trace) as u64);
        }
    }
}

struct Task {
    options: Options,
    origin: Origin,
    instance: String,
    client: Client,
    sent: Counter,
    dropped: Counter,
    /// Whether the last batch did not arrive.
    is_failing: bool,
}

impl Task {
    async fn run(mut self, mut traces: mpsc::Receiver<OrderTrace>, mut stopped: oneshot::Receiver<()>) {
        let (most, mut batch, mut stops) = (self.options.batch_traces_max.max(1), Vec::new(), false);
        while !stops {
            tokio::select! {
                _ = &mut stopped => stops = true,
                received = traces.recv_many(&mut batch, most) => stops = received == 0,
            }
            if !stops && batch.len() < most {
                tokio::select! {
                    _ = &mut stopped => stops = true,
                    () = tokio::time::sleep(self.options.batch_delay()) => {}
                }
            }
            self.send(&mut traces, &mut batch, most).await;
        }
        while !traces.is_empty() {
            self.send(&mut traces, &mut batch, most).await;
        }
    }

    /// Sends a batch, with what waits as far as it fits.
    async fn send(&mut self, traces: &mut mpsc::Receiver<OrderTrace>, batch: &mut Vec<OrderTrace>, most: usize) {
        while batch.len() < most
            && let Ok(trace) = traces.try_recv()
        {
            batch.push(trace);
        }
        if batch.is_empty() {
            return;
        }
        let time = TimeOfDay::now();
        let spans: Vec<_> = batch.drain(..).flat_map(|trace| spans::of(&trace, time)).collect();
        let count = spans.len() as u64;
        let body = spans::request(spans, self.origin, &self.instance).encode_to_vec();
        let lost = match self.post(body).await {
            Ok(()) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("traces are exported again");
                }
                0
            }
            Err(failure) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    let error = innermost(&failure);
                    tracing::warn!(error, "traces are lost: the collector does not take them");
                }
                match failure {
                    Failure::Rejected { spans, .. } => spans.min(count),
                    Failure::Request(_) | Failure::Status(_) => count,
                }
            }
        };
        self.sent.increment(count - lost);
        self.dropped.increment(lost);
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), Failure> {
        let request = self.client.post(&self.options.endpoint).header(CONTENT_TYPE, "application/x-protobuf");
        let response = request.body(body).send().await?.error_for_status()?;
        // One that redirects has not taken it either.
        if !response.status().is_success() {
            return Err(Failure::Status(response.status()));
        }
        match rejected(response).await {
            Some((spans, why)) if spans > 0 => Err(Failure::Rejected { spans, why }),
            _ => Ok(()),
        }
    }
}

/// The reason at the end of a chain of them.
fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error).to_string()
}

/// What a collector says that it has not taken of a batch. An answer that cannot be read says nothing.
async fn rejected(response: Response) -> Option<(u64, String)> {
    if response.content_length().is_none_or(|bytes| bytes > ANSWER_BYTES_MAX) {
        return None;
    }
    let answer = ExportTraceServiceResponse::decode(response.bytes().await.ok()?).ok()?.partial_success?;
    Some((u64::try_from(answer.rejected_spans).ok()?, answer.error_message))
}
