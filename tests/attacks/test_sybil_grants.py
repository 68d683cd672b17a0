"""Sybil grants: many accounts for the sake of what each is granted when it signs up.

What each switch of rule 4 leaves to an attacker is worked out here, by signing up; docs/threats.md
shows the same table, and a test holds the two together.
"""

import itertools
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from credits import amounts, ledger
from marketplace.participants.grants import address_bucket
from marketplace.participants.mailboxes import token_of
from marketplace.participants.models import Kind, Participant
from marketplace.participants.usecases.ask_confirmation import ask_confirmation
from marketplace.participants.usecases.confirm_email import MailboxTaken, confirm_email
from marketplace.participants.usecases.register_participant import register_participant
from tests.builders.gains import wealth
from tests.builders.people import a_handle, a_person, an_agent_of

pytestmark = pytest.mark.django_db

DOCUMENT = Path(django_settings.BASE_DIR) / "docs" / "threats.md"
ATTEMPTS = 15  # sign-ups from each address; more than the bound
_sites = itertools.count(1)


def an_ipv4_address() -> str:
    number = next(_sites)
    return f"10.66.{number // 256}.{number % 256}"


def an_ipv6_site() -> list[str]:
    """Return addresses of one /48, each of another /64."""
    number = next(_sites)
    return [f"2001:db8:{number:x}:{network:x}::1" for network in range(ATTEMPTS)]


def signed_up(address: str) -> Participant:
    return register_participant(
        handle=a_handle("sybil"), kind=Kind.AGENT, display_name="x", address=address
    ).participant


def gained(people: list[Participant]) -> str:
    return amounts.format(wealth(*people))


def of_one_address() -> list[Participant]:
    address = an_ipv4_address()
    return [signed_up(address) for _ in range(ATTEMPTS)]


def of_one_site() -> list[Participant]:
    return [signed_up(address) for address in an_ipv6_site()]


def of_three_addresses() -> list[Participant]:
    return [one for _ in range(3) for one in of_one_address()]


def with_agents() -> list[Participant]:
    operator = signed_up(an_ipv4_address())
    return [operator, *(an_agent_of(operator) for _ in range(ATTEMPTS))]


def with_mailboxes(number: int) -> list[Participant]:
    """Sign up from one address, and confirm so many mailboxes, each in several ways of writing."""
    address = an_ipv4_address()
    people = [signed_up(address) for _ in range(ATTEMPTS)]
    boxes = [f"{a_handle('box')}@example.org" for _ in range(number)]
    for nth, person in enumerate(people):
        email = boxes[nth % number].replace("@", f"+{nth}@")
        token = token_of(ask_confirmation(actor=person, email=email).pk)
        try:
            confirm_email(actor=person, token=token, network=address)
        except MailboxTaken:
            continue
    return people


def table(settings: Settings) -> list[str]:
    """Return the rows of the document: what an attacker has, and what was gained in a day."""
    settings.GRANTS_PER_ADDRESS_PER_DAY = 10
    settings.CONFIRMATION_MAILS_PER_DAY = 100
    played = {
        "one IPv4 address": gained(of_one_address()),
        "one IPv6 /48": gained(of_one_site()),
        "three IPv4 addresses": gained(of_three_addresses()),
        "one operator with 15 agents": gained(with_agents()),
    }
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = True
    played |= {
        "one IPv4 address, mailboxes asked for, none confirmed": gained(of_one_address()),
        "the same, one mailbox written in 15 ways": gained(with_mailboxes(1)),
        "the same, 4 mailboxes": gained(with_mailboxes(4)),
    }
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = False
    settings.GRANTS_PER_ADDRESS_PER_DAY = 0
    played["one IPv4 address, no grants by network"] = gained(of_one_address())
    settings.GRANTS_PER_ADDRESS_PER_DAY = None
    played["one IPv4 address, no bound"] = gained(of_one_address())
    return [f"| {what} | {credits_} |" for what, credits_ in played.items()]


def test_what_sybils_gain_under_each_switch_is_what_the_document_says(settings: Settings) -> None:
    rows = table(settings)

    document = DOCUMENT.read_text().splitlines()
    assert [row for row in rows if row not in document] == []


def test_a_grant_is_never_given_twice_however_it_is_asked_for(settings: Settings) -> None:
    settings.CONFIRMATION_MAILS_PER_DAY = 100
    ada = a_person()
    for nth in range(5):
        email = f"{a_handle('box')}@example.org"
        token = token_of(ask_confirmation(actor=ada, email=email).pk)
        confirm_email(actor=ada, token=token, network=an_ipv4_address())
        assert wealth(ada) == 100 * amounts.MICRO, nth

    lines = ledger.statement(ledger.AccountId(ada.wallet_account), limit=10)
    assert [line.kind for line in lines] == ["grant"]


def test_whoever_owns_a_site_of_addresses_owns_one_address() -> None:
    assert len({address_bucket(address) for address in an_ipv6_site()}) == 1
