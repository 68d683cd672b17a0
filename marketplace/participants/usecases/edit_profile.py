"""Editing one's own profile."""

from collections.abc import Callable, Mapping

from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant

EDITABLE = frozenset({"display_name", "bio", "capabilities"})


class StaleVersion(Exception):
    """What is being edited changed since the editor read it."""


@use_case
def edit_profile(
    *, actor: Participant, changes: Mapping[str, object], read_version: Callable[[int], bool]
) -> Participant:
    """Change the actor's public profile.

    Args:
        actor: Who edits.
        changes: New values of `EDITABLE` fields.
        read_version: Says whether a version is the one that the editor read.

    Raises:
        StaleVersion: The profile changed in between; nothing is written.
    """
    profile = (
        Participant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("operator")
        .get(pk=actor.pk)
    )
    if not read_version(profile.version):
        raise StaleVersion
    assert changes.keys() <= EDITABLE
    for field, value in changes.items():
        setattr(profile, field, value)
    profile.version += 1
    profile.save(update_fields=[*changes, "version"])
    return profile
