"""One foreground process that starts everything of an instance, and ends everything with itself."""

import contextlib
import http.client
import json
import os
import selectors
import signal
import socket
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from marketplace.embedded import processes, programs
from marketplace.embedded.console import TerminalGone, say
from marketplace.embedded.data_folder import DataFolder
from marketplace.embedded.postgres import Postgres
from marketplace.embedded.processes import Process, ServerFailed
from marketplace.embedded.valkey import Valkey

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_SECONDS = 0.2
# Together with what the servers may take (Valkey 3, PostgreSQL 7) a stop stays below 20 s.
GRACE_SECONDS = 9
ANSWER_SECONDS = 120
# Programs whose supervisor was killed end by themselves, and hold the port until they have.
LEFTOVER_SECONDS = 15
LOG_LIMIT_BYTES = 10 * 2**20
LONGEST_LINE_BYTES = 2**16


class Stopped(Exception):
    """Somebody asked us to stop, or nobody reads our output any more."""


class PortTaken(Exception):
    """Another program listens where the web server should."""


class Supervisor:
    """The process tree of one instance. Its folder is held by the caller."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._asked: list[signal.Signals] = []
        self._servers: dict[str, Postgres | Valkey] = {}
        self._programs: dict[str, Process] = {}
        self._unfinished_lines: dict[str, bytes] = {}
        self._output = selectors.DefaultSelector()

    def run(self) -> int:
        """Start everything, watch it, stop it.

        Returns:
            The status to exit with: 0 when it was asked to stop, 1 when something failed.
        """
        for number in STOP_SIGNALS:
            signal.signal(number, self._note)
        processes.adopt_orphans()
        try:
            self._start()
            self._watch()
        except (Stopped, TerminalGone):
            return 0
        except (ServerFailed, PortTaken) as error:
            self._say("run", str(error))
            return 1
        finally:
            self._stop()

    # --- Starting

    def _start(self) -> None:
        killed = self._folder.forget_servers()
        wait_for_port(settings.HOST, settings.PORT, seconds=LEFTOVER_SECONDS if killed else 0)
        try:
            assert settings.SECRET_KEY
        except ImproperlyConfigured:  # none given, none kept
            self._folder.keep_secret_key()
        settings.MEDIA_ROOT.mkdir(mode=0o700, exist_ok=True)
        self._folder.logs.mkdir(mode=0o700, exist_ok=True)
        addresses = {}
        if settings.EMBEDS_POSTGRES:
            given = settings.DATABASE_BUFFERS_MEGABYTES
            options = {"shared_buffers": f"{given}MB"} if given else {}
            postgres = Postgres(
                self._folder.path / "postgres", self._log("postgres"), options=options
            )
            self._start_server("postgres", postgres)
            postgres.ensure_database("hansa")
            addresses["database_url"] = postgres.application_url("hansa")
            addresses["database_owner_url"] = postgres.url("hansa")
        if settings.EMBEDS_VALKEY:
            valkey = Valkey(self._folder.path / "valkey", self._log("valkey"))
            self._start_server("valkey", valkey)
            addresses["broker_url"] = valkey.url
        self._folder.tell_servers(addresses)
        self._start_program("migrate", programs.manage("migrate"), as_owner=True)
        self._finish("migrate")
        self._start_program("web", programs.web())
        # All at once would compile the same modules at once, and the first page would come later.
        self._wait_for_an_answer()
        for name, command in programs.behind_the_web().items():
            self._start_program(name, command)
        if settings.SEED_DEMO and not self._folder.demo.exists():
            self._start_program("seed", programs.manage("seed_demo"))
            self._finish("seed")
        self._greet()

    def _log(self, name: str) -> Path:
        """Return where a server logs; what it logged long ago makes room."""
        log = self._folder.logs / f"{name}.log"
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".old.log"))
        return log

    def _start_server(self, name: str, server: Postgres | Valkey) -> None:
        self._servers[name] = server
        server.start()
        assert server.process is not None
        say(name, f"process {server.process.pid}, log {server.log}")
        self._look()

    def _start_program(
        self, name: str, command: list[str | Path], *, as_owner: bool = False
    ) -> None:
        process = processes.start(
            command,
            death_signal=signal.SIGTERM,
            environment=programs.environment(as_owner=as_owner),
            folder=settings.BASE_DIR,
        )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._output.register(process.stdout, selectors.EVENT_READ, name)
        self._programs[name] = process

    def _finish(self, name: str) -> None:
        """Wait for a program that has an end of its own."""
        process = self._programs[name]
        while process.poll() is None:
            self._look(ends={name})
        self._read_output()
        del self._programs[name]
        if process.returncode != 0:
            raise ServerFailed(f"{name} failed with status {process.returncode}; see above")

    def _wait_for_an_answer(self) -> None:
        latest = time.monotonic() + ANSWER_SECONDS
        while not is_healthy(settings.HOST, settings.PORT):
            if time.monotonic() > latest:
                raise ServerFailed(f"/healthz did not answer within {ANSWER_SECONDS} s")
            self._look()

    def _greet(self) -> None:
        say("run", f"Hansa answers at {settings.PUBLIC_URL}")
        if self._folder.demo.exists():
            for person in json.loads(self._folder.demo.read_text())["people"]:
                secrets = [
                    f"{label} {person[name]}"
                    for name, label in (("password", "password"), ("api_key", "key"))
                    if person.get(name)
                ]
                say("run", f"  {person['kind']:5} {person['handle']:16} {'  '.join(secrets)}")
        say("run", f"try  curl {settings.PUBLIC_URL}/api/v1/tasks")
        say("run", "Ctrl-C stops everything")

    # --- Watching

    def _watch(self) -> NoReturn:
        while True:
            self._look()

    def _look(self, *, ends: frozenset[str] | set[str] = frozenset()) -> None:
        """Show what programs print, and see that all live and nobody asked us to stop.

        Args:
            ends: Programs that may end by themselves.

        Raises:
            Stopped: We were asked to.
            ServerFailed: A program or a server ended by itself.
        """
        self._read_output(LOOK_SECONDS)
        if self._asked:
            say("run", f"stopping ({self._asked[0].name})")
            raise Stopped
        for name, server in self._servers.items():
            assert server.process is not None
            if server.process.poll() is not None:
                raise processes.failed(f"{name} ended by itself", server.log)
        for name, process in self._programs.items():
            if name not in ends and process.poll() is not None:
                self._read_output()
                raise ServerFailed(f"{name} ended by itself with status {process.returncode}")

    def _read_output(self, seconds: float = 0) -> None:
        """Show the lines that came, waiting up to *seconds* for the first."""
        if not self._output.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._output.select(seconds):
            name: str = key.data
            chunk = os.read(key.fd, LONGEST_LINE_BYTES)
            *lines, rest = (self._unfinished_lines.pop(name, b"") + chunk).split(b"\n")
            if not chunk or len(rest) > LONGEST_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            self._unfinished_lines[name] = rest
            for line in lines:
                say(name, line.decode(errors="replace"))
            if not chunk:
                self._output.unregister(key.fileobj)

    # --- Stopping

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._asked.append(signal.Signals(number))

    @property
    def _in_a_hurry(self) -> bool:
        """Whether somebody asked twice."""
        return len(self._asked) > 1

    def _stop(self) -> None:
        """End every program, then the servers that they need, and leave no process behind."""
        # One process each and not its group: a Celery child may finish the job at hand.
        for process in self._programs.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        latest = time.monotonic() + GRACE_SECONDS
        while (
            any(process.poll() is None for process in self._programs.values())
            and time.monotonic() < latest
            and not self._in_a_hurry
        ):
            self._read_quietly(LOOK_SECONDS)
        for name, process in self._programs.items():
            if process.poll() is None:
                self._say("run", f"{name} did not end in time and was killed")
            processes.kill_group(process)
        self._read_quietly()
        for server in reversed(self._servers.values()):
            server.stop(hurry=self._in_a_hurry)
        for orphan in processes.children():
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)
        self._folder.forget_servers()
        if self._servers or self._programs:
            self._say("run", "everything has stopped")

    def _read_quietly(self, seconds: float = 0) -> None:
        """Show the last words of programs; a closed terminal no longer matters."""
        with contextlib.suppress(TerminalGone):
            self._read_output(seconds)

    @staticmethod
    def _say(name: str, text: str) -> None:
        with contextlib.suppress(TerminalGone):
            say(name, text)


def wait_for_port(host: str, port: int, *, seconds: float) -> None:
    """Return when the web server may listen there.

    Raises:
        PortTaken: Another program still does after *seconds*.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    latest = time.monotonic() + seconds
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server does
            try:
                probe.bind(address)
            except OSError as error:
                if time.monotonic() > latest:
                    raise PortTaken(
                        f"Cannot listen on {host}:{port}: {error.strerror}. "
                        "Stop what listens there, or set PORT to another port."
                    ) from None
            else:
                return
        time.sleep(LOOK_SECONDS)


def is_healthy(host: str, port: int) -> bool:
    """Whether the web server answers `GET /healthz`; any answer that is not a failure counts."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound, reached
    connection = http.client.HTTPConnection(near, port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
