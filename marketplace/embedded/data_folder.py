"""The folder that holds everything of one instance, and who may use it at a time."""

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OWNER_ONLY = 0o600


class FolderInUse(Exception):
    """Another instance runs on the data folder."""


class NotADataFolder(Exception):
    """A folder that Hansa did not make is not Hansa's to remove."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """One data folder: `postgres/`, `valkey/`, `files/`, `logs/`, the secret key, who serves it."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def demo(self) -> Path:
        """The demo people's sign-ins, there once the demo was seeded."""
        return self.path / "demo.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for this process alone; the kernel lets go when the process dies.

        Raises:
            FolderInUse: Another instance holds it.
        """
        # Root's PostgreSQL runs as somebody else, who must be able to pass through.
        self.path.mkdir(mode=0o711 if os.getuid() == 0 else 0o700, parents=True, exist_ok=True)
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise FolderInUse(
                    f"Hansa already runs on {self.path} (process {lock.read().strip()}). "
                    "Stop it, or set HANSA_DATA and PORT to run a second one beside it."
                ) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def keep_secret_key(self) -> None:
        """Make the key that signs sessions, unless it was made before."""
        if not (self.path / "secret_key").exists():
            self._write("secret_key", secrets.token_urlsafe(48) + "\n")

    def tell_servers(self, addresses: dict[str, str]) -> None:
        """Leave the addresses of our servers where every `manage.py` of this folder finds them."""
        self._write("servers.json", json.dumps(addresses, indent=2) + "\n")

    def forget_servers(self) -> bool:
        """Withdraw the addresses; True if there were any, left by an instance that was killed."""
        try:
            (self.path / "servers.json").unlink()
        except FileNotFoundError:
            return False
        return True

    def remove(self) -> None:
        """Remove the folder with everything in it.

        Raises:
            FolderInUse: An instance runs on it.
            NotADataFolder: Hansa did not make it.
        """
        if not self.path.exists():
            return
        if not (self.path / "lock").exists():
            raise NotADataFolder(f"{self.path} was not made by Hansa; nothing was removed")
        with self.held():
            shutil.rmtree(self.path)

    def _write(self, name: str, text: str) -> None:
        """Write a file that only its owner reads, and that is never there half."""
        unfinished = self.path / f"{name}.new"
        with open(
            unfinished, "w", opener=lambda place, flags: os.open(place, flags, OWNER_ONLY)
        ) as file:
            file.write(text)
        unfinished.replace(self.path / name)
