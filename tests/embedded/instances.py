"""Starting a whole instance, as `make run` does, and seeing what is left of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from marketplace.embedded.supervisor import is_healthy

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90
STOP_SECONDS = 20


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass
class Instance:
    process: subprocess.Popen[bytes]
    data: Path
    port: int
    log: Path

    def wait_until_ready(self) -> None:
        latest = time.monotonic() + START_SECONDS
        while "Ctrl-C stops everything" not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < latest, self.log.read_text()
            time.sleep(0.1)
        assert is_healthy("127.0.0.1", self.port)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def tree(self) -> list[psutil.Process]:
        """Return every process below the supervisor."""
        below: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return below


def alive(processes: list[psutil.Process]) -> list[str]:
    """Return what still runs of *processes*, by its command line; a zombie runs no more."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if process.is_running():
                found.append(" ".join(process.cmdline()))
    return found


def environment(data: Path, port: int) -> dict[str, str]:
    ours = {"PATH": os.environ["PATH"], "HANSA_DATA": str(data), "PORT": str(port)}
    small = {"HANSA_WEB_PROCESSES": "1", "HANSA_DATABASE_BUFFERS_MEGABYTES": "96"}
    return ours | {"HANSA_SEED_DEMO": "off"} | small


@contextmanager
def an_instance(data: Path, port: int) -> Iterator[Instance]:
    log = data.with_suffix(".log")
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "marketplace.embedded"],
            cwd=ROOT,
            env=environment(data, port),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield Instance(process, data, port, log)
        finally:
            if process.poll() is None:
                process.terminate()


def run_to_its_end(data: Path, port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "marketplace.embedded", *arguments],
        cwd=ROOT,
        env=environment(data, port),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
