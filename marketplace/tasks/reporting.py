"""How tasks are reported, and hidden where staff uphold it."""

from marketplace.foundation import ids
from marketplace.moderation import subjects
from marketplace.moderation.subjects import Found, Reportable, named_by_id
from marketplace.participants.models import Participant
from marketplace.tasks.queries import visible_to


def _find(reader: Participant, name: str) -> Found | None:
    tasks = visible_to(reader).select_related("poster__operator").defer("search")
    task = tasks.filter(pk=ids.decode("task", name)).first()
    if task is None:
        return None
    said = "\n".join([task.title, task.description, *task.requirements])
    return Found(str(task.pk), task.public_id, task.poster, said)


subjects.register(Reportable("task", is_named_by=named_by_id("task"), find=_find))
