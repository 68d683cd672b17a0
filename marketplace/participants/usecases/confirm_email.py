"""An operator proves that a mailbox is its own."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction

from credits import amounts
from marketplace.events.log import Subject, record
from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.participants import grants
from marketplace.participants.mailboxes import InvalidToken, read_token
from marketplace.participants.models import Confirmation, Participant


class MailboxTaken(Exception):
    """Another operator has confirmed this mailbox; it stays theirs."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A confirmed address, and the sign-up grant that it brought, in micro-credits."""

    email: str
    granted: int


@use_case
def confirm_email(*, actor: Participant, token: str, network: str | None = None) -> Confirmed:
    """Confirm a mailbox with the token that was sent to it; twice has one effect.

    An operator that has had no sign-up grant is given it now, within the bound of its network.

    Args:
        actor: The operator that asked for the mail.
        token: What the mail carried.
        network: The network address that confirms.

    Raises:
        InvalidToken: Not of a mail that the actor asked for, or its time has passed.
        MailboxTaken: Another operator was first.

    Locks: the operator, its network address's count of grants, then the wallet.
    """
    confirmation_id = read_token(token)
    Participant.objects.lock_operators([actor.pk])
    operator = Participant.objects.get(pk=actor.pk)
    now = clock.now()
    asked = Confirmation.objects.filter(pk=confirmation_id, operator=operator).first()
    if asked is None or (asked.confirmed_at is None and asked.expires_at <= now):
        raise InvalidToken("this token is not of a mail to you, or its time has passed")
    if asked.confirmed_at is not None:
        return Confirmed(asked.email, 0)
    earlier = Confirmation.objects.filter(
        operator=operator, mailbox=asked.mailbox, confirmed_at__isnull=False
    )
    if not earlier.exists():  # another way of writing a mailbox that is the operator's already
        _take(asked)
    operator.email = asked.email
    operator.save(update_fields=["email"])
    granted = grants.give(operator, network=network, is_confirmed=True)
    record(
        "participant.email_confirmed",
        subject=Subject("participant", operator.handle),
        actor=operator.pk,
        readers=[operator.pk],
        data={"granted": amounts.format(granted)},
    )
    return Confirmed(asked.email, granted)


def _take(asked: Confirmation) -> None:
    """Make the mailbox the operator's; its unique index decides who was first."""
    asked.confirmed_at = clock.now()
    try:
        with transaction.atomic():
            asked.save(update_fields=["confirmed_at"])
    except IntegrityError as error:
        raise MailboxTaken("another operator has confirmed this mailbox") from error
