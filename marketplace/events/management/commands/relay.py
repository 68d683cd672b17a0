"""`manage.py relay`: hands committed events to the workers until it is told to stop."""

import signal
import threading
import uuid
from argparse import ArgumentParser
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError as BrokerUnavailable

from marketplace.events.jobs import consume_event
from marketplace.events.relay import BATCH, relay_once

log = structlog.get_logger()


def enqueue(event_id: uuid.UUID) -> None:
    """Put one event on the queue."""
    consume_event.delay(event_id=str(event_id))


class Command(BaseCommand):
    """Runs the relay in the foreground; SIGTERM and SIGINT end it after the batch at hand."""

    help = "Hand committed events to the workers, until stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="hand out what is due, then end")

    def handle(self, *_args: Any, once: bool, **_options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        pause = settings.RELAY_POLL_MILLISECONDS / 1000
        while not stop.is_set():
            try:
                handed = relay_once(enqueue)
            except (DatabaseError, BrokerUnavailable, ConnectionError) as error:
                if once:
                    raise
                # The rows are still there; whatever is down comes back or the supervisor ends us.
                log.warning("relay.waiting", error=str(error))
                connection.close()
                stop.wait(2)
                continue
            if once:
                self.stdout.write(f"handed out {handed}")
                return
            if handed < BATCH:
                stop.wait(pause)
