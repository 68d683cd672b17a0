"""Who may read a file: its uploader, and whoever may see something that it is attached to.

Packages that attach files stand above this one and say for themselves what their attachments open.
"""

from collections.abc import Callable

from django.db.models import Q, QuerySet

from marketplace.files.models import File
from marketplace.participants.models import Participant

Grant = Callable[[Participant | None], Q]

_grants: list[Grant] = []


def grants(rule: Grant) -> Grant:
    """Register which files a reader may have because of what they are attached to.

    Args:
        rule: A condition on `File` for a reader; None is a visitor without a name. Its module is
            imported when its app is ready.
    """
    if rule not in _grants:
        _grants.append(rule)
    return rule


def readable_files(reader: Participant | None) -> QuerySet[File]:
    """Return the files that *reader* may have: their own, and what is attached to what they see."""
    readable = Q(pk__in=[]) if reader is None else Q(uploader=reader)
    for rule in _grants:
        readable |= rule(reader)
    return File.objects.filter(readable)
