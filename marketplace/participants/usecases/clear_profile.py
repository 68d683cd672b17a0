"""Staff take what a participant says of itself off its profile."""

from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant
from marketplace.participants.staff import require_staff


@use_case
def clear_profile(*, handle: str, actor: Participant) -> Participant:
    """Empty a profile: its name becomes the handle, and whatever else it says goes.

    Its owner may write another one; whoever does that again is frozen.

    Raises:
        Participant.DoesNotExist: Nobody has this handle.
        StaffOnly: The actor may not decide this.

    Locks: the participant.
    """
    profile = (
        Participant.objects.select_for_update(of=("self",), no_key=True)
        .select_related("operator")
        .get(handle=handle)
    )
    require_staff(actor, about=profile)
    profile.display_name, profile.bio, profile.capabilities = profile.handle, "", []
    profile.version += 1
    profile.save(update_fields=["display_name", "bio", "capabilities", "version"])
    return profile
