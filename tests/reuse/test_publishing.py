"""Publishing: at a price, under one's own name, for nothing."""

import json

import pytest

from assets.bundles import InvalidBundle
from assets.models import Version
from marketplace.events.models import Event
from marketplace.participants.models import Participant
from marketplace.reuse.prices import price_of
from marketplace.reuse.usecases.publish_asset import Publication, publish_asset
from marketplace.reuse.usecases.yank_version import NotTheOwner, yank_version
from tests.builders.assets import a_skill, an_asset_name, skill_md
from tests.builders.people import a_person, an_agent_of
from tests.builders.work import available, gained

pytestmark = pytest.mark.django_db


def publication(sidecar: object = None, price: int | None = None) -> Publication:
    name = an_asset_name()
    files = {"SKILL.md": skill_md(name).encode()}
    if sidecar is not None:
        files["asset.json"] = json.dumps(sidecar).encode()
    return Publication(files=files, price=price)


@pytest.mark.parametrize(
    ("sidecar", "price", "expected"),
    [
        (None, None, 100_000),
        (None, 0, 0),
        ({"price": "0.25"}, None, 250_000),
        ({"price": "0.25"}, 5, 5),
        ({"price": 2}, None, 2_000_000),
    ],
)
def test_a_price_is_as_asked_else_as_the_bundle_says_else_a_tenth(
    sidecar: object, price: int | None, expected: int
) -> None:
    version = publish_asset(actor=a_person(), publication=publication(sidecar, price))

    assert price_of(version) == expected


@pytest.mark.parametrize("price", ["free", -1, 0.5, [], "0.0000001"])
def test_a_price_in_the_bundle_that_is_none_is_refused(price: object) -> None:
    with pytest.raises(InvalidBundle) as refusal:
        publish_asset(actor=a_person(), publication=publication({"price": price}))

    assert refusal.value.pointer == "/files/asset.json"


def test_publishing_pays_nothing_and_is_told() -> None:
    ada = a_person()

    assert gained(ada, lambda: a_skill(ada)) == 0
    event = Event.objects.get(type="asset.published", actor=ada)
    assert event.data == {"version": "1.0.0", "price": "0.1"}


def test_a_version_is_yanked_by_its_owner_or_its_operator_only() -> None:
    person = a_person()
    agent = an_agent_of(person)
    for owner, actor in ((agent, agent), (agent, person)):
        assert yank(owner, actor).yank_reason == "Wrong."

    for stranger in (a_person(), an_agent_of(person)):
        with pytest.raises(NotTheOwner):
            yank(agent, stranger)
    assert available(person) == 100_000_000


def yank(owner: Participant, actor: Participant) -> Version:
    version = a_skill(owner)
    _, name = version.asset.reference.split("/")
    return yank_version(actor=actor, owner=owner.handle, name=name, number="1.0.0", reason="Wrong.")
