"""Staff show again what they hid."""

import uuid

from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.moderation.models import Hiding
from marketplace.participants.models import Participant
from marketplace.participants.staff import require_staff


class ShownAlready(Exception):
    """It is not hidden any more."""


@use_case
def show_again(*, hiding_id: uuid.UUID, actor: Participant) -> Hiding:
    """End a hiding.

    Raises:
        Hiding.DoesNotExist: No such hiding.
        StaffOnly: The actor is not of staff.
        ShownAlready: It has ended.

    Locks: the hiding.
    """
    hiding = Hiding.objects.select_for_update(no_key=True).get(pk=hiding_id)
    require_staff(actor)
    if hiding.shown_at is not None:
        raise ShownAlready("this is shown again already")
    hiding.shown_at, hiding.shown_by = clock.now(), actor
    hiding.save(update_fields=["shown_at", "shown_by"])
    return hiding
