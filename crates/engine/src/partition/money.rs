//! Money that comes in from outside or leaves: deposits and withdrawals of accounts, and payouts of the venue's fees.

use crossbook_ledger::TransferError;
use crossbook_protocol::command::{FeePayout, TransferRequest};
use crossbook_protocol::event::{Answer, Event, Events, VenueAccount};
use crossbook_protocol::refusal::Refusal;
use crossbook_protocol::rules::Rules;
use crossbook_types::{AccountId, PartitionId};

use super::Partition;
use crate::work_budget::FORGOTTEN_PER_TRANSFER;

impl Partition {
    pub(super) fn transfer(&mut self, request: &TransferRequest, events: &mut Events) -> Result<Answer, Refusal> {
        self.registry.asset(request.asset).ok_or(Refusal::UnknownAsset)?;
        let TransferRequest { account, asset, amount, transfer } = *request;
        self.check_payment(request)?;
        let moved = self.ledger.transfer(account, asset, amount, transfer, self.time);
        let (record, fresh) = moved.map_err(refused)?;
        let record = Box::new(record);
        if fresh {
            self.forget_transfers();
            events.push(Event::Transferred(record.clone()));
        }
        Ok(Answer::Transferred(record))
    }

    /// Forgets the oldest transfers, if there are more than are to be remembered.
    fn forget_transfers(&mut self) {
        if self.rules >= Rules::V3 {
            self.ledger.forget_transfers(self.work.transfers as usize, FORGOTTEN_PER_TRANSFER);
        }
    }

    /// What this partition's ledger has in the venue's own accounts, by asset number.
    pub(super) fn report_venue(&self, partition: PartitionId) -> Result<Answer, Refusal> {
        if partition != self.id {
            return Err(Refusal::OtherPartition);
        }
        let assets = self.registry.assets().iter().map(|asset| asset.id);
        let accounts = assets.map(|asset| {
            let of = |account| self.ledger.venue_balance(account, asset);
            VenueAccount {
                asset,
                external: of(AccountId::EXTERNAL),
                fees: of(AccountId::FEES),
                clearing: of(AccountId::CLEARING),
            }
        });
        Ok(Answer::VenueAccounts(accounts.collect()))
    }

    pub(super) fn pay_out_fees(&mut self, request: &FeePayout, events: &mut Events) -> Result<Answer, Refusal> {
        let &FeePayout { partition, asset, amount, transfer } = request;
        if partition != self.id {
            return Err(Refusal::OtherPartition);
        }
        self.registry.asset(asset).ok_or(Refusal::UnknownAsset)?;
        let (record, fresh) = self.ledger.pay_out_fees(asset, amount, transfer, self.time).map_err(refused)?;
        let record = Box::new(record);
        if fresh {
            self.forget_transfers();
            events.push(Event::FeesPaidOut(record.clone()));
        }
        Ok(Answer::Transferred(record))
    }
}

/// Why money does not move, as its sender is answered.
fn refused(error: TransferError) -> Refusal {
    match error {
        TransferError::UnknownAccount => Refusal::UnknownAccount,
        TransferError::Amount => Refusal::TransferAmount,
        TransferError::Insufficient => Refusal::InsufficientBalance,
        TransferError::Conflict => Refusal::TransferConflict,
    }
}
