"""What using a version costs its user, and how that is split among the authors of its lock."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Q

from assets import graph, royalties
from assets.models import Version
from marketplace.participants.models import Participant
from marketplace.reuse.models import Use, VersionPrice


@dataclass(frozen=True, slots=True)
class Royalty:
    """One author's part of a use: the version that earns it, its owner, and micro-credits."""

    version_id: int
    author: Participant
    amount: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a use costs one operator: the price, and the parts that somebody else earns of it."""

    price: int
    royalties: tuple[Royalty, ...]

    @property
    def due(self) -> int:
        """Return what the user pays: nothing moves between accounts of one operator (rule 23)."""
        return sum(royalty.amount for royalty in self.royalties)


def price_of(version: Version) -> int:
    """Return the price of a version in micro-credits. Round trips: one."""
    row = VersionPrice.objects.filter(pk=version.pk).values_list("amount", flat=True).first()
    return row or 0


def prices_of(version_ids: Iterable[int]) -> Mapping[int, int]:
    """Return the prices of many versions in micro-credits. Round trips: one."""
    found = VersionPrice.objects.filter(pk__in=list(version_ids))
    return dict(found.values_list("version_id", "amount"))


def cost_for(operator: uuid.UUID, version: Version) -> Cost:
    """Return what using *version* costs an operator, split among the authors of its lock.

    An owner pays nothing for their own asset, whatever it is built on.
    """
    price = price_of(version)
    if price == 0 or version.asset.owner.operator_key == operator:
        return Cost(price, ())
    shares = graph.shares_of(version)
    parts = royalties.split(price, shares)
    owners = Participant.objects.select_related("operator").in_bulk(
        {node.owner_id for node in shares.nodes}
    )
    owner_of = {node.version_id: owners[node.owner_id] for node in shares.nodes}
    return Cost(
        price,
        tuple(
            Royalty(version_id, owner_of[version_id], amount)
            for version_id, amount in parts.items()
            if amount and owner_of[version_id].operator_key != operator
        ),
    )


class FilesNotUsed(Exception):
    """Files of a priced version are for its owner and for those who use it (rule 21).

    Attributes:
        price: What a use costs, in micro-credits.
    """

    def __init__(self, *, price: int) -> None:
        super().__init__("the files of a priced version are for those who use it")
        self.price = price


def require_files(reader: Participant | None, version: Version) -> None:
    """Check that *reader* may have a version's files.

    Free versions are open to everybody, priced ones to their owner and to holders of a lock that
    contains them.

    Raises:
        FilesNotUsed: The reader has not used it, nor anything that rests on it.
    """
    price = price_of(version)
    if price == 0:
        return
    if reader is not None:
        if version.asset.owner.operator_key == reader.operator_key:
            return
        locked = Q(version=version) | Q(version__closure__member=version)
        if Use.objects.filter(locked, operator_id=reader.operator_key).exists():
            return
    raise FilesNotUsed(price=price)
