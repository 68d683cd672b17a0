"""What somebody has, all in all: an attack that pays shows here."""

from collections.abc import Callable, Sequence

from credits import ledger
from marketplace.participants.models import Participant


def wealth(*people: Participant) -> int:
    """Return what people have together, in micro-credits: wallets, escrows, and what waits."""
    operators = {person.operator_key for person in people}
    return sum(sum(ledger.position(operator).values()) for operator in operators)


def gain(people: Sequence[Participant], attack: Callable[[], object]) -> int:
    """Return by how much an attack changed what its people have together, in micro-credits."""
    before = wealth(*people)
    attack()
    return wealth(*people) - before
