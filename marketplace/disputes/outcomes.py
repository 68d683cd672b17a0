"""What votes, or the checks in their place, come to: pure functions (rule 20)."""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from marketplace.delivery.models import CheckRun, Verdict
from marketplace.delivery.verification.checks import EXACT
from marketplace.tasks.division import BASIS_POINTS

# A check whose poster said what passes it: the expected answer is a reference that everybody can
# hold it to. A schema has none, and what a model or a service on the net says is no proof.
PROVEN_TYPES = frozenset({EXACT})


def median(shares: Sequence[int]) -> int:
    """Return the middle one of an odd number of shares: no single vote moves it far."""
    assert len(shares) % 2 == 1, "a panel has an odd number of seats, all of which voted"
    return sorted(shares)[len(shares) // 2]


def most_picked(picks: Iterable[uuid.UUID], entries: Sequence[uuid.UUID]) -> uuid.UUID | None:
    """Return the entry with most votes, the earliest on a tie; None where nobody voted.

    Args:
        picks: The entry of each vote.
        entries: Those that may win, the earliest first.
    """
    votes = Counter(picks)
    if not votes:
        return None
    return max(entries, key=lambda entry: (votes[entry], -entries.index(entry)))


def default_share(required: Collection[CheckRun]) -> int:
    """Return the worker's share, in basis points, where nobody decided.

    All required checks that were proven against a reference passed: the worker. One of them
    failed: the poster. None decides: half each. A check that could not run counts for nobody.
    """
    proven = [run for run in required if run.type in PROVEN_TYPES]
    if any(run.state == Verdict.FAILED for run in proven):
        return 0
    if proven and all(run.state == Verdict.PASSED for run in proven):
        return BASIS_POINTS
    return BASIS_POINTS // 2
