"""Stopping and resuming money, patiently.

To stop it is to wait for whoever writes to the ledger. Nobody waits longer than two seconds at a
time, because everybody else queues behind; between two tries the others go on.
"""

import random
import time
from collections.abc import Callable

from marketplace.foundation.transactions import Busy
from marketplace.ops.usecases.resume_money import resume_money
from marketplace.ops.usecases.stop_money import stop_money
from marketplace.participants.models import Participant

PATIENCE_SECONDS = 45
"""Longer than an idle transaction lives (settings: idle_in_transaction_session_timeout)."""


def begin(*, reason: str, actor: Participant | None) -> bool:
    """Stop money as `stop_money` does, trying again for up to `PATIENCE_SECONDS`.

    Raises:
        Busy: Somebody held the ledger's tables all the time, such as a VACUUM by hand.
    """
    return _patiently(lambda: stop_money(reason=reason, actor=actor))


def end(*, reason: str, actor: Participant, despite_findings: bool = False) -> bool:
    """Resume money as `resume_money` does, trying again for up to `PATIENCE_SECONDS`.

    Raises:
        Busy: Somebody held the ledger's tables all the time.
    """
    return _patiently(
        lambda: resume_money(reason=reason, actor=actor, despite_findings=despite_findings)
    )


def _patiently(turn: Callable[[], bool]) -> bool:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return turn()
        except Busy:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - jitter, not a secret
