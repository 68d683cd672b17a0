"""What staff keep from sight: a row beside the subject, which stays as it is.

So what was said stays provable, a mistake can be taken back, and texts that never change need no
exception. Who may see a subject asks here; see `subjects` for what can be hidden.
"""

from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

from django.db.models import CharField, Exists, Model, OuterRef, QuerySet
from django.db.models.functions import Cast

from marketplace.moderation.models import Hiding
from marketplace.participants.models import Participant

M = TypeVar("M", bound=Model)


class HiddenAlready(Exception):
    """Staff hid this before."""


def is_hidden(subject_type: str, pk: str = "pk") -> Exists:
    """Return, inside a query, whether staff hide the row; *pk* is where its key stands."""
    key = Cast(OuterRef(pk), CharField())
    return Exists(Hiding.objects.filter(subject_type=subject_type, subject_key=key, shown_at=None))


def shown(rows: QuerySet[M], subject_type: str) -> QuerySet[M]:
    """Return the rows that staff do not hide."""
    return rows.filter(~is_hidden(subject_type))


def hidings_of(subject_type: str, keys: Collection[object]) -> dict[str, Hiding]:
    """Return, by key, what hides some of these subjects now. Round trips: one, or none."""
    if not keys:
        return {}
    found = Hiding.objects.filter(
        subject_type=subject_type, subject_key__in=[str(key) for key in keys], shown_at=None
    )
    return {hiding.subject_key: hiding for hiding in found}


def hide(
    subject_type: str, key: str, name: str, *, actor: Participant, reason: str, at: datetime
) -> None:
    """Keep a subject from sight from now on.

    Raises:
        HiddenAlready: It is.

    Transaction: the caller's; of two at once one gets the row.
    """
    _, is_new = Hiding.objects.get_or_create(
        subject_type=subject_type,
        subject_key=key,
        shown_at=None,
        defaults={
            "subject_name": name,
            "reason": reason,
            "hidden_by": actor,
            "hidden_at": at,
        },
    )
    if not is_new:
        raise HiddenAlready("this is hidden already")
