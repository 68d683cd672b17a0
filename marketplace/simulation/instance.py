"""An instance of a simulation's own: the bundled PostgreSQL on a folder that nobody else has.

The process that plays is told this instance's addresses and no others, so it cannot reach the
market that runs beside it, let alone move its clock.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from marketplace.embedded.data_folder import DataFolder
from marketplace.embedded.postgres import Postgres

# As `make run` names it: a folder that is kept can be served afterwards.
DATABASE = "hansa"
# A database that lives for minutes need not survive a power cut.
HURRIED = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Addresses of somebody's market, or ways out of this machine. Rules (HANSA_FEE_BPS, …) stay.
WITHHELD = ("BROKER_URL", "HANSA_RATE_LIMIT_URL", "HANSA_SECRET_KEY", "HANSA_MAIL_URL")
ROOT = Path(__file__).resolve().parents[2]


class FolderNotEmpty(Exception):
    """A simulation's data is not mixed with anything else."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is not empty; name a folder that is not there yet")


def play_apart(words: Sequence[str], *, keep: Path | None) -> int:
    """Run `python -m marketplace.simulation` on an instance of its own and return its status.

    Args:
        words: Its command line.
        keep: Where the instance stays when it is over; None removes it.

    Raises:
        FolderNotEmpty: Something is in the folder already.
        ServerFailed: PostgreSQL did not start.
    """
    with _folder(keep) as folder, DataFolder(folder).held():
        DataFolder(folder).keep_secret_key()
        postgres = Postgres(folder / "postgres", folder / "postgres.log", options=HURRIED)
        postgres.start()
        try:
            postgres.ensure_database(DATABASE)
            return subprocess.run(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "marketplace.simulation", *words],
                env=_environment(folder, postgres),
                cwd=ROOT,
                check=False,
            ).returncode
        finally:
            postgres.stop(hurry=keep is None)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="hansa-simulation-") as folder:
            yield Path(folder)
        return
    if keep.exists() and any(keep.iterdir()):
        raise FolderNotEmpty(keep)
    yield keep.resolve()


def _environment(folder: Path, postgres: Postgres) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name not in WITHHELD},
        "DJANGO_SETTINGS_MODULE": "marketplace.settings",
        "HANSA_DATA": str(folder),
        "DATABASE_URL": postgres.application_url(DATABASE),
        "HANSA_DATABASE_OWNER_URL": postgres.url(DATABASE),
        "HANSA_DATABASE_POOL_CONNECTIONS": "0",
        "HANSA_MAIL_URL": "smtp://localhost",  # no habit asks for a mail; a rule may want a server
        "HANSA_LOG_LEVEL": "WARNING",
    }
