"""The programs of one instance, besides its servers."""

import os
import sys
from pathlib import Path

from django.conf import settings

LISTEN_BACKLOG = 1024
# A reader of events may wait for 25 s; at a stop it is cut off instead, and asks again.
WEB_STOP_SECONDS = 4
# Celery means pickled messages, which we do not accept; sandboxes drop root by themselves.
QUIET_ABOUT_ROOT = "ignore:You're running the worker with superuser privileges"


def environment(*, as_owner: bool = False) -> dict[str, str]:
    """Return what a program of the instance finds in its environment.

    Args:
        as_owner: Whether it is told how to become the owner of a database that is not ours.
    """
    withheld = () if as_owner else ("HANSA_DATABASE_OWNER_URL",)
    return {
        **{name: value for name, value in os.environ.items() if name not in withheld},
        "DJANGO_SETTINGS_MODULE": "marketplace.settings",
        # The programs run in the checkout, where a relative name would mean another folder.
        "HANSA_DATA": str(settings.DATA_DIR),
        "PYTHONUNBUFFERED": "1",
    }


def manage(*words: str) -> list[str | Path]:
    """Return the command that runs one of Django's commands."""
    return [sys.executable, settings.BASE_DIR / "manage.py", *words]


def web() -> list[str | Path]:
    """Return the command of the web server."""
    return [
        *(sys.executable, "-m", "granian", "marketplace.wsgi:application"),
        *("--interface", "wsgi", "--no-ws"),
        *("--host", settings.HOST),
        *("--port", str(settings.PORT)),
        *("--workers", str(settings.WEB_PROCESSES)),
        *("--blocking-threads", str(settings.WEB_THREADS_PER_PROCESS)),
        *("--backlog", str(LISTEN_BACKLOG)),
        *("--workers-kill-timeout", str(WEB_STOP_SECONDS)),
        *("--log-level", "error"),  # what it says of itself; Django logs as everywhere
    ]


def behind_the_web() -> dict[str, list[str | Path]]:
    """Return the commands of the other programs that run until the instance stops, by name."""
    celery = [sys.executable, "-W", QUIET_ABOUT_ROOT, "-m", "celery", "-A", "marketplace", "-q"]
    return {
        "worker": [
            *celery,
            "worker",
            *("--queues", "default,verify"),
            *("--concurrency", str(settings.WORKER_PROCESSES)),
            *("--loglevel", settings.LOG_LEVEL),
            "--without-gossip",
            "--without-mingle",
        ],
        "beat": [
            *celery,
            "beat",
            *("--schedule", settings.DATA_DIR / "beat"),
            *("--pidfile", ""),
            *("--loglevel", settings.LOG_LEVEL),
        ],
        "relay": manage("relay"),
    }
