"""Assets with prices, published through the use case."""

import itertools
import json
import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

from assets.bundles import DependencyRequest
from assets.models import Version
from credits import amounts
from marketplace.participants.models import Participant
from marketplace.reuse.usecases.publish_asset import Publication, publish_asset
from tests.builders.people import a_person

Said: TypeAlias = Any  # fields of `Publication`, or of a step, which check themselves

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


def a_step(key: str, share: str, **said: Said) -> dict[str, Any]:
    """Return a step as `workflow.json` has it."""
    return {"key": key, "title": f"Step {key}", "description": "Do it.", "share": share} | said


def a_workflow(
    *steps: dict[str, Any], owner: Participant | None = None, price: int = 0, **said: Said
) -> Version:
    """Publish a workflow; of two steps, one after the other, where none are given."""
    listed = steps or (a_step("read", "0.75"), a_step("table", "0.25", depends_on=["read"]))
    content = json.dumps({"title": "A flow", "steps": listed}).encode()
    publication = Publication(
        files={"workflow.json": content},
        kind="workflow",
        name=an_asset_name("flow"),
        price=price,
        **said,
    )
    return publish_asset(actor=owner or a_person(), publication=publication)
