"""Python processes that do one kind of work at a time, together, and count it.

A child is started once and measures many rounds: it prepares (untimed), says so, waits for the
others, works for so many seconds and answers how often it did.
"""

import importlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

Step = Callable[[], int]
"""One unit of work; returns how many things it did."""

START_SECONDS = 120


class OutOfWork(Exception):
    """A step had nothing left to do: more must be prepared for so many seconds."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Processes that wait for work."""

    members: Sequence[tuple[BaseProcess, Connection]]

    def rate(self, work: str, *, processes: int, seconds: float) -> float:
        """Return how often *processes* of the crew did *work* per second, together."""
        chosen = [pipe for _, pipe in self.members[:processes]]
        for number, pipe in enumerate(chosen):
            pipe.send((work, number, seconds))
        for pipe in chosen:
            _expect(pipe, "ready")
        for pipe in chosen:
            pipe.send("go")
        total = 0.0
        for pipe in chosen:
            done, took = _expect(pipe, "done")
            total += done / took
        return total


@contextmanager
def crew(size: int, *, works: str, environment: dict[str, str]) -> Iterator[Crew]:
    """Start *size* processes.

    Args:
        size: How many.
        works: A module whose functions `NAME(number, seconds)` prepare work and return a `Step`.
        environment: What the children see besides our own environment.
    """
    start = multiprocessing.get_context("spawn")
    members = []
    kept = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        for _ in range(size):
            ours, theirs = start.Pipe()
            process = start.Process(target=_serve, args=(works, theirs), daemon=True)
            process.start()
            members.append((process, ours))
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    try:
        yield Crew(members)
    finally:
        for process, pipe in members:
            pipe.close()
            process.join(5)
            process.kill()


def _serve(works: str, pipe: Connection) -> None:
    import django  # noqa: PLC0415 - in the child, after its environment is set

    django.setup()
    module = importlib.import_module(works)
    while True:
        try:
            work, number, seconds = pipe.recv()
        except EOFError:
            return
        try:
            step: Step = getattr(module, work)(number, seconds)
            pipe.send(("ready", None))
            pipe.recv()
            begun = time.perf_counter()
            done = 0
            while time.perf_counter() - begun < seconds:
                done += step()
            pipe.send(("done", (done, time.perf_counter() - begun)))
        except Exception as error:
            pipe.send(("failed", repr(error)))
            raise


def _expect(pipe: Connection, word: str) -> tuple[int, float]:
    """Return what a child says beside *word*: with "done" the count and the seconds."""
    said, facts = pipe.recv()
    if said != word:
        raise RuntimeError(f"a process of the crew {said}: {facts}")
    return facts  # type: ignore[no-any-return]
