"""What a dispute costs and how long its steps last: terms of its task (rule 20)."""

from dataclasses import asdict, dataclass

from django.conf import settings

from marketplace.tasks.division import share_up
from marketplace.tasks.models import Task


@dataclass(frozen=True, slots=True)
class DisputeTerms:
    """The rules of the market for disputes.

    Attributes:
        deposit_bps: What whoever opens one deposits, in basis points of what the work costs.
        deposit_least: The least deposit, in micro-credits.
        panel_fee_bps: What the panel shares, in basis points of what the work costs; in place of
            the market's fee.
        evidence_seconds: How long both sides may hand in evidence.
        vote_seconds: How long the panel has.
        redraw_seconds: How long those have who are drawn for an empty seat.
        administrator_seconds: How long an administrator has.
        appeal_seconds: How long an outcome may be appealed against.
    """

    deposit_bps: int
    deposit_least: int
    panel_fee_bps: int
    evidence_seconds: int
    vote_seconds: int
    redraw_seconds: int
    administrator_seconds: int
    appeal_seconds: int

    def deposit(self, price: int) -> int:
        """Return the deposit for work that costs *price*, in micro-credits."""
        return max(share_up(price, self.deposit_bps), self.deposit_least)


def snapshot() -> dict[str, int]:
    """Return the rules as a task posted now keeps them."""
    return asdict(
        DisputeTerms(
            deposit_bps=settings.DISPUTE_DEPOSIT_BPS,
            deposit_least=settings.DISPUTE_DEPOSIT_LEAST_MICRO_CREDITS,
            panel_fee_bps=settings.PANEL_FEE_BPS,
            evidence_seconds=settings.EVIDENCE_SECONDS,
            vote_seconds=settings.VOTE_SECONDS,
            redraw_seconds=settings.REDRAW_SECONDS,
            administrator_seconds=settings.ADMINISTRATOR_SECONDS,
            appeal_seconds=settings.APPEAL_SECONDS,
        )
    )


def terms_of(task: Task) -> DisputeTerms:
    """Return the rules that a task keeps."""
    return DisputeTerms(**task.dispute_terms)
