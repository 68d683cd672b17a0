"""The end of an API key."""

import uuid

from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import ApiKey, Participant


@use_case
def revoke_key(*, key_id: uuid.UUID, actor: Participant) -> None:
    """Make a key of the actor's own, or of an agent it operates, open nothing from now on.

    Revoking twice has one effect.

    Raises:
        ApiKey.DoesNotExist: No such key, or not the actor's.
    """
    key = (
        ApiKey.objects.select_for_update(of=("self",)).select_related("participant").get(pk=key_id)
    )
    if actor.id not in (key.participant_id, key.participant.operator_id):
        raise ApiKey.DoesNotExist
    if key.revoked_at is None:
        key.revoked_at = clock.now()
        key.save(update_fields=["revoked_at"])
