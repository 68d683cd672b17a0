"""Mailboxes: whose they are, and the mail that asks.

The token in a mail follows from the row and the server's own secret, so nothing secret is stored.
"""

import uuid
from datetime import datetime

import structlog
from django.conf import settings
from django.core import signing
from django.core.mail import send_mail
from django.db import connection

from marketplace.foundation.ids import WrongIdType, decode, encode
from marketplace.participants.models import Confirmation

log = structlog.get_logger()

# A mail that was handed out is tried again after 2, 4, 8, … minutes, should nothing come of it.
HAND_OUT = """
UPDATE participants_confirmation AS mail
SET attempts = mail.attempts + 1,
    send_at = CASE WHEN mail.attempts + 1 < %(tries)s
        THEN market_now() + interval '2 minutes' * (2 ^ mail.attempts) END
FROM (
    SELECT asked.id, operator.handle
    FROM participants_confirmation AS asked
    JOIN participants_participant AS operator ON operator.id = asked.operator_id
    WHERE asked.send_at <= market_now() ORDER BY asked.send_at LIMIT %(limit)s
    FOR UPDATE OF asked SKIP LOCKED
) AS due
WHERE mail.id = due.id
RETURNING mail.id, mail.email, mail.expires_at, due.handle
"""
TRIES = 5
BATCH = 50

SUBJECT = "Is this mailbox yours?"
TEXT = """Somebody who calls themselves {handle} on Hansa, {site}, says that this mailbox is theirs.

If that is you, open

{site}/accounts/email/?token={token}

and confirm it before {until} UTC. If it is not, do nothing.
"""


class InvalidToken(Exception):
    """The token is not of a mail of ours to this operator, or its time has passed."""


def mailbox_of(email: str) -> str:
    """Return one text for all ways of writing a mailbox: lower case, without a `+tag`."""
    local, _, domain = email.rpartition("@")
    return f"{local.partition('+')[0] or local}@{domain}".lower()


def token_of(confirmation_id: uuid.UUID) -> str:
    """Return what the mail carries and nobody else can know."""
    return _signer().sign(encode("confirmation", confirmation_id))


def read_token(token: str) -> uuid.UUID:
    """Return which confirmation a token is of.

    Raises:
        InvalidToken: It is none of ours.
    """
    try:
        return decode("confirmation", _signer().unsign(token))
    except (signing.BadSignature, WrongIdType):
        raise InvalidToken("this is no token of ours") from None


def send_due() -> int:
    """Send the mails that are due and return how many went out; safe beside itself.

    They are handed out first, so a mail may go out twice after a crash, and is never forgotten.
    """
    sent = 0
    for confirmation_id, email, expires_at, handle in _hand_out():
        try:
            _send(confirmation_id, email, expires_at, handle)
        except OSError as error:  # what smtplib and sockets raise; tried again later
            log.warning("mail.failed", confirmation=str(confirmation_id), error=str(error))
        else:
            Confirmation.objects.filter(pk=confirmation_id).update(send_at=None)
            sent += 1
    return sent


def _hand_out() -> list[tuple[uuid.UUID, str, datetime, str]]:
    with connection.cursor() as cursor:
        cursor.execute(HAND_OUT, {"tries": TRIES, "limit": BATCH})
        return list(cursor.fetchall())


def _send(confirmation_id: uuid.UUID, email: str, expires_at: datetime, handle: str) -> None:
    text = TEXT.format(
        handle=handle,
        site=settings.PUBLIC_URL,
        token=token_of(confirmation_id),
        until=expires_at.strftime("%-d %b %Y %H:%M"),
    )
    send_mail(SUBJECT, text, settings.DEFAULT_FROM_EMAIL, [email])


def _signer() -> signing.Signer:
    return signing.Signer(sep=".", salt="hansa.confirmation")
