//! The operations of this API, independent of the transport. The table [`OPERATIONS`] has the path, the security, the
//! weight and the parameters of each; routing, checks and the published description of the API all read it.

mod account;
mod account_rules;
mod amend;
mod catalogue;
mod countdown;
mod general;
mod listen_keys;
mod market_data;
mod order_entry;
mod order_list;
mod order_routing;
mod price_rules;
mod rejection_counters;
mod replace;
mod wallet;

pub(crate) use market_data::{DEPTH_MAX, ROWS_DEFAULT, ROWS_MAX};

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crossbook_gateway::Gateway;
use crossbook_gateway::auth::{AuthError, Identity, Security};
use crossbook_gateway::limits::OrderCount;
use crossbook_gateway::orders::Sender;
use crossbook_gateway::traces::Trace;
use crossbook_types::{AccountId, ListKind, Market, Timestamp};
use metrics::Histogram;

use crate::config::{ListenKeysConfig, StreamsConfig};
use crate::error::ApiError;
use crate::parameters::Parameters;
use crate::rendered_markets::RenderedMarkets;
use crate::streams::Hub;
use crate::time_unit::TimeUnit;

pub use catalogue::OPERATIONS;
pub use rejection_counters::Rejections;

/// The transport of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// The REST API, over HTTP.
    Rest,
    /// A connection to the WebSocket API.
    WebSocket,
}

impl Transport {
    /// Its name in metrics and traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::WebSocket => "ws_api",
        }
    }
}

/// The sender of a request, its time, and the form of its answer.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Over what.
    pub transport: Transport,
    /// The unit of times.
    pub unit: TimeUnit,
    /// As whom; `None` for public operations.
    pub identity: Option<Identity>,
    /// When the request stops being valid.
    pub deadline: Option<Timestamp>,
    /// When it arrived.
    pub now: Timestamp,
    /// The trace of an order that is traced.
    pub trace: Option<Arc<Trace>>,
}

/// What an operation gives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The result, as JSON.
    pub json: String,
    /// The account's order counts, if it placed an order.
    pub orders: Option<OrderCount>,
    /// Whether its weight is refunded.
    pub free: bool,
}

impl Outcome {
    fn of(json: String) -> Self {
        Self { json, orders: None, free: false }
    }
}

/// An HTTP method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Queries; changes nothing.
    Get,
    /// Creates something, such as an order.
    Post,
    /// Changes something.
    Put,
    /// Cancels or removes something.
    Delete,
}

impl Verb {
    /// The method's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// An operation: one line of the API.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name on the WebSocket API, or one in the same style.
    pub name: &'static str,
    /// Whether the WebSocket API has it.
    pub over_websocket: bool,
    /// HTTP method.
    pub verb: Verb,
    /// HTTP path.
    pub path: &'static str,
    /// What it asks of its sender.
    pub security: Security,
    /// Whether the name of an API key is enough, without a signature. The operator may leave such operations out.
    pub by_key_alone: bool,
    /// Its request weight.
    pub weight: Weight,
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its parameters, beside those that all signed operations have.
    pub parameters: &'static [Parameter],
    run: Run,
}

/// A parameter of an operation.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What its text represents.
    pub kind: Kind,
    /// Whether the operation needs it.
    pub required: bool,
}

/// What the text of a parameter represents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A market's name.
    Symbol,
    /// A JSON array of names.
    Names,
    /// A decimal number.
    Decimal,
    /// A whole number.
    Integer,
    /// A time in milli- or microseconds.
    Time,
    /// `true` or `false`.
    Boolean,
    /// A client's own name for an order.
    ClientOrderId,
    /// Any text.
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// What an operation weighs.
#[derive(Clone, Copy, Debug)]
pub enum Weight {
    /// Always this.
    Fixed(u64),
    /// It depends on the parameters, in this way.
    Varies(fn(&Parameters<'_>) -> u64, &'static str),
}

/// A query that may have to wait.
type Recalled<'a> = Pin<Box<dyn Future<Output = Result<String, ApiError>> + Send + 'a>>;

#[derive(Clone, Copy, Debug)]
enum Run {
    /// Answered at once.
    Query(fn(&Request<'_>) -> Result<String, ApiError>),
    /// Answered from the read model, and from the history where it ends.
    Recall(for<'a> fn(&'a Request<'a>) -> Recalled<'a>),
    /// Goes to a partition.
    Place,
    PlaceList(ListKind),
    PlaceOldList,
    Cancel,
    CancelList,
    CancelAll,
    SetCountdown,
    UseDiscount,
    Amend,
    Replace,
}

/// The parameters that every signed operation has.
pub const SIGNED: &[Parameter] = &[
    Parameter { name: "recvWindow", kind: Kind::Decimal, required: false },
    Parameter { name: "timestamp", kind: Kind::Time, required: true },
    Parameter { name: "signature", kind: Kind::Text, required: true },
];

impl Operation {
    /// The parameters that it has because it is signed.
    #[must_use]
    pub fn signed_by(&self) -> &'static [Parameter] {
        if self.security == Security::Public || self.by_key_alone { &[] } else { SIGNED }
    }

    /// What a request with these parameters weighs.
    #[must_use]
    pub fn weight(&self, parameters: &Parameters<'_>) -> u64 {
        match self.weight {
            Weight::Fixed(weight) => weight,
            Weight::Varies(weigh, _) => weigh(parameters),
        }
    }

    /// Whether it changes something.
    #[must_use]
    pub fn is_command(&self) -> bool {
        !matches!(self.run, Run::Query(_) | Run::Recall(_))
    }

    /// Whether it places orders.
    #[must_use]
    pub fn is_order(&self) -> bool {
        matches!(self.run, Run::Place | Run::Replace | Run::PlaceList(_) | Run::PlaceOldList)
    }

    /// Checks that all required parameters were sent, none without a value, each well formed, and no unknown ones.
    /// `extra` returns whether the transport has read a name itself.
    ///
    /// # Errors
    /// -1102, -1105, the error of a malformed value, -1101 or -1104, in this order.
    pub fn check(&self, parameters: &Parameters<'_>, extra: impl Fn(&str) -> bool) -> Result<(), ApiError> {
        let mut read = 0;
        for parameter in self.parameters {
            match parameters.text(parameter.name)? {
                Some(text) => {
                    parameter.check(text)?;
                    read += 1;
                }
                None if parameter.required => return Err(ApiError::mandatory(parameter.name)),
                None => {}
            }
        }
        let signed = self.signed_by();
        read += signed.iter().filter(|parameter| parameters.has(parameter.name)).count();
        let is_known = |name: &str| self.parameters.iter().chain(signed).any(|known| known.name == name);
        if read != parameters.len() {
            read += parameters.iter().filter(|(name, _)| !is_known(name) && extra(name)).count();
        }
        if read == parameters.len() {
            Ok(())
        } else if signed.is_empty() && parameters.len() > self.parameters.len() {
            Err(ApiError::too_many_parameters(self.parameters.len(), parameters.len()))
        } else {
            Err(ApiError::unread(read, parameters.len()))
        }
    }
}

impl Parameter {
    fn check(&self, text: &str) -> Result<(), ApiError> {
        use crate::parameters as p;
        match self.kind {
            Kind::Symbol => p::symbol(self.name, text).map(drop),
            Kind::Names => p::names(self.name, text).map(drop),
            Kind::Decimal => p::decimal(self.name, text).map(drop),
            Kind::Integer => p::integer(self.name, text).map(drop),
            Kind::Time => p::time(self.name, text).map(drop),
            Kind::Boolean => p::boolean(self.name, text).map(drop),
            Kind::ClientOrderId => p::client_order_id(self.name, text).map(drop),
            Kind::Text => Ok(()),
            Kind::OneOf(words) if words.contains(&text) => Ok(()),
            Kind::OneOf(_) => Err(self.not_one_of_them()),
        }
    }

    /// Some words have an error of their own.
    fn not_one_of_them(&self) -> ApiError {
        match self.name {
            "side" => ApiError::bad_request(-1117, "Invalid side."),
            "type" if self.required => ApiError::bad_request(-1116, "Invalid orderType."),
            "type" => ApiError::bad_request(-1139, "Invalid ticker type."),
            "timeInForce" => ApiError::bad_request(-1115, "Invalid timeInForce."),
            "interval" => ApiError::bad_request(-1120, "Invalid interval."),
            "symbolStatus" => ApiError::bad_request(-1122, "Invalid symbolStatus."),
            _ => ApiError::invalid(self.name),
        }
    }
}

/// The operation that HTTP calls so; or whether at least the path is known.
///
/// # Errors
/// True if there are operations at that path, with other methods.
pub fn by_route(method: &str, path: &str) -> Result<(usize, &'static Operation), bool> {
    let mut known = false;
    for (index, operation) in OPERATIONS.iter().enumerate() {
        if operation.path == path {
            if operation.verb.as_str() == method {
                return Ok((index, operation));
            }
            known = true;
        }
    }
    Err(known)
}

/// The operation that the WebSocket API calls so, and its place among all.
#[must_use]
pub fn by_method(name: &str) -> Option<(usize, &'static Operation)> {
    OPERATIONS.iter().enumerate().find(|(_, operation)| operation.over_websocket && operation.name == name)
}

/// The duration of requests over one transport, from receipt to answer, by operation. Each histogram is looked up once,
/// and not by name and labels for each request.
pub struct Latencies(Vec<Histogram>);

impl std::fmt::Debug for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Latencies").finish_non_exhaustive()
    }
}

impl Latencies {
    /// Nothing measured yet. They go to the recorder that is installed now.
    #[must_use]
    pub fn over(transport: &'static str) -> Self {
        let of = |operation: &Operation| {
            let operation = operation.name;
            metrics::histogram!("crossbook_request_seconds", "transport" => transport, "operation" => operation)
        };
        Self(OPERATIONS.iter().map(of).collect())
    }

    /// A request for the operation at that place among all took so long.
    pub fn record(&self, operation: usize, took: Duration) {
        self.0[operation].record(took);
    }
}

/// What all requests share.
#[derive(Clone, Copy)]
pub struct Shared<'a> {
    /// Carries out what clients ask for.
    pub gateway: &'a Gateway,
    /// The bounds of connections.
    pub streams: &'a StreamsConfig,
    /// The markets as clients see them.
    pub markets: &'a RenderedMarkets,
    /// Who is subscribed to what.
    pub hub: &'a Hub,
    /// The bounds of listen keys.
    pub listen_keys: &'a ListenKeysConfig,
}

/// Executes an operation whose parameters were checked and whose sender was authenticated.
///
/// # Errors
/// Any error of this API.
pub async fn run(
    shared: Shared<'_>,
    operation: &'static Operation,
    parameters: &Parameters<'_>,
    caller: &Caller,
) -> Result<Outcome, ApiError> {
    let Shared { gateway, streams, markets, hub, listen_keys } = shared;
    let request = Request { gateway, streams, markets, hub, listen_keys, parameters, caller };
    match operation.run {
        Run::Query(query) => query(&request).map(Outcome::of),
        Run::Recall(recall) => recall(&request).await.map(Outcome::of),
        Run::Place => order_entry::place(&request).await,
        Run::PlaceList(kind) => order_list::place(&request, kind).await,
        Run::PlaceOldList => order_list::place_old(&request).await,
        Run::CancelList => order_list::cancel(&request).await,
        Run::Cancel => order_entry::cancel(&request).await,
        Run::CancelAll => order_entry::cancel_all(&request).await,
        Run::SetCountdown => countdown::set(&request).await,
        Run::UseDiscount => account_rules::use_discount(&request).await,
        Run::Amend => amend::amend(&request).await,
        Run::Replace => replace::replace(&request).await,
    }
}

/// A request that is being carried out.
struct Request<'a> {
    gateway: &'a Gateway,
    streams: &'a StreamsConfig,
    markets: &'a RenderedMarkets,
    hub: &'a Hub,
    listen_keys: &'a ListenKeysConfig,
    parameters: &'a Parameters<'a>,
    caller: &'a Caller,
}

impl Request<'_> {
    /// Who sends it.
    fn identity(&self) -> Result<Identity, ApiError> {
        self.caller.identity.ok_or_else(|| AuthError::KeyFormat.into())
    }

    /// The account that it concerns.
    fn account(&self) -> Result<AccountId, ApiError> {
        self.identity().map(|identity| identity.account)
    }

    /// Who sends it as a command, and until when it is valid.
    fn sender(&self) -> Result<Sender<'_>, ApiError> {
        let Caller { now, deadline, trace, .. } = self.caller;
        Ok(Sender { identity: self.identity()?, now: *now, deadline: *deadline, trace: trace.as_deref() })
    }

    /// The name in the parameter `symbol`.
    fn symbol(&self) -> Result<&str, ApiError> {
        self.parameters.required("symbol")
    }

    /// The market that the parameter `symbol` names.
    fn market(&self) -> Result<Market, ApiError> {
        Ok(self.gateway.market(self.symbol()?)?)
    }
}
