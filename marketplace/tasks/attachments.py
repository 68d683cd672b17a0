"""What the attachments of a task open: whoever sees the task may read them."""

from django.db.models import Exists, OuterRef, Q

from marketplace.files import reading
from marketplace.participants.models import Participant
from marketplace.tasks.models import TaskAttachment
from marketplace.tasks.queries import visible_to


@reading.grants
def attached_to_tasks(reader: Participant | None) -> Q:
    """Return the condition for files that explain a task which *reader* may see."""
    tasks = visible_to(reader).values("pk")
    return Q(Exists(TaskAttachment.objects.filter(file=OuterRef("pk"), task__in=tasks)))
