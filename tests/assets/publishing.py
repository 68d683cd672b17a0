"""Builders for assets: they publish through the catalog, so nothing stands that could not be."""

import itertools
import uuid
from collections.abc import Mapping, Sequence

from assets.catalog import DependencyRequest, publish
from assets.models import Version
from marketplace.participants.models import Participant
from tests.builders.people import a_person

_count = itertools.count()


def a_name(start: str = "skill") -> str:
    return f"{start}-{next(_count)}-{uuid.uuid4().hex[:10]}"


def skill_files(name: str, description: str = "Reads things.") -> dict[str, bytes]:
    return {"SKILL.md": f"---\nname: {name}\ndescription: {description}\n---\n# {name}\n".encode()}


def a_skill(
    owner: Participant | None = None,
    *,
    name: str | None = None,
    version: str | None = None,
    needs: Sequence[Version | tuple[Version, str] | tuple[Version, str, int]] = (),
    files: Mapping[str, bytes] | None = None,
    description: str = "Reads things.",
    tags: Sequence[str] = (),
) -> Version:
    """Publish a skill that *needs* others: versions, with a range and a rate where they matter."""
    owner = owner or a_person()
    name = name or a_name()
    requests = []
    for need in needs:
        on, constraint, *rate = need if isinstance(need, tuple) else (need, "*")
        requests.append(DependencyRequest(on.asset.reference, constraint, *rate))
    return publish(
        owner=owner,
        published_by=owner,
        files=files or skill_files(name, description),
        name=name,
        version=version,
        tags=tags,
        dependencies=requests,
    )
