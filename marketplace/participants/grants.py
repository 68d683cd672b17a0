"""The sign-up grant: once per operator, bounded per network address and day (rule 4)."""

import ipaddress

from django.conf import settings
from django.db import connection

# One statement decides and counts, so that simultaneous sign-ups cannot pass the bound together.
COUNT = """
INSERT INTO participants_grantcount (address, day, granted)
VALUES (%(address)s, (market_now() AT TIME ZONE 'UTC')::date, 1)
ON CONFLICT (address, day) DO UPDATE SET granted = participants_grantcount.granted + 1
WHERE participants_grantcount.granted < %(bound)s
RETURNING granted
"""


def address_bucket(address: str) -> str:
    """Return what is counted as one address: an IPv4 address, or the /64 an IPv6 one is from."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def may_grant(address: str | None) -> bool:
    """Take one of the day's grants of *address* and say whether there was one left.

    None stands for sign-ups that come from no network (commands, tests): they are not bounded.

    Locks: the address's count, until the sign-up commits.
    """
    bound = settings.GRANTS_PER_ADDRESS_PER_DAY
    if address is None or bound is None:
        return True
    if bound == 0:
        return False
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"address": address_bucket(address), "bound": bound})
        return cursor.fetchone() is not None
