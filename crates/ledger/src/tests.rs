use super::*;
use proptest::prelude::*;

const ALICE: AccountId = AccountId(1001);
const BOB: AccountId = AccountId(1002);
const BTC: AssetId = AssetId(0);
const USDT: AssetId = AssetId(1);

fn id(name: &str) -> TransferId {
    TransferId::new_checked(name).unwrap()
}

fn funded() -> Ledger {
    let mut ledger = Ledger::new();
    ledger.open(ALICE);
    ledger.open(BOB);
    ledger.transfer(ALICE, USDT, Amount(1_000), id("a"), Timestamp(1)).unwrap();
    ledger.transfer(BOB, BTC, Amount(50), id("b"), Timestamp(2)).unwrap();
    ledger
}

#[test]
fn a_transfer_takes_effect_once() {
    let mut ledger = funded();
    let (first, fresh) = ledger.transfer(ALICE, USDT, Amount(-400), id("w"), Timestamp(3)).unwrap();
    assert!(fresh);
    let (again, fresh) = ledger.transfer(ALICE, USDT, Amount(-400), id("w"), Timestamp(9)).unwrap();
    assert!(!fresh && first == again);
    assert_eq!(ledger.balance(ALICE, USDT).free, Amount(600));
    assert_eq!(ledger.transfer(ALICE, USDT, Amount(-401), id("w"), Timestamp(9)), Err(TransferError::Conflict));
    assert_eq!(ledger.transfer(ALICE, USDT, Amount(-601), id("x"), Timestamp(9)), Err(TransferError::Insufficient));
    assert_eq!(ledger.transfer(ALICE, USDT, Amount(0), id("y"), Timestamp(9)), Err(TransferError::Amount));
    assert_eq!(ledger.venue_balance(AccountId::EXTERNAL, USDT), Amount(-600));
}

#[test]
fn a_trade_moves_exactly_what_was_held() {
    let mut ledger = funded();
    let buy = ledger.hold(ALICE, USDT, Amount(500)).unwrap();
    let sell = ledger.hold(BOB, BTC, Amount(5)).unwrap();
    assert_eq!(ledger.hold(ALICE, USDT, Amount(501)), Err(HoldError::Insufficient));
    // 5 BTC units at 90 where up to 100 was held; fees of 1 and 2.
    ledger.settle(
        ALICE,
        buy,
        &Leg {
            pay_asset: USDT,
            pay: Amount(450),
            improvement: Amount(50),
            receive_asset: BTC,
            receive: Amount(5),
            fee: Amount(1),
        },
    );
    assert!(ledger.in_transit());
    ledger.settle(
        BOB,
        sell,
        &Leg {
            pay_asset: BTC,
            pay: Amount(5),
            improvement: Amount::ZERO,
            receive_asset: USDT,
            receive: Amount(450),
            fee: Amount(2),
        },
    );
    assert!(!ledger.in_transit());
    ledger.release(ALICE, buy);
    ledger.release(BOB, sell);
    assert_eq!(ledger.balance(ALICE, USDT), Balance { free: Amount(550), held: Amount::ZERO });
    assert_eq!(ledger.balance(ALICE, BTC), Balance { free: Amount(4), held: Amount::ZERO });
    assert_eq!(ledger.balance(BOB, USDT).free, Amount(448));
    assert_eq!(ledger.venue_balance(AccountId::FEES, BTC), Amount(1));
    assert_eq!(ledger.venue_balance(AccountId::FEES, USDT), Amount(2));
    assert_eq!(ledger.audit().violations, vec![]);
}

#[test]
#[should_panic(expected = "a hold that suffices")]
fn a_trade_cannot_spend_more_than_is_held() {
    let mut ledger = funded();
    let hold = ledger.hold(ALICE, USDT, Amount(10)).unwrap();
    let leg = Leg {
        pay_asset: USDT,
        pay: Amount(11),
        improvement: Amount::ZERO,
        receive_asset: BTC,
        receive: Amount(1),
        fee: Amount::ZERO,
    };
    ledger.settle(ALICE, hold, &leg);
}

#[test]
#[should_panic(expected = "released once")]
fn a_hold_is_released_once() {
    let mut ledger = funded();
    let hold = ledger.hold(ALICE, USDT, Amount(10)).unwrap();
    ledger.release(ALICE, hold);
    ledger.release(ALICE, hold);
}

#[test]
fn the_audit_sees_money_that_appears() {
    let mut ledger = funded();
    ledger.venue.fees[0] = Amount(1);
    assert_eq!(ledger.audit().violations, vec![Violation::NotConserved { asset: BTC, sum: Amount(1) }]);
    let mut ledger = funded();
    let slot = ledger.accounts.slot(ALICE).unwrap();
    let position = ledger.accounts.position(slot, USDT);
    ledger.accounts.at(position).held = Amount(3);
    assert_eq!(ledger.audit().violations.len(), 2);
}

proptest! {
    /// Whatever is held, settled and released in whatever order: nothing appears, nothing vanishes, nothing is
    /// negative, and the state survives being written down.
    #[test]
    fn money_is_conserved(steps in prop::collection::vec((0u8..4, 0usize..8, 1i128..200, 0i128..3), 1..200)) {
        let mut ledger = funded();
        let mut open: Vec<(AccountId, HoldId)> = Vec::new();
        for (kind, pick, amount, fee) in steps {
            let (account, asset, other) = if pick % 2 == 0 { (ALICE, USDT, BTC) } else { (BOB, BTC, USDT) };
            match kind {
                0 => if let Ok(hold) = ledger.hold(account, asset, Amount(amount)) { open.push((account, hold)); },
                1 if !open.is_empty() => {
                    let (account, hold) = open.swap_remove(pick % open.len());
                    ledger.release(account, hold);
                }
                2 => { let _ = ledger.transfer(account, asset, Amount(amount - 100), id(&format!("t{amount}")), Timestamp(5)); }
                _ => {
                    // A trade needs a hold on each side; the counter leg uses whatever the other holds.
                    let mine = open.iter().copied().find(|&(owner, _)| owner == account);
                    let theirs = open.iter().copied().find(|&(owner, _)| owner != account);
                    if let (Some((a, x)), Some((b, y))) = (mine, theirs) {
                        let pay = ledger.held_under(x).unwrap();
                        let get = ledger.held_under(y).unwrap();
                        let fee = Amount(fee);
                        if fee <= get && fee <= pay {
                            let leg = |pay_asset, pay, receive_asset, receive| {
                                Leg { pay_asset, pay, improvement: Amount::ZERO, receive_asset, receive, fee }
                            };
                            ledger.settle(a, x, &leg(asset, pay, other, get));
                            ledger.settle(b, y, &leg(other, get, asset, pay));
                        }
                    }
                }
            }
            prop_assert_eq!(ledger.audit().violations, vec![]);
            prop_assert!(!ledger.in_transit());
        }
        ledger.drain_changes(|_, _, _| ());
        let state = ledger.state();
        prop_assert_eq!(Ledger::restore(state.clone()).unwrap().state(), state);
    }
}

#[test]
fn what_is_held_and_released_again_is_not_told() {
    let mut ledger = Ledger::new();
    let (account, asset) = (AccountId(1001), AssetId(0));
    ledger.open(account);
    let id = TransferId::new_checked("d").unwrap();
    ledger.transfer(account, asset, Amount(10), id, Timestamp(0)).unwrap();
    let told = |ledger: &mut Ledger| {
        let mut told = Vec::new();
        ledger.drain_changes(|account, asset, balance| told.push((account, asset, balance)));
        told
    };
    assert_eq!(told(&mut ledger), [(account, asset, Balance { free: Amount(10), held: Amount(0) })]);
    let hold = ledger.hold(account, asset, Amount(7)).unwrap();
    ledger.release(account, hold);
    assert_eq!(told(&mut ledger), []);
    ledger.hold(account, asset, Amount(7)).unwrap();
    assert_eq!(told(&mut ledger), [(account, asset, Balance { free: Amount(3), held: Amount(7) })]);
    let mut restored = Ledger::restore(ledger.state()).unwrap();
    restored.hold(account, asset, Amount(3)).unwrap();
    assert_eq!(told(&mut restored).len(), 1);
}

/// A slot is used last in, first out, and 2^32 times; then it is retired, and the next hold has another.
#[test]
fn a_slot_that_is_used_up_is_retired() {
    let mut ledger = funded();
    let first = ledger.hold(ALICE, USDT, Amount(1)).unwrap();
    ledger.release(ALICE, first);
    ledger.drain_changes(|_, _, _| {});
    let near = |uses: u64| HoldId(uses << 32);
    let mut ledger =
        Ledger::restore(State { holds_free: vec![near(u64::from(u32::MAX) - 2)], ..ledger.state() }).unwrap();
    for expected in [near(u64::from(u32::MAX) - 1), near(u64::from(u32::MAX)), HoldId(1 << 32 | 1), HoldId(2 << 32 | 1)]
    {
        let hold = ledger.hold(ALICE, USDT, Amount(1)).unwrap();
        assert_eq!((hold, ledger.holds()), (expected, 1));
        ledger.release(ALICE, hold);
        assert_eq!((ledger.held_under(hold), ledger.holds()), (None, 0));
        ledger.drain_changes(|_, _, _| {});
        let state = ledger.state();
        ledger = Ledger::restore(state.clone()).unwrap();
        assert_eq!(ledger.state(), state);
    }
    let state = ledger.state();
    assert_eq!(
        (&state.holds_free, &state.holds_retired),
        (&vec![HoldId(2 << 32 | 1)], &vec![near(u64::from(u32::MAX))])
    );
    // Neither is a slot free that is used up, nor retired that is not.
    let (free, retired) = (state.holds_free.clone(), state.holds_retired.clone());
    assert!(Ledger::restore(State { holds_free: retired, holds_retired: Vec::new(), ..state.clone() }).is_err());
    assert!(Ledger::restore(State { holds_free: Vec::new(), holds_retired: free, ..state }).is_err());
}

#[test]
fn a_hold_for_which_there_is_no_number_is_refused() {
    let mut ledger = funded();
    let mut last = None;
    for _ in 0..1 << 12 {
        last = Some(ledger.hold(ALICE, USDT, Amount(0)).unwrap());
    }
    let before = ledger.balance(ALICE, USDT);
    assert_eq!(ledger.hold(ALICE, USDT, Amount(1)), Err(HoldError::UsedUp));
    assert_eq!(ledger.balance(ALICE, USDT), before);
    ledger.release(ALICE, last.unwrap());
    assert!(ledger.hold(ALICE, USDT, Amount(1)).is_ok());
}
