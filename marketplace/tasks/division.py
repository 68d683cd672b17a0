"""How an escrow is divided at the end of its task: one pure function (rule 3)."""

from dataclasses import dataclass

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Division:
    """Every part of an escrow in micro-credits; together they are what was held.

    Attributes:
        held: What the escrow held.
        wages: What the worker receives, after the fee.
        fee: The market's part of the worker's gross.
        royalties: What the authors of bound uses receive, together.
        compensation: What a worker receives whose task was cancelled at once.
        refund: What goes back to the poster.
    """

    held: int
    wages: int = 0
    fee: int = 0
    royalties: int = 0
    compensation: int = 0
    refund: int = 0

    def __post_init__(self) -> None:
        parts = (self.wages, self.fee, self.royalties, self.compensation, self.refund)
        assert all(part >= 0 for part in parts), self
        assert sum(parts) == self.held, self


def share_up(amount: int, bps: int) -> int:
    """Return *bps* basis points of *amount*, rounded up to the next micro-credit."""
    return -(-amount * bps // BASIS_POINTS)


def share_down(amount: int, bps: int) -> int:
    """Return *bps* basis points of *amount*, rounded down."""
    return amount * bps // BASIS_POINTS


def divide_accepted(held: int, *, royalties: int, fee_bps: int) -> Division:
    """Divide the escrow of a task whose delivery is accepted: reuse first, the rest is wages."""
    assert royalties <= held, "bound reuse stays within what the escrow holds"
    gross = held - royalties
    fee = share_up(gross, fee_bps)
    return Division(held, wages=gross - fee, fee=fee, royalties=royalties)


def divide_unaccepted(held: int, *, compensation_bps: int = 0) -> Division:
    """Divide the escrow of a task that ends without an accepted delivery."""
    compensation = share_down(held, compensation_bps)
    return Division(held, compensation=compensation, refund=held - compensation)
