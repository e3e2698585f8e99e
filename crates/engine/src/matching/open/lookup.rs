//! Finds open orders: by number, by name, by account.

use crossbook_protocol::order::Target;
use crossbook_types::{AccountId, ClientOrderId, HoldId, OrderId};

use super::{Handle, Marks, NameHash, OpenOrders, hash_of};

impl OpenOrders {
    /// Whether an order of that number is open, whosever it is.
    pub(crate) fn has(&self, id: OrderId) -> bool {
        self.find_id(id).is_some()
    }

    /// The account's open order of that name.
    #[inline(always)]
    pub(crate) fn find(&self, account: AccountId, target: Target) -> Option<Handle> {
        let handle = match target {
            Target::Order(id) => self.find_id(id)?,
            Target::Client(name) => return self.find_client(account, name),
            Target::Both(id, name) => self.find_id(id).filter(|&handle| *self.name_at(handle) == name)?,
        };
        (self.owner(self.known_at(handle)).account == account).then_some(handle)
    }

    /// Most likely the open order of that name, whosever it is; for [`crate::prefetch`]. It reads the index alone, not
    /// the order itself.
    #[inline]
    pub(crate) fn guess(&self, account: AccountId, target: Target) -> Option<Handle> {
        match target {
            Target::Order(id) | Target::Both(id, _) => self.by_id.find(hash_of(id), |_| true).copied(),
            Target::Client(name) => {
                let hash = NameHash::of(&self.hash, account, name);
                self.by_client.find(hash.spread(), |_| true).copied()
            }
        }
    }

    /// The open order of that number, whosever it is.
    #[inline]
    pub(crate) fn handle_of(&self, id: OrderId) -> Option<Handle> {
        self.find_id(id)
    }

    #[inline]
    pub(super) fn find_id(&self, id: OrderId) -> Option<Handle> {
        self.by_id.find(hash_of(id), |&handle| self.known_at(handle).id == id).copied()
    }

    #[inline]
    pub(super) fn find_client(&self, account: AccountId, name: ClientOrderId) -> Option<Handle> {
        let applicant = self.applicant(account, name);
        self.find_named(applicant.name, applicant.trader?, name)
    }

    #[inline]
    pub(super) fn find_named(&self, hash: NameHash, trader: u32, name: ClientOrderId) -> Option<Handle> {
        let same = |&handle: &Handle| self.known_at(handle).trader == trader && *self.name_at(handle) == name;
        self.by_client.find(hash.spread(), same).copied()
    }

    /// The hold of an order, and the orders whose cache lines its removal will touch: its neighbours, its position in
    /// its account's list, and the order that moves there; for [`crate::prefetch`]. `handle` was found shortly before.
    #[inline]
    pub(crate) fn surroundings(&self, handle: Handle) -> (HoldId, [Option<Handle>; 4]) {
        let known = self.known_at(handle);
        let own = Some(self.lists.get(known.place));
        let heir = self.lists.last(&self.traders[known.trader as usize].orders);
        if !handle.is_working() {
            return (known.hold, [None, None, own, heir]);
        }
        let (previous, next) = self.working.neighbours(handle.slot());
        (known.hold, [previous.map(Handle::working), next.map(Handle::working), own, heir])
    }

    /// The number of the order at a handle.
    #[inline]
    pub(crate) fn id_at(&self, handle: Handle) -> OrderId {
        self.known_at(handle).id
    }

    /// Whether an order counts as a stop or take-profit order, and as an iceberg order.
    pub(crate) fn counts_as(&self, handle: Handle) -> (bool, bool) {
        let known = self.known_at(handle);
        (known.order_type.is_conditional(), known.marks.has(Marks::ICEBERG))
    }

    /// Whether any of an open order has traded.
    #[inline]
    pub(crate) fn has_traded(&self, handle: Handle) -> bool {
        self.known_at(handle).marks.has(Marks::TRADED)
    }

    /// An order's name, if it is found by it.
    #[inline]
    pub(crate) fn named(&self, handle: Handle) -> Option<ClientOrderId> {
        let found = self.by_client.find(self.known_at(handle).name.spread(), |&other| other == handle);
        found.map(|&handle| *self.name_at(handle))
    }

    /// The account's open orders by number, into `list`.
    pub(crate) fn of_account(&self, account: AccountId, list: &mut Vec<(OrderId, Handle)>) {
        list.clear();
        let Some(&trader) = self.trader_of.get(&account) else { return };
        let orders = self.lists.iter(&self.traders[trader as usize].orders);
        list.extend(orders.map(|handle| (self.known_at(handle).id, handle)));
        list.sort_unstable_by_key(|&(id, _)| id);
    }

    /// The first of the account's open orders from a number on, at most so many, by number. The others it looks at, and
    /// does not sort.
    pub(crate) fn first_of_account(&self, account: AccountId, from: OrderId, most: usize) -> Vec<(OrderId, Handle)> {
        let Some(&trader) = self.trader_of.get(&account) else { return Vec::new() };
        let orders = self.lists.iter(&self.traders[trader as usize].orders);
        let numbered = orders.map(|handle| (self.known_at(handle).id, handle));
        let mut first: Vec<_> = numbered.filter(|&(id, _)| id >= from).collect();
        if first.len() > most {
            first.select_nth_unstable_by_key(most, |&(id, _)| id);
            first.truncate(most);
        }
        first.sort_unstable_by_key(|&(id, _)| id);
        first
    }
}
