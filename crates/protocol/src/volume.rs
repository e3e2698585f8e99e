//! How much an account has traded lately, as the tiers of a venue's fees count it.

use crossbook_types::{Amount, Fees, Timestamp};

/// The days before the present one whose volume counts.
pub const VOLUME_DAYS: u32 = 30;

/// The day of a time, counted from 1970, in UTC.
#[must_use]
pub fn day_of(time: Timestamp) -> u32 {
    u32::try_from(time.0 / 86_400_000_000).unwrap_or(u32::MAX)
}

/// What an account has traded, and the tier that follows from it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountVolume {
    /// How much on each day on which it traded, oldest first; at most [`VOLUME_DAYS`] and the present one.
    pub days: Vec<(u32, Amount)>,
    /// The day for which its tier is known; none, before its first order under the tiers.
    pub rated: Option<u32>,
    /// The rates of its tier; `None` if it pays what the markets say.
    pub fees: Option<Fees>,
}

impl AccountVolume {
    /// Whether the days are in order, and no more than there can be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.days.len() <= VOLUME_DAYS as usize + 1
            && self.days.is_sorted_by(|one, next| one.0 < next.0)
            && self.days.iter().all(|(_, amount)| !amount.is_negative())
    }

    /// Counts so much more on a day, and forgets the days that count no more.
    pub fn add(&mut self, today: u32, amount: Amount) {
        self.days.retain(|&(day, _)| day.saturating_add(VOLUME_DAYS) >= today);
        match self.days.last_mut() {
            Some((day, sum)) if *day >= today => *sum = sum.plus(amount),
            _ => self.days.push((today, amount)),
        }
    }

    /// What was traded on the days before `today` that count.
    #[must_use]
    pub fn before(&self, today: u32) -> Amount {
        let counts = |day: u32| day < today && day.saturating_add(VOLUME_DAYS) >= today;
        self.days.iter().filter(|(day, _)| counts(*day)).fold(Amount::ZERO, |sum, (_, amount)| sum.plus(*amount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_days_before_the_present_one_count() {
        let mut volume = AccountVolume::default();
        for day in 100..200 {
            volume.add(day, Amount(1));
            volume.add(day, Amount(1));
            assert!(volume.is_sound());
        }
        assert_eq!(volume.days.len(), 31);
        assert_eq!((volume.before(199), volume.before(200), volume.before(201)), (Amount(60), Amount(60), Amount(58)));
        assert_eq!((volume.before(229), volume.before(230)), (Amount(2), Amount::ZERO));
        assert_eq!(day_of(Timestamp(86_400_000_000 * 7 + 86_399_999_999)), 7);
    }
}
