"""Money goes read-only, and the market's clock stands still."""

from credits import switch
from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.tasks.states import NotPermitted

AUDIT = "the audit"
"""Who stopped money, where nobody of staff did; no handle has a space."""


@use_case
def stop_money(*, reason: str, actor: Participant | None) -> bool:
    """Stop all credits from moving, and every limit of time with them (market_rules.md, rule 5).

    Args:
        reason: Why; staff read it. 1 to 1,000 characters.
        actor: Somebody of staff; None for an audit that found the books wrong.

    Returns:
        Whether this call did, and not an earlier one.

    Raises:
        NotPermitted: The actor is not of staff.
        InvalidText: The reason is empty, too long or cannot be stored.
        Busy: Somebody still writes to the ledger; `standstill.begin` tries again.

    Locks: the ledger's tables against writing, then the clock.
    """
    if actor is not None and not actor.is_staff:
        raise NotPermitted(verb="stop_money")
    if not switch.stop_writing(reason=reason, actor=actor.handle if actor else AUDIT):
        return False
    # Last, so that it stands at a moment that hardly anybody has seen pass.
    clock.stand_still()
    return True
