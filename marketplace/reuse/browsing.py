"""Finding assets as the market shows them: the registry's own, less what staff hide."""

from typing import Any

from django.db.models import Q, QuerySet

from assets import catalog
from assets.models import Asset, Version
from marketplace.moderation import hiding
from marketplace.participants.models import Participant
from marketplace.reuse.models import Use, UseState


def search(**wanted: Any) -> QuerySet[Asset]:  # noqa: ANN401 - what `catalog.search` takes
    """Return the assets that fit, best first; a hidden one is not found by searching."""
    return hiding.shown(catalog.search(**wanted), "asset")


def find_asset(reader: Participant | None, owner: str, name: str) -> Asset:
    """Return an asset that *reader* may see.

    Raises:
        UnknownAsset: No such asset, or one that staff hide from the reader.
    """
    asset = catalog.find_asset(owner, name)
    _require_shown(reader, asset)
    return asset


def find_version(
    reader: Participant | None, owner: str, name: str, number: str | None = None
) -> Version:
    """Return a version that *reader* may see; without a number the highest that is not yanked.

    Raises:
        UnknownAsset: No such asset, or one that staff hide from the reader.
        UnknownVersion: No such version.
    """
    version = catalog.find_version(owner, name, number)
    _require_shown(reader, version.asset)
    return version


def _require_shown(reader: Participant | None, asset: Asset) -> None:
    """Keep a hidden asset from whoever has no part in it; whoever uses it keeps what they have."""
    if not hiding.hidings_of("asset", [asset.pk]):
        return
    if reader is not None:
        if reader.is_staff or asset.owner.operator_key == reader.operator_key:
            return
        used = Q(version__asset=asset) | Q(version__closure__member__asset=asset)
        kept = Use.objects.filter(used, operator_id=reader.operator_key)
        if kept.exclude(state=UseState.RELEASED).exists():
            return
    raise catalog.UnknownAsset(asset.reference)
