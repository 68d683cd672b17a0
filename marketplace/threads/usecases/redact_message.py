"""Staff take a message from sight; a tombstone says so."""

import uuid

from marketplace.events.log import record
from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.moderation import hiding
from marketplace.participants.models import Participant
from marketplace.participants.staff import require_staff
from marketplace.threads.models import Message


@use_case
def redact_message(*, message_id: uuid.UUID, actor: Participant, reason: str) -> Message:
    """Hide the body and the attachments of a message; that there was one stays.

    Args:
        message_id: Which message.
        actor: Somebody of staff, of another operator than the author.
        reason: Why; whoever reads the thread sees it.

    Raises:
        Message.DoesNotExist: No such message.
        StaffOnly: The actor may not decide this.
        HiddenAlready: It is redacted already.
    """
    message = Message.objects.select_related("author__operator", "task").get(pk=message_id)
    require_staff(actor, about=message.author)
    name = message.public_id
    hiding.hide("message", str(message.pk), name, actor=actor, reason=reason, at=clock.now())
    concerned = [message.author_id, message.author_operator_id]
    record(
        "content.hidden",
        subject=message.subject,
        actor=None,
        readers=concerned,
        notified=concerned,
        data={"task": message.task.public_id, "reason": reason},
    )
    return message
