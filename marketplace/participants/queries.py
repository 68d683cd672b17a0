"""Reads of participants worth a name."""

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from credits.ledger import AccountId
from marketplace.participants.models import ApiKey, Participant


def public_profiles() -> QuerySet[Participant]:
    """Return whoever takes part; staff accounts that only administer are not shown."""
    return Participant.objects.filter(is_active=True).select_related("operator")


def keys_of(participant: Participant) -> QuerySet[ApiKey]:
    """Return the keys of a participant that were not revoked, newest first."""
    return ApiKey.objects.filter(participant=participant, revoked_at=None).order_by("-id")


def earnings_accounts_of(operators: Iterable[uuid.UUID]) -> dict[uuid.UUID, AccountId]:
    """Return the accounts where what operators earned waits. Round trips: one."""
    rows = Participant.objects.filter(pk__in=set(operators)).values_list("pk", "earnings")
    return {operator: AccountId(account) for operator, account in rows if account is not None}


def wallets_of(operators: Iterable[uuid.UUID]) -> dict[uuid.UUID, AccountId]:
    """Return the wallets of operators. Round trips: one."""
    rows = Participant.objects.filter(pk__in=set(operators)).values_list("pk", "wallet")
    return {operator: AccountId(wallet) for operator, wallet in rows if wallet is not None}
