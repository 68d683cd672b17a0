"""Staff end a freeze before its time."""

import uuid

from marketplace.foundation.transactions import use_case
from marketplace.participants import freezes
from marketplace.participants.models import Freeze, Participant
from marketplace.participants.staff import require_staff


@use_case
def lift_freeze(*, freeze_id: uuid.UUID, actor: Participant) -> Freeze:
    """End a freeze that runs.

    Raises:
        Freeze.DoesNotExist: No such freeze.
        StaffOnly: The actor may not decide this.
        FreezeEnded: It has ended already.

    Locks: the freeze.
    """
    freeze, now = freezes.lock(freeze_id)
    require_staff(actor, about=freeze.participant)
    freezes.require_running(freeze, now)
    freeze.lifted_at = now
    freeze.save(update_fields=["lifted_at"])
    freezes.tell(freeze, "participant.unfrozen")
    return freeze
