"""What every page's header shows."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from credits import amounts
from marketplace.api.wallets import position_of
from marketplace.events.notifications import notifications_of
from marketplace.participants.models import Participant


def header(request: HttpRequest) -> dict[str, Any]:
    """Return the wallet and the number of unread notifications, read when a template asks."""
    user = getattr(request, "user", None)
    if not isinstance(user, Participant):
        return {}
    return {
        "available": SimpleLazyObject(lambda: amounts.format(position_of(user)["available"])),
        "unread": SimpleLazyObject(lambda: notifications_of(user.pk, unread=True).count()),
    }
