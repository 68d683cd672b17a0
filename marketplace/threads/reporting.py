"""How messages are reported, and what staff do about them: the body goes, a tombstone stays."""

from marketplace.foundation import ids
from marketplace.moderation import hiding, subjects
from marketplace.moderation.subjects import Found, Reportable, named_by_id
from marketplace.participants.models import Participant
from marketplace.threads.queries import visible_to


def _find(reader: Participant, name: str) -> Found | None:
    message = (
        hiding.shown(visible_to(reader), "message")
        .select_related("author__operator")
        .filter(pk=ids.decode("message", name))
        .first()
    )
    if message is None:
        return None
    return Found(str(message.pk), message.public_id, message.author, message.body)


subjects.register(Reportable("message", is_named_by=named_by_id("message"), find=_find))
