//! The commands of a partition. A [`Command`] is one record of the log: its source, its order, its time, and the
//! request. It contains everything that its effect depends on, besides the state that it is applied to.

use crossbook_types::{
    AccountFees, AccountId, Amount, ApiKeyId, AssetId, AssetName, ExchangeFilters, FeeDiscount, FeeTiers, Fees,
    PartitionId, RequestNumber, SelfTradeRules, Sequence, SourceId, SymbolId, Timestamp, TradeGroupId, TransferId,
    market,
};

use crate::countdown::{Countdown, SetCountdown};
use crate::import::Piece;
use crate::operator::Note;
use crate::order::{AmendOrder, CancelAll, CancelOrder, NewOrder, ReplaceOrder};
use crate::order_list::{CancelList, NewList};
use crate::peer::PeerMessage;
use crate::registry::{Change, Credential, Permissions};
use crate::rules::Rules;
use crate::session::SessionRequest;

/// A command of an operator, with a note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operated {
    /// Who asks, and why.
    pub note: Note,
    /// What is asked; neither another one of these, nor what partitions ask of each other, nor an import.
    pub body: Body,
}

impl Operated {
    /// Whether a command may carry a note.
    #[must_use]
    pub fn may_hold(body: &Body) -> bool {
        !matches!(body, Body::Operated(_) | Body::Peer(_) | Body::Import(_))
    }
}

/// One record of a partition's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its place in the log.
    pub sequence: Sequence,
    /// When the partition took it; never earlier than the command before.
    pub time: Timestamp,
    /// Who sent it.
    pub source: SourceId,
    /// The sender's own number for it. A number that was seen before has no effect.
    pub number: RequestNumber,
    /// The rules that its record implies, because it is older than the rules in the state; `None`: those that are
    /// active in the partition's state.
    pub rules: Option<Rules>,
    /// The last time at which it may take effect: a command with a later `time` is refused. Requests of clients have
    /// one, and so have the messages that pass them on to the market's partition, which is then the last to check it.
    pub deadline: Option<Deadline>,
    /// Whether the operator has marked it in the log as skipped, because it cannot be applied. It then has no effect
    /// but its answer.
    pub skipped: bool,
    /// What it asks.
    pub body: Body,
}

impl Command {
    /// A command under the rules that are active.
    #[must_use]
    #[inline]
    pub fn new(sequence: Sequence, time: Timestamp, source: SourceId, number: RequestNumber, body: Body) -> Self {
        Self { sequence, time, source, number, rules: None, deadline: None, skipped: false, body }
    }

    /// The same, wanted until then.
    #[must_use]
    #[inline]
    pub fn until(self, deadline: Option<Deadline>) -> Self {
        Self { deadline, ..self }
    }

    /// The rules that the commands behind it are applied under because of it. Whoever does not know them must not apply
    /// it.
    #[must_use]
    pub fn activates(&self) -> Option<Rules> {
        let body = match &self.body {
            Body::Operated(operated) => &operated.body,
            body => body,
        };
        match body {
            Body::ActivateRules(rules) | Body::Peer(PeerMessage::Registry(Change::Rules(rules))) => Some(*rules),
            Body::Import(piece) => match **piece {
                Piece::BeginUnder { rules, .. } => Some(rules),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether its deadline has passed.
    #[inline]
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| self.time > deadline.own)
    }
}

/// The last time at which a request may take effect, by the time of each log that it passes. The clocks of two logs may
/// differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    /// By the time of the log that the command is in.
    pub own: Timestamp,
    /// By the time of the log of the market's partition, where that is another log with another time.
    pub market: Option<Timestamp>,
}

impl Deadline {
    /// The deadline of the message that passes the request on to the market's partition.
    #[must_use]
    #[inline]
    pub fn at_market(self) -> Timestamp {
        self.market.unwrap_or(self.own)
    }
}

impl From<Timestamp> for Deadline {
    #[inline]
    fn from(own: Timestamp) -> Self {
        Self { own, market: None }
    }
}

/// What a command asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// List an asset. Partition 0 only, like all changes of the registry.
    ListAsset(ListAsset),
    /// Open a market. Its id is given by the registry.
    ListMarket(Box<ListMarket>),
    /// Change a market's filters, fees or status. Symbol, assets, tick and step stay.
    ChangeMarket(Box<ChangeMarket>),
    /// Open an account.
    OpenAccount(OpenAccount),
    /// Give an account an API credential.
    IssueApiKey(Box<IssueApiKey>),
    /// Take an API credential away.
    RevokeApiKey(RevokeApiKey),
    /// Bring money in from outside, or take it out.
    Transfer(TransferRequest),
    /// Place an order.
    Place(NewOrder),
    /// Cancel an order.
    Cancel(CancelOrder),
    /// Cancel every open order of an account in a market.
    CancelAll(CancelAll),
    /// What another partition asks as a consequence of a command of its own.
    Peer(PeerMessage),
    /// Take over a piece of a venue that moves in. See [`crate::import`].
    Import(Box<Piece>),
    /// Report the balances of the venue's own accounts in a partition's ledger. It changes nothing; because it is in
    /// the log, the report is of a position that can be found again.
    ReportVenue {
        /// Which partition's.
        partition: PartitionId,
    },
    /// Pay out fees that a partition has collected.
    PayOutFees(FeePayout),
    /// Apply later commands under newer rules, in this partition and, once they receive it, the others. Partition 0
    /// only.
    ActivateRules(Rules),
    /// Lower the quantity of an open order, which keeps its place in the queue.
    Amend(AmendOrder),
    /// Start, extend or take back a countdown.
    SetCountdown(SetCountdown),
    /// End this countdown, which has passed: cancel the orders that it covers. Refused if the countdown was extended or
    /// has ended, or its time has not come; so whoever sees it pass may send this.
    EndCountdown(Countdown),
    /// Cancel an order, and place another one that may use its funds.
    Replace(Box<ReplaceOrder>),
    /// Set how many orders an account may have open in all markets. Partition 0 only.
    SetExchangeFilters(ExchangeFilters),
    /// Set what an account pays, beside or instead of the markets' fees. Partition 0 only.
    SetAccountFees(SetAccountFees),
    /// Set what accounts pay that have traded much. Partition 0 only.
    SetFeeTiers(Box<FeeTiers>),
    /// Place an order list.
    PlaceList(Box<NewList>),
    /// Cancel an order list.
    CancelList(CancelList),
    /// Change the trading session of a market.
    Session(SessionRequest),
    /// End a market: its open orders end, and its symbol is free for another market. Partition 0 only.
    DelistMarket {
        /// Which market.
        symbol: SymbolId,
    },
    /// Put an account into a trade group, or take it out of one. Partition 0 only.
    SetTradeGroup(SetTradeGroup),
    /// Set in which asset fees can be paid, and how much less they are then. Partition 0 only.
    SetFeeDiscount(Box<FeeDiscount>),
    /// Say whether an account pays its fees in that asset. Partition 0 only.
    SetDiscountUse {
        /// The account.
        account: AccountId,
        /// Whether it does; orders placed before stay as they were.
        on: bool,
    },
    /// Freeze an account, which ends its open orders, or let it go on. Partition 0 only.
    SetFrozen {
        /// The account.
        account: AccountId,
        /// Whether it is frozen: it places no orders, and nothing is paid out of it.
        on: bool,
    },
    /// Do what an operator asks, and tell who it was; see [`crate::operator`].
    Operated(Box<Operated>),
}

/// See [`Body::SetAccountFees`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetAccountFees {
    /// The account.
    pub account: AccountId,
    /// All of its fees; orders placed before keep the rates that they were accepted with.
    pub fees: AccountFees,
}

/// See [`Body::PayOutFees`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeePayout {
    /// The partition that has collected them: that of the accounts that paid.
    pub partition: PartitionId,
    /// Which asset.
    pub asset: AssetId,
    /// How much, in the asset's smallest unit; above zero.
    pub amount: Amount,
    /// The operator's name for it, among the payouts of that partition. The same name again with the same content has
    /// no second effect.
    pub transfer: TransferId,
}

/// See [`Body::ListAsset`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListAsset {
    /// Its name; not yet taken.
    pub name: AssetName,
    /// Digits after the point, at most 18.
    pub decimals: u8,
}

/// See [`Body::ListMarket`]. The `id` in the description is ignored: the registry counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListMarket {
    /// What the market is to be.
    pub description: market::Description,
}

/// See [`Body::ChangeMarket`]. What is `None` stays as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChangeMarket {
    /// Which market.
    pub symbol: SymbolId,
    /// New filters.
    pub filters: Option<market::Filters>,
    /// New fees; orders placed before keep the rates that they were accepted with.
    pub fees: Option<Fees>,
    /// New status.
    pub status: Option<market::MarketStatus>,
    /// New modes of self-trade prevention; orders placed before keep theirs.
    pub self_trade: Option<SelfTradeRules>,
}

/// See [`Body::OpenAccount`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenAccount {
    /// The operator's words for it, at most [`crate::registry::LABEL_BYTES_MAX`] bytes.
    pub label: String,
}

/// See [`Body::SetTradeGroup`]. Orders that were placed before stay in the group of their account at that time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetTradeGroup {
    /// Which account.
    pub account: AccountId,
    /// Its trade group from now on; `None`: none.
    pub group: Option<TradeGroupId>,
}

/// See [`Body::IssueApiKey`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssueApiKey {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The public name of the credential; drawn at random by the gateway.
    pub key: ApiKeyId,
    /// What it may do.
    pub permissions: Permissions,
    /// How its signatures are checked.
    pub credential: Credential,
    /// Addresses or networks it may be used from (`10.0.0.0/8`); empty: any.
    pub allowed_ips: Vec<String>,
}

/// See [`Body::RevokeApiKey`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevokeApiKey {
    /// The account that it belongs to.
    pub account: AccountId,
    /// The public name of the API key.
    pub key: ApiKeyId,
}

/// See [`Body::Transfer`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransferRequest {
    /// Whose money.
    pub account: AccountId,
    /// Which asset.
    pub asset: AssetId,
    /// How much, in the asset's smallest unit: above zero for a deposit, below for a withdrawal.
    pub amount: Amount,
    /// The operator's name for it. The same name again with the same content has no second effect.
    pub transfer: TransferId,
}
