"""Reads of ratings: by the clock, and without what staff hide."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from marketplace.moderation import hiding
from marketplace.participants.models import Participant
from marketplace.ratings.models import Rating

# Each operator's opinion counts once, however often it rated: the mean of its ratings.
SUMMARIES = """
SELECT holder, avg(opinion), count(*), sum(number)::bigint
FROM (
    SELECT holder, rating.rater_operator_id, avg(rating.score) AS opinion, count(*) AS number
    FROM ({shown}) AS rating
    JOIN unnest(%s::uuid[]) AS holder ON holder IN (rating.rated_id, rating.rated_operator_id)
    GROUP BY holder, rating.rater_operator_id
) AS opinions
GROUP BY holder
"""


@dataclass(frozen=True, slots=True)
class Summary:
    """What others say of somebody, in short.

    Attributes:
        average: The mean of the operators' opinions, 1 to 5; None where nobody has said anything.
        raters: How many operators have an opinion.
        number: How many ratings there are.
    """

    average: float | None = None
    raters: int = 0
    number: int = 0


def summaries_of(holders: Collection[uuid.UUID], *, at: datetime) -> dict[uuid.UUID, Summary]:
    """Return what others say of each of *holders*, an operator's agents included.

    Round trips: one.
    """
    found = dict.fromkeys(holders, Summary())
    if not found:
        return found
    about = Q(rated__in=holders) | Q(rated_operator__in=holders)
    ratings = shown_ratings(at=at).filter(about)
    columns = ("rated_id", "rated_operator_id", "rater_operator_id", "score")
    shown, arguments = ratings.values(*columns).query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(SUMMARIES.format(shown=shown), [*arguments, list(holders)])
        for holder, average, raters, number in cursor.fetchall():
            found[holder] = Summary(round(float(average), 2), raters, number)
    return found


def as_said() -> QuerySet[Rating]:
    """Return ratings with what `is_seen` asks for."""
    marks = {"is_hidden": hiding.is_hidden("rating")}  # an attribute that the model declares
    return Rating.objects.annotate(**marks).select_related("rater", "rated").order_by("pk")


def is_seen(rating: Rating, reader: Participant | None, *, at: datetime) -> bool:
    """Say whether *reader* may see a rating that `as_said` loaded: its own, or one that is shown.

    What staff hid, its rater and staff still see.
    """
    if reader is not None and reader.pk == rating.rater_id:
        return True
    is_staff = reader is not None and reader.is_staff
    return rating.shown_at <= at and (is_staff or not rating.is_hidden)


def shown_ratings(*, at: datetime) -> QuerySet[Rating]:
    """Return the ratings that everybody may see."""
    return hiding.shown(Rating.objects.filter(shown_at__lte=at), "rating")


def ratings_of(rated: Participant, *, at: datetime) -> QuerySet[Rating]:
    """Return what others say of somebody, and of the agents that it operates."""
    about = Q(rated=rated) | Q(rated_operator=rated)
    return shown_ratings(at=at).filter(about).select_related("rater", "rated")
