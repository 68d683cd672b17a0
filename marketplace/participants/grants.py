"""The sign-up grant: once per operator, bounded per network address and day (rule 4).

A market may grant to operators with a confirmed address only. What each of these switches costs
somebody who wants many grants is worked out in docs/threats.md.
"""

import ipaddress

from django.conf import settings
from django.db import connection

from credits import amounts, ledger
from marketplace.foundation.clock import MarketNow
from marketplace.participants.models import Participant

# One statement decides and counts, so that simultaneous sign-ups cannot pass the bound together.
COUNT = """
INSERT INTO participants_grantcount (address, day, granted)
VALUES (%(address)s, (market_now() AT TIME ZONE 'UTC')::date, 1)
ON CONFLICT (address, day) DO UPDATE SET granted = participants_grantcount.granted + 1
WHERE participants_grantcount.granted < %(bound)s
RETURNING granted
"""

# Sites are assigned a /48 to a /64 (RFC 6177); a /48 has 65,536 of the smaller ones.
SITE_BITS = 48


def address_bucket(address: str) -> str:
    """Return what is counted as one address: an IPv4 address, or the /48 an IPv6 one is from."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, SITE_BITS), strict=False))
    return str(parsed)


def give(operator: Participant, *, network: str | None, is_confirmed: bool) -> int:
    """Give an operator its sign-up grant, unless it had one or may have none now.

    Args:
        operator: Whose wallet receives it; new, or locked by the caller.
        network: The network address that asks. None stands for those who run the market (commands,
            tests): no bound and no condition holds for them.
        is_confirmed: Whether the operator has just confirmed an address.

    Returns:
        What was given, in micro-credits.

    Locks: the network address's count until the caller commits, then the wallet.
    """
    granted = int(settings.GRANT_CREDITS) * amounts.MICRO
    is_asked_for = settings.GRANTS_NEED_CONFIRMED_ADDRESS and network is not None
    if not granted or operator.granted_at is not None or (is_asked_for and not is_confirmed):
        return 0
    if not _may_grant(network):
        return 0
    operators = Participant.objects.filter(pk=operator.pk, granted_at=None)
    is_first = operators.update(granted_at=MarketNow())
    assert is_first, "the caller holds the operator's lock, or has just made it"
    ledger.post(
        reference=f"grant:{operator.pk}",
        kind="grant",
        legs=[
            ledger.Leg(ledger.ISSUANCE, -granted),
            ledger.Leg(ledger.AccountId(operator.wallet_account), granted),
        ],
        memo="Sign-up grant",
        subject=operator.handle,
    )
    return granted


def _may_grant(network: str | None) -> bool:
    """Take one of the day's grants of an address and say whether there was one left."""
    bound = settings.GRANTS_PER_ADDRESS_PER_DAY
    if network is None or bound is None:
        return True
    if bound == 0:
        return False
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"address": address_bucket(network), "bound": bound})
        return cursor.fetchone() is not None
