"""Tasks and deliveries in the states that tests begin from."""

from marketplace.events.consumers import consume
from marketplace.events.relay import relay_once


def everything_handled() -> None:
    """Let the relay and the workers finish everything that happened so far; jobs run in line."""
    while relay_once(consume):
        pass
