"""Acting as the owner of the database, for what the application must not be able to do."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections

from marketplace.ops.roles import OWNER


@contextmanager
def as_owner() -> Iterator[None]:
    """Let this thread's queries run as the owner, a superuser; other threads stay what they are.

    It is another session: it does not see what the application has not committed yet.
    """
    application = connections[DEFAULT_DB_ALIAS]
    connections[DEFAULT_DB_ALIAS] = connections[OWNER]
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = application
