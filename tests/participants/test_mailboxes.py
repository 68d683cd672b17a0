"""Confirming a mailbox, and the grant that may wait for it (rule 4)."""

import re
from datetime import timedelta
from functools import partial

import pytest
from django.core import mail
from pytest_django import Settings

from marketplace.foundation import clock
from marketplace.foundation.ids import new_id
from marketplace.participants.jobs import send_confirmations
from marketplace.participants.mailboxes import InvalidToken, mailbox_of, send_due, token_of
from marketplace.participants.models import Confirmation, Kind, Participant
from marketplace.participants.quotas import QuotaReached
from marketplace.participants.usecases.ask_confirmation import (
    NoMail,
    NoMailbox,
    ask_confirmation,
)
from marketplace.participants.usecases.confirm_email import (
    Confirmed,
    MailboxTaken,
    confirm_email,
)
from marketplace.participants.usecases.register_participant import register_participant
from tests.builders.at_once import together
from tests.builders.people import a_handle, a_person, an_agent_of
from tests.builders.work import available

pytestmark = pytest.mark.django_db

GRANT = 100_000_000
_networks = iter(range(1, 250))


def a_network() -> str:
    """Return an address of the documentation's network that no other test used."""
    return f"203.0.113.{next(_networks)}"


def an_email() -> str:
    return f"{a_handle('ada')}@example.org"


def somebody_new(network: str) -> Participant:
    return register_participant(
        handle=a_handle(), kind=Kind.HUMAN, display_name="x", address=network
    ).participant


def asked(actor: Participant, email: str | None = None) -> Confirmation:
    return ask_confirmation(actor=actor, email=email or an_email())


def confirmed(
    actor: Participant, email: str | None = None, network: str | None = None
) -> Confirmed:
    token = token_of(asked(actor, email).pk)
    return confirm_email(actor=actor, token=token, network=network or a_network())


def test_a_mail_asks_and_what_it_carries_confirms(mailoutbox: list[mail.EmailMessage]) -> None:
    ada, email = a_person(), an_email()

    asked(ada, email)
    send_confirmations()
    send_confirmations()

    (sent,) = [one for one in mailoutbox if one.to == [email]]
    assert ada.handle in str(sent.body)
    (token,) = re.findall(r"/accounts/email/\?token=(\S+)", str(sent.body))
    assert confirm_email(actor=ada, token=token) == Confirmed(email, 0)  # it has had its grant
    assert Participant.objects.get(pk=ada.pk).email == email


def test_a_mail_that_could_not_be_sent_is_tried_again_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    confirmation = asked(a_person())

    def fails(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("marketplace.participants.mailboxes._send", fails)
    for _ in range(6):
        send_due()
        clock.advance(timedelta(hours=1))

    confirmation.refresh_from_db()
    assert (confirmation.attempts, confirmation.send_at) == (5, None)


@pytest.mark.parametrize("token", ["", "nonsense", "confirmation_01h455vb4pex5vsknk084sn02q.x"])
def test_what_is_no_token_confirms_nothing(token: str) -> None:
    with pytest.raises(InvalidToken):
        confirm_email(actor=a_person(), token=token)


def test_a_token_is_for_whoever_asked_and_for_a_day() -> None:
    ada = a_person()
    token = token_of(asked(ada).pk)

    with pytest.raises(InvalidToken):
        confirm_email(actor=a_person(), token=token)
    with pytest.raises(InvalidToken):
        confirm_email(actor=ada, token=token_of(new_id()))
    clock.advance(timedelta(days=1))
    with pytest.raises(InvalidToken):
        confirm_email(actor=ada, token=token)


def test_without_a_mail_server_nobody_is_asked(settings: Settings) -> None:
    settings.MAIL_URL = ""

    with pytest.raises(NoMail):
        asked(a_person())


def test_an_operated_agent_has_no_mailbox() -> None:
    with pytest.raises(NoMailbox):
        asked(an_agent_of(a_person()))


def test_an_operator_and_a_mailbox_get_so_many_mails_a_day() -> None:
    ada, email = a_person(), an_email()
    for _ in range(3):
        asked(ada, email)

    with pytest.raises(QuotaReached):
        asked(ada)
    with pytest.raises(QuotaReached):
        asked(a_person(), email.upper())
    clock.advance(timedelta(days=1, seconds=1))
    asked(ada, email)


@pytest.mark.parametrize(
    ("email", "mailbox"),
    [
        ("Ada@Example.org", "ada@example.org"),
        ("ada+one@example.org", "ada@example.org"),
        ("+ada@example.org", "+ada@example.org"),
    ],
)
def test_a_mailbox_is_one_however_it_is_written(email: str, mailbox: str) -> None:
    assert mailbox_of(email) == mailbox


def test_a_mailbox_is_one_operators_for_good() -> None:
    ada, email = a_person(), an_email()
    confirmed(ada, email)
    confirmed(ada)  # another one: the first stays taken

    with pytest.raises(MailboxTaken):
        confirmed(a_person(), email.replace("@", "+again@"))
    assert confirmed(ada, email.replace("@", "+again@")).email.startswith("ada-")


def test_of_operators_that_confirm_one_mailbox_at_once_one_has_it(settings: Settings) -> None:
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = True
    settings.CONFIRMATION_MAILS_PER_DAY = 20
    email, network = an_email(), a_network()
    people = [somebody_new(network) for _ in range(8)]
    tokens = [token_of(asked(one, email).pk) for one in people]

    outcomes = together(
        [
            partial(confirm_email, actor=one, token=token, network=network)
            for one, token in zip(people, tokens, strict=True)
        ]
    )

    assert sum(outcome == Confirmed(email, GRANT) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, MailboxTaken) for outcome in outcomes) == 7
    assert sum(available(one) for one in people) == GRANT


def test_where_a_confirmed_address_is_asked_for_the_grant_waits_for_it(settings: Settings) -> None:
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = True
    ada = somebody_new(a_network())
    assert available(ada) == 0

    assert confirmed(ada).granted == GRANT
    assert confirmed(ada).granted == 0
    assert available(ada) == GRANT


def test_confirming_one_mailbox_twenty_times_at_once_grants_once(settings: Settings) -> None:
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = True
    ada = somebody_new(a_network())
    token = token_of(asked(ada).pk)

    outcomes = together([partial(confirm_email, actor=ada, token=token, network=a_network())] * 20)

    assert sum(outcome.granted for outcome in outcomes if isinstance(outcome, Confirmed)) == GRANT
    assert available(ada) == GRANT


def test_confirmed_mailboxes_share_the_bound_of_their_network(settings: Settings) -> None:
    settings.GRANTS_NEED_CONFIRMED_ADDRESS = True
    settings.GRANTS_PER_ADDRESS_PER_DAY = 2
    network = a_network()

    granted = [confirmed(somebody_new(network), network=network).granted for _ in range(3)]

    assert granted == [GRANT, GRANT, 0]


def test_whoever_was_refused_a_grant_may_have_it_with_a_mailbox_on_another_day(
    settings: Settings,
) -> None:
    settings.GRANTS_PER_ADDRESS_PER_DAY = 1
    network = a_network()
    _, late = somebody_new(network), somebody_new(network)
    assert available(late) == 0

    assert confirmed(late, network=network).granted == 0
    clock.advance(timedelta(days=1))
    assert confirmed(late, network=network).granted == GRANT
