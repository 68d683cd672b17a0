"""How an escrow is divided at the end of its task: one pure function (rule 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Payment:
    """One worker's part: the gross, and the market's fee out of it, in micro-credits."""

    gross: int
    fee: int

    @property
    def net(self) -> int:
        """Return what the worker receives."""
        return self.gross - self.fee


@dataclass(frozen=True, slots=True)
class Division:
    """Every part of an escrow in micro-credits; together they are what was held.

    Attributes:
        held: What the escrow held.
        payments: Each worker's part, in the order of the workers.
        royalties: What the authors of bound uses receive, together.
        compensation: What a worker receives whose task was cancelled at once.
        panel: What the panel of a dispute receives, together.
        refund: What goes back to the poster.
    """

    held: int
    payments: tuple[Payment, ...] = ()
    royalties: int = 0
    compensation: int = 0
    panel: int = 0
    refund: int = 0

    def __post_init__(self) -> None:
        parts = (self.wages, self.fee, self.royalties, self.compensation, self.panel, self.refund)
        assert all(part >= 0 for part in parts), self
        assert all(0 <= payment.fee <= payment.gross for payment in self.payments), self
        assert sum(parts) == self.held, self

    @property
    def wages(self) -> int:
        """Return what the workers receive together, after the fee."""
        return sum(payment.net for payment in self.payments)

    @property
    def fee(self) -> int:
        """Return the market's part of the workers' gross."""
        return sum(payment.fee for payment in self.payments)


def share_up(amount: int, bps: int) -> int:
    """Return *bps* basis points of *amount*, rounded up to the next micro-credit."""
    return -(-amount * bps // BASIS_POINTS)


def share_down(amount: int, bps: int) -> int:
    """Return *bps* basis points of *amount*, rounded down."""
    return amount * bps // BASIS_POINTS


def equal_parts(amount: int, number: int) -> list[int]:
    """Divide *amount* into equal parts; what is left over goes, one each, to the first."""
    part, rest = divmod(amount, number) if number else (0, 0)
    return [part + (place < rest) for place in range(number)]


def divide(
    held: int,
    *,
    grosses: Sequence[int] = (),
    fee_bps: int = 0,
    royalties: int = 0,
    compensation: int = 0,
    panel: int = 0,
) -> Division:
    """Divide an escrow: what is not somebody's part goes back to the poster.

    Args:
        held: What the escrow holds.
        grosses: What each worker earns before the fee; a worker who earns nothing is none.
        fee_bps: The market's fee out of each gross, rounded up.
        royalties: What the authors of bound uses receive, together.
        compensation: What a worker receives whose task was cancelled at once.
        panel: What the panel of a dispute receives, together.
    """
    payments = tuple(Payment(gross, share_up(gross, fee_bps)) for gross in grosses if gross)
    refund = held - sum(grosses) - royalties - compensation - panel
    return Division(held, payments, royalties, compensation, panel, refund)


def divide_accepted(
    held: int, *, royalties: int, fee_bps: int, price: int | None = None
) -> Division:
    """Divide the escrow of a task whose delivery is accepted: reuse first, the rest is wages.

    Where a bid was selected, its *price* is divided and the rest is refunded.
    """
    price = held if price is None else price
    assert royalties <= price, "bound reuse stays within what the work costs"
    return divide(held, grosses=[price - royalties], fee_bps=fee_bps, royalties=royalties)


def divide_unaccepted(
    held: int, *, compensation_bps: int = 0, price: int | None = None
) -> Division:
    """Divide the escrow of a task that ends without an accepted delivery."""
    price = held if price is None else price
    return divide(held, compensation=share_down(price, compensation_bps))


def divide_contest(
    held: int, *, fee_bps: int, runner_up_bps: int, has_runner_up: bool, panel: int = 0
) -> Division:
    """Divide the escrow of a contest between its winner and its runner-up.

    Without a second the winner has all of it: a poster who names none gains nothing by that.
    """
    left = held - panel
    second = share_down(left, runner_up_bps) if has_runner_up else 0
    return divide(held, grosses=[left - second, second], fee_bps=fee_bps, panel=panel)


def divide_equally(held: int, *, fee_bps: int, workers: int) -> Division:
    """Divide the escrow of a contest among all who passed, the remainder to the first."""
    share, rest = divmod(held, workers)
    return divide(held, grosses=[share + rest, *[share] * (workers - 1)], fee_bps=fee_bps)


def divide_judged(
    held: int,
    *,
    price: int,
    royalties: int,
    worker_share_bps: int,
    panel_bps: int,
    fee_bps: int,
) -> Division:
    """Divide the escrow of a dispute as it was judged (rule 20).

    The panel's part comes first, in place of the market's fee. The worker has a share of what is
    left, and pays out of it what is owed for reuse, at most all of it.

    Args:
        held: What the escrow holds.
        price: What the work costs: as much, or a selected bid's amount.
        royalties: What the claim owes for bound uses.
        worker_share_bps: The worker's share.
        panel_bps: The panel's part of the price, rounded up; 0 where no panel is paid.
        fee_bps: The market's fee; 0 where a panel is paid.
    """
    panel = share_up(price, panel_bps)
    part = share_down(price - panel, worker_share_bps)
    paid = min(royalties, part)
    return divide(held, grosses=[part - paid], fee_bps=fee_bps, royalties=paid, panel=panel)
