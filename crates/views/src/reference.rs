//! The reference price of a market, as everybody may read it.

use crossbook_protocol::session::Reference;
use crossbook_types::{Price, ReferenceCalculation, ReferencePrice, Timestamp, TradeBucket, TradeBuckets};

/// A reference price.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReferenceAt {
    /// The price; `None`: there is none now.
    pub price: Option<ReferencePrice>,
    /// When it was that: of a mean the time for which it was calculated, else when it was set.
    pub time: Timestamp,
}

/// The trades of which a reference price is the mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct Referred(TradeBuckets);

impl Referred {
    /// The reference price is calculated in another way than before.
    pub(crate) fn forget(&mut self) {
        self.0 = TradeBuckets::default();
    }

    /// Goes on with trades that were made elsewhere.
    pub(crate) fn move_in(&mut self, buckets: &[TradeBucket]) {
        self.0 = TradeBuckets(buckets.iter().copied().collect());
    }

    pub(crate) fn count(&mut self, reference: &Reference, price: Price, time: Timestamp) {
        if let ReferenceCalculation::ArithmeticMean(mean) = reference.calculation {
            self.0.add(mean, time, price);
        }
    }

    /// `None` if there never was a price.
    pub(crate) fn at(&self, reference: &Reference, now: Timestamp) -> Option<ReferenceAt> {
        match reference.calculation {
            ReferenceCalculation::ArithmeticMean(mean) => {
                Some(ReferenceAt { price: self.0.price(mean, now), time: now })
            }
            ReferenceCalculation::External { .. } => {
                reference.external.map(|external| ReferenceAt { price: external.price, time: external.since })
            }
        }
    }

    pub(crate) fn state(&self) -> Vec<TradeBucket> {
        self.0.0.iter().copied().collect()
    }

    /// `None` if they cannot be those of this reference price.
    pub(crate) fn restore(state: Vec<TradeBucket>, reference: Option<&Reference>) -> Option<Self> {
        let buckets = TradeBuckets(state.into());
        let sound = match reference.map(|reference| reference.calculation) {
            Some(ReferenceCalculation::ArithmeticMean(mean)) => buckets.is_sound(mean),
            _ => buckets.0.is_empty(),
        };
        sound.then_some(Self(buckets))
    }
}
