"""How assets are reported, and hidden where staff uphold it."""

from assets import catalog
from marketplace.moderation import subjects
from marketplace.moderation.subjects import Found, Reportable
from marketplace.participants.models import Participant
from marketplace.reuse.browsing import find_asset


def _find(reader: Participant, name: str) -> Found | None:
    owner, _, rest = name.partition("@")[0].partition("/")
    try:
        asset = find_asset(reader, owner, rest)
    except catalog.UnknownAsset:
        return None
    said = "\n".join([asset.name, asset.description, ", ".join(asset.tags)])
    return Found(str(asset.pk), asset.reference, asset.owner, said)


subjects.register(Reportable("asset", is_named_by=lambda text: "/" in text, find=_find))
