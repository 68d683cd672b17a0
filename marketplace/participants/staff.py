"""What staff may decide, and what not."""

from marketplace.participants.models import Participant


class StaffOnly(Exception):
    """A decision that is for staff, and never in their own cause."""


def require_staff(actor: Participant, *, about: Participant | None = None) -> None:
    """Refuse a decision to whoever is no staff, or decides about their own operator.

    Raises:
        StaffOnly: The actor may not decide this.
    """
    if not actor.is_staff:
        raise StaffOnly("only staff decide this")
    if about is not None and about.operator_key == actor.operator_key:
        raise StaffOnly("nobody decides in their own cause")
