"""Writing together what several decisions write: one statement for a table, not one for a row.

A function that writes says so with `write`: alone, its item is written at once; inside `together`,
all items of one writer are written by one call at the end. So a sweeper of thousands of rows runs
the same code as a single command.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import connection

T = TypeVar("T")

_collected: ContextVar[dict[Callable[[list[Any]], None], list[Any]] | None] = ContextVar(
    "hansa_collected_writes", default=None
)


def write(writer: Callable[[list[T]], None], item: T) -> None:
    """Let *writer* write *item*: now, or with others at the end of `together`."""
    collected = _collected.get()
    if collected is None:
        writer([item])
    else:
        collected.setdefault(writer, []).append(item)


@contextmanager
def together() -> Iterator[None]:
    """Collect what is written, and write it at the end, writers in the order of their first item.

    Whatever is decided inside must not read what it has written. Where the block fails, nothing
    that it collected is written. A block inside another one joins it.

    Transaction: the caller's.
    """
    assert connection.in_atomic_block, "what is decided together is committed together"
    if _collected.get() is not None:
        yield
        return
    collected: dict[Callable[[list[Any]], None], list[Any]] = {}
    token = _collected.set(collected)
    try:
        yield
    finally:
        _collected.reset(token)
    for writer, items in collected.items():
        writer(items)
