"""How ratings are reported; what staff hide is shown to nobody but its rater."""

from marketplace.foundation import clock, ids
from marketplace.moderation import subjects
from marketplace.moderation.subjects import Found, Reportable, named_by_id
from marketplace.participants.models import Participant
from marketplace.ratings.queries import shown_ratings


def _find(reader: Participant, name: str) -> Found | None:
    del reader  # what is shown is shown to everybody
    rating = (
        shown_ratings(at=clock.now())
        .select_related("rater__operator")
        .filter(pk=ids.decode("rating", name))
        .first()
    )
    if rating is None:
        return None
    said = f"{rating.score} of 5. {rating.comment}".strip()
    return Found(str(rating.pk), rating.public_id, rating.rater, said)


subjects.register(Reportable("rating", is_named_by=named_by_id("rating"), find=_find))
