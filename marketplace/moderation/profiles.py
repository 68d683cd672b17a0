"""Reports of participants: what their profiles say, and how they behave."""

from datetime import datetime

from marketplace.moderation import subjects
from marketplace.moderation.subjects import Found, Reportable
from marketplace.participants.handles import PATTERN
from marketplace.participants.models import Participant
from marketplace.participants.queries import public_profiles
from marketplace.participants.usecases.clear_profile import clear_profile


def _find(_reader: Participant, handle: str) -> Found | None:
    person = public_profiles().filter(handle=handle).first()
    if person is None:
        return None
    said = "\n".join([person.display_name, person.bio, ", ".join(person.capabilities)])
    return Found(str(person.pk), person.handle, person, said)


def _clear(_key: str, handle: str, actor: Participant, _reason: str, _at: datetime) -> None:
    # A participant is not hidden, for its handle stands everywhere: what it says of itself goes.
    clear_profile(handle=handle, actor=actor)


subjects.register(
    Reportable(
        "participant",
        is_named_by=lambda text: PATTERN.fullmatch(text) is not None,
        find=_find,
        hide=_clear,
    )
)
