"""How often an author's assets were used by others: a part of an author's standing."""

import uuid
from collections.abc import Sequence

from django.db.models import Count

from marketplace.reuse.models import Earning


def reuse_counts(authors: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    """Return how many paid uses reached each author, also by dependencies. Round trips: one."""
    rows = (
        Earning.objects.filter(author__in=authors, due_at__isnull=False)
        .values_list("author_id")
        .annotate(uses=Count("use", distinct=True))
    )
    return dict(rows)
