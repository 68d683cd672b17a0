"""Several calls at the same moment, each in a thread and so on a database connection of its own."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

Work = Callable[[], object]
START_SECONDS = 30


def together(works: Sequence[Work]) -> list[object]:
    """Run *works* at once; return what each returned or raised, in their order."""
    with a_crew(len(works)) as at_once:
        return at_once(works)


@contextmanager
def a_crew(size: int) -> Iterator[Callable[[Sequence[Work]], list[object]]]:
    """Give a function that runs up to *size* works at once, in threads that keep their connections.

    Nothing waits for ever: PostgreSQL ends who waits too long for a lock.
    """
    with ThreadPoolExecutor(size) as threads:

        def at_once(works: Sequence[Work]) -> list[object]:
            start = threading.Barrier(len(works))

            def run(work: Work) -> object:
                start.wait(START_SECONDS)
                try:
                    return work()
                except Exception as failure:  # noqa: BLE001 - an outcome, which the test asserts about
                    return failure

            running = [threads.submit(run, work) for work in works]
            return [one.result() for one in running]

        yield at_once
