"""An owner withdraws a version from new resolutions."""

from assets import catalog
from assets.models import Version
from marketplace.events.log import Subject, record
from marketplace.foundation.transactions import use_case
from marketplace.participants.models import Participant


class NotTheOwner(Exception):
    """Only the owner of an asset, or the owner's operator, does this."""


@use_case
def yank_version(*, actor: Participant, owner: str, name: str, number: str, reason: str) -> Version:
    """Yank a version: locks that hold it keep it, new resolutions avoid it.

    Raises:
        UnknownAsset, UnknownVersion: No such thing.
        NotTheOwner: It is somebody else's.
        YankedAlready: A version is yanked once.
    """
    version = catalog.find_version(owner, name, number)
    if actor.pk not in (version.asset.owner.pk, version.asset.owner.operator_id):
        raise NotTheOwner
    yanked = catalog.yank(version, reason=reason)
    record(
        "asset.yanked",
        subject=Subject("asset", f"{owner}/{name}"),
        actor=actor.pk,
        readers=[actor.pk, actor.operator_key],
        data={"version": number, "reason": reason},
    )
    return yanked
