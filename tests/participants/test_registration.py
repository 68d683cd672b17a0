"""Signing up: the grant once, bounded per address; handles; keys."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from credits import ledger
from marketplace.foundation import clock
from marketplace.foundation.ids import new_id
from marketplace.participants import keys
from marketplace.participants.grants import address_bucket
from marketplace.participants.handles import validate_handle
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.add_agent import NotAnOperator, add_agent
from marketplace.participants.usecases.issue_key import issue_key
from marketplace.participants.usecases.register_participant import HandleTaken, register_participant
from marketplace.participants.usecases.revoke_key import revoke_key
from tests.builders.people import a_handle, a_person, an_agent_of
from tests.builders.work import available

pytestmark = pytest.mark.django_db

_addresses = iter(range(1, 250))


def an_address() -> str:
    """Return an address of the documentation's network that no other test used."""
    return f"198.51.100.{next(_addresses)}"


def granted(address: str | None) -> int:
    registered = register_participant(
        handle=a_handle(), kind=Kind.AGENT, display_name="x", address=address
    )
    assert available(registered.participant) == registered.granted
    return registered.granted // 1_000_000


def test_an_address_is_given_so_many_grants_a_day(settings: Settings) -> None:
    settings.GRANTS_PER_ADDRESS_PER_DAY = 2
    address, other = an_address(), an_address()

    assert [granted(address) for _ in range(3)] == [100, 100, 0]
    assert granted(other) == 100
    assert granted(None) == 100, "whoever signs people up from no network is not bounded"
    clock.advance(timedelta(days=1))
    assert granted(address) == 100


@pytest.mark.parametrize(("bound", "expected"), [(0, 0), (None, 100)])
def test_grants_can_be_switched_off_or_left_unbounded(
    settings: Settings, bound: int | None, expected: int
) -> None:
    settings.GRANTS_PER_ADDRESS_PER_DAY = bound
    address = an_address()

    assert {granted(address) for _ in range(3)} == {expected}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:ffff::1", True),
        ("2001:db8::1", "2001:db8:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert (address_bucket(one) == address_bucket(other)) == same


def test_an_operated_agent_has_no_grant_and_no_wallet_of_its_own() -> None:
    person = a_person()

    agent = an_agent_of(person)

    assert (agent.wallet, agent.earnings) == (None, None)
    assert agent.wallet_account == person.wallet
    assert available(agent) == available(person) == 100_000_000
    assert ledger.position(agent.pk) == {}


def test_an_operated_agent_operates_nobody() -> None:
    with pytest.raises(NotAnOperator):
        add_agent(
            operator=an_agent_of(a_person()),
            handle=a_handle(),
            display_name="x",
            key_seed=b"x",
        )


@pytest.mark.parametrize("handle", ["ab", "a1", "1a", "a-b", "a--b", "a" * 39])
def test_handles_that_can_be_had(handle: str) -> None:
    validate_handle(handle)


@pytest.mark.parametrize(
    ("handle", "code"),
    [
        *((one, "invalid_handle") for one in ("", "a", "A", "a_", "-a", "a-", "a b", "ab\n", "é")),
        ("a" * 40, "invalid_handle"),
        *((one, "reserved_handle") for one in ("admin", "api", "hansa", "me", "system")),
    ],
)
def test_handles_that_cannot(handle: str, code: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        validate_handle(handle)

    assert refusal.value.code == code


def test_a_handle_that_is_taken_leaves_nothing_behind() -> None:
    taken, before = a_person().handle, Participant.objects.count()

    with pytest.raises(HandleTaken):
        a_person(taken)

    assert Participant.objects.count() == before


# --- Keys -----------------------------------------------------------------------------------------


def test_a_key_follows_from_its_seed_and_its_row_and_from_nothing_else(settings: Settings) -> None:
    one, other = new_id(), new_id()

    assert keys.derive(b"seed", one) == keys.derive(b"seed", one)
    assert keys.derive(b"seed", one) != keys.derive(b"seed", other)
    assert keys.derive(b"seed", one) != keys.derive(b"other", one)
    before = keys.derive(b"seed", one)
    settings.SECRET_KEY = "another server's secret"
    assert keys.derive(b"seed", one) != before


def test_a_key_is_found_until_it_expires_or_is_revoked() -> None:
    person = a_person()
    ends = clock.now() + timedelta(hours=1)
    made = issue_key(participant_id=person.pk, name="x", expires_at=ends, seed=b"x")
    revoked = issue_key(participant_id=person.pk, name="x", seed=b"y")

    found = keys.find(made.secret)
    assert found is not None
    assert found.participant == person
    revoke_key(key_id=revoked.row.pk, actor=person)
    assert keys.find(revoked.secret) is None
    clock.advance(timedelta(hours=1))
    assert keys.find(made.secret) is None


@pytest.mark.parametrize("text", ["", "hsa_", "hsa_nonsense", "x" * 200, "hsa_" + "x" * 100, "\0"])
def test_what_is_no_key_is_not_found(text: str) -> None:
    assert keys.find(text) is None


def test_an_operator_revokes_its_agents_keys() -> None:
    person = a_person()
    agent = an_agent_of(person)
    made = issue_key(participant_id=agent.pk, name="x", seed=b"x")

    revoke_key(key_id=made.row.pk, actor=person)

    assert keys.find(made.secret) is None
