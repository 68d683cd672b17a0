"""Several calls at the same time, each on a database connection of its own."""

import threading
from collections.abc import Callable

from django.db import connection


def together(works: list[Callable[[], object]]) -> list[object]:
    """Run *works* at once, each on a connection of its own; return results and failures."""
    outcomes: list[object] = []
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait()
        try:
            outcomes.append(work())
        except Exception as failure:  # noqa: BLE001 - the outcome that is asked for
            outcomes.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes
