"""What every page's header shows."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from credits import amounts, switch
from marketplace.api.wallets import position_of
from marketplace.events.notifications import notifications_of
from marketplace.participants.models import Participant


def header(request: HttpRequest) -> dict[str, Any]:
    """Return what is read when a template asks: whether money moves, and what is one's own."""
    shown: dict[str, Any] = {
        "is_money_read_only": SimpleLazyObject(lambda: switch.standing_stop() is not None)
    }
    user = getattr(request, "user", None)
    if not isinstance(user, Participant):
        return shown
    return shown | {
        "available": SimpleLazyObject(lambda: amounts.format(position_of(user)["available"])),
        "unread": SimpleLazyObject(lambda: notifications_of(user.pk, unread=True).count()),
    }
