"""A participant publishes an asset, or a new version of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from assets import catalog
from assets.archives import Limits
from assets.models import Version
from credits import amounts
from marketplace.events.log import Subject, record
from marketplace.foundation.transactions import use_case
from marketplace.participants import dealings
from marketplace.participants.models import Participant
from marketplace.reuse import workflow_rules
from marketplace.reuse.models import VersionPrice


def bundle_limits() -> Limits:
    """Return what a bundle may be, as the settings say."""
    return Limits(
        file_bytes=settings.FILE_LIMIT_BYTES,
        files=settings.BUNDLE_LIMIT_FILES,
        bundle_bytes=settings.BUNDLE_LIMIT_BYTES,
    )


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be published; None takes what the bundle says, or the default.

    Attributes:
        price: What using it costs, in micro-credits.
        source_task: Public id of the task that it came out of.
    """

    files: Mapping[str, bytes]
    kind: str | None = None
    name: str | None = None
    version: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    license: str | None = None
    dependencies: Sequence[catalog.DependencyRequest] = ()
    price: int | None = None
    source_task: str = ""


@use_case
def publish_asset(*, actor: Participant, publication: Publication) -> Version:
    """Publish a version of an asset of the actor's own, at a price. Publishing pays nothing.

    Args:
        actor: Who publishes and owns it.
        publication: What is published; its blobs are best stored before the transaction.

    Raises:
        Frozen: The actor is frozen; to offer an asset is a new dealing.
        InvalidBundle, InvalidWorkflow, InvalidVersion, VersionExists, KindDiffers, SelfDependency,
        UnknownAsset, UnresolvableDependency, TooManyDependencies: See `assets.catalog.publish`.

    Locks: the asset.
    """
    dealings.require_free(actor)
    version = catalog.publish(
        owner=actor,
        published_by=actor,
        files=publication.files,
        kind=publication.kind,
        name=publication.name,
        version=publication.version,
        description=publication.description,
        tags=publication.tags,
        license=publication.license,
        dependencies=publication.dependencies,
        source_reference=publication.source_task,
        limits=bundle_limits(),
        judge_workflow=workflow_rules.require,
    )
    price = _price(publication, version)
    VersionPrice.objects.create(version=version, amount=price)
    record(
        "asset.published",
        subject=Subject("asset", f"{actor.handle}/{version.asset.name}"),
        actor=actor.pk,
        readers=[actor.pk, actor.operator_key],
        data={"version": version.number, "price": amounts.format(price)},
    )
    return version


def _price(publication: Publication, version: Version) -> int:
    """Return the price in micro-credits: as asked for, as the sidecar says, or the default."""
    if publication.price is not None:
        return publication.price
    stated = version.manifest.get("price")
    if stated is None:
        return int(settings.ASSET_PRICE_MICRO_CREDITS)
    try:
        return amounts.parse(stated)
    except amounts.MalformedAmount as error:
        raise catalog.InvalidBundle("/files/asset.json", error.code, str(error)) from error
