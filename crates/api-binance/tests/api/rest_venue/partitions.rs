//! Several partitions behind one gateway, on one thread. It does only what is required: a request is executed up to its
//! answer, and what other partitions have to do because of it waits until the next message arrives, or for a while. So
//! a client that does not wait for consistency gets an old answer.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbook_engine::Partition;
use crossbook_gateway::command_port::Soon;
use crossbook_gateway::publisher::Publisher;
use crossbook_gateway::{CommandPort, Subject};
use crossbook_node::embedded::{self, AuditReport};
use crossbook_node::{EventSink, NotAccepted, Request};
use crossbook_protocol::command::Body;
use crossbook_protocol::{Command, Event, Events, Routing};
use crossbook_types::{PartitionId, RequestNumber, SourceId};
use tokio::sync::oneshot;

const SOURCE: SourceId = SourceId(SourceId::FIRST_GATEWAY.0 + 7);
/// How long what nobody waits for is left undone.
const IDLE: Duration = Duration::from_millis(100);

enum Inbound {
    Request(Request),
    Audit(oneshot::Sender<Vec<AuditReport>>),
    CaughtUp(oneshot::Sender<()>),
    Stop,
}

/// The way in.
pub struct Door(Sender<Inbound>);

impl Door {
    fn ask<T: Send + 'static>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Inbound) -> Soon<'static, T> {
        let (sender, receiver) = oneshot::channel();
        let sent = self.0.send(message(sender));
        Box::pin(async move {
            sent.map_err(|_| NotAccepted::Stopping)?;
            receiver.await.map_err(|_| NotAccepted::Silent)
        })
    }
}

impl CommandPort for Door {
    fn source(&self) -> SourceId {
        SOURCE
    }

    fn submit(&self, request: Request) -> Result<(), NotAccepted> {
        self.0.send(Inbound::Request(request)).map_err(|_| NotAccepted::Stopping)
    }

    fn audit(&self) -> Soon<'_, Vec<AuditReport>> {
        self.ask(Inbound::Audit)
    }

    fn queued(&self) -> usize {
        0
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn caught_up(&self, _: Subject) -> Option<Soon<'_>> {
        Some(self.ask(Inbound::CaughtUp))
    }
}

/// The running partitions.
pub struct Running {
    inbound: Sender<Inbound>,
    thread: JoinHandle<()>,
}

impl Running {
    pub fn start(routing: &Routing, publishers: Vec<Publisher>) -> Self {
        let (inbound, messages) = channel();
        let partitions = routing.all().map(|id| Partition::new(id, routing.clone(), u64::from(id.0))).collect();
        let venue = Venue { routing: routing.clone(), partitions, publishers, under_way: VecDeque::new() };
        let thread = std::thread::spawn(move || venue.run(&messages));
        Self { inbound, thread }
    }

    pub fn door(&self) -> Door {
        Door(self.inbound.clone())
    }

    pub fn stop(self) {
        self.inbound.send(Inbound::Stop).unwrap();
        self.thread.join().expect("the partitions had not failed");
    }
}

struct Venue {
    routing: Routing,
    partitions: Vec<Partition>,
    publishers: Vec<Publisher>,
    /// What partitions are yet to be told, in order.
    under_way: VecDeque<(PartitionId, SourceId, RequestNumber, Body)>,
}

impl Venue {
    fn run(mut self, messages: &Receiver<Inbound>) {
        loop {
            let message = messages.recv_timeout(IDLE);
            while !self.under_way.is_empty() {
                self.step();
            }
            match message {
                Ok(Inbound::Request(request)) => self.take(request),
                Ok(Inbound::Audit(reply)) => {
                    let _ = reply.send(self.partitions.iter().map(embedded::audit).collect());
                }
                Ok(Inbound::CaughtUp(reply)) => {
                    let _ = reply.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Inbound::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Has a request carried out as far as its answer.
    fn take(&mut self, Request { number, body, deadline }: Request) {
        let home = self.routing.home(&body);
        if deadline.is_some_and(|deadline| deadline < crossbook_gateway::clock::now()) {
            self.publishers[usize::from(home.0)].not_accepted(number, NotAccepted::Late);
            return;
        }
        self.under_way.push_back((home, SOURCE, number, body));
        while self.step() != Some(number) {}
    }

    /// Applies the next command, and gives the number of the request that it answered.
    fn step(&mut self) -> Option<RequestNumber> {
        let (to, source, number, body) = self.under_way.pop_front().expect("every request is answered");
        let partition = &mut self.partitions[usize::from(to.0)];
        let time = crossbook_gateway::clock::now().max(partition.time());
        let command = Command::new(partition.sequence().next(), time, source, number, body);
        let mut events = Events::new();
        partition.apply(&command, &mut events);
        for sent in partition.drain_outgoing() {
            self.under_way.push_back((sent.to, SourceId::partition(to), sent.number, Body::Peer(sent.message)));
        }
        let answered = events.all().iter().find_map(|event| match event {
            Event::Answered { source: SOURCE, number, .. } => Some(*number),
            _ => None,
        });
        self.publishers[usize::from(to.0)].publish(&mut events);
        answered
    }
}
