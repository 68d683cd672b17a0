"""An operator says that a mailbox is its own."""

from datetime import timedelta

from django.conf import settings

from marketplace.foundation import clock
from marketplace.foundation.transactions import use_case
from marketplace.participants import quotas
from marketplace.participants.mailboxes import mailbox_of
from marketplace.participants.models import Confirmation, Participant


class NoMail(Exception):
    """This market sends no mail, so nobody can confirm an address."""


class NoMailbox(Exception):
    """An operated agent has no address: its operator answers for it."""


@use_case
def ask_confirmation(*, actor: Participant, email: str) -> Confirmation:
    """Have a mail sent that asks whether a mailbox is the actor's.

    Whether somebody else has confirmed it already is said only to whoever opens the mail.

    Args:
        actor: An operator.
        email: The address, well formed.

    Raises:
        NoMail: This market has no mail server.
        NoMailbox: The actor has an operator.
        QuotaReached: The operator, or the mailbox, has had enough mails for a day.

    Locks: the operator. The mail goes out after the commit.
    """
    if not settings.MAIL_URL:
        raise NoMail("this market sends no mail")
    if actor.operator_id is not None:
        raise NoMailbox("an operated agent has no address of its own")
    Participant.objects.lock_operators([actor.pk])
    mailbox = mailbox_of(email)
    asked = Confirmation.objects.all()
    for mails in (asked.filter(operator=actor), asked.filter(mailbox=mailbox)):
        quotas.take(mails, most=settings.CONFIRMATION_MAILS_PER_DAY, what="mails that ask")
    now = clock.now()
    return Confirmation.objects.create(
        operator=actor,
        email=email,
        mailbox=mailbox,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.CONFIRMATION_SECONDS),
        send_at=now,
    )
