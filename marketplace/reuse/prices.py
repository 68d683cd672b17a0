"""What using a version costs its user, and how that is split among the authors of its lock."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Q

from assets import graph, royalties
from assets.models import Version
from marketplace.participants.models import Participant
from marketplace.reuse.models import Use, UseState, VersionPrice


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


def cost_for(operator: uuid.UUID, version: Version, *, paid: int = 0) -> Cost:
    """Return what using *version* costs an operator, split among the authors of its lock.

    An owner pays nothing for their own asset, whatever it is built on.

    Args:
        operator: Who pays.
        version: What is used.
        paid: What the operator paid for the same asset on the same occasion, in micro-credits.
    """
    price = max(price_of(version) - paid, 0)
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

    Free versions are open to everybody, priced ones to their owner and to those who paid, or owe,
    their price: for the version itself, or for one whose lock contains it and that is no cheaper.
    So a cheap wrapper around an expensive version does not open it.

    Raises:
        FilesNotUsed: The reader is none of these.

    Source: docs/decisions/0014-what-a-use-opens.md
    """
    price = price_of(version)
    if price == 0:
        return
    if reader is not None:
        if version.asset.owner.operator_key == reader.operator_key:
            return
        opens = Q(version=version) | Q(
            version__closure__member=version, version__versionprice__amount__gte=price
        )
        # A free use beside a paid one of the same occasion was paid for by that.
        paid_for = Q(state__in=[UseState.PAID, UseState.BOUND]) | Q(
            state=UseState.FREE, version=version
        )
        if Use.objects.filter(opens, paid_for, operator_id=reader.operator_key).exists():
            return
    raise FilesNotUsed(price=price)
