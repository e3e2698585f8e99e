"""What a trade must do to balances, worked out here from the rules alone, without a look at the venue's arithmetic.

Who buys receives base, who sells receives quote; each pays its fee out of what it receives, rounded up to that asset's
smallest unit. Every amount is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal, localcontext

from venue import Market

UNIT = Decimal("0.00000001")  # every asset of the suite has eight decimals


def fee(amount: Decimal, rate: Decimal) -> Decimal:
    """The fee on `amount`, rounded up to the smallest unit."""
    with localcontext() as context:
        context.prec = 60
        return (amount * rate).quantize(UNIT, rounding=ROUND_CEILING)


@dataclass
class Ledger:
    """One account's balances as they must be: free and held of the base and the quote of one market."""

    market: Market
    free: dict[str, Decimal] = field(default_factory=dict)
    held: dict[str, Decimal] = field(default_factory=dict)
    fees: dict[str, Decimal] = field(default_factory=dict)

    def __post_init__(self):
        for asset in (self.market.base, self.market.quote):
            for column in (self.free, self.held, self.fees):
                column.setdefault(asset, Decimal(0))

    @property
    def total(self) -> dict[str, tuple[Decimal, Decimal]]:
        return {asset: (self.free[asset], self.held[asset]) for asset in self.free}

    def deposit(self, asset: str, amount) -> None:
        self.free[asset] += Decimal(amount)

    def hold(self, side: str, quantity, price) -> None:
        asset, amount = self._given(side, Decimal(quantity), Decimal(price))
        self.free[asset] -= amount
        self.held[asset] += amount

    def release(self, side: str, quantity, price) -> None:
        asset, amount = self._given(side, Decimal(quantity), Decimal(price))
        self.held[asset] -= amount
        self.free[asset] += amount

    def trade(self, side: str, quantity, price, *, maker: bool = False, from_hold: bool = False) -> Decimal:
        """A fill; gives its fee."""
        quantity, price = Decimal(quantity), Decimal(price)
        asset, amount = self._given(side, quantity, price)
        (self.held if from_hold else self.free)[asset] -= amount
        received = quantity if side == "BUY" else quantity * price
        into = self.market.base if side == "BUY" else self.market.quote
        charged = fee(received, self.market.maker_fee if maker else self.market.taker_fee)
        self.free[into] += received - charged
        self.fees[into] += charged
        return charged

    def _given(self, side: str, quantity: Decimal, price: Decimal) -> tuple[str, Decimal]:
        return (self.market.quote, quantity * price) if side == "BUY" else (self.market.base, quantity)
