//! The whole read model as one canonical value: the same events give the same [`State`], whatever the order of any hash
//! map, so that states can be compared and a restart does not need to process the whole log.

use crossbook_protocol::Cause;
use crossbook_protocol::countdown::Countdown;
use crossbook_protocol::wire::codec::wire_struct;
use crossbook_types::AccountId;

use crate::account::Holdings;
use crate::market::MarketState;
use crate::operator_log::OperatorLog;
use crate::registry::RegistryState;

/// A snapshot of the views. See [`crate::Views::state`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    pub(crate) position: Option<Cause>,
    pub(crate) registry: RegistryState,
    pub(crate) accounts: Vec<(AccountId, Holdings)>,
    pub(crate) markets: Vec<MarketState>,
    pub(crate) countdowns: Vec<Countdown>,
    pub(crate) operator_log: OperatorLog,
}

impl State {
    /// The last command that is in it.
    #[must_use]
    pub fn position(&self) -> Option<Cause> {
        self.position
    }
}

wire_struct! {
    State { 0: position, 1: registry, 2: accounts, 3: markets; optional 4: countdowns, 25: operator_log }
}
