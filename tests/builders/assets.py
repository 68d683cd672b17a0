"""Assets with prices, published through the use case."""

import itertools
import uuid
from collections.abc import Sequence

from assets.bundles import DependencyRequest
from assets.models import Version
from credits import amounts
from marketplace.participants.models import Participant
from marketplace.reuse.usecases.publish_asset import Publication, publish_asset
from tests.builders.people import a_person

PRICE = amounts.MICRO // 10
_count = itertools.count(1)


def an_asset_name(word: str = "skill") -> str:
    """Return an asset name that nobody has."""
    return f"{word}-{next(_count)}-{uuid.uuid4().hex[:8]}"


def skill_md(name: str) -> str:
    """Return a `SKILL.md` of this name."""
    return f"---\nname: {name}\ndescription: Reads price lists.\n---\n# {name}\n"


def a_skill(
    owner: Participant | None = None,
    *,
    price: int | None = PRICE,
    dependencies: Sequence[Version] = (),
    name: str | None = None,
    version: str | None = None,
    source_task: str = "",
) -> Version:
    """Publish a skill, by default at 0.1 credit, that takes any version of its dependencies."""
    name = name or an_asset_name()
    publication = Publication(
        files={"SKILL.md": skill_md(name).encode()},
        name=name,
        version=version,
        price=price,
        dependencies=[DependencyRequest(one.asset.reference, "*") for one in dependencies],
        source_task=source_task,
    )
    return publish_asset(actor=owner or a_person(), publication=publication)
