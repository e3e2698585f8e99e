//! Queries of the amendments of an account's orders.

use crossbook_types::{AccountId, Market, OrderId, PartitionId, Sequence};
use crossbook_views::{Amendment, Forgotten};

use crate::account_events::{execution_of, sequence_of};
use crate::command_port::Subject;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::past::{End, apart, merge};

impl Gateway {
    /// The amendments of an order of the account, oldest first, from that number of a report on; each with its own.
    ///
    /// # Errors
    /// When there is no such market, or the history that is needed does not answer.
    pub async fn amendments(
        &self,
        account: AccountId,
        market: &str,
        order: OrderId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<(Market, Vec<(u64, Amendment)>), Error> {
        self.caught_up(Subject::Account(account)).await?;
        let routing = self.read_model.routing();
        let place = |market: &Market| (routing.of_market(market), routing.partitions());
        let first = |(partition, partitions): (PartitionId, u16)| {
            from.map_or(Sequence(0), |from| sequence_of(from, partition, partitions))
        };
        let (market, mut found, gap) = self.read_market(market, |data, live| {
            let amendments = data.amendments();
            let from = first(place(data.market()));
            let placed = data.order(order).map(|order| order.placed);
            let may_be = |forgotten: &Forgotten<Sequence>| {
                from <= forgotten.id && placed.is_none_or(|placed| placed <= forgotten.time)
            };
            let gap = amendments.forgotten().filter(may_be).map(|forgotten| (forgotten.settled, live));
            (*data.market(), amendments.of_order(account, order, from, limit), gap)
        })?;
        let (partition, partitions) = place(&market);
        if let Some((settled, live)) = gap
            && let Some(past) = self.past.open(settled, live).await?
        {
            let from = first((partition, partitions));
            let older = past.ask(past.history.amendments(account, market.id, order, from, limit)).await?;
            found = merge(found, older, |kept| kept.sequence, apart, End::First, limit);
        }
        let numbered = |kept: Amendment| (execution_of(kept.sequence, partition, partitions), kept);
        Ok((market, found.into_iter().map(numbered).collect()))
    }
}
