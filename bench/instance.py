"""A database of the bench's own: the bundled PostgreSQL, durable, with the product's schema."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
from django.core.management import call_command
from django.db import connection

SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "marketplace.settings",
    "HANSA_SECRET_KEY": "of-a-bench-and-signs-nothing-real",
    "HANSA_GRANTS_PER_ADDRESS_PER_DAY": "off",
    "HANSA_DATABASE_POOL_CONNECTIONS": "0",
    "HANSA_LOG_LEVEL": "WARNING",
}


@contextmanager
def an_instance() -> Iterator[None]:
    """Set Django up on a new database; the process and its children use it until the end."""
    from marketplace.embedded.postgres import Postgres  # noqa: PLC0415 - before the settings are read

    with tempfile.TemporaryDirectory(prefix="hansa-bench-") as folder:
        os.environ |= {**SETTINGS, "HANSA_DATA": folder}
        postgres = Postgres(Path(folder) / "postgres", Path(folder) / "postgres.log")
        postgres.start()
        try:
            os.environ["DATABASE_URL"] = postgres.url("postgres")
            django.setup()
            require_durability()
            call_command("migrate", verbosity=0)
            yield
        finally:
            connection.close()
            postgres.stop(hurry=True)


def require_durability() -> None:
    """Check that a commit is on disk when it returns; figures without that would mean nothing."""
    with connection.cursor() as cursor:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            cursor.execute("SELECT current_setting(%s)", [name])
            assert cursor.fetchone()[0] == "on", f"{name} is off"
