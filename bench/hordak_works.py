"""What django-hordak's processes do: the same settlement through its own API."""

import random
from typing import Any

from django.db import transaction

from bench.crew import Step
from bench.ledger_works import PAYEES

# With 2,000 a settlement took as long (256 a second, and 259 with 500), and opening them a minute.
ACCOUNTS = 500


def prepare(number: int, seconds: float) -> Step:
    """Open the accounts, once."""
    core = _models()
    if not core.Account.objects.exists():
        for place in range(ACCOUNTS):
            core.Account.objects.create(
                name=f"wallet {place}",
                code=str(place),
                type=core.AccountType.liability,
                currencies=["EUR"],
            )
    return lambda: 1


def settlement(number: int, seconds: float) -> Step:
    """One transaction of thirteen legs: one account pays twelve."""
    from moneyed import EUR, Money  # noqa: PLC0415 - only where django-hordak is installed

    core = _models()
    accounts = list(core.Account.objects.all())
    dice = random.Random()

    def step() -> int:
        payer, *payees = dice.sample(accounts, PAYEES + 1)
        with transaction.atomic():
            made = core.Transaction.objects.create(description="settlement")
            core.Leg.objects.create(transaction=made, account=payer, debit=Money(PAYEES, EUR))
            for payee in payees:
                core.Leg.objects.create(transaction=made, account=payee, credit=Money(1, EUR))
        return 1

    return step


def _models() -> Any:  # noqa: ANN401 - a module without types
    from hordak.models import core  # noqa: PLC0415

    return core
