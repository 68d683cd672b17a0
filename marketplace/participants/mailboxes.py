"""Mailboxes: whose they are, and the mail that asks.

The token in a mail follows from the row and the server's own secret, so nothing secret is stored.
"""

import base64
import hashlib
import hmac
import uuid
from datetime import datetime

import structlog
from django.conf import settings
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
    SELECT id FROM participants_confirmation
    WHERE send_at <= market_now() ORDER BY send_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) AS due
WHERE mail.id = due.id
RETURNING mail.id, mail.email, mail.expires_at
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
    if not settings.SECRET_KEY:
        raise RuntimeError("HANSA_SECRET_KEY is not set: mailboxes cannot be confirmed")
    return f"{encode('confirmation', confirmation_id)}.{_seal(confirmation_id)}"


def read_token(token: str) -> uuid.UUID:
    """Return which confirmation a token is of.

    Raises:
        InvalidToken: It is none of ours.
    """
    name, _, seal = token.partition(".")
    try:
        confirmation_id = decode("confirmation", name)
    except WrongIdType:
        raise InvalidToken("this is no token of ours") from None
    if not hmac.compare_digest(seal.encode(), _seal(confirmation_id).encode()):
        raise InvalidToken("this is no token of ours")
    return confirmation_id


def send_due() -> int:
    """Send the mails that are due and return how many went out; safe beside itself.

    They are handed out first, so a mail may go out twice after a crash, and is never forgotten.
    """
    sent = 0
    for confirmation_id, email, expires_at in _hand_out():
        try:
            _send(confirmation_id, email, expires_at)
        except OSError as error:  # what smtplib and sockets raise; tried again later
            log.warning("mail.failed", confirmation=str(confirmation_id), error=str(error))
        else:
            Confirmation.objects.filter(pk=confirmation_id).update(send_at=None)
            sent += 1
    return sent


def _hand_out() -> list[tuple[uuid.UUID, str, datetime]]:
    with connection.cursor() as cursor:
        cursor.execute(HAND_OUT, {"tries": TRIES, "limit": BATCH})
        return list(cursor.fetchall())


def _send(confirmation_id: uuid.UUID, email: str, expires_at: datetime) -> None:
    operator = Confirmation.objects.values_list("operator__handle", flat=True)
    text = TEXT.format(
        handle=operator.get(pk=confirmation_id),
        site=settings.PUBLIC_URL,
        token=token_of(confirmation_id),
        until=expires_at.strftime("%-d %b %Y %H:%M"),
    )
    send_mail(SUBJECT, text, settings.DEFAULT_FROM_EMAIL, [email])


def _seal(confirmation_id: uuid.UUID) -> str:
    mac = hmac.new(
        settings.SECRET_KEY.encode(), b"confirmation\0" + confirmation_id.bytes, hashlib.sha256
    )
    return base64.urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()
