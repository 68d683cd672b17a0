"""The server that a bench runs on, and pgbench, which measures what it can do."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from marketplace.embedded.postgres import Postgres, bundled_programs

DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "commit_delay": "0",
}
"""What a figure is worth nothing without: a commit that was answered survives a power cut."""

TPCB_SCALE = 20
"""TPC-B's own unit; more branches than clients, so that its hot rows are not what is measured."""

WARM_UP = 1
"""Seconds of pgbench that are not counted: its connections are new each time, and first map the
shared memory that they touch and plan their statements. A market's are there already."""


class NotDurable(Exception):
    """The server would lose what it acknowledged."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One running embedded server in a temporary folder. What it measures leaves out WARM_UP.

    Attributes:
        postgres: The server.
        folder: Where scripts for pgbench are kept; gone with the server.
    """

    postgres: Postgres
    folder: Path

    def url(self, database: str) -> str:
        """Return the address of a database for its owner, who prepares."""
        return self.postgres.url(database)

    def make_tpcb(self) -> None:
        """Fill the database `tpcb` with pgbench's own tables."""
        self.postgres.ensure_database("tpcb")
        self._pgbench(
            self.url("tpcb"),
            ["--initialize", "--quiet", "--init-steps=dtgvp", f"--scale={TPCB_SCALE}"],
        )

    def tpcb(self, *, clients: int, seconds: float) -> float:
        """Return transactions per second of the built-in TPC-B, prepared."""
        return self._rate("tpcb", ["--builtin=tpcb-like"], clients, seconds)

    def select_only(self, *, clients: int, seconds: float) -> float:
        """Return transactions per second of the built-in select-only, prepared."""
        return self._rate("tpcb", ["--builtin=select-only"], clients, seconds)

    def run_script(
        self,
        database: str,
        script: str,
        *,
        clients: int,
        seconds: float,
        variables: Mapping[str, int] | None = None,
    ) -> float:
        """Return transactions per second of a script of pgbench's language, prepared.

        The application's role runs it, so that every right is checked.

        Raises:
            subprocess.CalledProcessError: A statement failed; its message was printed.
        """
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".sql") as file:
            file.write(script)
            file.flush()
            given = [f"--define={name}={value}" for name, value in (variables or {}).items()]
            arguments = [f"--file={file.name}", *given]
            return self._rate(
                database, arguments, clients, seconds, self.postgres.application_url(database)
            )

    def checkpoint(self) -> None:
        """Write what earlier measurements left, so that none pays for another."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def _rate(
        self,
        database: str,
        arguments: Sequence[str],
        clients: int,
        seconds: float,
        url: str | None = None,
    ) -> float:
        printed = self._pgbench(
            url or self.url(database),
            [
                "--no-vacuum",
                "--protocol=prepared",
                f"--client={clients}",
                f"--jobs={min(clients, 2)}",
                f"--time={WARM_UP + max(1, round(seconds))}",
                f"--progress={WARM_UP}",
                *arguments,
            ],
        )
        found = re.search(r"^tps = ([\d.]+)", printed, re.MULTILINE)
        processed = re.search(r"actually processed: (\d+)", printed)
        warm = re.search(r"^progress: ([\d.]+) s, ([\d.]+) tps", printed, re.MULTILINE)
        failed = re.search(r"number of failed transactions: (\d+)", printed)
        assert found, printed
        assert processed, printed
        assert warm, printed
        assert failed is None or failed[1] == "0", printed
        transactions, until = int(processed[1]), float(warm[1])
        took = transactions / float(found[1])
        return (transactions - until * float(warm[2])) / (took - until)

    def _pgbench(self, url: str, arguments: Sequence[str]) -> str:
        done = subprocess.run(
            [str(bundled_programs() / "pgbench"), *arguments, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.stderr.write(done.stdout)
        done.check_returncode()
        return done.stdout


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Start the embedded server as `make run` does, in a folder that is removed afterwards.

    Raises:
        NotDurable: It would lose acknowledged commits; nothing may be measured on it.
    """
    with tempfile.TemporaryDirectory(prefix="hansa-bench-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        folder.chmod(0o711)
        postgres = Postgres(folder / "postgres", folder / "postgres.log")
        postgres.start()
        try:
            _assert_durable(postgres.url("postgres"))
            yield Engine(postgres, folder)
        finally:
            postgres.stop(hurry=True)


def _assert_durable(url: str) -> None:
    with psycopg.connect(url) as connection:
        for name, needed in DURABLE.items():
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row is not None
            if row[0] != needed:
                raise NotDurable(json.dumps({"setting": name, "is": row[0], "needed": needed}))
